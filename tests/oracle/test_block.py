# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bitesize and biolatency beside the stock ones; biolatency beside bpftrace too."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List

import pytest

from frontends import FRONTENDS, watch
from oracle.test_bpftrace import asked, maps
from oracle.test_stock import stock
from parity import test_biolatency, test_bitesize
from parity.disks import kernels_number, own_disk


@pytest.fixture(name="disk")
def disk_of_our_own(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path) as path:
        yield path


def by_process(text: bytes) -> List[bytes]:
    """A report of bitesize: what is before its histograms, and those in the order of names."""
    head, *histograms = text.split(b"\nProcess Name = ")
    return [head, *sorted(histograms)]


def test_bitesize_text(workloads, disk: Path) -> None:
    """The same text. Theirs has no -d, and the workload's own file may have to be read; histograms
    come in the order of a hash map."""
    watched = watch("bitesize", [], test_bitesize.workload(disk), 1, ["text"],
                    others={"stock": (stock("bitesize:{cgroup_id}", ""), 1)})
    theirs = watched.out("stock")
    assert b"Process Name = diskio" in theirs
    for frontend in FRONTENDS:
        result = watched.results[frontend, "text"]
        assert by_process(result.stderr + result.stdout) == by_process(theirs)


# The workload has one request at a time, all of the first sector. It may have to be read itself,
# of another disk.
SCRIPT = """
tracepoint:block:block_rq_issue /cgroup == {cgroup_id} && args->dev == DISK/ { @began[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@began[args->dev, args->sector]/ {
    $us = (nsecs - @began[args->dev, args->sector]) / 1000;
    @count = count(); @us = sum($us); delete(@began[args->dev, args->sector]);
}"""


def test_biolatency_counts(workloads, disk: Path) -> None:
    """As many requests; times of the same size."""
    script = SCRIPT.replace("DISK", str(kernels_number(disk)))
    watched = asked(script, 2, "biolatency", ["-e", "-d", disk.name],
                    test_biolatency.workload(disk), 2)
    theirs = maps(watched)
    assert theirs["@count"] == test_biolatency.TOTAL
    for frontend in FRONTENDS:
        average = watched.results[frontend, "json"].objects()[-1]["data"]
        assert average["count"] == theirs["@count"]
        assert theirs["@us"] / 10 - 100 < average["total"] < theirs["@us"] * 10 + 1000


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", ["", "-F", "-D", "-m", "-e"])
def test_biolatency_text(workloads, disk: Path, args: str) -> None:
    """The same lines and as many requests."""
    args = f"{args} -d {disk.name}"
    watched = watch("biolatency", args.split(), test_biolatency.workload(disk), 2, ["text"],
                    others={"stock": (stock("biolatency", args), 2)})
    theirs = watched.out("stock")
    for frontend in FRONTENDS:
        result = watched.results[frontend, "text"]
        assert test_biolatency.of_text(result.stdout) == test_biolatency.of_text(theirs)
        assert set(re.findall(rb"^\S.*", re.sub(rb"\d+", b"N", result.stderr + result.stdout),
                              re.MULTILINE)) == \
            set(re.findall(rb"^\S.*", re.sub(rb"\d+", b"N", theirs), re.MULTILINE))
