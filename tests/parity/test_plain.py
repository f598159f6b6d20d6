# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The witness, ``bpfduet run --plain``: what bcc's own Python API sees and prints of a workload is what
the engine prints, by both compilers' programs, byte for byte but for what two observers differ in."""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple

import pytest

from frontends import (FRONTENDS, LOOK_S, PATIENCE_S, PLAIN, ROOT, Argument, Held, Running, Watched, cgroup,
                       in_cgroup, numbers, run, seconds, watch)
from parity import test_bashreadline as bashreadline
from parity import test_biolatency as biolatency
from parity import test_bitesize as bitesize
from parity import test_capable as capable
from parity import test_cgroupnet as cgroupnet
from parity import test_execsnoop as execsnoop
from parity import test_exitsnoop as exitsnoop
from parity import test_funccost as funccost
from parity import test_funclatency as funclatency
from parity import test_gethostlatency as gethostlatency
from parity import test_hello as hello
from parity import test_llcstat as llcstat
from parity import test_lsmexec as lsmexec
from parity import test_offcputime as offcputime
from parity import test_old_style as old_style
from parity import test_opensnoop as opensnoop
from parity import test_pktsize as pktsize
from parity import test_profile as profile
from parity import test_readhist as readhist
from parity import test_runqlat as runqlat
from parity import test_runqlen as runqlen
from parity import test_schedcount as schedcount
from parity import test_syscount as syscount
from parity import test_tcpconnect as tcpconnect
from parity import test_tcplife as tcplife
from parity import test_usdtsnoop as usdtsnoop
from parity import test_vfsopen as vfsopen
from parity import test_vfsreadlat as vfsreadlat
from parity import test_vfsreadsize as vfsreadsize
from parity import test_xdpcount as xdpcount
from parity.disks import own_disk
from parity.histogram import Counts, drawn, read
from parity.network import own_network, watch_network
from parity.same import STAMP, Masks, first_difference, masked

ALL = (*FRONTENDS, PLAIN)
FORMATS = ("text", "json")
TIMES: Masks = {"json": [(rb'"time":"\d\d:\d\d:\d\d"', b'"time":"T"')]}


@pytest.fixture(name="network")
def network_of_our_own() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture(name="disk")
def disk_of_our_own(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path) as path:
        yield path


def assert_witnessed(watched: Watched, masks: Masks, formats: Sequence[str] = FORMATS) -> bytes:
    """All three printed the same, on stderr too; returns the witness's masked text."""
    for form in formats:
        outputs = {name: masked(watched.out(name, form), masks.get(form, ())) for name in ALL}
        for name in FRONTENDS:
            assert outputs[name] == outputs[PLAIN], \
                first_difference(form, [outputs[name], outputs[PLAIN]], (name, PLAIN))
            assert watched.results[name, form].stderr == watched.results[PLAIN, form].stderr
        assert outputs[PLAIN]
    return masked(watched.out(PLAIN), masks.get("text", ()))


def witness(tool: str, args: Sequence[Argument], workload: Sequence[Argument], programs: int,
            masks: Masks, lines: int, samplers: int = 0) -> None:
    """One run of a workload, watched by all: so many lines of text at least."""
    watched = watch(tool, args, workload, programs, FORMATS, samplers=samplers, frontends=ALL)
    assert len(assert_witnessed(watched, masks).splitlines()) >= lines


# -- events ------------------------------------------------------------------------------------


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", ["", "-U -e -x", "-n othe", "-f O_CREAT|O_PATH -b 8", "-F -t {pid}",
                                  "-e -f O_RDONLY|O_SYNC"])
def test_opensnoop(workloads, tmp_path: Path, args: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner").write_text("y")
    words = [*opensnoop.steps(tmp_path), "flags", "0", "openat2", "n" * 300, "creat", "…"]
    witness("opensnoop", args.split(), opensnoop.places(words), opensnoop.PROGRAMS, {"json": [STAMP]}, 2)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [[], ["--per-thread", "-x"], ["--label", "a,\x1b"]])
def test_exitsnoop(workloads, args: Sequence[str]) -> None:
    witness("exitsnoop", args, [exitsnoop.EXITS, *exitsnoop.ENDS, *exitsnoop.FIRSTS], 1, exitsnoop.MASKS, 20)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", ["", "-x -q -U", "-x --max-args 3", "-l end$", "-P {pid}"])
def test_execsnoop(workloads, args: str) -> None:
    witness("execsnoop", args.split(), execsnoop.groups(*execsnoop.mixed()), execsnoop.PROGRAMS,
            {"json": [STAMP]}, 2)


def test_bashreadline(workloads) -> None:
    witness("bashreadline", [], [bashreadline.TYPIST, "/bin/bash", *bashreadline.LINES], 1,
            bashreadline.MASKS, 23)


def test_gethostlatency(workloads) -> None:
    witness("gethostlatency", [], gethostlatency.workload(gethostlatency.LOOKUPS),
            gethostlatency.PROGRAMS, gethostlatency.MASKS, 23)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["{}:narrow"], ["-x", "{}:wide"], ["{}:none"],
                                  ["-s", "2", "{}:named"], ["-p", "{pid}", "{}:one"]])
def test_usdtsnoop(workloads, args: List[str]) -> None:
    # in a short folder: bcc's other way to attach puts the path into a name of 64 bytes at most
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        beacons = Path(folder, "beacons")
        beacons.symlink_to(usdtsnoop.BEACONS)
        witness("usdtsnoop", [arg.replace("{}", f"{beacons}:beacons") for arg in args],
                [beacons, *usdtsnoop.WORKLOAD[1:]], 1, usdtsnoop.MASKS, 24)


@pytest.mark.needs("netns")
@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["-w"], ["-tT"]])
def test_tcplife(workloads, network: None, args: List[str]) -> None:
    witness("tcplife", args, tcplife.transfer("m"), 1, tcplife.MASKS, 23)


commands = old_style.command_lines


def test_old_style(workloads, commands: Dict[str, List[str]]) -> None:
    """A perf buffer, in a source that knows nothing of bpfduet."""
    results = {}
    with cgroup("old") as group:
        # a perf buffer keeps the order of one CPU's events only
        held = Held(group, [old_style.CALLS, "23", str(old_style.NOBODY)], one_cpu=True)
        tracers: Dict[Tuple[str, str], Running] = {}
        try:
            for form in FORMATS:
                for name in ALL:
                    tracers[name, form] = Running(name, "old_style", (), 1, None,
                                                  os.cpu_count() or 1,
                                                  [*commands[name], "--format", form])
            for tracer in tracers.values():
                tracer.wait_ready()
            said = numbers(held.go())
            results = {key: tracer.finish() for key, tracer in tracers.items()}
        finally:
            held.end()
            for tracer in tracers.values():
                tracer.end()
    text = assert_witnessed(Watched(held.pid, said, Path(), results), {})
    assert len(text.splitlines()) == 24


def test_hello(workloads, printing: None) -> None:
    """The trace pipe is one for all, so each looks at a run of its own."""
    shapes = set()
    for frontend in ALL:
        done = run(frontend, "hello", ["--", *hello.WORKLOAD])
        assert (done.status, done.stderr) == (0, b"")
        lines = [line for line in done.lines() if not re.fullmatch(rb"\d+ \d+", line)]
        # names and digits of time and PID alone differ between two runs
        shape = re.sub(rb"(<\.\.\.>|leave|execs|hello|bpfduet(-loader)?) *", b"@", b"\n".join(lines))
        shapes.add(re.sub(rb"\d+ *", b"0", shape))
        done = run(frontend, "hello", ["--format", "json", "--", *hello.WORKLOAD])
        assert (done.status, done.stderr) == (0, b"")
        events = [json.loads(line) for line in done.lines() if line.startswith(b"{")]
        assert [event["data"]["message"] for event in events] == \
            [hello.AT_START, *["Hello, World!"] * 23]
    assert len(shapes) == 1, shapes


printing = hello.fixture_printing


# -- counts that are exact ---------------------------------------------------------------------


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [[], ["-P"]])
def test_readhist(workloads, args: List[str]) -> None:
    """Histograms that bcc draws are those that the engine draws; of several sections, too."""
    witness("readhist", args, readhist.WORKLOAD, 1, {}, 10)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["-T", "100"], ["-P"], ["-x"], ["-e", "ENOENT"]])
def test_syscount(workloads, args: List[str]) -> None:
    witness("syscount", args, [syscount.CALLS, "23"], 1, syscount.MASKS, 3)


def test_schedcount(workloads) -> None:
    witness("schedcount", schedcount.LONG, schedcount.ENDS, schedcount.programs(), {}, 5)


def test_bitesize(workloads, disk: Path) -> None:
    witness("bitesize", ["-d", disk.name], bitesize.workload(disk), 1, {}, 7)


def test_llcstat(workloads) -> None:
    """By its twin, whose events can be counted one by one on any machine."""
    witness("eventstat", ["-t", *llcstat.EVERY_EVENT], llcstat.PHASES, 0, {}, 5,
            samplers=llcstat.SAMPLERS)


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["-e", "page-faults"], ["-Pe", "page-faults"]])
def test_funccost(workloads, args: List[str]) -> None:
    """Counters, uprobes and a tracepoint; text in the middle of which there is an average."""
    witness("funccost", [*args, funccost.FUNCTION], funccost.FAULTS, funccost.PROGRAMS,
            funccost.MASKS, 9)


# -- the network ---------------------------------------------------------------------------------


@pytest.mark.needs("netns")
@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["lo"], ["-d", "lo"]])
def test_pktsize(workloads, network: None, args: List[str]) -> None:
    """A socket filter; without -d what its keys tell apart is added up."""
    out = watch_network("pktsize", args, pktsize.WORKLOAD, 1, formats=FORMATS, frontends=ALL)
    assert len(out["text"][0].splitlines()) > 10


def programs_of(argv: Sequence[str]) -> int:
    """How many programs bpftool shows in a cgroup or on the interfaces of this network."""
    shown = subprocess.run(["bpftool", "-j", *argv], check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(shown.strip() or b"[]")
    return sum(map(len, found[0].values())) if argv[0] == "net" else len(found)


def wait_for_programs(argv: Sequence[str], count: int, tracers: Iterable[Running]) -> None:
    """Return when there are so many: bcc attaches these by no descriptor of the process."""
    deadline = time.monotonic() + PATIENCE_S
    while programs_of(argv) < count:
        for tracer in tracers:
            assert tracer.process.poll() is None, tracer.result()
        assert time.monotonic() < deadline
        time.sleep(LOOK_S)


@pytest.mark.needs("netns")
def test_xdpcount(workloads, network: None) -> None:
    """An interface takes one XDP program, so each has a run of its own, another one is refused
    meanwhile, and none is left."""
    seen = []
    for form in FORMATS:
        for frontend in ALL:
            tracer = Running(frontend, "xdpcount", ["lo", "--format", form], frontend != PLAIN)
            try:
                wait_for_programs(["net", "show"], 1, [tracer])
                tracer.wait_ready()
                second = run(PLAIN, "xdpcount", ["lo"])
                subprocess.run(xdpcount.WORKLOAD, check=True)
                done = tracer.finish()
            finally:
                tracer.end()
            assert second.status == 1 and second.stdout == b""
            seen.append((form, masked(done.stdout, TIMES["json"]), done.stderr))
            assert programs_of(["net", "show"]) == 0
    assert len(set(seen[:3])) == len(set(seen[3:])) == 1, seen
    assert seen[0][1] == xdpcount.text(xdpcount.TRUTH)


@pytest.mark.needs("netns")
def test_cgroupnet(workloads, network: None) -> None:
    """Programs on a cgroup, of all at once; none is left."""
    with cgroup() as group:
        tracers = {(name, form): Running(name, "cgroupnet", ["--cgroup", str(group), "--format", form],
                                         2 * (name != PLAIN)) for form in FORMATS for name in ALL}
        try:
            wait_for_programs(["cgroup", "show", str(group)], 2 * len(tracers), tracers.values())
            for tracer in tracers.values():
                tracer.wait_ready()
            in_cgroup(group, cgroupnet.WORKLOAD)
            results = {key: tracer.finish() for key, tracer in tracers.items()}
        finally:
            for tracer in tracers.values():
                tracer.end()
        assert programs_of(["cgroup", "show", str(group)]) == 0
    text = assert_witnessed(Watched(0, [], group, results), TIMES)
    assert text.splitlines() == [b"", *cgroupnet.text()]


def test_flowmeter(workloads) -> None:
    """The exception: bcc has no function that attaches to tc."""
    done = run(PLAIN, "flowmeter", ["lo"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.splitlines()[0] == (b"flowmeter: --plain leaves out tc, which bcc cannot attach "
                                           b"programs to: run it without --plain")


# -- what each observer measures by itself ---------------------------------------------------------


def assert_drawn(text: bytes, unit: bytes) -> Counts:
    """Each histogram of a text is drawn as the engine draws it; the counts of the last one."""
    found = re.findall(rb"^ +%b +: count .*\n(?: +\d+ -> .*\n)+" % unit, text, re.MULTILINE)
    assert found
    for one in found:
        assert one.splitlines() == drawn(read(one), unit)
    return read(found[-1])


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, unit", [([], b"usecs"), (["-D", "-m"], b"msecs"), (["-F"], b"usecs"),
                                        (["-e"], b"usecs")])
def test_biolatency(workloads, disk: Path, args: List[str], unit: bytes) -> None:
    watched = watch("biolatency", ["-d", disk.name, *args], biolatency.workload(disk), 2, FORMATS,
                    frontends=ALL)
    requests = [biolatency.of_text(watched.out(name)) for name in ALL]
    assert requests[0] == requests[1] == requests[2] and requests[0]
    assert_drawn(watched.out(PLAIN), unit)
    shapes = [[(one["type"], one["report"], [(section.get("key"), section["unit"]) for section in one["data"]]
                if one["type"] == "histogram" else list(one["data"]))
               for one in watched.results[name, "json"].objects()] for name in ALL]
    assert shapes[0] == shapes[1] == shapes[2]
    assert watched.results[PLAIN, "text"].stderr == biolatency.BANNER


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [[], ["-L"]])
def test_runqlat(workloads, args: List[str]) -> None:
    """The kernel passes some switches over, for all observers the same."""
    watched = watch("runqlat", args, runqlat.WORKLOAD, 3, FORMATS, frontends=ALL)
    waits = [{key: sum(count for _, _, count in buckets) for key, buckets in found.items()}
             for name in ALL for found in (runqlat.of_text(watched, name),
                                           runqlat.of_json(watched, name))]
    assert all(one == waits[0] for one in waits) and waits[0]
    assert_drawn(watched.out(PLAIN), b"usecs")


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [[], ["-C"]])
def test_runqlen(workloads, args: List[str]) -> None:
    """A linear histogram of samples, whose number is nobody's to say."""
    watched = watch("runqlen", args, runqlen.QUEUE, 0, FORMATS, samplers=runqlen.CPUS, frontends=ALL)
    cpu = watched.said[0][0] if args else -1
    for counts in (runqlen.of_text(watched.out(PLAIN)), runqlen.of_json(watched, PLAIN)):
        runqlen.assert_long(counts, cpu)
    shapes = [re.sub(rb" *\d+ *(: \d+ +\|[* ]+\|)?", b"0", watched.out(name)).splitlines()[:3]
              for name in ALL]
    assert shapes[0] == shapes[1] == shapes[2]


def test_funclatency(workloads) -> None:
    watched = watch("funclatency", [funclatency.FUNCTION, "-u"], funclatency.WORKLOAD,
                    funclatency.PROGRAMS, FORMATS, frontends=ALL)
    funclatency.check_text(watched.out(PLAIN), watched.said, [funclatency.DEPTH - 1],
                           *funclatency.UNITS["-u"])
    assert watched.results[PLAIN, "text"].stderr == funclatency.BANNER


# -- stacks: bcc's names, which are those of other rules (docs/plain.md) --------------------------


def named(names: List[str]) -> List[str]:
    """The functions of the workload: for them there is one name each."""
    return [name for name in names if name.startswith(("wait_", "burn_", "main"))]


def test_offcputime(workloads, tmp_path: Path) -> None:
    """The stacks of sleeps are the same, as deep, with the workload's own names."""
    program = offcputime.build(tmp_path, ["waits.c"], ["-static"])
    pid, results = offcputime.waited(program, {
        "json": ["--state", "1", "--format", "json"], "text": ["--state", "1", "-d"],
        "folded": ["--state", "1", "-d", "-f"]}, ALL)
    stacks = {}
    for name in ALL:
        (report,) = results[name, "json"].objects()
        (entry,) = report["data"]
        stacks[name] = (entry["comm"], entry["process"], entry["task"], entry["kernel"],
                        len(entry["user"]), named(entry["user"]))
        assert entry["process"] == pid
        shape = re.fullmatch(rb"((    \w.*\n)+    --\n(    \S.*\n)+    -                waits "
                             rb"\(%d\)\n        \d+\n\n)+" % pid, results[name, "text"].stdout)
        assert shape, results[name, "text"].stdout
        assert results[name, "text"].stderr == results["c", "text"].stderr
        assert re.fullmatch(rb"waits;(.*;)?main;wait_middle;.*;-;.*;do_syscall_64;.* \d+",
                            results[name, "folded"].lines()[-1])
    assert stacks["c"] == stacks["bcc"] == stacks[PLAIN]


def test_profile(workloads, tmp_path: Path) -> None:
    """Nine of ten samples are of the same chain of functions. Without the kernel's stacks, of which
    two may want one place."""
    program = profile.build(tmp_path, ["burn.c"], ["-static"])
    pid, results = profile.sampled([str(program)], {"json": ["-U", "--format", "json"],
                                                    "text": ["-U"]}, frontends=ALL)
    for name in ALL:
        found = profile.entries(results[name, "json"])
        assert {(entry["comm"], entry["process"], entry["task"]) for entry in found} == {
            ("burn", pid, pid)}
        assert profile.share(found, profile.HOT) >= 0.9, found
        assert b"    burn_hot\n    burn_middle\n    main\n" in results[name, "text"].stdout
        assert results[name, "text"].stderr == results["c", "text"].stderr


# -- functions of the kernel ------------------------------------------------------------------------


@pytest.mark.needs("kprobes")
def test_vfsopen(workloads, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep,\x1b").write_text("y")
    witness("vfsopen", ["-e", *vfsopen.ONLY], vfsopen.steps(tmp_path)[0], 1, vfsopen.MASKS, 24)


@pytest.mark.needs("kprobes")
def test_capable(workloads) -> None:
    witness("capable", ["-x", *capable.ONLY], capable.WORKLOAD, 1, capable.MASKS, 24)


@pytest.mark.needs("kprobes")
@pytest.mark.first_in_guests
@pytest.mark.parametrize("args", [["-L", "-U"], ["-c"], ["-P", "2,3"]])
def test_tcpconnect(workloads, network: None, args: List[str]) -> None:
    witness("tcpconnect", args, tcpconnect.WORKLOAD, 2, tcpconnect.MASKS, 2)


@pytest.mark.needs("kprobes")
def test_vfsreadsize(workloads) -> None:
    """What bcc draws has the numbers of steps where the engine's has sizes."""
    watched = watch("vfsreadsize", [], vfsreadsize.WORKLOAD, 1, FORMATS,
                    [vfsreadsize.BAD_READS, "23"], frontends=ALL)
    step = vfsreadsize.STEP
    text = re.sub(rb"^ {8}(\d+) +(?=: )", lambda row: b"        %-10d " % (int(row[1]) * step),
                  watched.out(PLAIN), flags=re.MULTILINE)
    text = text.replace(b"     bytes / %d   " % step, b"     bytes         ")
    assert text == watched.out("c") == watched.out("bcc")
    assert len({watched.out(name, "json") for name in ALL}) == 1


@pytest.mark.needs("kprobes")
def test_vfsreadlat(workloads) -> None:
    watched = watch("vfsreadlat", [], vfsreadlat.WORKLOAD, 2, FORMATS,
                    [vfsreadlat.READS, "31", "100"], frontends=ALL)
    for form in FORMATS:
        found = vfsreadlat.READERS[form](watched.results[PLAIN, form])
        assert sorted(found) == ["filler", "reads", "slowreads"]
        assert sum(found["reads"].values()) == 31
        vfsreadlat.check_slow(found["slowreads"], [ns for (ns,) in watched.said])
    assert_drawn(watched.out(PLAIN), b"ns")


@pytest.mark.needs("lsm")
def test_lsmexec(workloads, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{lsmexec.LEAVE}\n")
    script.chmod(0o755)
    witness("lsmexec", [], lsmexec.workload(script), 1, lsmexec.MASKS, 23)


# -- the command line --------------------------------------------------------------------------------


@pytest.mark.host_only
@pytest.mark.parametrize("tool, args, sentence", [
    ("opensnoop", ["--cgroupmap", "/sys/fs/bpf/x"], "--cgroupmap: --plain leaves out filters by pinned maps"),
    ("profile", ["--flame", "x.svg"], "--flame: --plain leaves out flame graphs"),
    ("opensnoop", ["--pin", "/sys/fs/bpf/x"], "--pin: --plain leaves out pinning maps"),
    ("opensnoop", ["--btf", "/x"], "--btf: --plain leaves out relocating by another BTF"),
    ("opensnoop", ["-o", "x"], "-o: --plain leaves out files of its own"),
    ("tcplife", ["-s"], "--plain prints text and JSON, no CSV"),
    ("opensnoop", ["--format", "csv"], "--plain prints text and JSON, no CSV"),
])
def test_left_out(tool: str, args: List[str], sentence: str) -> None:
    """What it does not do is refused in one sentence."""
    done = run(PLAIN, tool, args)
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        f"{tool}: {sentence}: run it without --plain",
        f"Try '{tool} --help' for more information."]


@pytest.mark.host_only
@pytest.mark.parametrize("args", [["-x=1"], ["--no-such"], ["-p"], ["-p", "0"], ["-p", "x"], ["word"], ["--"],
                                  ["-u", "nobody-there"], ["-f", "O_NOTHING"], ["-b", "3"],
                                  ["--comm", "x" * 16]])
def test_usage(args: List[str]) -> None:
    """What is wrong for the tool is wrong here, too."""
    for name in ALL:
        done = run(name, "opensnoop", args)
        assert (done.status, done.stdout) == (2, b""), done
        assert len(done.stderr.splitlines()) == 2 and done.stderr.startswith(b"opensnoop: ")


@pytest.mark.host_only
@pytest.mark.parametrize("tool, args, sentence", [
    ("funclatency", ["c:bpfduet_missing"], r"cannot attach probe__enter: .*bpfduet_missing.*"),
    ("funclatency", ["bpfduet-missing:x"], "there is no file 'bpfduet-missing' where .*"),
    ("pktsize", ["bpfduet0"], "there is no network interface 'bpfduet0'"), ("pktsize", [], "no network .* given"),
    ("usdtsnoop", ["c:no:probe"], "there is no probe 'no:probe' in 'c', or no such file"),
    ("usdtsnoop", ["c"], "'c' is not BINARY:PROVIDER:PROBE"),
    ("xdpcount", ["lo", "--", "/bin/true"], "this tool cannot be limited to a cgroup"),
    ("opensnoop", ["--cgroup", "/proc"], "'/proc' is not a cgroup .*"),
])
def test_errors(tool: str, args: List[str], sentence: str) -> None:
    """What it cannot do is said in one sentence, too."""
    done = run(PLAIN, tool, args)
    assert (done.status, done.stdout) == (1, b"")
    assert re.fullmatch(f"{tool}: {sentence}\n", done.stderr.decode())


@pytest.mark.host_only
def test_busy_trace_pipe(tracefs: None) -> None:
    with contextlib.ExitStack() as reader:
        with contextlib.suppress(OSError):      # then it has a reader already
            reader.enter_context(open("/sys/kernel/tracing/trace_pipe", "rb"))
        done = run(PLAIN, "hello", ["--duration", "1"])
    assert (done.status, done.stdout, done.stderr) == (
        1, b"", b"hello: cannot read the trace pipe: Device or resource busy; it takes one reader at a "
        b"time: end the other one\n")


@pytest.mark.host_only
@pytest.mark.parametrize("old, new, sentence", [
    ("[events]", '[events]\nmap = "evnts"', "the spec names a map 'evnts__type' that the kernel half does not have"),
    ('"calls"', '"cals"', "the spec shows a field 'cals' that the kernel half does not have")])
def test_wrong_spec(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    source = tmp_path / "tool.bpf.c"
    source.write_text(old_style.SOURCE.read_text())
    spec = old_style.SOURCE.with_name("old_style.toml").read_text()
    source.with_name("tool.toml").write_text(spec.replace(old, new))
    done = run(PLAIN, str(source))
    assert (done.status, done.stdout, done.stderr.decode()) == (1, b"", f"tool: {sentence}\n")


@pytest.mark.host_only
@pytest.mark.parametrize("args", [["--help"], ["--version"], ["-xV", "--no-such"], ["-h", "-p"]])
def test_replies(args: List[str]) -> None:
    assert run(PLAIN, "opensnoop", args) == run("c", "opensnoop", args)


def test_command(workloads) -> None:
    """-- COMMAND, whose end is the run's; and one that is not there."""
    done = run(PLAIN, "exitsnoop", ["--", exitsnoop.EXITS, "5"])
    assert (done.status, done.stderr) == (0, b"")
    assert done.stdout.count(b" code 5\n") == 1
    done = run(PLAIN, "exitsnoop", ["--", "/bpfduet/missing"])
    assert (done.status, done.stderr) == (
        1, b"exitsnoop: cannot run '/bpfduet/missing': No such file or directory\n")


@pytest.mark.first_in_guests
@pytest.mark.parametrize("form", FORMATS)
def test_intervals(workloads, form: str) -> None:
    """The map is emptied after each print. The run ends with the second, and COMMAND with it."""
    shell = " ".join([*readhist.WORKLOAD, "; exec sleep 1000"])
    done = run(PLAIN, "readhist", ["-i", seconds(2), "--count", "2", "--comm", "reads", "--format",
                                   form, "--", "sh", "-c", shell])
    assert done.status == 0
    _, _, printed = done.stdout.partition(b"\n")     # the workload's own line
    if form == "text":
        assert printed.splitlines() == readhist.drawn(readhist.slots())
    else:
        reports = [json.loads(line)["data"][0]["buckets"] for line in printed.splitlines()]
        assert reports == [readhist.buckets(readhist.slots()), []]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(workloads, number: int) -> None:
    """The report is printed at the end that a signal asks for."""
    with cgroup() as group:
        tracer = Running(PLAIN, "readhist", ["--cgroup", str(group)], 1)
        try:
            tracer.wait_ready()
            in_cgroup(group, readhist.WORKLOAD)
            done = tracer.finish(number)
        finally:
            tracer.end()
    assert done.status == 0 and done.stdout.splitlines() == readhist.drawn(readhist.slots())


def test_lost(workloads) -> None:
    """Records that find no room are told of, exactly."""
    with cgroup() as group:
        tracer = Running(PLAIN, "opensnoop", ["--cgroup", str(group), "-b", "1"], opensnoop.PROGRAMS)
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGSTOP)
            in_cgroup(group, opensnoop.places(["open", opensnoop.MISSING] * 997))
            tracer.process.send_signal(signal.SIGCONT)
            done = tracer.finish()
        finally:
            tracer.end()
    seen = len(done.lines()) - 1
    lost = sum(map(int, re.findall(rb"^opensnoop: lost (\d+) events$", done.stderr, re.MULTILINE)))
    assert lost and seen + lost == 997


@pytest.mark.parametrize("frontend", ALL)
def test_lost_in_perf(workloads, commands: Dict[str, List[str]], frontend: str) -> None:
    """The same of a perf buffer: the kernel tells of them with the next record that finds room."""
    def call(group: Path, count: int) -> None:
        held = Held(group, [old_style.CALLS, str(count), str(old_style.NOBODY)], one_cpu=True)
        try:
            held.go()
        finally:
            held.end()

    with cgroup("lost") as group:
        tracer = Running(frontend, "old_style", (), 1, None, os.cpu_count() or 1,
                         [*commands[frontend], "--buffer-pages", "1"])
        try:
            tracer.wait_ready()
            tracer.process.send_signal(signal.SIGSTOP)
            call(group, 997)
            tracer.process.send_signal(signal.SIGCONT)
            assert tracer.process.stdout
            said = b""
            while b" calls\n" not in said:      # it has read what there was
                said += os.read(tracer.process.stdout.fileno(), 1 << 16)
            call(group, 1)
            done = tracer.finish()
        finally:
            tracer.end()
    seen = (said + done.stdout).count(b" calls\n")
    lost = sum(map(int, re.findall(rb"^old_style: lost (\d+) events$", done.stderr, re.MULTILINE)))
    assert lost and seen + lost == 998


@pytest.mark.host_only
def test_pattern(workloads, tmp_path: Path) -> None:
    """The program that docs/plain.md shows, as it stands there."""
    shown = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plain.md").read_text(), re.DOTALL)
    assert shown
    program = tmp_path / "failed_opens.py"
    program.write_text(shown[1])
    with cgroup() as group:
        held = Held(group, opensnoop.places(["open", opensnoop.MISSING, "open", "/", "openat", "/x"]))
        tracer = Running("pattern", "", (), 4, {"PYTHONPATH": "python"},
                         argv=["/usr/bin/python3", str(program), str(held.pid)], cwd=ROOT)
        try:
            tracer.wait_ready()
            said = numbers(held.go())
            done = tracer.finish()
        finally:
            held.end()
            tracer.end()
    assert (done.status, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        f"{held.pid} places {err}" for _, _, err, _ in said if err]


def test_every_tool() -> None:
    """Each tool of shared_bpf is looked at above, or refused with its reason."""
    text = Path(__file__).read_text()
    for source in sorted((ROOT / "shared_bpf").glob("*.bpf.c")):
        assert f"\ndef test_{source.name[:-len('.bpf.c')]}(" in text, source.name


@pytest.mark.host_only
def test_nothing_shared() -> None:
    """The witness loads nothing of the engine."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; sys.path.insert(0, 'python'); import bpfduet.plain.run\n"
         "print(*sorted(sys.modules))"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    loaded = set(done.stdout.decode().split())
    assert not loaded & {f"bpfduet.{name}" for name in (
        "choices", "decode", "engine", "tool")}
