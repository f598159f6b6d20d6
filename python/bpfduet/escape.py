# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Bytes that anybody may have chosen (file names, process names), made fit to print."""
from __future__ import annotations

import re
from typing import Match

# docs/output.md, "Escaping"; U+DC80 to U+DCFF are what bytes that are not UTF-8 are decoded to
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2026\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\udc80-\udcff"
    "\U000e0000-\U000e007f\ufdd0-\ufdef"
    + "".join(chr(plane + 0xfffe) + chr(plane + 0xffff) for plane in range(0, 0x110000, 0x10000))
    + "]")


def _hex(match: Match[str]) -> str:
    raw = match[0].encode("utf-8", "surrogateescape")
    return "".join(f"\\x{byte:02x}" for byte in raw)


def escape(raw: bytes) -> bytes:
    """Printable UTF-8 as it is, every byte of anything else as ``\\xNN``."""
    return _HOSTILE.sub(_hex, raw.decode("utf-8", "surrogateescape")).encode()
