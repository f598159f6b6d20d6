# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A second start does not compile, and is the same tool."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import pytest

from bpfduet import compiled
from frontends import (FORMATS, PATIENCE_S, ROOT, Argument, Result, Running, attached, cgroup, finish,
                       in_cgroup, start, watch)
from parity.same import STAMP, masked
from support import (SPDX, counting_tool, held, opens, seen, still_there, trace_pipe_is_free,
                     write_tool)

# In guests nearly all other tests start what was kept.
pytestmark = pytest.mark.host_only

OLD_STYLE = str(ROOT / "tests/dialect/old_style.bpf.c")
# Says on stderr how often libbcc has compiled, or makes that impossible.
SCRIPT = """
import sys
sys.path.insert(0, %r)
from bcc.libbcc import lib
real, count = lib.bpf_module_create_c_from_string, 0
def create(*arguments):
    global count
    count += 1
    assert %r
    return real(*arguments)
create.restype = None
lib.bpf_module_create_c_from_string = create
from bpfduet.command import main
status = main(["run"] + sys.argv[1:])
if %r:
    print("compiled:", count, file=sys.stderr)
sys.exit(status)
"""
NEVER = SCRIPT % (str(ROOT / "python"), False, False)
COUNTED = SCRIPT % (str(ROOT / "python"), True, True)


def command(script: str, tool: str, args: Sequence[Argument] = ()) -> List[Argument]:
    """The command line of `bpfduet run` inside of a script."""
    return [sys.executable, "-c", script, tool, *args]


def finished(argv: Sequence[Argument], **env: str) -> Result:
    """Run to the end."""
    return finish(start(argv, env))


def compilations(tool: str, *args: str, **env: str) -> int:
    """How often a run with COMMAND `true` has made libbcc compile."""
    done = finished(command(COUNTED, tool, [*args, "--", "true"]), **env)
    assert done.status == 0, done.stderr
    return int(re.findall(rb"^compiled: (\d+)$", done.stderr, re.MULTILINE)[0])


@pytest.fixture(name="cache")
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracefs: None) -> Path:
    """A cache of the test's own; the folder of its programs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "bpfduet/programs"


def programs(cache: Path) -> List[Path]:
    """The entries."""
    return sorted(cache.glob("program-*"))


TOOLS: Dict[str, List[str]] = {"opensnoop": [], "execsnoop": [], "syscount": ["-p", "{pid}"],
                               "readhist": ["-P"]}
ATTACHED = {"opensnoop": 3, "execsnoop": 4, "syscount": 1, "readhist": 1}
WALL = rb"\[?\b\d\d:\d\d:\d\d\b\]?"


@pytest.mark.parametrize("tool", TOOLS)
def test_same_output(tool: str, workloads: Path, cache: Path) -> None:
    """The same run seen by C, by BCC and by BCC without its compiler: the same bytes."""
    binaries = {name: str(workloads / name) for name in ("reads", "calls", "execs", "leave")}
    workload = {"opensnoop": opens(workloads, 23), "readhist": [binaries["reads"], "23", "100"],
                "syscount": [binaries["calls"], "23"],
                "execsnoop": [binaries["execs"], "execve", binaries["leave"], "leave"]}[tool]
    args = TOOLS[tool]
    assert compilations(tool, *(arg.replace("{pid}", "1") for arg in args)) == 1
    kept = programs(cache)
    scope = ["--cgroup", "{cgroup}", *args]
    watched = watch(tool, args, workload, ATTACHED[tool], others={
        form: (command(NEVER, tool, ["--format", form, *scope]), attached(tool, ATTACHED[tool]))
        for form in FORMATS})
    for form in FORMATS:
        outputs = {masked(out, [STAMP, (WALL, b"T")]) for out in
                   (watched.out("c", form), watched.out("bcc", form), watched.out(form))}
        assert len(outputs) == 1 and outputs.pop().count(b"\n") > (form == "csv"), form
        assert watched.results[form, "text"].stderr == watched.results["bcc", form].stderr
    assert programs(cache) == kept      # another PID and cgroup: the same program


@pytest.mark.parametrize("form", FORMATS)
def test_hello(form: str, cache: Path) -> None:
    """The trace pipe has one reader at a time."""
    trace_pipe_is_free()
    assert compilations("hello") == 1
    trace_pipe_is_free()
    done = finished(command(NEVER, "hello", ["--format", form, "--", "true"]))
    assert (done.status, done.stderr) == (0, b"") and done.stdout.count(b"Hello, World!") == 1


def test_a_source_without_our_header(cache: Path) -> None:
    """A perf buffer, and maps that are BCC's alone."""
    argv = [OLD_STYLE, "--duration", "1"]
    assert finished(command(COUNTED, *argv[:1], argv[1:])).stderr.endswith(b"compiled: 1\n")
    done = finished(command(NEVER, *argv[:1], argv[1:]))
    assert done.status == 0, done.stderr
    assert len(programs(cache)) == 1


def test_the_switch(cache: Path) -> None:
    """BPFDUET_NO_CACHE: nothing is read, nothing written."""
    assert [compilations("opensnoop", BPFDUET_NO_CACHE="1") for _ in range(2)] == [1, 1]
    assert not cache.exists()
    assert [compilations("opensnoop") for _ in range(2)] == [1, 0]
    assert compilations("opensnoop", BPFDUET_NO_CACHE="1") == 1


def test_what_the_code_depends_on(cache: Path, tmp_path: Path) -> None:
    """Source, its header, sizes of buffers: another program. Not the file's date."""
    tool = counting_tool(tmp_path, "counts")
    ours = '#include "bpfduet.h"\n'
    tool.write_text(tool.read_text().replace(ours, ours + '#include "my.h"\n'))
    header = tmp_path / "my.h"
    header.write_text("#define MINE 1\n")
    assert [compilations(str(tool)) for _ in range(2)] == [1, 0]
    header.write_text("#define MINE 2\n")
    assert [compilations(str(tool)) for _ in range(2)] == [1, 0]
    tool.write_text(tool.read_text().replace("key = 1", "key = 2"))
    assert [compilations(str(tool)) for _ in range(2)] == [1, 0]
    os.utime(tool, (0, 0))
    assert compilations(str(tool)) == 0
    assert [compilations("opensnoop", "-b", pages) for pages in ("1", "2", "1")] == [1, 1, 0]


@pytest.mark.parametrize("tool, choices", [
    ("opensnoop", ["-x", "-f O_RDWR", "--uid 0", "--comm true -p 1"]),
    ("syscount", ["-P", "-x", "-e EPERM"]),
    ("biolatency", ["-m", "-D", "-F -e"]),
    ("offcputime", ["-K", "-m 5 --state 1", "-u"]),
])
def test_options_share_a_program(cache: Path, tool: str, choices: List[str]) -> None:
    """CONFIG constants are filled in: what a tool has compiled once is good for its options."""
    assert [compilations(tool, *choice.split()) for choice in ("", *choices)] == \
        [1] + [0] * len(choices)


def test_a_constant_that_cannot_be_late(cache: Path, tmp_path: Path) -> None:
    """A member of its name, which no expression can be: that is remembered, too."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "named", "\tstruct named one = { .level = level };\n\tif (one.level != 3)"
                     "\n\t\treturn 0;\n\tbpf_printk(\"three\");\n",
                     "CONFIG(u32, level, 3);\nstruct named {\n\tu32 level;\n};\n")
    done = finished(command(COUNTED, tool, ["--", "true"]))
    assert done.stderr == b"compiled: 2\n" and done.stdout.count(b"three") == 1
    files = {path: path.stat().st_ino for path in programs(cache)}
    done = finished(command(NEVER, tool, ["--", "true"]))
    assert (done.status, done.stderr) == (0, b"") and done.stdout.count(b"three") == 1
    assert len(files) == 2 and {path: path.stat().st_ino for path in programs(cache)} == files


def owned_by_another(path: Path) -> None:
    """As if somebody else had put it there."""
    os.chown(path, 1234, 1234)


def well_sealed_nonsense(path: Path) -> None:
    """A program that the kernel will not take, the last of several, with a right checksum."""
    kept = compiled.from_bytes(path.read_bytes())
    *others, last = kept.functions
    path.write_bytes(compiled.to_bytes(kept._replace(
        functions=(*others, last._replace(code=last.code[:-8] + bytes(8))))))


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(path.read_bytes()[:-5]),
                                   owned_by_another])
def test_a_spoilt_entry_is_mended(cache: Path, spoil: Callable[[Path], object]) -> None:
    """BCC compiles, and the entry is whole again."""
    assert compilations("opensnoop") == 1
    entry, = programs(cache)
    whole = entry.read_bytes()
    spoil(entry)
    assert [compilations("opensnoop") for _ in range(2)] == [1, 0]
    assert entry.read_bytes() == whole and entry.stat().st_uid == os.geteuid()


def test_what_the_kernel_refuses_is_compiled(cache: Path) -> None:
    """Without a word, whatever is in the file."""
    assert compilations("opensnoop") == 1
    well_sealed_nonsense(programs(cache)[0])
    done = finished(command(COUNTED, "opensnoop", ["--", "true"]))
    assert (done.status, done.stderr) == (0, b"compiled: 1\n")


def test_eight_at_once(cache: Path) -> None:
    """One compiles, the others wait for it."""
    argv = command(COUNTED, "syscount", ["--", "true"])
    running = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE) for _ in range(8)]
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in running]
    assert all(process.returncode == 0 for process in running), said
    assert sorted(int(line.split()[-1]) for line in said) == [0] * 7 + [1]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(cache: Path, end: int) -> None:
    """Programs, maps and links are gone with the process."""
    assert compilations("opensnoop") == 1
    with cgroup() as group:
        tracer = Running("bcc", "opensnoop", [], 3,
                         argv=command(NEVER, "opensnoop", ["--cgroup", str(group)]))
        try:
            tracer.wait_ready()
            mine = held(tracer.process.pid)
            assert {kind for kind, _ in mine} >= {"prog", "map"}
            tracer.finish(end)
        finally:
            tracer.end()
    assert still_there(mine) == set()


IN_PROCESS = """
import os, sys
sys.path.insert(0, %r)
from bpfduet import Tool
list(Tool("opensnoop").events(command=["true"]))
places = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
links = [os.readlink(place) for place in places if os.path.islink(place)]
print([link for link in links if "bpf" in link])
""" % str(ROOT / "python")


@pytest.mark.parametrize("spoil", [lambda path: None, well_sealed_nonsense])
def test_nothing_is_left_in_the_process(cache: Path, spoil: Callable[[Path], None]) -> None:
    """A Python program goes on after a run: maps and programs are closed, of a failed load too."""
    assert compilations("opensnoop") == 1
    spoil(programs(cache)[0])
    done = finished([sys.executable, "-c", IN_PROCESS])
    assert (done.status, done.stdout) == (0, b"[]\n"), done


def test_loss_is_counted(workloads: Path, cache: Path) -> None:
    """One page of buffer, a reader that stands still: printed and lost are all."""
    assert compilations("opensnoop", "-b", "1") == 1
    with cgroup() as group:
        tracer = Running("bcc", "opensnoop", [], 3, argv=command(
            NEVER, "opensnoop", ["--cgroup", str(group), "-b", "1"]))
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGSTOP)
            in_cgroup(group, opens(workloads, 2000))
            tracer.process.send_signal(signal.SIGCONT)
            result = tracer.finish()
        finally:
            tracer.end()
    lost = sum(map(int, re.findall(rb"lost (\d+) events", result.stderr)))
    assert 0 < seen(result) < 2000 and seen(result) + lost == 2000


def tool_with(folder: Path, name: str, body: str, more: str = "") -> str:
    """A tool of one program; returns its file."""
    return str(write_tool(folder, name, f'// {SPDX}\n#include "bpfduet.h"\n\n{more}\n'
                          "TRACEPOINT_PROBE(sched, sched_process_exec)\n{\n\tif (!task_matches())\n"
                          f'\t\treturn 0;\n{body}\treturn 0;\n}}\nLICENSE("Dual BSD/GPL");\n',
                          'summary = "test"\n[trace_pipe]\n'))


def test_the_compiler_is_heard_each_time(cache: Path, tmp_path: Path) -> None:
    """-v shows the same warnings, whether it has compiled or not."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "warns", "", "#warning look here\n")
    first = finished(command(COUNTED, tool, ["-v", "--", "true"]))
    second = finished(command(COUNTED, tool, ["-v", "--", "true"]))
    assert b"look here" in first.stderr and first.stderr.endswith(b"compiled: 1\n")
    assert second.stderr == first.stderr.replace(b"compiled: 1", b"compiled: 0")


def test_the_verifiers_log_is_bccs(cache: Path, tmp_path: Path) -> None:
    """What the kernel refuses is not kept; its log, shown once, names the source's line."""
    tool = tool_with(tmp_path, "refused", "\treturn *(volatile int *)(long)bpf_ktime_get_ns();\n")
    for _ in range(2):
        done = finished(command(COUNTED, tool, ["--", "true"]))
        assert done.status == 1 and done.stderr.count(b"verifier rejects") == 1
        assert done.stderr.count(b"invalid mem access") == 1
        assert b"; return *(volatile int *)" in done.stderr
    assert programs(cache) == []


def test_what_is_not_covered_is_left_to_bcc(cache: Path, tmp_path: Path) -> None:
    """A map of another type: that is remembered, and BCC compiles, once each time."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "jumps", "\ttargets.call(args, 3);\n",
                     "BPF_PROG_ARRAY(targets, 4);\n")
    assert [compilations(tool) for _ in range(2)] == [2, 1]


def test_constants_filled_in_are_as_compiled(cache: Path) -> None:
    """Code with filled in constants is, byte for byte, what the compiler makes of them."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "python")!r})
from bpfduet import compiled, late_constants, paths
text = (paths.TOOLS / "opensnoop.bpf.c").read_text()
folders = [paths.HEADERS, paths.TOOLS]
flags = ["-D__BCC__", *(f"-I{{folder}}" for folder in folders)]
lib = compiled.library()
source = compiled.Source(text, flags, folders, {{"filter_pid": 4242, "failed_only": True}}, [])
entry = next(compiled.entries_of(source))
assert entry.late["filter_pid"] == 4242 and entry.late["flag_mask"] == 0
# more than 32 bits: clang loads smaller ones by another instruction
constants = {{name: number << 40 | 1 for number, name in enumerate(sorted(entry.late), 1)}}
marks = {{late_constants.placeholder(name): name for name in constants}}
values = [f"-DDUET_LATE_{{name}}=,{{value}}ULL" for name, value in constants.items()]
with open("/dev/null", "r+b", buffering=0) as null, compiled._headers_of(source):
    kept = lib.compile(entry.text, entry.flags, marks, null)
    plain = lib.compile(entry.text, entry.flags + values, {{}}, null)
read = {{name for one in kept.functions for _, name in one.late}}
assert {{"filter_pid", "filter_comm_1", "failed_only", "flag_mask"}} <= read <= set(constants), read
filled = compiled.Module(lib, kept, constants)
direct = compiled.Module(lib, plain, {{}})
for one, other in zip(kept.functions, plain.functions):
    raw, expected = bytearray(filled._code[one.name]), bytearray(direct._code[other.name])
    assert one.maps == other.maps and one.name == other.name
    for place, _ in one.maps:       # other maps, of the same names
        raw[8 * place + 4:8 * place + 8] = expected[8 * place + 4:8 * place + 8] = bytes(4)
    print(one.name, len(raw), raw == expected, raw == one.code)
"""
    done = finished([sys.executable, "-c", script])
    assert done.status == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) >= 3 and all(line[2:] == [b"True", b"False"] for line in lines), done.stdout
