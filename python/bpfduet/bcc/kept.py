# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What BCC has compiled, kept for the next start: object files in the cache.

docs/start-up.md tells what is kept, what decides whether it is used, and what it saves.
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import time
import zlib
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional, Tuple

from .. import kernel_headers
from ..errors import Error
from ..features import tracefs
from ..paths import COMMON, HEADERS

KEEP = 64
# How long to wait for another process that compiles the same: it may have been stopped.
PATIENCE_S, LOOK_S = 30.0, 0.01
_TRACEPOINT = re.compile(r"\b(?:TRACEPOINT_PROBE\s*\(\s*|tracepoint__)(\w+?)(?:\s*,\s*|__)(\w+)")
_CPUS = Path("/sys/devices/system/cpu/possible")


class Place:
    """A file of the cache, of a ``kind`` and a key in hexadecimal digits."""

    def __init__(self, kind: str, key: str):
        self._kind = kind
        self._folder = kernel_headers.cache_folder() / "programs"
        self._path = self._folder / f"{kind}-{key}"
        self._lock = self._folder / f"lock-{key[0]}"    # a few for all, which stay

    def read(self) -> Optional[bytes]:
        """What is there, if only this user and root can have written it."""
        try:
            with open(self._path, "rb", opener=_no_link) as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode) or info.st_mode & 0o022 \
                        or info.st_uid not in (0, os.geteuid()) \
                        or not kernel_headers.is_private(self._folder):
                    return None
                raw = file.read()
            os.utime(self._path)
            return raw
        except OSError:
            return None

    def write(self, raw: bytes) -> None:
        """Keep this; those not used for longest go."""
        with contextlib.suppress(OSError):
            kernel_headers.write_file(self._path, raw)
            kernel_headers.prune(self._folder, f"{self._kind}-", KEEP)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Others that want to compile the same wait meanwhile, but not for ever."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self._folder.mkdir(mode=0o755, exist_ok=True)
                file = stack.enter_context(open(self._lock, "ab"))
                _take(file)
            yield


class Entry:
    """The object of a source with some constants compiled in. Empty bytes stand for one that an
    object cannot hold."""

    def __init__(self, made_of: object, values: Dict[str, Any]):
        self._made_of = made_of
        key = hashlib.sha256(repr((made_of, sorted(values.items()))).encode()).hexdigest()[:32]
        self._place = Place("object", key)
        self.alone = self._place.alone

    def with_values(self, values: Dict[str, Any]) -> Entry:
        """The entry of the same source with these constants compiled in."""
        return Entry(self._made_of, values)

    def read(self) -> Optional[bytes]:
        """The object, if it is there and whole."""
        sealed = self._place.read()
        if sealed is None or sealed[-9:] != _seal(sealed[:-9]):
            return None
        return sealed[:-9]

    def write(self, raw: bytes) -> None:
        """Keep the object."""
        self._place.write(raw + _seal(raw))


def _seal(raw: bytes) -> bytes:
    """A checksum; behind an object, where readers of ELF do not look."""
    return b"%08x\n" % zlib.crc32(raw)


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _take(file: IO[bytes]) -> None:
    """Take the lock, which goes with the process that holds it, or lose patience."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(LOOK_S)


def modules() -> List[Tuple[str, int]]:
    """The loaded modules that have BTF: types may be theirs."""
    with os.scandir(kernel_headers.VMLINUX.parent) as found:
        return sorted((one.name, one.stat().st_size) for one in found)


def formats_of(whole: str) -> List[Path]:
    """The tracefs formats of the tracepoints that a text names: BCC makes structs of them."""
    folders = [tracefs() / "events" / category / event
               for category, event in sorted(set(_TRACEPOINT.findall(whole)))]
    return [folder / "format" for folder in folders if (folder / "format").exists()]


def environment() -> List[Tuple[str, str]]:
    """What of the environment BCC looks at."""
    return sorted(item for item in os.environ.items()
                  if item[0] in ("ARCH", "BCC_KERNEL_MODULES_SUFFIX"))


def entry_of(source: Path) -> Optional[Entry]:
    """Where a source's object may be kept, named after all that decides what it is; None if not
    all is known."""
    if os.environ.get("BPFDUET_NO_CACHE") or os.environ.get("BPFDUET_HEADERS", "btf") != "btf" \
            or {"CPATH", "C_INCLUDE_PATH"} & set(os.environ):
        return None
    try:
        return Entry(_made_of(source), {})
    except (Error, OSError, UnicodeDecodeError):
        return None     # what is wrong with it is said by whoever compiles it


def _made_of(source: Path) -> object:
    text = source.read_text()
    whole, _ = kernel_headers.read_sources(text, [HEADERS, source.resolve().parent])
    files = [source.with_name(source.name[:-len(".bpf.c")] + ".toml"), COMMON,
             COMMON.parent.parent / "VERSION", kernel_headers.CONSTANTS, _CPUS,
             *formats_of(whole), *sorted(path for path in Path(__file__).parents[1].glob("**/*.py")
                                         if path.parent.name != "plain")]   # makes no object
    return (kernel_headers.kernel_key(kernel_headers.VMLINUX), modules(), source.name, text, whole,
            environment(), _compilers(), [path.read_bytes() for path in files])


def _compilers() -> List[Tuple[str, int, int]]:
    """The libraries that libbcc is linked with, which are files of their own."""
    libbcc = kernel_headers.find_libbcc()
    folder = libbcc.parent if libbcc else Path("/usr/lib")
    found = []
    for pattern in ("libLLVM*.so*", "libclang*.so*"):
        for path in sorted(folder.glob(pattern)):
            info = path.stat()
            found.append((str(path), info.st_size, info.st_mtime_ns))
    return found
