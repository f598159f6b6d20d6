# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""capable beside the stock one: the same text."""
from __future__ import annotations

import re
from typing import List

import pytest

from frontends import FRONTENDS, watch
from oracle.test_stock import stock
from parity.same import masked

TIME = [(rb"^\d\d:\d\d:\d\d", b"HH:MM:SS")]


def exchanged(lines: List[bytes]) -> List[bytes]:
    """The stock tool shows the thread under PID and the process under TID."""
    return lines[:1] + [re.sub(rb"^(\S+ +\S+ +)(\S+ +)(\S+ +)", rb"\1\3\2", line)
                        for line in lines[1:]]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args", ["-x", "-x -v", "-x --unique"])
def test_capable(workloads, args: str) -> None:
    theirs = stock("capable:{cgroup_id}", args)
    watched = watch("capable", args.split(), [str(workloads / "caps"), "23"], 1, ["text"],
                    others={"stock": (theirs, 1)})
    lines = [line for line in masked(watched.out("stock"), TIME).splitlines() if line]
    assert len(lines) > (2 if "--unique" in args else 46)
    for frontend in FRONTENDS:
        assert masked(watched.out(frontend), TIME).splitlines() == exchanged(lines)
