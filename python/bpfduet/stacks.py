# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Reports of kind "stacks": what was counted by stack, with the names of the functions."""
from __future__ import annotations

import contextlib
import errno
import functools
import os
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import flame, reports, text
from .errors import Error
from .options import Options
from .symbols import Symbols

Bound = Dict[str, Any]
Name = Optional[bytes]

UNKNOWN = b"[unknown]"
# A look at the processes costs a share of the time at most.
LOOK_S, LOOK_SHARE = 0.1, 20


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


class Collector:
    """Makes stacks of a map's entries. ``read(id)`` gives a stack's addresses, the innermost
    first, None if it is not there."""

    def __init__(self) -> None:
        self._symbols = Symbols()
        self._next = 0.0
        self.collided = False

    def due(self) -> bool:
        """Whether it is time to look at the processes again."""
        return time.monotonic() >= self._next

    def look(self, bound: Bound, entries: Sequence[reports.Entry], last: bool = False) -> None:
        """Remember the processes of a report's keys while they run."""
        began = time.monotonic()
        where = bound["stacks"]["process"]
        for pid in {reports.integer(where, key) for key, _ in entries}:
            self._symbols.remember(pid, last)
        now = time.monotonic()
        self._next = now + max(LOOK_S, LOOK_SHARE * (now - began))

    def stacks(self, bound: Bound, entries: Sequence[reports.Entry],
               read: Callable[[int], Optional[List[int]]]) -> List[Stack]:
        """The entries in the order to print them: by value, then by what is printed."""
        self.look(bound, entries, True)
        self.collided = False
        fields = bound["stacks"]
        found = []
        for key, value in reports.rows(bound, entries):
            pid = reports.integer(fields["process"], key)
            comm = text.cut(key[fields["comm"]["offset"]:][:fields["comm"]["size"]])
            found.append(Stack(
                key, reports.integer(bound["value"]["fields"][0], value), pid,
                reports.integer(fields["task"], key), comm,
                self._side(fields["kernel"], key, read, self._symbols.kernel),
                self._side(fields["user"], key, read,
                           functools.partial(self._symbols.user, pid))))
        order = bound["key"]["fields"]
        found.sort(key=lambda stack: (stack.value, stack.frames(),
                                      reports.order(order, stack.key), stack.key))
        return found

    def _side(self, where: Optional[Bound], key: bytes,
              read: Callable[[int], Optional[List[int]]], name_of: Callable[[int], Name]) -> Side:
        number = reports.integer(where, key) if where else -errno.EFAULT
        if number < 0:
            self.collided |= number in (-errno.EEXIST, -errno.ENOMEM)
            # EFAULT: there is none, or none was wanted
            return Side(missed=number != -errno.EFAULT)
        return Side(True, False, [name_of(address) or UNKNOWN for address in read(number) or ()])

    def close(self) -> None:
        """Close what was kept open."""
        self._symbols.close()


def warning(stacks: Sequence[Stack], collided: bool, option: Optional[str]) -> Optional[str]:
    """The line about stacks that are missing. ``option`` sets the size of their map."""
    missing = sum(stack.kernel.missed + stack.user.missed for stack in stacks)
    if not missing:
        return None
    hint = f" Consider increasing --{option}." if collided and option else ""
    return f"WARNING: {missing} stack traces could not be displayed.{hint}"


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


class FlameFile:
    """The file that takes the flame graph, each one in place of the one before."""

    def __init__(self, path: bytes):
        self._path = path
        try:
            self._file = open(path, "wb", buffering=0)
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> Error:
        return Error(f"cannot write '{os.fsdecode(self._path)}': {error.strerror}")

    def write(self, tool: str, bound: Bound, stacks: Sequence[Stack]) -> None:
        """Draw. Raises Error."""
        graph = flame.draw(tool, bound["heading"],
                           [(stack.frames(), stack.value) for stack in stacks])
        try:
            with contextlib.suppress(OSError):      # a pipe has no place
                self._file.seek(0)
                self._file.truncate()
            while graph:
                graph = graph[self._file.write(graph) or 0:]
        except OSError as error:
            raise self._error(error) from error
