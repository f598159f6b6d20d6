# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Flame graphs and tables of symbols: the same from both frontends; what a browser makes of a graph."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence, Tuple
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from bpfduet import flame
from bpfduet.symbols import Symbol, SymbolTable

DRIVER = str(Path(harness.DRIVER).with_name("stacks_driver"))
SVG = "{http://www.w3.org/2000/svg}"
BROWSER = [shutil.which("chromium") or "chromium-browser", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
           "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000"]

STACKS: List[flame.Stack] = [
    ([(b"c", b"app"), (b"u", b"main"), (b"u", b"work(int, char const*)")], 60),
    ([(b"c", b"app"), (b"u", b"main"), (b"u", b"vector<int>::push_back"), (b"k", b"page_fault")], 25),
    ([(b"c", b"app"), (b"u", b"main"), (b"u", b"vector<int>::push_back")], 5),
    ([(b"c", b"other & \"co\""), (b"u", b"main"), (b"u", b"work(int, char const*)")], 10),
]

names = st.one_of(
    st.sampled_from([b"main", b"work", b"a&b", b"<x>", b'"', b"]]>", "größe".encode(), b"[unknown]"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2fff, blacklist_categories=["Cc", "Cs"],
                          blacklist_characters="\t\n"), min_size=1, max_size=12).map(str.encode))
stacks = st.lists(st.tuples(
    st.lists(st.tuples(st.sampled_from([b"u", b"k"]), names), max_size=6)
    .map(lambda frames: [(b"c", b"app"), *frames]),
    st.one_of(st.integers(0, 100), st.integers(0, 1 << 56))), max_size=30)


def drawn_by_c(title: str, unit: str, what: Sequence[flame.Stack]) -> bytes:
    """The C frontend's graph."""
    lines = b"".join(b"\t".join([kind + name for kind, name in frames] + [b"%d" % value]) + b"\n"
                     for frames, value in what)
    return subprocess.run([DRIVER, title, unit], input=lines, stdout=subprocess.PIPE,
                          check=True).stdout


@settings(max_examples=80, deadline=None)
@given(stacks)
def test_same(what: List[flame.Stack]) -> None:
    """The same bytes, and XML."""
    graph = flame.draw("a <tool>", "us & more", what)
    assert graph == drawn_by_c("a <tool>", "us & more", what)
    ElementTree.fromstring(graph)


def frames_of(graph: bytes) -> Dict[Tuple[str, int], Tuple[float, float, str]]:
    """(name, start): x and width in percent, title."""
    group = ElementTree.fromstring(graph).find(f".//{SVG}g[@id='frames']")
    assert group is not None
    found = {}
    for frame in group:
        name, title = (frame.find(SVG + tag).text for tag in ("text", "title"))
        found[name, int(frame.get("data-start"))] = (
            float(frame.get("x").rstrip("%")), float(frame.get("width").rstrip("%")), title)
    return found


def test_layout() -> None:
    """Where each frame is, and how wide."""
    found = frames_of(flame.draw("profile", "samples", STACKS))
    assert found == {
        ("all", 0): (0, 100, "all (100 samples, 100.00%)"),
        ("app", 0): (0, 90, "app (90 samples, 90.00%)"),
        ("main", 0): (0, 90, "main (90 samples, 90.00%)"),
        ("vector<int>::push_back", 0): (0, 30, "vector<int>::push_back (30 samples, 30.00%)"),
        ("page_fault", 5): (5, 25, "page_fault (25 samples, 25.00%)"),
        ("work(int, char const*)", 30): (30, 60, "work(int, char const*) (60 samples, 60.00%)"),
        ('other & "co"', 90): (90, 10, 'other & "co" (10 samples, 10.00%)'),
        ("main", 90): (90, 10, "main (10 samples, 10.00%)"),
        ("work(int, char const*)", 90): (90, 10, "work(int, char const*) (10 samples, 10.00%)"),
    }


def test_narrow_frames_are_left_out() -> None:
    """What nobody could see."""
    what: List[flame.Stack] = [([(b"c", b"wide")], flame.PARTS), ([(b"c", b"thin")], 2),
                               ([(b"c", b"thinner")], 1), ([(b"c", b"nothing")], 0)]
    shown = {name for name, _ in frames_of(flame.draw("t", "u", what))}
    assert shown == {"all", "wide", "thin"}


def test_nothing() -> None:
    """No stacks, no frames."""
    assert frames_of(flame.draw("t", "u", [])) == {}


def test_self_contained() -> None:
    """Nothing is loaded from elsewhere."""
    graph = flame.draw("t", "u", STACKS).decode()
    graph = re.sub(r'xmlns="http://www\.w3\.org/[^"]*"', "", graph)
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\bhref=", graph)


# -- in a browser ----------------------------------------------------------------------------

def browse(tmp_path: Path, address: str, *arguments: str) -> str:
    """What headless Chromium prints."""
    return subprocess.run(
        [*BROWSER, f"--user-data-dir={tmp_path / 'browser'}", *arguments, address], check=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120).stdout.decode()


@pytest.fixture(name="graph")
def _graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.svg"
    path.write_bytes(flame.draw("profile", "samples", STACKS))
    return path


def test_browser_search(tmp_path: Path, graph: Path) -> None:
    """The search marks frames and tells their share; frames inside of others count once."""
    page = browse(tmp_path, f"file://{graph}#search=work", "--dump-dom")
    assert ">matched: 70.00%</text>" in page
    assert len(re.findall(r'<svg [^>]*class="match"', page)) == 2
    assert "<title>page_fault (25 samples, 25.00%)</title>" in page
    page = browse(tmp_path, f"file://{graph}#search=push_back%7Cpage", "--dump-dom")
    assert ">matched: 30.00%</text>" in page


def test_browser_zoom(tmp_path: Path, graph: Path) -> None:
    """A click fills the width with a frame; Escape brings everything back."""
    click = """
    const find = (name, start) => [...document.querySelectorAll("#frames > svg")].find((frame) =>
        frame.querySelector("text").textContent === name && frame.dataset.start === start);
    find("vector<int>::push_back", "0").dispatchEvent(new MouseEvent("click"));
    """
    escape = 'window.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"}));'
    text = graph.read_text()
    for script, fault, work in ((click, ("16.666", "83.333"), "none"),
                                (click + escape, ("5%", "25%"), "")):
        graph.write_text(text.replace("</svg>\n", "", 0)[:-len("</svg>\n")]
                         + f"<script><![CDATA[{script}]]></script></svg>\n")
        page = browse(tmp_path, f"file://{graph}", "--dump-dom")
        frame = next(tag for tag in re.findall(r"<svg [^>]*><title>[^<]*", page)
                     if ">page_fault " in tag)
        assert f'x="{fault[0]}' in frame and f'width="{fault[1]}' in frame, frame
        frame = next(tag for tag in re.findall(r"<svg [^>]*><title>[^<]*", page)
                     if 'data-start="30"' in tag)
        assert ("display: none" in frame) == (work == "none"), frame


# -- symbols ------------------------------------------------------------------------------------

def found_by_c(table: Sequence[Symbol], addresses: Sequence[int], *latest: str) -> List[bytes]:
    """The C frontend's answers."""
    lines = [b"%x %x %b" % symbol for symbol in table] + [b""]
    lines += [b"%x" % address for address in addresses]
    return subprocess.run([DRIVER, "--symbols", *latest], input=b"\n".join(lines) + b"\n",
                          stdout=subprocess.PIPE, check=True).stdout.split(b"\n")[:-1]


# Functions within others, beside others, and with several names.
SYMBOLS: List[Symbol] = [
    (0x100, 0x40, b"outer"), (0x108, 8, b"inner"), (0x140, 0x10, b"__longname"),
    (0x140, 0x10, b"_longname"), (0x140, 0x10, b"longname"), (0x140, 0x10, b"named"),
    (0x140, 0x10, b"aname"), (0x140, 4, b"a"), (0x160, 8, b"last"), (0x160, 8, b"_a"),
]


def test_symbols() -> None:
    """The innermost function, and the best of its names (docs/output.md)."""
    expected = {0xff: b"-", 0x100: b"outer", 0x107: b"outer", 0x108: b"inner", 0x10f: b"inner",
                0x110: b"outer", 0x13f: b"outer", 0x140: b"aname", 0x14f: b"aname", 0x150: b"-",
                0x15f: b"-", 0x160: b"last", 0x167: b"last", 0x168: b"-", (1 << 64) - 1: b"-"}
    table = SymbolTable(SYMBOLS)
    assert {address: table.find(address) or b"-" for address in expected} == expected
    assert found_by_c(SYMBOLS, list(expected)) == list(expected.values())


symbols = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20), st.sampled_from(
    [b"a", b"b", b"_a", b"__a", b"ab", b"_ab", b"aaa"])), max_size=20)


@settings(max_examples=60, deadline=None)
@given(symbols, st.booleans())
def test_symbols_same(what: List[Symbol], latest: bool) -> None:
    """Any table: the same in both."""
    table = SymbolTable(what, latest)
    assert found_by_c(what, range(90), *["latest"][:latest]) == [
        table.find(address) or b"-" for address in range(90)]
