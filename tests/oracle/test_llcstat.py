# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""llcstat beside the stock one: the same text of page faults and context switches, which both
see one by one; of the cache's events each has samples of its own."""
from __future__ import annotations

import re
from typing import List, Tuple

import pytest

from frontends import FRONTENDS, watch
from oracle.test_stock import stock
from parity.test_llcstat import EVERY_EVENT, PAGES, PHASES, SAMPLERS

TOTAL = re.compile(r"Total References: (\d+) Total Misses: (\d+) Hit Rate: (\d+\.\d\d)%")


def parted(text: bytes) -> Tuple[List[str], List[str], str]:
    """The header, the rows in order and the last line. The stock tool leaves out rows without
    references, and an interrupt writes an empty line."""
    header, *rows, last = [line for line in text.decode().splitlines() if line]
    return [header], sorted(row for row in rows if row.split()[-3] != "0"), last


@pytest.mark.parametrize("args", [[], ["-t"]])
def test_events(workloads, args: List[str]) -> None:
    theirs = stock("eventstat:{cgroup_id}", " ".join(args + EVERY_EVENT))
    watched = watch("eventstat", args + EVERY_EVENT, PHASES, 0, ["text"], samplers=SAMPLERS,
                    others={"stock": (theirs, 0)})
    out = watched.out("stock")
    banner, _, out = out.partition(b"\n")
    assert banner + b"\n" == watched.results["c", "text"].stderr
    header, rows, last = parted(out)
    assert len(rows) > len(PAGES)
    for frontend in FRONTENDS:
        ours = parted(watched.out(frontend))
        assert (header, rows) == ours[:2]
        found, stocks = TOTAL.fullmatch(ours[2]), TOTAL.fullmatch(last)
        assert found and stocks and found[1] == stocks[1]
        # theirs has no misses of rows that it leaves out
        assert int(found[2]) >= int(stocks[2])
        assert found[2] != stocks[2] or found[3] == stocks[3]


@pytest.mark.needs("pmu")
def test_caches(workloads) -> None:
    """How many there were, within a third: they are samples."""
    watched = watch("llcstat", ["3600"], [PHASES[0], "many:100003:0"], 0, ["text"],
                    samplers=SAMPLERS,
                    others={"stock": (stock("llcstat:{cgroup_id}", "3600"), 0)})
    theirs, *ours = [[int(row.split()[-3]) for row in parted(watched.out(name).split(
        b"end.\n")[-1])[1] if " many " in row] for name in ("stock", *FRONTENDS)]
    assert len(theirs) == 1
    for counts in ours:
        assert len(counts) == 1 and abs(counts[0] - theirs[0]) < theirs[0] / 3
