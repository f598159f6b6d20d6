# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Which CONFIG constants are filled in late, and where a text names them. No compiler."""
from __future__ import annotations

from typing import Any, Dict

import pytest

from bpfduet.bcc.late_constants import Plan, placeholder, plan

SHARED = """
DUET_SHARED_CONFIG(u32, filter_pid, 0);     /* filter_pid: all */
DUET_SHARED_CONFIG(u32, filter_uid, -1);
DUET_SHARED_CONFIG(int, level, UNKNOWN);
DUET_SHARED_CONFIG(u32, sometimes, 0);
DUET_SHARED_CONFIG_STR(filter_comm, 16);
if (DUET_LATE(filter_pid) && DUET_LATE(level) != sometimes || DUET_LATE(sometimes))
	return x.filter_pid != y->filter_uid && CONFIG_STR_WORD(filter_comm, 0) && CONFIG_STR_WORD(filter_comm, 1);
"""
NO_NAME = {"filter_comm_0": (1 << 64) - 1, "filter_comm_1": (1 << 64) - 1}


@pytest.mark.parametrize("text, headers, constants, values, rest", [
    # set or not, if the text says what it is then
    ("", SHARED, {}, {"filter_pid": 0, **NO_NAME}, {}),
    ("", SHARED, {"level": 3}, {"filter_pid": 0, "level": 3, **NO_NAME}, {}),
    # read in another way too, or only so
    ("", SHARED, {"sometimes": 1, "filter_uid": 7}, {"filter_pid": 0, **NO_NAME},
     {"sometimes": 1, "filter_uid": 7}),
    # two words of eight bytes
    ("", SHARED, {"filter_comm": b"abcdefghi"},
     {"filter_pid": 0, "filter_comm_0": int.from_bytes(b"abcdefgh", "little"),
      "filter_comm_1": ord("i")}, {}),
    ("", SHARED, {"filter_comm": b""}, {"filter_pid": 0, "filter_comm_0": 0, "filter_comm_1": 0}, {}),
    ("CONFIG_STR_READ(copy, filter_comm);", SHARED, {"filter_comm": b"a"}, {"filter_pid": 0},
     {"filter_comm": b"a"}),
    # of the text's own; one is read by a macro of a header
    ("CONFIG(bool, on, true);\nCONFIG(s64, low, -0x10);", "", {}, {"on": 1, "low": 2 ** 64 - 16}, {}),
    ("CONFIG(int, low, 5);", "", {"low": -1}, {"low": 2 ** 64 - 1}, {}),
    ('CONFIG(bool, on, true, "if (on); \\"on\\"", "o");\nCONFIG(int, low, 5,\n       "low; (lower)");', "", {},
     {"on": 1, "low": 5}, {}),
    ("CONFIG(u32, odd, sizeof(int));", "", {}, {}, {}),
    ("CONFIG(u32, odd, A + (1));", "", {"odd": 2}, {"odd": 2}, {}),
    ("CONFIG(u32, one, 1);\nCONFIG(u32, two, 2);", "#define A (one + x->two)", {"one": 3},
     {"two": 2}, {"one": 3}),
    ("/* CONFIG(u32, no, 1); */ CONFIG_STR(label, 8);", "", {"label": b"x"}, {}, {"label": b"x"}),
])
def test_values(text: str, headers: str, constants: Dict[str, Any], values: Dict[str, int],
                rest: Dict[str, Any]) -> None:
    """What is late, with its 64 bits, and what is left to the flags."""
    found = plan(text, headers, constants, True)
    assert (found.late, found.constants) == (values, rest)


@pytest.mark.parametrize("text, spelled", [
    ("return on && !on;", "return DUET_LATE(on) && !DUET_LATE(on);"),
    ("e->on = e.on + e -> on;", "e->on = e.on + e -> on;"),
    ("struct x y = { .on = on };", "struct x y = { .on = DUET_LATE(on) };"),
    ('puts("on \\" on"); // on\n/* on\n on */ x = \'"\' + on;',
     'puts("on \\" on"); // on\n/* on\n on */ x = \'"\' + DUET_LATE(on);'),
    ('#include "on"\n#include <linux/on.h>\n#define A on', None),
    ("x = DUET_LATE(on) + 0xon + one + once", "x = DUET_LATE(on) + 0xon + one + once"),
])
def test_where_a_text_names_it(text: str, spelled: str) -> None:
    """As a word of its own, that is no member, nor in a comment, a string or an #include."""
    spelled = spelled or text[:-2] + "DUET_LATE(on)"
    for head in ("CONFIG(bool, on, false);\n", 'CONFIG(bool, on, false, "on; on", "o");\n',
                 'CONFIG(bool, on, false,\n       "on; on");\n'):
        assert plan(head + text, "", {}, True).text == head + spelled
        assert plan(head + text, "", {"on": True}, False) == Plan(head + text, {}, {"on": True})


def test_placeholders() -> None:
    """No two are alike, nor their halves, and no half is a small number."""
    marks = [placeholder(f"name_{number}") for number in range(1000)]
    halves = [half for mark in marks for half in (mark >> 32, mark & 0xffffffff)]
    assert len(set(halves)) == len(halves)
    assert all(1 << 29 <= half < 1 << 32 for half in halves)
