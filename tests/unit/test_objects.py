# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Object files of what BCC has compiled, and where they are kept. No kernel, no BCC."""
from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from bpfduet import kernel_headers
from bpfduet.bcc import kept, quick
from bpfduet.bcc.objects import Code, MapDefinition, section, write

EXIT = bytes([0x95]) + bytes(7)
LOAD_MAP = bytes([0x18, 0x12]) + bytes(2) + (77).to_bytes(4, "little") + bytes(8)
MAPS = [MapDefinition("counts", 1, 4, 8, 10240, 1), MapDefinition("events", 27, 0, 0, 4096, 0)]
PROGRAMS = [Code("first", "tracepoint/a/b", LOAD_MAP + EXIT, [(0, "events")]),
            Code("second", "kprobe/c", EXIT, [])]


def made(**texts: bytes) -> bytes:
    """An object of two maps and two programs."""
    return write(MAPS, PROGRAMS, b"", b"GPL", texts)


def test_sections() -> None:
    """Programs, license and texts are what went in; a map's descriptor does not."""
    raw = made(more=b"text")
    assert section(raw, "more") == b"text" and section(raw, "less") is None
    assert section(raw, "license") == b"GPL\0" and section(raw, "kprobe/c") == EXIT
    assert section(raw, "tracepoint/a/b") == bytes([0x18, 0x02]) + bytes(14) + EXIT


def test_others_read_it(tmp_path: Path) -> None:
    """bpftool the types of the maps, readelf symbols and relocations."""
    path = tmp_path / "one.o"
    path.write_bytes(made())
    dump = json.loads(subprocess.run(
        ["bpftool", "-j", "btf", "dump", "file", str(path)], check=True,
        env={"PATH": "/usr/bin:/usr/sbin:/sbin"}, stdout=subprocess.PIPE).stdout)["types"]
    assert dump[-1]["name"] == ".maps" and [one["size"] for one in dump[-1]["vars"]] == [40, 16]
    members = [[member["name"] for member in one["members"]] for one in dump
               if one["kind"] == "STRUCT"]
    assert members == [["type", "max_entries", "map_flags", "key_size", "value_size"],
                       ["type", "max_entries"]]
    shown = subprocess.run(["readelf", "-srW", str(path)], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    assert [line.split()[-1] for line in shown.splitlines() if " GLOBAL " in line] == [
        "counts", "events", "first", "second"]
    assert [line.split()[-1] for line in shown.splitlines() if line.startswith("000000")] == [
        "events"]


def test_types_are_kept() -> None:
    """Ids of the types that were there stay: the blob's own types come first."""
    blob = section(write(MAPS, [], b"", b"GPL", {}), ".BTF")
    assert blob
    again = section(write([MapDefinition("other", 2, 4, 4, 1, 0, 1, 1)], [], blob, b"GPL", {}), ".BTF")
    assert again
    head, types = int.from_bytes(blob[4:8], "little"), int.from_bytes(blob[12:16], "little")
    assert again[head:head + types] == blob[head:head + types]


@pytest.mark.parametrize("raw", [b"", b"\x7fELF", made()[:80], made()[:-1]])
def test_damaged(raw: bytes) -> None:
    """What is no object file is an error, not another object."""
    with pytest.raises(ValueError):
        section(raw, "no such section")


# -- the cache -------------------------------------------------------------------------------


@pytest.fixture(name="source")
def a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source, its spec and header, a tracefs and a kernel of the test's own."""
    for name, content in {
            "one.bpf.c": '#include "one.h"\nTRACEPOINT_PROBE(sched, fork) { return 0; }\n',
            "one.toml": "", "one.h": "", "btf/vmlinux": "", "btf/snd": "12",
            "tracing/events/sched/fork/format": "field:int a; offset:8;",
            "constants.h": "#define A 1", "lib/libbcc.so": "", "lib/libLLVM-14.so.1": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(kept, "tracefs", lambda: tmp_path / "tracing")
    monkeypatch.setattr(kernel_headers, "VMLINUX", tmp_path / "btf/vmlinux")
    monkeypatch.setattr(quick, "MODULES", str(tmp_path / "btf"))
    monkeypatch.setattr(kernel_headers, "CONSTANTS", tmp_path / "constants.h")
    monkeypatch.setattr(kernel_headers, "kernel_key", lambda btf: "this kernel and this libbcc")
    monkeypatch.setattr(kernel_headers, "find_libbcc", lambda: tmp_path / "lib/libbcc.so")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("BPFDUET_HEADERS", "BPFDUET_NO_CACHE", "CPATH", "C_INCLUDE_PATH", "ARCH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "one.bpf.c"


def entry(source: Path) -> kept.Entry:
    """The entry of a source."""
    found = kept.entry_of(source)
    assert found
    return found


def test_an_entry(source: Path) -> None:
    """What was written is read; each set of values and probes has its own; damaged is absent."""
    entry(source).write(b"object")
    assert entry(source).read() == b"object"
    other = entry(source).of({"level": 7}, {})
    assert other.read() is None
    other.write(b"")
    assert other.read() == b"" and entry(source).read() == b"object"
    assert entry(source).of({"level": 8}, {}).read() is None
    assert entry(source).of({"level": 7}, {"usdt__x": "a binary"}).read() is None
    for path in source.parent.glob("bpfduet/programs/object-*"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert entry(source).read() is None and other.read() is None


CHANGES: Dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "source": lambda place, _: (place / "one.bpf.c").write_text("int x;"),
    "spec": lambda place, _: (place / "one.toml").write_text("# a remark"),
    "header": lambda place, _: (place / "one.h").write_text("int y;"),
    "format": lambda place, _: next(place.glob("tracing/*/*/*/format")).write_text("field:int b;"),
    "constants": lambda place, _: (place / "constants.h").write_text("#define A 2"),
    "another module": lambda place, _: (place / "btf/usb").write_text(""),
    "rebuilt module": lambda place, _: (place / "btf/snd").write_text("123"),
    "another LLVM": lambda place, _: (place / "lib/libLLVM-14.so.1").write_text("x"),
    "one more library": lambda place, _: (place / "lib/libclang-cpp.so.14").write_text("x"),
    "kernel or libbcc": lambda _, patch: patch.setattr(kernel_headers, "kernel_key",
                                                       lambda btf: "another"),
    "environment": lambda _, patch: patch.setenv("ARCH", "arm64"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_name(source: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Whatever an object depends on is in its name."""
    entry(source).write(b"object")
    assert entry(source).read() == b"object"
    CHANGES[change](source.parent, monkeypatch)
    assert entry(source).read() is None


@pytest.mark.parametrize("change", [*CHANGES, "nothing", "young"])
def test_a_note(source: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """It holds as long as nothing has changed of what it is about."""
    entry(source).write(b"object")
    began = time.time() + (-60 if change == "young" else 60)
    entry(source).note("one", began, quick.Engine("loader", "bpfduet", "one.bpf.c"), source)
    if change == "kernel or libbcc":
        (source.parent / "lib/libbcc.so").write_text("another")
    elif change in CHANGES:
        CHANGES[change](source.parent, monkeypatch)
    if change == "young":
        with pytest.raises(FileNotFoundError):
            quick.find("one")
        return
    found = quick.find("one")
    assert (found is None) == (change != "nothing")
    if found:
        with found[0] as file:
            file.seek(0)
            assert quick.unsealed(file.read()) == b"object"
        assert found[1].parts == ("loader", "bpfduet", "one.bpf.c")


@pytest.mark.parametrize("name, value", [("BPFDUET_HEADERS", "real"), ("CPATH", "/x"),
                                         ("BPFDUET_NO_CACHE", "1")])
def test_what_has_no_entry(source: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                           value: str) -> None:
    """Headers that may change without anybody noticing, and the switch."""
    monkeypatch.setenv(name, value)
    assert kept.entry_of(source) is None
