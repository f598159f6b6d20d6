# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Which of Debian's kernels is taken, and from where. Nothing is fetched."""
from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import pytest

import packages

CONFIG = Path("own")
MACHINE = ["linux-image-6.1.0-9-amd64", "linux-headers-6.1.0-9-amd64", "linux-headers-6.1.0-9-common",
           "linux-image-6.1.0-10-amd64", "linux-headers-6.1.0-10-amd64", "linux-headers-6.1.0-10-common",
           "linux-image-6.1.0-11-amd64", "linux-image-6.12.9+deb12-amd64"]
OWN = [f"linux-{kind}-{release}" for release in ("7.2.12+deb13", "7.10.1+deb13", "7.10.2+deb13")
       for kind in ("image", "headers", "base", "binary", "modules")]
OWN = [f"{name}-amd64" for name in OWN] + [
    "linux-headers-7.2.12+deb13-common", "linux-headers-7.10.1+deb13-common",
    "linux-image-7.11.1+deb13-rt-amd64", "linux-headers-7.11.1+deb13-rt-amd64"]


@pytest.fixture(autouse=True)
def apt(monkeypatch: pytest.MonkeyPatch) -> List[List[str]]:
    """An apt that knows MACHINE, by its own configuration OWN; the commands that it was given."""
    given: List[List[str]] = []

    def answer(*argv: str, config: Optional[Path] = None, cwd: Optional[Path] = None) -> str:
        given.append(list(argv))
        if argv[0] == "dpkg":
            return "amd64\n"
        if "indextargets" in argv:
            return "Debian/Debian-Security http://a.example/security/\nOther/Other http://b.example/\n" \
                   "Debian/Debian http://c.example/debian/\nDebian/Debian http://d.example/\n"
        return "\n".join(OWN if config else MACHINE)

    monkeypatch.setattr(packages, "_run", answer)
    monkeypatch.setattr(packages, "_own_config", lambda: CONFIG)
    return given


@pytest.mark.parametrize("series, kind, names", [
    ("6.1", "headers", ["linux-headers-6.1.0-10-amd64", "linux-headers-6.1.0-10-common"]),
    ("6.1", "image", ["linux-image-6.1.0-10-amd64"]),
    ("7", "headers", ["linux-headers-7.10.1+deb13-amd64", "linux-headers-7.10.1+deb13-common"]),
    ("7.2", "image", [f"linux-{part}-7.2.12+deb13-amd64" for part in ("image", "base", "binary", "modules")]),
])
def test_newest(series: str, kind: str, names: List[str]) -> None:
    """Of the kernels that are there with all their packages, and of no other flavour."""
    assert packages.newest(series, kind) == names


def test_none(apt: List[List[str]]) -> None:
    """apt's lists may be old: they are fetched again before that is said."""
    with pytest.raises(packages.PackagesError, match="no kernel packages of 6.12"):
        packages.newest("6.12", "image")
    assert apt.count(["apt-get", "update", "-qq"]) == 1


def test_archive() -> None:
    assert packages.archive() == "http://c.example/debian/"


@pytest.mark.parametrize("name", ["boot/vmlinuz-7.3.4-x", "usr/lib/modules/7.3.4-x/vmlinuz"])
def test_files_of_an_image(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert packages.image(tmp_path) == tmp_path / name and packages.release(tmp_path) == "7.3.4-x"
