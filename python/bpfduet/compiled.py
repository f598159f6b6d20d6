# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What BCC has compiled, kept for the next start, which then needs no compiler.

LLVM's result is maps and instructions. A file keeps them, and the next start with the same text,
flags, kernel and BCC loads what is in it. All else is BCC's own Python code in either case: it
asks libbcc about a module, and ``Library`` answers for one that comes from a file.
docs/start-up.md tells what is kept, when it is not used, and what it saves.
"""
from __future__ import annotations

import contextlib
import ctypes as ct
import errno
import functools
import hashlib
import marshal
import os
import re
import struct
import zlib
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from . import kernel_headers, late_constants
from .bcc import kept, quick
from .errors import Error
from .model import MAP_TYPES

# BPF_MAP_CREATE with a few numbers makes these, and nothing else belongs to them.
PLAIN_MAPS = frozenset([
    "hash", "array", "perf_event_array", "percpu_hash", "percpu_array", "stack_trace", "lru_hash",
    "lru_percpu_hash", "lpm_trie", "queue", "stack", "ringbuf",
])
# Maps that are not the program's alone: a fresh one would be another.
SHARED_MAPS = re.compile(r"\bBPF_\w*(?:PINNED|PUBLIC|SHARED)|\bmaps/")
# Maps of maps: nothing here fills them.
_OUTER_MAPS = ("array_of_maps", "hash_of_maps")
_RDONLY_PROG = 1 << 7       # BPF_F_RDONLY_PROG
# Helpers that get a function; BCC has no way to hand one over.
_TAKES_FUNCTION = {164: "bpf_for_each_map_elem", 170: "bpf_timer_set_callback", 180: "bpf_find_vma",
                   181: "bpf_loop", 209: "bpf_user_ringbuf_drain"}
_FOUND_BY_BTF = re.compile(rb'"bpf_(?!stacktrace")')
_INSTRUCTION = struct.Struct("=BBhi")   # opcode, registers, offset, immediate
_LOAD_IMM64, _CALL, _CALL_BY_ADDRESS, _MAP_FD = 0x18, 0x85, 0x8d, 1


class NotCovered(Exception):
    """A module that is more than maps and instructions."""


class NotLate(NotCovered):
    """One that may be no more than that if less of it is late."""


class Table(NamedTuple):
    """A map: what it is made of, and what BCC tells of it."""

    name: bytes
    made_of: Tuple[int, int, int, int, int]     # type, key size, value size, entries, flags
    type_id: int
    max_entries: int
    flags: int
    key: bytes      # the C types, in BCC's JSON
    leaf: bytes


class Function(NamedTuple):
    """A program: instructions, and the numbers of those to fill in a map or a constant."""

    name: bytes
    code: bytes
    maps: Tuple[Tuple[int, int], ...]       # (instruction, number of the table)
    late: Tuple[Tuple[int, str], ...]       # (instruction, name of the constant)


class Compiled(NamedTuple):
    """A module of BCC's; ``said`` is what the compiler wrote to stderr."""

    tables: Tuple[Table, ...]
    functions: Tuple[Function, ...]
    license: bytes
    version: int
    said: bytes


class Source(NamedTuple):
    """What BCC gets. ``folders`` are those of the includes, which ``cflags`` name too;
    ``constants`` the values of CONFIG constants; ``contexts`` bcc.USDT objects."""

    text: str
    cflags: List[str]
    folders: List[Path]
    constants: Dict[str, Any]
    contexts: List[Any]


def _flags(source: Source, constants: Dict[str, Any]) -> List[str]:
    return source.cflags + [late_constants.define(f"DUET_SET_{name}", value)
                            for name, value in constants.items()]


# -- to and from bytes ---------------------------------------------------------------------


def to_bytes(compiled: Optional[Compiled]) -> bytes:
    """The content of a file, with a checksum in front. None: not covered."""
    content: Any = None
    if compiled is not None:
        content = (tuple(tuple(one) for one in compiled.tables),
                   tuple(tuple(one) for one in compiled.functions), *compiled[2:])
    payload = marshal.dumps(content, 4)
    return b"%08x\n" % zlib.crc32(payload) + payload


def from_bytes(raw: bytes) -> Compiled:
    """What ``to_bytes`` was given. Raises NotLate, and ValueError if the bytes are not its."""
    if raw[:9] != b"%08x\n" % zlib.crc32(raw[9:]):
        raise ValueError("damaged")
    content = marshal.loads(raw[9:])
    if content is None:
        raise NotLate("as was seen before")
    tables, functions, *rest = content
    return Compiled(tuple(Table(*one) for one in tables),
                    tuple(Function(*one) for one in functions), *rest)


# -- a module that BCC has just compiled ---------------------------------------------------


def _signed(number: int) -> int:
    """The lower 32 bits as an immediate."""
    return int(ct.c_int32(number).value)


def _map_attributes(lib: Any, fd: int) -> Tuple[int, int, int, int, int]:
    """What the kernel says of a map: the first fields of struct bpf_map_info, without its id."""
    info, size = (ct.c_uint32 * 6)(), ct.c_uint32(24)
    if lib.bpf_obj_get_info(fd, info, ct.byref(size)) != 0:
        raise NotCovered("the kernel does not describe its maps")
    kind, _, key, value, entries, flags = info
    if MAP_TYPES.get(kind) in ("devmap", "devmap_hash"):
        flags &= ~_RDONLY_PROG      # the kernel's own, which it does not take
    return kind, key, value, entries, flags


def _table(lib: Any, module: Any, number: int, typed: bool) -> Tuple[int, Table]:
    """A map and its descriptor."""
    name = lib.bpf_table_name(module, number)
    fd = lib.bpf_table_fd(module, name)
    table = Table(name, _map_attributes(lib, fd), lib.bpf_table_type_id(module, number),
                  lib.bpf_table_max_entries_id(module, number),
                  lib.bpf_table_flags_id(module, number), lib.bpf_table_key_desc(module, name),
                  lib.bpf_table_leaf_desc(module, name))
    kind, shown = MAP_TYPES.get(table.type_id, "unknown"), name.decode()
    if table.type_id != table.made_of[0] or table.max_entries != table.made_of[3]:
        raise NotCovered(f"the map that is pinned for '{shown}' is of another type or size: remove "
                         "it, or declare it as it is")
    if kind in _OUTER_MAPS:
        raise NotCovered(f"'{shown}' is a map of maps, which nothing here fills: use one map, with "
                         "the outer key as a part of its key")
    if not typed and kind not in PLAIN_MAPS:
        raise NotCovered(f"'{shown}' is a map of a type that needs more")
    return fd, table


def _function(name: bytes, code: bytes, tables: Dict[int, int], marks: Dict[int, str]) -> Function:
    """A program. ``tables``: numbers of the maps by descriptor; ``marks``: names of the late
    constants by placeholder."""
    shown = name.decode()
    maps, late = [], []
    parts = {_signed(half) for mark in marks for half in (mark, mark >> 32) if half}
    instructions = enumerate(_INSTRUCTION.iter_unpack(code))
    for place, (opcode, registers, _, immediate) in instructions:
        value, halves = 0, {immediate}
        if opcode == _LOAD_IMM64:
            upper = next(instructions)[1][3]
            value, halves = upper << 32 | immediate & 0xffffffff, {immediate, upper}
        source = registers >> 4
        if opcode == _LOAD_IMM64 and source == _MAP_FD and immediate in tables:
            maps.append((place, tables[immediate]))
        elif opcode == _CALL and source:
            raise NotCovered(f"{shown}() calls a function that is not inlined, and BCC has no such "
                             "calls: write it static __always_inline, without recursion")
        elif opcode == _CALL_BY_ADDRESS:
            raise NotCovered(f"{shown}() calls a function by its address, which BPF cannot: call it "
                             "by its name")
        elif opcode == _CALL and immediate in _TAKES_FUNCTION:
            raise NotCovered(f"{shown}() hands a function to {_TAKES_FUNCTION[immediate]}(), which "
                             "BCC cannot: put that behind #ifndef __BCC__, for the tool that "
                             "clang builds, and do without it here")
        elif opcode == _LOAD_IMM64 and source:
            raise NotCovered(f"{shown}() names a map by a descriptor that is not of its own: "
                             "declare the map")
        elif value in marks:
            late.append((place, marks[value]))
        elif halves & parts:
            raise NotLate(f"{shown}() has a CONFIG constant taken apart, so that it cannot be set "
                          "at the start: use it as a whole")
    return Function(name, code, tuple(maps), tuple(late))


def describe(lib: Any, module: Any, marks: Dict[int, str], said: bytes,
             others: Iterable[int] = (), typed: bool = False) -> Compiled:
    """What is needed to load a module without compiling it. ``others``: what stands in the code for
    the descriptors of further maps, which are numbered after the module's; ``typed``: the kernel
    will be told the maps' types. Raises NotCovered."""
    found = [_table(lib, module, number, typed) for number in range(lib.bpf_num_tables(module))]
    if not typed and any(_FOUND_BY_BTF.search(table.leaf) for _, table in found):
        raise NotCovered("a spin lock or a timer, which the kernel finds by BTF")
    tables = {fd: number for number, fd in enumerate([*(fd for fd, _ in found), *others])}
    names = [lib.bpf_function_name(module, number)
             for number in range(lib.bpf_num_functions(module))]
    functions = [_function(name, ct.string_at(lib.bpf_function_start(module, name),
                                              lib.bpf_function_size(module, name)), tables, marks)
                 for name in names]
    return Compiled(tuple(table for _, table in found), tuple(functions),
                    lib.bpf_module_license(module), lib.bpf_module_kern_version(module), said)


# -- a module that comes from a file ---------------------------------------------------------


class Module:
    """A module with its maps made. Its public methods are libbcc's functions of that name."""

    def __init__(self, lib: Any, compiled: Compiled, constants: Dict[str, int]):
        self._lib = lib
        self._compiled = compiled
        self._numbers = {table.name: number for number, table in enumerate(compiled.tables)}
        self._fds: List[int] = []
        try:
            for table in compiled.tables:
                self._fds.append(self._made(table))
            self._code = {function.name: self._filled(function, constants)
                          for function in compiled.functions}
        except Exception:
            self.bpf_module_destroy()
            raise

    def _made(self, table: Table) -> int:
        """A new map's descriptor."""
        kind, *attributes = table.made_of
        fd = self._lib.bcc_create_map(kind, table.name, *attributes)
        if fd < 0:
            raise OSError(ct.get_errno(), "a map cannot be made")
        return int(fd)

    def _filled(self, function: Function, constants: Dict[str, int]) -> Any:
        """Instructions in memory, with this process's maps and this run's constants."""
        code = ct.create_string_buffer(function.code, len(function.code))

        def fill(place: int, value: int) -> None:
            struct.pack_into("=i", code, place * _INSTRUCTION.size + 4, _signed(value))

        for place, number in function.maps:
            fill(place, self._fds[number])
        for place, name in function.late:
            fill(place, constants[name])
            fill(place + 1, constants[name] >> 32)
        return code

    def bpf_module_destroy(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def bpf_module_license(self) -> bytes:
        return self._compiled.license

    def bpf_module_kern_version(self) -> int:
        return self._compiled.version

    def bpf_num_functions(self) -> int:
        return len(self._compiled.functions)

    def bpf_function_name(self, number: int) -> bytes:
        return self._compiled.functions[number].name

    def bpf_function_start(self, name: bytes) -> Optional[int]:
        return ct.addressof(self._code[name]) if name in self._code else None

    def bpf_function_size(self, name: bytes) -> int:
        return len(self._code[name])

    def bpf_num_tables(self) -> int:
        return len(self._compiled.tables)

    def bpf_table_name(self, number: int) -> bytes:
        return self._compiled.tables[number].name

    def bpf_table_id(self, name: bytes) -> int:
        return self._numbers.get(name, -1)

    def bpf_table_fd(self, name: bytes) -> int:
        return self._fds[self._numbers[name]] if name in self._numbers else -1

    def bpf_table_type_id(self, number: int) -> int:
        return self._compiled.tables[number].type_id if number >= 0 else -1

    def bpf_table_max_entries_id(self, number: int) -> int:
        return self._compiled.tables[number].max_entries

    def bpf_table_flags_id(self, number: int) -> int:
        return self._compiled.tables[number].flags

    def bpf_table_key_desc(self, name: bytes) -> bytes:
        return self._compiled.tables[self._numbers[name]].key

    def bpf_table_leaf_desc(self, name: bytes) -> bytes:
        return self._compiled.tables[self._numbers[name]].leaf

    def bcc_func_load(self, *arguments: Any) -> int:
        # A device or a kind of attachment is what bcc_prog_load() does not take.
        *plain, device, attach_type = arguments
        if device is not None or attach_type != -1:
            ct.set_errno(errno.ENOTSUP)
            return -1
        return int(self._lib.bcc_prog_load(*plain))


def _for_either(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    own = getattr(Module, name)

    def call(module: Any, *arguments: Any) -> Any:
        return (own if isinstance(module, Module) else real)(module, *arguments)
    return call


class Library:
    """libbcc, to which a ``Module`` is as good as one of its own."""

    def __init__(self, real: Any):
        self._real = real
        self._given: Dict[bytes, Module] = {}
        for name in vars(Module):
            if not name.startswith("_"):
                setattr(self, name, _for_either(name, getattr(real, name)))
        real.bcc_create_map.argtypes = [ct.c_int, ct.c_char_p] + [ct.c_int] * 4
        real.bcc_prog_load.argtypes = [
            ct.c_int, ct.c_char_p, ct.c_void_p, ct.c_int, ct.c_char_p, ct.c_uint, ct.c_int,
            ct.c_void_p, ct.c_uint]

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._real, name)
        setattr(self, name, function)       # some are called for every record
        return function

    def bpf_module_create_c_from_string(self, text: bytes, *arguments: Any) -> Any:
        """The module that was given the name ``text``, or what libbcc makes of that text."""
        if text in self._given:
            return self._given.pop(text)
        return self._real.bpf_module_create_c_from_string(text, *arguments)

    def compile(self, text: str, cflags: List[str], marks: Dict[int, str],
                stderr: IO[bytes]) -> Compiled:
        """A text as BCC compiles it. Raises ValueError if it does not, and NotCovered."""
        flags = (ct.c_char_p * len(cflags))(*map(os.fsencode, cflags))
        module = self._real.bpf_module_create_c_from_string(
            text.encode(), 0, flags, len(flags), True, None)
        if not module:
            raise ValueError("Failed to compile BPF module")
        try:
            return describe(self._real, module, marks, written(stderr))
        finally:
            self._real.bpf_module_destroy(module)

    def program(self, compiled: Compiled, constants: Dict[str, int]) -> Any:
        """The bcc.BPF of a module, loaded and attached as BCC does it."""
        import bcc
        module = Module(self._real, compiled, constants)
        name = b"bpfduet module %d" % id(module)
        self._given[name] = module
        bpf = bcc.BPF.__new__(bcc.BPF)
        try:
            bpf.__init__(text=name)
        except Exception:
            with contextlib.suppress(Exception):    # it may not have come far
                bpf.cleanup()
            module.bpf_module_destroy()
            raise
        return bpf


def declare(lib: Any) -> None:
    """Tell ctypes of functions of libbcc: bcc declares only those that it calls itself."""
    lib.bpf_num_tables.argtypes, lib.bpf_num_tables.restype = [ct.c_void_p], ct.c_size_t
    lib.bpf_table_name.argtypes = [ct.c_void_p, ct.c_size_t]
    lib.bpf_table_name.restype = ct.c_char_p


@functools.lru_cache(maxsize=None)
def library() -> Any:
    """libbcc, for bcc's Python code and for ours: a ``Library``, if bcc is as expected."""
    import bcc
    from bcc.libbcc import lib
    declare(lib)
    try:
        if bcc.lib is not lib or bcc.table.lib is not lib:
            return lib
        bcc.lib = bcc.table.lib = Library(lib)
    except AttributeError:
        return lib
    return bcc.lib


# -- the cache -------------------------------------------------------------------------------


class Entry:
    """The place of a compiled program in the cache: what BCC makes of ``text`` with ``flags``.
    ``late``: values of its late constants."""

    def __init__(self, key: str, text: str, flags: List[str], late: Dict[str, int]):
        self.text = text
        self.flags = flags
        self.late = late
        self._place = kept.Place("program", key)
        self.alone = self._place.alone

    def read(self) -> Optional[Compiled]:
        """What is there, if it is whole and only this user and root can have written it.
        Raises NotLate if it says that this is not covered."""
        raw = self._place.read()
        try:
            return from_bytes(raw) if raw is not None else None
        except (ValueError, TypeError, EOFError):
            return None

    def write(self, compiled: Optional[Compiled]) -> None:
        """Keep this, or that it is not covered."""
        self._place.write(to_bytes(compiled))


def entries_of(source: Source) -> Iterator[Entry]:
    """Where a source's program may be kept, named after all that decides what BCC makes of it:
    with its own constants late, and with those of the headers alone. None if not all is known."""
    with contextlib.suppress(Error, OSError):
        yield from _entries_of(source)


def _entries_of(source: Source) -> Iterator[Entry]:
    if source.contexts or os.environ.get("BPFDUET_HEADERS", "btf") != "btf" \
            or {"CPATH", "C_INCLUDE_PATH"} & set(os.environ):
        return
    whole, _ = kernel_headers.read_sources(source.text, source.folders)
    if SHARED_MAPS.search(whole):
        return
    headers = whole[len(kernel_headers.bcc_side(source.text)):]
    files = [Path(__file__), Path(late_constants.__file__), kernel_headers.CONSTANTS,
             Path("/sys/devices/system/cpu/possible"), *kept.formats_of(whole)]
    place = (kernel_headers.kernel_key(kernel_headers.VMLINUX), quick.modules(), source.text, whole,
             kept.environment(), [path.read_bytes() for path in files])
    before: Optional[late_constants.Plan] = None
    for own in (True, False):
        plan = late_constants.plan(source.text, headers, source.constants, own)
        if plan == before:      # the text has no constants of its own
            return
        before = plan
        flags = _flags(source, plan.constants) + [
            f"-DDUET_LATE_{name}=,{late_constants.placeholder(name):#x}ULL" for name in plan.late]
        key = hashlib.sha256(repr((place, plan.text, flags)).encode()).hexdigest()[:32]
        yield Entry(key, plan.text, flags, plan.late)


# -- a program, either way ---------------------------------------------------------------------


def written(stderr: IO[bytes]) -> bytes:
    """What is in the file that stands for stderr."""
    stderr.seek(0)
    return stderr.read()


@contextlib.contextmanager
def _headers_of(source: Source) -> Iterator[kernel_headers.Headers]:
    """The kernel's headers are there, and the working directory has none: BCC looks there first."""
    # BCC reads the arguments of USDT probes by code that it writes itself
    made = [context.get_text() for context in source.contexts]
    headers = kernel_headers.folder_for("\n".join([source.text, *made]), source.folders)
    headers.apply(os.environ)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    os.chdir(headers.path or "/")
    try:
        yield headers
    finally:
        os.fchdir(here)
        os.close(here)


def _compile(source: Source, entry: Entry, lib: Library, stderr: IO[bytes]) -> Compiled:
    """What goes into an entry. Raises NotCovered, and ValueError if it must not be kept."""
    marks = {late_constants.placeholder(name): name for name in entry.late}
    with _headers_of(source) as headers:
        if headers.origin != "btf":
            raise ValueError("headers that may change")
        try:
            return lib.compile(entry.text, entry.flags, marks, stderr)
        except NotCovered:
            entry.write(None)       # or the next start would compile twice, too
            raise


def _kept(source: Source, entry: Entry, lib: Library, stderr: IO[bytes]) -> Any:
    """The program of an entry, which is made if it is not there."""
    compiled = entry.read()
    if compiled is None:
        with entry.alone():
            compiled = entry.read()     # another process may have been faster
            if compiled is None:
                compiled = _compile(source, entry, lib, stderr)
                bpf = lib.program(compiled, entry.late)
                entry.write(compiled)
                return bpf
    stderr.write(compiled.said)
    return lib.program(compiled, entry.late)


def _load(source: Source, entries: Iterator[Entry], stderr: IO[bytes]) -> Any:
    import bcc
    failed: List[Entry] = []
    for entry in entries:
        try:
            bpf = _kept(source, entry, library(), stderr)
        except NotLate:
            pass                # the next has less of it late; the entry says so already
        except NotCovered:
            for other in entries:
                other.write(None)
        except Exception:       # whatever it is, the next or BCC may do it, or says why not
            failed.append(entry)
        else:
            for other in failed:    # so it was that its constants are late
                other.write(None)
            return bpf
        stderr.seek(0)
        stderr.truncate()
    with _headers_of(source):
        return bcc.BPF(text=source.text.encode(), cflags=_flags(source, source.constants),
                       usdt_contexts=source.contexts)


def load(source: Source, stderr: IO[bytes], reuse: bool = True) -> Any:
    """The bcc.BPF of a source, its programs loaded and attached. ``stderr`` is a file that stands
    for it, unbuffered. Without ``reuse``, or with BPFDUET_NO_CACHE in the environment, nothing
    that was kept is used."""
    reuse = reuse and isinstance(library(), Library) and not os.environ.get("BPFDUET_NO_CACHE")
    entries = entries_of(source) if reuse else iter(())
    return kernel_headers.without_kallsyms(functools.partial(_load, source, entries, stderr))
