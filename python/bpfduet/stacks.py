# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Reports of kind "stacks": what was counted by stack, with the names of the functions."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence, Tuple

from . import text
from .options import Options

Bound = Dict[str, Any]


@dataclass
class Side:
    """One half of a stack: names from the innermost function outwards. ``there``: it has an id;
    ``missed``: it should have been stored and was not."""

    there: bool = False
    missed: bool = False
    names: List[bytes] = field(default_factory=list)


@dataclass
class Stack:
    """An entry of the map."""

    key: bytes
    value: int
    process: int
    task: int
    comm: bytes
    kernel: Side
    user: Side

    def frames(self, delimited: bool = False, annotate: bool = False) -> List[Tuple[bytes, bytes]]:
        """(kind, name) from the outside inwards: comm, user's and kernel's frames, ready to
        print. Kinds are those of flame.Frame."""
        frames = [(b"c", folded_name(self.comm))]
        if self.user.missed:
            frames.append((b"u", b"[Missed User Stack]"))
        frames += [(b"u", folded_name(name)) for name in reversed(self.user.names)]
        if delimited and self.user.there and self.kernel.names:
            frames.append((b"k", b"-"))
        if self.kernel.missed:
            frames.append((b"k", b"[Missed Kernel Stack]"))
        mark = b"_[k]" if annotate else b""
        frames += [(b"k", folded_name(name) + mark) for name in reversed(self.kernel.names)]
        return frames


def folded_name(name: bytes) -> bytes:
    """A name in a folded stack, whose frames ``;`` divides."""
    return text.escape(name).replace(b";", b"\\x3b")


class Report:
    """Stacks as text, CSV or JSON."""

    json_type = "stacks"

    def __init__(self, bound: Bound, options: Options):
        self._bound = bound
        self._delimited = bool(options.roles.get("delimited"))
        self._annotate = bool(options.roles.get("annotate"))
        self._folded = bool(options.roles.get("folded"))

    def text(self, stacks: Sequence[Stack]) -> bytes:
        """One line a stack, or one a frame."""
        return b"".join(map(self._folded_line if self._folded else self._lines, stacks))

    def _folded_line(self, stack: Stack) -> bytes:
        frames = stack.frames(self._delimited, self._annotate)
        return b"%b %d\n" % (b";".join(name for _, name in frames), stack.value)

    def _lines(self, stack: Stack) -> bytes:
        mark = b"_[k]" if self._annotate else b""
        lines = [b"[Missed Kernel Stack]"] if stack.kernel.missed else []
        lines += [text.escape(name) + mark for name in stack.kernel.names]
        if self._delimited and stack.user.there and stack.kernel.there:
            lines.append(b"--")
        if stack.user.missed:
            lines.append(b"[Missed User Stack]")
        lines += map(text.escape, stack.user.names)
        lines.append(b"%-16s %b (%d)" % (b"-", text.escape(stack.comm), stack.task))
        return b"".join(b"    %b\n" % line for line in lines) + b"        %d\n\n" % stack.value

    def csv(self, stacks: Sequence[Stack]) -> bytes:
        """comm, task, user's and kernel's frames as in folded stacks, value."""
        lines = [b"report,comm,task,user,kernel,value\n"]
        name = text.csv_field(self._bound["name"].encode())
        for stack in stacks:
            user, kernel = (text.csv_field(b";".join(
                [b"[missed]"] if side.missed else [folded_name(one) for one in side.names[::-1]]))
                for side in (stack.user, stack.kernel))
            lines.append(b"%b,%b,%d,%b,%b,%d\n" % (
                name, text.csv_field(text.escape(stack.comm)), stack.task, user, kernel,
                stack.value))
        return b"".join(lines)

    @staticmethod
    def json(stacks: Sequence[Stack]) -> bytes:
        """What stands behind "data"."""
        def names(side: Side) -> bytes:
            if side.missed:
                return b"null"
            return b"[%b]" % b",".join(b'"%b"' % text.json_string(name) for name in side.names)

        return b"[%b]" % b",".join(
            b'{"comm":"%b","process":%d,"task":%d,"kernel":%b,"user":%b,"value":%d}'
            % (text.json_string(stack.comm), stack.process, stack.task, names(stack.kernel),
               names(stack.user), stack.value) for stack in stacks)
