# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where the files beside the package are, in the tree or where setup.py put them: the tools too."""
from __future__ import annotations

from pathlib import Path
from typing import List, Union

from .errors import Error


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


def names() -> List[str]:
    """The tools of the tree, sorted."""
    return sorted(path.name[:-len(".bpf.c")] for path in TOOLS.glob("*.bpf.c"))


def find(name: Union[str, Path]) -> Path:
    """The .bpf.c file of a tool's name or of a path. Raises Error."""
    path = Path(name)
    if path.name.endswith(".bpf.c"):
        if not path.is_file():
            raise Error(f"{path} is not a file" if path.exists() else f"there is no file {path}")
        return path
    path = TOOLS / f"{name}.bpf.c"
    if "/" in str(name) or not path.is_file():
        from .spec.read import did_you_mean     # late: nearly no start needs it
        raise Error(f"there is no tool '{name}'{did_you_mean(str(name), names())}; "
                    "'bpfduet list' shows all")
    return path
