# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""exitsnoop beside the stock one: the same text."""
from __future__ import annotations

import re
from typing import List

import pytest

from frontends import FRONTENDS, watch
from oracle.test_stock import stock
from parity.same import masked

MASKS = [(rb"(?<= )\d+\.\d\d {3,}(?=0|code|signal)", b"AGE "),
         (rb"^\d\d:\d\d:\d\d\.\d{3} ", b"TIME ")]
ENDS = ["0", "3", "-9", "-6", "t2", "255", "0", "t3", "-31", "1"]


@pytest.mark.host_only
@pytest.mark.parametrize("args", [[], ["-x"], ["-t"], ["--utc"], ["--per-thread"],
                                  ["-t", "--label", "end", "-x"], ["--label", "longer"]])
def test_exitsnoop(workloads, args: List[str]) -> None:
    theirs = stock("exitsnoop:{cgroup_id}", " ".join(args))
    watched = watch("exitsnoop", args, [str(workloads / "exits"), *ENDS], 1, ["text"],
                    others={"stock": (theirs, 1)})
    # their header ends in a blank, and an interrupt writes an empty line
    lines = [line.rstrip() for line in masked(watched.out("stock"), MASKS).splitlines() if line]
    # and a label that is wider than its column touches the next one there
    lines = [re.sub(rb"^longer(?=\S)", b"longer ", line) for line in lines]
    assert len(lines) == 1 + {0: 11, 1: 6}["-x" in args] + 5 * ("--per-thread" in args)
    for frontend in FRONTENDS:
        assert masked(watched.out(frontend), MASKS).splitlines() == lines
