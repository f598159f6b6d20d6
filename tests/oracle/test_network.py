# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The network tools beside the kernel's own counters and bpftrace, on the same packets."""
from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from frontends import FRONTENDS, WORKLOADS, Running, cgroup, in_cgroup, run
from parity.network import own_network, run_beside

ETHERNET = 14
WORKLOAD = [str(WORKLOADS / "packets"), "udp4", "23", "100", "udp6", "7", "1000",
            "closed", "11", "40"]

pytestmark = [pytest.mark.needs("netns"), pytest.mark.parametrize("frontend", FRONTENDS)]


@pytest.fixture(autouse=True)
def network(workloads) -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def received() -> Dict[str, int]:
    """What the interface has received, by its driver's count."""
    shown = subprocess.run(["ip", "-j", "-s", "link", "show", "lo"], check=True,
                           stdout=subprocess.PIPE)
    return json.loads(shown.stdout)[0]["stats64"]["rx"]


def snmp(name: str) -> int:
    """A counter of this network by its name: "UdpOutDatagrams"."""
    found = []
    heads: List[str] = []
    for line in Path("/proc/self/net/snmp").read_text().splitlines():
        prefix, *words = line.replace(":", "").split()
        if heads and words[0].lstrip("-").isdigit():
            found += [int(word) for head, word in zip(heads, words) if prefix + head == name]
        heads = words
    for line in Path("/proc/self/net/snmp6").read_text().splitlines():
        head, number = line.split()
        if head == name:
            found.append(int(number))
    (value,) = found
    return value


def totals(report: dict) -> Dict[str, int]:
    """Packets and bytes of all rows."""
    return {name: sum(row["value"][name] for row in report["data"])
            for name in ("packets", "bytes")}


def test_xdpcount(frontend: str) -> None:
    """All that the interface receives. That counts without the Ethernet header."""
    tracer = Running(frontend, "xdpcount", ["lo", "--format", "json"], 1)
    (done,) = run_beside([tracer], 0, WORKLOAD)
    counted = received()
    assert totals(done.objects()[0]) == {
        "packets": counted["packets"], "bytes": counted["bytes"] + ETHERNET * counted["packets"]}
    assert counted["packets"] == 23 + 7 + 2 * 11


def test_flowmeter(frontend: str) -> None:
    """COMMAND's flows: all that the interface has got but for the ICMP errors, which are the
    kernel's."""
    done = run(frontend, "flowmeter", ["lo", "--format", "json", "--", *WORKLOAD])
    errors = snmp("IcmpOutMsgs")
    assert errors == 11
    assert totals(done.objects()[0])["packets"] == received()["packets"] - errors


def test_cgroupnet(frontend: str) -> None:
    """All datagrams that were sent."""
    done = run(frontend, "cgroupnet", ["--format", "json", "--", *WORKLOAD])
    sent = {row["key"]: row["value"]["packets"] for row in done.objects()[0]["data"]}[1]
    assert sent == snmp("UdpOutDatagrams") + snmp("Udp6OutDatagrams") == 23 + 7 + 11


@pytest.mark.skipif(not shutil.which("bpftrace"), reason="bpftrace is not installed")
def test_pktsize(frontend: str) -> None:
    """Frames that the workload hands to the interface, as bpftrace sees them."""
    with cgroup() as group:
        script = f"tracepoint:net:net_dev_queue /cgroup == {group.stat().st_ino}/ " \
                 "{ @ = hist(args->len) }"
        tracers = [Running(frontend, "pktsize", ["-d", "lo", "--format", "json"], 1),
                   Running("bpftrace", "pktsize", (), 1,
                           argv=["bpftrace", "-q", "-f", "json", "-e", script])]
        try:
            for tracer in tracers:
                tracer.wait_ready()
            tracers[1].settle()
            in_cgroup(group, WORKLOAD[:7])
            ours, theirs = tracers[0].finish(), tracers[1].interrupt()
        finally:
            for tracer in tracers:
                tracer.end()
    shown = {section["key"]["direction"]: section["buckets"]
             for section in ours.objects()[0]["data"]}[4]
    (histogram,) = [json.loads(line)["data"]["@"] for line in theirs.lines() if b'"hist"' in line]
    assert [(bucket["low"], bucket["high"], bucket["count"]) for bucket in shown] == \
        [(bucket["min"], bucket["max"], bucket["count"]) for bucket in histogram if bucket["count"]]
