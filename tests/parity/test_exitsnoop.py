# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""exitsnoop: every end of a process or thread, with its reason, in both frontends."""
from __future__ import annotations

import os
import re
import signal
import time
from typing import Dict, List

import pytest

from frontends import FRONTENDS, WORKLOADS, Held, Running, Watched, cgroup, run, watch
from parity.same import STAMP, Masks, assert_same, masked, rising

EXITS = str(WORKLOADS / "exits")
LEAVE = str(WORKLOADS / "leave")
# 23 ends with the workload's own, and 7 of threads
ENDS = ["0", "1", "7", "255", "-9", "-15", "-6", "-11", "-31", "t7", *["3"] * 12]
AGE = rb"\d+\.\d\d"
MASKS: Masks = {"text": [(rb"(?<= )" + AGE + rb" {3,}(?=0|code|signal)", b"AGE ")],
                "json": [STAMP, (rb'"age_ns":\d+', b'"age_ns":0')],
                "csv": [(b"," + AGE + b",", b",AGE,")]}


def words(status: int) -> str:
    """A wait status as the tool says it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"signal {number} ({signal.Signals(number).name[3:]})"
    return f"code {os.WEXITSTATUS(status)}" if status else "0"


def ends(watched: Watched, threads: bool = False) -> List[Dict[str, int]]:
    """What the workload says it did, and its own end."""
    rows = [{"pid": pid, "ppid": watched.pid, "tid": tid, "exit_code": status}
            for pid, tid, status in watched.said if threads or pid == tid]
    return [*rows, {"pid": watched.pid, "ppid": os.getpid(), "tid": watched.pid, "exit_code": 0}]


def text_line(end: Dict[str, int]) -> bytes:
    """A line of masked text."""
    return (f"{'exits':16} {end['pid']:<7} {end['ppid']:<7} {end['tid']:<7} "
            f"AGE {words(end['exit_code'])}").encode()


HEAD = b"%-16s %-7s %-7s %-7s %-7s %s" % (b"PCOMM", b"PID", b"PPID", b"TID", b"AGE(s)", b"EXIT_CODE")


@pytest.mark.parametrize("args", [[], ["--per-thread"], ["-x"], ["-x", "--per-thread"]])
def test_ends(workloads, args: List[str]) -> None:
    """Each end is one line, in the order of the ends."""
    watched = watch("exitsnoop", args, [EXITS, *ENDS], 1)
    same = assert_same(watched, MASKS)
    expected = [end for end in ends(watched, "--per-thread" in args)
                if end["exit_code"] or "-x" not in args]
    assert len(expected) == {0: 23, 1: 20}["-x" in args] + 7 * (args == ["--per-thread"])
    assert same["text"].splitlines() == [HEAD, *map(text_line, expected)]
    assert same["csv"].decode().splitlines() == [
        "comm,pid,ppid,tid,age_s,exit_code",
        *(f"exits,{end['pid']},{end['ppid']},{end['tid']},AGE,{words(end['exit_code'])}"
          for end in expected)]
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [{key: event[key] for key in end} for event, end in zip(events, expected)] == expected
        assert len(events) == len(expected) and {event["label"] for event in events} == {""}
        assert rising([event["ts"] for event in events])


FIRSTS = ["l3", "3", "l-6", "z7", "x5", "z0", "ol0"]     # 7 ends of processes


def first_ends(watched: Watched, threads: bool) -> List[Dict[str, int]]:
    """The ends of FIRSTS as the workload told them, or with ``threads`` those of each thread."""
    said, shown = iter(watched.said), []
    for how in FIRSTS:
        own = how[0] == "o"
        pid, tid, status = next(said)
        if tid != pid and not own:      # it was the second thread that told; now the parent does
            status = next(said)[2]
        end = {"pid": pid, "ppid": os.getpid() if own else watched.pid, "tid": pid}
        if not threads or how == "3":
            shown.append({**end, "exit_code": status})
        else:   # after exec() the second thread has the number of the first one
            shown += [{**end, "exit_code": 0}, {**end, "tid": tid, "exit_code": status}]
    return shown


@pytest.mark.parametrize("args", [[], ["-x"], ["--per-thread"], ["--per-thread", "-x"]])
def test_first_thread_ends_first(workloads, args: List[str]) -> None:
    """A process ends with its last thread, by its own status, age and name."""
    watched = watch("exitsnoop", args, [EXITS, *FIRSTS], 1)
    same = assert_same(watched, MASKS)
    threads = "--per-thread" in args
    expected = [end for end in first_ends(watched, threads) if end["exit_code"] or "-x" not in args]
    assert len(expected) == {"": 7, "-x": 5, "--per-thread": 13, "--per-thread -x": 5}[" ".join(args)]
    names = {end["tid"]: b"second" if end["tid"] != end["pid"] else b"exits" for end in expected}
    assert same["text"].splitlines() == [HEAD, *(
        text_line(end).replace(b"exits ", b"%-6b" % names[end["tid"]]) for end in expected)]
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [{key: event[key] for key in expected[0]} for event in events] == expected
        assert threads or all(event["age_ns"] >= 50_000_000 for event in events
                              if event["pid"] != expected[1]["pid"])


def test_last_threads_at_once(workloads) -> None:
    """One line for a process, whichever of its threads is the last one."""
    watched = watch("exitsnoop", [], [EXITS, *["r4"] * 599], 1, ["text"])
    lines = assert_same(watched, MASKS, ["text"])["text"].splitlines()
    assert lines[1:] == list(map(text_line, ends(watched))) and len(lines) == 601


@pytest.mark.parametrize("args, count", [
    (["--comm", "exits"], 2), (["--comm", "second"], 0), (["--tid", "{pid}"], 1), (["-p", "{pid}"], 1),
    (["--comm", "second", "--per-thread"], 2), (["--comm", "exits", "--per-thread"], 2)])
def test_filters_ask_the_process(workloads, args: List[str], count: int) -> None:
    """The last thread's name and number are not those of the process."""
    watched = watch("exitsnoop", args, [EXITS, "l3", "ol0"], 1, ["text"])
    assert len(assert_same(watched, MASKS, ["text"])["text"].splitlines()) == 1 + count


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}"], "own"), (["--tid", "{pid}"], "own"), (["-p", "{pid}", "--per-thread"], "own"),
    (["--comm", "exits"], "exits"), (["--comm", "leave"], "leave"), (["--uid", "1234"], "exits"),
    (["--uid", "0"], "leave"), (["-p", "1"], "none")])
def test_filters(workloads, args: List[str], shown: str) -> None:
    watched = watch("exitsnoop", args, [EXITS, "3", "t2"], 1, ["text"], bystander=[LEAVE], uid=1234)
    lines = assert_same(watched, MASKS, ["text"])["text"].splitlines()[1:]
    expected = list(map(text_line, ends(watched)))
    if shown == "leave":
        (line,) = lines
        assert re.fullmatch(rb"leave +(\d+) +%d +\1 +AGE 0" % os.getpid(), line)
    else:
        assert lines == {"own": expected[-1:], "exits": expected, "none": []}[shown]


@pytest.mark.parametrize("args, zone", [(["-t"], "local"), (["--utc"], "UTC"), (["-t", "--utc"], "UTC")])
def test_time(workloads, args: List[str], zone: str) -> None:
    """The time of the end, in the local zone, which has its name in the header, or in UTC."""
    env = {"TZ": "XYZ-5:30"}
    with cgroup() as group:
        tracers = [Running(frontend, "exitsnoop", ["--cgroup", str(group), *args], 1, env)
                   for frontend in FRONTENDS]
        held = Held(group, [EXITS])
        try:
            for tracer in tracers:
                tracer.wait_ready()
            before = time.time()
            held.go()
            after = time.time()
            outputs = [tracer.finish() for tracer in tracers]
        finally:
            for one in (*tracers, held):
                one.end()
    for output in outputs:
        head, line = output.lines()
        assert head == b"%-12s %b" % (b"TIME-" + (b"UTC" if zone == "UTC" else b"XYZ"), HEAD)
        shown = line.split()[0].decode()
        shift = 0 if zone == "UTC" else 5.5 * 3600
        low, high = (time.strftime("%H:%M:%S", time.gmtime(at + shift)) for at in (before, after))
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", shown)
        assert low <= shown[:8] <= high or high < low    # over midnight


def test_age(workloads) -> None:
    """From the fork to the end: at least as long as the workload knows it was there."""
    with cgroup() as group:
        tracers = [Running(frontend, "exitsnoop", ["--cgroup", str(group), "--format", "json"], 1)
                   for frontend in FRONTENDS]
        before = time.monotonic_ns()
        held = Held(group, [EXITS])
        begun = time.monotonic_ns()
        try:
            for tracer in tracers:
                tracer.wait_ready()
            ready = time.monotonic_ns()
            held.go()
            after = time.monotonic_ns()
            outputs = [tracer.finish() for tracer in tracers]
        finally:
            for one in (*tracers, held):
                one.end()
    for output in outputs:
        (event,) = [one["data"] for one in output.objects()]
        assert ready - begun <= event["age_ns"] <= after - before
        assert ready <= event["ts"] <= after


@pytest.mark.first_in_guests
@pytest.mark.parametrize("label", ["end", "x", "longer than its column", "a,\x01b", ""])
def test_label(workloads, label: str) -> None:
    watched = watch("exitsnoop", ["--label", label], [EXITS, "1"], 1)
    same = assert_same(watched, MASKS)
    shown = label.replace("\x01", "\\x01")
    lines = same["text"].splitlines()
    assert lines[0] == b"LABEL " + HEAD
    column = f"{shown:6}" + " " * (len(shown) > 6)
    assert lines[1:] == [column.encode() + text_line(end) for end in ends(watched)]
    quoted = f'"{shown}"' if "," in shown else shown
    assert all(line.startswith(quoted + ",exits,") for line in same["csv"].decode().splitlines()[1:])
    for frontend in FRONTENDS:
        events = [one["data"]["label"] for one in watched.results[frontend, "json"].objects()]
        assert events == [label] * 2


def test_label_too_long() -> None:
    for frontend in FRONTENDS:
        done = run(frontend, "exitsnoop", ["--label", "x" * 32])
        assert done.status == 2 and b"too long for '--label' (at most 31 bytes)" in done.stderr


def test_command(workloads) -> None:
    """-- COMMAND: its end too is shown."""
    shown = []
    for frontend in FRONTENDS:
        done = run(frontend, "exitsnoop", ["--", EXITS, "5"])
        lines = [line for line in done.lines() if line.startswith((b"PCOMM", b"exits"))]
        shown.append(masked(b"\n".join(lines), [*MASKS["text"], (rb"\b\d+ +(?=.*AGE)", b"N ")]))
    assert shown[0] == shown[1] == \
        HEAD + b"\n%-16s N N N AGE code 5\n%-16s N N N AGE 0" % (b"exits", b"exits")
