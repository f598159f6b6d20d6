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


class SpecError(Exception):
    """A spec that cannot be used. As text: ``FILE:LINE: sentence``."""


class UsageError(Exception):
    """A command line that cannot be obeyed; as text, the sentence to print (exit status 2).

    Bytes of the user's are escaped as in text columns.
    """
