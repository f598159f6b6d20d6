# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Specs that are wrong, and what is said about them; specs that are right, and what they become."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import pytest

import harness
from bpfduet.spec import bind, names, read
from bpfduet.spec.types import Types

EVENTS = """\
summary = "A tool"

[options]
alpha = { short = "a", help = "first" }

[events]
map = "events"
columns = [
    { field = "pid" },
]
"""
REPORT = """\
summary = "A tool"

[[report]]
kind = "log2"
map = "dist"
value = "bytes"
"""
AVERAGE = """\
summary = "A tool"

[[report]]
kind = "average"
map = "sums"
value = "unit"
total = "n"
count = "m"
"""
TABLE = """\
summary = "A tool"

[[report]]
map = "dist"
columns = [
    { field = "value" },
]
"""
TYPES = harness.types(
    [harness.map_info("events", "ringbuf", None, None),
     harness.map_info("dist", "hash", "u32", "u64"),
     harness.map_info("keyed", "percpu_hash", [("comm", "char[16]"), ("slot", "u32")], "u64"),
     harness.map_info("other", "hash", [("comm", "char[16]")], "u64"),
     harness.map_info("sums", "array", "u32", [("n", "u64"), ("m", "u64")], 4)],
    {"mask": "u8", "word": "char[8]", **harness.FILTERS},
    events=[("ts", "u64"), ("pid", "u32"), ("comm", "char[16]"), ("at", [("port", "u16")]),
            ("v", "u32[3]")])


@pytest.fixture(name="load")
def _load(tmp_path: Path):
    def load(text: str, types: Types = TYPES) -> Dict[str, object]:
        path = tmp_path / "tool.toml"
        path.write_text(text)
        return bind.bind(read.load(path, harness.COMMON), types, "1.0")
    return load


def column(more: str) -> str:
    """EVENTS with more keys in its column, in line 9."""
    return EVENTS.replace('field = "pid"', f'field = "pid", {more}')


def option(more: str) -> str:
    """EVENTS with more keys in its option, in line 4."""
    return EVENTS.replace('help = "first"', f'help = "first", {more}')


def programs(text: str) -> str:
    """EVENTS with programs, the first in line 12."""
    return EVENTS + "[programs]\n" + text + "\n"


BAD = [
    # text, line, sentence
    ("", 1, "'summary' is missing"),
    ('summary = "x"\n', 1, "a tool has [events], [[report]] or [trace_pipe]"),
    ("summary = 3\n", 1, "'summary' must be a string"),
    ('summary = "x"\nsumary = "y"\n', 2, "unknown key 'sumary'; did you mean 'summary'?"),
    ('summary = "x"\n\nevents = 3\n[option', 4, None),
    ('summary = "\\u001b[1m"\n', 1, "'summary' must not contain control characters"),
    (column('haeding = "X"'), 9, "unknown key 'haeding'; did you mean 'heading'?"),
    (EVENTS.replace("field", "name"), 9, "'field' is missing in [events.columns]"),
    (EVENTS.replace("{ field = \"pid\" }", "3"), 9,
     "'columns' must hold fields' names, or tables with a 'field'"),
    (EVENTS.replace('"pid"', '"pdi"'), 9, "there is no field 'pdi'; did you mean 'pid'?"),
    (EVENTS.replace('{ field = "pid" }', '"pid",\n    "comm",\n    "pdi"'), 11,
     "there is no field 'pdi'; did you mean 'pid'?"),
    (EVENTS.replace('"pid"', '"at.prot"'), 9, "there is no field 'at.prot'; did you mean 'at.port'?"),
    (EVENTS.replace('"pid"', '"v"'), 9, "'v' is an array"),
    (EVENTS.replace('map = "events"', 'map = "evens"'), 7,
     "the kernel half has no map 'evens'; did you mean 'events'?"),
    (EVENTS.replace('map = "events"', 'map = "dist"'), 7,
     "map 'dist' is neither a ring buffer nor a perf buffer"),
    (column('format = "nmber"'), 9, "'format' cannot be 'nmber'; did you mean 'number'?"),
    (column('format = "string"'), 9, "'pid' is no char array, as format 'string' wants it"),
    (column('format = "port"'), 9, "'pid' has 4 bytes; format 'port' wants 2"),
    (column('format = "wall"'), 9, "'pid' has 4 bytes; format 'wall' wants 8"),
    (column('format = "ipv6"'), 9, "'pid' does not have the 16 bytes of an IPv6 address"),
    (column("width = -1"), 9, "'width' must be from 0 to 1000"),
    (column("width = true"), 9, "'width' must be an integer"),
    (column('align = "right"'), 9, "unknown key 'align'"),
    (column("digits = 3"), 9, "'digits' is for format octal and wall and elapsed and duration and percent"),
    (column('format = "enum"'), 9, "'values' is missing: format 'enum' wants a table"),
    (column('values = "nums"') + "[values.num]\nA = 1", 9,
     "there is no [values.nums]; did you mean 'num'?"),
    (column('when = "alhpa"'), 9, "there is no option 'alhpa'; did you mean 'alpha'?"),
    (column('when = ["alpha", "!interval"]'), 9,
     "this tool has no option 'interval': its kernel half lacks what that needs"),
    (column("wide = 9"), 9, "there is no option 'wide'"),
    (column('when = 3, wide = 9'), 9, "'when' must be a string or a list of them"),
    (EVENTS.replace("map =", 'names = "heading"\nmap ='), 7, "'names' can be 'headings' only"),
    (option('type = "bool"'), 4,
     "'type' cannot be 'bool'; it is one of " + ", ".join(read.OPTION_TYPES)),
    (EVENTS.replace(', help = "first"', ""), 4, "'help' is missing in [options.alpha]"),
    (EVENTS.replace("alpha", "Alpha"), 4,
     "an option's name must be lower-case letters, digits, - and _, two or more"),
    (option('name = "alpha"'), 4, "unknown key 'name'"),
    (EVENTS.replace('short = "a"', 'short = "ab"'), 4, "'short' must be one letter or digit"),
    (option('config = "maks"'), 4, "the kernel half has no CONFIG 'maks'; did you mean 'mask'?"),
    (option('config = "word"'), 4,
     "CONFIG 'word' wants text, which an option of type 'flag' does not give"),
    (option('config = "mask", value = 256'), 4, "256 does not fit CONFIG 'mask' (0 to 255)"),
    (option('config = "mask", max = 256'), 4, "256 does not fit CONFIG 'mask' (0 to 255)"),
    (option('config = "mask", unit = "us"'), 4, "1000 does not fit CONFIG 'mask' (0 to 255)"),
    (option('type = "int", default = "x"'), 4, "bad default: 'x' is not a number for '--alpha'"),
    (option('type = "int", config = "mask", default = 256'), 4,
     "bad default: '256' is out of range for '--alpha' (0 to 255)"),
    (option('type = "signal", default = "TREM"'), 4, "bad default: no such signal 'TREM'"),
    (option('default = "(", regex = "comm"'), 4, "bad default: bad pattern '(' for '--alpha'"),
    (option('gives = ["format", "xml"]'), 4, "'xml' is not a value of '--format' (text, json, csv)"),
    (option('gives = ["buffer-pages", "3"]'), 4, "'3' is not a power of two for '--buffer-pages'"),
    (option('type = "flag", min = 1'), 4, "'min' is for options of type int and numbers"),
    (option('type = "flag", role = "top"'), 4, "role 'top' wants an option of type 'int'"),
    (option('values = "no"'), 4, "there is no [values.no]"),
    (option('type = "flags", values = "num"') + "[values.num]\nA = 1\nB = 0\n", 4,
     "B is 0 in [values.num], which selects nothing: as a flag it needs a bit of its own"),
    (option('map = "event"'), 4, "the kernel half has no map 'event'; did you mean 'events'?"),
    (option('map = "events"'), 4, "map 'events' is no hash"),
    (option('type = "numbers"'), 4,
     "'match' or 'set' is missing: an option of type numbers is for these"),
    (option('set = "keyed"'), 4, "map 'keyed' is no hash of integers by integers"),
    (option('set = "dist", min = -1, max = 9'), 4,
     "'min' and 'max' do not fit the keys of map 'dist' (0 to 4294967295)"),
    (option('type = "int", set = "dist"'), 4, "'set' is for options of type numbers"),
    (option('regex = "pid"'), 4, "'pid' is no char array, so it cannot be matched"),
    (option('one_of = "comm"'), 4, "'comm' is no integer, so it cannot be one of some numbers"),
    (option('type = "int", contains = "comm"'), 4,
     "'match' is for options of type string, with 'one_of' numbers"),
    (EVENTS.replace("[events]", 'beta = { short = "a", help = "x" }\n[events]'), 6,
     "'-a' is taken by '--alpha' already"),
    (EVENTS + '[common]\npid = "a"\n', 12, "'-a' is taken by '--alpha' already"),
    (EVENTS + '[common]\npidd = "p"\n', 12, "unknown key 'pidd'; did you mean 'pid'?"),
    (EVENTS + '[common]\npid = "p"\ninterval = "i"\n', 13,
     "'--interval' needs [report], which this tool does not have"),
    (EVENTS + "[values.x]\n", 11, "[values.x] is empty"),
    (EVENTS + '[values.x]\nA = "1"\n', 12, "'A' must be an integer"),
    (EVENTS + '[values]\nx = [\n    "a",\n    { b = 3, a = 4 },\n]\n', 14, "'a' is there already"),
    (EVENTS.replace("\n\n", '\nbanner = "{alfa}"\n\n', 1), 2,
     "there is no option 'alfa'; did you mean 'alpha'?"),
    (EVENTS.replace("\n\n", '\nbanner = [\n    "{alpha}",\n    { text = "x", when = "alfa" },\n]\n\n', 1),
     4, "there is no option 'alfa'; did you mean 'alpha'?"),
    (EVENTS.replace("\n\n", '\nbanner = { when = "alpha", lines = [\n    { txet = "x" },\n] }\n\n', 1),
     3, "unknown key 'txet'; did you mean 'text'?"),
    (EVENTS.replace("\n\n", '\nrequires = ["tracepoint:sched"]\n\n', 1), 2,
     "'requires' holds 'tracepoint:sched', which is no requirement; write for example "
     "'tracepoint:syscalls:sys_enter_openat'"),
    (EVENTS.replace("\n\n", '\nexamples = [\n    ["-a"],\n]\n\n', 1), 2,
     "'examples' must be a list of [arguments, comment]"),
    (programs('enter_opne = { when = "alpha" }'), 12,
     "the kernel half has no program 'enter_opne'; did you mean 'enter_open'?"),
    (programs('"entre_*" = { when = "alpha" }'), 12, "the kernel half has no program 'entre_*'"),
    (programs('enter_open = { fallback = "enter_opne" }'), 12,
     "the kernel half has no program 'enter_opne'; did you mean 'enter_open'?"),
    (programs('enter_open = { fallback = "exit_open" }\n'
              'enter_read = { fallback = ["exit_open"], when = "alpha" }'), 13,
     "'enter_open' falls back to 'exit_open' too: 'fallback' and 'when' must be the same"),
    (programs('enter_open = { also = "sched:sched_switch" }'), 12, "'also' is for programs on tracepoints"),
    (programs('enter_open = { also = ["sched_switch"] }'), 12,
     "'also' must be a tracepoint, CATEGORY:EVENT"),
    (programs('enter_open.target = "{alhpa}:main"'), 12,
     "there is no option 'alhpa'; did you mean 'alpha'?"),
    (programs('enter_open = { event = "cpu-cycle" }'), 12,
     "there is no perf event 'cpu-cycle'; did you mean 'cpu-cycles'?"),
    (programs('enter_open = { direction = "up" }'), 12,
     "'direction' cannot be 'up'; it is one of ingress, egress"),
    (EVENTS + '[counters]\ndist = "cpu-cycles"\n', 12, "map 'dist' is no perf event array"),
    (EVENTS + "[counters]\ndist = 3\n", 12, "'event' must be a string"),
    (EVENTS.replace("\n\n", '\narguments = ["durration"]\n\n', 1), 2,
     "there is no option 'durration'; did you mean 'duration'?"),
    (EVENTS.replace("\n\n", '\narguments = ["alpha"]\n\n', 1), 2,
     "option 'alpha' takes no argument"),
    (REPORT.replace('"log2"', '"log3"'), 4, "'kind' cannot be 'log3'; did you mean 'log2'?"),
    (REPORT.replace('value = "bytes"\n', ""), 3,
     "'value' is missing: a report of kind 'log2' wants it"),
    (REPORT.replace('kind = "log2"\n', ""), 3, "'kind' is missing in [report]"),
    (REPORT.replace('map = "dist"\n', ""), 3,
     "'map' is missing: the kernel half has dist, keyed, other, sums"),
    (REPORT + 'unit = "min"\n', 7, "'unit' cannot be 'min'; it is one of ns, us, ms, s"),
    (REPORT + 'blank = "above"\n', 7, "'blank' cannot be 'above'; it is one of before, after, both"),
    (REPORT + 'by = ["alpha"]\n', 7,
     "'by' must be a list of tables, each with the option that it is for in 'when'"),
    (REPORT + 'by = [\n    { when = "help", map = "dits" },\n]\n', 8,
     "the kernel half has no map 'dits'; did you mean 'dist'?"),
    (REPORT + 'by = [{ when = "help", sections = ["comm", "slot"] }]\n', 7,
     "there is no field 'comm'"),
    (REPORT.replace('"dist"', '"keyed"') + 'slot = "comm"\n', 7, "'comm' is no integer"),
    (REPORT.replace('"dist"', '"other"'), 3, "'slot' is missing: the key of map 'other' is a struct"),
    (REPORT.replace('"dist"', '"sums"').replace("log2", "counters").replace(
        'value = "bytes"', 'labels = ["a"]'), 5,
     "the value of map 'sums' is no integer, as a report of kind 'counters' wants it"),
    (REPORT.replace('"dist"', '"keyed"').replace("log2", "counters").replace(
        'value = "bytes"', 'labels = ["a"]'), 5, "map 'keyed' is no array"),
    (REPORT.replace('"dist"', '"keyed"').replace("log2", "stacks"), 3,
     "'stacks' is missing: a report of kind 'stacks' wants it"),
    (AVERAGE.replace('count = "m"\n', ""), 3, "there is no field 'count'"),
    (AVERAGE.replace('"m"', '"k"'), 8, "there is no field 'k'"),
    (AVERAGE + "divisor = 0\n", 9, "'divisor' must be from 1 to 2147483647"),
    (REPORT + "divisor = 10\n", 7, "'divisor' is for reports of kind average"),
    (column('format = "percent"'), 9, "'whole' is missing: format 'percent' wants a field"),
    (column('whole = "pdi"'), 9, "there is no field 'pdi'; did you mean 'pid'?"),
    (column('whole = "comm"'), 9, "'comm' is no integer, as format 'percent' wants it"),
    (column("rest = true"), 9, "'rest' is for format percent"),
    (TABLE.replace('"value"', '"value", whole = "key"'), 6, "'key' is not in the value, as 'value' is"),
    (TABLE.replace('"value"', '"key"') + "sum = true\n", 6, "there is no field 'key'"),
    (TABLE.replace('"value" },', '"value" },\n    { field = "key", since = "first" },'), 7,
     "'since' can be 'first' in events only"),
    (REPORT + "inline = true\n", 7, "'inline' is for reports of kind table"),
    (REPORT + 'columns = ["key"]\n', 7, "'columns' is for reports of kind table"),
    (REPORT + 'sections = ["key", "key"]\n', 7, "there are two sections of 'key'"),
    (option('type = "flag", required = true'), 4,
     "an option of type flag takes no argument, so no 'required'"),
    (REPORT + 'labels = ["a"]\n', 7, "'labels' is for reports of kind counters"),
    (REPORT + "time_when = []\n", 7, "unknown key 'time_when'"),
    (REPORT + 'time = "%Q"\n', 7,
     "'time' must be a strftime format of printable ASCII, such as '[%H:%M:%S]'"),
    (REPORT + 'time = { format = "%H", when = "halp" }\n', 7,
     "there is no option 'halp'; did you mean 'help'?"),
    (REPORT + REPORT.split("\n\n")[1], 7, "there are two reports named 'dist'"),
    (REPORT.replace('"dist"', '"events"'), 5, "map 'events' is neither a hash nor an array"),
    (TABLE + 'sort = "value.n"\n', 8, "there is no field 'value.n'; did you mean 'value'?"),
    (TABLE + 'sort = [\n    "key",\n    { field = "value", acsending = true },\n]\n', 10,
     "unknown key 'acsending'; did you mean 'ascending'?"),
    # the long form is none
    ('summary = "x"\n[[option]]\nname = "a"\n', 2, "unknown key 'option'; did you mean 'options'?"),
    (EVENTS + '[[events.column]]\nheading = "PID"\n', 11, "unknown key 'column'"),
    (REPORT + "blank_before = true\n", 7, "unknown key 'blank_before'"),
    (option('match = { field = "comm", how = "regex" }'), 4, "unknown key 'match'"),
]


@pytest.mark.parametrize("text, line, sentence", BAD)
def test_bad_spec(load, tmp_path, text, line, sentence):
    """File, line, what is wrong and what was meant."""
    types = Types(TYPES.maps, TYPES.configs, TYPES.events,
                  frozenset(["enter_open", "enter_read", "exit_open"]))
    with pytest.raises(read.SpecError) as caught:
        load(text, types)
    place, _, rest = str(caught.value).partition(": ")
    assert place == f"{tmp_path}/tool.toml:{line}"
    assert rest if sentence is None else rest == sentence


def test_missing_file(tmp_path):
    """No file is an error of the same form."""
    with pytest.raises(read.SpecError, match=r"no\.toml:1: No such file"):
        read.load(tmp_path / "no.toml", harness.COMMON)


def test_not_utf8(tmp_path):
    """Nor is what is no text, and the line is that of the bad byte."""
    path = tmp_path / "bad.toml"
    path.write_bytes(b'summary = "x"\n# \xff\n')
    with pytest.raises(read.SpecError, match=r"bad\.toml:2: not UTF-8"):
        read.load(path, harness.COMMON)


def test_defaults_are_filled_in(load):
    """A column says everything that a renderer needs."""
    bound = load(EVENTS.replace('"pid"', '"at.port"'))
    assert bound["events"]["columns"] == [{
        "name": "at.port", "offset": 28, "size": 2, "kind": "uint", "count": 0, "fields": [],
        "heading": "PORT", "label": "at.port", "format": "number", "width": 0, "align": "left",
        "gap": 1, "when": [], "zero": None, "digits": None, "unit": None, "since": None, "zone": None,
        "cut": None, "join": None,
        "quote": None, "values": None, "of": "event", "whole": None, "rest": False}]
    assert bound["events"]["size"] == 48
    assert bound["maps"]["keyed"] == {"type": "percpu_hash", "max_entries": 64, "key_size": 20,
                                      "value_size": 8}


@pytest.mark.parametrize("kind", ["user", "disk"])
def test_names_of_another_machine(load, kind):
    """Whether there is such a user or disk, only the machine knows that runs the tool."""
    assert load(option(f'type = "{kind}", default = "no such name"'))["options"][0]["default"] == "no such name"


def test_common_options(load):
    """Who gets which common option, and its letter."""
    bound = load(EVENTS.replace('short = "a"', 'short = "v"') + '[common]\npid = "p"\n')
    letters = {option["name"]: option["short"] for option in bound["options"]}
    assert letters == {"alpha": "v", "pid": "p", "tid": None, "uid": None, "comm": None,
                       "cgroup": None, "duration": None, "format": None, "output": "o",
                       "buffer-pages": None, "pin": None, "btf": None, "verbose": None, "help": "h", "version": "V"}
    no_filters = load(REPORT, harness.types(list(TYPES.maps.values()), {}))
    assert [option["name"] for option in no_filters["options"]] == [
        "duration", "interval", "count", "format", "output", "pin", "btf", "verbose", "help",
        "version"]
    assert "COMMAND" in bound["help"] and "COMMAND" not in no_filters["help"]


def test_own_option_replaces_common_one(load):
    """A tool may have a --pid of its own."""
    bound = load(EVENTS.replace("alpha", "pid"))
    assert [o["type"] for o in bound["options"] if o["name"] == "pid"] == ["flag"]


def test_numbers_fit_json(load):
    """Beyond 2^53 a number is a string, and an int's range is that of its CONFIG."""
    bound = load(option('type = "int"'))
    assert (bound["options"][0]["min"], bound["options"][0]["max"]) == ("-9223372036854775808", "9223372036854775807")
    assert json.loads(json.dumps(bound)) == bound


def test_command_line_needs_no_compiler(load, tmp_path):
    """--help and options are the same before and after anything is compiled."""
    bound = load(EVENTS)
    early = bind.command_line(read.load(tmp_path / "tool.toml", harness.COMMON), TYPES.configs, "1.0")
    assert early == {key: bound[key] for key in early}


@pytest.mark.parametrize("name", sorted(harness.TYPES))
def test_help_is_narrow(name):
    """Below 80 columns, nothing at line ends, the usage first."""
    lines = harness.bound_of(name)["help"].split("\n")
    assert max(map(len, lines)) < 80
    assert all(line == line.rstrip() for line in lines)
    assert lines[0].startswith(f"Usage: {name} [OPTIONS]")


def test_help_text():
    """The whole of it, once."""
    assert harness.bound_of("rawhello")["help"] == """\
Usage: rawhello [OPTIONS]

Follow the trace pipe as it is.

Options:
      --duration SECONDS    end after that many seconds
      --format CHOICE       how to print: text, json, csv (default: text)
  -o, --output FILE         write the data to this file, not to stdout
      --pin DIR             pin the maps in this folder of a bpf file system
                            while it runs
      --btf FILE            the kernel's BTF, if it is not where the kernel
                            shows it
  -v, --verbose             show what the libraries below have to say
  -h, --help                show this and exit
  -V, --version             show the version and exit
"""


def test_tables():
    """Names and numbers of each table that everybody knows."""
    assert names.errnos()["ENOENT"] == 2
    assert names.by_number(names.errnos())["35"] == "EDEADLK"
    assert names.by_number(names.errnos())["95"] == "EOPNOTSUPP"
    assert names.errnos()["ENOTSUP"] == 95
    assert names.errnos()["ERESTARTSYS"] == 512
    assert names.signals()["SIGTERM"] == 15
    assert names.by_number(names.signals())["17"] == "SIGCHLD"
    assert names.capabilities()["CAP_SYS_ADMIN"] == 21
    assert names.capabilities()["CAP_CHECKPOINT_RESTORE"] == 40
    syscalls = names.syscalls()
    assert (syscalls["read"], syscalls["openat"], syscalls["openat2"]) == (0, 257, 437)
    assert len(set(syscalls.values())) == len(syscalls)
