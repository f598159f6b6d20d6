# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""tcpconnect: connections to the loopback interface of a network of the tests' own."""
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from frontends import FRONTENDS, WORKLOADS, Watched, run, watch
from needs import NEEDS
from parity.by_kprobes import by_kprobes
from parity.network import own_network
from parity.pinned import filling, pinned_map  # noqa: F401  # pylint: disable=unused-import
from parity.same import STAMP, Masks, assert_same, masked, rising

CONNECTS = str(WORKLOADS / "connects")
# 23 connects of which a SYN was sent
STEPS = [("4", 2, 5), ("6", 3, 7), ("nowhere", 4, 3), ("mapped", 5, 3), ("4", 65535, 2),
         ("6", 2, 5), ("4", 2, 1)]
WORKLOAD = [CONNECTS, *[str(word) for step in STEPS for word in step]]
ADDRESSES = {"4": ("127.0.0.1", "127.0.0.2"), "6": ("::1", "::1")}
MAPPED = ("127.0.0.1", "127.0.0.3")
BANNER = b"Tracing connect ... Hit Ctrl-C to end\n"
NO_KPROBES = b"tcpconnect: this kernel has no kprobes, which this tool needs (for tcp_v4_connect)\n"


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


class Connect:
    """One that the workload began."""

    def __init__(self, pid: int, kind: str, ip: int, lport: int, dport: int):
        self.pid, self.ip, self.lport, self.dport = pid, ip, lport, dport
        self.saddr, self.daddr = MAPPED if kind == "mapped" else ADDRESSES[kind]


def connects(watched: Watched) -> List[Connect]:
    """What the workload says it did."""
    kinds = [kind for kind, _, count in STEPS if kind != "nowhere" for _ in range(count)]
    assert len(kinds) == len(watched.said) == 23
    return [Connect(watched.pid, kind, *said) for kind, said in zip(kinds, watched.said)]


def text_line(c: Connect, lport: bool = False, uid: str = "") -> bytes:
    local = f"{c.lport:<6} " if lport else ""
    return f"{uid}{c.pid:<7} {'connects':12} {c.ip:<2} {c.saddr:16} {local}{c.daddr:16} " \
           f"{c.dport}".encode()


HEAD = b"PID     COMM         IP SADDR            DADDR            DPORT"
SECONDS = (rb"^-?\d+\.\d{3} +", b"SECONDS ")
MASKS: Masks = {"json": [STAMP]}


@pytest.mark.needs("kprobes")
def test_events(workloads, tmp_path: Path) -> None:
    """Each connect once, by fentry and by kprobes."""
    older = by_kprobes("tcpconnect", [], 4, tmp_path)
    watched = watch("tcpconnect", [], WORKLOAD, 2, others={"kprobes": older})
    same = assert_same(watched, MASKS, quiet=False)
    wanted = connects(watched)
    assert same["text"].splitlines() == [HEAD, *map(text_line, wanted)]
    assert watched.out("kprobes") == same["text"]
    assert same["csv"].decode().splitlines() == [
        "pid,comm,ip,saddr,daddr,dport",
        *[f"{c.pid},connects,{c.ip},{c.saddr},{c.daddr},{c.dport}" for c in wanted]]
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert rising([event.pop("ts") for event in events])
        assert events == [{
            "pid": c.pid, "uid": 0, "ip": c.ip, "saddr": c.saddr, "daddr": c.daddr,
            "lport": c.lport, "dport": c.dport, "comm": "connects"} for c in wanted]
    assert watched.results["c", "text"].stderr == BANNER


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, keep", [
    ("-4", lambda c: c.ip == 4), ("-6", lambda c: c.ip == 6), ("-6 -4", lambda c: c.ip == 4),
    ("-P 2", lambda c: c.dport == 2), ("-P 3,65535,80", lambda c: c.dport in (3, 65535)),
    ("-p {pid}", lambda c: True), ("-p 1", lambda c: False), ("-u 0", lambda c: True),
    ("-u nobody", lambda c: False), ("--comm connects", lambda c: True)])
def test_filters(workloads, tmp_path: Path, args: str, keep: Callable[[Connect], bool]) -> None:
    older = by_kprobes("tcpconnect", args.split(), 4, tmp_path)
    watched = watch("tcpconnect", args.split(), WORKLOAD, 2, ["text"], others={"kprobes": older})
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    assert same["text"].splitlines() == [HEAD, *map(text_line, filter(keep, connects(watched)))]
    assert watched.out("kprobes") == same["text"]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("option", ["--cgroupmap", "--mntnsmap"])
@pytest.mark.parametrize("inside", [True, False])
def test_pinned(workloads, pinned: Path, option: str, inside: bool) -> None:
    watched = watch("tcpconnect", [option, str(pinned)], WORKLOAD, 2, ["text"],
                    prepare=filling(pinned, option, inside))
    same = assert_same(watched, MASKS, ["text"], quiet=False)
    wanted = connects(watched) if inside else []
    assert same["text"].splitlines() == [HEAD, *map(text_line, wanted)]


@pytest.mark.needs("kprobes")
def test_columns(workloads) -> None:
    """-t, -U and -L."""
    watched = watch("tcpconnect", ["-t", "-U", "-L"], WORKLOAD, 2, ["text", "csv"])
    for frontend in FRONTENDS:
        head, *lines = watched.results[frontend, "text"].lines()
        assert head == b"TIME(s)  UID   " + HEAD.replace(b"DADDR", b"LPORT  DADDR")
        assert lines[0].startswith(b"0.000    ")
        assert rising([float(line[:9]) for line in lines])
        assert [line[9:] for line in lines] == \
            [text_line(c, True, "0     ") for c in connects(watched)]
    csv = masked(watched.out("c", "csv"), [(rb"^-?\d+\.\d{3},", b"SECONDS,")])
    assert csv == masked(watched.out("bcc", "csv"), [(rb"^-?\d+\.\d{3},", b"SECONDS,")])
    assert csv.splitlines()[0] == b"ts,uid,pid,comm,ip,saddr,lport,daddr,dport"


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args", ["-c", "-c -P 2,5", "-c -4"])
def test_count(workloads, tmp_path: Path, args: str) -> None:
    """Flows by number; the filters hold for them too."""
    older = by_kprobes("tcpconnect", args.split(), 4, tmp_path)
    watched = watch("tcpconnect", args.split(), WORKLOAD, 2, others={"kprobes": older})
    same = assert_same(watched, {}, quiet=False)
    flows = Counter((c.saddr, c.daddr, c.dport) for c in connects(watched)
                    if not ("-P" in args and c.dport not in (2, 5)) and not ("-4" in args and c.ip == 6))
    head, *rows = [line.split() for line in same["text"].decode().splitlines()[1:]]
    assert same["text"].startswith(b"\n") and head == ["LADDR", "RADDR", "RPORT", "CONNECTS"]
    numbers = [int(row[3]) for row in rows]
    assert rising(numbers[::-1])
    assert {(saddr, daddr, int(port)): int(count) for saddr, daddr, port, count in rows} == flows
    assert len(rows) == len(flows) == {"-c": 5, "-c -P 2,5": 3, "-c -4": 3}[args]
    assert watched.out("kprobes") == same["text"]
    assert re.match(rb"\n%-25s %-25s %-20s CONNECTS\n" % (b"LADDR", b"RADDR", b"RPORT"),
                    same["text"])
    lines = same["csv"].decode().splitlines()
    assert lines[0] == "saddr,daddr,dport,connects"
    assert [line.split(",") for line in lines[1:]] == rows
    (report,) = watched.results["bcc", "json"].objects()
    assert [[row["key"]["saddr"], row["key"]["daddr"], str(row["key"]["dport"]), str(row["value"])]
            for row in report["data"]] == rows


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    done = run(frontend, "tcpconnect", ["-P", "80", "--", CONNECTS, "4", "80", "2", "6", "81", "1"])
    assert done.status == 0 and done.stderr == BANNER
    lines = [line for line in done.stdout.splitlines() if line.split()[1] == b"connects"]
    assert len(lines) == 2 and all(line.endswith(b" 127.0.0.2        80") for line in lines)


@pytest.mark.host_only
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("ports, sentence", [
    ("65536", "'65536' is out of range for '--port' (0 to 65535)"),
    ("80,", "'80,' is no list of numbers for '--port'")])
def test_no_ports(frontend: str, ports: str, sentence: str) -> None:
    done = run(frontend, "tcpconnect", ["-P", ports])
    assert done.status == 2 and done.stderr.decode().splitlines()[0] == f"tcpconnect: {sentence}"


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """Without kprobes and trampolines: one sentence."""
    done = run(frontend, "tcpconnect", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stderr == BANNER
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_KPROBES)
