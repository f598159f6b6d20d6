# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Every kind of program that the dialect has: compiled and loaded by both."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]

import kept  # noqa: E402
from bpfduet import kernel_headers  # noqa: E402
from frontends import BUILD  # noqa: E402

HEADERS = ROOT / "headers"
BPFFS = Path("/sys/fs/bpf")

# name: (source, BCC's program type, name of the program)
PROGRAMS = {
    "tracepoint": ("""
BPF_HASH(seen, u32, u64);
TRACEPOINT_PROBE(sched, sched_process_exec)
{
	u32 pid = args->pid;
	char name[16];

	TP_DATA_LOC_READ(&name, filename);
	if (name[0] == '/')
		seen.increment(pid);
	return 0;
}
""", "TRACEPOINT", "tracepoint__sched__sched_process_exec"),
    "syscall": ("""
BPF_HASH(seen, u64, u64);
TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
	char name[32];

	bpf_probe_read_user_str(&name, sizeof(name), args->filename);
	seen.increment(args->flags);
	return name[0];
}
""", "TRACEPOINT", "tracepoint__syscalls__sys_enter_openat"),
    "raw_tracepoint": ("""
BPF_HISTOGRAM(dist);
RAW_TRACEPOINT_PROBE(sched_switch)
{
	struct task_struct *next = (struct task_struct *)ctx->args[2];

	dist.increment(bpf_log2l(BPF_CORE_READ(next, pid)));
	return 0;
}
""", "RAW_TRACEPOINT", "raw_tracepoint__sched_switch"),
    "own_struct": ("""
struct held { struct task_struct *task; void *head; };
BPF_HASH(seen, u32, struct held);
BPF_HASH(counts, u32, u64);
RAW_TRACEPOINT_PROBE(sched_switch)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct held new = { .task = (struct task_struct *)ctx->args[2] }, *held = seen.lookup(&cpu);
	char comm[16] = {};
	int tgid = 0;

	seen.update(&cpu, &new);
	if (!held)
		return 0;
	BPF_CORE_READ_INTO(&tgid, held->task, group_leader, tgid);
	BPF_CORE_READ_STR_INTO(&comm, held->task, comm);
	if (tgid == BPF_CORE_READ(held->task, tgid) && comm[0] &&
	    !BPF_CORE_READ_USER((struct list_head *)held->head, next))
		counts.increment(BPF_CORE_READ(BPF_CORE_READ(held->task, group_leader), pid));
	return 0;
}
""", "RAW_TRACEPOINT", "raw_tracepoint__sched_switch"),
    "kprobe": ("""
BPF_HASH(seen, u32, u64);
KPROBE(vfs_read, struct file *file, char *buf, size_t count)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	if (dentry && count > 3)
		seen.increment(bpf_get_current_pid_tgid());
	return 0;
}
""", "KPROBE", "kprobe__vfs_read"),
    "kretprobe": ("""
BPF_HISTOGRAM(dist);
KRETPROBE(vfs_read, long ret)
{
	if (ret > 0)
		dist.increment(bpf_log2l(ret));
	return 0;
}
""", "KPROBE", "kretprobe__vfs_read"),
    "ksyscall": ("""
BPF_HASH(seen, u32, u64);
KSYSCALL(openat, int dfd, const char *filename, int flags)
{
	char name[32];

	bpf_probe_read_user_str(&name, sizeof(name), filename);
	if (dfd == -100 && name[0])
		seen.increment(flags);
	return 0;
}
""", "KPROBE", "kprobe__sys_openat"),
    "kretsyscall": ("""
BPF_HASH(seen, u32, u64);
KRETSYSCALL(openat, long ret)
{
	if (ret < 0)
		seen.increment(-ret);
	return 0;
}
""", "KPROBE", "kretprobe__sys_openat"),
    "uprobe": ("""
BPF_HASH(seen, u64, u64);
UPROBE(malloc, "libc.so.6:malloc", size_t size)
{
	seen.increment(size);
	return 0;
}
""", "KPROBE", "uprobe__malloc"),
    "uretprobe": ("""
BPF_HASH(seen, u64, u64);
URETPROBE(malloc, "libc.so.6:malloc", void *ret)
{
	if (!ret)
		seen.increment(1);
	return 0;
}
""", "KPROBE", "uretprobe__malloc"),
    "perf_event": ("""
BPF_STACK_TRACE(stacks, 64);
BPF_HASH(counts, u32, u64);
PERF_EVENT(sample)
{
	counts.increment(stacks.get_stackid(ctx, 0));
	return 0;
}
""", "PERF_EVENT", "perf_event__sample"),
    "xdp": ("""
BPF_ARRAY(packets, u64, 1);
XDP(count)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 14 > end)
		return XDP_ABORTED;
	packets.increment(0);
	return XDP_PASS;
}
""", "XDP", "xdp__count"),
    "tc": ("""
BPF_ARRAY(bytes, u64, 1);
TC(count)
{
	bytes.increment(0, ctx->len);
	return 0;
}
""", "SCHED_CLS", "tc__count"),
    "cgroup_skb": ("""
BPF_ARRAY(bytes, u64, 1);
CGROUP_SKB(egress, count)
{
	bytes.atomic_increment(0, ctx->len);
	return 1;
}
""", "CGROUP_SKB", "cgroup_skb__count"),
    "socket_filter": ("""
BPF_ARRAY(bytes, u64, 1);
SOCKET_FILTER(count)
{
	bytes.increment(0, ctx->len);
	return 0;
}
""", "SOCKET_FILTER", "socket_filter__count"),
    "fentry": ("""
BPF_HASH(seen, u32, u64);
KFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count)
{
	seen.increment(count);
	return 0;
}
""", "TRACING", "kfunc__vfs_read"),
    "fexit": ("""
BPF_HASH(seen, u32, u64);
KRETFUNC_PROBE(vfs_read, struct file *file, char *buf, size_t count, loff_t *pos, long ret)
{
	seen.increment(ret);
	return 0;
}
""", "TRACING", "kretfunc__vfs_read"),
    "lsm": ("""
BPF_HASH(seen, u32, u64);
LSM_PROBE(file_open, struct file *file)
{
	seen.increment(1);
	return 0;
}
""", "LSM", "lsm__file_open"),
}
MULTIARCH = subprocess.run(["gcc", "-print-multiarch"], stdout=subprocess.PIPE, text=True,
                           check=False).stdout.strip()
ARCH_HEADERS = ["-idirafter", f"/usr/include/{MULTIARCH}"] if MULTIARCH else []
TRAMPOLINES = ("fentry", "fexit", "lsm")
# Guests compile slowly, and tools attach all other kinds there.
NAMES = [pytest.param(name, marks=[] if name in TRAMPOLINES else pytest.mark.host_only)
         for name in sorted(PROGRAMS)]


def source_of(name: str) -> str:
    return f'#include "bpfduet.h"\n{PROGRAMS[name][0]}\nLICENSE("GPL");\n'


def needs_trampolines(name: str, said: str) -> None:
    """Kernels without ftrace trampolines refuse these with EPERM or ENOTSUPP; say so."""
    if name in TRAMPOLINES and not Path("/sys/kernel/tracing/enabled_functions").exists() \
            or name in TRAMPOLINES and re.search(r"Operation not permitted|524|super-user", said):
        pytest.skip("kernel without BPF trampolines")


@pytest.mark.parametrize("name", NAMES)
def test_ahead_of_time(name: str, tmp_path: Path) -> None:
    load_ahead_of_time(name, source_of(name), PROGRAMS[name][2], tmp_path)


@pytest.mark.host_only
def test_usdt_ahead_of_time(tmp_path: Path) -> None:
    """BCC compiles such a program together with a binary that has the probe, and not without."""
    load_ahead_of_time("usdt", """
#define BPFDUET_USDT
#include "bpfduet.h"
BPF_HASH(seen, u64, u64);
USDT(call, "a.out:provider:probe")
{
	u64 value = 0;

	bpf_usdt_readarg(1, ctx, &value);
	seen.increment(value);
	return 0;
}
LICENSE("GPL");
""", "usdt__call", tmp_path)


def load_ahead_of_time(name: str, text: str, program: str, tmp_path: Path) -> None:
    source, linked = tmp_path / f"{name}.bpf.c", tmp_path / f"{name}.o"
    source.write_text(text)
    flags = ["-g", "-O2", "-mcpu=v3", "-target", "bpf", "-D__TARGET_ARCH_x86", *ARCH_HEADERS,
             "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
    kept.made(linked, [source, *kept.BPF_INPUTS], flags, lambda: subprocess.run(
        ["clang", *flags, f"-I{BUILD}", f"-I{HEADERS}", "-c", str(source), "-o", str(linked)],
        check=True))
    pins = BPFFS / f"bpfduet-test-{os.getpid()}"
    try:
        done = subprocess.run(["bpftool", "prog", "loadall", str(linked), str(pins)], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            needs_trampolines(name, done.stdout)
        assert done.returncode == 0, done.stdout
        assert [path.name for path in pins.iterdir()] == [program]
    finally:
        if pins.exists():
            for path in pins.iterdir():
                path.unlink()
            pins.rmdir()


@pytest.mark.parametrize("name", NAMES)
def test_bcc(name: str) -> None:
    """In a process of its own: BCC prints to descriptor 2, and its failures are seen there."""
    done = subprocess.run([sys.executable, __file__, name], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        needs_trampolines(name, done.stdout)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"loaded {PROGRAMS[name][2]}\n"


def load_with_bcc(name: str) -> None:
    import bcc

    class Unattached(bcc.BPF):
        """BCC attaches by name; this kernel may lack the probes."""

        def _trace_autoload(self) -> None:
            return

    text, kind, program = PROGRAMS[name][0], PROGRAMS[name][1], PROGRAMS[name][2]
    assert text in source_of(name)
    kernel_headers.folder_for(source_of(name), [HEADERS]).apply(os.environ)
    # attaching to a cgroup's egress needs no type at load; trampolines find theirs by the name
    bpf = Unattached(text=source_of(name).encode(), cflags=["-D__BCC__", f"-I{HEADERS}"])
    # from BCC 0.28 on the module that a function is in is part of the name
    plain = {bcc.lib.bpf_function_name(bpf.module, number).replace(b"__vmlinux__", b"__"): number
             for number in range(bcc.lib.bpf_num_functions(bpf.module))}
    bpf.load_func(bcc.lib.bpf_function_name(bpf.module, plain[program.encode()]),
                  getattr(bcc.BPF, kind))
    bpf.cleanup()
    print(f"loaded {program}")


if __name__ == "__main__":
    load_with_bcc(sys.argv[1])
