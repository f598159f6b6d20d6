# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The types of a module's maps and records, as libbcc describes them."""
from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Dict, Iterable, List, NamedTuple

from ..spec.types import LOCK_TYPE, MAP_TYPES, Field, MapInfo, Types
from ..paths import HEADERS
from .module import NotCovered, Table

_PINNED_SET = re.compile(r"^DUET_PINNED_SET\((\w+)\)", re.MULTILINE)
# kind, bytes, elements; __int128 is the usual home of an IPv6 address: shown as its bytes
_SCALARS = {
    "_Bool": ("bool", 1, 0), "char": ("int", 1, 0), "unsigned char": ("uint", 1, 0),
    "short": ("int", 2, 0), "unsigned short": ("uint", 2, 0), "wchar_t": ("int", 4, 0),
    "int": ("int", 4, 0), "unsigned int": ("uint", 4, 0),
    "long": ("int", 8, 0), "unsigned long": ("uint", 8, 0),
    "long long": ("int", 8, 0), "unsigned long long": ("uint", 8, 0),
    "__int128": ("uint", 1, 16), "unsigned __int128": ("uint", 1, 16),
}


def pinned_sets(source: str) -> Dict[str, MapInfo]:
    """The maps that only exist when the user names a pinned one, by name."""
    if not re.search(r"^#define BPFDUET_CONTAINERS\b", source, re.MULTILINE):
        return {}
    number = Field("key", 0, 8, "uint"), Field("value", 0, 8, "uint")
    names = _PINNED_SET.findall((HEADERS / "bpfduet_task.h").read_text())
    return {name: MapInfo(name, "hash", *number, 1) for name in names}


class _Layout(NamedTuple):
    """A C type: a Field without a name or place, and its alignment."""

    field: Field
    align: int


def _aligned(offset: int, align: int) -> int:
    return (offset + align - 1) // align * align


def _layout(described: Any) -> _Layout:
    """A type as BCC's JSON has it: a name of C, or [name, members], or [name, members, kind]."""
    if isinstance(described, str):
        if described not in _SCALARS:
            raise NotCovered(f"its maps or records have a '{described}', which nothing here can show")
        kind, size, count = _SCALARS[described]
        return _Layout(Field("", 0, size, kind, count), size * max(count, 1))
    name, members, shape = [*described, "struct"][:3]
    fields: List[Field] = []
    offset, most, align = 0, 0, 1
    for member in members:
        one = _member(name, member)
        if shape != "struct_packed":
            offset, align = _aligned(offset, one.align), max(align, one.align)
        if not member[0]:       # those of an unnamed struct or union are the outer one's, as in C
            fields += [replace(inner, offset=offset + inner.offset) for inner in one.field.fields]
        elif not member[0].startswith("__pad_"):
            fields.append(replace(one.field, name=member[0], offset=offset))
        most = max(most, offset + one.field.end)
        if shape != "union":
            offset = most
    size = _aligned(most, align)
    if name == LOCK_TYPE:
        return _Layout(Field("", 0, size, "lock"), align)
    return _Layout(Field("", 0, size, "struct", 0, tuple(fields)), align)


def _member(of: str, described: List[Any]) -> _Layout:
    """[name, type], [name, type, [elements]], [name, type, bits], or an unnamed struct itself."""
    if len(described) < 3:
        return _layout(described[1])
    if len(described) > 3:
        raise NotCovered(f"'{of}.{described[0]}' is an array of arrays, of which BCC tells one size: "
                         "make it one array")
    if isinstance(described[2], str):
        return _layout(described)
    if isinstance(described[2], int):
        raise NotCovered(f"'{of}.{described[0]}' is a bitfield, which no frontend can show; make it a "
                         "whole integer")
    one, count = _layout(described[1]), described[2][0]
    if described[1] == "char":
        return _Layout(Field("", 0, count, "string"), 1)
    return one._replace(field=replace(one.field, count=count * max(one.field.count, 1)))


def _decoded(description: bytes, name: str) -> Field:
    """A C type in BCC's JSON as a Field."""
    return replace(_layout(json.loads(description)).field, name=name)


def described_types(tables: Iterable[Table], pinned: Dict[str, MapInfo]) -> Types:
    """Layouts of all maps and events of what BCC has compiled."""
    maps, events = dict(pinned), {}
    for table in tables:
        shown = table.name.decode()
        if shown.endswith("__type"):
            events[shown[:-len("__type")]] = _decoded(table.leaf, "event")
            continue
        kind = MAP_TYPES.get(table.type_id, "unknown")
        buffer = kind in ("ringbuf", "perf_event_array")
        key = None if buffer or kind in ("queue", "stack") else _decoded(table.key, "key")
        maps[shown] = MapInfo(shown, kind, key, None if buffer else _decoded(table.leaf, "value"),
                              table.max_entries)
    return Types(maps, events=events)
