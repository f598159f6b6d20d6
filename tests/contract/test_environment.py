# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where a tool cannot run: one sentence with a remedy, exit 1, no traceback, from both alike."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, Sequence, Tuple

import pytest

from frontends import BIN, FRONTENDS, ROOT, Argument, Result, command, run
from support import (PATH, SPDX, add_section, compile_bpf, copy_tree, counting_tool, describe, one_sentence,
                     own_command, own_run, write_tool)
from support import run as run_argv

both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)
UNPRIVILEGED_TOOLS = ["opensnoop", "syscount", "hello"]
UNPRIVILEGED = "loading BPF programs needs root (or CAP_BPF and CAP_PERFMON)"
NO_TRACEFS = "tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing"
NO_CGROUP = "cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup"


def hiding(commands: str, argv: Sequence[Argument], *namespaces: str) -> Result:
    """Run in a mount namespace of its own where these shell commands were run before."""
    return run_argv(["unshare", "-m", *namespaces, "--propagation", "private", "sh", "-c",
                     f'{commands}\nexec "$@"', "sh", *argv])


HIDE_TRACEFS = "mount -t tmpfs none /sys/kernel/tracing; mount -t tmpfs none /sys/kernel/debug"
HIDE_BTF = "mount -t tmpfs none /sys/kernel/btf"


AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(name="public", scope="module")
def fixture_public() -> Iterator[Callable[[str, str], List[Argument]]]:
    """The command lines of copies of the tools that everybody can start: the tree may be below a
    folder that only root can enter."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        copy_tree(place)
        (place / "bin").mkdir()
        for tool in UNPRIVILEGED_TOOLS:
            shutil.copy(BIN / tool, place / "bin")
        (place / "build/bin").mkdir(parents=True)
        shutil.copy(ROOT / "build/bin/bpfduet-loader", place / "build/bin")
        shutil.copytree(ROOT / "build/lib", place / "build/lib")
        subprocess.run(["chmod", "-R", "a+rX", temporary], check=True)

        def public(frontend: str, tool: str) -> List[Argument]:
            return [str(part).replace(str(BIN), str(place / "bin")).replace(str(ROOT), temporary)
                    for part in command(frontend, tool)]

        for frontend in FRONTENDS:
            argv = [*AS_NOBODY, *public(frontend, "opensnoop"), "--version"]
            assert run_argv(argv).status == 0, "nobody cannot start the copies"
        yield public


@pytest.mark.always_in_guests
@pytest.mark.parametrize("tool", UNPRIVILEGED_TOOLS)
@both_frontends
def test_unprivileged_user(public: Callable[[str, str], List[Argument]], frontend: str,
                           tool: str) -> None:
    """nobody, without capabilities."""
    result = run_argv([*AS_NOBODY, *public(frontend, tool)])
    assert (result.status, one_sentence(result, tool)) == (1, UNPRIVILEGED)


@both_frontends
def test_root_without_capabilities(frontend: str) -> None:
    """root is not the point, capabilities are."""
    quoted = " ".join(str(part) for part in command(frontend, "opensnoop"))
    argv = ["capsh", "--drop=cap_sys_admin,cap_bpf,cap_perfmon", "--", "-c", f"exec {quoted}"]
    result = run_argv(argv, env={**os.environ, "PATH": PATH})
    assert (result.status, one_sentence(result, "opensnoop")) == (1, UNPRIVILEGED)


@both_frontends
def test_tracefs_is_not_for_everybody(public: Callable[[str, str], List[Argument]],
                                      frontend: str) -> None:
    """With CAP_BPF and CAP_PERFMON but no way to read tracefs: not called unmounted."""
    argv = [*AS_NOBODY, "--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon",
            *public(frontend, "opensnoop")]
    result = run_argv(argv)
    assert result.status == 1
    assert one_sentence(result, "opensnoop") == \
        "/sys/kernel/tracing cannot be read: run as root, or remount it with a gid"


@pytest.mark.parametrize("tool", ["opensnoop", "syscount", "hello"])
@both_frontends
def test_no_tracefs(frontend: str, tool: str) -> None:
    """Neither at its own place nor below debugfs."""
    result = hiding(HIDE_TRACEFS, command(frontend, tool, []))
    assert (result.status, one_sentence(result, tool)) == (1, NO_TRACEFS)


@pytest.mark.always_in_guests
def test_no_btf_c() -> None:
    """A program that reads kernel structures needs it."""
    result = hiding(HIDE_BTF, command("c", "opensnoop", ["--full-path", "--duration", "1"]))
    assert result.status == 1
    assert one_sentence(result, "opensnoop") == \
        ("this kernel has no BTF (/sys/kernel/btf/vmlinux): give one with --btf, or use a kernel "
         "built with CONFIG_DEBUG_INFO_BTF")


@pytest.mark.always_in_guests
def test_no_btf_bcc() -> None:
    """Without BTF the headers cannot be made from it; where there are no others that is said."""
    result = hiding(HIDE_BTF, command("bcc", "opensnoop", ["--duration", "1"]))
    if result.status == 0:
        pytest.skip("this machine has kernel headers: BCC does without BTF")
    assert result.status == 1
    sentence = one_sentence(result, "opensnoop")
    assert sentence.startswith("no kernel headers can be had")
    assert "CONFIG_DEBUG_INFO_BTF" in sentence


@both_frontends
def test_hidden_kernel_addresses(frontend: str, tmp_path: Path) -> None:
    """What /proc/kallsyms looks like with kernel.kptr_restrict=2: names are missing, and it is said."""
    zeros = tmp_path / "kallsyms"
    zeros.write_text("0000000000000000 T _stext\n0000000000000000 T schedule\n")
    argv = command(frontend, "profile", ["-f", "-F", "99", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=64k",
                                         "count=100000", "status=none"])
    assert run_argv(argv).status == 0       # and so it is compiled
    result = hiding(f"mount --bind {zeros} /proc/kallsyms", argv)
    assert (result.status, result.stderr) == (
        0, b"WARNING: The kernel does not show the addresses of its functions: "
        b"sysctl kernel.kptr_restrict=1\n")


@both_frontends
def test_no_cgroup_v2(frontend: str) -> None:
    """Where the hierarchy is not mounted."""
    unmount = "umount -a -t cgroup2"
    for args in (["--", "true"], ["--cgroup", "/sys/fs/cgroup"]):
        result = hiding(unmount, command(frontend, "opensnoop", args))
        assert (result.status, one_sentence(result, "opensnoop")) == (1, NO_CGROUP)


@both_frontends
def test_cgroup_namespace(frontend: str) -> None:
    """Inside one the kernel's numbers mean something else."""
    result = hiding("true", command(frontend, "opensnoop", ["--", "true"]), "-C")
    assert result.status == 1
    assert one_sentence(result, "opensnoop") == \
        ("a cgroup's place cannot be seen from inside a cgroup namespace: run on the host")


@pytest.mark.host_only
@pytest.mark.parametrize("path", ["/tmp", "/missing", "/etc/passwd", "/sys/fs/cgroup/../..", ""])
@both_frontends
def test_not_a_cgroup(frontend: str, path: str) -> None:
    """--cgroup with something else."""
    result = run(frontend, "opensnoop", ["--cgroup", path])
    assert result.status == 1
    assert one_sentence(result, "opensnoop") == f"'{path}' is not a cgroup (v2) directory"


@both_frontends
def test_cgroup_cannot_be_made(frontend: str) -> None:
    """COMMAND below something that is no cgroup, or is not there: named, and not left behind."""
    result = run(frontend, "opensnoop", ["--cgroup", "/missing", "--", "true"])
    assert result.status == 1
    assert "/missing" in one_sentence(result, "opensnoop")
    result = run(frontend, "opensnoop", ["--cgroup", "/tmp", "--", "true"])
    assert (result.status, one_sentence(result, "opensnoop")) == \
        (1, "'/tmp' is not a cgroup (v2) directory")
    assert not list(Path("/tmp").glob("bpfduet-[0-9]*"))


def test_cgroup_sentences_are_the_same() -> None:
    """Whatever is wrong with --cgroup and COMMAND, both say the same."""
    for args in (["--cgroup", "/missing", "--", "true"], ["--cgroup", "/tmp", "--", "true"],
                 ["--cgroup", "/etc/passwd", "--", "true"], ["--cgroup", "", "--", "true"]):
        c, bcc = (run(frontend, "opensnoop", args) for frontend in FRONTENDS)
        assert (c.status, c.stderr) == (bcc.status, bcc.stderr)


@pytest.mark.parametrize("path, reason", [
    ("/missing", "No such file or directory"), ("/tmp", "Permission denied")])
@both_frontends
def test_not_a_pinned_map(frontend: str, path: str, reason: str) -> None:
    """--cgroupmap with something else."""
    result = run(frontend, "opensnoop", ["--cgroupmap", path])
    assert result.status == 1
    assert one_sentence(result, "opensnoop") in \
        [f"there is no pinned map at '{path}': {one}" for one in reason.split("|")]


MISSING_PROBES: List[Tuple[str, str]] = [
    ("tracepoint:bpfduet:missing", "this kernel does not have the tracepoint bpfduet:missing, "
                                   "which this tool needs"),
    ("tracepoint:syscalls:sys_exit_missing",
     "this kernel does not have the tracepoint syscalls:sys_exit_missing, which this tool needs"),
    ("raw_tracepoint:bpfduet_missing", "this kernel does not have the raw tracepoint "
                                       "bpfduet_missing, which this tool needs"),
    ("fentry:bpfduet_missing", "this kernel does not have the fentry bpfduet_missing, which this "
                               "tool needs"),
    ("helper:bpf_duet_missing", "this kernel does not have the helper bpf_duet_missing, which "
                                "this tool needs"),
]


@pytest.mark.parametrize("requirement, sentence", MISSING_PROBES)
@both_frontends
def test_missing_probe(tmp_path: Path, frontend: str, requirement: str, sentence: str) -> None:
    """What the tool requires and the kernel does not have."""
    result = own_run(frontend, counting_tool(tmp_path, "needy", [requirement]))
    assert (result.status, one_sentence(result, "needy")) == (1, sentence)


def test_missing_kprobe(tmp_path: Path) -> None:
    """The same sentence from both, whether it is the function or all kprobes that are missing."""
    source = counting_tool(tmp_path, "needy", ["kprobe:bpfduet_missing"])
    c, bcc = (own_run(frontend, source) for frontend in FRONTENDS)
    assert (c.status, c.stderr) == (bcc.status, bcc.stderr)
    assert "bpfduet_missing" in one_sentence(c, "needy") and c.status == 1


@pytest.mark.parametrize("requirement", [
    "tracepoint:sched:sched_process_exec", "raw_tracepoint:sched_process_exec",
    pytest.param("fentry:vfs_read", marks=pytest.mark.needs("fentry")),
    "helper:bpf_ktime_get_ns", "tracepoint?:bpfduet:missing"])
@both_frontends
def test_present_probe(tmp_path: Path, frontend: str, requirement: str) -> None:
    """What is there, or optional, does not hinder."""
    source = counting_tool(tmp_path, "needy", [requirement])
    result = own_run(frontend, source, ["--format", "csv", "--", "true"])
    assert (result.status, result.stderr, result.stdout) == (0, b"", b"value\n1\n")


@pytest.mark.parametrize("requires, more", [([], ()), (["tracepoint?:bpfduet:missing"], ("bpfduet:missing",))])
@pytest.mark.parametrize("way", [*FRONTENDS, "plain"])
def test_one_program_at_several_tracepoints(tmp_path: Path, way: str, requires: List[str],
                                            more: Tuple[str, ...]) -> None:
    """It sees the events of all that the kernel has; one that is optional may be missing."""
    source, args = at_both(tmp_path, requires, more), ["--format", "json", "--", "true"]
    if way == "plain":
        result = run_argv([str(ROOT / "bpfduet"), "run", "--plain", str(source), *args])
    else:
        result = own_run(way, source, args)
    assert (result.status, result.stderr, json.loads(result.stdout)["data"][0]["value"]) == (0, b"", 2)


@both_frontends
def test_one_of_several_tracepoints_is_missing(tmp_path: Path, frontend: str) -> None:
    """That is no smaller matter than the only one."""
    result = own_run(frontend, at_both(tmp_path, [], ("bpfduet:missing",)))
    assert result.status == 1
    assert "does not have the tracepoint bpfduet:missing" in one_sentence(result, "needy")


def at_both(folder: Path, requires: List[str], more: Tuple[str, ...]) -> Path:
    """A tool that counts a process's exec and exit by one program."""
    source = counting_tool(folder, "needy", requires)
    spec = source.with_name("needy.toml")
    also = ", ".join(f'"{place}"' for place in ("sched:sched_process_exit", *more))
    spec.write_text(spec.read_text() + f'''
[programs.tracepoint__sched__sched_process_exec]
also = [{also}]
''')
    return source


@both_frontends
def test_missing_probe_without_tracefs(tmp_path: Path, frontend: str) -> None:
    """Where tracefs is not mounted that is the sentence, not a missing probe."""
    for requirement in ("tracepoint:sched:sched_process_exec", "raw_tracepoint:sched_switch",
                        "kprobe:vfs_read"):
        source = counting_tool(tmp_path, "needy", [requirement])
        result = hiding(HIDE_TRACEFS, own_command(frontend, source))
        assert (result.status, one_sentence(result, "needy")) == (1, NO_TRACEFS)


REJECTED = f"""// {SPDX}
#include "bpfduet.h"

BPF_HASH(seen, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{{
	u64 numbers[4] = {{}};
	u32 i = bpf_get_prandom_u32(), key = 0;

	/* beyond the end of the array: the verifier cannot know i */
	bpf_probe_read_kernel(&numbers, i, (void *)bpf_get_current_task());
	seen.update(&key, &numbers[0]);
	return 0;
}}

LICENSE("Dual BSD/GPL");
"""


@both_frontends
def test_verifier_rejects(tmp_path: Path, frontend: str) -> None:
    """Its log is shown, then the sentence, as the last line."""
    spec = 'summary = "out of bounds"\n[[report]]\nmap = "seen"\ncolumns = ["value"]\n'
    result = own_run(frontend, write_tool(tmp_path, "beyond", REJECTED, spec))
    *log, last = result.stderr.decode().splitlines()
    assert (result.status, result.stdout) == (1, b"")
    assert any("R2 unbounded memory access" in line or "R2 min value is negative" in line
               for line in log)
    assert last.startswith("beyond: the kernel's verifier rejects a program (its log is above): ")
    assert "Traceback" not in result.stderr.decode()


@pytest.mark.host_only
def test_source_that_does_not_compile(tmp_path: Path) -> None:
    """BCC's messages, then the sentence."""
    source = counting_tool(tmp_path, "broken")
    source.write_text(source.read_text().replace("u32 key = 1;", "u32 key = nonsense;"))
    result = own_run("bcc", source)
    *log, last = result.stderr.decode().splitlines()
    assert result.status == 1
    assert last == "broken: BCC cannot compile broken.bpf.c"
    assert any("undeclared identifier 'nonsense'" in line for line in log)
    assert "Traceback" not in result.stderr.decode()


@pytest.mark.host_only
@pytest.mark.parametrize("change, line, said", [
    (('map = "execs"', 'map = "exec"'), 5, "execs"),
    (("columns", "colunms"), 6, "columns"),
    (('field = "value"', 'field = "valu"'), 7, "value"), (("[[report]]", "[[report]"), None, ""),
    (("summary", "sumary"), 2, "summary")])
def test_bad_spec(tmp_path: Path, change: Tuple[str, str], line: int, said: str) -> None:
    """FILE:LINE: sentence, and what was meant; from both the same, at build or run time."""
    source = counting_tool(tmp_path, "badly")
    spec = tmp_path / "badly.toml"
    spec.write_text(spec.read_text().replace(*change))
    bcc = own_run("bcc", source)
    built = describe(source, compile_bpf(source, tmp_path / "badly.linked.o"))
    for status, stderr in ((bcc.status, bcc.stderr), (built.returncode, built.stderr)):
        text = stderr.decode()
        assert status == 1 and "Traceback" not in text and text.count("\n") == 1, text
        assert f"{spec}:{line}: " in text if line else str(spec) in text
        assert said in text
    assert bcc.stderr.decode().rpartition(f"{spec}")[2] == built.stderr.decode().rpartition(
        f"{spec}")[2]


@pytest.mark.host_only
@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"{}", b'{"bpfduet":99}',
                                     b"\xff\xfe", b'{"bpfduet":1,"tool":"x"}' * 2])
def test_bad_bound_spec(tmp_path: Path, content: bytes) -> None:
    """An object whose section is damaged."""
    linked = compile_bpf(counting_tool(tmp_path, "damaged"), tmp_path / "damaged.linked.o")
    result = run_argv([str(BIN / "bpfduet-loader"),
                       str(add_section(linked, content, tmp_path / "damaged.o"))])
    assert result.status == 1
    assert one_sentence(result, "bpfduet-loader")


@pytest.mark.host_only
def test_missing_spec(tmp_path: Path) -> None:
    """A .bpf.c without its .toml."""
    source = counting_tool(tmp_path, "alone")
    (tmp_path / "alone.toml").unlink()
    result = own_run("bcc", source)
    assert result.status == 1
    assert "alone.toml" in one_sentence(result, "bpfduet")




@pytest.mark.host_only
@pytest.mark.parametrize("frontend, body, sentence", [
    ("bcc", "int trace_open(struct pt_regs *ctx) { return 0; }",
     "nothing attaches trace_open(): name it kprobe__FUNCTION"),
    ("bcc", "int tracepoint__(struct pt_regs *ctx) { return 0; }", "nothing attaches tracepoint__()"),
    ("c", "int trace_open(struct pt_regs *ctx) { return 0; }",
     "with a macro as KPROBE()"),     # to newer libbpf it is no program at all
    ("c", "static int nobody(void) { return 0; }",
     "the kernel half has no program that anything attaches"),
    ("c", 'SEC("xdp_tcp_count") int count_them(struct xdp_md *ctx) { return 2; }',
     "nothing attaches count_them(): libbpf does not know its section 'xdp_tcp_count'"),
])
def test_a_program_that_nothing_attaches(tmp_path: Path, frontend: str, body: str,
                                         sentence: str) -> None:
    """An error that names the function, not a heading and silence."""
    source = write_tool(tmp_path, "nowhere", f'// {SPDX}\n#include "bpfduet.h"\n\n'
                        f'BPF_HASH(counts, u32, u64);\n{body}\nLICENSE("Dual BSD/GPL");\n',
                        'summary = "test"\n[[report]]\nmap = "counts"\ncolumns = ["value"]\n')
    done = own_run(frontend, source, ["--duration", "1"])
    assert (done.status, done.stdout) == (1, b"")
    assert sentence in one_sentence(done, "nowhere")
