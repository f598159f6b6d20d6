# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Kernel headers for BCC, made out of the running kernel's BTF.

BCC compiles against a folder that the environment variable BCC_KERNEL_SOURCE names. This package
makes such a folder: ``include/linux/kconfig.h`` holds the configuration, the types the program
needs (a cut of what ``bpftool btf dump`` prints) and the constants BTF does not hold; every other
header is empty. docs/headers.md tells why that works and what it costs.

    headers = kernel_headers.folder_for(text, [Path("headers")])
    headers.apply(os.environ)
    bpf = kernel_headers.without_kallsyms(lambda: bcc.BPF(text=text))

Everything is cached by kernel build; a cache another user could write to is not used.
"""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cache import Kernel
    from .kallsyms import without_kallsyms
    from .key import (
        CONSTANTS, NOTES, VMLINUX, HeadersError, find_libbcc, kernel_key, places_of_libbcc)
    from .origins import Headers, explain, folder_for, make
    from .store import cache_folder, prune, write_file
    from .text import bcc_side, read_sources

__all__ = [
    "CONSTANTS", "NOTES", "VMLINUX", "Headers", "HeadersError", "Kernel", "bcc_side",
    "cache_folder", "explain", "find_libbcc", "folder_for", "kernel_key", "make",
    "places_of_libbcc", "prune", "read_sources", "without_kallsyms", "write_file",
]
# Modules by what they have: a start that finds all in the cache needs few of them.
_PLACES = {
    "cache": ("Kernel",), "kallsyms": ("without_kallsyms",),
    "key": ("CONSTANTS", "NOTES", "VMLINUX", "HeadersError", "find_libbcc", "kernel_key",
            "places_of_libbcc"),
    "origins": ("Headers", "explain", "folder_for", "make"),
    "store": ("cache_folder", "prune", "write_file"),
    "text": ("bcc_side", "read_sources"),
}


def __getattr__(name: str) -> object:
    """Load the module that has a name of the package's when it is first asked for."""
    for module, names in _PLACES.items():
        if name in names:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
