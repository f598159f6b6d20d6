# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Tools are built against the BTF of another kernel than the one that runs."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import debian
import frontends

# One of each: structs that are walked, a tracepoint's, those of a library's header.
TOOLS = "opensnoop tcplife usdtsnoop"


def build(btf: Path, folder: Path) -> str:
    """Build the kernel halves of TOOLS against a BTF file; the text of vmlinux.h."""
    subprocess.run(["make", "-s", f"BUILD={folder}", f"VMLINUX_BTF={btf}", f"TOOLS={TOOLS}",
                    "objects"], cwd=frontends.ROOT, check=True)
    return (folder / "vmlinux.h").read_text()


@pytest.mark.host_only
@debian.needs_packages
def test_unnamed_members(tmp_path: Path) -> None:
    """Linux 7 has members that are nothing but `struct x;`."""
    assert "\n\tstruct ns_tree;\n" in build(debian.kernel("7").btf / "vmlinux", tmp_path)


@pytest.mark.host_only
def test_length_of_names(tmp_path: Path) -> None:
    """Before Linux 5.17 TASK_COMM_LEN was a macro."""
    (tmp_path / "task.c").write_text("struct task_struct { char comm[16]; } task;\n")
    clang = ["clang", "-g", "-O2", "-target", "bpf", "-c"]
    subprocess.run([*clang, str(tmp_path / "task.c"), "-o", str(tmp_path / "btf")], check=True)
    subprocess.run(["make", "-s", f"BUILD={tmp_path}", f"VMLINUX_BTF={tmp_path / 'btf'}",
                    str(tmp_path / "vmlinux.h")], cwd=frontends.ROOT, check=True)
    (tmp_path / "use.c").write_text('#include "vmlinux.h"\nchar comm[TASK_COMM_LEN];\n'
                                    '_Static_assert(sizeof(comm) == 16, "");\n')
    subprocess.run([*clang, "-Wall", "-Werror", str(tmp_path / "use.c"), "-o",
                    str(tmp_path / "use.o")], check=True)
