# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The witness's own formatter: ctypes objects in, text and JSON out; and its command line."""
from __future__ import annotations

import ctypes as ct
import json
import socket
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bpfduet.spec import bind, read
from bpfduet.errors import Error, UsageError
from bpfduet.bcc.late_constants import configs_of
from bpfduet.paths import COMMON, TOOLS, VERSION
from bpfduet.plain import options, records, safe
from bpfduet.plain.formats import Clock, Column, json_value, line


class Inner(ct.Structure):
    _fields_ = [("a", ct.c_uint8), ("__pad_1", ct.c_char * 3), ("b", ct.c_int32)]


class Record(ct.Structure):
    _fields_ = [("ts", ct.c_uint64), ("flag", ct.c_bool), ("low", ct.c_char),
                ("numbers", ct.c_uint16 * 3), ("inner", Inner), ("address", ct.c_ubyte * 16),
                ("port", ct.c_uint16), ("signed", ct.c_int64), ("unsigned", ct.c_uint32),
                ("path", ct.c_char * 16)]


def record(**values: Any) -> Dict[str, Any]:
    """A record with these values, as it comes out of a buffer."""
    made = Record()
    for name, value in values.items():
        setattr(made, name, value)
    return records.value_of(made)


def test_values() -> None:
    made = record(ts=1 << 63, flag=True, low=b"\xff", inner=Inner(7, b"", -9), path=b"a\0b")
    assert list(made) == [entry[0] for entry in Record._fields_]
    assert made["ts"] == 1 << 63 and made["flag"] is True and made["low"] == -1
    assert made["inner"] == {"a": 7, "b": -9} and made["numbers"] == [0, 0, 0]
    assert made["path"] == b"a" + bytes(15)     # ctypes takes what is before a NUL
    assert records.walk(made, "inner.b") == -9
    with pytest.raises(Error):
        records.walk(made, "inner.c")


@pytest.mark.parametrize("cut", [0, 1, 15])
def test_cut_record(cut: int) -> None:
    """A record may end within its last string."""
    raw = bytes(Record(ts=5, path=b"0123456789abcde"))
    least = records.least_size(Record)
    assert least == Record.path.offset
    found = records.record_of(Record, raw[:least + cut])
    assert found["ts"] == 5 and records.cut(found["path"]) == b"0123456789abcde"[:cut]


def test_sums() -> None:
    """Numbers are added up; strings and bool are those of the first CPU that has anything."""
    cpus: List[Dict[str, Any]] = [
        {"n": 0, "s": b"\0\0", "l": [0, 0], "i": {"x": 0}, "b": False},
        {"n": 3, "s": b"a\0", "l": [1, 2], "i": {"x": 1}, "b": True},
        {"n": 4, "s": b"b\0", "l": [10, 20], "i": {"x": 2}, "b": False}]
    assert records.added(cpus) == {"n": 7, "s": b"a\0", "l": [11, 22], "i": {"x": 3}, "b": True}
    assert records.added(cpus[:1]) == cpus[0]
    assert records.added([1, 0, 2]) == 3
    assert records.is_zero(cpus[0]) and not records.is_zero(cpus[1])


def test_order() -> None:
    keys = [{"a": b"b\0x", "n": 1}, {"a": b"a\0\0", "n": 2}, {"a": b"a\0z", "n": -2}]
    assert sorted(keys, key=records.order) == [keys[2], keys[1], keys[0]]


def column(field: str, **more: Any) -> Column:
    """A column as TOML says it."""
    data = {"heading": field.upper(), "field": field, **more}
    values = {"v": {"two": 2, "one": 1, "none": 0, "six": 6}}
    made = read.Spec("tool", {"values": values}, None)  # type: ignore[arg-type]
    return Column(data, Record, made, options.Options(given={"q"}), Clock())


MAPPED = bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 1])


@pytest.mark.parametrize("field, value, more, text", [
    ("ts", 1 << 63, {}, "9223372036854775808"), ("flag", True, {}, "1"),
    ("signed", -1, {"format": "hex"}, "0xffffffffffffffff"),
    ("ts", 8, {"format": "octal", "digits": 4}, "0010"),
    ("signed", -1500, {"format": "duration", "unit": "us"}, "-1.500"),
    ("ts", 5, {"format": "duration", "unit": "ns"}, "5"),
    ("ts", 9999, {"format": "bytes"}, "9999"), ("ts", 10000, {"format": "bytes"}, "9.8K"),
    ("ts", 1 << 60, {"format": "bytes"}, "1048576.0T"),
    ("signed", -20480, {"format": "bytes"}, "-20.0K"),
    ("address", MAPPED, {"format": "ip"}, "127.0.0.1"),
    ("address", MAPPED, {"format": "ipv6"}, "::ffff:127.0.0.1"),
    ("port", socket.htons(443), {"format": "port"}, "443"),
    ("unsigned", int.from_bytes(b"\x0a\0\0\1", "little"), {"format": "ipv4"}, "10.0.0.1"),
    ("signed", -2, {"format": "errno"}, "ENOENT"), ("signed", 0, {"format": "errno"}, "0"),
    ("signed", -4095, {"format": "errno"}, "-4095"),
    ("signed", 15, {"format": "signal"}, "SIGTERM"),
    ("signed", 0, {"format": "syscall"}, "read"),
    ("signed", 9999, {"format": "syscall"}, "[unknown: 9999]"),
    ("unsigned", 21, {"format": "capability"}, "CAP_SYS_ADMIN"),
    ("unsigned", 8 << 20 | 3, {"format": "device"}, "8:3"),
    ("unsigned", 0, {"format": "exit"}, "0"), ("unsigned", 256, {"format": "exit"}, "code 1"),
    ("unsigned", 139, {"format": "exit"}, "signal 11 (SEGV), core dumped "),
    ("unsigned", 0, {"format": "user"}, "root"),
    ("unsigned", 2, {"format": "enum", "values": "v"}, "two"),
    ("unsigned", 9, {"format": "enum", "values": "v"}, "9"),
    ("unsigned", 15, {"format": "flags", "values": "v"}, "two|one|0xc"),
    ("unsigned", 0, {"format": "flags", "values": "v"}, "none"),
    ("unsigned", 3, {"format": "flags", "values": "v", "join": "-"}, "two-one"),
    ("unsigned", 0, {"zero": "?"}, "?"), ("inner.b", None, {}, "0"),
    ("path", b"a\x1b\xff", {}, r"a\x1b\xff"), ("path", b"abcdef", {"cut": 3}, "abc"),
])
def test_formats(field: str, value: Any, more: Dict[str, Any], text: str) -> None:
    made = record() if value is None else record(
        **{field: (ct.c_ubyte * 16)(*value) if field == "address" else value})
    assert column(field, **more).text(made) == text


def test_strings() -> None:
    """Formats of several strings in one char array."""
    made = record()
    made["path"] = b'a\0\0b "c"\0\0\0'
    assert column("path", format="args").text(made) == 'a  b "c"'
    assert column("path", format="args", quote="q").text(made) == '"a" "" "b \\"c\\""'
    made["path"] = b"file\0dir\0/\0up\0"
    assert column("path", format="path").text(made) == "/dir/file"


def test_percent() -> None:
    made = record(ts=200, signed=50)
    assert column("signed", format="percent", whole="ts").text(made) == "25.00%"
    assert column("signed", format="percent", whole="ts", rest=True, digits=0).text(made) == "75%"
    assert column("signed", format="percent", whole="ts").text(record(signed=1)) == "0.00%"


def test_clock() -> None:
    clock = Clock()
    assert clock.elapsed(clock.start_ns + 1_500_000_000, "start", 3) == "1.500"
    clock.first_ns = clock.start_ns + 1_000_000_000
    assert clock.elapsed(clock.start_ns, "first", 1) == "-1.0"
    assert len(clock.wall(clock.start_ns, 6, True)) == len("12:34:56.123456")


def test_line() -> None:
    """Nothing follows the last column, and only a right-aligned one is filled up. None touch."""
    shown = [column("ts", width=4), column("port", width=4, align="right", gap=0),
             column("flag", width=9)]
    assert line(shown, ["1", "2", "3"]) == "1       2 3"
    assert line(shown[:2], ["1", "2"]) == "1       2"
    assert line(shown[:2], ["1", "2"], True) == "TS1    PORT   2"
    assert line([shown[1], shown[0]], ["12345", "x"]) == "12345 x"
    marked = [column("flag", gap=0, heading=""), column("port", gap=0), column("flag", heading="")]
    assert line(marked, ["<", "12345", ">"]) == "<12345>"


def test_json() -> None:
    made = record(ts=1 << 63, flag=True, address=(ct.c_ubyte * 16)(*MAPPED), path=b'"\\\n\x7f\xff',
                  port=socket.htons(80))
    made["_hidden"] = made["padding"] = 1
    columns = [column("address", format="ip"), column("port", format="port"), column("ts", format="hex")]
    text = safe.json_text(json_value(made, columns))
    assert text == (
        '{"ts":9223372036854775808,"flag":true,"low":0,"numbers":[0,0,0],"inner":{"a":0,"b":0},'
        '"address":"127.0.0.1","port":80,"signed":0,"unsigned":0,'
        r'"path":"\"\\\u000a\u007f\\xff"}')
    assert json.loads(text)["path"] == '"\\\n\x7f\\xff'
    made["path"] = b"a\0b\0"
    assert json_value(made, [column("path", format="args")])["path"] == [b"a", b"b"]


@pytest.mark.parametrize("raw, text", [
    ("größe 漢字 🙂".encode(), "größe 漢字 🙂"), (b"\xc3(", r"\xc3("),
    ("a\u200bb".encode(), r"a\xe2\x80\x8bb"), ("\u202e".encode(), r"\xe2\x80\xae"),
    ("\ufffe".encode(), r"\xef\xbf\xbe"), (b"\xed\xa0\x80", r"\xed\xa0\x80"),
    ("\U0001ffff".encode(), r"\xf0\x9f\xbf\xbf"), (b"\x80", r"\x80"), ("\x9b".encode(), r"\xc2\x9b")])
def test_safe(raw: bytes, text: str) -> None:
    assert safe.shown(raw) == text


def bound_of(name: str) -> Dict[str, Any]:
    """What there is of a bound spec before anything is compiled."""
    text = (TOOLS / f"{name}.bpf.c").read_text()
    return bind.command_line(read.load(TOOLS / f"{name}.toml", COMMON), configs_of(text), VERSION)


def test_options() -> None:
    chosen = options.parse(bound_of("opensnoop"), [
        "-xUf", "O_WRONLY", "-f", "O_CREAT|O_EXCL", "-p", "0x10", "--comm=sh", "--", "ls", "-x"])
    assert chosen.given == {"failed", "print-uid", "flag_filter", "pid", "comm"}
    assert chosen.configs == {"failed_only": 1, "flag_mask": 1 << 33 | 0o300, "filter_pid": 16,
                              "filter_comm": b"sh"}
    assert chosen.command == ["ls", "-x"] and chosen.roles["format"] == 0
    assert chosen.holds(["failed", "!timestamp"]) and not chosen.holds(["timestamp"])


def test_arguments() -> None:
    """Words without a dash, between options, too."""
    chosen = options.parse(bound_of("pktsize"), ["lo", "-d", "5", "--format", "json", "2"])
    assert chosen.values["interface"] == "lo"
    assert chosen.roles == {"format": 1, "interval": 5, "count": 2}
    assert chosen.fill("{interface} {interval}") == "lo 5" and chosen.fill("{top}") is None


@pytest.mark.parametrize("tool, argv", [
    ("opensnoop", ["-p", "1x"]), ("opensnoop", ["-p", "0"]), ("opensnoop", ["-b", "3"]),
    ("opensnoop", ["word"]), ("opensnoop", ["-f", "1"]), ("opensnoop", ["--comm", "x" * 16]),
    ("execsnoop", ["-n", "("]), ("biolatency", ["-d", "null"]), ("syscount", ["-e", "E"]),
    ("tcpconnect", ["-P", "1,65536"]), ("usdtsnoop", []),
    ("pktsize", ["lo", "1", "2", "3"]), ("opensnoop", ["--uid", "no such user"]), ("opensnoop", ["--"])])
def test_wrong_options(tool: str, argv: List[str]) -> None:
    with pytest.raises(UsageError):
        options.parse(bound_of(tool), argv)


def test_source_files() -> None:
    """Nothing of the modules that print or load for the API."""
    folder = Path(options.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        for name in ("choices", "decode", "engine", "api"):
            assert f"from ..{name} " not in text and f"..{name}" not in text and f"import {name}" not in text
