# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Reports of kind "stacks": stacks by walk(), with the names that bcc's sym() and ksym() give."""
from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from .records import Value, cut, order, table_of, walk
from .safe import shown


@dataclass
class Side:
    """One half of a stack: names from the innermost function outwards. ``there``: it has an id;
    ``missed``: it should have been stored and was not."""

    there: bool
    missed: bool
    names: List[bytes]

    def json(self) -> Value:
        """The names, or null."""
        return None if self.missed else self.names


@dataclass
class Stack:
    """An entry of the map."""

    comm: bytes
    process: int
    task: int
    kernel: Side
    user: Side
    value: int

    def json(self) -> Value:
        """What JSON has of it."""
        return {"comm": self.comm, "process": self.process, "task": self.task,
                "kernel": self.kernel.json(), "user": self.user.json(), "value": self.value}

    def missing(self) -> int:
        """How many of its halves are missing."""
        return self.kernel.missed + self.user.missed

    def frames(self, roles: Dict[str, Any]) -> List[str]:
        """The process and the functions from the outside inwards, as a folded stack has them."""
        mark = "_[k]" if roles.get("annotate") else ""
        frames = [_folded(self.comm)]
        frames += ["[Missed User Stack]"] if self.user.missed else []
        frames += [_folded(name) for name in reversed(self.user.names)]
        if roles.get("delimited") and self.user.there and self.kernel.names:
            frames.append("-")
        frames += ["[Missed Kernel Stack]"] if self.kernel.missed else []
        return frames + [_folded(name) + mark for name in reversed(self.kernel.names)]

    def text(self, roles: Dict[str, Any]) -> str:
        """One line, or one for each function and an empty one."""
        if roles.get("folded"):
            return f"{';'.join(self.frames(roles))} {self.value}"
        mark = "_[k]" if roles.get("annotate") else ""
        lines = ["[Missed Kernel Stack]"] if self.kernel.missed else []
        lines += [shown(name) + mark for name in self.kernel.names]
        if roles.get("delimited") and self.user.there and self.kernel.there:
            lines.append("--")
        lines += ["[Missed User Stack]"] if self.user.missed else []
        lines += [shown(name) for name in self.user.names]
        lines.append(f"{'-':<16} {shown(self.comm)} ({self.task})")
        return "".join(f"    {line}\n" for line in lines) + f"        {self.value}\n"


def _folded(name: bytes) -> str:
    return shown(name).replace(";", "\\x3b")


def _side(number: Optional[int], bpf: Any, table: Any, pid: int) -> Side:
    """The half of a stack with this id; ``pid`` is that of its process, -1 for the kernel."""
    if number is None or number < 0:
        # EFAULT: there is none, or none was wanted
        return Side(False, number not in (None, -errno.EFAULT), [])
    try:
        addresses = list(table.walk(number))
    except KeyError:
        addresses = []
    return Side(True, False, [bpf.ksym(address) if pid < 0 else bpf.sym(address, pid)
                              for address in addresses])


def read(report: Dict[str, Any], bpf: Any, rows: List[Tuple[Value, Value]]) -> List[Stack]:
    """The stacks of a map's entries, in the order to print them."""
    table = table_of(bpf, report["stacks"])
    found = []
    for key, value in rows:
        process = walk(key, report["process"])
        kernel, user = (walk(key, report[side]) if side in report else None
                        for side in ("kernel", "user"))
        stack = Stack(cut(walk(key, report["comm"])), process,
                      walk(key, report.get("task", report["process"])),
                      _side(kernel, bpf, table, -1), _side(user, bpf, table, process), value)
        found.append((stack.value, stack.frames({}), order(key), stack))
    return [entry[3] for entry in sorted(found, key=lambda entry: entry[:3])]
