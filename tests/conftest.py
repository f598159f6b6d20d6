# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What all tests share: modules of tests/, the workload programs, tracefs, and who may trace."""
from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import frontends  # noqa: E402  # pylint: disable=wrong-import-position

SOURCES = frontends.ROOT / "tests" / "workload"
# Static programs: the loader of dynamic ones opens and reads files of its own.
COMPILE = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread"]


def pytest_configure(config: pytest.Config) -> None:
    """The folders whose tests trace, by a marker that pytest knows."""
    config.pluginmanager.register(Skips())
    config.addinivalue_line("markers", "kernel: traces; needs root and the built tools")


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Tests that trace are skipped, with the reason, where nobody may."""
    reason = ""
    if os.geteuid() != 0:
        reason = "tracing needs root"
    elif not Path("/sys/kernel/btf/vmlinux").exists():
        reason = "the kernel shows no BTF"
    for item in items:
        if {"parity", "oracle", "contract"} & set(Path(item.fspath).parts):
            item.add_marker(pytest.mark.kernel)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


class Skips:
    """Fails the run if a test is skipped that expected_skips.txt does not allow."""

    LIST = Path(__file__).with_name("expected_skips.txt")

    def __init__(self) -> None:
        lines = [line for line in self.LIST.read_text().splitlines() if line and line[0] != "#"]
        self._allowed: List[Tuple[str, ...]] = [tuple(line.split(" | ")) for line in lines]
        self.unexpected: List[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at every skip. Brackets in an id are no pattern."""
        if not report.skipped:
            return
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if not any(fnmatch.fnmatchcase(report.nodeid, pattern.replace("[", "[[]"))
                   and reason == f"Skipped: {allowed}" for pattern, allowed in self._allowed):
            self.unexpected.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say which, and fail."""
        if self.unexpected and os.environ.get("BPFDUET_CHECK"):
            print("\nskipped, but not in tests/expected_skips.txt:", *self.unexpected, sep="\n  ")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def tracefs() -> None:
    """Tracepoints are looked up in tracefs, which a fresh machine has not mounted."""
    folder = "/sys/kernel/tracing"
    if not os.path.exists(f"{folder}/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], check=True)


@pytest.fixture(scope="session")
def workloads(tracefs: None) -> Path:  # pylint: disable=redefined-outer-name,unused-argument
    """The folder of the workload programs, compiled once a session."""
    frontends.WORKLOADS.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.c")):
        program = frontends.WORKLOADS / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            fresh = program.with_suffix(f".{os.getpid()}")
            subprocess.run([*COMPILE, "-o", str(fresh), str(source)], check=True)
            fresh.rename(program)
    return frontends.WORKLOADS
