# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""User names, out of /etc/passwd alone, as the engine has them."""
from __future__ import annotations

from typing import Optional

PASSWD = "/etc/passwd"


def uid_of(name: bytes) -> Optional[int]:
    """The uid of a user by the first line that has the name, None if there is none."""
    try:
        with open(PASSWD, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split(b":")
        if len(parts) >= 4 and parts[0] == name and name[:1] not in b"#+-" and parts[2].isdigit():
            return int(parts[2])
    return None
