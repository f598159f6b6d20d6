# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlen: samples of a queue that is at least as long as the workload makes it, in both frontends.

Two observers sample at different moments, so the counts differ.
"""
from __future__ import annotations

import os
import re
from typing import Dict, List, Tuple

import pytest

from frontends import FRONTENDS, SLOWNESS, WORKLOADS, Watched, command, run, seconds, watch
from parity.same import assert_same, masked

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


def of_json(watched: Watched, name: str, form: str = "json") -> Counts:
    (report,) = watched.results[name, form].objects()
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


def share(queued: int, samples: int) -> float:
    assert 0 < queued <= samples
    return 100 * queued / samples


@pytest.mark.parametrize("args", [["-O"], ["--runqocc", "-C"]])
def test_occupancy(workloads, args: List[str]) -> None:
    """As the lengths have it, which other samples give at the same time: three quarters, or more
    where tasks of others wait for the last child, too."""
    lengths = command("c", "runqlen", ["-C", "--cgroup", "{cgroup}", "--format", "json"])
    watched = watch("runqlen", args, QUEUE, 0, samplers=CPUS, others={"lengths": (lengths, 0)})
    counts = of_json(watched, "lengths", "text")
    cpu = watched.said[0][0] if len(args) > 1 else None
    here = {key: count for key, count in counts.items() if cpu in (None, key[0])}
    expected = share(sum(count for (_, length), count in here.items() if length),
                     sum(here.values()))
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        assert (report["type"], report["report"]) == ("table", "occupancy")
        found = [share(**row["value"]) for row in report["data"] if row.get("key") == cpu]
        text = watched.out(frontend).decode()
        header, *rows = watched.out(frontend, "csv").decode().splitlines()
        if cpu is None:
            form = r"\nrunqocc: (\d+\.\d\d)%\n"
            assert re.fullmatch(form, text) and header == "runqocc" and len(rows) == 1
            found += [float(row[:-1]) for row in rows]
        else:
            form = rf"^runqocc, CPU {cpu:<3} (?=.{{7}}$) *(\d+\.\d\d)%$"
            assert re.fullmatch(r"\n(runqocc, CPU .*\n)+", text) and header == "cpu,runqocc"
            found += [float(row[:-1].split(",")[1]) for row in rows if row.startswith(f"{cpu},")]
        found += map(float, re.findall(form, text, re.MULTILINE))
        assert len(found) == 3
        assert all(abs(one - expected) < 15 for one in found), (found, expected)


def test_no_occupancy(workloads) -> None:
    """No samples: none of them with somebody waiting."""
    for args, expected in ((["-O"], b"\nrunqocc: 0.00%\n"), (["-OC"], b"\n")):
        watched = watch("runqlen", [*args, "--comm", "other"], QUEUE, 0, ["text"], samplers=CPUS)
        assert assert_same(watched, {}, ["text"], quiet=False)["text"] == expected


@pytest.mark.first_in_guests
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


@pytest.mark.host_only
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
