# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""File and process names are anybody's bytes: they never get through raw."""
from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Dict, List, Optional

import pytest

from frontends import FRONTENDS, Argument, Result, both, run

NAMES: Dict[str, bytes] = {
    "control": bytes(range(1, 0x20)) + b"\x7f",
    "escapes": b"\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "c1": "\x80\x85\x9b31m\x9f".encode(),
    "newline": b"first\nPID    COMM\nsecond\r\n",
    "invalid": b"\xff\xfe\x80abc\xf8\x88\x80\x80\x80",
    "truncated": b"abc\xe2\x82",
    "overlong": b"\xc0\xaf\xc1\x81\xe0\x80\xaf\xf0\x80\x80\xaf",
    "surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond": b"\xf4\x90\x80\x80",
    "overrides": "a\u202egnp.exe\u2066\u200f\u061c".encode(),
    "invisible": "a\u200b\u2060\ufeff\U000e0041\ufdd0\uffff\u2028".encode(),
    "quotes": b"a\"b\"\",'c,;\td\\x41\\",
    "quoted": b'say "hi"',
    "formula": b"=cmd|' /C calc'!A0",
    "printf": b"%s%n%d%%{option}",
    "unicode": "gr\u00fc\u00df \u65e5\u672c \U0001f600 e\u0301".encode(),
    "empty": b"",
    "long": b"\xc3" * 200 + b"x" * 55,
}
COMMS = {name: value[:15] for name, value in NAMES.items()}


def hidden(char: str) -> bool:
    """Whether docs/output.md calls a character not printable."""
    code = ord(char)
    ranges = ((0, 0x1f), (0x7f, 0x9f), (0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x206f),
              (0xfeff, 0xfeff), (0xfff9, 0xfffb), (0xe0000, 0xe007f), (0xfdd0, 0xfdef))
    return any(low <= code <= high for low, high in ranges) or code & 0xfffe == 0xfffe


def next_char(raw: bytes) -> Optional[str]:
    """The character that the bytes begin with, None if that is no UTF-8."""
    for length in (1, 2, 3, 4):
        try:
            return raw[:length].decode()
        except UnicodeDecodeError:
            continue
    return None


def shown(raw: bytes) -> str:
    """What text and CSV show of a string, worked out byte by byte."""
    text = ""
    while raw:
        char = next_char(raw)
        size = len(char.encode()) if char else 1
        if char and not hidden(char):
            text += char
        else:
            text += "".join(f"\\x{byte:02x}" for byte in raw[:size])
        raw = raw[size:]
    return text


def in_json(raw: bytes) -> str:
    """What a JSON parser gets for a string."""
    text = ""
    while raw:
        char = next_char(raw)
        text += char if char else f"\\x{raw[0]:02x}"
        raw = raw[len(char.encode()) if char else 1:]
    return text


def harmless(output: bytes, how: str) -> bool:
    """Valid UTF-8 without control characters but line ends; JSON may hold those above U+007F,
    text and CSV hold nothing at all that is hidden."""
    return not any(char != "\n" and hidden(char) and (how != "json" or char < "\x80")
                   for char in output.decode())


@pytest.fixture(name="names", scope="module", params=["text", "json", "csv"])
def fixture_names(request: pytest.FixtureRequest, workloads: Path) -> Dict[str, Result]:
    """Both frontends on one process that takes each name as its own and opens it."""
    steps: List[Argument] = []
    for name, value in NAMES.items():
        steps += ["comm", COMMS[name], "openat", value]
    seen = both("opensnoop", ["--format", request.param], [str(workloads / "places"), *steps], 4)
    for result in seen.values():
        result.format = request.param  # type: ignore[attr-defined]
        assert (result.status, result.stderr) == (0, b"")
        assert harmless(result.stdout, request.param)
    return seen


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_names(names: Dict[str, Result], frontend: str) -> None:
    """Each name in its field, escaped as the document says; no line more or less."""
    result = names[frontend]
    expected = list(NAMES)
    how = result.format  # type: ignore[attr-defined]
    if how == "json":
        events = [event["data"] for event in result.objects()]
        # whatever the program opened before its first step comes first
        events = events[-len(expected):]
        for name, event in zip(expected, events):
            assert (event["comm"], event["path"]) == (in_json(COMMS[name]), in_json(NAMES[name]))
        assert len(events) == len(expected)
    elif how == "csv":
        rows = list(csv.reader(io.StringIO(result.stdout.decode(), newline="")))
        assert {len(row) for row in rows} == {6}
        assert rows[0] == ["pid", "comm", "fd", "err", "path", "path_cut"]
        for name, row in zip(expected, rows[-len(expected):]):
            assert (row[1], *row[4:]) == (shown(COMMS[name]), shown(NAMES[name]), "")
    else:
        lines = result.stdout.decode().split("\n")[1:-1][-len(expected):]
        for name, line in zip(expected, lines):
            padded = shown(COMMS[name]).encode().ljust(16)
            assert line.encode()[7:].startswith(padded + b" ")
            assert line.endswith(" " + shown(NAMES[name]))


def test_names_are_the_same(names: Dict[str, Result]) -> None:
    """Byte for byte from both, but for the time."""
    outputs = []
    for result in names.values():
        text = result.stdout
        if result.format == "json":  # type: ignore[attr-defined]
            objects = [json.loads(line) for line in result.lines()]
            for one in objects:
                del one["data"]["ts"]
            text = json.dumps(objects).encode()
        outputs.append(text)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("output", ["text", "json", "csv"])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_arguments(workloads: Path, frontend: str, output: str) -> None:
    """Arguments of a new program, with an empty one and quotes."""
    args = [value[:100] for value in NAMES.values()]
    quote = ["-q"] if output != "json" else []
    result = run(frontend, "execsnoop", ["--format", output, *quote, "--",
                                         str(workloads / "leave"), *args])
    assert (result.status, result.stderr) == (0, b"")
    assert harmless(result.stdout, output)
    argv = [str(workloads / "leave").encode(), *args][:20]
    quoted = " ".join('"' + shown(one.replace(b'"', b'\\"')) + '"' for one in argv)
    if output == "json":
        events = result.objects()
        assert len(events) == 1
        assert events[0]["data"]["args"][:len(argv)] == [in_json(one) for one in argv]
    elif output == "csv":
        rows = list(csv.reader(io.StringIO(result.stdout.decode(), newline="")))
        assert len(rows) == 2 and len(rows[0]) == len(rows[1])
        assert rows[1][-2:] == [quoted, ""]
    else:
        assert len(result.lines()) == 2
        assert result.stdout.decode().endswith(f" {quoted}\n")


@pytest.mark.parametrize("output", ["text", "json", "csv"])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_names_in_reports(workloads: Path, frontend: str, output: str) -> None:
    """A process's name as a table's key."""
    for name in ("escapes", "newline", "quotes", "quoted", "invalid"):
        result = run(frontend, "syscount", ["-P", "--format", output, "--",
                                            str(workloads / "places"), "comm", COMMS[name],
                                            "openat", "/missing"])
        assert result.status == 0 and harmless(result.stdout, output)
        table = b"\n".join(result.lines()[1:]) + b"\n"     # COMMAND has printed a line
        if output == "json":
            rows = json.loads(table)["data"]
            assert in_json(COMMS[name]) in [row["value"]["comm"] for row in rows]
        else:
            assert shown(COMMS[name]).encode().replace(b'"', b'""' if output == "csv" else b'"') \
                in table


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_hostile_command(frontend: str) -> None:
    """A COMMAND that is not there is named safely."""
    result = run(frontend, "opensnoop", ["--", b"/missing/\x1b[31m\xff\n\xe2\x80\xae"])
    assert result.status == 1
    assert result.stderr == (b"opensnoop: cannot run '/missing/\\x1b[31m\\xff\\x0a"
                             b"\\xe2\\x80\\xae': No such file or directory\n")
