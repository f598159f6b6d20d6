# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The interface for Python programs: a tool, compiled by BCC, run by the engine."""
from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Generator, Iterator, List, Optional, Sequence, Tuple, Union

from . import decode
from .bcc import start
from .engine import Engine, Refused
from .errors import Error, UsageError
from .paths import find

# A signal's handler in Python runs when a wait is over.
_LOOK_MS = 200


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
        with self._engine(command, chosen) as engine:
            events = engine.spec["events"]
            if not events:
                raise Error(f"{engine.spec['tool']} has no events: see reports()")
            waiting: List[bytes] = []
            engine.on_record(waiting.append)
            engine.start()
            going = True
            while going:
                going = engine.poll(_LOOK_MS)
                if not going:
                    engine.stop()
                for record in waiting:
                    yield decode.event(events["fields"], record)
                waiting.clear()

    def reports(self, command: Optional[Sequence[str]] = None,
                **chosen: Any) -> Dict[str, List[Tuple[Any, Any]]]:
        """Run the tool to its end and return the entries of each report's map by the report's
        name: (key, value), a list of values where the map is per CPU."""
        with self._engine(command, chosen) as engine:
            engine.start()
            while engine.poll(_LOOK_MS):
                pass
            engine.stop()
            reports = {report["name"]: report for report in engine.spec["reports"]}
            return {name: list(_entries(engine, reports[name])) for name in engine.report_names()}

    @contextlib.contextmanager
    def _engine(self, command: Optional[Sequence[str]], chosen: Dict[str, Any]) -> Iterator[Engine]:
        argv: List[bytes] = []
        for name, value in chosen.items():
            flag = f"--{name.replace('_', '-')}"
            if value is True:
                argv.append(flag.encode())
            elif value is not False and value is not None:
                argv.append(os.fsencode(f"{flag}={value}"))
        if command:
            argv += [b"--", *map(os.fsencode, command)]
        engine = Engine(start.object_for(self._source, argv), self._source)
        try:
            if engine.parse(argv) is not None:
                raise UsageError("--help and the like are for the command line")
            yield engine
        except Refused as error:
            start.explain(self._source, argv, error.detail)
        finally:
            engine.close()


def _entries(engine: Engine, report: Dict[str, Any]) -> Iterator[Tuple[Any, Any]]:
    """The entries of a report's map."""
    values = engine.map(report["map"]).values
    for key, value in engine.entries(report["map"]):
        size = len(value) // values
        parts = [decode.part(report["value"], value[i * size:(i + 1) * size]) for i in range(values)]
        yield decode.part(report["key"], key), parts if report["percpu"] else parts[0]
