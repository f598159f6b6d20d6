# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What all tests share: modules of tests/, the programs they run, tracefs, who may trace, and what
may be skipped."""
from __future__ import annotations

import fnmatch
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import frontends  # noqa: E402  # pylint: disable=wrong-import-position
from needs import NEEDS, mount_tracefs  # noqa: E402  # pylint: disable=wrong-import-position

SOURCES = frontends.ROOT / "tests" / "workload"
# Static programs: the loader of dynamic ones opens and reads files of its own.
COMPILE = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread"]


def pytest_configure(config: pytest.Config) -> None:
    """The folders whose tests trace, by a marker that pytest knows."""
    # A shell starts programs in the background with SIGINT ignored, which tracers would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same of SIGQUIT, and of SIGHUP under nohup. We go on without them; tracers begin with their
    # default again, for what has a handler does not pass exec() on.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    config.pluginmanager.register(Skips())
    if "BPFDUET_GUEST" in os.environ:
        config.pluginmanager.register(Failures())
    config.addinivalue_line("markers", "kernel: traces; needs root and the built tools")
    config.addinivalue_line("markers", "needs(what): skipped where tests/needs.py does not find it")
    config.addinivalue_line("markers", "host_only: asks nothing of the kernel; not run in guests")
    config.addinivalue_line("markers", "always_in_guests: also in a short round of the guests")
    config.addinivalue_line("markers", "first_in_guests: of its parameters guests have the first "
                                       "alone: the others ask them nothing more of the kernel")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Tests that trace are skipped, with the reason, where nobody may. Guests have not all."""
    if "BPFDUET_GUEST" in os.environ:
        _leave_out(config, items)
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


def _leave_out(config: pytest.Config, items: List[pytest.Item]) -> None:
    """What is not run in guests; in a short round only what not every kernel can be asked, what
    says so, and of the rest the first test of each file. A narrow one is without the oracles, and
    what not every kernel can be asked is as the rest."""
    narrow = os.environ.get("BPFDUET_ROUND") == "narrow"
    short = narrow or os.environ.get("BPFDUET_ROUND") == "short"
    seen = set()
    kept, left_out = [], []
    for item in items:
        function, file = item.nodeid.partition("[")[0], item.nodeid.partition("::")[0]
        again = function in seen and item.get_closest_marker("first_in_guests")
        needs = {need for marker in item.iter_markers("needs") for need in marker.args}
        chosen = file not in seen or not narrow and needs & {"kprobes", "fentry", "lsm"}
        asked_elsewhere = narrow and "oracle" in Path(item.fspath).parts
        wanted = not short or chosen and not asked_elsewhere or \
            item.get_closest_marker("always_in_guests")
        if again or not wanted or item.get_closest_marker("host_only"):
            left_out.append(item)
        else:
            kept.append(item)
            seen.add(file)
        seen.add(function)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@functools.lru_cache(maxsize=None)
def offered(need: str) -> bool:
    """Whether this machine has what a test needs."""
    return NEEDS[need]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs something that is not there."""
    frontends.RAN.clear()
    for marker in item.iter_markers("needs"):
        for need in marker.args:
            if not offered(need):
                pytest.skip(f"needs {need}")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Note what the test ran, for the table of docs/portability.md."""
    item.user_properties += [("ran", " ".join(pair)) for pair in sorted(frontends.RAN)]


class Failures:
    """Tells of a failure when it happens: a guest may not live to the end of the run."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print what pytest prints at the end."""
        if report.failed:
            print(f"\n{report.longreprtext}\n", *(f"{head}: {text}" for head, text in report.sections),
                  sep="\n", flush=True)


class Skips:
    """Fails the run if a test is skipped that expected_skips.txt does not allow on this kernel."""

    LIST = Path(__file__).with_name("expected_skips.txt")
    KERNEL = os.environ.get("BPFDUET_GUEST", "host")

    def __init__(self) -> None:
        lines = [line for line in self.LIST.read_text().splitlines() if line and line[0] != "#"]
        self._allowed: List[Tuple[str, str]] = []
        for line in lines:
            kernels, pattern, reason = line.split(" | ")
            if self.KERNEL in kernels.split():
                self._allowed.append((pattern, reason))
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
    """Tracepoints are looked up in tracefs."""
    mount_tracefs()


@pytest.fixture(scope="session")
def workloads(tracefs: None) -> Path:  # pylint: disable=redefined-outer-name,unused-argument
    """The folder of the workload programs, compiled where they are not up to date."""
    return build_workloads()


def build_workloads() -> Path:
    """Compile the workload programs that are not up to date; returns their folder."""
    frontends.WORKLOADS.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.c")):
        program = frontends.WORKLOADS / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            fresh = program.with_suffix(f".{os.getpid()}")
            subprocess.run([*COMPILE, "-o", str(fresh), str(source)], check=True)
            fresh.rename(program)
    return frontends.WORKLOADS
