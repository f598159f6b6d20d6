# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""offcputime: a known number of waits. Each frontend measures for itself, so times are masked."""
from __future__ import annotations

import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import pytest

from frontends import FRONTENDS, Result, Running, _entering, cgroup
from parity.test_symbols import build

COUNT, MILLISECONDS = 23, 10
# Waits as long as the workload's, and not those for the disk or for a CPU.
LONG = ["-m", "8000"]


@pytest.fixture(scope="module", name="waits")
def _waits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("offcputime"), ["waits.c"], ["-static"])


def sleep_through(waits: Path, group: Path, ends: contextlib.ExitStack) -> int:
    """Return when the workload has slept all its sleeps; its PID. It stays until ``ends``."""
    process = ends.enter_context(subprocess.Popen(
        [str(waits), str(COUNT), str(MILLISECONDS)], preexec_fn=_entering(group, None),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    ends.callback(process.kill)
    assert process.stdout and process.stdout.readline() == b"done\n"
    return process.pid


def waited(waits: Path, runs: Dict[str, Sequence[str]], frontends: Sequence[str] = FRONTENDS
           ) -> Tuple[int, Dict[Tuple[str, str], Result]]:
    """The workload's PID and what each frontend printed in each of the runs, side by side."""
    with cgroup("offcputime") as group, contextlib.ExitStack() as ends:
        tracers: Dict[Tuple[str, str], Running] = {}
        for name, args in runs.items():
            for frontend in frontends:
                tracers[frontend, name] = Running(
                    frontend, "offcputime", ["--cgroup", str(group), *LONG, *args], 1)
                ends.callback(tracers[frontend, name].end)
        for tracer in tracers.values():
            tracer.wait_ready()
        pid = sleep_through(waits, group, ends)
        results = {key: tracer.finish() for key, tracer in tracers.items()}
        for key, result in results.items():
            assert result.status == 0, (key, result)
        return pid, results


def masked(text: bytes) -> bytes:
    """Without the times, in an order that does not hang on them."""
    text = re.sub(rb"(?m)( |,|\"value\":)\d+(?=\}|$)", rb"\1N", text)
    return b"\n\n".join(sorted(text.split(b"\n\n"))) if b"\n\n" in text else \
        b"\n".join(sorted(text.split(b"\n")))


def test_sleeps(workloads, waits: Path) -> None:
    """The one stack of the workload's sleeps, in every form. Waits of other states are for a CPU,
    and of the longest of those two observers may see another one, or in another order."""
    forms = {"json": ["--format", "json"], "text": ["-d"], "folded": ["-d", "-f"],
             "csv": ["--format", "csv"]}
    pid, results = waited(waits, {form: [*args, "--state", "1"] for form, args in forms.items()})
    for form in ("json", "text", "folded", "csv"):
        assert masked(results["c", form].stdout) == masked(results["bcc", form].stdout), form
        assert results["c", form].stderr == results["bcc", form].stderr
    assert results["c", "text"].stderr == (b"Tracing off-CPU time (us) of all threads by user + "
                                           b"kernel stack... Hit Ctrl-C to end.\n")
    for frontend in FRONTENDS:
        (report,) = [json.loads(line) for line in results[frontend, "json"].lines()]
        (entry,) = report["data"]
        assert (entry["comm"], entry["process"], entry["task"]) == ("waits", pid, pid)
        # the C library's own functions keep no frame pointer
        assert [name for name in entry["user"] if name.startswith(("wait_", "main"))] in (
            ["wait_here", "wait_middle", "main"], ["wait_middle", "main"])
        assert "do_nanosleep" in entry["kernel"] and "__schedule" in entry["kernel"]
        assert entry["kernel"][-2:] == ["do_syscall_64", "entry_SYSCALL_64_after_hwframe"]
        assert re.fullmatch(rb"((    \w.*\n)+    --\n(    \S.*\n)+    -                waits "
                            rb"\(%d\)\n        \d+\n\n)+" % pid, results[frontend, "text"].stdout)
        assert re.fullmatch(rb"waits;(.*;)?main;wait_middle;.*;-;entry_SYSCALL_64_after_hwframe;"
                            rb"do_syscall_64;.*;__schedule(;.*)? \d+",
                            results[frontend, "folded"].lines()[-1])


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, shown", [
    (["-M", "1000"], False), (["--state", "1"], True), (["--state", "2"], False),
    (["--state", "0"], False), (["-u"], True), (["-k"], False)])
def test_filters(workloads, waits: Path, args: List[str], shown: bool) -> None:
    """What leaves the sleeps out, and what does not."""
    _, results = waited(waits, {"f": ["-f", *args]})
    for frontend in FRONTENDS:
        lines = results[frontend, "f"].lines()
        assert any(b"wait_middle" in line for line in lines) == shown, lines


def test_one_side(workloads, waits: Path) -> None:
    """-U and -K."""
    _, results = waited(waits, {"U": ["-U", "-f"], "K": ["-K", "-f"]})
    for frontend in FRONTENDS:
        user = results[frontend, "U"].lines()[-1]
        kernel = results[frontend, "K"].lines()[-1]
        assert b"wait_middle" in user and b"schedule" not in user
        assert b"wait_middle" not in kernel and b"do_nanosleep" in kernel
