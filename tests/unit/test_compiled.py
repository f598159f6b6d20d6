# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What is kept of a compiled program: instructions, files, names. No kernel, no BCC."""
from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Type

import pytest

from bpfduet import compiled, kernel_headers, late_constants
from bpfduet.bcc import kept, quick
from bpfduet.compiled import Compiled, Entry, Function, NotCovered, NotLate, Source, Table, entries_of

TABLE = Table(b"counts", (1, 4, 8, 10240, 0), 1, 10240, 0, b'"unsigned int"', b'"unsigned long"')
PROGRAM = Compiled((TABLE,), (Function(b"f", b"\x95" + bytes(7), ((0, 0),), ((3, "x"),)),),
                   b"GPL", 7, b"a warning\n")


def instruction(opcode: int, immediate: int, source: int = 0) -> bytes:
    """One instruction; register 1 is where it writes."""
    return struct.pack("=BBhi", opcode, source << 4 | 1, 0, immediate)


def load_imm64(value: int, source: int = 0) -> bytes:
    """r1 = value, in two instructions."""
    low, high = struct.unpack("=ii", struct.pack("=Q", value))
    return instruction(0x18, low, source) + instruction(0, high)


EXIT = instruction(0x95, 0)
MARK = late_constants.placeholder("filter_cgroup")
OTHER = late_constants.placeholder("filter_pid")
NAMES = {MARK: "filter_cgroup", OTHER: "filter_pid"}


def function(*code: bytes, tables: Dict[int, int] = {9: 4}) -> Function:
    """What is kept of some instructions; descriptor 9 is that of the table 4."""
    return compiled._function(b"f", b"".join(code) + EXIT, tables, NAMES)


# -- instructions ----------------------------------------------------------------------------


def test_what_is_filled_in_is_found() -> None:
    """Maps and late constants, at their places; the half of a load is no instruction."""
    found = function(EXIT, load_imm64(9, 1), load_imm64(OTHER), load_imm64(MARK),
                     load_imm64(9), load_imm64(OTHER), instruction(0x85, 14))
    assert found.maps == ((1, 4),)
    assert found.late == ((3, "filter_pid"), (5, "filter_cgroup"), (9, "filter_pid"))


@pytest.mark.parametrize("code", [
    load_imm64(8, 1),                       # a map that is not the program's
    load_imm64(9, 2), load_imm64(9, 3),     # a map's value, a kernel variable
    instruction(0x85, 3, 1), instruction(0x85, 3, 2),       # functions of the program, the kernel
])
def test_what_is_not_covered(code: bytes) -> None:
    """Anything else that would mean another thing in the next process."""
    with pytest.raises(NotCovered) as raised:
        function(code)
    assert raised.type is NotCovered


@pytest.mark.parametrize("code", [
    instruction(0x07, compiled._signed(MARK)),              # += : taken apart
    instruction(0xb7, compiled._signed(MARK)), instruction(0xb7, MARK >> 32),
    load_imm64(MARK ^ 1), load_imm64(MARK ^ 1 << 40), load_imm64(MARK & 0xffffffff),
])
def test_what_cannot_be_late(code: bytes) -> None:
    """A placeholder that is not loaded as a whole."""
    with pytest.raises(NotLate):
        function(code)


class NoMaps:
    """Of libbcc only what makes maps: descriptors 100, 101, ..."""

    def __init__(self) -> None:
        self.made: List[Any] = []

    def bcc_create_map(self, *attributes: Any) -> int:
        """Make one."""
        self.made.append(attributes)
        return 99 + len(self.made)


def test_filling_in() -> None:
    """Descriptors and constants go to their places, nothing else changes."""
    value, pid = 0x1234_5678_9abc_def0, 4242
    kept = function(load_imm64(9, 1), load_imm64(MARK), load_imm64(OTHER), EXIT, tables={9: 1})
    lib = NoMaps()
    other = TABLE._replace(name=b"other")
    module = compiled.Module(lib, Compiled((TABLE, other), (kept,), b"GPL", 0, b""),
                             {"filter_cgroup": value, "filter_pid": pid})
    assert lib.made == [(1, b"counts", 4, 8, 10240, 0), (1, b"other", 4, 8, 10240, 0)]
    assert bytes(module._code[b"f"]) == load_imm64(101, 1) + load_imm64(value) \
        + load_imm64(pid) + EXIT + EXIT


class Opening:
    """A libbcc whose maps can be closed."""

    def __init__(self) -> None:
        self.made: List[int] = []

    def __getattr__(self, name: str) -> Any:
        def function(*_: Any) -> int:
            self.made.append(os.open("/dev/null", os.O_RDONLY))
            return self.made[-1]
        return function


@pytest.mark.parametrize("program, error", [(PROGRAM._replace(functions=()), TypeError),
                                            (PROGRAM, struct.error)])
def test_a_failure_leaves_no_maps(monkeypatch: pytest.MonkeyPatch, program: Compiled,
                                  error: Type[Exception]) -> None:
    """A bcc.BPF that fails before it knows of the module; a place that is not in the code."""
    class Unexpected(SimpleNamespace):
        """Takes no text."""

    monkeypatch.setitem(sys.modules, "bcc", SimpleNamespace(BPF=Unexpected))
    monkeypatch.setattr(Unexpected, "__init__", lambda self: None)
    real = Opening()
    with pytest.raises(error):
        compiled.Library(real).program(program, {"x": 1})
    with pytest.raises(OSError):
        os.fstat(real.made[0])


# -- files -----------------------------------------------------------------------------------


def test_bytes_and_back() -> None:
    """What was kept comes back, and so does that there was nothing to keep."""
    assert compiled.from_bytes(compiled.to_bytes(PROGRAM)) == PROGRAM
    with pytest.raises(NotCovered):
        compiled.from_bytes(compiled.to_bytes(None))


@pytest.fixture(name="entry")
def one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An entry with a program in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = Entry("0" * 32, "", [], {})
    made.write(PROGRAM)
    return made


def path_of(entry: Entry) -> Path:
    """The entry's file."""
    return entry._place.path


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file's content in place."""
    path.write_bytes(change(path.read_bytes()))


def link(path: Path) -> None:
    """Replace a file by a symbolic link to it."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("spoil", [
    Path.unlink, lambda path: path.write_bytes(b""),
    lambda path: damage(path, lambda raw: raw[:-1]),
    lambda path: damage(path, lambda raw: raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]),
    lambda path: path.chmod(0o666), lambda path: path.parent.chmod(0o777), link,
])
def test_a_spoilt_entry_is_not_read(entry: Entry, spoil: Callable[[Path], Any]) -> None:
    """Missing, empty, cut off, damaged, or where somebody else could have written it."""
    assert entry.read() == PROGRAM
    spoil(path_of(entry))
    assert entry.read() is None


def test_only_the_last_used_are_kept(entry: Entry) -> None:
    """Not more than KEEP; reading counts as use, and locks are not touched."""
    with entry.alone():
        pass
    os.utime(path_of(entry), (0, 0))
    for number in range(1, kept.KEEP + 1):
        other = Entry(f"{number:032x}", "", [], {})
        other.write(PROGRAM)
        if number == 1:
            os.utime(path_of(other), (0, 0))
            assert entry.read() == PROGRAM
    names = {path.name for path in path_of(entry).parent.iterdir()}
    assert len(names) == kept.KEEP + 1 and "lock-0" in names
    assert path_of(entry).name in names and f"program-{1:032x}" not in names


def test_a_dead_holder_does_not_block(entry: Entry) -> None:
    """The lock goes with the process; who holds it keeps the others out."""
    child = os.fork()
    if child == 0:
        with entry.alone():
            os._exit(0)     # without leaving the block
    os.waitpid(child, 0)
    with entry.alone():
        with open(entry._place._lock, "ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# -- names -----------------------------------------------------------------------------------

TEXT = '#include "one.h"\nTRACEPOINT_PROBE(sched, fork) { return DUET_LATE(who); }\n'


@pytest.fixture(name="place")
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Headers, a tracefs and a kernel of the test's own."""
    for name, content in {"inc/one.h": "DUET_SHARED_CONFIG(u64, who, 0);", "btf/vmlinux": "", "btf/snd": "12",
                          "tracing/events/sched/fork/format": "field:int a; offset:8;",
                          "constants.h": "#define A 1"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(kept, "tracefs", lambda: tmp_path / "tracing")
    monkeypatch.setattr(kernel_headers, "VMLINUX", tmp_path / "btf/vmlinux")
    monkeypatch.setattr(quick, "MODULES", str(tmp_path / "btf"))
    monkeypatch.setattr(kernel_headers, "CONSTANTS", tmp_path / "constants.h")
    monkeypatch.setattr(kernel_headers, "kernel_key", lambda btf: "this kernel and this libbcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("BPFDUET_HEADERS", "CPATH", "C_INCLUDE_PATH", "ARCH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def key(place: Path, text: str = TEXT, flag: str = "-DX=1", who: int = 5) -> str:
    """The name of an entry."""
    found = entries_of(Source(text, [flag], [place / "inc"], {"who": who, "other": 1}, []))
    return path_of(next(found)).name


CHANGES: Dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "header": lambda place, _: (place / "inc/one.h").write_text("DUET_SHARED_CONFIG(u64, who, 1);"),
    "format": lambda place, _: next(place.glob("tracing/*/*/*/format")).write_text("field:int b;"),
    "constants": lambda place, _: (place / "constants.h").write_text("#define A 2"),
    "another module": lambda place, _: (place / "btf/usb").write_text(""),
    "rebuilt module": lambda place, _: (place / "btf/snd").write_text("123"),
    "kernel or libbcc": lambda _, patch: patch.setattr(kernel_headers, "kernel_key",
                                                       lambda btf: "another"),
    "environment": lambda _, patch: patch.setenv("ARCH", "arm64"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_name(place: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Whatever BCC's result depends on is in the name."""
    before = key(place)
    assert key(place) == before
    CHANGES[change](place, monkeypatch)
    assert key(place) != before


def test_text_flags_and_constants(place: Path) -> None:
    """They are in the name, too; only the value of a late constant is not."""
    bare = TEXT + "int f() { return who; }"
    assert len({key(place), key(place, TEXT + " "), key(place, flag="-DX=2"), key(place, bare)}) == 4
    assert key(place, who=6) == key(place, who=0) == key(place)


def test_two_entries(place: Path) -> None:
    """The text's own constants are late in the first, or set by a flag in the second."""
    text = TEXT + "CONFIG(u32, mine, 3);\nint f() { return mine; }\n"
    first, second = entries_of(Source(text, ["-DX=1"], [place / "inc"], {"who": 5, "mine": 7}, []))
    assert first.late == {"who": 5, "mine": 7} and second.late == {"who": 5}
    assert first.text != text and second.text == text
    assert "-DDUET_SET_mine=,7" in second.flags and "-DDUET_SET_mine=,7" not in first.flags
    for entry in (first, second):
        assert f"-DDUET_LATE_who=,{late_constants.placeholder('who'):#x}ULL" in entry.flags
    assert len(list(entries_of(Source(TEXT, [], [place / "inc"], {"who": 5}, [])))) == 1


@pytest.mark.parametrize("text", ["BPF_TABLE_PINNED(...)", "BPF_TABLE_PUBLIC(...)",
                                  'section("maps/extern")'])
def test_shared_maps_are_not_kept(place: Path, text: str) -> None:
    """A map that another program made, or may use."""
    assert list(entries_of(Source(text, [], [place], {}, []))) == []


@pytest.mark.parametrize("name, value", [("BPFDUET_HEADERS", "real"), ("CPATH", "/x")])
def test_unknown_headers_are_not_kept(place: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                      value: str) -> None:
    """Headers that may change without anybody noticing."""
    monkeypatch.setenv(name, value)
    assert list(entries_of(Source("int x;", [], [place], {}, []))) == []
    monkeypatch.delenv(name)
    assert len(list(entries_of(Source("int x;", [], [place], {}, [])))) == 1
    assert list(entries_of(Source("int x;", [], [place], {}, ["a USDT probe"]))) == []
