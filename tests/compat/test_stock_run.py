# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Stock BCC tools, unmodified, through headers made out of BTF: what they print is true.

Each watches a process of the test's own, limited to it by the tool's own option -p, in the kernel.
Tools that have none are not run, nor those that want kprobes or hardware counters.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

import frontends
import stock_tools
from bpfduet import kernel_headers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not kernel_headers.VMLINUX.exists() or not stock_tools.python_tools([]),
    reason="needs root, BTF and Debian's bpfcc-tools")
CPUS = os.cpu_count() or 1


class Subject:
    """The traced process: alive, and idle until ``go()``."""

    def __init__(self, program: Path, act: str, number: int):
        self.process = subprocess.Popen([str(program), act, str(number)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def go(self) -> List[int]:
        """Let it act; the numbers that it tells then. It stays, unless to leave is its act."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("x")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def end(self) -> None:
        """Let it end."""
        self.process.communicate(timeout=frontends.PATIENCE_S)


class Tool:
    """A running stock tool, with the headers that are cut for what it compiles with these options.

    It is ready when it holds ``programs`` attachments and the perf buffer of ``buffers`` CPUs;
    ``sampled`` ones when there is an event to sample by on each CPU.
    """

    def __init__(self, name: str, args: List[str], folder: Path, programs: int, buffers: int = 0,
                 sampled: int = 0):
        script = stock_tools.TOOLS / (name + stock_tools.SUFFIX)
        captured = folder / "text.json"
        stock_tools.step(["--capture", str(captured), str(script), *args])
        headers = kernel_headers.folder_for(json.loads(captured.read_text())["text"], [])
        assert headers.origin == "btf"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        headers.apply(environment)
        self._out = folder / "out"
        # a file of its own to write to: where it writes must not move with who reads
        with open(self._out, "ab") as out:
            self.process = subprocess.Popen([str(script), *args], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=subprocess.STDOUT, env=environment)
        pid = self.process.pid
        self._wait(lambda: frontends.attachments(pid) >= programs
                   and frontends.perf_buffers(pid) >= buffers and frontends.perf_events(pid) >= sampled)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + frontends.PATIENCE_S
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, self.output()
            time.sleep(0.01)

    def output(self) -> str:
        """What it has printed."""
        return self._out.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> str:
        """Wait until a line that matches is printed; all that is printed then."""
        self._wait(lambda: bool(re.search(pattern, self.output(), re.M)))
        return self.output()

    def finish(self) -> str:
        """Ctrl-C, once it waits for that; all that it printed."""
        frontends.wait_in_call(self.process, frontends.PAUSES)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(frontends.PATIENCE_S)
        return self.output()

    def end(self) -> None:
        """End it if it still is there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def program() -> Path:
    """The subject, compiled."""
    path = frontends.BUILD / "tests" / "subject"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    subprocess.run(["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(fresh),
                    str(Path(__file__).with_name("subject.c"))], check=True)
    return fresh.replace(path)


@dataclass
class Watch:
    """A subject and the tool that watches it."""

    subject: Subject
    tool: Tool


@pytest.fixture
def watch(program: Path, tmp_path: Path, tracefs: None) -> Iterator[Callable[..., Watch]]:
    """Starts a tool on a subject; {pid} and {program} in its options stand for the subject's."""
    with contextlib.ExitStack() as ends:
        def start(tool: str, args: List[str], act: str, number: int, programs: int,
                  **ready: int) -> Watch:
            subject = Subject(program, act, number)
            ends.callback(subject.end)
            placed = [arg.format(pid=subject.pid, program=program) for arg in args]
            running = Tool(tool, placed, tmp_path, programs, **ready)
            ends.callback(running.end)
            return Watch(subject, running)
        yield start


def histogram_total(text: str) -> int:
    """The sum of the counts of a log2 histogram."""
    return sum(int(count) for count in re.findall(r"^\s*\d+ -> \d+\s+: (\d+)\s", text, re.M))


def test_syscount(watch: Callable[..., Watch]) -> None:
    both = watch("syscount", ["-p", "{pid}"], "calls", 1009, 1)
    both.subject.go()
    assert re.search(r"^getppid\s+1009$", both.tool.finish(), re.M), both.tool.output()


def test_tcplife(watch: Callable[..., Watch]) -> None:
    both = watch("tcplife", ["-p", "{pid}"], "transfer", 500 * 1024, 1,
                 buffers=CPUS)
    server, client = both.subject.go()
    line = rf"^{both.subject.pid}\s+subject\s+127\.0\.0\.1\s+%d\s+127\.0\.0\.1\s+%d\s+%d\s+%d\s"
    both.tool.wait_for(line % (server, client, 0, 500))
    both.tool.wait_for(line % (client, server, 500, 0))


def test_runqlat(watch: Callable[..., Watch]) -> None:
    both = watch("runqlat", ["-p", "{pid}"], "sleeps", 211, 3)
    voluntary, involuntary = both.subject.go()
    switches = voluntary + involuntary
    assert switches >= 211
    counted = histogram_total(both.tool.finish())
    # Some wake-ups find it still on its processor; its first and last turns are not in `switches`.
    assert 0.9 * switches <= counted <= switches + 5, both.tool.output()


def test_exitsnoop(watch: Callable[..., Watch]) -> None:
    both = watch("exitsnoop", ["-p", "{pid}"], "leave", 23, 1,
                 buffers=CPUS)
    both.subject.go()
    pid = both.subject.pid
    both.tool.wait_for(rf"^subject\s+{pid}\s+{os.getpid()}\s+{pid}\s.*code 23$")


def test_funccount(watch: Callable[..., Watch]) -> None:
    both = watch("funccount", ["-p", "{pid}", "{program}:visit"], "visits", 1009, 1)
    both.subject.go()
    assert re.search(r"^visit\s+1009$", both.tool.finish(), re.M), both.tool.output()


def test_funclatency(watch: Callable[..., Watch]) -> None:
    both = watch("funclatency", ["-p", "{pid}", "{program}:visit"], "visits", 1009, 2)
    both.subject.go()
    assert histogram_total(both.tool.finish()) == 1009, both.tool.output()


def test_trace(watch: Callable[..., Watch]) -> None:
    shown = '{program}:visit "visits %d", arg1'
    both = watch("trace", ["-p", "{pid}", shown], "visits", 13, 1, buffers=CPUS)
    both.subject.go()
    text = both.tool.wait_for(r"(?s)(visits \d.*){13}")
    # a perf buffer for each CPU: what comes of two has no order
    assert sorted(re.findall(r"visits (\d)", text)) == sorted(str(number % 5)
                                                              for number in range(13))


def test_argdist(watch: Callable[..., Watch]) -> None:
    counted = "p:{program}:visit(int x):int:x"
    both = watch("argdist", ["-p", "{pid}", "-C", counted], "visits", 1009, 1)
    both.subject.go()
    text = both.tool.wait_for(r"x = 4$")
    counts: Dict[int, int] = {int(value): int(count) for count, value in
                              re.findall(r"^\s+(\d+)\s+x = (\d)$", text, re.M)}
    assert counts == {0: 202, 1: 202, 2: 202, 3: 202, 4: 201}


def test_profile(watch: Callable[..., Watch]) -> None:
    both = watch("profile", ["-p", "{pid}", "-F", "99", "-U", "-f"], "spin", 1000, 0,
                 sampled=CPUS)
    both.subject.go()
    folded = re.findall(r"^subject;(.*) (\d+)$", both.tool.finish(), re.M)
    spinning = sum(int(count) for stack, count in folded if "spin" in stack)
    assert spinning >= 0.9 * sum(int(count) for _, count in folded) > 0, both.tool.output()


def test_gethostlatency(watch: Callable[..., Watch]) -> None:
    both = watch("gethostlatency", ["-p", "{pid}"], "look_up", 3, 6, buffers=CPUS)
    both.subject.go()
    line = rf"^\S+\s+{both.subject.pid}\s+subject\s+[\d.]+\s+localhost$"
    text = both.tool.wait_for(rf"(?s)(?:{line}.*){{3}}")
    assert len(re.findall(line, text, re.M)) == 3
