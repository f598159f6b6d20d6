# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""syscount: exact counts in both frontends."""
from __future__ import annotations

import os
import re
import time
from typing import Dict, List, Sequence, Tuple

import pytest

from bpfduet.spec.names import syscalls
from frontends import FRONTENDS, SLOWNESS, WORKLOADS, Result, Watched, run, seconds, watch
from parity.same import Masks, assert_same, masked

CALLS = str(WORKLOADS / "calls")
COUNT = 23
TIME_LINE = (rb"^\[\d\d:\d\d:\d\d\]$", b"[TIME]")
MASKS: Masks = {"text": [TIME_LINE], "json": [(rb'"time":"\d\d:\d\d:\d\d"', b'"time":"T"')]}
ONLY = {"getpgid": ["--syscall", "getpgid"], "access": ["--syscall", "access"]}


def table(watched: Watched, frontend: str) -> Dict[int, dict]:
    """The rows of the one report, by key, from JSON."""
    (report,) = watched.results[frontend, "json"].objects()
    assert (report["type"], report["tool"], report["report"]) == ("table", "syscount", "data")
    return {row["key"]: row["value"] for row in report["data"]}


@pytest.mark.parametrize("name, args, shown", [
    ("getpgid", [], True), ("access", [], True), ("getpgid", ["-p", "{pid}"], True),
    ("getpgid", ["-t", "{pid}"], True), ("getpgid", ["-c", str(os.getpid())], True),
    ("getpgid", ["-c", "1"], False)])
def test_one_call(workloads, name: str, args: List[str], shown: bool) -> None:
    """The one call of the workload, and nothing else."""
    formats = ("text", "json", "csv") if not args else ("text",)
    watched = watch("syscount", [*ONLY[name], *args], [CALLS, str(COUNT)], 1, formats)
    same = assert_same(watched, MASKS, formats, quiet=False)
    rows = [b"%-22s %8d" % (name.encode(), COUNT)] * shown
    head = b"%-22s %8s" % (b"SYSCALL", b"COUNT")
    assert same["text"].splitlines() == [b"[TIME]", head, *rows, b""]
    if not args:
        assert same["csv"] == b"syscall,count\n%s,%d\n" % (name.encode(), COUNT)
        assert same["json"] == (b'{"type":"table","tool":"syscount","report":"data","time":"T",'
                                b'"data":[{"key":%d,"value":{"count":%d,"ns":0,"comm":""}}]}\n'
                                % (syscalls()[name], COUNT))
    banner = f"Tracing syscall '{name}'... Ctrl+C to quit.\n"
    assert watched.results["c", "text"].stderr == banner.encode()


def test_bystander(workloads) -> None:
    """-p leaves out another process of the cgroup."""
    watched = watch("syscount", ["-p", "{pid}", "--syscall", "getpgid"], [CALLS, str(COUNT)], 1,
                    ["text"], bystander=[CALLS, "7"])
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    assert same["text"].splitlines()[2] == b"%-22s %8d" % (b"getpgid", COUNT)


@pytest.mark.parametrize("args", [["-x"], ["-e", "ENOENT"], ["-e", "2", "-x"], ["-e", "-2"]])
def test_failures(workloads, args: List[str]) -> None:
    """Failed calls only: of the workload, those that it meant to fail."""
    watched = watch("syscount", args, [CALLS, str(COUNT)], 1, ["text"])
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    rows = same["text"].splitlines()
    assert rows[2:] == [b"%-22s %8d" % (b"access", COUNT), b""]
    stderr = watched.results["c", "text"].stderr
    failed = b"failed " if "-x" in args else b""
    assert stderr == b"Tracing " + failed + b"syscalls, printing top 10... Ctrl+C to quit.\n"


def test_all_calls(workloads) -> None:
    """Everything that the process does: more calls than the default 10 rows, sorted."""
    watched = watch("syscount", ["-T", "100"], [CALLS, str(COUNT)], 1)
    assert_same(watched, MASKS, quiet=False)
    rows = table(watched, "c")
    by_number = {number: name for name, number in syscalls().items()}
    names = {by_number[key]: value["count"] for key, value in rows.items()}
    assert names["getpgid"] == names["access"] == COUNT
    assert names["execve"] == 1 and names["write"] == 1
    assert list(rows) == sorted(rows, key=lambda key: (-rows[key]["count"], key))


@pytest.mark.parametrize("top", [1, 3])
def test_top(workloads, top: int) -> None:
    watched = watch("syscount", ["-T", str(top)], [CALLS, str(COUNT)], 1, ["text"])
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    rows = same["text"].splitlines()[2:-1]
    # ties are shown in the order of the calls' numbers
    assert [row.split()[0] for row in rows[:2]] == [b"access", b"getpgid"][:top]
    assert len(rows) == top


def test_by_process(workloads) -> None:
    """-P: one row for the workload, one for the other program in its cgroup."""
    watched = watch("syscount", ["-P", "--syscall", "getpgid"], [CALLS, str(COUNT)], 1,
                    bystander=[CALLS, "7"])
    rows = assert_same(watched, MASKS, quiet=False)["text"].splitlines()[1:-1]
    assert rows[0] == b"%-6s %-15s %8s" % (b"PID", b"COMM", b"COUNT")
    assert rows[1] == b"%-6d %-15s %8d" % (watched.pid, b"calls", COUNT)
    assert re.fullmatch(rb"\d+ +calls +7", rows[2])
    assert table(watched, "c")[watched.pid]["comm"] == "calls"


def test_latency_by_process(workloads) -> None:
    """-P -L: which is the slower of the two, two observers may see differently."""
    watched = watch("syscount", ["-P", "-L", "--syscall", "getpgid"], [CALLS, str(COUNT)], 2,
                    bystander=[CALLS, "7"])
    for form in ("text", "csv"):
        c, bcc = [sorted(masked(watched.out(frontend, form), latency_masks("us")[form])
                         .splitlines()) for frontend in FRONTENDS]
        assert c == bcc, form
    rows = watched.results["c", "text"].lines()[1:-1]
    assert rows[0] == b"%-6s %-15s %8s %16s" % (b"PID", b"COMM", b"COUNT", b"TIME (us)")
    assert all(re.fullmatch(rb"\d+ +calls +(7|23) +[0-9.]+", row) for row in rows[1:])
    for frontend in FRONTENDS:
        found = table(watched, frontend)
        assert sorted(value["count"] for value in found.values()) == [7, COUNT]
        assert (found[watched.pid]["comm"], found[watched.pid]["count"]) == ("calls", COUNT)
        times = [value["ns"] for value in found.values()]
        assert times == sorted(times, reverse=True)


def latency_masks(unit: str) -> Masks:
    """The time column: its whole width, and its digits."""
    digits = {b"us": b"3", b"ms": b"6"}[unit.encode()]
    number = rb"\d+\.\d{" + digits + rb"}"
    return {"text": [TIME_LINE, (rb"(?= *" + number + rb"$)[ \d.]{16}$", b"%16s" % b"T")],
            "csv": [(rb"," + number + rb"$", b",T")],
            "json": [*MASKS["json"], (rb'"ns":[1-9]\d*', b'"ns":0')]}


def latencies(result: Result, scale: float) -> List[Tuple[str, float]]:
    """Names and nanoseconds of the rows of the text."""
    rows = [line.split() for line in result.lines()[2:-1]]
    return [(row[0].decode(), float(row[2]) * scale) for row in rows]


@pytest.mark.parametrize("unit, args", [("us", ["-L"]), ("ms", ["-L", "-m"])])
def test_latency(workloads, unit: str, args: List[str]) -> None:
    """-L: counts are exact, times of the right size, rows sorted by them."""
    masks = latency_masks(unit)
    watched = watch("syscount", [*args, "-e", "ENOENT"], [CALLS, str(COUNT)], 2)
    same = assert_same(watched, masks, quiet=False)
    head = b"%-22s %8s %16s" % (b"SYSCALL", b"COUNT", f"TIME ({unit})".encode())
    row = b"%-22s %8d %16s" % (b"access", COUNT, b"T")
    assert same["text"].splitlines() == [b"[TIME]", head, row, b""]
    for frontend in FRONTENDS:
        ((_, shown),) = latencies(watched.results[frontend, "text"],
                                  {"us": 1e3, "ms": 1e6}[unit])
        assert COUNT * 50 < shown < COUNT * 50e6
        (value,) = table(watched, frontend).values()
        assert COUNT * 50 < value["ns"] < COUNT * 50e6


def test_latency_of_all(workloads) -> None:
    """-L of all calls: the slowest first; which that is, two observers may see differently."""
    watched = watch("syscount", ["-L", "-T", "100"], [CALLS, str(COUNT)], 2, ["text"])
    rows = []
    for frontend in FRONTENDS:
        result = watched.results[frontend, "text"]
        times = [value for _, value in latencies(result, 1)]
        assert times == sorted(times, reverse=True)
        rows.append(sorted(masked(result.stdout, latency_masks("us")["text"]).splitlines()))
    assert rows[0] == rows[1]
    assert b"%-22s %8d %16s" % (b"getpgid", COUNT, b"T") in rows[0]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, prints, least_s", [
    (["-i", seconds(1), "--count", "3"], 3, 3), (["-d", seconds(2)], 1, 2),
    (["-i", seconds(2), "-d", seconds(3)], 2, 3)])
def test_intervals(workloads, args: List[str], prints: int, least_s: int) -> None:
    """Reports every so often, cleared between, until the run ends by itself."""
    began = time.monotonic()
    watched = watch("syscount", ["--syscall", "getpgid", *args], [CALLS, str(COUNT)], 1, ["text"],
                    end=None)
    assert (time.monotonic() - began) / SLOWNESS >= least_s
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    head = b"%-22s %8s" % (b"SYSCALL", b"COUNT")
    row = b"%-22s %8d" % (b"getpgid", COUNT)
    empty: List[bytes] = [b"[TIME]", head, b""]
    assert same["text"].splitlines() == [b"[TIME]", head, row, b"", *empty * (prints - 1)]


def test_list() -> None:
    """-l: the same list, in four columns of 22 bytes."""
    results = [run(frontend, "syscount", ["-l"]) for frontend in FRONTENDS]
    assert results[0] == results[1]
    assert results[0].status == 0
    words = results[0].stdout.decode().split()
    assert words == sorted(words) and sorted(syscalls()) == words
    # rows of four, as the stock tool has them
    assert results[0].stdout.decode() == "".join(
        "   ".join(f"{name:22}" for name in words[i:i + 4]) + "\n"
        for i in range(0, len(words), 4))


@pytest.mark.parametrize("args", [["--syscall", "getpgid"], ["-P", "--syscall", "getpgid"],
                                  ["-x", "-e", "ENOENT", "--format", "csv"]])
def test_command(workloads, args: Sequence[str]) -> None:
    """-- COMMAND: its calls alone."""
    shown = []
    for frontend in FRONTENDS:
        done = run(frontend, "syscount", [*args, "--", CALLS, str(COUNT)])
        assert done.status == 0
        pid, rest = re.match(rb"(?s)(\d+)\n(.*)", done.stdout).groups()
        shown.append(masked(rest.replace(b"%-6d " % int(pid), b"%-6s " % b"@"), MASKS["text"]))
    assert shown[0] == shown[1]
    assert re.search(rb"[ ,]%d$" % COUNT, shown[0], re.MULTILINE)
