# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Every definition of a kernel's types, found by name."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Tuple

from .text import ATTRIBUTE, FUNCTION_MEMBER, TAG

_CHUNK = re.compile(
    r"^(?:typedef|struct|union|enum)\b[^\n;{]*"
    r"(?:;|\{[^\n]*;|\{\n(?:\t[^\n]*\n|\n)*\}[^\n]*;)$", re.M)
_FORWARD = re.compile(r"(?:struct|union|enum) \w+;|[^{]*__attribute__\(\([^{]*;")
_ENUMERATOR = re.compile(r"^\t+([A-Za-z_]\w*)(?: = -?\w+)?,$", re.M)
MEMBER = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?::\s*\d+\s*)?;")
_FUNCTION_TYPE = re.compile(r"(\w+)\s*\)?\s*\(")


@dataclass
class Index:
    """One kernel's definitions and what else a cut needs to know.

    text: vmlinux.h. places: key to (start, end) in it; a key is "struct x", "union x", "enum x",
    a typedef's name, or "enum @START" for one without a name. enumerators: name to key.
    config: CONFIG_x to value. helpers: text of BCC's helpers.h and proto.h. functions:
    BPF_FUNC_x to number, where BTF lacks it. kallsyms: lines for without_kallsyms().
    sizes: bytes of structs and unions by key, as BTF tells them.
    """

    text: str
    places: Dict[str, Tuple[int, int]]
    enumerators: Dict[str, str]
    config: Dict[str, str] = field(default_factory=dict)
    helpers: str = ""
    functions: Dict[str, int] = field(default_factory=dict)
    kallsyms: str = ""
    sizes: Dict[str, int] = field(default_factory=dict)

    def definition(self, key: str) -> str:
        start, end = self.places[key]
        return self.text[start:end]


def parse(text: str, start: int = 0) -> Index:
    """Index the C text that `bpftool btf dump ... format c` prints, from `start` on."""
    places: Dict[str, Tuple[int, int]] = {}
    enumerators: Dict[str, str] = {}
    for found in _CHUNK.finditer(text, start):
        chunk = found.group()
        if chunk.startswith("typedef"):
            flat = ATTRIBUTE.sub("", chunk[chunk.rfind("\n}") + 1:] if "{" in chunk else chunk)
            name = (FUNCTION_MEMBER.search(flat) or _FUNCTION_TYPE.search(flat)
                    or MEMBER.search(flat))
            if name is None:
                continue
            key = name.group(1)
        elif _FORWARD.fullmatch(chunk):
            continue
        else:
            tag = TAG.match(chunk)
            key = " ".join(tag.groups()) if tag else "enum @%d" % found.start()
        places[key] = found.span()
        if "enum" in chunk:
            for name_ in _ENUMERATOR.findall(chunk):
                enumerators[name_] = key
    return Index(text, places, enumerators)
