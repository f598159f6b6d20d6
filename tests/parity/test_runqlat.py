# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlat: every wait for a CPU is in one bucket, in both frontends.

How long a wait was two observers may say a little differently, so buckets are added up. The kernel
itself passes some switches over without a word (6.18: ftrace does not see them either), so the
workload's numbers are the most that there can be.
"""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from bpfduet.plain.cgroup import own_cgroup
from frontends import FRONTENDS, SLOWNESS, WORKLOADS, Watched, run, seconds, watch
from parity.same import masked

WAITS = str(WORKLOADS / "waits")
SPIN_US = 20000
WORKLOAD = [WAITS, "7", "23", str(SPIN_US)]
BANNER = b"Tracing run queue latency... Hit Ctrl-C to end.\n"
Buckets = List[Tuple[int, int, int]]


def of_json(watched: Watched, frontend: str) -> Dict[int, Buckets]:
    """Buckets by the section's number, 0 if there are no sections."""
    (report,) = watched.results[frontend, "json"].objects()
    return {next(iter(section.get("key", {"": 0}).values())):
            [(b["low"], b["high"], b["count"]) for b in section["buckets"]]
            for section in report["data"]}


def of_csv(watched: Watched, frontend: str) -> Dict[int, Buckets]:
    found: Dict[int, Buckets] = {}
    for line in watched.out(frontend, "csv").decode().splitlines()[1:]:
        *key, low, high, count = line.split(",")[1:]
        found.setdefault(int((key or ["0"])[0]), []).append((int(low), int(high), int(count)))
    return found


def of_text(watched: Watched, frontend: str) -> Dict[int, Buckets]:
    found: Dict[int, Buckets] = {}
    section = 0
    for line in watched.out(frontend).decode().splitlines():
        head = re.fullmatch(r"(?:pid|tid|pidns) = (\d+)", line)
        row = re.fullmatch(r" *(\d+) -> (\d+) +: (\d+) +\|[* ]+\|", line)
        if head:
            section = int(head[1])
        elif row and int(row[3]):
            found.setdefault(section, []).append((int(row[1]), int(row[2]), int(row[3])))
    return found


def counts(watched: Watched) -> Dict[int, int]:
    """Waits by section: the same in both frontends and all formats."""
    each = [{key: sum(count for _, _, count in buckets) for key, buckets in found.items()}
            for frontend in FRONTENDS
            for found in (of_json(watched, frontend), of_csv(watched, frontend),
                          of_text(watched, frontend))]
    assert all(one == each[0] for one in each[1:])
    return each[0]


@pytest.mark.parametrize("args, column", [(["-L"], 1), (["-P"], 0), (["-P", "-L"], 1),
                                          (["-P", "--pidnss", "-m"], 0), (["-L", "-m"], 1)])
def test_waits(workloads, args: List[str], column: int) -> None:
    """By thread and by process: how often, and how long at least."""
    watched = watch("runqlat", args, WORKLOAD, 3)
    found = counts(watched)
    said: Dict[int, int] = {}
    least: Dict[int, int] = {}
    for row in watched.said:
        said[row[column]] = said.get(row[column], 0) + row[2]
        least[row[column]] = max(least.get(row[column], 0), row[3])
    assert set(found) == {*said, watched.pid}
    assert len(said) == 7 * (1 + column)
    # between its last word and its end each of its threads may have to wait some more times, if
    # the CPUs are busy; were all counted twice, it would be 23 more
    assert all(0 < found[key] <= said[key] + 15 for key in said)
    assert sum(found[key] for key in said) > sum(said.values()) // 2
    unit = {False: 1, True: 1000}["-m" in args]
    for frontend in FRONTENDS:
        for buckets in (of_json(watched, frontend), of_text(watched, frontend)):
            for key, us in least.items():
                if us and SLOWNESS == 1:    # it waited while its parent spun; all else was short
                    assert buckets[key][-1][1] >= us // unit


def test_all(workloads) -> None:
    """Without sections: one histogram of them all."""
    watched = watch("runqlat", [], WORKLOAD, 3)
    found = counts(watched)
    assert set(found) == {0} and found[0] > sum(row[2] for row in watched.said) // 2
    for frontend in FRONTENDS:
        lines = watched.out(frontend).splitlines()
        assert lines[:2] == [b"", b"     %-19s : count     distribution" % b"usecs"]
        assert watched.results[frontend, "text"].stderr == BANNER
        (report,) = watched.results[frontend, "json"].objects()
        assert (report["type"], report["report"], report["data"][0]["unit"]) == \
            ("histogram", "dist", "usecs")


def test_pid_namespaces(workloads) -> None:
    """--pidnss: those of a new namespace by its number."""
    watched = watch("runqlat", ["--pidnss"], ["/usr/bin/unshare", "--pid", "--fork", *WORKLOAD], 3)
    found = counts(watched)
    own = os.stat("/proc/self/ns/pid").st_ino
    assert len(found) == 2 and own in found
    (other,) = set(found) - {own}
    assert found[other] > sum(row[2] for row in watched.said) // 2


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}"], "own"), (["--tid", "{pid}"], "own"), (["--comm", "waits"], "all"),
    (["--uid", "0"], "all"), (["--uid", "4242"], "none"), (["--comm", "other"], "none"),
    (["-p", "1"], "none")])
def test_filters(workloads, args: List[str], shown: str) -> None:
    """The filters are asked of the task that waits, not of the one that wakes it."""
    watched = watch("runqlat", ["-P", *args], WORKLOAD, 3)
    found = counts(watched)
    children = {row[0] for row in watched.said}
    assert set(found) == {"own": {watched.pid}, "all": {watched.pid, *children},
                          "none": set()}[shown]


NESTED = """
group=$1; shift
echo 0 >$group/a/b/cgroup.procs
"$@"
echo 0 >$group/cgroup.procs
rmdir $group/a/b $group/a $group/beside
"""


@pytest.mark.parametrize("inside", [True, False])
def test_nested_cgroup(workloads, inside: bool) -> None:
    """Tasks below the cgroup count, those beside it do not."""
    def deeper(group: Path) -> None:
        for name in ("a", "a/b", "beside"):
            (group / name).mkdir()

    args = ["-P"] + ([] if inside else ["--cgroup", "{cgroup}/beside"])
    group = own_cgroup() / f"bpfduet-watch-{os.getpid()}"
    watched = watch("runqlat", args, ["/bin/sh", "-c", NESTED, "sh", str(group), *WORKLOAD], 3,
                    prepare=deeper)
    found = counts(watched)
    assert {row[0] for row in watched.said} <= set(found) if inside else found == {}


@pytest.mark.host_only
def test_intervals(workloads) -> None:
    """INTERVAL COUNT, -T: a report each, with its time, emptied between."""
    watched = watch("runqlat", ["-T", seconds(2), "2"], WORKLOAD, 3, ["text"], end=None)
    for frontend in FRONTENDS:
        text = masked(watched.out(frontend), [(rb"^\d\d:\d\d:\d\d$", b"TIME")])
        assert re.fullmatch(rb"\nTIME\n     usecs +: count +distribution\n(.*\|\n)+\nTIME\n", text)


@pytest.mark.parametrize("args", [[], ["-P"], ["-L"]])
def test_command(workloads, args: List[str]) -> None:
    for frontend in FRONTENDS:
        done = run(frontend, "runqlat", [*args, "--format", "csv", "--", *WORKLOAD])
        assert done.status == 0 and done.stderr == b""
        said = [line.split() for line in done.lines() if re.fullmatch(rb"\d+ \d+ \d+ \d+", line)]
        rows = [line.split(b",") for line in done.lines()[len(said) + 1:]]
        if args:
            assert {row[("-P", "-L").index(args[0])] for row in said} <= {row[1] for row in rows}
        total = sum(int(row[-1]) for row in rows)
        assert total > sum(int(row[2]) for row in said) // 2
