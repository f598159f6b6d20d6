# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Writes the table of docs/portability.md from what the last ``make check`` left in build/vm."""
from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, Tuple
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frontends import ROOT, TEST_TOOLS  # noqa: E402
from vm.kernels import FOLDER  # noqa: E402

PAGE = ROOT / "docs" / "portability.md"
PLACE = re.compile(r"(?<=<!-- made by tests/vm/table.py -->\n).*?(?=<!-- end -->)", re.DOTALL)
# suite and frontend of a column, by its heading
MODES = {"C": ("btf", "c"), "BCC": ("btf", "bcc"), "BCC, real headers": ("headers", "bcc")}

Counts = Dict[str, "Counter[str]"]     # of a tool: how its tests ended


def counted(file: Path, frontend: str) -> Counts:
    """How the tests ended that ran a tool through this frontend, by tool."""
    counts: Counts = {}
    for case in ElementTree.parse(file).iter("testcase"):
        end = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")),
                   "passed")
        for noted in case.iter("property"):
            tool, _, through = noted.get("value", "").partition(" ")
            if noted.get("name") == "ran" and through == frontend:
                counts.setdefault(tool, Counter())[end] += 1
    return counts


def columns() -> List[Tuple[str, Counts]]:
    """Heading and counts of every kernel and mode, the machine's own kernel last."""
    found = []
    for place in sorted(FOLDER.glob("*/results/release")):
        release = ".".join(place.read_text().split(".")[:2])
        for mode, (suite, frontend) in MODES.items():
            file = place.with_name(f"{suite}.xml")
            if file.exists():
                found.append((f"{release}: {mode}", counted(file, frontend)))
    return found


def cell(counts: "Counter[str]") -> str:
    failed = counts["failure"] + counts["error"]
    return f"**{failed} failed**" if failed else str(counts["passed"] or "-")


def table() -> str:
    """The table, in Markdown."""
    shown = columns()
    sources = [*ROOT.glob("shared_bpf/*.bpf.c"), *TEST_TOOLS.glob("*.bpf.c")]
    lines = ["| | " + " | ".join(heading for heading, _ in shown) + " |",
             "|---" * (len(shown) + 1) + "|"]
    for tool in (source.name[:-len(".bpf.c")] for source in sources):
        cells = [cell(counts.get(tool, Counter())) for _, counts in shown]
        lines.append(f"| `{tool}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines[:2], *sorted(lines[2:])]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(PLACE.sub(lambda _: table(), PAGE.read_text()))
