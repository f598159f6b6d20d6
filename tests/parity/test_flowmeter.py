# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""flowmeter: every flow of the workload; and counts that always fit each other, however fast they
change."""
from __future__ import annotations

import contextlib
import ctypes as ct
import json
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence

import pytest

from bpfduet import libbpf
from frontends import FRONTENDS, SLOWNESS, WORKLOADS, Running, command, run, seconds
from needs import mount_bpffs
from parity.network import (LINK_CREATE, MAP_LOOKUP_BATCH, TC_LINKS, count_filters, own_network,
                            run_without, wait_for_filters, watch_network)

ETHERNET, IPV4, IPV6, UDP, ICMP = 14, 20, 40, 8, 8
PACKETS, STORM = str(WORKLOADS / "packets"), str(WORKLOADS / "storm")
WORKLOAD = [PACKETS, "udp4", "23", "100", "udp6", "7", "1000", "closed", "11", "40",
            "frame", "5", "60"]
NUMBERS = {"in": 0, "out": 1, "ICMP": 1, "UDP": 17}
BANNER = b"Metering flows through lo... Hit Ctrl-C to end.\n"

pytestmark = pytest.mark.needs("netns")


class Flow(NamedTuple):
    """A row of the table."""

    direction: str
    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    packets: int
    bytes: int

    def text(self) -> bytes:
        """As the text shows it."""
        return b"%-3s %-6s %-15s %-5d %-15s %-5d %8d %11d" % tuple(
            part.encode() if isinstance(part, str) else part for part in self)

    def object(self) -> dict:
        """As JSON shows it."""
        return {"key": {"source": self.source, "destination": self.destination,
                        "source_port": self.source_port,
                        "destination_port": self.destination_port,
                        "protocol": NUMBERS[self.protocol],
                        "direction": NUMBERS[self.direction]},
                "value": {"packets": self.packets, "bytes": self.bytes}}


def udp(n: int, address: str, packets: int, size: int) -> List[Flow]:
    """A flow of datagrams of the workload; the loopback interface sees it twice."""
    frame = ETHERNET + UDP + size + (IPV6 if ":" in address else IPV4)
    return [Flow(direction, "UDP", address, 2300 + n, address, 4600 + n, packets, packets * frame)
            for direction in ("in", "out")]


TRUTH: List[Flow] = [       # most bytes first; the frames are no IP
    *udp(1, "::1", 7, 1000),
    *udp(0, "127.0.0.1", 23, 100),
    *[Flow(direction, "ICMP", "127.0.0.1", 0, "127.0.0.1", 0, 11,
           11 * (ETHERNET + IPV4 + ICMP + IPV4 + UDP + 40)) for direction in ("in", "out")],
    *udp(2, "127.0.0.1", 11, 40),
]
HEAD = b"%-3s %-6s %-15s %-5s %-15s %-5s %8s %11s" % (
    b"DIR", b"PROTO", b"SOURCE", b"PORT", b"DESTINATION", b"PORT", b"PACKETS", b"BYTES")


@pytest.fixture(autouse=True)
def network(workloads) -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def text(rows: Sequence[Flow]) -> bytes:
    """The table of these rows."""
    return b"\n".join([b"", HEAD, *[flow.text() for flow in rows], b""])


@pytest.mark.parametrize("args, rows", [
    (["--interface", "lo"], TRUTH), (["-I", "lo", "-T", "3"], TRUTH[:3]),
    (["--top=1", "lo"], TRUTH[:1])])
def test_options(args: Sequence[str], rows: List[Flow]) -> None:
    out = watch_network("flowmeter", args, WORKLOAD, filters=2, formats=["text"])
    assert out["text"] == (text(rows), BANNER)


def test_flows() -> None:
    """All flows, in both frontends and all formats at once."""
    out = watch_network("flowmeter", ["lo"], WORKLOAD, filters=2)
    assert out["text"] == (text(TRUTH), BANNER)
    assert json.loads(out["json"][0]) == {
        "type": "table", "tool": "flowmeter", "report": "flows", "time": "T",
        "data": [flow.object() for flow in TRUTH]}
    assert out["csv"][0].decode().splitlines() == [
        "direction,protocol,source,source_port,destination,destination_port,packets,bytes",
        *[",".join(map(str, flow)) for flow in TRUTH]]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_fragments(frontend: str) -> None:
    """Only the first fragment of a datagram tells its ports."""
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500"], check=True)
    rows = whole_run(frontend, [], [PACKETS, "udp4", "23", "2000"])
    first = ETHERNET + 1500
    rest = ETHERNET + IPV4 + (IPV4 + UDP + 2000 - 1500)
    assert [row for row in rows if row.direction == "out"] == [
        Flow("out", "UDP", "127.0.0.1", 2300, "127.0.0.1", 4600, 23, 23 * first),
        Flow("out", "UDP", "127.0.0.1", 0, "127.0.0.1", 0, 23, 23 * rest)]


def started(frontend: str, args: Sequence[str]) -> Running:
    """flowmeter on lo; it is ready."""
    tracer = Running(frontend, "flowmeter", ["lo", *args], 2 * TC_LINKS)
    try:
        tracer.wait_ready()
        if not TC_LINKS:
            wait_for_filters(2)
    except BaseException:
        tracer.end()
        raise
    return tracer


def rows_of(report: dict) -> List[Flow]:
    """The table of a report in JSON."""
    names = {1: "ICMP", 17: "UDP"}
    return [Flow(("in", "out")[row["key"]["direction"]], names[row["key"]["protocol"]],
                 row["key"]["source"], row["key"]["source_port"], row["key"]["destination"],
                 row["key"]["destination_port"], row["value"]["packets"], row["value"]["bytes"])
            for row in report["data"]]


def whole_run(frontend: str, args: Sequence[str], workload: Sequence[str]) -> List[Flow]:
    """The last table of a run beside a workload."""
    tracer = started(frontend, [*args, "--format", "json"])
    try:
        subprocess.run(list(workload), check=True)
        return rows_of(tracer.finish().objects()[-1])
    finally:
        tracer.end()


# -- cgroups ---------------------------------------------------------------------------------


@contextlib.contextmanager
def echo(port: int) -> Iterator[None]:
    """Sends datagrams back, outside of every cgroup of the tests."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))

        def serve() -> None:
            while True:
                data, peer = server.recvfrom(65536)
                if not data:
                    return
                server.sendto(data, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.sendto(b"", ("127.0.0.1", port))
            thread.join()


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(frontend: str) -> None:
    """-- COMMAND: what it sends and what answers it. The server is another's: what that sends goes
    out unseen, and so does what it gets come in."""
    with echo(4600):
        subprocess.run([PACKETS, "echo", "3", "10"], check=True)
        done = run(frontend, "flowmeter", ["lo", "--format", "json", "--", PACKETS,
                                           "echo", "23", "100", "udp6", "7", "1000"])
    size = 23 * (ETHERNET + IPV4 + UDP + 100)
    assert set(rows_of(done.objects()[0])) == {
        udp(1, "::1", 7, 1000)[1],
        Flow("out", "UDP", "127.0.0.1", 2300, "127.0.0.1", 4600, 23, size),
        Flow("in", "UDP", "127.0.0.1", 4600, "127.0.0.1", 2300, 23, size)}


@pytest.mark.host_only
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("lacking", [[MAP_LOOKUP_BATCH], [LINK_CREATE]],
                         ids=["batches", "links"])
def test_older_kernels(frontend: str, lacking: Sequence[str]) -> None:
    """Before Linux 5.6 maps are read entry by entry, before 6.6 programs are filters of a queueing
    discipline; of those none is left."""
    done = run_without(lacking, frontend, "flowmeter", ["lo", "--", PACKETS, "udp4", "23", "100"])
    assert done.status == 0
    assert done.stdout == text(udp(0, "127.0.0.1", 23, 100)[1:])
    assert count_filters() == 0


# -- consistency -----------------------------------------------------------------------------

KEY = struct.Struct("=16s16s4s2H")
VALUE = struct.Struct("=2QI4x")
COUNT, SIZE = int(150000 * SLOWNESS), 100
FRAME = ETHERNET + IPV4 + UDP + SIZE


@pytest.fixture(name="bpffs")
def bpf_file_system() -> Iterator[Path]:
    """A folder for pins, not there yet; the tool removes it."""
    folder = mount_bpffs() / f"bpfduet-flows-{os.getpid()}"
    yield folder
    assert not folder.exists()


F_LOCK = 4      # linux/bpf.h: BPF_F_LOCK


def watched_totals(path: Path, storm: subprocess.Popen) -> List[List[int]]:
    """Packets and bytes of the storm's flow as it goes out, read as often as possible."""
    lib = libbpf.library()
    fd = lib.bpf_obj_get(os.fsencode(path))
    assert fd >= 0
    address = b"\0" * 10 + b"\xff\xff" + socket.inet_aton("127.0.0.1")
    key = KEY.pack(address, address, struct.pack(">2H", 2300, 4600), NUMBERS["UDP"], NUMBERS["out"])
    value = ct.create_string_buffer(VALUE.size)
    seen = []
    while storm.poll() is None:
        if not lib.bpf_map_lookup_elem_flags(fd, key, value, F_LOCK):
            seen.append(list(VALUE.unpack(value.raw)[:2]))
    os.close(fd)
    return seen


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_counts_fit(frontend: str, bpffs: Path) -> None:
    """Two CPUs send datagrams of one size by one flow, as fast as they can: whoever looks, and
    whenever, bytes are packets times the size; and none is missing."""
    tracer = started(frontend, ["--format", "json", "-i", "1", "--pin", str(bpffs)])
    try:
        with subprocess.Popen([STORM, str(COUNT), str(SIZE)]) as storm:
            seen = watched_totals(bpffs / "flows", storm)
        assert storm.returncode == 0
        reports = tracer.finish().objects()
    finally:
        tracer.end()
    assert len({packets for packets, _ in seen}) * SLOWNESS > 1000
    assert [pair for pair in seen if pair[1] != pair[0] * FRAME] == []
    rows = [row for report in reports for row in rows_of(report)]
    assert [row for row in rows if row.bytes != row.packets * FRAME] == []
    assert {row.direction: row.packets for row in rows_of(reports[-1])} == \
        {"in": 2 * COUNT, "out": 2 * COUNT}


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_reads_by_lock(frontend: str, tmp_path: Path) -> None:
    """The frontends read under the lock, too."""
    trace = tmp_path / "calls"
    tracer = Running(frontend, "flowmeter", [], 0, argv=[
        "strace", "-f", "-qq", "-e", "trace=bpf", "-o", str(trace),
        *command(frontend, "flowmeter", ["lo", "--", PACKETS, "udp4", "23", "100"])])
    assert tracer.result().status == 0
    reads = [line for line in trace.read_text().splitlines() if "LOOKUP" in line]
    assert any("BPF_F_LOCK" in line for line in reads)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_no_room(frontend: str) -> None:
    """Packets of flows that find no room in the map are not counted in silence."""
    more, room = 23, 16384
    tracer = started(frontend, ["--format", "json"])
    try:
        subprocess.run([PACKETS, "spread", str(room // 2 + more), "10"], check=True)
        done = tracer.finish()
    finally:
        tracer.end()
    kinds = {data["type"]: data["data"] for data in done.objects()}
    assert len(kinds["table"]) == room
    assert kinds["lost_events"] == {"count": 2 * more, "kind": "records"}


# -- the rest --------------------------------------------------------------------------------


@pytest.mark.first_in_guests
@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args", [[seconds(1), "2"], ["-i", seconds(1), "-c", "2"]])
def test_intervals(frontend: str, args: Sequence[str]) -> None:
    """Words without a dash: interface, interval, count."""
    done = run(frontend, "flowmeter", ["lo", *args, "--format", "json"])
    assert [report["data"] for report in done.objects()] == [[], []]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_interfaces(frontend: str) -> None:
    """None, and none of that name. The first program to be attached is the first of the source."""
    for args, sentence in (([], "no network interface is given"),
                           (["nothere"], "there is no network interface 'nothere'")):
        done = run(frontend, "flowmeter", args)
        assert (done.status, done.stdout) == (1, b"")
        assert done.stderr.decode() == f"flowmeter: cannot attach tc__out (tc): {sentence}\n"
