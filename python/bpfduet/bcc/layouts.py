# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The types of a module's maps and records, as libbcc describes them."""
from __future__ import annotations

import ctypes as ct
import re
from typing import Any, Dict, Iterable

from ..spec.types import LOCK_TYPE, MAP_TYPES, Field, MapInfo, Types
from ..paths import HEADERS
from .module import Table

_PINNED_SET = re.compile(r"^DUET_PINNED_SET\((\w+)\)", re.MULTILINE)


def pinned_sets(source: str) -> Dict[str, MapInfo]:
    """The maps that only exist when the user names a pinned one, by name."""
    if not re.search(r"^#define BPFDUET_CONTAINERS\b", source, re.MULTILINE):
        return {}
    number = Field("key", 0, 8, "uint"), Field("value", 0, 8, "uint")
    names = _PINNED_SET.findall((HEADERS / "bpfduet_task.h").read_text())
    return {name: MapInfo(name, "hash", *number, 1) for name in names}


def field_of(name: str, offset: int, ctype: Any) -> Field:
    """A ctypes type, as BCC made it from the compiler's description, as a Field."""
    if issubclass(ctype, ct.Array):
        element = ctype._type_
        if element is ct.c_char:
            return Field(name, offset, ct.sizeof(ctype), "string")
        inner = field_of(name, offset, element)
        return Field(name, offset, inner.size, inner.kind, ctype._length_, inner.fields)
    if ctype.__name__ == LOCK_TYPE:
        return Field(name, offset, ct.sizeof(ctype), "lock")
    if issubclass(ctype, (ct.Structure, ct.Union)):
        members = tuple(field_of(entry[0], getattr(ctype, entry[0]).offset, entry[1])
                        for entry in ctype._fields_ if not entry[0].startswith("__pad_"))
        return Field(name, offset, ct.sizeof(ctype), "struct", 0, members)
    if ctype is ct.c_bool:
        kind = "bool"
    elif ctype is ct.c_char:
        kind = "int"
    else:
        kind = "int" if ctype(-1).value < 0 else "uint"
    return Field(name, offset, ct.sizeof(ctype), kind)


def _decoded(description: bytes, name: str) -> Field:
    """A C type in BCC's JSON as a Field."""
    import json
    import bcc
    return field_of(name, 0, bcc.BPF._decode_table_type(json.loads(description.decode())))


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
