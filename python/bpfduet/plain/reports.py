# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the maps hold at the end, or every interval: bcc draws the histograms, tables are a loop."""
from __future__ import annotations

import ctypes as ct
import time
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Tuple

import bcc

from ..errors import UsageError
from ..spec.types import LOCK_TYPE
from ..say import say
from ..spec.read import Spec
from . import stacks
from .formats import Clock, Column, json_value, line
from .options import Options
from .records import Value, added, cut, is_zero, order, table_of, value_of, walk
from .safe import json_text

_LOG2_SLOTS, _LINEAR_SLOTS = 64, 1024

Row = Tuple[Value, Value]       # key, value
Section = Tuple[Value, ...]
Counts = Dict[Section, Dict[int, int]]      # by section and slot


def rows(table: Any) -> Iterator[Row]:
    """The entries of a table; the values of CPUs added up."""
    percpu = isinstance(table, (bcc.table.PerCpuHash, bcc.table.PerCpuArray))
    for key, leaf in table.items():
        yield value_of(key), added(value_of(leaf)) if percpu else value_of(leaf)


def _in_parts(side: str, kind: Any) -> Any:
    """The type of a record whose only member is a key or a value."""
    return type(side, (ct.Structure,), {"_fields_": [(side, kind)]})


class _AddedUp(bcc.table.HashTable):  # type: ignore[misc]
    """Counts that bcc is to draw and that are in no table of two members, section and slot."""

    class _SectionAndSlot(ct.Structure):
        _fields_ = [("section", ct.c_int), ("slot", ct.c_int)]

    def __init__(self, counts: Counts):  # pylint: disable=super-init-not-called
        self._counts = counts
        self.Key = ct.c_int if list(counts) == [()] else self._SectionAndSlot

    def items(self) -> List[Tuple[Any, Any]]:
        """The entries, as print_log2_hist() looks at them."""
        return [(SimpleNamespace(section=section, slot=slot, value=slot),
                 SimpleNamespace(value=count))
                for section, slots in self._counts.items() for slot, count in slots.items()]


class Report:
    """A [[report]] of the spec over the tables of a ``bcc.BPF``. Raises Error and UsageError."""

    def __init__(self, data: Dict[str, Any], bpf: Any, spec: Spec, options: Options, clock: Clock):
        self._data = data
        self._bpf = bpf
        self._table = table_of(bpf, data["map"])
        self._options = options
        self._tool = spec.name
        percpu = isinstance(self._table, (bcc.table.PerCpuHash, bcc.table.PerCpuArray))
        key, leaf = self._table.Key, self._table.sLeaf if percpu else self._table.Leaf
        if LOCK_TYPE in [entry[1].__name__ for entry in getattr(leaf, "_fields_", ())]:
            raise UsageError("--plain leaves out maps with spin locks, which bcc does not take: "
                             "run it without --plain")
        self._leaf = leaf
        whole = type("whole", (ct.Structure,), {"_fields_": [("key", key), ("value", leaf)]})

        def column(entry: Dict[str, Any], kind: Any) -> Column:
            return Column(entry, kind, spec, options, clock)

        self._columns = [column(entry, whole) for entry in data.get("column", ())]
        self._shown = [one for one, entry in zip(self._columns, data.get("column", ()))
                       if options.holds(entry.get("when", ()))]
        is_struct = issubclass(key, ct.Structure)
        self._sections = [column(entry, key if is_struct else _in_parts("key", key))
                          for entry in data.get("section", ())]
        self._section_names = [entry["field"] for entry in data.get("section", ())]
        self._key = [entry[0] for entry in key._fields_ if not entry[0].startswith("__pad_")] \
            if is_struct else ["key"]

    def print(self) -> None:
        """Print the report, and empty its map if the spec says so."""
        data = self._data
        kind, json_of, print_text = {
            "log2": ("histogram", self._histogram_json, self._draw),
            "linear": ("histogram", self._histogram_json, self._draw),
            "table": ("table", self._table_json, self._print_table),
            "counters": ("counters", self._counters, self._print_counters),
            "average": ("average", self._average, self._print_average),
            "stacks": ("stacks", self._stacks_json, self._print_stacks),
        }[data["kind"]]
        if self._options.roles["format"]:
            head = {"type": kind, "tool": self._tool, "report": data.get("name", data["map"])}
            if "time" in data:
                head["time"] = time.strftime("%H:%M:%S")
            print(json_text({**head, "data": json_of()}))
        elif kind != "average" or self._average()["count"]:
            self._print_above()
            print_text()
            if data.get("blank_after"):
                print()
        if data.get("clear"):
            self._table.clear()

    def _print_above(self) -> None:
        if self._data.get("blank_before"):
            print()
        if "time" in self._data and self._options.holds(self._data.get("time_when", ())):
            print(time.strftime(self._data["time"]))
        if "title" in self._data:
            print(self._data["title"])

    def _unit(self) -> str:
        """The heading of the values, which may depend on options."""
        value = self._data.get("value", "")
        if isinstance(value, str):
            return value
        return str(next(choice["text"] for choice in value
                        if self._options.holds(choice.get("when", ()))))

    # -- histograms ---------------------------------------------------------------------------

    def _draw(self) -> None:
        """Have bcc draw it: the table itself, if there is nothing to add up."""
        names = self._section_names
        table = self._table
        # bcc takes the first member of a key for its section, and the second for the slot
        if self._key != ["key"] and (len(names) != 1 or self._key != [*names, self._data["slot"]]):
            table = _AddedUp(self._counts())
        heading = self._sections[0].heading if self._sections else ""
        how = {"section_print_fn": self._section_text, "bucket_sort_fn": sorted}
        unit = self._unit()
        if self._data["kind"] == "log2":
            table.print_log2_hist(unit, heading, **how)
            return
        # bcc knows neither a first value nor a step: what it shows is the slot
        step = self._data.get("step", 1)
        table.print_linear_hist(unit if step == 1 else f"{unit} / {step}", heading, **how)

    def _section_text(self, section: Any) -> str:
        """The values of a section, or of several; the first one's heading is there already."""
        values = section if isinstance(section, tuple) else (section,)
        record = dict(zip(self._section_names, values))
        words = [column.text(record) for column in self._sections]
        return ", ".join([words[0], *(f"{column.heading} = {word}" for column, word
                                      in zip(self._sections[1:], words[1:]))])

    def _counts(self) -> Counts:
        """Counts by section and slot, added up over what else is in the keys."""
        counts: Counts = {}
        if not self._sections:
            counts[()] = {}
        most = _LINEAR_SLOTS if self._data["kind"] == "linear" else _LOG2_SLOTS
        for key, value in rows(self._table):
            record = key if isinstance(key, dict) else {"key": key}
            slot = walk(record, self._data.get("slot", "key"))
            values = (walk(record, name) for name in self._section_names)
            section = tuple(cut(one) if isinstance(one, bytes) else one for one in values)
            if 0 <= slot <= most:
                slots = counts.setdefault(section, {})
                slots[slot] = slots.get(slot, 0) + value
        return counts

    def _histogram_json(self) -> Value:
        counts = self._counts()
        found = []
        for section in sorted(counts, key=list):
            record: Dict[str, Value] = {}
            if self._sections:
                record["key"] = json_value(dict(zip(self._section_names, section)), self._sections)
            record["unit"] = self._unit()
            record["buckets"] = [self._bucket(slot, count)
                                 for slot, count in sorted(counts[section].items())
                                 if count and (slot or self._data["kind"] == "linear")]
            found.append(record)
        return found

    def _bucket(self, slot: int, count: int) -> Value:
        if self._data["kind"] == "linear":
            low = self._data.get("base", 0) + slot * self._data.get("step", 1)
            return {"low": low, "high": low + self._data.get("step", 1) - 1, "count": count}
        return {"low": 0 if slot == 1 else 1 << slot - 1, "high": (1 << slot) - 1, "count": count}

    # -- tables ------------------------------------------------------------------------------

    def _rows(self) -> List[Row]:
        """The rows in their order, cut at the option that says how many."""
        found = list(rows(self._table))
        if isinstance(self._table, bcc.table.ArrayBase):
            found = [row for row in found if not is_zero(row[1])]
        if self._data.get("sum"):
            # with the value of no entry, which adds nothing, in case there are none
            none = value_of(self._leaf())
            return [(0, added([*(value for _, value in found), none]))]
        found.sort(key=lambda row: order(row[0]))
        by = next((sort for sort in self._data.get("sort", ())
                   if self._options.holds(sort.get("when", ()))), None)
        if by:
            field, sign = by["field"], 1 if by.get("ascending") else -1
            found.sort(key=lambda row: sign * int(walk(_record(row), field)))
        return found[:self._options.roles.get("top")]

    def _print_table(self) -> None:
        if not self._data.get("inline"):
            print(line(self._shown, [column.heading for column in self._shown]))
        for row in self._rows():
            words = [column.text(_record(row)) for column in self._shown]
            print(line(self._shown, words, bool(self._data.get("inline"))))

    def _table_json(self) -> Value:
        shown = [json_value(_record(row), self._columns) for row in self._rows()]
        if self._data.get("sum"):
            return [{"value": row["value"]} for row in shown]
        return shown

    # -- counters and averages ---------------------------------------------------------------

    def _counters(self) -> Value:
        values = [value for _, value in rows(self._table)]
        return dict(zip(self._data["labels"], values))

    def _print_counters(self) -> None:
        width = max(map(len, self._data["labels"]))
        for label, value in self._counters().items():
            print(f"{label:<{width}}: {value}")

    def _average(self) -> Value:
        values = [value for _, value in rows(self._table)]
        total, count = (sum(int(walk(value, self._data[name])) for value in values)
                        for name in ("total", "count"))
        total //= self._data.get("divisor", 1)
        return {"unit": self._unit(), "average": total // max(count, 1), "total": total,
                "count": count}

    def _print_average(self) -> None:
        average = self._average()
        unit = average["unit"]
        print(f"avg = {average['average']} {unit}, total: {average['total']} {unit}, "
              f"count: {average['count']}")

    # -- stacks ------------------------------------------------------------------------------

    def _stacks(self) -> List[stacks.Stack]:
        return stacks.read(self._data, self._bpf, list(rows(self._table)))

    def _stacks_json(self) -> Value:
        return [stack.json() for stack in self._stacks()]

    def _print_stacks(self) -> None:
        found = self._stacks()
        for stack in found:
            print(stack.text(self._options.roles))
        missing = sum(stack.missing() for stack in found)
        if missing:
            say(f"WARNING: {missing} stack traces could not be displayed.")


def _record(row: Row) -> Dict[str, Value]:
    return {"key": row[0], "value": row[1]}
