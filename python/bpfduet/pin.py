# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``--pin DIR``: maps under names in a bpf file system, for others to read while a tool runs."""
from __future__ import annotations

import contextlib
import errno
import os
from typing import Dict, List

from .errors import Error
from .libbpf import library

_NO_BPFFS = (errno.EPERM, errno.EINVAL)


class Pins:
    """Maps pinned in a folder, which is made if it is not there; ``remove()`` takes all of that
    away again."""

    def __init__(self, folder: bytes):
        self._folder = folder
        self._paths: List[bytes] = []
        self._made = False

    def make(self, maps: Dict[str, int]) -> None:
        """Pin maps, given by name and descriptor, as FOLDER/NAME. Raises Error."""
        shown = self._folder.decode(errors="surrogateescape")
        try:
            os.mkdir(self._folder, 0o700)
            self._made = True
        except FileExistsError:
            pass
        except OSError as error:
            raise Error(f"cannot make the folder '{shown}': {error.strerror}") from error
        for name, fd in maps.items():
            path = os.path.join(self._folder, name.encode())
            failed = -library().bpf_obj_pin(fd, path)
            if failed:
                why = "that is no bpf file system" if failed in _NO_BPFFS else os.strerror(failed)
                raise Error(f"cannot pin the map '{name}' at '{shown}/{name}': {why}")
            self._paths.append(path)

    def remove(self) -> None:
        """Remove the names, and the folder if it was made for them."""
        with contextlib.suppress(OSError):
            while self._paths:
                os.unlink(self._paths.pop())
            if self._made:
                os.rmdir(self._folder)
                self._made = False
