# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""schedcount beside the one line of bpftrace that asks the same."""
from __future__ import annotations

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, maps
from parity.test_schedcount import ENDS, LONG, names, programs

SCRIPT = "tracepoint:sched:sched* HERE { @[probe] = count(); }"


# Passed some time after what it is about, and in whatever task then runs: of two observers one may
# have ended, or be in the midst of another event.
LATER = ("tracepoint:sched:sched_process_free", "tracepoint:sched:sched_stat_runtime")


def test_counts(workloads) -> None:
    watched = asked(SCRIPT, programs(), "schedcount", LONG, ENDS, programs())
    theirs = {name: count for name, count in maps(watched)["@"].items() if name not in LATER}
    by_number = {number: name for name, number in names().items()}
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        ours = {by_number[row["key"]]: row["value"] for row in report["data"]
                if by_number[row["key"]] not in LATER}
        assert ours == theirs
    assert theirs["tracepoint:sched:sched_process_exit"] == 24
