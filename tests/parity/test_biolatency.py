# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""biolatency: every request to a disk of our own is in one bucket, in both frontends.

How long one took two observers may say a little differently, so buckets are added up.
"""
from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Dict, Iterator, List, Set

import pytest

from frontends import FRONTENDS, WORKLOADS, Running, Watched, run, seconds, watch
from needs import mount_tracefs
from parity.disks import kernels_number, own_disk
from parity.same import masked

DISKIO = str(WORKLOADS / "diskio")
READS, WRITES = 13, 23
TOTAL = READS + WRITES
BANNER = b"Tracing block device I/O... Hit Ctrl-C to end.\n"
DIRECT_READ, DIRECT_WRITE = "Sync-Read", "Idle-Sync-Write"
BITS = {DIRECT_READ: 0x2001, DIRECT_WRITE: 0x22002}


@pytest.fixture(name="disk")
def disk_of_our_own(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path) as path:
        yield path


def workload(disk: Path) -> List[str]:
    """The workload's command line."""
    return [DISKIO, str(disk), "r", str(READS), "65536", "w", str(WRITES), "4096"]


def of_text(text: bytes) -> Dict[str, int]:
    """Requests by section, "" if there is none."""
    found: Dict[str, int] = {}
    section = ""
    for line in text.decode().splitlines():
        head = re.fullmatch(r"(?:disk|flags) = (.*)", line)
        row = re.fullmatch(r" *\d+ -> \d+ +: (\d+) +\|[* ]+\|", line)
        if head:
            section = head[1]
        elif row:
            found[section] = found.get(section, 0) + int(row[1])
    return found


def of_csv(text: bytes) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for line in text.decode().splitlines():
        row = re.fullmatch(r"(?:dist|part_dist),(?:([^,]+),)?\d+,\d+,(\d+)", line)
        if row:
            found[row[1] or ""] = found.get(row[1] or "", 0) + int(row[2])
    return found


def sections(watched: Watched) -> Dict[str, int]:
    """Requests by section: the same in both frontends, in text and in CSV; in JSON as many."""
    each = [read(watched.out(frontend, form)) for frontend in FRONTENDS
            for form, read in (("text", of_text), ("csv", of_csv))]
    assert all(one == each[0] for one in each[1:])
    for frontend in FRONTENDS:
        report = watched.results[frontend, "json"].objects()[0]
        counts = [sum(bucket["count"] for bucket in section["buckets"])
                  for section in report["data"] if section["buckets"]]
        assert sorted(counts) == sorted(each[0].values())
    return each[0]


@pytest.mark.parametrize("args, keys", [
    ([], {"": TOTAL}), (["-m"], {"": TOTAL}),
    (["-F"], {DIRECT_READ: READS, DIRECT_WRITE: WRITES}), (["-D"], {"{disk}": TOTAL}),
    (["-D", "-F", "-m"], {"{disk}": TOTAL})])
def test_requests(workloads, disk: Path, args: List[str], keys: Dict[str, int]) -> None:
    watched = watch("biolatency", ["-d", disk.name, *args], workload(disk), 2)
    keys = {key.replace("{disk}", disk.name): count for key, count in keys.items()}
    assert sections(watched) == keys
    unit = "msecs" if "-m" in args else "usecs"
    for frontend in FRONTENDS:
        text = watched.results[frontend, "text"]
        assert text.stderr == BANNER and text.stdout.startswith(b"\n")
        (report,) = watched.results[frontend, "json"].objects()
        assert {section["unit"] for section in report["data"]} == {unit}
        if "-D" in args:
            assert [section["key"] for section in report["data"]] == [{"part": kernels_number(disk)}]
        elif "-F" in args:
            assert [section["key"]["part"] for section in report["data"]] == sorted(BITS.values())


@pytest.mark.parametrize("unit, args", [("usecs", []), ("msecs", ["-m"])])
def test_sums(workloads, disk: Path, unit: str, args: List[str]) -> None:
    """-e: the average, the sum and the count fit each other, the buckets and the time there was."""
    began = time.monotonic()
    watched = watch("biolatency", ["-d", disk.name, "-e", *args], workload(disk), 2)
    all_us = (time.monotonic() - began) * 1e6
    for frontend in FRONTENDS:
        text = watched.out(frontend).decode()
        line = re.search(rf"\n\navg = (\d+) {unit}, total: (\d+) {unit}, count: (\d+)\n\n$", text)
        assert line
        average, total, count = map(int, line.groups())
        assert count == TOTAL == of_text(text.encode())[""] and average == total // count
        low = sum(int(low) * int(n) for low, n in re.findall(r"(\d+) -> \d+ +: (\d+)", text))
        high = sum(int(high) * int(n) for high, n in re.findall(r"-> (\d+) +: (\d+)", text))
        assert low <= total <= high
        assert total < all_us / (1000 if args else 1)
        one = watched.results[frontend, "json"].objects()[-1]
        assert (one["type"], one["report"]) == ("average", "average")


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, count", [
    (["-p", "{pid}"], TOTAL), (["--comm", "diskio"], 2 * TOTAL), (["--tid", "{pid}"], TOTAL),
    (["--uid", "4242"], 0), (["-p", "1"], 0)])
def test_filters(workloads, disk: Path, args: List[str], count: int) -> None:
    """Of the process that issues the request, although it is completed in an interrupt."""
    watched = watch("biolatency", ["-d", disk.name, *args], workload(disk), 2,
                    bystander=workload(disk))
    assert sections(watched) == ({"": count} if count else {})


@pytest.mark.needs("queued")
def test_queued(workloads, disk: Path) -> None:
    """-Q: the same requests, from when the kernel took them on."""
    watched = watch("biolatency", ["-d", disk.name, "-Q", "-F"], workload(disk), 2)
    assert sections(watched) == {DIRECT_READ: READS, DIRECT_WRITE: WRITES}


def tracepoints(pid: int) -> Set[str]:
    """The raw tracepoints that a process holds programs on."""
    links = "\n".join(path.read_text() for path in Path(f"/proc/{pid}/fdinfo").iterdir())
    return set(re.findall(r"^tp_name:\s*(\w+)$", links, re.MULTILINE))


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args", [[], pytest.param(["-Q"], marks=pytest.mark.needs("queued"))])
def test_where_it_begins(tracefs, frontend: str, args: List[str]) -> None:
    """-Q takes the place of the issue; before Linux 6.5 that is no tracepoint."""
    tracer = Running(frontend, "biolatency", [*args, "--comm", "nobody"], 2)
    try:
        tracer.wait_ready()
        found = tracepoints(tracer.process.pid) - {"block_rq_complete"}
        here = (mount_tracefs() / "events/block/block_io_start").exists()
        assert found == ({"block_io_start"} if args and here else set() if args
                         else {"block_rq_issue"})
        assert tracer.finish().status == 0
    finally:
        tracer.end()


def test_json(workloads, disk: Path) -> None:
    """-j is --format json."""
    watched = watch("biolatency", ["-d", disk.name, "-j"], workload(disk), 2, ["text"])
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "text"].objects()
        assert report["tool"] == "biolatency"
        assert sum(bucket["count"] for bucket in report["data"][0]["buckets"]) == TOTAL


def test_other_disk(workloads, disk: Path) -> None:
    other = next(path.name for path in sorted(Path("/sys/block").iterdir())
                 if path.name != disk.name and (Path("/dev") / path.name).exists())
    watched = watch("biolatency", ["-d", other], workload(disk), 2)
    assert sections(watched) == {}


@pytest.mark.host_only
def test_intervals(workloads, disk: Path) -> None:
    """INTERVAL COUNT, -T: emptied between."""
    watched = watch("biolatency", ["-T", "-d", disk.name, seconds(2), "2"], workload(disk), 2,
                    ["text"], end=None)
    for frontend in FRONTENDS:
        text = masked(watched.out(frontend), [(rb"^\d\d:\d\d:\d\d$", b"TIME")])
        assert re.fullmatch(rb"\nTIME\n     usecs +: count +distribution\n(.*\|\n)+\nTIME\n", text)
        assert of_text(text) == {"": TOTAL}


def test_command(workloads, disk: Path) -> None:
    """The program itself may have to be read from another disk, which does not count here."""
    for frontend in FRONTENDS:
        done = run(frontend, "biolatency", ["-D", "-d", disk.name, "--format", "json", "--",
                                            *workload(disk)])
        assert done.status == 0
        (section,) = json.loads(done.stdout)["data"]
        assert sum(bucket["count"] for bucket in section["buckets"]) == TOTAL
