# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A second start does not compile, and is the same tool."""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import pytest

from bpfduet.bcc import objects, quick
from frontends import (FORMATS, PATIENCE_S, ROOT, Argument, Result, Running, cgroup, finish, in_cgroup,
                       start, watch)
from needs import mount_bpffs
from parity.same import STAMP, masked
from support import (SPDX, alive, compiler_of, copy_tree, counting_tool, held, one_sentence, opens,
                     own_run, seen, still_there, trace_pipe_is_free, write_tool)

# In guests nearly all other tests start what was kept.
pytestmark = pytest.mark.host_only

OLD_STYLE = str(ROOT / "tests/dialect/old_style.bpf.c")
LOADER = ROOT / "build/bin/bpfduet-loader"


def command(tool: str, args: Sequence[Argument] = ()) -> List[Argument]:
    """The command line of `bpfduet run`."""
    return [str(ROOT / "bpfduet"), "run", tool, *args]


def finished(argv: Sequence[Argument], **env: str) -> Result:
    """Run to the end."""
    return finish(start(argv, env))


def traced(tool: str, args: Sequence[Argument], **env: str) -> Tuple[Result, List[str]]:
    """Run to the end; the programs that were executed, with their arguments."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = finished(["strace", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e", "trace=execve", "-e",
                         "signal=none", "-o", log.name, *command(tool, args)], **env)
        return done, [line for line in log if line.rstrip().endswith("= 0")]


def compilations(tool: str, *args: str, **env: str) -> int:
    """How many children a run with COMMAND `true` has had compile; the engine has run it then."""
    done, programs_run = traced(tool, [*args, "--", "true"], **env)
    assert done.status == 0, done.stderr
    assert sum(f'"{LOADER}", "--object-fd"' in line for line in programs_run) == 1, programs_run
    return sum("bpfduet.bcc import child" in line for line in programs_run)


@pytest.fixture(name="cache")
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracefs: None) -> Path:
    """A cache of the test's own; the folder of its programs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "bpfduet/programs"


def programs(cache: Path) -> List[Path]:
    """The entries."""
    return sorted(cache.glob("object-*"))


def inodes(cache: Path) -> Dict[Path, int]:
    """The entries with their inodes: one that is written again has another."""
    return {path: path.stat().st_ino for path in programs(cache)}


TOOLS: Dict[str, List[str]] = {"opensnoop": [], "execsnoop": [], "syscount": ["-p", "{pid}"],
                               "readhist": ["-P"]}
ATTACHED = {"opensnoop": 4, "execsnoop": 4, "syscount": 1, "readhist": 1}
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
    kept = inodes(cache)
    watched = watch(tool, args, workload, ATTACHED[tool])
    for form in FORMATS:
        outputs = {masked(watched.out(frontend, form), [STAMP, (WALL, b"T")])
                   for frontend in ("c", "bcc")}
        assert len(outputs) == 1 and outputs.pop().count(b"\n") > (form == "csv"), form
    assert inodes(cache) == kept        # another PID and cgroup: the same program


@pytest.mark.parametrize("form", FORMATS)
def test_hello(form: str, cache: Path) -> None:
    """The trace pipe has one reader at a time."""
    trace_pipe_is_free()
    assert compilations("hello") == 1
    trace_pipe_is_free()
    done = finished(command("hello", ["--format", form, "--", "true"]))
    assert (done.status, done.stderr) == (0, b"") and done.stdout.count(b"Hello, World!") == 1


def test_a_source_without_our_header(cache: Path) -> None:
    """A perf buffer, and maps that are BCC's alone."""
    for count in (1, 0):
        done, programs_run = traced(OLD_STYLE, ["--duration", "1"])
        assert done.status == 0, done.stderr
        assert sum("bpfduet.bcc import child" in line for line in programs_run) == count
        assert any("--object-fd" in line for line in programs_run)
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
    (tmp_path / "counts.toml").write_text((tmp_path / "counts.toml").read_text() + "\n# a remark\n")
    assert [compilations(str(tool)) for _ in range(2)] == [1, 0]


def reads_all(tool: str) -> bool:
    """Whether a start reads the source, and does not compile it."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = finished(["strace", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e",
                         "trace=execve,openat", "-o", log.name, *command(tool, ["--", "true"])])
        calls = log.read()
    assert done.status == 0 and "bpfduet.bcc import child" not in calls, done.stderr
    assert calls.count(f'"{LOADER}", "--object-fd"') == 1
    return f'openat(AT_FDCWD, "{tool}"' in calls


def noted(tool: Path) -> None:
    """Start a tool until the next start need not read it all: no file may be of just now."""
    deadline = time.monotonic() + PATIENCE_S
    while reads_all(str(tool)):
        assert time.monotonic() < deadline


def start_afresh(tool: Path) -> None:
    """A change is seen, and compiled once."""
    assert [compilations(str(tool)) for _ in range(2)] == [1, 0]


def test_a_quick_start(cache: Path, tmp_path: Path) -> None:
    """Of what looks as it did nothing is read; whatever looks otherwise is."""
    tool = counting_tool(tmp_path, "counts")
    ours = '#include "bpfduet.h"\n'
    tool.write_text(tool.read_text().replace(ours, ours + '#include "my.h"\n'))
    header, spec, before = tmp_path / "my.h", tmp_path / "counts.toml", tool.read_text()
    header.write_text("#define MINE 1\n")
    start_afresh(tool)
    noted(tool)
    os.utime(tool, (0, 0))
    assert reads_all(str(tool))
    noted(tool)
    (tmp_path / "another").touch()
    assert not reads_all(str(tool))
    for file, text in ((header, "#define MINE 2\n"), (spec, spec.read_text() + "# a remark\n"),
                       (tool, before.replace("key = 1", "key = 2"))):
        was = file.stat()
        file.write_text(text)
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
        start_afresh(tool)
        noted(tool)


def test_a_quick_start_and_the_environment(cache: Path, tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """What the compiler would look at, another cache, another folder with a file of that name."""
    tool = counting_tool(tmp_path, "counts")
    assert compilations(str(tool)) == 1
    noted(tool)
    assert compilations(str(tool), CPATH=str(tmp_path)) == 1
    assert compilations(str(tool), BPFDUET_NO_CACHE="1") == 1
    assert compilations(str(tool), XDG_CACHE_HOME=str(tmp_path / "other")) == 1
    assert not reads_all(str(tool))
    assert compilations(str(tool), ARCH="x86_64") == 1
    monkeypatch.chdir(tmp_path)
    noted(Path("counts.bpf.c"))
    other = tmp_path / "folder"
    other.mkdir()
    counting_tool(other, "counts", map_name="others")
    monkeypatch.chdir(other)
    start_afresh(Path("counts.bpf.c"))


def of_the_note(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """A change of a note's content."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("spoil", [
    of_the_note(lambda raw: raw[:-20]), of_the_note(lambda raw: b""),
    of_the_note(lambda raw: raw.replace(b"bpfduet-loader", b"bpfduet-looser")),
    lambda path: path.chmod(0o666), lambda path: os.chown(path, 1234, 1234),
    lambda path: next(path.parent.glob("object-*")).unlink(),
])
def test_a_spoilt_note(cache: Path, tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """It is not believed, and written anew."""
    tool = counting_tool(tmp_path, "counts")
    assert compilations(str(tool)) == 1
    noted(tool)
    note, = cache.glob("start-*")
    spoil(note)
    done, programs_run = traced(str(tool), ["--", "true"])
    assert (done.status, done.stderr) == (0, b"")
    assert any(f'"{LOADER}", "--object-fd"' in line for line in programs_run)
    noted(tool)


@pytest.mark.parametrize("tool, choices", [
    ("opensnoop", ["-x", "-f O_RDWR", "--uid 0", "--comm true -p 1", "-b 1", "-b 2"]),
    ("execsnoop", ["-x", "--max-args 3"]),
    ("syscount", ["-P", "-x", "-e EPERM"]),
    ("biolatency", ["-m", "-D", "-F -e"]),
    ("offcputime", ["-K", "-m 5 --state 1", "-u"]),
])
def test_options_share_a_program(cache: Path, tool: str, choices: List[str]) -> None:
    """CONFIG constants are filled in: what a tool has compiled once is good for its options."""
    assert [compilations(tool, *choice.split()) for choice in ("", *choices)] == \
        [1] + [0] * len(choices)


def test_a_constant_that_cannot_be_late(cache: Path, tmp_path: Path) -> None:
    """A member of its name, which no expression can be: its value is compiled in, each once."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "named", "\tstruct named one = { .level = level };\n\tbpf_printk("
                     "\"level %d\", one.level);\n",
                     "CONFIG(u32, level, 3);\nstruct named {\n\tu32 level;\n};\n",
                     '[options]\nlevel = { type = "int", config = "level", metavar = "N", '
                     'help = "what to print" }\n')
    for args, level, count in ((["--level=7"], 7, 2), ([], 3, 0), (["--level=8"], 8, 1),
                               (["--level=7"], 7, 0)):
        assert compilations(tool, *args) == count
        trace_pipe_is_free()
        done = finished(command(tool, [*args, "--", "true"]))
        assert (done.status, done.stderr) == (0, b"")
        assert done.stdout.count(b"level %d" % level) == 1
    assert len(programs(cache)) == 3


# MEMBER_ becomes nothing, and the constants of the text are named like members, which keeps them
# from being late; or something, and all but the string are filled in.
KINDS = f"""// {SPDX}
#include "bpfduet.h"

struct one {{
	s64 MEMBER_tiny, MEMBER_wide;
	u64 MEMBER_big;
	u32 MEMBER_yes;
	char MEMBER_words[24];
}};

BPF_EVENTS(events, struct one, 1);
CONFIG(s32, tiny, -1);
CONFIG(s64, wide, -5);
CONFIG(u64, big, 0x123456789a);
CONFIG(bool, yes, false);
CONFIG_STR(words, 24);

TRACEPOINT_PROBE(sched, sched_process_exec)
{{
	struct one one = {{}};

	if (!task_matches())
		return 0;
	one.MEMBER_tiny = tiny;
	one.MEMBER_wide = wide;
	one.MEMBER_big = big;
	one.MEMBER_yes = yes;
	CONFIG_STR_READ(one.MEMBER_words, words);
	events.ringbuf_output(&one, sizeof(one), 0);
	return 0;
}}

LICENSE("Dual BSD/GPL");
"""
TYPES = {"tiny": "int", "wide": "int", "big": "int", "yes": "flag", "words": "string"}
KINDS_SPEC = 'summary = "constants"\n[events]\ncolumns = [\n' + "".join(
    f'    {{ field = "MEMBER_{name}", heading = "{name.upper()}", width = 20 }},\n'
    for name in TYPES) + "]\n[options]\n" + "".join(
        f'{name} = {{ type = "{kind}", config = "{name}", help = "a constant"'
        + (', metavar = "X" }\n' if kind != "flag" else " }\n") for name, kind in TYPES.items())
VALUES: List[Tuple[List[str], List[object]]] = [
    ([], [-1, -5, 0x123456789a, 0, ""]),
    (["--tiny=-77", "--wide=-8589934592", f"--big={2 ** 63 + 5}", "--yes", "--words=some words"],
     [-77, -8589934592, 2 ** 63 + 5, 1, "some words"]),
    (["--tiny=2147483647", "--big=0", "--words=" + "w" * 23], [2147483647, -5, 0, 0, "w" * 23]),
]


@pytest.mark.parametrize("member, fixed", [("", list(TYPES)), ("its_", ["words"])])
def test_constants_of_every_kind(cache: Path, tmp_path: Path, member: str,
                                 fixed: List[str]) -> None:
    """Negative ones, more than 32 bits, bool, a string that the tool's own text reads."""
    tool = write_tool(tmp_path, "kinds", KINDS.replace("MEMBER_", member),
                      KINDS_SPEC.replace("MEMBER_", member))
    for args, values in VALUES:
        for frontend in ("c", "bcc"):
            done = own_run(frontend, tool, ["--format", "json", *args, "--", "true"])
            assert (done.status, done.stderr) == (0, b""), frontend
            data = done.objects()[0]["data"]
            assert list(data.values()) == values, frontend
    about = objects.section(programs(cache)[0].read_bytes(), objects.BCC_SECTION)
    assert about and json.loads(about)["fixed"] == fixed


def owned_by_another(path: Path) -> None:
    """As if somebody else had put it there."""
    os.chown(path, 1234, 1234)


def sealed(raw: bytes) -> bytes:
    """As a file of the cache has it."""
    return raw + b"%08x\n" % zlib.crc32(raw)


def well_sealed_nonsense(path: Path) -> None:
    """A program without an end, which the kernel will not take, with a right checksum."""
    raw = path.read_bytes()[:-9]
    code = objects.section(raw, "tracepoint/syscalls/sys_exit_openat")
    assert code and raw.count(code) == 1
    path.write_bytes(sealed(raw.replace(code, code[:-8] + bytes(8))))


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


def test_a_kept_object_that_the_kernel_refuses(cache: Path, workloads: Path) -> None:
    """Its log is told, nothing is traced, and the next start has another."""
    assert compilations("opensnoop") == 1
    well_sealed_nonsense(programs(cache)[0])
    trace = ["--", *map(str, opens(workloads, 23))]
    done, run_again = traced("opensnoop", trace)
    assert (done.status, done.stdout) == (1, b"")
    *log, sentence = done.stderr.decode().splitlines()
    assert any("BEGIN PROG LOAD LOG" in line for line in log)
    assert sentence == ("opensnoop: the kernel refuses the object (its log is above), but takes the "
                        "same programs from BCC: what was kept has been thrown away, so run it again")
    assert sum('bpfduet", "run", ' in line for line in run_again) == 2, run_again
    assert not any('"%s"' % (workloads / "opens") in line.split("[")[0] for line in run_again)
    done = finished(command("opensnoop", trace))
    assert (done.status, done.stderr, seen(done)) == (0, b"", 23)


def test_eight_at_once(cache: Path) -> None:
    """One compiles, the others wait for it."""
    argv = command("syscount", ["--", "true"])
    with tempfile.TemporaryDirectory() as folder:
        running = [subprocess.Popen(["strace", "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e", "trace=execve", "-o",
                                     f"{folder}/{number}", *argv], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for number in range(8)]
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in running]
        assert all(process.returncode == 0 for process in running), said
        logs = [Path(folder, str(number)).read_text() for number in range(8)]
    assert sorted(log.count("bpfduet.bcc import child") for log in logs) == [0] * 7 + [1]


def test_the_compiler_ends_with_who_wants_the_object(cache: Path) -> None:
    """Stopped by us, it could not end by itself."""
    with subprocess.Popen(command("readhist", ["--", "true"]), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        child = compiler_of(process)
        os.kill(child, signal.SIGSTOP)
        process.kill()
    deadline = time.monotonic() + PATIENCE_S
    while alive(child):
        assert time.monotonic() < deadline, "the compiler is left"
        time.sleep(0.01)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(cache: Path, end: int) -> None:
    """Programs, maps and links are gone with the process."""
    assert compilations("opensnoop") == 1
    with cgroup() as group:
        tracer = Running("bcc", "opensnoop", ["--cgroup", str(group)], 4)
        try:
            tracer.wait_ready()
            assert os.readlink(f"/proc/{tracer.process.pid}/exe") == str(LOADER)
            mine = held(tracer.process.pid)
            assert {kind for kind, _ in mine} >= {"prog", "map"}
            tracer.finish(end)
        finally:
            tracer.end()
    assert still_there(mine) == set()


IN_PROCESS = """
import os, sys
sys.path.insert(0, %r)
from bpfduet import Error, Tool
try:
    list(Tool("opensnoop").events(command=["true"]))
except Error as error:
    print(error, file=sys.stderr)
places = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
links = [os.readlink(place) for place in places if os.path.islink(place)]
print([link for link in links if "bpf" in link])
""" % str(ROOT / "python")


def a_program_without_an_end(path: Path) -> None:
    """In the place of exits are instructions that the kernel does not know."""
    raw = quick.unsealed(path.read_bytes())
    assert raw
    for name in ("syscalls/sys_exit_openat", "raw_syscalls/sys_exit"):  # one of them is loaded
        code = objects.section(raw, f"tracepoint/{name}")
        assert code and raw.count(code) == 1
        raw = raw.replace(code, code.replace(b"\x95" + bytes(7), bytes(8)))
    path.write_bytes(raw + quick.seal(raw))


@pytest.mark.parametrize("spoil, says", [
    (lambda path: None, b""),
    (a_program_without_an_end, b"what was kept has been thrown away, so run it again\n")])
def test_nothing_is_left_in_the_process(cache: Path, spoil: Callable[[Path], None],
                                        says: bytes) -> None:
    """A Python program goes on after a run: maps and programs are closed, of a failed load too."""
    assert finished([sys.executable, "-c", IN_PROCESS]).status == 0
    spoil(next(cache.glob("object-*")))
    done = finished([sys.executable, "-c", IN_PROCESS])
    assert (done.status, done.stdout) == (0, b"[]\n"), done
    assert done.stderr.endswith(says) and bool(done.stderr) == bool(says)


def test_loss_is_counted(workloads: Path, cache: Path) -> None:
    """One page of buffer, a reader that stands still: printed and lost are all."""
    assert compilations("opensnoop", "-b", "1") == 1
    with cgroup() as group:
        tracer = Running("bcc", "opensnoop", ["--cgroup", str(group), "-b", "1"], 4)
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


def tool_with(folder: Path, name: str, body: str, more: str = "", spec: str = "") -> str:
    """A tool of one program; returns its file."""
    return str(write_tool(folder, name, f'// {SPDX}\n#include "bpfduet.h"\n\n{more}\n'
                          "TRACEPOINT_PROBE(sched, sched_process_exec)\n{\n\tif (!task_matches())\n"
                          f'\t\treturn 0;\n{body}\treturn 0;\n}}\nLICENSE("Dual BSD/GPL");\n',
                          'summary = "test"\n[trace_pipe]\n' + spec))


def test_the_compiler_is_heard_each_time(cache: Path, tmp_path: Path) -> None:
    """-v shows the same warnings, whether it has compiled or not."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "warns", "", "#warning look here\n")
    for count in (1, 0):
        done, programs_run = traced(tool, ["-v", "--", "true"])
        assert done.status == 0 and done.stderr.count(b"warning: look here") == 1
        assert sum("bpfduet.bcc import child" in line for line in programs_run) == count


def test_members_as_in_the_headers_of_linux_7(cache: Path, tmp_path: Path) -> None:
    """BCC takes `struct x;` as a member, and without a warning."""
    trace_pipe_is_free()
    tool = tool_with(tmp_path, "unnamed", "\tstruct outer outer = {};\n\n\tif (outer.in)\n\t\treturn 1;\n",
                     "struct inner {\n\tint in;\n};\nstruct outer {\n\tstruct inner;\n};\n")
    done = finished(command(tool, ["-v", "--", "true"]))
    assert done.status == 0 and b"warning" not in done.stderr, done.stderr


def test_the_verifiers_log_is_bccs(cache: Path, tmp_path: Path) -> None:
    """What the kernel refuses is told by BCC: its log, shown once, names the source's line."""
    tool = tool_with(tmp_path, "refused", "\treturn *(volatile int *)(long)bpf_ktime_get_ns();\n")
    for _ in range(2):
        done = finished(command(tool, ["--", "true"]))
        assert done.status == 1 and done.stderr.count(b"verifier rejects") == 1
        assert done.stderr.count(b"invalid mem access") == 1
        assert b"; return *(volatile int *)" in done.stderr


@pytest.mark.parametrize("given", ["1000", "x", ""])
def test_the_engines_variable(cache: Path, given: str) -> None:
    """Set by somebody else, it is no traceback."""
    done = finished(command("opensnoop", ["--", "true"]), BPFDUET_EXPLAIN=given)
    assert (done.status, done.stdout) == (1, b"")
    assert one_sentence(done, "opensnoop") == "BPFDUET_EXPLAIN is for the engine alone: unset it"


def test_pins_are_opened_where_they_are(cache: Path, tmp_path: Path) -> None:
    """What the kernel refuses is explained with the maps that were named, relative to here."""
    source = tool_with(tmp_path, "filtered", "\tif (!container_matches())\n\t\treturn 0;\n"
                       "\treturn *(volatile int *)(long)bpf_ktime_get_ns();\n",
                       spec='\n[options]\ncgroupmap = { help = "these", map = "filter_cgroup_set" }\n')
    text = Path(source).read_text()
    Path(source).write_text("#define BPFDUET_CONTAINERS\n" + text)
    folder = mount_bpffs() / f"bpfduet-explained-{os.getpid()}"
    folder.mkdir()
    try:
        subprocess.run(["bpftool", "map", "create", str(folder / "set"), "type", "hash", "key", "8",
                        "value", "8", "entries", "4", "name", "set"], check=True)
        done = finish(start(command(source, ["--cgroupmap", "./set"]), cwd=folder))
    finally:
        (folder / "set").unlink(missing_ok=True)
        folder.rmdir()
    assert done.status == 1 and b"invalid mem access" in done.stderr, done


def test_all_tools_are_objects(cache: Path, tracefs: None) -> None:
    """Each of them, without anything that options decide."""
    source = """
import sys
sys.path.insert(0, %r)
from bpfduet import paths
from bpfduet.bcc import objects, start
for name in paths.names():
    print(name, objects.section(start._compile(paths.find(name), start._Made({}, {})), ".bpfduet") is not None)
""" % str(ROOT / "python")
    done = finished([sys.executable, "-c", source])
    assert done.status == 0, done.stderr
    made = dict(line.decode().split() for line in done.lines())
    assert len(made) >= 30 and set(made.values()) == {"True"}


def test_without_the_engine(cache: Path, tmp_path: Path) -> None:
    """A package of Python alone: what is missing, and nothing is compiled."""
    tree = tmp_path / "tree"
    tree.mkdir()
    copy_tree(tree)
    done = finished([str(tree / "bpfduet"), "run", "opensnoop", "--", "true"])
    assert (done.status, done.stdout) == (1, b"")
    assert one_sentence(done, "opensnoop") == (
        f"the engine is missing ({tree}/build/lib/libbpfduet.so.0): 'make' builds it, "
        "'make install' installs it")
    shutil.copytree(ROOT / "build/lib", tree / "build/lib")
    done = finished([str(tree / "bpfduet"), "run", "opensnoop", "--", "true"])
    assert (done.status, done.stdout) == (1, b"")
    assert one_sentence(done, "opensnoop") == (
        f"the engine is missing ({tree}/build/bin/bpfduet-loader): 'make' builds it, "
        "'make install' installs it")
    assert not programs(cache)
    done = finished([str(tree / "bpfduet"), "run", "opensnoop", "--help"])
    assert (done.status, done.stderr) == (0, b"") and done.stdout.startswith(b"Usage: opensnoop ")


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_an_answer_without_the_compiler(cache: Path, args: List[str]) -> None:
    """The same from Python as from the engine, and what cannot be written is said."""
    answers = set()
    for _ in range(2):
        done = finished(command("opensnoop", args))
        assert (done.status, done.stderr) == (0, b"")
        answers.add(done.stdout)
        with open("/dev/full", "wb") as full:
            unheard = subprocess.run(command("opensnoop", args), stdout=full,
                                     stderr=subprocess.PIPE, check=False)
        assert (unheard.returncode, unheard.stderr) == (
            1, b"opensnoop: cannot write the output: No space left on device\n")
        compilations("opensnoop")
    assert len(answers) == 1


# -- objects for one binary ----------------------------------------------------------------------


def probing(folder: Path, name: str, *flags: str) -> Path:
    """A program with probes."""
    program = folder / name
    subprocess.run(["gcc", "-O1", "-o", str(program), str(ROOT / "tests/workload/beacons.c"), *flags],
                   check=True)
    return program


def probed(program: Path, probe: str, *options: str) -> Tuple[int, List[int]]:
    """A run of usdtsnoop: how many times BCC compiled, and the first arguments."""
    done, programs_run = traced("usdtsnoop", ["--format", "csv", *options,
                                              f"{program}:beacons:{probe}", "--", str(program), "3"])
    assert (done.status, done.stderr) == (0, b""), done
    return (sum("bpfduet.bcc import child" in line for line in programs_run),
            [int(line.split(b",")[4]) for line in done.lines()[1:]])


@pytest.mark.parametrize("build_id", ["sha1", "none"])
def test_a_binary_is_a_part_of_the_key(cache: Path, tmp_path: Path, build_id: str) -> None:
    """The same object for other options; another for another probe, and for a binary that was
    built anew, where the arguments are elsewhere."""
    flag = f"-Wl,--build-id={build_id}"
    program = probing(tmp_path, "probed", flag)
    assert probed(program, "one") == (1, [0, 1, 2])
    assert probed(program, "one", "--comm", "probed", "--uid", "0") == (0, [0, 1, 2])
    assert probed(program, "narrow") == (1, [0, -1, -2])
    program = probing(tmp_path, "probed", flag, "-O0")
    assert probed(program, "narrow") == (1, [0, -1, -2])
    assert probed(program, "narrow") == (0, [0, -1, -2])
    copy = tmp_path / "copy"
    shutil.copy(program, copy)
    # known by its build id, or else by when it was written
    assert probed(copy, "narrow") == (0 if build_id == "sha1" else 1, [0, -1, -2])


@pytest.mark.parametrize("build_id", ["sha1", "none"])
def test_the_loader_refuses_another_binary(cache: Path, tmp_path: Path, build_id: str) -> None:
    """Before it loads anything: by its build id, or size and date; another probe, too."""
    flag = f"-Wl,--build-id={build_id}"
    program, other = probing(tmp_path, "probed", flag), probing(tmp_path, "other", flag, "-O0")
    probed(program, "one")
    kept = tmp_path / "kept.o"
    kept.write_bytes(programs(cache)[0].read_bytes())
    done = by_loader(kept, "--format", "csv", f"{program}:beacons:one", "--", str(program), "3")
    assert (done.status, done.stderr, len(done.lines())) == (0, b"", 4)
    for target in (f"{other}:beacons:one", f"{program}:beacons:wide"):
        trace = ["strace", "-f", "-qq", "-e", "trace=bpf", "-o", str(tmp_path / "log")]
        done = finished([*trace, str(LOADER), str(kept), target, "--", str(program), "3"])
        assert (done.status, done.stdout) == (1, b"")
        assert one_sentence(done, "usdtsnoop") == (
            "cannot attach usdt__hit (usdt/): BCC compiled the object for another binary than "
            f"'{target.split(':')[0]}', or another probe: 'bpfduet run' compiles it for each")
        assert "BPF_PROG_LOAD, {prog_type=BPF_PROG_TYPE_KPROBE" not in (tmp_path / "log").read_text()


def test_a_damaged_table_of_probes(cache: Path, tmp_path: Path) -> None:
    program = probing(tmp_path, "probed")
    probed(program, "one")
    raw = programs(cache)[0].read_bytes()
    for old, new, sentence in (
            (b'"places":[{"offset"', b'"places":[{"offsex"', "the table of probes is damaged"),
            (b'"usdt":[{"program"', b'"usdx":[{"program"', "for another binary"),
            (b'"semaphore":0', b'"semaphore":-', "is damaged")):
        assert raw.count(old) >= 1
        (tmp_path / "kept.o").write_bytes(raw.replace(old, new))
        done = by_loader(tmp_path / "kept.o", f"{program}:beacons:one", "--", str(program), "3")
        assert (done.status, done.stdout) == (1, b"")
        assert sentence in one_sentence(done, "usdtsnoop")


# -- the loader and kept objects ---------------------------------------------------------------


@pytest.fixture(name="kept")
def kept_object(cache: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a file of a tool's kept object, with some bytes in place of others."""
    def make(tool: str, old: bytes = b"", new: bytes = b"") -> Path:
        compilations(tool)
        raw = programs(cache)[0].read_bytes()
        assert raw.count(old) >= 1 and len(old) == len(new)
        out = tmp_path / "kept.o"
        out.write_bytes(raw.replace(old, new))
        return out
    return make


def by_loader(path: Path, *args: str) -> Result:
    """Run an object."""
    return finished([str(LOADER), str(path), *args])


def test_the_loader_runs_what_is_kept(kept: Callable[..., Path], workloads: Path) -> None:
    """With the tool's options."""
    done = by_loader(kept("opensnoop"), "-x", "--", *map(str, opens(workloads, 23)))
    assert (done.status, done.stderr, seen(done)) == (0, b"", 23)


RELEASE, FORMAT = os.uname().release.encode(), b'"format":1'


@pytest.mark.parametrize("old, new, sentence", [
    (b'"release":"' + RELEASE, b'"release":"' + RELEASE[::-1], "for another kernel"),
    (b'"notes":"', b'"nodes":"', "for another kernel"),
    (FORMAT, b'"format":2', "of another version of bpfduet"),
    (b'"cpus":"', b'"gpus":"', "for another number of CPUs"),
    (b'"instruction":', b'"instructiox":', "does not fit the code"),
    (b'"word":0', b'"word":1', "does not fit the code"),
    (b'"image":"', b'"imaga":"', "does not fit"),
    (b'{"format":1', b'["format":1', "is damaged"),
])
def test_objects_that_are_refused(kept: Callable[..., Path], old: bytes, new: bytes,
                                  sentence: str) -> None:
    """One sentence, exit 1."""
    done = by_loader(kept("opensnoop", old, new), "--duration", "1")
    assert (done.status, done.stdout) == (1, b"")
    assert sentence in one_sentence(done, "opensnoop")


@pytest.mark.parametrize("module, good", [
    ({"name": "vmlinux", "notes": "", "btf": Path("/sys/kernel/btf/vmlinux").stat().st_size}, True),
    ({"name": "vmlinux", "notes": "", "btf": 1}, False),
    ({"name": "vmlinux", "notes": "00", "btf": Path("/sys/kernel/btf/vmlinux").stat().st_size}, False),
    ({"name": "bpfduet_missing", "notes": "", "btf": 0}, False),
    ({"name": "../btf/vmlinux", "notes": "", "btf": 1}, False), ({}, False)])
def test_modules_of_the_kernel(kept: Callable[..., Path], tmp_path: Path,
                               module: Dict[str, object], good: bool) -> None:
    """One whose types the object was compiled with has to be loaded, and of the same build."""
    path = kept("opensnoop")
    found = objects.section(path.read_bytes(), objects.BCC_SECTION)
    assert found
    about = json.loads(found)
    assert about["modules"] == []
    (tmp_path / "about").write_text(json.dumps({**about, "modules": [module]}))
    objcopy = sorted(Path("/usr/bin").glob("llvm-objcopy*"))[-1]
    subprocess.run([str(objcopy), f"--update-section={objects.BCC_SECTION}={tmp_path}/about",
                    str(path)], check=True)
    done = by_loader(path, "--", "true")
    if good:
        assert (done.status, done.stderr) == (0, b"")
        return
    assert (done.status, done.stdout) == (1, b"")
    assert one_sentence(done, "opensnoop") == (
        f"BCC compiled the object with types of the kernel's module '{module.get('name', '')}', which "
        "is not loaded or is another now: load it, or compile the object again with 'bpfduet run'")


def test_places_of_constants_are_checked(kept: Callable[..., Path], cache: Path) -> None:
    """An instruction behind the end, one that is no placeholder, a negative one."""
    path = kept("opensnoop")
    raw = path.read_bytes()
    place = re.findall(rb'"instruction":(\d\d+),', raw)[0]
    for other in (b"9" * len(place), b"0".rjust(len(place)), b"-" + b"1" * (len(place) - 1)):
        path.write_bytes(raw.replace(b'"instruction":' + place, b'"instruction":' + other, 1))
        done = by_loader(path, "--duration", "1")
        assert done.status == 1 and "does not fit the code" in one_sentence(done, "opensnoop")


def test_what_was_compiled_in_stays(kept: Callable[..., Path]) -> None:
    """The loader refuses another value; `bpfduet run` compiles it."""
    path = kept("exitsnoop")
    assert by_loader(path, "--", "true").stdout.count(b"true") == 1
    done = by_loader(path, "--label=x", "--", "true")
    assert (done.status, done.stdout) == (1, b"")
    assert "the constant 'label' was compiled into the object" in one_sentence(done, "exitsnoop")
    done = finished(command("exitsnoop", ["--label=some", "--", "true"]))
    assert (done.status, done.stderr) == (0, b"") and done.stdout.count(b"some") == 1


def test_constants_filled_in_are_as_compiled(cache: Path) -> None:
    """Code with filled in constants is, byte for byte, what the compiler makes of them."""
    script = f"""
import struct, sys
sys.path.insert(0, {str(ROOT / "python")!r})
from bpfduet.bcc.libbcc import library
from bpfduet import paths
from bpfduet.bcc import child, module
compilation = child._Compilation(paths.TOOLS / "opensnoop.bpf.c", {{}}, {{}})
plan = compilation._plans()[0]
flags, marks = compilation._flags(plan)
others = range(child._MARK, child._MARK + len(compilation._pinned))
# more than 32 bits: clang loads smaller ones by another instruction
constants = {{name: number << 40 | 1 for number, name in enumerate(sorted(plan.late), 1)}}
values = [f"-DDUET_LATE_{{name}}=,{{value}}ULL" for name, value in constants.items()]
late = module.describe(library(), compilation._module(plan.text, flags), marks, others)
plain = module.describe(library(), compilation._module(plan.text, flags + values), {{}}, others)
read = {{name for one in late.functions for _, name in one.late}}
assert {{"filter_pid", "filter_comm_1", "failed_only", "flag_mask"}} <= read, read
for one, other in zip(late.functions, plain.functions):
    raw, expected = bytearray(one.code), bytearray(other.code)
    assert one.maps == other.maps and one.name == other.name
    for place, name in one.late:
        if name in constants:
            struct.pack_into("=i4xi", raw, 8 * place + 4, *struct.unpack("=ii", struct.pack("=Q", constants[name])))
    for place, _ in one.maps:       # other maps, of the same names
        raw[8 * place + 4:8 * place + 8] = expected[8 * place + 4:8 * place + 8] = bytes(4)
    print(one.name, len(raw), raw == expected, raw == one.code)
"""
    done = finished([sys.executable, "-c", script])
    assert done.status == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 2 and all(line[2:] == [b"True", b"False"] for line in lines), done.stdout
