# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Lines of columns: a bound spec's columns compiled into one Python function.

A tracing tool may print 100,000 records a second, so the way a record is printed is decided
once: a line becomes one ``struct`` unpacking and one ``%`` of a bytes template.
"""
from __future__ import annotations

import functools
import os
import socket
import struct
import time
from typing import Any, Callable, Dict, List, Sequence, Tuple

from . import text, users
from .spec import UNITS

Column = Dict[str, Any]
LineFunction = Callable[[bytes], bytes]

_NANO = 1000000000
_SHOWN_AS_TEXT = ("ipv4", "ipv6", "ip", "path", "args", "port")


class Line:
    """Collects what a line is made of, then compiles it.

    Fields are read from a record (bytes). Integers are unpacked into variables; char arrays
    are slices, so a record may end within the last of them.
    """

    def __init__(self) -> None:
        self._template: List[bytes] = []
        self._arguments: List[str] = []
        self._integers: Dict[Tuple[int, str], str] = {}
        self._names: Dict[str, Any] = {}

    def literal(self, raw: bytes) -> None:
        """Text that is the same for every record."""
        self._template.append(raw.replace(b"%", b"%%"))

    def value(self, conversion: str, expression: str) -> None:
        """A value: a conversion of bytes' % operator and a Python expression."""
        self._template.append(b"%" + conversion.encode())
        self._arguments.append(expression)

    def constant(self, value: Any) -> str:
        """A name by which expressions can use an object."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def integer(self, offset: int, size: int, kind: str) -> str:
        """The variable that holds an integer of the record; kind is uint, int or bool."""
        code = "?" if kind == "bool" else {1: "b", 2: "h", 4: "i", 8: "q"}[size]
        if kind == "uint":
            code = code.upper()
        return self._integers.setdefault((offset, code), f"v{len(self._integers)}")

    def function(self) -> LineFunction:
        """The line as a function of the record."""
        body = []
        for unpack, variables in self._unpackings():
            body.append(f"    {', '.join(variables)}, = {self.constant(unpack)}(r)")
        template = self.constant(b"".join(self._template))
        arguments = "".join(f"{argument}, " for argument in self._arguments)
        source = "\n".join(["def line(r):", *body, f"    return {template} % ({arguments})"])
        # Nothing of the spec's text is in the source: only names made here, numbers and offsets.
        exec(compile(source, "<line>", "exec"), self._names)  # pylint: disable=exec-used
        line: LineFunction = self._names["line"]
        return line

    def _unpackings(self) -> List[Tuple[Callable[[bytes], Tuple[int, ...]], List[str]]]:
        """As few unpackings as possible: fields of a union overlap, so there may be several."""
        layers: List[List[Tuple[int, str, str]]] = []
        for (offset, code), name in sorted(self._integers.items()):
            for layer in layers:
                last, last_code, _ = layer[-1]
                if last + struct.calcsize("=" + last_code) <= offset:
                    layer.append((offset, code, name))
                    break
            else:
                layers.append([(offset, code, name)])
        return [_unpacking(layer) for layer in layers]


def _unpacking(layer: List[Tuple[int, str, str]]
               ) -> Tuple[Callable[[bytes], Tuple[int, ...]], List[str]]:
    form = "="
    for offset, code, _ in layer:
        form += f"{offset - struct.calcsize(form)}x{code}"
    return struct.Struct(form).unpack_from, [name for _, _, name in layer]


class Printer:
    """What printing columns depends on besides the record: format, clock and options."""

    def __init__(self, output: str, start_ns: int, wall_minus_mono_ns: int,
                 holds: Callable[[Sequence[str]], bool]):
        self._output = output
        self._start_ns = start_ns
        self._wall_offset = wall_minus_mono_ns
        self._holds = holds
        self._starts = {"start": [start_ns], "first": [start_ns]}

    def set_first(self, ns: int) -> None:
        """When the first record was made (ns of the monotonic clock)."""
        self._starts["first"][0] = ns

    def shown(self, columns: Sequence[Column]) -> List[Column]:
        """The columns whose conditions hold."""
        return [column for column in columns if self._holds(column.get("when") or [])]

    def header(self, columns: Sequence[Column]) -> bytes:
        """The header line for the columns shown; nothing, as in ``line``, if there are none."""
        if not columns:
            return b""
        if self._output == "csv":
            labels = [text.csv_field(column["label"].encode()) for column in columns]
            return b",".join(labels) + b"\n"
        line = b""
        for column, (width, gap) in zip(columns, _layout(columns)):
            heading = self.heading(column)
            pad = heading.ljust if column["align"] == "left" else heading.rjust
            line += pad(width) + b" " * gap
        return line + b"\n"

    def heading(self, column: Column) -> bytes:
        """A column's heading, with the name of the zone that its times are in."""
        heading: str = column["heading"]
        if column["format"] == "wall":
            start = time.localtime((self._start_ns + self._wall_offset) // _NANO)
            zone = "UTC" if column["zone"] == "utc" else time.strftime("%Z", start)
            heading = heading.replace("{zone}", zone, 1)
        return heading.encode()

    def line(self, columns: Sequence[Column], bases: Dict[str, int], inline: bool = False
             ) -> LineFunction:
        """The function that prints the columns shown of a record.

        ``bases`` says where in the record its parts ("event", "key", "value") begin. With
        ``inline`` each column's heading stands before it, in text.
        """
        line = Line()
        csv = self._output == "csv"
        for index, (column, (width, gap)) in enumerate(zip(columns, _layout(columns))):
            flags, conversion, expression = self._value(line, column, bases[column["of"]])
            if csv:
                if conversion == "b":
                    expression = f"{line.constant(text.csv_field)}({expression})"
                if index:
                    line.literal(b",")
                line.value(flags + conversion, expression)
                continue
            if inline:
                line.literal(self.heading(column))
            if column["align"] == "left":
                flags += "-"
            line.value(f"{flags}{width or ''}{conversion}", expression)
            line.literal(b" " * gap)
        line.literal(b"\n" if columns else b"")
        return line.function()

    def bare(self, column: Column, bases: Dict[str, int]) -> LineFunction:
        """The function that gives a column's text alone."""
        line = Line()
        flags, conversion, expression = self._value(line, column, bases[column["of"]])
        line.value(flags + conversion, expression)
        return line.function()

    # -- formats --------------------------------------------------------------------------

    def _value(self, line: Line, column: Column, base: int) -> Tuple[str, str, str]:
        """(flags, conversion, expression) of a column."""
        offset = base + column["offset"]
        kind = column["format"]
        if kind in ("string", "path", "args", "ipv6", "ip"):
            size = column["size"] * max(column.get("count") or 0, 1)
            if column.get("cut") and self._output == "text":
                size = min(size, column["cut"])
            maker = line.constant(self._bytes_maker(column))
            return "", "b", f"{maker}(r[{offset}:{offset + size}])"
        variable = line.integer(offset, column["size"], column["kind"])
        flags, conversion, expression = self._integer(line, column, offset, variable)
        zero = column.get("zero")
        if zero is not None:
            form = line.constant(f"%{flags}{conversion}".encode())
            expression = (f"{form} % ({expression}) if {variable} else "
                          f"{line.constant(zero.encode())}")
            flags, conversion = "", "b"
        return flags, conversion, expression

    def _bytes_maker(self, column: Column) -> Callable[[bytes], bytes]:
        kind = column["format"]
        if kind == "ipv6":
            return ipv6
        if kind == "ip":
            return ip
        if kind == "path":
            return lambda raw: text.escape(text.join_path(raw))
        if kind == "args":
            quote = column.get("quote")
            return quoted_args if quote and self._holds([quote]) else plain_args
        return string

    def _integer(self, line: Line, column: Column, offset: int, variable: str
                 ) -> Tuple[str, str, str]:
        kind = column["format"]
        if kind in ("hex", "octal") and column["kind"] == "int":
            variable = line.integer(offset, column["size"], "uint")
        if kind == "number":
            return "", "d", variable
        if kind == "hex":
            return "#", "x", variable
        if kind == "octal":
            return "", f".{max(column['digits'], 1)}o", variable
        if kind == "port":
            return "", "d", f"r[{offset}] << 8 | r[{offset + 1}]"
        if kind == "ipv4":
            return "", "b", f"{line.constant(ipv4)}(r[{offset}:{offset + 4}])"
        if kind == "elapsed":
            start = line.constant(self._starts[column["since"]])
            return "", f".{column['digits']}f", f"({variable} - {start}[0]) / {_NANO}"
        if kind == "duration":
            return "", f".{column['digits']}f", f"{variable} / {UNITS[column['unit']]}"
        if kind == "percent":
            field = column["whole"]
            whole = line.integer(offset - column["offset"] + field["offset"], field["size"], "uint")
            maker = line.constant(percent_maker(column["digits"], column["rest"]))
            return "", "b", f"{maker}({variable}, {whole})"
        return "", "b", f"{line.constant(self._number_maker(column))}({variable})"

    def _number_maker(self, column: Column) -> Callable[[int], bytes]:
        """The function from an integer to its text."""
        kind = column["format"]
        if kind == "wall":
            return self._wall(column["digits"], column["zone"])
        if kind == "bytes":
            return byte_count
        if kind == "device":
            return device
        if kind == "disk":
            return disk
        if kind == "user":
            return user
        names = {int(number): name.encode() for number, name in column["values"].items()}
        if kind == "exit":
            return lambda status: exit_status(names, status)
        if kind == "flags":
            return flags_maker(names, column["size"], column["join"].encode())
        unknown = b"[unknown: %d]" if kind == "syscall" else b"%d"
        if kind == "errno":
            names = {sign * number: name for number, name in names.items() if number
                     for sign in (1, -1)}

        return lambda number: names.get(number) or unknown % number

    def _wall(self, digits: int, zone: str) -> Callable[[int], bytes]:
        broken_down = time.gmtime if zone == "utc" else time.localtime
        offset = self._wall_offset
        fraction: int = 10 ** (9 - digits)
        form = b".%%0%dd" % digits
        second = -1 << 64
        clock = b""

        def wall(ns: int) -> bytes:
            nonlocal second, clock
            now, rest = divmod(ns + offset, _NANO)
            if now != second:
                second, clock = now, time.strftime("%H:%M:%S", broken_down(now)).encode()
            shown: bytes = form % (rest // fraction) if digits else b""
            return clock + shown
        return wall


def _layout(columns: Sequence[Column]) -> List[Tuple[int, int]]:
    """Width and gap of each column; the last one has no gap and, left-aligned, no padding."""
    layout = [(column["width"], column["gap"]) for column in columns]
    if columns:
        layout[-1] = (0 if columns[-1]["align"] == "left" else columns[-1]["width"], 0)
    return layout


# -- text of single values ------------------------------------------------------------------

def string(raw: bytes) -> bytes:
    """A char array up to its first NUL, escaped."""
    raw = raw.split(b"\0", 1)[0]
    return text.escape(raw) if raw.translate(None, text.PLAIN) else raw


def plain_args(raw: bytes) -> bytes:
    """Arguments joined by a blank, escaped."""
    return text.escape(text.join_args(raw))


def quoted_args(raw: bytes) -> bytes:
    """Arguments in double quotes, joined by a blank, escaped."""
    return b" ".join(b'"' + text.escape(argument).replace(b'"', b'\\"') + b'"'
                     for argument in text.strings(raw))


def ipv4(raw: bytes) -> bytes:
    """Four bytes in network order."""
    return b"%d.%d.%d.%d" % tuple(raw)


def ipv6(raw: bytes) -> bytes:
    """16 bytes in network order."""
    return socket.inet_ntop(socket.AF_INET6, raw).encode()


def ip(raw: bytes) -> bytes:
    """16 bytes in network order; an IPv4 address that is mapped into IPv6 as what it is."""
    return ipv4(raw[12:]) if raw[:12] == b"\0" * 10 + b"\xff\xff" else ipv6(raw)


def device(number: int) -> bytes:
    """The kernel's dev_t."""
    return b"%d:%d" % (number >> 20, number & 0xfffff)


@functools.lru_cache(maxsize=256)
def disk(number: int) -> bytes:
    """The name of a block device, its numbers where it is gone."""
    try:
        link = os.readlink(b"/sys/dev/block/" + device(number))
    except OSError:
        return device(number)
    return text.escape(link.rsplit(b"/", 1)[-1])


def exit_status(names: Dict[int, bytes], status: int) -> bytes:
    """A wait status, as BCC's exitsnoop words it; ``names`` are those of the signals."""
    number = status & 0x7f
    if not number and not status & 0x80:
        code = status >> 8 & 0xff
        return b"code %d" % code if code else b"0"
    name = names.get(number, b"SIGunknown")[3:]
    shown = b"signal %d (%s)" % (number, name) if number else b""
    return shown + (b", core dumped " if status & 0x80 else b"")


def user(uid: int) -> bytes:
    """The name of a user, or the number."""
    name = users.name_of(uid)
    return b"%d" % uid if name is None else text.escape(name)


def byte_count(number: int) -> bytes:
    """12.5K and so on, above 9999."""
    if number < 0:
        return b"-" + byte_count(-number)
    if number <= 9999:
        return b"%d" % number
    shift = min((number.bit_length() - 1) // 10, 4)
    return b"%.1f%c" % (number / (1 << 10 * shift), b"KMGT"[shift - 1])


def percent_maker(digits: int, rest: bool) -> Callable[[int, int], bytes]:
    """A number as a share of another one; with ``rest`` what is left of that."""
    form = b"%%.%df%%%%" % digits

    def percent(part: int, whole: int) -> bytes:
        if rest:
            part = max(whole - part, 0)
        return form % (100.0 * part / whole if whole else 0)
    return percent


def flags_maker(names: Dict[int, bytes], size: int, join: bytes) -> Callable[[int], bytes]:
    """Names of the bits that are set, for integers of ``size`` bytes."""
    zero = names.get(0, b"0")
    mask = (1 << (8 * size)) - 1

    def flags(number: int) -> bytes:
        rest = number & mask
        if not rest:
            return zero
        found = []
        for bits, name in names.items():
            if bits and rest & bits == bits:
                found.append(name)
                rest &= ~bits
        if rest:
            found.append(b"%#x" % rest)
        return join.join(found)
    return flags


# -- JSON -------------------------------------------------------------------------------------

def json_formats(columns: Sequence[Column], part: str) -> Dict[str, str]:
    """Formats that change a JSON value, by the path of the field."""
    formats: Dict[str, str] = {}
    for column in columns:
        if column["of"] == part and column["format"] in _SHOWN_AS_TEXT:
            formats.setdefault(column["name"], column["format"])
    return formats


def json_struct(line: Line, fields: Sequence[Dict[str, Any]], base: int,
                formats: Dict[str, str], path: str = "") -> None:
    """Add an object with the fields of a struct at ``base``."""
    comma = b"{"
    for field in fields:
        name = field["name"]
        if name.startswith("_") or name.startswith("pad"):
            continue
        line.literal(comma + b'"' + text.json_string(name.encode()) + b'":')
        json_value(line, field, base, formats, path + name)
        comma = b","
    line.literal(b"{}" if comma == b"{" else b"}")


def json_value(line: Line, field: Dict[str, Any], base: int, formats: Dict[str, str],
               path: str) -> None:
    """Add the value of a field of the struct at ``base``."""
    offset = base + field["offset"]
    size = field["size"]
    count = field.get("count") or 0
    kind = field["kind"]
    slice_ = f"r[{offset}:{offset + size * max(count, 1)}]"
    special = formats.get(path)
    if special == "port":
        line.value("d", f"r[{offset}] << 8 | r[{offset + 1}]")
    elif special == "args":
        line.value("b", f"{line.constant(_json_list)}({slice_})")
    elif special:
        maker = {"ipv4": ipv4, "ipv6": ipv6, "ip": ip, "path": _json_path}[special]
        line.literal(b'"')
        line.value("b", f"{line.constant(maker)}({slice_})")
        line.literal(b'"')
    elif count:
        line.literal(b"[")
        for index in range(count):
            line.literal(b"," if index else b"")
            element = {**field, "offset": offset + index * size, "count": 0}
            json_value(line, element, 0, {}, path)
        line.literal(b"]")
    elif kind == "struct":
        json_struct(line, field["fields"], offset, formats, path + ".")
    elif kind == "string":
        line.value("b", f"{line.constant(_json_text)}({slice_})")
    elif kind == "bool":
        line.value("b", f"b'true' if {line.integer(offset, size, kind)} else b'false'")
    else:
        line.value("d", line.integer(offset, size, kind))


def _json_text(raw: bytes) -> bytes:
    return b'"%b"' % text.json_string(raw.split(b"\0", 1)[0])


def _json_list(raw: bytes) -> bytes:
    return b"[%b]" % b",".join(b'"%b"' % text.json_string(part) for part in text.strings(raw))


def _json_path(raw: bytes) -> bytes:
    return text.json_string(text.join_path(raw))
