# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The dialect costs nothing: its objects hold the code that hand-written libbpf gives."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

pytestmark = pytest.mark.host_only

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLANGS = [name for name in ("clang", "clang-19") if shutil.which(name)]


def compile_bpf(clang: str, source: Path, out: Path) -> None:
    subprocess.run([clang, "-g", "-O2", "-mcpu=v3", "-target", "bpf", "-D__TARGET_ARCH_x86",
                    f"-I{ROOT / 'build'}", f"-I{ROOT / 'headers'}", "-Wall", "-Werror",
                    "-c", str(source), "-o", str(out)], check=True)


def programs(objdump: str, path: Path) -> Dict[str, List[str]]:
    """Instructions of each program: addresses left out, maps by name."""
    text = subprocess.run([objdump, "-d", "-r", "--no-show-raw-insn", str(path)],
                          check=True, stdout=subprocess.PIPE).stdout.decode()
    found: Dict[str, List[str]] = {}
    code: List[str] = []
    for line in text.splitlines():
        start = re.match(r"[0-9a-f]+ <(\w+)>:", line)
        if start and start.group(1).startswith("op_"):
            code = found[start.group(1)] = []
            continue
        relocation = re.match(r"\s+[0-9a-f]+:\s+(R_BPF_\w+)\s+(\S+)", line)
        instruction = re.match(r"\s+\d+:\s+(.*)", line)
        if relocation:
            code.append(f"{relocation.group(1)} {relocation.group(2)}")
        elif instruction:
            code.append(re.sub(r" <.*>", "", instruction.group(1)).strip())
    return found


@pytest.fixture(scope="module", params=CLANGS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp(request.param)
    objdump = "llvm-objdump" + request.param[len("clang"):]
    for name in ("ops_dialect", "ops_plain"):
        compile_bpf(request.param, HERE / f"{name}.bpf.c", folder / f"{name}.o")
    return (programs(objdump, folder / "ops_dialect.o"), programs(objdump, folder / "ops_plain.o"),
            folder)


def test_same_programs(both):
    dialect, plain, _ = both
    assert len(plain) >= 19
    assert dialect.keys() == plain.keys()


# The key is a struct passed by value: clang merges the stores of its fields. For this one, the
# same calls on the same maps in no more instructions.
MERGED_STORES = {"op_keyed"}


def test_same_instructions(both):
    dialect, plain, _ = both
    differing = {name for name in plain if dialect[name] != plain[name]} - MERGED_STORES
    assert not differing, "\n".join(
        f"{name}:\n dialect {dialect[name]}\n plain   {plain[name]}" for name in differing)


def test_merged_stores_cost_nothing(both):
    dialect, plain, _ = both
    for name in MERGED_STORES:
        calls = [[line for line in side[name] if re.match("call|R_BPF", line)]
                 for side in (dialect, plain)]
        assert calls[0] == calls[1]
        assert len(dialect[name]) <= len(plain[name])


def sections(path: Path) -> List[str]:
    text = subprocess.run(["llvm-readelf", "-S", "-W", str(path)], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    names = re.findall(r"\]\s+(\S+)\s+(?:PROGBITS|NOBITS)", text)
    return sorted(name for name in names if not name.startswith((".debug", ".BTF")))


def test_no_tables_left(both):
    """The method tables are folded away: no symbol, and no section that plain code has not."""
    folder = both[2]
    symbols = subprocess.run(["llvm-nm", str(folder / "ops_dialect.o")], check=True,
                             stdout=subprocess.PIPE).stdout.decode()
    assert "op_lookup" in symbols
    assert "__ops" not in symbols
    assert sections(folder / "ops_dialect.o") == sections(folder / "ops_plain.o")
