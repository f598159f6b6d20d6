# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""pktsize: every packet of a loopback interface of our own, by its size."""
from __future__ import annotations

import json
from typing import Dict, Iterator, List, Sequence

import pytest

from frontends import FRONTENDS, WORKLOADS, run, seconds
from parity.network import own_network, watch_network

PACKETS = str(WORKLOADS / "packets")
ETHERNET, IPV4, IPV6, UDP = 14, 20, 40, 8
WORKLOAD = [PACKETS, "udp4", "23", "100", "udp6", "7", "1000", "frame", "5", "60"]
SIZES = {ETHERNET + IPV4 + UDP + 100: 23, ETHERNET + IPV6 + UDP + 1000: 7, ETHERNET + 60: 5}
BANNER = b"Tracing packets of lo... Hit Ctrl-C to end.\n"

pytestmark = pytest.mark.needs("netns")


@pytest.fixture(autouse=True)
def network(workloads) -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def buckets(times: int) -> List[Dict[str, int]]:
    """What the workload sent, each packet seen so many times."""
    slots: Dict[int, int] = {}
    for size, count in SIZES.items():
        slots[size.bit_length()] = slots.get(size.bit_length(), 0) + times * count
    return [{"low": 1 << slot - 1, "high": (1 << slot) - 1, "count": slots[slot]}
            for slot in sorted(slots)]


def data_of(output: bytes) -> List[dict]:
    """What the last report of a run in JSON holds."""
    report = json.loads(output.splitlines()[-1])
    assert (report["type"], report["tool"], report["report"]) == ("histogram", "pktsize", "sizes")
    return report["data"]


@pytest.mark.parametrize("args", [["-I", "lo"], ["--interface=lo"]])
def test_interface(args: Sequence[str]) -> None:
    out = watch_network("pktsize", args, WORKLOAD, 1, formats=["json"])
    assert data_of(out["json"][0]) == [{"unit": "bytes", "buckets": buckets(2)}]


def test_sizes() -> None:
    """On the loopback interface each packet is seen twice."""
    out = watch_network("pktsize", ["lo"], WORKLOAD, 1)
    assert data_of(out["json"][0]) == [{"unit": "bytes", "buckets": buckets(2)}]
    lines = out["text"][0].splitlines()
    assert lines[:2] == [b"", b"     bytes               : count     distribution"]
    assert lines[-1] == b"      1024 -> 2047       : 14       |%-40s|" % (b"*" * 12)
    assert out["csv"][0].splitlines()[0] == b"report,low,high,count"
    assert out["text"][1] == BANNER


@pytest.mark.parametrize("args", [["-d", "lo"], ["--direction", "lo"]])
def test_direction(args: Sequence[str]) -> None:
    out = watch_network("pktsize", args, WORKLOAD, 1)
    # PACKET_HOST and PACKET_OUTGOING
    assert data_of(out["json"][0]) == [
        {"key": {"direction": direction}, "unit": "bytes", "buckets": buckets(1)}
        for direction in (0, 4)]
    text = out["text"][0]
    assert text.index(b"direction = in\n") < text.index(b"direction = out\n")
    assert out["csv"][0].splitlines()[:2] == [b"report,direction,low,high,count",
                                              b"sizes,in,64,127,5"]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args", [["lo", seconds(1), "2"], ["lo", "-i", seconds(1), "-c", "2"]])
def test_intervals(frontend: str, args: Sequence[str]) -> None:
    """Words without a dash: interface, interval, count. Nothing is to be seen, twice."""
    done = run(frontend, "pktsize", ["--format", "json", *args])
    assert [data["data"] for data in done.objects()] == [[{"unit": "bytes", "buckets": []}]] * 2
    assert all(len(data["time"]) == len("12:34:56") for data in done.objects())
    assert done.status == 0


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_interfaces(frontend: str) -> None:
    """None, none of that name; nor can an interface be limited to a cgroup."""
    for args, sentence in (([], "no network interface is given"),
                           (["nothere"], "there is no network interface 'nothere'")):
        done = run(frontend, "pktsize", args)
        assert (done.status, done.stdout) == (1, b"")
        assert done.stderr.decode() == \
            f"pktsize: cannot attach socket_filter__measure (socket): {sentence}\n"
    done = run(frontend, "pktsize", ["lo", "--", "true"])
    assert (done.status, done.stderr) == (1, b"pktsize: this tool cannot be limited to a cgroup\n")
