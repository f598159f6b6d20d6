# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The C texts of all stock BCC tools compile with headers made out of BTF, and how many do."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable

import pytest

import stock_tools
from bpfduet import kernel_headers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not kernel_headers.VMLINUX.exists() or not stock_tools.python_tools([]),
    reason="needs root, BTF and Debian's bpfcc-tools")

TEXTS = 102         # of bpfcc-tools 0.26, the oldest that is supported
MAY_FAIL = {
    "nfsslower": "the kernel may be without the NFS client, or its module not loaded",
    "criticalstat": "the kernel may be without the preemptirq tracepoints",
    "rdmaucma": "the kernel may be without RDMA, or its module not loaded",
}
# Inline functions and a macro of the kernel's headers, which BTF does not have. That a function is
# not declared is an error from clang 16 on, and was a warning.
NOT_IN_BTF = re.compile(r"undeclared function '(?:div_u64|min|sg_is_last|skb_rx_queue_recorded)'"
                        r"|no member named 's6_addr'")
# Tools that give no text on some kernels.
MAY_REFUSE = {"slabratetop": "from BCC 0.30 on it does not support Linux 6.8 and later"}


def test_stock_texts_compile(tmp_path: Path, tell: Callable[[str], None]) -> None:
    outcomes = stock_tools.survey([], tmp_path)
    captured = [outcome for outcome in outcomes if outcome.captured]
    good = [outcome for outcome in captured if not outcome.error]
    tell(f"{len(good)} of {len(captured)} texts of stock BCC tools compile without kernel headers")
    assert [outcome for outcome in outcomes
            if not outcome.captured and outcome.name not in MAY_REFUSE] == []
    assert len(captured) >= TEXTS
    assert [outcome for outcome in captured if outcome.error and outcome.name not in MAY_FAIL
            and not NOT_IN_BTF.search(outcome.error)] == []
