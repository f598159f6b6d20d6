# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Bytes from the kernel as Python objects, by the fields of a bound spec."""
from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any, Dict, List

_BYTE_ORDER = sys.byteorder


def _value(field: Dict[str, Any], data: bytes, base: int) -> Any:
    start = base + field["offset"]
    if field["count"]:
        element = {**field, "count": 0, "offset": 0}
        return [_value(element, data, start + i * field["size"]) for i in range(field["count"])]
    if field["kind"] == "struct":
        return _struct(field["fields"], data, start)
    raw = data[start:start + field["size"]]
    if field["kind"] == "string":
        return raw.split(b"\0", 1)[0]
    number = int.from_bytes(raw, _BYTE_ORDER, signed=field["kind"] == "int")
    return bool(number) if field["kind"] == "bool" else number


def _struct(fields: List[Dict[str, Any]], data: bytes, base: int) -> SimpleNamespace:
    return SimpleNamespace(**{field["name"]: _value(field, data, base) for field in fields})


def event(fields: List[Dict[str, Any]], record: bytes) -> SimpleNamespace:
    """A record; its strings are bytes up to the first NUL."""
    return _struct(fields, record, 0)


def part(described: Dict[str, Any], data: bytes) -> Any:
    """A map's key or value: a plain value if it is no struct."""
    fields = described["fields"]
    if len(fields) == 1 and fields[0]["name"] in ("key", "value"):
        return _value(fields[0], data, 0)
    return _struct(fields, data, 0)
