# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""How a run ends: signals, --duration, --count, COMMAND, a closed pipe, a full disk."""
from __future__ import annotations

import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Tuple

import pytest

from frontends import (FRONTENDS, PATIENCE_S, PAUSES, Running, cgroup, command, in_cgroup, run,
                       wait_in_call)
from support import cgroup_of, is_stuck, opens, pin_folder, pinned, seen, taken, wait_for

COUNT = 23
both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)
all_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP,
                                                 signal.SIGQUIT])


@all_signals
@both_frontends
def test_signal_drains_the_buffer(workloads: Path, frontend: str, number: int) -> None:
    """Every event before the signal is printed, and nothing but events. The tool stands still
    meanwhile: it finds signal and events at once."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group)], 4)
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGSTOP)
            in_cgroup(group, opens(workloads, COUNT))
            tracer.process.send_signal(number)
            tracer.process.send_signal(signal.SIGCONT)
            result = tracer.result()
        finally:
            tracer.end()
    assert (result.status, result.stderr) == (0, b"")
    assert result.lines()[0] == b"PID    COMM               FD ERR PATH"
    assert seen(result) == COUNT


@all_signals
@both_frontends
def test_signal_prints_the_report(workloads: Path, frontend: str, number: int) -> None:
    """The last report is printed at the end, complete."""
    with cgroup() as group:
        tracer = Running(frontend, "syscount", ["--cgroup", str(group), "--syscall", "getpgid"], 1)
        try:
            tracer.wait_ready()
            in_cgroup(group, [str(workloads / "calls"), str(COUNT)])
            result = tracer.finish(number)
        finally:
            tracer.end()
    assert result.status == 0
    assert [line.split() for line in result.lines()[2:3]] == [[b"getpgid", b"%d" % COUNT]]
    assert result.stderr == b"Tracing syscall 'getpgid'... Ctrl+C to quit.\n"


def waiting(folder: Path, workloads: Path, trap: str) -> Tuple[List[str], Path]:
    """A COMMAND that opens COUNT files, then makes a file and waits; ``trap`` is for SIGTERM."""
    ready = folder / "ready"
    script = (f"trap '{trap}' TERM; {workloads}/opens {COUNT} /bpfduet/missing >/dev/null; "
              f": > {ready}; while :; do sleep 0.05; done")
    return ["--", "sh", "-c", script], ready


@all_signals
@both_frontends
def test_signal_with_command(workloads: Path, tmp_path: Path, frontend: str, number: int) -> None:
    """The run ends cleanly, COMMAND with it, and its cgroup is removed."""
    args, ready = waiting(tmp_path, workloads, f"echo TERM > {tmp_path}/got; exit 3")
    tracer = Running(frontend, "opensnoop", args, 4)
    try:
        wait_for(ready)
        result = tracer.finish(number)
    finally:
        tracer.end()
    assert (result.status, result.stderr) == (0, b"")
    assert seen(result) == COUNT
    assert (tmp_path / "got").read_text() == "TERM\n"   # passed on, or sent to end COMMAND
    assert not cgroup_of(tracer.process.pid).exists()


@both_frontends
def test_sigterm_is_passed_on_at_once(workloads: Path, tmp_path: Path, frontend: str) -> None:
    """COMMAND gets the tool's SIGTERM once, not a second one from the cleaning up."""
    args, ready = waiting(tmp_path, workloads, f"echo x >> {tmp_path}/got; sleep 0.5; exit")
    tracer = Running(frontend, "opensnoop", args, 4)
    try:
        wait_for(ready)
        tracer.process.send_signal(signal.SIGTERM)
        wait_for(tmp_path / "got", 1)
        assert tracer.result().status == 0
    finally:
        tracer.end()
    assert (tmp_path / "got").read_text() == "x\n"


@all_signals
@both_frontends
def test_second_signal(workloads: Path, tmp_path: Path, frontend: str, number: int) -> None:
    """It ends the tool at once, killed by it (130 or 143 to a shell); nothing is left."""
    pid_file = tmp_path / "pid"
    args, ready = waiting(tmp_path, workloads, f"echo $$ > {pid_file}.new; mv {pid_file}.new "
                                               f"{pid_file}")
    with pin_folder() as folder:
        tracer = Running(frontend, "opensnoop", ["--pin", str(folder), *args], 4)
        try:
            wait_for(ready)
            pinned(folder)
            tracer.process.send_signal(number)
            wait_for(pid_file)      # it has its SIGTERM and goes on all the same
            start = time.monotonic()
            tracer.process.send_signal(number)
            result = tracer.result()
        finally:
            tracer.end()
        assert time.monotonic() - start < 1
        assert result.status == -number
        assert result.stderr == b""
        assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
        assert not cgroup_of(tracer.process.pid).exists()
        assert not folder.exists()


@both_frontends
def test_what_nohup_ignores(workloads: Path, frontend: str) -> None:
    """SIGHUP does not end it; SIGINT, which shells ignore for jobs in the background, does."""
    with cgroup() as group:
        argv = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh",
                *command(frontend, "opensnoop", ["--cgroup", str(group)])]
        tracer = Running(frontend, "opensnoop", [], 4, argv=argv)
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGHUP)
            in_cgroup(group, opens(workloads, COUNT))
            result = tracer.finish()
        finally:
            tracer.end()
    assert (result.status, result.stderr, seen(result)) == (0, b"", COUNT)


STUCK = b"the output is not whole: its reader takes nothing more"
MANY = 20000    # lines, more than a pipe and a buffer hold


def what_a_stuck_reader_misses(tracer: Running) -> None:
    """Exit 1 and a sentence; what is lost and the whole lines that were printed are all."""
    status = tracer.process.wait(PATIENCE_S)
    result = tracer.result()
    assert (status, result.stderr.splitlines()[-1]) == (1, b"opensnoop: " + STUCK)
    printed = sum(line.endswith(b"/bpfduet/missing\n") for line in result.stdout.splitlines(True))
    lost = sum(map(int, re.findall(rb"lost (\d+) events", result.stderr)))
    assert 0 < printed < MANY and printed + lost == MANY


@pytest.mark.host_only
@all_signals
@both_frontends
def test_stuck_reader_and_a_signal(workloads: Path, frontend: str, number: int) -> None:
    """A reader that reads nothing does not keep a run from its end."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group)], 4)
        try:
            tracer.wait_ready()
            in_cgroup(group, opens(workloads, MANY))
            wait_in_call(tracer.process, PAUSES)
            tracer.process.send_signal(number)
            what_a_stuck_reader_misses(tracer)
        finally:
            tracer.end()


@pytest.mark.host_only
@all_signals
@both_frontends
def test_stuck_reader_and_two_signals(workloads: Path, frontend: str, number: int) -> None:
    """The second one acts while the first waits for the reader, and leaves nothing."""
    script = " ".join(map(str, opens(workloads, MANY))) + " >&2; exec sleep 1000"
    with pin_folder() as folder:
        tracer = Running(frontend, "opensnoop", ["--pin", str(folder), "--comm", "opens", "--", "sh",
                                                 "-c", script], 4)
        try:
            pinned(folder)
            is_stuck(tracer.process)
            tracer.process.send_signal(number)
            taken(tracer.process, number)
            tracer.process.send_signal(number)
            assert tracer.process.wait(PATIENCE_S) == -number
        finally:
            tracer.end()
        assert not cgroup_of(tracer.process.pid).exists()
        assert not folder.exists()


@pytest.mark.host_only
@pytest.mark.parametrize("duration", [["-d", "2"], []])
@both_frontends
def test_stuck_reader_and_another_end(workloads: Path, frontend: str, duration: List[str]) -> None:
    """The same at the end of --duration, and of COMMAND."""
    script = " ".join(map(str, opens(workloads, MANY))) + " >&2"    # stdout is full
    if duration:
        script += "; exec sleep 1000"
    tracer = Running(frontend, "opensnoop", [*duration, "--comm", "opens", "--", "sh", "-c",
                                             script], 3)
    try:
        what_a_stuck_reader_misses(tracer)
    finally:
        tracer.end()
    assert not cgroup_of(tracer.process.pid).exists()


@pytest.mark.host_only
@both_frontends
def test_slow_reader(workloads: Path, frontend: str) -> None:
    """One that reads again gets all that there is room for."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group), "-b", "4096"], 4)
        try:
            tracer.wait_ready()
            in_cgroup(group, opens(workloads, MANY))
            wait_in_call(tracer.process, PAUSES)
            with ThreadPoolExecutor() as pool:
                reading = pool.submit(tracer.result)
                tracer.process.send_signal(signal.SIGINT)
                result = reading.result()
        finally:
            tracer.end()
    assert (result.status, result.stderr, seen(result)) == (0, b"", MANY)


@both_frontends
def test_duration(workloads: Path, frontend: str) -> None:
    """--duration ends the run cleanly."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group), "-d", "1"], 4)
        try:
            tracer.wait_ready()
            start = time.monotonic()
            in_cgroup(group, opens(workloads, COUNT))
            result = tracer.result()
        finally:
            tracer.end()
    assert 0.5 < time.monotonic() - start < 3
    assert (result.status, result.stderr, seen(result)) == (0, b"", COUNT)


@both_frontends
def test_count(workloads: Path, frontend: str) -> None:
    """--count 2 prints two reports, an interval apart, with all events between them."""
    with cgroup() as group:
        tracer = Running(frontend, "syscount", ["--cgroup", str(group), "-i", "1", "--count", "2",
                                                "--format", "json"], 1)
        try:
            tracer.wait_ready()
            in_cgroup(group, [str(workloads / "calls"), str(COUNT)])
            result = tracer.result()
        finally:
            tracer.end()
    assert result.status == 0
    tables = result.objects()
    assert [table["type"] for table in tables] == ["table", "table"]
    rows = [row for table in tables for row in table["data"]]
    assert sum(row["value"]["count"] for row in rows) >= 2 * COUNT


@pytest.mark.first_in_guests
@pytest.mark.parametrize("tool, args, expected", [
    ("opensnoop", [], COUNT), ("opensnoop", ["--format", "json"], COUNT),
    ("opensnoop", ["--format", "csv"], COUNT)])
@both_frontends
def test_end_of_command(workloads: Path, frontend: str, tool: str, args: List[str],
                        expected: int) -> None:
    """The run ends with COMMAND, with all that it did."""
    result = run(frontend, tool, [*args, "--", *opens(workloads, COUNT)])
    assert (result.status, seen(result)) == (0, expected)


@both_frontends
def test_closed_pipe(workloads: Path, frontend: str) -> None:
    """head -n 1: quiet, exit 0, and soon, though COMMAND would go on."""
    script = f"while :; do {workloads}/opens 500 /bpfduet/missing >&2; sleep 0.01; done"
    with subprocess.Popen(command(frontend, "opensnoop", ["--", "sh", "-c", script]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().startswith(b"PID")
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(PATIENCE_S) == 0
        assert b"opensnoop" not in said and b"Traceback" not in said
        assert not cgroup_of(process.pid).exists()


@pytest.mark.host_only
@pytest.mark.parametrize("tool, args", [
    ("opensnoop", []), ("opensnoop", ["--format", "json"]), ("opensnoop", ["--format", "csv"]),
    ("syscount", ["--format", "json"]), ("opensnoop", ["--help"]), ("opensnoop", ["--version"])])
@both_frontends
def test_full_disk(workloads: Path, frontend: str, tool: str, args: List[str]) -> None:
    """What cannot be written is an error."""
    argv = command(frontend, tool, [*args, "--", *opens(workloads, COUNT)])
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=full,
                              stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    assert done.stderr.decode() == f"{tool}: cannot write the output: No space left on device\n"
    assert done.returncode == 1
