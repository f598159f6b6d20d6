# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""xdpcount: packets of every protocol of the workload, as the interface receives them."""
from __future__ import annotations

import json
from typing import Iterator, List, Sequence, Tuple

import pytest

from frontends import FRONTENDS, WORKLOADS, run, seconds
from parity.network import own_network, watch_network

ETHERNET, IPV4, IPV6, UDP, ICMP = 14, 20, 40, 8, 8
WORKLOAD = [str(WORKLOADS / "packets"), "udp4", "23", "100", "udp6", "7", "1000",
            "closed", "11", "40", "frame", "5", "60"]
NUMBERS = {"ICMP": 1, "UDP": 17, "not IP": 256}
TRUTH: List[Tuple[str, int, int]] = [   # most bytes first
    ("UDP", 23 + 7 + 11, 23 * (ETHERNET + IPV4 + UDP + 100) + 7 * (ETHERNET + IPV6 + UDP + 1000)
     + 11 * (ETHERNET + IPV4 + UDP + 40)),
    # an ICMP error holds what it answers
    ("ICMP", 11, 11 * (ETHERNET + IPV4 + ICMP + IPV4 + UDP + 40)),
    ("not IP", 5, 5 * (ETHERNET + 60)),
]
BANNER = b"Counting packets that lo receives... Hit Ctrl-C to end.\n"

pytestmark = pytest.mark.needs("netns")


@pytest.fixture(autouse=True)
def network(workloads) -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def text(rows: Sequence[Tuple[str, int, int]]) -> bytes:
    """The table of these rows."""
    lines = [b"", b"%-10s %12s %16s" % (b"PROTOCOL", b"PACKETS", b"BYTES")]
    lines += [b"%-10s %12d %16d" % (name.encode(), packets, size) for name, packets, size in rows]
    return b"\n".join(lines) + b"\n"


@pytest.mark.parametrize("args, rows", [
    (["--interface", "lo"], TRUTH), (["-I", "lo", "-T", "2"], TRUTH[:2]),
    (["--top=1", "lo"], TRUTH[:1])])
def test_options(args: Sequence[str], rows: List[Tuple[str, int, int]]) -> None:
    out = watch_network("xdpcount", args, WORKLOAD, 1, formats=["text"], alone=True)
    assert out["text"] == (text(rows), BANNER)


def test_protocols() -> None:
    """All are counted. And all pass: the ICMP errors answer what was counted before."""
    out = watch_network("xdpcount", ["lo"], WORKLOAD, 1, alone=True)
    assert out["text"] == (text(TRUTH), BANNER)
    assert json.loads(out["json"][0]) == {
        "type": "table", "tool": "xdpcount", "report": "totals", "time": "T", "data": [
            {"key": NUMBERS[name], "value": {"packets": packets, "bytes": size}}
            for name, packets, size in TRUTH]}
    assert out["csv"][0].decode().splitlines() == [
        "protocol,packets,bytes", *[f"{name},{packets},{size}" for name, packets, size in TRUTH]]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args", [[seconds(1), "2"], ["-i", seconds(1), "-c", "2"]])
def test_intervals(frontend: str, args: Sequence[str]) -> None:
    """Words without a dash: interface, interval, count."""
    done = run(frontend, "xdpcount", ["lo", *args, "--format", "json"])
    assert [report["data"] for report in done.objects()] == [[], []]
    assert all("time" in report for report in done.objects())


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_interfaces(frontend: str) -> None:
    """None, none of that name; nor can an interface be limited to a cgroup."""
    for args, sentence in (([], "no network interface is given"),
                           (["nothere"], "there is no network interface 'nothere'")):
        done = run(frontend, "xdpcount", args)
        assert (done.status, done.stdout) == (1, b"")
        assert done.stderr.decode() == \
            f"xdpcount: cannot attach xdp__count (xdp): {sentence}\n"
    done = run(frontend, "xdpcount", ["lo", "--", "true"])
    assert (done.status, done.stderr) == (1, b"xdpcount: this tool cannot be limited to a cgroup\n")
