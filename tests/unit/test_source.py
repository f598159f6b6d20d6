# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Lines of keys and elements in the text of a TOML file."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

import harness
from bpfduet.spec.read import tomllib
from bpfduet.spec.source import Place, Source

TEXT = """\
a.b = 1                                 # 1: "x = 2" is a remark
"x y".'z.z' = \"\"\"
k = 3 ] } , \\\"
\"\"\"
raw = '''
n = "
'''
[t."q"]
c = [
    { p = 1, q = [1,
        2] },   # ] }
    "s, [",

    [ { r = 2000-01-01 }, -1.5 ],
]
d = { e.f = "a # b", g = '}', "h" = {} }
e = []
[[r]]
h = true
[[r.s]]
i = 1
[r.t.u]
k = 1
[[r]]
[[r.s]]
[[r.s]]
j = 2
"""
LINES = {
    ("a",): 1, ("a", "b"): 1, ("x y", "z.z"): 2, ("raw",): 5, ("t",): 8, ("t", "q"): 8,
    ("t", "q", "c"): 9, ("t", "q", "c", 0): 10, ("t", "q", "c", 0, "q"): 10,
    ("t", "q", "c", 0, "q", 1): 11, ("t", "q", "c", 1): 12, ("t", "q", "c", 2): 14,
    ("t", "q", "c", 2, 0, "r"): 14, ("t", "q", "c", 2, 1): 14, ("t", "q", "d"): 16,
    ("t", "q", "d", "e", "f"): 16, ("t", "q", "d", "h"): 16, ("t", "q", "e"): 17, ("r",): 18,
    ("r", 0): 18, ("r", 0, "h"): 19, ("r", 0, "s", 0): 20, ("r", 0, "s", 0, "i"): 21,
    ("r", 0, "t"): 22, ("r", 0, "t", "u", "k"): 23, ("r", 1): 24, ("r", 1, "s"): 25,
    ("r", 1, "s", 0): 25, ("r", 1, "s", 1): 26, ("r", 1, "s", 1, "j"): 27,
    # what is not there has the line of what is around it
    ("t", "q", "c", 0, "none"): 10, ("r", 1, "none", 3): 24, ("none",): 1,
}


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a document."""
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, place + (key,))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, place + (index,))


@pytest.mark.parametrize("place", LINES)
def test_line(place: Place) -> None:
    assert Source(Path("x"), TEXT).line(place) == LINES[place]


def test_all_places() -> None:
    """Of this text, and of every spec in the tree: what tomllib has read was found."""
    texts = [TEXT] + [path.read_text() for folder in ("shared_bpf", "tests")
                      for path in sorted((harness.ROOT / folder).rglob("*.toml"))]
    assert len(texts) > 40
    for text in texts:
        source = Source(Path("x"), text)
        missing = [place for place in places(tomllib.loads(text)) if not source.has(place)]
        assert not missing


def test_nothing_that_is_not_there() -> None:
    """What stands in remarks and strings is no key."""
    source = Source(Path("x"), TEXT)
    assert not any(source.has(place) for place in [("x",), ("k",), ("n",), ("b",), ("t", "q", "p")])
