# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The command line of a tool through BCC: output, signals, loss, exit status."""
from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Optional, Sequence, Union

from . import options, stacks
from .errors import Error, UsageError
from .features import check_lockdown, check_privileges
from .render import LOSSES, Clock, Renderer
from .say import complain, say
from .tool import Session

OUT_BYTES = 65536
FLUSH_S = 1.0


class Stdout(io.FileIO):
    """Descriptor 1, which some callers hand down non-blocking: waits until it takes more."""

    def __init__(self) -> None:
        super().__init__(1, "wb", closefd=False)

    def write(self, data: Any) -> int:
        while True:
            written = super().write(data)
            if written is not None:
                return written
            select.select([], [self], [])


class Signals:
    """SIGINT and SIGTERM: the first asks for a clean end, the second ends at once."""

    def __init__(self, session: Session):
        self._session = session
        self.ended = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: Optional[FrameType]) -> None:
        command = self._session.command
        if self.ended:
            if command:
                command.abandon()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.ended = True
        if command and number == signal.SIGTERM:
            command.terminate()     # on Ctrl-C the terminal has told it already


class Loss:
    """The line about lost records: when the count has grown, at most once a second."""

    def __init__(self, session: Session, renderer: Renderer):
        self._session = session
        self._renderer = renderer
        self._told = dict.fromkeys(LOSSES, 0)
        self._next = time.monotonic() + FLUSH_S

    def look(self, now: bool = False) -> None:
        """Tell of what was lost since the last time."""
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + FLUSH_S
        lost = {"records": self._session.lost() + self._renderer.dropped,
                "skipped": self._session.skipped()}
        for kind, count in lost.items():
            growth, self._told[kind] = count - self._told[kind], count
            line = self._renderer.lost(kind, growth) if growth > 0 else b""
            if line:
                self._renderer.flush()
                say(line)


def run(source: Path, argv: Sequence[Union[str, bytes]]) -> int:
    """Run a tool to its end; returns the exit status."""
    session = Session(source)
    name = session.bound["tool"]
    try:
        chosen = session.parse(argv)
    except UsageError as error:
        say(f"{name}: {error}")
        say(f"Try '{name} --help' for more information.")
        return 2
    out = io.BufferedWriter(Stdout(), OUT_BYTES)
    try:
        if chosen.reply is not None:
            out.write(chosen.reply)
            out.flush()
            return 0
        return _trace(session, out)
    except BrokenPipeError:
        return 0        # whoever read has had enough
    except Error as error:
        if error.detail:
            say(error.detail.rstrip("\n"))
        complain(name, str(error))
        return 1
    except OSError as error:
        complain(name, f"cannot write the output: {error.strerror}")
        return 1
    finally:
        session.close()
        _abandon(out)


def _abandon(out: io.BufferedWriter) -> None:
    """Keep the interpreter from writing what a closed pipe has refused."""
    try:
        out.close()
    except OSError:
        pass


def _trace(session: Session, out: io.BufferedWriter) -> int:
    check_privileges()
    check_lockdown()
    signals = Signals(session)
    path = session.options.roles.get("flame")
    flame = stacks.FlameFile(path) if isinstance(path, bytes) else None
    clock = Clock.now()     # no event is older than the run
    session.start()
    bound, chosen = session.bound, session.options
    raw: Any = out
    renderer = Renderer(bound, chosen, raw, clock)
    renderer.begin()
    renderer.flush()    # the header tells whoever waits for it that tracing has begun
    for line in options.banner(bound, chosen):
        say(line)
    if bound["events"]:
        session.open_events(renderer.event)
    elif bound["trace_pipe"]:
        session.open_trace(renderer.trace)
    loss = Loss(session, renderer)
    at_once = os.isatty(1)
    flushed = time.monotonic()
    for what in session.ticks(lambda: signals.ended):
        if what != "poll":
            _report(session, renderer, flame)
        loss.look(what == "end")
        now = time.monotonic()
        if at_once or what != "poll" or now - flushed >= FLUSH_S:
            renderer.flush()
            flushed = now
    return 0


def _report(session: Session, renderer: Renderer,
            flame: Optional[stacks.FlameFile]) -> None:
    for index, report in enumerate(session.bound["reports"]):
        if not session.options.holds(report["when"]):
            continue
        if report["kind"] == "stacks":
            _report_stacks(session, renderer, flame, index)
        else:
            renderer.report(index, session.entries(report))


def _report_stacks(session: Session, renderer: Renderer, flame: Optional[stacks.FlameFile],
                   index: int) -> None:
    bound = session.bound["reports"][index]
    found = session.stacks(bound)
    if flame:
        flame.write(session.bound["tool"], bound, found)
    else:
        renderer.report(index, found)
    sizes = (option["name"] for option in session.bound["options"]
             if option.get("entries") == bound["stacks"]["map"])
    warning = stacks.warning(found, session.collector.collided, next(sizes, None))
    if warning:
        renderer.flush()
        say(warning)
