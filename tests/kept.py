# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What compilers made for tests, kept in the build folder.

Compilers take guests long, and a guest sees the host's build folder: what the tests of the host
have had made, those of a guest find, and so run what was built once, elsewhere.
"""
from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterable, List

from frontends import BUILD, ROOT

FOLDER = BUILD / "tests" / "kept"
# What every kernel half includes, and what makes an object of one.
BPF_INPUTS = [BUILD / "vmlinux.h", *sorted((ROOT / "headers").glob("*.h"))]
OBJECT_INPUTS = [*BPF_INPUTS, ROOT / "Makefile", ROOT / "VERSION", ROOT / "shared_bpf/common.toml",
                 *sorted((ROOT / "python/bpfduet/spec").glob("*.py"))]


@functools.lru_cache(maxsize=None)
def _versions() -> List[str]:
    """Of what makes them."""
    return [subprocess.run([tool, "--version"], stdout=subprocess.PIPE, check=True,
                           text=True).stdout for tool in ("clang", "gcc", "ld")]


@functools.lru_cache(maxsize=None)
def _digest(path: Path, _changed: float) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def made(out: Path, inputs: Iterable[Path], flags: Iterable[str],
         make: Callable[[], object]) -> Path:
    """``out``, as ``make()`` makes it of ``inputs`` with ``flags``, or made it before.

    Names, contents and the compilers' versions decide, not folders: a test's is a new one each
    time. So what is made must not depend on where that is done.
    """
    names: List[object] = [out.name, *flags, *_versions()]
    for path in inputs:
        names += [path.name, _digest(path, path.stat().st_mtime)]
    kept = FOLDER / f"{hashlib.sha256(repr(names).encode()).hexdigest()[:16]}-{out.name}"
    if kept.exists():
        shutil.copy2(kept, out)
        return out
    make()
    FOLDER.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_name(f"{kept.name}.{os.getpid()}")
    shutil.copy2(out, fresh)
    fresh.rename(kept)
    return out
