# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Nothing of a run is left in the kernel, however it ended."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from frontends import FRONTENDS, PATIENCE_S, SLOWNESS, Running, cgroup, run
from support import (alive, cgroup_of, counting_tool, held, map_remains, own_command, still_there,
                     trace_pipe_is_free, wait_for_mapping)

both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)
PROGRAMS = {"opensnoop": 4, "execsnoop": 4, "syscount": 1, "readhist": 1, "hello": 1}


@pytest.mark.parametrize("tool", sorted(PROGRAMS))
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@both_frontends
def test_after_a_signal(frontend: str, tool: str, end: int) -> None:
    """Programs, maps and links of every tool are gone; kill -9 leaves none either."""
    if tool == "hello":
        trace_pipe_is_free()
    with cgroup() as group:
        tracer = Running(frontend, tool, ["--cgroup", str(group)], PROGRAMS[tool])
        try:
            tracer.wait_ready()
            mine = held(tracer.process.pid)
            assert {kind for kind, _ in mine} >= {"prog", "map"}
            tracer.finish(end)
        finally:
            tracer.end()
    assert still_there(mine) == set()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                                 signal.SIGKILL])
@both_frontends
def test_command_and_its_cgroup(frontend: str, end: int) -> None:
    """COMMAND and its cgroup are gone. After kill -9 COMMAND is; its cgroup goes with the next start."""
    tracer = Running(frontend, "opensnoop", ["--", "sleep", "60"], 4)
    try:
        tracer.wait_ready()
        mine = held(tracer.process.pid)
        group = cgroup_of(tracer.process.pid)
        deadline = time.monotonic() + 5 * SLOWNESS
        while not (group / "cgroup.procs").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child = int((group / "cgroup.procs").read_text())
        tracer.process.send_signal(end)
        tracer.process.wait(PATIENCE_S)
        while alive(child):     # it is killed with the tool, but not before that is seen to end
            assert end == signal.SIGKILL and time.monotonic() < deadline
            time.sleep(0.01)
        if end == signal.SIGKILL:
            assert run(frontend, "opensnoop", ["--", "true"]).status == 0
        assert not group.exists()
    finally:
        tracer.end()
    assert still_there(mine) == set()


@pytest.mark.parametrize("args", [["--", "/missing/program"], ["--", "true"],
                                  ["--cgroup", "/missing", "--", "true"],
                                  ["--duration", "1"]])
@both_frontends
def test_after_own_end(frontend: str, args: List[str], tmp_path: Path) -> None:
    """A normal end, and COMMANDs that cannot be run: by a map of a name that no one else has."""
    name = f"left{os.getpid()}"
    source = counting_tool(tmp_path, "leftover", map_name=name)
    with subprocess.Popen(own_command(frontend, source, args), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        assert process.wait(PATIENCE_S) == (1 if "/missing" in args[1] else 0)
    assert not map_remains(name)
    assert not cgroup_of(process.pid).exists()


@both_frontends
def test_the_map_is_found_while_it_lives(frontend: str, tmp_path: Path) -> None:
    """What the test above looks for is there during a run."""
    name = f"left{os.getpid()}"
    source = counting_tool(tmp_path, "leftover", map_name=name)
    tracer = Running(frontend, "leftover", [], 1, argv=own_command(frontend, source))
    try:
        tracer.wait_ready()
        assert map_remains(name, 0)
        assert tracer.finish().status == 0
    finally:
        tracer.end()
    assert not map_remains(name)


@both_frontends
def test_signal_while_loading(frontend: str, tmp_path: Path) -> None:
    """Ended at any moment of the start: nothing is left, and no COMMAND held for ever."""
    name = f"left{os.getpid()}"
    source = counting_tool(tmp_path, "leftover", map_name=name)
    # by env it is started in guests too, and not forked: it is the start that is interrupted
    argv = own_command(frontend, source, ["--", "sleep", "60"])
    ways = [["env"]] if frontend == "c" else [["env", "BPFDUET_NO_CACHE=1"], ["env"]]
    for way in ways:
        for delay in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25):
            tracer = Running(frontend, "leftover", [], 1, argv=[*way, *argv])
            if frontend == "bcc":       # Python has a handler until the command runs
                wait_for_mapping(tracer.process.pid, ["_hashlib", "bpfduet-loader"])
            time.sleep(delay if frontend == "bcc" else delay / 10)
            result = tracer.finish(signal.SIGINT)
            # there may not yet be a handler
            assert result.status in (0, -signal.SIGINT)
            assert result.stderr == b""
            assert not cgroup_of(tracer.process.pid).exists()
    assert not map_remains(name)
