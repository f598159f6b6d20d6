# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""scripts/install-deps.sh, with an apt-get that installs nothing."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from frontends import ROOT

pytestmark = pytest.mark.host_only

Run = Callable[..., subprocess.CompletedProcess]

SIZES = {"2": "Need to get 9 MB of archives.\nAfter this operation, 23 MB of additional disk space will be used.\n",
         "3": "Download size: 9 MB\nSpace needed: 23 MB / 2,300 MB available\n"}
SAID = {"2": SIZES["2"], "3": "Summary:\n  " + SIZES["3"].replace("\n", "\n  ", 1)}


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path) -> Run:
    """Runs the script where there is nothing but what it is given here."""
    def run(there: str = "", uid: int = 0, apt: str = "2", status: int = 0) -> subprocess.CompletedProcess:
        for name in ("cat", "env", "grep", "mktemp", "rm", "sed"):
            (tmp_path / name).symlink_to(str(shutil.which(name)))
        for name, script in {
                "id": f"echo {uid}",
                "dpkg-query": f"[ '{there}' ] && echo 'install ok installed'",
                "apt-get": f"""case $* in
                    update*) ;;
                    *--assume-no*) printf '{SAID[apt]}'; exit 1 ;;
                    *) echo 'Unpacking'; echo 'E: no such luck' >&2; exit {status} ;;
                    esac"""}.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        return subprocess.run(["/bin/sh", str(ROOT / "scripts/install-deps.sh"), "build"], text=True,
                              env={"PATH": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
    return run


def test_nothing_to_do(run: Run) -> None:
    """With everything there it is silent, and root is not asked for."""
    done = run(there="yes", uid=1000)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("apt", SIZES)
def test_says_what_it_does(run: Run, apt: str) -> None:
    """What, how much, and that there is a silence to come; of a success nothing more."""
    done = run(apt=apt)
    assert (done.returncode, done.stderr) == (0, "")
    first, *sizes, last = done.stdout.splitlines(keepends=True)
    assert first.startswith("installing: gcc make ")
    assert "".join(sizes) == SIZES[apt]
    assert "nothing is printed now" in last


def test_shows_what_failed(run: Run) -> None:
    done = run(status=100)
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == ["Unpacking", "E: no such luck"]
    assert done.stderr.splitlines()[2].startswith("install-deps: ")


def test_neither_root_nor_sudo(run: Run) -> None:
    done = run(uid=1000)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("install-deps: ") and done.stderr.count("\n") == 1
    assert "as root" in done.stderr
