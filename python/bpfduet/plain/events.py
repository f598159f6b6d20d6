# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Events: a line for each record of a ring or perf buffer."""
from __future__ import annotations

import os
from typing import Any, Callable, Dict

from ..spec.regex import Regex
from ..spec.read import Spec
from .formats import Clock, Column, json_value, line
from .options import Options
from .records import Value, cut, least_size, path_of, record_of, strings, walk
from .safe import json_text


class Events:
    """Prints records of a ctypes type. ``dropped`` counts those that are too short to be any."""

    def __init__(self, kind: Any, spec: Spec, options: Options, clock: Clock):
        entries = spec.data["events"]["column"]
        self._kind = kind
        self._tool = spec.name
        self._options = options
        self._clock = clock
        self._columns = [Column(entry, kind, spec, options, clock) for entry in entries]
        self._shown = [column for column, entry in zip(self._columns, entries)
                       if options.holds(entry.get("when", ()))]
        self._first = [entry["field"] for entry in entries if entry.get("since") == "first"]
        self._matches = [self._match(option.data["match"], options.values[option.name])
                         for option in spec.own
                         if "match" in option.data and option.name in options.values]
        self.dropped = 0

    def print_header(self) -> None:
        """The headings, in text."""
        if self._shown and not self._options.roles["format"]:
            print(line(self._shown, [column.heading for column in self._shown]))

    def print(self, raw: bytes) -> None:
        """A record, if it is to be shown."""
        if len(raw) < least_size(self._kind):
            self.dropped += 1
            return
        record = record_of(self._kind, raw)
        if self._first and self._clock.first_ns is None:
            self._clock.first_ns = walk(record, self._first[0])
        if not all(match(record) for match in self._matches):
            return
        if self._options.roles["format"]:
            print(json_text({"type": "event", "tool": self._tool,
                             "data": json_value(record, self._columns)}))
        elif self._shown:
            print(line(self._shown, [column.text(record) for column in self._shown]))

    def _match(self, match: Dict[str, str], wanted: Any) -> Callable[[Value], bool]:
        """Whether an option lets a record be shown."""
        field = match["field"]
        if match["how"] == "one_of":
            return lambda record: int(walk(record, field)) in wanted
        formats = [column.format for column in self._columns if column.field == field]
        read: Callable[[bytes], bytes] = cut
        if "path" in formats:
            read = path_of
        elif "args" in formats:
            read = _joined
        pattern = os.fsencode(wanted)
        if match["how"] == "contains":
            return lambda record: pattern in read(walk(record, field))
        matches = Regex(pattern).matches
        return lambda record: matches(read(walk(record, field)))


def _joined(raw: bytes) -> bytes:
    return b" ".join(strings(raw))
