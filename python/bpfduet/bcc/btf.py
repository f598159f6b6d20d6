# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The maps of a module that libbcc has compiled, with the types that it gave the kernel."""
from __future__ import annotations

import ctypes as ct
import os
from typing import Any, List, Tuple

from ..libbpf import library
from .module import Compiled
from .objects import MapDefinition


class _MapInfo(ct.Structure):
    """struct bpf_map_info"""

    _fields_ = [("type", ct.c_uint32), ("id", ct.c_uint32), ("key_size", ct.c_uint32),
                ("value_size", ct.c_uint32), ("max_entries", ct.c_uint32), ("flags", ct.c_uint32),
                ("name", ct.c_char * 16), ("ifindex", ct.c_uint32), ("vmlinux_id", ct.c_uint32),
                ("netns_dev", ct.c_uint64), ("netns_ino", ct.c_uint64), ("btf_id", ct.c_uint32),
                ("btf_key", ct.c_uint32), ("btf_value", ct.c_uint32), ("_", ct.c_uint32)]


class _BtfInfo(ct.Structure):
    """struct bpf_btf_info, as far as it is needed"""

    _fields_ = [("btf", ct.c_uint64), ("size", ct.c_uint32), ("id", ct.c_uint32)]


def _btf(number: int) -> bytes:
    """The blob that the kernel has under this id; empty if it does not show it."""
    fd = library().bpf_btf_get_fd_by_id(number)
    if fd < 0:
        return b""
    try:
        info, size = _BtfInfo(), ct.c_uint32(ct.sizeof(_BtfInfo))
        if library().bpf_obj_get_info_by_fd(fd, ct.byref(info), ct.byref(size)):
            return b""
        blob = ct.create_string_buffer(info.size)
        again = _BtfInfo(btf=ct.addressof(blob), size=info.size)
        size = ct.c_uint32(ct.sizeof(_BtfInfo))
        if library().bpf_obj_get_info_by_fd(fd, ct.byref(again), ct.byref(size)):
            return b""
        return blob.raw
    finally:
        os.close(fd)


def describe_maps(lib: Any, module: Any, found: Compiled) -> Tuple[bytes, List[MapDefinition]]:
    """BTF that has the types of keys and values, empty if there is none, and the maps. Those that
    only tell the type of an event are not among them."""
    blob, shared, maps = b"", 0, []
    for table in found.tables:
        name = table.name.decode()
        if name.endswith("__type"):
            continue
        info, size = _MapInfo(), ct.c_uint32(ct.sizeof(_MapInfo))
        fd = lib.bpf_table_fd(module, table.name)
        if not library().bpf_obj_get_info_by_fd(fd, ct.byref(info), ct.byref(size)) \
                and info.btf_id and info.btf_key and info.btf_value:
            if not shared:
                shared, blob = info.btf_id, _btf(info.btf_id)
        typed = bool(blob) and info.btf_id == shared
        maps.append(MapDefinition(name, *table.made_of, info.btf_key if typed else 0,
                                  info.btf_value if typed else 0))
    return blob, maps
