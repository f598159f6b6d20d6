# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bashreadline beside the stock tool: a copy of bash that nobody else runs."""
from __future__ import annotations

import shutil
from pathlib import Path

from oracle.test_stock import assert_equal, beside
from frontends import WORKLOADS

LINES = [f": {number}" for number in range(17)] + ["", ": two  words", ": café 漢字", ": \\n % $HOME"]
TIME = (rb"^\d\d:\d\d:\d\d  ", b"TIME      ")


def test_lines(workloads, tmp_path: Path) -> None:
    shell = shutil.copy("/bin/bash", tmp_path / "bash")
    args = f"-s {shell}"
    watched = beside("bashreadline", args, args, [str(WORKLOADS / "typist"), str(shell), *LINES],
                     (1, 1), buffers=0)
    assert len(assert_equal(watched, [TIME]).splitlines()) == 1 + len(LINES)
