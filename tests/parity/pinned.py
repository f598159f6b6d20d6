# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A pinned map of cgroups or mount namespaces, for --cgroupmap and --mntnsmap."""
from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from needs import mount_bpffs


@pytest.fixture(name="pinned")
def pinned_map() -> Iterator[Path]:
    """An empty hash map of u64 pinned in the BPF file system."""
    path = mount_bpffs() / f"bpfduet-test-{os.getpid()}"
    subprocess.run(["bpftool", "map", "create", str(path), "type", "hash", "key", "8", "value", "8",
                    "entries", "16", "name", "chosen"], check=True)
    yield path
    path.unlink()


def put(path: Path, key: int) -> None:
    """Add a key to a pinned map."""
    bytes_of = [str(byte) for byte in struct.pack("<Q", key)]
    subprocess.run(["bpftool", "map", "update", "pinned", str(path), "key", *bytes_of, "value",
                    *["0"] * 8], check=True)


def filling(path: Path, option: str, inside: bool) -> Callable[[Path], None]:
    """For ``watch(prepare=...)``: puts what ``option`` limits a tool to into a pinned map, so that
    the workload is ``inside``, or something else."""
    def fill(group: Path) -> None:
        place = group if option == "--cgroupmap" else Path("/proc/self/ns/mnt")
        put(path, place.stat().st_ino if inside else 1)
    return fill
