# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""POSIX extended regular expressions by the C library, as the engine has them.

Python's own would find other matches in the same text.
"""
from __future__ import annotations

import ctypes

_libc = ctypes.CDLL(None)
_libc.newlocale.restype = ctypes.c_void_p
_libc.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
_libc.uselocale.restype = ctypes.c_void_p
_libc.uselocale.argtypes = [ctypes.c_void_p]

_LC_ALL_MASK = 0x1fbf
_REG_EXTENDED = 1
_REG_NOSUB = 8
# glibc's regex_t has 64 bytes, musl's 56
_REGEX_T_BYTES = 256


class Regex:
    """A compiled pattern. Raises ValueError if it is none."""

    def __init__(self, pattern: bytes):
        self._regex = ctypes.create_string_buffer(_REGEX_T_BYTES)
        # The pattern remembers the locale it was compiled in; ours must not depend on the user's.
        before = _libc.uselocale(_libc.newlocale(_LC_ALL_MASK, b"C", None))
        try:
            failed = _libc.regcomp(self._regex, pattern, _REG_EXTENDED | _REG_NOSUB)
        finally:
            _libc.uselocale(before)
        if failed:
            raise ValueError("bad pattern")
        self._compiled = True

    def __del__(self) -> None:
        if getattr(self, "_compiled", False):
            _libc.regfree(self._regex)

    def matches(self, text: bytes) -> bool:
        """Whether any part of a text (up to its first NUL) matches."""
        return not _libc.regexec(self._regex, text, 0, None, 0)
