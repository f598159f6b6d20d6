# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""vfsreadsize: exact buckets in both frontends."""
from __future__ import annotations

import re
from typing import Dict, List

import pytest

from frontends import FRONTENDS, WORKLOADS, run, seconds, watch
from needs import NEEDS
from parity.same import assert_same

READS, BAD_READS = str(WORKLOADS / "reads"), str(WORKLOADS / "badreads")
STEP, REST, STARS = 200, 2000, 40
SIZES = {0: 2, 1: 3, 199: 5, 200: 7, 1000: 1, 1999: 11, 2000: 13, 65536: 17}
WORKLOAD = [READS, *[str(n) for size, count in SIZES.items() for n in (count, size)]]
FAILURES = 23
BANNER = b"Tracing vfs_read()... Hit Ctrl-C to end.\n"
NO_KPROBES = b"vfsreadsize: this kernel has no kprobes, which this tool needs (for vfs_read)\n"


def buckets() -> Dict[int, int]:
    """Counts by the least size of each bucket."""
    found: Dict[int, int] = {}
    for size, count in SIZES.items():
        low = min(size - size % STEP, REST)
        found[low] = found.get(low, 0) + count
    return found


def drawn(counts: Dict[int, int], errors: int = 0) -> List[bytes]:
    """The histogram as BCC draws a linear one, and the count of errors."""
    lines = []
    if counts:
        lines.append(b"     %-13s : count     distribution" % b"bytes")
        for low in range(0, max(counts) + 1, STEP):
            count = counts.get(low, 0)
            stars = b"*" * (STARS * count // max(counts.values()))
            lines.append(b"        %-10d : %-8d |%-40s|" % (low, count, stars))
    return [*lines, b"errors: %d" % errors]


@pytest.mark.needs("kprobes")
def test_plain(workloads) -> None:
    """Another program of the cgroup reads a directory, which fails. That hold reads a byte is not
    seen: it was entered before."""
    watched = watch("vfsreadsize", [], WORKLOAD, 1, bystander=[BAD_READS, str(FAILURES)])
    same = assert_same(watched, {}, quiet=False)
    counts = buckets()
    assert same["text"].splitlines() == drawn(counts, FAILURES)
    assert same["csv"].decode().splitlines() == [
        "report,low,high,count",
        *[f"bytes,{low},{low + STEP - 1},{count}" for low, count in sorted(counts.items())],
        "report,label,count", f"errors,errors,{FAILURES}"]
    assert watched.results["bcc", "json"].objects() == [
        {"type": "histogram", "tool": "vfsreadsize", "report": "bytes", "data": [
            {"unit": "bytes", "buckets": [{"low": low, "high": low + STEP - 1, "count": count}
                                          for low, count in sorted(counts.items())]}]},
        {"type": "counters", "tool": "vfsreadsize", "report": "errors",
         "data": {"errors": FAILURES}}]
    assert watched.results["c", "text"].stderr == BANNER


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}", "--comm", "reads"], True), (["-p", "1"], False), (["--uid", "1234"], False),
    (["--comm", "reads"], True), (["--tid", "{pid}", "--comm", "reads"], True)])
def test_filters(workloads, args: List[str], shown: bool) -> None:
    watched = watch("vfsreadsize", args, WORKLOAD, 1, ["text"], bystander=[BAD_READS, "5"])
    same = assert_same(watched, {}, ["text"], quiet=False)
    assert same["text"].splitlines() == drawn(buckets() if shown else {})


@pytest.mark.needs("kprobes")
def test_intervals(workloads) -> None:
    """The maps are emptied after each print: the second one has nothing to show."""
    watched = watch("vfsreadsize", ["-i", seconds(1), "--count", "2", "--comm", "reads"], WORKLOAD,
                    1, ["text"], end=None)
    same = assert_same(watched, {}, ["text"], quiet=False)
    assert same["text"].splitlines() == drawn(buckets()) + drawn({})


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "vfsreadsize", ["-d", "1000", "--", *WORKLOAD])
    assert done.status == 0 and done.stderr == BANNER
    pid, rest = re.fullmatch(rb"(?s)(\d+)\n(.*)", done.stdout).groups()
    assert int(pid) and rest.splitlines() == drawn(buckets())


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """Without kprobes and trampolines: one sentence."""
    done = run(frontend, "vfsreadsize", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stderr == BANNER
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_KPROBES)
