# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Tools are built against the BTF of another kernel than the one that runs."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import debian
import frontends


def make(btf: Path, folder: Path, target: str) -> str:
    """Make something below `folder` against a BTF file; the text of vmlinux.h."""
    subprocess.run(["make", "-s", f"-j{os.cpu_count()}", f"BUILD={folder}", f"VMLINUX_BTF={btf}", target],
                   cwd=frontends.ROOT, check=True)
    return (folder / "vmlinux.h").read_text()


@pytest.mark.host_only
@debian.needs_packages
@pytest.mark.parametrize("series", [debian.SERIES[0], debian.SERIES[-1]])
def test_all_tools(series: str, tmp_path: Path) -> None:
    """Against the oldest and the newest: structs have had other names, and Linux 7 has members
    that are nothing but `struct x;`."""
    text = make(debian.kernel(series).btf / "vmlinux", tmp_path, "objects")
    assert ("\n\tstruct ns_tree;\n" in text) == (series == "7")
    assert len(list(tmp_path.glob("bpf/*.bpf.o"))) == len(
        list((frontends.ROOT / "shared_bpf").glob("*.bpf.c")))


@pytest.mark.host_only
def test_length_of_names(tmp_path: Path) -> None:
    """Before Linux 5.17 TASK_COMM_LEN was a macro."""
    (tmp_path / "task.c").write_text("struct task_struct { char comm[16]; } task;\n")
    clang = ["clang", "-g", "-O2", "-target", "bpf", "-c"]
    subprocess.run([*clang, str(tmp_path / "task.c"), "-o", str(tmp_path / "btf")], check=True)
    make(tmp_path / "btf", tmp_path, str(tmp_path / "vmlinux.h"))
    (tmp_path / "use.c").write_text('#include "vmlinux.h"\nchar comm[TASK_COMM_LEN];\n'
                                    '_Static_assert(sizeof(comm) == 16, "");\n')
    subprocess.run([*clang, "-Wall", "-Werror", str(tmp_path / "use.c"), "-o",
                    str(tmp_path / "use.o")], check=True)
