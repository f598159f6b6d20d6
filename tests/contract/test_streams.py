# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""stdout is data and nothing else, and it comes in time."""
from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from bpfduet.plain.cgroup import own_cgroup
from frontends import BIN, BUILD, FRONTENDS, SLOWNESS, Running, cgroup, command, in_cgroup, run
from support import MISSING, opens

pytestmark = pytest.mark.host_only

both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)
PATIENCE_S = 20 * SLOWNESS


@pytest.mark.parametrize("output", ["text", "json", "csv"])
@both_frontends
def test_banner_is_on_stderr(workloads: Path, frontend: str, output: str) -> None:
    """In text it is on stderr; the other formats have none."""
    result = run(frontend, "readhist", ["--format", output, "--", str(workloads / "reads"),
                                        "23", "5"])
    assert result.status == 0
    assert result.stderr == (b"Tracing read()... Hit Ctrl-C to end.\n" if output == "text" else b"")
    assert b"Tracing" not in result.stdout and result.stdout


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
@both_frontends
def test_answers_are_data(frontend: str, args: List[str]) -> None:
    """What was asked for is on stdout."""
    result = run(frontend, "opensnoop", args)
    assert (result.status, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"Usage: opensnoop" if args == ["--help"] else b"opensnoop ")


@pytest.mark.parametrize("tool", ["hello", "opensnoop", "execsnoop", "syscount", "readhist"])
def test_help_is_the_same(tool: str) -> None:
    """--help has the same bytes in both frontends, in less than 80 columns."""
    c, bcc = (run(frontend, tool, ["--help"]).stdout for frontend in FRONTENDS)
    assert c == bcc
    assert max(len(line) for line in c.decode().splitlines()) < 80


def read_until(descriptor: int, wanted: bytes, patience_s: float) -> bytes:
    """What comes until ``wanted`` is in it."""
    got = b""
    deadline = time.monotonic() + patience_s
    while wanted not in got:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{wanted!r} did not come in {patience_s} s: {got!r}"
        got += os.read(descriptor, 65536)
    return got


@pytest.mark.parametrize("terminal", [True, False])
@both_frontends
def test_events_come_in_time(workloads: Path, frontend: str, terminal: bool) -> None:
    """On a terminal within a second, far less; elsewhere within a second and a little."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with cgroup() as group:
        process = subprocess.Popen(command(frontend, "opensnoop", ["--cgroup", str(group)]),
                                   stdin=subprocess.DEVNULL, stdout=theirs)
        try:
            read_until(ours, b"PATH", PATIENCE_S)
            for _ in range(2):
                in_cgroup(group, opens(workloads, 1))
                read_until(ours, b"/bpfduet/missing", 0.5 if terminal else 1.5)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            os.close(ours)
            os.close(theirs)


@both_frontends
def test_few_writes(workloads: Path, frontend: str, tmp_path: Path) -> None:
    """Where nobody looks on, thousands of lines are few writes."""
    pipe = subprocess.Popen(
        ["strace", "-f", "-qq", "-e", "trace=write", "-o", str(tmp_path / "calls"),
         *map(str, command(frontend, "opensnoop", ["-b", "4096", "--",
                                                   *map(str, opens(workloads, 5000))]))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out, _ = pipe.communicate(timeout=60)
    assert out.count(b"/bpfduet/missing") == 5000
    writes = [line for line in (tmp_path / "calls").read_text().splitlines() if "write(1, " in line]
    assert 0 < len(writes) < 40


@both_frontends
def test_closed_stderr(workloads: Path, frontend: str) -> None:
    """Without a stderr the data comes all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(command(frontend, "syscount", ["--", str(workloads / "calls"), "23"]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=writer) as process:
        os.close(writer)
        assert process.stdout and b"getpgid" in process.stdout.read()
        assert process.wait(PATIENCE_S) == 0


@both_frontends
def test_non_blocking_stdout(workloads: Path, frontend: str) -> None:
    """A stdout that some other program made non-blocking loses nothing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(command(frontend, "opensnoop", ["-b", "4096", "--",
                                                          *opens(workloads, 5000)]),
                          stdin=subprocess.DEVNULL, stdout=writer,
                          stderr=subprocess.PIPE) as process:
        os.close(writer)
        time.sleep(1)       # more than the pipe holds has gathered
        got = b""
        while True:
            chunk = os.read(reader, 65536)
            if not chunk:
                break
            got += chunk
        os.close(reader)
        assert process.stderr and process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == 0
    assert got.count(b"/bpfduet/missing") == 5000


@both_frontends
def test_report_on_time_in_a_pipe(workloads: Path, frontend: str) -> None:
    """The report of an interval is not held back."""
    with cgroup() as group:
        tracer = Running(frontend, "syscount", ["--cgroup", str(group), "-i", "1"], 1)
        try:
            tracer.wait_ready()
            in_cgroup(group, [str(workloads / "calls"), "23"])
            assert tracer.process.stdout
            read_until(tracer.process.stdout.fileno(), b"getpgid", 2.5)
        finally:
            tracer.finish()


@both_frontends
def test_output_file(workloads: Path, tmp_path: Path, frontend: str) -> None:
    """-o: data is in the file, which is emptied before; stdout is COMMAND's."""
    out = tmp_path / "out"
    out.write_text("from before\n" * 1000)
    done = run(frontend, "opensnoop", ["-o", str(out), "--format", "json", "--", *opens(workloads, 3)])
    assert (done.status, done.stderr) == (0, b"")
    assert [line.count(b" ") for line in done.lines()] == [2]       # what the workload says
    found = [json.loads(line)["data"]["path"] for line in out.read_text().splitlines()]
    assert found.count("/bpfduet/missing") == 3


@pytest.mark.parametrize("path, why, before", [
    ("/bpfduet/missing", "cannot write '/bpfduet/missing': No such file or directory", True),
    ("/usr", "cannot write '/usr': Is a directory", True),
    ("/dev/full", "cannot write the output: No space left on device", False)])
@both_frontends
def test_output_that_cannot_be_written(workloads: Path, frontend: str, path: str, why: str,
                                       before: bool) -> None:
    """One sentence; before anything is run, if it can be known then."""
    done = run(frontend, "opensnoop", ["--output", path, "--", *opens(workloads, 3)])
    assert (done.status, done.stderr.decode()) == (1, f"opensnoop: {why}\n")
    assert len(done.lines()) == (0 if before else 1)


@pytest.mark.parametrize("frontend", [*FRONTENDS, "loader"])
def test_output_file_is_made(tmp_path: Path, frontend: str) -> None:
    """By the umask, like any file; and nothing of the run is on stdout."""
    out = tmp_path / "out"
    args = ["-o", str(out), "--duration", "1"]
    argv = command(frontend, "opensnoop", args)
    if frontend == "loader":
        argv = [str(BIN / "bpfduet-loader"), str(BUILD / "bpf" / "opensnoop.bpf.o"), *args]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, check=False, umask=0o007)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert out.stat().st_mode & 0o777 == 0o660
    assert out.read_bytes().startswith(b"PID ")


CLOSING = "import os, sys; [os.close(int(one)) for one in sys.argv[1]]; os.execvp(sys.argv[2], sys.argv[2:])"


@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "02", "12", "012"])
@both_frontends
def test_closed_streams(workloads: Path, frontend: str, closed: str, tmp_path: Path) -> None:
    """Without stdout it says what is wrong; without the others it runs, and no file that is opened
    later takes the place of one."""
    argv = command(frontend, "opensnoop", ["--", *opens(workloads, 23)])
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        done = subprocess.run([sys.executable, "-c", CLOSING, closed, *argv], stdin=subprocess.DEVNULL,
                              stdout=out, stderr=err, timeout=PATIENCE_S, check=False)
    assert done.returncode == ("1" in closed)
    if "1" not in closed:
        assert (tmp_path / "out").read_bytes().count(MISSING.encode()) == 23
    expected = "opensnoop: cannot write the output: Bad file descriptor\n" if "1" in closed else ""
    assert (tmp_path / "err").read_text() == ("" if "2" in closed else expected)


@pytest.mark.parametrize("limit", [6, 9, 13, 17, 21, 25, 29])
@both_frontends
def test_few_descriptors(frontend: str, limit: int) -> None:
    """One sentence that names the cause, wherever it strikes, and nothing is left behind."""
    assert run(frontend, "gethostlatency", ["--", "true"]).status == 0      # and so it is compiled
    argv = ["sh", "-c", f"ulimit -n {limit}; exec \"$@\"", "sh",
            *command(frontend, "gethostlatency", ["--", "true"])]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (1, b"")
        assert re.fullmatch(rb"\w+: too few files may be open: raise the limit \(ulimit -n\)\n", err), err
        assert not list(own_cgroup().glob(f"bpfduet-{process.pid}*"))
