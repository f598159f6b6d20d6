# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``from bpfduet import Tool``: tools inside a Python program."""
from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List

import pytest

from frontends import (PATIENCE_S, ROOT, attachments, cgroup, in_cgroup,   # makes bpfduet importable
                       seconds)
from bpfduet import Error, Tool, UsageError
from support import MISSING, cgroup_of, held, opens, still_there


@pytest.fixture(autouse=True)
def fixture_nothing_is_left() -> Iterator[None]:
    """After each use this process holds no BPF object, and no cgroup is there."""
    before = held(os.getpid())
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert held(os.getpid()) == before
    assert not cgroup_of(os.getpid()).exists()
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def about(events: List[SimpleNamespace]) -> List[SimpleNamespace]:
    """Those of the workload's opens."""
    return [event for event in events if event.path == MISSING.encode()]


def test_events_of_a_command(workloads: Path) -> None:
    """All of them, as objects with the struct's fields."""
    events = about(list(Tool("opensnoop").events(command=[str(part) for part in
                                                          opens(workloads, 23)])))
    assert len(events) == 23
    one = events[0]
    assert (one.comm, one.fd, one.err, one.flags, one.uid) == (b"opens", -1, 2, 0, 0)
    assert one.pid == one.tid > 0 and isinstance(one.ts, int)


def test_options_are_keywords(workloads: Path) -> None:
    """_ for -, True for a flag, False and None for none."""
    tool = Tool("opensnoop")
    command = [str(part) for part in opens(workloads, 5, "/")]
    assert [event for event in tool.events(command=command, failed=True, pid=None)
            if event.path == b"/"] == []
    seen = [event for event in tool.events(command=command, failed=False, buffer_pages=16)
            if event.path == b"/"]
    assert len(seen) == 5 and all(event.fd >= 0 for event in seen)


def test_duration_and_cgroup(workloads: Path) -> None:
    """Without a command, for a time."""
    with cgroup() as group:
        def workload() -> None:
            while attachments(os.getpid()) < 4:
                time.sleep(0.01)
            in_cgroup(group, opens(workloads, 23))

        beside = threading.Thread(target=workload, daemon=True)
        beside.start()
        start = time.monotonic()
        events = about(list(Tool("opensnoop").events(cgroup=str(group), duration=seconds(2))))
        assert float(seconds(2)) <= time.monotonic() - start < PATIENCE_S
        beside.join()
    assert len(events) == 23


def test_closed_early(workloads: Path) -> None:
    """A generator that is closed ends the run: programs, COMMAND and its cgroup are gone."""
    script = f"while :; do {workloads}/opens 1 {MISSING} >/dev/null; sleep 0.01; done"
    events = Tool("opensnoop").events(command=["sh", "-c", script])
    next(events)
    mine = held(os.getpid())
    assert {kind for kind, _ in mine} >= {"prog", "map"}
    assert attachments(os.getpid()) == 4 and cgroup_of(os.getpid()).exists()
    events.close()
    assert attachments(os.getpid()) == 0
    assert still_there(mine) == set()


def test_exception_of_the_caller(workloads: Path) -> None:
    """One that leaves the loop leaves nothing else."""
    with pytest.raises(ZeroDivisionError):
        for event in Tool("opensnoop").events(command=[str(p) for p in opens(workloads, 23)]):
            assert event.pid
            raise ZeroDivisionError
    # the generator is collected with the traceback


@pytest.mark.host_only
def test_never_started() -> None:
    """A generator that nobody asks does nothing."""
    Tool("opensnoop").events(command=["/missing/program"]).close()


def test_reports(workloads: Path) -> None:
    """Entries of a report's map."""
    found = Tool("syscount").reports(command=[str(workloads / "calls"), "23"], syscall="getpgid")
    (entries,) = found.values()
    ((_, value),) = entries
    assert value.count == 23


@pytest.mark.host_only
@pytest.mark.parametrize("name", ["opensnop", "no/such", "/missing.bpf.c"])
def test_no_such_tool(name: str) -> None:
    """An Error, with a hint where there is one."""
    with pytest.raises(Error) as caught:
        Tool(name)
    assert ("did you mean 'opensnoop'?" in str(caught.value)) == (name == "opensnop")


@pytest.mark.host_only
@pytest.mark.parametrize("chosen, sentence", [
    ({"pid": "abc"}, "'abc' is not a number for '--pid'"),
    ({"nonsense": 1}, "unknown option '--nonsense'"),
    ({"timestamp": 1}, "option '--timestamp' takes no argument")])
def test_wrong_options(chosen: Dict[str, Any], sentence: str) -> None:
    """UsageError, with the sentence of the command line."""
    with pytest.raises(UsageError, match=sentence.replace("(", r"\(")):
        next(Tool("opensnoop").events(**chosen))


@pytest.mark.host_only
def test_errors() -> None:
    """What cannot run raises Error."""
    with pytest.raises(Error, match="cannot run '/missing/program': No such file"):
        next(Tool("opensnoop").events(command=["/missing/program"]))
    with pytest.raises(Error, match="is not a cgroup"):
        next(Tool("opensnoop").events(cgroup="/tmp"))
    with pytest.raises(Error, match=r"has no events: see reports\(\)"):
        next(Tool("syscount").events(duration=1))


def test_in_a_thread(workloads: Path) -> None:
    """Not only the main thread may use it."""
    got: List[SimpleNamespace] = []

    def use() -> None:
        got.extend(Tool("opensnoop").events(command=[str(p) for p in opens(workloads, 23)]))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(30)
    assert len(about(got)) == 23


def test_own_program(workloads: Path, tmp_path: Path) -> None:
    """The example of the package's documentation, as a program of its own."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT / 'python')!r})\n"
        "from bpfduet import Tool\n"
        "for event in Tool('opensnoop').events(command=sys.argv[1:]):\n"
        "    print(event.comm.decode(), event.path.decode())\n")
    done = subprocess.run(["/usr/bin/python3", str(program), *map(str, opens(workloads, 23))],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines().count(b"opens " + MISSING.encode()) == 23
