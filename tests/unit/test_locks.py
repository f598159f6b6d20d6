# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Values that hold a spin lock: reports know that, and nobody sees the lock."""
from __future__ import annotations

from pathlib import Path

import pytest

import harness
from bpfduet.spec import bind, object_types, read
from bpfduet.spec.types import Field, Types
from test_btf import HEAD, compiled

SOURCE = HEAD + """
struct bpf_spin_lock { u32 val; };
struct total { u64 packets; struct bpf_spin_lock lock; };
struct { int (*type)[1]; int (*max_entries)[64]; u32 *key; struct total *value; } totals SEC(".maps");
struct { int (*type)[1]; int (*max_entries)[64]; u32 *key; u64 *value; } plain SEC(".maps");
SEC("xdp") int count(void *ctx) { return 0; }
"""
REPORT = '[[report]]\nmap = "{map}"\ncolumns = ["{field}"]\n'


@pytest.fixture(scope="module", name="types")
def _types(tmp_path_factory: pytest.TempPathFactory) -> Types:
    return object_types.types_from_object(compiled(tmp_path_factory.mktemp("locks"), SOURCE))


def bound(types: Types, folder: Path, reports: str) -> dict:
    """The bound spec of a tool with these reports."""
    path = folder / "tool.toml"
    path.write_text(f'summary = "A tool"\n{reports}')
    return bind.bind(read.load(path, harness.COMMON), types, "1.0")


def test_field(types: Types) -> None:
    """The compiler's types name it."""
    assert types.maps["totals"].value == Field("value", 0, 16, "struct", 0, (
        Field("packets", 0, 8, "uint"), Field("lock", 8, 4, "lock")))


def test_report(types: Types, tmp_path: Path) -> None:
    """A report of such values is locked, and the lock none of its fields."""
    reports = REPORT.format(map="totals", field="value.packets") \
        + REPORT.format(map="plain", field="value")
    locked, plain = bound(types, tmp_path, reports)["reports"]
    assert (locked["locked"], plain["locked"]) == (True, False)
    assert [field["name"] for field in locked["value"]["fields"]] == ["packets"]
    assert locked["value"]["size"] == 16


def test_no_column(types: Types, tmp_path: Path) -> None:
    with pytest.raises(read.SpecError, match=r"there is no field 'value\.lock'"):
        bound(types, tmp_path, REPORT.format(map="totals", field="value.lock"))
