# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The types of loaded modules: each module's BTF is a file of its own, beside the kernel's.

It counts its types and strings on from the kernel's. The files are searched for the few names
that a program uses and the kernel lacks, which is fast, and only a module that has one is dumped.
"""
from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path
from typing import AbstractSet, Dict, FrozenSet, Iterable, List

from .btf import BadBtf, Btf
from .index import Index, parse
from .kernel import read_btf
from .key import HeadersError
from .text import NOISE, TAG, defined_by


@dataclasses.dataclass(frozen=True)
class Module:
    """A module's BTF: the file, and a hash of what was in it."""

    path: Path
    digest: str


def missing(index: Index, program: str) -> FrozenSet[str]:
    """Keys of the types that a program names by keyword, and neither it nor the kernel defines."""
    named = {" ".join(tag) for tag in TAG.findall(NOISE.sub(" ", program))}
    return frozenset(named - defined_by(program)[0] - index.places.keys())


def defined_types(btf: Btf) -> FrozenSet[str]:
    """Keys of the structs, unions and enums that a BTF file defines. Raises BadBtf."""
    return frozenset("%s %s" % (entry.keyword, btf.string(entry.name))
                     for entry in btf.types() if entry.keyword and entry.name)


def defining(keys: AbstractSet[str], btf: Path) -> List[Module]:
    """The modules whose BTF, in a file beside the kernel's `btf`, defines one of `keys`."""
    if not keys or btf.name != "vmlinux":
        return []
    base = Btf(btf.read_bytes())
    found = []
    for path in sorted(btf.parent.iterdir()):
        if path == btf:
            continue
        try:
            raw = path.read_bytes()
            if keys & defined_types(Btf(raw, base)):
                found.append(Module(path, hashlib.sha256(raw).hexdigest()))
        except (OSError, BadBtf):
            continue    # unloaded meanwhile, or no BTF
    return found


def extended(index: Index, modules: Iterable[Module], btf: Path) -> Index:
    """`index` with the modules' types that it lacks. Raises HeadersError if one cannot be had."""
    result = index
    for module in modules:
        dump = read_btf(module.path, base=btf)
        if hashlib.sha256(module.path.read_bytes()).hexdigest() != module.digest:
            raise HeadersError("the module of %s was replaced meanwhile: try again" % module.path)
        sizes = {key: size for key, size in dump.sizes.items() if key not in result.places}
        result = _joined(result, _own_part(index, result, dump, module.path.name), sizes)
    return result


def _own_part(kernel: Index, taken: Index, dump: Index, module: str) -> str:
    """The definitions of a module's dump that the kernel lacks.

    Two modules may mean different things by one name: the later one's gets a suffix.
    """
    enumerators = {key: name for name, key in dump.enumerators.items()}
    own = [key for key in dump.places
           if key not in kernel.places
           and not (key.startswith("enum @") and enumerators.get(key) in kernel.enumerators)]
    text = "\n\n".join(dump.definition(key) for key in own)
    for key in own:
        if key in taken.places and taken.definition(key) != dump.definition(key):
            text = re.sub(r"\b%s\b" % key, "%s___%s" % (key, module), text)
    return text


def _joined(index: Index, text: str, sizes: Dict[str, int]) -> Index:
    """`index` with the definitions of `text` that it has not, and their sizes."""
    start = len(index.text)
    added = parse(index.text + "\n\n" + text, start)
    return dataclasses.replace(index, text=added.text,
                               places={**added.places, **index.places},
                               sizes={**sizes, **index.sizes},
                               enumerators={**added.enumerators, **index.enumerators})
