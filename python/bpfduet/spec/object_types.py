# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The types of a compiled object, out of its BTF (by bpftool)."""
from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from .types import LOCK_TYPE, MAP_TYPES, Config, Field, MapInfo, Types

_MODIFIERS = ("TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG")


class BtfError(Exception):
    """The object's BTF cannot be read or holds a type that no column could show."""


def types_from_object(path: Path) -> Types:
    """Read maps, CONFIG constants and event structs of a BPF object.

    Offsets of CONFIG constants are final only in an object that ``bpftool gen object`` wrote.
    Raises BtfError.
    """
    command = ["bpftool", "-j", "btf", "dump", "file", str(path)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        dump = json.loads(done.stdout.decode(errors="replace") or "{}")
    except OSError as error:
        raise BtfError(f"cannot run bpftool: {error.strerror}") from error
    except ValueError as error:
        raise BtfError(f"{path}: bpftool printed no JSON: {error}") from error
    if "types" not in dump:
        reason = dump.get("error") or done.stderr.decode(errors="replace").strip() or "no BTF"
        raise BtfError(f"{path}: {reason}")
    return _Btf(str(path), dump["types"]).types()


class _Btf:
    """One dump: types by id."""

    def __init__(self, path: str, dump: List[Dict[str, Any]]):
        self._path = path
        self._by_id: Dict[int, Dict[str, Any]] = {entry["id"]: entry for entry in dump}

    def types(self) -> Types:
        maps = {}
        configs = {}
        events = {}
        for name, type_id, _ in self._section(".maps"):
            if not name.startswith("__"):   # libbpf's own, for USDT: no report can be about them
                maps[name] = self._map(name, type_id)
        for name, type_id, offset in self._section(".rodata"):
            if self._is_volatile(type_id):
                configs[name] = self._config(name, type_id, offset)
        for name, type_id, _ in self._section(".bpfduet.types"):
            pointer = self._strip(type_id)
            if pointer["kind"] != "PTR" or not name.endswith("__type"):
                raise self._error(f"'{name}' in .bpfduet.types is no pointer named MAP__type")
            map_name = name[: -len("__type")]
            events[map_name] = self._field(map_name, pointer["type_id"], 0)
        programs = frozenset(entry["name"] for entry in self._by_id.values()
                             if entry["kind"] == "FUNC")
        return Types(maps, configs, events, programs)

    def _error(self, text: str) -> BtfError:
        return BtfError(f"{self._path}: {text}")

    def _section(self, name: str) -> Iterator[Tuple[str, int, int]]:
        """Variables of a section: name, id of the type, offset."""
        for entry in self._by_id.values():
            if entry["kind"] == "DATASEC" and entry["name"] == name:
                for variable in entry["vars"]:
                    var = self._by_id[variable["type_id"]]
                    yield var["name"], var["type_id"], variable["offset"]

    def _strip(self, type_id: int) -> Dict[str, Any]:
        """The type behind typedefs and qualifiers."""
        entry = self._by_id.get(type_id, {"kind": "VOID", "name": "void"})
        while entry["kind"] in _MODIFIERS:
            entry = self._by_id.get(entry["type_id"], {"kind": "VOID", "name": "void"})
        return entry

    def _is_volatile(self, type_id: int) -> bool:
        """CONFIG makes ``const volatile``; an array has the qualifier on its element."""
        entry = self._by_id.get(type_id)
        while entry and entry["kind"] in _MODIFIERS + ("ARRAY",):
            if entry["kind"] == "VOLATILE":
                return True
            entry = self._by_id.get(entry["type_id"])
        return False

    def _map(self, name: str, type_id: int) -> MapInfo:
        """A map as libbpf defines it: numbers are sizes of arrays, types are pointers."""
        definition = self._strip(type_id)
        if definition["kind"] != "STRUCT":
            raise self._error(f"map '{name}' is no struct of the form that libbpf wants")
        numbers: Dict[str, int] = {}
        types: Dict[str, Field] = {}
        for member in definition["members"]:
            pointer = self._strip(member["type_id"])
            if pointer["kind"] != "PTR":
                continue
            if member["name"] in ("key", "value"):
                types[member["name"]] = self._field(member["name"], pointer["type_id"], 0)
                continue
            target = self._strip(pointer["type_id"])
            if target["kind"] == "ARRAY":
                numbers[member["name"]] = target["nr_elems"]
        kind = numbers.get("type", 0)
        return MapInfo(name, MAP_TYPES.get(kind, f"type {kind}"), types.get("key"),
                       types.get("value"), numbers.get("max_entries", 0))

    def _config(self, name: str, type_id: int, offset: int) -> Config:
        what = self._field(name, type_id, 0)
        if what.kind == "struct" or what.count:
            raise self._error(f"CONFIG '{name}' is neither a number nor a char array")
        return Config(name, offset, what.size, what.kind)

    def _field(self, name: str, type_id: int, offset: int) -> Field:
        entry = self._strip(type_id)
        kind = entry["kind"]
        if kind == "INT":
            if entry["size"] > 8:
                # __int128, the usual home of an IPv6 address: shown as its bytes
                return Field(name, offset, 1, "uint", entry["size"])
            encoding = {"SIGNED": "int", "CHAR": "int", "BOOL": "bool"}
            return Field(name, offset, entry["size"], encoding.get(entry["encoding"], "uint"))
        if kind in ("ENUM", "ENUM64"):
            # before LLVM 16 the type says no sign, and bpftool shows -1 as 2^64 - 1
            negative = any(not 0 <= value["val"] < 1 << (8 * entry["size"])
                           for value in entry["values"])
            return Field(name, offset, entry["size"], "int" if negative else "uint")
        if kind == "PTR":
            return Field(name, offset, 8, "uint")
        if kind == "STRUCT" and entry["name"] == LOCK_TYPE:
            return Field(name, offset, entry["size"], "lock")
        if kind in ("STRUCT", "UNION"):
            return Field(name, offset, entry["size"], "struct", 0, self._members(entry))
        if kind == "ARRAY":
            return self._array(name, entry, offset)
        raise self._error(f"'{name}' is a {kind.lower()}, which no frontend can show")

    def _array(self, name: str, entry: Dict[str, Any], offset: int) -> Field:
        count = entry["nr_elems"]
        if not count:
            raise self._error(f"array '{name}' has no size; give it its largest one")
        element = self._strip(entry["type_id"])
        if element["kind"] == "INT" and element["name"] == "char":
            return Field(name, offset, count, "string")
        one = self._field(name, entry["type_id"], offset)
        return replace(one, count=count * max(one.count, 1))

    def _members(self, entry: Dict[str, Any]) -> Tuple[Field, ...]:
        fields: List[Field] = []
        for member in entry["members"]:
            if member.get("bitfield_size") or member["bits_offset"] % 8:
                raise self._error(f"'{entry['name']}.{member['name']}' is a bitfield, "
                                  "which no frontend can show; make it a whole integer")
            offset = member["bits_offset"] // 8
            if member["name"] == "(anon)":
                # members of an unnamed struct or union belong to the outer one, as in C
                inner = self._field("", member["type_id"], offset)
                fields += [replace(f, offset=offset + f.offset) for f in inner.fields]
            else:
                fields.append(self._field(member["name"], member["type_id"], offset))
        return tuple(fields)
