# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A spec and the compiler's types become the bound spec, the JSON that the engine reads.

Its form is the last chapter of docs/spec.md.
"""
from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import helptext
from .complete import complete, programs, requires
from .types import (ARRAY_TYPES, HASH_TYPES, PERCPU_TYPES, TRANSPORTS, Config, Field, MapInfo,
                    Types, find_field, int_range)
from ..errors import UsageError
from .read import Option, Spec, Table, did_you_mean
from .source import Place, Source, Written
from .names import TABLES, by_number
from .defaults import parse as parse_value

FORM = 1
_I64 = int_range("int", 8)

_TEXT = ("string", "path", "args")
# Formats that read a field of one size only, in bytes.
_SIZES = {"ipv4": 4, "port": 2, "user": 4, "wall": 8, "elapsed": 8,
          "exit": 4}
_UNSIGNED = ("ipv4", "port", "wall", "elapsed", "device", "disk", "user", "exit", "percent")
_DIGITS = {"octal": 1, "wall": 0, "elapsed": 9, "duration": 3, "percent": 2}


def bind(spec: Spec, types: Types, version: str) -> Dict[str, Any]:
    """The bound spec: JSON-able. Raises SpecError for names that the kernel half does not have."""
    return _Binder(spec, types).bind(version)


def command_line(spec: Spec, configs: Dict[str, Config], version: str) -> Dict[str, Any]:
    """The part of the bound spec that ``options.parse`` and --help need, before anything is
    compiled: all but events, reports, trace_pipe and maps. Raises SpecError."""
    return _Binder(spec, Types(configs=configs)).command_line(version)


def json_int(number: int) -> Any:
    """A number as JSON can carry it exactly: beyond 2^53 as a decimal string."""
    return number if abs(number) <= 1 << 53 else str(number)


def _field(field: Field) -> Dict[str, Any]:
    return {"name": field.name, "offset": field.offset, "size": field.size, "kind": field.kind,
            "count": field.count, "fields": [_field(inner) for inner in field.fields]}


def _paths(fields: Iterable[Field], before: str = "") -> List[str]:
    """Every path by which a field can be named, to suggest the nearest."""
    paths = []
    for field in fields:
        paths.append(before + field.name)
        if field.kind == "struct" and not field.count:
            paths += _paths(field.fields, before + field.name + ".")
    return paths


def _parts(side: str, info: Optional[Field]) -> Tuple[Field, ...]:
    """The fields of a key or value: those of its struct, or one named like the side."""
    if info is None:
        return ()
    if info.kind == "struct" and not info.count:
        return tuple(field for field in info.fields if field.kind != "lock")
    return (Field(side, 0, info.size, info.kind, info.count, info.fields),)


class _Record:
    """The fields that columns can name, by the part of the record ("event", "key", "value")."""

    def __init__(self, parts: Dict[str, Tuple[Field, ...]], prefixed: bool):
        self.parts = parts
        self._prefixed = prefixed

    def find(self, path: str) -> Optional[Tuple[str, str, Field]]:
        """(part, path in it, field) of a path as the spec writes it."""
        for part, fields in self.parts.items():
            inner = path
            scalar = self._prefixed and [f.name for f in fields] == [part]
            if self._prefixed and not scalar:
                if not path.startswith(part + "."):
                    continue
                inner = path[len(part) + 1:]
            field = find_field(fields, inner)
            if field:
                return part, inner, field
        return None

    def paths(self) -> List[str]:
        """Every path that ``find`` takes."""
        paths = []
        for part, fields in self.parts.items():
            scalar = [f.name for f in fields] == [part]
            paths += _paths(fields, f"{part}." if self._prefixed and not scalar else "")
        return paths


class _Binder:
    def __init__(self, spec: Spec, types: Types):
        self._spec = spec
        self._types = types
        self._data = spec.data
        self._options: Dict[str, Table] = {}

    def command_line(self, version: str) -> Dict[str, Any]:
        """What needs no more than the CONFIG constants: options and texts."""
        data = self._data
        own = self._bind_options()
        options = list(self._options.values())
        for table in data.get("banner", []) + data.get("program", []):
            self._check_when(table.place, table)
        for option in self._spec.own:
            self._check_gift(option)
        has_command = any(option["role"] == "cgroup" for option in options)
        for name in data.get("arguments", []):
            self._check_option_name(("arguments",), name)
        return {
            "bpfduet": FORM, "tool": self._spec.name, "version": version,
            "help": helptext.make(self._spec.name, data, options, own, has_command),
            "requires": requires(self._spec),
            "banner": [{"text": line["text"], "when": line.get("when", []),
                        "more": line.get("more", False)}
                       for line in data.get("banner", [])],
            "arguments": data.get("arguments", []),
            "programs": programs(self._spec, "pid" in self._options),
            "counters": data.get("counter", []),
            "options": [{key: value for key, value in option.items()
                         if key not in ("help", "metavar")} for option in options],
            "configs": [_config(config) for config in self._types.configs.values()],
        }

    def bind(self, version: str) -> Dict[str, Any]:
        """Everything, in the order of docs/spec.md."""
        bound = self.command_line(version)
        self._check_programs(bound["programs"])
        self._spec = complete(self._spec, self._types)
        self._data = data = self._spec.data
        for option in self._spec.own + self._spec.common:
            self._check_map(option)
        bound["events"] = self._bind_events() if "events" in data else None
        bound["reports"] = [self._bind_report(report.place, report)
                            for report in data.get("report", [])]
        for entry in bound["options"]:
            if entry["match"]:
                entry["match"] = self._bind_match(entry["name"], bound["events"])
        pipe = data.get("trace_pipe")
        bound["trace_pipe"] = None if pipe is None else {"columns": pipe.get("columns", False)}
        bound["maps"] = {name: {"type": info.type, "max_entries": info.max_entries,
                                "key_size": info.key.end if info.key else 0,
                                "value_size": info.value.end if info.value else 0}
                         for name, info in self._types.maps.items()}
        return bound

    def _check_programs(self, entries: List[Written]) -> None:
        known = self._types.programs
        sharing: Dict[str, Any] = {}
        for program in entries:
            for name in (program["name"], *program.get("fallback", ())):
                if known is not None and name not in known:
                    raise self._spec.error(program.place + ("name",), "the kernel half has no "
                                           f"program '{name}'" + did_you_mean(name, known))
            if program.get("also") and not program["name"].startswith("tracepoint__"):
                raise self._spec.error(program.place + ("also",),
                                       "'also' is for programs on tracepoints")
            for name in program.get("fallback", ()):
                first = sharing.setdefault(name, program)
                if any(first.get(key, []) != program.get(key, []) for key in ("fallback", "when")):
                    raise self._spec.error(
                        program.place + ("fallback",), f"'{first['name']}' falls back to '{name}' "
                        "too: 'fallback' and 'when' must be the same")
        for counter in self._data.get("counter", []):
            place = counter.place + ("map",)
            if self._map(self._spec.source, place, counter["map"]).type != "perf_event_array":
                raise self._spec.error(place, f"map '{counter['map']}' is no perf event array")

    def _check_map(self, option: Option) -> None:
        """The map that an option replaces by a pinned one, or whose size it is."""
        if "entries" in option.data and option.name in self._options:
            self._map(option.source, option.data.place + ("entries",), option.data["entries"])
        if "set" in option.data and option.name in self._options:
            self._check_set(option)
        name = option.data.get("map")
        if name is None or option.name not in self._options:
            return
        info = self._map(option.source, option.data.place + ("map",), name)
        if info.type not in HASH_TYPES:
            raise option.error(f"map '{name}' is no hash", "map")

    def _check_set(self, option: Option) -> None:
        """The map that gets an option's numbers as keys."""
        name = option.data["set"]
        info = self._map(option.source, option.data.place + ("set",), name)
        key, value = _parts("key", info.key), _parts("value", info.value)
        if info.type != "hash" or len(key) != 1 or not _is_integer(key[0]) or \
                len(value) != 1 or not _is_integer(value[0]):
            raise option.error(f"map '{name}' is no hash of integers by integers", "set")
        bound = self._options[option.name]
        low, high = int_range(key[0].kind, key[0].size)
        if not low <= int(bound["min"]) <= int(bound["max"]) <= high:
            raise option.error(f"'min' and 'max' do not fit the keys of map '{name}' ({low} to "
                               f"{high})", "set")

    # -- options ------------------------------------------------------------------------

    def _bind_options(self) -> int:
        """Fill ``_options``; returns how many of them, the first ones, are the tool's own."""
        for option in self._spec.own:
            self._options[option.name] = self._bind_option(option, option.data)
        taken = {option["short"] for option in self._options.values()}
        taken |= {entry.get("short") for entry in self._spec.letters.values()}
        for option in self._spec.common:
            if not self._offered(option):
                continue
            data = Written(option.data, option.data.place)
            if data.get("short") in taken:
                data["short"] = ""
            data.update(self._spec.letters.get(option.name, {}))
            self._options[option.name] = self._bind_option(option, data)
        return len(self._spec.own)

    def _offered(self, option: Option) -> bool:
        """Whether the tool gets a common option."""
        needs = option.data.get("needs")
        if needs == "containers" and self._spec.kernel_half.containers:
            return True
        if needs is None or (needs in ("events", "report") and needs in self._data):
            return True
        if needs in self._types.configs:
            return True
        if option.name in self._spec.letters:
            what = f"[{needs}]" if needs in ("events", "report") else f"CONFIG '{needs}'"
            raise self._spec.error(("common", option.name),
                                   f"'--{option.name}' needs {what}, which this tool does not have")
        return False

    def _bind_option(self, option: Option, data: Table) -> Table:
        kind = data.get("type", "flag")
        config = self._config_of(option, data)
        low, high = self._range(option, data, kind, config)
        choices = option.choices or {}
        if kind in TABLES:
            choices = TABLES[kind]()
        bound = {
            "name": option.name, "short": data.get("short") or None, "type": kind,
            "min": json_int(low) if low is not None else None,
            "max": json_int(high) if high is not None else None,
            "default": data.get("default"), "repeat": data.get("repeat", False),
            "required": data.get("required", False),
            "role": data.get("role"),
            "choices": {name: json_int(number) for name, number in choices.items()} or None,
            "text": helptext.syscall_list() if data.get("role") == "list" else None,
            "config": _config(config) if config else None,
            "value": json_int(data.get("value", 1)) if kind == "flag" and config else None,
            "map": data.get("map"), "entries": data.get("entries"),
            "set": data.get("set"), "match": data.get("match"), "gives": data.get("gives"),
            "help": data["help"], "metavar": data.get("metavar") or kind.upper(),
        }
        if isinstance(bound["default"], int):
            bound["default"] = json_int(bound["default"])
        self._check_default(option, bound)
        return bound

    def _check_gift(self, option: Option) -> None:
        """What an option gives another one must be what the user could have typed."""
        if "gives" not in option.data:
            return
        name, text = option.data["gives"]
        self._check_option_name(option.data.place + ("gives",), name)
        if self._options[name]["type"] == "flag":
            raise option.error(f"option '{name}' takes no argument", "gives")
        try:
            parse_value(self._options[name], text.encode())
        except UsageError as error:
            raise option.error(str(error), "gives") from error

    def _config_of(self, option: Option, data: Table) -> Optional[Config]:
        name = data.get("config")
        if name is None:
            return None
        config = self._types.configs.get(name)
        if config is None:
            raise option.error(f"the kernel half has no CONFIG '{name}'"
                               + did_you_mean(name, self._types.configs), "config")
        kind = data.get("type", "flag")
        if (kind == "string") != (config.kind == "string"):
            wants = "text" if config.kind == "string" else "a number"
            raise option.error(f"CONFIG '{name}' wants {wants}, which an option of type "
                               f"'{kind}' does not give", "config")
        numbers = list(option.choices.values())
        if kind == "flag":
            numbers = [data.get("value", 1)]
        if kind != "string":
            low, high = int_range(config.kind, config.size)
            for number in numbers:
                if not low <= number <= high:
                    raise option.error(f"{number} does not fit CONFIG '{name}' ({low} to {high})",
                                       "value" if kind == "flag" else "values")
        return config

    def _range(self, option: Option, data: Table, kind: str,
               config: Optional[Config]) -> Tuple[Optional[int], Optional[int]]:
        """What a number may be: the spec's range within what CONFIG holds."""
        if kind == "numbers":
            return data.get("min", _I64[0]), data.get("max", _I64[1])
        if kind not in ("int", "user", "errno", "syscall", "signal", "disk"):
            return None, None
        low, high = int_range(config.kind, config.size) if config else _I64
        if kind != "int":   # what lies beyond is free for "no filter"
            low = max(low, 1 if kind == "errno" else 0)
        if kind == "user":
            high = min(high, (1 << 32) - 1)
        for key in ("min", "max"):
            if key in data and not low <= data[key] <= high:
                name = config.name if config else ""
                raise option.error(f"{data[key]} does not fit CONFIG '{name}' ({low} to {high})",
                                   key)
        return data.get("min", low), data.get("max", high)

    def _check_default(self, option: Option, bound: Table) -> None:
        """A default must be what the user could have typed."""
        if bound["default"] is None:
            return
        try:
            parse_value(bound, str(bound["default"]).encode())
        except UsageError as error:
            raise option.error(f"bad default: {error}", "default") from error

    def _bind_match(self, name: str, events: Optional[Table]) -> Table:
        option = next(option for option in self._spec.own + self._spec.common
                      if option.name == name)
        match = option.data["match"]
        if events is None:
            raise option.error("'match' is for tools with [events]", "match")
        record = self._event_record()
        part, path, field = self._find(option.source, option.data.place + ("match",), record,
                                       match["field"])
        if option.data["type"] == "numbers" and not _is_integer(field):
            raise option.error(f"'{path}' is no integer, so it cannot be one of some numbers",
                               "match")
        if option.data["type"] == "string" and (field.kind != "string" or field.count):
            raise option.error(f"'{path}' is no char array, so it cannot be matched", "match")
        shown = [column["format"] for column in events["columns"] if column["name"] == path]
        joined = [kind for kind in shown if kind in ("args", "path")]
        bound = _field(field)
        bound.update(name=path, how=match["how"], format=joined[0] if joined else "string")
        return bound

    # -- events and reports ---------------------------------------------------------------

    def _event_record(self) -> _Record:
        return _Record({"event": self._types.events[self._data["events"]["map"]].fields}, False)

    def _bind_events(self) -> Table:
        data = self._data["events"]
        place: Place = ("events",)
        info = self._map(self._spec.source, place + ("map",), data["map"])
        if info.type not in TRANSPORTS:
            raise self._spec.error(place + ("map",), f"map '{info.name}' is neither a ring buffer "
                                   "nor a perf buffer")
        event = self._types.events.get(info.name)
        if event is None or event.kind != "struct":
            raise self._spec.error(place + ("map",), f"map '{info.name}' has no event struct; "
                                   "declare it with BPF_EVENTS")
        record = self._event_record()
        return {"map": info.name, "transport": TRANSPORTS[info.type], "size": event.size,
                "fields": [_field(field) for field in event.fields],
                "columns": self._columns(data["column"], record)}

    def _bind_report(self, place: Place, data: Table) -> Table:
        kind = data["kind"]
        info = self._map(self._spec.source, place + ("map",), data["map"])
        if info.type not in HASH_TYPES | ARRAY_TYPES or info.key is None or info.value is None:
            raise self._spec.error(place + ("map",),
                                   f"map '{info.name}' is neither a hash nor an array")
        self._check_when(place, data)
        self._check_when(place, data, "time_when")
        key, value = _parts("key", info.key), _parts("value", info.value)
        bound: Table = {
            "name": data.get("name", info.name), "map": info.name, "kind": kind,
            "map_kind": "hash" if info.type in HASH_TYPES else "array",
            "percpu": info.type in PERCPU_TYPES, "entries": info.max_entries,
            "locked": any(field.kind == "lock" for field in info.value.fields),
            "when": data.get("when", []), "clear": data.get("clear", False),
            "time": data.get("time"), "time_when": data.get("time_when", []),
            "blank_before": data.get("blank_before", False),
            "blank_after": data.get("blank_after", False), "title": data.get("title"),
            "key": {"size": info.key.end, "fields": [_field(field) for field in key]},
            "value": {"size": info.value.end, "fields": [_field(field) for field in value]},
            "slot": None, "heading": data.get("value"), "headings": [], "base": data.get("base", 0),
            "step": data.get("step", 1), "sections": [], "columns": [], "sort": [],
            "labels": data.get("labels", []), "stacks": None,
            "inline": data.get("inline", False), "sum": data.get("sum", False),
        }
        if kind == "table":
            # added up, entries have no key
            record = _Record({"value": value} if bound["sum"] else {"key": key, "value": value},
                             True)
            bound["columns"] = self._columns(data["column"], record)
            bound["sort"] = [self._sort(sort.place, sort, record) for sort in data.get("sort", [])]
            return bound
        if kind == "average":
            self._bind_average(place, data, bound, value)
            return bound
        if len(value) != 1 or not _is_integer(value[0]):
            raise self._spec.error(place + ("map",), f"the value of map '{info.name}' is no "
                                   f"integer, as a report of kind '{kind}' wants it")
        if kind == "counters":
            self._check_counters(place, data, info)
        elif kind == "stacks":
            bound["stacks"] = self._bind_stacks(place, data, key)
        else:
            self._bind_histogram(place, data, bound, key, info)
        return bound

    def _bind_average(self, place: Place, data: Table, bound: Table, value: Tuple[Field, ...]
                      ) -> None:
        record = _Record({"value": value}, False)
        bound["divisor"] = data.get("divisor", 1)
        for name in ("total", "count"):
            _, found, field = self._find(self._spec.source, place + (name,), record, data[name])
            if field.kind != "uint" or field.count:
                raise self._spec.error(place + (name,), f"'{data[name]}' is no unsigned integer")
            bound[name] = {**_field(field), "name": found}

    def _check_counters(self, place: Place, data: Table, info: MapInfo) -> None:
        if info.type not in ARRAY_TYPES:
            raise self._spec.error(place + ("map",), f"map '{info.name}' is no array")
        if len(data["labels"]) > info.max_entries:
            raise self._spec.error(place + ("labels",), f"map '{info.name}' has only "
                                   f"{info.max_entries} entries")

    def _bind_stacks(self, place: Place, data: Table, key: Tuple[Field, ...]) -> Table:
        info = self._map(self._spec.source, place + ("stacks",), data["stacks"])
        if info.type != "stack_trace" or info.value is None:
            raise self._spec.error(place + ("stacks",), f"map '{info.name}' holds no stacks")
        record = _Record({"key": key}, False)
        bound: Table = {"map": info.name, "depth": info.value.end // 8}
        for name, kinds in (("kernel", ("int",)), ("user", ("int",)), ("process", ("uint", "int")),
                            ("task", ("uint", "int")), ("comm", ("string",))):
            bound[name] = None
            path = data.get(name, data["process"] if name == "task" else None)
            if path is None:
                continue
            _, found, field = self._find(self._spec.source, place + (name,), record, path)
            if field.kind not in kinds or field.count:
                wants = {"kernel": "a signed integer", "user": "a signed integer",
                         "comm": "a char array"}.get(name, "an integer")
                raise self._spec.error(place + (name,), f"'{path}' is not {wants}")
            bound[name] = {**_field(field), "name": found}
        return bound

    def _bind_histogram(self, place: Place, data: Table, bound: Table, key: Tuple[Field, ...],
                        info: MapInfo) -> None:
        if "slot" not in data and [field.name for field in key] != ["key"]:
            raise self._spec.error(place, f"'slot' is missing: the key of map '{info.name}' is a "
                                   "struct")
        record = _Record({"key": key}, False)
        path = data.get("slot", "key")
        part, name, field = self._find(self._spec.source, place + ("slot",), record, path)
        if not _is_integer(field):
            raise self._spec.error(place + ("slot",), f"'{path}' is no integer")
        bound["slot"] = {**_field(field), "name": name}
        if not isinstance(data["value"], str):
            *bound["headings"], last = data["value"]
            bound["heading"] = last["text"]
            for choice in bound["headings"]:
                self._check_when(place + ("value",), choice)
        bound["sections"] = self._columns(data.get("section", []), record)

    def _sort(self, place: Place, data: Table, record: _Record) -> Table:
        part, name, field = self._find(self._spec.source, place, record, data["field"])
        self._check_when(place, data)
        if not _is_integer(field):
            raise self._spec.error(place, f"'{data['field']}' is no integer, so nothing can be "
                                   "sorted by it")
        return {**_field(field), "name": name, "of": part, "when": data.get("when", []),
                "ascending": data.get("ascending", False)}

    # -- columns -----------------------------------------------------------------------------

    def _columns(self, columns: List[Written], record: _Record) -> List[Table]:
        return [self._column(data.place, data, record) for data in columns]

    def _column(self, place: Place, data: Table, record: _Record) -> Table:
        part, name, field = self._find(self._spec.source, place + ("field",), record,
                                       data["field"])
        self._check_when(place, data)
        if "quote" in data:
            self._check_option_name(place + ("quote",), data["quote"])
        kind = data.get("format") or ("string" if field.kind == "string" else "number")
        problem = _unfit(kind, field)
        if problem is None and "zero" in data and not _is_integer(field):
            problem = "is no integer, so 'zero' means nothing"
        if problem:
            raise self._spec.error(place + ("field",), f"'{data['field']}' {problem}")
        digits = data.get("digits", _DIGITS.get(kind))
        if kind == "duration" and data["unit"] == "ns":
            digits = data.get("digits", 0)
        return {
            **_field(field), "name": name, "heading": data["heading"],
            "label": data.get("name", name), "format": kind, "width": data.get("width", 0),
            "align": data.get("align", "left"), "gap": data.get("gap", 1),
            "when": data.get("when", []), "zero": data.get("zero"), "digits": digits,
            "unit": data.get("unit"),
            "since": data.get("since", "start") if kind == "elapsed" else None,
            "zone": data.get("zone", "local") if kind == "wall" else None,
            "cut": data.get("cut"), "join": data.get("join", "|") if kind == "flags" else None,
            "quote": data.get("quote"), "values": self._values(kind, data), "of": part,
            "whole": self._whole(place, data, record, part), "rest": data.get("rest", False),
        }

    def _whole(self, place: Place, data: Table, record: _Record, part: str) -> Optional[Table]:
        """The field that format "percent" has for 100%."""
        if "whole" not in data:
            return None
        place += ("whole",)
        whole_part, name, field = self._find(self._spec.source, place, record, data["whole"])
        problem = _unfit("percent", field)
        if problem is None and whole_part != part:
            problem = f"is not in the {part}, as '{data['field']}' is"
        if problem:
            raise self._spec.error(place, f"'{data['whole']}' {problem}")
        return {**_field(field), "name": name}

    def _values(self, kind: str, data: Table) -> Optional[Dict[str, str]]:
        if kind in TABLES:
            return by_number(TABLES[kind]())
        if kind in ("enum", "flags"):
            return by_number(self._data["values"][data["values"]])
        return None

    # -- names ---------------------------------------------------------------------------------

    def _find(self, source: Source, place: Place, record: _Record, path: str
              ) -> Tuple[str, str, Field]:
        found = record.find(path)
        if found is None:
            raise source.error(place, f"there is no field '{path}'"
                               + did_you_mean(path, record.paths()))
        return found

    def _map(self, source: Source, place: Place, name: str) -> MapInfo:
        info = self._types.maps.get(name)
        if info is None:
            raise source.error(place, f"the kernel half has no map '{name}'"
                               + did_you_mean(name, self._types.maps))
        return info

    def _check_when(self, place: Place, data: Table, key: str = "when") -> None:
        place += ("time", "when") if key == "time_when" else (key,)
        for condition in data.get(key, []):
            self._check_option_name(place, condition[condition.startswith("!"):])

    def _check_option_name(self, place: Place, name: str) -> None:
        """The spec knows every common option; here some turn out not to be offered."""
        if name not in self._options:
            raise self._spec.error(place, f"this tool has no option '{name}': its kernel half "
                                   "lacks what that needs")


def _config(config: Config) -> Table:
    return {"name": config.name, "offset": config.offset, "size": config.size,
            "kind": config.kind}


def _is_integer(field: Field) -> bool:
    return field.kind in ("uint", "int", "bool") and not field.count


def _unfit(kind: str, field: Field) -> Optional[str]:
    """Why a field cannot be shown in a format, or None."""
    if kind in ("ipv6", "ip"):
        if field.end - field.offset == 16 and field.kind != "string":
            return None
        return "does not have the 16 bytes of an IPv6 address"
    if field.count:
        return "is an array"
    if kind in _TEXT:
        return None if field.kind == "string" else f"is no char array, as format '{kind}' wants it"
    if not _is_integer(field):
        return f"is no integer, as format '{kind}' wants it"
    if kind in _SIZES and field.size != _SIZES[kind]:
        return f"has {field.size} bytes; format '{kind}' wants {_SIZES[kind]}"
    if kind in _UNSIGNED and field.kind != "uint":
        return f"is not unsigned, as format '{kind}' wants it"
    return None

