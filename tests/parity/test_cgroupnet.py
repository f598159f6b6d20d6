# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""cgroupnet: what a cgroup sends and receives, and nothing that others do."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Iterator, List, Sequence

import pytest

from frontends import FRONTENDS, WORKLOADS, Running, cgroup, command, in_cgroup, run, seconds, watch
from parity.network import LINK_CREATE, TIME, own_network, run_without
from parity.same import assert_same

IPV4, IPV6, UDP = 20, 40, 8
PACKETS = str(WORKLOADS / "packets")
WORKLOAD = [PACKETS, "udp4", "23", "100", "udp6", "7", "1000", "closed", "11", "40"]
HEARD = 23 * (IPV4 + UDP + 100) + 7 * (IPV6 + UDP + 1000)
# where nobody listens no socket receives; the ICMP errors are for the kernel
ROWS = [("in", 30, HEARD), ("out", 41, HEARD + 11 * (IPV4 + UDP + 40))]
HEAD = b"%-4s %12s %16s" % (b"DIR", b"PACKETS", b"BYTES")

pytestmark = pytest.mark.needs("netns")


@pytest.fixture(autouse=True)
def network(workloads) -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def text() -> List[bytes]:
    """The table of the workload, after its blank line."""
    return [HEAD, *[b"%-4s %12d %16d" % (name.encode(), packets, size)
                    for name, packets, size in ROWS]]


def test_cgroup() -> None:
    """--cgroup, in both frontends and all formats at once."""
    watched = watch("cgroupnet", [], WORKLOAD, 2)
    same = assert_same(watched, {"json": [TIME]}, quiet=False)
    assert same["text"].splitlines() == [b"", *text()]
    assert watched.results["c", "text"].stderr == b"Counting packets... Hit Ctrl-C to end.\n"
    assert same["csv"].decode().splitlines() == \
        ["direction,packets,bytes", *[f"{name},{n},{size}" for name, n, size in ROWS]]
    assert json.loads(same["json"]) == {
        "type": "table", "tool": "cgroupnet", "report": "traffic", "time": "T", "data": [
        {"key": key, "value": {"packets": n, "bytes": size}}
        for key, (_, n, size) in enumerate(ROWS)]}


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_others(frontend: str) -> None:
    """Traffic of processes outside is not counted, that of cgroups below is."""
    with cgroup() as group:
        below = group / "below"
        below.mkdir()
        tracer = Running(frontend, "cgroupnet", ["--cgroup", str(group)], 2)
        try:
            tracer.wait_ready()
            in_cgroup(below, WORKLOAD)
            subprocess.run([PACKETS, "udp4", "77", "100"], check=True)
            done = tracer.finish()
        finally:
            tracer.end()
            below.rmdir()
    assert done.stdout.splitlines() == [b"", *text()]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_root(frontend: str) -> None:
    """Without a cgroup: all of the machine, and so at least the workload."""
    tracer = Running(frontend, "cgroupnet", ["--format", "json"], 2)
    try:
        tracer.wait_ready()
        subprocess.run(WORKLOAD, check=True)
        (report,) = tracer.finish().objects()
    finally:
        tracer.end()
    seen = {row["key"]: row["value"] for row in report["data"]}
    for key, (_, packets, size) in enumerate(ROWS):
        assert seen[key]["packets"] >= packets and seen[key]["bytes"] >= size


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(frontend: str) -> None:
    """-- COMMAND, twice: what is attached to its cgroup goes with it."""
    for _ in range(2):
        done = run(frontend, "cgroupnet", ["--", *WORKLOAD])
        assert done.stdout.splitlines() == [b"", *text()]
        assert done.status == 0


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args", [[seconds(1), "2"], ["-i", seconds(1), "-c", "2"],
                                  ["--interval", seconds(1), "--count", "2"]])
def test_intervals(frontend: str, args: Sequence[str]) -> None:
    """Totals, printed twice: of a cgroup that nobody is in."""
    with cgroup() as group:
        done = run(frontend, "cgroupnet", ["--cgroup", str(group), *args, "--format", "csv"])
    assert done.stdout == b"direction,packets,bytes\n" * 2
    assert done.status == 0


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_ways_of_attaching(frontend: str, tmp_path: Path) -> None:
    """To COMMAND's own cgroup directly, and away from it at the end; to any other, which outlives
    the run, by links: those go with a process that is killed."""
    def calls(args: Sequence[str]) -> str:
        done = subprocess.run(
            ["strace", "-f", "-qq", "-e", "trace=bpf", "-o", str(tmp_path / "calls"),
             *command(frontend, "cgroupnet", args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            check=False)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "calls").read_text()

    direct = calls(["--", "true"])
    assert direct.count("bpf(BPF_PROG_ATTACH") == direct.count("bpf(BPF_PROG_DETACH") == 2
    assert direct.count("BPF_F_ALLOW_MULTI") == 2 and "BPF_LINK_CREATE" not in direct
    with cgroup() as group:
        linked = calls(["--cgroup", str(group), "--duration", "1"])
    assert linked.count("bpf(BPF_LINK_CREATE") == 2 and "BPF_PROG_ATTACH" not in linked


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_without_links(frontend: str) -> None:
    """Before Linux 5.7 there are none on cgroups: programs are attached directly, and detached."""
    with cgroup() as group:
        done = run_without([LINK_CREATE], frontend, "cgroupnet",
                           ["--cgroup", str(group), "--", *WORKLOAD])
        assert done.stdout.splitlines() == [b"", *text()]
        done = run_without([LINK_CREATE], frontend, "cgroupnet",
                           ["--cgroup", str(group), "--duration", "1"])
        assert (done.status, done.stdout.splitlines()) == (0, [b"", HEAD])
        shown = subprocess.run(["bpftool", "cgroup", "show", str(group)], check=True,
                               stdout=subprocess.PIPE)
        assert shown.stdout == b""
