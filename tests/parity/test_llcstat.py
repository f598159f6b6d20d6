# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""llcstat: its own events where the machine counts them; elsewhere page faults and context
switches, which every machine does, by the same programs: the test tool eventstat."""
from __future__ import annotations

import json
import os
import re
from typing import Dict, List

import pytest

from frontends import FRONTENDS, ROOT, TEST_TOOLS, WORKLOADS, Watched, run, seconds, watch
from needs import NEEDS
from parity.same import assert_same

PHASES = [str(WORKLOADS / "phases"), "all hit:1009:0", "some:100:23", "none:1:5", "+thread:17:3"]
PAGES = {"all hit": 1009, "some": 100, "none": 1, "thread": 17}
NAPS = {"all hit": 0, "some": 23, "none": 5, "thread": 3}
SAMPLERS = 2 * (os.cpu_count() or 1)
BANNER = b"Running for 3600 seconds or hit Ctrl-C to end.\n"
EVERY_EVENT = ["-c", "1", "3600"]
HEADER = "PID      NAME             CPU     REFERENCE         MISS    HIT%"
THREADS = HEADER.replace("NAME", "TID      NAME", 1)
NOTHING = "Total References: 0 Total Misses: 0 Hit Rate: 0.00%"


def hit(references: int, misses: int) -> str:
    return f"{100 * max(references - misses, 0) / references if references else 0:.2f}%"


def drawn(rows: List[dict], threads: bool) -> List[str]:
    """The lines of text for the rows that JSON has."""
    lines = [THREADS if threads else HEADER]
    for key, value in ((row["key"], row["value"]) for row in rows):
        tid = f"{key['tid']:<8} " if threads else ""
        lines.append(f"{key['pid']:<8} {tid}{key['name']:<16} {key['cpu']:<4} "
                     f"{value['references']:>12} {value['misses']:>12} {hit(**value):>7}")
    return lines


def totals(rows: List[dict]) -> Dict[str, int]:
    return {name: sum(row["value"][name] for row in rows) for name in ("references", "misses")}


def as_csv(rows: List[dict], threads: bool) -> List[str]:
    lines = ["pid,tid,name,cpu,references,misses,hit" if threads else
             "pid,name,cpu,references,misses,hit"]
    for row in rows:
        key = [row["key"][name] for name in ("pid", "tid", "name", "cpu")
               if threads or name != "tid"]
        lines.append(",".join(map(str, [*key, *row["value"].values(), hit(**row["value"])])))
    return lines


def rows_of(watched: Watched) -> List[dict]:
    table, total = watched.results["c", "json"].objects()
    assert [one["type"] for one in (table, total)] == ["table", "table"]
    assert [one["report"] for one in (table, total)] == ["counts", "total"]
    assert total["data"] == [{"value": totals(table["data"])}]
    return table["data"]


def assert_true(watched: Watched, rows: List[dict], threads: bool) -> None:
    """What the workload knows: pages to the last one, and how often it left the CPU between its
    naps and what the kernel counted around them."""
    named = [row for row in rows if row["key"]["name"] in PAGES]
    found = {row["key"]["name"]: row for row in named}
    assert len(named) == len(found) == len(PAGES)
    for (tid, cpu, most), name in zip(watched.said, PAGES):
        assert found[name]["key"] == {"pid": watched.pid, "tid": tid if threads else 0,
                                      "cpu": cpu, "name": name}
        assert found[name]["value"]["references"] == PAGES[name]
        # on a slow machine a nap may be over before the CPU is left for it
        assert NAPS[name] * 3 // 4 <= found[name]["value"]["misses"] <= most


@pytest.mark.parametrize("args", [[], ["-t"], ["--tid"]])
def test_counts(workloads, args: List[str]) -> None:
    watched = watch("eventstat", [*args, *EVERY_EVENT], PHASES, 0, samplers=SAMPLERS)
    same = assert_same(watched, {}, quiet=False)
    assert watched.results["c", "text"].stderr == BANNER
    assert watched.results["c", "json"].stderr == b""
    rows, threads = rows_of(watched), bool(args)
    assert_true(watched, rows, threads)
    total = totals(rows)
    assert same["text"].decode().splitlines() == [
        *drawn(rows, threads), f"Total References: {total['references']} "
        f"Total Misses: {total['misses']} Hit Rate: {hit(**total)}"]
    assert same["csv"].decode().splitlines() == [
        *as_csv(rows, threads), "references,misses,hit",
        f"{total['references']},{total['misses']},{hit(**total)}"]
    references = [row["value"]["references"] for row in rows]
    assert references == sorted(references, reverse=True)
    lines = "\n".join(drawn(rows, threads))
    assert re.search(r" all hit .* 1009 .*%\n", lines) and re.search(r" none .* 1 .* 0.00%", lines)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, seen", [
    (["--pid", "{pid}"], True), (["--comm", "some"], True), (["--uid", "0"], True),
    (["--pid", str(os.getpid())], False), (["--comm", "other"], False), (["--uid", "1"], False)])
def test_filters(workloads, args: List[str], seen: bool) -> None:
    watched = watch("eventstat", [*args, *EVERY_EVENT], PHASES, 0, ["text"], samplers=SAMPLERS)
    lines = assert_same(watched, {}, ["text"], quiet=False)["text"].decode().splitlines()
    names = {line[9:25].rstrip() for line in lines[1:-1]}
    if seen:
        assert names == {"some"} if "--comm" in args else names > set(PAGES)
    else:
        assert lines == [HEADER, NOTHING]


@pytest.mark.host_only
def test_intervals(workloads) -> None:
    """Emptied between: what the first report had the second has not."""
    args = [*EVERY_EVENT, "--comm", "some", "--interval", seconds(4), "--count", "2"]
    watched = watch("eventstat", args, PHASES, 0, ["text"], samplers=SAMPLERS, end=None)
    text = assert_same(watched, {}, ["text"], quiet=False)["text"].decode()
    assert re.fullmatch(rf"{HEADER}\n\d+ +some .* 100 +\d+ +\d+\.\d\d%\nTotal References: 100 .*\n"
                        rf"{HEADER}\n{NOTHING}\n", text)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("option, period", [(["-c", "10"], 10), (["--sample_period", "7"], 7),
                                            ([], 100)])
def test_period(workloads, frontend: str, option: List[str], period: int) -> None:
    """A sample stands for as many events as were asked for. Where other tasks' faults are among
    them it is whose the last one is, so there may be some more or less."""
    done = run(frontend, "eventstat", [*option, "--format", "json", "--", PHASES[0],
                                       "many:100003:0"])
    assert done.status == 0, done
    table, _ = map(json.loads, [line for line in done.lines() if line.startswith(b"{")])
    assert all(count % period == 0 for row in table["data"] for count in row["value"].values())
    (many,) = [row["value"] for row in table["data"] if row["key"]["name"] == "many"]
    assert 80000 < many["references"] < 120000


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_duration(tracefs, frontend: str) -> None:
    """The word without a dash, and stock's default of 10 seconds where there is none."""
    nobody = ["--pid", str(os.getpid())]
    done = run(frontend, "eventstat", [*nobody, "1"])
    assert done.status == 0
    assert done.stderr == b"Running for 1 seconds or hit Ctrl-C to end.\n"
    assert b"(default: 10)" in run(frontend, "eventstat", ["--help"]).stdout


def test_twin() -> None:
    """What is tested here is llcstat, but for the two events."""
    spec = (ROOT / "shared_bpf" / "llcstat.toml").read_text()
    assert spec.replace("cache-references", "page-faults").replace(
        "cache-misses", "context-switches") == (TEST_TOOLS / "eventstat.toml").read_text()
    assert (TEST_TOOLS / "eventstat.bpf.c").resolve() == ROOT / "shared_bpf" / "llcstat.bpf.c"


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_no_counter(tracefs, frontend: str) -> None:
    """A machine that does not count it is no empty table."""
    done = run(frontend, "llcstat", ["--", "/bin/true"])
    if NEEDS["pmu"]():
        assert done.status == 0
    else:
        assert (done.status, done.stdout) == (1, b"")
        assert done.stderr == (b"llcstat: cannot attach perf_event__reference (perf_event): this "
                               b"machine does not count the perf event 'cache-references'\n")


@pytest.mark.needs("pmu")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_caches(workloads, frontend: str) -> None:
    """The real events: fresh pages are not in the cache."""
    done = run(frontend, "llcstat", ["--format", "json", "--", PHASES[0], "many:100003:0"])
    assert done.status == 0, done
    table, total = map(json.loads, [line for line in done.lines() if line.startswith(b"{")])
    assert total["data"] == [{"value": totals(table["data"])}]
    (many,) = [row["value"] for row in table["data"] if row["key"]["name"] == "many"]
    assert many["references"] > 0 and many["misses"] > 0
