# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names that anybody may have chosen, made fit for a terminal and for JSON (docs/output.md)."""
from __future__ import annotations

# Control and format characters, the mark of what is cut, line separators, what is no character; bytes that are not UTF-8
# are decoded to the surrogates.
_HIDDEN = ((0, 0x1f), (0x7f, 0x9f), (0x200b, 0x200f), (0x2026, 0x2026), (0x2028, 0x202e), (0x2060, 0x206f),
           (0xdc80, 0xdcff), (0xfdd0, 0xfdef), (0xfeff, 0xfeff), (0xfff9, 0xfffb),
           (0xe0000, 0xe007f))


def _is_printable(char: str) -> bool:
    point = ord(char)
    return point & 0xfffe != 0xfffe and not any(low <= point <= high for low, high in _HIDDEN)


def shown(raw: bytes) -> str:
    """Bytes as text: printable UTF-8 as it is, each byte of anything else as ``\\xNN``."""
    text = raw.decode("utf-8", "surrogateescape")
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if _is_printable(char) else
        "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
        for char in text)


def _json_char(char: str) -> str:
    point = ord(char)
    if char in '"\\':
        return "\\" + char
    if 0xdc80 <= point <= 0xdcff:       # a byte that is not UTF-8
        return f"\\\\x{point - 0xdc00:02x}"
    if not _is_printable(char):
        raw = char.encode("utf-16-be")
        return "".join(f"\\u{raw[i:i + 2].hex()}" for i in range(0, len(raw), 2))
    return char


def json_text(value: object) -> str:
    """JSON of what reports are made of: None, bool, int, float, bytes, str, lists and dicts."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return '"' + "".join(map(_json_char, value)) + '"'
    if isinstance(value, dict):
        members = (f"{json_text(name)}:{json_text(member)}" for name, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6f}" if isinstance(value, float) else str(value)
