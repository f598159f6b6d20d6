# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The part of a kernel's types that one program needs."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from .index import MEMBER, Index
from .text import (
    ATTRIBUTE, FUNCTION_MEMBER, NOISE, TAG, WORD, defined_by, macros_of, used_macros, words_of,
)

# What BCC's generated code uses without the program naming it.
ALWAYS = ("struct pt_regs",)
# The integer types: BCC declares a tracepoint's fields with them, whatever the program says.
ALWAYS_WORDS = ("BPF_ANY", "BPF_EXIST", "BPF_NOEXIST", "BPF_F_CURRENT_CPU", "BPF_F_LOCK",
                "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "bool")
# What helpers.h uses, for when no libbcc is found.
HELPERS_WORDS = frozenset((
    "__be16", "__be32", "__be64", "__s16", "__s32", "__s64", "__s8", "__sum16", "__u16", "__u32",
    "__u64", "__u8", "__wsum", "bool", "dev_t", "gfp_t", "loff_t", "pid_t", "s16", "s32", "s64",
    "s8", "sector_t", "size_t", "ssize_t", "u16", "u32", "u64", "u8", "uintptr_t", "umode_t",
    "true", "false", "BPF_FUNC_map_lookup_elem",
))
_HEAD = re.compile(r"\s*(?:(?:const|volatile)\s+)*(?:(struct|union|enum)\s+(\w+)|(\w+))")
_BY_VALUE = re.compile(r"\b(struct|union|enum)\s+(\w+)\s+\w+\s*[\[;]")


@dataclass
class _Definition:
    """What one definition asks for: complete types, declared typedefs, pointers (member, key)."""

    members: Set[str] = field(default_factory=set)
    values: Set[str] = field(default_factory=set)
    declared: Set[str] = field(default_factory=set)
    pointers: Set[Tuple[Optional[str], str]] = field(default_factory=set)

    def add(self, line: str, places: Dict[str, Tuple[int, int]]) -> None:
        """Take in one declaration that ends with a semicolon."""
        line = ATTRIBUTE.sub("", line)
        if "(" in line:
            name = FUNCTION_MEMBER.search(line)
            keys = {" ".join(tag) for tag in TAG.findall(line)}
            keys |= {word for word in WORD.findall(line) if word in places}
            array = re.search(r"\)\s*\[", line)
            for key in keys:
                (self.values if array or key.startswith("enum ") else self.declared).add(key)
        else:
            name = MEMBER.search(line)
            head = _HEAD.match(line)
            if head is None:
                return
            key = head.group(3) or head.group(1) + " " + head.group(2)
            if "*" not in line or key.startswith("enum "):
                self.values.add(key)
            else:
                self.declared.add(key)
                self.pointers.add((name.group(1) if name else None, key))
        if name is not None:
            self.members.add(name.group(1))


class Cut:
    """The part of an index that one program needs, complete in itself."""

    def __init__(self, index: Index, words: FrozenSet[str], own_tags: Set[str]) -> None:
        self.index = index
        self.words = words
        self.own_tags = own_tags
        self.complete: Dict[str, bool] = {}  # False: a typedef that is only declared
        self.todo: List[str] = []
        self.parsed: Dict[str, _Definition] = {}

    def parse(self, key: str) -> _Definition:
        """The definition of a key that the index has."""
        known = self.parsed.get(key)
        if known is not None:
            return known
        result = _Definition()
        text = self.index.definition(key)
        body = text.find("{")
        if body < 0:
            result.add(text[len("typedef "):], self.index.places)
            if not key.startswith(("struct ", "union ", "enum ")):
                result.pointers = {(None, target) for _, target in result.pointers}
        else:
            for line in text[body + 1:].split("\n")[1:-1]:
                if line.endswith(";") and not line.lstrip().startswith("}"):
                    result.add(line, self.index.places)
                elif line.endswith(";"):
                    result.members.update(WORD.findall(ATTRIBUTE.sub("", line)))
        self.parsed[key] = result
        return result

    def is_alias(self, key: str) -> bool:
        """Whether a key is a typedef without a body."""
        return key.find(" ") < 0 and "{" not in self.index.definition(key)

    def members(self, key: str) -> Set[str]:
        """The members reached through an object of a type, nested anonymous ones included."""
        while key in self.index.places and self.is_alias(key):
            targets = self.parse(key).values
            if len(targets) != 1:
                return set()
            key = next(iter(targets))
        return self.parse(key).members if key in self.index.places else set()

    def need(self, key: str, complete: bool = True) -> None:
        """Take a type in; `complete` False: a typedef is wanted, but not what it stands for."""
        if key not in self.index.places or (not complete and " " in key):
            return
        if complete and self.complete.get(key) or not complete and key in self.complete:
            return
        self.complete[key] = complete
        self.todo.append(key)

    def need_words(self, words: Iterable[str]) -> None:
        """Take in the typedefs and enumerations that `words` name."""
        for word in words:
            self.need(word)
            # A lower-case enumerator is likelier the program's own name, and would collide.
            key = self.index.enumerators.get(word)
            if key is not None and (not word.islower() or word in ("true", "false")):
                self.need(key)

    def follow(self) -> None:
        """Take in all that what is there needs."""
        while self.todo:
            key = self.todo.pop()
            definition = self.parse(key)
            text = self.index.definition(key)
            hollow = not self.complete[key] and self.is_alias(key) and "[" not in text
            for value in definition.values:
                self.need(value, not hollow)
            for declared in definition.declared:
                self.need(declared, False)
            for member, target in definition.pointers:
                if member is not None and member not in self.words or target in self.own_tags:
                    continue
                if self.members(target) & self.words:
                    self.need(target)

    def render(self, mentioned: Iterable[Tuple[str, str]]) -> str:
        """The C text, in the order of vmlinux.h.

        Every other struct that it or `mentioned` names is declared first. At the end the sizes are
        compared with BTF's: bpftool cannot write every layout in C, and a wrong one must not pass.
        """
        places = sorted(self.index.places[key] for key in self.complete)
        body = "\n\n".join(self.index.text[start:end] for start, end in places)
        forward = sorted({tag for tag in [*TAG.findall(body), *mentioned] if tag[0] != "enum"})
        checks = ['_Static_assert(sizeof(%s) == %d, "%s is not laid out as the kernel has it");\n'
                  % (key, self.index.sizes[key], key)
                  for key in sorted(self.complete) if key in self.index.sizes]
        return "".join(["%s %s;\n" % tag for tag in forward] + ["\n", body, "\n"] + checks)


def cut(index: Index, program: str, constants: str = "") -> str:
    """The definitions that `program` (C text with its includes) needs, of `index`.

    `constants` is the text of kernel_constants.h; only what the program uses of it counts.
    """
    program = NOISE.sub(" ", program)
    words = words_of(program)
    program_tags = set(TAG.findall(program))
    own_tags, own_names = defined_by(program)

    macros, _ = macros_of(constants)
    from_constants = used_macros(macros, words)
    helper_macros, helpers = macros_of(NOISE.sub(" ", index.helpers))
    helper_tags, _ = defined_by(helpers)
    helper_words = words_of(helpers) if index.helpers else HELPERS_WORDS
    from_helpers = used_macros(helper_macros, words | helper_words)
    own_tags |= helper_tags

    chosen = Cut(index, words | words_of(from_constants), own_tags)
    named = program_tags.union(TAG.findall(from_constants + from_helpers),
                               _BY_VALUE.findall(helpers))
    roots = {" ".join(tag) for tag in named}
    for key in (roots - own_tags) | set(ALWAYS):
        chosen.need(key)
    chosen.need_words((words | words_of(from_constants)) - own_names)
    chosen.need_words((helper_words | words_of(from_helpers)).union(ALWAYS_WORDS))
    chosen.follow()

    text = chosen.render(program_tags | set(TAG.findall(helpers)))
    # What the program defines too is renamed here: by value it may be part of what is needed.
    for key in sorted(own_tags & set(chosen.complete)):
        keyword, name = key.split(" ")
        text = re.sub(r"\b%s %s\b" % (keyword, name), "%s %s___kernel" % (keyword, name), text)
    clashes = (own_names - helper_words) & (set(chosen.complete) | set(index.enumerators))
    if clashes:
        text = re.sub(r"\b(%s)\b" % "|".join(sorted(clashes)), r"\1___kernel", text)
    return text
