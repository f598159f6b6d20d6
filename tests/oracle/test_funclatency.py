# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""funclatency beside the stock tool: the same calls, all times as true as ours."""
from __future__ import annotations

import re

import pytest

from frontends import FRONTENDS, WORKLOADS, seconds
from oracle.test_stock import beside
from parity.test_funclatency import (BANNER, DEPTH, FUNCTION, PROGRAMS, UNITS, WORKLOAD,
                                     check_text)
from parity.histogram import drawn, read


@pytest.mark.host_only
@pytest.mark.parametrize("unit", list(UNITS))
def test_user_function(workloads, unit: str) -> None:
    """check_text() holds for both: so it asks for what the stock tool prints."""
    args = f"-p {{pid}} {unit} {FUNCTION}"
    watched = beside("funclatency", args, args, WORKLOAD, (PROGRAMS, PROGRAMS))
    for frontend in FRONTENDS:
        check_text(watched.out(frontend), watched.said, [DEPTH - 1], *UNITS[unit])
    head, last = BANNER, b"Detaching...\n"
    text = watched.out("stock")
    assert text.startswith(head) and text.endswith(last)
    check_text(text[len(head):-len(last)], watched.said, [DEPTH - 1], *UNITS[unit])


@pytest.mark.needs("kprobes")
def test_kernel_function(workloads) -> None:
    args = "-p {pid} -u -T -i %s __x64_sys_getpgid" % seconds(1000)
    watched = beside("funclatency", args, args, [str(WORKLOADS / "calls"), "23"],
                     (PROGRAMS, PROGRAMS))
    for name in ("stock", *FRONTENDS):
        text = re.sub(rb"(?m)^\d\d:\d\d:\d\d$", b"TIME", watched.out(name))
        counts = read(text)
        assert sum(counts.values()) == 23 and b", count: 23\n\n" in text
        assert b"\nTIME\n" + b"\n".join(drawn(counts, b"usecs")) + b"\n\navg = " in text
