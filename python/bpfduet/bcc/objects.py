# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Object files (ELF) of what BCC has compiled, in the form that libbpf reads.

A section for each program, BTF-defined maps, the license, and as in every object of bpfduet the
bound spec. What is peculiar to BCC's is in a section of its own, ``.bpfduet.bcc``: JSON, of which
docs/start-up.md describes the members.
"""
from __future__ import annotations

import struct
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

SPEC_SECTION, BCC_SECTION = ".bpfduet", ".bpfduet.bcc"

# include/uapi/linux/elf.h
_EM_BPF, _ET_REL = 247, 1
_PROGBITS, _SYMTAB, _STRTAB, _REL = 1, 2, 3, 9
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4
_OBJECT, _FUNCTION, _GLOBAL = 1, 2, 1 << 4
_R_BPF_64_64 = 1
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
# include/uapi/linux/btf.h
_BTF_MAGIC, _BTF_HEADER = 0xeb9f, struct.Struct("<HBBIIIII")
_INT, _PTR, _ARRAY, _STRUCT, _VAR, _DATASEC = 1, 2, 3, 4, 14, 15
# bytes behind a type's first twelve: of the type, and of each of its members
_BEHIND = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0),
           15: (0, 12), 17: (4, 0), 19: (0, 12)}
# struct bpf_insn: a load of 64 bits, and that they are a map
_INSTRUCTION = struct.Struct("<BBhi")
_LOAD_IMM64 = 0x18


class MapDefinition(NamedTuple):
    """A map. ``key`` and ``value`` are ids of types in the BTF that libbcc made, 0 if unknown."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    key: int = 0
    value: int = 0


class Code(NamedTuple):
    """A program. ``maps`` are pairs: the number of an instruction that loads a map, its name."""

    name: str
    section: str
    code: bytes
    maps: Sequence[Tuple[int, str]]


class _Btf:
    """Types, added to those of a BTF blob if there is one."""

    def __init__(self, blob: bytes):
        self._types = self._strings = b""
        self._count = 0
        if blob:
            _, _, _, length, types, types_size, strings, strings_size = \
                _BTF_HEADER.unpack_from(blob)
            self._types = blob[length + types:][:types_size]
            self._strings = blob[length + strings:][:strings_size]
            self._count = _number_of_types(self._types)
        self._strings = self._strings or b"\0"
        self._int = self._add("int", _INT, 0, 4, struct.pack("<I", 1 << 24 | 32))

    def _string(self, text: str) -> int:
        place = len(self._strings)
        self._strings += text.encode() + b"\0"
        return place if text else 0

    def _add(self, name: str, kind: int, members: int, size_or_type: int,
             behind: bytes = b"") -> int:
        self._types += struct.pack("<III", self._string(name), kind << 24 | members,
                                   size_or_type) + behind
        self._count += 1
        return self._count

    def _pointer(self, to: int) -> int:
        return self._add("", _PTR, 0, to)

    def _number(self, number: int) -> int:
        """libbpf's __uint(): a pointer to an array of so many."""
        return self._pointer(self._add("", _ARRAY, 0, 0,
                                       struct.pack("<III", self._int, self._int, number)))

    def add_maps(self, maps: Sequence[MapDefinition]) -> List[Tuple[int, int]]:
        """The section .maps; returns each map's place in it and size."""
        places, variables, offset = [], b"", 0
        for one in maps:
            members = [("type", self._number(one.type)),
                       ("max_entries", self._number(one.max_entries))]
            if one.flags:
                members.append(("map_flags", self._number(one.flags)))
            if one.key and one.value:
                members += [("key", self._pointer(one.key)), ("value", self._pointer(one.value))]
            else:
                members += [(name, self._number(size)) for name, size in
                            (("key_size", one.key_size), ("value_size", one.value_size)) if size]
            size = 8 * len(members)
            packed = b"".join(struct.pack("<III", self._string(name), kind, 64 * number)
                              for number, (name, kind) in enumerate(members))
            definition = self._add("", _STRUCT, len(members), size, packed)
            variable = self._add(one.name, _VAR, 0, definition, struct.pack("<I", 1))
            variables += struct.pack("<III", variable, offset, size)
            places.append((offset, size))
            offset += size
        self._add(".maps", _DATASEC, len(maps), offset, variables)
        return places

    def to_bytes(self) -> bytes:
        """The blob."""
        return _BTF_HEADER.pack(_BTF_MAGIC, 1, 0, _BTF_HEADER.size, 0, len(self._types),
                                len(self._types), len(self._strings)) \
            + self._types + self._strings


def _number_of_types(types: bytes) -> int:
    count = place = 0
    while place < len(types):
        info, = struct.unpack_from("<I", types, place + 4)
        fixed, each = _BEHIND.get(info >> 24 & 0x1f, (0, 0))
        place += 12 + fixed + each * (info & 0xffff)
        count += 1
    return count


class _Section(NamedTuple):
    name: str
    type: int
    flags: int
    data: bytes
    link: int = 0
    info: int = 0
    align: int = 1
    entry: int = 0


def write(maps: Sequence[MapDefinition], programs: Sequence[Code], btf: bytes, license_: bytes,
          texts: Dict[str, bytes]) -> bytes:
    """An object file. ``btf`` is the blob whose types the maps name, empty if there is none;
    ``texts`` are further sections."""
    types = _Btf(btf)
    places = types.add_maps(maps)
    names = b"\0"
    symbols = [_SYMBOL.pack(0, 0, 0, 0, 0, 0)]
    numbers: Dict[str, int] = {}

    def symbol(name: str, kind: int, section: int, value: int, size: int) -> None:
        nonlocal names
        symbols.append(_SYMBOL.pack(len(names), _GLOBAL | kind, 0, section, value, size))
        names += name.encode() + b"\0"

    sections = [_Section("", 0, 0, b""),
                _Section(".maps", _PROGBITS, _ALLOC | _WRITE,
                         bytes(sum(size for _, size in places)), align=8),
                _Section("license", _PROGBITS, _ALLOC | _WRITE, license_ + b"\0")]
    for one, (offset, size) in zip(maps, places):
        numbers[one.name] = len(symbols)
        symbol(one.name, _OBJECT, 1, offset, size)
    relocations: List[_Section] = []
    symbol_table = len(sections) + sum(2 if one.maps else 1 for one in programs)
    for program in programs:
        code = bytearray(program.code)
        entries = b""
        for place, name in program.maps:
            registers = code[place * 8 + 1] & 0x0f
            _INSTRUCTION.pack_into(code, place * 8, _LOAD_IMM64, registers, 0, 0)
            _INSTRUCTION.pack_into(code, place * 8 + 8, 0, 0, 0, 0)
            entries += struct.pack("<QQ", place * 8, numbers[name] << 32 | _R_BPF_64_64)
        symbol(program.name, _FUNCTION, len(sections), 0, len(code))
        if entries:
            relocations.append(_Section(f".rel{program.section}", _REL, 0, entries, symbol_table,
                                        len(sections), 8, 16))
        sections.append(_Section(program.section, _PROGBITS, _ALLOC | _EXECUTE, bytes(code),
                                 align=8))
    sections += relocations
    sections += [_Section(".symtab", _SYMTAB, 0, b"".join(symbols), symbol_table + 1, 1, 8,
                          _SYMBOL.size),
                 _Section(".strtab", _STRTAB, 0, names),
                 _Section(".BTF", _PROGBITS, 0, types.to_bytes(), align=4),
                 *(_Section(name, _PROGBITS, 0, data, align=8) for name, data in texts.items())]
    return _elf(sections)


def _elf(sections: List[_Section]) -> bytes:
    """The file that holds these sections, and the one of their names."""
    names, places = b"\0", []
    for section in [*sections, _Section(".shstrtab", _STRTAB, 0, b"")]:
        places.append(len(names) if section.name else 0)
        names += section.name.encode() + b"\0" if section.name else b""
    sections = [*sections, _Section(".shstrtab", _STRTAB, 0, names)]
    out = bytearray(_HEADER.size)
    headers = b""
    for name, section in zip(places, sections):
        out += bytes(-len(out) % 8)
        headers += _SECTION.pack(name, section.type, section.flags, 0,
                                 len(out) if section.type else 0, len(section.data), section.link,
                                 section.info, section.align, section.entry)
        out += section.data
    out += bytes(-len(out) % 8)
    _HEADER.pack_into(out, 0, b"\x7fELF\2\1\1", _ET_REL, _EM_BPF, 1, 0, 0, len(out), 0,
                      _HEADER.size, 0, 0, _SECTION.size, len(sections), len(sections) - 1)
    return bytes(out + headers)


def section(raw: bytes, name: str) -> Optional[bytes]:
    """What a section of an object that ``write`` made holds; None if there is none of that name.
    Raises ValueError if it is no such object."""
    try:
        header = _HEADER.unpack_from(raw)
        table, count, names_index = header[6], header[12], header[13]
        entries = [_SECTION.unpack_from(raw, table + _SECTION.size * number)
                   for number in range(count)]
        names = entries[names_index][4]
        for entry in entries:
            end = raw.index(b"\0", names + entry[0])
            if raw[names + entry[0]:end] == name.encode():
                return raw[entry[4]:entry[4] + entry[5]]
    except (struct.error, IndexError) as error:
        raise ValueError("no object file") from error
    return None
