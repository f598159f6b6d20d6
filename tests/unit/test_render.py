# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Golden vectors through both renderers, and BCC's own histograms as an oracle.

A vector file is named after a spec in tests/unit/specs and holds cases: arguments, steps with
their values by field name, and the bytes that must come out (docs/output.md).
"""
from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

import harness
from bpfduet import options, regex, render, text

VECTORS = Path(__file__).with_name("vectors")
CLOCK = {"start_mono_ns": 1000000000, "wall_minus_mono_ns": 1700000000123456789,
         "now_wall_ns": 1700000005000000000}


def cases() -> List[Any]:
    """Every case of every file."""
    found = []
    for path in sorted(VECTORS.glob("*.json")):
        for number, case in enumerate(json.loads(path.read_text(encoding="utf-8"))):
            found.append(pytest.param(path.stem, case, id=f"{path.stem}-{number}"))
    return found


def document_of(name: str, case: Dict[str, Any]) -> Dict[str, Any]:
    """The document that the renderers take."""
    return {"bound": harness.bound_of(name), "argv": case["argv"],
            "clock": {**CLOCK, **{key: harness.bind.json_int(value)
                                  for key, value in case.get("clock", {}).items()}},
            "env": {"TZ": case.get("tz", "UTC")},
            "steps": harness.packed_steps(name, case.get("steps", []))}


def check(case: Dict[str, Any], answer: harness.Answer) -> None:
    """What a frontend answered is what the case says, byte for byte."""
    status, stdout, stderr = answer
    assert stdout.decode().split("\n") == case["stdout"] + [""]
    assert stderr.decode().split("\n") == case.get("stderr", []) + [""]
    assert status == case.get("status", 0)


@pytest.mark.parametrize("name, case", cases())
def test_python(name: str, case: Dict[str, Any]) -> None:
    """The Python renderer."""
    check(case, harness.run_python(document_of(name, case)))


@pytest.mark.parametrize("name, case", cases())
def test_c(name: str, case: Dict[str, Any]) -> None:
    """The C renderer, by its driver."""
    check(case, harness.run_c([document_of(name, case)])[0])


def test_driver_alone() -> None:
    """The driver without --batch behaves as a tool does: streams and exit status."""
    document = document_of("opensnoop", {"argv": ["--nonsense"]})
    done = subprocess.run([harness.DRIVER], input=harness.for_driver(document).encode(),
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == harness.run_python(document)[2]


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
    out = io.BytesIO()
    renderer = render.Renderer(bound, options.parse(bound, []), out, render.Clock(0, 0, lambda: 0))
    renderer.report(0, [(slot.to_bytes(4, "little"), [value.to_bytes(8, "little")])
                        for slot, value in enumerate(values)])
    assert out.getvalue().decode() == bcc_histogram(kind, values, "bytes")


# -- escaping ---------------------------------------------------------------------------------

NOT_PRINTABLE = [(0x00, 0x1f), (0x7f, 0x9f), (0x200b, 0x200f), (0x2028, 0x202e), (0x2060, 0x206f),
                 (0xfeff, 0xfeff), (0xfff9, 0xfffb), (0xe0000, 0xe007f), (0xfdd0, 0xfdef), (0x2026, 0x2026)]


def test_every_code_point() -> None:
    """Shown or escaped as the list of docs/output.md has it."""
    for point in range(0x110000):
        if 0xd800 <= point <= 0xdfff:
            continue
        raw = chr(point).encode()
        hidden = point & 0xfffe == 0xfffe or any(a <= point <= b for a, b in NOT_PRINTABLE)
        expected = "".join(f"\\x{byte:02x}" for byte in raw).encode() if hidden else raw
        assert text.escape(raw) == expected, hex(point)


@pytest.mark.parametrize("raw, shown, in_json", [
    (b"", b"", b""),
    (b"\xff\xfe", b"\\xff\\xfe", b"\\\\xff\\\\xfe"),
    (b"\xc0\xaf", b"\\xc0\\xaf", b"\\\\xc0\\\\xaf"),
    (b"\xe2\x82A", b"\\xe2\\x82A", b"\\\\xe2\\\\x82A"),
    (b"\xed\xa0\x80", b"\\xed\\xa0\\x80", b"\\\\xed\\\\xa0\\\\x80"),
    (b"\xf4\x90\x80\x80", b"\\xf4\\x90\\x80\\x80", b"\\\\xf4\\\\x90\\\\x80\\\\x80"),
    (b"a\nb\x7f", b"a\\x0ab\\x7f", b"a\\u000ab\\u007f"),
    (b'"\\', b'"\\', b'\\"\\\\'),
    ("é\u200b".encode(), "é\\xe2\\x80\\x8b".encode(), "é\u200b".encode()),
])
def test_escapes(raw: bytes, shown: bytes, in_json: bytes) -> None:
    """Text and JSON."""
    assert text.escape(raw) == shown
    assert text.json_string(raw) == in_json


@pytest.mark.parametrize("raw, path", [
    (b"", b""), (b"a\0", b"a"), (b"a\0b\0/\0c\0", b"/b/a"), (b"/a\0b\0", b"/a"),
    (b"a\0\0b\0\0\0", b"b/a"), (b"\0a\0/", b"/a"), (b"a/\0b/\0", b"b/a/"),
])
def test_paths(raw: bytes, path: bytes) -> None:
    """Components, last one first."""
    assert text.join_path(raw) == path


def test_regex_is_that_of_the_c_library() -> None:
    """POSIX: the engine of the C frontend; bytes, whatever the locale."""
    assert regex.Regex(b"^[[:alpha:]]+$").matches(b"abc")
    assert not regex.Regex(b"^[[:alpha:]]+$").matches("é".encode())
    assert regex.Regex(b"^..$").matches("é".encode())
    assert regex.Regex(b"a{2}").matches(b"xaax") and not regex.Regex(b"\\d").matches(b"5")
    assert not regex.Regex(b"b").matches(b"a\0b")
    with pytest.raises(ValueError):
        regex.Regex(b"(")


def test_flush_hands_over(tmp_path: Path) -> None:
    """A buffered stream gets nothing before begin(), the file everything at flush()."""
    bound = harness.bound_of("opensnoop")
    with open(tmp_path / "out", "wb") as out:
        renderer = render.Renderer(bound, options.parse(bound, []), out, render.Clock.now())
        assert out.tell() == 0
        renderer.begin()
        renderer.flush()
        assert os.stat(out.name).st_size == len("PID    COMM               FD ERR PATH\n")


def test_short_records_are_counted() -> None:
    """A record that ends before its string does not print; one that ends in it does."""
    bound = harness.bound_of("opensnoop")
    out = io.BytesIO()
    renderer = render.Renderer(bound, options.parse(bound, []), out, render.Clock.now())
    renderer.event(bytes(47))
    assert (renderer.dropped, out.getvalue()) == (1, b"")
    renderer.event(bytes(48))
    assert (renderer.dropped, out.getvalue().count(b"\n")) == (1, 1)
