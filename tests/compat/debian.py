# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Debian's newest kernel of a series: its real headers, its configuration, and its BTF.

evaluate() asks a compiler what expressions are worth in the world of some headers.
"""
from __future__ import annotations

import functools
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

import frontends
import packages

# Debian 13's archive has no 6.1.
SERIES = ("6.12",) if re.search(r'^VERSION_ID="13"$', Path("/etc/os-release").read_text(), re.M) \
    else ("6.1", "6.12")
MODULES = ("nfs",)
needs_packages = pytest.mark.skipif(shutil.which("apt-get") is None,
                                    reason="needs Debian's archive")
_UNPACKERS = {b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

NO_HEADERS = ("-nostdinc", "-std=gnu11", "-O2", "-w", "-fno-pie")

MAIN = """
#include <stdio.h>
extern const char *const names[];
extern const int count;
unsigned long long value(int which);
int main(void)
{
	for (int i = 0; i < count; i++)
		printf("%s %#llx\\n", names[i], value(i));
}
"""


@dataclass(frozen=True)
class Kernel:
    """One kernel: ``btf`` is a folder like /sys/kernel/btf, ``config`` the text it was built by."""

    release: str
    btf: Path
    config: str
    headers: Path

    def flags(self) -> List[str]:
        """The compiler's options for code that belongs to this kernel, as its Makefile has them."""
        sources = self.headers / "usr" / "src"
        common = next(sources.glob("linux-headers-*-common"))
        build = sources / f"linux-headers-{self.release}"
        flags = [*NO_HEADERS, "-D__KERNEL__", '-DKBUILD_MODNAME="test"']
        for part in ("", "uapi"):
            for folder in (common / "arch/x86/include" / part,
                           build / "arch/x86/include/generated" / part,
                           common / "include" / part, build / "include" / part,
                           build / "include/generated" / part):
                flags += ["-I", str(folder)]
        for name in ("kconfig.h", "compiler_types.h"):
            flags += ["-include", str(common / "include/linux" / name)]
        return flags


def _vmlinux(image: Path) -> bytes:
    """The ELF file inside a bzImage."""
    raw = image.read_bytes()
    for magic, tool in _UNPACKERS.items():
        for found in re.finditer(re.escape(magic), raw):
            # what follows the kernel in the image makes the tool fail, after it has unpacked all
            done = subprocess.run([tool, "-dc"], input=raw[found.start():], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, check=False)
            if done.stdout.startswith(b"\x7fELF"):
                return done.stdout
    raise AssertionError(f"{image}: no kernel in it that {list(_UNPACKERS.values())} unpack")


def _dump_btf(elf: bytes, path: Path) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(elf)
        file.flush()
        subprocess.run(["llvm-objcopy", "--dump-section", f".BTF={path}", file.name, os.devnull],
                       check=True)


def _module(tree: Path, name: str) -> bytes:
    """A module's ELF file, out of an image's files."""
    path = next(path for path in tree.rglob(f"{name}.ko*"))
    raw = path.read_bytes()
    return lzma.decompress(raw) if path.suffix == ".xz" else raw


def _btf_folder(release: str, tree: Path) -> Path:
    place = frontends.BUILD / "btf" / tree.name
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as temporary:
        fresh = Path(temporary) / "btf"
        fresh.mkdir()
        _dump_btf(_vmlinux(tree / "boot" / f"vmlinuz-{release}"), fresh / "vmlinux")
        for name in MODULES:
            _dump_btf(_module(tree, name), fresh / name)
        try:
            fresh.rename(place)
        except OSError:         # another process was first
            if not place.is_dir():
                raise
    return place


@functools.lru_cache(maxsize=None)
def kernel(series: str) -> Kernel:
    """The newest kernel of a series; fetched once, and kept in the build folder."""
    image = packages.newest(series, "image")
    release = image[0][len("linux-image-"):]
    tree = packages.fetch(image)
    return Kernel(release, _btf_folder(release, tree),
                  (tree / "boot" / f"config-{release}").read_text(),
                  packages.fetch(packages.newest(series, "headers")))


def evaluate(includes: Sequence[str], flags: Sequence[str], wanted: Dict[str, str],
             folder: Path) -> Dict[str, int]:
    """The values of some expressions in a world; those that it does not know are left out."""
    wanted = dict(wanted)
    source, program = folder / "values.c", folder / "values"
    (folder / "main.c").write_text(MAIN)
    while True:
        lines = [f"#include <{name}>" for name in includes]
        lines += ["const char *const names[] = {%s};" % ", ".join(map('"{}"'.format, wanted)),
                  f"const int count = {len(wanted)};", "unsigned long long value(int which)", "{",
                  "switch (which) {"]
        first = len(lines) + 1
        lines += [f"case {number}: return (unsigned long long)({expression});"
                  for number, expression in enumerate(wanted.values())]
        source.write_text("\n".join([*lines, "}", "return 0;", "}", ""]))
        done = subprocess.run(["gcc", *flags, "-I", str(folder), "-c", str(source), "-o",
                               str(folder / "values.o")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode == 0:
            break
        unknown = {int(line) - first for line in
                   re.findall(r"values\.c:(\d+):\d+: error:", done.stdout)}
        names = [name for place, name in enumerate(wanted) if place in unknown]
        assert names, done.stdout[-2000:]
        for name in names:
            del wanted[name]
    subprocess.run(["gcc", "-no-pie", "-o", str(program), str(folder / "main.c"),
                    str(folder / "values.o")], check=True)
    said = subprocess.run([str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: int(value, 0) for name, value in map(str.split, said.splitlines())}
