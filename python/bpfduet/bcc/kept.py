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
import time
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional, Set, Tuple

from .. import kernel_headers, private_files
from ..errors import Error
from ..features import tracefs
from ..paths import COMMON, HEADERS
from . import quick

KEEP = 64
MAX_SOURCE = 4 << 20    # of a kernel half, in bytes
# How long to wait for another process that compiles the same: it may have been stopped.
PATIENCE_S, LOOK_S = 30.0, 0.01
_TRACEPOINT = re.compile(r"\b(?:TRACEPOINT_PROBE\s*\(\s*|tracepoint__)(\w+?)(?:\s*,\s*|__)(\w+)")
# Packages that only run or show what was compiled: they decide nothing about it.
_OF_RUNS = {"commands", "plain"}
_CPUS = Path("/sys/devices/system/cpu/possible")


class Place:
    """A file of the cache, of a ``kind`` and a key in hexadecimal digits."""

    def __init__(self, kind: str, key: str):
        self._kind = kind
        self._folder = kernel_headers.cache_folder() / "programs"
        self.path = self._folder / f"{kind}-{key}"
        self._lock = self._folder / f"lock-{key[0]}"    # a few for all, which stay

    def read(self) -> Optional[bytes]:
        """What is there, if only this user and root can have written it."""
        try:
            with private_files.open_private(self.path) as file:
                raw = file.read()
            os.utime(self.path)
            return raw
        except OSError:
            return None

    def write(self, raw: bytes) -> None:
        """Keep this; those not used for longest go."""
        with contextlib.suppress(OSError):
            kernel_headers.write_file(self.path, raw)
            kernel_headers.prune(self._folder, f"{self._kind}-", KEEP)

    def remove(self) -> None:
        """Keep it no longer."""
        with contextlib.suppress(OSError):
            self.path.unlink()

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
    """The object of a source, perhaps for some constants and binaries alone."""

    def __init__(self, made_of: object, more: object = ()):
        self._made_of = made_of
        key = hashlib.sha256(repr((made_of, more)).encode()).hexdigest()[:32]
        self._place = Place("object", key)
        self.alone = self._place.alone
        self.remove = self._place.remove

    def of(self, values: Dict[str, Any], probes: Dict[str, Any]) -> Entry:
        """The entry of the same source with these constants compiled in, for these probes."""
        return Entry(self._made_of, (sorted(values.items()), sorted(probes.items())))

    def read(self) -> Optional[bytes]:
        """The object, if it is there and whole."""
        sealed = self._place.read()
        return None if sealed is None else quick.unsealed(sealed)

    def write(self, raw: bytes) -> None:
        """Keep the object."""
        self._place.write(raw + quick.seal(raw))

    def note(self, argument: str, began: float, engine: quick.Engine, source: Path) -> None:
        """Let the next start see without reading it all that nothing has changed."""
        files, contents = depends_on(source)
        found = quick.note(argument, began, engine, str(self._place.path), files, contents)
        if found:
            with contextlib.suppress(OSError):
                kernel_headers.write_file(Path(found[0]), found[1])
                kernel_headers.prune(Path(found[0]).parent, f"{quick.KIND}-", KEEP)


def _take(file: IO[bytes]) -> None:
    """Take the lock, which goes with the process that holds it, or lose patience."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(LOOK_S)


def formats_of(whole: str) -> List[Path]:
    """The tracefs formats of the tracepoints that a text names: BCC makes structs of them."""
    folders = [tracefs() / "events" / category / event
               for category, event in sorted(set(_TRACEPOINT.findall(whole)))]
    return [folder / "format" for folder in folders if (folder / "format").exists()]


def environment() -> List[Tuple[str, str]]:
    """What of the environment BCC looks at."""
    return sorted(item for item in os.environ.items() if item[0] in quick.READ_BY_BCC)


def entry_of(source: Path) -> Optional[Entry]:
    """Where a source's object may be kept, named after all that decides what it is; None if not
    all is known."""
    if not quick.usual_way():
        return None
    try:
        return Entry(_made_of(source))
    except (Error, OSError, UnicodeDecodeError):
        return None     # what is wrong with it is said by whoever compiles it


def _made_of(source: Path) -> object:
    if source.stat().st_size > MAX_SOURCE:
        raise Error("not a kernel half")
    text = source.read_text()
    whole, _ = kernel_headers.read_sources(text, _folders(source))
    compilers = [(str(path), info.st_size, info.st_mtime_ns)
                 for path in _compilers() for info in [path.stat()]]
    files = [*_about(source), *_of_the_kernel(whole), *_code()]
    return (kernel_headers.kernel_key(kernel_headers.VMLINUX), quick.modules(), source.name, text,
            whole, environment(), compilers, [path.read_bytes() for path in files])


def depends_on(source: Path) -> Tuple[List[Path], List[Path]]:
    """All that decides what a source's object is: files, also those that are not there, and files
    of the kernel, whose dates mean nothing."""
    text = source.read_text()
    included: Set[Path] = set()
    whole, _ = kernel_headers.read_sources(text, _folders(source), included)
    code = _code()
    folders = {path.parent for path in code} | {path.parent for path in _compilers()}
    libbcc = kernel_headers.find_libbcc()
    files = [source, *_about(source), *included, *code, *folders, *_compilers(),
             *kernel_headers.places_of_libbcc(), *([libbcc] if libbcc else [])]
    return files, [*_of_the_kernel(whole), kernel_headers.NOTES]


def _folders(source: Path) -> List[Path]:
    return [HEADERS, source.resolve().parent]


def _about(source: Path) -> List[Path]:
    return [source.with_name(source.name[:-len(".bpf.c")] + ".toml"), COMMON,
            COMMON.parent.parent / "VERSION", kernel_headers.CONSTANTS]


def _of_the_kernel(whole: str) -> List[Path]:
    return [_CPUS, *formats_of(whole)]


def _code() -> List[Path]:
    """This package's, and its tables, as far as they decide about objects."""
    package = Path(__file__).parents[1]
    return sorted(path for path in [*package.glob("**/*.py"), *package.glob("spec/data/*")]
                  if path.parent.name not in _OF_RUNS)


def _compilers() -> List[Path]:
    """The libraries that libbcc is linked with, which are files of their own."""
    libbcc = kernel_headers.find_libbcc()
    folder = libbcc.parent if libbcc else Path("/usr/lib")
    return [path for pattern in ("libLLVM*.so*", "libclang*.so*")
            for path in sorted(folder.glob(pattern))]
