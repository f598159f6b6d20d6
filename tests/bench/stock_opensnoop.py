#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The installed opensnoop-bpfcc, on tracepoints.

The stock tool wants kprobes or fentry. Where the kernel has neither, its BPF text and its calls
of attach_kprobe() are replaced here by tracepoint programs that fill the same record;
its argument parsing, polling and printing stay as they are installed.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

STOCK = Path("/usr/sbin/opensnoop-bpfcc")

PROGRAMS = '''
BPF_HASH(infotmp, u64, struct val_t);

static int entered(const char *filename, int flags)
{
    struct val_t val = {};
    u64 id = bpf_get_current_pid_tgid();
    u32 pid = id >> 32;
    u32 tid = id;
    u32 uid = bpf_get_current_uid_gid();

    PID_TID_FILTER
    UID_FILTER
    FLAGS_FILTER
    if (container_should_be_filtered()) {
        return 0;
    }
    if (bpf_get_current_comm(&val.comm, sizeof(val.comm)) == 0) {
        val.id = id;
        val.fname = filename;
        val.flags = flags; // EXTENDED_STRUCT_MEMBER
        infotmp.update(&id, &val);
    }
    return 0;
}

static int returned(void *ctx, long ret)
{
    u64 id = bpf_get_current_pid_tgid();
    struct val_t *valp;
    struct data_t data = {};
    u64 tsp = bpf_ktime_get_ns();

    valp = infotmp.lookup(&id);
    if (valp == 0) {
        return 0;
    }
    bpf_probe_read_kernel(&data.comm, sizeof(data.comm), valp->comm);
    bpf_probe_read_user_str(&data.name, sizeof(data.name), (void *)valp->fname);
    data.id = valp->id;
    data.ts = tsp / 1000;
    data.uid = bpf_get_current_uid_gid();
    data.flags = valp->flags; // EXTENDED_STRUCT_MEMBER
    data.ret = ret;

    SUBMIT_DATA

    infotmp.delete(&id);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_open) { return entered(args->filename, args->flags); }
TRACEPOINT_PROBE(syscalls, sys_enter_openat) { return entered(args->filename, args->flags); }
TRACEPOINT_PROBE(syscalls, sys_enter_openat2)
{
    u64 flags = 0;
    bpf_probe_read_user(&flags, sizeof(flags), (void *)args->how);
    return entered(args->filename, flags);
}
TRACEPOINT_PROBE(syscalls, sys_exit_open) { return returned(args, args->ret); }
TRACEPOINT_PROBE(syscalls, sys_exit_openat) { return returned(args, args->ret); }
TRACEPOINT_PROBE(syscalls, sys_exit_openat2) { return returned(args, args->ret); }
'''


def variant(text: str) -> str:
    """The stock source with its probes replaced; fails loudly if it is not the one expected."""
    text, n = re.subn(r"is_support_kfunc = BPF\.support_kfunc\(\)", "is_support_kfunc = False", text)
    assert n == 1, "another opensnoop: no support_kfunc()"
    for name in ("kprobe_header_open", "kprobe_header_openat", "kprobe_header_openat2",
                 "kprobe_body"):
        text, n = re.subn(rf'bpf_text_{name} = """.*?"""', f'bpf_text_{name} = ""', text,
                          flags=re.DOTALL)
        assert n == 1, f"another opensnoop: no bpf_text_{name}"
    text, n = re.subn(r'bpf_text_kprobe = """.*?"""',
                      lambda _: f'bpf_text_kprobe = """{PROGRAMS}"""', text, flags=re.DOTALL)
    assert n == 1, "another opensnoop: no bpf_text_kprobe"
    text, n = re.subn(r"^if not is_support_kfunc:\n(?:    .*\n|\n)+?(?=initial_ts)", "", text,
                      flags=re.MULTILINE)
    assert n == 1, "another opensnoop: no attach_kprobe()"
    return text


if __name__ == "__main__":
    sys.argv[0] = str(STOCK)
    exec(compile(variant(STOCK.read_text()), str(STOCK), "exec"))  # pylint: disable=exec-used
