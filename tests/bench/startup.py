#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""From starting a tool to its programs being attached: `bpfduet run` beside stock BCC.

    sudo tests/bench/startup.py

The stock tools are the installed ones (on tracepoints, where they want kprobes:
tests/oracle/stock.py) and compile against real kernel headers, Debian's newest 6.1. What they would
print is wrong if the running kernel is another, but to compile and attach costs the same. Each is
told to trace one idle process. They take turns, and every figure is the median of the runs.
BENCH_RUNS is their number (default 9).
"""
from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS), str(TESTS / "oracle")]

import frontends  # noqa: E402
import packages  # noqa: E402

RUNS = int(os.environ.get("BENCH_RUNS", "9"))
SERIES = "6.1"       # BCC 0.26 cannot use those of 6.12
PYTHON = "/usr/bin/python3"
SETTLED_S = 1.0
STOCK = """
import sys
sys.path.insert(0, %r)
import stock
tool = sys.argv[1]
text = stock.source(tool, "0")     # of no cgroup
sys.argv[:2] = [tool]
exec(compile(text, tool, "exec"), {"__name__": "__main__"})
""" % str(TESTS / "oracle")
# A stock tool as it is installed, through bpfduet's headers.
OURS = """
import os, runpy, sys
sys.path.insert(0, %r)
from bpfduet import kernel_headers
import bcc

class BPF(bcc.BPF):
    def __init__(self, text, **rest):
        kernel_headers.folder_for(text, []).apply(os.environ)
        kernel_headers.without_kallsyms(lambda: bcc_init(self, text=text, **rest))

bcc_init, bcc.BPF = bcc.BPF.__init__, BPF
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
""" % str(frontends.ROOT / "python")


@dataclass
class Contender:
    """A command, and what was measured of it: seconds, seconds of CPU, MiB."""

    argv: List[str]
    env: Dict[str, str] = field(default_factory=dict)
    programs: int = 0
    seconds: List[float] = field(default_factory=list)
    cpu: List[float] = field(default_factory=list)
    memory: List[float] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Run it."""
        return subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, env={**os.environ, **self.env})

    def count_programs(self) -> None:
        """Run it until it attaches no more, and remember how many programs it has."""
        process = self.start()
        last = time.monotonic()
        while not self.programs or time.monotonic() - last < SETTLED_S:
            count = self._attached(process)
            if count != self.programs:
                self.programs, last = count, time.monotonic()
            time.sleep(0.02)
        process.kill()
        process.communicate()

    def measure(self) -> None:
        """Run it until it is attached."""
        begin = time.monotonic()
        process = self.start()
        while self._attached(process) < self.programs:
            time.sleep(0.002)
        self.seconds.append(time.monotonic() - begin)
        process.kill()
        self._add(process)

    def _add(self, process: subprocess.Popen[bytes]) -> None:
        """What a process that ends has taken, with the children that it has waited for."""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.communicate()
        self.cpu.append(used.ru_utime + used.ru_stime)
        self.memory.append(used.ru_maxrss / 1024)

    def measure_to_its_end(self) -> None:
        """The same of a command that ends by itself."""
        begin = time.monotonic()
        self._add(self.start())
        self.seconds.append(time.monotonic() - begin)

    def _attached(self, process: subprocess.Popen[bytes]) -> int:
        if process.poll() is not None:
            sys.exit(f"{self.argv} ended: {process.communicate()[1].decode()[-2000:]}")
        return frontends.attachments(process.pid)

    def medians(self) -> Tuple[float, float, float]:
        """Seconds, seconds of CPU, MiB."""
        return (statistics.median(self.seconds), statistics.median(self.cpu),
                statistics.median(self.memory))


def real_headers(folder: Path) -> Path:
    """Debian's headers, which are two folders, as the one that BCC_KERNEL_SOURCE may name."""
    sources = packages.fetch(packages.newest(SERIES, "headers")) / "usr" / "src"
    common = next(sources.glob("*-common"))
    build = next(path for path in sources.iterdir() if path != common)
    merged = folder / "headers"
    for part in (common, build):
        for name in ("include", "arch"):
            shutil.copytree(part / name, merged / name, copy_function=os.symlink,
                            dirs_exist_ok=True)
    return merged


@contextlib.contextmanager
def idle_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own that does nothing."""
    with subprocess.Popen(["sleep", "inf"]) as process:
        try:
            yield process
        finally:
            process.kill()


def contenders(pid: int, headers: Path) -> Dict[str, Dict[str, Contender]]:
    """By program and column."""
    stock = {"BCC_KERNEL_SOURCE": str(headers)}
    table: Dict[str, Dict[str, Contender]] = {}
    for tool in ("opensnoop", "execsnoop", "syscount"):
        # execsnoop has no -p: its programs are attached, and find nothing of this cgroup
        scope = [] if tool == "execsnoop" else ["-p", str(pid)]
        ours = [str(frontends.ROOT / "bpfduet"), "run", tool, "--pid", str(pid)]
        table[tool] = {
            "bpfduet run": Contender(ours),
            "compiling": Contender(ours, {"BPFDUET_NO_CACHE": "1"}),
            "stock BCC": Contender([PYTHON, "-c", STOCK, tool, *scope], stock),
        }
    tcplife = ["/usr/sbin/tcplife-bpfcc", "-p", str(pid)]
    table["tcplife (stock)"] = {
        "compiling": Contender([PYTHON, "-c", OURS, *tcplife]),
        "stock BCC": Contender([PYTHON, *tcplife], stock),
    }
    return table


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, idle_process() as idle:
        table = contenders(idle.pid, real_headers(Path(folder)))
        everyone = [one for row in table.values() for one in row.values()]
        python = Contender([PYTHON, "-I", "-c", "pass"])
        for contender in everyone:
            contender.count_programs()
        for number in range(RUNS):
            print(f"run {number + 1} of {RUNS}", file=sys.stderr)
            for contender in everyone:
                contender.measure()
            python.measure_to_its_end()
    print(f"{os.uname().release}, {os.cpu_count()} CPUs, medians of {RUNS} runs: seconds until attached, "
          "seconds of CPU, MiB")
    columns = ("bpfduet run", "compiling", "stock BCC")
    titles = "".join(f"{column:>22}" for column in columns)
    print(f"{'':16}{titles}{'compiling / stock':>20}")
    for name, row in table.items():
        cells = ["%.3f %.3f %6.1f" % row[column].medians() if column in row else ""
                 for column in columns]
        ratio = row["compiling"].medians()[0] / row["stock BCC"].medians()[0]
        print(f"{name:16}" + "".join(f"{cell:>22}" for cell in cells) + f"{ratio:20.2f}")
    print(f"{'python3 -c pass':16}{'%.3f %.3f %6.1f' % python.medians():>22}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
