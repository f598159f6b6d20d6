# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""gethostlatency: lookups of known names through the C library."""
from __future__ import annotations

import os
import re
import sys
from typing import List, Tuple

import pytest

from frontends import FRONTENDS, ROOT, Argument, run, watch
from parity.same import STAMP, assert_same, csv_text, rising

PROGRAM: List[Argument] = [sys.executable, "-IS", str(ROOT / "tests" / "workload" / "lookups.py")]
PROGRAMS = 6
COMM = os.path.basename(sys.executable).encode()[:15]
LOOKUPS: List[Tuple[str, bytes]] = [
    *[("getaddrinfo", b"127.0.0.%d" % n) for n in range(7)],
    *[("gethostbyname", b"10.1.2.%d" % n) for n in range(5)],
    *[("gethostbyname2", b"::%d" % n) for n in range(3)],
    ("nobody", b""), ("getaddrinfo", b""), ("getaddrinfo", b'a,"b"'), ("getaddrinfo", b"\xff\xfe"),
    ("getaddrinfo", "größe".encode()), ("getaddrinfo", b"\x1b[31m"), ("nobody", b""),
    ("getaddrinfo", b"x" * 255), ("getaddrinfo", b"z" * 256), ("getaddrinfo", b"y" * 300), ("getaddrinfo", b"::1"),
]
ROOM = 255
MARK = "…".encode()     # of a name that is cut
MASKS = {"text": [(rb"^\d\d:\d\d:\d\d  (\d+ +\S+ +?)(?= {0,9}\d+\.\d\d )[ \d.]{10} ",
                   rb"TIME      \1     LATms ")],
         "json": [STAMP, (rb'"delta_ns":[1-9]\d*', b'"delta_ns":0')],
         "csv": [(rb"^\d\d:\d\d:\d\d,(\d+,\S+?),\d+\.\d\d,", rb"TIME,\1,LAT,")]}


def workload(lookups: List[Tuple[str, bytes]]) -> List[Argument]:
    return PROGRAM + [word for lookup in lookups for word in lookup]


def names() -> List[bytes]:
    return [host[:ROOM] for call, host in LOOKUPS if call != "nobody"]


def cuts() -> List[bool]:
    return [len(host) > ROOM for call, host in LOOKUPS if call != "nobody"]


def shown(host: bytes) -> bytes:
    """A name as text shows it."""
    return host.replace(b"\xff\xfe", b"\\xff\\xfe").replace(b"\x1b", b"\\x1b")


def test_lookups(workloads) -> None:
    watched = watch("gethostlatency", [], workload(LOOKUPS), PROGRAMS)
    same = assert_same(watched, MASKS)
    head = b"%-7d %-16b " % (watched.pid, COMM)
    assert same["text"].splitlines() == [
        b"TIME      PID     COMM                  LATms HOST",
        *[b"TIME      " + head + b"     LATms " + shown(host) + MARK * cut for host, cut in zip(names(), cuts())]]
    assert same["csv"].splitlines() == [b"time,pid,comm,latency_ms,host,host_cut"] + [
        b"TIME,%d,%b,LAT,%b,%b" % (watched.pid, COMM, csv_text(shown(host)), MARK * cut)
        for host, cut in zip(names(), cuts())]
    (pid,), *took = watched.said
    assert pid == watched.pid
    longest = [ns for (ns,), (call, _) in zip(took, LOOKUPS) if call != "nobody"]
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [event["host"] for event in events] == [
            host.decode(errors="backslashreplace") for host in names()]
        assert [event["host_cut"] for event in events] == cuts() and sum(cuts()) == 2
        assert rising([event["ts"] for event in events])
        assert all(0 < event["delta_ns"] < ns for event, ns in zip(events, longest))
        latencies = re.findall(r" (\d+\.\d\d) ", watched.out(frontend).decode(errors="replace"))
        assert len(latencies) == len(longest)
        assert all(float(shown_ms) <= ns / 1e6 + 0.005 for shown_ms, ns in zip(latencies, longest))


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, seen", [
    (["-p", "{pid}"], 1), (["--pid", "{pid}"], 1), (["--tid", "{pid}"], 1),
    (["--comm", COMM.decode()], 2), (["-p", str(os.getpid())], 0), (["--comm", "other"], 0)])
def test_filters(workloads, args: List[str], seen: int) -> None:
    watched = watch("gethostlatency", args, workload([("getaddrinfo", b"127.0.0.1")]), PROGRAMS,
                    ["csv"], bystander=workload([("gethostbyname", b"127.0.0.2")]))
    same = assert_same(watched, MASKS, ["csv"])
    assert [line.split(b",")[-2] for line in same["csv"].splitlines()[1:]] == [
        b"127.0.0.2", b"127.0.0.1"][2 - seen:]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    """By the system's own files: localhost needs no name server."""
    done = run(frontend, "gethostlatency", ["--", "getent", "ahosts", "localhost"])
    assert done.status == 0 and done.stderr == b""
    assert re.fullmatch(rb"TIME .*\n\d\d:\d\d:\d\d +\d+ +getent +\d+\.\d\d localhost\n",
                        b"".join(line + b"\n" for line in done.lines() if b"LATms" in line
                                 or b"getent" in line))
