# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A run of a tool: ``bcc.BPF(text=..., cflags=...)``, its callbacks, and a loop."""
from __future__ import annotations

import contextlib
import ctypes as ct
import io
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Dict, List, Optional, Sequence

import bcc

from .. import features, kernel_headers
from ..spec import bind, read
from ..spec.complete import complete
from ..bcc import FLAGS
from .cgroup import Command, identify
from ..errors import Error, UsageError
from ..bcc.late_constants import configs_of, define
from ..paths import COMMON, HEADERS, VERSION
from ..say import complain, say
from . import options, places
from .events import Events
from .formats import Clock
from .records import table_of, types_of
from .reports import Report
from .safe import json_text, shown

WAIT_S = 0.05       # most records wake nobody (headers/bpfduet_ringbuf.h)
PERF_PAGES = 64


class Run:
    """A tool on the command line: ``parse()``, ``start()``, ``trace()``, ``close()``."""

    def __init__(self, source: Path):
        self._source = source
        try:
            self._text = source.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Error(f"cannot read '{source}': {error}") from error
        self._spec = read.load(source.with_name(source.name[:-len(".bpf.c")] + ".toml"), COMMON)
        self._configs = configs_of(self._text)
        self._bound = bind.command_line(self._spec, self._configs, VERSION)
        self._options = options.Options()
        self._clock = Clock()
        self._command: Optional[Command] = None
        self._bpf: Any = None
        self._places: Optional[places.Places] = None
        self._events: Optional[Events] = None
        self._reports: List[Report] = []
        self._records: List[bytes] = []
        self._lost: Any = None      # the table in which the kernel half counts
        self._lost_in_perf = self._told_lost = 0
        self._tell_at = 0.0
        self._ended = False

    @property
    def tool(self) -> str:
        """The tool's name."""
        return self._spec.name

    def parse(self, argv: Sequence[str]) -> options.Options:
        """Read the command line. Raises UsageError."""
        self._options = options.parse(self._bound, argv)
        self._programs = places.programs_of(self._text)
        if self._options.reply is None:
            places.check(self._programs)
        return self._options

    # -- the start ---------------------------------------------------------------------------

    def start(self) -> None:
        """Compile, load and attach. Raises Error and UsageError."""
        features.check_privileges()
        features.check_lockdown()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        off = self._programs_to_leave_out()
        group = self._limit_to_cgroup()
        settings = {entry["name"]: self._settings(entry) for entry in self._bound["programs"]}
        self._programs = [one for one in self._programs if one.name not in off]
        probes = places.usdt_probes(self._programs, settings)
        text = "".join(map(places.usdt_arguments, probes)) + self._text
        self._bpf = self._load(text, self._flags(off), [probe.context for probe in probes])
        self._spec = complete(self._spec, types_of(self._bpf))
        self._fill_sets()
        self._open_output()
        self._places = places.Places(self._bpf, settings, group)
        for counter in self._bound["counters"]:
            self._places.open_counter(counter["map"], self._options.fill(counter["event"]) or "")
        for program in self._programs:
            self._places.attach(program)
        for entry in self._bound["programs"]:
            for place in entry.get("also", ()) if entry["name"] not in off else ():
                if f"tracepoint__{place.replace(':', '__')}" not in off:
                    self._bpf.attach_tracepoint(tp=place, fn_name=entry["name"])

    def _programs_to_leave_out(self) -> List[str]:
        """Programs that this kernel has no probe for, or that these options do not need."""
        off = features.missing_programs(self._bound["requires"])
        wanted = []
        for entry in self._bound["programs"]:
            if self._options.holds(entry.get("when", ())):
                wanted.append(entry)
            else:
                off += [entry["name"], *entry.get("fallback", ())]
        return off + features.replaced_programs(wanted)

    def _limit_to_cgroup(self) -> Optional[Path]:
        """Make COMMAND and its cgroup, and tell the filters which one it is; returns its folder."""
        chosen = self._options
        path: Optional[str] = chosen.roles.get("cgroup")
        if not chosen.command and path is None:
            return None
        if not any(option["role"] == "cgroup" for option in self._bound["options"]):
            raise Error("this tool cannot be limited to a cgroup")
        if path is not None:
            identify(path)      # it must be one before a cgroup is made below it
        if chosen.command:
            self._command = Command([os.fsencode(word) for word in chosen.command], path)
            path = str(self._command.path)
        assert path is not None
        if "filter_cgroup" in self._configs:
            number, level = identify(path)
            chosen.configs.update(filter_cgroup=number, filter_cgroup_level=level)
        return Path(path)

    def _settings(self, entry: Dict[str, Any]) -> Dict[str, str]:
        """What the spec says of a program's place; nothing of what hangs on options not given."""
        filled = {key: self._options.fill(entry[key]) for key in read.PLACE_KEYS if key in entry}
        return {key: text for key, text in filled.items() if text}

    def _flags(self, off: List[str]) -> List[str]:
        """The compiler's flags: all that options decide is a macro (headers/bpfduet_bcc.h)."""
        chosen = self._options
        values = dict(chosen.configs)
        if "own_pid" in self._configs:
            values["own_pid"] = os.getpid()
        flags = [*FLAGS, f"-I{HEADERS}", f"-I{self._source.resolve().parent}"]
        flags += [define(f"DUET_SET_{name}", value) for name, value in values.items()]
        flags += [define(f"DUET_OFF_{name}", f"off__{name.split('__')[0]}__") for name in off]
        flags += [define(f"DUET_ENTRIES_{option['entries']}", chosen.values[option["name"]])
                  for option in self._bound["options"] if option["entries"]]
        name = self._spec.data.get("events", {}).get("map")     # of BPF_EVENTS(); others take no size
        if "buffer" in chosen.roles and name:
            flags.append(define(f"DUET_PAGES_{name}", chosen.roles["buffer"]))
        return flags

    def _load(self, text: str, flags: List[str], contexts: List[Any]) -> Any:
        """The bcc.BPF: compiled, loaded, and attached where the programs' names tell."""
        made = [context.get_text() for context in contexts]
        headers = kernel_headers.folder_for("\n".join([text, *made]),
                                            [HEADERS, self._source.resolve().parent])
        headers.apply(os.environ)       # BCC_KERNEL_SOURCE
        here = os.open(".", os.O_PATH | os.O_DIRECTORY)
        os.chdir(headers.path or "/")   # BCC looks for headers in the working directory first
        try:
            return bcc.BPF(text=text.encode(), cflags=flags, usdt_contexts=contexts)
        except Exception as error:      # bcc raises nothing more precise
            raise Error(f"bcc cannot run {self._source.name}: {error}") from error
        finally:
            os.fchdir(here)
            os.close(here)

    def _fill_sets(self) -> None:
        """Put the numbers of options into their maps."""
        for option in self._bound["options"]:
            if option["set"] and option["name"] in self._options.given:
                table = table_of(self._bpf, option["set"])
                for number in self._options.values[option["name"]]:
                    table[table.Key(number)] = table.Leaf(1)

    def _open_output(self) -> None:
        """Make what prints events and reports, and open the buffer."""
        data = self._spec.data
        with contextlib.suppress(KeyError):     # not in a source without bpfduet.h
            self._lost = self._bpf["bpfduet_lost"]
        context = (self._spec, self._options, self._clock)
        if "events" in data:
            name = data["events"]["map"]
            self._events = Events(table_of(self._bpf, f"{name}__type").Leaf, *context)
            buffer = table_of(self._bpf, name)
            if isinstance(buffer, bcc.table.RingBuf):
                buffer.open_ring_buffer(self._take)
            else:
                buffer.open_perf_buffer(self._take, lost_cb=self._lose,
                                        page_cnt=self._options.roles.get("buffer", PERF_PAGES))
        if "trace_pipe" in data:
            try:
                self._bpf.trace_open(nonblocking=True)
            except OSError as error:
                raise Error(f"cannot read the trace pipe: {error.strerror}; it takes one reader at "
                            "a time: end the other one") from error
        self._reports = [Report(entry, self._bpf, *context) for entry in data.get("report", ())
                         if self._options.holds(entry.get("when", ()))]

    # -- the run -----------------------------------------------------------------------------

    def _end(self, number: int, _frame: Optional[FrameType]) -> None:
        """SIGINT and SIGTERM ask for the end; a second one does not wait for it."""
        if self._ended:
            if self._command:
                self._command.abandon()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._ended = True
        if self._command and number == signal.SIGTERM:
            self._command.terminate()       # on Ctrl-C the terminal has told it already

    def _take(self, _: Any, data: int, size: int) -> None:
        """A record: only noted, for what a callback raises does not come out of bcc's poll."""
        self._records.append(ct.string_at(data, size))

    def _lose(self, count: int) -> None:
        self._lost_in_perf += count

    def trace(self) -> None:
        """Run until a signal, --duration, --count or the end of COMMAND. Raises Error."""
        if self._events:
            self._events.print_header()
        elif self._prints_columns():
            print(f"{'TIME(s)':<18} {'COMM':<16} {'PID':<6} MESSAGE")
        sys.stdout.flush()      # who waits for the header knows that tracing has begun
        self._print_banner()
        if self._command:
            self._command.go()
        roles = self._options.roles
        interval, left = roles.get("interval") or math.inf, roles.get("count", 0)
        deadline = time.monotonic() + (roles.get("duration") or math.inf)
        due = time.monotonic() + interval
        while not self._ended and not (self._command and self._command.ended()):
            now = time.monotonic()
            if now >= deadline:
                break
            if now >= due:
                due += interval
                left -= 1
                if left == 0:
                    break
                self._print_reports()
            self._poll(min(WAIT_S, deadline - now, due - now))
        self._poll(0)
        self._print_reports()
        self._tell_lost(True)

    def _prints_columns(self) -> bool:
        pipe = self._spec.data.get("trace_pipe", {})
        return bool(pipe.get("columns")) and not self._options.roles["format"]

    def _print_banner(self) -> None:
        """Lines on stderr, in text."""
        if self._options.roles["format"]:
            return
        text = ""
        for entry in self._bound["banner"]:
            if self._options.holds(entry["when"]):
                text += self._options.fill(entry["text"]) or ""
                if not entry["more"]:
                    say(shown(os.fsencode(text)))
                    text = ""

    def _poll(self, seconds: float) -> None:
        """Wait so long at most for records or lines, and print them."""
        if self._events:
            self._poll_buffer(int(seconds * 1000))
            for record in self._records:
                self._events.print(record)
            self._records.clear()
        else:
            time.sleep(seconds)
        if "trace_pipe" in self._spec.data:
            self._print_trace()
        self._tell_lost()
        sys.stdout.flush()

    def _poll_buffer(self, wait_ms: int) -> None:
        if self._bpf.perf_buffers:
            self._bpf.perf_buffer_poll(timeout=wait_ms)
            self._bpf.perf_buffer_consume()
        else:
            self._bpf.ring_buffer_poll(timeout=wait_ms)
            self._bpf.ring_buffer_consume()

    def _print_trace(self) -> None:
        """The lines that are in the trace pipe."""
        while True:
            task, pid, cpu, _, seconds, message = self._bpf.trace_fields(nonblocking=True)
            if task is None:
                return
            if self._options.roles["format"]:
                print(json_text({"type": "printk", "tool": self.tool, "data": {
                    "time": seconds, "comm": task, "pid": pid, "cpu": cpu, "message": message}}))
            else:
                print(f"{seconds:<18.9f} {shown(task):<16} {pid:<6} {shown(message)}")

    def _print_reports(self) -> None:
        for report in self._reports:
            report.print()
        sys.stdout.flush()

    def _tell_lost(self, now: bool = False) -> None:
        """Say how many more records have found no room, once a second at most."""
        if not now and time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + 1
        lost = self._lost_in_perf + (self._events.dropped if self._events else 0)
        if self._lost is not None:
            lost += sum(self._lost[0])
        growth, self._told_lost = lost - self._told_lost, lost
        if growth and self._options.roles["format"]:
            print(json_text({"type": "lost_events", "tool": self.tool,
                             "data": {"count": growth, "kind": "records"}}))
        elif growth:
            say(f"{self.tool}: lost {growth} events")

    def close(self) -> None:
        """Detach and free everything."""
        if self._places:
            self._places.remove()
        if self._bpf:
            self._bpf.cleanup()
        if self._command:
            self._command.close()


def run(source: Path, argv: Sequence[str]) -> int:
    """Run a tool to its end; returns the exit status."""
    one = Run(source)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        chosen = one.parse(argv)
        if chosen.reply is not None:
            print(chosen.reply, end="")
            return 0
        one.start()
        one.trace()
        return 0
    except UsageError as error:
        complain(one.tool, str(error))
        say(f"Try '{one.tool} --help' for more information.")
        return 2
    except Error as error:
        complain(one.tool, str(error))
        return 1
    except BrokenPipeError:
        raise       # whoever read has had enough
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # or the interpreter would try again
        complain(one.tool, f"cannot write the output: {error.strerror}")
        return 1
    finally:
        one.close()
