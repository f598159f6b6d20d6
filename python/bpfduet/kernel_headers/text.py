# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a C text names, defines and includes."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

WORD = re.compile(r"[A-Za-z_]\w*")
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
TAG = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
FUNCTION_MEMBER = re.compile(r"\(\*+\s*(?:const\s+)?(\w+)")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n\\]|\\\n|\\.)*)$", re.M)
_BODY = re.compile(
    r"\b(typedef\s+)?(struct|union|enum)\b(?:\s+(\w+))?(?:\s+__\w+)*\s*\{")
# Conditions that are known where __BCC__ is defined.
_BCC_CONDITIONS = {
    ("ifdef", "__BCC__"): True, ("if", "defined(__BCC__)"): True, ("if", "defined__BCC__"): True,
    ("ifndef", "__BCC__"): False, ("if", "!defined(__BCC__)"): False,
    ("if", "!defined__BCC__"): False,
}


def words_of(text: str) -> FrozenSet[str]:
    """The identifiers of a C text, comments and strings left out."""
    return frozenset(WORD.findall(NOISE.sub(" ", text)))


def bcc_side(text: str) -> str:
    """`text` without what `#ifdef __BCC__` and its kin leave out when __BCC__ is defined."""
    kept: List[str] = []
    stack: List[Optional[bool]] = []  # None: a condition that this function does not judge
    for line in text.splitlines(keepends=True):
        directive = re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*(.*)", line)
        if directive is None:
            if False not in stack:
                kept.append(line)
            continue
        word, rest = directive.groups()
        condition = re.sub(r"\s+|/[*/].*", "", rest)
        if word in ("if", "ifdef", "ifndef"):
            stack.append(_BCC_CONDITIONS.get((word, condition)))
        elif word in ("elif", "else") and stack and stack[-1] is not None:
            stack[-1] = not stack[-1] if word == "else" else False if stack[-1] else None
        elif word == "endif" and stack:
            stack.pop()
        if False not in stack:
            kept.append("\n" if "__BCC__" in condition else line)
    return "".join(kept)


def macros_of(text: str) -> Tuple[Dict[str, str], str]:
    """The macros of a text, name to everything after the name, and the text without them."""
    macros: Dict[str, str] = {}
    for name, body in _MACRO.findall(text):
        macros[name] = macros.get(name, "") + " " + body
    return macros, _MACRO.sub("", text)


def used_macros(macros: Dict[str, str], words: Iterable[str]) -> str:
    """The bodies of the macros that `words` name, and of those that these name in turn."""
    bodies: List[str] = []
    done: Set[str] = set()
    todo = [word for word in words if word in macros]
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            bodies.append(macros[name])
            todo += [word for word in words_of(macros[name]) if word in macros]
    return "\n".join(bodies)


def defined_by(text: str) -> Tuple[Set[str], Set[str]]:
    """What a program defines itself: ("struct x" keys, typedef names and enumerators)."""
    text = ATTRIBUTE.sub(" ", NOISE.sub(" ", text))
    tags: Set[str] = set()
    names: Set[str] = set()
    for found in _BODY.finditer(text):
        typedef, keyword, tag = found.groups()
        if tag:
            tags.add(keyword + " " + tag)
        end, depth = found.end(), 1
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if keyword == "enum":
            names.update(re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", text[found.end():end - 1]))
        if typedef:
            names.update(WORD.findall(text[end:].split(";", 1)[0]))
    for declaration in re.findall(r"\btypedef\b([^;{}]*);", text):
        function = FUNCTION_MEMBER.search(declaration)
        plain = re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", declaration)
        name = function or plain
        if name:
            names.add(name.group(1))
    return tags, names


def read_sources(source: str, include_dirs: Sequence[Path], looked_for: Optional[Set[Path]] = None
                 ) -> Tuple[str, Tuple[str, ...]]:
    """The text of a program, as `bcc_side` gives it, and behind it of what it includes from
    `include_dirs`; other headers it names. ``looked_for`` gets all the files that would be
    included, were they there."""
    texts: List[str] = []
    unknown: Set[str] = set()
    done: Set[Path] = set()
    todo: List[Tuple[str, Sequence[Path]]] = [(source, include_dirs)]
    while todo:
        text, dirs = todo.pop()
        text = bcc_side(text)
        texts.append(text)
        for _, name in _INCLUDE.findall(text):
            if looked_for is not None:
                looked_for.update(d / name for d in dirs)
            path = next((d / name for d in dirs if (d / name).is_file()), None)
            if path is None:
                unknown.add(name)
                continue
            path = path.resolve()
            if path not in done:
                done.add(path)
                todo.append((path.read_text(errors="replace"), [path.parent, *include_dirs]))
    return "\n".join(texts), tuple(sorted(unknown))
