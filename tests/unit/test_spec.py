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

[[option]]
name = "alpha"
short = "a"
help = "first"

[events]
map = "events"

[[events.column]]
heading = "PID"
field = "pid"
"""
REPORT = """\
summary = "A tool"

[[report]]
map = "dist"
kind = "log2"
value = "bytes"
"""
AVERAGE = """\
summary = "A tool"

[[report]]
map = "sums"
kind = "average"
value = "unit"
total = "n"
count = "m"
"""
TABLE = """\
summary = "A tool"

[[report]]
map = "dist"
kind = "table"

[[report.column]]
heading = "N"
field = "value"
"""
TYPES = harness.types(
    [harness.map_info("events", "ringbuf", None, None),
     harness.map_info("dist", "hash", "u32", "u64"),
     harness.map_info("keyed", "percpu_hash", [("comm", "char[16]"), ("slot", "u32")], "u64"),
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
    """EVENTS with more keys in its column, the first of them in line 14."""
    return EVENTS + more + "\n"


BAD = [
    # text, line, sentence
    ("", 1, "'summary' is missing"),
    ('summary = "x"\n', 1, "a tool has [events], [[report]] or [trace_pipe]"),
    ("summary = 3\n", 1, "'summary' must be a string"),
    ('summary = "x"\nsumary = "y"\n', 2, "unknown key 'sumary'; did you mean 'summary'?"),
    ('summary = "x"\n\nevents = 3\n[option', 4, None),
    ('summary = "\\u001b[1m"\n', 1, "'summary' must not contain control characters"),
    (EVENTS.replace("heading", "haeding"), 12, "unknown key 'haeding'; did you mean 'heading'?"),
    (EVENTS.replace('heading = "PID"\n', ""), 11, "'heading' is missing in [events.column]"),
    (EVENTS.replace('"pid"', '"pdi"'), 13, "there is no field 'pdi'; did you mean 'pid'?"),
    (EVENTS.replace('"pid"', '"at.prot"'), 13, "there is no field 'at.prot'; did you mean 'at.port'?"),
    (EVENTS.replace('"pid"', '"v"'), 13, "'v' is an array"),
    (EVENTS.replace('map = "events"', 'map = "evens"'), 9,
     "the kernel half has no map 'evens'; did you mean 'events'?"),
    (EVENTS.replace('map = "events"', 'map = "dist"'), 9,
     "map 'dist' is neither a ring buffer nor a perf buffer"),
    (column('format = "nmber"'), 14, "'format' cannot be 'nmber'; did you mean 'number'?"),
    (column('format = "string"'), 13, "'pid' is no char array, as format 'string' wants it"),
    (column('format = "port"'), 13, "'pid' has 4 bytes; format 'port' wants 2"),
    (column('format = "wall"'), 13, "'pid' has 4 bytes; format 'wall' wants 8"),
    (column('format = "ipv6"'), 13, "'pid' does not have the 16 bytes of an IPv6 address"),
    (column("width = -1"), 14, "'width' must be from 0 to 1000"),
    (column("width = true"), 14, "'width' must be an integer"),
    (column("digits = 3"), 14, "'digits' is for format octal and wall and elapsed and duration and percent"),
    (column('format = "enum"'), 11, "'values' is missing: format 'enum' wants a table"),
    (column('format = "enum"\nvalues = "nums"\n[values.num]\nA = 1'), 15,
     "there is no [values.nums]; did you mean 'num'?"),
    (column('when = ["alhpa"]'), 14, "there is no option 'alhpa'; did you mean 'alpha'?"),
    (column('when = ["!interval"]'), 14,
     "this tool has no option 'interval': its kernel half lacks what that needs"),
    (EVENTS.replace('help = "first"', 'help = "first"\ntype = "bool"'), 7,
     "'type' cannot be 'bool'; it is one of " + ", ".join(read.OPTION_TYPES)),
    (EVENTS.replace('help = "first"\n', ""), 3, "'help' is missing in [option]"),
    (EVENTS.replace('short = "a"', 'short = "ab"'), 5, "'short' must be one letter or digit"),
    (EVENTS.replace('"first"', '"first"\nconfig = "maks"'), 7,
     "the kernel half has no CONFIG 'maks'; did you mean 'mask'?"),
    (EVENTS.replace('"first"', '"first"\nconfig = "word"'), 7,
     "CONFIG 'word' wants text, which an option of type 'flag' does not give"),
    (EVENTS.replace('"first"', '"first"\nconfig = "mask"\nvalue = 256'), 8,
     "256 does not fit CONFIG 'mask' (0 to 255)"),
    (EVENTS.replace('"first"', '"first"\ntype = "int"\nconfig = "mask"\nmax = 256'), 9,
     "256 does not fit CONFIG 'mask' (0 to 255)"),
    (EVENTS.replace('"first"', '"first"\ntype = "int"\ndefault = "x"'), 8,
     "bad default: 'x' is not a number for '--alpha'"),
    (EVENTS.replace('"first"', '"first"\ntype = "int"\nconfig = "mask"\ndefault = 256'), 9,
     "bad default: '256' is out of range for '--alpha' (0 to 255)"),
    (EVENTS.replace('"first"', '"first"\ntype = "signal"\ndefault = "TREM"'), 8,
     "bad default: no such signal 'TREM'"),
    (EVENTS.replace('"first"', '"first"\ntype = "string"\ndefault = "("\n'
                    'match = { field = "comm", how = "regex" }'), 8,
     "bad default: bad pattern '(' for '--alpha'"),
    (EVENTS.replace('"first"', '"first"\ngives = ["format", "xml"]'), 7,
     "'xml' is not a value of '--format' (text, json, csv)"),
    (EVENTS.replace('"first"', '"first"\ngives = ["buffer-pages", "3"]'), 7,
     "'3' is not a power of two for '--buffer-pages'"),
    (EVENTS.replace('"first"', '"first"\nmin = 1'), 7, "'min' is for options of type int and numbers"),
    (EVENTS.replace('"first"', '"first"\nrole = "top"'), 7, "role 'top' wants an option of type 'int'"),
    (EVENTS.replace('"first"', '"first"\ntype = "choice"\nvalues = "no"'), 8, "there is no [values.no]"),
    (EVENTS.replace('"first"', '"first"\ntype = "flags"\nvalues = "num"') + "[values.num]\nA = 1\nB = 0\n", 8,
     "B is 0 in [values.num], which selects nothing: as a flag it needs a bit of its own"),
    (EVENTS.replace('"first"', '"first"\ntype = "path"\nmap = "event"'), 8,
     "the kernel half has no map 'event'; did you mean 'events'?"),
    (EVENTS.replace('"first"', '"first"\ntype = "path"\nmap = "events"'), 8, "map 'events' is no hash"),
    (EVENTS.replace('"first"', '"first"\ntype = "numbers"'), 4,
     "'match' or 'set' is missing: an option of type numbers is for these"),
    (EVENTS.replace('"first"', '"first"\ntype = "numbers"\nset = "keyed"'), 8,
     "map 'keyed' is no hash of integers by integers"),
    (EVENTS.replace('"first"', '"first"\ntype = "numbers"\nset = "dist"\nmin = -1\nmax = 9'), 8,
     "'min' and 'max' do not fit the keys of map 'dist' (0 to 4294967295)"),
    (EVENTS.replace('"first"', '"first"\ntype = "int"\nset = "dist"'), 8,
     "'set' is for options of type numbers"),
    (EVENTS.replace('"first"', '"first"\ntype = "string"\nmatch = { field = "pid", how = "regex" }'), 8,
     "'pid' is no char array, so it cannot be matched"),
    (EVENTS.replace('"first"', '"first"\ntype = "string"\nmatch = { field = "comm", how = "glob" }'), 8,
     "'how' cannot be 'glob'; it is one of contains, regex, one_of"),
    (EVENTS + '[[option]]\nname = "alpha"\nhelp = "again"\n', 15, "there are two options named 'alpha'"),
    (EVENTS + '[[option]]\nname = "beta"\nshort = "a"\nhelp = "x"\n', 16,
     "'-a' is taken by '--alpha' already"),
    (EVENTS + '[common]\npid = "a"\n', 15, "'-a' is taken by '--alpha' already"),
    (EVENTS + '[common]\npidd = "p"\n', 15, "unknown key 'pidd'; did you mean 'pid'?"),
    (EVENTS + '[common]\ninterval = "i"\n', 15,
     "'--interval' needs [report], which this tool does not have"),
    (EVENTS + "[values.x]\n", 14, "[values.x] is empty"),
    (EVENTS + '[values.x]\nA = "1"\n', 15, "'A' must be an integer"),
    (EVENTS.replace("\n\n", '\nbanner = [{ text = "{alfa}" }]\n\n', 1), 2,
     "there is no option 'alfa'; did you mean 'alpha'?"),
    (EVENTS.replace("\n\n", '\nrequires = ["tracepoint:sched"]\n\n', 1), 2,
     "'requires' holds 'tracepoint:sched', which is no requirement; write for example "
     "'tracepoint:syscalls:sys_enter_openat'"),
    (EVENTS.replace("\n\n", '\nexamples = [\n    ["-a"],\n]\n\n', 1), 2,
     "'examples' must be a list of [arguments, comment]"),
    (EVENTS + '[[program]]\nname = "enter_opne"\nwhen = ["alpha"]\n', 15,
     "the kernel half has no program 'enter_opne'; did you mean 'enter_open'?"),
    (EVENTS + '[[program]]\nname = "enter_open"\nfallback = ["enter_opne"]\n', 15,
     "the kernel half has no program 'enter_opne'; did you mean 'enter_open'?"),
    (EVENTS + '[[program]]\nname = "enter_open"\nfallback = ["exit_open"]\n\n'
     '[[program]]\nname = "enter_read"\nfallback = ["exit_open"]\nwhen = ["alpha"]\n', 20,
     "'enter_open' falls back to 'exit_open' too: 'fallback' and 'when' must be the same"),
    (EVENTS + '[[program]]\nname = "enter_open"\nalso = ["sched:sched_switch"]\n', 16,
     "'also' is for programs on tracepoints"),
    (EVENTS + '[[program]]\nname = "enter_open"\nalso = ["sched_switch"]\n', 16,
     "'also' must be a tracepoint, CATEGORY:EVENT"),
    (EVENTS + '[[program]]\nname = "enter_open"\ntarget = "{alhpa}:main"\n', 16,
     "there is no option 'alhpa'; did you mean 'alpha'?"),
    (EVENTS + '[[program]]\nname = "enter_open"\nevent = "cpu-cycle"\n', 16,
     "there is no perf event 'cpu-cycle'; did you mean 'cpu-cycles'?"),
    (EVENTS + '[[program]]\nname = "enter_open"\ndirection = "up"\n', 16,
     "'direction' cannot be 'up'; it is one of ingress, egress"),
    (EVENTS + '[[counter]]\nmap = "dist"\nevent = "cpu-cycles"\n', 15,
     "map 'dist' is no perf event array"),
    (EVENTS.replace("\n\n", '\narguments = ["durration"]\n\n', 1), 2,
     "there is no option 'durration'; did you mean 'duration'?"),
    (EVENTS.replace("\n\n", '\narguments = ["alpha"]\n\n', 1), 2,
     "option 'alpha' takes no argument"),
    (EVENTS + '[[counter]]\nmap = "dist"\n', 14, "'event' is missing in [counter]"),
    (REPORT.replace('"log2"', '"log3"'), 5, "'kind' cannot be 'log3'; did you mean 'log2'?"),
    (REPORT.replace('value = "bytes"\n', ""), 3,
     "'value' is missing: a report of kind 'log2' wants it"),
    (REPORT.replace('"dist"', '"keyed"'), 3, "'slot' is missing: the key of map 'keyed' is a struct"),
    (REPORT.replace('"dist"', '"keyed"') + 'slot = "comm"\n', 7, "'comm' is no integer"),
    (REPORT.replace('"dist"', '"sums"').replace("log2", "counters").replace(
        'value = "bytes"', 'labels = ["a"]'), 4,
     "the value of map 'sums' is no integer, as a report of kind 'counters' wants it"),
    (REPORT.replace('"dist"', '"keyed"').replace("log2", "counters").replace(
        'value = "bytes"', 'labels = ["a"]'), 4, "map 'keyed' is no array"),
    (AVERAGE.replace('count = "m"\n', ""), 3,
     "'count' is missing: a report of kind 'average' wants it"),
    (AVERAGE.replace('"m"', '"k"'), 8, "there is no field 'k'"),
    (AVERAGE + "divisor = 0\n", 9, "'divisor' must be from 1 to 2147483647"),
    (REPORT + "divisor = 10\n", 7, "'divisor' is for reports of kind average"),
    (AVERAGE.replace('"unit"', '[{ text = "unit" }]'), 6, "'value' must be a string in average"),
    (column('format = "percent"'), 11, "'whole' is missing: format 'percent' wants a field"),
    (column('format = "percent"\nwhole = "pdi"'), 15, "there is no field 'pdi'; did you mean 'pid'?"),
    (column('format = "percent"\nwhole = "comm"'), 15,
     "'comm' is no integer, as format 'percent' wants it"),
    (column('rest = true'), 14, "'rest' is for format percent"),
    (TABLE + 'format = "percent"\nwhole = "key"\n', 11, "'key' is not in the value, as 'value' is"),
    (TABLE.replace("\n\n[[report.column", "\nsum = true\n\n[[report.column").replace('"value"', '"key"'),
     10, "there is no field 'key'"),
    (REPORT + "inline = true\n", 7, "'inline' is for reports of kind table"),
    (EVENTS.replace('help = "first"', 'help = "first"\nrequired = true', 1), 7,
     "an option of type flag takes no argument, so no 'required'"),
    (REPORT + 'labels = ["a"]\n', 7, "'labels' is for reports of kind counters"),
    (REPORT + 'time_when = []\n', 7, "'time_when' without 'time'"),
    (REPORT + 'time = "%Q"\n', 7,
     "'time' must be a strftime format of printable ASCII, such as '[%H:%M:%S]'"),
    (REPORT + REPORT.split("\n\n")[1], 7, "there are two reports named 'dist'"),
    (REPORT.replace('"dist"', '"events"'), 4, "map 'events' is neither a hash nor an array"),
    (REPORT.replace("log2", "table").replace('value = "bytes"\n',
     'sort = [{ field = "value.n" }]\n[[report.column]]\nheading = "N"\nfield = "value"\n'), 6,
     "there is no field 'value.n'; did you mean 'value'?"),
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
    bound = load(column("").replace('"pid"', '"at.port"'))
    assert bound["events"]["columns"] == [{
        "name": "at.port", "offset": 28, "size": 2, "kind": "uint", "count": 0, "fields": [],
        "heading": "PID", "label": "at.port", "format": "number", "width": 0, "align": "left",
        "gap": 1, "when": [], "zero": None, "digits": None, "unit": None, "since": None, "zone": None,
        "cut": None, "join": None,
        "quote": None, "values": None, "of": "event", "whole": None, "rest": False}]
    assert bound["events"]["size"] == 48
    assert bound["maps"]["keyed"] == {"type": "percpu_hash", "max_entries": 64, "key_size": 20,
                                      "value_size": 8}


@pytest.mark.parametrize("kind", ["user", "disk"])
def test_names_of_another_machine(load, kind):
    """Whether there is such a user or disk, only the machine knows that runs the tool."""
    text = EVENTS.replace('"first"', f'"first"\ntype = "{kind}"\ndefault = "no such name"')
    assert load(text)["options"][0]["default"] == "no such name"


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
    bound = load(EVENTS + '[[option]]\nname = "pid"\nhelp = "mine"\n')
    assert [o["type"] for o in bound["options"] if o["name"] == "pid"] == ["flag"]


def test_numbers_fit_json(load):
    """Beyond 2^53 a number is a string, and an int's range is that of its CONFIG."""
    bound = load(EVENTS + '[[option]]\nname = "big"\nhelp = "x"\ntype = "int"\n')
    option = next(o for o in bound["options"] if o["name"] == "big")
    assert (option["min"], option["max"]) == ("-9223372036854775808", "9223372036854775807")
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
