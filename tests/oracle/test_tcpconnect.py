# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""tcpconnect beside the stock one: the same text."""
from __future__ import annotations

from typing import Iterator

import pytest

from frontends import FRONTENDS, WORKLOADS, watch
from oracle.test_stock import stock
from parity.network import own_network
from parity.same import masked

SECONDS = [(rb"^\d+\.\d{3} +(?=\d)", b"SECONDS ")]
STEPS = "4 2 5 6 3 7 nowhere 4 3 mapped 5 3 4 65535 2 6 2 5 4 2 1".split()


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """A loopback interface that nobody else uses."""
    with own_network():
        yield


def is_ipv6(line: bytes) -> bool:
    return b"::1" in line


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, lines", [
    ("", 24), ("-t -U -L", 24), ("-4", 12), ("-P 3,65535", 10), ("-u 0 -P 2", 12), ("-c", 6)])
def test_tcpconnect(workloads, args: str, lines: int) -> None:
    theirs = stock("tcpconnect", f"-p {{pid}} {args}")
    watched = watch("tcpconnect", args.split(), [str(WORKLOADS / "connects"), *STEPS], 2, ["text"],
                    others={"stock": (theirs, 4)})
    # theirs says on stdout that it traces, and ends lines in a blank
    found = [line.rstrip() for line in masked(watched.out("stock"), SECONDS).splitlines()[1:]]
    found = [line for line in found if line]
    assert len(found) == lines
    for frontend in FRONTENDS:
        ours = [line for line in masked(watched.out(frontend), SECONDS).splitlines() if line]
        # equal flows come in any order; theirs has a buffer each for IPv4 and IPv6
        key = None if args == "-c" else is_ipv6
        assert sorted(ours, key=key) == sorted(found, key=key)
