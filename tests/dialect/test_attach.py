# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Programs on kernel functions, system calls' functions and LSM hooks: attached both ways, on reads
that are known one by one."""
from __future__ import annotations

from typing import List, Tuple

import pytest

from frontends import WORKLOADS, watch
from parity.same import assert_same

# so many reads of so many bytes
READS = [(5, 1), (7, 4096), (11, 13)]
WORKLOAD = [str(WORKLOADS / "reads"), *[str(number) for pair in READS for number in pair]]
SIZES = [size for count, size in READS for _ in range(count)]
BOTH_ENDS = [(returned, size) for size in SIZES for returned in (0, 1)]
MAY_READ, MAY_WRITE = 4, 2


def asked() -> List[Tuple[int, int]]:
    """What an LSM is asked: the workload fills its pipe before each read, and prints at its end."""
    return [(0, mask) for _ in SIZES for mask in (MAY_WRITE, MAY_READ)] + [(0, MAY_WRITE)]


@pytest.mark.always_in_guests
@pytest.mark.parametrize("tool, programs, wanted", [
    pytest.param("reads_kprobe", 2, BOTH_ENDS, marks=pytest.mark.needs("kprobes")),
    pytest.param("reads_ksyscall", 2, BOTH_ENDS, marks=pytest.mark.needs("kprobes")),
    pytest.param("reads_fentry", 2, BOTH_ENDS, marks=pytest.mark.needs("fentry")),
    pytest.param("reads_lsm", 1, asked(), marks=pytest.mark.needs("lsm")),
], ids=["kprobe", "ksyscall", "fentry", "lsm"])
def test_reads(workloads, tool: str, programs: int, wanted: List[Tuple[int, int]]) -> None:
    # the kernel reads too, before it calls the workload by its name
    watched = watch(tool, ["--comm", "reads"], WORKLOAD, programs, ["csv"])
    same = assert_same(watched, {}, ["csv"])
    assert same["csv"].decode().splitlines() == \
        ["pid,returned,value", *[f"{watched.pid},{end},{value}" for end, value in wanted]]
