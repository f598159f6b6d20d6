# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Files in a folder that only this user can write."""
from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from pathlib import Path

from ..private_files import usual_folder

STALE_SECONDS = 3600.0


@functools.lru_cache(maxsize=None)
def _private_folder() -> Path:
    import shutil       # late, here and below: nearly no start needs it
    import tempfile
    path = Path(tempfile.mkdtemp(prefix="bpfduet-headers-"))
    atexit.register(shutil.rmtree, str(path), True)
    return path


def cache_folder() -> Path:
    """The folder of the cache: the first usual place that only this user can write, else a private.

    The private one lives in the folder for temporary files and as long as the process.
    """
    usual = usual_folder()
    return Path(usual) if usual else _private_folder()


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place at once that only its owner can change, whatever the umask."""
    missing = []
    for folder in path.parents:
        if folder.is_dir():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o755, exist_ok=True)
    temporary = path.with_name(".new-%d-%d" % (os.getpid(), threading.get_ident()))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.rename(temporary, path)


def prune(folder: Path, prefix: str, keep: int) -> None:
    """Remove all but the `keep` entries used last, and what died half-written."""
    entries = []
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            age = os.stat(folder / name).st_mtime
        except OSError:
            continue
        if name.startswith(".new-"):
            if time.time() - age > STALE_SECONDS:
                entries.append((-1.0, name))
        elif name.startswith(prefix):
            entries.append((age, name))
    living = sorted((entry for entry in entries if entry[0] >= 0), reverse=True)
    for _, name in [entry for entry in entries if entry[0] < 0] + living[keep:]:
        path = folder / name
        if path.is_dir():
            import shutil
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
