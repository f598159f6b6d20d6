# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""User names, out of /etc/passwd alone: a statically linked C frontend has no more than that."""
from __future__ import annotations

from functools import lru_cache
from typing import Dict, Optional, Tuple

PASSWD = "/etc/passwd"


@lru_cache(maxsize=1)
def _users() -> Tuple[Dict[bytes, int], Dict[int, bytes]]:
    """name -> uid and uid -> name; the first line that has one counts."""
    by_name: Dict[bytes, int] = {}
    by_uid: Dict[int, bytes] = {}
    try:
        with open(PASSWD, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        parts = line.split(b":")
        if len(parts) < 4 or not parts[0] or parts[0][:1] in b"#+-" or not parts[2].isdigit():
            continue
        by_name.setdefault(parts[0], int(parts[2]))
        by_uid.setdefault(int(parts[2]), parts[0])
    return by_name, by_uid


def uid_of(name: bytes) -> Optional[int]:
    """The uid of a user, None if there is no such user."""
    return _users()[0].get(name)


def name_of(uid: int) -> Optional[bytes]:
    """The name of a uid, None if it has none."""
    return _users()[1].get(uid)
