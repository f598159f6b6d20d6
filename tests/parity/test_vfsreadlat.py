# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""vfsreadlat: every read counted once, and never as longer than the program found it."""
from __future__ import annotations

import re
from typing import Dict, List, Sequence

import pytest

from frontends import FRONTENDS, WORKLOADS, Result, run, seconds, watch
from needs import NEEDS

SLOW, READS = str(WORKLOADS / "slowreads"), str(WORKLOADS / "reads")
COUNT, DELAY_MS = 23, 5
WORKLOAD = [SLOW, str(COUNT), str(DELAY_MS)]
BANNER = b"Tracing vfs_read()... Hit Ctrl-C to end.\n"
NO_KPROBES = b"vfsreadlat: this kernel has no kprobes, which this tool needs (for vfs_read)\n"

Counts = Dict[int, int]     # by the least number of ns


def from_json(result: Result) -> Dict[str, Counts]:
    """The histograms by process name."""
    (report,) = result.objects()
    assert (report["type"], report["tool"], report["report"]) == ("histogram", "vfsreadlat", "ns")
    assert {section["unit"] for section in report["data"]} <= {"ns"}
    return {section["key"]["comm"]: {one["low"]: one["count"] for one in section["buckets"]}
            for section in report["data"]}


def from_csv(result: Result) -> Dict[str, Counts]:
    """The same; several reports are added up."""
    head = "report,comm,low,high,count"
    lines = result.stdout.decode().splitlines()
    assert lines[0] == head
    found: Dict[str, Counts] = {}
    for line in lines:
        if line == head:
            continue
        report, comm, low, high, count = line.split(",")
        assert report == "ns" and int(high) == max(2 * int(low) - 1, 1)
        counts = found.setdefault(comm, {})
        counts[int(low)] = counts.get(int(low), 0) + int(count)
    return found


def from_text(result: Result) -> Dict[str, Counts]:
    found: Dict[str, Counts] = {}
    for line in result.stdout.decode().splitlines():
        section = re.fullmatch(r"comm = (.*)", line)
        row = re.fullmatch(r" *(\d+) -> (\d+) +: (\d+) +\|[* ]+\|", line)
        if section:
            counts = found.setdefault(section[1], {})
        elif row and int(row[3]):
            counts[int(row[1])] = int(row[3])
        else:
            assert row or not line or line.split()[0] == "ns"
    return found


READERS = {"text": from_text, "json": from_json, "csv": from_csv}


def check_slow(counts: Counts, around: Sequence[int]) -> None:
    """As many reads as there were, each between the delay and what the program measured."""
    assert sum(counts.values()) == len(around)
    low = DELAY_MS * 10**6
    assert min(counts) > low // 2
    for bound in counts:
        assert sum(count for least, count in counts.items() if least >= bound) <= \
            sum(ns >= bound for ns in around)


@pytest.mark.needs("kprobes")
def test_latency(workloads) -> None:
    """The workload's reads, and another program's."""
    watched = watch("vfsreadlat", [], WORKLOAD, 2, bystander=[READS, "31", "100"])
    around = [ns for (ns,) in watched.said]
    for (frontend, form), result in watched.results.items():
        found = READERS[form](result)
        # of the byte that hold reads the entry was before; the child of the workload fills a pipe
        assert sorted(found) == ["filler", "reads", "slowreads"], (frontend, form)
        assert sum(found["reads"].values()) == 31
        check_slow(found["slowreads"], around)
        assert result.stderr == (BANNER if form == "text" else b"")


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}"], True), (["--tid", "{pid}"], True), (["--comm", "slowreads"], True),
    (["-p", "1"], False), (["--uid", "1234"], False)])
def test_filters(workloads, args: List[str], shown: bool) -> None:
    watched = watch("vfsreadlat", args, WORKLOAD, 2, ["json"], bystander=[READS, "5", "100"])
    around = [ns for (ns,) in watched.said]
    for frontend in FRONTENDS:
        found = from_json(watched.results[frontend, "json"])
        assert sorted(found) == (["slowreads"] if shown else [])
        if shown:
            check_slow(found["slowreads"], around)


@pytest.mark.needs("kprobes")
def test_intervals(workloads) -> None:
    """The map is emptied after each print: the second one has nothing to show."""
    watched = watch("vfsreadlat", ["-i", seconds(1), "--count", "2", "-p", "{pid}"],
                    [READS, "23", "100"], 2, ["csv"], end=None)
    for frontend in FRONTENDS:
        found = from_csv(watched.results[frontend, "csv"])
        assert list(found) == ["reads"] and sum(found["reads"].values()) == 23


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "vfsreadlat", ["-d", "1000", "--comm", "reads", "--", READS, "23", "100"])
    assert done.status == 0 and done.stderr == BANNER
    pid, done.stdout = re.fullmatch(rb"(?s)(\d+)\n(.*)", done.stdout).groups()
    found = from_text(done)
    assert int(pid) and list(found) == ["reads"] and sum(found["reads"].values()) == 23


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """Without kprobes and trampolines: one sentence."""
    done = run(frontend, "vfsreadlat", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stderr == BANNER
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_KPROBES)
