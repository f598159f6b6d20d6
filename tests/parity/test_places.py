# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Programs that have to be told where they belong: by their source, by the spec, by options."""
from __future__ import annotations

import os
import subprocess
from typing import Dict, Iterator

import pytest

from frontends import FRONTENDS, WORKLOADS, attachments, command, run, watch
from parity.network import own_network
from parity.same import assert_same

COUNT = 23
PROBED = str(WORKLOADS / "probed")
# each datagram: 100 bytes, UDP and IPv4 headers, and with those of Ethernet where there are any
IP_BYTES, FRAME_BYTES = 128, 142


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def truth() -> Dict[str, int]:
    return {"uprobe": COUNT, "uretprobe": COUNT * (COUNT - 1), "usdt": COUNT * (COUNT - 1) // 2,
            "xdp": 0, "ingress": COUNT * FRAME_BYTES, "egress": COUNT * FRAME_BYTES,
            "cgroup": COUNT * IP_BYTES, "socket": 2 * COUNT, "counter": COUNT}


def counts(text: bytes) -> Dict[str, int]:
    lines = [line.split(b":") for line in text.splitlines() if b":" in line]
    return {name.strip().decode(): int(number) for name, number in lines}


@pytest.mark.parametrize("process", ["", "--pid {pid}"])
def test_places(workloads, process: str) -> None:
    """All at once, six times over, in each other's company."""
    watched = watch("places", ["--binary", PROBED, *process.split()], [PROBED, str(COUNT)],
                    attached_programs())
    assert_same(watched, {})
    assert counts(watched.out("c")) == truth()


def attached_programs() -> int:
    """What holds a program by a descriptor: a probe each, cgroup, socket, and two links of tc,
    which are filters before Linux 6.6."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    return 7 if version >= (6, 6) else 5


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_alone(workloads, frontend: str) -> None:
    """XDP takes one program for an interface, a sampling one has no count known beforehand."""
    done = run(frontend, "places", ["--binary", PROBED, "--period", "100000", "--", PROBED, "100023"])
    assert done.status == 0, done
    seen = counts(done.stdout)
    assert seen["xdp"] == seen["uprobe"] == 100023
    samples = done.stdout.split(b"VALUE\n")[1].splitlines()[-1].split()
    assert samples[0] == b"9" and int(samples[1]) > 20


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("args, sentence", [
    (["--interface", "nothere"], "cannot attach tc__in (tc): there is no network interface 'nothere'"),
    (["--binary", "/bpfduet/missing"],
     "there is no function 'probed_call' in '/bpfduet/missing', or no such file"),
    (["--binary", "/bin/sh"], "there is no function 'probed_call' in '/bin/sh', or no such file"),
])
@pytest.mark.host_only
def test_no_such_place(workloads, frontend: str, args, sentence: str) -> None:
    done = run(frontend, "places", ["--binary", PROBED, *args])
    assert done.status == 1
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert sentence.split(": ")[-1] in done.stderr.decode() or "no probe" in done.stderr.decode()


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_nothing_is_left(workloads, frontend: str) -> None:
    """Nor after a death without a word: links go with their descriptors. Before Linux 6.6 tc has
    none, and filters stay."""
    argv = command(frontend, "places", ["--binary", PROBED, "--period", "1000000"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while attachments(process.pid) < attached_programs() + 1:
            assert process.poll() is None, process.communicate()
        assert b"lo(" in shown()
        process.kill()
    left = [line for line in shown().splitlines() if line.startswith(b"lo(")]
    if left:
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "clsact"], check=True)
    assert all(b" clsact/" in line for line in left)


def shown() -> bytes:
    """What bpftool finds on the interfaces of this network."""
    return subprocess.run(["bpftool", "net", "show", "dev", "lo"], check=True,
                          stdout=subprocess.PIPE).stdout.split(b"flow_dissector")[0]
