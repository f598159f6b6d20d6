# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""lsmexec: what is about to be executed, in both frontends."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from frontends import FRONTENDS, WORKLOADS, Watched, run, watch
from needs import NEEDS
from parity.same import STAMP, Masks, assert_same, rising

EXECS, LEAVE = str(WORKLOADS / "execs"), str(WORKLOADS / "leave")
NO_LSM = b"lsmexec: this kernel does not have the LSM hook bprm_check_security, which this tool needs\n"
HEAD = b"PID     PPID    COMM             PATH"
MASKS: Masks = {"json": [STAMP]}
Event = Tuple[int, int, str, str]   # PID, parent, process name, path


def workload(script: Path) -> List[str]:
    """20 programs, a script, and two of which it does not come so far."""
    groups = [["execve", LEAVE, "leave"], ["execveat", LEAVE, "leave"]] * 9
    groups += [["execve", "/bpfduet/missing", "x"], ["execve", str(script), "script"],
               ["execve", "/tmp", "x"], *[["thread", LEAVE, "leave"]] * 2]
    return [EXECS, *" -- ".join(" ".join(group) for group in groups).split()]


@pytest.fixture(name="script")
def own_script(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "script"
    path.write_text(f"#!{LEAVE}\n")
    path.chmod(0o755)
    yield path


def expected(watched: Watched, script: Path) -> List[Event]:
    """The workload's own exec, and its children's; of the script two."""
    paths = [[LEAVE]] * 18 + [[], [str(script), LEAVE], [], [LEAVE], [LEAVE]]
    assert len(paths) == len(watched.said)
    events = [(watched.pid, os.getpid(), "hold", EXECS)]
    return events + [(pid, ppid, "execs", path)
                     for (pid, ppid), each in zip(watched.said, paths) for path in each]


def text(events: List[Event]) -> List[bytes]:
    return [HEAD, *(f"{pid:<7} {ppid:<7} {comm:16} {path}".encode()
                    for pid, ppid, comm, path in events)]


@pytest.mark.needs("lsm")
def test_execs(workloads, script: Path) -> None:
    watched = watch("lsmexec", [], workload(script), 1)
    same = assert_same(watched, MASKS)
    events = expected(watched, script)
    assert len(events) == 23
    assert same["text"].splitlines() == text(events)
    assert same["csv"].decode().splitlines() == [
        "pid,ppid,comm,path,path_cut", *(",".join(map(str, event)) + "," for event in events)]
    assert [json.loads(line)["data"] for line in same["json"].splitlines()] == [
        {"ts": 0, "pid": pid, "ppid": ppid, "uid": 0, "comm": comm, "path_cut": False, "path": path}
        for pid, ppid, comm, path in events]


@pytest.mark.needs("lsm")
def test_long_path(workloads, tmp_path: Path) -> None:
    """255 bytes of a path are shown, and a mark if there are more."""
    fits, longer = (f"{tmp_path}/{'s' * (size - len(str(tmp_path)) - 1)}" for size in (255, 256))
    for path in (fits, longer):
        os.symlink(LEAVE, path)
    watched = watch("lsmexec", ["--comm", "execs"],
                    [EXECS, "execve", fits, "leave", "--", "execve", longer, "leave"], 1)
    same = assert_same(watched, MASKS)
    assert [line.split()[-1].decode() for line in same["text"].splitlines()[1:]] == [
        fits, longer[:255] + "…"]
    assert [line.split(",")[3:] for line in same["csv"].decode().splitlines()[1:]] == [
        [fits, ""], [longer[:255], "…"]]
    assert [json.loads(line)["data"]["path_cut"] for line in same["json"].splitlines()] == [False, True]


@pytest.mark.needs("lsm")
@pytest.mark.parametrize("args, keep", [
    ("-p {pid}", "hold"), ("-p 1", ""), ("--comm execs", "execs"), ("-n xec", "execs"),
    ("-n nothing", ""), ("-u nobody", ""), ("-u 0", "hold execs"), ("--path {script}", "script"),
    ("--path /missing/", "")])
def test_filters(workloads, script: Path, args: str, keep: str) -> None:
    watched = watch("lsmexec", args.replace("{script}", str(script)).split(), workload(script), 1,
                    ["text"])
    same = assert_same(watched, MASKS, ["text"])
    wanted = [event for event in expected(watched, script) if event[2] in keep.split()
              or (keep == "script" and event[3] == str(script))]
    assert same["text"].splitlines() == text(wanted)


@pytest.mark.needs("lsm")
def test_columns(workloads, script: Path) -> None:
    """-T and -U."""
    watched = watch("lsmexec", ["-T", "-U"], workload(script), 1, ["text"])
    for frontend in FRONTENDS:
        head, *lines = watched.results[frontend, "text"].lines()
        assert head == b"TIME(s)       UID   " + HEAD
        assert rising([float(line[:14]) for line in lines])
        assert [line[14:] for line in lines] == \
            [b"0     " + line for line in text(expected(watched, script))[1:]]


@pytest.mark.needs("lsm")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "lsmexec", ["-d", "1000", "--", EXECS, "execve", LEAVE, "leave"])
    assert done.status == 0 and done.stderr == b""
    shown = [line.split()[-1].decode() for line in done.stdout.splitlines() if b"/" in line]
    assert shown == [EXECS, LEAVE]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """A kernel without LSM programs: one sentence."""
    done = run(frontend, "lsmexec", ["--", "/bin/true"])
    if NEEDS["lsm"]():
        assert done.status == 0 and done.stdout.startswith(HEAD)
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_LSM)
