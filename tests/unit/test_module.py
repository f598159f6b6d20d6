# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What of a program that libbcc has compiled is filled in later. No kernel, no BCC."""
from __future__ import annotations

import struct
from typing import Dict

import pytest

from bpfduet.bcc import late_constants
from bpfduet.bcc import module
from bpfduet.bcc.module import Function, NotCovered, NotLate


def instruction(opcode: int, immediate: int, source: int = 0) -> bytes:
    """One instruction; register 1 is where it writes."""
    return struct.pack("=BBhi", opcode, source << 4 | 1, 0, immediate)


def load_imm64(value: int, source: int = 0) -> bytes:
    """r1 = value, in two instructions."""
    low, high = struct.unpack("=ii", struct.pack("=Q", value))
    return instruction(0x18, low, source) + instruction(0, high)


EXIT = instruction(0x95, 0)
MARK = late_constants.placeholder("filter_cgroup")
OTHER = late_constants.placeholder("filter_pid")
NAMES = {MARK: "filter_cgroup", OTHER: "filter_pid"}


def function(*code: bytes, tables: Dict[int, int] = {9: 4}) -> Function:
    """What is kept of some instructions; descriptor 9 is that of the table 4."""
    return module._function(b"f", b"".join(code) + EXIT, tables, NAMES)


# -- instructions ----------------------------------------------------------------------------


def test_what_is_filled_in_is_found() -> None:
    """Maps and late constants, at their places; the half of a load is no instruction."""
    found = function(EXIT, load_imm64(9, 1), load_imm64(OTHER), load_imm64(MARK),
                     load_imm64(9), load_imm64(OTHER), instruction(0x85, 14))
    assert found.maps == ((1, 4),)
    assert found.late == ((3, "filter_pid"), (5, "filter_cgroup"), (9, "filter_pid"))


@pytest.mark.parametrize("code", [
    load_imm64(8, 1),                       # a map that is not the program's
    load_imm64(9, 2), load_imm64(9, 3),     # a map's value, a kernel variable
    instruction(0x85, 3, 1), instruction(0x85, 3, 2),       # functions of the program, the kernel
])
def test_what_is_not_covered(code: bytes) -> None:
    """Anything else that would mean another thing in the next process."""
    with pytest.raises(NotCovered) as raised:
        function(code)
    assert raised.type is NotCovered


@pytest.mark.parametrize("code", [
    instruction(0x07, module._signed(MARK)),              # += : taken apart
    instruction(0xb7, module._signed(MARK)), instruction(0xb7, MARK >> 32),
    load_imm64(MARK ^ 1), load_imm64(MARK ^ 1 << 40), load_imm64(MARK & 0xffffffff),
])
def test_what_cannot_be_late(code: bytes) -> None:
    """A placeholder that is not loaded as a whole."""
    with pytest.raises(NotLate):
        function(code)
