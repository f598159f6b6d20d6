# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The short form of TOOL.toml becomes the long one, in which everything is a list of tables.

What needs no types is filled in here: what a name or another key says. ``complete`` does the rest. Values
that are of a wrong type stay as they are, for ``read`` to complain about.
"""
from __future__ import annotations

from types import MappingProxyType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .source import Place, Source, Written

UNITS = {"ns": 1, "us": 1000, "ms": 1000000, "s": 1000000000}
_UNIT_NAMES = {"ns": "nsecs", "us": "usecs", "ms": "msecs", "s": "secs"}
# What only the long form has.
_LONG = ("column", "section", "time_when", "blank_before", "blank_after")
# Types that stand for another one with some more keys.
_TYPES: Dict[str, Dict[str, Any]] = {
    "pid": {"type": "int", "metavar": "PID", "min": 1, "max": 4194304},
    "seconds": {"type": "int", "metavar": "SECONDS", "min": 1, "max": 2147483647},
    "file": {"type": "path", "metavar": "FILE"},
}
ROLE_TYPES = {"duration": "seconds", "interval": "seconds", "count": "int", "top": "int", "format": "choice",
              "buffer": "int", "cgroup": "path", "btf": "file", "pin": "path", "flame": "file",
              "output": "file", "list": "flag"}
# A key of an option that tells its type. The first three are also how an option matches.
_TYPE_OF = (("contains", "string"), ("regex", "string"), ("one_of", "numbers"), ("set", "numbers"),
            ("map", "path"), ("values", "choice"), ("min", "int"), ("max", "int"),
            ("entries", "int"), ("unit", "flag"), ("value", "flag"))
# A key of a column that belongs to one format.
_FORMAT_OF = (("since", "elapsed"), ("zone", "wall"), ("unit", "duration"), ("whole", "percent"),
              ("quote", "args"), ("join", "flags"), ("values", "enum"), ("cut", "string"))
_WIDTHS = {"pid": 7, "tid": 7, "ppid": 7, "uid": 6, "comm": 16}
# What a mark shows.
_CUT = {"…": 1}
_BLANKS = {"before": (True, False), "after": (False, True), "both": (True, True)}


def expand(source: Source, data: Dict[str, Any]) -> Dict[str, Any]:
    """The long form of a document. Raises SpecError."""
    return _Expansion(source, data).made


def last_name(field: str) -> str:
    """The last part of "key.pid"."""
    return field.rpartition(".")[2]


def _conditions(table: Dict[str, Any]) -> None:
    """One condition may stand for a list of it."""
    if isinstance(table.get("when"), str):
        table["when"] = [table["when"]]


def _strings(table: Dict[str, Any], *keys: str) -> None:
    """One string may stand for a list of it."""
    for key in keys:
        if isinstance(table.get(key), str):
            table[key] = [table[key]]


class _Expansion:
    def __init__(self, source: Source, data: Dict[str, Any]):
        self._source = source
        self._data = data
        self.made = dict(data)
        self._values()
        self._banner()
        self.made["option"] = self._named("options")
        for option in self.made["option"]:
            if "help" in option:    # without help, more is still to come
                fill_option(option)
        self._units = self._units_of(self.made["option"])
        self.made["program"] = self._named("programs")
        for program in self.made["program"]:
            _strings(program, "fallback", "also")
        self.made["counter"] = self._counters()
        if "events" in data:
            self.made["events"] = self._events()
        if "report" in data:
            self.made["report"] = self._reports()
        for key in ("options", "programs", "counters"):
            self.made.pop(key, None)
        for key in ("option", "program", "counter"):
            if not self.made[key]:
                del self.made[key]

    def _table(self, place: Place, value: Any) -> Dict[str, Any]:
        if not isinstance(value, dict):
            raise self._source.error(place, f"'{place[-1]}' must be a table")
        return value

    def _list_of_conditions(self, table: Dict[str, Any]) -> List[Any]:
        """The conditions of a table, where more are to be added."""
        when = table.get("when", [])
        if not isinstance(when, list):
            place = table.place if isinstance(table, Written) else ()
            raise self._source.error(place + ("when",), "'when' must be a string or a list of them")
        return when

    def _refuse_long(self, place: Place, table: Dict[str, Any], keys: Iterable[str]) -> None:
        for key in keys:
            if key in table:
                raise self._source.error(place + (key,), f"unknown key '{key}'")

    def _named(self, key: str) -> List[Written]:
        """The tables of [options] or [programs], each with its name in it."""
        found = []
        for own, value in self._table((key,), self._data.get(key, {})).items():
            place = (key, own)
            if key == "options" and isinstance(value, str):
                value = {"short": value}
            table = Written(self._table(place, value), place)
            self._refuse_long(place, table, ("name", "match"))
            table["name"] = own
            _conditions(table)
            found.append(table)
        return found

    def _counters(self) -> List[Written]:
        table = self._table(("counters",), self._data.get("counters", {}))
        return [Written({"map": name, "event": event}, ("counters", name))
                for name, event in table.items()]

    def _values(self) -> None:
        """Of a list, names have the numbers from 0 on, or on from the last one of a table in it."""
        tables = self._data.get("values", {})
        if isinstance(tables, dict):
            self.made["values"] = {"cut": _CUT, **{
                name: self._numbered(("values", name), table) if isinstance(table, list) else table
                for name, table in tables.items()}}

    def _numbered(self, place: Place, names: List[Any]) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        number = 0
        for index, entry in enumerate(names):
            table = {entry: number} if isinstance(entry, str) else entry
            if not isinstance(table, dict):
                raise self._source.error(place + (index,), f"'{place[-1]}' must hold names, or tables "
                                         "of numbers")
            for name, value in table.items():
                if name in found:
                    raise self._source.error(place + (index,), f"'{name}' is there already")
                found[name] = value
                number = value + 1 if isinstance(value, int) else number
        return found

    def _banner(self) -> None:
        lines = self._data.get("banner")
        place: Place = ("banner",)
        when: List[Any] = []
        if isinstance(lines, dict) and set(lines) == {"when", "lines"}:
            table = dict(lines)
            _conditions(table)
            when = self._list_of_conditions(table)
            lines, place = table["lines"], place + ("lines",)
        if isinstance(lines, str):
            self.made["banner"] = [Written({"text": lines}, ("banner",))]
        elif isinstance(lines, list):
            self.made["banner"] = made = []
            for index, line in enumerate(lines):
                if isinstance(line, (str, dict)):
                    line = Written({"text": line} if isinstance(line, str) else line,
                                   place + (index,))
                    _conditions(line)
                    if when:
                        line["when"] = [*when, *self._list_of_conditions(line)]
                made.append(line)

    @staticmethod
    def _units_of(options: Iterable[Written]) -> List[Tuple[str, str, bool]]:
        """The options that choose the unit of time, the largest first: (name, unit, whether the
        kernel half divides)."""
        found = []
        for option in options:
            unit = option.get("unit")
            if isinstance(unit, str) and unit in UNITS:
                if "config" in option:
                    option.setdefault("value", UNITS[unit])
                found.append((option["name"], unit, option.get("value") == UNITS[unit]))
        return sorted(found, key=lambda entry: -UNITS[entry[1]])

    # -- columns -----------------------------------------------------------------------------

    def _events(self) -> Any:
        events = self._data["events"]
        if not isinstance(events, dict):
            return events
        made = Written(events, ("events",))
        self._refuse_long(made.place, made, _LONG)
        if "columns" in made:
            made["column"] = self._columns(("events", "columns"), made.pop("columns"),
                                           made.pop("names", None))
        return made

    def _columns(self, place: Place, columns: Any, names: Any) -> List[Written]:
        if names not in (None, "headings"):
            raise self._source.error(place[:-1] + ("names",), "'names' can be 'headings' only")
        made = []
        for column in self._fields(place, columns):
            self._refuse_long(column.place, column, ("align",))
            named = "name" in column
            _conditions(column)
            if "right" in column:
                column.update(width=column.pop("right"), align="right")
            _timestamp(column)
            _fill(column)
            if names and not named and "heading" in column:
                column["name"] = column["heading"]
            wide = column.pop("wide", None)
            if wide is None:
                made.append(column)
                continue
            when = self._list_of_conditions(column)
            made.append(Written({**column, "when": [*when, "!wide"]}, column.place))
            column.pop("width", None)
            column.pop("cut", None)
            made.append(Written({**column, "width": wide, "when": [*when, "wide"]}, column.place))
        return made

    def _fields(self, place: Place, value: Any) -> List[Written]:
        """A list of tables with a field, or of fields."""
        if not isinstance(value, list):
            raise self._source.error(place, f"'{place[-1]}' must be a list")
        made = []
        for index, entry in enumerate(value):
            if not isinstance(entry, (str, dict)):
                raise self._source.error(place + (index,), f"'{place[-1]}' must hold fields' names, "
                                         "or tables with a 'field'")
            made.append(Written({"field": entry} if isinstance(entry, str) else entry,
                                place + (index,)))
        return made

    # -- reports -----------------------------------------------------------------------------

    def _reports(self) -> Any:
        reports = self._data["report"]
        if not isinstance(reports, list) or not all(isinstance(one, dict) for one in reports):
            raise self._source.error(("report",), "'report' must be written [[report]]")
        made = []
        for index, report in enumerate(reports):
            self._refuse_long(("report", index), report, _LONG)
            for variant in self._variants(Written(report, ("report", index))):
                made += self._by_unit(self._report(variant))
        return made

    def _variants(self, report: Written) -> List[Written]:
        """What ``by`` makes of a report: itself, and one more for each option."""
        place = report.place + ("by",)
        choices = report.pop("by", [])
        _conditions(report)
        if not isinstance(choices, list) or not all(
                isinstance(one, dict) and isinstance(one.get("when"), str) for one in choices):
            raise self._source.error(place, "'by' must be a list of tables, each with the option that "
                                     "it is for in 'when'")
        when = self._list_of_conditions(report)
        names = [choice["when"] for choice in choices]
        made = [report]
        for index, choice in enumerate(choices):
            self._refuse_long(place + (index,), choice, _LONG)
            conditions = [choice["when"], *when, *(f"!{name}" for name in names[:index])]
            made.append(Written({**report, **choice, "when": conditions}, place + (index,)))
        if names:
            report["when"] = [*when, *(f"!{name}" for name in names)]
        return made

    def _report(self, report: Written) -> Written:
        def place(key: str) -> Place:
            """Of a variant's key: where it is, or where the report has it."""
            own = report.place + (key,)
            return own if self._source.has(own) else report.place[:2] + (key,)

        if "columns" in report:
            report["column"] = self._columns(place("columns"), report.pop("columns"),
                                             report.pop("names", None))
        if "sections" in report:
            report["section"] = self._fields(place("sections"), report.pop("sections"))
            for section in report["section"]:
                if "name" in section:
                    section.setdefault("heading", section["name"])
                _fill(section, heading=str, widths={})
        if "kind" not in report:
            kind = next((kind for key, kind in (("column", "table"), ("labels", "counters"))
                         if key in report), None)
            if kind:
                report["kind"] = kind
        if report.get("kind") == "average":
            report.setdefault("total", "total")
            report.setdefault("count", "count")
        if report.get("kind") in ("log2", "linear", "average", "stacks"):
            report.setdefault("clear", True)
        self._spread_time(report)
        self._spread_blank(report, place("blank"))
        self._spread_sort(report, place("sort"))
        for choice in report["value"] if isinstance(report.get("value"), list) else ():
            if isinstance(choice, dict):
                _conditions(choice)
        return report

    @staticmethod
    def _spread_time(report: Written) -> None:
        time = report.get("time")
        if isinstance(time, dict) and set(time) == {"format", "when"}:
            time = dict(time)
            _conditions(time)
            report.update(time=time["format"], time_when=time["when"])

    def _spread_blank(self, report: Written, place: Place) -> None:
        if "blank" not in report:
            return
        blank = report.pop("blank")
        if not isinstance(blank, str) or blank not in _BLANKS:
            raise self._source.error(place, "'blank' cannot be " f"{blank!r}; it is one of "
                                     + ", ".join(_BLANKS))
        for key, value in zip(("blank_before", "blank_after"), _BLANKS[blank]):
            if value:
                report[key] = True

    def _spread_sort(self, report: Written, place: Place) -> None:
        if "sort" not in report:
            return
        sort = report["sort"]
        if not isinstance(sort, list):
            made = self._fields(place, [sort])
            made[0].place = place
        else:
            made = self._fields(place, sort)
        for entry in made:
            _conditions(entry)
        report["sort"] = made

    def _by_unit(self, report: Written) -> List[Written]:
        """The headings of a histogram, or a report for each unit of an average."""
        if report.get("kind") == "average":
            return self._averages(report)
        unit = report.pop("unit", None)
        if isinstance(unit, str) and unit in UNITS:
            report["value"] = [*({"text": _UNIT_NAMES[larger], "when": [name]}
                                 for name, larger, _ in self._units),
                               {"text": _UNIT_NAMES[unit]}] if self._units else _UNIT_NAMES[unit]
        elif unit is not None:
            raise self._source.error(report.place + ("unit",), f"'unit' cannot be {unit!r}; it is "
                                     f"one of {', '.join(UNITS)}")
        return [report]

    def _averages(self, report: Written) -> List[Written]:
        unit = report.pop("unit", None)
        base = self._list_of_conditions(report)
        choices: List[Tuple[Optional[List[str]], str, int]] = []
        if isinstance(unit, str) and unit in UNITS:
            choices = [([name], _UNIT_NAMES[larger],
                        1 if divided else UNITS[larger] // UNITS[unit])
                       for name, larger, divided in self._units]
            choices.append((None, _UNIT_NAMES[unit], 1))
        elif isinstance(report.get("value"), list) and all(
                isinstance(choice, dict) and isinstance(choice.get("text"), str)
                for choice in report["value"]):
            choices = [(self._list_of_conditions(choice), choice["text"], report.get("divisor", 1))
                       for choice in report["value"]]
        if not choices:
            return [report]
        made = []
        others: List[str] = []
        for when, text, divisor in choices:
            table = Written({**report, "value": text, "divisor": divisor}, report.place)
            table["when"] = [*base, *(when or []), *others]
            others += [f"!{name}" for name in when or []]
            made.append(table)
        return made


def fill_option(option: Written, otherwise: str = "flag") -> None:
    """What an option's other keys say about it; the type that it has if they say none."""
    kind = ROLE_TYPES.get(str(option.get("role"))) or next(
        (kind for key, kind in _TYPE_OF if key in option), otherwise)
    if option.setdefault("type", kind) == "flags":
        option.setdefault("repeat", True)
    known = _TYPES.get(str(option["type"]))
    if known:
        option.update({**known, **option, "type": known["type"]})
    for how in ("contains", "regex", "one_of"):
        if how in option:
            option["match"] = {"field": option.pop(how), "how": how}


def _timestamp(column: Written) -> None:
    """A column of ``ts``, when it happened: the time of day, or since the start."""
    if not isinstance(column.get("field"), str) or last_name(column["field"]) != "ts":
        return
    if column.setdefault("format", "elapsed" if "since" in column else "wall") == "wall":
        column.setdefault("heading", "TIME")
        column.setdefault("name", "time")
        column.setdefault("width", 9)
    elif column["format"] == "elapsed" and isinstance(column.get("digits", 9), int):
        column.setdefault("heading", "TIME(s)")
        column.setdefault("width", column.get("digits", 9) + 5)


def _fill(column: Written, heading: Callable[[str], str] = str.upper,
          widths: Mapping[str, int] = MappingProxyType(_WIDTHS)) -> None:
    """What a column's field and its other keys say about it."""
    if not isinstance(column.get("field"), str):
        return
    last = last_name(column["field"])
    if last.endswith("_cut"):
        mark(column)
    column.setdefault("heading", heading(last))
    if "cut" in column:
        column.setdefault("width", column["cut"])
    if "format" not in column:
        if last in widths:
            column.setdefault("width", widths[last])
        kind = next((kind for key, kind in _FORMAT_OF if key in column), None)
        if kind:
            column["format"] = kind


def mark(column: Written) -> None:
    """Fill in a column that shows whether a string was cut."""
    for key, value in (("heading", ""), ("format", "enum"), ("zero", ""), ("gap", 0),
                       ("values", "cut")):
        column.setdefault(key, value)
