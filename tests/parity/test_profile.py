# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""profile: the code that a workload is known to run. Samples are never the same twice, so what is
compared of the two frontends is the stacks and their text, with the counts masked."""
from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import pytest

from frontends import (FRONTENDS, PATIENCE_S, SLOWNESS, Result, Running, _entering, cgroup,
                       perf_events, run, seconds)
from parity.test_symbols import build

CPUS = os.cpu_count() or 1
HOT = ["burn_hot", "burn_middle", "main"]
# Many samples in little time: how many of them are enough is asked of the kernel, not of a clock.
FAST = ["-F", "999"]
SAMPLES = 200


@pytest.fixture(scope="module", name="burn")
def _burn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("profile"), ["burn.c"], ["-static"])


@contextlib.contextmanager
def burning(argv: Sequence[str], group: Path) -> Iterator[subprocess.Popen]:
    """A workload that runs until the end of the block."""
    with subprocess.Popen(list(argv), preexec_fn=_entering(group, None),
                          stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.communicate()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def burn_for_a_while(pid: int) -> None:
    """Return when the process has used the CPU time of enough samples."""
    deadline = time.monotonic() + PATIENCE_S
    wanted = cpu_seconds(pid) + SAMPLES / 999
    while cpu_seconds(pid) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_sampling(tracer: Running) -> None:
    """Return when a tool samples on every CPU; fail if it ends before or never does."""
    deadline = time.monotonic() + PATIENCE_S
    while perf_events(tracer.process.pid) < CPUS:
        assert tracer.process.poll() is None, tracer.result()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sampled(argv: Sequence[str], runs: Dict[str, List[str]],
            scope: Sequence[str] = (), frontends: Sequence[str] = FRONTENDS
            ) -> Tuple[int, Dict[Tuple[str, str], Result]]:
    """The workload's PID and what each frontend printed in each of the runs, side by side."""
    with cgroup("profile") as group, contextlib.ExitStack() as ends:
        process = ends.enter_context(burning(argv, group))
        tracers: Dict[Tuple[str, str], Running] = {}
        for name, args in runs.items():
            for frontend in frontends:
                options = [arg.format(pid=process.pid) for arg in scope] or \
                    ["--cgroup", str(group)]
                tracers[frontend, name] = Running(frontend, "profile",
                                                  [*FAST, *options, *args], 0)
                ends.callback(tracers[frontend, name].end)
        for tracer in tracers.values():
            wait_sampling(tracer)
        burn_for_a_while(process.pid)
        results = {key: tracer.finish() for key, tracer in tracers.items()}
        for key, result in results.items():
            assert result.status == 0, (key, result)
        return process.pid, results


def entries(result: Result) -> List[dict]:
    """The stacks in JSON."""
    (report,) = [json.loads(line) for line in result.lines()]
    assert (report["type"], report["tool"], report["report"]) == ("stacks", "profile", "counts")
    values = [entry["value"] for entry in report["data"]]
    assert values == sorted(values)
    return list(report["data"])


def share(found: List[dict], names: List[str]) -> float:
    """The share of samples whose innermost user functions are these."""
    total = sum(entry["value"] for entry in found)
    return sum(entry["value"] for entry in found
               if (entry["user"] or [])[:len(names)] == names) / total


def test_hot_function(workloads, burn: Path) -> None:
    """The chain has at least nine of ten samples, and is the same in both frontends."""
    pid, results = sampled([str(burn)], {"json": ["--format", "json"]})
    chains = []
    for frontend in FRONTENDS:
        found = entries(results[frontend, "json"])
        assert {(entry["comm"], entry["process"], entry["task"]) for entry in found} == {
            ("burn", pid, pid)}
        assert share(found, HOT) >= 0.9, found
        chains.append({tuple(entry["user"]) for entry in found if (entry["user"] or [])[:3] == HOT})
    assert chains[0] == chains[1]


def test_vdso(workloads, burn: Path) -> None:
    """A function that is in no file."""
    _, results = sampled([str(burn), "clock"], {"json": ["--format", "json", "-U"]})
    for frontend in FRONTENDS:
        names = {entry["user"][0] for entry in entries(results[frontend, "json"]) if entry["user"]}
        assert "clock_gettime" in names, names


def test_text(workloads, burn: Path) -> None:
    """The text of one stack, in every style."""
    pid, results = sampled([str(burn)], {
        "plain": ["-U"], "folded": ["-U", "-f"], "csv": ["-U", "--format", "csv"]},
        ["-p", "{pid}"])
    for frontend in FRONTENDS:
        text = results[frontend, "plain"].stdout.decode()
        assert re.fullmatch(r"((    \S.*\n)+    -                burn \(%d\)\n        \d+\n\n)+"
                            % pid, text)
        assert "    burn_hot\n    burn_middle\n    main\n" in text
        folded = results[frontend, "folded"].stdout.decode()
        assert re.fullmatch(r"(burn(;[^;\n]+)+ \d+\n)+", folded)
        assert re.search(r";main;burn_middle;burn_hot \d+$", folded, re.MULTILINE)
        lines = results[frontend, "csv"].stdout.decode().splitlines()
        assert lines[0] == "report,comm,task,user,kernel,value"
        assert any(re.fullmatch(r"counts,burn,%d,.*;main;burn_middle;burn_hot,,\d+" % pid, line)
                   for line in lines)
        stderr = results[frontend, "plain"].stderr.decode()
        assert stderr == (f"Sampling at 999 Hertz of PID [{pid}] by user stack"
                          "... Hit Ctrl-C to end.\n")
        assert results[frontend, "folded"].stderr == b""


def test_kernel_stacks(workloads, burn: Path, tmp_path: Path) -> None:
    """-K, -d and -a on a workload that is in the kernel nearly all of the time."""
    reader = tmp_path / "reader"
    subprocess.run(["gcc", "-O1", "-static", "-o", str(reader), "-x", "c", "-"], check=True, input=b"""
        #include <fcntl.h>
        #include <poll.h>
        #include <unistd.h>
        int main(void)
        {
            static char bytes[1 << 20];
            int fd = open("/dev/zero", O_RDONLY);
            struct pollfd in = { .events = POLLIN };
            while (!poll(&in, 1, 0))
                for (int i = 0; i < 50; i++)
                    if (read(fd, bytes, sizeof(bytes)) < 0)
                        return 1;
        }""")
    _, results = sampled([str(reader)], {
        "K": ["-K", "-f"], "both": ["-d", "-a", "-f"], "text": ["-d", "-a"]})
    for frontend in FRONTENDS:
        alone = results[frontend, "K"].stdout.decode()
        assert re.search(r"^reader;entry_SYSCALL_64_after_hwframe;do_syscall_64;(?!.*_\[k\])"
                         r"(?!.*main).*read_zero.* \d+$", alone, re.MULTILINE), alone
        both = results[frontend, "both"].stdout.decode()
        # the system call is made by read(), or by a function of glibc's (2.41) that all such calls share
        assert re.search(r"^reader;.*(?:read|syscall_cancel);-;entry_SYSCALL_64_after_hwframe_\[k\];"
                         r"do_syscall_64_\[k\];.*read_zero_\[k\]", both, re.MULTILINE), both
        text = results[frontend, "text"].stdout.decode()
        assert re.search(r"    entry_SYSCALL_64_after_hwframe_\[k\]\n    --\n"
                         r"    (?:read|__internal_syscall_cancel)\n", text), text


def test_command(workloads, burn: Path) -> None:
    """COMMAND's functions have names after its end; the time may be given without a dash."""
    for frontend in FRONTENDS:
        result = run(frontend, "profile", [
            *FAST, "--format", "json", seconds(60), "--", "sh", "-c",
            f"sleep {0.7 * SLOWNESS ** 2} | {burn}"])
        # in so many samples two stacks may have the same hash
        assert result.status == 0 and re.fullmatch(rb"(WARNING: \d+ stack traces .*\n)?",
                                                   result.stderr)
        found = [entry for entry in entries(result) if entry["comm"] == "burn"]
        assert share(found, HOT) >= 0.9, found


def test_period_and_cpu(workloads, burn: Path) -> None:
    """-c samples by CPU time; -C takes one CPU alone."""
    with cgroup("cpu") as group, burning(["taskset", "-c", "0", str(burn)], group):
        counts = {}
        for frontend in FRONTENDS:
            for cpu in ("0", str(CPUS - 1)):
                result = run(frontend, "profile", ["-c", "1000000", "-C", cpu, "--cgroup",
                                                   str(group), "-f", "1"])
                assert result.status == 0
                counts[frontend, cpu] = sum(int(line.split()[-1]) for line in result.lines())
    for frontend in FRONTENDS:
        assert counts[frontend, "0"] > 0
        assert CPUS == 1 or counts[frontend, str(CPUS - 1)] == 0


def test_flame_file_that_cannot_be(workloads) -> None:
    """Both say so before anything is sampled."""
    answers = [run(frontend, "profile", ["--flame", "/no/such/folder/x.svg", "1"])
               for frontend in FRONTENDS]
    assert answers[0] == answers[1]
    assert (answers[0].status, answers[0].stdout) == (1, b"")
    assert answers[0].stderr == (b"profile: cannot write '/no/such/folder/x.svg': "
                                 b"No such file or directory\n")
