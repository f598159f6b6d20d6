# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Columns of the spec: how a value is shown (docs/spec.md, "Formats")."""
from __future__ import annotations

import ctypes as ct
import os
import pwd
import socket
import sys
import time
from typing import Any, Callable, Dict, List, Optional

from ..spec.expand import UNITS
from ..spec.read import Spec
from ..spec.names import TABLES
from .options import Options
from .records import Value, cut, path_of, strings, type_at, walk
from .safe import shown

_NANO = 1_000_000_000
# JSON has the text of these.
_TEXT_IN_JSON = ("ipv4", "ipv6", "ip")


class Clock:
    """When the run started, and how the kernel's monotonic clock is to be read."""

    def __init__(self) -> None:
        self.start_ns = time.monotonic_ns()
        self.first_ns: Optional[int] = None     # of the first record
        self._wall_ns = time.time_ns() - self.start_ns

    def zone(self, utc: bool) -> str:
        """The name of the zone that times are in."""
        start = time.localtime((self.start_ns + self._wall_ns) // _NANO)
        return "UTC" if utc else time.strftime("%Z", start)

    def wall(self, ns: int, digits: int, utc: bool) -> str:
        """The time of day, with a fraction if there are digits for one."""
        seconds, rest = divmod(ns + self._wall_ns, _NANO)
        broken_down = time.gmtime(seconds) if utc else time.localtime(seconds)
        fraction = f".{rest // 10 ** (9 - digits):0{digits}d}" if digits else ""
        return time.strftime("%H:%M:%S", broken_down) + fraction

    def elapsed(self, ns: int, since: str, digits: int) -> str:
        """Seconds since the start, or since the first record."""
        start = self.first_ns if since == "first" and self.first_ns is not None else self.start_ns
        return f"{(ns - start) / _NANO:.{digits}f}"


class Column:
    """A column, or a section of a histogram. ``kind`` is the ctypes type that ``field`` is in."""

    def __init__(self, data: Dict[str, Any], kind: Any, spec: Spec, options: Options, clock: Clock):
        self.field: str = data["field"]
        own = type_at(kind, self.field)
        self._data = data
        self._options = options
        self._clock = clock
        self._mask = (1 << 8 * ct.sizeof(own)) - 1
        chars = issubclass(own, ct.Array) and own._type_ is ct.c_char
        self.format: str = data.get("format") or ("string" if chars else "number")
        self.width: int = data.get("width", 0)
        self.right: bool = data.get("align") == "right"
        self.gap: int = data.get("gap", 1)
        names = TABLES[self.format]() if self.format in TABLES else \
            spec.data["values"][data["values"]] if self.format in ("enum", "flags") else {}
        self._names: Dict[int, str] = {}
        for name, number in names.items():
            self._names.setdefault(number, name)

    @property
    def heading(self) -> str:
        """What stands above it."""
        utc = self._data.get("zone") == "utc"
        return str(self._data["heading"]).replace("{zone}", self._clock.zone(utc), 1)

    def text(self, record: Value) -> str:
        """The text of the column's field of a record."""
        value = walk(record, self.field)
        if "zero" in self._data and not value:
            return str(self._data["zero"])
        if self.format == "percent":
            return self._percent(value, walk(record, self._data["whole"]))
        make: Callable[[Any], str] = getattr(self, f"_{self.format}")
        return make(value)

    # -- one function for each format ---------------------------------------------------------

    def _number(self, value: int) -> str:
        return str(int(value))

    def _hex(self, value: int) -> str:
        return f"{value & self._mask:#x}"

    def _octal(self, value: int) -> str:
        return f"{value & self._mask:0{self._data.get('digits', 1)}o}"

    def _string(self, value: bytes) -> str:
        return shown(cut(value[:self._data.get("cut", len(value))]))

    def _path(self, value: bytes) -> str:
        return shown(path_of(value))

    def _args(self, value: bytes) -> str:
        words = [shown(word) for word in strings(value)]
        if self._data.get("quote") in self._options.given:
            words = ['"' + word.replace('"', '\\"') + '"' for word in words]
        return " ".join(words)

    def _wall(self, value: int) -> str:
        return self._clock.wall(value, self._data.get("digits", 0), self._data.get("zone") == "utc")

    def _elapsed(self, value: int) -> str:
        return self._clock.elapsed(value, self._data.get("since", "start"),
                                   self._data.get("digits", 9))

    def _duration(self, value: int) -> str:
        unit = self._data["unit"]
        return f"{value / UNITS[unit]:.{self._data.get('digits', 0 if unit == 'ns' else 3)}f}"

    def _percent(self, value: int, whole: int) -> str:
        part = max(whole - value, 0) if self._data.get("rest") else value
        return f"{100.0 * part / whole if whole else 0:.{self._data.get('digits', 2)}f}%"

    def _bytes(self, value: int) -> str:
        if value < 0:
            return "-" + self._bytes(-value)
        if value <= 9999:
            return str(value)
        power = min((value.bit_length() - 1) // 10, 4)
        return f"{value / (1 << 10 * power):.1f}{'KMGT'[power - 1]}"

    def _ipv4(self, value: int) -> str:
        return socket.inet_ntop(socket.AF_INET, value.to_bytes(4, sys.byteorder))

    def _ipv6(self, value: List[int]) -> str:
        return socket.inet_ntop(socket.AF_INET6, bytes(value))

    def _ip(self, value: List[int]) -> str:
        mapped = bytes(value[:12]) == bytes(10) + b"\xff\xff"
        return socket.inet_ntop(socket.AF_INET, bytes(value[12:])) if mapped else self._ipv6(value)

    def _port(self, value: int) -> str:
        return str(socket.ntohs(value))

    def _errno(self, value: int) -> str:
        return self._names.get(abs(value), str(value)) if value else "0"

    def _signal(self, value: int) -> str:
        return self._names.get(value, str(value))

    _capability = _signal
    _enum = _signal

    def _syscall(self, value: int) -> str:
        return self._names.get(value, f"[unknown: {value}]")

    def _device(self, value: int) -> str:
        return f"{value >> 20}:{value & 0xfffff}"

    def _disk(self, value: int) -> str:
        try:
            link = os.readlink(f"/sys/dev/block/{self._device(value)}")
            return shown(os.fsencode(os.path.basename(link)))
        except OSError:
            return self._device(value)

    def _user(self, value: int) -> str:
        try:
            return shown(os.fsencode(pwd.getpwuid(value).pw_name))
        except KeyError:
            return str(value)

    def _exit(self, value: int) -> str:
        number, dumped = value & 0x7f, value & 0x80
        if not number and not dumped:
            code = value >> 8 & 0xff
            return f"code {code}" if code else "0"
        name = self._names.get(number, "SIGunknown")[len("SIG"):]
        said = f"signal {number} ({name})" if number else ""
        return said + (", core dumped " if dumped else "")

    def _flags(self, value: int) -> str:
        left, found = value & self._mask, []
        if not left:
            return self._names.get(0, "0")
        for bits, name in self._names.items():
            if bits and left & bits == bits:
                found.append(name)
                left &= ~bits
        join: str = self._data.get("join", "|")
        return join.join([*found, *([f"{left:#x}"] if left else [])])


def line(columns: List[Column], words: List[str], inline: bool = False) -> str:
    """Words in columns; ``inline``: with their headings in front. Nothing follows the last one."""
    text, parted = "", False
    for column, word in zip(columns, words):
        text += column.heading if inline else ""
        last = column is columns[-1]
        width = 0 if last and not column.right else column.width
        word = word.rjust(width) if column.right else word.ljust(width)
        if parted and word and column.heading and not inline and " " not in (text[-1], word[0]):
            text += " "     # no gap, and a word as wide as its column
        parted = column.heading != ""   # what has none is a mark, and touches
        text += word + ("" if last else " " * column.gap)
    return text


def json_value(value: Value, columns: List[Column], path: str = "") -> Value:
    """What JSON has of a record, or of a part of it: all members, strings up to their NUL, and
    in some formats the text of the first column listed for them."""
    column = next((column for column in columns if column.field == path
                   and column.format in (*_TEXT_IN_JSON, "path", "args", "port")), None)
    if column and column.format == "args":
        return strings(value)
    if column and column.format == "path":
        return path_of(value)
    if column and column.format == "port":
        return socket.ntohs(value)
    if column:
        make: Callable[[Any], str] = getattr(column, f"_{column.format}")
        return make(value)
    if isinstance(value, dict):
        return {name: json_value(member, columns, f"{path}.{name}" if path else name)
                for name, member in value.items() if not name.startswith(("_", "pad"))}
    if isinstance(value, list):
        return [json_value(member, []) for member in value]
    return cut(value) if isinstance(value, bytes) else value
