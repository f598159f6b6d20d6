# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlen: samples of a queue that is at least as long as the workload makes it, in both frontends.

Two observers sample at different moments, so the counts differ.
"""
from __future__ import annotations

import os
import re
from typing import Dict, List, Tuple

import pytest

from frontends import FRONTENDS, SLOWNESS, WORKLOADS, Watched, run, seconds, watch
from parity.same import masked

CHILDREN, MS = 4, int(300 * SLOWNESS)
QUEUE = [str(WORKLOADS / "queue"), str(CHILDREN), str(MS)]
BANNER = b"Sampling run queue length... Hit Ctrl-C to end.\n"
CPUS = os.cpu_count() or 1
Counts = Dict[Tuple[int, int], int]


def of_text(text: bytes) -> Counts:
    """Samples by CPU (-1 if they are not told apart) and length."""
    found: Counts = {}
    cpu = -1
    for line in text.decode().splitlines():
        head = re.fullmatch(r"cpu = (\d+)", line)
        row = re.fullmatch(r" {8}(\d+) +: (\d+) +\|[* ]{40}\|", line)
        if head:
            cpu = int(head[1])
        elif row and int(row[2]):
            found[cpu, int(row[1])] = int(row[2])
    return found


def of_json(watched: Watched, frontend: str) -> Counts:
    (report,) = watched.results[frontend, "json"].objects()
    assert (report["type"], {section["unit"] for section in report["data"]}) == \
        ("histogram", {"runqlen"})
    return {(section.get("key", {"cpu": -1})["cpu"], bucket["low"]): bucket["count"]
            for section in report["data"] for bucket in section["buckets"]}


def of_csv(watched: Watched, frontend: str) -> Counts:
    found: Counts = {}
    for line in watched.out(frontend, "csv").decode().splitlines()[1:]:
        *cpu, low, high, count = map(int, line.split(",")[1:])
        assert low == high
        found[(cpu or [-1])[0], low] = count
    return found


def assert_long(counts: Counts, cpu: int) -> None:
    """While the first child runs the others wait, and so on. Half of the samples may be missing:
    the CPU may be busy with interrupts, or be another machine's."""
    expected = MS * 99 / 1000 / 2
    for waiting in range(1, CHILDREN):
        longer = sum(count for (where, length), count in counts.items()
                     if where == cpu and length >= waiting)
        assert longer >= (CHILDREN - waiting) * expected


@pytest.mark.parametrize("args", [[], ["-C"]])
def test_lengths(workloads, args: List[str]) -> None:
    watched = watch("runqlen", args, QUEUE, 0, samplers=CPUS)
    cpu = watched.said[0][0] if args else -1
    for frontend in FRONTENDS:
        for counts in (of_text(watched.out(frontend)), of_json(watched, frontend),
                       of_csv(watched, frontend)):
            assert_long(counts, cpu)
        text = watched.results[frontend, "text"]
        assert text.stderr == BANNER and text.stdout.startswith(b"\n")
        assert b"     runqlen       : count     distribution\n" in text.stdout
        assert sum(of_text(text.stdout).values()) <= CHILDREN * MS * 99 / 1000 * 2


@pytest.mark.parametrize("args, shown", [(["--comm", "queue"], True), (["--uid", "0"], True),
                                         (["--comm", "other"], False), (["--pid", "1"], False)])
def test_filters(workloads, args: List[str], shown: bool) -> None:
    """Samples in which such a task is running."""
    watched = watch("runqlen", args, QUEUE, 0, ["text"], samplers=CPUS)
    for frontend in FRONTENDS:
        counts = of_text(watched.out(frontend))
        if shown:
            assert_long(counts, -1)
        else:
            assert counts == {}


def test_intervals(workloads) -> None:
    """INTERVAL COUNT, -T: emptied between."""
    watched = watch("runqlen", ["-T", seconds(4), "2"], QUEUE, 0, ["text"], end=None,
                    samplers=CPUS)
    for frontend in FRONTENDS:
        text = masked(watched.out(frontend), [(rb"^\d\d:\d\d:\d\d$", b"TIME")])
        assert re.fullmatch(rb"\nTIME\n     runqlen +: count +distribution\n(.*\|\n)+\nTIME\n", text)


def test_command(workloads) -> None:
    for frontend in FRONTENDS:
        done = run(frontend, "runqlen", ["--", *QUEUE])
        assert done.status == 0 and done.stderr == BANNER
        assert_long(of_text(done.stdout), -1)
