# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where the cache is, and what of it may be believed: what only this user and root can have written.

It imports next to nothing: each start of a tool goes through it.
"""
from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Optional


def is_private(path: os.PathLike[str] | str) -> bool:
    """Whether only root and this user can change what `path`, a folder, holds or leads to."""
    folder = lowest = os.path.abspath(path)
    while True:
        try:
            info = os.lstat(folder)
        except OSError:
            return False
        if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (0, os.geteuid()):
            return False
        others = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others and (folder == lowest or not info.st_mode & stat.S_ISVTX):
            return False
        above = os.path.dirname(folder)
        if above == folder:
            return True
        folder = above


def usual_folder() -> Optional[str]:
    """The folder of the cache, the first usual place that only this user can write; None if there
    is none."""
    places = []
    if os.environ.get("XDG_CACHE_HOME", "").startswith("/"):
        places.append(os.environ["XDG_CACHE_HOME"])
    if os.geteuid() == 0:
        places.append("/var/cache")
    elif os.environ.get("HOME", "").startswith("/"):
        places.append(os.path.join(os.environ["HOME"], ".cache"))
    for place in places:
        path = os.path.join(os.path.realpath(place), "bpfduet")
        try:
            os.makedirs(path, mode=0o755, exist_ok=True)
        except OSError:
            continue
        if is_private(path) and os.access(path, os.W_OK):
            return path
    return None


def open_private(path: os.PathLike[str] | str) -> BinaryIO:
    """Open a file that only this user and root can have written. Raises OSError."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW))
    info = os.fstat(file.fileno())
    if not stat.S_ISREG(info.st_mode) or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) \
            or info.st_uid not in (0, os.geteuid()) or not is_private(os.path.dirname(path)):
        file.close()
        raise PermissionError(f"others can write {path}")
    return file
