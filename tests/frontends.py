# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Running tools through both frontends, for the tests that need a kernel.

Everything is scoped: tools trace a cgroup that the test made, or a COMMAND of their own.
"""
from __future__ import annotations

import contextlib
import ctypes as ct
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

import forked  # noqa: E402
from bpfduet import libbpf  # noqa: E402
from bpfduet.plain.cgroup import own_cgroup  # noqa: E402

BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
BIN = Path(os.environ.get("BPFDUET_BIN", BUILD / "bin")).resolve()
WORKLOADS = BUILD / "tests" / "workload"
# linux/capability.h, linux/prctl.h
CAPABILITY_VERSION_3, CAP_DAC_READ_SEARCH = 0x20080522, 2
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
_LIBC = ct.CDLL(None, use_errno=True)
# Tools that only the tests have; built like the others.
TEST_TOOLS = ROOT / "tests" / "tools"
FRONTENDS = ("c", "bcc")
# What they are compared with: bcc's own Python API, which prints text and JSON (docs/plain.md).
PLAIN = "plain"
# How many programs tools attach where the kernel would skip those of single system calls.
ON_ALL_CALLS = {"opensnoop": 1, "execsnoop": 2}
# How many times slower than a machine of its own this one is: guests are.
SLOWNESS = float(os.environ.get("BPFDUET_SLOWNESS", "1"))
# Whether BCC's frontend runs in forks of this process, and is not started anew each time.
FORKS = "BPFDUET_FORKS" in os.environ
PATIENCE_S = 60 * SLOWNESS
SETTLE_S = 0.4 * SLOWNESS
# Looking takes time from what is waited for: where all is slow, the more seldom.
LOOK_S = 0.001 if SLOWNESS == 1 else 0.005 * SLOWNESS

# Tools and frontends that a test has run: conftest.py notes them with its result.
RAN: Set[Tuple[str, str]] = set()

Argument = Union[str, bytes]


def seconds(number: int) -> str:
    """A time in seconds for an option, long enough on this machine to start some tools in."""
    return str(int(number * SLOWNESS))


def command(frontend: str, tool: str, args: Sequence[Argument] = ()) -> List[Argument]:
    """The command line of a tool (a name, or the path of a .bpf.c file) in one frontend."""
    name = Path(tool).name.replace(".bpf.c", "")
    RAN.add((name, frontend))
    folder, source = BIN, tool
    if (TEST_TOOLS / f"{tool}.bpf.c").exists():
        folder, source = BUILD / "tests" / "tools" / "bin", str(TEST_TOOLS / f"{tool}.bpf.c")
    start: List[Argument] = [str(folder / name)] if frontend == "c" else \
        [str(ROOT / "bpfduet"), "run", *["--plain"] * (frontend == PLAIN), source]
    return start + list(args)


@dataclass
class Result:
    """What a finished tool left."""

    stdout: bytes
    stderr: bytes
    status: int

    def lines(self) -> List[bytes]:
        """Lines of stdout, without their ends."""
        return self.stdout.splitlines()

    def objects(self) -> List[dict]:
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.lines()]


def start(argv: Sequence[Argument], env: Optional[Dict[str, str]] = None,
          **kwargs) -> subprocess.Popen:
    """Start a program with its output in pipes; ``env`` is added to the environment."""
    env = {**os.environ, **(env or {})}
    if FORKS and "preexec_fn" not in kwargs:
        kwargs["preexec_fn"] = forked.instead_of_exec(argv, env)
    return subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=env, **kwargs)


def finish(process: subprocess.Popen) -> Result:
    """Wait for the end of a program and collect what it printed."""
    with process:
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Result(*without_skips(out, err), process.returncode)


# How a tool tells of programs that the kernel skipped. These may have been for any process, for the
# kernel does not say: a machine that preempts has some for others now and then, and each frontend
# its own. What the tests check is that none of the workload's events is missing.
_SKIPS = re.compile(
    rb'^(?:\{"type":"lost_events","tool":"[^"]*","data":\{"count":\d+,"kind":"skipped"\}\}'
    rb"|[^ ]+: lost up to \d+ events: the kernel skipped a program that was still running)\n",
    re.MULTILINE)


def without_skips(*streams: bytes) -> List[bytes]:
    """What a tool printed, but for what the kernel skipped."""
    return [_SKIPS.sub(b"", stream) for stream in streams]


def run(frontend: str, tool: str, args: Sequence[Argument] = (),
        env: Optional[Dict[str, str]] = None, **kwargs) -> Result:
    """Run a tool to its end."""
    return finish(start(command(frontend, tool, args), env, **kwargs))


@contextlib.contextmanager
def cgroup(name: str = "test") -> Iterator[Path]:
    """A cgroup for a workload, removed afterwards."""
    path = own_cgroup() / f"bpfduet-{name}-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        deadline = time.monotonic() + 5 * SLOWNESS
        while True:
            try:
                path.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def _become(uid: int) -> None:
    """Be another user, with one capability of root's: to find the workloads, which may be below a
    folder that only root can enter."""
    dac_read_search = 1 << CAP_DAC_READ_SEARCH
    _LIBC.prctl(PR_SET_KEEPCAPS, *map(ct.c_ulong, (1, 0, 0, 0)))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _LIBC.capset(struct.pack("=Ii", CAPABILITY_VERSION_3, 0),
                 struct.pack("=6I", *[dac_read_search] * 3, 0, 0, 0))
    _LIBC.prctl(PR_CAP_AMBIENT, *map(ct.c_ulong, (PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)))


def _entering(path: Path, uid: Optional[int], one_cpu: bool = False) -> Callable[[], None]:
    def enter() -> None:
        if one_cpu:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        (path / "cgroup.procs").write_text("0")
        if uid is not None:
            _become(uid)
    return enter


def in_cgroup(path: Path, argv: Sequence[Argument], **kwargs) -> subprocess.CompletedProcess:
    """Run a program inside a cgroup; its exec already happens there."""
    return subprocess.run(list(argv), preexec_fn=_entering(path, None), timeout=PATIENCE_S,
                          check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **kwargs)


# What programs wait in, as /proc/PID/syscall has it: poll, select, nanosleep, rt_sigtimedwait,
# clock_nanosleep, epoll_wait, pselect6, ppoll, epoll_pwait; those that arm64 has too.
READ = {"x86_64": "0"}.get(os.uname().machine, "63")
PAUSES = set("7 23 35 128 230 232 270 271 281".split() if os.uname().machine == "x86_64" else
             "22 72 73 101 115 137".split())


def in_call(process: subprocess.Popen, calls: Set[str]) -> bool:
    """Is a program blocked in one of these system calls?"""
    with contextlib.suppress(OSError):          # it may just end
        return Path(f"/proc/{process.pid}/syscall").read_text().split()[0] in calls
    return False


def wait_in_call(process: subprocess.Popen, calls: Set[str]) -> None:
    """Return when a program is blocked in one of these system calls, and so has nothing to do.

    Raises AssertionError if it ends before or never is.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not in_call(process, calls):
        assert process.poll() is None, f"it ended: {process.returncode}"
        assert time.monotonic() < deadline, "it never waits"
        time.sleep(LOOK_S)


class Held:
    """A workload that is in its cgroup and has a PID, but does nothing before ``go()``.

    What is to be seen of it then begins with its exec of ``argv``: see workload/hold.c.
    ``uid`` is the user it runs as; ``one_cpu`` keeps it on one CPU. Raises AssertionError if it
    does not get to where it waits.
    """

    def __init__(self, path: Path, argv: Sequence[Argument], uid: Optional[int] = None,
                 one_cpu: bool = False):
        # close_fds=False: Python's way of closing them opens /proc/self/fd, inside the cgroup
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [str(WORKLOADS / "hold"), *argv], preexec_fn=_entering(path, uid, one_cpu),
            close_fds=False, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        try:
            wait_in_call(self.process, {READ})     # not still loaded, when a tracer begins
        except AssertionError:
            self.end()
            raise

    def go(self) -> bytes:
        """Let it run to its end; returns what it printed. Raises AssertionError if it failed."""
        out, _ = self.process.communicate(b"x", timeout=PATIENCE_S)
        assert self.process.returncode == 0, f"the workload ended with {self.process.returncode}"
        return out

    def end(self) -> None:
        """End it if it still is there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class _QueryAttr(ct.Structure):  # pylint: disable=too-few-public-methods
    """union bpf_attr of BPF_TASK_FD_QUERY."""

    _fields_ = [("pid", ct.c_uint32), ("fd", ct.c_uint32), ("flags", ct.c_uint32),
                ("buf_len", ct.c_uint32), ("buf", ct.c_uint64), ("prog_id", ct.c_uint32),
                ("fd_type", ct.c_uint32), ("probe_offset", ct.c_uint64),
                ("probe_addr", ct.c_uint64)]


BPF_TASK_FD_QUERY = 20
SYS_BPF = {"x86_64": 321}.get(os.uname().machine, 280)


def _runs_program(pid: int, fd: int) -> bool:
    """Whether a perf event of a process has a program attached (a perf buffer's has none)."""
    attr = _QueryAttr(pid=pid, fd=fd)
    return _LIBC.syscall(SYS_BPF, BPF_TASK_FD_QUERY, ct.byref(attr), ct.sizeof(attr)) == 0


def packet_sockets(pid: int) -> List[str]:
    """Inodes of the packet sockets in a process's network."""
    lines = Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
    return [line.split()[8] for line in lines]


def attachments(pid: int) -> int:
    """How many programs a process holds attached to probes, to interfaces and cgroups by links,
    and to packet sockets."""
    count = 0
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                if target == "anon_inode:[perf_event]":
                    count += _runs_program(pid, int(fd))
                elif target in ("anon_inode:bpf_link", "anon_inode:bpf-link"):
                    # A link to a perf event is held beside that event: one attachment.
                    info = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
                    count += not re.search(r"^link_type:\s+perf", info, re.MULTILINE)
                elif target == "anon_inode:bpf-raw-tracepoint":
                    count += 1
                elif target.startswith("socket:"):
                    count += target[len("socket:["):-1] in packet_sockets(pid)
    return count


def perf_buffers(pid: int) -> int:
    """How many CPUs' perf buffers a process has open."""
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text()
        return sum(line.endswith("anon_inode:[perf_event]") for line in maps.splitlines())
    return 0


def perf_events(pid: int) -> int:
    """How many perf events a process has open: those that it samples by, too."""
    with contextlib.suppress(OSError):
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        return links.count("anon_inode:[perf_event]")
    return 0


def attached(tool: str, programs: int) -> int:
    """How many programs a tool of ours attaches on this kernel, which are at most ``programs``."""
    if libbpf.has_sleepable_tracepoints():
        return min(programs, ON_ALL_CALLS.get(tool, programs))
    return programs


class Running:
    """A tool in the background, ready once it holds ``programs`` attachments (and, if it has a
    perf buffer, that of ``buffers`` CPUs; if it samples, the events of ``samplers`` CPUs)."""

    def __init__(self, frontend: str, tool: str, args: Sequence[Argument], programs: int,
                 env: Optional[Dict[str, str]] = None, buffers: int = 0,
                 argv: Optional[Sequence[Argument]] = None, samplers: int = 0, **kwargs):
        self.frontend = frontend
        self.process = start(argv or command(frontend, tool, args), env, **kwargs)
        self._programs = attached(tool, programs) if frontend in (*FRONTENDS, PLAIN) else programs
        self._buffers = buffers
        self._samplers = samplers

    def wait_ready(self) -> None:
        """Return when it traces; fail if it ends before or never does."""
        pid = self.process.pid
        deadline = time.monotonic() + PATIENCE_S
        while (attachments(pid) < self._programs or perf_buffers(pid) < self._buffers
               or perf_events(pid) < self._samplers):
            if self.process.poll() is not None:
                raise AssertionError(f"{self.frontend} ended: {self.process.communicate()}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{self.frontend} attached nothing: "
                                     f"{self.process.communicate()}")
            time.sleep(10 * LOOK_S)
        if self.frontend == PLAIN:      # its packet sockets are there before their programs
            wait_in_call(self.process, PAUSES)

    def settle(self) -> None:
        """Return when it waits, ``SETTLE_S`` from now or later. Others than our own tools may go on
        preparing after they have attached, and lose what they have not yet read when they end."""
        time.sleep(SETTLE_S)
        wait_in_call(self.process, PAUSES)

    def finish(self, number: int = signal.SIGINT) -> Result:
        """End it with a signal and collect what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.result()

    def interrupt(self) -> Result:
        """``finish`` for those that ``settle`` is for. bpftrace hears a signal only if that ends its
        wait for events: one that comes when the wait has just timed out is lost. So one that waits
        on, and has detached nothing, gets another."""
        deadline = time.monotonic() + PATIENCE_S
        held = attachments(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        while True:
            try:
                out, err = self.process.communicate(timeout=5 * SETTLE_S)
                return Result(out, err, self.process.returncode)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise
            if in_call(self.process, PAUSES) and attachments(self.process.pid) == held:
                self.process.send_signal(signal.SIGINT)

    def result(self) -> Result:
        """Wait for its end and collect what it printed."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Result(*without_skips(out, err), self.process.returncode)

    def end(self) -> None:
        """End it if it still is there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def both(tool: str, args: Sequence[Argument], workload: Sequence[Argument], programs: int,
         env: Optional[Dict[str, str]] = None) -> Dict[str, Result]:
    """One run of ``workload``, watched by both frontends at the same time.

    ``programs`` is how many programs the tool attaches with these options.
    """
    with cgroup() as group:
        running = []
        try:
            for frontend in FRONTENDS:
                running.append(Running(frontend, tool, ["--cgroup", str(group), *args], programs,
                                       env))
            for tracer in running:
                tracer.wait_ready()
            in_cgroup(group, workload)
            return {tracer.frontend: tracer.finish() for tracer in running}
        finally:
            for tracer in running:
                tracer.end()


FORMATS = ("text", "json", "csv")


@dataclass
class Watched:
    """One run of a workload: what it printed, and what each frontend did in each format."""

    pid: int
    said: List[List[int]]       # lines of numbers, by the workload
    group: Path
    results: Dict[Tuple[str, str], Result]

    def out(self, frontend: str, form: str = "text") -> bytes:
        """stdout of one of the runs."""
        return self.results[frontend, form].stdout


def numbers(text: bytes) -> List[List[int]]:
    """The lines of numbers that a workload printed."""
    return [[int(word) for word in line.split()] for line in text.splitlines()]


def placed(args: Sequence[Argument], pid: int, group: Path) -> List[Argument]:
    """Arguments with ``{pid}``, ``{cgroup}`` and ``{cgroup_id}`` replaced."""
    return [arg if isinstance(arg, bytes) else
            arg.replace("{pid}", str(pid)).replace("{cgroup}", str(group))
            .replace("{cgroup_id}", str(group.stat().st_ino)) for arg in args]


def watch(tool: str, args: Sequence[Argument], workload: Sequence[Argument], programs: int,
          formats: Sequence[str] = FORMATS, bystander: Sequence[Argument] = (),
          uid: Optional[int] = None, buffers: int = 0, end: Optional[int] = signal.SIGINT,
          others: Optional[Dict[str, Tuple[Sequence[Argument], int]]] = None,
          prepare: Optional[Callable[[Path], None]] = None, samplers: int = 0,
          frontends: Sequence[str] = FRONTENDS) -> Watched:
    """One run of ``workload``, watched by both ``frontends`` in all ``formats`` at the same time.

    Everything is limited to the workload's cgroup. In ``args`` ``{pid}`` stands for its PID and
    ``{cgroup}`` for its cgroup. ``bystander`` is another program that runs in that cgroup before
    it, as root; ``uid`` is the workload's user. The tools are ended by the signal ``end``, None for
    those that end by themselves. ``others`` are tracers to run beside, by name: command line and
    number of programs; their results are under (name, "text"). ``prepare`` is called with the cgroup before any tracer starts.
    """
    with cgroup("watch") as group, contextlib.ExitStack() as ends:
        # the stock tools have a buffer for each CPU, and read one after the other: only of one
        # CPU they keep the events in their order
        held = Held(group, workload, uid, "stock" in (others or {}))
        ends.callback(held.end)
        if prepare:
            prepare(group)
        tracers: Dict[Tuple[str, str], Running] = {}

        def begin(name: str, form: str, tracer: Running) -> None:
            ends.callback(tracer.end)
            tracers[name, form] = tracer

        for form in formats:
            for frontend in frontends:
                if frontend == PLAIN:   # its uprobes keep others away (docs/plain.md)
                    for tracer in tracers.values():
                        tracer.wait_ready()
                scope = ["--cgroup", str(group), "--format", form]
                begin(frontend, form, Running(
                    frontend, tool, scope + placed(args, held.pid, group), programs, None, buffers,
                    None, samplers))
            if FORKS:   # there are more of them than CPUs: so that the others find it compiled
                tracers["bcc", form].wait_ready()
        for name, (argv, count) in (others or {}).items():
            begin(name, "text", Running(name, tool, (), count,
                                        argv=placed(argv, held.pid, group),
                                        samplers=samplers))
        for tracer in tracers.values():
            tracer.wait_ready()
        if bystander:
            in_cgroup(group, bystander, close_fds=False)
        for name in others or ():
            tracers[name, "text"].settle()
        said = held.go()
        for name in others or ():
            tracers[name, "text"].settle()
        results = {key: tracer.interrupt() if key[0] in (others or ()) else
                   tracer.finish(end) if end else tracer.result()
                   for key, tracer in tracers.items()}
        for key, result in results.items():
            assert result.status == 0, f"{key}: {result}"
        return Watched(held.pid, numbers(said), group, results)
