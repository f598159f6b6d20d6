# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where the files beside the package are: in the tree, or where setup.py put them."""
from __future__ import annotations

from pathlib import Path


def _root() -> Path:
    module = Path(__file__).resolve()
    if (module.parents[2] / "shared_bpf").is_dir():
        return module.parents[2]
    for folder in module.parents:
        if (folder / "share" / "bpfduet" / "shared_bpf").is_dir():
            return folder / "share" / "bpfduet"
    raise FileNotFoundError("bpfduet's tools and headers are not installed beside it")


ROOT = _root()
HEADERS = ROOT / "headers"
TOOLS = ROOT / "shared_bpf"
COMMON = TOOLS / "common.toml"
VERSION = (ROOT / "VERSION").read_text().strip()
