# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the tests share: compiler types without a compiler, and the engine on one document.

A document is what tests/unit/c/render_driver.c reads: bound spec, arguments, clock and steps.
"""
from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from bpfduet.spec import bind, read
from bpfduet.spec.types import Config, Field, MapInfo, Types

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(__file__).with_name("specs")
COMMON = ROOT / "shared_bpf" / "common.toml"
DRIVER = os.environ.get("RENDER_DRIVER", str(ROOT / "build" / "tests" / "render_driver"))
STACKS_DRIVER = str(Path(DRIVER).with_name("stacks_driver"))
CLOCK = {"start_mono_ns": 1000000000, "wall_minus_mono_ns": 1700000000123456789,
         "now_wall_ns": 1700000005000000000}

Bound = Dict[str, Any]
Step = Dict[str, Any]
Document = Dict[str, Any]
Answer = Tuple[int, bytes, bytes]
Stack = Tuple[Sequence[str], int]   # kind ("c", "u", "k") and name, from the outermost inwards; value
Symbol = Sequence[Any]                          # first address, size, name


# -- types without a compiler -----------------------------------------------------------

def field(name: str, c_type: Any, offset: int = 0) -> Field:
    """A field from "u32", "char[16]", "u8[16]" or a list of (name, type) for a struct."""
    if isinstance(c_type, list):
        fields = []
        end = 0
        for inner_name, inner_type in c_type:
            inner = field(inner_name, inner_type)
            align = alignment(inner)
            fields.append(field(inner_name, inner_type, -(-end // align) * align))
            end = fields[-1].end
        align = max(map(alignment, fields))
        return Field(name, offset, -(-end // align) * align, "struct", 0, tuple(fields))
    match = re.fullmatch(r"(char|bool|[us](?:8|16|32|64))(?:\[(\d+)\])?", c_type)
    assert match, c_type
    count = int(match[2] or 0)
    if match[1] == "char":
        return Field(name, offset, count, "string")
    if match[1] == "bool":
        return Field(name, offset, 1, "bool", count)
    kind = "uint" if match[1][0] == "u" else "int"
    return Field(name, offset, int(match[1][1:]) // 8, kind, count)


def alignment(what: Field) -> int:
    """C's alignment of a field in bytes."""
    if what.kind == "struct":
        return max(map(alignment, what.fields))
    return 1 if what.kind == "string" else what.size


def map_info(name: str, kind: str, key: Any, value: Any, entries: int = 64) -> MapInfo:
    """A map with key and value types as ``field`` takes them."""
    return MapInfo(name, kind, key and field("key", key), value and field("value", value), entries)


def types(maps: Sequence[MapInfo], configs: Dict[str, str], **events: Any) -> Types:
    """Types with CONFIG constants one after the other and event structs by map."""
    offset = 0
    found = {}
    for name, c_type in configs.items():
        what = field(name, c_type)
        found[name] = Config(name, offset, what.size, what.kind)
        offset += 8 * -(-what.size // 8)
    return Types({info.name: info for info in maps}, found,
                 {name: field(name, struct) for name, struct in events.items()})


FILTERS = {"filter_pid": "u32", "filter_tid": "u32", "filter_uid": "u64", "filter_comm": "char[16]",
           "filter_cgroup": "u64", "filter_cgroup_level": "s32"}

TYPES = {
    "opensnoop": types(
        [map_info("events", "ringbuf", None, None, 1 << 20),
         map_info("wanted", "hash", "u64", "u32")],
        {**FILTERS, "failed_only": "bool", "full_path": "bool", "flag_mask": "u32"},
        events=[("ts", "u64"), ("pid", "u32"), ("tid", "u32"), ("uid", "u32"), ("fd", "s32"),
                ("err", "s32"), ("flags", "u32"), ("comm", "char[16]"), ("path", "char[64]")]),
    "execsnoop": types(
        [map_info("events", "perf_event_array", "s32", "s32")], {"max_args": "u32"},
        events=[("ts", "u64"), ("pid", "u32"), ("ret", "s32"), ("comm", "char[16]"),
                ("args", "char[48]")]),
    "syscount": types(
        [map_info("data", "percpu_hash", "u32",
                  [("count", "u64"), ("ns", "u64"), ("comm", "char[16]")]),
         map_info("totals", "array", "u32", "u64", 3), map_info("wanted", "hash", "u16", "u8")],
        {**FILTERS, "latency": "bool", "only_errno": "s32", "only_syscall": "s32",
         "some_calls": "bool"}),
    "readhist": types(
        [map_info("dist", "array", "s32", "u64"), map_info("steps", "hash", "s32", "u64"),
         map_info("by_process", "hash", [("pid", "u32"), ("comm", "char[16]"), ("slot", "u32")],
                  "u64")], {}),
    "shares": types(
        [map_info(name, "percpu_hash", "u32", [("tries", "u64"), ("misses", "u32")])
         for name in ("hits", "lines", "total")], {}),
    "hello": types([], {}), "rawhello": types([], {}),
    "zoo": types(
        [map_info("events", "ringbuf", None, None)], {},
        events=[("ts", "u64"), ("big", "s64"), ("v4", "u32"), ("number", "s32"), ("uid", "u32"),
                ("port", "u16"), ("v6", "u8[16]"), ("yes", "bool"), ("pad", "u8"),
                ("_hidden", "u8"), ("in", [("tag", "char[4]"), ("list", "s16[2]")]),
                ("words", "char[2]")]),
}


def bound_of(name: str) -> Dict[str, Any]:
    """The bound spec of tests/unit/specs/NAME.toml."""
    return bind.bind(read.load(SPECS / f"{name}.toml", COMMON), TYPES[name], "1.0")


# -- bytes ------------------------------------------------------------------------------------

def pack(what: Field, value: Any) -> bytes:
    """The memory of a value: numbers, strings (latin-1 stands for bytes), lists and dicts of
    them; what a dict does not name is zero."""
    if what.count:
        one = Field(what.name, 0, what.size, what.kind, 0, what.fields)
        return b"".join(pack(one, element) for element in value)
    if what.kind == "struct":
        raw = bytearray(what.size)
        for inner in what.fields:
            if inner.name in value:
                raw[inner.offset:inner.end] = pack(inner, value[inner.name])
        return bytes(raw)
    if what.kind == "string":
        return value.encode("latin-1").ljust(what.size, b"\0")
    return int(value).to_bytes(what.size, "little", signed=what.kind == "int")


def packed_steps(name: str, steps: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Steps with their values as hex: {"event": {...}, "bytes": N} is a record of N bytes."""
    known = TYPES[name]
    packed = []
    for step in steps:
        if "event" in step:
            record = pack(known.events["events"], step["event"])
            packed.append({"event": record[:step.get("bytes")].hex()})
        elif "report" in step:
            info = known.maps[step["report"]]
            assert info.key and info.value
            entries = [[pack(info.key, key).hex(), [pack(info.value, value).hex()
                                                    for value in values]]
                       for key, values in step["entries"]]
            packed.append({"report": step["report"], "entries": entries})
        else:
            packed.append(step)
    return packed


# -- the engine ----------------------------------------------------------------------------------

def document(bound: Bound, argv: Sequence[str] = (), steps: Sequence[Step] = (),
             zone: str = "UTC", **clock: int) -> Document:
    """What the driver reads."""
    return {"bound": bound, "argv": list(argv), "steps": list(steps), "env": {"TZ": zone},
            "clock": {key: bind.json_int(value) for key, value in {**CLOCK, **clock}.items()}}


def for_driver(what: Document) -> str:
    """A document as the driver reads it: arguments are bytes, which JSON strings need not be."""
    argv = [os.fsencode(argument).hex() for argument in what["argv"]]
    return json.dumps({**what, "argv": argv})


def answer_of(line: bytes) -> Answer:
    """(status, stdout, stderr) out of the driver's answer to a document."""
    answer = json.loads(line)
    return (answer["status"], bytes.fromhex(answer["stdout"]), bytes.fromhex(answer["stderr"]))


def run(documents: Sequence[Document]) -> List[Answer]:
    """(status, stdout, stderr) for each document, by one driver process."""
    lines = "".join(for_driver(one) + "\n" for one in documents)
    done = subprocess.run([DRIVER, "--batch"], input=lines.encode(), stdout=subprocess.PIPE,
                          check=True)
    answers = [answer_of(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(documents), f"{len(answers)} answers to {len(documents)} documents"
    return answers


class Usage(Exception):
    """A command line that the engine refuses; as text, its sentence."""


def parse(bound: Bound, *argv: str) -> Dict[str, Any]:
    """What a command line means: ``given``, ``values`` by option, ``configs`` (hex) by constant and
    ``command``. Strings are as in JSON output. Raises Usage."""
    (status, stdout, stderr), = run([document(bound, argv, [{"options": True}])])
    if status == 2:
        match = re.fullmatch(r"(.*?): (.*)\nTry '\1 --help' for more information\.\n", stderr.decode())
        assert match and stdout == b"", (stdout, stderr)
        raise Usage(match[2])
    assert status == 0, stderr
    found: Dict[str, Any] = json.loads(stdout.splitlines()[-1])
    return found


def draw(title: str, unit: str, stacks: Iterable[Stack]) -> bytes:
    """The flame graph of stacks."""
    lines = "".join("\t".join([*frames, str(value)]) + "\n"
                    for frames, value in stacks)
    return subprocess.run([STACKS_DRIVER, title, unit], input=lines.encode(),
                          stdout=subprocess.PIPE, check=True).stdout


def find_symbols(symbols: Iterable[Symbol], addresses: Iterable[int],
                 latest: bool = False) -> List[Optional[str]]:
    """The name that a table of symbols has for each address."""
    lines = ["%x %x %s" % tuple(symbol) for symbol in symbols] + [""]
    lines += [f"{address:x}" for address in addresses]
    done = subprocess.run([STACKS_DRIVER, "--symbols", *["latest"][:latest]], check=True,
                          input="\n".join(lines).encode() + b"\n", stdout=subprocess.PIPE)
    return [None if name == "-" else name for name in done.stdout.decode().splitlines()]
