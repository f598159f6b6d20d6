# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""readhist: exact buckets in both frontends."""
from __future__ import annotations

import re
from typing import Dict, List

import pytest

from frontends import FRONTENDS, WORKLOADS, run, seconds, watch
from parity.same import assert_same

READS = str(WORKLOADS / "reads")
HOLD_READS = 1      # hold reads one byte before it becomes the workload
SIZES = {0: 2, 1: 3, 2: 5, 3: 7, 4095: 11, 4096: 13, 65536: 17}
WORKLOAD = [READS, *[str(n) for size, count in SIZES.items() for n in (count, size)]]
BANNER = b"Tracing read()... Hit Ctrl-C to end.\n"


def slots(more: int = 0) -> Dict[int, int]:
    """Counts by slot, slot n being 2^(n-1) to 2^n - 1, and 0 with 1 in slot 1."""
    found: Dict[int, int] = {1: more}
    for size, count in SIZES.items():
        slot = max(size.bit_length(), 1)
        found[slot] = found.get(slot, 0) + count
    return found


def drawn(counts: Dict[int, int]) -> List[bytes]:
    """The histogram as BCC draws it: bounds in 10, or in 20 columns if any needs more than
    32 bits, stars in 40."""
    largest = max(counts.values())
    lines = [b"     %-19s : count     distribution" % b"bytes"]
    for slot in range(1, max(counts) + 1):
        low, high = 1 << (slot - 1), (1 << slot) - 1
        low = 0 if low == high else low
        count = counts.get(slot, 0)
        stars = b"*" * (40 * count // largest)
        lines.append(b"%10d -> %-10d : %-8d |%-40s|" % (low, high, count, stars))
    return lines


def rows(counts: Dict[int, int], prefix: str = "dist") -> List[str]:
    """The lines of CSV."""
    return [f"{prefix},{0 if slot == 1 else 1 << (slot - 1)},{(1 << slot) - 1},{count}"
            for slot, count in sorted(counts.items()) if count]


def buckets(counts: Dict[int, int]) -> List[dict]:
    """The buckets of JSON."""
    return [{"low": 0 if slot == 1 else 1 << (slot - 1), "high": (1 << slot) - 1, "count": count}
            for slot, count in sorted(counts.items()) if count]


def test_plain(workloads) -> None:
    watched = watch("readhist", [], WORKLOAD, 1)
    same = assert_same(watched, {}, quiet=False)
    counts = slots(HOLD_READS)
    assert same["text"].splitlines() == drawn(counts)
    assert same["csv"].decode().splitlines() == ["report,low,high,count", *rows(counts)]
    assert watched.results["bcc", "json"].objects() == [
        {"type": "histogram", "tool": "readhist", "report": "dist",
         "data": [{"unit": "bytes", "buckets": buckets(counts)}]}]
    assert watched.results["c", "text"].stderr == BANNER


def test_by_process(workloads) -> None:
    """-P: a section each for the workload, what it was before, and another program."""
    watched = watch("readhist", ["-P"], WORKLOAD, 1, bystander=[READS, "3", "4096"])
    same = assert_same(watched, {}, quiet=False)
    other = next(section["key"]["pid"] for section in
                 watched.results["c", "json"].objects()[0]["data"]
                 if section["key"]["pid"] != watched.pid)
    sections = sorted([(watched.pid, "hold", {1: 1}), (watched.pid, "reads", slots()),
                       (other, "reads", {13: 3})], key=lambda section: section[:2])
    text: List[bytes] = []
    lines: List[str] = []
    for pid, comm, counts in sections:
        text += [b"", b"pid = %d, comm = %s" % (pid, comm.encode()), *drawn(counts)]
        lines += rows(counts, f"by_process_dist,{pid},{comm}")
    assert same["text"].splitlines() == text
    assert same["csv"].decode().splitlines() == ["report,pid,comm,low,high,count", *lines]
    assert watched.results["bcc", "json"].objects()[0]["data"] == [
        {"key": {"pid": pid, "comm": comm}, "unit": "bytes", "buckets": buckets(counts)}
        for pid, comm, counts in sections]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [(["-p", "{pid}"], True), (["-p", "1"], False),
                                         (["--comm", "reads"], True), (["--tid", "{pid}"], True)])
def test_filters(workloads, args: List[str], shown: bool) -> None:
    bystander = [] if "--comm" in args else [READS, "5", "100"]
    watched = watch("readhist", args, WORKLOAD, 1, ["text"], bystander=bystander)
    same = assert_same(watched, {}, ["text"], quiet=False)
    counts = slots(0 if "--comm" in args else HOLD_READS)
    assert same["text"].splitlines() == (drawn(counts) if shown else [])


def test_intervals(workloads) -> None:
    """The map is emptied after each print: the second one has nothing to show."""
    watched = watch("readhist", ["-i", seconds(1), "--count", "2"], WORKLOAD, 1, ["text"], end=None)
    same = assert_same(watched, {}, ["text"], quiet=False)
    assert same["text"].splitlines() == drawn(slots(HOLD_READS))


@pytest.mark.parametrize("args", [[], ["-P"]])
def test_command(workloads, args: List[str]) -> None:
    shown = []
    for frontend in FRONTENDS:
        done = run(frontend, "readhist", [*args, "--", *WORKLOAD])
        assert done.status == 0 and done.stderr == BANNER
        pid, rest = re.match(rb"(?s)(\d+)\n(.*)", done.stdout).groups()
        shown.append(rest.replace(b"pid = %s," % pid, b"pid = @,"))
    assert shown[0] == shown[1]
    head = [b"", b"pid = @, comm = reads"] if args else []
    assert shown[0].splitlines() == [*head, *drawn(slots())]
