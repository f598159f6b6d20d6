# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Types out of an object that clang made."""
from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import harness
from bpfduet.spec import object_types
from bpfduet.spec.types import Config, Field, MapInfo, find_field

HEAD = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define EVENT(type_) struct { int (*type)[27]; int (*max_entries)[4096]; } events SEC(".maps"); \\
    const type_ *const events__type SEC(".bpfduet.types") = 0
"""
SOURCE = HEAD + """
enum mood { GOOD, BAD };
enum signed_mood { WORSE = -1, FINE };
struct inner { u16 port; char tag[6]; };
typedef struct inner inner_t;
struct event {
    u64 ts;
    int ret;
    u32 pid;
    char comm[16];
    u8 address[16];
    unsigned __int128 wide;
    _Bool yes;
    enum mood mood;
    enum signed_mood signed_mood;
    void *pointer;
    const volatile inner_t nested;
    struct inner many[2];
    char names[3][8];
    short grid[2][3];
    union { u32 low; u64 whole; };
};
EVENT(struct event);
struct { int (*type)[5]; int (*max_entries)[10240]; u32 *key; struct inner *value; } by_pid SEC(".maps");
struct { int (*type)[6]; int (*max_entries)[1]; int *key; u64 *value; } lost __asm__("renamed") SEC(".maps");
const volatile u32 number = 7;
static const volatile _Bool flag __attribute__((unused)) = 1;
const volatile char word[8] = "";
const int table[2] = { 3, 4 };
SEC("tracepoint/x/y") int enter(void *ctx) { return number + flag + word[1] + table[(long)ctx & 1]; }
char license_text[] SEC("license") = "GPL";
"""


def compiled(folder: Path, source: str) -> Path:
    """The object that ``bpftool gen object`` makes of a C text."""
    (folder / "t.c").write_text(source)
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    for command in (["clang", "-O2", "-g", "-target", "bpf", "-c", "t.c", "-o", "t.tmp.o"],
                    ["bpftool", "gen", "object", "t.o", "t.tmp.o"]):
        subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder / "t.o"


@pytest.fixture(scope="module", name="types")
def _types(tmp_path_factory):
    return object_types.types_from_object(compiled(tmp_path_factory.mktemp("btf"), SOURCE))


def test_event(types):
    """Every kind of field, at the compiler's offsets."""
    inner = (Field("port", 0, 2, "uint"), Field("tag", 2, 6, "string"))
    event = types.events["events"]
    assert (event.kind, event.size) == ("struct", 160)
    assert event.fields == (
        Field("ts", 0, 8, "uint"), Field("ret", 8, 4, "int"), Field("pid", 12, 4, "uint"),
        Field("comm", 16, 16, "string"), Field("address", 32, 1, "uint", 16),
        Field("wide", 48, 1, "uint", 16), Field("yes", 64, 1, "bool"),
        Field("mood", 68, 4, "uint"), Field("signed_mood", 72, 4, "int"),
        Field("pointer", 80, 8, "uint"), Field("nested", 88, 8, "struct", 0, inner),
        Field("many", 96, 8, "struct", 2, inner), Field("names", 112, 8, "string", 3),
        Field("grid", 136, 2, "int", 6), Field("low", 152, 4, "uint"),
        Field("whole", 152, 8, "uint"))


def test_maps(types):
    """Type, size, key and value, under the name that the loader knows."""
    assert types.maps == {
        "events": MapInfo("events", "ringbuf", None, None, 4096),
        "by_pid": MapInfo("by_pid", "percpu_hash", Field("key", 0, 4, "uint"),
                          Field("value", 0, 8, "struct", 0, (Field("port", 0, 2, "uint"),
                                                              Field("tag", 2, 6, "string"))), 10240),
        "renamed": MapInfo("renamed", "percpu_array", Field("key", 0, 4, "int"),
                           Field("value", 0, 8, "uint"), 1)}


def test_configs(types):
    """Volatile constants only; offsets do not overlap."""
    configs = types.configs
    assert {name: (config.size, config.kind) for name, config in configs.items()} == {
        "number": (4, "uint"), "flag": (1, "bool"), "word": (8, "string")}
    spans = sorted((config.offset, config.offset + config.size) for config in configs.values())
    assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:]))
    assert isinstance(configs["number"], Config)


def test_offsets_are_where_the_values_are(types, tmp_path):
    """.rodata holds 7 at the offset of the constant that is 7."""
    path = compiled(tmp_path, SOURCE)
    objcopy = shutil.which("llvm-objcopy") or sorted(glob.glob("/usr/bin/llvm-objcopy-*"))[-1]
    subprocess.run([objcopy, "-O", "binary", "--only-section=.rodata",
                    "--set-section-flags=.rodata=alloc", str(path), str(tmp_path / "rodata")],
                   check=True)
    rodata = (tmp_path / "rodata").read_bytes()
    offset = types.configs["number"].offset
    assert rodata[offset:offset + 4] == (7).to_bytes(4, "little")
    assert rodata[types.configs["flag"].offset] == 1


def test_programs(types):
    """The names of programs."""
    assert types.programs == frozenset(["enter"])


def test_find_field(types):
    """A path's offset counts from the outermost struct; arrays cannot be reached into."""
    fields = types.events["events"].fields
    assert find_field(fields, "nested.tag") == Field("tag", 90, 6, "string")
    assert find_field(fields, "many.tag") is None
    assert find_field(fields, "ts.x") is None
    assert find_field(fields, "nested.") is None


@pytest.mark.parametrize("members, sentence", [
    ("u32 a:3; u32 b:29;", "'event.a' is a bitfield, which no frontend can show; make it a whole "
                           "integer"),
    ("u32 a; double b;", "'b' is a float, which no frontend can show"),
    ("u32 a; char b[];", "array 'b' has no size; give it its largest one"),
])
def test_types_that_cannot_be_shown(tmp_path, members, sentence):
    """One sentence each."""
    path = compiled(tmp_path, HEAD + f"struct event {{ {members} }}; EVENT(struct event);")
    with pytest.raises(object_types.BtfError) as caught:
        object_types.types_from_object(path)
    assert str(caught.value) == f"{path}: {sentence}"


def test_no_object(tmp_path):
    """A file that is no object is an error with its name."""
    path = tmp_path / "t.o"
    path.write_bytes(b"x")
    with pytest.raises(object_types.BtfError, match=str(path)):
        object_types.types_from_object(path)


def test_harness_agrees_with_the_compiler(types):
    """The layouts that the other tests make up are the compiler's."""
    made_up = harness.field("value", [("port", "u16"), ("tag", "char[6]")])
    assert made_up == types.maps["by_pid"].value
