# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""[[program]] fallback: of two probes of the same thing the newer one where it can be attached,
and runs each time, else the older one, else a sentence."""
from __future__ import annotations

import pytest

from frontends import FRONTENDS, WORKLOADS, run, watch
from needs import NEEDS
from parity.same import assert_same

COUNT = 23
WORKLOAD = [str(WORKLOADS / "loads"), str(COUNT)]


@pytest.mark.needs("kprobes")
@pytest.mark.needs("fentry")
def test_fallback(workloads) -> None:
    """One is not replaced, one is, and one by two others."""
    watched = watch("fallback", ["--comm", "loads"], WORKLOAD, 4)
    same = assert_same(watched, {})
    assert same["text"].decode().splitlines() == [
        f"fexit vfs_read     : {COUNT}", "kretprobe vfs_read : 0", "fentry seq_printf  : 0",
        f"kprobe seq_printf  : {COUNT}", "kprobe vfs_write   : 1", "kretprobe vfs_write: 1"]


@pytest.mark.needs("kprobes")
@pytest.mark.needs("fentry")
def test_not_wanted(workloads) -> None:
    """What is there in place of a program is under that one's conditions."""
    watched = watch("fallback", ["--comm", "loads", "--no-writes"], WORKLOAD, 2, ["text"])
    same = assert_same(watched, {}, ["text"])
    assert same["text"].decode().splitlines()[3:] == [
        f"kprobe seq_printf  : {COUNT}", "kprobe vfs_write   : 0", "kretprobe vfs_write: 0"]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_nothing_to_fall_back_to(tracefs, frontend: str) -> None:
    """A kernel with neither."""
    done = run(frontend, "fallback", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stderr == b""
    else:
        assert (done.status, done.stdout, done.stderr) == (
            1, b"",
            b"fallback: this kernel has no kprobes, which this tool needs (for vfs_read)\n")


def test_shared(workloads) -> None:
    """Programs with one to fall back to are replaced together; it sees 32-bit calls and tells them
    from those of the same number."""
    watched = watch("shared", ["--comm", "entries"], [str(WORKLOADS / "entries"), str(COUNT)], 1)
    same = assert_same(watched, {})
    (_, by_32_bit), = watched.said
    assert by_32_bit in (0, 2 * COUNT)
    assert same["text"].decode().splitlines() == [
        "of its own: 0", f"64-bit    : {COUNT}", f"32-bit    : {by_32_bit}"]
