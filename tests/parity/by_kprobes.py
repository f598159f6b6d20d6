# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A tool whose [[program]]s fall back to kprobes, on a kernel that need not."""
from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

from frontends import Argument, command

BTF = "/sys/kernel/btf"


def by_kprobes(tool: str, args: Sequence[Argument], programs: int, folder: Path
               ) -> Tuple[List[Argument], int]:
    """The C binary, for ``watch(others=...)``. Without the kernel's BTF in its place fentry cannot
    be used; relocations find it in ``folder``."""
    btf = folder / "vmlinux"
    btf.touch()
    script = f'mount --bind {BTF}/vmlinux {btf} && mount -t tmpfs none {BTF} && exec "$@"'
    argv: List[Argument] = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script,
                            "sh", *command("c", tool, ["--cgroup", "{cgroup}", "--btf", str(btf)])]
    return [*argv, *args], programs
