#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Lines of each tool, beside those of bcc's two tools of its name: the table of docs/size.md.

Usage: scripts/size.py FOLDER, a checkout of bcc.
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterable, List

OURS = Path(__file__).resolve().parents[1] / "shared_bpf"
GOAL = 6


def lines(paths: Iterable[Path]) -> int:
    """Lines of the files that are there, remarks and empty ones among them."""
    return sum(path.read_bytes().count(b"\n") for path in paths if path.exists())


def row(tool: str, bcc: Path) -> str:
    """A tool's line of the table."""
    spec, kernel = lines([OURS / f"{tool}.toml"]), lines([OURS / f"{tool}.bpf.c"])
    cells: List[object] = [f"`{tool}`", spec, kernel, spec + kernel]
    python = lines([bcc / "tools" / f"{tool}.py"])
    c = lines(bcc / "libbpf-tools" / f"{tool}{end}" for end in (".c", ".h", ".bpf.c"))
    if python and c:
        share = (python + c) / (spec + kernel)
        cells += [python, c, f"1/{share:.1f}" + (" (more than a sixth)" if share < GOAL else "")]
    else:
        cells += ["", "", ""]
    return "| " + " | ".join(map(str, cells)) + " |"


def main(arguments: List[str]) -> int:
    """Print the table."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "libbpf-tools").is_dir():
        print("Usage: scripts/size.py FOLDER, a checkout of bcc", file=sys.stderr)
        return 2
    tools = sorted(path.stem for path in OURS.glob("*.toml") if path.stem != "common")
    print("| tool | spec | kernel half | both | bcc's Python | bcc's libbpf | share |\n"
          "|---|---|---|---|---|---|---|")
    for tool in tools:
        print(row(tool, Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
