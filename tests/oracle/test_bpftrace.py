# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The same question put to bpftrace, on the same workload at the same time."""
from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Dict, List

import pytest

from frontends import FRONTENDS, Watched, watch

if not shutil.which("bpftrace"):
    pytest.skip("bpftrace is not installed", allow_module_level=True)

MISSING = "/bpfduet/missing"
HERE = "/cgroup == {cgroup_id}/"


def asked(script: str, programs: int, tool: str, args: List[str], workload: List[str],
          ours: int, **kwargs: int) -> Watched:
    """Run our tool in JSON, and bpftrace with this script, HERE standing for the cgroup."""
    return watch(tool, args, workload, ours, ["json"], others={
        "bpftrace": (["bpftrace", "-q", "-f", "json", "-e", script.replace("HERE", HERE)],
                     programs)}, **kwargs)


def maps(watched: Watched) -> Dict[str, dict]:
    """The maps that bpftrace printed at its end, by name."""
    found: Dict[str, dict] = {}
    for line in watched.results["bpftrace", "text"].lines():
        if line:
            said = json.loads(line)
            if said["type"] in ("map", "hist"):
                found.update(said["data"])
    return found


def printed(watched: Watched) -> List[List[str]]:
    """The words of the lines that bpftrace printed."""
    said = [json.loads(line) for line in watched.results["bpftrace", "text"].lines() if line]
    return [line.split("|") for one in said if one["type"] == "printf"
            for line in one["data"].splitlines()]


def test_opens(workloads, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    words = ["open", MISSING, "openat", str(tmp_path / "f"), "openat2", str(tmp_path)] * 7
    words += ["open", "", "creat", str(tmp_path / "new")]
    script = "".join(
        f"tracepoint:syscalls:sys_enter_{call} HERE {{ @n[tid] = args->{name}; }}"
        f"tracepoint:syscalls:sys_exit_{call} HERE "
        '{ printf("%d|%s|%d|%s\\n", pid, comm, args->ret, str(@n[tid], 64)); delete(@n[tid]); }'
        for call, name in (("open", "filename"), ("creat", "pathname"), ("openat", "filename"),
                           ("openat2", "filename")))
    watched = asked(script, 8, "opensnoop", [], [str(workloads / "places"), *words], 4)
    theirs = printed(watched)
    assert len(theirs) == 23
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [[str(e["pid"]), e["comm"], str(-e["err"] if e["err"] else e["fd"]), e["path"][:63]]
                for e in events] == theirs


def test_execs(workloads) -> None:
    leave = str(workloads / "leave")
    groups = " -- ".join([f"execve {leave} x", f"thread {leave} y z", "execve /bpfduet/no no"] * 7)
    script = 'tracepoint:syscalls:sys_exit_execve HERE ' \
             '{ printf("%d|%s|%d\\n", pid, comm, args->ret); }'
    watched = asked(script, 1, "execsnoop", ["-x"], [str(workloads / "execs"), *groups.split()], 4)
    theirs = printed(watched)
    assert len(theirs) == 22
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [[str(e["pid"]), e["comm"], str(e["ret"])] for e in events] == theirs


def test_counts(workloads) -> None:
    """Every system call of the workload."""
    script = "tracepoint:raw_syscalls:sys_exit HERE { @[args->id] = count(); }"
    watched = asked(script, 1, "syscount", ["-T", "1000"], [str(workloads / "calls"), "23"], 1)
    theirs = Counter({int(key): value for key, value in maps(watched)["@"].items()})
    assert theirs[121] == theirs[21] == 23 or 23 in theirs.values()
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        assert {row["key"]: row["value"]["count"] for row in report["data"]} == theirs


def test_histogram(workloads) -> None:
    sizes = "2 0 3 1 5 2 7 3 11 4095 13 4096 17 65536".split()
    script = "tracepoint:syscalls:sys_exit_read HERE { @ = hist(args->ret); }"
    watched = asked(script, 1, "readhist", [], [str(workloads / "reads"), *sizes], 1)
    theirs: Counter = Counter()
    for bucket in maps(watched)["@"]:
        low = bucket.get("min", 0)
        theirs[0 if low < 2 else low] += bucket["count"]    # 0 and 1 are one bucket of ours
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        (section,) = report["data"]
        assert {b["low"]: b["count"] for b in section["buckets"]} == \
            {low: count for low, count in theirs.items() if count}
    assert re.fullmatch(r"\d+", str(sum(theirs.values()))) and sum(theirs.values()) == 59
