# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A source in the older way, with a perf buffer, that knows nothing of bpfduet: both ways too."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

import kept
from frontends import (BIN, BUILD, FRONTENDS, PLAIN, ROOT, WORKLOADS, Held, Running, Watched, cgroup,
                       numbers)
from parity.same import assert_same

SOURCE = ROOT / "tests" / "dialect" / "old_style.bpf.c"
CALLS = str(WORKLOADS / "calls")
COUNT = 23
NOBODY = 4242421


def built(folder: Path) -> Path:
    """The object, by the Makefile's own rules."""
    out = folder / "bpf" / "old_style.bpf.o"
    out.parent.mkdir()

    def make() -> None:
        (folder / "vmlinux.h").symlink_to(BUILD / "vmlinux.h")
        done = subprocess.run(["make", "-C", str(ROOT), "TOOLS_DIR=tests/dialect",
                               "TOOLS=old_style", f"BUILD={folder}", "objects"], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout.decode()

    spec = SOURCE.with_name("old_style.toml")
    return kept.made(out, [SOURCE, spec, *kept.OBJECT_INPUTS], [], make)


def commands_of(compiled: Path) -> Dict[str, List[str]]:
    """How each frontend, and the witness, runs it."""
    return {"c": [str(BIN / "bpfduet-loader"), str(compiled)],
            "bcc": [str(ROOT / "bpfduet"), "run", str(SOURCE)],
            PLAIN: [str(ROOT / "bpfduet"), "run", "--plain", str(SOURCE)]}


@pytest.fixture(scope="module", name="commands")
def command_lines(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, List[str]]:
    """How each frontend runs it."""
    return commands_of(built(tmp_path_factory.mktemp("old_style")))


def test_both(workloads, commands: Dict[str, List[str]]) -> None:
    """It counts who asks for one process that does not exist, so this workload alone."""
    results = {}
    with cgroup("old") as group:
        # a perf buffer keeps the order of one CPU's events only
        held = Held(group, [CALLS, str(COUNT), str(NOBODY)], one_cpu=True)
        tracers: List[Running] = []
        try:
            for form in ("text", "json", "csv"):
                for name in FRONTENDS:
                    tracers.append(Running(name, "old_style", (), 1, None, os.cpu_count() or 1,
                                           [*commands[name], "--format", form]))
            for tracer in tracers:
                tracer.wait_ready()
            said = numbers(held.go())
            keys = [(name, form) for form in ("text", "json", "csv") for name in FRONTENDS]
            results = {key: tracer.finish() for key, tracer in zip(keys, tracers)}
        finally:
            held.end()
            for tracer in tracers:
                tracer.end()
    assert said == [[held.pid]]
    assert all(result.status == 0 for result in results.values()), results
    same = assert_same(Watched(held.pid, said, Path(), results), {})
    rows = [b"%-7d %-6d calls" % (held.pid, n) for n in range(1, COUNT + 1)]
    assert same["text"].splitlines() == [b"%-7s %-6s %s" % (b"PID", b"CALLS", b"COMM"), *rows]
    assert [json.loads(line)["data"] for line in same["json"].splitlines()] == [
        {"pid": held.pid, "calls": n, "comm": "calls"} for n in range(1, COUNT + 1)]
    csv = [b"%d,%d,calls" % (held.pid, n) for n in range(1, COUNT + 1)]
    assert same["csv"].splitlines() == [b"pid,calls,comm", *csv]
