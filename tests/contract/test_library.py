# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""libbpfduet inside other programs: many tools, many threads, and nothing of the program's touched."""
from __future__ import annotations

import ctypes as ct
import os
import re
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from frontends import BUILD, PATIENCE_S, ROOT
from bpfduet import Error, UsageError
from bpfduet.bcc import start
from bpfduet.engine import LIBRARIES, Engine, Refused
from support import MISSING, SPDX, held, opens, still_there, write_tool

LIBRARY = LIBRARIES[0]
HEADER = ROOT / "c_loader" / "bpfduet.h"
N_TOOLS = 10


def compiled(tool: str) -> bytes:
    """A tool's object, as clang has made it."""
    return (BUILD / "bpf" / f"{tool}.bpf.o").read_bytes()


def watching(count: int, workloads: Path, *options: bytes) -> Engine:
    """opensnoop on so many opens, not started."""
    engine = Engine(compiled("opensnoop"))
    engine.parse([*options, b"--", *(os.fsencode(word) for word in opens(workloads, count))])
    return engine


@pytest.fixture(autouse=True)
def fixture_nothing_is_left() -> Iterator[None]:
    """Programs, maps and descriptors end with the handle."""
    before, files = held(os.getpid()), sorted(os.listdir("/proc/self/fd"))
    yield
    assert still_there(held(os.getpid()) - before) == set()
    assert sorted(os.listdir("/proc/self/fd")) == files


# -- what is in the file -------------------------------------------------------------------------


@pytest.mark.host_only
def test_only_the_header_is_shown() -> None:
    """Its functions, all of them, and nothing of libbpf; the name that programs ask for."""
    declared = set(re.findall(r"^BPFDUET_API [^;(]*?\b(bpfduet__\w+)\(", HEADER.read_text(), re.MULTILINE))
    shown = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    assert {line.split()[2].split("@")[0] for line in shown.splitlines() if " T " in line} == declared
    assert len(declared) > 30
    dynamic = subprocess.run(["readelf", "-d", LIBRARY], check=True, text=True, stdout=subprocess.PIPE).stdout
    assert "Library soname: [libbpfduet.so.0]" in dynamic
    assert not re.search(r"NEEDED.*\[lib(bpf|stdc\+\+)", dynamic)


@pytest.mark.host_only
@pytest.mark.parametrize("compiler", [["cc", "-std=c99"], ["c++"]])
def test_header_alone(tmp_path: Path, compiler: List[str]) -> None:
    """It needs nothing before it, in C and in C++."""
    source = tmp_path / ("one.c" if compiler[0] == "cc" else "one.cc")
    source.write_text(f'#include "{HEADER}"\n')
    subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "-o", "/dev/null", source], check=True)


# -- a C program -----------------------------------------------------------------------------------


@pytest.mark.host_only
def test_example(workloads: Path, tmp_path: Path) -> None:
    """examples/opens.c, built as its comment says against what `make install` installs."""
    subprocess.run(["make", "install", f"DESTDIR={tmp_path}", "PREFIX=/p"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "bpfduet"], check=True, text=True,
                           stdout=subprocess.PIPE, env={
                               **os.environ, "PKG_CONFIG_PATH": str(tmp_path / "p/lib/pkgconfig"),
                               "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}).stdout.split()
    program = tmp_path / "opens"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", program, ROOT / "examples/opens.c", *flags],
                   check=True)
    environment = {"LD_LIBRARY_PATH": str(tmp_path / "p/lib")}
    done = subprocess.run([program, BUILD / "bpf/opensnoop.bpf.o", *opens(workloads, 23)], check=True,
                          stdout=subprocess.PIPE, env=environment, timeout=PATIENCE_S)
    assert done.stdout.count(f'"path":"{MISSING}"'.encode()) == 23
    done = subprocess.run([program, HEADER, "true"], check=False, stderr=subprocess.PIPE,
                          env=environment, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (1, b"opens: the object holds no bound spec: build it again\n")


# -- many at once ---------------------------------------------------------------------------------


def test_ten_tools_in_one_loop(workloads: Path) -> None:
    """Each has its own COMMAND and its own cgroup, and sees that alone; one wait for all."""
    records: List[List[bytes]] = [[] for _ in range(N_TOOLS)]
    engines = []
    try:
        for number, records_of in enumerate(records):
            engine = watching(20 + number, workloads, b"--failed")
            engines.append(engine)
            engine.on_record(records_of.append)
            engine.start()
        waiting = select.poll()
        running = {engine.fileno(): engine for engine in engines}
        for descriptor in running:
            waiting.register(descriptor, select.POLLIN)
        while running:
            ready = waiting.poll(PATIENCE_S * 1000)
            assert ready
            for descriptor, _ in ready:
                if not running[descriptor].poll(0):
                    waiting.unregister(descriptor)
                    running.pop(descriptor).stop()
    finally:
        for engine in engines:
            engine.close()
    assert [sum(MISSING.encode() in record for record in one) for one in records] == \
        [20 + number for number in range(N_TOOLS)]


def in_threads(*functions: Callable[[], None]) -> None:
    """All at once, to their ends; what one raises comes out."""
    failed: List[BaseException] = []
    gate = threading.Barrier(len(functions))

    def run(function: Callable[[], None]) -> None:
        try:
            gate.wait(PATIENCE_S)
            function()
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


def test_ten_tools_in_ten_threads(workloads: Path) -> None:
    """Of two kinds, each on its own COMMAND."""
    seen: Dict[int, int] = {}

    def watch(number: int) -> None:
        out: List[bytes] = []
        engine = watching(20 + number, workloads, b"--failed", b"--format=json")
        try:
            engine.on_write(lambda data, text: out.append(text) if data else None)
            engine.start()
            while engine.poll():
                pass
            engine.stop()
        finally:
            engine.close()
        seen[number] = b"".join(out).count(f'"path":"{MISSING}"'.encode())

    in_threads(*(lambda number=number: watch(number) for number in range(N_TOOLS)))
    assert seen == {number: 20 + number for number in range(N_TOOLS)}


REFUSED = f"""/* {SPDX} */
#include "bpfduet.h"

TRACEPOINT_PROBE(sched, sched_process_%s)
{{
	u64 *nowhere = (void *)0;
	u64 value = bpf_ktime_get_ns();

	return *(volatile u64 *)(value + %d);
}}

LICENSE("GPL");
"""


def test_two_failing_loads(tmp_path: Path) -> None:
    """At once, in two threads, again and again: each has the log of its own program."""
    sources = {name: write_tool(tmp_path, name, REFUSED % (event, size), f'summary = "{name}"\n[trace_pipe]\n')
               for name, event, size in (("one", "exec", 4242), ("two", "exit", 2424))}
    objects = {name: start.object_for(source, []) for name, source in sources.items()}
    logs: Dict[str, List[str]] = {name: [] for name in sources}

    def fail(name: str) -> None:
        for _ in range(20):
            engine = Engine(objects[name], sources[name])
            try:
                engine.parse([])
                with pytest.raises(Refused) as raised:
                    engine.start()
                logs[name].append(raised.value.detail)
            finally:
                engine.close()

    in_threads(lambda: fail("one"), lambda: fail("two"))
    for name, own, other in (("one", "sched_process_exec", "sched_process_exit"),
                             ("two", "sched_process_exit", "sched_process_exec")):
        assert len(logs[name]) == 20 and len(set(logs[name])) == 1
        assert own in logs[name][0] and other not in logs[name][0]
        assert "BEGIN PROG LOAD LOG" in logs[name][0]


# -- the program's own things ---------------------------------------------------------------------


UNTOUCHED = """
import os, sys
sys.path.insert(0, %r)
from bpfduet.engine import Engine
def mine():
    status = open("/proc/self/status").read()
    return [os.readlink(f"/proc/self/fd/{number}") for number in range(3)], os.getcwd(), \\
        os.readlink("/proc/self/ns/mnt"), [line for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
before = mine()
out = []
engine = Engine(open(sys.argv[1], "rb").read())
engine.parse([b"-v", b"--", b"true"])
engine.on_write(lambda data, text: out.append((data, text)))
engine.start()
running = mine()
while engine.poll():
    pass
engine.stop()
engine.close()
assert before == running == mine(), (before, running, mine())
assert any(b"libbpf: " in text for data, text in out if not data)
assert any(b"PID" in text for data, text in out if data)
"""


def test_nothing_of_the_program_is_touched(tmp_path: Path) -> None:
    """Signal handlers, descriptors 0 to 2 and what is on them, working directory, mounts; with -v."""
    with open(tmp_path / "said", "wb") as said:
        done = subprocess.run([sys.executable, "-c", UNTOUCHED % str(ROOT / "python"),
                               BUILD / "bpf/opensnoop.bpf.o"], check=False, stdin=subprocess.DEVNULL,
                              stdout=said, stderr=said, timeout=PATIENCE_S)
    assert (done.returncode, (tmp_path / "said").read_bytes()) == (0, b"")


# -- objects of another format ---------------------------------------------------------------------


@pytest.mark.parametrize("before, after, sentence", [
    (b'"bpfduet": 1,', b'"bpfduet": 2,', "another version of bpfduet"),
    (b'"format": 1,', b'"format": 2,', "another version of bpfduet")])
def test_another_format(before: bytes, after: bytes, sentence: str) -> None:
    """The format of an object is checked before anything else of it."""
    raw = start.object_for(ROOT / "shared_bpf/opensnoop.bpf.c", [])
    for one in (before, before.replace(b": ", b":")):
        raw = raw.replace(one, after.replace(b": ", b":") if b": " not in one else after)
    with pytest.raises(Error, match=sentence):
        engine = Engine(raw)
        try:
            engine.parse([b"--duration=1"])
            engine.start()
        finally:
            engine.close()


@pytest.mark.parametrize("raw", [b"", b"\x7fELF", bytes(4096), b"{}"])
def test_no_object(raw: bytes) -> None:
    """Bytes that are none."""
    with pytest.raises(Error, match="the object holds no bound spec"):
        Engine(raw)


# -- maps, reports, symbols, order -----------------------------------------------------------------


def test_maps(workloads: Path) -> None:
    """Look up, iterate, update, delete, of one value and of one for each CPU."""
    engine = Engine(compiled("syscount"))
    engine.parse([b"--syscall=getpgid", b"--", os.fsencode(workloads / "calls"), b"23"])
    try:
        engine.start()
        while engine.poll():
            pass
        engine.stop()
        (name,) = engine.report_names()
        report = next(one for one in engine.spec["reports"] if one["name"] == name)
        about = engine.map(report["map"])
        ((key, value),) = engine.entries(report["map"])
        assert (len(key), len(value), about.values) == (about.key_size, about.value_size, 1)
        assert value.startswith((23).to_bytes(8, sys.byteorder))
        engine.update(report["map"], key, bytes(about.value_size))
        assert dict(engine.entries(report["map"])) == {key: bytes(about.value_size)}
        assert engine.delete(report["map"], key) and not engine.delete(report["map"], key)
        assert not list(engine.entries(report["map"]))
        with pytest.raises(Error, match="the object has no map 'none'"):
            engine.map("none")
        with pytest.raises(Error, match="has keys of"):
            engine.update(report["map"], key + b"x", value)
        assert engine.lost() == (0, engine.lost().skipped)
    finally:
        engine.close()


def test_maps_per_cpu() -> None:
    """A value for each possible CPU, each in a multiple of 8 bytes."""
    engine = Engine(compiled("schedcount"))
    engine.parse([b"--", b"true"])
    try:
        engine.start()
        while engine.poll():
            pass
        engine.stop()
        (report,) = engine.spec["reports"]
        about = engine.map("counts")
        possible = Path("/sys/devices/system/cpu/possible").read_text().strip()
        assert about.values == int(possible.rpartition("-")[2]) + 1
        assert about.value_size == 8 * about.values
        entries = dict(engine.entries("counts"))
        assert len(entries) == about.max_entries
        execs = next(int(number) for number, name in report["columns"][0]["values"].items()
                     if name.endswith(":sched_process_exec"))
        value = entries[execs.to_bytes(4, sys.byteorder)]
        assert sum(int.from_bytes(value[i:i + 8], sys.byteorder) for i in range(0, len(value), 8)) == 1
    finally:
        engine.close()


def test_reports_while_it_runs(workloads: Path) -> None:
    """Whenever the program asks, and at the end."""
    out: List[bytes] = []
    engine = Engine(compiled("syscount"))
    engine.parse([b"--syscall=getpgid", b"--format=json", b"--",
                  *(os.fsencode(word) for word in (
                      "sh", "-c", f"{workloads}/calls 23 >/dev/null; while :; do sleep 0.05; done"))])
    engine.on_write(lambda data, text: out.append(text) if data else None)
    try:
        engine.start()
        while sum(map(int, re.findall(rb'"count":(\d+)', b"".join(out)))) < 23:
            assert engine.poll(10)
            engine.report()
    finally:
        engine.close()


def test_symbols() -> None:
    """Of the kernel, and of this process; NULL for what is nowhere."""
    engine = Engine.bare()
    try:
        address = ct.cast(ct.CDLL(None).getpid, ct.c_void_p).value
        assert address and engine.symbol(os.getpid(), address + 1) in ("getpid", "__getpid")
        kernel = next(line.split() for line in Path("/proc/kallsyms").read_text().splitlines()
                      if line.endswith(" T schedule"))
        assert engine.symbol(0, int(kernel[0], 16) + 1) == "schedule"
        assert engine.symbol(os.getpid(), 1) is None and engine.symbol(0, 1) is None
    finally:
        engine.close()


def test_wrong_order(workloads: Path) -> None:
    """A sentence each."""
    engine = watching(1, workloads)
    try:
        for call in (engine.poll, engine.stop, engine.report, lambda: engine.map("events")):
            with pytest.raises(Error, match="the tool is not running"):
                call()
        with pytest.raises(Error, match="a command line was read already"):
            engine.parse([])
        engine.start()
        with pytest.raises(Error, match="a handle is started once"):
            engine.start()
    finally:
        engine.close()
    engine = Engine(compiled("opensnoop"))
    try:
        with pytest.raises(UsageError, match="unknown option '--nonsense'"):
            engine.parse([b"--nonsense"])
        with pytest.raises(Error, match="unknown option"):
            engine.start()
        assert engine.fileno() == -1
    finally:
        engine.close()


def test_option_values() -> None:
    """What was typed, defaults, and what becomes of constants."""
    engine = Engine(compiled("opensnoop"))
    try:
        assert engine.parse([b"-x", b"--pid", b"0x10"]) is None
        assert engine.option("failed")[0] and not engine.option("timestamp")[0]
        assert engine.option("pid") == (True, b"0x10") and engine.option("format") == (False, b"text")
        assert engine.constant("filter_pid", 4) == (16).to_bytes(4, sys.byteorder)
        assert engine.constant("filter_uid", 4) is None and engine.constant("filter_pid", 8) is None
        assert not engine.has_command()
    finally:
        engine.close()
