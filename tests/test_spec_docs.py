# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The tools that docs/spec.md shows work, in both modes, as they are printed there."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List

import pytest

import frontends

pytestmark = pytest.mark.host_only

PAGE = frontends.ROOT / "docs" / "spec.md"
FILE = re.compile(r"`shared_bpf/(\w+)(\.bpf\.c|\.toml)`:\n\n```(?:c|toml)\n(.*?)```", re.S)
TOOLS = ["execcount", "openlat", "mkdirsnoop"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, compiled ahead of time."""
    made = tmp_path_factory.mktemp("tools")
    found = FILE.findall(PAGE.read_text())
    assert [(name, end) for name, end, _ in found] == [
        (name, end) for name in TOOLS for end in (".bpf.c", ".toml")]
    for name, end, text in found:
        (made / (name + end)).write_text(text)
    subprocess.run(["make", "-s", f"TOOLS_DIR={made}", f"BUILD={made / 'build'}", "WERROR=1",
                    *(str(made / "build" / "bin" / name) for name in TOOLS)],
                   cwd=frontends.ROOT, check=True, stdout=subprocess.DEVNULL)
    return made


@pytest.fixture(name="lines", params=frontends.FRONTENDS)
def _lines(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """What a tool prints about a command."""
    monkeypatch.setattr(frontends, "BIN", folder / "build" / "bin")

    def lines(tool: str, args: List[str], script: str) -> List[bytes]:
        result = frontends.run(request.param, str(folder / f"{tool}.bpf.c"),
                               [*args, "--", "sh", "-c", script])
        assert result.status == 0, result.stderr
        return result.lines()
    return lines


def test_table(lines) -> None:
    assert lines("execcount", [], "/bin/true; /bin/true; /bin/true") == [
        b"COMM               STARTS", b"true                    3", b"sh                      1"]


def test_histogram(lines) -> None:
    """In both units, of all programs and of each."""
    def counted(found: List[bytes]) -> int:
        return sum(int(line.split(b":")[1].split(b"|")[0]) for line in found if b"->" in line)

    script = "cat /dev/null; cat /dev/null"
    for args, unit in (([], b"usecs"), (["-m"], b"msecs")):
        head, *rest = lines("openlat", args, script)
        assert head.split() == [unit, b":", b"count", b"distribution"]
        assert counted(rest) > 0
    found = lines("openlat", ["-nm"], script)
    sections = [line for line in found if line.startswith(b"comm = ")]
    assert sections == [b"comm = cat", b"comm = sh"] and counted(found) > 0
    assert sum(b"msecs" in line for line in found) == 2


def test_events(lines, tmp_path: Path) -> None:
    short, long = tmp_path / "a", tmp_path / ("b" * 100)
    script = f"mkdir {short} {long}; mkdir -m 1700 {tmp_path}/c; rmdir {tmp_path}/*"
    head, first, second, third = lines("mkdirsnoop", ["-T"], script)
    assert head == b"TIME      PID     USER     COMM             MODE   PATH"
    time, pid, user, comm, mode, path = first.split()
    assert re.fullmatch(rb"\d\d:\d\d:\d\d", time) and pid.isdigit()
    assert (user, comm, mode, path) == (b"root", b"mkdir", b"0777", str(short).encode())
    # 64 bytes have room for 63 and a NUL
    assert second.split()[5] == str(long).encode()[:63] + "…".encode()
    head, *shown = lines("mkdirsnoop", ["-m", "--path", "/c"], script)
    assert [line.split()[3:] for line in shown] == [[b"sticky|0x1c0", f"{tmp_path}/c".encode()]]
    assert third.split()[4] == b"1700"
