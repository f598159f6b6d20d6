# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a spec leaves to the kernel half: maps that are the only one of their kind, fields of known names,
marks of strings that are cut, what the kernel must offer, and which process probes are for."""
from __future__ import annotations

import fnmatch
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .expand import mark
from .read import Spec, exclude
from .source import Written
from .types import ARRAY_TYPES, HASH_TYPES, Field, Types, find_field

# What the kernel must offer for a program, by the first part of its name.
_REQUIRED = {"tracepoint": "tracepoint", "raw_tracepoint": "raw_tracepoint", "kprobe": "kprobe",
             "kretprobe": "kprobe", "kfunc": "fentry", "kretfunc": "fentry", "lsm": "lsm"}
_OF_PROCESSES = ("uprobe", "uretprobe", "usdt", "probe", "retprobe")
# A report of stacks: the fields of its key, and whether one need not be there.
_STACK_FIELDS = (("kernel", "kernel_stack"), ("user", "user_stack"), ("process", "pid"),
                 ("task", "tid"), ("comm", "comm"))
_LOST = "bpfduet_lost"


def complete(spec: Spec, types: Types) -> Spec:
    """The spec with all that types say filled in. Raises SpecError for what is missing then."""
    data = dict(spec.data)
    if "events" in data:
        data["events"] = _events(spec, data["events"], types)
    if "report" in data:
        data["report"] = [_report(spec, report, types) for report in data["report"]]
        _check_names(spec, data["report"])
    return replace(spec, data=data)


def requires(spec: Spec) -> List[str]:
    """What the kernel must offer: what the spec says, and what the programs' names do.

    A program on a tracepoint or function that has another kind of program to fall back to needs nothing.
    """
    entries = programs(spec, False)
    fallbacks = {name for entry in entries for name in entry.get("fallback", ())}
    free = {entry["name"] for entry in entries for name in entry.get("fallback", ())
            if _kind(name) != _kind(entry["name"])}
    found: Dict[str, str] = {}
    for program in spec.kernel_half.programs:
        if program.kind in _REQUIRED and program.name not in fallbacks | free:
            text = f"{_REQUIRED[program.kind]}:{program.probe.replace('__', ':', 1)}" \
                if program.kind == "tracepoint" else f"{_REQUIRED[program.kind]}:{program.probe}"
            found[text] = text
    for entry in entries:
        if entry["name"] not in free:
            found.update((text, text) for text in map("tracepoint:{}".format, entry.get("also", ())))
    for text in spec.data.get("requires", ()):
        found[text.replace("?:", ":", 1)] = text
    return list(found.values())


def programs(spec: Spec, has_pid: bool) -> List[Written]:
    """What there is to say of programs. Those of user space are for the process of --pid."""
    entries: List[Written] = spec.data.get("program", [])
    known = [program.name for program in spec.kernel_half.programs]
    named = [entry["name"] for entry in entries]
    found: List[Written] = []
    for entry in entries:
        if "*" not in entry["name"]:
            found.append(entry)
            continue
        meant = [name for name in fnmatch.filter(known, entry["name"]) if name not in named]
        if not meant:
            raise spec.error(entry.place, f"the kernel half has no program '{entry['name']}'")
        found += [Written({**entry, "name": name}, entry.place) for name in meant]
    if not has_pid:
        return found
    probed = [name for name in known if _kind(name) in _OF_PROCESSES]
    found = [Written({"process": "{pid}", **entry}, entry.place)
             if _kind(entry["name"]) in _OF_PROCESSES else entry for entry in found]
    named = [entry["name"] for entry in found]
    return found + [Written({"name": name, "process": "{pid}"}, ("programs",))
                    for name in probed if name not in named]


def _kind(program: str) -> str:
    return program.split("__", 1)[0]


# -- events and columns ------------------------------------------------------------------------


def _events(spec: Spec, data: Written, types: Types) -> Written:
    made = Written(data, data.place)
    if "map" not in made:
        if len(types.events) != 1:
            raise spec.error(made.place, "'map' is missing in [events]: the kernel half has "
                             f"{len(types.events) or 'no'} maps of events")
        made["map"], = types.events
    record = types.events.get(made["map"])
    if record is not None:
        made["column"] = _columns(made["column"], record.fields)
    return made


def _columns(columns: Iterable[Written], fields: Tuple[Field, ...]) -> List[Written]:
    """Columns with marks beside those whose record says that a string was cut."""
    columns = list(columns)
    listed = {column["field"] for column in columns}
    made: List[Written] = []
    for column in columns:
        column = _formatted(column, find_field(fields, column["field"]))
        path = column["field"]
        marks: Dict[str, List[Written]] = {"_start_cut": [], "_cut": []}
        for end, found in marks.items():
            if find_field(fields, path + end) is not None and path + end not in listed:
                found.append(Written({"field": path + end, **(
                    {"when": column["when"]} if "when" in column else {})}, column.place))
                mark(found[0])
        if find_field(fields, path + "_cut") is not None:
            column.setdefault("gap", 0)
        made += [*marks["_start_cut"], column, *marks["_cut"]]
    return made


def _formatted(column: Written, field: Optional[Field]) -> Written:
    """A column of 16 bytes is an address."""
    made = Written(column, column.place)
    if field is not None and field.kind == "uint" and field.count * field.size == 16:
        made.setdefault("format", "ip")
    return made


# -- reports ----------------------------------------------------------------------------------


def _report(spec: Spec, data: Written, types: Types) -> Written:
    made = Written(data, data.place)
    kind = made["kind"]
    if "map" not in made:
        made["map"] = _only_map(spec, made, types)
    info = types.maps.get(made["map"])
    if info is None or info.key is None or info.value is None:
        return made
    fields = info.key.fields if info.key.kind == "struct" and not info.key.count else ()
    names = [field.name for field in fields]
    if kind in ("log2", "linear") and "slot" in names:
        made.setdefault("slot", "slot")
    if kind == "stacks":
        stacks = [one.name for one in types.maps.values() if one.type == "stack_trace"]
        if len(stacks) == 1:
            made.setdefault("stacks", stacks[0])
        for key, name in _STACK_FIELDS:
            if name in names:
                made.setdefault(key, name)
        _check_stacks(spec, made)
    whole = (replace(info.key, name="key"), replace(info.value, name="value"))
    for key, among in (("column", whole), ("section", fields)):
        if key in made:
            made[key] = [_formatted(column, find_field(among, column["field"]))
                         for column in made[key]]
    return made


def _only_map(spec: Spec, report: Written, types: Types) -> str:
    """The map of a report that names none."""
    taken = {_LOST, *(option.data.get(key) for option in spec.own + spec.common
                      for key in ("map", "set"))}
    found = [name for name, info in types.maps.items()
             if info.type in HASH_TYPES | ARRAY_TYPES and name not in taken
             and not name.endswith("__type")]
    if len(found) != 1:
        raise spec.error(report.place, "'map' is missing: the kernel half has "
                         f"{', '.join(found) or 'none'}")
    return found[0]


def _check_stacks(spec: Spec, report: Written) -> None:
    for key in ("stacks", "process", "comm"):
        if key not in report:
            raise spec.error(report.place,
                             f"'{key}' is missing: a report of kind 'stacks' wants it")
    if not ("kernel" in report or "user" in report):
        raise spec.error(report.place, "'kernel' or 'user' is missing: a report of kind 'stacks' "
                         "wants one")


def _check_names(spec: Spec, reports: List[Written]) -> None:
    """Reports of one name must exclude each other."""
    seen: List[Tuple[str, Any]] = []
    for report in reports:
        name = report.get("name", report["map"])
        when = frozenset(report.get("when", []))
        if any(name == other and not exclude(when, others) for other, others in seen):
            raise spec.error(report.place + ("name",), f"there are two reports named '{name}'")
        seen.append((name, when))
