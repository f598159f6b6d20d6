# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A block device of the tests' own."""
from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Iterator


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A disk that may be overwritten: the one that BPFDUET_DISK names, or a loop device over a
    file in ``folder``."""
    if "BPFDUET_DISK" in os.environ:
        yield Path(os.environ["BPFDUET_DISK"])
        return
    image = folder / "disk"
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    name = subprocess.run(["losetup", "--find", "--show", str(image)], stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()
    try:
        yield Path(name)
    finally:
        subprocess.run(["losetup", "--detach", name], check=True)
