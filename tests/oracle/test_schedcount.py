# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""schedcount beside the one line of bpftrace that asks the same."""
from __future__ import annotations

from typing import Callable, Dict

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, maps
from parity.test_schedcount import ENDS, LONG, names, programs

SCRIPT = "tracepoint:sched:sched* HERE { @[probe] = count(); }"


# Passed some time after what it is about, and in whatever task then runs: of two observers one may
# have ended, or be in the midst of another event.
LATER = ("sched_process_free", "sched_stat_runtime")
# Passed by interrupts, too. bpftrace's probes are perf's, and of those the kernel runs none while
# one of them runs on that CPU (trace_call_bpf), so it may see fewer; of ours each is alone.
IN_INTERRUPTS = ("sched_migrate_task", "sched_wakeup", "sched_waking")


def only(counts: Dict[str, int], wanted: Callable[[str], bool]) -> Dict[str, int]:
    """The counts of some events, by name."""
    short = {name.split(":")[-1]: count for name, count in counts.items()}
    return {name: count for name, count in short.items() if wanted(name) and name not in LATER}


def test_counts(workloads) -> None:
    watched = asked(SCRIPT, programs(), "schedcount", LONG, ENDS, programs())
    theirs = maps(watched)["@"]
    by_number = {number: name for name, number in names().items()}
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        ours = {by_number[row["key"]]: row["value"] for row in report["data"]}
        assert only(ours, lambda name: name not in IN_INTERRUPTS) == \
            only(theirs, lambda name: name not in IN_INTERRUPTS)
        seen = only(theirs, IN_INTERRUPTS.__contains__)
        at_most = only(ours, IN_INTERRUPTS.__contains__)
        assert set(seen) <= set(at_most)
        for name, count in at_most.items():
            assert count // 2 < seen[name] <= count, name
    assert theirs["tracepoint:sched:sched_process_exit"] == 24
