# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A name for the kernel and the compiler that something cached is good for."""
from __future__ import annotations

import glob
import hashlib
import os
import re
from pathlib import Path
from typing import List, Optional

from ..errors import Error
from ..paths import HEADERS

VMLINUX = Path("/sys/kernel/btf/vmlinux")
NOTES = Path("/sys/kernel/notes")   # has the build id
CONSTANTS = HEADERS / "kernel_constants.h"


_PLACES = ("/usr/local/lib*/libbcc.so.0", "/usr/lib/%s-*/libbcc.so.0" % os.uname().machine,
           "/usr/lib64/libbcc.so.0", "/usr/lib/libbcc.so.0")


class HeadersError(Error):
    """No headers can be had; the text is one sentence for the user."""


def find_libbcc() -> Optional[Path]:
    """The libbcc.so this process has loaded, or else the one it would load."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            loaded = re.search(r"(/\S*/libbcc\.so\S*)", file.read())
        if loaded and os.path.exists(loaded.group(1)):
            return Path(loaded.group(1))
    except OSError:
        pass
    for pattern in _PLACES:
        for path in sorted(glob.glob(pattern)):
            return Path(path).resolve()
    return None


def places_of_libbcc() -> List[Path]:
    """The libbcc.so that ``find_libbcc`` would find, and the folders where another one would
    change that."""
    folders = [Path(folder) for pattern in _PLACES for folder in glob.glob(os.path.dirname(pattern))]
    found = find_libbcc()
    return [*folders, found] if found else folders


def kernel_key(btf: Path) -> str:
    """A name for what an index is made of: kernel build, BCC, this package. 32 hexadecimal digits.

    Raises HeadersError if there is no BTF: what is cached is only used for a
    kernel that shows its own.
    """
    if not btf.exists():
        raise HeadersError("%s does not exist: the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)" % btf)
    uname = os.uname()
    digest = hashlib.sha256(repr((uname.release, uname.version, uname.machine)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    try:
        if btf != VMLINUX:
            raise OSError("not the running kernel's")
        digest.update(NOTES.read_bytes())
    except OSError:
        digest.update(btf.read_bytes())
    libbcc = find_libbcc()
    if libbcc is not None:
        info = libbcc.stat()
        digest.update(repr((str(libbcc), info.st_size, info.st_mtime_ns)).encode())
    return digest.hexdigest()[:32]
