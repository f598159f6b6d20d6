# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""schedcount: both frontends count the same events, and those that the workload knows of."""
from __future__ import annotations

import re
import time
from typing import Dict, List

import pytest

from bpfduet.spec.read import load
from frontends import FRONTENDS, ROOT, SLOWNESS, WORKLOADS, run, seconds, watch
from needs import mount_tracefs
from parity.same import assert_same

TOOL = ROOT / "shared_bpf" / "schedcount.toml"
SOURCE = (ROOT / "shared_bpf" / "schedcount.bpf.c").read_text()
EXITS = str(WORKLOADS / "exits")
ENDS = [EXITS, *["0"] * 23]
LONG = ["-d", seconds(60)]
PREFIX = "tracepoint:sched:"
HEAD = b"%-47s %10s" % (b"EVENT", b"COUNT")


def names() -> Dict[str, int]:
    """The events that the tool has names for, with their numbers."""
    return load(TOOL, ROOT / "shared_bpf" / "common.toml").data["values"]["event"]


def here() -> List[str]:
    """The events that this kernel has."""
    return sorted(path.parent.name for path in (mount_tracefs() / "events/sched").glob("*/id"))


def programs() -> int:
    return len(here())


def rows(text: bytes) -> Dict[str, int]:
    """The counts of a table."""
    lines = text.splitlines()
    assert lines[0] == HEAD
    return {line[:47].decode().rstrip(): int(line[48:]) for line in lines[1:]}


def test_names() -> None:
    """Numbers in the spec and in the program are the same; each has its program and its place."""
    enumerators = re.findall(r"^\tEVENT_(\w+),$", SOURCE, re.MULTILINE)
    assert {PREFIX + name: number for number, name in enumerate(enumerators)} == names()
    assert re.findall(r"^COUNT\((\w+)\)$", SOURCE, re.MULTILINE) == enumerators
    spec = load(TOOL, ROOT / "shared_bpf" / "common.toml").data
    assert spec["requires"] == [f"raw_tracepoint?:{name}" for name in enumerators]


def test_no_event_forgotten(tracefs) -> None:
    """A new kernel's tracepoint is noticed."""
    assert {PREFIX + name for name in here()} <= set(names())
    assert "sched_switch" in here()


def test_counts(workloads) -> None:
    watched = watch("schedcount", LONG, ENDS, programs())
    same = assert_same(watched, {}, quiet=False)
    found = rows(same["text"])
    for event, count in (("sched_process_fork", 23), ("sched_wakeup_new", 23),
                         ("sched_process_exit", 24), ("sched_process_exec", 1)):
        assert found[PREFIX + event] == count
    assert found[PREFIX + "sched_process_wait"] >= 23
    numbers = names()
    order = [(count, numbers[name]) for name, count in found.items()]
    assert order == sorted(order) and min(order)[0] > 0
    assert same["csv"].decode().splitlines() == [
        "event,count", *(f"{name},{count}" for name, count in found.items())]
    (report,) = watched.results["c", "json"].objects()
    assert (report["type"], report["report"]) == ("table", "counts")
    assert [(row["value"], row["key"]) for row in report["data"]] == order
    for frontend in FRONTENDS:
        assert watched.results[frontend, "text"].stderr == \
            b"Counting scheduler events for %b s... Hit Ctrl-C to end.\n" % LONG[1].encode()


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, exits", [
    (["-p", "{pid}"], 1), (["--tid", "{pid}"], 1), (["--comm", "exits"], 24), (["--uid", "1234"], 24),
    (["--uid", "0"], 5), (["--comm", "nobody"], 0), (["-p", "1"], 0)])
def test_filters(workloads, args: List[str], exits: int) -> None:
    """Of the task that is running when the event happens."""
    bystander = [EXITS, "0", "0", "0", "0"] if "0" in args else []
    watched = watch("schedcount", [*LONG, *args], ENDS, programs(), ["text"], bystander=bystander, uid=1234)
    found = rows(assert_same(watched, {}, ["text"], quiet=False)["text"])
    assert found.get(PREFIX + "sched_process_exit", 0) == exits
    assert bool(found) == bool(exits)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, reports, least_s", [
    ([seconds(4)], 1, 4), (["-i", seconds(3), "-d", seconds(6)], 2, 6)])
def test_duration(workloads, args: List[str], reports: int, least_s: int) -> None:
    """As long as was asked for; what is shown is not shown again."""
    began = time.monotonic()
    watched = watch("schedcount", args, ENDS, programs(), ["text"], end=None)
    assert (time.monotonic() - began) / SLOWNESS >= least_s
    for frontend in FRONTENDS:
        tables = watched.out(frontend).split(HEAD)[1:]
        assert len(tables) == reports
        counts = [re.findall(rb"sched_process_exit +(\d+)$", table, re.MULTILINE)
                  for table in tables]
        assert sum(counts, []) == [b"24"]


@pytest.mark.host_only
def test_default_duration() -> None:
    """Five seconds."""
    for frontend in FRONTENDS:
        began = time.monotonic()
        done = run(frontend, "schedcount", ["--comm", "no such name"])
        assert (done.status, done.stdout) == (0, HEAD + b"\n")
        assert done.stderr == b"Counting scheduler events for 5 s... Hit Ctrl-C to end.\n"
        assert time.monotonic() - began >= 5


def test_command(workloads) -> None:
    for frontend in FRONTENDS:
        done = run(frontend, "schedcount", [*LONG, "--", *ENDS])
        assert done.status == 0
        found = rows(done.stdout[done.stdout.index(HEAD):])
        assert found[PREFIX + "sched_process_fork"] == 23
        assert found[PREFIX + "sched_process_exit"] == 24
        assert found[PREFIX + "sched_process_exec"] == 1
