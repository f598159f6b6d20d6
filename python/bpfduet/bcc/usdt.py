# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""USDT probes of one binary: where they are, and C that reads their arguments there.

<sys/sdt.h> leaves a note for each place of a probe: its address, that of its semaphore, and where
the arguments are, as operands of the assembler. Functions of the names that BCC calls are written
from the notes. BCC could write them, too, but not for a probe with a semaphore unless it may count
that up in a process, not for several places of a library without a process, and it leaves out
arguments that it does not understand, so that the next one stands for them.
"""
from __future__ import annotations

import os
import re
import struct
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..errors import Error

# include/uapi/linux/elf.h
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III")
_LOAD, _SYMTAB, _NOBITS, _DYNSYM = 1, 2, 8, 11
_EXECUTABLE, _X86_64 = 2, 62
_NT_STAPSDT = 3
_PAGE = 4096

# Operands: SIZE[f]@ and a register, a number, or memory: [SYMBOL][+-N](%BASE,%INDEX,SCALE)
_SIZE = re.compile(r"(-?[1248])@(.*)")
_NUMBER = re.compile(r"\$(-?(?:0x[0-9a-f]+|\d+))")
_MEMORY = re.compile(r"(?P<symbol>[A-Za-z_.$][\w.$]*)?(?P<offset>(?:[+-]?\d+)*)"
                     r"(?:\((?:%(?P<base>\w+))?(?:,%(?P<index>\w+)(?:,(?P<scale>[1248]))?)?\))?")
_READ = re.compile(r"\bbpf_usdt_readarg(?:_p)?\(\s*(\d+)\s*,")
_ARGUMENTS = 12     # sys/sdt.h has no more


def _registers() -> Dict[str, str]:
    """The member of struct pt_regs by a register's name."""
    found = {"rip": "ip", "eip": "ip"}
    for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp"):
        low = f"{name[0]}l" if name.endswith("x") else f"{name}l"
        found.update(dict.fromkeys((f"r{name}", f"e{name}", name, low), name))
    for number in range(8, 16):
        found.update(dict.fromkeys((f"r{number}{width}" for width in ("", "d", "w", "b")),
                                   f"r{number}"))
    return found


_REGISTERS = _registers()


class Identity(NamedTuple):
    """What tells a binary from others: the section of its build id in hexadecimal digits; if it
    has none, size and time of its last change."""

    build_id: str
    size: int
    changed_ns: int


class Wanted(NamedTuple):
    """The probe of a program: the file, the probe's two names, and what the user calls the file."""

    path: str
    provider: str
    name: str
    shown: str


class Place(NamedTuple):
    """Where a probe is, as addresses of the linker's; ``semaphore`` is 0 if it has none."""

    address: int
    semaphore: int
    operands: Tuple[str, ...]


class Binary:
    """An ELF file of x86-64. Raises OSError, and Error if it is none."""

    def __init__(self, path: str):
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._size = os.fstat(self._fd).st_size
            self._read_headers()
        except (struct.error, IndexError) as error:
            os.close(self._fd)
            raise Error(f"'{path}' is no program or library of x86-64") from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Binary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_headers(self) -> None:
        header = _HEADER.unpack(self._read(0, _HEADER.size))
        if header[0][:6] != b"\x7fELF\2\1" or header[2] != _X86_64:
            raise IndexError
        self.moves = header[1] != _EXECUTABLE   # it is loaded at any address
        segments = self._read(header[5], _SEGMENT.size * header[10])
        self._loads = [one for one in _SEGMENT.iter_unpack(segments) if one[0] == _LOAD]
        raw = self._read(header[6], _SECTION.size * header[12])
        self._sections = list(_SECTION.iter_unpack(raw))
        names = self._content(self._sections[header[13]]) if self._sections else b""
        self._names = [_string(names, one[0]) for one in self._sections]

    def _content(self, section: Tuple[int, ...]) -> bytes:
        return b"" if section[1] == _NOBITS else self._read(section[4], section[5])

    def _read(self, place: int, size: int) -> bytes:
        """A part of the file, as far as there is one."""
        size = min(size, self._size - place)
        return os.pread(self._fd, size, place) if size > 0 else b""

    def _named(self, name: str) -> Optional[Tuple[int, ...]]:
        return next((one for one, other in zip(self._sections, self._names)
                     if other == name.encode()), None)

    def identity(self) -> Identity:
        """What tells it from other binaries."""
        section = self._named(".note.gnu.build-id")
        if section and section[5]:
            return Identity(self._content(section).hex(), 0, 0)
        info = os.fstat(self._fd)
        return Identity("", info.st_size, info.st_mtime_ns)

    def offset(self, address: int) -> int:
        """Where the byte of an address is in the file. Raises Error."""
        for _, _, offset, start, _, size, _, _ in self._loads:
            if start <= address < start + size:
                return int(address - start + offset)
        raise Error(f"the notes of probes in '{self._path}' are damaged")

    def places(self, provider: str, name: str) -> List[Place]:
        """The places of a probe."""
        section, base = self._named(".note.stapsdt"), self._named(".stapsdt.base")
        wanted = provider.encode(), name.encode()
        found = []
        for content in _notes(self._content(section) if section else b""):
            address, linked, semaphore = struct.unpack_from("<QQQ", content)
            texts = content[24:].split(b"\0")
            if tuple(texts[:2]) != wanted or len(texts) < 3:
                continue
            moved = base[3] - linked if base else 0     # by prelink
            found.append(Place(address + moved, semaphore and semaphore + moved,
                               tuple(texts[2].decode(errors="replace").split())))
        return found

    def symbol(self, name: str) -> Optional[int]:
        """The address of a variable, if there is one of that name and no other."""
        found = set()
        for section in self._sections:
            if section[1] not in (_SYMTAB, _DYNSYM) or section[6] >= len(self._sections):
                continue
            strings, symbols = self._content(self._sections[section[6]]), self._content(section)
            whole = len(symbols) // _SYMBOL.size * _SYMBOL.size
            for where, _, _, defined, address, _ in _SYMBOL.iter_unpack(symbols[:whole]):
                if defined and _string(strings, where) == name.encode():
                    found.add(int(address))
        return found.pop() if len(found) == 1 else None


def _string(strings: bytes, place: int) -> bytes:
    end = strings.find(b"\0", place)
    return strings[place:end if end >= 0 else len(strings)]


def _notes(content: bytes) -> Iterator[bytes]:
    """What the notes of sys/sdt.h hold."""
    place = 0
    while place + _NOTE.size <= len(content):
        name_size, size, kind = _NOTE.unpack_from(content, place)
        name = place + _NOTE.size
        start = name + (name_size + 3 & ~3)
        note = content[start:start + size]
        owner = content[name:name + name_size]
        if kind == _NT_STAPSDT and owner == b"stapsdt\0" and len(note) >= 24:
            yield note
        place = start + (size + 3 & ~3)


def wanted(target: str, binary: Callable[[str], str]) -> Wanted:
    """The probe that "BINARY:PROVIDER:PROBE" names; ``binary`` finds the file. Raises Error."""
    parts = target.rsplit(":", 2)
    if len(parts) != 3 or not all(parts):
        raise Error(f"'{target}' is not BINARY:PROVIDER:PROBE")
    return Wanted(os.path.abspath(binary(parts[0])), parts[1], parts[2], parts[0])


def look_up(wanted: Wanted) -> Identity:
    """See that there is such a probe; what tells its binary from others. Raises Error."""
    try:
        with Binary(wanted.path) as binary:
            if not binary.places(wanted.provider, wanted.name):
                raise _missing(wanted)
            return binary.identity()
    except FileNotFoundError as error:
        raise _missing(wanted) from error
    except OSError as error:
        raise Error(f"'{wanted.shown}' cannot be read: {error.strerror}") from error


def _missing(wanted: Wanted) -> Error:
    return Error(f"there is no probe '{wanted.provider}:{wanted.name}' in '{wanted.shown}', or no "
                 "such file")


class Probe:
    """A probe of a binary, which is known by its ``identity``, for the program ``function``;
    ``wanted`` is None if that stays out of this run: then it has no arguments. Raises OSError and
    Error."""

    def __init__(self, function: str, wanted: Optional[Wanted] = None,
                 identity: Optional[Identity] = None):
        self._function = function
        self._wanted = wanted
        self._places: List[Place] = []
        self._where: List[Tuple[int, int]] = []
        if wanted is None:
            return
        with Binary(wanted.path) as binary:
            self._identity = binary.identity()
            self._moves = binary.moves
            self._places = binary.places(wanted.provider, wanted.name)
            self._where = [(binary.offset(place.address),
                            place.semaphore and binary.offset(place.semaphore))
                           for place in self._places]
            self._values = [[_value(binary, place, operand) for operand in place.operands]
                            for place in self._places]
        if not self._places:
            raise _missing(wanted)
        if self._identity != identity:
            raise Error(f"'{wanted.shown}' was replaced meanwhile: try again")
        self._key = self._choose_key()

    def _choose_key(self) -> str:
        """What tells the places apart where they have their arguments elsewhere: the cookie that
        the engine attaches, if the address cannot."""
        keys = [address % _PAGE for address in (place.address for place in self._places)]
        if len(set(keys)) == len(keys):
            return f"ctx->ip % {_PAGE}"
        return "bpf_get_attach_cookie(ctx)" if self._moves else "ctx->ip"

    def _case(self, number: int) -> int:
        address = self._places[number].address
        if self._key == "ctx->ip":
            return address
        return address % _PAGE if "%" in self._key else number + 1

    def readers(self, text: str) -> str:
        """Functions, in one line, for what the program's own ``text`` reads. Raises Error for an
        argument that it reads and BPF cannot."""
        numbers = {int(number) for number in _READ.findall(text)}
        return " ".join(self._reader(number, number in numbers)
                        for number in range(1, _ARGUMENTS + 1))

    def _reader(self, number: int, is_read: bool) -> str:
        cases: Dict[str, List[int]] = {}
        for place, values in enumerate(self._values if self._places else ()):
            code = values[number - 1] if number <= len(values) else "e = -2;"    # ENOENT
            if code is None and is_read:
                self._refuse(number, self._places[place].operands[number - 1])
            cases.setdefault(code or "e = -22;", []).append(place)      # EINVAL
        if len(cases) <= 1:
            body = next(iter(cases), "e = -2;")
        else:
            body = f"switch ({self._key}) {{ " + "".join(
                "".join(f"case {self._case(place):#x}ULL: " for place in places) + f"{code} break; "
                for code, places in cases.items()) + "default: e = -2; }"
        return (f"static __always_inline int _bpf_readarg_{self._function}_{number}("
                "struct pt_regs *ctx, void *to, size_t n) { s64 v = 0; int e = 0; " + body
                + " if (n == 8) *(s64 *)to = v; else if (n == 4) *(s32 *)to = v; "
                "else if (n == 2) *(s16 *)to = v; else *(s8 *)to = v; return e; }")

    def _refuse(self, number: int, operand: str) -> None:
        assert self._wanted
        raise Error(f"argument {number} of the probe '{self._wanted.provider}:{self._wanted.name}' "
                    f"cannot be read: '{operand}' is a floating point number, or nothing that BPF "
                    "programs reach")

    def table(self) -> Dict[str, object]:
        """The probe in the section .bpfduet.bcc."""
        if self._wanted is None:
            return {"program": self._function, "places": []}
        cookies = "cookie" in self._key
        return {"program": self._function, "provider": self._wanted.provider,
                "name": self._wanted.name, "build_id": self._identity.build_id,
                "size": self._identity.size, "changed_ns": self._identity.changed_ns,
                "places": [{"offset": offset, "semaphore": semaphore,
                            "cookie": number + 1 if cookies else 0}
                           for number, (offset, semaphore) in enumerate(self._where)]}


def _value(binary: Binary, place: Place, operand: str) -> Optional[str]:
    """C that reads an argument into ``v``; None if there is no way."""
    sized = _SIZE.fullmatch(operand)
    if not sized:
        return None
    size, rest = int(sized[1]), sized[2]
    ctype = f"{'s' if size < 0 else 'u'}{8 * abs(size)}"
    constant = _NUMBER.fullmatch(rest)
    if constant:
        value = int(constant[1], 0) & (1 << 64) - 1
        return f"v = ({ctype}){value:#x}ULL;"
    if rest.startswith("%"):
        register = _REGISTERS.get(rest[1:])
        # a barrier, or LLVM joins the reads behind the branches, by a pointer into the context
        return f'v = ({ctype})ctx->{register}; asm volatile("" : "+r"(v));' if register else None
    address = _address(binary, place, rest)
    if address is None:
        return None
    return (f"{{ u64 a = {address}; asm volatile(\"\" : \"+r\"(a)); {ctype} r = 0; "
            "e = bpf_probe_read_user(&r, sizeof(r), (void *)a); v = r; }")


def _address(binary: Binary, place: Place, memory: str) -> Optional[str]:
    """C for the address of an argument in memory."""
    found = _MEMORY.fullmatch(memory)
    if not found:
        return None
    base, index = _REGISTERS.get(found["base"]), _REGISTERS.get(found["index"])
    if bool(base) != bool(found["base"]) or bool(index) != bool(found["index"]):
        return None
    offset = sum(int(one) for one in re.findall(r"[+-]?\d+", found["offset"]))
    if found["symbol"]:
        symbol = binary.symbol(found["symbol"])
        if symbol is None or index or base not in (None, "ip"):
            return None
        # of the same file as the probe, so as far from it as the linker has put it
        base, offset = "ip", symbol + offset - place.address
    elif base == "ip" or not (base or index):
        return None
    terms = [f"ctx->{base}"] if base else []
    if index:
        terms.append(f"ctx->{index} * {found['scale'] or 1}")
    return " + ".join([*terms, f"{offset & (1 << 64) - 1:#x}ULL"])
