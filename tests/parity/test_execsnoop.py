# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""execsnoop: both frontends against each other and against what the workload knows it did."""
from __future__ import annotations

import errno
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import pytest

from frontends import FORMATS, FRONTENDS, WORKLOADS, Watched, run, watch
from parity.same import STAMP, Masks, assert_same, csv_text, rising

PROGRAMS = 4
NOBODY = 65534
ARG_CHARS = 128
MARK = "…".encode()     # of arguments that are cut; where one has it, it is escaped
LEAVE = str(WORKLOADS / "leave")
EXECS = str(WORKLOADS / "execs")

# How, what, and its argv.
Exec = Tuple[str, str, List[str]]


@dataclass
class Event:
    """One event, as it must be shown."""

    pid: int
    ppid: int
    ret: int
    comm: str
    args: List[str]
    uid: int = 0
    cut: bool = False       # one of the arguments goes on
    missing: bool = False   # there were more


@dataclass
class Columns:
    """Which columns are shown beside the usual ones."""

    wall: bool = False
    elapsed: bool = False
    uid: bool = False
    quote: bool = False


def shown_args(program: str, argv: Sequence[str], most: int = 20) -> List[str]:
    """The strings that are shown: the file's name stands for argv[0]."""
    strings = [program, *argv[1:]]
    cut = [string[:ARG_CHARS] for string in strings[:most]]
    return cut + ["..."] * (len(strings) > most)


def lacks(program: str, argv: Sequence[str], most: int = 20) -> Dict[str, bool]:
    """What is not shown of them."""
    strings = [program, *argv[1:]]
    return {"cut": any(len(string) > ARG_CHARS for string in strings[:most]), "missing": len(strings) > most}


def groups(*execs: Exec) -> List[str]:
    """The command line of the workload."""
    words = [EXECS]
    for index, (mode, program, argv) in enumerate(execs):
        words += ["--"] * (index > 0) + [mode, program, *argv]
    return words


def mixed() -> List[Exec]:
    """22 children: ways to exec, failures, many and long arguments."""
    return [
        ("execve", LEAVE, ["leave"]),
        ("execve", LEAVE, ["other name", "a", "b c", "", 'quo"te']),
        ("execveat", LEAVE, ["leave", "-x", "--long=1"]),
        ("thread", LEAVE, ["leave", "from", "a", "thread"]),
        ("execve", "/bpfduet/missing", ["missing", "1"]),
        ("execveat", "/bpfduet/missing", ["missing", "2"]),
        ("execve", "/tmp", ["a folder"]),
        ("bad", LEAVE, ["unused"]),
        ("execve", LEAVE, ["leave", *[str(n) for n in range(1, 19)]]),     # 19 strings
        ("execve", LEAVE, ["leave", *[str(n) for n in range(1, 22)]]),     # 22 strings
        ("execve", LEAVE, ["leave", *["many"] * 100]),
        ("execve", LEAVE, ["leave", "y" * (ARG_CHARS - 1), "end"]),
        ("execve", LEAVE, ["leave", "z" * ARG_CHARS, "end"]),
        ("execve", LEAVE, ["leave", "w" * (ARG_CHARS + 1), "end"]),
        ("execve", LEAVE, ["leave", "v" * 5000, "end"]),
        ("execve", LEAVE, ["leave", *["u" * 300] * 30]),
        ("thread", "/bpfduet/missing", ["missing", "3"]),
        ("execve", LEAVE, ["leave", "\u00e9t\u00e9"]),
        *[("execve", LEAVE, ["leave", "again", str(n)]) for n in range(4)],
    ]


FAILURES = {"/bpfduet/missing": errno.ENOENT, "/tmp": errno.EACCES}


def expected(watched: Watched, execs: Sequence[Exec], most: int = 20, uid: int = 0) -> List[Event]:
    """The events: the workload's own exec, and those of its children."""
    events = [Event(watched.pid, os.getpid(), 0, "execs", shown_args(EXECS, groups(*execs), most),
                    uid, **lacks(EXECS, groups(*execs), most))]
    for (mode, program, argv), (pid, ppid) in zip(execs, watched.said):
        assert ppid == watched.pid
        error = FAILURES.get(program, errno.EFAULT if mode == "bad" else 0)
        argv = argv[:1] if mode == "bad" else argv
        events.append(Event(pid, ppid, -error, "execs" if error else "leave", shown_args(program, argv, most),
                            uid, **lacks(program, argv, most)))
    assert len(watched.said) == len(execs)
    return events


def text_of(args: Sequence[str], quote: bool) -> bytes:
    """Arguments as one text."""
    if quote:
        args = ['"' + arg.replace('"', '\\"') + '"' for arg in args]
    return " ".join(args).encode()


def as_text(events: Sequence[Event], show: Columns) -> bytes:
    """What the BCC tool of that name would print, its times masked."""
    out = (b"%-9s" % b"TIME" if show.wall else b"") + (b"%-8s" % b"TIME(s)" if show.elapsed else b"")
    out += (b"%-6s" % b"UID" if show.uid else b"")
    out += b"%-16s %-7s %-7s %3s %s\n" % (b"PCOMM", b"PID", b"PPID", b"RET", b"ARGS")
    for e in events:
        out += (b"WALL     " if show.wall else b"") + (b"ELAPSED " if show.elapsed else b"")
        out += b"%-6d" % e.uid if show.uid else b""
        out += b"%-16s %-7d %-7d %3d %s\n" % (e.comm.encode(), e.pid, e.ppid, e.ret,
                                            text_of(e.args, show.quote) + MARK * e.cut)
    return out


def as_csv(events: Sequence[Event], show: Columns) -> bytes:
    """The same in CSV."""
    names = ["time"] * show.wall + ["ts"] * show.elapsed + ["uid"] * show.uid
    out = ",".join(names + ["comm", "pid", "ppid", "ret", "args", "args_cut"]).encode() + b"\n"
    for e in events:
        values = [b"WALL"] * show.wall + [b"ELAPSED"] * show.elapsed + [b"%d" % e.uid] * show.uid
        values += [e.comm.encode(), b"%d" % e.pid, b"%d" % e.ppid, b"%d" % e.ret,
                   csv_text(text_of(e.args, show.quote)), MARK * e.cut]
        out += b",".join(values) + b"\n"
    return out


def as_json(events: Sequence[Event]) -> List[dict]:
    """The same as objects."""
    return [{"type": "event", "tool": "execsnoop", "data": {
        "ts": 0, "pid": e.pid, "ppid": e.ppid, "uid": e.uid, "ret": e.ret, "comm": e.comm,
        "args_cut": e.cut, "args_missing": e.missing, "args": e.args}} for e in events]


WALL = (rb"^\d\d:\d\d:\d\d ", b"WALL     ")
# BCC attaches as it loads, so an event may come before the run counts as started.
ELAPSED = (rb"^(WALL     |)(?=-?\d+\.\d{3} +)[-\d. ]{8}", rb"\1ELAPSED ")


def check(watched: Watched, events: Sequence[Event], show: Columns) -> None:
    """All outputs are the same, and those of these events."""
    formats = sorted({form for _, form in watched.results})
    masks: Masks = {"json": [STAMP], "text": [], "csv": []}
    if show.wall:
        masks["text"].append(WALL)
        masks["csv"].append((rb"^\d\d:\d\d:\d\d,", b"WALL,"))
    if show.elapsed:
        masks["text"].append(ELAPSED)
        masks["csv"].append((rb"^(WALL,|)-?\d+\.\d{3},", rb"\1ELAPSED,"))
    same = assert_same(watched, masks, formats)
    assert same["text"] == as_text(events, show)
    if "csv" in formats:
        assert same["csv"] == as_csv(events, show)
    if "json" in formats:
        assert [json.loads(line) for line in same["json"].splitlines()] == as_json(events)
    for frontend in FRONTENDS:
        lines = watched.results[frontend, "text"].lines()[1:]
        if show.elapsed:
            start = 9 * show.wall
            times = [float(line[start:start + 8]) for line in lines]
            assert rising(times) and -1 < times[0] and times[-1] < 60
        if show.wall:
            today = time.strftime("%Y-%m-%d ")
            walls = [time.mktime(time.strptime(today + line[:8].decode(), "%Y-%m-%d %H:%M:%S"))
                     for line in lines]
            assert rising(walls) and all(abs(time.time() - wall) < 60 for wall in walls)


@pytest.mark.parametrize("args, keep, show", [
    ("", lambda e: e.ret == 0, Columns()),
    ("-x", lambda e: True, Columns()),
    ("-x -q -U", lambda e: True, Columns(uid=True, quote=True)),
    ("-T -t -U", lambda e: e.ret == 0, Columns(wall=True, elapsed=True, uid=True)),
    ("-T", lambda e: e.ret == 0, Columns(wall=True)),
    ("-x -t", lambda e: True, Columns(elapsed=True)),
    ("-n ^le.*e$", lambda e: e.comm == "leave" and e.ret == 0, Columns()),
    ("-x -n exec", lambda e: e.comm == "execs", Columns()),
    ("-l again.[13]", lambda e: re.search("again.[13]", " ".join(e.args)), Columns()),
    ("-l end$ -q", lambda e: e.args[-1] == "end", Columns(quote=True)),
    ("-P {pid}", lambda e: e.comm == "leave" and e.ret == 0, Columns()),
    ("-P 1", lambda e: False, Columns()),
    ("-u 0", lambda e: e.ret == 0, Columns()),
    ("-u nobody -x", lambda e: False, Columns()),
    ("-b 512", None, Columns()),
])
def test_options(workloads: Path, args: str, keep: Optional[Callable[[Event], object]],
                 show: Columns) -> None:
    assert workloads == WORKLOADS
    if keep is None:    # the common option by its long name
        args, keep = "--buffer-pages 512", lambda e: e.ret == 0
    formats = FORMATS if show != Columns() or not args else ("text",)
    execs = mixed()
    watched = watch("execsnoop", args.split(), groups(*execs), PROGRAMS, formats)
    events = expected(watched, execs)
    assert len(events) == 23
    check(watched, [event for event in events if keep(event)], show)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("most", [1, 2, 19, 21, 64])
def test_max_args(workloads: Path, most: int) -> None:
    """As many strings as asked for, and dots if there are more."""
    execs: List[Exec] = [("execve", LEAVE, ["leave", *["a"] * (most + more)])
                         for more in (-2, -1, 0, 1) if most + more >= 0]
    watched = watch("execsnoop", ["--max-args", str(most)], groups(*execs), PROGRAMS, ["text"])
    check(watched, expected(watched, execs, most), Columns())


def test_user(workloads: Path) -> None:
    """-u: another user's process in the same cgroup is left out. The first exec already is the
    user's own."""
    execs = mixed()
    watched = watch("execsnoop", ["-u", "nobody", "-U", "-x"], groups(*execs), PROGRAMS, ["text"],
                    uid=NOBODY, bystander=[LEAVE, "as", "root"])
    check(watched, expected(watched, execs, uid=NOBODY), Columns(uid=True))


def test_by_descriptor(workloads: Path) -> None:
    """execveat() with an empty name: its place is kept, the arguments stay where they are."""
    execs: List[Exec] = [("fexec", LEAVE, ["leave", "a", "b"]), ("fexec", LEAVE, ["leave"])]
    watched = watch("execsnoop", [], groups(*execs), PROGRAMS)
    events = expected(watched, execs)
    seen = watched.results["c", "json"].objects()[1:]
    for event, found, args in zip(events[1:], seen, (["", "a", "b"], [])):
        event.args = args
        # older kernels name such a process after the descriptor
        assert found["data"]["comm"] == "leave" or found["data"]["comm"].isdigit()
        event.comm = found["data"]["comm"]
    check(watched, events, Columns())


def test_odd_arguments(workloads: Path) -> None:
    """Control bytes and bad UTF-8 of arguments and names are escaped."""
    odd = os.fsdecode(b"\x1b[2J\xff\n\t")
    execs: List[Exec] = [("execve", LEAVE, ["leave", odd, 'a,"b"', "\\"])]
    watched = watch("execsnoop", ["-l", "2J"], groups(*execs), PROGRAMS)
    same = assert_same(watched, {"json": [STAMP]})
    pid, ppid = watched.said[0]
    args = LEAVE.encode() + rb' \x1b[2J\xff\x0a\x09 a,"b" ' + b"\\"
    line = b"%-16s %-7d %-7d %3d %s" % (b"leave", pid, ppid, 0, args)
    assert same["text"].splitlines()[2:] == [line]
    csv = b"leave,%d,%d,0,%s," % (pid, ppid, csv_text(args))
    assert same["csv"].splitlines()[2:] == [csv]
    found = watched.results["c", "json"].objects()[1]["data"]["args"]
    assert found == [LEAVE, "\x1b[2J\\xff\n\t", 'a,"b"', "\\"]


@pytest.mark.parametrize("quote", [False, True])
def test_command(workloads: Path, quote: bool) -> None:
    """-- COMMAND: its own exec is the first event, its parent the tool."""
    execs = [one for one in mixed() if one[0] != "bad"]
    outputs = []
    for frontend in FRONTENDS:
        done = run(frontend, "execsnoop", ["-x", *["-q"] * quote, "--", *groups(*execs)])
        assert done.status == 0 and done.stderr == b""
        said = [line for line in done.stdout.splitlines() if re.fullmatch(rb"\d+ \d+", line)]
        shown = [line for line in done.stdout.splitlines(keepends=True)
                 if not re.fullmatch(rb"\d+ \d+\n", line)]
        first = shown[1].split()
        watched = Watched(int(first[1]), [[int(n) for n in line.split()] for line in said],
                          Path(), {})
        events = expected(watched, execs)
        events[0].ppid = int(first[2])
        assert b"".join(shown) == as_text(events, Columns(quote=quote))
        outputs.append([re.sub(rb"^(.{16}) .{7} .{7}", rb"\1 PID     PPID   ", line)
                        for line in shown])
    assert outputs[0] == outputs[1]
