# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""schedcount beside the one line of bpftrace that asks the same."""
from __future__ import annotations

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, maps
from parity.test_schedcount import ENDS, LONG, names, programs

SCRIPT = "tracepoint:sched:sched* HERE { @[probe] = count(); }"


def test_counts(workloads) -> None:
    watched = asked(SCRIPT, programs(), "schedcount", LONG, ENDS, programs())
    theirs = maps(watched)["@"]
    by_number = {number: name for name, number in names().items()}
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        ours = {by_number[row["key"]]: row["value"] for row in report["data"]}
        assert ours == theirs
    assert theirs["tracepoint:sched:sched_process_exit"] == 24
