# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlat beside the kernel's own trace of the same events, and beside the stock tool."""
from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from frontends import FRONTENDS, WORKLOADS, watch
from needs import TRACEFS
from oracle.test_stock import stock

WAITS = [str(WORKLOADS / "waits"), "7", "23", "2000"]
FORKS = ["/bin/sh", "-c", "i=0; while [ $i -lt 23 ]; do /bin/true; i=$((i + 1)); done"]
FILTERS = {"sched_wakeup": 'comm == "waits"', "sched_wakeup_new": 'comm == "waits"',
           "sched_switch": 'prev_comm == "waits" || next_comm == "waits"'}


@contextlib.contextmanager
def instance() -> Iterator[Path]:
    """A trace buffer of our own that holds only the workload's events."""
    folder = TRACEFS / "instances" / f"bpfduet-{os.getpid()}"
    folder.mkdir()
    try:
        # the default clock is each CPU's own: a switch could stand before the wake-up that it is of
        (folder / "trace_clock").write_text("mono")
        for event, what in FILTERS.items():
            (folder / "events/sched" / event / "filter").write_text(what)
            (folder / "events/sched" / event / "enable").write_text("1")
        yield folder
    finally:
        folder.rmdir()


def waits(trace: str) -> Dict[int, int]:
    """How often each thread was switched to after it was woken or preempted."""
    queued = set()
    found: Counter = Counter()
    for line in trace.splitlines():
        woken = re.search(r" sched_wakeup(?:_new)?: comm=waits pid=(\d+) ", line)
        switch = re.search(r" prev_pid=(\d+) .*prev_state=(\S+) ==> .* next_pid=(\d+) ", line)
        if woken:
            queued.add(int(woken[1]))
        elif switch:
            if switch[2] in ("R", "R+"):
                queued.add(int(switch[1]))
            if int(switch[3]) in queued:
                found[int(switch[3])] += 1
                queued.remove(int(switch[3]))
    return found


def test_trace(workloads) -> None:
    """As many waits of each thread as the kernel's trace tells of."""
    with instance() as folder:
        watched = watch("runqlat", ["-L"], WAITS, 3, ["csv"])
        theirs = waits((folder / "trace").read_text())
    for frontend in FRONTENDS:
        ours: Counter = Counter()
        for line in watched.out(frontend, "csv").decode().splitlines()[1:]:
            _, tid, _, _, count = line.split(",")
            ours[int(tid)] += int(count)
        for _, tid, _, _ in watched.said:
            assert ours[tid] == theirs[tid] > 0


def total(text: bytes) -> int:
    """Of a histogram."""
    return sum(map(int, re.findall(rb" -> \d+ +: (\d+) ", text)))


@pytest.mark.host_only
@pytest.mark.parametrize("args, sections", [("-p {pid}", False), ("-mT -p {pid}", False),
                                            ("-P -p {pid}", True), ("-L -p {pid}", True)])
def test_stock(workloads, args: str, sections: bool) -> None:
    """The same lines but for the buckets, and as many waits."""
    watched = watch("runqlat", args.split(), FORKS, 3, ["text"],
                    others={"stock": (stock("runqlat", args), 3)})
    theirs = watched.out("stock")

    def words(text: bytes) -> List[bytes]:
        text = re.sub(rb"\d\d:\d\d:\d\d", b"TIME", text)
        return [line for line in text.splitlines() if b"|" not in line]
    for frontend in FRONTENDS:
        result = watched.results[frontend, "text"]
        assert words(result.stderr + result.stdout) == words(theirs)
        # Theirs leaves out one that was preempted just before it would have slept; with sections
        # it does not set its keys' padding, and shows one only of the entries that differ there.
        more = total(result.stdout) - total(theirs)
        assert more >= 0 if sections else more in (0, 1)
        assert total(result.stdout) >= 23
