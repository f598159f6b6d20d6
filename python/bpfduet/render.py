# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a tool prints: events, reports and trace pipe lines as text, JSON or CSV.

docs/output.md says what; the C frontend prints the same bytes from the same bound spec.
"""
from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Sequence, Union

from . import columns, reports, stacks, text
from .options import Options, numbers_of
from .regex import Regex

Bound = Dict[str, Any]

# What the kernel writes for a line of bpf_printk; "(TGID)" is there with option record-tgid.
_TRACE = re.compile(rb"(.{16})-(\d{1,10}) +(?:\([^)]*\) +)?\[(\d{1,5})\] +[^ ]+ +"
                    rb"(\d{1,15})\.(\d{6}): [^:]*: (.*)", re.DOTALL)
_TRACE_LOST = re.compile(rb"CPU:\d+ \[LOST (\d{1,18}) EVENTS\]")
# What can be lost, and the line that says so: records without room, and events of which the kernel
# skipped the program.
LOSSES = {"records": b"lost %d events",
          "skipped": b"lost up to %d events: the kernel skipped a program that was still running"}


@dataclass
class Clock:
    """Times in ns: of the run's start (monotonic clock), wall clock minus monotonic clock, and
    the wall clock now."""

    start_mono_ns: int
    wall_minus_mono_ns: int
    now_wall_ns: Callable[[], int]

    @classmethod
    def now(cls) -> Clock:
        """The clock of a run that starts now."""
        mono = time.monotonic_ns()
        return cls(mono, time.time_ns() - mono, time.time_ns)


class Renderer:
    """Writes a tool's output to ``out``, which should be buffered. Nothing is written before
    ``begin``; ``flush`` hands everything to the system."""

    event: Callable[[bytes], None]
    """Print a record, or count it as dropped if it is too short to be one."""

    def __init__(self, bound: Bound, options: Options, out: BinaryIO, clock: Clock):
        self._bound = bound
        self._options = options
        self._out = out
        self._write = out.write
        self._clock = clock
        self._format = options.format
        self._printer = columns.Printer(self._format, clock.start_mono_ns,
                                        clock.wall_minus_mono_ns, options.holds)
        self._name: bytes = bound["tool"].encode()
        self._tool = text.json_string(self._name)
        self._reports: Dict[int, Union[_Report, _Average, stacks.Report]] = {}
        self.dropped = 0
        """Records that were too short and lines that the trace pipe lost: for the caller to tell
        of, with what the transport lost."""
        if bound.get("events"):
            self.event = self._event_function(bound["events"])

    def begin(self) -> None:
        """Print the header, if there is one."""
        events = self._bound.get("events")
        if events and self._format != "json":
            self._write(self._printer.header(self._printer.shown(events["columns"])))
        pipe = self._bound.get("trace_pipe")
        if pipe is not None and self._format == "csv":
            self._write(b"time,comm,pid,cpu,message\n")
        elif pipe and pipe.get("columns") and self._format == "text":
            self._write(b"%-18s %-16s %-6s %s\n" % (b"TIME(s)", b"COMM", b"PID", b"MESSAGE"))

    def lost(self, kind: str, count: int) -> bytes:
        """Tell that ``count`` more of a kind of LOSSES are lost: in JSON as an object of the
        output. Returns the line for stderr, without its line end; empty in JSON."""
        if self._format != "json":
            return self._name + b": " + LOSSES[kind] % count
        self._write(self._json("lost_events") + b',"data":{"count":%d,"kind":"%b"}}\n'
                    % (count, kind.encode()))
        return b""

    def report(self, which: Union[int, str], entries: Sequence[Any]) -> None:
        """Print a report, by index or name, from the entries of its map: (key, values), one
        value or one for each CPU; of kind "stacks", from stacks.Stack objects."""
        index = which if isinstance(which, int) else next(
            number for number, report in enumerate(self._bound["reports"])
            if report["name"] == which)
        bound = self._bound["reports"][index]
        if not self._options.holds(bound.get("when") or []):
            return
        if index not in self._reports:
            self._reports[index] = (
                stacks.Report(bound, self._options) if bound["kind"] == "stacks"
                else _Average(bound) if bound["kind"] == "average"
                else _Report(bound, self._printer, self._options, self._format))
        report = self._reports[index]
        if self._format == "text":
            shown = report.text(entries)
            if not shown and bound["kind"] == "average":
                return
            self._write(b"\n" if bound.get("blank_before") else b"")
            self._write(self._above(bound))
            self._write(shown)
            self._write(b"\n" if bound.get("blank_after") else b"")
        elif self._format == "csv":
            self._write(report.csv(entries))
        else:
            head = self._json(report.json_type)
            head += b',"report":"%b"' % text.json_string(bound["name"].encode())
            if bound.get("time"):
                head += b',"time":"%b"' % self._strftime("%H:%M:%S")
            self._write(head + b',"data":' + report.json(entries) + b"}\n")

    def trace(self, line: bytes) -> None:
        """Print a line of the trace pipe (without its end), or count the lines that the kernel
        says it lost."""
        match = _TRACE.fullmatch(line)
        if not match:
            lost = _TRACE_LOST.fullmatch(line)
            self.dropped += int(lost[1]) if lost else 0
            return
        comm, pid, cpu, seconds, micros, message = match.groups()
        comm = comm.lstrip(b" ")
        when = b"%d.%b" % (int(seconds), micros)
        numbers = (int(pid), int(cpu))
        if self._format == "json":
            self._write(self._json("printk") +
                        b',"data":{"time":%b,"comm":"%b","pid":%d,"cpu":%d,"message":"%b"}}\n'
                        % (when, text.json_string(comm), *numbers, text.json_string(message)))
        elif self._format == "csv":
            self._write(b"%b,%b,%d,%d,%b\n"
                        % (when, text.csv_field(text.escape(comm)), *numbers,
                           text.csv_field(text.escape(message))))
        elif self._bound["trace_pipe"].get("columns"):
            self._write(b"%-18b %-16b %-6d %b\n" % (when + b"000", text.escape(comm), numbers[0],
                                                    text.escape(message)))
        else:
            self._write(text.escape(line) + b"\n")

    def flush(self) -> None:
        """Hand everything printed so far to the system."""
        self._out.flush()

    def _json(self, kind: str) -> bytes:
        """The beginning of a JSON line."""
        return b'{"type":"%b","tool":"%b"' % (kind.encode(), self._tool)

    # -- events -------------------------------------------------------------------------------

    def _event_function(self, events: Bound) -> Callable[[bytes], None]:
        """The function that prints a record, made for this spec and these options."""
        line = self._event_line(events)
        need = _least_size(events["fields"])
        matches = self._matches()
        first = self._first_column(events)
        write = self._write

        def event(record: bytes) -> None:
            if len(record) < need:
                self.dropped += 1
                return
            write(line(record))

        def filtered_event(record: bytes) -> None:
            nonlocal first
            if len(record) < need:
                self.dropped += 1
                return
            if first is not None:
                self._printer.set_first(reports.integer(first, record))
                first = None
            if all(match(record) for match in matches):
                write(line(record))

        return filtered_event if matches or first else event

    def _event_line(self, events: Bound) -> columns.LineFunction:
        bases = {"event": 0}
        if self._format != "json":
            return self._printer.line(self._printer.shown(events["columns"]), bases)
        line = columns.Line()
        line.literal(self._json("event") + b',"data":')
        columns.json_struct(line, events["fields"], 0,
                            columns.json_formats(events["columns"], "event"))
        line.literal(b"}\n")
        return line.function()

    def _first_column(self, events: Bound) -> Optional[Bound]:
        """The field from whose first value time is counted, if any column wants that."""
        return next((column for column in events["columns"] if column["format"] == "elapsed"
                     and column.get("since") == "first"), None)

    def _matches(self) -> List[Callable[[bytes], bool]]:
        """Whether a record is to be shown: one function for each option that says so."""
        matches = []
        for option in self._bound["options"]:
            value = self._options.values.get(option["name"])
            if option.get("match") and isinstance(value, bytes):
                matches.append(_match_function(option["match"], value))
        return matches

    # -- around a report --------------------------------------------------------------------

    def _above(self, bound: Bound) -> bytes:
        above = b""
        if bound.get("time") and self._options.holds(bound.get("time_when") or []):
            above += self._strftime(bound["time"]) + b"\n"
        if bound.get("title") is not None:
            above += bound["title"].encode() + b"\n"
        return above

    def _strftime(self, form: str) -> bytes:
        now = time.localtime(self._clock.now_wall_ns() // 1000000000)
        return time.strftime(form, now).encode()


def _least_size(fields: Sequence[Bound]) -> int:
    """How many bytes a record has at least: it may end within its last field, a char array."""
    ends: List[int] = [field["offset"] + field["size"] * max(field.get("count") or 0, 1)
                       for field in fields]
    last = fields[-1]
    if last["kind"] == "string" and not last.get("count"):
        ends[-1] = last["offset"]
    return max(ends)


def _match_function(match: Bound, pattern: bytes) -> Callable[[bytes], bool]:
    start, end = match["offset"], match["offset"] + match["size"]
    if match["how"] == "one_of":
        signed = match["kind"] == "int"
        numbers = numbers_of(pattern)
        if match["kind"] == "bool":
            return lambda record: any(record[start:end]) in numbers
        return lambda record: int.from_bytes(record[start:end], sys.byteorder,
                                             signed=signed) in numbers
    read = {"args": text.join_args, "path": text.join_path}.get(match.get("format", ""), text.cut)
    if match["how"] == "regex":
        matches = Regex(pattern).matches
        return lambda record: matches(read(record[start:end]))
    return lambda record: pattern in read(record[start:end])


class _Average:
    """What a map's entries sum up, and their number, in one line; none if there is nothing."""

    json_type = "average"

    def __init__(self, bound: Bound):
        self._bound = bound
        self._unit = bound["heading"].encode()

    def text(self, entries: Sequence[reports.Entry]) -> bytes:
        """The report as text."""
        average, total, count = reports.average(self._bound, entries)
        line = b"avg = %d %b, total: %d %b, count: %d\n" % (average, self._unit, total, self._unit,
                                                          count)
        return line if count else b""

    def csv(self, entries: Sequence[reports.Entry]) -> bytes:
        """The report as CSV, with its header."""
        average = reports.average(self._bound, entries)
        words = text.csv_field(self._bound["name"].encode()), text.csv_field(self._unit)
        line = b"%b,%b,%d,%d,%d\n" % (*words, *average)
        return b"report,unit,average,total,count\n" + (line if average[2] else b"")

    def json(self, entries: Sequence[reports.Entry]) -> bytes:
        """What stands behind "data"."""
        return b'{"unit":"%b","average":%d,"total":%d,"count":%d}' % (
            text.json_string(self._unit), *reports.average(self._bound, entries))


class _Report:
    """One report of a tool: its map's entries as text, CSV or JSON."""

    def __init__(self, bound: Bound, printer: columns.Printer, options: Options, output: str):
        heading = next((choice["text"] for choice in bound.get("headings") or []
                        if options.holds(choice["when"])), bound.get("heading"))
        self._bound: Bound = {**bound, "heading": heading}
        self._printer = printer
        self._options = options
        self._bases = {"key": 0, "value": bound["key"]["size"]}
        self.json_type = {"log2": "histogram", "linear": "histogram"}.get(
            bound["kind"], bound["kind"])
        self._sections: List[columns.LineFunction] = []
        if bound["kind"] == "table":
            self._columns = printer.shown(bound["columns"])
            self._line = (self._json_row() if output == "json"
                          else printer.line(self._columns, self._bases,
                                            bool(bound.get("inline"))))
        elif bound["kind"] in ("log2", "linear"):
            self._sections = [printer.bare(column, self._bases) for column in bound["sections"]]
            self._line = self._json_key()

    def text(self, entries: Sequence[reports.Entry]) -> bytes:
        """The report as text."""
        if self._bound["kind"] == "table":
            header = b"" if self._bound.get("inline") else self._printer.header(self._columns)
            return header + b"".join(self._lines(entries))
        if self._bound["kind"] == "counters":
            labels = [label.encode() for label in self._bound["labels"]]
            width = max(map(len, labels), default=0)
            return b"".join(b"%-*b: %d\n" % (width, label, count)
                            for label, count in zip(labels, self._counters(entries)))
        parts = []
        for histogram in reports.histograms(self._bound, entries):
            if self._sections:
                texts = [section["heading"].encode() + b" = " + line(histogram.key)
                         for section, line in zip(self._bound["sections"], self._sections)]
                parts.append(b"\n" + b", ".join(texts) + b"\n")
            parts += histogram.lines()
        return b"".join(parts)

    def csv(self, entries: Sequence[reports.Entry]) -> bytes:
        """The report as CSV, with its header."""
        if self._bound["kind"] == "table":
            return self._printer.header(self._columns) + b"".join(self._lines(entries))
        name = text.csv_field(self._bound["name"].encode())
        if self._bound["kind"] == "counters":
            labels = [text.csv_field(label.encode()) for label in self._bound["labels"]]
            return b"report,label,count\n" + b"".join(
                b"%b,%b,%d\n" % (name, label, count)
                for label, count in zip(labels, self._counters(entries)))
        header = [b"report"]
        header += [text.csv_field(section["label"].encode()) for section in self._bound["sections"]]
        lines = [b",".join(header) + b",low,high,count\n"]
        for histogram in reports.histograms(self._bound, entries):
            key = b"".join(text.csv_field(line(histogram.key)) + b"," for line in self._sections)
            lines += [b"%b,%b%d,%d,%d\n" % (name, key, *bucket) for bucket in histogram.buckets()]
        return b"".join(lines)

    def json(self, entries: Sequence[reports.Entry]) -> bytes:
        """What stands behind "data"."""
        if self._bound["kind"] == "table":
            return b"[%b]" % b",".join(self._lines(entries))
        if self._bound["kind"] == "counters":
            return b"{%b}" % b",".join(
                b'"%b":%d' % (text.json_string(label.encode()), count)
                for label, count in zip(self._bound["labels"], self._counters(entries)))
        unit = text.json_string(self._bound["heading"].encode())
        sections = []
        for histogram in reports.histograms(self._bound, entries):
            key = b'"key":%b,' % self._line(histogram.key) if self._sections else b""
            buckets = [b'{"low":%d,"high":%d,"count":%d}' % bucket
                       for bucket in histogram.buckets()]
            sections.append(b'{%b"unit":"%b","buckets":[%b]}' % (key, unit, b",".join(buckets)))
        return b"[%b]" % b",".join(sections)

    def _counters(self, entries: Sequence[reports.Entry]) -> List[int]:
        """The count of each label."""
        counts = {int.from_bytes(key, sys.byteorder):
                  reports.integer(self._bound["value"]["fields"][0], value)
                  for key, value in reports.rows(self._bound, entries)}
        return [counts.get(index, 0) for index in range(len(self._bound["labels"]))]

    # -- tables ---------------------------------------------------------------------------------

    def _lines(self, entries: Sequence[reports.Entry]) -> List[bytes]:
        """The rows of a table, sorted and cut."""
        rows = reports.rows(self._bound, entries)
        if self._bound.get("sum"):
            rows = [reports.total_row(self._bound, rows)]
        elif self._bound["map_kind"] == "array":
            rows = [row for row in rows if any(row[1])]
        fields = self._bound["key"]["fields"]
        sort = next((sort for sort in self._bound.get("sort") or []
                     if self._options.holds(sort.get("when") or [])), None)

        def order(row: reports.Row) -> Any:
            number = 0
            if sort:
                number = reports.integer(sort, row[sort["of"] == "value"])
                number = number if sort.get("ascending") else -number
            return number, reports.order(fields, row[0]), row[0]

        rows.sort(key=order)
        top = self._options.roles.get("top")
        if top is not None:
            rows = rows[:max(int(top), 0)]
        return [self._line(key + value) for key, value in rows]

    def _json_row(self) -> columns.LineFunction:
        line = columns.Line()
        parts = [("key", b'{"key":'), ("value", b',"value":')]
        for part, before in [("value", b'{"value":')] if self._bound.get("sum") else parts:
            line.literal(before)
            fields = self._bound[part]["fields"]
            formats = columns.json_formats(self._bound["columns"], part)
            if [(field["name"], field["offset"]) for field in fields] == [(part, 0)]:
                columns.json_value(line, fields[0], self._bases[part], formats, part)
            else:
                columns.json_struct(line, fields, self._bases[part], formats)
        line.literal(b"}")
        return line.function()

    def _json_key(self) -> columns.LineFunction:
        """The fields of a section as an object."""
        sections = self._bound["sections"]
        formats = columns.json_formats(sections, "key")
        line = columns.Line()
        line.literal(b"{")
        for index, section in enumerate(sections):
            line.literal(b"," if index else b"")
            line.literal(b'"' + text.json_string(section["name"].encode()) + b'":')
            columns.json_value(line, section, 0, formats, section["name"])
        line.literal(b"}")
        return line.function()
