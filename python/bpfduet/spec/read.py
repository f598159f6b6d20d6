# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""TOOL.toml: the user half of a tool, read and checked (docs/spec.md).

What can be checked without the compiler's types is checked here; ``bind`` does the rest.
"""
from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Optional, Tuple

try:
    import tomllib
except ModuleNotFoundError:     # before Python 3.11
    import tomli as tomllib  # type: ignore[no-redef]

from . import kernel_half
from ..errors import SpecError
from .expand import UNITS, expand, fill_option
from .source import Place, Source, Written

FORMATS = (
    "number", "hex", "octal", "string", "path", "args", "wall", "elapsed", "duration", "bytes",
    "ipv4", "ipv6", "port", "errno", "signal", "syscall", "capability", "device", "user", "enum",
    "flags", "ip", "disk", "exit", "percent",
)
OPTION_TYPES = (
    "flag", "int", "string", "path", "user", "errno", "syscall", "signal", "flags", "choice",
    "numbers", "disk",
)
ROLES = {
    "duration": "int", "interval": "int", "count": "int", "top": "int", "format": "choice",
    "buffer": "int", "cgroup": "path", "verbose": "flag", "help": "flag", "version": "flag",
    "list": "flag", "btf": "path", "pin": "path", "folded": "flag", "delimited": "flag", "annotate": "flag",
    "flame": "path", "output": "path",
}
REPORT_KINDS = ("log2", "linear", "table", "counters", "stacks", "average")
# perf's names; the frontends know type and config
PERF_EVENTS = (
    "cpu-clock", "task-clock", "page-faults", "minor-faults", "major-faults", "context-switches",
    "cpu-migrations", "cpu-cycles", "instructions", "cache-references", "cache-misses",
    "branch-instructions", "branch-misses",
)

# Keys that belong to some formats only.
_FORMAT_KEYS = {
    "digits": ("octal", "wall", "elapsed", "duration", "percent"), "unit": ("duration",),
    "since": ("elapsed",), "values": ("enum", "flags"), "quote": ("args",), "zone": ("wall",),
    "cut": ("string",), "join": ("flags",), "whole": ("percent",), "rest": ("percent",),
}
_KIND_KEYS = {
    "value": ("log2", "linear", "stacks", "average"), "slot": ("log2", "linear"), "section": ("log2", "linear"),
    "base": ("linear",), "step": ("linear",), "column": ("table",), "sort": ("table",),
    "inline": ("table",), "sum": ("table",),
    "labels": ("counters",), "stacks": ("stacks",), "kernel": ("stacks",), "user": ("stacks",),
    "process": ("stacks",), "task": ("stacks",), "comm": ("stacks",),
    "total": ("average",), "count": ("average",), "divisor": ("average",),
}
# What the long form calls otherwise.
_PLURALS = {"column": "columns", "section": "sections", "option": "options", "program": "programs",
            "counter": "counters", "blank_before": "blank", "blank_after": "blank",
            "time_when": "time", "align": "right"}
_REQUIREMENT = re.compile(
    r"tracepoint\??:[\w-]+:[\w-]+|raw_tracepoint\??:[\w-]+|(kprobe|fentry|lsm)\??:[\w.]+"
    r"|helper:bpf_\w+")
_STRFTIME = re.compile(r"(?:[ -$&-~]|%[aAbBdeFHIjmMpRSTyYzZ%])+")

Table = Dict[str, Any]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` with the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else ""


@dataclass
class Option:
    """An option as it is written, and where. ``choices`` are those of flags and choice."""

    data: Written
    source: Source
    choices: Dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Long name, without dashes."""
        return str(self.data["name"])

    def error(self, text: str, key: str = "name") -> SpecError:
        """The error to raise about one of its keys."""
        return self.source.error(self.data.place + (key,), text)


@dataclass
class Spec:
    """A checked TOOL.toml and the common options.

    ``data`` is the document in its long form, with its keys and types checked; ``complete`` fills in
    what the compiler's types say. ``own`` are the tool's options, ``common`` those of common.toml that
    it may be given; which ones it gets depends on the kernel half too. ``letters`` are the short
    letters and changed texts that [common] gives: {option: {"short": ..., "help": ..., "metavar": ...}}.
    """

    name: str
    data: Table
    source: Source
    kernel_half: kernel_half.KernelHalf = kernel_half.KernelHalf()
    own: List[Option] = field(default_factory=list)
    common: List[Option] = field(default_factory=list)
    letters: Dict[str, Table] = field(default_factory=dict)

    def error(self, place: Place, text: str) -> SpecError:
        """The error to raise about a place in TOOL.toml."""
        return self.source.error(place, text)


# -- checks of single values ------------------------------------------------------------

Check = Callable[[Any], Optional[str]]


def _text(value: Any) -> Optional[str]:
    if not isinstance(value, str):
        return "must be a string"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value):
        return "must not contain control characters"
    return None


def _paragraphs(value: Any) -> Optional[str]:
    return _text(value.replace("\n", " ")) if isinstance(value, str) else "must be a string"


def _boolean(value: Any) -> Optional[str]:
    return None if isinstance(value, bool) else "must be true or false"


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> Optional[str]:
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be an integer"
        if not low <= value <= high:
            return f"must be from {low} to {high}"
        return None
    return check


def _one_of(names: Iterable[str]) -> Check:
    known = tuple(names)

    def check(value: Any) -> Optional[str]:
        if not isinstance(value, str):
            return "must be a string"
        if value not in known:
            return f"cannot be '{value}'" + (
                did_you_mean(value, known) or f"; it is one of {', '.join(known)}")
        return None
    return check


def _matches(pattern: str, text: str) -> Check:
    def check(value: Any) -> Optional[str]:
        good = isinstance(value, str) and re.fullmatch(pattern, value)
        return None if good else text
    return check


def _list_of(check: Check) -> Check:
    def check_list(value: Any) -> Optional[str]:
        if not isinstance(value, list):
            return "must be a list"
        return next((problem for problem in map(check, value) if problem), None)
    return check_list


def _default(value: Any) -> Optional[str]:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return None
    return "must be a string or an integer"


def _example(value: Any) -> Optional[str]:
    if not isinstance(value, list) or len(value) != 2 or any(map(_text, value)):
        return "must be a list of [arguments, comment]"
    return None


def _requirement(value: Any) -> Optional[str]:
    if isinstance(value, str) and _REQUIREMENT.fullmatch(value):
        return None
    return (f"holds {value!r}, which is no requirement; write for example "
            "'tracepoint:syscalls:sys_enter_openat'")


def _unit(value: Any) -> Optional[str]:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        return "must be a string or a list of {text, when}"
    if any(set(choice) - {"text", "when"} or _text(choice.get("text")) for choice in value):
        return "must hold a 'text' and perhaps a 'when' each"
    if [choice for choice in value if not choice.get("when")] != value[-1:]:
        return "must have a 'when' in all but the last one"
    return next(filter(None, (_WHEN(choice.get("when", [])) for choice in value)), None)


def _gift(value: Any) -> Optional[str]:
    if isinstance(value, list) and len(value) == 2 and not any(map(_text, value)):
        return None
    return "must be a list of [option, argument]"


def _strftime(value: Any) -> Optional[str]:
    if isinstance(value, str) and _STRFTIME.fullmatch(value):
        return None
    return "must be a strftime format of printable ASCII, such as '[%H:%M:%S]'"


_I64 = (-(1 << 63), (1 << 63) - 1)
_PROGRAM_NAME = _matches(r"[A-Za-z_][\w*]*", "must be a name: letters, digits, _ and *")
_NAME = _matches(r"[A-Za-z_]\w*", "must be a name: letters, digits and _")
_TRACEPOINT = _matches(r"\w+:\w+", "must be a tracepoint, CATEGORY:EVENT")
_PATH = _matches(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "must be a field's name, such as 'a' or 'a.b'")
_LONG = _matches(r"[a-z0-9][a-z0-9_-]+", "must be lower-case letters, digits, - and _, two or more")
_LETTER = _matches(r"[A-Za-z0-9]?", "must be one letter or digit")
_WHEN = _list_of(_text)
_REFERENCE = _text

_TOP: Dict[str, Check] = {
    "summary": _text, "description": _paragraphs, "requires": _list_of(_requirement),
    "examples": _list_of(_example), "banner": _list_of(lambda v: None), "common": lambda v: None,
    "option": lambda v: None, "events": lambda v: None, "report": lambda v: None,
    "trace_pipe": lambda v: None, "values": lambda v: None, "program": lambda v: None,
    "counter": lambda v: None, "arguments": _list_of(_text),
}
_BANNER: Dict[str, Check] = {"text": _text, "when": _WHEN, "more": _boolean}
# What [programs] says of where a program belongs; texts may hold {option}s.
PLACE_KEYS = ("target", "process", "event", "frequency", "period", "interface")
_PROGRAM: Dict[str, Check] = {
    "name": _PROGRAM_NAME, "when": _WHEN, "fallback": _list_of(_NAME), "also": _list_of(_TRACEPOINT),
    "direction": _one_of(("ingress", "egress")), **{key: _text for key in PLACE_KEYS},
}
_COUNTER: Dict[str, Check] = {"map": _NAME, "event": _text}
_COMMON: Dict[str, Check] = {"short": _LETTER, "help": _text, "metavar": _text}
_OPTION: Dict[str, Check] = {
    "name": _text, "short": _LETTER, "help": _text, "type": _one_of(OPTION_TYPES),
    "metavar": _text, "min": _integer(*_I64), "max": _integer(*_I64), "default": _default,
    "repeat": _boolean, "required": _boolean, "values": _REFERENCE, "config": _NAME, "value": _integer(*_I64),
    "map": _NAME, "entries": _NAME, "set": _NAME, "match": lambda v: None,
    "role": _one_of(ROLES), "gives": _gift, "unit": _one_of(UNITS),
}
_COMMON_OPTION: Dict[str, Check] = {**_OPTION, "always": _boolean, "needs": _NAME}
_MATCH: Dict[str, Check] = {"field": _PATH, "how": _one_of(("contains", "regex", "one_of"))}
_EVENTS: Dict[str, Check] = {"map": _NAME, "column": lambda v: None}
_COLUMN: Dict[str, Check] = {
    "heading": _text, "field": _PATH, "name": _text, "format": _one_of(FORMATS),
    "width": _integer(0, 1000), "align": _one_of(("left", "right")), "gap": _integer(0, 100),
    "when": _WHEN, "zero": _text, "digits": _integer(0, 9), "unit": _one_of(UNITS),
    "since": _one_of(("first", "start")), "values": _REFERENCE, "quote": _text,
    "zone": _one_of(("local", "utc")), "cut": _integer(1, 1000), "join": _text,
    "whole": _PATH, "rest": _boolean,
}
_SECTION = {key: check for key, check in _COLUMN.items()
            if key not in ("width", "align", "gap", "when", "cut")}
_REPORT: Dict[str, Check] = {
    "map": _NAME, "kind": _one_of(REPORT_KINDS), "name": _text, "when": _WHEN, "clear": _boolean,
    "time": _strftime, "time_when": _WHEN, "blank_before": _boolean,
    "blank_after": _boolean, "title": _text,
    "value": _unit, "slot": _PATH, "section": lambda v: None,
    "base": _integer(-(1 << 31), (1 << 31) - 1), "step": _integer(1, (1 << 31) - 1),
    "column": lambda v: None, "sort": _list_of(lambda v: None), "labels": _list_of(_text),
    "inline": _boolean, "sum": _boolean,
    "stacks": _NAME, "kernel": _PATH, "user": _PATH, "process": _PATH, "task": _PATH,
    "comm": _PATH, "total": _PATH, "count": _PATH, "divisor": _integer(1, (1 << 31) - 1),
}
_SORT: Dict[str, Check] = {"field": _PATH, "ascending": _boolean, "when": _WHEN}
_TRACE_PIPE: Dict[str, Check] = {"columns": _boolean}


def load(path: Path, common: Path) -> Spec:
    """Read and check a tool's spec and the options that all tools share. Raises SpecError."""
    source, data = _read(path)
    common_source, common_data = _read(common)
    spec = Spec(path.stem, data, source, kernel_half.read(path.with_suffix(".bpf.c")))
    _Checker(spec, _common_options(common_source, common_data)).check()
    return spec


def _read(path: Path) -> Tuple[Source, Table]:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SpecError(f"{path}:1: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError(f"{path}:{line}: not UTF-8") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"(.*) \(at line (\d+), column \d+\)", str(error))
        sentence, line = (found[1], int(found[2])) if found else (
            re.sub(r" \(.*\)", "", str(error)), len(text.splitlines()) or 1)
        raise SpecError(f"{path}:{line}: {sentence}") from error
    source = Source(path, text)
    for key in data:
        if key in _PLURALS:
            raise unknown_key(source, (key,), _TOP)
    return source, expand(source, data)


def _check_keys(source: Source, place: Place, table: Any, checks: Dict[str, Check],
                required: Iterable[str] = ()) -> None:
    """Unknown keys, wrong types and missing keys of one table."""
    if not isinstance(table, dict):
        raise source.error(place, f"'{_name(place)}' must be a table")
    for key, value in table.items():
        if key not in checks:
            raise unknown_key(source, place + (key,), checks)
        problem = checks[key](value)
        if problem:
            raise source.error(place + (key,), f"'{key}' {problem}")
    for key in required:
        if key not in table:
            raise source.error(place, f"'{key}' is missing" + (
                f" in [{_name(place)}]" if place else ""))


def unknown_key(source: Source, place: Place, known: Iterable[str]) -> SpecError:
    """The error about a key, and the nearest one that there is."""
    return source.error(place, f"unknown key '{place[-1]}'" + did_you_mean(
        str(place[-1]), {_PLURALS.get(name, name) for name in known}))


def _name(place: Place) -> str:
    return ".".join(part for part in place if isinstance(part, str))


def _check_values(source: Source, data: Table) -> None:
    """[values.NAME]: tables of numbers."""
    tables = data["values"]
    if not isinstance(tables, dict):
        raise source.error(("values",), "'values' must be a table")
    number = _integer(-(1 << 63), (1 << 64) - 1)
    for name, table in tables.items():
        place = ("values", name)
        _check_keys(source, place, table, dict.fromkeys(table if isinstance(table, dict) else (), number))
        if not table:
            raise source.error(place, f"[values.{name}] is empty")
        for key in table:
            if _text(key) or not key or "|" in key:
                raise source.error(place + (key,), f"'{key}' cannot be a name of a value")


def _check_option(source: Source, table: Written, checks: Dict[str, Check], values: Table
                  ) -> Option:
    """What can be said about one option alone."""
    _check_keys(source, table.place, table, checks, ("help",))
    option = Option(table, source)
    problem = _LONG(option.name)
    if problem:
        raise option.error(f"an option's name {problem}")
    kind = table.get("type", "flag")
    role = table.get("role")
    if role and ROLES[role] != kind:
        raise option.error(f"role '{role}' wants an option of type '{ROLES[role]}'", "role")
    for key, kinds in (("min", ("int", "numbers")), ("max", ("int", "numbers")),
                       ("value", ("flag",)), ("unit", ("flag",)), ("gives", ("flag",)), ("repeat", ("flags", "choice")), ("map", ("path",)),
                       ("entries", ("int",)), ("set", ("numbers",))):
        if key in table and kind not in kinds:
            raise option.error(f"'{key}' is for options of type {' and '.join(kinds)}", key)
    if table.get("min", _I64[0]) > table.get("max", _I64[1]):
        raise option.error("'min' is greater than 'max'", "min")
    if kind == "flag" and any(key in table for key in ("default", "metavar", "required")):
        key = next(key for key in ("default", "metavar", "required") if key in table)
        raise option.error(f"an option of type flag takes no argument, so no '{key}'", key)
    if kind == "path" and "config" in table:
        raise option.error("an option of type path sets no CONFIG", "config")
    _check_option_values(option, kind, role, values)
    if "match" in table:
        _check_keys(source, table.place + ("match",), table["match"], _MATCH, ("field", "how"))
        if kind != ("numbers" if table["match"]["how"] == "one_of" else "string"):
            raise option.error("'match' is for options of type string, with 'one_of' numbers",
                               "match")
    elif kind == "numbers" and "set" not in table:
        raise option.error("'match' or 'set' is missing: an option of type numbers is for these")
    return option


def _check_option_values(option: Option, kind: str, role: Optional[str], values: Table) -> None:
    name = option.data.get("values")
    if role == "list":
        if name not in (None, "@syscall"):
            raise option.error("role 'list' can list \"@syscall\" only", "values")
    elif kind in ("flags", "choice"):
        if name is None:
            raise option.error(f"'values' is missing: type '{kind}' wants a table of names")
        if name not in values:
            raise option.error(f"there is no [values.{name}]" + did_you_mean(name, values),
                               "values")
        zero = [flag for flag, number in values[name].items() if not number]
        if kind == "flags" and zero:
            raise option.error(f"{zero[0]} is 0 in [values.{name}], which selects nothing: "
                               "as a flag it needs a bit of its own", "values")
        option.choices = values[name]
    elif name is not None:
        raise option.error("'values' is for options of type flags and choice", "values")


def _common_options(source: Source, data: Table) -> List[Option]:
    """common.toml: only options and their values."""
    anything: Check = lambda v: None
    _check_keys(source, (), data, {"option": anything, "values": anything}, ("option",))
    _check_values(source, data)
    for table in data["option"]:
        if "config" in table:
            table.setdefault("needs", table["config"])
    return [_check_option(source, table, _COMMON_OPTION, data["values"])
            for table in data["option"]]


def exclude(when: FrozenSet[str], others: FrozenSet[str]) -> bool:
    """Whether two lists of conditions never hold at the same time."""
    return any(("!" + name if name[0] != "!" else name[1:]) in others for name in when)


class _Checker:
    """The checks of TOOL.toml that need the whole of it."""

    def __init__(self, spec: Spec, common: List[Option]):
        self._spec = spec
        self._source = spec.source
        self._data = spec.data
        self._common = {option.name: option for option in common}
        self._options: Dict[str, Option] = {}

    def check(self) -> None:
        """Raise SpecError at the first thing that is wrong."""
        _check_keys(self._source, (), self._data, _TOP, ("summary",))
        if not any(key in self._data for key in ("events", "report", "trace_pipe")):
            raise self._source.error((), "a tool has [events], [[report]] or [trace_pipe]")
        _check_values(self._source, self._data)
        self._check_options()
        self._check_letters()
        for name in self._data.get("arguments", []):
            self._check_option_name(("arguments",), name)
            if self._options[name].data.get("type", "flag") == "flag":
                raise self._source.error(("arguments",), f"option '{name}' takes no argument")
        for line in self._data.get("banner", []):
            self._check_banner(line.place if isinstance(line, Written) else ("banner",), line)
        for program in self._data.get("program", []):
            self._check_program(program.place, program)
        for counter in self._data.get("counter", []):
            _check_keys(self._source, counter.place, counter, _COUNTER)
            self._check_event(counter.place, counter)
        if "events" in self._data:
            self._check_events()
        for report in self._data.get("report", []):
            self._check_report(report.place, report)
        if "trace_pipe" in self._data:
            _check_keys(self._source, ("trace_pipe",), self._data["trace_pipe"], _TRACE_PIPE)

    def _check_options(self) -> None:
        values = self._data["values"]
        tables = [self._described(table) for table in self._data.get("option", [])]
        for table in [*tables, *self._of_constants(tables)]:
            known = dict(values)
            if table["name"] in self._common:
                known.setdefault(str(table.get("values", "")), self._common[table["name"]].choices)
            option = _check_option(self._source, table, _OPTION, known)
            self._options[option.name] = option
            self._spec.own.append(option)
        self._spec.common = [option for option in self._common.values()
                             if option.name not in self._options
                             and ("needs" in option.data or "always" in option.data)]
        for option in self._spec.common:
            self._options[option.name] = option
        self._check_common_table()

    def _described(self, table: Written) -> Written:
        """An option without help has it from its CONFIG, or all from common.toml."""
        if "help" in table:
            return table
        constant = self._spec.kernel_half.constants.get(str(table.get("config", "")))
        if constant:
            made = Written({"help": constant.help, "short": constant.short, **table}, table.place)
            fill_option(made, "flag" if constant.ctype == "bool" else "int")
            return made
        common = self._common.get(table["name"])
        if common:
            return Written({**{key: value for key, value in common.data.items()
                               if key not in ("always", "needs")}, **table}, table.place)
        return table

    def _of_constants(self, tables: List[Written]) -> List[Written]:
        """The options of CONFIG constants with a help text that no other option sets."""
        taken = {str(table.get("config")) for table in tables}
        return [Written({"name": name.replace("_", "-"), "config": name, "short": constant.short,
                         "help": constant.help,
                         **({} if constant.ctype == "bool" else {"type": "int"})}, ("options",))
                for name, constant in self._spec.kernel_half.constants.items()
                if name not in taken]

    def _check_common_table(self) -> None:
        common = self._data.get("common", {})
        names = [option.name for option in self._spec.common]
        _check_keys(self._source, ("common",), common, {name: lambda v: None for name in names})
        for name, value in common.items():
            place = ("common", name)
            entry = value if isinstance(value, dict) else {"short": value}
            _check_keys(self._source, place, entry, _COMMON)
            self._spec.letters[name] = entry

    def _check_letters(self) -> None:
        """A letter given twice. Those that only common.toml gives yield, so are not counted."""
        letters: Dict[str, str] = {}
        given = [(option.name, option.data.get("short"), option.data.place + ("short",))
                 for option in self._spec.own]
        given += [(name, entry.get("short"), ("common", name))
                  for name, entry in self._spec.letters.items()]
        for name, letter, place in given:
            if not letter:
                continue
            if letter in letters:
                raise self._source.error(
                    place, f"'-{letter}' is taken by '--{letters[letter]}' already")
            letters[letter] = name

    def _check_when(self, place: Place, table: Table, key: str = "when") -> None:
        place += ("time", "when") if key == "time_when" else (key,)
        for condition in table.get(key, []):
            self._check_option_name(place, condition[condition.startswith("!"):])

    def _check_option_name(self, place: Place, name: str) -> None:
        if name not in self._options:
            raise self._source.error(
                place, f"there is no option '{name}'" + did_you_mean(name, self._options))

    def _check_banner(self, place: Place, line: Any) -> None:
        _check_keys(self._source, place, line, _BANNER, ("text",))
        self._check_when(place, line)
        self._check_texts(place, line, ("text",))

    def _check_program(self, place: Place, program: Any) -> None:
        _check_keys(self._source, place, program, _PROGRAM, ("name",))
        self._check_when(place, program)
        self._check_texts(place, program, PLACE_KEYS)
        self._check_event(place, program)

    def _check_event(self, place: Place, table: Table) -> None:
        """The name of a perf event, if no option has it."""
        event = table.get("event")
        self._check_texts(place, table, ("event",))
        if event is not None and "{" not in event and event not in PERF_EVENTS:
            raise self._source.error(place + ("event",), f"there is no perf event '{event}'"
                                     + did_you_mean(event, PERF_EVENTS))

    def _check_texts(self, place: Place, table: Table, keys: Iterable[str]) -> None:
        """The {option}s in texts."""
        for key in keys:
            for name in re.findall(r"\{([^{}]*)\}", table.get(key, "")):
                self._check_option_name(place + (key,), name)

    def _check_columns(self, columns: List[Written], checks: Dict[str, Check]) -> None:
        for column in columns:
            _check_keys(self._source, column.place, column, checks, ("field",))
            self._check_when(column.place, column)
            self._check_format(column.place, column)

    def _check_format(self, place: Place, column: Table) -> None:
        kind = column.get("format")
        for key, formats in _FORMAT_KEYS.items():
            if key in column and kind not in formats:
                raise self._source.error(
                    place + (key,), f"'{key}' is for format {' and '.join(formats)}")
        if kind == "duration" and "unit" not in column:
            raise self._source.error(place, "'unit' is missing: format 'duration' wants one")
        if kind == "percent" and "whole" not in column:
            raise self._source.error(place, "'whole' is missing: format 'percent' wants a field")
        if kind in ("enum", "flags"):
            self._check_column_values(place, column, kind)
        if column.get("since") == "first" and place[0] != "events":
            raise self._source.error(place + ("since",), "'since' can be 'first' in events only")
        if "quote" in column:
            self._check_option_name(place + ("quote",), column["quote"])

    def _check_column_values(self, place: Place, column: Table, kind: str) -> None:
        tables = self._data.get("values", {})
        name = column.get("values")
        if name is None:
            raise self._source.error(place, f"'values' is missing: format '{kind}' wants a table")
        if name not in tables:
            raise self._source.error(place + ("values",), f"there is no [values.{name}]"
                                     + did_you_mean(name, tables))
        if kind == "flags" and min(tables[name].values()) < 0:
            raise self._source.error(("values", name), "flags cannot be negative")

    def _check_events(self) -> None:
        events = self._data["events"]
        if isinstance(events, dict) and "column" not in events:
            raise self._source.error(("events",), "'columns' is missing in [events]")
        _check_keys(self._source, ("events",), events, _EVENTS)
        if len(self._spec.kernel_half.events) == 1:
            events.setdefault("map", self._spec.kernel_half.events[0])
        self._check_columns(events["column"], _COLUMN)

    def _check_unit(self, place: Place, report: Table) -> None:
        if isinstance(report.get("value"), str) or "value" not in report:
            return
        if report["kind"] in ("stacks", "average"):
            raise self._source.error(place + ("value",),
                                     f"'value' must be a string in {report['kind']}")
        for choice in report["value"]:
            self._check_when(place + ("value",), choice)

    def _check_report(self, place: Place, report: Table) -> None:
        _check_keys(self._source, place, report, _REPORT, ("kind",))
        kind = report["kind"]
        for key, kinds in _KIND_KEYS.items():
            if key in report and kind not in kinds:
                key = _PLURALS.get(key, key)
                raise self._source.error(
                    place + (key,), f"'{key}' is for reports of kind {' and '.join(kinds)}")
        needed = {"log2": ("value",), "linear": ("value",), "table": ("column",),
                  "counters": ("labels",), "stacks": ("value",),
                  "average": ("value", "total", "count")}
        for key in needed[kind]:
            if key not in report:
                raise self._source.error(place, f"'{_PLURALS.get(key, key)}' is missing: a report "
                                         f"of kind '{kind}' wants it")
        self._check_unit(place, report)
        self._check_when(place, report)
        self._check_when(place, report, "time_when")
        self._check_columns(report.get("column", []), _COLUMN)
        self._check_columns(report.get("section", []), _SECTION)
        fields = [section["field"] for section in report.get("section", [])]
        for index, field_name in enumerate(fields):
            if field_name in fields[:index]:
                raise self._source.error(report["section"][index].place,
                                         f"there are two sections of '{field_name}'")
        for sort in report.get("sort", []):
            _check_keys(self._source, sort.place, sort, _SORT, ("field",))
            self._check_when(sort.place, sort)
