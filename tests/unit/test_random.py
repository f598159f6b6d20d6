# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Random specs, options and bytes through the engine (under the sanitizers in `make check`): what it
prints is clean, and its three formats say the same."""
from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness
from bpfduet.spec import bind, expand, read
from bpfduet.spec.types import Field, MapInfo

INTEGERS = ["u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "bool"]
VALUES = {"small": {"ZERO": 0, "ONE": 1, "MINUS": -1, "big one": 4294967295, "UNO": 1},
          "bits": {"RW": 3, "R": 1, "W": 2, "X": 0x100, "HIGH": 1 << 63}}
WORDS = ["TIME", "PID", "IN {zone}!", "a,b", 'say "x"', "größe", "100%", "%d", "", "back\\slash", "{x}"]
TEXT_FORMATS = ["string", "path", "args"]

# Bytes that make trouble: ends, quotes, controls, good and bad UTF-8, what must not be printed.
PIECES = [b"\0", b"\0\0", b"/", b"/usr", b"bash", b"a b", b'"', b"\\", b",", b"\n", b"\x1b[2J", b"\x7f",
          "é".encode(), "漢字".encode(), "😀".encode(), "\u0085".encode(), "\u200b".encode(),
          "\u2028".encode(), "\u202e".encode(), "\u2060".encode(), "\ufeff".encode(),
          "\ufff9".encode(), "\ufffd".encode(), "\U000e0041".encode(), "\ufdd0".encode(),
          "\U0001fffe".encode(), "\U0010ffff".encode(), b"\xc0\x80", b"\xc3", b"\xe2\x82",
          b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xff"]
EDGES = [0, 1, 2, 9, 255, 1023, 1024, 9999, 10000, 10240, 1 << 20, (1 << 31) - 1, 1 << 31,
         (1 << 32) - 2, (1 << 53) + 1, 999999999, 1000000000, (1 << 63) - 1, 1 << 63, (1 << 64) - 2,
         (1 << 64) - 1]

raw = st.lists(st.one_of(
    st.sampled_from(PIECES), st.sampled_from(EDGES).map(lambda n: n.to_bytes(8, "little")),
    st.integers(0, 70).map(lambda n: n.to_bytes(4, "little")), st.binary(max_size=8),
), max_size=24).map(b"".join)


def sized(size: int) -> st.SearchStrategy[bytes]:
    """``size`` bytes."""
    return raw.map(lambda data: data[:size].ljust(size, b"\0"))


@st.composite
def structs(draw: Any, depth: int = 0) -> List[Tuple[str, Any]]:
    """Members of a struct, as harness.field takes them."""
    members: List[Tuple[str, Any]] = []
    for number in range(draw(st.integers(1, 6))):
        name = draw(st.sampled_from(["f", "f", "f", "_f", "pad"])) + str(number)
        kind = draw(st.integers(0, 9))
        if kind <= 4:
            members.append((name, draw(st.sampled_from(INTEGERS))))
        elif kind <= 6:
            members.append((name, f"char[{draw(st.integers(1, 40))}]"))
        elif kind == 7:
            members.append((name, draw(st.sampled_from(["u8[16]", "u32[4]", "s16[3]", "bool[2]"]))))
        elif depth < 2:
            members.append((name, draw(structs(depth + 1))))
    return members or [("f", "u32")]


def leaves(fields: Tuple[Field, ...], before: str = "") -> Iterator[Tuple[str, Field]]:
    """Everything a column can show."""
    for field in fields:
        if field.kind == "struct" and not field.count:
            yield from leaves(field.fields, f"{before}{field.name}.")
        elif not field.count or field.end - field.offset == 16:
            yield before + field.name, field


def formats_of(field: Field) -> List[str]:
    """The formats that a field can be shown in."""
    return [kind for kind in read.FORMATS if bind._unfit(kind, field) is None]


def part_of(path: str) -> str:
    """The part of a map's entry that a path is in, if it is one of a table's."""
    first = path.split(".")[0]
    return first if first in ("key", "value") else ""


@st.composite
def conditions(draw: Any) -> List[str]:
    """A ``when`` list: mostly true."""
    return draw(st.sampled_from([[], [], [], ["alpha"], ["!alpha"], ["!beta", "alpha"], ["format"]]))


@st.composite
def columns(draw: Any, known: List[Tuple[str, Field]], events: bool = False, section: bool = False
            ) -> List[Dict[str, Any]]:
    """Columns over some of the fields, of events, a section or else a table."""
    found = []
    for path, field in draw(st.lists(st.sampled_from(known), min_size=0 if section else 1,
                                     max_size=3 if section else 7, unique=section)):
        kind = draw(st.sampled_from(formats_of(field)))
        column: Dict[str, Any] = {"heading": draw(st.sampled_from(WORDS)), "field": path,
                                  "format": kind}
        if kind in ("octal", "wall", "elapsed", "duration", "percent") and draw(st.booleans()):
            column["digits"] = draw(st.integers(0, 9))
        if kind == "flags" and draw(st.booleans()):
            column["join"] = draw(st.sampled_from(["-", "", ", "]))
        if kind == "string" and not section and draw(st.booleans()):
            column["cut"] = draw(st.integers(1, 9))
        if kind == "wall":
            column["zone"] = draw(st.sampled_from(["local", "utc"]))
        if kind == "duration":
            column["unit"] = draw(st.sampled_from(list(expand.UNITS)))
        if kind == "elapsed":
            column["since"] = draw(st.sampled_from(["first", "start"] if events else ["start"]))
        if kind == "percent":
            column["whole"] = draw(st.sampled_from(
                [other for other, whole in known
                 if part_of(other) == part_of(path) and "percent" in formats_of(whole)]))
            column["rest"] = draw(st.booleans())
        if kind in ("enum", "flags"):
            column["values"] = "bits" if kind == "flags" else "small"
        if kind == "args":
            column["quote"] = "beta"
        if field.kind in ("uint", "int", "bool") and not field.count and draw(st.booleans()):
            column["zero"] = draw(st.sampled_from(WORDS))
        if not section:
            column["when"] = draw(conditions())
            for key, most in (("width", 20), ("gap", 3)):
                if draw(st.booleans()):
                    column[key] = draw(st.integers(0, most))
            column["align"] = draw(st.sampled_from(["left", "right"]))
        found.append(column)
    return found


def option(name: str, letter: str, kind: str, **more: Any) -> Dict[str, Any]:
    """An option of a spec."""
    return {"name": name, "short": letter, "help": "help", "type": kind, **more}


@st.composite
def options(draw: Any, strings: Sequence[str] = (), integers: Sequence[str] = ()
            ) -> List[Dict[str, Any]]:
    """The tool's own options; alpha and beta are always there, for conditions."""
    found = [option("alpha", "a", "flag", config="c_u8", value=draw(st.integers(0, 255))),
             option("beta", "b", "flag"),
             option("comma", "", "flag", gives=["format", "csv"]),
             option("seven", "7", "flag", gives=["number", "7"]), option("alphabet", "", "flag"),
             option("number", "n", "int", config=draw(st.sampled_from(["c_u64", "c_s32", "c_u8"])),
                    required=draw(st.integers(0, 9)) == 0),
             option("limit", "", "int", min=draw(st.integers(-5, 5)), max=draw(st.integers(6, 99))),
             option("text", "t", "string", config="c_text"), option("who", "", "user"),
             option("error", "E", "errno", config="c_s32"), option("call", "", "syscall"),
             option("sig", "", "signal"), option("disk", "", "disk", config="c_u64"), option("pick", "", "choice", values="small"),
             option("bits", "B", "flags", values="bits", repeat=draw(st.booleans())),
             option("top", "", "int", min=0, max=10, role="top"), option("list", "", "flag", role="list")]
    if strings:
        found.append(option("match", "m", "string", match={
            "field": draw(st.sampled_from(strings)),
            "how": draw(st.sampled_from(["contains", "regex"]))}))
    if integers:
        found.append(option("among", "", "numbers", match={
            "field": draw(st.sampled_from(integers)), "how": "one_of"}))
    return found


CONFIGS = {"c_u8": "u8", "c_u64": "u64", "c_s32": "s32", "c_text": "char[8]", **harness.FILTERS}
GOOD_ARGUMENTS = [["-a"], ["--comma"], ["-a7b"], ["-b"], ["-ab"], ["--alpha"], ["--beta"], ["--bet"], ["--format=json"],
                  ["--format", "csv"], ["--format=text"], ["--top=2"], ["-n7"], ["--number=0x1F"],
                  ["-m", "a"], ["--match="], ["-m", "[a-z]$"], ["--duration", "5"], ["-E", "ENOENT"],
                  ["--bits", "R|X"], ["-BRW"], ["--pick", "ONE"], ["--among=0,1,2,9,255,-1,18446744073709551615"], ["--buffer-pages=64"]]
BAD_ARGUMENTS = [["-Z"], ["--alp"], ["--alpha=1"], ["--number"], ["-nabc"], ["-n", "-1"], ["-n256"],
                 ["--number=99999999999999999999999"], ["--number= 1"], ["-n0x"], ["-n+07"],
                 ["--limit", "1000"], ["--limit=-99"], ["-ttoolongtext"], ["-t\x01\x7fé\udcff"],
                 ["--who=root"], ["--who=nobody-of-that-name"], ["--who=0"], ["-E", "-2"], ["-ENOPE"],
                 ["-E", "99999999999"], ["--call", "read"], ["--call=none"], ["--sig", "KILL"],
                 ["--sig=SIGTERM"], ["--sig=SIGNOT"], ["--pick=x"], ["--pick", "big one"], ["-BR|Q"],
                 ["--bits="], ["--format", "xml"], ["-m", "a{99999999}"], ["-m", "("], ["x"], [""],
                 ["-"], ["--"], ["--", "ls", "-l"], ["--help"], ["-h"], ["--version"], ["--list"],
                 ["--nothing=x"], ["--=x"], ["-\u00e9"], ["--buffer-pages=3"], ["--buffer-pages=0"],
                 ["--among=1,x"], ["--among="], ["--among", "0x10,,1"], ["7"], ["word", "7"],
                 ["--number=-0"], ["--disk=null"], ["--disk", "nosuchdisk\x1b"], ["--disk="],
                 ["--disk=loop0"], ["--comm=0123456789abcdef"], ["--cgroup=/x"], ["--u\x1b"]]
argvs = st.lists(st.one_of(st.sampled_from(GOOD_ARGUMENTS), st.sampled_from(GOOD_ARGUMENTS),
                           st.sampled_from(GOOD_ARGUMENTS), st.sampled_from(BAD_ARGUMENTS)),
                 max_size=4).map(lambda parts: [word for part in parts for word in part])

clocks = st.fixed_dictionaries({
    "start_mono_ns": st.one_of(st.sampled_from([0, 5 * 10**9]), st.integers(0, (1 << 63) - 1)),
    "wall_minus_mono_ns": st.one_of(st.just(1700000000 * 10**9),
                                    st.integers(-(1 << 62), (1 << 62))),
    "now_wall_ns": st.integers(0, 1 << 62),
}).map(lambda clock: {key: bind.json_int(value) for key, value in clock.items()})

trace_lines = st.one_of(
    st.sampled_from(["CPU:1 [LOST 12 EVENTS]", "", "no trace line at all",
                     "           <...>-12      [000] ..... 1.000001: 0x1: \x01msg,\"x\"",
                     "          a-b: c-77     (     77) [013] d..3. 99999.999999: f: hi: there"]),
    st.tuples(st.text("ab -[]:,\"é\x1b", min_size=16, max_size=16), st.integers(0, 1 << 22),
              st.text("xy :.\"\\,", max_size=12)).map(
                  lambda t: f"{t[0]}-{t[1]}  [001] d..21 12.345678: bpf_trace_printk: {t[2]}"))


@st.composite
def event_tools(draw: Any) -> Tuple[Any, ...]:
    """(data, types, steps) of a tool with events."""
    struct = draw(structs())
    event = harness.field("events", struct)
    known = list(leaves(event.fields))
    if not known:
        struct.append(("last", "u64"))
        event = harness.field("events", struct)
        known = list(leaves(event.fields))
    strings = [path for path, field in known if field.kind == "string"]
    integers = [path for path, field in known if bind._is_integer(field)]
    transport = draw(st.sampled_from(["ringbuf", "perf_event_array"]))
    data = {"events": {"map": "events", "column": draw(columns(known, events=True))},
            "option": draw(options(strings, integers)),
            "arguments": draw(st.sampled_from([[], ["number"], ["text", "number"]]))}
    types = harness.types([harness.map_info("events", transport, None, None)], CONFIGS,
                          events=struct)
    steps: List[Dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        record = draw(sized(event.size + 8))
        steps.append({"event": record[:event.size + draw(st.sampled_from([0, 0, 8]))].hex()})
        if event.fields[-1].kind == "string" and not event.fields[-1].count:
            cut = draw(st.integers(event.fields[-1].offset, event.size))
            steps.append({"event": record[:cut].hex()})
    if draw(st.booleans()):
        steps.append({"lost": draw(st.integers(1, 1 << 40)),
                      "kind": draw(st.sampled_from(["records", "skipped"]))})
    return data, types, steps


def key_known(side: str, info: Optional[Field]) -> List[Tuple[str, Field]]:
    """What columns can show of a map's key or value."""
    assert info
    if info.kind == "struct":
        return list(leaves(info.fields, f"{side}."))
    return [(side, info)] if not info.count or info.end == 16 else []


def entries(draw: Any, info: MapInfo, array: bool) -> List[Any]:
    """What reading a map could give."""
    assert info.key and info.value
    cpus = draw(st.integers(1, 3)) if info.type.startswith("percpu") else 1
    if array:
        keys = [number.to_bytes(4, "little") for number in range(info.max_entries)]
    else:
        keys = draw(st.lists(sized(info.key.end), unique=True, max_size=6))
    size = info.value.end
    data = draw(sized(size * cpus * len(keys)))
    values = [data[start:start + size].hex() for start in range(0, len(data), size)]
    return [[key.hex(), values[index * cpus:(index + 1) * cpus]] for index, key in enumerate(keys)]


@st.composite
def report_tools(draw: Any) -> Tuple[Any, ...]:
    """(data, types, steps) of a tool with a report or two."""
    reports, maps, steps = [], [], []
    for number in range(draw(st.integers(1, 2))):
        name = f"map{number}"
        kind = draw(st.sampled_from(["log2", "linear", "table", "counters", "average"]))
        percpu = draw(st.sampled_from(["", "percpu_"]))
        report: Dict[str, Any] = {"map": name, "kind": kind, "when": draw(conditions()),
                                  "clear": draw(st.booleans()),
                                  "blank_before": draw(st.booleans()),
                                  "blank_after": draw(st.booleans())}
        if draw(st.booleans()):
            report["title"] = draw(st.sampled_from(WORDS))
        if draw(st.booleans()):
            report.update(time=draw(st.sampled_from(["%H:%M:%S", "[%d %b %Y] %%"])),
                          time_when=draw(conditions()))
        count = draw(st.sampled_from(["u64", "u32", "s64", "s16"]))
        info = harness.map_info(name, percpu + "hash", draw(st.sampled_from(["u32", "s32", "u64"])),
                                count)
        if kind == "counters" or (kind != "table" and draw(st.booleans())):
            info = harness.map_info(name, percpu + "array", "u32", count, 70)
        if kind == "counters":
            report["labels"] = draw(st.lists(st.sampled_from(WORDS), max_size=5))
        elif kind == "table":
            info = draw_table(draw, name, percpu, report)
        elif kind == "average":
            info = harness.map_info(name, percpu + "hash", "u32", [
                ("total", draw(st.sampled_from(["u64", "u16"]))), ("calls", "u32")])
            report.update(value=draw(st.sampled_from(WORDS)), total="total", count="calls",
                          divisor=draw(st.sampled_from([1, 1000, 1000000])))
        else:
            report["value"] = draw(st.sampled_from(WORDS))
            if draw(st.booleans()):
                report["value"] = [{"text": "if", "when": ["alpha", *draw(conditions())]},
                                   {"text": report["value"]}]
            if kind == "linear":
                report.update(base=draw(st.integers(-9, 9)), step=draw(st.integers(1, 1000)))
            if draw(st.booleans()):
                struct = [*draw(structs()), ("slot", draw(st.sampled_from(["u8", "s32", "u64"])))]
                info = harness.map_info(name, percpu + "hash", struct, count)
                assert info.key
                report["slot"] = "slot"
                report["section"] = draw(columns(list(leaves(info.key.fields)), section=True))
        reports.append(report)
        maps.append(info)
        steps.append({"report": name, "entries": entries(draw, info, "array" in info.type)})
    return {"report": reports, "option": draw(options())}, harness.types(maps, CONFIGS), steps


def draw_table(draw: Any, name: str, percpu: str, report: Dict[str, Any]) -> MapInfo:
    """Fill in a table; returns its map."""
    scalars = ["u32", "s64", "char[12]", "u8[16]"]
    key = draw(st.one_of(st.sampled_from(scalars), structs()))
    value = draw(st.one_of(st.sampled_from(["u64", "s32"]), structs()))
    info = harness.map_info(name, percpu + "hash", key, value)
    if key == "u32" and draw(st.booleans()):
        info = harness.map_info(name, percpu + "array", key, value, 9)
    report.update(inline=draw(st.booleans()), sum=draw(st.booleans()))
    known = key_known("value", info.value)
    if not report["sum"]:
        known = key_known("key", info.key) + known
    if not known:
        report["sum"] = False
        info = harness.map_info(name, percpu + "hash", "u32", value)
        known = key_known("key", info.key)
    report["column"] = draw(columns(known))
    numbers = [path for path, field in known
               if field.kind in ("uint", "int", "bool") and not field.count]
    if numbers:
        report["sort"] = [{"field": path, "when": draw(conditions()),
                           "ascending": draw(st.booleans())}
                          for path in draw(st.lists(st.sampled_from(numbers), max_size=2))]
    return info


@st.composite
def trace_tools(draw: Any) -> Tuple[Any, ...]:
    """(data, types, steps) of a tool that follows the trace pipe."""
    lines = draw(st.lists(trace_lines, max_size=4))
    return ({"trace_pipe": {"columns": draw(st.booleans())}, "option": draw(options())},
            harness.types([], CONFIGS), [{"trace": line} for line in lines])


def short(table: Any) -> Any:
    """What was made up, in the form in which a spec has it."""
    if isinstance(table, list):
        return [short(one) for one in table]
    if not isinstance(table, dict):
        return table
    found = {{"column": "columns", "section": "sections"}.get(key, key): short(value)
             for key, value in table.items()}
    if "option" in found:
        found["options"] = {one.pop("name"): one for one in found.pop("option")}
    if "match" in found:
        match = found.pop("match")
        found[match["how"]] = match["field"]
    if found.pop("align", "left") == "right":
        found["right"] = found.pop("width", 0)
    blank = found.pop("blank_before", False), found.pop("blank_after", False)
    if any(blank):
        found["blank"] = "both" if all(blank) else "before" if blank[0] else "after"
    if "time_when" in found:
        found["time"] = {"format": found["time"], "when": found.pop("time_when")}
    return found


def toml(data: Dict[str, Any]) -> str:
    """TOML of a spec, in the order that tables need."""
    lines = []

    def value(what: Any) -> str:
        if isinstance(what, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in what.items()) + "}"
        if isinstance(what, list):
            return "[" + ", ".join(map(value, what)) + "]"
        return json.dumps(what)

    for key, what in data.items():
        lines.append(f"{key} = {value(what)}")
    return "\n".join(lines) + "\n"


@st.composite
def documents(draw: Any, tools: Any, arguments: Any) -> harness.Document:
    """A whole document for the driver."""
    data, types, steps = draw(tools)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tool.toml"
        path.write_text(toml(short({"summary": "A tool", "values": VALUES, **data})))
        bound = bind.bind(read.load(path, harness.COMMON), types, "1.0")
    return {"bound": bound, "argv": draw(arguments), "clock": draw(clocks),
            "env": {"TZ": draw(st.sampled_from(["UTC", "Europe/Berlin", "XXX-5:30"]))},
            "steps": steps}


Ask = Callable[[harness.Document], harness.Answer]


@pytest.fixture(scope="module", name="ask")
def _ask() -> Iterator[Ask]:
    """The engine, one process for all documents."""
    with subprocess.Popen([harness.DRIVER, "--batch"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        into, out = process.stdin, process.stdout

        def ask(document: harness.Document) -> harness.Answer:
            into.write(harness.for_driver(document).encode() + b"\n")
            into.flush()
            return harness.answer_of(out.readline())

        yield ask
        into.close()
    assert process.returncode == 0


def some(count: int) -> Any:
    """How many examples, always the same ones."""
    return settings(max_examples=count, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck))


# What no format prints, but for line ends; and what text and CSV do not print either.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
HIDDEN = re.compile("[\x80-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\uffff"
                    "\U000e0000-\U000e007f]")


@some(250)
@given(documents(st.one_of(event_tools(), event_tools(), report_tools(), report_tools(), trace_tools()),
                 argvs))
def test_output_is_clean(ask: Ask, document: harness.Document) -> None:
    """Valid UTF-8 without control characters, in whole lines; a usage error, or no error at all."""
    status, *streams = ask(document)
    stdout, stderr = (raw.decode() for raw in streams)
    for text in (stdout, stderr):
        assert not CONTROL.search(text) and text[-1:] in ("", "\n")
    assert not HIDDEN.search(stdout.replace("\ufffd", "")), stdout
    assert not HIDDEN.search(stderr.replace("\ufffd", "")), stderr
    if status == 2:
        assert stdout == "" and re.fullmatch(
            r"tool: .+\nTry 'tool --help' for more information\.\n", stderr)
    else:
        assert status == 0 and re.fullmatch(r"(tool: lost .+\n)*", stderr)


FLAGS = st.sampled_from([[], ["-a"], ["-b"], ["-ab"]])


def in_format(ask: Ask, document: harness.Document, name: str) -> str:
    """stdout in a format."""
    status, stdout, _ = ask({**document, "argv": [*document["argv"], f"--format={name}"]})
    assert status == 0
    return stdout.decode()


def objects(text: str) -> List[Any]:
    """JSON lines."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def rows(text: str) -> List[List[str]]:
    """The cells of CSV. An empty line is one empty cell."""
    return [row or [""] for row in csv.reader(io.StringIO(text), strict=True)]


def shown(columns_: List[Dict[str, Any]], argv: List[str]) -> List[Dict[str, Any]]:
    """The columns whose conditions hold for some of FLAGS and --format."""
    given_ = {"format"} | {name for name in ("alpha", "beta") if name[0] in "".join(argv)}
    return [column for column in columns_ if all(
        (name.lstrip("!") in given_) != name.startswith("!") for name in column["when"])]


def aligned(columns_: List[Dict[str, Any]], cells: List[str]) -> bytes:
    """A line of text: cells filled up to their widths, with their gaps between them."""
    line, parted = b"", False
    for number, (column, cell) in enumerate(zip(columns_, cells), 1):
        last = number == len(columns_)
        if column["align"] == "right":
            text = cell.encode().rjust(column["width"])
        else:
            text = cell.encode().ljust(0 if last else column["width"])
        if parted and column["heading"] and text and line[-1:] != b" " and text[:1] != b" ":
            line += b" "        # cells never touch, but for those of columns without a heading
        parted = column["heading"] != ""
        line += text
        line += b"" if last else b" " * column["gap"]
    return line


def hidden(name: str) -> bool:
    """Whether JSON leaves a field out."""
    return name.startswith(("_", "pad"))


def as_json(field: Field, raw: bytes, base: int = 0) -> Any:
    """A field as JSON has it where no format changes it."""
    start = base + field.offset
    if field.count:
        one = Field(field.name, 0, field.size, field.kind, 0, field.fields)
        return [as_json(one, raw, start + index * field.size) for index in range(field.count)]
    if field.kind == "struct":
        return {inner.name: as_json(inner, raw, start) for inner in field.fields
                if not hidden(inner.name)}
    data = raw[start:start + field.size]
    if field.kind == "string":
        return data.split(b"\0")[0].decode("utf-8", "backslashreplace")
    number = int.from_bytes(data, "little", signed=field.kind == "int")
    return bool(number) if field.kind == "bool" else number


def without(data: Dict[str, Any], paths: List[str]) -> Dict[str, Any]:
    """A record's object without some of its fields."""
    return {name: without(value, [path[len(name) + 1:] for path in paths
                                  if path.startswith(name + ".")])
            if isinstance(value, dict) else value for name, value in data.items()
            if name not in paths}


def fields_of(bound: List[Dict[str, Any]]) -> Tuple[Field, ...]:
    """Fields of a bound spec."""
    return tuple(Field(one["name"], one["offset"], one["size"], one["kind"], one["count"],
                       fields_of(one["fields"])) for one in bound)


@some(120)
@given(documents(event_tools(), FLAGS))
def test_events(ask: Ask, document: harness.Document) -> None:
    """Three formats of the same records: JSON is the records, text is CSV's cells in columns."""
    events = document["bound"]["events"]
    for column in events["columns"]:
        column.pop("cut", None)     # of text alone
    document["bound"]["options"] = [{**option, "required": False}
                                    for option in document["bound"]["options"]]
    columns_ = shown(events["columns"], document["argv"])
    records = objects(in_format(ask, document, "json"))
    cells = rows(in_format(ask, document, "csv"))
    text = in_format(ask, document, "text").encode().split(b"\n")[:-1]
    data = [record["data"] for record in records if record["type"] == "event"]
    if columns_:
        assert len(cells) == len(text) == 1 + len(data)
        assert cells[0] == [column["label"] for column in columns_]
        assert text[1:] == [aligned(columns_, row) for row in cells[1:]]
    else:
        assert cells == [] and text == []
    whole = Field("", 0, events["size"], "struct", 0, fields_of(events["fields"]))
    changed = [column["name"] for column in events["columns"]
               if column["format"] in ("ipv4", "ipv6", "ip", "path", "args", "port")]
    raw = [bytes.fromhex(step["event"]) for step in document["steps"] if "event" in step]
    if not any(len(record) < least_size(whole) for record in raw):
        assert [without(one, changed) for one in data] == [
            without(as_json(whole, record), changed) for record in raw]


def least_size(whole: Field) -> int:
    """How many bytes a record has at least: it may end within its last field, a char array."""
    last = whole.fields[-1]
    ends_early = last.kind == "string" and not last.count
    return max([field.end for field in whole.fields[:-1]] + [last.offset if ends_early else last.end])


HEADERS = {"counters": ["report", "label", "count"],
           "average": ["report", "unit", "average", "total", "count"]}


@some(120)
@given(documents(report_tools(), FLAGS))
def test_reports(ask: Ask, document: harness.Document) -> None:
    """JSON is one object a report; CSV has the cells of its header in each row, and as many rows as
    JSON has entries."""
    for step in document["steps"]:
        report = next(report for report in document["bound"]["reports"]
                      if report["name"] == step["report"])
        one = {**document, "steps": [step], "bound": {**document["bound"], "options": [
            {**option, "required": False} for option in document["bound"]["options"]]}}
        found = objects(in_format(ask, one, "json"))
        cells = rows(in_format(ask, one, "csv"))
        if not shown([report], one["argv"]):
            assert found == [] and cells == []
            continue
        (made,) = found
        kind = {"log2": "histogram", "linear": "histogram"}.get(report["kind"], report["kind"])
        assert (made["type"], made["tool"], made["report"]) == (kind, "tool", report["name"])
        assert ("time" in made) == (report["time"] is not None)
        if kind == "table":
            header = [column["label"] for column in shown(report["columns"], one["argv"])]
            count = len(made["data"])
        elif kind == "histogram":
            header = ["report", *[section["label"] for section in report["sections"]], "low", "high",
                      "count"]
            count = sum(len(section["buckets"]) for section in made["data"])
        else:
            header = HEADERS[kind]
            count = len(report["labels"]) if kind == "counters" else made["data"]["count"] > 0
        assert [len(row) for row in cells] == ([len(header)] * (1 + count) if header else [])
        assert cells[:1] == ([header] if header else [])
