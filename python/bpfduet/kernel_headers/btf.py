# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""BTF as the kernel shows it, for the little that bpftool's C text does not tell."""
from __future__ import annotations

import re
import struct
from typing import Dict, Iterator, NamedTuple, Optional, Set

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_WORD = struct.Struct("=I")
# By kind, in bytes: what follows the three words of a type, and what follows for each of its parts.
_INT, _ARRAY, _STRUCT, _UNION, _ENUM, _FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _ENUM64 = (
    1, 3, 4, 5, 6, 13, 14, 15, 17, 19)
_FIXED = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_PARTS = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_KEYWORDS = {_STRUCT: "struct", _UNION: "union", _ENUM: "enum", _ENUM64: "enum"}
# Of enums that are not as wide as C makes them.
_MODES = {1: "byte", 2: "HI"}
_ENUM_BODY = re.compile(r"\benum(?: \w+)? \{\n\s*(\w+) = [^}]*\}(?! __attribute__)")
_PAD = re.compile(r"^(\t+)long: 64;$", re.MULTILINE)
_UNNAMED = re.compile(r"^(\t+)(struct|union) (\w+);$", re.MULTILINE)


class BadBtf(Exception):
    """A file is no BTF, or a damaged one."""


class Entry(NamedTuple):
    """One type: ``keyword`` is empty for what is no struct, union or enum; ``name`` and ``first``,
    the name of an enum's first value, are places in the strings."""

    keyword: str
    name: int
    size: int
    first: int


class Btf:
    """The contents of a BTF file. A module's counts its strings on from those of ``base``."""

    def __init__(self, raw: bytes, base: Optional[Btf] = None):
        try:
            magic, _, _, size, types, types_size, strings, strings_size = _HEADER.unpack_from(raw)
        except struct.error as error:
            raise BadBtf("too short") from error
        if magic != _MAGIC:
            raise BadBtf("not BTF")
        self._types = raw[size + types:size + types + types_size]
        self._strings: bytes = ((base._strings if base else b"")
                                + raw[size + strings:size + strings + strings_size])

    def types(self) -> Iterator[Entry]:
        """All types that this file has itself. Raises BadBtf."""
        data, place = self._types, 0
        try:
            while place < len(data):
                name, info, size = _TYPE.unpack_from(data, place)
                kind, parts = info >> 24 & 0x1F, info & 0xFFFF
                place += _TYPE.size
                first = _WORD.unpack_from(data, place)[0] if parts and kind == _ENUM else 0
                yield Entry(_KEYWORDS.get(kind, ""), name, size, first)
                place += _FIXED.get(kind, 0) + _PARTS.get(kind, 0) * parts
        except struct.error as error:
            raise BadBtf("cut off") from error

    def string(self, place: int) -> str:
        """A name. Raises BadBtf."""
        end = self._strings.find(b"\0", place)
        if end < 0:
            raise BadBtf("no such string")
        return self._strings[place:end].decode(errors="replace")


def sizes(btf: Btf) -> Dict[str, int]:
    """Bytes of each struct and union, by "struct x"; not of names with two meanings. Raises BadBtf."""
    found: Dict[str, int] = {}
    ambiguous: Set[str] = set()
    for entry in btf.types():
        if entry.name and entry.keyword in ("struct", "union"):
            key = entry.keyword + " " + btf.string(entry.name)
            if key in found:
                ambiguous.add(key)
            found[key] = entry.size
    return {key: size for key, size in found.items() if key not in ambiguous}


def with_single_pads(text: str) -> str:
    """C text in which no two pads of a struct are one bit-field to the compiler.

    clang makes one integer of neighbouring bit-fields. BCC lays structs out for the host and
    generates code for BPF, whose integers of more than 64 bits are aligned otherwise: a member
    behind such pads would be read 8 or 16 bytes off.
    """
    return _PAD.sub(r"\1long: 0;\n\1long: 64;", text)


def with_unnamed_members(text: str) -> str:
    """C text that has the members of `struct x;` where Linux 7 has that for a member.

    Plain C knows no such thing, and nobody gives other people's BCC programs -fms-extensions.
    """
    def spelled_out(found: re.Match[str]) -> str:
        indent, keyword, name = found.groups()
        body = re.search(r"^%s %s \{\n((?:\t.*\n|\n)*)\}(.*;)$" % (keyword, name), text, re.MULTILINE)
        if body is None:
            return found.group()
        members = re.sub("^(?=.)", indent, _UNNAMED.sub(spelled_out, body.group(1)),
                         flags=re.MULTILINE)
        return "%s%s {\n%s%s}%s" % (indent, keyword, members, indent, body.group(2))
    return _UNNAMED.sub(spelled_out, text)


def with_enum_sizes(text: str, btf: Btf) -> str:
    """bpftool's C text with the width of narrow enums, which bpftool before 7.2 does not tell.

    Without it every member behind one is elsewhere: since 6.9 struct inode has one. Raises BadBtf.
    """
    modes: Dict[str, str] = {btf.string(entry.first): _MODES[entry.size] for entry in btf.types()
                             if entry.first and entry.size in _MODES}

    def widened(found: re.Match[str]) -> str:
        mode = modes.get(found.group(1))
        return found.group() + (" __attribute__((mode(%s)))" % mode if mode else "")
    return _ENUM_BODY.sub(widened, text)
