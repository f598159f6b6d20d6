# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A block device of the tests' own."""
from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Iterator


def _without_scheduler(path: Path) -> None:
    (Path("/sys/block") / path.name / "queue/scheduler").write_text("none")


def kernels_number(path: Path) -> int:
    """The number by which the kernel knows a disk: 12 bits are its major, 20 its minor."""
    device = path.stat().st_rdev
    return os.major(device) << 20 | os.minor(device)


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A disk that may be overwritten: the one that BPFDUET_DISK names, or a loop device over a
    file in ``folder``. Without an I/O scheduler, out of whose queue a kernel thread would issue
    the requests."""
    if "BPFDUET_DISK" in os.environ:
        path = Path(os.environ["BPFDUET_DISK"])
        _without_scheduler(path)
        yield path
        return
    image = folder / "disk"
    image.write_bytes(b"")
    os.truncate(image, 16 << 20)
    name = subprocess.run(["losetup", "--find", "--show", str(image)], stdout=subprocess.PIPE,
                          check=True).stdout.decode().strip()
    try:
        _without_scheduler(Path(name))
        yield Path(name)
    finally:
        subprocess.run(["losetup", "--detach", name], check=True)
