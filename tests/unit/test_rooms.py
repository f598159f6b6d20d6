# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The engine's rooms: includes point downwards only, and the map of the house has them all."""
from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "c_loader"
# Each may include itself and what is before it; bpfduet.h, which says what all of it is for, anybody.
ROOMS = ["base", "spec", "kernel", "symbols", "output", "run", "", "programs"]


def test_includes_point_downwards() -> None:
    seen = 0
    for path in sorted(ENGINE.glob("**/*.[ch]")):
        room = path.parent.name if path.parent != ENGINE else ""
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            if name in ("bpfduet.h", "TOOL.skel.h"):
                continue
            assert (ENGINE / name).is_file(), f"{path}: {name}"
            other = name.rpartition("/")[0]
            assert ROOMS.index(other) <= ROOMS.index(room), f"{path.relative_to(ROOT)} includes {name}"
            seen += 1
    assert seen > 100


def test_the_map_is_whole() -> None:
    """docs/architecture.md names each room and each file in it."""
    text = (ROOT / "docs/architecture.md").read_text()
    package, engine = text.split("## python/bpfduet/\n")[1].split("\n## ")[:2]
    for path in sorted(ENGINE.glob("**/*.c")):
        room = "above them" if path.parent == ENGINE else f"`{path.parent.name}/`"
        assert f"`{path.stem}`" in _row(engine, room), path
    for path in sorted((ROOT / "python/bpfduet").glob("**/*.py")):
        room = path.parent.name
        if room not in ("plain", "kernel_headers") and path.stem not in ("__init__", "__main__"):
            assert f"`{path.stem}`" in (package if room == "bpfduet" else _row(package, f"`{room}/`")), path


def _row(table: str, room: str) -> str:
    found = re.search(rf"^\| {re.escape(room)} \|.*$", table, re.MULTILINE)
    assert found, room
    return found[0]
