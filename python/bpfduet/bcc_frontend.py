# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The kernel half through BCC: compiled, loaded and attached at run time.

Nothing here knows a tool. What BCC is told apart from the source goes in as macros
(headers/bpfduet_bcc.h explains each): ``DUET_SET_x`` sets a CONFIG constant, ``DUET_PAGES_x``
a buffer's size, ``DUET_OFF_x`` leaves a program out.
"""
from __future__ import annotations

import contextlib
import ctypes as ct
import os
import re
import tempfile
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from . import libbpf
from .attach import Attacher, complete_uprobes, programs_of, usdt_arguments, usdt_contexts
from .bcc import FLAGS
from .errors import Error
from .late_constants import define
from .model import ARRAY_TYPES, LOCK_TYPE, MAP_TYPES, PERCPU_TYPES, Config, Field, MapInfo, Types
from .paths import HEADERS

LOST_MAP = b"bpfduet_lost"

# bcc.libbcc has it too, but as a private name
_RING_CALLBACK = ct.CFUNCTYPE(ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_int)
_PINNED_SET = re.compile(r"^DUET_PINNED_SET\((\w+)\)", re.MULTILINE)


def pinned_sets(source: str) -> Dict[str, MapInfo]:
    """The maps that only exist when the user names a pinned one, by name."""
    if not re.search(r"^#define BPFDUET_CONTAINERS\b", source, re.MULTILINE):
        return {}
    number = Field("key", 0, 8, "uint"), Field("value", 0, 8, "uint")
    names = _PINNED_SET.findall((HEADERS / "bpfduet_task.h").read_text())
    return {name: MapInfo(name, "hash", *number, 1) for name in names}


def _field(name: str, offset: int, ctype: Any) -> Field:
    """A ctypes type, as BCC made it from the compiler's description, as a Field."""
    if issubclass(ctype, ct.Array):
        element = ctype._type_
        if element is ct.c_char:
            return Field(name, offset, ct.sizeof(ctype), "string")
        inner = _field(name, offset, element)
        return Field(name, offset, inner.size, inner.kind, ctype._length_, inner.fields)
    if ctype.__name__ == LOCK_TYPE:
        return Field(name, offset, ct.sizeof(ctype), "lock")
    if issubclass(ctype, (ct.Structure, ct.Union)):
        members = tuple(_field(entry[0], getattr(ctype, entry[0]).offset, entry[1])
                        for entry in ctype._fields_ if not entry[0].startswith("__pad_"))
        return Field(name, offset, ct.sizeof(ctype), "struct", 0, members)
    if ctype is ct.c_bool:
        kind = "bool"
    elif ctype is ct.c_char:
        kind = "int"
    else:
        kind = "int" if ctype(-1).value < 0 else "uint"
    return Field(name, offset, ct.sizeof(ctype), kind)


def _decoded(description: bytes, name: str) -> Field:
    """A C type in BCC's JSON as a Field."""
    import json
    import bcc
    return _field(name, 0, bcc.BPF._decode_table_type(json.loads(description.decode())))


def described_types(tables: Iterable[Any], pinned: Dict[str, MapInfo]) -> Types:
    """Layouts of all maps and events of what BCC has compiled: of ``compiled.Table``s."""
    maps, events = dict(pinned), {}
    for table in tables:
        shown = table.name.decode()
        if shown.endswith("__type"):
            events[shown[:-len("__type")]] = _decoded(table.leaf, "event")
            continue
        kind = MAP_TYPES.get(table.type_id, "unknown")
        buffer = kind in ("ringbuf", "perf_event_array")
        key = None if buffer or kind in ("queue", "stack") else _decoded(table.key, "key")
        maps[shown] = MapInfo(shown, kind, key, None if buffer else _decoded(table.leaf, "value"),
                              table.max_entries)
    return Types(maps, events=events)


@contextlib.contextmanager
def _captured_stderr() -> Iterator[IO[bytes]]:
    """BCC, clang and libbpf write to descriptor 2: collect it, to show it when it matters."""
    with tempfile.TemporaryFile(buffering=0) as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class Program:
    """A kernel half that BCC has compiled, loaded and attached.

    ``source`` is the .bpf.c file. ``configs``: values of CONFIG constants, int or bytes.
    ``pages``: sizes of ring buffers by map, ``entries``: of other maps. ``off``: programs to leave out. ``pinned``: paths
    of pinned maps by the name they replace. ``settings``: what the spec says of programs by
    name (attach.Settings). ``verbose`` shows what BCC and clang say.
    """

    def __init__(self, source: Path, configs: Dict[str, Any], pages: Dict[str, int],
                 entries: Dict[str, int], off: List[str], pinned: Dict[str, bytes],
                 settings: Dict[str, Dict[str, str]], verbose: bool = False):
        from . import compiled      # late: LLVM is slow to load, and --help does not need it
        from .bcc.complaints import Messages, numbered
        self._lib = lib = compiled.library()
        self._text = text = source.read_text()
        folders = [HEADERS, source.resolve().parent]
        cflags = [*FLAGS, *(f"-I{folder}" for folder in folders)]
        cflags += [define(f"DUET_PAGES_{name}", value) for name, value in pages.items()]
        cflags += [define(f"DUET_ENTRIES_{name}", value)
                   for name, value in entries.items()]
        cflags += [define(f"DUET_OFF_{name}", f"off__{name.split('__')[0]}__")
                   for name in off]
        self._settings = settings
        self._verbose = verbose
        self._unattached = [program for program in programs_of(text) if program.name not in off]
        self._attacher: Optional[Attacher] = None
        contexts = usdt_contexts(self._unattached, settings)
        text = usdt_arguments(contexts, self._unattached) \
            + numbered(text, str(source.absolute()))
        self._pinned = []
        for name, path in pinned.items():
            self._pinned.append(self._open_pinned(path))
            cflags.append(define(f"DUET_SET_{name}", self._pinned[-1]))
        # a pinned map's descriptor, which is in the flags, is this process's
        reuse = not self._pinned
        complete_uprobes()      # BCC attaches USDT probes as soon as it has loaded them
        with _captured_stderr() as stderr:
            try:
                self.bpf = compiled.load(
                    compiled.Source(text, cflags, folders, configs, contexts), stderr, reuse)
            except Error:
                raise
            except Exception as error:      # BCC raises nothing more precise
                failure: Optional[Exception] = error
            else:
                failure = None
            noise = Messages(compiled.written(stderr).decode(errors="backslashreplace"), source).text()
        if failure:
            raise Error(self._explain(str(failure), source), noise) from failure
        if verbose:
            os.write(2, noise.encode())
        names = [lib.bpf_table_name(self.bpf.module, index)
                 for index in range(lib.bpf_num_tables(self.bpf.module))]
        if LOST_MAP in names[1:]:   # it is not in a source without bpfduet.h
            raise Error("this version of BCC numbers maps in another way: records that are lost "
                        "cannot be counted")
        self._ring: Any = None

    def _open_pinned(self, path: bytes) -> int:
        fd = self._lib.bpf_obj_get(path)
        if fd < 0:
            reason = os.strerror(ct.get_errno())
            shown = path.decode(errors="backslashreplace")
            raise Error(f"there is no pinned map at '{shown}': {reason}")
        return int(fd)

    @staticmethod
    def _explain(said: str, source: Path) -> str:
        if "Failed to compile" in said:
            return f"BCC cannot compile {source.name}"
        if "super-user" in said:
            return ("the kernel does not permit loading this program: run as root (or with CAP_BPF "
                    "and CAP_PERFMON), on a kernel not locked down")
        rejected = re.fullmatch(r"Failed to load BPF program \S+: (.*)", said)
        if rejected:
            return f"the kernel's verifier rejects a program (its log is above): {rejected[1]}"
        return said

    def fill(self, name: str, keys: List[int]) -> None:
        """Put keys into a map, each with the value 1. Raises Error."""
        table = self.bpf[name.encode()]
        try:
            for key in keys:
                libbpf.update(table, table.Key(key), table.Leaf(1), 0)
        except OSError as error:
            raise Error(f"the map '{name}' cannot be filled: "
                        f"{os.strerror(error.errno or 0)}") from error

    def attach(self, counters: Dict[str, str], group: Optional[str], own_group: bool) -> None:
        """Attach what BCC has not attached by its name, and open counters: perf events by map.
        ``group`` is the folder of the cgroup that the run is limited to; ``own_group``: it was
        made for the run. Raises Error."""
        self._attacher = Attacher(self.bpf, self._settings, group, own_group)
        with contextlib.nullcontext() if self._verbose else _captured_stderr():
            for name, event in counters.items():
                self._attacher.open_counters(name, event)
            for program in self._unattached:
                self._attacher.attach(program)

    # -- types ---------------------------------------------------------------

    def types(self, configs: Dict[str, Config]) -> Types:
        """Layouts of all maps and events, from BCC's descriptions."""
        maps = pinned_sets(self._text)
        events: Dict[str, Field] = {}
        lib, module = self._lib, self.bpf.module
        for index in range(lib.bpf_num_tables(module)):
            name = lib.bpf_table_name(module, index)
            kind = MAP_TYPES.get(lib.bpf_table_type_id(module, index), "unknown")
            shown = name.decode()
            if shown.endswith("__type"):
                events[shown[:-len("__type")]] = self._described(name, "leaf", "event")
                continue
            key = value = None
            if kind not in ("ringbuf", "perf_event_array"):
                if kind not in ("queue", "stack"):
                    key = self._described(name, "key", "key")
                value = self._described(name, "leaf", "value")
            maps[shown] = MapInfo(shown, kind, key, value,
                                  int(lib.bpf_table_max_entries_id(module, index)))
        return Types(maps, configs, events)

    def own_maps(self) -> Dict[str, int]:
        """The tool's maps by name, each with its descriptor; not those of bpfduet's making."""
        lib, module = self._lib, self.bpf.module
        names = [lib.bpf_table_name(module, index) for index in range(lib.bpf_num_tables(module))]
        return {name.decode(): int(lib.bpf_table_fd(module, name)) for name in names
                if not name.startswith(b"bpfduet_") and not name.endswith(b"__type")}

    def _described(self, table: bytes, part: str, name: str) -> Field:
        describe = getattr(self._lib, f"bpf_table_{part}_desc")
        return _decoded(describe(self.bpf.module, table), name)

    # -- events -----------------------------------------------------------------

    def open_events(self, name: str, callback: Callable[[bytes], None],
                    pages: int) -> Callable[[int], bool]:
        """Open a ring or perf buffer; returns poll(timeout in ms), which hands each record
        to ``callback`` and tells whether any came. What that raises comes out of poll()."""
        table = self.bpf[name.encode()]
        string_at = ct.string_at
        failed: List[BaseException] = []
        came = False

        def take(_: Any, data: int, size: int) -> int:
            nonlocal came
            came = True
            try:
                callback(string_at(data, size))
            except BaseException as error:  # ctypes would only print it
                failed.append(error)
                return -1       # libbpf's ring buffer goes no further
            return 0

        def take_perf(cpu: int, data: int, size: int) -> None:
            if not failed:
                take(cpu, data, size)

        if MAP_TYPES[table.ttype] == "ringbuf":
            # Not by table.open_ring_buffer(): its wrapper costs as much as the callback.
            self._ring_callback = _RING_CALLBACK(take)
            self._ring = self._lib.bpf_new_ringbuf(table.map_fd, self._ring_callback, None)
            if not self._ring:
                raise Error(f"cannot open the ring buffer: {os.strerror(ct.get_errno())}")

            def read(timeout: int) -> None:
                if timeout:
                    self._lib.bpf_poll_ringbuf(self._ring, timeout)
                self._lib.bpf_consume_ringbuf(self._ring)   # most records wake nobody
        else:
            table.open_perf_buffer(take_perf, page_cnt=pages)

            def read(timeout: int) -> None:
                if timeout:
                    self.bpf.perf_buffer_poll(timeout=timeout)
                self.bpf.perf_buffer_consume()

        def poll(timeout: int) -> bool:
            nonlocal came
            came = False
            read(timeout)
            if failed:
                raise failed[0]
            return came
        return poll

    # -- reports -------------------------------------------------------------------

    def entries(self, name: str, clear: bool, locked: bool) -> List[Tuple[bytes, List[bytes]]]:
        """All (key, values) of a map; one value, or one for each CPU. ``clear`` empties it;
        ``locked`` values are read, and emptied, under the spin lock that they hold."""
        table = self.bpf[name.encode()]
        kind = MAP_TYPES[table.ttype]
        flags = libbpf.F_LOCK if locked else 0
        if clear and kind in ("hash", "lru_hash"):
            taken = self._take_all(table, flags)
            if taken is not None:
                return taken
        found = []
        for key in list(table.keys()):
            try:
                leaf = libbpf.lookup(table, key, flags) if locked else table[key]
            except KeyError:
                continue
            values = [bytes(leaf)]
            if kind in PERCPU_TYPES:
                size = ct.sizeof(table.sLeaf)
                step = ct.sizeof(leaf) // len(leaf)
                raw = bytes(leaf)
                values = [raw[i * step:i * step + size] for i in range(len(leaf))]
            found.append((bytes(key), values))
            if not clear:
                continue
            if kind in ARRAY_TYPES:
                libbpf.update(table, key, type(leaf)(), flags)
            else:
                with contextlib.suppress(KeyError):
                    del table[key]
        return found

    @staticmethod
    def _take_all(table: Any, flags: int) -> Optional[List[Tuple[bytes, List[bytes]]]]:
        """Read and delete in one system call, so that no count falls between the two.

        None where the kernel cannot (before 5.6)."""
        keys = (table.Key * table.max_entries)()
        leaves = (table.Leaf * table.max_entries)()
        count = libbpf.take_batch(table.map_fd, keys, leaves, table.max_entries, flags)
        if count is None:
            return None
        key, leaf = ct.sizeof(table.Key), ct.sizeof(table.Leaf)
        raw_keys, raw_leaves = bytes(keys), bytes(leaves)
        return [(raw_keys[i * key:(i + 1) * key], [raw_leaves[i * leaf:(i + 1) * leaf]])
                for i in range(count)]

    # -- the end ----------------------------------------------------------------------

    def detach(self) -> None:
        """Stop the programs; maps and what is in the buffers can still be read."""
        bpf = self.bpf
        if self._attacher:
            self._attacher.detach()
        for table, stop in ((bpf.tracepoint_fds, bpf.detach_tracepoint),
                            (bpf.raw_tracepoint_fds, bpf.detach_raw_tracepoint),
                            (bpf.kprobe_fds, bpf.detach_kprobe_event),
                            (bpf.uprobe_fds, bpf.detach_uprobe_event),
                            (bpf.kfunc_entry_fds, bpf.detach_kfunc),
                            (bpf.kfunc_exit_fds, bpf.detach_kretfunc),
                            (bpf.lsm_fds, bpf.detach_lsm)):
            for name in list(table):
                stop(name)

    def close(self) -> None:
        """Detach and free everything."""
        if self._attacher:
            self._attacher.detach()
        self.bpf.cleanup()
        if self._ring:
            self._lib.bpf_free_ringbuf(self._ring)
            self._ring = None
        for fd in self._pinned:
            os.close(fd)
        self._pinned = []
