# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names of functions for addresses in the kernel and in processes.

The rules are those of docs/output.md ("Names of functions"), and the C frontend has the same in
symbols.c. BCC's own symbol caches are not asked: which of several names of one address they give
is an accident of their sorting, and no other program could give the same.
"""
from __future__ import annotations

import bisect
import contextlib
import ctypes as ct
import os
import re
import resource
import stat
import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

Symbol = Tuple[int, int, bytes]     # first address, size, name

# A process may write what it likes into its perf map.
PERF_MAP_BYTES = 64 << 20
DEBUG_FOLDER = "/usr/lib/debug/.build-id"
_PERF_MAP_LINE = re.compile(rb"^(?:0x)?([0-9a-f]{1,16}) (?:0x)?([0-9a-f]{1,16}) (.+)$",
                            re.MULTILINE | re.IGNORECASE)
_ENDLESS = (1 << 64) - 1
_SHT_SYMTAB, _SHT_DYNSYM, _PT_LOAD, _PT_NOTE, _PF_X = 2, 11, 1, 4, 1
_STT_FUNC, _STT_GNU_IFUNC, _NT_BUILD_ID = 2, 10, 3


def _rank(symbol: Symbol) -> Tuple[int, int, int, bytes]:
    """Of several symbols that begin at one address the lowest one is shown."""
    _, size, name = symbol
    return -size, len(name) - len(name.lstrip(b"_")), len(name), name


class SymbolTable:
    """Symbols by address. ``latest``: of those that begin at one address the last one counts."""

    def __init__(self, symbols: Iterable[Symbol], latest: bool = False):
        best: Dict[int, Symbol] = {}
        for symbol in symbols:
            other = best.get(symbol[0])
            if other is None or latest or _rank(symbol) < _rank(other):
                best[symbol[0]] = symbol
        self._starts = sorted(best)
        self._symbols = [best[start] for start in self._starts]

    def find(self, address: int) -> Optional[bytes]:
        """The name of the innermost symbol that holds an address."""
        index = bisect.bisect_right(self._starts, address) - 1
        nearest = index
        while index >= 0:
            start, size, name = self._symbols[index]
            if address < start + size:
                return name
            # One that ends before the nearest begins holds none of what follows it.
            if start + size < self._starts[nearest]:
                return None
            index -= 1
        return None


def kernel_symbols() -> SymbolTable:
    """The functions of the kernel and its modules."""
    symbols = []
    with open("/proc/kallsyms", "rb") as file:
        for line in file:
            words = line.split()
            if words[1] in b"tTwW" and words[0].strip(b"0"):
                symbols.append((int(words[0], 16), _ENDLESS, words[2]))
    return SymbolTable(symbols)


def _perf_map(raw: bytes) -> Iterator[Symbol]:
    """What a run-time compiler has written."""
    for start, size, name in _PERF_MAP_LINE.findall(raw.replace(b"\0", b"\n")):
        yield int(start, 16), int(size, 16), name


class _Elf:
    """The parts of an ELF file (of this machine's byte order) that tell of functions."""

    def __init__(self, read: "_Reader"):
        self._read = read
        header = read(0, 64)
        if header[:4] != b"\x7fELF" or header[4] not in (1, 2):
            raise ValueError("no ELF file")
        self._wide = header[4] == 2
        fields = struct.unpack_from("=QQIHHHHHH" if self._wide else "=IIIHHHHHH", header,
                                    32 if self._wide else 28)
        program, section, _, _, program_size, programs, section_size, sections, _ = fields
        self._programs = list(self._table(
            program, program_size, programs, "=IIQQQQQQ" if self._wide else "=IIIIIIII"))
        self._sections = list(self._table(
            section, section_size, sections, "=IIQQQQIIQQ" if self._wide else "=IIIIIIIIII"))

    def _table(self, offset: int, size: int, count: int, form: str) -> Iterator[Tuple[int, ...]]:
        if count and size != struct.calcsize(form):
            raise ValueError("headers of another size")
        raw = self._read(offset, size * count)
        return struct.iter_unpack(form, raw[:len(raw) - len(raw) % struct.calcsize(form)])

    def _segments(self, kind: int) -> Iterator[Tuple[int, int, int, int]]:
        """(flags, offset, address, size in the file) of program headers."""
        for fields in self._programs:
            if fields[0] == kind:
                if self._wide:
                    _, flags, offset, address, _, size, _, _ = fields
                else:
                    _, offset, address, _, size, _, flags, _ = fields
                yield flags, offset, address, size

    def code(self) -> List[Tuple[int, int, int]]:
        """(offset, size, address) of what is loaded to be executed."""
        return [(offset, size, address)
                for flags, offset, address, size in self._segments(_PT_LOAD) if flags & _PF_X]

    def functions(self) -> Iterator[Symbol]:
        """All functions of all symbol tables."""
        form = "=IBBHQQ" if self._wide else "=IIIBBH"
        for _, kind, _, _, offset, size, link, *_ in self._sections:
            if kind not in (_SHT_SYMTAB, _SHT_DYNSYM) or link >= len(self._sections):
                continue
            names = self._read(*self._sections[link][4:6])
            raw = self._read(offset, size)
            entry = struct.calcsize(form)
            for fields in struct.iter_unpack(form, raw[:len(raw) - len(raw) % entry]):
                if self._wide:
                    name, info, _, section, value, length = fields
                else:
                    name, value, length, info, _, section = fields
                if info & 15 in (_STT_FUNC, _STT_GNU_IFUNC) and section and length:
                    text = names[name:names.find(b"\0", name)]
                    if text:
                        yield value, length, text

    def build_id(self) -> bytes:
        """The build id, empty if there is none."""
        for _, offset, _, size in self._segments(_PT_NOTE):
            raw = self._read(offset, size)
            place = 0
            while place + 12 <= len(raw):
                name, length, kind = struct.unpack_from("=III", raw, place)
                start = place + 12 + (name + 3) // 4 * 4
                if kind == _NT_BUILD_ID and raw[place + 12:place + 12 + name] == b"GNU\0":
                    return raw[start:start + length]
                place = start + (length + 3) // 4 * 4
        return b""


class _Reader:
    """Pieces of a file or of bytes; less where it ends."""

    def __init__(self, fd: int = -1, raw: bytes = b""):
        self._fd = fd
        self._raw = raw
        self._size = os.fstat(fd).st_size if fd >= 0 else len(raw)

    def __call__(self, offset: int, size: int) -> bytes:
        size = max(min(size, self._size - offset), 0)
        if self._fd < 0:
            return self._raw[offset:offset + size]
        return os.pread(self._fd, size, offset) if size else b""


class _Module:
    """A file with code that processes have mapped, or the vDSO."""

    def __init__(self, fd: int = -1, raw: bytes = b""):
        self._fd = fd
        self._raw = raw
        self._code: List[Tuple[int, int, int]] = []
        self._table: Optional[SymbolTable] = None

    def find(self, offset: int) -> Optional[bytes]:
        """The function at an offset in the file."""
        if self._table is None:
            self._table = self._load()
        for start, size, address in self._code:
            if start <= offset < start + size:
                return self._table.find(offset - start + address)
        return None

    def _load(self) -> SymbolTable:
        symbols: List[Symbol] = []
        with contextlib.suppress(OSError, ValueError, struct.error):
            elf = _Elf(_Reader(self._fd, self._raw))
            self._code = elf.code()
            symbols += elf.functions()
            symbols += _debug_functions(elf.build_id())
        self.close()
        return SymbolTable(symbols)

    def close(self) -> None:
        """Close the file; what was loaded stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _debug_functions(build_id: bytes) -> List[Symbol]:
    """Functions of the file that a distribution's debug package has for a build id."""
    text = build_id.hex()
    try:
        fd = os.open(f"{DEBUG_FOLDER}/{text[:2]}/{text[2:]}.debug", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return list(_Elf(_Reader(fd)).functions())
    except (OSError, ValueError, struct.error):
        return []
    finally:
        os.close(fd)


def _vdso() -> _Module:
    """The vDSO is one for all processes, and so in this one too."""
    with open("/proc/self/maps", "rb") as file:
        for line in file:
            if line.endswith(b"[vdso]\n"):
                start, end = (int(word, 16) for word in line.split()[0].split(b"-"))
                return _Module(raw=ct.string_at(start, end - start))
    return _Module()


class _Mapping(NamedTuple):
    """Executable memory of a process."""

    start: int
    end: int
    offset: int     # in the module
    module: _Module


class _Process:
    """What a process had mapped when it was last looked at."""

    def __init__(self, identity: Tuple[bytes, ...], mappings: List[_Mapping]):
        self.identity = identity
        self.perf_fd = -1
        self._mappings = mappings
        self._starts = [mapping.start for mapping in mappings]
        self._compiled: Optional[SymbolTable] = None

    def find(self, address: int) -> Optional[bytes]:
        """The function at an address."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._mappings[index].end:
            start, _, offset, module = self._mappings[index]
            name = module.find(address - start + offset)
            if name is not None:
                return name
        if self._compiled is None:
            raw = _Reader(self.perf_fd)(0, PERF_MAP_BYTES) if self.perf_fd >= 0 else b""
            self._compiled = SymbolTable(_perf_map(raw), latest=True)
        return self._compiled.find(address)

    def close(self) -> None:
        """Close the perf map."""
        if self.perf_fd >= 0:
            os.close(self.perf_fd)
            self.perf_fd = -1


class Symbols:
    """Names for addresses. A process must be remembered while it runs, to have names later."""

    def __init__(self) -> None:
        self._kernel: Optional[SymbolTable] = None
        self._processes: Dict[int, _Process] = {}
        self._modules: Dict[Tuple[bytes, bytes], _Module] = {}
        # Every file that is mapped anywhere is kept open until the end.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def kernel(self, address: int) -> Optional[bytes]:
        """The kernel's function at an address."""
        if self._kernel is None:
            self._kernel = kernel_symbols()
        return self._kernel.find(address)

    def user(self, pid: int, address: int) -> Optional[bytes]:
        """The function at an address in a process."""
        process = self._processes.get(pid)
        return process.find(address) if process else None

    def remember(self, pid: int, again: bool = False) -> None:
        """Look at what a process has mapped, if it is new or that has changed, or ``again`` if
        it still is there."""
        identity = _identity(pid)
        if identity is None:
            return
        process = self._processes.get(pid)
        if process is None or process.identity != identity or again:
            mappings = self._mappings(pid)
            if mappings:    # empty: it is ending
                if process:
                    process.close()
                process = self._processes[pid] = _Process(identity, mappings)
        if process and process.perf_fd < 0:
            process.perf_fd = _open_perf_map(pid)

    def _mappings(self, pid: int) -> List[_Mapping]:
        found = []
        with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
            for line in file:
                words = line.rstrip(b"\n").split(None, 5)
                if b"x" not in words[1]:
                    continue
                start, end = (int(word, 16) for word in words[0].split(b"-"))
                module = self._module(pid, words)
                if module:
                    found.append(_Mapping(start, end, int(words[2], 16), module))
        return found

    def _module(self, pid: int, words: List[bytes]) -> Optional[_Module]:
        """The module of a line of /proc/PID/maps, None for memory that has none."""
        # that of a process of 32 bits is another one, and below 4 GiB
        vdso = words[-1] == b"[vdso]" and not words[0].startswith(b"0") and len(words[0]) > 17
        key = (b"", b"") if vdso else (words[3], words[4])
        if not vdso and words[4] == b"0":
            return None
        if key not in self._modules:
            try:
                self._modules[key] = _vdso() if vdso else _Module(_open_mapped(pid, words))
            except OSError:
                return None     # it has ended, or may not be looked at
        return self._modules[key]

    def close(self) -> None:
        """Close every file."""
        for module in self._modules.values():
            module.close()
        for process in self._processes.values():
            process.close()
        self._modules.clear()
        self._processes.clear()


def _identity(pid: int) -> Optional[Tuple[bytes, ...]]:
    """When a process began, how much it has mapped and where its code begins: another one for
    another program or when more was mapped. None if it has no memory (of its own)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return (words[19], words[20], words[23]) if words[23] != b"0" else None


def _open_mapped(pid: int, words: List[bytes]) -> int:
    """The very file that is mapped, wherever it is and whether it still has a name; without
    CAP_SYS_ADMIN the one that has its name now."""
    start, end = (int(word, 16) for word in words[0].split(b"-"))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(f"/proc/{pid}/map_files/{start:x}-{end:x}", flags)
    except PermissionError:
        return os.open(f"/proc/{pid}/root".encode() + words[-1], flags)


def _open_perf_map(pid: int) -> int:
    """The perf map of a process, -1 without: where the process sees it, else where we do."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            inner = next(line.split()[-1].decode() for line in file if line.startswith(b"NSpid:"))
        owner = os.stat(f"/proc/{pid}").st_uid
    except (OSError, StopIteration):
        return -1
    for path in (f"/proc/{pid}/root/tmp/perf-{inner}.map", f"/tmp/perf-{pid}.map"):
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            info = os.fstat(fd)
            if stat.S_ISREG(info.st_mode) and info.st_uid in (0, owner):
                return fd
            os.close(fd)
    return -1
