# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Several CPUs at once: no event is lost, made twice or mixed up."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from frontends import FRONTENDS, WORKLOADS, watch

THREADS, COUNT = 4, 1009


def test_threads(workloads) -> None:
    """The same multiset of events in both, each thread's own in its order."""
    watched = watch("opensnoop", [], [str(WORKLOADS / "threads"), str(THREADS), str(COUNT)], 4,
                    ["json"])
    wanted = Counter((pid, tid, f"/bpfduet/{thread}/{n}")
                     for pid, tid, thread in watched.said for n in range(COUNT))
    assert sum(wanted.values()) == THREADS * COUNT
    for frontend in FRONTENDS:
        events = [found["data"] for found in watched.results[frontend, "json"].objects()
                  if found["data"]["path"].startswith("/bpfduet/")]
        assert Counter((e["pid"], e["tid"], e["path"]) for e in events) == wanted
        assert all((e["fd"], e["err"]) == (-1, 2) for e in events)
        for _, tid, thread in watched.said:
            own = [e["path"] for e in events if e["tid"] == tid]
            assert own == [f"/bpfduet/{thread}/{n}" for n in range(COUNT)]


def test_one_thread(workloads) -> None:
    """-t of the first thread: none of the others'."""
    watched = watch("opensnoop", ["-t", "{pid}"],
                    [str(WORKLOADS / "threads"), str(THREADS), str(COUNT)], 4, ["text"])
    assert watched.pid not in [tid for _, tid, _ in watched.said]
    for frontend in FRONTENDS:
        assert b"/bpfduet/" not in watched.out(frontend)


@pytest.mark.needs("kprobes")
def test_files(workloads: Path, tmp_path: Path) -> None:
    """vfsopen, which fentry would leave out part of where the kernel preempts it."""
    file = tmp_path / "file"
    file.touch()
    watched = watch("vfsopen", ["--path", str(file)],
                    [str(WORKLOADS / "threads"), str(THREADS), str(COUNT), str(file)], 1, ["json"])
    for frontend in FRONTENDS:
        events = [found["data"] for found in watched.results[frontend, "json"].objects()]
        assert Counter((e["pid"], e["path"]) for e in events) \
            == {(watched.pid, str(file)): THREADS * COUNT}
