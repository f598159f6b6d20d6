# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Networks of the tests' own."""
from __future__ import annotations

import contextlib
import ctypes as ct
import os
import subprocess
import time
from typing import Dict, Iterator, List, Sequence, Tuple

from frontends import (FORMATS, FRONTENDS, PATIENCE_S, WORKLOADS, Argument, Result, Running,
                       command, finish, start)
from parity.same import masked

CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """This process, and what it starts meanwhile, in a new network namespace whose only interface
    is ``lo``. Nothing of it is left afterwards."""
    libc = ct.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", "rb") as before:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ct.get_errno(), "unshare")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET):
                raise OSError(ct.get_errno(), os.strerror(ct.get_errno()))

TIME = (rb'"time":"\d\d:\d\d:\d\d"', b'"time":"T"')
# tc has links, which are held by descriptors, since Linux 6.6
TC_LINKS = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 6)


# Numbers of enum bpf_cmd, as the workload `lacks` takes them.
MAP_LOOKUP_BATCH, LINK_CREATE = "24", "28"


def run_without(commands: Sequence[str], frontend: str, tool: str, args: Sequence[Argument]
                ) -> Result:
    """Run a tool as on a kernel whose bpf() does not know these commands."""
    return finish(start([str(WORKLOADS / "lacks"), *commands, "--",
                         *command(frontend, tool, args)]))


def count_filters() -> int:
    """How many programs are filters of interfaces of this network."""
    shown = subprocess.run(["bpftool", "net", "show"], check=True, stdout=subprocess.PIPE)
    return shown.stdout.count(b" clsact/")


def wait_for_filters(number: int) -> None:
    """Return when so many programs are filters of interfaces of this network."""
    deadline = time.monotonic() + PATIENCE_S
    while count_filters() < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_beside(tracers: Sequence[Running], filters: int, workload: Sequence[Argument]
               ) -> List[Result]:
    """What tracers printed of a workload; before Linux 6.6 they have so many filters together."""
    try:
        for tracer in tracers:
            tracer.wait_ready()
        if not TC_LINKS:
            wait_for_filters(filters)
        subprocess.run(list(workload), check=True, timeout=PATIENCE_S)
        return [tracer.finish() for tracer in tracers]
    finally:
        for tracer in tracers:
            tracer.end()


def watch_network(tool: str, args: Sequence[Argument], workload: Sequence[Argument],
                  programs: int = 0, filters: int = 0, formats: Sequence[str] = FORMATS,
                  alone: bool = False, frontends: Sequence[str] = FRONTENDS
                  ) -> Dict[str, Tuple[bytes, bytes]]:
    """What both frontends print of a workload in this network, which is the same: stdout, its times
    as TIME has them, and stderr, by format. Each has so many ``programs`` held by descriptors and
    ``filters`` of tc. All watch one run of the workload, or if ``alone`` each one of its own."""
    runs = [(frontend, form) for form in formats for frontend in frontends]
    results: List[Result] = []
    for batch in ([[one] for one in runs] if alone else [runs]):
        tracers = [Running(frontend, tool, [*args, "--format", form],
                           programs + filters * TC_LINKS) for frontend, form in batch]
        results += run_beside(tracers, filters * len(batch), workload)
    for result in results:
        assert result.status == 0, result
    outputs = [(masked(result.stdout, [TIME]), result.stderr) for result in results]
    each = len(frontends)
    for number in range(1, each):
        assert outputs[::each] == outputs[number::each]
    return dict(zip(formats, outputs[::each]))
