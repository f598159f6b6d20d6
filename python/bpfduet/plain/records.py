# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What bcc hands out, ctypes objects, as Python's own: dicts, lists, numbers, bytes for strings.

A char array keeps all of its bytes, for some hold several strings.
"""
from __future__ import annotations

import ctypes as ct
import sys
from dataclasses import replace
from itertools import chain
from typing import Any, Iterator, List, Tuple

import bcc
from bcc.libbcc import lib

from ..errors import Error
from ..spec.types import ARRAY_TYPES, HASH_TYPES, LOCK_TYPE, MAP_TYPES, Field, MapInfo, Types

Value = Any     # int, bool, bytes, a list or a dict of these


def is_chars(kind: Any) -> bool:
    """Whether a ctypes type is an array of char."""
    return issubclass(kind, ct.Array) and kind._type_ is ct.c_char


def members(kind: Any) -> Iterator[Tuple[str, Any]]:
    """Names and types of a struct's members, without locks and what bcc fills gaps with."""
    for entry in kind._fields_:
        if not entry[0].startswith("__pad_") and entry[1].__name__ != LOCK_TYPE:
            yield entry[0], entry[1]


def _at(kind: Any, address: int) -> Value:
    """The value of a ctypes type at an address."""
    if is_chars(kind):
        return ct.string_at(address, ct.sizeof(kind))
    if issubclass(kind, ct.Array):
        step = ct.sizeof(kind._type_)
        return [_at(kind._type_, address + number * step) for number in range(kind._length_)]
    if issubclass(kind, (ct.Structure, ct.Union)):
        return {name: _at(inner, address + getattr(kind, name).offset)
                for name, inner in members(kind)}
    value = kind.from_address(address).value
    return int.from_bytes(value, sys.byteorder, signed=True) if kind is ct.c_char else value


def _field(name: str, offset: int, kind: Any) -> Field:
    """What a spec is told of a ctypes type."""
    if is_chars(kind):
        return Field(name, offset, ct.sizeof(kind), "string")
    if issubclass(kind, ct.Array):
        one = _field(name, offset, kind._type_)
        return replace(one, count=kind._length_)
    if kind.__name__ == LOCK_TYPE:
        return Field(name, offset, ct.sizeof(kind), "lock")
    if issubclass(kind, (ct.Structure, ct.Union)):
        fields = tuple(_field(entry[0], getattr(kind, entry[0]).offset, entry[1])
                       for entry in kind._fields_ if not entry[0].startswith("__pad_"))
        return Field(name, offset, ct.sizeof(kind), "struct", 0, fields)
    if kind is ct.c_bool:
        return Field(name, offset, 1, "bool")
    signed = kind is ct.c_char or kind(-1).value < 0
    return Field(name, offset, ct.sizeof(kind), "int" if signed else "uint")


def types_of(bpf: Any) -> Types:
    """What bcc knows of a program's maps and records, for what a spec leaves to the compiler."""
    lib.bpf_table_name.restype, lib.bpf_table_name.argtypes = ct.c_char_p, [ct.c_void_p, ct.c_size_t]
    maps, events = {}, {}
    for number in range(lib.bpf_num_tables(bpf.module)):
        name = lib.bpf_table_name(bpf.module, number).decode()
        kind = MAP_TYPES.get(lib.bpf_table_type_id(bpf.module, number), "unknown")
        if kind not in ARRAY_TYPES | HASH_TYPES | {"stack_trace"}:
            maps[name] = MapInfo(name, kind, None, None, 0)
            continue
        table = table_of(bpf, name)
        percpu = isinstance(table, (bcc.table.PerCpuHash, bcc.table.PerCpuArray))
        leaf = _field("value", 0, table.sLeaf if percpu else table.Leaf)
        if name.endswith("__type"):
            events[name[:-len("__type")]] = leaf
        else:
            maps[name] = MapInfo(name, kind, _field("key", 0, table.Key), leaf, 0)
    return Types(maps, events=events)


def value_of(thing: Any) -> Value:
    """A ctypes object as Python's own."""
    return _at(type(thing), ct.addressof(thing))


def record_of(kind: Any, raw: bytes) -> Value:
    """A record of a buffer: it may end within its last member, the rest is zeros then."""
    return value_of(kind.from_buffer_copy(raw.ljust(ct.sizeof(kind), b"\0")))


def least_size(kind: Any) -> int:
    """How many bytes of a record there are at least: all but the last member's, if that is a
    char array."""
    name, last = list(members(kind))[-1]
    return int(getattr(kind, name).offset) if is_chars(last) else ct.sizeof(kind)


def walk(value: Value, path: str) -> Value:
    """The member that ``path`` ("key.pid") names. Raises Error."""
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise Error(f"the spec shows a field '{path}' that the kernel half does not have")
        value = value[name]
    return value


def type_at(kind: Any, path: str) -> Any:
    """The ctypes type of the member that ``path`` names. Raises Error."""
    for name in path.split("."):
        kind = dict(members(kind)).get(name) if issubclass(kind, (ct.Structure, ct.Union)) else None
        if kind is None:
            raise Error(f"the spec shows a field '{path}' that the kernel half does not have")
    return kind


def is_zero(value: Value) -> bool:
    """Whether nothing but zeros is in a value."""
    if isinstance(value, (dict, list)):
        return all(map(is_zero, value.values() if isinstance(value, dict) else value))
    return not (value.strip(b"\0") if isinstance(value, bytes) else value)


def added(values: List[Value]) -> Value:
    """Values of CPUs, or of entries, added up: what is no number is that of the first one which is
    not all zeros."""
    first = next((value for value in values if not is_zero(value)), values[0])
    if isinstance(first, dict):
        rest = [value for value in values if value is not first]
        return {name: _member([first[name], *(value[name] for value in rest)]) for name in first}
    return _member(values)


def _member(values: List[Value]) -> Value:
    if isinstance(values[0], dict):
        return {name: _member([value[name] for value in values]) for name in values[0]}
    if isinstance(values[0], list):
        return [_member(list(parts)) for parts in zip(*values)]
    return values[0] if isinstance(values[0], (bytes, bool)) else sum(values)


def order(value: Value) -> Tuple[Any, ...]:
    """What keys are sorted by: their members one after the other, strings up to their NUL."""
    if isinstance(value, (dict, list)):
        inner = value.values() if isinstance(value, dict) else value
        return tuple(chain.from_iterable(map(order, inner)))
    return (cut(value),) if isinstance(value, bytes) else (value,)


def table_of(bpf: Any, name: str) -> Any:
    """A table of a ``bcc.BPF``. Raises Error."""
    try:
        return bpf[name]
    except KeyError as error:
        raise Error(f"the spec names a map '{name}' that the kernel half does not have") from error


def cut(raw: bytes) -> bytes:
    """A char array up to its first NUL."""
    return raw.partition(b"\0")[0]


def strings(raw: bytes) -> List[bytes]:
    """The strings of a char array that holds several, a NUL behind each."""
    raw = raw.rstrip(b"\0")
    return raw.split(b"\0") if raw else []


def path_of(raw: bytes) -> bytes:
    """The path whose components a char array holds, the last one first."""
    path = b""
    for part in filter(None, strings(raw)):
        path = part + (b"/" if path and not part.endswith(b"/") else b"") + path
        if part.startswith(b"/"):
            break
    return path
