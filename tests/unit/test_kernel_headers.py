# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Kernel headers out of BTF: parser, cut, cache, and real BCC where there is root and BTF."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Set

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from bpfduet import kernel_headers as kh  # noqa: E402
from bpfduet import private_files  # noqa: E402
from bpfduet.kernel_headers import cache, kallsyms, origins  # noqa: E402
from bpfduet.kernel_headers import folder as folder_side  # noqa: E402
from bpfduet.kernel_headers import kernel as kernel_side  # noqa: E402
from bpfduet.kernel_headers.btf import with_unnamed_members  # noqa: E402
from bpfduet.kernel_headers.cut import cut  # noqa: E402
from bpfduet.kernel_headers.folder import (  # noqa: E402
    FORCED, derived_constants, folder_is_whole, is_kernel_header, kconfig,
)
from bpfduet.kernel_headers.index import Index, parse  # noqa: E402
from bpfduet.kernel_headers.kernel import (  # noqa: E402
    build_index, dump_btf, helpers_of, parse_config, short_kallsyms, version_code,
)
from bpfduet.kernel_headers.text import bcc_side, defined_by, read_sources, words_of  # noqa: E402

VMLINUX = """#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned int __u32;

typedef __u32 u32;

typedef _Bool bool;

enum {
	false = 0,
	true = 1,
};

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

typedef struct {
	int counter;
} atomic_t;

typedef void (*work_func_t)(struct work *);

typedef enum verdict end_io_fn(struct request *, bool);

enum verdict {
	VERDICT_NO = 0,
	VERDICT_YES = -1,
};

enum {
	FLAG_A = 1,
	start = 2,
};

struct work;

struct pt_regs {
	long unsigned int ip;
};

struct inner {
	u32 depth;
	atomic_t refs;
} __attribute__((packed));

struct far {
	struct inner deep;
	long unsigned int distance;
};

typedef struct far far_t;

typedef struct far far_pair_t[2];

struct outer {
	u32 a: 3;
	long: 0;
	struct inner held[2];
	struct far *link;
	far_t *soft;
	end_io_fn *done;
	union {
		work_func_t func;
		struct {
			enum verdict verdict;
			int hidden;
		};
	} either;
	struct unknown *nobody;
	far_t * (*get)(struct far *);
};

struct pairs {
	far_pair_t pair;
};

struct lazy {
	far_pair_t *pair;
};

struct event {
	int kernels_own;
};

struct holder {
	struct event event;
};
"""


@pytest.fixture
def index() -> Index:
    return parse(VMLINUX)


def keys(index: Index, text: str) -> Set[str]:
    """The keys of the definitions that a cut's text holds."""
    return set(parse(text).places)


# --- parser ---


def test_every_definition_is_found_and_exact(index: Index) -> None:
    assert set(index.places) >= {
        "u32", "bool", "struct list_head", "atomic_t", "work_func_t", "end_io_fn", "enum verdict",
        "struct inner", "struct far", "far_t", "far_pair_t", "struct outer", "struct event"}
    assert "struct work" not in index.places  # a declaration is no definition
    assert index.definition("struct inner").endswith("} __attribute__((packed));")
    assert index.definition("struct outer").count("\n") == 16
    assert index.enumerators["VERDICT_YES"] == "enum verdict"
    assert index.definition(index.enumerators["FLAG_A"]).startswith("enum {\n\tFLAG_A = 1")


def test_words_leave_comments_and_strings_out() -> None:
    assert words_of('a /* b */ "c \\" d" // e\nf') == {"a", "f"}


def test_bcc_side_drops_the_other_side_only() -> None:
    text = ("#ifdef __BCC__\nyes1\n#else\nno1\n#endif\n#if !defined(__BCC__)\nno2\n#ifdef X\nno3\n#else\nno4\n"
            "#endif\n#endif\n#ifdef X\nyes2\n#else\nyes3\n#endif\n#ifndef __BCC__ /* why */\nno5\n#else\nyes4\n#endif\n")
    found = re.findall(r"yes\d|no\d", bcc_side(text))
    assert found == ["yes1", "yes2", "yes3", "yes4"]


def test_what_a_program_defines() -> None:
    tags, names = defined_by(
        "struct a { struct b { int x; } y; } __attribute__((packed));\nstruct c c1 = {};\nstruct d *f(void) {}\n"
        "typedef struct e { int z; } e_t;\ntypedef unsigned u32;\ntypedef int (*call_t)(int);\n"
        "enum mode { ON = 1, OFF };\ntypedef int four[4];\nstruct __attribute__((packed)) g { int x; };\n"
        "struct h __attribute__((packed)) { int x; };")
    assert tags == {"struct a", "struct b", "struct e", "struct g", "struct h", "enum mode"}
    assert names == {"e_t", "u32", "call_t", "ON", "OFF", "four"}


# --- cut ---


def test_by_value_types_come_along_and_pointers_do_not(index: Index) -> None:
    text = cut(index, "struct outer *o;")
    assert keys(index, text) >= {"struct outer", "struct inner", "u32", "__u32", "atomic_t", "enum verdict",
                                 "end_io_fn", "work_func_t", "far_t", "bool"}
    assert "struct far" not in keys(index, text)
    assert "struct far;\n" in text and "struct unknown;\n" in text


@pytest.mark.parametrize("program", ["o->link->distance", "o->soft->distance", "o->soft->deep.depth"])
def test_a_pointer_is_followed_where_a_member_is_named(index: Index, program: str) -> None:
    assert "struct far" in keys(index, cut(index, "struct outer *o; " + program))


@pytest.mark.parametrize("program", ["o->link", "o->distance"])
def test_a_pointer_is_not_followed_for_less(index: Index, program: str) -> None:
    assert "struct far" not in keys(index, cut(index, "struct outer *o; " + program))


@pytest.mark.parametrize("program", ["struct pairs p;", "struct lazy l;"])
def test_an_array_typedef_needs_its_element(index: Index, program: str) -> None:
    assert "struct far" in keys(index, cut(index, program))


def test_enumerators_bring_their_enum_unless_they_look_like_a_variable(index: Index) -> None:
    assert "FLAG_A = 1" in cut(index, "int x = FLAG_A;")
    assert "FLAG_A" not in cut(index, "BPF_HASH(start);")
    assert "true = 1" in cut(index, "return true;")


def test_a_programs_own_struct_wins(index: Index) -> None:
    own = "struct event { long mine; }; "
    assert "kernels_own" not in cut(index, own)
    text = cut(index, own + "struct holder h;")
    assert "struct event___kernel {" in text and "\tstruct event___kernel event;" in text
    assert not re.search(r"struct event\s*\{", text)


def test_a_programs_own_names_win(index: Index) -> None:
    text = cut(index, "enum { VERDICT_NO, OTHER }; typedef long far_t; struct outer o;")
    assert "VERDICT_NO___kernel" in text and "far_t___kernel" in text and "struct far_t" not in text


def test_only_constants_that_are_used_count(index: Index) -> None:
    constants = "#define SIZE \\\n\tsizeof(struct far)\n#define TWICE (2 * SIZE)\n"
    assert "struct far" not in keys(index, cut(index, "int x;", constants))
    assert "struct far" in keys(index, cut(index, "int x = TWICE;", constants))


def test_helpers_types_are_there_without_being_named() -> None:
    index = parse(VMLINUX)
    index.helpers = "#define M(n) struct inner n\nstruct stack { struct far frames[4]; };\nvoid f(struct outer *o);"
    plain = cut(index, "int x;")
    assert "struct far" in keys(index, plain) and "struct outer;\n" in plain
    assert "struct outer" not in keys(index, plain)
    assert "struct inner" in keys(index, cut(index, "M(y);"))


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
@pytest.mark.parametrize("program", [
    "struct outer o; struct pairs p;",
    "int f(struct outer *o) { return o->link->deep.depth + o->soft->distance; }",
    "struct event { int x; }; struct holder h; far_t *f(enum verdict v);",
])
def test_a_cut_compiles(index: Index, program: str) -> None:
    done = subprocess.run(["clang", "-target", "bpf", "-fsyntax-only", "-Wall", "-Werror", "-x", "c", "-"],
                          input=cut(index, program) + program + "\n", text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


# --- sources and folder ---


def test_includes_are_read_and_the_others_named(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text('#include "sub/b.h"\n#include <linux/fs.h>\n#include "a.h"\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.h").write_text('#include "c.h"\n')
    (tmp_path / "sub/c.h").write_text("deepest\n#ifndef __BCC__\n#include <bpf/bpf_helpers.h>\n#endif\n")
    text, others = read_sources('#include "a.h"\n#include <my/own.h>\n', [tmp_path])
    assert "deepest" in text and others == ("linux/fs.h", "my/own.h")


@pytest.mark.parametrize("name, kernels", [
    ("linux/fs.h", True), ("uapi/linux/new_thing.h", True), ("my/own.h", False), ("stdio.h", False),
    ("linux/../../../etc/passwd", False), ("linux//x.h", False), ("bcc/proto.h", False)])
def test_only_kernel_headers_become_empty_files(name: str, kernels: bool) -> None:
    assert is_kernel_header(name) == kernels


def test_kconfig_holds_what_the_program_asks_for(index: Index) -> None:
    index.config = parse_config("CONFIG_BPF_SYSCALL=y\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=64\n# CONFIG_D is not set\n")
    index.functions = {"BPF_FUNC_new": 212}
    text = kconfig(index, "#ifdef CONFIG_B\nCONFIG_C\n#endif", "#define LAST 1\n")
    assert "#define CONFIG_BPF_SYSCALL 1\n" in text and "#define CONFIG_B_MODULE 1\n" in text
    assert "#define CONFIG_C 64\n" in text and "CONFIG_A" not in text and "CONFIG_D" not in text
    assert "#define BPF_FUNC_new 212\n" in text
    assert text.index("_UAPI__LINUX_BPF_H__") < text.index("struct pt_regs {") < text.index("LAST")
    assert "#define CONFIG_A 1\n" in kconfig(index, None, "")


def test_dentry_names_length_comes_from_btf() -> None:
    old = parse("struct dentry {\n\tunsigned char d_iname[32];\n};\n")
    new = parse("union shortname_store {\n\tunsigned char string[40];\n};\n\nstruct dentry {\n"
                   "\tunion shortname_store d_shortname;\n};\n")
    assert derived_constants(old) == [("DNAME_INLINE_LEN", "32")]
    assert derived_constants(new) == [("DNAME_INLINE_LEN", "40")]


def test_the_length_of_names_comes_from_the_struct_where_it_was_a_macro() -> None:
    task = "struct task_struct {\n\tint pid;\n\tchar comm[16];\n};\n"
    assert derived_constants(parse(task)) == [("TASK_COMM_LEN", "16")]
    assert derived_constants(parse("enum {\n\tTASK_COMM_LEN = 16,\n};\n\n" + task)) == []
    text = kconfig(parse(task), "char name[TASK_COMM_LEN];", "")
    assert "#define TASK_COMM_LEN 16\n" in text


def test_unnamed_members_are_spelled_out(tmp_path: Path) -> None:
    text = ("typedef int word;\n\nunion deep {\n\tlong d;\n\tword e[2];\n} __attribute__((aligned(16)));\n\n"
            "struct inner {\n\tword a;\n\tunion deep;\n};\n\n"
            "struct outer {\n\tchar first;\n\tunion {\n\t\tstruct inner;\n\t\tlong other;\n\t};\n"
            "\tstruct unknown;\n\tchar last;\n};\n")
    spelled = with_unnamed_members(text)
    assert re.findall(r"^\t+(?:struct|union) \w+;", spelled, re.M) == ["\tstruct unknown;"]
    index = parse(spelled)
    assert "union {\n\t\t\t\tlong d;" in index.definition("struct outer")
    assert index.definition("struct outer").count("__attribute__((aligned(16)));") == 1
    assert "word e[2]" in cut(index, "struct outer *o; o->e;", "")
    source = tmp_path / "program.c"
    source.write_text(cut(index, "struct outer x;", "").replace("struct unknown;", "") + """
        _Static_assert(sizeof(struct outer) == 64 && __builtin_offsetof(struct outer, e) == 32, "");
        int main(void) { struct outer x = {.a = 1, .d = 2, .last = 3}; return x.e[0] != 2; }
        """)
    subprocess.run(["clang", "-Wall", "-Werror", str(source), "-o", str(tmp_path / "program")], check=True)
    subprocess.run([str(tmp_path / "program")], check=True)


@pytest.mark.parametrize("release, version, code", [
    ("6.18.44-x", "#1 SMP", (6, 18, 44)), ("6.1.0-56-amd64", "#1 SMP Debian 6.1.192-2 (2026)", (6, 1, 192)),
    ("5.15", "", (5, 15, 0)), ("4.19.300", "", (4, 19, 255))])
def test_version(release: str, version: str, code: object) -> None:
    assert version_code(release, version) == code


@pytest.mark.parametrize("mapper", [
    b"#define __BPF_FUNC_MAPPER(FN)\t\t\\\n\tFN(unspec),\t\\\n\tFN(one),\t\t\\\n\tFN(two),\n\n",
    b"#define ___BPF_FUNC_MAPPER(FN, ctx...)\t\\\n\tFN(unspec, 0, ##ctx)\t\\\n\tFN(one, 1, ##ctx)\\\n\tFN(two, 2, ##ctx)\t\\\n",
])
def test_helper_numbers_of_old_and_new_libraries(mapper: bytes) -> None:
    blob = b"\x7fELF\0" + mapper + b"enum bpf_func_id {};\0..\n#ifndef __BPF_HELPERS_H\nu32 x;\0#ifndef __BCC_PROTO_H\ny\0"
    text, functions = helpers_of(blob)
    assert functions == {"BPF_FUNC_unspec": 0, "BPF_FUNC_one": 1, "BPF_FUNC_two": 2}
    assert "u32 x;" in text and "\ny" in text and "\0" not in text
    assert helpers_of(b"nothing") == ("", {})


def test_numbers_that_the_kernel_knows_are_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "libbcc.so.0"
    library.write_bytes(b"__BPF_FUNC_MAPPER(FN)\n\tFN(old), \\\n\tFN(new), \\\nenum bpf_func_id")
    monkeypatch.setattr(kernel_side, "find_libbcc", lambda: library)
    text = "struct task_struct {\n\tint pid;\n};\n\nenum bpf_func_id {\n\tBPF_FUNC_old = 0,\n};\n"
    monkeypatch.setattr(kernel_side, "read_btf", lambda _: parse(text))
    assert build_index(tmp_path).functions == {"BPF_FUNC_new": 1}


def test_short_kallsyms_keeps_what_bcc_asks_for() -> None:
    text = short_kallsyms("00 T bpf_probe_read_kernel\n00 t vfs_read\n00 T __x64_sys_bpf\n00 t bpf_x\t[mod]\n")
    assert re.findall(r"T (\w+)$", text, re.M) == ["__x64_sys_bpf", "bpf_probe_read_kernel"]
    assert all(int(line.split()[0], 16) for line in text.splitlines())


# --- cache ---


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], kh.Kernel]]:
    """Makes Kernel objects over one cache and a small BTF; built.txt has a line for each index built."""
    btf = tmp_path / "btf"
    btf.write_bytes(b"btf")
    root = tmp_path / "cache"
    root.mkdir(mode=0o755)

    def build(_: Path) -> Index:
        with open(tmp_path / "built.txt", "a") as file:
            file.write("built\n")
        index = parse(VMLINUX)
        index.kallsyms = "ffffffff81000000 T bpf_probe_read_kernel\n"
        return index

    monkeypatch.setattr(cache, "build_index", build)
    yield lambda: kh.Kernel(btf, root)


def built(tmp_path: Path) -> int:
    return (tmp_path / "built.txt").read_text().count("built")


def test_index_is_built_once(kernel: Callable[[], kh.Kernel], tmp_path: Path) -> None:
    first, second = kernel().index(), kernel().index()
    assert built(tmp_path) == 1 and first == second


@pytest.mark.parametrize("harm", [lambda raw: raw[:-5], lambda raw: raw[:100] + b"X" + raw[101:], lambda raw: b""])
def test_a_corrupt_index_is_made_again(kernel: Callable[[], kh.Kernel], tmp_path: Path,
                                       harm: Callable[[bytes], bytes]) -> None:
    good = kernel().index()
    path = kernel().folder / "index"
    path.write_bytes(harm(path.read_bytes()))
    assert kernel().index() == good and built(tmp_path) == 2


@pytest.mark.parametrize("harm", [
    lambda folder: (folder / "include/linux/kconfig.h").write_text(""),
    lambda folder: (folder / "include/linux/kconfig.h").write_text(
        (folder / "include/linux/kconfig.h").read_text().replace("u32 depth", "u32 depht")),
    lambda folder: (folder / "include/linux/kconfig.h").unlink(),
    lambda folder: (folder / "include/asm/page.h").unlink(),
    lambda folder: (folder / "include/linux/fs.h").write_text("#error"),
    lambda folder: shutil.rmtree(folder / "include"),
])
def test_a_corrupt_folder_is_made_again(kernel: Callable[[], kh.Kernel], harm: Callable[[Path], object]) -> None:
    source = "#include <linux/fs.h>\nstruct inner x;"
    folder = kernel().cut(source, [])
    good = (folder / "include/linux/kconfig.h").read_bytes()
    harm(folder)
    assert kernel().cut(source, []) == folder
    assert (folder / "include/linux/kconfig.h").read_bytes() == good
    assert (folder / "include/linux/fs.h").read_bytes() == b"" and (folder / "include/asm/page.h").exists()
    assert not list(folder.parent.glob(".new-*"))


def test_a_writer_that_dies_leaves_nothing_that_is_used(kernel: Callable[[], kh.Kernel],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file it gets to, the next one makes the folder whole."""
    really, folders = folder_side.write_file, set()
    for survived in range(len(FORCED) + 1):
        written: List[Path] = []

        def dying(path: Path, content: bytes) -> None:
            if len(written) == survived:
                raise KeyboardInterrupt
            written.append(path)
            really(path, content)
        with monkeypatch.context() as patch:
            patch.setattr(folder_side, "write_file", dying)
            with pytest.raises(KeyboardInterrupt):
                kernel().cut("struct inner x;", [])
        half = next((kernel().folder / "cuts").glob("*"), None)
        assert half is None or not folder_is_whole(half, FORCED)
        whole = kernel().cut("struct inner x;", [])
        assert folder_is_whole(whole, FORCED)
        folders.add(whole)
        shutil.rmtree(whole)
    assert len(folders) == 1


def test_a_whole_folder_is_used_as_it_is(kernel: Callable[[], kh.Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kernel().cut("struct inner x;", [])
    monkeypatch.setattr(cache, "kconfig", lambda *_: pytest.fail("made again"))
    assert kernel().cut("struct inner x;", []) == folder


def test_included_text_is_part_of_the_key(kernel: Callable[[], kh.Kernel], tmp_path: Path) -> None:
    header = tmp_path / "tool.h"
    header.write_text("struct inner x;")
    first = kernel().cut('#include "tool.h"', [tmp_path])
    header.write_text("struct far x;")
    second = kernel().cut('#include "tool.h"', [tmp_path])
    assert first != second and "struct far {" in (second / "include/linux/kconfig.h").read_text()


def _hammer(make: Callable[[], kh.Kernel], number: int, results: "multiprocessing.Queue[str]") -> None:
    try:
        for turn in range(20):
            folder = make().cut("struct inner x%d;" % (turn % 4), [])
            if turn % 5 == number % 5:
                (folder / "include/linux/kconfig.h").write_text("half")
            elif not (folder / "include/linux").is_dir():
                raise AssertionError("no folder")
        results.put("")
    except BaseException as error:  # handed to the parent, which fails the test
        results.put(repr(error))


def test_many_processes_at_once(kernel: Callable[[], kh.Kernel], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: "multiprocessing.Queue[str]" = context.Queue()
    workers = [context.Process(target=_hammer, args=(kernel, n, results)) for n in range(6)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [""] * len(workers)
    for worker in workers:
        worker.join()
    for turn in range(4):
        folder = kernel().cut("struct inner x%d;" % turn, [])
        assert "struct inner {" in (folder / "include/linux/kconfig.h").read_text()
    assert not [path for path in (tmp_path / "cache").rglob(".new-*")]


def test_many_threads_at_once(kernel: Callable[[], kh.Kernel]) -> None:
    found: List[Path] = []
    threads = [threading.Thread(target=lambda: found.append(kernel().cut("struct far x;", []))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1
    assert folder_is_whole(found[0], FORCED)


def test_old_kernels_are_removed(kernel: Callable[[], kh.Kernel]) -> None:
    root = kernel().root
    for number in range(6):
        (root / ("kernel-%d" % number)).mkdir()
        os.utime(root / ("kernel-%d" % number), (number, number))
    (root / ".new-dead").mkdir()
    os.utime(root / ".new-dead", (1, 1))
    (root / ".new-living").mkdir()
    kernel().index()
    assert {path.name for path in root.iterdir()} == {kernel().folder.name, "kernel-5", "kernel-4", ".new-living"}


def test_nothing_is_writable_by_others(kernel: Callable[[], kh.Kernel]) -> None:
    before = os.umask(0)
    try:
        kernel().cut("#include <linux/sched/task.h>\n", [])
        kernel().kallsyms()
    finally:
        os.umask(before)
    for path in [kernel().root, *kernel().root.rglob("*")]:
        assert not path.stat().st_mode & 0o022, path


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir(mode=0o755)
    assert private_files.is_private(safe)
    for mode in (0o775, 0o757, 0o1777):
        safe.chmod(mode)
        assert not private_files.is_private(safe)
    (safe / "below").mkdir(mode=0o755)
    assert private_files.is_private(safe / "below")  # the sticky bit protects it
    safe.chmod(0o777)
    assert not private_files.is_private(safe / "below")
    safe.chmod(0o755)
    (tmp_path / "link").symlink_to(safe)
    assert not private_files.is_private(tmp_path / "link")
    assert not private_files.is_private(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bpfduet").mkdir(mode=0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kh.cache_folder() == tmp_path / "bpfduet"
    os.chown(tmp_path / "bpfduet", 1234, 1234)
    assert kh.cache_folder() != tmp_path / "bpfduet"
    os.chown(tmp_path / "bpfduet", 0, 0)
    os.chown(tmp_path, 1234, 1234)
    assert kh.cache_folder() != tmp_path / "bpfduet"


# --- which headers ---


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(origins, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(origins, "KHEADERS", tmp_path / "none.tar.xz")
    folder = tmp_path / "modules" / os.uname().release
    (folder / "build/include/config").mkdir(parents=True)
    return folder


def test_headers_of_another_kernel_are_never_taken(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (modules / "build/include/config/kernel.release").write_text("6.1.0-56-amd64\n")
    for forced in ("real", ""):
        monkeypatch.setenv("BPFDUET_HEADERS", forced)
        with pytest.raises(kh.HeadersError) as caught:
            kh.folder_for("", [], btf=modules / "no-btf")
        assert "6.1.0-56-amd64" in str(caught.value) and os.uname().release in str(caught.value)


def test_matching_headers_are_taken_when_there_is_no_btf(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BPFDUET_HEADERS", raising=False)
    (modules / "build/include/generated").mkdir()
    (modules / "build/include/generated/utsrelease.h").write_text('#define UTS_RELEASE "%s"\n' % os.uname().release)
    headers = kh.folder_for("", [], btf=modules / "no-btf")
    assert headers.origin == "real" and headers.path == modules / "build"
    assert len(headers.reasons) == 1 and "no-btf" in headers.reasons[0]
    environment: Dict[str, str] = {}
    headers.apply(environment)
    assert environment == {"BCC_KERNEL_SOURCE": str(modules / "build")}


def test_split_headers_are_left_to_bcc(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPFDUET_HEADERS", "real")
    (modules / "build/include/config/kernel.release").write_text(os.uname().release + "\n")
    (modules / "source").mkdir()
    headers = kh.folder_for("", [])
    environment = {"BCC_KERNEL_SOURCE": "/elsewhere"}
    headers.apply(environment)
    assert headers.path is None and environment == {}


def test_kernels_own_headers_are_unpacked_once(modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h/include/linux").mkdir(parents=True)
    (tmp_path / "h/include/linux/kconfig.h").write_text("real")
    subprocess.run(["tar", "-cJf", str(tmp_path / "k.tar.xz"), "-C", str(tmp_path / "h"), "."], check=True)
    monkeypatch.setattr(origins, "KHEADERS", tmp_path / "k.tar.xz")
    monkeypatch.setattr(origins, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("BPFDUET_HEADERS", "kheaders")
    first = kh.folder_for("", [])
    assert first.path is not None and (first.path / "include/linux/kconfig.h").read_text() == "real"
    (tmp_path / "k.tar.xz").write_bytes(b"no longer read")
    assert kh.folder_for("", []) == first


def test_explain_tells_every_origin(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "VMLINUX", modules / "no-btf")
    assert [(origin, usable) for origin, usable, _ in kh.explain()] == [
        ("btf", False), ("real", False), ("kheaders", False)]


@pytest.mark.parametrize("forced, says", [("kheaders", "CONFIG_IKHEADERS"), ("nonsense", "real, kheaders or btf")])
def test_a_forced_origin_fails_in_one_sentence(modules: Path, monkeypatch: pytest.MonkeyPatch, forced: str,
                                               says: str) -> None:
    monkeypatch.setenv("BPFDUET_HEADERS", forced)
    with pytest.raises(kh.HeadersError) as caught:
        kh.folder_for("", [])
    assert says in str(caught.value) and "\n" not in str(caught.value)


# --- with the real thing ---

NO_BCC = os.geteuid() != 0 or not kh.VMLINUX.exists() or kh.find_libbcc() is None
needs_bcc = pytest.mark.skipif(NO_BCC, reason="needs root, BTF and BCC")
PYTHON = "/usr/bin/python3"  # the one that sees Debian's bcc


def through_bcc(program: str, *, whole: str = "") -> "subprocess.CompletedProcess[str]":
    """Compile a program with real BCC, in a process of its own, attaching nothing."""
    script = """
import os, sys, pathlib
sys.path.insert(0, sys.argv[1])
from bpfduet import kernel_headers
text = sys.stdin.read()
if sys.argv[2]:
    kernel_headers.make(pathlib.Path(sys.argv[2]), None)
    os.environ["BCC_KERNEL_SOURCE"] = sys.argv[2]
else:
    headers = kernel_headers.folder_for(text, [])
    assert headers.origin == "btf", headers
    headers.apply(os.environ)
import bcc
class BPF(bcc.BPF):
    def _trace_autoload(self): pass
kernel_headers.without_kallsyms(lambda: BPF(text=text))
"""
    environment = {name: value for name, value in os.environ.items() if name != "BPFDUET_HEADERS"}
    return subprocess.run([PYTHON, "-c", script, str(ROOT / "python"), whole], input=program, text=True,
                          env=environment, capture_output=True)


def offsets_from_btf(*structs: str) -> Dict[str, Dict[str, int]]:
    """Byte offsets of the plain members of some structs, as bpftool tells."""
    dump = json.loads(subprocess.run(["bpftool", "-j", "btf", "dump", "file", str(kh.VMLINUX)],
                                     check=True, capture_output=True).stdout)
    return {t["name"]: {m["name"]: m["bits_offset"] // 8 for m in t["members"]
                        if m["name"] != "(anon)" and not m.get("bitfield_size")}
            for t in dump["types"] if t["kind"] == "STRUCT" and t["name"] in structs}


@needs_bcc
@pytest.mark.parametrize("whole", [False, True])
def test_offsets_are_the_running_kernels(whole: bool, tmp_path: Path) -> None:
    offsets = offsets_from_btf("task_struct", "sock", "sock_common", "tcp_sock", "request", "dentry")
    assert len(offsets["task_struct"]) > 100 and offsets["sock_common"]["skc_family"] == 16
    checks = ['_Static_assert(__builtin_offsetof(struct %s, %s) == %d, "%s.%s");' % (s, m, offset, s, m)
              for s, members in offsets.items() for m, offset in members.items()]
    done = through_bcc("\n".join(checks) + "\nint probe(void *ctx) { return 0; }\n",
                       whole=str(tmp_path / "whole") if whole else "")
    assert done.returncode == 0, done.stderr[:3000]
    wrong = through_bcc(checks[40].replace("==", "!=") + "\nint probe(void *ctx) { return 0; }\n")
    assert wrong.returncode != 0 and "assert" in wrong.stderr


@needs_bcc
def test_a_tracepoints_types_need_not_be_named() -> None:
    if not Path("/sys/kernel/tracing/events/sched/sched_switch").exists():
        pytest.skip("tracefs is not mounted")
    done = through_bcc("TRACEPOINT_PROBE(sched, sched_switch) { return args->prev_pid; }\n"
                       "TRACEPOINT_PROBE(kmem, kmalloc) { return args->gfp_flags; }\n")
    assert done.returncode == 0, done.stderr


@needs_bcc
def test_errors_of_a_program_stay_errors() -> None:
    done = through_bcc("int probe(void *ctx) { return no_such_thing; }")
    assert done.returncode != 0 and "no_such_thing" in done.stderr
    assert through_bcc('#include <my/missing.h>\nint probe(void *ctx) { return 0; }').returncode != 0


@needs_bcc
def test_kallsyms_is_short_for_the_call_alone() -> None:
    path = Path("/proc/kallsyms")
    before = os.getcwd()
    count = len(path.read_text().splitlines())

    def call() -> int:
        os.chdir("/proc")  # as BCC does; the folder is the thread's own
        return len(path.read_text().splitlines())

    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    inside = kh.without_kallsyms(call)
    assert 0 < inside < count / 10
    assert len(path.read_text().splitlines()) == count and os.getcwd() == before
    assert "kallsyms" not in Path("/proc/self/mounts").read_text()


@needs_bcc
def test_the_mount_does_not_travel() -> None:
    script = """
import os, pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from bpfduet import kernel_headers
read = lambda: len(pathlib.Path("/proc/kallsyms").read_text().splitlines())
before = read()
during = kernel_headers.without_kallsyms(lambda: (read(), subprocess.run(
    ["nsenter", "--mount=/proc/%d/ns/mnt" % os.getpid(), "wc", "-l", "/proc/kallsyms"],
    stdout=-1, text=True).stdout))
assert during[0] < before / 10, during
assert int(during[1].split()[0]) == before == read(), (before, during)
"""
    done = subprocess.run(["unshare", "--mount", "--propagation", "shared", PYTHON, "-c", script, str(ROOT / "python")],
                          text=True, capture_output=True)
    if "unshare failed" in done.stderr:
        pytest.skip("mount namespaces are not allowed here")
    assert done.returncode == 0, done.stderr


def test_without_kallsyms_hands_exceptions_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError("no CAP_SYS_ADMIN")

    monkeypatch.setattr(kallsyms, "hide_kallsyms", refuse)
    monkeypatch.setattr(kh.Kernel, "kallsyms", lambda self: Path("/nonexistent"))
    assert kh.without_kallsyms(lambda: 23) == 23  # not allowed: the call runs all the same
    with pytest.raises(ZeroDivisionError):
        kh.without_kallsyms(lambda: 1 // 0)


@needs_bcc
def test_a_cut_is_small() -> None:
    """What makes BCC fast: a program with two of the largest structs needs little of the types."""
    folder = kh.folder_for("struct task_struct *t; struct sock *s; t->pid; s->sk_family;", []).path
    assert folder is not None
    whole = len(kh.Kernel(kh.VMLINUX).index().text)
    assert (folder / "include/linux/kconfig.h").stat().st_size < whole / 20


@pytest.mark.skipif(shutil.which("clang") is None or shutil.which("bpftool") is None or not kh.VMLINUX.exists(),
                    reason="needs clang, bpftool and BTF")
def test_constants_compile_ahead_of_time(tmp_path: Path) -> None:
    (tmp_path / "vmlinux.h").write_text(dump_btf(kh.VMLINUX))
    uses = sorted({name for name in re.findall(r"^#define (\w+) ", kh.CONSTANTS.read_text(), re.M)
                   if name.isupper() and not name.startswith("__")})
    program = tmp_path / "uses.bpf.c"
    for order in (["kernel_constants.h", "<bpf/bpf_helpers.h>"], ["<bpf/bpf_helpers.h>", "kernel_constants.h"]):
        program.write_text("#include \"vmlinux.h\"\n" + "".join(
            "#include %s\n" % (name if "<" in name else '"%s"' % name) for name in order)
            + "int family(struct sock *sk) { return sk->sk_family == AF_INET && ntohs(sk->sk_dport) != 80; }\n"
            + "_Static_assert(roundup_pow_of_two(100) == 128 && roundup_pow_of_two(64) == 64, \"\");\n"
            + "".join("unsigned long use_%s(void) { return (unsigned long)(%s); }\n" % (name, name) for name in uses))
        done = subprocess.run(["clang", "-target", "bpf", "-D__TARGET_ARCH_x86", "-DCONFIG_HZ=250", "-O2", "-Wall",
                               "-Werror", "-c", "-I", str(ROOT / "headers"), str(program), "-o", str(tmp_path / "o")],
                              text=True, capture_output=True)
        assert done.returncode == 0, done.stderr[:2000]
