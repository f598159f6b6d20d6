#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""opensnoop, both ways, beside its peers: what each costs. ``make bench`` runs it.

One traced process of our own opens a missing path; every tracer is told to trace that process
alone. The tracers take turns, run after run, and every figure is the median of the runs, so
that what the machine does beside falls on all of them. Figures of one run are to be compared
with each other, not with those of another day.

BENCH_RUNS is the number of runs (default 5, no fewer are fair), BENCH_PEERS the names of those
to compare, with commas (default all).
"""
from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "python"))

from bpfduet import kernel_headers  # noqa: E402

BUILD = ROOT / "build"
MARK = b"/bpfduet-benchmark/"
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
STEADY_EVENTS, STEADY_RATE = 50_000, 50_000
FLOOD_EVENTS = 100_000
RATES = (50_000, 100_000, 150_000, 200_000, 300_000, 400_000)
RATE_SECONDS = 1
NEVER = 4194303     # a PID that nobody has: pid_max is above the ones in use

BPFTRACE = """
tracepoint:syscalls:sys_enter_open, tracepoint:syscalls:sys_enter_openat /pid == %d/
{ @filename[tid] = args->filename; }
tracepoint:syscalls:sys_exit_open, tracepoint:syscalls:sys_exit_openat /@filename[tid]/
{
  $ret = args->ret;
  $fd = $ret >= 0 ? $ret : -1;
  $errno = $ret >= 0 ? 0 : - $ret;
  printf("%%-6d %%-16s %%4d %%3d %%s\\n", pid, comm, $fd, $errno, str(@filename[tid]));
  delete(@filename[tid]);
}
END { clear(@filename); }
"""

Command = Callable[[int], List[str]]


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C, and by force if that is not heard: stock tools miss it at times."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Opener:
    """The traced process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([str(BUILD / "tests" / "opener")], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def start(self, count: int, rate: int = 0) -> None:
        """Let it open; ``wait`` must follow."""
        assert self._process.stdin
        self._process.stdin.write(f"{count} {rate}\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        """Nanoseconds that it took."""
        assert self._process.stdout
        return int(self._process.stdout.readline())

    def run(self, count: int, rate: int = 0) -> int:
        """Open and wait."""
        self.start(count, rate)
        return self.wait()

    def close(self) -> None:
        """End it."""
        self._process.communicate("")


class Tracer:
    """A running tracer, its output in a file."""

    def __init__(self, argv: List[str], env: Dict[str, str]):
        # pylint: disable=consider-using-with
        self._out = tempfile.TemporaryFile(dir="/dev/shm")
        self._err = tempfile.TemporaryFile(dir="/dev/shm")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._out,
                                        stderr=self._err, env={**os.environ, **env})

    def cpu(self) -> float:
        """User and system seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Peak resident memory so far."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found
        return int(found.group(1)) / 1024

    def wait_attached(self, opener: Opener) -> None:
        """Return once its probes are seen to slow the opener's calls, or rather: once it holds
        them, and has had time to open its buffers."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._err.seek(0)
                sys.exit(f"{self.process.args}: {self._err.read().decode()}")
            if self._probes() >= 2:
                time.sleep(0.3)
                return
            time.sleep(0.02)
        sys.exit(f"{self.process.args}: never attached")

    def _probes(self) -> int:
        count = 0
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{self.process.pid}/fd/{fd}")
                count += target in ("anon_inode:[perf_event]", "anon_inode:bpf_link",
                                    "anon_inode:bpf-link")
        return count

    def finish(self) -> Tuple[int, bytes]:
        """End it with Ctrl-C; how many of the opener's events it printed, and stderr."""
        end(self.process)
        self._out.seek(0)
        shown = sum(chunk.count(MARK) for chunk in _lines(self._out))
        self._err.seek(0)
        return shown, self._err.read()


def _lines(file: "tempfile._TemporaryFileWrapper[bytes]") -> Iterator[bytes]:
    rest = b""
    while True:
        chunk = file.read(1 << 20)
        if not chunk:
            yield rest
            return
        cut = chunk.rfind(b"\n") + 1
        yield rest + chunk[:cut]
        rest = chunk[cut:]


class Peer:
    """One of the compared: how it is started to trace a PID, and what it needs on disk."""

    def __init__(self, name: str, command: Command, files: List[str],
                 env: Optional[Dict[str, str]] = None, start_s: int = 2):
        self.name = name
        self.command = command
        self.files = files
        self.env = env or {}
        self.start_s = start_s      # it has begun to trace by then

    def size_mb(self) -> float:
        """The files and the shared libraries that they are linked with."""
        paths = set()
        for file in self.files:
            paths.add(os.path.realpath(file))
            listed = subprocess.run(["ldd", file], stdout=subprocess.PIPE, text=True,
                                    stderr=subprocess.DEVNULL, check=False).stdout
            for found in re.findall(r"(/\S+) \(0x", listed):
                paths.add(os.path.realpath(found))
        return sum(os.stat(path).st_size for path in paths) / 1e6


def peers(folder: Path) -> List[Peer]:
    """Those that are installed."""
    whole = folder / "headers"
    kernel_headers.make(whole, None)
    bcc = {"BCC_KERNEL_SOURCE": str(whole)}
    libbcc = next(Path("/usr/lib").glob("*/libbcc.so.0"))
    script = folder / "opensnoop.bt"

    def bpftrace(pid: int) -> List[str]:
        script.write_text(BPFTRACE % pid)
        return ["bpftrace", str(script)]

    found = [
        Peer("bpfduet C", lambda pid: [str(BUILD / "bin" / "opensnoop"), "-p", str(pid)],
             [str(BUILD / "bin" / "opensnoop")]),
        Peer("static", lambda pid: [str(BUILD / "static" / "opensnoop"), "-p", str(pid)],
             [str(BUILD / "static" / "opensnoop")]),
        Peer("bpfduet BCC", lambda pid: [str(ROOT / "bpfduet"), "run", "opensnoop", "-p", str(pid)],
             ["/usr/bin/python3", str(libbcc)]),
        Peer("libbpf-tools", lambda pid: ["/usr/sbin/opensnoop", "-p", str(pid)],
             ["/usr/sbin/opensnoop"]),
        Peer("stock BCC", lambda pid: ["/usr/bin/python3", str(HERE / "stock_opensnoop.py"),
                                       "-p", str(pid)], ["/usr/bin/python3", str(libbcc)], bcc, 5),
        Peer("bpftrace", bpftrace, ["/usr/bin/bpftrace"]),
    ]
    only = os.environ.get("BENCH_PEERS")
    return [peer for peer in found if os.path.exists(peer.files[0])
            and (not only or peer.name in only.split(","))]


def first_event_s(peer: Peer, opener: Opener) -> float:
    """From starting the tracer to the first event on its terminal, while there is one each ms."""
    master, slave = pty.openpty()
    opener.start(peer.start_s * 1000, 1000)
    begin = time.monotonic()
    process = subprocess.Popen(peer.command(opener.pid), stdin=subprocess.DEVNULL, stdout=slave,
                               stderr=subprocess.DEVNULL, env={**os.environ, **peer.env})
    os.close(slave)
    seen = b""
    while MARK not in seen:
        if not select.select([master], [], [], 20)[0]:
            sys.exit(f"{peer.name} shows nothing")
        seen = seen[-100:] + os.read(master, 65536)
    took = time.monotonic() - begin
    reader = subprocess.Popen(["cat"], stdin=master, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)    # keeps its terminal from filling up
    end(process)
    reader.kill()
    reader.wait()
    os.close(master)
    return took


@contextlib.contextmanager
def tracing(peer: Peer, opener: Opener, pid: int) -> Iterator[Tracer]:
    """A tracer that is ready."""
    tracer = Tracer(peer.command(pid), peer.env)
    tracer.wait_attached(opener)
    yield tracer
    if tracer.process.poll() is None:
        tracer.finish()


def one_run(peer: Peer, opener: Opener, untraced: float) -> Dict[str, float]:
    """All that is measured of one peer in one run."""
    row: Dict[str, float] = {}
    with tracing(peer, opener, opener.pid) as tracer:
        before = tracer.cpu()
        opener.run(STEADY_EVENTS, STEADY_RATE)
        time.sleep(0.2)
        row["cpu"] = (tracer.cpu() - before) / STEADY_EVENTS * 1e6
        row["rss"] = tracer.rss_mb()
    with tracing(peer, opener, opener.pid) as tracer:
        ns = opener.run(FLOOD_EVENTS) / FLOOD_EVENTS
        row["added"] = ns / 1000 - untraced
        row["full rate"] = 1e6 / ns
        shown, _ = tracer.finish()
        row["lost"] = 100 * (1 - shown / FLOOD_EVENTS)
    with tracing(peer, opener, NEVER):
        row["filtered"] = opener.run(FLOOD_EVENTS) / FLOOD_EVENTS / 1000 - untraced
    return row


def lossless_rate(peer: Peer, opener: Opener) -> float:
    """The highest of RATES, in thousands a second, at which nothing is lost."""
    best = 0
    for rate in RATES:
        with tracing(peer, opener, opener.pid) as tracer:
            count = rate * RATE_SECONDS
            ns = opener.run(count, rate)
            shown, _ = tracer.finish()
        if shown < count or count / (ns / 1e9) < 0.9 * rate:
            break
        best = rate
    return best / 1000


ROWS = (
    ("first", "start to first event (s)", "%.3f"),
    ("rss", "peak memory (MB)", "%.1f"),
    ("size", "on disk, with libraries (MB)", "%.1f"),
    ("cpu", "CPU at 50,000 events/s (us each)", "%.2f"),
    ("added", "added to a traced open() (us)", "%.2f"),
    ("filtered", "added to one filtered out (us)", "%.2f"),
    ("full rate", "full speed (1000 events/s)", "%.0f"),
    ("lost", "lost at full speed (%)", "%.1f"),
    ("best", "highest lossless rate (1000/s)", "%.0f"),
)


def main() -> int:
    """Measure and print."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    opener_path = BUILD / "tests" / "opener"
    opener_path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-Wall", "-o", str(opener_path), str(HERE / "opener.c")],
                   check=True)
    opener = Opener()
    results: Dict[str, Dict[str, List[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        compared = peers(Path(folder))
        for peer in compared:
            results[peer.name] = {key: [] for key, _, _ in ROWS}
            results[peer.name]["size"].append(peer.size_mb())
        untraced = []
        for number in range(RUNS):
            print(f"run {number + 1} of {RUNS}", file=sys.stderr)
            alone = opener.run(FLOOD_EVENTS) / FLOOD_EVENTS / 1000
            untraced.append(alone)
            for peer in compared:
                result = results[peer.name]
                result["first"].append(first_event_s(peer, opener))
                opener.wait()
                for key, value in one_run(peer, opener, alone).items():
                    result[key].append(value)
        for peer in compared:
            results[peer.name]["best"].append(lossless_rate(peer, opener))
    opener.close()
    print(f"{os.uname().release}, {os.cpu_count()} CPUs, medians of {RUNS} runs; "
          f"untraced open(): {statistics.median(untraced):.2f} us")
    print(f"{'':34}" + "".join(f"{peer.name:>13}" for peer in compared))
    for key, title, form in ROWS:
        cells = [form % statistics.median(results[peer.name][key]) for peer in compared]
        print(f"{title:34}" + "".join(f"{cell:>13}" for cell in cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
