# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""USDT probes in all kinds of binaries: fixed, position independent, libraries; with several
places; with semaphores; and found as the process of --pid sees its files."""
from __future__ import annotations

import contextlib
import ctypes as ct
import os
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

import pytest

import kept
from bpfduet.bcc import usdt
from contract.support import own_run, write_tool
from frontends import FRONTENDS, PATIENCE_S, Argument, Result, Running, run, watch
from needs import release
from parity.same import assert_same

SOURCES = Path(__file__).resolve().parents[1] / "workload" / "usdt"
FLAGS = ["-O1", "-g0", "-Wall", "-Wextra", "-Werror"]
COUNT = 23
LAYOUTS = ("fixed", "pie", "library")
VALUES: Dict[str, Callable[[int], List[int]]] = {
    "twice": lambda n: [-n, n << 40], "far": lambda n: [n, -n], "global": lambda n: [1001 + n]}


def build(out: Path, sources: Sequence[Path], *flags: str) -> Path:
    """Compile a workload."""
    argv = ["gcc", *FLAGS, "-o", str(out), *map(str, sources), *flags]
    return kept.made(out, sources, ["gcc", *FLAGS, *flags],
                     lambda: subprocess.run(argv, check=True))


def scattered(folder: Path, layout: str) -> Tuple[Path, Path]:
    """A program that passes the probes, and the file that has them."""
    sources = [SOURCES / "scattered.c", SOURCES / "main.c"]
    if layout == "library":
        library = build(folder / "libscattered.so", sources[:1], "-shared", "-fPIC")
        argv = ["gcc", *FLAGS, "-o", str(folder / "main"), str(sources[1]), str(library),
                "-Wl,-rpath,$ORIGIN"]
        subprocess.run(argv, check=True)
        return folder / "main", library
    flags = ["-no-pie", "-fno-pie"] if layout == "fixed" else ["-pie", "-fPIE"]
    program = build(folder / "scattered", sources, *flags)
    return program, program


def first_arguments(result: Result) -> List[int]:
    """What usdtsnoop printed as CSV: the first argument of each."""
    assert (result.status, result.stderr) == (0, b""), result
    return [int(line.split(b",")[4]) for line in result.lines()[1:]]


def expected(probe: str, count: int = COUNT) -> List[int]:
    """The first arguments of a probe of scattered.c."""
    return [value for n in range(count) for value in VALUES[probe](n)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("probe", ["twice", "far"])
def test_several_places(workloads: Path, tmp_path: Path, layout: str, probe: str) -> None:
    """The argument is another register at each; of ``far`` the places share an offset of pages."""
    program, binary = scattered(tmp_path, layout)
    with usdt.Binary(str(binary)) as read:
        places = read.places("app", probe)
    assert len(places) == 2 and places[0].operands != places[1].operands
    assert (len({place.address % 4096 for place in places}) == 1) == (probe == "far")
    for frontend in FRONTENDS:
        done = run(frontend, "usdtsnoop", ["--format", "csv", f"{binary}:app:{probe}", "--",
                                           str(program), str(COUNT)])
        assert first_arguments(done) == expected(probe), frontend


def links(places: int) -> int:
    """How many the engine holds for so many places of a probe: libbpf 1.3 and Linux 6.6 have one link
    for all."""
    library = ct.CDLL("libbpf.so.1")
    version = library.libbpf_major_version(), library.libbpf_minor_version()
    return 1 if version >= (1, 3) and release() >= (6, 6) else places


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_places_of_a_process(workloads: Path, tmp_path: Path, layout: str) -> None:
    program, binary = scattered(tmp_path, layout)
    watched = watch("usdtsnoop", ["-p", "{pid}", f"{binary}:app:twice"], [str(program), str(COUNT)],
                    links(2), ["csv"], bystander=[str(program), "5"])
    same = assert_same(watched, {"csv": [(rb"^\d\d:\d\d:\d\d,", b"TIME,")]}, ["csv"])
    assert [int(line.split(b",")[4]) for line in same["csv"].splitlines()[1:]] == expected("twice")


@pytest.mark.parametrize("layout", ["fixed", "pie"])
def test_a_variable(workloads: Path, tmp_path: Path, layout: str) -> None:
    """An argument in memory that the instruction pointer leads to; libbpf knows none of these."""
    program, binary = scattered(tmp_path, layout)
    done = run("bcc", "usdtsnoop", ["--format", "csv", f"{binary}:app:global", "--", str(program),
                                    str(COUNT)])
    assert first_arguments(done) == expected("global")


def test_a_number_that_bpf_cannot_read(workloads: Path, tmp_path: Path) -> None:
    """The arguments behind it are not taken for it."""
    program, binary = scattered(tmp_path, "pie")
    done = run("bcc", "usdtsnoop", [f"{binary}:app:mixed", "--", str(program), str(COUNT)])
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    assert b"argument 1 of the probe 'app:mixed' cannot be read: '8f@%" in done.stderr


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_relative_path(workloads: Path, tmp_path: Path, frontend: str) -> None:
    scattered(tmp_path, "pie")
    done = run(frontend, "usdtsnoop", ["--format", "csv", "./scattered:app:twice", "--",
                                       "./scattered", str(COUNT)], cwd=tmp_path)
    assert first_arguments(done) == expected("twice")


TWO = """// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#define BPFDUET_USDT
#include "bpfduet.h"

BPF_ARRAY(sums, s64, 2);

USDT(one, "")
{
	s64 n = 0;

	if (task_matches() && !bpf_usdt_readarg(1, ctx, &n))
		sums.atomic_increment(0, n);
	return 0;
}

USDT(other, "")
{
	s64 n = 0;

	if (task_matches() && !bpf_usdt_readarg(2, ctx, &n))
		sums.atomic_increment(1, n);
	return 0;
}

LICENSE("Dual BSD/GPL");
"""
TWO_SPEC = """summary = "two probes"

[options]
one = { help = "of the first", type = "path", required = true }
other = { help = "of the second", type = "path" }

[programs]
usdt__one = { target = "{one}" }
usdt__other = { target = "{other}", when = "other" }

[[report]]
map = "sums"
columns = [{ field = "value", heading = "SUM" }]
"""


def test_two_programs(workloads: Path, tmp_path: Path) -> None:
    """Each has its probe, of its binary; one of them only if it is wanted. An argument that cannot
    be read does not matter to a program that does not."""
    source = write_tool(tmp_path, "two", TWO, TWO_SPEC)
    beacons, _ = str(workloads / "beacons"), scattered(tmp_path, "pie")
    script = f"{beacons} {COUNT}; {tmp_path}/scattered {COUNT}"
    one = f"--one={tmp_path}/scattered:app:twice"
    sums = [sum(expected("twice")), sum(n << 40 for n in range(COUNT)) * -1]
    for args, found in (([one], [sums[0]]),
                        ([one, f"--other={beacons}:beacons:wide"], sums),
                        ([f"--one={beacons}:beacons:one", f"--other={beacons}:beacons:wide"],
                         [sum(range(COUNT)), sums[1]])):
        done = own_run("bcc", source, [*args, "--format", "csv", "--", "sh", "-c", script])
        assert (done.status, done.stderr) == (0, b""), done
        values = [int(line) for line in done.lines()[1:]]
        assert [value for value in values if value] == found
    done = own_run("bcc", source, [one, f"--other={tmp_path}/scattered:app:mixed", "--", "sh", "-c",
                                   script])
    assert (done.status, done.stderr) == (0, b"")


# -- semaphores ----------------------------------------------------------------------------------


class Talking:
    """A workload that does something for each line that it is given."""

    def __init__(self, argv: Sequence[Argument]):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def say(self, number: int) -> bytes:
        """Give it a line; what it answers."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"%d\n" % number)
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self) -> Talking:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=PATIENCE_S)


@contextlib.contextmanager
def tracing(tool: str, args: Sequence[Argument], programs: int,
            frontends: Sequence[str] = FRONTENDS) -> Iterator[List[Running]]:
    """A tool by each frontend, ready."""
    tracers: List[Running] = []
    try:
        for frontend in frontends:
            tracers.append(Running(frontend, tool, args, programs))
        for tracer in tracers:
            tracer.wait_ready()
        yield tracers
    finally:
        for tracer in tracers:
            tracer.end()


@pytest.mark.parametrize("tracers_by", [("c",), ("bcc",), FRONTENDS])
@pytest.mark.parametrize("by_pid", [True, False])
def test_semaphores_of_a_running_process(workloads: Path, tmp_path: Path, by_pid: bool,
                                         tracers_by: Sequence[str]) -> None:
    """Up while the probe is traced, by one or more, and down then. The other stays."""
    guarded = build(tmp_path / "guarded", [SOURCES / "guarded.c"])
    with Talking([str(guarded)]) as process:
        assert process.say(3) == b"0 0\n"
        args = ["--format", "csv", *(["-p", str(process.pid)] if by_pid else []),
                f"{guarded}:app:guarded"]
        with tracing("usdtsnoop", args, 1, tracers_by) as tracers:
            assert process.say(COUNT) == b"1 0\n"
            results = [tracer.finish() for tracer in tracers]
        assert process.say(3) == b"0 0\n"
    for result in results:
        assert first_arguments(result) == list(range(COUNT))


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_semaphores_of_a_command(workloads: Path, tmp_path: Path, frontend: str) -> None:
    guarded = build(tmp_path / "guarded", [SOURCES / "guarded.c"])
    done = run(frontend, "usdtsnoop", ["--format", "csv", f"{guarded}:app:other", "--",
                                       str(guarded), str(COUNT)])
    lines = done.stdout.splitlines()
    assert b"0 1" in lines
    lines.remove(b"0 1")
    assert first_arguments(Result(b"\n".join(lines), done.stderr, done.status)) == list(
        range(COUNT))


# -- processes that see other files ----------------------------------------------------------------


@contextlib.contextmanager
def elsewhere(script: str) -> Iterator[Talking]:
    """A workload in a mount namespace of its own."""
    with Talking(["unshare", "-m", "--propagation", "private", "sh", "-c", script]) as process:
        yield process


@pytest.fixture(name="inner")
def another_file_inside(workloads: Path, tmp_path: Path) -> Iterator[Tuple[Talking, str]]:
    """A process, and the path of its program, at which this process sees another file."""
    program, _ = scattered(tmp_path, "pie")
    place = tmp_path / "place"
    place.mkdir()
    decoy = build(place / "program", [SOURCES / "guarded.c"])
    with elsewhere(f"mount -t tmpfs none {place} && cp {program} {decoy} && exec {decoy}") \
            as process:
        assert process.say(0) == b"0\n"      # it has been started
        yield process, str(decoy)


def test_a_path_in_another_mount_namespace(inner: Tuple[Talking, str]) -> None:
    """USDT: the file at that path there."""
    process, path = inner
    with tracing("usdtsnoop", ["--format", "csv", "-p", str(process.pid), f"{path}:app:twice"],
                 links(2)) as tracers:
        process.say(COUNT)
        results = [tracer.finish() for tracer in tracers]
    for result in results:
        assert first_arguments(result) == expected("twice")


def counted(result: Result) -> int:
    """How many calls funclatency has seen."""
    assert result.status == 0 and result.stderr.startswith(b"Tracing 1 functions for "), result
    return int(result.stdout.rpartition(b"count: ")[2])


def test_a_function_in_another_mount_namespace(inner: Tuple[Talking, str]) -> None:
    """The program there has it, the one here does not."""
    process, path = inner
    with tracing("funclatency", ["-p", str(process.pid), f"{path}:scatter"], 2) as tracers:
        for _ in range(5):
            process.say(1)
        results = [tracer.finish() for tracer in tracers]
    assert [counted(result) for result in results] == [5, 5]


def test_a_library_by_its_short_name(workloads: Path, tmp_path: Path) -> None:
    """The C library that the process has, which is another file than the system's."""
    program, _ = scattered(tmp_path, "pie")
    libc = os.path.realpath(next(Path("/usr/lib").glob("*-linux-gnu*/libc.so.6")))
    script = (f"cp {libc} {tmp_path}/libc && mount --bind {tmp_path}/libc {libc} && "
              f"exec {program}")
    with elsewhere(script) as process:
        assert process.say(0) == b"0\n"
        with tracing("funclatency", ["-p", str(process.pid), "c:puts"], 2) as tracers:
            for _ in range(5):
                process.say(1)
            results = [tracer.finish() for tracer in tracers]
    assert [counted(result) for result in results] == [5, 5]
