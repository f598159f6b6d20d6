# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A buffer that runs over: what is lost is counted, exactly, and told."""
from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from frontends import FRONTENDS, PATIENCE_S, Result, Running, cgroup, command, in_cgroup
from support import opens, seen

COUNT = 2000
CALLS = 23


@pytest.mark.parametrize("output", ["text", "json", "csv"])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_printed_and_lost_are_all(workloads: Path, frontend: str, output: str) -> None:
    """One page of buffer, a reader that stands still: printed + lost is what happened."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group), "-b", "1", "--format",
                                                 output], 4)
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGSTOP)
            in_cgroup(group, opens(workloads, COUNT))
            tracer.process.send_signal(signal.SIGCONT)
            result = tracer.finish()
        finally:
            tracer.end()
    assert result.status == 0
    printed = seen(result)
    if output == "json":
        assert result.stderr == b""
        lost = [one for one in result.objects() if one["type"] == "lost_events"]
        assert all(set(one) == {"type", "tool", "data"} and set(one["data"]) == {"count", "kind"}
                   and one["data"]["kind"] == "records" and one["tool"] == "opensnoop"
                   for one in lost)
        count = sum(one["data"]["count"] for one in lost)
    else:
        told = re.fullmatch(rb"(?:opensnoop: lost \d+ events\n)+", result.stderr)
        assert told, result.stderr
        count = sum(map(int, re.findall(rb"lost (\d+) events", result.stderr)))
    assert 0 < printed < COUNT
    assert printed + count == COUNT


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_told_while_it_goes_on(workloads: Path, frontend: str) -> None:
    """The line comes during the run, each time the growth, not the sum."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group), "-b", "1"], 4)
        try:
            tracer.wait_ready()
            assert tracer.process.stderr
            lost = 0
            for _ in range(2):
                tracer.process.send_signal(signal.SIGSTOP)
                in_cgroup(group, opens(workloads, COUNT))
                tracer.process.send_signal(signal.SIGCONT)
                line = tracer.process.stderr.readline()     # by the once-a-second look
                lost += int(re.findall(rb"^opensnoop: lost (\d+) events\n$", line)[0])
            result = tracer.finish()
        finally:
            tracer.end()
    assert (result.status, result.stderr) == (0, b"")
    assert seen(result) + lost == 2 * COUNT


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_nothing_lost_nothing_told(workloads: Path, frontend: str) -> None:
    """A run without loss does not mention it."""
    with cgroup() as group:
        tracer = Running(frontend, "opensnoop", ["--cgroup", str(group), "--format", "json"], 4)
        try:
            tracer.wait_ready()
            in_cgroup(group, opens(workloads, 23))
            result = tracer.finish()
        finally:
            tracer.end()
    assert b"lost" not in result.stdout + result.stderr


@pytest.mark.needs("counted skips")
@pytest.mark.parametrize("output", ["text", "json", "csv"])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_skipped_programs(tracefs: None, frontend: str, output: str) -> None:
    """Each call of kill() makes the kernel skip a program, and that is told as loss."""
    calls = f"n=0; while [ $n -lt {CALLS} ]; do kill -0 $$; n=$((n + 1)); done"
    done = subprocess.run(command(frontend, "skipped", ["--format", output, "--", "sh", "-c", calls]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, check=False)
    result = Result(done.stdout, done.stderr, done.returncode)
    assert result.status == 0
    if output == "json":
        assert result.stderr == b""
        *events, lost = result.objects()
        assert len(events) == CALLS
        assert lost == {"type": "lost_events", "tool": "skipped",
                        "data": {"count": CALLS, "kind": "skipped"}}
    else:
        assert len(result.stdout.splitlines()) == 1 + CALLS
        assert result.stderr.decode() == (f"skipped: lost up to {CALLS} events: the kernel skipped "
                                          "a program that was still running\n")
