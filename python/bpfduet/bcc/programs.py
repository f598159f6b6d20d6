# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The programs of a kernel half, read from its text: those that macros of the dialect make."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List

_KINDS = {
    "BEGIN": "begin", "PROBE": "probe", "RETPROBE": "retprobe",
    "UPROBE": "uprobe", "URETPROBE": "uretprobe", "USDT": "usdt", "PERF_EVENT": "perf_event",
    "XDP": "xdp", "TC": "tc", "CGROUP_SKB": "cgroup_skb", "SOCKET_FILTER": "socket_filter",
}
_PROGRAM = re.compile(rf'^({"|".join(_KINDS)})\(\s*(\w+)\s*(?:,\s*"?([^")]*))?', re.MULTILINE)


@dataclass(frozen=True)
class Unattached:
    """A program that BCC leaves alone: its kind, its name as BCC sees it, and its target in the
    text (a direction, for cgroup_skb)."""

    kind: str
    name: str
    target: str
    place: int      # in the text

    @property
    def section(self) -> str:
        """The section that it is in ahead of time, for messages."""
        alone = {"socket_filter": "socket", "begin": "raw_tp", "probe": "kprobe",
                 "retprobe": "kretprobe"}.get(self.kind, self.kind)
        if self.target or self.kind in ("uprobe", "uretprobe", "usdt"):
            return f"{alone}/{self.target}"
        return alone


def programs_of(text: str) -> List[Unattached]:
    """The programs of a kernel half that BCC does not attach by itself."""
    found = []
    for match in _PROGRAM.finditer(text):
        macro, name, target = match.groups("")
        if macro == "CGROUP_SKB":
            name, target = target.strip(), name     # the direction comes first
        found.append(Unattached(_KINDS[macro], f"{_KINDS[macro]}__{name}", target, match.start()))
    return found
