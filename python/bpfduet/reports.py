# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Maps as they were read, made ready to print: sums over CPUs, order, histograms."""
from __future__ import annotations

import sys
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from .text import cut

Entry = Tuple[bytes, Sequence[bytes]]
Row = Tuple[bytes, bytes]
Field = Dict[str, Any]

_LOG2_SLOTS = 64
_LINEAR_SLOTS = 1024
_STARS = 40
_U64 = (1 << 64) - 1


def integer(field: Field, raw: bytes, base: int = 0, signed: bool = True) -> int:
    """An integer of a key or value; without ``signed`` its bits as an unsigned one."""
    offset = base + field["offset"]
    number = int.from_bytes(raw[offset:offset + field["size"]], sys.byteorder,
                            signed=signed and field["kind"] == "int")
    return int(number != 0) if field["kind"] == "bool" else number


def _elements(field: Field, base: int) -> Iterator[Tuple[Field, int]]:
    """A field's elements as (field, base), itself if it is no array."""
    for index in range(max(field.get("count") or 0, 1)):
        yield {**field, "count": 0}, base + index * field["size"]


def _integers(fields: Sequence[Field], base: int = 0) -> Iterator[Tuple[int, int]]:
    """(offset, size) of every integer in a value."""
    for field in fields:
        for element, start in _elements(field, base):
            offset = start + element["offset"]
            if element["kind"] == "struct":
                yield from _integers(element["fields"], offset)
            elif element["kind"] in ("int", "uint"):
                yield offset, element["size"]


def sum_cpus(fields: Sequence[Field], values: Sequence[bytes]) -> bytes:
    """One value out of those of all CPUs: integers are added, the rest is of the first CPU
    that has a value other than zero."""
    if len(values) == 1:
        return values[0]
    total = bytearray(next((value for value in values if any(value)), values[0]))
    for offset, size in _integers(fields):
        number = sum(int.from_bytes(value[offset:offset + size], sys.byteorder)
                     for value in values)
        number &= (1 << (8 * size)) - 1
        total[offset:offset + size] = number.to_bytes(size, sys.byteorder)
    return bytes(total)


def order(fields: Sequence[Field], raw: bytes, base: int = 0) -> Tuple[Any, ...]:
    """What a key is sorted by: its fields in their order."""
    parts: List[Any] = []
    for field in fields:
        for element, start in _elements(field, base):
            offset = start + element["offset"]
            if element["kind"] == "struct":
                parts += order(element["fields"], raw, offset)
            elif element["kind"] == "string":
                parts.append(cut(raw[offset:offset + element["size"]]))
            else:
                parts.append(integer(element, raw, start))
    return tuple(parts)


def section_order(sections: Sequence[Field], raw: bytes) -> Tuple[Any, ...]:
    """What the sections of a histogram are sorted by, and told apart by."""
    parts: List[Any] = []
    for section in sections:
        if section["kind"] == "struct" or section.get("count"):
            size = section["size"] * max(section.get("count") or 0, 1)
            parts.append(raw[section["offset"]:section["offset"] + size])
        else:
            parts += order([section], raw)
    return tuple(parts)


def rows(report: Field, entries: Sequence[Entry]) -> List[Row]:
    """(key, value) of every entry, summed over the CPUs."""
    fields = report["value"]["fields"]
    return [(key, sum_cpus(fields, values)) for key, values in entries]


def total_row(report: Field, found: Sequence[Row]) -> Row:
    """All entries added up, as those of the CPUs are; its key is zero."""
    values = [value for _, value in found] or [bytes(report["value"]["size"])]
    return bytes(report["key"]["size"]), sum_cpus(report["value"]["fields"], values)


def average(report: Field, entries: Sequence[Entry]) -> Tuple[int, int, int]:
    """(average, total, count) of what the entries of a map sum up, in the report's unit."""
    values = [value for _, value in rows(report, entries)]
    total, count = (sum(integer(report[name], value) for value in values) & _U64
                    for name in ("total", "count"))
    total //= int(report["divisor"])
    return total // max(count, 1), total, count


class Histogram:
    """One histogram: counts by slot. ``key`` is one of the keys it was made from."""

    def __init__(self, report: Field, key: bytes):
        self.key = key
        self._linear = report["kind"] == "linear"
        self._base = int(report.get("base") or 0)
        self._step = int(report.get("step") or 1)
        self._heading: bytes = report["heading"].encode()
        self._counts: Dict[int, int] = {}

    def add(self, slot: int, count: int) -> None:
        """Count a slot of the map. Slots that cannot be shown are left out."""
        if 0 <= slot <= (_LINEAR_SLOTS if self._linear else _LOG2_SLOTS):
            self._counts[slot] = (self._counts.get(slot, 0) + count) & _U64

    def _range(self, slot: int) -> Tuple[int, int]:
        if self._linear:
            low = self._base + slot * self._step
            return low, low + self._step - 1
        # BCC shows 1 in a row with 0, although no 0 is counted there
        return (0, 1) if slot == 1 else ((1 << slot) >> 1, (1 << slot) - 1)

    def buckets(self) -> List[Tuple[int, int, int]]:
        """(low, high, count) of every slot that is not zero."""
        first = 0 if self._linear else 1
        return [(*self._range(slot), self._counts[slot]) for slot in sorted(self._counts)
                if slot >= first and self._counts[slot]]

    def lines(self) -> Iterator[bytes]:
        """BCC's drawing; nothing if there is nothing to draw."""
        first = 0 if self._linear else 1
        last = max((slot for slot, count in self._counts.items() if count), default=-1)
        if last < first:
            return
        largest = max(self._counts.values())
        width = _STARS
        if self._linear:
            yield b"     %-13s : count     distribution\n" % self._heading
        elif last <= 32:
            yield b"     %-19s : count     distribution\n" % self._heading
        else:
            yield b"               %-29s : count     distribution\n" % self._heading
            width = _STARS // 2
        for slot in range(first, last + 1):
            low, high = self._range(slot)
            count = self._counts.get(slot, 0)
            bar = b" : %-8d |%-*s|\n" % (count, width, b"*" * (width * count // largest))
            if self._linear:
                yield b"        %-10d" % low + bar
            elif last <= 32:
                yield b"%10d -> %-10d" % (low, high) + bar
            else:
                yield b"%20d -> %-20d" % (low, high) + bar


def histograms(report: Field, entries: Sequence[Entry]) -> List[Histogram]:
    """The histograms of a report in the order to print them; one if it has no sections."""
    sections = report.get("sections") or []
    found: Dict[Tuple[Any, ...], Histogram] = {}
    if not sections:
        found[()] = Histogram(report, b"")
    value_field = report["value"]["fields"][0]
    for key, value in rows(report, entries):
        where = section_order(sections, key)
        if where not in found:
            found[where] = Histogram(report, key)
        found[where].add(integer(report["slot"], key), integer(value_field, value, 0, False))
    return [found[where] for where in sorted(found)]
