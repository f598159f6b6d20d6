# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bitesize: the size of every request to a disk of our own, in both frontends."""
from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from frontends import FRONTENDS, WORKLOADS, run, seconds, watch
from parity.disks import own_disk
from parity.same import assert_same
from parity.test_readhist import buckets, drawn

DISKIO = str(WORKLOADS / "diskio")
IOS = [("w", 23, 4096), ("r", 11, 65536), ("w", 7, 512), ("r", 5, 1024), ("w", 3, 20480)]
BANNER = b"Tracing block I/O... Hit Ctrl-C to end.\n"


@pytest.fixture(name="disk")
def disk_of_our_own(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path) as path:
        yield path


def workload(disk: Path) -> List[str]:
    """The workload's command line."""
    return [DISKIO, str(disk), *(str(word) for io in IOS for word in io)]


def slots(times: int = 1) -> Dict[int, int]:
    """Counts by slot of kilobytes."""
    found: Dict[int, int] = {}
    for _, count, size in IOS:
        slot = max((size // 1024).bit_length(), 1)
        found[slot] = found.get(slot, 0) + count * times
    return found


def text(names: List[str], times: int = 1) -> List[bytes]:
    """The lines of a report with these processes."""
    lines: List[bytes] = []
    for name in names:
        histogram = drawn(slots(times))
        lines += [b"", b"Process Name = " + name.encode(),
                  histogram[0].replace(b"bytes ", b"Kbytes"), *histogram[1:]]
    return lines


def test_sizes(workloads, disk: Path) -> None:
    watched = watch("bitesize", ["-d", disk.name], workload(disk), 1)
    same = assert_same(watched, {}, quiet=False)
    assert same["text"].splitlines() == text(["diskio"])
    assert watched.results["c", "text"].stderr == BANNER
    assert watched.results["bcc", "json"].objects() == [
        {"type": "histogram", "tool": "bitesize", "report": "dist",
         "data": [{"key": {"comm": "diskio"}, "unit": "Kbytes", "buckets": buckets(slots())}]}]
    assert same["csv"].decode().splitlines() == [
        "report,comm,low,high,count",
        *(f"dist,diskio,{b['low']},{b['high']},{b['count']}" for b in buckets(slots()))]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}"], 1), (["--tid", "{pid}"], 1), (["--comm", "diskio"], 2), (["--uid", "0"], 2),
    (["-p", "1"], 0), (["--comm", "other"], 0), (["--uid", "4242"], 0)])
def test_filters(workloads, disk: Path, args: List[str], shown: int) -> None:
    """Of the process that issues the request. Another one does the same before."""
    watched = watch("bitesize", ["-d", disk.name, *args], workload(disk), 1, ["text"],
                    bystander=workload(disk))
    same = assert_same(watched, {}, ["text"], quiet=False)
    assert same["text"].splitlines() == text(["diskio"] * bool(shown), shown)


def test_other_disk(workloads, disk: Path) -> None:
    """-d leaves out all other disks; a name that is none is an error."""
    other = next(path.name for path in sorted(Path("/sys/block").iterdir())
                 if path.name != disk.name and (Path("/dev") / path.name).exists())
    watched = watch("bitesize", ["-d", other], workload(disk), 1)
    assert_same(watched, {}, quiet=False)
    assert watched.out("c") == b""
    for frontend in FRONTENDS:
        done = run(frontend, "bitesize", ["-d", "null"])
        assert done.status == 2 and done.stderr.startswith(b"bitesize: no such disk 'null'\n")


@pytest.mark.host_only
def test_intervals(workloads, disk: Path) -> None:
    watched = watch("bitesize", ["-d", disk.name, "-i", seconds(2), "--count", "2"], workload(disk),
                    1, ["text"], end=None)
    same = assert_same(watched, {}, ["text"], quiet=False)
    assert same["text"].splitlines() == text(["diskio"])


def test_command(workloads, disk: Path) -> None:
    """The program itself may have to be read from another disk, which does not count here."""
    for frontend in FRONTENDS:
        done = run(frontend, "bitesize", ["-d", disk.name, "--", *workload(disk)])
        assert done.status == 0 and done.stderr == BANNER
        assert done.lines() == text(["diskio"])
