# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A pinned map of cgroups or mount namespaces, for --cgroupmap and --mntnsmap."""
from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Iterator

import pytest


@pytest.fixture(name="pinned")
def pinned_map() -> Iterator[Path]:
    """An empty hash map of u64 pinned in the BPF file system."""
    if not os.path.ismount("/sys/fs/bpf"):
        subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], check=True)
    path = Path(f"/sys/fs/bpf/bpfduet-test-{os.getpid()}")
    subprocess.run(["bpftool", "map", "create", str(path), "type", "hash", "key", "8", "value", "8",
                    "entries", "16", "name", "chosen"], check=True)
    yield path
    path.unlink()


def put(path: Path, key: int) -> None:
    """Add a key to a pinned map."""
    bytes_of = [str(byte) for byte in struct.pack("<Q", key)]
    subprocess.run(["bpftool", "map", "update", "pinned", str(path), "key", *bytes_of, "value",
                    *["0"] * 8], check=True)
