# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The start of a tool of which nothing has changed since the last one.

``kept`` names an object by the content of all that it is made of. Reading all of that takes longer
than the tool's own start. So a note in the cache says what those files looked like to stat(), and
which object they made. If they look the same, the engine gets that object at once.

It imports next to nothing, for most of a Python program's start are its imports.
"""
from __future__ import annotations

import marshal
import os
import sys
import zlib

from .. import private_files
from ..environment import given_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Iterable, List, NoReturn, Optional, Sequence, Tuple, Union
    Argument = Union[str, bytes]
    Path = Union[str, os.PathLike[str]]

KIND = "start"
MODULES = "/sys/kernel/btf"
READ_BY_BCC = ("ARCH", "BCC_KERNEL_MODULES_SUFFIX")     # of the environment
# With these a start takes other ways, or compiles something else.
_OTHER_WAYS = ("BPFDUET_EXPLAIN", "BPFDUET_NO_CACHE", "CPATH", "C_INCLUDE_PATH")
_YOUNG_S = 0.1      # more than the clock of files may be late


def modules() -> List[Tuple[str, int]]:
    """The loaded modules that have BTF: types may be theirs."""
    with os.scandir(MODULES) as found:
        return sorted((one.name, one.stat().st_size) for one in found)


def seal(raw: bytes) -> bytes:
    """A checksum; behind an object, where readers of ELF do not look."""
    return b"%08x\n" % zlib.crc32(raw)


def unsealed(raw: bytes) -> Optional[bytes]:
    """What a checksum is behind; None if it is that of something else."""
    return raw[:-9] if raw[-9:] == seal(raw[:-9]) else None


def usual_way() -> bool:
    """Whether the environment asks for nothing that the cache knows nothing of."""
    return os.environ.get("BPFDUET_HEADERS", "btf") == "btf" \
        and not any(os.environ.get(name) for name in _OTHER_WAYS)


def _look(path: Path) -> Tuple[int, ...]:
    """What stat() says that changes with a file; nothing of one that is not there."""
    try:
        info = os.stat(path)
    except OSError:
        return ()
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _content(path: Path) -> bytes:
    """Of a file whose looks say nothing, as those of the kernel."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _circumstances() -> Any:
    return tuple(os.uname()), modules(), [os.environ.get(name) for name in READ_BY_BCC]


def _identity(argument: str) -> Any:
    """What is started: a tool of ours, or a file, whose name is from here."""
    return argument, os.getcwd() if argument.endswith(".bpf.c") else "", __file__, sys.hexversion


def _place(identity: Any, folder: str) -> str:
    number = zlib.crc32(repr(identity).encode(errors="surrogateescape"))
    return os.path.join(folder, "programs", f"{KIND}-{number:08x}")


class Engine:
    """How the engine is started in place of this process: ``loader`` with an object in a
    descriptor; ``command`` is ours, ``source`` the kernel half as the user will read it."""

    def __init__(self, loader: str, command: str, source: str):
        self.parts = loader, command, source

    def start(self, descriptor: int, argv: Sequence[Argument]) -> NoReturn:
        """Does not return. Raises OSError."""
        loader, command, source = self.parts
        os.set_inheritable(descriptor, True)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.execve(loader, [loader, "--object-fd", str(descriptor), command, source, *argv],
                  given_environment())


def note(argument: str, began: float, engine: Engine, kept: str, files: Iterable[Path],
         contents: Iterable[Path]) -> Optional[Tuple[str, bytes]]:
    """The note about an object, ``kept`` in the cache, and its place. ``files`` are all that it is
    made of, or would be if they were there; of ``contents`` stat() does not tell a change. None if
    a file is so young that it may have changed since the time ``began``."""
    folder = private_files.usual_folder()
    looks = [(os.fspath(path), _look(path)) for path in files]
    youngest = max((look[-1] for _, look in looks if look), default=0)
    if folder is None or youngest > (began - _YOUNG_S) * 1e9:
        return None
    identity = _identity(argument)
    read = [(os.fspath(path), _content(path)) for path in contents]
    raw = marshal.dumps((identity, _circumstances(), looks, read, kept, engine.parts))
    return _place(identity, folder), raw + seal(raw)


def find(argument: str) -> Optional[Tuple[BinaryIO, Engine]]:
    """The object that was noted, open, and how to start it; None if that does not hold any longer.
    Raises OSError."""
    folder, identity = private_files.usual_folder(), _identity(argument)
    if not usual_way() or folder is None:
        return None
    with private_files.open_private(_place(identity, folder)) as file:
        raw = unsealed(file.read())
    if raw is None:
        return None
    noted, circumstances, looks, read, kept, parts = marshal.loads(raw)
    if (noted, circumstances) != (identity, _circumstances()) \
            or any(_look(path) != look for path, look in looks) \
            or any(_content(path) != content for path, content in read):
        return None
    file = private_files.open_private(kept)
    if unsealed(file.read()) is None:
        file.close()
        return None
    os.utime(file.fileno())     # used now: others go first
    return file, Engine(*parts)


def start(argument: str, argv: Sequence[Argument]) -> None:
    """Start the engine in place of this process; returns if there is more to do."""
    try:
        found = find(argument)
        if found:
            file, engine = found
            engine.start(file.fileno(), argv)
    except OSError:
        return      # whatever it is, the other way says it
