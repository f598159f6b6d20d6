# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The environment as it was given to this process."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict


def given_environment() -> Dict[bytes, bytes]:
    """The environment for another program: without the LC_CTYPE that Python sets for itself where no
    locale is chosen (PEP 538)."""
    environment = dict(os.environb)
    with open("/proc/self/environ", "rb") as file:
        given = b"\0" + file.read()
    if environment.get(b"LC_CTYPE") == b"C.UTF-8" and b"\0LC_CTYPE=" not in given:
        del environment[b"LC_CTYPE"]
    return environment
