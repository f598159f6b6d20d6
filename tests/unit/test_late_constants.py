# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Which CONFIG constants are filled in late, and where a text names them. No compiler."""
from __future__ import annotations

from typing import Tuple

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
NAME = ("filter_comm_0", "filter_comm_1")


@pytest.mark.parametrize("text, headers, late", [
    ("", SHARED, ("filter_pid", *NAME)),    # the others are read in another way too, or only so
    ("CONFIG_STR_READ(copy, filter_comm);", SHARED, ("filter_pid",)),
    # of the text's own; one is read by a macro of a header
    ("CONFIG(bool, on, true);\nCONFIG(s64, low, -0x10);", "", ("low", "on")),
    ('CONFIG(bool, on, true, "if (on); \\"on\\"", "o");\nCONFIG(int, low, 5,\n       "low; (lower)");', "", ("low", "on")),
    ("CONFIG(u32, odd, sizeof(int));", "", ()),
    ("CONFIG(u32, odd, A + (1));", "", ()),
    ("CONFIG(u32, one, 1);\nCONFIG(u32, two, 2);", "#define A (one + x->two)", ("two",)),
    ("/* CONFIG(u32, no, 1); */ CONFIG_STR(label, 8);", "", ()),
])
def test_names(text: str, headers: str, late: Tuple[str, ...]) -> None:
    """What is late."""
    assert plan(text, headers, True).late == late


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
        assert plan(head + text, "", True).text == head + spelled
        assert plan(head + text, "", False) == Plan(head + text, ())


def test_placeholders() -> None:
    """No two are alike, nor their halves, and no half is a small number."""
    marks = [placeholder(f"name_{number}") for number in range(1000)]
    halves = [half for mark in marks for half in (mark >> 32, mark & 0xffffffff)]
    assert len(set(halves)) == len(halves)
    assert all(1 << 29 <= half < 1 << 32 for half in halves)
