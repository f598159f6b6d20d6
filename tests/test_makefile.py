# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What make says on a machine that has little more than make: no compiler, or no headers."""
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from frontends import ROOT

pytestmark = pytest.mark.host_only


@pytest.fixture(name="bare")
def fixture_bare(tmp_path: Path) -> str:
    """A PATH that has no compiler."""
    for name in ("cat", "grep", "make", "mkdir", "rm", "sh", "uname"):
        found = shutil.which(name)
        assert found, name
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


def make(path: str, *arguments: str) -> subprocess.CompletedProcess:
    """Dry: nothing is installed or built. MAKE is what recipes begin another make with."""
    return subprocess.run(["make", "-n", "MAKE=:", *arguments], cwd=ROOT, env={"PATH": path},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("goal", ["deps", "demo", "check", "check-native", "check-vm", "bench", "clean"])
def test_begins_without_a_compiler(bare: str, goal: str) -> None:
    """Goals that install what they need ask for none of it before."""
    done = make(bare, goal)
    assert (done.returncode, done.stderr) == (0, "")
    if goal not in ("clean", "check"):
        assert done.stdout.startswith("scripts/install-deps.sh build run")


@pytest.mark.parametrize("goals", [[], ["all"], ["clean", "static"], ["install"]])
def test_says_what_is_missing(bare: str, goals: list) -> None:
    done = make(bare, *goals)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert " not found: cc " in done.stderr
    assert '"make deps"' in done.stderr and '"make demo"' in done.stderr


def test_says_which_headers_are_missing() -> None:
    """Compilers are there, but not the libraries' packages."""
    done = make("/usr/sbin:/usr/bin:/sbin:/bin", "CC=cc -nostdinc")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert " not found: bpf/libbpf.h libelf.h zlib.h jansson.h libiberty/demangle.h. " in done.stderr


def test_nothing_is_missing() -> None:
    done = make("/usr/sbin:/usr/bin:/sbin:/bin", "clean", "tests")
    assert (done.returncode, done.stderr) == (0, "")


def test_libraries_have_their_terms() -> None:
    """docs/licensing.md lists the libraries that programs are linked with."""
    done = make("/usr/sbin:/usr/bin:/sbin:/bin", "-B", "V=1", "build/bin/bpfduet-loader", "build/static/bpfduet-loader")
    assert done.returncode == 0
    linked = {kind: set(re.findall(r" (-l\w+)", line)) for kind, line in re.findall(
        r" (-static-pie|-pie) (.*) -o build/", done.stdout)}
    listed = set(re.findall(r"^\| `(-l\w+)` \|", (ROOT / "docs/licensing.md").read_text(), re.MULTILINE))
    assert linked["-pie"] and linked["-static-pie"] >= linked["-pie"]
    # libelf needs it from Debian 13 on
    assert linked["-static-pie"] | {"-lzstd"} == listed
