# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What tests/vm/run.py makes of a guest that ends well, fails, dies or hangs. A shell script stands for QEMU."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import List, Sequence

import pytest

from frontends import ROOT
from vm import run

PASSED = '<testcase classname="tests.a" name="test_good"/>'
FAILED = '<testcase classname="tests.a" name="test_bad"><failure>no</failure></testcase>'
BROKEN = '<testcase classname="tests.a" name="test_worse"><error>no</error></testcase>'
SKIPPED = '<testcase classname="tests.a" name="test_left"><skipped>needs it</skipped></testcase>'
COMPLETE = "touch results/complete\n"
PROGRAM = "echo first >program; sha256sum $PWD/program >results/programs\n"
WHOLE = PROGRAM + COMPLETE


class Scripted(run.Guest):
    """A guest whose machine is a script, run in the guest's folder."""

    def __init__(self, folder: Path, script: str):
        super().__init__(SimpleNamespace(series="9.9", release="9.9.9"))    # type: ignore[arg-type]
        self.folder, self.results = folder, folder / "results"
        self.progress = folder / "progress.log"
        self._script = script

    def _prepare(self, args: Sequence[str]) -> None:
        self.results.mkdir()
        self.progress.touch()

    def _qemu(self, interactive: bool) -> List[str]:
        return ["sh", "-c", f'cd "$1" && {{\n{self._script}\n}}', "sh", str(self.folder)]


def suite(status: int, *cases: str) -> str:
    """Commands that leave what pytest would."""
    return (f"echo {status} >results/btf.status\n"
            f"echo '<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>' "
            ">results/btf.xml\n")


def ran(folder: Path, script: str) -> bool:
    """Run such a guest; whether it says that all is well."""
    guest = Scripted(folder, script)
    guest.run([])
    return guest.report()


def test_all_is_well(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its progress is shown as it comes, and the sum."""
    script = "echo one PASSED >>progress.log\n" + suite(0, PASSED, PASSED, SKIPPED) + WHOLE
    assert ran(tmp_path, script)
    assert capfd.readouterr().out == "9.9  | one PASSED\n" \
        "9.9 (9.9.9), btf: 2 passed, 0 failed, 1 skipped\n"


@pytest.mark.parametrize("script, said", [
    (suite(1, PASSED, FAILED) + WHOLE, ["FAILED btf: tests.a::test_bad"]),
    (suite(1, BROKEN, FAILED) + WHOLE, ["FAILED btf: tests.a::test_worse",
                                        "FAILED btf: tests.a::test_bad"]),
    # a skip that nobody expects, or no test at all
    (suite(1, PASSED, SKIPPED) + WHOLE, ["FAILED btf: pytest ended with 1, see {}/progress.log"]),
    (suite(5) + WHOLE, ["FAILED btf: pytest ended with 5, see {}/progress.log"]),
    (suite(0, PASSED), ["FAILED it ended early, in no test: see {}/console.log"]),
    ("printf 'a::b PASSED\\nc::d ' >progress.log",
     ["FAILED it ended early, in c::d: see {}/console.log"]),
    ("exit 1", ["FAILED it ended early, in no test: see {}/console.log"]),
    # it does not always come to end itself
    ("printf 'a::b ' >progress.log; echo 'Kernel panic - not syncing' >console.log; exec sleep 99",
     ["FAILED its kernel panicked, in a::b: see {}/console.log"]),
    ("echo 'Kernel panic - not syncing' >console.log",
     ["FAILED its kernel panicked, in no test: see {}/console.log"]),
    # it was built once more
    (suite(0, PASSED) + PROGRAM + "echo second >program\n" + COMPLETE,
     ["FAILED the guest's programs are not the host's: {}/program: FAILED"]),
    # it does not say what it ran
    (suite(0, PASSED) + ">results/programs\n" + COMPLETE,
     ["FAILED the guest's programs are not the host's: sha256sum: {}/results/programs: "
      "no properly formatted checksum lines found"]),
    (suite(0, PASSED) + COMPLETE,
     ["FAILED the guest's programs are not the host's: sha256sum: {}/results/programs: "
      "No such file or directory"]),
])
def test_failures(tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str,
                  said: List[str]) -> None:
    assert not ran(tmp_path, script)
    lines = capfd.readouterr().out.splitlines()
    assert [line.strip() for line in lines if "FAILED" in line] == \
        [one.format(tmp_path) for one in said]


@pytest.mark.parametrize("limit", ["SILENCE_S", "LIMIT_S"])
def test_hung(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
              limit: str) -> None:
    """Killed, and said in which test; without a word, or in spite of many."""
    monkeypatch.setattr(run, limit, 1)
    words = "exec sleep 99" if limit == "SILENCE_S" else \
        "for one in $(seq 999); do echo x; sleep 0.1; done >>progress.log"
    assert not ran(tmp_path, f"printf 'a::b ' >>progress.log\n{words}")
    assert "  FAILED it hung and was killed, in " in capfd.readouterr().out


def collected(**env: str) -> List[str]:
    """Ids of the tests that would run in a guest."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--collect-only", "-p",
                           "no:cacheprovider", "tests/contract", "tests/parity", "tests/oracle",
                           "tests/dialect"], cwd=ROOT,
                          env={**os.environ, "BPFDUET_GUEST": "6.1", **env}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_short_round() -> None:
    """Every tool and file, what needs kprobes and what says so; and it is short."""
    whole, short = collected(), collected(BPFDUET_ROUND="short")
    assert set(short) < set(whole) and len(short) < len(whole) / 3
    files = {test.partition("::")[0] for test in short}
    assert files == {test.partition("::")[0] for test in whole}
    tools = {path.name[:-len(".bpf.c")] for path in (ROOT / "shared_bpf").glob("*.bpf.c")}
    assert {f"tests/parity/test_{tool}.py" for tool in tools} <= files
    for what in ("test_lsmexec.py::test_filters", "test_unprivileged_user", "test_no_btf"):
        assert [test for test in short if what in test] == [test for test in whole if what in test]


def test_narrow_round() -> None:
    """Still every tool, each kind of program and what says so, but not the oracles."""
    short, narrow = collected(BPFDUET_ROUND="short"), collected(BPFDUET_ROUND="narrow")
    assert set(narrow) < set(short) and len(narrow) < len(short) * 0.6
    assert {test.partition("::")[0] for test in narrow} == {
        test.partition("::")[0] for test in short if not test.startswith("tests/oracle/")}
    assert sum("test_lsmexec.py::" in test for test in narrow) == 1
    for what in ("test_attach.py::test_reads", "test_unprivileged_user", "test_no_btf"):
        assert [test for test in narrow if what in test] == [test for test in short if what in test]


def test_the_last_kernel_is_asked_most() -> None:
    assert run.sizes(True, 3) == ["narrow", "narrow", "short"]
    assert run.sizes(True, 1) == ["short"]
    assert run.sizes(False, 2) == ["", ""]
