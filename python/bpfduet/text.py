# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Bytes that anybody may have chosen (file names, process names), made fit to print."""
from __future__ import annotations

import re
from typing import List, Match

# docs/output.md, "Escaping"; U+DC80 to U+DCFF are what bytes that are not UTF-8 are decoded to
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2026\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\udc80-\udcff"
    "\U000e0000-\U000e007f\ufdd0-\ufdef"
    + "".join(chr(plane + 0xfffe) + chr(plane + 0xffff) for plane in range(0, 0x110000, 0x10000))
    + "]")
_JSON_SPECIAL = re.compile('["\\\\\x00-\x1f\x7f\udc80-\udcff]')

# What needs no escape, for bytes.translate(None, ...): nothing is left of a harmless string.
PLAIN = bytes(range(0x20, 0x7f))
JSON_PLAIN = PLAIN.replace(b'"', b"").replace(b"\\", b"")


def _hex(match: Match[str]) -> str:
    raw = match[0].encode("utf-8", "surrogateescape")
    return "".join(f"\\x{byte:02x}" for byte in raw)


def _json(match: Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    if char < "\x80":
        return f"\\u{ord(char):04x}"
    return f"\\\\x{ord(char) - 0xdc00:02x}"


def escape(raw: bytes) -> bytes:
    """Text and CSV: printable UTF-8 as it is, every byte of anything else as ``\\xNN``."""
    if not raw.translate(None, PLAIN):
        return raw
    return _HOSTILE.sub(_hex, raw.decode("utf-8", "surrogateescape")).encode()


def json_string(raw: bytes) -> bytes:
    """A JSON string without its quotes; bytes that are not UTF-8 become the text ``\\xNN``."""
    if not raw.translate(None, JSON_PLAIN):
        return raw
    return _JSON_SPECIAL.sub(_json, raw.decode("utf-8", "surrogateescape")).encode()


def csv_field(text: bytes) -> bytes:
    """A field of RFC 4180."""
    if b'"' in text or b"," in text or b"\n" in text:
        return b'"' + text.replace(b'"', b'""') + b'"'
    return text


def cut(raw: bytes) -> bytes:
    """A char array up to its first NUL."""
    return raw.split(b"\0", 1)[0]


def strings(raw: bytes) -> List[bytes]:
    """The strings of a char array that holds several, one NUL between them."""
    raw = raw.rstrip(b"\0")
    return raw.split(b"\0") if raw else []


def join_path(raw: bytes) -> bytes:
    """NUL-separated components, last one first, as a path; ends at an absolute one."""
    path = b""
    for part in strings(raw):
        if not part:
            continue
        path = part + (b"/" if path and not part.endswith(b"/") else b"") + path
        if part.startswith(b"/"):
            break
    return path


def join_args(raw: bytes) -> bytes:
    """Arguments joined by a blank, not escaped."""
    return b" ".join(strings(raw))
