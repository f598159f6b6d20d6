# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""tcplife: both ends of every connection, whose they are and how much went each way."""
from __future__ import annotations

import re
import time
from typing import Any, Dict, Iterable, Iterator, List

import pytest

from frontends import FRONTENDS, WORKLOADS, Watched, run, watch
from parity.network import own_network
from parity.same import STAMP, Masks, assert_same, masked, rising

pytestmark = pytest.mark.needs("netns")
TRANSFER = str(WORKLOADS / "transfer")
COUNT, UP, DOWN = 11, 500 * 1024, 23 * 1024
CLIENT, SERVER = "a-long-client", "transfer"
LOOPBACK = {"4": "127.0.0.1", "p": "127.0.0.1", "6": "::1", "m": "127.0.0.1"}
MS = rb"\d+\.\d\d"
MASKS: Masks = {
    "text": [(MS + rb"$", b"MS"), (rb"^\d\d:\d\d:\d\d ", b"WALL     "),
             (rb"(?<![\d.])\d+\.\d{6} +(?=\d+ )", b"TIME      ")],
    "csv": [(MS + rb"$", b"MS"), (rb"^\d\d:\d\d:\d\d,", b"WALL,"),
            (rb"(?<![\d.])\d+\.\d{6},", b"TIME,")],
    "json": [STAMP, (rb'"span_ns":\d+', b'"span_ns":0')]}


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with own_network():
        yield


def transfer(kind: str = "4", *who: str) -> List[str]:
    """The workload's command line."""
    return [TRANSFER, kind, str(COUNT), str(UP), str(DOWN), *who]


def ends(watched: Watched, kind: str = "4") -> List[Dict[str, Any]]:
    """Both ends of each connection, the client's first."""
    found = []
    for server, client, server_port, client_port in watched.said:
        common = {"ip": 4 if kind in "4p" else 6, "laddr": LOOPBACK[kind], "raddr": LOOPBACK[kind]}
        found += [{**common, "pid": client, "comm": CLIENT, "lport": client_port,
                   "rport": server_port, "tx_kb": UP // 1024, "rx_kb": DOWN // 1024},
                  {**common, "pid": server, "comm": SERVER, "lport": server_port,
                   "rport": client_port, "tx_kb": DOWN // 1024, "rx_kb": UP // 1024}]
    return found


def ordered(rows: Iterable[Any]) -> List[Any]:
    """Ends of connections in one order. The kernel's may differ: it sends the last ACK before it
    closes the end that this is from, and a busy CPU may take it in later than it begins another
    connection."""
    return sorted(rows, key=str)


HEAD = b"%-5s %-10s %-15s %-5s %-15s %-5s %5s %5s %s" % (
    b"PID", b"COMM", b"LADDR", b"LPORT", b"RADDR", b"RPORT", b"TX_KB", b"RX_KB", b"MS")


def line(end: Dict[str, Any]) -> bytes:
    """A line of masked text."""
    return ("{pid:<5} {comm:<10.10} {laddr:<15} {lport:<5} {raddr:<15} {rport:<5} {tx_kb:>5} "
            "{rx_kb:>5} MS").format(**end).encode()


@pytest.mark.parametrize("kind", ["4", "6", "m"])
def test_connections(workloads, kind: str) -> None:
    watched = watch("tcplife", [], transfer(kind), 1)
    same = assert_same(watched, MASKS)
    expected = ends(watched, kind)
    assert len(expected) == 2 * COUNT
    head, *rows = same["text"].splitlines()
    assert head == HEAD
    assert ordered(rows) == ordered(map(line, expected))
    head, *rows = same["csv"].splitlines()
    assert head == b"PID,COMM,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS"
    assert ordered(rows) == ordered(
        "{pid},{comm},{laddr},{lport},{raddr},{rport},{tx_kb},{rx_kb},MS".format(**end).encode()
        for end in expected)
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert ordered({key: event[key] for key in expected[0]} for event in events) == \
            ordered(expected)
        assert rising([event["ts"] for event in events])
        for event in events:    # SYN and FIN count for one byte each
            assert 0 <= event["tx_bytes"] - event["tx_kb"] * 1024 <= 2
            assert 0 <= event["rx_bytes"] - event["rx_kb"] * 1024 <= 2


def test_server_first(workloads) -> None:
    """Who closes first owns the connection too, where BCC's tool takes whoever is running."""
    watched = watch("tcplife", [], transfer("4", "server"), 1)
    same = assert_same(watched, MASKS)
    assert ordered(same["text"].splitlines()[1:]) == ordered(map(line, ends(watched)))


@pytest.mark.parametrize("first", ["client", "server"])
@pytest.mark.parametrize("args, owners", [
    ([], [CLIENT, SERVER]), (["--comm", SERVER], [SERVER]), (["-p", "{pid}"], [SERVER]),
    (["--comm", CLIENT], [CLIENT])])
def test_mptcp(workloads, args: List[str], owners: List[str], first: str) -> None:
    """Its sockets are closed by a worker of the kernel, and are those of who closed the connection.
    How much a socket carried is MPTCP's business: it may send again what is on its way."""
    watched = watch("tcplife", args, transfer("p", first), 1, ["text"])
    lines = assert_same(watched, MASKS, ["text"])["text"].splitlines()[1:]
    expected = [line(end) for end in ends(watched, "p") if end["comm"] in owners]
    assert len(expected) == COUNT * len(owners)
    assert ordered(row.rsplit(None, 3)[0] for row in lines) == \
        ordered(row.rsplit(None, 3)[0] for row in expected)


@pytest.mark.parametrize("args, owners", [
    ([], [CLIENT, SERVER]), (["--comm", SERVER], [SERVER]), (["-p", "{pid}"], [SERVER]),
    (["--comm", CLIENT], [CLIENT])])
def test_reset(workloads, args: List[str], owners: List[str]) -> None:
    """The client's end is closed under the server, by its reset; it is the client's all the same,
    and with the client not the server's."""
    watched = watch("tcplife", args, transfer("4", "reset"), 1, ["text"])
    lines = assert_same(watched, MASKS, ["text"])["text"].splitlines()[1:]
    expected = [end for end in ends(watched) if end["comm"] in owners]
    assert len(expected) == COUNT * len(owners)
    assert ordered(lines) == ordered(map(line, expected))


@pytest.mark.parametrize("args, kinds", [
    (["-4"], "4"), (["-6"], "6m"), (["-4", "-6"], "6m")])
def test_families(workloads, args: List[str], kinds: str) -> None:
    """-4, -6: by the socket's family."""
    for kind in "46m":
        watched = watch("tcplife", args, transfer(kind), 1, ["text"])
        lines = assert_same(watched, MASKS, ["text"])["text"].splitlines()[1:]
        assert ordered(lines) == (ordered(map(line, ends(watched, kind))) if kind in kinds else [])


@pytest.mark.parametrize("option, field", [("-L", "lport"), ("-D", "rport")])
def test_ports(workloads, option: str, field: str) -> None:
    """The server's port as the local or the remote one: fixed beforehand."""
    watched = watch("tcplife", [option, "4711,80"], [TRANSFER, "4", str(COUNT), str(UP), str(DOWN),
                                                     "client", "4711"], 1)
    same = assert_same(watched, MASKS)
    expected = [end for end in ends(watched) if end[field] == 4711]
    assert len(expected) == COUNT
    assert same["text"].splitlines()[0] == HEAD
    assert ordered(same["text"].splitlines()[1:]) == ordered(map(line, expected))


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [
    (["-p", "{pid}"], SERVER), (["--tid", "{pid}"], SERVER), (["--comm", SERVER], SERVER),
    (["--comm", CLIENT], CLIENT), (["--uid", "4242"], ""), (["-p", "1"], "")])
def test_filters(workloads, args: List[str], shown: str) -> None:
    """By the owner, not by who happens to run when the connection ends."""
    watched = watch("tcplife", args, transfer(), 1)
    same = assert_same(watched, MASKS)
    expected = [end for end in ends(watched) if end["comm"] == shown]
    assert len(expected) == COUNT * bool(shown)
    assert same["text"].splitlines()[0] == HEAD
    assert ordered(same["text"].splitlines()[1:]) == ordered(map(line, expected))


def test_wide_and_times(workloads) -> None:
    before = time.strftime("%H:%M:%S")
    watched = watch("tcplife", ["-w", "-T", "-t"], transfer("6"), 1)
    after = time.strftime("%H:%M:%S")
    same = assert_same(watched, MASKS)
    head = b"%-8s %-9s %-5s %-16s %-2s %-26s %-5s %-26s %-5s %6s %6s %s" % (
        b"TIME", b"TIME(s)", b"PID", b"COMM", b"IP", b"LADDR", b"LPORT", b"RADDR", b"RPORT",
        b"TX_KB", b"RX_KB", b"MS")
    assert same["text"].splitlines()[0] == head
    assert ordered(same["text"].splitlines()[1:]) == ordered(
        ("WALL     TIME      {pid:<5} {comm:<16} {ip:<2} {laddr:<26} {lport:<5} {raddr:<26} "
         "{rport:<5} {tx_kb:>6} {rx_kb:>6} MS").format(**end).encode()
        for end in ends(watched, "6"))
    assert same["csv"].splitlines()[0] == \
        b"TIME,TIME(s),PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS"
    for frontend in FRONTENDS:
        rows = [row.split() for row in watched.out(frontend).decode().splitlines()[1:]]
        assert before <= rows[0][0] <= rows[-1][0] <= after or after < before    # midnight
        times = [float(row[1]) for row in rows]
        assert times[0] == 0 and rising(times)
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert all(0 < event["span_ns"] <= events[-1]["ts"] for event in events)


def test_csv(workloads) -> None:
    """-s: as --format csv, with the address family."""
    watched = watch("tcplife", ["-s"], transfer(), 1, ["text"])
    same = assert_same(watched, {"text": MASKS["csv"]}, ["text"])
    head, *rows = same["text"].splitlines()
    assert head == b"PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS"
    assert ordered(rows) == ordered(
        "{pid},{comm},{ip},{laddr},{lport},{raddr},{rport},{tx_kb},{rx_kb},MS".format(**end).encode()
        for end in ends(watched))


def test_span(workloads) -> None:
    """The workload's connections follow each other: their times add up to less than its own."""
    began = time.monotonic()
    watched = watch("tcplife", [], transfer(), 1, ["json"])
    all_ms = (time.monotonic() - began) * 1000
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        clients = {event["lport"]: event for event in events if event["comm"] == CLIENT}
        assert 0 < sum(event["span_ns"] for event in clients.values()) / 1e6 < all_ms
        assert rising([clients[port]["ts"] - clients[port]["span_ns"]
                       for _, _, _, port in watched.said])


def test_command(workloads) -> None:
    for frontend in FRONTENDS:
        done = run(frontend, "tcplife", ["--", *transfer()])
        assert done.status == 0
        rows = [row for row in done.lines() if re.search(MS + rb"$", row)]
        assert len(rows) == 2 * COUNT
        assert {row.split()[1] for row in rows} == {CLIENT[:10].encode(), SERVER.encode()}
        assert masked(rows[0], MASKS["text"]).endswith(b"  500    23 MS")
