# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""usdtsnoop beside bpftrace."""
from __future__ import annotations

import json

import pytest

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, printed
from parity.test_usdtsnoop import BEACONS, COUNT, WORKLOAD


@pytest.mark.parametrize("probe, arguments", [("one", 1), ("wide", 3)])
def test_arguments(workloads, probe: str, arguments: int) -> None:
    target = f"{BEACONS}:beacons:{probe}"
    fields = "".join(f", arg{number}" for number in range(arguments))
    script = f'usdt:{target} HERE {{ printf("%d{"|%ld" * arguments}\\n", pid{fields}); }}'
    watched = asked(script, 1, "usdtsnoop", [target], WORKLOAD, 1)
    theirs = printed(watched)
    assert len(theirs) == COUNT
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [[str(event[name]) for name in ("pid", "arg1", "arg2", "arg3")[:1 + arguments]]
                for event in events] == theirs
    assert json.loads(watched.out("c", "json").splitlines()[0])["data"]["arguments"] == arguments
