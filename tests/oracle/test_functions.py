# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Tools on kernel functions beside bpftrace's one-liners on kprobes, on the same workload at the same
time."""
from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Dict

import pytest

from frontends import FRONTENDS
from oracle.test_bpftrace import asked, maps, printed

pytestmark = pytest.mark.needs("kprobes")
if not shutil.which("bpftrace"):
    pytest.skip("bpftrace is not installed", allow_module_level=True)


def test_vfsreadsize(workloads) -> None:
    sizes = "2 0 3 1 5 199 7 200 11 1999 13 2000 17 65536".split()
    script = 'kretprobe:vfs_read HERE { if (comm == "reads") { @ = lhist(retval, 0, 2000, 200); } }'
    watched = asked(script, 1, "vfsreadsize", ["--comm", "reads"],
                    [str(workloads / "reads"), *sizes], 1)
    # what is 2000 or more is a bucket without an end
    theirs = {bucket["min"]: bucket["count"] for bucket in maps(watched)["@"] if bucket["count"]}
    assert sum(theirs.values()) == 58 and theirs[2000] == 30
    for frontend in FRONTENDS:
        sizes_report, errors = watched.results[frontend, "json"].objects()
        (section,) = sizes_report["data"]
        assert {b["low"]: b["count"] for b in section["buckets"]} == theirs
        assert errors["data"] == {"errors": 0}


def test_vfsreadlat(workloads) -> None:
    """The same reads; each observer's times are its own."""
    script = "kprobe:vfs_read HERE { @s[tid] = nsecs; } " \
             "kretprobe:vfs_read HERE { if (@s[tid]) { @n[comm] = count(); delete(@s[tid]); } }"
    watched = asked(script, 2, "vfsreadlat", [], [str(workloads / "slowreads"), "23", "5"], 2)
    theirs = maps(watched)["@n"]
    assert theirs["slowreads"] == 23
    for frontend in FRONTENDS:
        (report,) = watched.results[frontend, "json"].objects()
        found: Dict[str, int] = {section["key"]["comm"]: sum(b["count"] for b in section["buckets"])
                                 for section in report["data"]}
        assert found == theirs


def test_vfsopen(workloads, tmp_path: Path) -> None:
    """Its last name; bpftrace would need a loop for the path."""
    words = ["cd", str(tmp_path)]
    for number in range(23):
        (tmp_path / f"file{number}").write_text("x")
        words += [("open", "openat", "openat2")[number % 3], f"./file{number}"]
    script = 'kprobe:vfs_open HERE { if (comm == "places") { printf("%d|%s\\n", pid, ' \
             "str(((struct path *)arg0)->dentry->d_name.name)); } }"
    watched = asked(script, 1, "vfsopen", ["--comm", "places"],
                    [str(workloads / "places"), *words], 1)
    theirs = printed(watched)
    assert len(theirs) == 23
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert [[str(e["pid"]), Path(e["path"]).name] for e in events] == theirs


@pytest.mark.needs("lsm")
def test_lsmexec(workloads) -> None:
    """The function that asks the security modules."""
    leave = str(workloads / "leave")
    groups = " -- ".join([f"execve {leave} x", "execve /bpfduet/no no", f"thread {leave} y"] * 11)
    script = 'kprobe:security_bprm_check HERE { printf("%d|%s|%s\\n", pid, comm, ' \
             "str(((struct linux_binprm *)arg0)->interp)); }"
    watched = asked(script, 1, "lsmexec", [], [str(workloads / "execs"), *groups.split()], 1)
    theirs = printed(watched)
    assert len(theirs) == 23
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        # bpftrace's strings have 64 bytes
        assert [[str(e["pid"]), e["comm"], e["path"][:63]] for e in events] == theirs


def test_capable(workloads) -> None:
    """By capability, as the function was called."""
    script = 'kprobe:cap_capable HERE { if (comm == "caps") { @[arg2] = count(); } }'
    watched = asked(script, 1, "capable", ["-v", "--comm", "caps"],
                    [str(workloads / "caps"), "23"], 1)
    theirs = Counter({int(key): count for key, count in maps(watched)["@"].items()})
    assert theirs[18] == theirs[7] == 23
    for frontend in FRONTENDS:
        events = [one["data"] for one in watched.results[frontend, "json"].objects()]
        assert Counter(event["cap"] for event in events) == theirs
