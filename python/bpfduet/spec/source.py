# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where things stand in the text of a TOML file, which tomllib does not tell."""
from __future__ import annotations

import re
from bisect import bisect
from pathlib import Path
from typing import Any, Dict, Tuple, Union

from ..errors import SpecError

# A path into the document: ("report", 0, "columns", 2, "field").
Place = Tuple[Union[str, int], ...]

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*(?:"((?:\\.|[^"\\])*)"|\'([^\']*)\'|([\w-]+))[ \t]*')
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'', re.S)
_OTHER = re.compile(r"[^,\]}\n#]*")


class Written(Dict[str, Any]):
    """A table and its place in the text. What is made of it keeps the place."""

    def __init__(self, table: Dict[str, Any], place: Place):
        super().__init__(table)
        self.place = place


class Source:
    """A TOML file that tomllib takes, to find the line of a place in it."""

    def __init__(self, path: Path, text: str):
        self.path = path
        self._text = text
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._lines: Dict[Place, int] = {}
        self._elements: Dict[Place, int] = {}   # of each [[list]] so far
        self._scan()

    def line(self, place: Place) -> int:
        """Line of a place, or of the nearest thing around it that has one."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)

    def has(self, place: Place) -> bool:
        """Whether the text has that."""
        return place in self._lines

    def error(self, place: Place, text: str) -> SpecError:
        """The error to raise about a place."""
        return SpecError(f"{self.path}:{self.line(place)}: {text}")

    # -- the text: each function takes an offset in it, and returns that behind what it has read

    def _note(self, place: Place, at: int) -> None:
        self._lines.setdefault(place, bisect(self._ends, at - 1) + 1)

    def _blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at

    def _scan(self) -> None:
        table: Place = ()
        at = self._blank(0)
        while at < len(self._text):
            if self._text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._pair(table, at)
            at = self._blank(at)

    def _header(self, at: int) -> Tuple[Place, int]:
        """[table] or [[table]]: the place of what follows."""
        start, is_list = at, self._text.startswith("[[", at)
        names, at = self._names(at + 1 + is_list)
        place: Place = ()
        for name in names:
            if place in self._elements:
                place += (self._elements[place],)
            place += (name,)
        if is_list:
            self._note(place, start)
            self._elements[place] = self._elements.get(place, -1) + 1
        if place in self._elements:
            place += (self._elements[place],)
        for count in range(1, len(place) + 1):
            self._note(place[:count], start)
        return place, at + 1 + is_list

    def _names(self, at: int) -> Tuple[Place, int]:
        """The parts of a key: a, "a b", a.b."""
        names: Place = ()
        while True:
            found = _KEY.match(self._text, at)
            if found is None:
                return names, at
            names += (next(group for group in found.groups() if group is not None),)
            at = found.end()
            if self._text[at:at + 1] != ".":
                return names, at
            at += 1

    def _pair(self, table: Place, at: int) -> int:
        """key = value."""
        names, end = self._names(at)
        for count in range(1, len(names) + 1):
            self._note(table + names[:count], at)
        return self._value(table + names, end + 1)      # behind the =

    def _value(self, place: Place, at: int) -> int:
        at = self._blank(at)
        first = self._text[at:at + 1]
        if first == "{":
            return self._items(place, at + 1, "}")
        if first == "[":
            return self._items(place, at + 1, "]")
        found = _STRING.match(self._text, at) or _OTHER.match(self._text, at)
        return found.end() if found else at

    def _items(self, place: Place, at: int, end: str) -> int:
        """The pairs of an inline table, or the elements of an array."""
        count = 0
        at = self._blank(at)
        while self._text[at:at + 1] not in (end, ""):
            if end == "}":
                at = self._pair(place, at)
            else:
                self._note(place + (count,), at)
                at = self._value(place + (count,), at)
                count += 1
            at = self._blank(at)
            if self._text[at:at + 1] == ",":
                at = self._blank(at + 1)
        return at + 1
