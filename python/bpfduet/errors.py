# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Errors that end a run with one sentence."""
from __future__ import annotations


class Error(Exception):
    """Something that keeps a tool from running; its text is one sentence with a remedy.

    ``detail`` is shown below it: a compiler's messages or the verifier's log.
    """

    def __init__(self, sentence: str, detail: str = ""):
        super().__init__(sentence)
        self.detail = detail
