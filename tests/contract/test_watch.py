# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet run --watch: again after each change, and nothing left at the end."""
from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator, List, Sequence

import pytest

from frontends import PATIENCE_S, ROOT, finish, start
from support import COUNTING_SPEC, SPDX, alive, cgroup_of, held, still_there, write_tool

pytestmark = pytest.mark.host_only

SOURCE = f"""// {SPDX}
#include "bpfduet.h"
#include "my.h"

BPF_HASH(seen, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{{
	u32 key = MINE;

	if (task_matches())
		seen.increment(key);
	return 0;
}}

LICENSE("Dual BSD/GPL");
"""
SPEC = (COUNTING_SPEC % "seen").replace("\n]", '\n    { field = "key", heading = "KEY" },\n]')
# says that it runs, and its PID; then it reads what nobody writes
COMMAND = ["--format", "csv", "--", "sh", "-c", "echo ready $$; read line <>never"]


def children(pid: int) -> List[int]:
    """Of a process."""
    with contextlib.suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def tracer_of(pid: int) -> int:
    """Who traces a process; 0: nobody."""
    found = re.search(r"^TracerPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) if found else 0


class Watcher:
    """`bpfduet run --watch t.bpf.c` in the working directory."""

    def __init__(self, args: Sequence[str]):
        self._out, self._err = Path("out"), Path("err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen([str(ROOT / "bpfduet"), "run", "--watch", "t.bpf.c", *args],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def out(self) -> List[str]:
        """Lines of stdout."""
        return self._out.read_text().splitlines()

    def err(self) -> List[str]:
        """Lines of stderr."""
        return self._err.read_text().splitlines()

    def wait(self, done: Callable[[], object]) -> None:
        """Until that is so."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.out(), self.err())
            time.sleep(0.01)

    def ready(self, count: int) -> int:
        """Wait for so many runs; the PID of the last one's COMMAND."""
        def lines() -> List[str]:
            return [line for line in self.out() if line.startswith("ready ")]
        self.wait(lambda: len(lines()) == count)
        return int(lines()[-1].split()[1])

    def waiting(self, status: int, count: int = 1) -> None:
        """Wait until the tool has ended by itself, with this status, for the so manyeth time."""
        sentence = f"bpfduet: t.bpf.c has ended with status {status}: waiting until it changes"
        self.wait(lambda: self.err().count(sentence) == count)

    def finish(self, number: int = signal.SIGINT) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(name="watching")
def watcher_of_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                      tracefs: None) -> Iterator[Callable[..., Watcher]]:
    """Starts watchers of a tool t, which is in the working directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    write_tool(place, "t", SOURCE, SPEC)
    Path("my.h").write_text("#define MINE 1\n")
    os.mkfifo("never")
    started: List[Watcher] = []

    def begin(*args: str) -> Watcher:
        started.append(Watcher(args or COMMAND))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def overwrite(path: Path, text: str) -> None:
    """As a shell does."""
    path.write_text(text)


def replace(path: Path, text: str) -> None:
    """As most editors do: the old one away, a new one there."""
    path.rename(f"{path}~")
    other = path.with_name(".swap")
    other.write_text(text)
    other.rename(path)


@pytest.mark.parametrize("write", [overwrite, replace])
def test_each_file(watching: Callable[..., Watcher], write: Callable[[Path, str], None]) -> None:
    """Source, spec, header: the report of what was is printed, then the tool runs anew."""
    watcher = watching()
    commands = [watcher.ready(1)]
    write(Path("my.h"), "#define MINE 2\n")
    commands.append(watcher.ready(2))
    write(Path("t.toml"), SPEC.replace('"COUNT"', '"EXECS"'))
    commands.append(watcher.ready(3))
    write(Path("t.bpf.c"), SOURCE.replace("MINE;", "MINE + 1;"))
    commands.append(watcher.ready(4))
    assert watcher.finish() == 0
    assert watcher.err() == [f"bpfduet: {name} has changed: running it again"
                             for name in ("my.h", "t.toml", "t.bpf.c")]
    assert [line for line in watcher.out() if line[0].isdigit()] == ["1,1", "1,2", "1,2", "1,3"]
    assert not any(alive(command) for command in commands)


def test_what_is_no_change(watching: Callable[..., Watcher]) -> None:
    """Another date, the same once more, another file: the watcher looks, if at all, and that is it."""
    watcher = watching()
    watcher.ready(1)
    with subprocess.Popen(["strace", "-qq", "-e", "trace=openat", "-o", "calls", "-p",
                           str(watcher.process.pid)]) as strace:
        watcher.wait(lambda: tracer_of(watcher.process.pid) == strace.pid)

        def looked() -> int:
            return Path("calls").read_text().count('"my.h"') if Path("calls").exists() else 0

        Path("other.h").write_text("#define MINE 3\n")
        os.utime("t.bpf.c", (0, 0))
        watcher.wait(looked)
        before = looked()
        Path("t.bpf.c").write_text(SOURCE)
        watcher.wait(lambda: looked() > before)
        strace.terminate()
    Path("my.h").write_text("#define MINE 2\n")
    watcher.ready(2)
    assert watcher.finish() == 0
    assert watcher.err() == ["bpfduet: my.h has changed: running it again"]


def test_a_header_that_comes(watching: Callable[..., Watcher]) -> None:
    """An include of what is not there yet, in a folder; and through a link."""
    Path("sub").mkdir()
    Path("t.bpf.c").write_text(SOURCE.replace('"my.h"', '"sub/new.h"'))
    watcher = watching()
    watcher.waiting(1)
    Path("sub/new.h").symlink_to("../my.h")
    watcher.ready(1)
    Path("my.h").write_text("#define MINE 2\n")
    watcher.ready(2)
    assert watcher.finish() == 0
    assert [line for line in watcher.err() if "has changed" in line] == [
        "bpfduet: sub/new.h has changed: running it again"] * 2


def test_a_compile_error(watching: Callable[..., Watcher]) -> None:
    """It is shown, and the next change is waited for."""
    watcher = watching()
    watcher.ready(1)
    Path("t.bpf.c").write_text(SOURCE.replace("MINE;", "nonsense;"))
    watcher.waiting(1)
    Path("t.bpf.c").write_text(SOURCE)
    watcher.ready(2)
    assert watcher.finish() == 0
    changed, error, *_, sentence, waits, again = watcher.err()
    assert changed == again == "bpfduet: t.bpf.c has changed: running it again"
    assert error.startswith("t.bpf.c:9:12: error: use of undeclared identifier 'nonsense'")
    assert sentence == "t: BCC cannot compile t.bpf.c"
    assert waits == "bpfduet: t.bpf.c has ended with status 1: waiting until it changes"


def test_a_tool_that_ends(watching: Callable[..., Watcher]) -> None:
    """Because COMMAND does; the exit status is the last run's."""
    watcher = watching("--", "true")
    watcher.waiting(0)
    Path("t.bpf.c").write_text(SOURCE.replace("MINE;", "nonsense;"))
    watcher.waiting(1)
    assert watcher.process.poll() is None
    assert watcher.finish(signal.SIGTERM) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end(watching: Callable[..., Watcher], number: int) -> None:
    """Both end, with the report, and nothing is left."""
    watcher = watching()
    command = watcher.ready(1)
    tool, = children(watcher.process.pid)
    mine = held(tool)
    assert mine
    assert watcher.finish(number) == 0
    assert watcher.out()[-1] == "1,1" and watcher.err() == []
    assert not alive(command) and not alive(tool) and not cgroup_of(tool).exists()
    assert still_there(mine) == set()


def test_killed(watching: Callable[..., Watcher]) -> None:
    """SIGKILL of the watcher: the tool ends, and COMMAND with it."""
    watcher = watching()
    command = watcher.ready(1)
    tool, = children(watcher.process.pid)
    mine = held(tool)
    watcher.process.kill()
    watcher.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while alive(tool) or alive(command):
        assert time.monotonic() < deadline, "the tool or COMMAND is left"
        time.sleep(0.01)
    assert not cgroup_of(tool).exists() and still_there(mine) == set()


def test_a_terminals_interrupt(watching: Callable[..., Watcher]) -> None:
    """Ctrl-C reaches the tool once: its report is printed."""
    pid, terminal = pty.fork()
    if not pid:
        os.execvp("strace", ["strace", "-qq", "-e", "trace=kill,pidfd_send_signal", "-e", "signal=none", "-o",
                             "calls", str(ROOT / "bpfduet"), "run", "--watch", "t.bpf.c", *COMMAND])
    said = b""
    deadline = time.monotonic() + PATIENCE_S
    interrupted = False
    while True:
        assert time.monotonic() < deadline, said
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            said += os.read(terminal, 4096)
        except OSError:     # nobody has it open
            break
        if b"ready " in said and not interrupted:
            os.write(terminal, b"\x03")
            interrupted = True
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert said.endswith(b"1,1\r\n") and b"bpfduet:" not in said
    assert Path("calls").read_text() == ""      # it has passed nothing on


@pytest.mark.parametrize("args, sentence", [
    ([], "bpfduet: --watch needs a tool: its name, or a .bpf.c file"),
    (["--count"], "bpfduet: --watch needs a tool: its name, or a .bpf.c file"),
    (["hello", "--nonsense"], "hello: "),
])
def test_usage(args: Sequence[str], sentence: str, tracefs: None) -> None:
    """Exit status 2, at once."""
    done = finish(start([str(ROOT / "bpfduet"), "run", "--watch", *args]))
    assert (done.status, done.stdout) == (2, b"") and done.stderr.decode().startswith(sentence)


def test_help() -> None:
    """`bpfduet run --help` tells of both."""
    done = finish(start([str(ROOT / "bpfduet"), "run", "--help"]))
    assert (done.status, done.stderr) == (0, b"")
    assert b"--watch" in done.stdout and b"--show c" in done.stdout
