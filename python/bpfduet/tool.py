# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A tool through BCC: found by name, started, read, ended.

``Session`` is one run of a tool; ``Tool`` is the interface for Python programs on top of it.
"""
from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import (Any, Callable, Dict, Generator, Iterator, List, Optional, Sequence, Tuple,
                    Union)

from . import bind, decode, features, options, spec
from .bcc_frontend import Program
from .cgroup import Command, identify
from .errors import Error
from .late_constants import configs_of
from .options import Options
from .paths import COMMON, VERSION, find
from .pin import Pins

# The reader looks often while records come, rarely when none do.
SHORT_WAIT_S, LONG_WAIT_S = 0.002, 0.05
PERF_PAGES = 64


class Session:
    """One run of a tool: ``Session(source).parse(argv)``, then ``start()``, ``poll()``, ``close()``.

    ``bound`` is the bound spec; before ``start()`` without what needs the compiler's types.
    """

    def __init__(self, source: Path):
        self.source = source
        self._spec = spec.load(source.with_name(source.name[:-len(".bpf.c")] + ".toml"), COMMON)
        self._configs = configs_of(source.read_text())
        self.bound: Dict[str, Any] = bind.command_line(self._spec, self._configs, VERSION)
        self.options = Options()
        self.command: Optional[Command] = None
        self._program: Optional[Program] = None
        self._pump: Optional[Callable[[int], bool]] = None
        self._pins: Optional[Pins] = None

    def parse(self, argv: Sequence[Union[str, bytes]]) -> Options:
        """Read the command line. Raises UsageError."""
        self.options = options.parse(self.bound, argv)
        return self.options

    @property
    def program(self) -> Program:
        """The running program; only after ``start()``."""
        assert self._program
        return self._program

    def start(self) -> None:
        """Compile, load and attach; COMMAND is ready and waits for ``go()``. Raises Error."""
        chosen = self.options
        verbose = bool(chosen.roles.get("verbose"))
        off = self.left_out()
        configs = dict(chosen.configs)
        group = chosen.roles.get("cgroup")
        path = os.fsdecode(group) if isinstance(group, bytes) else None
        if chosen.command or path is not None:
            if not any(option["role"] == "cgroup" for option in self.bound["options"]):
                raise Error("this tool cannot be limited to a cgroup")
            if path is not None:
                place = identify(path)
            if chosen.command:
                self.command = Command(chosen.command, path)
                place = identify(str(self.command.path))
            if "filter_cgroup" in self._configs:
                configs["filter_cgroup"], configs["filter_cgroup_level"] = place
        if "own_pid" in self._configs:
            configs["own_pid"] = os.getpid()
        buffer = chosen.roles.get("buffer")
        events = self._spec.data.get("events")
        pages = {events["map"]: int(buffer)} if events and buffer is not None else {}
        settings = {entry["name"]: self.place(entry) for entry in self.bound["programs"]}
        self._program = Program(self.source, configs, pages, chosen.entries, off, chosen.maps,
                                settings, verbose)
        self.bound = bind.bind(self._spec, self._program.types(self._configs), VERSION)
        for name, keys in chosen.sets.items():
            self._program.fill(name, keys)
        pin = chosen.roles.get("pin")
        if isinstance(pin, bytes):
            self._pins = Pins(pin)
            self._pins.make(self._program.own_maps())
        counters = {entry["map"]: os.fsdecode(
            options.fill(self.bound, chosen, entry["event"])[0]) for entry in self.bound["counters"]}
        self._program.attach(counters, str(self.command.path) if self.command else path,
                             bool(self.command))

    def left_out(self) -> List[str]:
        """The programs that this run does without. Raises Error for what must be there and is
        not."""
        off = features.missing_programs(self.bound["requires"])
        wanted = []
        for entry in self.bound["programs"]:
            if self.options.holds(entry.get("when", [])):
                wanted.append(entry)
            else:
                off += [entry["name"], *entry.get("fallback", ())]
        return off + features.replaced_programs(wanted)

    def place(self, program: Dict[str, Any]) -> Dict[str, str]:
        """What the spec says of a program's place; without what hangs on options not given."""
        settings = {key: program[key] for key in ("direction",) if key in program}
        for key in spec.PLACE_KEYS:
            value, complete = options.fill(self.bound, self.options, program.get(key, ""))
            if complete and value:
                settings[key] = os.fsdecode(value)
        return settings

    def open_events(self, callback: Callable[[bytes], None]) -> None:
        """Hand every record to ``callback`` from ``ticks()``."""
        pages = int(self.options.roles.get("buffer") or PERF_PAGES)
        self._pump = self.program.open_events(self.bound["events"]["map"], callback, pages)

    def ticks(self, ended: Callable[[], bool] = lambda: False) -> Iterator[str]:
        """Run: COMMAND goes, records are handed on, and after each look "poll" comes out,
        "interval" when one is over and at last, with the programs detached and the buffer
        drained, "end". The run ends with COMMAND, ``--duration``, ``--count`` or ``ended()``."""
        roles = self.options.roles
        if self.command:
            self.command.go()
        start = time.monotonic()
        duration = int(roles.get("duration") or 0)
        interval = int(roles.get("interval") or 0)
        deadline = start + duration if duration else math.inf
        due = start + interval if interval else math.inf
        left = int(roles.get("count") or 0)
        wait = SHORT_WAIT_S
        while not ended() and not (self.command and self.command.ended()):
            now = time.monotonic()
            if now >= deadline:
                break
            if now >= due:
                left -= 1
                if left == 0:
                    break
                due += interval
                yield "interval"
            came = self._wait(min(wait, max(min(deadline, due) - now, 0.001)))
            wait = SHORT_WAIT_S if came else min(2 * wait, LONG_WAIT_S)
            yield "poll"
        self.program.detach()
        self._wait(0)
        yield "end"

    def _wait(self, seconds: float) -> bool:
        if self._pump:
            return self._pump(int(seconds * 1000))
        time.sleep(seconds)
        return False

    def entries(self, report: Dict[str, Any]) -> List[Tuple[bytes, List[bytes]]]:
        """What the map of a report holds; emptied if the report says so."""
        return self.program.entries(report["map"], report["clear"], report["locked"])

    def close(self) -> None:
        """Free everything: pins, programs, maps, COMMAND and its cgroup."""
        if self._pins:
            self._pins.remove()
        if self._program:
            self._program.close()
            self._program = None
        if self.command:
            self.command.close()    # a signal handler may want it meanwhile
            self.command = None


class Tool:
    """A tool as a source of Python objects.

    >>> for event in Tool("opensnoop").events(pid=1234, duration=10):
    ...     print(event.comm, event.path)

    Options are those of the command line with ``_`` for ``-``; ``command=["ls"]`` runs a command
    and traces it alone. An event has the fields of the tool's struct: numbers, bool, bytes for
    strings (what the process gave, not made safe to print), lists, nested objects.
    """

    def __init__(self, name: Union[str, Path]):
        self._source = find(name)

    def events(self, command: Optional[Sequence[str]] = None,
               **chosen: Any) -> Generator[SimpleNamespace, None, None]:
        """Run the tool and yield its events, until ``duration`` or COMMAND ends or the
        generator is closed. Raises Error and UsageError."""
        with self._running(command, chosen) as session:
            if not session.bound["events"]:
                raise Error(f"{session.bound['tool']} has no events: see reports()")
            fields = session.bound["events"]["fields"]
            waiting: List[bytes] = []
            session.open_events(waiting.append)
            for _ in session.ticks():
                for record in waiting:
                    yield decode.event(fields, record)
                waiting.clear()

    def reports(self, command: Optional[Sequence[str]] = None,
                **chosen: Any) -> Dict[str, List[Tuple[Any, Any]]]:
        """Run the tool to its end and return the entries of each report's map by the report's
        name: (key, value), a list of values where the map is per CPU."""
        with self._running(command, chosen) as session:
            for _ in session.ticks():
                pass
            return {report["name"]: [
                (decode.part(report["key"], key), [decode.part(report["value"], value)
                                                   for value in values]
                 if report["percpu"] else decode.part(report["value"], values[0]))
                for key, values in session.entries(report)]
                for report in session.bound["reports"] if session.options.holds(report["when"])}

    @contextlib.contextmanager
    def _running(self, command: Optional[Sequence[str]],
                 chosen: Dict[str, Any]) -> Iterator[Session]:
        argv: List[str] = []
        for name, value in chosen.items():
            flag = f"--{name.replace('_', '-')}"
            if value is True:
                argv.append(flag)
            elif value is not False and value is not None:
                argv.append(f"{flag}={value}")
        session = Session(self._source)
        session.parse(argv + (["--", *command] if command else []))
        try:
            session.start()
            yield session
        finally:
            session.close()
