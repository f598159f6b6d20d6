# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet probes`` beside ``bpftrace -l``."""
from __future__ import annotations

import re
import subprocess
from typing import List, Set

import pytest

from frontends import PATIENCE_S, ROOT, WORKLOADS

PROBED = str(WORKLOADS / "probed")


def ours(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([str(ROOT / "bpfduet"), "probes", *arguments], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert done.returncode == status, done
    return done


def theirs(flag: str, pattern: str) -> List[str]:
    done = subprocess.run(["bpftrace", flag, pattern], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S)
    return done.stdout.splitlines()


def groups(lines: List[str]) -> Set[str]:
    """Each probe with its fields, whatever the order of the probes."""
    return set(re.split(r"\n(?! )", "\n".join(lines)))


@pytest.mark.parametrize("pattern", ["tracepoint:*", "tracepoint:sched:sched_*",
                                     f"usdt:{PROBED}:*", f"uprobe:{PROBED}:prob*"])
def test_names(workloads, tracefs, pattern: str) -> None:
    found = ours(pattern).stdout.splitlines()
    assert found and found == sorted(set(found))
    assert set(found) == set(theirs("-l", pattern))


@pytest.mark.needs("fentry")
def test_functions() -> None:
    """bpftrace 0.17 lists as kfuncs only what its own limits let it attach to, and leaves out the
    parts that the compiler made of functions: ours are more."""
    found, listed = set(ours("kprobe:vfs_*").stdout.splitlines()), set(theirs("-l", "kprobe:vfs_*"))
    assert "kprobe:vfs_read" in listed <= found and all("." in name for name in found - listed)
    known = set(ours("kfunc:vfs_*").stdout.splitlines())
    # where modules have BTF too it says whose function it is
    listed = {name.replace(":vmlinux:", ":") for name in theirs("-l", "kfunc:vfs_*")}
    assert "kfunc:vfs_read" in known and known >= listed
    assert ours("-v", "kfunc:vfs_read").stdout.splitlines() == [
        "kfunc:vfs_read", "    struct file * file", "    char * buf", "    size_t count",
        "    loff_t * pos", "    ssize_t retval"]


def test_fields(tracefs) -> None:
    assert groups(ours("-v", "tracepoint:sched:*").stdout.splitlines()) \
        == groups(theirs("-lv", "tracepoint:sched:*"))


def test_raw_tracepoints(tracefs) -> None:
    """Their arguments are those of the kernel's BTF; all have a tracepoint's name."""
    found = ours("-v", "rawtracepoint:sched_process_exec").stdout.splitlines()
    assert found == ["rawtracepoint:sched_process_exec", "    struct task_struct *", "    pid_t",
                     "    struct linux_binprm *"]
    everything = ours("sched_process_exec").stdout.splitlines()
    assert everything == ["rawtracepoint:sched_process_exec"]
    assert ours("*:sched_process_exec").stdout.splitlines() == [
        "rawtracepoint:sched_process_exec"]
    assert ours("*sched_process_exec").stdout.splitlines()[-2:] == [
        "rawtracepoint:sched_process_exec", "tracepoint:sched:sched_process_exec"]


def test_events() -> None:
    assert "software:cpu-clock" in ours("software:*").stdout.splitlines()
    assert "hardware:cpu-cycles" in ours("hardware:*").stdout.splitlines()


@pytest.mark.parametrize("pattern, sentence", [
    ("nothing:here", "there is no kind of probe 'nothing'; it is one of hardware, kfunc, kprobe, "
     "rawtracepoint, software, tracepoint, uprobe, usdt"),
    ("tracepoint:sched:nothing", "there is no probe 'tracepoint:sched:nothing'"),
    ("usdt:", "'usdt' wants a binary: 'usdt:/bin/bash:*'"),
    ("uprobe:/bpfduet/missing:*", "there is no file '/bpfduet/missing'"),
    ("uprobe:bpfduet-missing:*",
     "there is no file 'bpfduet-missing' where programs and libraries are"),
    ("tracepoint:\x1b[2J", "there is no probe 'tracepoint:\\x1b[2J'"),
])
@pytest.mark.host_only
def test_sentences(tracefs, pattern: str, sentence: str) -> None:
    done = ours(pattern, status=1)
    assert (done.stdout, done.stderr) == ("", f"bpfduet: {sentence}\n")


@pytest.mark.host_only
def test_usage() -> None:
    assert "Try 'bpfduet --help'" in ours("a", "b", status=2).stderr
    assert "option" in ours("-x", status=2).stderr
