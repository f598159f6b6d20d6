# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""usdtsnoop: probes with none, some and many arguments, of every width."""
from __future__ import annotations

import os
from typing import List

import pytest

from frontends import FRONTENDS, WORKLOADS, run, watch
from parity.same import STAMP, assert_same, rising

BEACONS = str(WORKLOADS / "beacons")
COUNT = 23
WORKLOAD = [BEACONS, str(COUNT)]
MASKS = {"text": [(rb"^\d\d:\d\d:\d\d  ", b"TIME      ")], "json": [STAMP],
         "csv": [(rb"^\d\d:\d\d:\d\d,", b"TIME,")]}
HEAD = b"TIME      PID     COMM             ARGS        ARG1        ARG2        ARG3"
# By probe: how many arguments it has, and the three that are shown of the n-th call.
PROBES = {
    "none": (0, lambda n: (0, 0, 0)),
    "one": (1, lambda n: (n, 0, 0)),
    "narrow": (3, lambda n: (-n, 200, -30000)),
    "wide": (3, lambda n: (n << 40, -n << 40, 4000000000 + n)),
}


@pytest.mark.parametrize("probe", list(PROBES))
def test_arguments(workloads, probe: str) -> None:
    watched = watch("usdtsnoop", [f"{BEACONS}:beacons:{probe}"], WORKLOAD, 1)
    same = assert_same(watched, MASKS)
    arguments, values = PROBES[probe]
    shown = [values(n) for n in range(COUNT)]
    assert same["text"].splitlines() == [HEAD] + [
        b"TIME      %-7d beacons          %4d %11d %11d %11d" % (watched.pid, arguments, *three)
        for three in shown]
    assert same["csv"].decode().splitlines() == ["time,pid,comm,arguments,arg1,arg2,arg3"] + [
        f"TIME,{watched.pid},beacons,{arguments},{','.join(map(str, three))}" for three in shown]
    events = [one["data"] for one in watched.results["bcc", "json"].objects()]
    assert [(event["arguments"], event["arg1"], event["arg2"], event["arg3"])
            for event in events] == [(arguments, *three) for three in shown]
    assert rising([event["ts"] for event in events])


def test_string(workloads) -> None:
    """-s: what the argument points to, with hostile bytes, cut where a record ends."""
    watched = watch("usdtsnoop", ["-s", "2", f"{BEACONS}:beacons:named"], WORKLOAD, 1,
                    ["text", "json"])
    same = assert_same(watched, MASKS, ["text", "json"])
    texts = [b"plain", b"\\x1b[31m\\xff", b"", b"l" * 255 + "…".encode()]
    assert [line.split(b" ")[-1] for line in same["text"].splitlines()[1:]] == [
        texts[n % len(texts)] for n in range(COUNT)]
    assert same["text"].splitlines()[0] == HEAD + b" STRING"
    events = [one["data"] for one in watched.results["c", "json"].objects()]
    assert [event["string"][:5] for event in events[:4]] == ["plain", "\x1b[31m", "", "lllll"]
    assert [event["string_cut"] for event in events[:4]] == [False] * 3 + [True]
    assert [event["arg1"] for event in events] == list(range(COUNT))


@pytest.mark.parametrize("argument, probe", [("1", "one"), ("3", "none")])
def test_no_string(workloads, argument: str, probe: str) -> None:
    """A number that points nowhere, or an argument that is not there."""
    watched = watch("usdtsnoop", ["--string", argument, f"{BEACONS}:beacons:{probe}"], WORKLOAD, 1,
                    ["csv"])
    same = assert_same(watched, MASKS, ["csv"])
    assert [line.split(b",")[-2:] for line in same["csv"].splitlines()[1:]] == [[b"", b""]] * COUNT


def test_hex(workloads) -> None:
    watched = watch("usdtsnoop", ["-x", f"{BEACONS}:beacons:narrow"], WORKLOAD, 1, ["text", "csv"])
    same = assert_same(watched, MASKS, ["text", "csv"])
    words = [[f"{value & (1 << 64) - 1:#x}" for value in PROBES["narrow"][1](n)]
             for n in range(COUNT)]
    assert [line.split()[-3:] for line in same["text"].decode().splitlines()[1:]] == words
    assert [line.split(",")[-3:] for line in same["csv"].decode().splitlines()[1:]] == words


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, seen", [
    (["-p", "{pid}"], COUNT), (["--tid", "{pid}"], COUNT), (["--comm", "beacons"], COUNT + 5),
    (["--uid", "0"], COUNT + 5), (["-p", str(os.getpid())], 0), (["--comm", "other"], 0)])
def test_filters(workloads, args: List[str], seen: int) -> None:
    watched = watch("usdtsnoop", [*args, f"{BEACONS}:beacons:one"], WORKLOAD, 1, ["csv"],
                    bystander=[BEACONS, "5"])
    same = assert_same(watched, MASKS, ["csv"])
    assert len(same["csv"].splitlines()) == 1 + seen


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "usdtsnoop", ["--format", "csv", f"{BEACONS}:beacons:one", "--", *WORKLOAD])
    assert done.status == 0 and done.stderr == b""
    assert [line.split(b",")[4] for line in done.lines() if b"beacons" in line] == [
        b"%d" % n for n in range(COUNT)]


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("probe, sentence", [
    ("{}:beacons:missing", "there is no probe 'beacons:missing' in '{}', or no such file"),
    ("/bpfduet/missing:a:b", "there is no probe 'a:b' in '/bpfduet/missing', or no such file"),
    ("c:bpfduet:missing", "there is no probe 'bpfduet:missing' in 'c', or no such file"),
    ("{}", "'{}' is not BINARY:PROVIDER:PROBE"),
])
@pytest.mark.host_only
def test_no_probe(workloads, frontend: str, probe: str, sentence: str) -> None:
    done = run(frontend, "usdtsnoop", [probe.format(BEACONS)])
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr.decode().splitlines() == [
        line for line in done.stderr.decode().splitlines() if sentence.format(BEACONS) in line]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_usage(workloads, frontend: str) -> None:
    """The word without a dash must be there."""
    done = run(frontend, "usdtsnoop", ["--", "/bin/true"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usdtsnoop: no probe is given\n")
    done = run(frontend, "usdtsnoop", ["--help"])
    assert done.stdout.startswith(b"Usage: usdtsnoop [OPTIONS] PROBE [-- COMMAND [ARGUMENT...]]\n")
