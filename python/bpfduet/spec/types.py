# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the compiler knows about a tool's kernel half, whichever compiler it was.

``btf`` fills these from an object file; the BCC frontend from BCC's table descriptions.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, FrozenSet, Optional, Tuple

# From enum bpf_map_type; the names are those of bpftool.
MAP_TYPES = {
    1: "hash", 2: "array", 3: "prog_array", 4: "perf_event_array", 5: "percpu_hash",
    6: "percpu_array", 7: "stack_trace", 8: "cgroup_array", 9: "lru_hash",
    10: "lru_percpu_hash", 11: "lpm_trie", 12: "array_of_maps", 13: "hash_of_maps",
    14: "devmap", 15: "sockmap", 16: "cpumap", 17: "xskmap", 18: "sockhash",
    19: "cgroup_storage", 20: "reuseport_sockarray", 21: "percpu_cgroup_storage",
    22: "queue", 23: "stack", 24: "sk_storage", 25: "devmap_hash", 26: "struct_ops",
    27: "ringbuf", 28: "inode_storage", 29: "task_storage", 30: "bloom_filter",
    31: "user_ringbuf", 32: "cgrp_storage",
}
HASH_TYPES = frozenset(["hash", "percpu_hash", "lru_hash", "lru_percpu_hash"])
ARRAY_TYPES = frozenset(["array", "percpu_array"])
LOCK_TYPE = "bpf_spin_lock"
PERCPU_TYPES = frozenset(["percpu_hash", "percpu_array", "lru_percpu_hash"])
TRANSPORTS = {"ringbuf": "ringbuf", "perf_event_array": "perf"}


@dataclass(frozen=True)
class Field:
    """A value in memory: a struct's member, a map's key or value, an event.

    ``offset`` counts bytes from the start of the struct that holds it. ``kind`` is "uint",
    "int", "bool", "string" (char array), "lock" (a BPF spin lock, which nobody sees) or "struct"
    (``fields`` are its members; unions too).
    ``count`` is the number of elements of an array, 0 if it is none; ``size`` is that of one
    element, in bytes. A char array is one element: "char[16]" has size 16 and count 0.
    """

    name: str
    offset: int
    size: int
    kind: str
    count: int = 0
    fields: Tuple[Field, ...] = ()

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size * max(self.count, 1)


@dataclass(frozen=True)
class MapInfo:
    """A map; ``type`` is a name of ``MAP_TYPES``. Key and value are None where it has none."""

    name: str
    type: str
    key: Optional[Field]
    value: Optional[Field]
    max_entries: int


@dataclass(frozen=True)
class Config:
    """A CONFIG constant. ``offset`` in .rodata is None under BCC; ``size`` in bytes."""

    name: str
    offset: Optional[int]
    size: int
    kind: str


@dataclass(frozen=True)
class Types:
    """Everything that a spec can be bound to.

    ``events`` holds the record's struct by map. ``programs`` are the names of all functions,
    None where nobody knows them.
    """

    maps: Dict[str, MapInfo] = field(default_factory=dict)
    configs: Dict[str, Config] = field(default_factory=dict)
    events: Dict[str, Field] = field(default_factory=dict)
    programs: Optional[FrozenSet[str]] = None


def int_range(kind: str, size: int) -> Tuple[int, int]:
    """Smallest and largest number that an integer of ``kind`` and ``size`` bytes holds."""
    if kind == "bool":
        return 0, 1
    if kind == "int":
        return -(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1
    return 0, (1 << (8 * size)) - 1


def find_field(fields: Tuple[Field, ...], path: str) -> Optional[Field]:
    """The field that ``path`` ("a.b") names, with its offset from the outermost struct."""
    offset = 0
    found: Optional[Field] = None
    for name in path.split("."):
        if found is not None and (found.kind != "struct" or found.count):
            return None
        found = next((f for f in fields if f.name == name), None)
        if found is None:
            return None
        offset += found.offset
        fields = found.fields
    return replace(found, offset=offset) if found else None
