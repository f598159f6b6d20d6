# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names of C++ and Rust functions as their programmers wrote them.

C++ is left to the C++ library, as BCC leaves it. Rust's older form is undone here, its newer one in
rust_v0.py.
"""
from __future__ import annotations

import ctypes as ct
import functools
import re
from typing import Any, List, Match, Optional

from . import rust_v0

_RUST_ESCAPES = {b"SP": b"@", b"BP": b"*", b"RF": b"&", b"LT": b"<", b"GT": b">", b"LP": b"(",
                 b"RP": b")", b"C": b","}
_RUST_SPECIAL = re.compile(rb"\$(u([0-9a-f]{1,6})|[A-Z]{1,2})\$|\.\.")
_RUST_HASH = re.compile(rb"h[0-9a-f]{16}")
_LENGTH = re.compile(rb"[1-9][0-9]{0,5}(?![0-9])")


def demangle(name: bytes) -> bytes:
    """A function's name, readable if it was not."""
    if name.startswith(b"_R"):
        return rust_v0.demangle(name) or name
    if not name.startswith(b"_Z"):
        return name
    return _rust(name) or _cplusplus(name) or name


@functools.lru_cache(maxsize=None)
def _library() -> Any:
    library = ct.CDLL("libstdc++.so.6")
    library.__cxa_demangle.restype = ct.c_void_p
    library.__cxa_demangle.argtypes = [ct.c_char_p, ct.c_void_p, ct.c_void_p, ct.c_void_p]
    library.free.restype = None
    library.free.argtypes = [ct.c_void_p]
    return library


def _cplusplus(name: bytes) -> Optional[bytes]:
    library = _library()
    text = library.__cxa_demangle(name, None, None, None)
    if not text:
        return None
    try:
        return ct.string_at(text)
    finally:
        library.free(text)


def _rust(name: bytes) -> Optional[bytes]:
    """_ZN, identifiers each with its length before it, the last one a hash, E; then perhaps a
    suffix of LLVM's. None if it is something else."""
    parts: List[bytes] = []
    place = 3
    while name[:3] == b"_ZN" and name[place:place + 1] != b"E":
        length = _LENGTH.match(name, place)
        if not length:
            return None
        start, place = length.end(), length.end() + int(length[0])
        if place >= len(name):
            return None
        parts.append(name[start:place])
    if len(parts) < 2 or not _RUST_HASH.fullmatch(parts[-1]) or name[place + 1:][:1] not in b".":
        return None
    return b"::".join(map(_rust_identifier, parts[:-1]))


def _rust_identifier(part: bytes) -> bytes:
    # an identifier cannot begin with $
    return _RUST_SPECIAL.sub(_rust_special, part[1:] if part.startswith(b"_$") else part)


def _rust_special(match: Match[bytes]) -> bytes:
    if match[0] == b"..":
        return b"::"
    if not match[2]:
        return _RUST_ESCAPES.get(match[1], match[0])
    code = int(match[2], 16)
    good = 0 < code < 0xd800 or 0xdfff < code < 0x110000
    return chr(code).encode() if good else match[0]
