# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Debian's kernel packages, unpacked into build/packages and installed nowhere.

    tree = fetch(newest("6.12", "headers"))

They come from the suites that apt is set up with or, if those have no kernel of a series, from
SUITES of the same archive, by way of apt's sources and lists below build/apt. apt checks what it
downloads against the archive's signatures, and the unpacked files are checked against the checksums
in the package. A folder is put in place whole, so that several tests may fetch the same at once.
"""
from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import frontends

FOLDER = frontends.BUILD / "packages"
# Where kernels are that are newer than a release of Debian.
SUITES = ("trixie-backports", "bookworm")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS_AGE_S = 24 * 60 * 60
# The plain flavour: the guests' root comes by 9p, which the cloud one no longer has. By kind: the
# packages of one kernel release, and those that only some have: since 7.0 an image is in parts.
KINDS: Dict[str, Tuple[str, ...]] = {
    "image": ("linux-image-{release}-{arch}",),
    "headers": ("linux-headers-{release}-{arch}", "linux-headers-{release}-common"),
}
PARTS: Dict[str, Tuple[str, ...]] = {
    "image": ("linux-base-{release}-{arch}", "linux-binary-{release}-{arch}",
              "linux-modules-{release}-{arch}"),
    "headers": (),
}


class PackagesError(Exception):
    """No packages can be had; the text is one sentence."""


def _run(*argv: str, config: Optional[Path] = None, cwd: Optional[Path] = None) -> str:
    """The output of a program; `config` is apt's, if not the machine's. Raises PackagesError."""
    environment = {**os.environ, "APT_CONFIG": str(config)} if config else None
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment, cwd=cwd, check=False)
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
    found = pattern.search(_run(*told))
    if not found:
        _run("apt-get", "update", "-qq")
        found = pattern.search(_run(*told))
    if not found:
        raise PackagesError("no configured apt source is Debian's archive")
    return found[1]


def settings() -> str:
    """apt's settings that are this machine's way to the archive, or about the archive's age."""
    kept = r'^Acquire::(?:https?::Proxy|Retries|Check-)\S* ".*";\n'
    return "".join(re.findall(kept, _run("apt-config", "dump"), re.MULTILINE))


def _architecture() -> str:
    return _run("dpkg", "--print-architecture").strip()


def _own_config() -> Path:
    """A configuration by which apt knows SUITES and nothing else. Raises PackagesError."""
    folder = frontends.BUILD / "apt"
    config, lists, updated = folder / "apt.conf", folder / "lists", folder / "updated"
    for needed in (lists / "partial", folder / "cache" / "archives" / "partial"):
        needed.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if updated.exists() and time.time() - updated.stat().st_mtime < LISTS_AGE_S:
            return config
        uri = archive()
        (folder / "sources.list").write_text("".join(
            f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for suite in SUITES))
        config.write_text(f'Dir::Etc::SourceList "{folder / "sources.list"}";\n'
                          'Dir::Etc::SourceParts "-";\n'
                          f'Dir::State::Lists "{lists}";\nDir::Cache "{folder / "cache"}";\n')
        try:
            _run("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any", config=config)
        except PackagesError:
            if not updated.exists():    # old lists are better than none
                raise
        else:
            updated.touch()
    return config


def _known(config: Optional[Path]) -> Sequence[str]:
    """The names of the kernels' packages that apt knows."""
    return _run("apt-cache", "pkgnames", "linux-", config=config).split()


def _named(names: Sequence[str], release: str) -> List[str]:
    arch = _architecture()
    return [name.format(release=release, arch=arch) for name in names]


def _releases(series: str, known: Sequence[str]) -> List[str]:
    """Kernel releases of a series of which the packages of every kind are known, newest first."""
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.[^-]+(?:-\d+)?)-{_architecture()}")
    found = {match[1] for match in map(pattern.fullmatch, known) if match}
    whole = [release for release in found
             if all(set(_named(names, release)) <= set(known) for names in KINDS.values())]

    def numbers(release: str) -> Tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", release)))
    return sorted(whole, key=numbers, reverse=True)


def _unpack(package: Path, tree: Path) -> None:
    """Unpack into ``tree`` and compare every file with the package's own list of checksums."""
    control = tree.with_name("control")
    _run("dpkg-deb", "--control", str(package), str(control))
    _run("dpkg-deb", "--extract", str(package), str(tree))
    for line in (control / "md5sums").read_text().splitlines():
        expected, name = line.split("  ", 1)
        if hashlib.md5((tree / name).read_bytes()).hexdigest() != expected:
            raise PackagesError(f"{package.name} is damaged: {name} is not what its list says")
    shutil.rmtree(control)


def newest(series: str, kind: str) -> List[str]:
    """Names of the packages of the newest kernel of a series, as "6.1", or "7" for any 7.x.

    kind: a key of KINDS; all kinds are of the same kernel. Raises PackagesError.
    """
    for own, update in ((False, False), (True, False), (False, True)):
        if update:
            _run("apt-get", "update", "-qq")
        known = _known(_own_config() if own else None)
        releases = _releases(series, known)
        if releases:
            parts = [name for name in _named(PARTS[kind], releases[0]) if name in known]
            return [*_named(KINDS[kind], releases[0]), *parts]
    raise PackagesError(f"Debian's archive has no kernel packages of {series}")


def _origin(name: str) -> Tuple[str, Optional[Path]]:
    """The version of a package, and the configuration by which apt has it. Raises PackagesError."""
    for own in (False, True):
        config = _own_config() if own else None
        if name in _known(config):
            shown = _run("apt-cache", "show", "--no-all-versions", name, config=config)
            found = re.search(r"^Version: (\S+)$", shown, re.MULTILINE)
            if found:
                return found[1], config
    raise PackagesError(f"apt does not know the version of {name}")


def fetch(names: Sequence[str]) -> Path:
    """The folder that holds the files of some packages together. Raises PackagesError."""
    origins = [_origin(name) for name in names]
    versions = [f"{name}={version}" for name, (version, _) in zip(names, origins)]
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
        for version, (_, config) in zip(versions, origins):
            downloads = Path(tempfile.mkdtemp(dir=work))
            downloads.chmod(0o777)
            _run("apt-get", "download", "-qq", version, config=config, cwd=downloads)
            found = list(downloads.glob("*.deb"))
            if len(found) != 1:
                raise PackagesError(f"{version} cannot be downloaded")
            _unpack(found[0], tree)
        try:
            tree.rename(place)
        except OSError:         # another process was first
            if not place.is_dir():
                raise
    return place


def image(tree: Path) -> Path:
    """The kernel's file among those of its packages."""
    return next(path for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
                for path in tree.glob(pattern))


def release(tree: Path) -> str:
    """What `uname -r` says of the kernel whose image's files these are."""
    file = image(tree)
    return file.parent.name if file.name == "vmlinuz" else file.name[len("vmlinuz-"):]
