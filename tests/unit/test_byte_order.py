# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The engine does not compile where it would read and write other bytes than it means."""
from __future__ import annotations

import subprocess
from pathlib import Path

ENGINE = Path(__file__).resolve().parents[2] / "c_loader"


def compiled_for(order: str) -> "subprocess.CompletedProcess[str]":
    """What a compiler says of the source for a machine of that byte order."""
    return subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-w",
                           "-U__BYTE_ORDER__", f"-D__BYTE_ORDER__=__ORDER_{order}_ENDIAN__",
                           "-iquote", str(ENGINE), str(ENGINE / "spec/spec.c")], stderr=subprocess.PIPE, text=True, check=False)


def test_little_endian() -> None:
    """With the byte order that it is for."""
    assert compiled_for("LITTLE").returncode == 0


def test_big_endian() -> None:
    """One sentence for another."""
    said = compiled_for("BIG")
    assert said.returncode == 1 and "it is for little-endian machines alone" in said.stderr
