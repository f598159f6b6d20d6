# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Files that a traced process chose: names that belong to them and no other, in bounded memory.

The driver asks for the names of its own process, into which it maps what a test has made.
"""
from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = str(ROOT / "build" / "tests" / "symbols_driver")
SYMBOL_NAME_BYTES = 4096        # symbol_table.h
MIB_KIB = 1024

Symbol = Tuple[int, int, int]   # address, size, place of the name

# include/uapi/linux/elf.h
HEADER, SEGMENT = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
SECTION, SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ")
LOAD, EXECUTE, SYMTAB, STRTAB, FUNCTION, X86_64 = 1, 1, 2, 3, 0x12, 62


def elf(strings: bytes, symbols: Sequence[Symbol], tables: int = 1, declared: int = 0) -> bytes:
    """A file whose first 4096 bytes are loaded to be executed, at address 0. ``tables`` headers
    are of one table of symbols, ``declared`` is its size if that is to be another one."""
    table = SYMBOL.pack(0, 0, 0, 0, 0, 0) + b"".join(
        SYMBOL.pack(name, FUNCTION, 0, 1, address, size) for address, size, name in symbols)
    at = 4096
    # The first one has the numbers of sections and segments that find no room in the header.
    sections = [SECTION.pack(0, 0, 0, 0, 0, 2 + tables, 0, 1, 0, 0),
                SECTION.pack(0, STRTAB, 0, 0, at, len(strings), 0, 0, 1, 0)]
    sections += [SECTION.pack(0, SYMTAB, 0, 0, at + len(strings), declared or len(table), 1, 1, 1,
                              SYMBOL.size)] * tables
    headers = at + len(strings) + len(table)
    start = HEADER.pack(b"\x7fELF\2\1\1", 3, X86_64, 1, 0, HEADER.size, headers, 0, HEADER.size,
                        SEGMENT.size, 1, SECTION.size, len(sections), 0) \
        + SEGMENT.pack(LOAD, EXECUTE, 0, 0, 0, 4096, 4096, 4096)
    return start.ljust(at, b"\0") + strings + table + b"".join(sections)


class Driver:
    """A process that tells the names in its own memory."""

    def __init__(self) -> None:
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, question: str) -> str:
        """The answer to a line."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(os.fsencode(question) + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.endswith(b"\n"), self.process.wait()
        return os.fsdecode(answer[:-1])

    def map(self, path: Path) -> None:
        """Map a file and look at it."""
        assert self.ask(f"map {path}") == "mapped"

    def names(self, *offsets: int) -> List[str]:
        """The names at these places of the file."""
        return [self.ask(f"name {offset:x}") for offset in offsets]

    def peak_mib(self) -> int:
        """The most memory that it has had."""
        return int(self.ask("peak")) // MIB_KIB


@pytest.fixture(name="driver")
def fixture_driver() -> Iterator[Driver]:
    """A new process."""
    driver = Driver()
    yield driver
    assert driver.process.stdin and driver.process.stdout
    driver.process.stdin.close()
    assert driver.process.wait(10) == 0     # no leak, under the sanitizers
    driver.process.stdout.close()


def write(path: Path, content: bytes, second: int) -> None:
    """Write into a file, which stays the same inode, as at this time."""
    path.write_bytes(content)
    os.utime(path, (second, second))


def test_a_file_that_is_written_anew(driver: Driver, tmp_path: Path) -> None:
    """The inode is the same, and the size: the names are the new ones."""
    path = tmp_path / "file"
    for second, name in enumerate(("first", "other", "third")):
        write(path, elf(b"\0" + name.encode() + b"\0", [(0x100, 0x10, 1)]), second)
        driver.map(path)
        assert driver.names(0x100, 0x10f, 0x110) == [name, name, "-"]


def test_a_file_that_was_written_since(driver: Driver, tmp_path: Path) -> None:
    """What was mapped has lost its names; nobody gets those of another file."""
    path = tmp_path / "file"
    write(path, elf(b"\0first\0", [(0x100, 0x10, 1)]), 1)
    driver.map(path)
    write(path, elf(b"\0other\0", [(0x100, 0x10, 1)]), 2)
    assert driver.names(0x100) == ["-"]
    driver.map(path)
    assert driver.names(0x100) == ["other"]


def test_many_versions(driver: Driver, tmp_path: Path) -> None:
    """A file that is written again and again costs so much, and no more."""
    path = tmp_path / "file"
    named = 0
    for second in range(20):
        write(path, elf(b"\0name\0", [(0x100, 0x10, 1)]), second)
        driver.map(path)
        named += driver.names(0x100) == ["name"]
    assert (named, driver.ask("cut")) == (8, "yes")


def test_a_process_that_is_seen_no_more(driver: Driver, tmp_path: Path) -> None:
    """Its names are there for eight reports, from when it was seen last."""
    path = tmp_path / "file"
    path.write_bytes(elf(b"\0name\0", [(0x100, 0x10, 1)]))
    driver.map(path)
    for rounds, name in ((8, "name"), (8, "name"), (9, "-")):
        driver.ask("look")
        for _ in range(rounds):
            driver.ask("done")
        assert driver.names(0x100) == [name]
    driver.map(path)
    assert driver.names(0x100) == ["name"]


def test_one_long_name_for_all(driver: Driver, tmp_path: Path) -> None:
    """20,000 symbols that share it; it is cut."""
    path = tmp_path / "file"
    path.write_bytes(elf(b"\0" + b"A" * 100000 + b"\0",
                         [(0x10 + at, 1, 1) for at in range(20000)]))
    driver.map(path)
    assert driver.names(0x10, 0xfff) == ["A" * SYMBOL_NAME_BYTES + "..."] * 2
    assert driver.ask("cut") == "no" and driver.peak_mib() < 32


def test_long_names(driver: Driver, tmp_path: Path) -> None:
    """Names that are all another one, and more than there is room for."""
    path = tmp_path / "file"
    piece = b"".join(b"%07d." % number for number in range(100000))
    path.write_bytes(elf(b"\0" + piece + b"\0",
                         [(0x10 + at, 1, 1 + 8 * at) for at in range(90000)]))
    driver.map(path)
    assert driver.names(0x12) == [piece[16:16 + SYMBOL_NAME_BYTES].decode() + "..."]
    assert driver.ask("cut") == "yes" and driver.peak_mib() < 96


def test_a_table_with_holes(driver: Driver, tmp_path: Path) -> None:
    """A header that says 2 GiB."""
    path = tmp_path / "file"
    content = elf(b"\0name\0", [(0x100, 0x10, 1)], declared=2 << 30)
    path.write_bytes(content)
    with open(path, "r+b") as file:
        file.truncate(4 << 30)
    driver.map(path)
    assert driver.names(0x100) == ["name"]
    assert driver.ask("cut") == "yes" and driver.peak_mib() < 32


def test_one_table_many_times(driver: Driver, tmp_path: Path) -> None:
    """300 headers of one table."""
    path = tmp_path / "file"
    names = b"\0" + b"".join(b"%06d\0" % number for number in range(20000))
    path.write_bytes(elf(names, [(0x10 + at, 1, 1 + 7 * at) for at in range(20000)], tables=300))
    driver.map(path)
    assert driver.names(0x10, 0x11) == ["000000", "000001"]
    assert driver.ask("cut") == "yes" and driver.peak_mib() < 128


@pytest.mark.parametrize("place, value", [(56, 0xffff), (60, 0)])
def test_numbers_of_headers(driver: Driver, tmp_path: Path, place: int, value: int) -> None:
    """A header that leaves the numbers of headers to a place where they may be anything."""
    path = tmp_path / "file"
    content = bytearray(elf(b"\0name\0", [(0x100, 0x10, 1)]))
    struct.pack_into("<H", content, place, value)
    path.write_bytes(content)
    driver.map(path)
    assert driver.names(0x100) == ["-"]


def test_cut_files(driver: Driver, tmp_path: Path) -> None:
    """A file that ends anywhere: names or none, never a crash."""
    path = tmp_path / "file"
    content = elf(b"\0name\0", [(0x100, 0x10, 1)])
    for size in range(0, len(content), 61):
        write(path, content[:size], 1)
        driver.map(path)
        assert driver.names(0x100) in (["-"], ["name"])


def test_perf_maps(driver: Driver) -> None:
    """The last line of one address counts. A long line is cut, and what is left of it is none."""
    path = Path(f"/tmp/perf-{driver.process.pid}.map")
    # Wherever it is cut, what follows would be a line: function 4, of 4 bytes.
    long = " 4" * 50000
    lines = [b"10 8 first", b"20 8 b\0ad", b"10 8 last", b"30 8 " + long.encode(), b"50 8 behind",
             b"60 8 end"]
    try:
        path.write_bytes(b"\n".join(lines))
        driver.map(Path(DRIVER))
        assert [driver.ask(f"at {address:x}") for address in (0x17, 0x20, 4, 0x50, 0x60, 0x68)] \
            == ["last", "b", "-", "behind", "end", "-"]
        assert driver.ask("at 30") == long[:SYMBOL_NAME_BYTES] + "..."
        assert driver.ask("cut") == "no"
    finally:
        path.unlink()


def test_a_large_perf_map(driver: Driver) -> None:
    """Millions of lines."""
    path = Path(f"/tmp/perf-{driver.process.pid}.map")
    try:
        path.write_bytes(b"".join(b"%x 1 a\n" % number for number in range(0x1000, 0x301000)))
        driver.map(Path(DRIVER))
        assert (driver.ask("at 1001"), driver.ask("cut")) == ("a", "yes")
        assert driver.peak_mib() < 96
    finally:
        path.unlink()
