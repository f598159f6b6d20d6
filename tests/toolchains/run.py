# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The tests with other Debians' compilers and libraries, on this machine's kernel:
``run.py [--short] CODENAME... [-- PYTEST_ARGUMENT...]``

Each Debian is a folder below build/toolchains that debootstrap makes once, with a fresh copy of the
tree in it. What it needs of the machine is mounted in a namespace of its own (enter.sh): however a
run ends, nothing stays mounted.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import packages  # noqa: E402
from frontends import BUILD, ROOT  # noqa: E402

FOLDER = BUILD / "toolchains"
# In the root: a home that only root can enter.
TREE = "root/bpfduet"
LEFT_OUT = shutil.ignore_patterns(".git", "build", BUILD.name, "__pycache__", ".hypothesis",
                                  ".pytest_cache", ".mypy_cache", "*.egg-info")
SCRIPTS = Path("/usr/share/debootstrap/scripts")
APT_SETTINGS = """APT::Keep-Downloaded-Packages "false";
Acquire::Languages "none";
"""
# A root that a crash spoils is made again.
DPKG_SETTINGS = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
PATIENCE_S = 10
ALONE = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "--propagation", "private"]


class Ended(Exception):
    """A signal asks for the end."""


def _environment() -> Dict[str, str]:
    """Of programs in a root: nothing that make or the user set for this machine."""
    taken = {name: value for name, value in os.environ.items()
             if name.lower() in ("http_proxy", "https_proxy", "no_proxy", "term")}
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **taken}


def _run(argv: Sequence[str], log: Optional[Path] = None) -> int:
    """Run a program in a mount namespace; whatever it started ends with it, and with us."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(log, "wb")) if log else None
        child = subprocess.Popen([*ALONE, *argv], env=_environment(), stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT if log else None,
                                 start_new_session=True)
        stack.callback(_end_group, child)
        status = child.wait()
    return status


def _end_group(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_S)


def _end(number: int, _: object) -> None:
    raise Ended(signal.Signals(number).name)


def made(name: str) -> Path:
    """The root of a Debian, made if it is not there. Raises PackagesError."""
    place = FOLDER / name
    if place.is_dir():
        return place
    archive = packages.archive()
    if not shutil.which("debootstrap"):
        raise packages.PackagesError("debootstrap is missing: scripts/install-deps.sh toolchains")
    FOLDER.mkdir(parents=True, exist_ok=True)
    fresh, log = FOLDER / f".new-{name}", FOLDER / f"{name}.log"
    shutil.rmtree(fresh, ignore_errors=True)
    # all newer Debians are made as sid is
    script = [] if (SCRIPTS / name).exists() else [str(SCRIPTS / "sid")]
    print(f"== Debian {name}: a root for it, from {archive}", flush=True)
    if _run(["debootstrap", "--variant=minbase", "--include=ca-certificates,make", name, str(fresh),
             archive, *script], log):
        said = re.findall(r"^E: (.*)$", log.read_text(), re.MULTILINE)
        raise packages.PackagesError(f"debootstrap cannot make a root of Debian {name} (offline?): "
                                     f"{said[-1] if said else 'see'} ({log})")
    (fresh / "etc/apt/apt.conf.d/bpfduet").write_text(APT_SETTINGS + packages.settings())
    (fresh / "etc/dpkg/dpkg.cfg.d/bpfduet").write_text(DPKG_SETTINGS)
    fresh.rename(place)
    return place


def check(name: str, short: bool, args: Sequence[str]) -> bool:
    """Run the tests in a root; returns whether they passed. Raises PackagesError."""
    began = time.monotonic()
    root = made(name)
    for file in ("resolv.conf", "hosts"):       # the network may be another than it was
        with contextlib.suppress(OSError):
            shutil.copyfile(Path("/etc") / file, root / "etc" / file)
    tree = root / TREE
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT, tree, symlinks=True, ignore=LEFT_OUT)
    argv = [f"/{TREE}/tests/toolchains/short.sh"] if short else \
        ["make", "--no-print-directory", "-C", f"/{TREE}", "check-native"]
    if args:
        argv.append(f"TESTS={shlex.join(args)}")
    print(f"== Debian {name}: {'the short form' if short else 'check-native'}", flush=True)
    status = _run([str(ROOT / "tests/toolchains/enter.sh"), str(root), *argv])
    took = int(time.monotonic() - began)
    print(f"== Debian {name}: {'passed' if not status else 'FAILED'} after {took // 60} min "
          f"{took % 60} s", flush=True)
    return status == 0


def main() -> int:
    """One Debian after the other; exit 1 if anything failed."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true",
                        help="build all, unit tests, each tool once both ways")
    parser.add_argument("roots", nargs="+", metavar="CODENAME", help="a Debian, as trixie")
    options = parser.parse_args(given[:cut])
    failed: List[str] = []
    try:
        if os.geteuid():
            raise packages.PackagesError("to make a root and to trace takes root: "
                                         "sudo make check-toolchains")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)
        failed = [name for name in options.roots
                  if not check(name, options.short, given[cut + 1:])]
    except packages.PackagesError as error:
        print(f"check-toolchains: {error}", file=sys.stderr)
        return 1
    except Ended as error:
        print(f"check-toolchains: ended by {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
