# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The index of each kernel and the folders cut from it, on disk."""
from __future__ import annotations

import hashlib
import marshal
import os
import zlib
from pathlib import Path
from typing import FrozenSet, List, Optional, Sequence, Tuple

from .folder import FORCED, folder_is_whole, is_kernel_header, kconfig, write_folder
from .index import Index
from .kernel import build_index, tracepoint_fields
from .key import CONSTANTS, kernel_key
from .modules import Module, defining, extended, missing
from .store import cache_folder, prune, write_file
from .text import read_sources

KEEP_KERNELS = 3
KEEP_CUTS = 64


def _load(path: Path) -> Optional[Index]:
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    if raw[:9] != b"%08x\n" % zlib.crc32(raw[9:]):
        return None
    return Index(**marshal.loads(raw[9:]))


class Kernel:
    """The cache of one kernel build: its index, read when first needed, and what is cut from it."""

    def __init__(self, btf: Path, root: Optional[Path] = None) -> None:
        self.btf = btf
        self.root = root or cache_folder()
        self.folder = self.root / ("kernel-" + kernel_key(btf))
        self._index: Optional[Index] = None

    def index(self) -> Index:
        """The index, from the cache if it is there and whole.

        Raises HeadersError if there is no BTF or no bpftool.
        """
        if self._index is None:
            self._index = _load(self.folder / "index")
        if self._index is None:
            self._index = build_index(self.btf)
            payload = marshal.dumps(self._index.__dict__, 4)
            write_file(self.folder / "index", b"%08x\n" % zlib.crc32(payload) + payload)
            prune(self.root, "kernel-", KEEP_KERNELS)
        return self._index

    def kallsyms(self) -> Optional[Path]:
        """A file to stand in for /proc/kallsyms while BCC compiles; None if that cannot be read."""
        for path in self.folder.glob("kallsyms-*"):
            if path.name == "kallsyms-%08x" % zlib.crc32(path.read_bytes()):
                return path
        lines = self.index().kallsyms.encode()
        if not lines:
            return None
        path = self.folder / ("kallsyms-%08x" % zlib.crc32(lines))
        write_file(path, lines)
        return path

    def modules_for(self, program: str) -> Optional[List[Module]]:
        """The modules whose types a program with its includes wants; None if the kernel's are all.

        An empty list is another thing: the module may be loaded later.
        """
        wanted = missing(self.index(), program)
        return defining(wanted, self.btf) if wanted else None

    def cut(self, source: str, include_dirs: Sequence[Path]) -> Path:
        """The folder for one program."""
        return self.cut_with_modules(source, include_dirs)[0]

    def cut_with_modules(self, source: str,
                         include_dirs: Sequence[Path]) -> Tuple[Path, List[Module]]:
        """The same, and the modules that types in it are of."""
        program, stubs = program_of(source, include_dirs)
        constants = CONSTANTS.read_text()
        path = self._place(program, sorted(stubs), constants)
        modules: Optional[List[Module]] = None
        if not folder_is_whole(path, stubs):
            modules = self.modules_for(program)
            if modules is not None:
                path = self._place(program, sorted(stubs), constants, modules)
            if modules is None or not folder_is_whole(path, stubs):
                index = extended(self.index(), modules or (), self.btf)
                write_folder(path, kconfig(index, program, constants), stubs)
                prune(path.parent, "", KEEP_CUTS)
        os.utime(path)
        os.utime(self.folder)
        return path, modules or []

    def _place(self, *made_of: object) -> Path:
        """Where the folder made of these is kept."""
        return self.folder / "cuts" / hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]


def program_of(source: str, include_dirs: Sequence[Path]) -> Tuple[str, FrozenSet[str]]:
    """All of a program's text that asks for types; the headers that are to be empty for it."""
    program, includes = read_sources(source, include_dirs)
    program += "\n" + tracepoint_fields(program)
    return program, frozenset(FORCED).union(filter(is_kernel_header, includes))
