# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The engine, libbpfduet.so.0, by ctypes: c_loader/bpfduet.h says what each function does."""
from __future__ import annotations

import ctypes as ct
import functools
import json
import os
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .errors import Error, UsageError
from .paths import ROOT

LIBRARIES = (ROOT / "build/lib/libbpfduet.so.0", ROOT.parents[1] / "lib/libbpfduet.so.0")

_REPLY, _WRONG = 1, 2
_REFUSED = -2
_EXPLAINS = 2

_Record = ct.CFUNCTYPE(None, ct.c_void_p, ct.c_void_p, ct.c_size_t)
_Write = ct.CFUNCTYPE(ct.c_size_t, ct.c_void_p, ct.c_int, ct.c_void_p, ct.c_size_t)


class Map(ct.Structure):
    """struct bpfduet_map"""

    _fields_ = [("type", ct.c_uint32), ("key_size", ct.c_uint32), ("value_size", ct.c_uint32),
                ("values", ct.c_uint32), ("max_entries", ct.c_uint32)]


_size = ct.POINTER(ct.c_size_t)
_FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {
    "new": (ct.c_void_p, []),
    "free": (None, [ct.c_void_p]),
    "error": (ct.c_char_p, [ct.c_void_p]),
    "open": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_size_t, ct.c_uint]),
    "set_source": (None, [ct.c_void_p, ct.c_char_p]),
    "spec": (ct.c_void_p, [ct.c_void_p, _size]),
    "open_spec": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_size_t]),
    "reply": (ct.c_void_p, [ct.c_void_p, _size]),
    "option": (ct.c_char_p, [ct.c_void_p, ct.c_char_p, ct.POINTER(ct.c_bool)]),
    "constant": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_char_p, ct.c_size_t]),
    "command": (ct.c_void_p, [ct.c_void_p]),
    "parse": (ct.c_int, [ct.c_void_p, ct.c_int, ct.POINTER(ct.c_char_p)]),
    "on_write": (None, [ct.c_void_p, _Write, ct.c_void_p, ct.c_uint]),
    "on_record": (None, [ct.c_void_p, _Record, ct.c_void_p]),
    "start": (ct.c_int, [ct.c_void_p]),
    "log": (ct.c_void_p, [ct.c_void_p, _size]),
    "fd": (ct.c_int, [ct.c_void_p]),
    "poll": (ct.c_int, [ct.c_void_p, ct.c_int]),
    "report": (ct.c_int, [ct.c_void_p]),
    "report_name": (ct.c_char_p, [ct.c_void_p, ct.c_size_t]),
    "stop": (ct.c_int, [ct.c_void_p, ct.c_bool]),
    "close": (ct.c_int, [ct.c_void_p]),
    "lost": (ct.c_uint64, [ct.c_void_p, ct.c_int]),
    "map": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.POINTER(Map)]),
    "map_lookup": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_char_p, ct.c_char_p]),
    "map_next": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_char_p, ct.c_char_p]),
    "map_update": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_char_p, ct.c_char_p]),
    "map_delete": (ct.c_int, [ct.c_void_p, ct.c_char_p, ct.c_char_p]),
    "binary": (ct.c_char_p, [ct.c_void_p, ct.c_char_p, ct.c_uint32]),
    "symbol": (ct.c_char_p, [ct.c_void_p, ct.c_uint32, ct.c_uint64]),
}


@functools.lru_cache(maxsize=None)
def _library() -> Dict[str, Any]:
    """The functions by name. Raises Error."""
    for path in LIBRARIES:
        if not path.exists():
            continue
        try:
            # with the interpreter's lock released: other threads go on while one waits
            library = ct.CDLL(str(path))
        except OSError as error:
            raise Error(f"the engine cannot be loaded: {error}") from error
        functions = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, f"bpfduet__{name}")
            function.restype, function.argtypes = result, arguments
            functions[name] = function
        return functions
    raise Error(f"the engine is missing ({LIBRARIES[0]}): 'make' builds it, 'make install' installs it")


class Refused(Error):
    """The kernel refuses programs that BCC has compiled; ``detail`` is what it says of them."""

    def __init__(self, said: str):
        super().__init__("the kernel's verifier rejects a program", said)


class Loss(NamedTuple):
    """What was lost so far: records without room, and events whose program the kernel skipped (an
    upper bound)."""

    records: int
    skipped: int


class Engine:
    """One run of an object: ``parse()``, ``start()``, ``poll()`` while it is true, ``stop()``, and in
    any case ``close()``. For one thread at a time."""

    def __init__(self, elf: bytes, source: Optional[os.PathLike[str]] = None):
        self._begin(source)
        self._open("open", elf, _EXPLAINS)

    @classmethod
    def bare(cls) -> Engine:
        """Without an object, to ask what needs none. Raises Error."""
        engine = cls.__new__(cls)
        engine._begin(None)
        return engine

    @classmethod
    def of_spec(cls, spec: Dict[str, Any]) -> Engine:
        """To read a command line before there is an object. Raises Error."""
        engine = cls.__new__(cls)
        engine._begin(None)
        engine._open("open_spec", json.dumps(spec).encode())
        return engine

    def _begin(self, source: Optional[os.PathLike[str]]) -> None:
        self._call = _library()
        self._source = os.fsencode(source) if source else None
        self._argv: List[Any] = []
        self._record: Any = None
        self._write: Any = None
        self._handle = self._call["new"]()
        if not self._handle:
            raise MemoryError
        if self._source:
            self._call["set_source"](self._handle, self._source)

    def _open(self, how: str, data: bytes, *more: int) -> None:
        self._data = data       # the engine reads it where it is
        try:
            self._check(self._call[how](self._handle, data, len(data), *more))
            size = ct.c_size_t()
            text = self._call["spec"](self._handle, ct.byref(size))
            self.spec: Dict[str, Any] = json.loads(ct.string_at(text, size.value))
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        self.close()

    def _sentence(self) -> str:
        return os.fsdecode(self._call["error"](self._handle))

    def _check(self, result: int) -> int:
        if result == -1:
            raise Error(self._sentence())
        return result

    def parse(self, argv: Sequence[bytes]) -> Optional[bytes]:
        """Read a command line; what --help and the like print, None of others. Raises UsageError."""
        words = (ct.c_char_p * (len(argv) + 1))(*argv)
        self._argv.append(words)        # the engine reads them where they are
        result = self._check(self._call["parse"](self._handle, len(argv), words))
        if result == _WRONG:
            raise UsageError(self._sentence())
        if result != _REPLY:
            return None
        size = ct.c_size_t()
        reply = self._call["reply"](self._handle, ct.byref(size))
        return ct.string_at(reply, size.value)

    def option(self, name: str) -> Tuple[bool, Optional[bytes]]:
        """Whether an option was given, and its argument, or its default."""
        given = ct.c_bool()
        text: Optional[bytes] = self._call["option"](self._handle, name.encode(), ct.byref(given))
        return given.value, text

    def constant(self, name: str, size: int) -> Optional[bytes]:
        """What the options make of a CONFIG constant; None if they leave it as it is."""
        value = ct.create_string_buffer(size)
        if not self._call["constant"](self._handle, name.encode(), value, size):
            return None
        return value.raw

    def has_command(self) -> bool:
        """Whether there is a COMMAND."""
        return self._call["command"](self._handle) is not None

    def on_record(self, take: Callable[[bytes], None]) -> None:
        """Hand each record to ``take`` from ``poll()`` and ``stop()``."""
        def took(_: object, data: int, size: int) -> None:
            take(ct.string_at(data, size))

        self._record = _Record(took)
        self._call["on_record"](self._handle, self._record, None)

    def on_write(self, take: Callable[[bool, bytes], None], delay_ms: int = 0) -> None:
        """Hand what the tool prints to ``take``: whether it is data, not a message, and the bytes."""
        def took(_: object, stream: int, data: int, size: int) -> int:
            take(stream == 0, ct.string_at(data, size))
            return size

        self._write = _Write(took)
        self._call["on_write"](self._handle, self._write, None, delay_ms)

    def start(self) -> None:
        """Load, attach, and let COMMAND go. Raises Refused and Error."""
        if self._check(self._call["start"](self._handle)) == _REFUSED:
            size = ct.c_size_t()
            log = self._call["log"](self._handle, ct.byref(size))
            raise Refused(ct.string_at(log, size.value).decode(errors="backslashreplace"))

    def fileno(self) -> int:
        """A descriptor that is readable when ``poll()`` has something to do."""
        return int(self._call["fd"](self._handle))

    def poll(self, timeout_ms: int = -1) -> bool:
        """Wait for something to do, and do it. Whether the run goes on. Raises Error."""
        return bool(self._check(self._call["poll"](self._handle, timeout_ms)))

    def report(self) -> None:
        """Print the reports now. Raises Error."""
        self._check(self._call["report"](self._handle))

    def report_names(self) -> Iterator[str]:
        """The reports that the options ask for."""
        i = 0
        while True:
            name = self._call["report_name"](self._handle, i)
            if name is None:
                return
            yield name.decode()
            i += 1

    def stop(self) -> None:
        """Detach, take in what there is. Maps can still be read. Raises Error."""
        self._check(self._call["stop"](self._handle, False))

    def lost(self) -> Loss:
        """What was lost so far."""
        return Loss(*(self._call["lost"](self._handle, kind) for kind in (0, 1)))

    def map(self, name: str) -> Map:
        """What there is to know of a map. Raises Error."""
        found = Map()
        self._check(self._call["map"](self._handle, name.encode(), ct.byref(found)))
        return found

    def entries(self, name: str) -> Iterator[Tuple[bytes, bytes]]:
        """The keys and values of a map; of a map per CPU, the values of all CPUs. Raises Error."""
        about = self.map(name)
        key, value = ct.create_string_buffer(about.key_size), ct.create_string_buffer(about.value_size)
        map_name = name.encode()
        before = None
        # a map that changes meanwhile may start over
        for _ in range(2 * about.max_entries):
            if not self._check(self._call["map_next"](self._handle, map_name, before, key)):
                return
            before = key.raw
            if self._check(self._call["map_lookup"](self._handle, map_name, before, value)):
                yield before, value.raw

    def update(self, name: str, key: bytes, value: bytes) -> None:
        """Put an entry into a map. Raises Error."""
        about = self.map(name)
        if (len(key), len(value)) != (about.key_size, about.value_size):
            raise Error(f"the map '{name}' has keys of {about.key_size} and values of {about.value_size} bytes")
        self._check(self._call["map_update"](self._handle, name.encode(), key, value))

    def delete(self, name: str, key: bytes) -> bool:
        """Take an entry away; whether there was one. Raises Error."""
        about = self.map(name)
        if len(key) != about.key_size:
            raise Error(f"the map '{name}' has keys of {about.key_size} bytes")
        return bool(self._check(self._call["map_delete"](self._handle, name.encode(), key)))

    def binary(self, name: str, process: int = 0) -> str:
        """The file that a probe's target names: a path, a library or a program. If a process is to be
        probed, first as that sees its files. Raises Error."""
        found: Optional[bytes] = self._call["binary"](self._handle, os.fsencode(name), process)
        if found is None:
            raise Error(self._sentence())
        return os.fsdecode(found)

    def symbol(self, pid: int, address: int) -> Optional[str]:
        """The function at an address of a process, or of the kernel if ``pid`` is 0."""
        name: Optional[bytes] = self._call["symbol"](self._handle, pid, address)
        return None if name is None else name.decode(errors="backslashreplace")

    def close(self) -> None:
        """End COMMAND, free all; may be called again. Raises Error if something stays behind."""
        handle, self._handle = getattr(self, "_handle", None), None
        if not handle:
            return
        failed = self._call["close"](handle) == -1
        sentence = os.fsdecode(self._call["error"](handle)) if failed else ""
        self._call["free"](handle)
        if failed:
            raise Error(sentence)
