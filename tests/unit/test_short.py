# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a spec need not say: the defaults that its names, its types and its kernel half give."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

import harness
from bpfduet.spec import bind, kernel_half, read
from bpfduet.spec.types import Types

TYPES = harness.types(
    [harness.map_info("events", "ringbuf", None, None), harness.map_info("dist", "array", "s32", "u64"),
     harness.map_info("stack_traces", "stack_trace", "u32", "u64[127]"),
     harness.map_info("bpfduet_lost", "percpu_array", "s32", "u64"),
     harness.map_info("filter_cgroup_set", "hash", "u64", "u64"),
     harness.map_info("filter_mntns_set", "hash", "u64", "u64")],
    {"unit_ns": "u64", "is_ms": "bool", "some": "bool", "level": "u32", **harness.FILTERS},
    events=[("ts", "u64"), ("pid", "u32"), ("uid", "u32"), ("comm", "char[16]"), ("addr", "u8[16]"),
            ("took_ns", "u64"), ("path_cut", "u8"), ("path_start_cut", "u8"), ("line_cut", "u8"),
            ("at", [("path", "char[8]"), ("path_cut", "u8")]), ("path", "char[8]"),
            ("line", "char[8]")])


def with_maps(*maps: Any) -> Types:
    """The same without ``dist`` and with others."""
    kept = [info for name, info in TYPES.maps.items() if name != "dist"]
    return Types({info.name: info for info in [*kept, *maps]}, TYPES.configs, TYPES.events)


def bound(folder: Path, text: str, types: Types = TYPES, source: str = "") -> Dict[str, Any]:
    """The bound spec."""
    (folder / "tool.bpf.c").write_text(source)
    path = folder / "tool.toml"
    path.write_text('summary = "x"\n' + text)
    return bind.bind(read.load(path, harness.COMMON), types, "1.0")


def columns(folder: Path, *what: str) -> List[Dict[str, Any]]:
    """The bound columns."""
    options = "[options]\nalpha = { help = \"x\" }\nwide = { help = \"x\" }\n"
    found: List[Dict[str, Any]] = bound(
        folder, options + f"[events]\ncolumns = [{', '.join(what)}]\n")["events"]["columns"]
    return found


# -- columns ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("column, expected", [
    ('"pid"', {"heading": "PID", "label": "pid", "format": "number", "width": 7}),
    ('"uid"', {"heading": "UID", "width": 6}), ('"comm"', {"format": "string", "width": 16}),
    ('{ field = "pid", format = "hex" }', {"width": 0, "format": "hex"}),
    ('{ field = "pid", width = 5 }', {"width": 5}),
    ('{ field = "pid", right = 5 }', {"width": 5, "align": "right"}),
    ('"ts"', {"heading": "TIME", "label": "time", "format": "wall", "width": 9}),
    ('{ field = "ts", since = "first" }', {"heading": "TIME(s)", "label": "ts", "format": "elapsed",
                                           "since": "first", "digits": 9, "width": 14}),
    ('{ field = "ts", format = "elapsed", digits = 3 }', {"since": "start", "width": 8}),
    ('{ field = "ts", format = "number" }', {"heading": "TS", "width": 0}),
    ('"addr"', {"format": "ip"}), ('{ field = "addr", format = "ipv6" }', {"format": "ipv6"}),
    ('{ field = "took_ns", unit = "ms" }', {"format": "duration", "heading": "TOOK_NS"}),
    ('{ field = "took_ns", whole = "ts" }', {"format": "percent"}),
    ('{ field = "pid", values = "cut" }', {"format": "enum", "values": {"1": "…"}}),
    ('{ field = "pid", values = "cut", join = "-" }', {"format": "flags"}),
    ('{ field = "comm", quote = "alpha" }', {"format": "args"}),
    ('{ field = "comm", cut = 4 }', {"format": "string", "width": 4, "cut": 4}),
])
def test_column(tmp_path: Path, column: str, expected: Dict[str, Any]) -> None:
    found, = columns(tmp_path, column)
    assert {key: found[key] for key in expected} == expected


def test_wide(tmp_path: Path) -> None:
    """One column is two: one of them where --wide was given."""
    narrow, wide = columns(tmp_path, '{ field = "comm", cut = 10, wide = 16, when = "alpha" }')
    assert (narrow["width"], narrow["cut"], narrow["when"]) == (10, 10, ["alpha", "!wide"])
    assert (wide["width"], wide["cut"], wide["when"]) == (16, None, ["alpha", "wide"])


def test_names_are_headings(tmp_path: Path) -> None:
    text = '[events]\nnames = "headings"\ncolumns = ["ts", "pid", { field = "uid", name = "user" }]\n'
    found = bound(tmp_path, text)["events"]["columns"]
    assert [column["label"] for column in found] == ["TIME", "PID", "user"]


MARK = {"heading": "", "format": "enum", "zero": "", "gap": 0, "values": {"1": "…"}}


def test_marks(tmp_path: Path) -> None:
    """A string that the record says was cut has a mark where it was, and touches it."""
    found = columns(tmp_path, '"pid"', '"path"', '{ field = "line", when = "alpha" }', '"at.path"')
    assert [column["name"] for column in found] == [
        "pid", "path_start_cut", "path", "path_cut", "line", "line_cut", "at.path", "at.path_cut"]
    for mark in (found[1], found[3], found[5], found[7]):
        assert {key: mark[key] for key in MARK} == MARK
    assert [column["gap"] for column in found] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert [column["when"] for column in found] == [[], [], [], [], ["alpha"], ["alpha"], [], []]


def test_a_mark_of_its_own(tmp_path: Path) -> None:
    """One that the spec has is not there twice; where it is, is the spec's to say."""
    found = columns(tmp_path, '{ field = "path_start_cut", when = "alpha" }', '"path"')
    assert [(column["name"], column["when"]) for column in found] == [
        ("path_start_cut", ["alpha"]), ("path", []), ("path_cut", [])]
    assert {key: found[0][key] for key in MARK} == MARK


# -- reports --------------------------------------------------------------------------------------

def test_the_only_map(tmp_path: Path) -> None:
    """Of events, and of a report: neither the filters' maps nor what counts losses is meant."""
    found = bound(tmp_path, '[options]\ncgroupmap = {}\nmntnsmap = {}\n[events]\ncolumns = ["pid"]\n'
                  '[[report]]\nkind = "log2"\nvalue = "x"\n')
    assert found["events"]["map"] == "events"
    assert (found["reports"][0]["map"], found["reports"][0]["clear"]) == ("dist", True)


def test_slot_and_sections(tmp_path: Path) -> None:
    types = with_maps(harness.map_info("keyed", "hash", [("pid", "u32"), ("addr", "u8[16]"),
                                                         ("slot", "u32")], "u64"))
    report, = bound(tmp_path, '[[report]]\nkind = "log2"\nvalue = "x"\n'
                    'sections = ["pid", { field = "addr", name = "to" }]\n', types)["reports"]
    assert report["slot"]["name"] == "slot"
    assert [(one["heading"], one["label"], one["format"], one["width"])
            for one in report["sections"]] == [("pid", "pid", "number", 0), ("to", "to", "ip", 0)]


def test_kinds(tmp_path: Path) -> None:
    """Columns are a table's, labels those of counters; these two are not emptied."""
    found = bound(tmp_path, '[[report]]\ncolumns = ["value"]\nblank = "both"\n'
                  '[[report]]\nname = "c"\nlabels = ["a"]\ntime = "%H"\n')["reports"]
    assert [(one["kind"], one["clear"], one["blank_before"], one["blank_after"], one["time"])
            for one in found] == [("table", False, True, True, None),
                                  ("counters", False, False, False, "%H")]


def test_stacks(tmp_path: Path) -> None:
    """Its fields have names that are known, and its options are those of common.toml."""
    key = [("pid", "u32"), ("tid", "u32"), ("kernel_stack", "s32"), ("user_stack", "s32"),
           ("comm", "char[16]")]
    types = with_maps(harness.map_info("counts", "hash", key, "u64"))
    found = bound(tmp_path, '[options]\nfolded = "f"\nflame = {}\nstack-storage-size = { default = 7 }\n'
                  '[[report]]\nkind = "stacks"\nmap = "counts"\nvalue = "us"\n', types)
    stacks = found["reports"][0]["stacks"]
    assert stacks.pop("map") == "stack_traces" and stacks.pop("depth") == 127
    assert {name: field["name"] for name, field in stacks.items()} == {
        "kernel": "kernel_stack", "user": "user_stack", "process": "pid", "task": "tid",
        "comm": "comm"}
    folded, flame, size = found["options"][:3]
    assert (folded["role"], folded["short"], flame["role"], flame["type"]) == (
        "folded", "f", "flame", "path")
    assert (size["entries"], size["default"], size["max"]) == ("stack_traces", 7, 16777216)


def test_by(tmp_path: Path) -> None:
    """A report for each option, the first that was given; and one where none was."""
    options = '[options]\nalpha = { help = "x" }\nbeta = { help = "x" }\ngamma = { help = "x" }\n'
    found = bound(tmp_path, options + '[[report]]\nkind = "log2"\nvalue = "x"\nwhen = "!gamma"\nby = [\n'
                  '    { when = "alpha", title = "by alpha" },\n    { when = "beta", value = "y" },\n]\n')
    assert [(one["when"], one["title"], one["heading"]) for one in found["reports"]] == [
        (["!gamma", "!alpha", "!beta"], None, "x"), (["alpha", "!gamma"], "by alpha", "x"),
        (["beta", "!gamma", "!alpha"], None, "y")]


def test_units(tmp_path: Path) -> None:
    """An option sets the heading, the constant and what an average is divided by; of several options
    that of the largest unit."""
    options = '[options]\nus = { help = "x", config = "is_ms", value = 1, unit = "us" }\n' \
        'ms = { help = "x", config = "unit_ns", unit = "ms" }\n'
    types = with_maps(TYPES.maps["dist"],
                      harness.map_info("sums", "array", "u32", [("total", "u64"), ("count", "u64")]))
    found = bound(tmp_path, options + '[[report]]\nkind = "log2"\nmap = "dist"\nunit = "ns"\n'
                  '[[report]]\nkind = "average"\nmap = "sums"\nunit = "ns"\n', types)
    assert [(one["config"]["name"], one["value"]) for one in found["options"][:2]] == [
        ("is_ms", 1), ("unit_ns", 1000000)]
    histogram, *averages = found["reports"]
    assert histogram["headings"] == [{"text": "msecs", "when": ["ms"]}, {"text": "usecs", "when": ["us"]}]
    assert histogram["heading"] == "nsecs"
    # the kernel half has divided by unit_ns itself
    assert [(one["heading"], one["divisor"], one["when"]) for one in averages] == [
        ("msecs", 1, ["ms"]), ("usecs", 1000, ["us", "!ms"]), ("nsecs", 1, ["!ms", "!us"])]
    assert averages[0]["total"]["name"] == "total" and averages[0]["count"]["name"] == "count"


# -- options ------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys, expected", [
    ("", {"type": "flag"}), ("min = 1", {"type": "int", "min": 1}),
    ('type = "pid"', {"type": "int", "min": 1, "max": 4194304}),
    ('type = "seconds", max = 9', {"type": "int", "min": 1, "max": 9}),
    ('type = "file"', {"type": "path"}), ('role = "duration"', {"type": "int", "max": 2147483647}),
    ('values = "cut"', {"type": "choice", "choices": {"…": 1}}),
    ('type = "flags", values = "cut"', {"type": "flags", "repeat": True}),
    ('contains = "comm"', {"type": "string"}), ('one_of = "pid"', {"type": "numbers"}),
    ('map = "filter_mntns_set"', {"type": "path"}), ('set = "filter_mntns_set", min = 0', {"type": "numbers"}),
])
def test_type(tmp_path: Path, keys: str, expected: Dict[str, Any]) -> None:
    text = f'[options]\nalpha = {{ help = "x"{", " if keys else ""}{keys} }}\n'
    option = bound(tmp_path, text + '[events]\ncolumns = ["pid"]\n')["options"][0]
    assert {key: option[key] for key in expected} == expected


CONSTANTS = """
CONFIG(bool, some, false, "only some; \\"these\\"", "s");
/*
CONFIG(bool, is_ms, false, "no", "n");
*/
CONFIG(u32, level, 3,
       "how deep");
CONFIG(u64, unit_ns, 1000);
"""


def test_help_beside_the_constant(tmp_path: Path) -> None:
    """The option is there without a word in the spec, and a spec has the last word."""
    events = '[events]\ncolumns = ["pid"]\n'
    some, level = bound(tmp_path, events, source=CONSTANTS)["options"][:2]
    assert (some["name"], some["short"], some["type"], some["config"]["name"]) == ("some", "s", "flag", "some")
    assert (level["name"], level["short"], level["type"]) == ("level", None, "int")
    found = bound(tmp_path, '[options]\nfew = { config = "some" }\ndeep = { config = "level", max = 4, '
                  'short = "l" }\n' + events, source=CONSTANTS)
    few, deep = found["options"][:2]
    ms, = (one for one in bound(tmp_path, '[options]\nms = { config = "level", unit = "us" }\n' + events,
                                source=CONSTANTS)["options"] if one["name"] == "ms")
    assert (ms["type"], ms["value"]) == ("flag", 1000)
    assert (few["name"], few["short"], few["type"]) == ("few", "s", "flag")
    assert (deep["name"], deep["short"], deep["max"]) == ("deep", "l", 4)
    assert 'only some; "these"' in found["help"] and "how deep" in found["help"]
    assert not {"level", "is-ms", "unit-ns"} & {option["name"] for option in found["options"]}


def test_containers(tmp_path: Path) -> None:
    """Who includes the filters by pinned maps has their options."""
    events = '[events]\ncolumns = ["pid"]\n'
    names = [[option["name"] for option in bound(tmp_path, events, source=text)["options"]]
             for text in ("", "#define BPFDUET_CONTAINERS\n")]
    assert [name for name in names[1] if name not in names[0]] == ["cgroupmap", "mntnsmap"]


def test_own_option_like_a_common_one(tmp_path: Path) -> None:
    """Without a help it takes the rest from there, and stands where the tool has it."""
    found = bound(tmp_path, '[options]\nalpha = { help = "x" }\nduration = { default = 5 }\n'
                  '[events]\ncolumns = ["pid"]\n')["options"]
    assert [option["name"] for option in found].index("duration") == 1
    assert (found[1]["role"], found[1]["default"], found[1]["max"]) == ("duration", 5, 2147483647)


# -- programs ------------------------------------------------------------------------------------

PROGRAMS = """
TRACEPOINT_PROBE(syscalls, sys_exit_open)
TRACEPOINT_PROBE(syscalls, sys_exit_creat)
TRACEPOINT_PROBE(raw_syscalls, sys_exit)
// TRACEPOINT_PROBE(no, no)
RAW_TRACEPOINT_PROBE(sched_switch)
KPROBE(vfs_read, struct file *file)
KRETPROBE(vfs_read, int ret)
KFUNC_PROBE(vfs_write)
KPROBE(vfs_write)
LSM_PROBE(file_open)
UPROBE(malloc, "c:malloc")
USDT(hit, "")
"""
SPEC = """
requires = ["helper:bpf_loop", "tracepoint?:syscalls:sys_exit_creat"]
[programs]
"tracepoint__syscalls__*" = { fallback = "tracepoint__raw_syscalls__sys_exit" }
kfunc__vfs_write = { fallback = "kprobe__vfs_write" }
usdt__hit = { target = "x:y:z" }
[events]
columns = ["pid"]
"""


def test_programs(tmp_path: Path) -> None:
    """What the kernel must offer, and which process probes are for, is in their names."""
    found = bound(tmp_path, SPEC, source=PROGRAMS)
    assert found["requires"] == [
        "tracepoint:syscalls:sys_exit_open", "tracepoint?:syscalls:sys_exit_creat",
        "raw_tracepoint:sched_switch", "kprobe:vfs_read", "lsm:file_open", "helper:bpf_loop"]
    exit_of = {"fallback": ["tracepoint__raw_syscalls__sys_exit"]}
    assert found["programs"] == [
        {"name": "tracepoint__syscalls__sys_exit_open", **exit_of},
        {"name": "tracepoint__syscalls__sys_exit_creat", **exit_of},
        {"name": "kfunc__vfs_write", "fallback": ["kprobe__vfs_write"]},
        {"name": "usdt__hit", "target": "x:y:z", "process": "{pid}"},
        {"name": "uprobe__malloc", "process": "{pid}"}]


def test_no_pid_no_process(tmp_path: Path) -> None:
    """A tool that cannot be limited to a process has no such thing."""
    types = Types(TYPES.maps, {}, TYPES.events)
    assert bound(tmp_path, SPEC, types, PROGRAMS)["programs"][3:] == [
        {"name": "usdt__hit", "target": "x:y:z"}]


def test_no_kernel_half(tmp_path: Path) -> None:
    """Nothing is known of it then, and nothing said."""
    assert kernel_half.read(tmp_path / "none.bpf.c") == kernel_half.KernelHalf()


# -- what is not the right thing -------------------------------------------------------------------

STRANGE = ["3", '"x"', "[]", "{}", "[3]", '["x"]', "[{}]", "{ x = 1 }", "true", "-1", "1.5"]
WHERE = ["banner", "common", "options", "programs", "counters", "events", "report", "values", "trace_pipe",
         "options.alpha", "programs.a", "counters.a", "values.a", "events.columns", "events.names",
         "banner.lines", "banner.when", "trace_pipe.columns"]
IN_OPTION = ["short", "help", "type", "config", "unit", "role", "values", "contains", "one_of", "min"]
IN_REPORT = ["kind", "map", "name", "when", "time", "unit", "value", "by", "blank", "sort", "columns",
             "sections", "labels", "slot", "time.when", "total"]
IN_COLUMN = ["field", "heading", "width", "right", "wide", "when", "format", "digits", "cut"]


@pytest.mark.parametrize("template", [
    *(f"{key} = %s\n" + ('banner.when = "!x"\n' if key == "banner.lines" else "") for key in WHERE),
    *(f'events.columns = ["pid"]\noptions.alpha = {{ {"" if key == "help" else "help = 3, "}{key} = %s }}\n'
      for key in IN_OPTION),
    *(f'[[report]]\n{"" if key == "kind" else "kind = 3"}\n{key} = %s\n'.replace("3", f'"{kind}"')
      for key in IN_REPORT for kind in ("log2", "average", "table", "stacks")),
    *(f'events.columns = [{{ {"" if key == "field" else "field = 3, "}{key} = %s }}]\n'.replace(
        "field = 3", 'field = "ts"') for key in IN_COLUMN),
    '[[report]]\nkind = "log2"\nvalue = "x"\nby = [{ when = %s }]\n',
    '[[report]]\nkind = "log2"\nvalue = "x"\nby = [{ when = "help", columns = %s }]\n',
    'events.columns = ["pid"]\nvalues.a = [%s]\n',
])
def test_strange_values(tmp_path: Path, template: str) -> None:
    """A spec is right or an error with a line, whatever stands where."""
    for value in STRANGE:
        try:
            bound(tmp_path, template % value)
        except read.SpecError as error:
            assert str(error).startswith(f"{tmp_path}/tool.toml:")
