# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Flame graphs and tables of symbols; what a browser makes of a graph."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness

SVG = "{http://www.w3.org/2000/svg}"
BROWSER = [shutil.which("chromium") or "chromium-browser", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
           "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000"]

STACKS: List[harness.Stack] = [
    (["capp", "umain", "uwork(int, char const*)"], 60),
    (["capp", "umain", "uvector<int>::push_back", "kpage_fault"], 25),
    (["capp", "umain", "uvector<int>::push_back"], 5),
    (["cother & \"co\"", "umain", "uwork(int, char const*)"], 10),
]
# Frames of less than one of so many parts of the whole are too narrow to see.
PARTS = 20000

names = st.one_of(
    st.sampled_from(["main", "work", "a&b", "<x>", '"', "]]>", "größe", "[unknown]"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=0x2fff, blacklist_categories=["Cc", "Cs"],
                          blacklist_characters="\t\n"), min_size=1, max_size=12))
stacks = st.lists(st.tuples(
    st.lists(st.tuples(st.sampled_from("uk"), names).map("".join), max_size=6)
    .map(lambda frames: ["capp", *frames]),
    st.one_of(st.integers(0, 100), st.integers(0, 1 << 56))), max_size=30)


@settings(max_examples=80, deadline=None)
@given(stacks)
def test_any(what: List[harness.Stack]) -> None:
    """XML. What is deeper lies within what called it; the whole is what the stacks add up to."""
    graph = harness.draw("a <tool>", "us & more", what)
    total = sum(value for _, value in what)
    drawn = {(name, start, depth): (value, title)
             for name, start, depth, value, title in frames_in(graph)}
    assert bool(drawn) == bool(total)
    for (name, start, depth), (value, title) in drawn.items():
        assert title.startswith(f"{name} ({value} us & more, ") and value * PARTS >= total
        callers = [1 for (_, other, above), (width, _) in drawn.items()
                   if above == depth - 1 and other <= start and start + value <= other + width]
        assert len(callers) == (depth > 0)
    if total:
        assert drawn["all", 0, 0][0] == total


def frames_in(graph: bytes) -> Iterator[Tuple[str, int, int, int, str]]:
    """(name, start, depth, value, title) of each frame."""
    group = ElementTree.fromstring(graph).find(f".//{SVG}g[@id='frames']")
    assert group is not None
    for frame in group:
        name, title = (frame.findtext(SVG + tag, "") for tag in ("text", "title"))
        start, depth, value = (int(frame.get(f"data-{key}", "")) for key in ("start", "depth", "value"))
        yield name, start, depth, value, title


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
    found = frames_of(harness.draw("profile", "samples", STACKS))
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
    what: List[harness.Stack] = [(["cwide"], PARTS), (["cthin"], 2), (["cthinner"], 1),
                                 (["cnothing"], 0)]
    shown = {name for name, _ in frames_of(harness.draw("t", "u", what))}
    assert shown == {"all", "wide", "thin"}


def test_nothing() -> None:
    """No stacks, no frames."""
    assert frames_of(harness.draw("t", "u", [])) == {}


def test_self_contained() -> None:
    """Nothing is loaded from elsewhere."""
    graph = harness.draw("t", "u", STACKS).decode()
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
    path.write_bytes(harness.draw("profile", "samples", STACKS))
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

# Functions within others, beside others, and with several names.
SYMBOLS: List[harness.Symbol] = [
    (0x100, 0x40, "outer"), (0x108, 8, "inner"), (0x140, 0x10, "__longname"),
    (0x140, 0x10, "_longname"), (0x140, 0x10, "longname"), (0x140, 0x10, "named"),
    (0x140, 0x10, "aname"), (0x140, 4, "a"), (0x160, 8, "last"), (0x160, 8, "_a"),
]


def test_symbols() -> None:
    """The innermost function, and the best of its names (docs/output.md)."""
    expected = {0xff: None, 0x100: "outer", 0x107: "outer", 0x108: "inner", 0x10f: "inner",
                0x110: "outer", 0x13f: "outer", 0x140: "aname", 0x14f: "aname", 0x150: None,
                0x15f: None, 0x160: "last", 0x167: "last", 0x168: None, (1 << 64) - 1: None}
    assert harness.find_symbols(SYMBOLS, expected) == list(expected.values())


def test_latest_symbols() -> None:
    """In a perf map the last one written."""
    table = [(0x10, 8, "longer"), (0x10, 4, "_b"), (0x20, 4, "c"), (0x20, 8, "dd")]
    assert harness.find_symbols(table, [0x10, 0x14, 0x23, 0x27], latest=True) == [
        "_b", None, "dd", "dd"]


symbols = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20), st.sampled_from(
    ["a", "b", "_a", "__a", "ab", "_ab", "aaa"])), max_size=20)


@settings(max_examples=60, deadline=None)
@given(symbols, st.booleans())
def test_any_symbols(what: List[harness.Symbol], latest: bool) -> None:
    """The name of the nearest function that holds the address. None where nothing does, or another
    one lies between."""
    kept: Dict[int, Tuple[int, Set[str]]] = {}
    for start, size, name in what:
        before, names_there = kept.get(start, (0, set()))
        if latest or size > before:
            kept[start] = (size, {name})
        elif size == before:
            names_there.add(name)
    for address, found in enumerate(harness.find_symbols(what, range(90), latest)):
        holding = [start for start, (size, _) in kept.items() if start <= address < start + size]
        if found is not None:
            assert found in kept[max(holding)][1], address
        elif holding:
            assert any(max(holding) < start <= address for start in kept), address
