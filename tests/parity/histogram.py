# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Histograms of powers of two as the tools print them: drawn from counts, and read back."""
from __future__ import annotations

import re
from typing import Dict, List

# By slot, slot n being 2^(n-1) to 2^n - 1, and 0 with 1 in slot 1.
Counts = Dict[int, int]


def slot(value: int) -> int:
    """Where a value is counted."""
    return max(value.bit_length(), 1)


def counted(values: List[int]) -> Counts:
    """The counts of some values."""
    counts: Counts = {}
    for value in values:
        counts[slot(value)] = counts.get(slot(value), 0) + 1
    return counts


def bounds(number: int) -> List[int]:
    """What a slot is shown as."""
    return [0 if number == 1 else 1 << (number - 1), (1 << number) - 1]


def drawn(counts: Counts, unit: bytes) -> List[bytes]:
    """The histogram as BCC draws it: bounds in 10, or in 20 columns if any needs more than
    32 bits, stars in 40 or 20."""
    largest, last = max(counts.values()), max(counts)
    wide = last > 32
    lines = [(b"               %-29s : count     distribution" if wide else
              b"     %-19s : count     distribution") % unit]
    for number in range(1, last + 1):
        low, high = bounds(number)
        count = counts.get(number, 0)
        width = 20 if wide else 40
        row = b"%20d -> %-20d" % (low, high) if wide else b"%10d -> %-10d" % (low, high)
        lines.append(row + b" : %-8d |%-*s|" % (count, width, b"*" * (width * count // largest)))
    return lines


def read(text: bytes) -> Counts:
    """The counts that a drawing shows."""
    rows = re.findall(rb"^ *(\d+) -> (\d+) *: (\d+) ", text, re.MULTILINE)
    return {int(high).bit_length(): int(count) for _, high, count in rows if int(count)}


def rows(counts: Counts, prefix: str) -> List[str]:
    """The lines of CSV."""
    return [",".join([prefix, *map(str, bounds(number)), str(count)])
            for number, count in sorted(counts.items()) if count]


def buckets(counts: Counts) -> List[dict]:
    """The buckets of JSON."""
    return [dict(zip(("low", "high", "count"), [*bounds(number), count]))
            for number, count in sorted(counts.items()) if count]
