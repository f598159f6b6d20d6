# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Lines on stderr."""
from __future__ import annotations

import contextlib
import os
import sys
from typing import Union

from .escape import escape


def say(line: Union[str, bytes]) -> None:
    """A line on stderr; where that is gone there is nobody to tell."""
    raw = line if isinstance(line, bytes) else line.encode(errors="surrogateescape")
    with contextlib.suppress(OSError):
        sys.stderr.flush()
        os.write(2, raw + b"\n")


def complain(tool: str, sentence: str) -> None:
    """The sentence that ends a run, on stderr; names in it are anybody's."""
    say(tool.encode() + b": " + escape(sentence.encode(errors="surrogateescape")))
