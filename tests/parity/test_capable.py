# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""capable: checks that a thread provokes, one by one, in both frontends."""
from __future__ import annotations

import re
from pathlib import Path
from typing import List, Sequence

import pytest

from frontends import FRONTENDS, WORKLOADS, Watched, run, seconds, watch
from needs import NEEDS
from parity.by_kprobes import by_kprobes
from parity.pinned import filling, pinned_map  # noqa: F401  # pylint: disable=unused-import
from parity.same import STAMP, Masks, assert_same, masked

COUNT = 23
WORKLOAD = [str(WORKLOADS / "caps"), str(COUNT)]
NO_KPROBES = b"capable: this kernel has no kprobes, which this tool needs (for cap_capable)\n"
ONLY = ["--comm", "caps"]   # the exec is hold's, and is asked for capabilities too
SETUID, CHROOT, ADMIN = 7, 18, 21
NAMES = {SETUID: "CAP_SETUID", CHROOT: "CAP_SYS_CHROOT", ADMIN: "CAP_SYS_ADMIN"}
TIME = (rb"^\d\d:\d\d:\d\d", b"HH:MM:SS")
MASKS: Masks = {"json": [STAMP], "text": [TIME], "csv": [TIME]}
HEAD = b"TIME      UID    PID    COMM             CAP  NAME                 AUDIT"
EXTRA = b"TIME      UID    PID    TID    COMM             CAP  NAME                 AUDIT  INSETID"


def line(watched: Watched, cap: int, audit: int = 1, extra: bool = False) -> bytes:
    """A masked line of text."""
    ((pid, tid),) = watched.said
    more, last = (f"{tid:<6} ", f"{audit:<6} {int(cap == SETUID)}") if extra else ("", str(audit))
    return f"HH:MM:SS  0      {pid:<6} {more}{'caps':16} {cap:<4} {NAMES[cap]:20} {last}".encode()


def lines(watched: Watched, caps: Sequence[int], extra: bool = False) -> List[bytes]:
    return [line(watched, cap, 1, extra) for cap in caps]


@pytest.mark.needs("kprobes")
def test_checks(workloads, tmp_path: Path) -> None:
    """Each once, by fentry and by a kprobe; not those that the audit log is not to hear of."""
    older = by_kprobes("capable", ONLY, 1, tmp_path)
    watched = watch("capable", ONLY, WORKLOAD, 1, others={"kprobes": older})
    same = assert_same(watched, MASKS)
    assert same["text"].splitlines() == [HEAD, *lines(watched, [CHROOT, SETUID] * COUNT)]
    assert masked(watched.out("kprobes"), [TIME]) == same["text"]
    ((pid, tid),) = watched.said
    assert same["csv"].decode().splitlines() == [
        "time,uid,pid,comm,cap,name,audit", *[f"HH:MM:SS,0,{pid},caps,{cap},{NAMES[cap]},1"
                                             for cap in [CHROOT, SETUID] * COUNT]]
    events = [one["data"] for one in watched.results["bcc", "json"].objects()]
    assert [{**event, "ts": 0} for event in events] == [
        {"ts": 0, "pid": pid, "tid": tid, "uid": 0, "cap": cap, "audit": 1,
         "insetid": int(cap == SETUID), "comm": "caps"} for cap in [CHROOT, SETUID] * COUNT]


@pytest.mark.needs("kprobes")
def test_verbose(workloads) -> None:
    """-v: those that the audit log is not to hear of. -x: who asked, and whether to change its IDs."""
    watched = watch("capable", ["-v", "-x", *ONLY], WORKLOAD, 1, ["text"])
    head, *found = assert_same(watched, MASKS, ["text"])["text"].splitlines()
    assert head == EXTRA
    ((_, tid),) = watched.said
    # what the main thread is asked for is the start of the program
    assert [one for one in found if int(one.split()[3]) == tid] == [
        line(watched, CHROOT, 1, True), line(watched, SETUID, 1, True),
        line(watched, ADMIN, 0, True)] * COUNT


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, caps", [
    ("--unique", [CHROOT, SETUID]), ("-p {pid}", [CHROOT, SETUID] * COUNT), ("-p 1", []),
    ("--uid 0", [CHROOT, SETUID] * COUNT), ("--uid nobody", []), ("--tid {pid}", [])])
def test_filters(workloads, args: str, caps: List[int]) -> None:
    watched = watch("capable", [*ONLY, *args.split()], WORKLOAD, 1, ["text"])
    same = assert_same(watched, MASKS, ["text"])
    assert same["text"].splitlines() == [HEAD, *lines(watched, caps)]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("option", ["--cgroupmap", "--mntnsmap"])
@pytest.mark.parametrize("inside", [True, False])
def test_pinned(workloads, pinned: Path, option: str, inside: bool) -> None:
    """With --cgroupmap --unique goes by cgroup: two processes of one are the same."""
    watched = watch("capable", [option, str(pinned), "--unique", *ONLY], WORKLOAD, 1, ["text"],
                    bystander=WORKLOAD, prepare=filling(pinned, option, inside))
    head, *found = assert_same(watched, MASKS, ["text"])["text"].splitlines()
    assert head == HEAD
    assert [int(one.split()[4]) for one in found] == \
        [CHROOT, SETUID] * inside * (1 if option == "--cgroupmap" else 2)


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "capable", [*ONLY, "--unique", "--", *WORKLOAD])
    assert done.status == 0 and done.stderr == b""
    found = [one for one in done.stdout.splitlines() if b" caps " in one]
    assert [one.split()[5] for one in found] == [b"CAP_SYS_CHROOT", b"CAP_SETUID"]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_not_itself(workloads, frontend: str) -> None:
    """The tool asks for a capability each time it reads a map."""
    done = run(frontend, "capable", ["-v", "--comm", "capable" if frontend == "c" else "bpfduet",
                                     "--duration", seconds(2)])
    assert done.status == 0
    shown = [one for one in done.stdout.splitlines()[1:] if re.search(rb"CAP_(BPF|SYS_ADMIN)", one)]
    assert shown == []


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """Without kprobes and trampolines: one sentence."""
    done = run(frontend, "capable", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stdout.startswith(HEAD)
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_KPROBES)
