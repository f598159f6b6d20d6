# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""docs/coverage.md: which tool uses which helper and which command of bpf(). All of it is true."""
from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence, Set

import pytest

from frontends import BIN, BUILD, FRONTENDS, PATIENCE_S, ROOT, WORKLOADS, command
from needs import mount_bpffs
from parity.network import MAP_LOOKUP_BATCH, own_network
from parity.test_old_style import SOURCE as OLD_STYLE
from parity.test_old_style import built as build_old_style

HELPERS, COMMANDS = [
    [[cell.strip(" `") for cell in row.strip("|").split("|")]
     for row in re.findall(r"^\| `.*\|$", part, re.MULTILINE)]
    for part in (ROOT / "docs" / "coverage.md").read_text().split("## Commands")]
OBJDUMP = shutil.which("llvm-objdump") or \
    str(max(Path("/usr/bin").glob("llvm-objdump-*"), default="llvm-objdump"))
PACKETS = str(WORKLOADS / "packets")


@pytest.mark.host_only
def test_tables() -> None:
    """There is something to check, and nothing twice."""
    for rows in (HELPERS, COMMANDS):
        names = [row[0] for row in rows]
        assert len(names) > 10 and len(set(names)) == len(names)


def runs(test: str, tool: str) -> bool:
    """Whether a test names a tool."""
    return bool(re.search(rf"\b{tool}\b", (ROOT / test).read_text()))


# -- helpers ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def numbers() -> Dict[str, int]:
    """Helpers by name, out of the kernel's BTF."""
    return {name: int(number) for name, number in re.findall(
        r"\bBPF_FUNC_(\w+) = (\d+),", (BUILD / "vmlinux.h").read_text())}


@pytest.fixture(scope="module", name="old_style")
def old_style_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tool of the tests that no folder of tools has."""
    return build_old_style(tmp_path_factory.mktemp("old_style"))


@pytest.mark.host_only
@pytest.mark.parametrize("helper, tool, test", HELPERS, ids=[row[0] for row in HELPERS])
def test_helper(helper: str, tool: str, test: str, old_style: Path) -> None:
    """The tool's object calls it."""
    built = old_style if tool == "old_style" else BUILD / "bpf" / f"{tool}.bpf.o"
    code = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", str(built)], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    called = {int(number, 0) for number in re.findall(r"\bcall (0x[0-9a-f]+|\d+)$", code,
                                                      re.MULTILINE)}
    assert numbers()[helper] in called
    assert runs(test, tool)


# -- commands --------------------------------------------------------------------------------


def traced(argv: Sequence[str], calls: Path) -> Set[str]:
    """The commands of bpf() that a run gives, without BPF_."""
    done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=bpf", "-o", str(calls), *argv],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE_S,
                          check=False)
    assert done.returncode == 0, done.stderr
    # those that succeed; ENOENT is the end of a map
    return set(re.findall(r"\bbpf\(BPF_(\w+), .*\) = (?:\d+$|-1 ENOENT)", calls.read_text(),
                          re.MULTILINE))


def command_lines(frontend: str, tool: str, old_style: Path) -> List[List[str]]:
    """Runs in which all commands of a tool occur."""
    if tool == "old_style":
        start = [str(BIN / "bpfduet-loader"), str(old_style)] if frontend == "c" else \
            [str(ROOT / "bpfduet"), "run", str(OLD_STYLE)]
        return [[*start, "--duration", "1"]]
    if tool == "cgroupnet":
        return [command(frontend, tool, ["--", "true"])]
    if tool == "xdpcount":
        return [command(frontend, tool, ["lo", "--duration", "1"])]
    folder = f"/sys/fs/bpf/bpfduet-coverage-{os.getpid()}"
    run = command(frontend, tool, ["lo", "--pin", folder, "--", PACKETS, "udp4", "23", "100"])
    return [run, [str(WORKLOADS / "lacks"), MAP_LOOKUP_BATCH, "--", *run]]


@pytest.fixture(scope="module", name="given")
def given_commands(workloads, old_style: Path, tmp_path_factory: pytest.TempPathFactory
                   ) -> Dict[str, Dict[str, Set[str]]]:
    """Commands by frontend and tool. Each tool is run once: strace is slow."""
    mount_bpffs()
    calls = tmp_path_factory.mktemp("strace") / "calls"
    with own_network():
        return {frontend: {tool: set().union(*[
            traced(argv, calls) for argv in command_lines(frontend, tool, old_style)])
            for tool in sorted({row[1] for row in COMMANDS})} for frontend in FRONTENDS}


@pytest.mark.host_only
@pytest.mark.needs("netns")
@pytest.mark.parametrize("name, tool, frontends, test", COMMANDS, ids=[row[0] for row in COMMANDS])
def test_command(name: str, tool: str, frontends: str, test: str,
                 given: Dict[str, Dict[str, Set[str]]]) -> None:
    """The frontends give it, and those that the table does not name do not."""
    wanted = {"both": set(FRONTENDS), "C": {"c"}, "BCC": {"bcc"}}[frontends]
    assert {frontend for frontend in FRONTENDS if name in given[frontend][tool]} == wanted
    assert runs(test, tool)
