# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""CONFIG constants: which a kernel half has, and how BCC gets their values. Most are filled in when
a compiled program is loaded, not when it is compiled.

The compiler gets a placeholder for each, by ``-DDUET_LATE_name``, and hands it to the code as one
whole immediate: DUET_LATE() in headers/bpfduet_bcc.h. In the headers that is written around
the constants; in a tool's own text ``plan`` writes it. docs/start-up.md tells what it is good for.
"""
from __future__ import annotations

import hashlib
import re
from typing import AbstractSet, Dict, List, NamedTuple, Optional, Set, Tuple

from ..errors import Error
from ..kernel_headers.text import NOISE
from ..spec.types import Config
from ..paths import HEADERS

# The dialect's declarations: (shared, type, name, default), (shared, name, size). Two strings may follow a
# default, which are there no more where the text has lost its noise.
_STRING = r'"(?:\\.|[^"\\\n])*"'
CONFIG = re.compile(r"^\s*(DUET_SHARED_)?CONFIG\(\s*([\w ]+?)\s*,\s*(\w+)\s*,\s*([^;\"]*?)"
                    rf"(?:\s*,\s*(?:{_STRING})?){{0,2}}\s*\)\s*;", re.MULTILINE)
CONFIG_STR = re.compile(r"^\s*(DUET_SHARED_)?CONFIG_STR\(\s*(\w+)\s*,\s*(\d+)\s*\)", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|\d+)|true|false")
_WORD_OF_STRING = re.compile(r"CONFIG_STR_WORD\(\s*(\w+)\s*,\s*(\d+)\s*\)")
_LATE = re.compile(r"DUET_LATE\(\s*(\w+)\s*\)")
# Members, and where a constant is declared or named as late: no other uses of it.
_NO_USE = (rf"(?:\.|->)\s*[A-Za-z_]\w*|\b(?:DUET_SHARED_)?CONFIG\((?:{_STRING}|[^;\"\n])*(?:;|$)"
           r"|\bDUET_LATE\([^()]*\)")
_NO_USES = re.compile(_NO_USE, re.MULTILINE)
# What of a text is no use of a constant, and words that may be one.
_PARTS = re.compile(
    NOISE.pattern + r"|'(?:\\.|[^'\\\n])*'|^[ \t]*#[ \t]*include[^\n]*|" + _NO_USE
    + r"|\d[\w.]*|(?P<word>[A-Za-z_]\w*)", re.S | re.M)
_FUNCTION = re.compile(r"^static __always_inline \w+ (\w+)\([^)]*\)\n\{\n(.*?)^\}",
                       re.MULTILINE | re.DOTALL)
_INTEGERS = {
    "bool": ("bool", 1), "u8": ("uint", 1), "u16": ("uint", 2), "u32": ("uint", 4),
    "u64": ("uint", 8), "s8": ("int", 1), "s16": ("int", 2), "s32": ("int", 4), "s64": ("int", 8),
    "int": ("int", 4), "unsigned int": ("uint", 4), "long": ("int", 8),
    "unsigned long": ("uint", 8),
}


def define(name: str, value: object) -> str:
    """-D for one of the macros that DUET_PICK() looks at."""
    if isinstance(value, bytes):
        value = '"' + "".join(f"\\{byte:03o}" for byte in value.rstrip(b"\0")) + '"'
    return f"-D{name}=,{int(value) if isinstance(value, bool) else value}"


def _read_by_filters(source: str) -> Set[str]:
    """All names in the shared filters that a kernel half calls, and in those that they call."""
    headers = sorted(HEADERS.glob("bpfduet_*task.h"))
    bodies = dict(_FUNCTION.findall("".join(path.read_text() for path in headers)))
    names: Set[str] = set()
    called = [name for name in re.findall(r"\b(\w+)\s*\(", source) if name in bodies]
    while called:
        found = set(re.findall(r"\w+", bodies[called.pop()])) - names
        names |= found
        called += found & bodies.keys()
    return names


def configs_of(source: str) -> Dict[str, Config]:
    """The CONFIG constants of a kernel half, by name.

    BCC has no global data and so no type description to ask; the macro calls are read from
    the text. Those of bpfduet_task.h count if a filter that reads them is called.
    """
    read = _read_by_filters(source)
    shared = (HEADERS / "bpfduet_task.h").read_text()
    configs = {}
    for text in (source, shared):
        for _, ctype, name, _ in CONFIG.findall(text):
            if text is shared and name not in read:
                continue
            if ctype not in _INTEGERS:
                raise Error(f"CONFIG({ctype}, {name}, ...): '{ctype}' is not an integer type")
            kind, size = _INTEGERS[ctype]
            configs[name] = Config(name, None, size, kind)
        for _, name, size in CONFIG_STR.findall(text):
            if text is source or name in read:
                configs[name] = Config(name, None, int(size), "string")
    return configs


class Plan(NamedTuple):
    """A text for the compiler, and the names of the late constants in it: NAME, or NAME_NUMBER for a
    word of a string."""

    text: str
    late: Tuple[str, ...]


def placeholder(name: str) -> int:
    """The number that stands for a late constant; no half of it is a small one."""
    mark = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return mark >> 2 | 1 << 61 | 1 << 29


def number(text: str) -> Optional[int]:
    """A default, if it is a plain number."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text == "true") if text in ("true", "false") else int(text, 0)


def defaults(whole: str) -> Dict[str, str]:
    """The defaults of CONFIG constants as the text has them, by name."""
    return {name: default for _, _, name, default in CONFIG.findall(NOISE.sub(" ", whole))}


def unset_strings(whole: str) -> Dict[str, bytes]:
    """The shared filters' strings as they are until one is set: all bits are (bpfduet_bcc.h)."""
    return {name: b"\xff" * int(size) for shared, name, size in CONFIG_STR.findall(whole) if shared}


def _strings(whole: str) -> List[str]:
    """The words of strings that are read as nothing else, as NAME_NUMBER."""
    found: Set[str] = set()
    words = _WORD_OF_STRING.findall(whole)
    for shared, name, _ in CONFIG_STR.findall(whole):
        uses = len(re.findall(rf"\b{name}\b", whole)) - 1
        numbers = [number for other, number in words if other == name]
        if shared and uses == len(numbers):
            found.update(f"{name}_{number}" for number in numbers)
    return sorted(found)


def _spelled(text: str, names: AbstractSet[str]) -> str:
    """The text with DUET_LATE() around what names the constants."""
    def put(found: "re.Match[str]") -> str:
        return f"DUET_LATE({found[0]})" if found["word"] in names else found[0]
    return _PARTS.sub(put, text)


def plan(text: str, headers: str, own: bool) -> Plan:
    """What is filled in late of a program: constants of its ``headers``, and those of the text,
    its ``own``. A constant of whose default the text does not say a number is not late."""
    headers, plain = NOISE.sub(" ", headers), NOISE.sub(" ", text)
    known = {name: default for shared, _, name, default in CONFIG.findall(headers) if shared}
    names = set(_LATE.findall(headers + plain)) & known.keys()
    if own:
        mine = {name: default for shared, _, name, default in CONFIG.findall(plain) if not shared}
        known.update(mine)
        names |= mine.keys()
    # what reads it in another way, a macro of a header perhaps, would read the default
    named = re.compile(rf"\b(?:{'|'.join(names)})\b")
    lines = [line for line in (headers if own else headers + plain).splitlines()
             if named.search(line)]
    bare = named.findall(_NO_USES.sub(" ", "\n".join(lines)))
    late = {name for name in names.difference(bare) if number(known[name]) is not None}
    return Plan(_spelled(text, late) if own else text,
                (*sorted(late), *_strings(headers + plain)))
