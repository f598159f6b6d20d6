# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Debian's kernel packages, unpacked into build/packages and installed nowhere.

    tree = fetch(newest("6.12", "headers"))

apt checks what it downloads against the archive's signatures, and the unpacked files are checked
against the checksums in the package. A folder is put in place whole, so that several tests may
fetch the same at once.
"""
from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import frontends

FOLDER = frontends.BUILD / "packages"
# The plain flavour: the guests' root comes by 9p, which the cloud one no longer has. By kind: the
# packages of one kernel release.
KINDS: Dict[str, Callable[[str, str], List[str]]] = {
    "image": lambda release, arch: [f"linux-image-{release}-{arch}"],
    "headers": lambda release, arch: [f"linux-headers-{release}-{arch}",
                                      f"linux-headers-{release}-common"],
}


class PackagesError(Exception):
    """No packages can be had; the text is one sentence."""


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
    except FileNotFoundError as error:
        raise PackagesError(f"{argv[0]} is missing: kernel packages come from Debian's archive") \
            from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise PackagesError(f"'{' '.join(argv)}' failed (offline?): {' '.join(said)}")
    return done.stdout


def archive() -> str:
    """The URI of Debian's archive that apt is set up with. Raises PackagesError."""
    told = ("apt-get", "indextargets", "--format", "$(ORIGIN)/$(LABEL) $(REPO_URI)")
    pattern = re.compile(r"^Debian/Debian (\S+)$", re.MULTILINE)
    found = pattern.search(_output(*told))
    if not found:
        _output("apt-get", "update", "-qq")
        found = pattern.search(_output(*told))
    if not found:
        raise PackagesError("no configured apt source is Debian's archive")
    return found[1]


def settings() -> str:
    """apt's settings that are this machine's way to the archive, or about the archive's age."""
    kept = r'^Acquire::(?:https?::Proxy|Retries|Check-)\S* ".*";\n'
    return "".join(re.findall(kept, _output("apt-config", "dump"), re.MULTILINE))


def _architecture() -> str:
    return _output("dpkg", "--print-architecture").strip()


def _releases(series: str) -> List[str]:
    """Kernel releases of a series of which apt knows the packages of every kind, newest first."""
    arch = _architecture()
    known = set(_output("apt-cache", "pkgnames", "linux-").split())
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.[^-]+(?:-\d+)?)-{arch}")
    found = {match[1] for match in map(pattern.fullmatch, known) if match}
    whole = [release for release in found
             if all(set(packages(release, arch)) <= known for packages in KINDS.values())]

    def numbers(release: str) -> Tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", release)))
    return sorted(whole, key=numbers, reverse=True)


def newest(series: str, kind: str) -> List[str]:
    """Names of the packages of the newest kernel of a series, as "6.1"; kind: a key of KINDS.

    All kinds are of the same kernel. Raises PackagesError.
    """
    releases = _releases(series)
    if not releases:
        _output("apt-get", "update", "-qq")
        releases = _releases(series)
    if not releases:
        raise PackagesError(f"no configured apt source has kernel packages of {series}")
    return KINDS[kind](releases[0], _architecture())


def _version(name: str) -> str:
    shown = _output("apt-cache", "show", "--no-all-versions", name)
    found = re.search(r"^Version: (\S+)$", shown, re.MULTILINE)
    if not found:
        raise PackagesError(f"apt does not know the version of {name}")
    return found[1]


def _unpack(package: Path, tree: Path) -> None:
    """Unpack into ``tree`` and compare every file with the package's own list of checksums."""
    control = tree.with_name("control")
    _output("dpkg-deb", "--control", str(package), str(control))
    _output("dpkg-deb", "--extract", str(package), str(tree))
    for line in (control / "md5sums").read_text().splitlines():
        expected, name = line.split("  ", 1)
        if hashlib.md5((tree / name).read_bytes()).hexdigest() != expected:
            raise PackagesError(f"{package.name} is damaged: {name} is not what its list says")
    shutil.rmtree(control)


def fetch(names: Sequence[str]) -> Path:
    """The folder that holds the files of some packages together. Raises PackagesError."""
    versions = [f"{name}={_version(name)}" for name in names]
    key = hashlib.sha256(" ".join(versions).encode()).hexdigest()[:8]
    place = FOLDER / f"{names[0]}-{key}"
    if place.is_dir():
        return place
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=FOLDER) as temporary:
        work = Path(temporary)
        work.chmod(0o755)       # apt downloads as a user of its own
        tree = work / "tree"
        tree.mkdir()
        for version in versions:
            downloads = Path(tempfile.mkdtemp(dir=work))
            downloads.chmod(0o777)
            done = subprocess.run(["apt-get", "download", "-qq", version], cwd=downloads, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            found = list(downloads.glob("*.deb"))
            if done.returncode or len(found) != 1:
                raise PackagesError(f"{version} cannot be downloaded (offline, or 'apt-get update' "
                                    f"is due): {done.stdout.strip()[-200:]}")
            _unpack(found[0], tree)
        try:
            tree.rename(place)
        except OSError:         # another process was first
            if not place.is_dir():
                raise
    return place
