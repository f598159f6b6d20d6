# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Modules of this folder, and counts that are worth telling."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, List

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

_TOLD: List[str] = []


@pytest.fixture
def tell() -> Callable[[str], None]:
    """Adds a line to the summary of the run, also if the test passes."""
    return _TOLD.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print them."""
    for line in _TOLD:
        terminalreporter.write_line(line)
