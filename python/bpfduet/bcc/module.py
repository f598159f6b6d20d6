# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What libbcc has compiled: maps, instructions, and where in them maps and late constants are."""
from __future__ import annotations

import ctypes as ct
import struct
from typing import Any, Dict, Iterable, NamedTuple, Tuple

from ..spec.types import MAP_TYPES

# Maps of maps: nothing here fills them.
_OUTER_MAPS = ("array_of_maps", "hash_of_maps")
_RDONLY_PROG = 1 << 7       # BPF_F_RDONLY_PROG
# Helpers that get a function; BCC has no way to hand one over.
_TAKES_FUNCTION = {164: "bpf_for_each_map_elem", 170: "bpf_timer_set_callback", 180: "bpf_find_vma",
                   181: "bpf_loop", 209: "bpf_user_ringbuf_drain"}
_INSTRUCTION = struct.Struct("=BBhi")   # opcode, registers, offset, immediate
_LOAD_IMM64, _CALL, _CALL_BY_ADDRESS, _MAP_FD = 0x18, 0x85, 0x8d, 1


class NotCovered(Exception):
    """A module that is more than maps and instructions."""


class NotLate(NotCovered):
    """One that may be no more than that if less of it is late."""


class Table(NamedTuple):
    """A map: what it is made of, and what BCC tells of it."""

    name: bytes
    made_of: Tuple[int, int, int, int, int]     # type, key size, value size, entries, flags
    type_id: int
    max_entries: int
    key: bytes      # the C types, in BCC's JSON
    leaf: bytes


class Function(NamedTuple):
    """A program: instructions, and the numbers of those to fill in a map or a constant."""

    name: bytes
    code: bytes
    maps: Tuple[Tuple[int, int], ...]       # (instruction, number of the table)
    late: Tuple[Tuple[int, str], ...]       # (instruction, name of the constant)


class Compiled(NamedTuple):
    """A module of BCC's."""

    tables: Tuple[Table, ...]
    functions: Tuple[Function, ...]
    license: bytes


def _signed(number: int) -> int:
    """The lower 32 bits as an immediate."""
    return int(ct.c_int32(number).value)


def _map_attributes(lib: Any, fd: int) -> Tuple[int, int, int, int, int]:
    """What the kernel says of a map: the first fields of struct bpf_map_info, without its id."""
    info, size = (ct.c_uint32 * 6)(), ct.c_uint32(24)
    if lib.bpf_obj_get_info(fd, info, ct.byref(size)) != 0:
        raise NotCovered("the kernel does not describe its maps")
    kind, _, key, value, entries, flags = info
    if MAP_TYPES.get(kind) in ("devmap", "devmap_hash"):
        flags &= ~_RDONLY_PROG      # the kernel's own, which it does not take
    return kind, key, value, entries, flags


def _table(lib: Any, module: Any, number: int) -> Tuple[int, Table]:
    """A map and its descriptor."""
    name = lib.bpf_table_name(module, number)
    fd = lib.bpf_table_fd(module, name)
    table = Table(name, _map_attributes(lib, fd), lib.bpf_table_type_id(module, number),
                  lib.bpf_table_max_entries_id(module, number),
                  lib.bpf_table_key_desc(module, name),
                  lib.bpf_table_leaf_desc(module, name))
    kind, shown = MAP_TYPES.get(table.type_id, "unknown"), name.decode()
    if table.type_id != table.made_of[0] or table.max_entries != table.made_of[3]:
        raise NotCovered(f"the map that is pinned for '{shown}' is of another type or size: remove "
                         "it, or declare it as it is")
    if kind in _OUTER_MAPS:
        raise NotCovered(f"'{shown}' is a map of maps, which nothing here fills: use one map, with "
                         "the outer key as a part of its key")
    return fd, table


def _function(name: bytes, code: bytes, tables: Dict[int, int], marks: Dict[int, str]) -> Function:
    """A program. ``tables``: numbers of the maps by descriptor; ``marks``: names of the late
    constants by placeholder."""
    shown = name.decode()
    maps, late = [], []
    parts = {_signed(half) for mark in marks for half in (mark, mark >> 32) if half}
    instructions = enumerate(_INSTRUCTION.iter_unpack(code))
    for place, (opcode, registers, _, immediate) in instructions:
        value, halves = 0, {immediate}
        if opcode == _LOAD_IMM64:
            upper = next(instructions)[1][3]
            value, halves = upper << 32 | immediate & 0xffffffff, {immediate, upper}
        source = registers >> 4
        if opcode == _LOAD_IMM64 and source == _MAP_FD and immediate in tables:
            maps.append((place, tables[immediate]))
        elif opcode == _CALL and source:
            raise NotCovered(f"{shown}() calls a function that is not inlined, and BCC has no such "
                             "calls: write it static __always_inline, without recursion")
        elif opcode == _CALL_BY_ADDRESS:
            raise NotCovered(f"{shown}() calls a function by its address, which BPF cannot: call it "
                             "by its name")
        elif opcode == _CALL and immediate in _TAKES_FUNCTION:
            raise NotCovered(f"{shown}() hands a function to {_TAKES_FUNCTION[immediate]}(), which "
                             "BCC cannot: put that behind #ifndef __BCC__, for the tool that "
                             "clang builds, and do without it here")
        elif opcode == _LOAD_IMM64 and source:
            raise NotCovered(f"{shown}() names a map by a descriptor that is not of its own: "
                             "declare the map")
        elif value in marks:
            late.append((place, marks[value]))
        elif halves & parts:
            raise NotLate(f"{shown}() has a CONFIG constant taken apart, so that it cannot be set "
                          "at the start: use it as a whole")
    return Function(name, code, tuple(maps), tuple(late))


def describe(lib: Any, module: Any, marks: Dict[int, str], others: Iterable[int] = ()) -> Compiled:
    """What a module is. ``marks``: names of the late constants by placeholder; ``others``: what
    stands in the code for the descriptors of further maps, which are numbered after the module's.
    Raises NotCovered."""
    found = [_table(lib, module, number) for number in range(lib.bpf_num_tables(module))]
    tables = {fd: number for number, fd in enumerate([*(fd for fd, _ in found), *others])}
    names = [lib.bpf_function_name(module, number)
             for number in range(lib.bpf_num_functions(module))]
    functions = [_function(name, ct.string_at(lib.bpf_function_start(module, name),
                                              lib.bpf_function_size(module, name)), tables, marks)
                 for name in names]
    return Compiled(tuple(table for _, table in found), tuple(functions),
                    lib.bpf_module_license(module))
