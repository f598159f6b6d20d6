# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bashreadline: a bash on a terminal of its own, and known lines typed into it."""
from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import List

import pytest

from frontends import FRONTENDS, WORKLOADS, run, watch
from parity.same import STAMP, assert_same, csv_text, rising

TYPIST = str(WORKLOADS / "typist")
QUOTE = b"\x16"     # Ctrl-V: the next byte is taken as it is
LINES = [b": %d" % number for number in range(13)] + [
    b"", b"  : 'two  blanks' ", b': "a,b"', ": café 漢字".encode(), b": \xff\xfe broken",
    b": " + QUOTE + b"\x1b[31m red", b": " + QUOTE + b"\x07" + QUOTE + b"\x7f", b": \\n $HOME # %s",
    b": " + b"x" * 253, b": " + b"z" * 254, b": " + b"y" * 298]
ROOM = 255
MARK = "…".encode()     # of a line that is cut
MASKS = {"text": [(rb"^\d\d:\d\d:\d\d  ", b"TIME      ")], "json": [STAMP],
         "csv": [(rb"^\d\d:\d\d:\d\d,", b"TIME,")]}


def kept() -> List[bytes]:
    """What bash gets of the lines, as far as a record holds it."""
    return [line.replace(QUOTE, b"")[:ROOM] for line in LINES]


def marks() -> List[bytes]:
    """What is behind each."""
    return [MARK * (len(line.replace(QUOTE, b"")) > ROOM) for line in LINES]


def shown(line: bytes) -> bytes:
    """A line as text shows it."""
    return re.sub(rb"\\udc([89a-f][0-9a-f])|([\x00-\x1f\x7f])",
                  lambda m: b"\\x" + (m[1] or b"%02x" % m[2][0]),
                  line.decode(errors="surrogateescape").encode(errors="backslashreplace"))


def test_lines(workloads) -> None:
    before = int(time.time())
    watched = watch("bashreadline", [], [TYPIST, "/bin/bash", *LINES], 1)
    same = assert_same(watched, MASKS)
    shell = watched.pid
    assert same["text"].splitlines() == [b"TIME      PID     COMMAND"] + [
        b"TIME      %-7d %b%b" % (shell, shown(line), mark) for line, mark in zip(kept(), marks())]
    assert same["csv"].splitlines() == [b"time,pid,command,line_cut"] + [
        b"TIME,%d,%b,%b" % (shell, csv_text(shown(line)), mark) for line, mark in zip(kept(), marks())]
    events = [one["data"] for one in watched.results["c", "json"].objects()]
    assert [(event["pid"], event["line"]) for event in events] == [
        (shell, re.sub(r"[\udc80-\udcff]", lambda m: f"\\x{ord(m[0]) - 0xdc00:02x}",
                       line.decode(errors="surrogateescape"))) for line in kept()]
    assert [event["line_cut"] for event in events] == [False] * (len(LINES) - 2) + [True] * 2
    assert rising([event["ts"] for event in events])
    clock = [time.strftime("%H:%M:%S", time.localtime(now)).encode()
             for now in range(before, int(time.time()) + 2)]
    for frontend in FRONTENDS:
        times = [line.split()[0] for line in watched.out(frontend).splitlines()[1:]]
        assert set(times) <= set(clock) and times == sorted(times, key=clock.index)


@pytest.mark.parametrize("name, lines", [("bash", 2), ("dash", 0), ("bashful", 0)])
def test_shared(workloads, tmp_path: Path, name: str, lines: int) -> None:
    """-s: readline() of another file, and only in programs with the name bash."""
    shell = shutil.copy("/bin/bash", tmp_path / name)
    watched = watch("bashreadline", ["-s", str(shell)], [TYPIST, str(shell), ": a", ": b"], 1,
                    ["text"], bystander=[TYPIST, "/bin/bash", ": other file"])
    same = assert_same(watched, MASKS, ["text"])
    assert [line.split(b" : ")[-1] for line in same["text"].splitlines()[1:]] == \
        [b"a", b"b"][:lines]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, lines", [
    (["-p", "{pid}"], 2), (["--tid", "{pid}"], 2), (["--comm", "bash"], 3), (["--uid", "0"], 3),
    (["-p", str(os.getpid())], 0), (["--comm", "typist"], 0)])
def test_filters(workloads, args: List[str], lines: int) -> None:
    watched = watch("bashreadline", args, [TYPIST, "/bin/bash", ": a", ": b"], 1, ["text"],
                    bystander=[TYPIST, "/bin/bash", ": other"])
    same = assert_same(watched, MASKS, ["text"])
    assert [line.split(b" : ")[-1] for line in same["text"].splitlines()[1:]] == \
        [b"other", b"a", b"b"][3 - lines:]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "bashreadline", ["--format", "csv", "--uid", str(os.getuid()), "--", TYPIST,
                                          "/bin/bash", *LINES[:7]])
    assert done.status == 0 and done.stderr == b""
    assert [line.split(b",")[2] for line in done.lines() if b": " in line] == LINES[:7]


@pytest.mark.host_only
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("binary", ["/bpfduet/missing", "/bin/true", "libbpfduet.so.1"])
def test_no_readline(tracefs, frontend: str, binary: str) -> None:
    done = run(frontend, "bashreadline", ["-s", binary])
    assert done.status == 1 and done.stdout == b""
    assert len(done.stderr.splitlines()) == 1 and binary.encode() in done.stderr
