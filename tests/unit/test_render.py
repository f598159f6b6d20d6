# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the engine prints: escaping, paths, filters, and BCC's own histograms as an oracle."""
from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import List

import pytest

import harness
from bpfduet import escape
from bpfduet.spec import bind, read, regex


def printed(bound: harness.Bound, argv: List[str], steps: List[harness.Step]) -> bytes:
    """stdout of a run that goes well."""
    (status, stdout, stderr), = harness.run([harness.document(bound, argv, steps)])
    assert (status, stderr) == (0, b"")
    return stdout


# -- BCC as an oracle ---------------------------------------------------------------------

def bcc_histogram(kind: str, values: List[int], heading: str) -> str:
    """What BCC draws."""
    table = pytest.importorskip("bcc.table")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        draw = table._print_log2_hist if kind == "log2" else table._print_linear_hist
        draw(values, heading, None)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["log2", "linear"])
@pytest.mark.parametrize("seed", range(40))
def test_histograms_are_those_of_bcc(kind: str, seed: int) -> None:
    """Random slots, narrow and wide."""
    rng = random.Random(seed)
    slots = rng.choice([1, 2, 20, 33, 34, 65])
    values = [rng.choice([0, 1, rng.randrange(100), rng.randrange(1 << 30)]) for _ in range(slots)]
    bound = harness.bound_of("readhist")
    bound["reports"][0].update(kind=kind, base=0, step=1)
    entries = [[slot.to_bytes(4, "little").hex(), [value.to_bytes(8, "little").hex()]]
               for slot, value in enumerate(values)]
    shown = printed(bound, [], [{"report": bound["reports"][0]["name"], "entries": entries}])
    assert shown.decode() == bcc_histogram(kind, values, "bytes")


# -- strings ------------------------------------------------------------------------------------

def strings(folder: Path, kind: str, size: int) -> harness.Bound:
    """The bound spec of a tool whose records are one char array, shown in a format."""
    path = folder / "strings.toml"
    path.write_text('summary = "x"\n[events]\n'
                    f'columns = [{{ field = "s", format = "{kind}" }}]\n'
                    '[options]\nmatch = { help = "x", regex = "s" }\n')
    types = harness.types([harness.map_info("events", "ringbuf", None, None)], {},
                          events=[("s", f"char[{size}]")])
    return bind.bind(read.load(path, harness.COMMON), types, "1.0")


NOT_PRINTABLE = [(0x00, 0x1f), (0x7f, 0x9f), (0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x206f),
                 (0xfeff, 0xfeff), (0xfff9, 0xfffb), (0xe0000, 0xe007f), (0xfdd0, 0xfdef), (0x2026, 0x2026)]


def shown_as(point: int) -> bytes:
    """A code point as the list of docs/output.md has it, or escaped."""
    raw = chr(point).encode()
    hidden = point & 0xfffe == 0xfffe or any(a <= point <= b for a, b in NOT_PRINTABLE)
    return "".join(f"\\x{byte:02x}" for byte in raw).encode() if hidden else raw


def test_every_code_point(tmp_path: Path) -> None:
    """Shown or escaped; NUL ends a string. Sentences of the command's, too."""
    points = [point for point in range(1, 0x110000) if not 0xd800 <= point <= 0xdfff]
    blocks = [points[start:start + 0x8000] for start in range(0, len(points), 0x8000)]
    records = ["".join(map(chr, block)).encode() for block in blocks]
    bound = strings(tmp_path, "string", 1 << 18)
    lines = printed(bound, [], [{"event": record.hex()} for record in records]).split(b"\n")[1:-1]
    assert len(lines) == len(blocks)
    for block, record, line in zip(blocks, records, lines):
        expected = b"".join(map(shown_as, block))
        # no comparison for pytest to explain: that takes it long
        assert {line, escape.escape(record)} <= {expected}, f"one of the points from {block[0]:#x}"


@pytest.mark.parametrize("raw, shown, in_json", [
    (b"", b"", b""),
    (b"\xff\xfe", b"\\xff\\xfe", b"\\\\xff\\\\xfe"),
    (b"\xc0\xaf", b"\\xc0\\xaf", b"\\\\xc0\\\\xaf"),
    (b"\xe2\x82A", b"\\xe2\\x82A", b"\\\\xe2\\\\x82A"),
    (b"\xed\xa0\x80", b"\\xed\\xa0\\x80", b"\\\\xed\\\\xa0\\\\x80"),
    (b"\xf4\x90\x80\x80", b"\\xf4\\x90\\x80\\x80", b"\\\\xf4\\\\x90\\\\x80\\\\x80"),
    (b"a\nb\x7f", b"a\\x0ab\\x7f", b"a\\u000ab\\u007f"),
    (b'"\\', b'"\\', b'\\"\\\\'),
    ("é\u200b".encode(), "é\\xe2\\x80\\x8b".encode(), "é\\u200b".encode()),
    ("\u009b1m".encode(), b"\\xc2\\x9b1m", b"\\u009b1m"),
    ("\U000e0001".encode(), b"\\xf3\\xa0\\x80\\x81", b"\\udb40\\udc01"),
])
def test_escapes(tmp_path: Path, raw: bytes, shown: bytes, in_json: bytes) -> None:
    """Text and JSON."""
    bound = strings(tmp_path, "string", 8)
    steps = [{"event": raw.ljust(8, b"\0").hex()}]
    assert printed(bound, [], steps) == b"S\n%b\n" % shown
    assert printed(bound, ["--format=json"], steps) == \
        b'{"type":"event","tool":"strings","data":{"s":"%b"}}\n' % in_json
    assert escape.escape(raw) == shown


@pytest.mark.parametrize("raw, path", [
    (b"", ""), (b"a\0", "a"), (b"a\0b\0/\0c\0", "/b/a"), (b"/a\0b\0", "/a"),
    (b"a\0\0b\0\0\0", "b/a"), (b"\0a\0/", "/a"), (b"a/\0b/\0", "b/a/"),
])
def test_paths(tmp_path: Path, raw: bytes, path: str) -> None:
    """Components, last one first."""
    bound = strings(tmp_path, "path", 10)
    steps = [{"event": raw.ljust(10, b"\0").hex()}]
    assert printed(bound, [], steps) == b"S\n%b\n" % path.encode()
    assert json.loads(printed(bound, ["--format=json"], steps))["data"] == {"s": path}


@pytest.mark.parametrize("pattern, raw, matches", [
    ("^[[:alpha:]]+$", b"abc", True), ("^[[:alpha:]]+$", "é".encode(), False),
    ("^..$", "é".encode(), True), ("a{2}", b"xaax", True), (r"\d", b"5", False),
    ("b", b"a\0b", False)])
def test_regex_is_that_of_the_c_library(tmp_path: Path, pattern: str, raw: bytes,
                                        matches: bool) -> None:
    """POSIX, extended; bytes, whatever the locale. The witness' are the same."""
    bound = strings(tmp_path, "string", 8)
    shown = printed(bound, ["--match", pattern], [{"event": raw.ljust(8, b"\0").hex()}])
    assert shown.count(b"\n") == 1 + matches
    assert regex.Regex(pattern.encode()).matches(raw) == matches


def test_bad_regex() -> None:
    """The witness says so as the engine does (test_options.py)."""
    with pytest.raises(ValueError):
        regex.Regex(b"(")


def test_short_records_are_counted() -> None:
    """A record that ends before its string does not print; one that ends in it does."""
    bound = harness.bound_of("opensnoop")
    steps = [{"event": bytes(47).hex()}, {"event": bytes(48).hex()}]
    (status, stdout, stderr), = harness.run([harness.document(bound, [], steps)])
    assert (status, stdout.count(b"\n"), stderr) == (0, 2, b"opensnoop: lost 1 events\n")
