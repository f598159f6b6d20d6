# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Golden vectors: the engine's answer is what is recorded, byte for byte (record.py)."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import harness
import record


@pytest.mark.parametrize("path", record.files(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden(path: Path) -> None:
    """Each file. After a change that is meant to be seen: python3 tests/unit/record.py."""
    for number, (recorded, now) in enumerate(zip(record.read(path), record.answered(path))):
        assert now == recorded, f"{path.name}, vector {number}"


def test_layout() -> None:
    """The files are as record.py writes them, so that it changes the answers alone."""
    for path in record.files():
        assert record.layout(record.read(path)) + "\n" == path.read_text(encoding="utf-8"), path.name


def test_driver_alone() -> None:
    """The driver without --batch behaves as a tool does: streams and exit status."""
    document = harness.document(harness.bound_of("opensnoop"), ["--nonsense"])
    done = subprocess.run([harness.DRIVER], input=harness.for_driver(document).encode(),
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        2, b"", b"opensnoop: unknown option '--nonsense'\n"
        b"Try 'opensnoop --help' for more information.\n")
