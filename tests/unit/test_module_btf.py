# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Types of modules, out of real split BTF: gcc and pahole make it as the kernel's build does."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from bpfduet import kernel_headers as kh  # noqa: E402
from bpfduet.kernel_headers.btf import Btf  # noqa: E402
from bpfduet.kernel_headers.cut import cut  # noqa: E402
from bpfduet.kernel_headers.kernel import build_index  # noqa: E402
from bpfduet.kernel_headers.modules import defined_types, defining, extended, missing  # noqa: E402

PYTHON = "/usr/bin/python3"  # the one that sees Debian's bcc
TOOLS = ("gcc", "pahole", "llvm-objcopy", "bpftool")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs " + ", ".join(TOOLS))

KERNEL = """
typedef unsigned int u32;
struct driver_data;                     /* only a name: modules define it */
struct shared { u32 both; };
struct pt_regs { long ip; };
struct task_struct { struct driver_data *data; struct shared shared; struct pt_regs regs; } task;
enum kernel_mode { KERNEL_MODE_A, KERNEL_MODE_B } kernel_mode;
"""
DRIVER = """
typedef unsigned int u32;
typedef unsigned long driver_time_t;
struct shared { u32 both; };
struct hidden { long depth; };
union driver_word { u32 word; char bytes[4]; };
enum driver_state { DRIVER_IDLE, DRIVER_BUSY = 7 };
struct driver_data {
	u32 id;
	enum driver_state state;
	driver_time_t since;
	struct shared shared;
	union driver_word word;
	struct hidden *hidden;
} driver_data;
"""
OTHER = """
struct hidden { char other[23]; };
struct other_data { struct hidden hidden; } other_data;
"""


class Folder:
    """A folder like /sys/kernel/btf."""

    def __init__(self, path: Path):
        self.path = path
        self.vmlinux = path / "vmlinux"

    def add(self, name: str, text: str) -> Path:
        """Compile a text to the BTF file of that name."""
        scratch = self.path.with_name("scratch-" + name)
        scratch.mkdir(exist_ok=True)
        (scratch / "m.c").write_text(text)
        subprocess.run(["gcc", "-g", "-c", "m.c", "-o", "m.o"], cwd=scratch, check=True)
        base = [] if name == "vmlinux" else ["--btf_base", str(self.vmlinux)]
        subprocess.run(["pahole", "-J", *base, "m.o"], cwd=scratch, check=True)
        subprocess.run(["llvm-objcopy", "--dump-section", ".BTF=m.btf", "m.o"], cwd=scratch,
                       check=True)
        return (scratch / "m.btf").replace(self.path / name)


@pytest.fixture
def btf(tmp_path: Path) -> Folder:
    """The BTF of a small kernel."""
    (tmp_path / "btf").mkdir()
    folder = Folder(tmp_path / "btf")
    folder.add("vmlinux", KERNEL)
    return folder


@pytest.fixture
def kernel(btf: Folder, tmp_path: Path) -> Callable[[], kh.Kernel]:
    """Makes Kernel objects over that BTF and one cache."""
    root = tmp_path / "cache"
    root.mkdir(mode=0o755)
    return lambda: kh.Kernel(btf.vmlinux, root)


def types_of(folder: Path) -> str:
    return (folder / "include/linux/kconfig.h").read_text()


def test_a_modules_own_types_are_told(btf: Folder) -> None:
    driver = btf.add("driver", DRIVER)
    found = defined_types(Btf(driver.read_bytes(), Btf(btf.vmlinux.read_bytes())))
    # struct shared is the kernel's, and its name is in the kernel's strings, as driver_data's is
    assert found == {"struct driver_data", "struct hidden", "union driver_word",
                     "enum driver_state"}


def test_what_a_program_lacks(btf: Folder) -> None:
    index = build_index(btf.vmlinux)
    assert missing(index, "struct task_struct *t; struct mine { int x; } m; /* struct no */") == set()
    assert missing(index, "struct driver_data *d; enum driver_state s;") == {
        "struct driver_data", "enum driver_state"}


def test_a_cut_has_the_modules_types(btf: Folder, kernel: Callable[[], kh.Kernel]) -> None:
    btf.add("driver", DRIVER)
    btf.add("other", OTHER)
    text = types_of(kernel().cut("struct driver_data *d; d->state == DRIVER_BUSY; struct shared s;"
                                 "driver_time_t t; d->hidden->depth;", []))
    for definition in ("struct driver_data", "union driver_word", "enum driver_state",
                       "struct hidden", "struct shared"):
        assert len(re.findall(r"^%s \{" % definition, text, re.M)) == 1, definition
    assert "typedef long unsigned int driver_time_t;" in text and "long int depth;" in text
    assert "other_data" not in text


def test_a_cut_knows_its_modules(btf: Folder, kernel: Callable[[], kh.Kernel]) -> None:
    """Also when it is found in the cache; and that it has none."""
    btf.add("driver", DRIVER)
    btf.add("other", OTHER)
    for _ in range(2):
        _, modules = kernel().cut_with_modules("struct driver_data *d; d->id;", [])
        assert [module.path.name for module in modules] == ["driver"]
        assert kernel().cut_with_modules("struct task_struct *t;", [])[1] == []


def test_the_cut_follows_from_the_kernel_into_a_module(btf: Folder,
                                                       kernel: Callable[[], kh.Kernel]) -> None:
    btf.add("driver", DRIVER)
    text = types_of(kernel().cut("struct task_struct *t; t->data->since; struct driver_data;", []))
    assert "struct driver_data {" in text and "struct task_struct {" in text


def test_one_name_in_two_modules_stays_two_types(btf: Folder) -> None:
    btf.add("driver", DRIVER)
    btf.add("other", OTHER)
    keys = {"struct driver_data", "struct other_data"}
    modules = defining(keys, btf.vmlinux)
    assert [module.path.name for module in modules] == ["driver", "other"]
    index = extended(build_index(btf.vmlinux), modules, btf.vmlinux)
    assert "depth" in index.definition("struct hidden")
    assert "other[23]" in index.definition("struct hidden___other")
    assert "struct hidden___other hidden;" in index.definition("struct other_data")
    assert index.enumerators["KERNEL_MODE_A"] == "enum kernel_mode"


def test_modules_are_looked_at_only_for_what_the_kernel_lacks(
        btf: Folder, kernel: Callable[[], kh.Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    btf.add("driver", DRIVER)
    looked = []
    monkeypatch.setattr("bpfduet.kernel_headers.cache.defining",
                        lambda *given: looked.append(given) or [])
    kernel().cut("struct task_struct *t;", [])
    assert not looked
    kernel().cut("struct driver_data *d;", [])
    assert len(looked) == 1


def test_modules_come_and_go(btf: Folder, kernel: Callable[[], kh.Kernel]) -> None:
    program = "struct driver_data d;"
    absent = kernel().cut(program, [])
    assert "struct driver_data {" not in types_of(absent)
    driver = btf.add("driver", DRIVER)
    loaded = kernel().cut(program, [])
    assert "u32 id;" in types_of(loaded) and loaded != absent
    assert kernel().cut(program, []) == loaded
    btf.add("driver", DRIVER.replace("u32 id", "u32 pad; u32 id"))
    assert "u32 pad;" in types_of(kernel().cut(program, []))
    driver.unlink()
    assert kernel().cut(program, []) == absent


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
@pytest.mark.parametrize("size, good", [(None, True), (20, False)])
def test_layouts_are_checked(btf: Folder, size: Optional[int], good: bool) -> None:
    """A narrow enum is as narrow as BTF says, and a type of another size does not compile."""
    btf.add("driver", "enum tiny { TINY_A, TINY_B } __attribute__((packed));\n"
            "typedef enum { SMALL_A = 300 } __attribute__((packed)) small_t;\n"
            "struct narrow { enum tiny a; small_t b; char c; } narrow;\n")
    keys = {"struct narrow"}
    index = extended(build_index(btf.vmlinux), defining(keys, btf.vmlinux), btf.vmlinux)
    assert index.sizes["struct narrow"] == 6
    index.sizes["struct narrow"] = size or 6
    text = cut(index, "struct narrow n;") + (
        '_Static_assert(__builtin_offsetof(struct narrow, c) == 4, "");\n')
    done = subprocess.run(["clang", "-target", "bpf", "-fsyntax-only", "-x", "c", "-"], input=text,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode == 0) == good, done.stderr
    assert good or "struct narrow is not laid out as the kernel has it" in done.stderr


def test_files_that_are_no_btf_are_passed_over(btf: Folder) -> None:
    driver = btf.add("driver", DRIVER)
    raw = driver.read_bytes()
    (btf.path / "a-text").write_text("no BTF at all, but longer than a header is")
    (btf.path / "empty").write_bytes(b"")
    (btf.path / "torn").write_bytes(raw[:len(raw) // 3])
    (btf.path / "folder").mkdir()
    found = defining({"struct driver_data"}, btf.vmlinux)
    assert [module.path for module in found] == [driver]


def test_a_folder_made_for_one_program_has_them_too(btf: Folder, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    btf.add("driver", DRIVER)
    kh.make(tmp_path / "made", "struct driver_data d;", btf.vmlinux)
    assert "struct driver_data {" in types_of(tmp_path / "made")


SCRIPT = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from bpfduet import kernel_headers
text = sys.stdin.read()
kernel_headers.folder_for(text, [], btf=pathlib.Path(sys.argv[2])).apply(os.environ)
import bcc
kernel_headers.without_kallsyms(lambda: bcc.BPF(text=text))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not kh.VMLINUX.exists() or kh.find_libbcc() is None,
                    reason="needs root, BTF and BCC")
def test_bcc_compiles_against_a_modules_types(tmp_path: Path) -> None:
    (tmp_path / "btf").mkdir()
    folder = Folder(tmp_path / "btf")
    shutil.copyfile(kh.VMLINUX, folder.vmlinux)
    # a module whose type holds one of the running kernel's by value: its layout is the kernel's
    folder.add("driver", 'typedef unsigned char u8;\n#include "%s"\n'
               "struct driver_conn { u8 state; struct list_head list; long packets; } conn;\n"
               % _list_head(tmp_path))
    program = ("int probe(struct pt_regs *ctx) { struct driver_conn *c = (void *)ctx;\n"
               '_Static_assert(__builtin_offsetof(struct driver_conn, packets) == %d, "packets");\n'
               "return c->state; }")
    environment: Dict[str, str] = {**os.environ, "BPFDUET_HEADERS": "btf"}
    for offset, status in ((24, 0), (16, 1)):
        done = subprocess.run([PYTHON, "-c", SCRIPT, str(ROOT / "python"), str(folder.vmlinux)],
                              input=program % offset, text=True, env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert bool(done.returncode) == bool(status), done.stderr


def _list_head(folder: Path) -> Path:
    path = folder / "list_head.h"
    path.write_text("struct list_head { struct list_head *next, *prev; };\n")
    return path
