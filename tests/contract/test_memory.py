# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The C frontend under ASan, UBSan and valgrind.

The sanitized binaries can also run the C half of this whole folder:
``make BUILD=build/asan SANITIZE=1 && BPFDUET_BIN=build/asan/bin pytest tests/contract -k c``.
"""
from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from frontends import (BUILD, PAUSES, ROOT, Argument, Result, attachments, cgroup, in_cgroup,
                       wait_in_call)
from support import environment, opens, run, seen, trace_pipe_is_free

pytestmark = pytest.mark.host_only

SANITIZED = BUILD / "asan"
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
           "UBSAN_OPTIONS": "print_stacktrace=1"}
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
            "--show-leak-kinds=definite,possible", "--errors-for-leak-kinds=definite,possible",
            f"--suppressions={Path(__file__).with_name('valgrind.supp')}"]


@pytest.fixture(name="sanitized", scope="module")
def fixture_sanitized() -> Path:
    """The folder of the sanitized binaries."""
    made = subprocess.run(["make", "-s", f"BUILD={SANITIZED}", "SANITIZE=1"], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert made.returncode == 0, made.stdout.decode()
    return SANITIZED / "bin"


def clean(result: Result, status: int) -> None:
    """Whether a run ended as it should, and no sanitizer had anything to say."""
    said = result.stderr.decode(errors="replace")
    assert "Sanitizer" not in said and "runtime error" not in said, said
    assert result.status == status, said


def sanitized_run(program: Path, args: List[Argument]) -> Result:
    """Run a sanitized tool to its end."""
    return run([str(program), *args], env=environment(**OPTIONS))


def test_the_sanitizer_is_in_it(sanitized: Path) -> None:
    """The binaries that the tests below run are sanitized ones."""
    done = run(["nm", "-D", str(sanitized / "opensnoop")])
    assert b"__asan_init" in done.stdout and b"__ubsan_handle" in done.stdout


@pytest.mark.parametrize("output", ["text", "json", "csv"])
def test_events(sanitized: Path, workloads: Path, output: str) -> None:
    """Events of a COMMAND, with hostile names."""
    result = sanitized_run(sanitized / "opensnoop", ["-T", "-U", "-e", "-F", "--format", output,
                                                     "--", *opens(workloads, 500)])
    clean(result, 0)
    assert seen(result) == 500
    hostile = b"\xff\xe2\x82\n\x1b\"," + b"\xc3" * 240
    clean(sanitized_run(sanitized / "opensnoop", ["--format", output, "--",
                                                  *opens(workloads, 5, hostile)]), 0)
    clean(sanitized_run(sanitized / "execsnoop", ["-q", "-T", "-t", "--format", output, "--",
                                                  str(workloads / "leave"), hostile, b""]), 0)


@pytest.mark.parametrize("output", ["text", "json", "csv"])
@pytest.mark.parametrize("tool, args", [("syscount", ["-L"]), ("syscount", ["-P", "-L", "-m"]),
                                        ("readhist", []), ("readhist", ["-P"])])
def test_reports(sanitized: Path, workloads: Path, tool: str, args: List[str],
                 output: str) -> None:
    """Reports, of maps that are cleared too."""
    result = sanitized_run(sanitized / tool, [*args, "-i", "1", "--format", output, "--", "sh",
                                              "-c", f"{workloads}/reads 23 5 5 4096; sleep 1.2"])
    clean(result, 0)
    assert result.stdout


def test_trace_pipe(sanitized: Path) -> None:
    """hello, ended by a signal."""
    trace_pipe_is_free()
    with cgroup() as group:
        with subprocess.Popen([str(sanitized / "hello"), "--cgroup", str(group)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment(**OPTIONS)) as process:
            deadline = time.monotonic() + 20
            while not attachments(process.pid):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            in_cgroup(group, ["/bin/true"])
            wait_in_call(process, PAUSES)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    clean(Result(out, err, process.returncode), 0)
    assert b"Hello, World!" in out


ERRORS = [
    (["-p", "x"], 2), (["--nonsense"], 2), ([b"\xff\x1b"], 2), (["--help"], 0), (["--version"], 0),
    (["--cgroup", "/missing"], 1), (["--cgroup", "/tmp", "--", "true"], 1),
    (["--cgroupmap", "/missing"], 1), (["--", "/missing/program"], 1), (["--btf", "/missing"], 0),
    (["-b", "1", "-d", "1"], 0)]


@pytest.mark.parametrize("args, status", ERRORS, ids=[str(args) for args, _ in ERRORS])
def test_errors(sanitized: Path, args: List[Argument], status: int) -> None:
    """Every way out frees what it has."""
    if args[0] == "--btf":
        args = [*args, "-d", "1"]
    clean(sanitized_run(sanitized / "opensnoop", args), status)


def test_damaged_objects(sanitized: Path, tmp_path: Path) -> None:
    """The loader on truncated and altered objects reads nothing beyond them."""
    whole = (BUILD / "bpf" / "readhist.bpf.o").read_bytes()
    spec = whole.find(b'{"bpfduet"')
    path = tmp_path / "damaged.o"
    cuts = [whole[:len(whole) * part // 12] for part in range(12)]
    flips = [whole[:place] + bytes([whole[place] ^ 0xff]) + whole[place + 1:]
             for place in [*range(0x10, 0x40, 5), *range(spec, spec + 2000, 199)]]
    for content in cuts + flips:
        path.write_bytes(content)
        result = sanitized_run(sanitized / "bpfduet-loader", [str(path), "--", "true"])
        clean(result, result.status if result.status in (0, 1, 2) else 1)


@pytest.mark.parametrize("tool, args, status", [
    ("opensnoop", ["--help"], 0), ("opensnoop", ["-p", "x"], 2),
    ("opensnoop", ["--", "{opens}", "23", "/bpfduet/missing"], 0),
    ("syscount", ["-L", "--", "{opens}", "23", "/bpfduet/missing"], 0),
    ("opensnoop", ["--", "/missing/program"], 1)])
def test_valgrind(workloads: Path, tool: str, args: List[str], status: int) -> None:
    """memcheck has nothing to say, and nothing is leaked."""
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    # not traced: the COMMAND, and the child that becomes it
    argv = [*VALGRIND, "--child-silent-after-fork=yes", "--trace-children=no",
            str(BUILD / "bin" / tool), *(arg.format(opens=workloads / "opens") for arg in args)]
    result = run(argv)
    said = result.stderr.decode()
    assert result.status == status, said
    assert "==" not in said, said
