# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Kernels for guests: Debian's packages, made ready to boot, and the initramfs that starts them."""
from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import List

import packages
from frontends import BUILD

FOLDER = BUILD / "vm"
HERE = Path(__file__).resolve().parent
BUSYBOX = Path("/bin/busybox")
# What the guest needs before it has a root; with what these need, in order.
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_blk",
           "virtio_net")


class Kernel:
    """The newest kernel of a series, as "6.1": its files under ``files``, as the packages have them."""

    def __init__(self, series: str):
        unpacked = packages.fetch(packages.newest(series, "image"))
        self.headers = packages.fetch(packages.newest(series, "headers"))
        self.series = series
        self.release = packages.release(unpacked)
        self.files = FOLDER / self.release
        self.image = self.files / packages.image(unpacked).relative_to(unpacked)
        if not self.files.is_dir():
            self._prepare(unpacked)

    def _prepare(self, unpacked: Path) -> None:
        """The package's files and, which the package makes when it is installed, modules.dep."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=FOLDER) as temporary:
            tree = Path(temporary) / "tree"
            shutil.copytree(unpacked, tree, copy_function=os.link, symlinks=True)
            if not (tree / "lib").exists():     # since 7.0 the packages count on /lib being usr/lib
                (tree / "lib").symlink_to("usr/lib")
            subprocess.run(["depmod", "-b", str(tree), self.release], check=True)
            tree.rename(self.files)

    def modules(self) -> List[Path]:
        """The files of MODULES and of those that they need, in the order to load them."""
        files: List[Path] = []
        for name in MODULES:
            shown = subprocess.run(["modprobe", "-d", str(self.files), "-S", self.release,
                                    "--show-depends", name], check=True, text=True,
                                   stdout=subprocess.PIPE).stdout
            files += map(Path, re.findall(r"^insmod (\S+)", shown, re.MULTILINE))
        return list(dict.fromkeys(files))

    def initramfs(self, job: str, out: Path) -> None:
        """An initramfs that runs ``job``, a shell script, in the guest."""
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            for folder in ("bin", "dev", "proc", "host", "layer", "modules", "root"):
                (root / folder).mkdir()
            shutil.copy(BUSYBOX, root / "bin")
            shutil.copy(HERE / "init", root)
            (root / "init").chmod(0o755)
            (root / "job").write_text(job)
            for index, file in enumerate(self.modules()):
                raw = file.read_bytes()
                plain = lzma.decompress(raw) if file.suffix == ".xz" else raw
                name = file.name.split(".")[0]
                (root / "modules" / f"{index:02}-{name}.ko").write_bytes(plain)
            names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
            with open(out, "wb") as file_out:
                subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc"], cwd=root, check=True,
                               input=names.encode(), stdout=file_out)
