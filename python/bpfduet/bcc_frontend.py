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
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import kernel_headers
from .errors import Error
from .model import ARRAY_TYPES, MAP_TYPES, PERCPU_TYPES, Config, Field, MapInfo, Types
from .paths import HEADERS

LOST_MAP = b"bpfduet_lost"

_CONFIG = re.compile(r"^\s*(?:DUET_SHARED_)?CONFIG\(\s*([\w ]+?)\s*,\s*(\w+)\s*,", re.MULTILINE)
_CONFIG_STR = re.compile(r"^\s*(?:DUET_SHARED_)?CONFIG_STR\(\s*(\w+)\s*,\s*(\d+)\s*\)",
                         re.MULTILINE)
# bcc.libbcc has it too, but as a private name
_RING_CALLBACK = ct.CFUNCTYPE(ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_int)
_PINNED_SET = re.compile(r"^DUET_PINNED_SET\((\w+)\)", re.MULTILINE)
_INTEGERS = {
    "bool": ("bool", 1), "u8": ("uint", 1), "u16": ("uint", 2), "u32": ("uint", 4),
    "u64": ("uint", 8), "s8": ("int", 1), "s16": ("int", 2), "s32": ("int", 4), "s64": ("int", 8),
    "int": ("int", 4), "unsigned int": ("uint", 4), "long": ("int", 8),
    "unsigned long": ("uint", 8),
}


def configs_of(source: str) -> Dict[str, Config]:
    """The CONFIG constants of a kernel half, by name.

    BCC has no global data and so no type description to ask; the macro calls are read from
    the text. Those of bpfduet_task.h count if the task filter is called.
    """
    texts = [source]
    if re.search(r"\btask_matches\s*\(", source):
        texts.append((HEADERS / "bpfduet_task.h").read_text())
    configs = {}
    for text in texts:
        for ctype, name in _CONFIG.findall(text):
            if ctype not in _INTEGERS:
                raise Error(f"CONFIG({ctype}, {name}, ...): '{ctype}' is not an integer type")
            kind, size = _INTEGERS[ctype]
            configs[name] = Config(name, None, size, kind)
        for name, size in _CONFIG_STR.findall(text):
            configs[name] = Config(name, None, int(size), "string")
    return configs


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


def define(name: str, value: object) -> str:
    """-D for one of the macros that DUET_PICK() looks at."""
    if isinstance(value, bytes):
        value = '"' + "".join(f"\\{byte:03o}" for byte in value.rstrip(b"\0")) + '"'
    return f"-D{name}=,{int(value) if isinstance(value, bool) else value}"


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
    """BCC, clang and libbpf write to descriptor 2: collect it, to show it when it matters."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)

        def text() -> str:
            file.seek(0)
            return file.read().decode(errors="backslashreplace")
        try:
            yield text
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class Program:
    """A kernel half that BCC has compiled, loaded and attached.

    ``source`` is the .bpf.c file. ``configs``: values of CONFIG constants, int or bytes.
    ``pages``: sizes of ring buffers by map. ``off``: programs to leave out. ``pinned``: paths
    of pinned maps by the name they replace. ``verbose`` shows what BCC and clang say.
    """

    def __init__(self, source: Path, configs: Dict[str, Any], pages: Dict[str, int],
                 off: List[str], pinned: Dict[str, bytes], verbose: bool = False):
        import bcc      # late: LLVM is slow to load, and --help does not need it
        from bcc.libbcc import lib
        # bcc declares only those that it calls itself
        lib.bpf_num_tables.argtypes, lib.bpf_num_tables.restype = [ct.c_void_p], ct.c_size_t
        lib.bpf_table_name.argtypes = [ct.c_void_p, ct.c_size_t]
        lib.bpf_table_name.restype = ct.c_char_p
        self._lib = lib
        self._text = text = source.read_text()
        cflags = ["-D__BCC__", f"-I{HEADERS}", f"-I{source.resolve().parent}"]
        cflags += [define(f"DUET_SET_{name}", value) for name, value in configs.items()]
        cflags += [define(f"DUET_PAGES_{name}", value) for name, value in pages.items()]
        cflags += [define(f"DUET_OFF_{name}", "off__") for name in off]
        self._pinned = []
        for name, path in pinned.items():
            self._pinned.append(self._open_pinned(path))
            cflags.append(define(f"DUET_SET_{name}", self._pinned[-1]))
        kernel_headers.folder_for(text, [source.resolve().parent, HEADERS]).apply(os.environ)
        with _captured_stderr() as said:
            try:
                compiled: Callable[[], Any] = lambda: bcc.BPF(text=text.encode(), cflags=cflags)
                self.bpf = kernel_headers.without_kallsyms(compiled)
            except Exception as error:      # BCC raises nothing more precise
                failure: Optional[Exception] = error
            else:
                failure = None
            noise = said()
        if failure:
            raise Error(self._explain(str(failure), source), noise) from failure
        if verbose:
            os.write(2, noise.encode())
        names = [lib.bpf_table_name(self.bpf.module, index)
                 for index in range(lib.bpf_num_tables(self.bpf.module))]
        self._counts_lost = LOST_MAP in names   # not in a source without bpfduet.h
        if self._counts_lost and names[0] != LOST_MAP:
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
            return "loading BPF programs needs root (or CAP_BPF and CAP_PERFMON)"
        rejected = re.fullmatch(r"Failed to load BPF program \S+: (.*)", said)
        if rejected:
            return f"the kernel's verifier rejects a program (its log is above): {rejected[1]}"
        return said

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

    def _described(self, table: bytes, part: str, name: str) -> Field:
        import json
        import bcc
        describe = getattr(self._lib, f"bpf_table_{part}_desc")
        ctype = bcc.BPF._decode_table_type(json.loads(describe(self.bpf.module, table).decode()))
        return _field(name, 0, ctype)

    # -- events -----------------------------------------------------------------

    def open_events(self, name: str, callback: Callable[[bytes], None],
                    lost: Callable[[int], None], pages: int) -> Callable[[int], bool]:
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
            table.open_perf_buffer(take_perf, page_cnt=pages, lost_cb=lost)

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

    def lost(self) -> int:
        """Records that found no room, over all CPUs since the start."""
        if not self._counts_lost:
            return 0
        table = self.bpf[LOST_MAP]
        return sum(table[table.Key(0)])

    # -- reports -------------------------------------------------------------------

    def entries(self, name: str, clear: bool) -> List[Tuple[bytes, List[bytes]]]:
        """All (key, values) of a map; one value, or one for each CPU. ``clear`` empties it."""
        table = self.bpf[name.encode()]
        kind = MAP_TYPES[table.ttype]
        if clear and kind in ("hash", "lru_hash"):
            taken = self._take_all(table)
            if taken is not None:
                return taken
        found = []
        for key in list(table.keys()):
            try:
                leaf = table[key]
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
                table[key] = type(leaf)()
            else:
                with contextlib.suppress(KeyError):
                    del table[key]
        return found

    def _take_all(self, table: Any) -> Optional[List[Tuple[bytes, List[bytes]]]]:
        """Read and delete in one system call, so that no count falls between the two.

        None where the kernel cannot (before 5.6)."""
        keys = (table.Key * table.max_entries)()
        leaves = (table.Leaf * table.max_entries)()
        batch, count = ct.c_uint32(0), ct.c_uint32(table.max_entries)
        done = self._lib.bpf_lookup_and_delete_batch(
            table.map_fd, None, ct.byref(batch), keys, leaves, ct.byref(count))
        if done != 0 and ct.get_errno() != 2:   # ENOENT: that was the last batch
            return None
        key, leaf = ct.sizeof(table.Key), ct.sizeof(table.Leaf)
        raw_keys, raw_leaves = bytes(keys), bytes(leaves)
        return [(raw_keys[i * key:(i + 1) * key], [raw_leaves[i * leaf:(i + 1) * leaf]])
                for i in range(count.value)]

    # -- the end ----------------------------------------------------------------------

    def detach(self) -> None:
        """Stop the programs; maps and what is in the buffers can still be read."""
        bpf = self.bpf
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
        self.bpf.cleanup()
        if self._ring:
            self._lib.bpf_free_ringbuf(self._ring)
            self._ring = None
        for fd in self._pinned:
            os.close(fd)
        self._pinned = []
