# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Comparing what the two frontends printed: everything but the fields two observers differ in."""
from __future__ import annotations

import re
from itertools import zip_longest
from typing import Dict, List, Sequence, Tuple

from frontends import FORMATS, FRONTENDS, Watched

# By format: patterns of what may differ, each with what stands for it.
Masks = Dict[str, List[Tuple[bytes, bytes]]]
STAMP: Tuple[bytes, bytes] = (rb'"ts":[1-9]\d*', b'"ts":0')


def masked(out: bytes, patterns: Sequence[Tuple[bytes, bytes]]) -> bytes:
    """The output with fields that may differ replaced; the patterns are of whole fields."""
    for pattern, stand_in in patterns:
        out = re.sub(pattern, stand_in, out, flags=re.MULTILINE)
    return out


def first_difference(form: str, texts: Sequence[bytes], names: Sequence[str] = FRONTENDS) -> str:
    """What to say of two outputs in a format that should be the same."""
    lines = (text.splitlines() for text in texts)
    for number, (one, other) in enumerate(zip_longest(*lines), 1):
        if one != other:
            return f"{form}, line {number}: {names[0]} {one!r}, {names[1]} {other!r}"
    return f"{form}: the ends of lines"


def assert_same(watched: Watched, masks: Masks, formats: Sequence[str] = FORMATS,
                quiet: bool = True) -> Dict[str, bytes]:
    """Both frontends printed the same bytes in each format, and nothing on stderr if ``quiet``.

    Returns the masked output by format.
    """
    outputs = {}
    for form in formats:
        both = [masked(watched.out(frontend, form), masks.get(form, ()))
                for frontend in ("c", "bcc")]
        assert both[0] == both[1], first_difference(form, both)
        errors = [watched.results[frontend, form].stderr for frontend in ("c", "bcc")]
        assert errors[0] == errors[1], first_difference(form, errors)
        assert not quiet or errors[0] == b"", f"{form}: {errors[0]!r}"
        outputs[form] = both[0]
    return outputs


def rising(values: Sequence[float]) -> bool:
    """Whether times never go back."""
    return all(a <= b for a, b in zip(values, values[1:]))


def csv_text(value: bytes) -> bytes:
    """A field of a CSV line."""
    if re.search(rb'[,"\n\r]', value):
        return b'"' + value.replace(b'"', b'""') + b'"'
    return value
