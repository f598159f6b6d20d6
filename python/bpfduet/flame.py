# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Flame graphs: stacks as one SVG file that needs no other. The C frontend draws the same bytes.

A frame is an <svg> of its own, which cuts its text to its width; percentages let the graph fit any
window. data/flame.js zooms and searches.
"""
from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

Frame = Tuple[bytes, bytes]     # b"c", b"u" or b"k" (comm, user, kernel) and the name
Stack = Tuple[Sequence[Frame], int]

ROW = 18
ABOVE, BELOW = 48, 10
# Frames of less than one of so many parts of the whole are too narrow to see.
PARTS = 20000
# Of each kind the lowest red, green and blue, and how far above them a name's own colour may lie.
COLORS = {
    b"c": ((196, 208, 196), (20, 20, 20)),
    b"u": ((225, 120, 60), (28, 110, 40)),
    b"k": ((110, 170, 215), (40, 45, 35)),
}
_DATA = Path(__file__).with_name("data")


def _xml(name: bytes) -> bytes:
    return name.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;") \
        .replace(b'"', b"&quot;")


def _part(value: int, total: int, digits: int) -> bytes:
    """A share in percent, cut after so many digits."""
    scale = 10 ** digits
    whole, rest = divmod(100 * scale * value // total, scale)
    return b"%d.%0*d" % (whole, digits, rest)


def _color(kind: bytes, name: bytes) -> bytes:
    code = 2166136261       # FNV-1a
    for byte in name:
        code = (code ^ byte) * 16777619 & 0xffffffff
    lowest, spread = COLORS[kind]
    channels = (low + (code >> shift & 255) * more // 255
                for low, more, shift in zip(lowest, spread, (0, 8, 16)))
    return b"#%02x%02x%02x" % tuple(channels)


class _Drawing:
    """Frames as they are closed."""

    def __init__(self, unit: str, total: int, height: int):
        self._unit = _xml(unit.encode())
        self._total = total
        self._height = height
        self.parts: List[bytes] = []

    def frame(self, frame: Frame, depth: int, start: int, value: int) -> None:
        """Add a frame unless it is too narrow."""
        if value * PARTS < self._total:
            return
        kind, name = frame
        shown = _xml(name)
        self.parts.append(
            b'<svg x="%b%%" y="%d" width="%b%%" height="%d" data-start="%d" data-value="%d" '
            b'data-depth="%d"><title>%b (%d %b, %b%%)</title>'
            b'<rect width="100%%" height="100%%" fill="%b"/><text x="4" y="13">%b</text></svg>\n'
            % (_part(start, self._total, 4), self._height - BELOW - (depth + 1) * ROW,
               _part(value, self._total, 4), ROW, start, value, depth, shown, value, self._unit,
               _part(value, self._total, 2), _color(kind, name), shown))


def draw(title: str, unit: str, stacks: Sequence[Stack]) -> bytes:
    """The graph of stacks: (frames from the outermost inwards, value)."""
    # What took no time has no width.
    ordered = sorted((list(frames), value) for frames, value in stacks if value > 0)
    total = sum(value for _, value in ordered)
    deepest = max((len(frames) for frames, _ in ordered), default=0)
    height = ABOVE + (deepest + 1) * ROW + BELOW
    drawing = _Drawing(unit, total, height)
    opened: List[Tuple[Frame, int]] = []    # frames and where they begin
    place = 0

    def close(depth: int) -> None:
        while len(opened) > depth:
            frame, start = opened.pop()
            drawing.frame(frame, len(opened) + 1, start, place - start)

    for frames, value in ordered:
        same = 0
        while same < min(len(opened), len(frames)) and opened[same][0] == frames[same]:
            same += 1
        close(same)
        opened += [(frame, place) for frame in frames[same:]]
        place += value
    close(0)
    if total:
        drawing.frame((b"c", b"all"), 0, 0, total)
    return _around(title, total, height, b"".join(drawing.parts))


def _around(title: str, total: int, height: int, frames: bytes) -> bytes:
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<svg id="flame" xmlns="http://www.w3.org/2000/svg" width="100%%" height="%d">\n'
        b"<style><![CDATA[\n%b]]></style>\n"
        b'<rect width="100%%" height="100%%" fill="none"/>\n'
        b'<text id="title" x="50%%" y="26">%b</text>\n'
        b'<g id="unzoom"><text x="10" y="26">Reset zoom</text></g>\n'
        b'<svg x="100%%" width="1" height="48" overflow="visible">\n'
        b'<text id="matched" x="-250" y="26"></text>\n'
        b'<foreignObject x="-240" y="9" width="230" height="26">'
        b'<input xmlns="http://www.w3.org/1999/xhtml" id="search" type="search" '
        b'placeholder="Search (Ctrl-F)"/></foreignObject>\n'
        b"</svg>\n"
        b'<g id="frames" data-total="%d">\n%b</g>\n'
        b"<script><![CDATA[\n%b]]></script>\n"
        b"</svg>\n"
        % (height, (_DATA / "flame.css").read_bytes(), _xml(title.encode()), total, frames,
           (_DATA / "flame.js").read_bytes()))
