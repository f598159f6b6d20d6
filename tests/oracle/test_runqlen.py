# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlen beside bpftrace, which reads the same number at other moments."""
from __future__ import annotations

from typing import Dict

import pytest

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, maps
from parity.test_runqlen import CPUS, QUEUE, of_json

SCRIPT = "profile:hz:99 HERE { @[(uint64)curtask->se.cfs_rq->rq->nr_running] = count(); }"


def mean(counts: Dict[int, int]) -> float:
    return sum(length * count for length, count in counts.items()) / sum(counts.values())


@pytest.mark.host_only      # bpftrace 0.17 does not find the right struct rq on 6.1, which has two
def test_lengths(workloads) -> None:
    watched = asked(SCRIPT, 0, "runqlen", [], QUEUE, 0, samplers=CPUS)
    # theirs counts the running one too
    theirs = mean({int(length): count for length, count in maps(watched)["@"].items()}) - 1
    for frontend in FRONTENDS:
        ours = mean({length: count for (_, length), count in of_json(watched, frontend).items()})
        assert abs(ours - theirs) < 0.5
