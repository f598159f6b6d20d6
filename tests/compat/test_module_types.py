# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A struct that only a module's BTF has is laid out as the kernel's real headers say."""
from __future__ import annotations

from pathlib import Path

import pytest

import debian
from bpfduet import kernel_headers

pytestmark = [debian.needs_packages, pytest.mark.host_only]
MEMBERS = ("fh", "flags", "cache_validity", "attrtimeo", "access_cache", "vfs_inode")
PROGRAM = "struct nfs_inode *inode; " + " ".join(f"inode->{member};" for member in MEMBERS)


@pytest.mark.parametrize("series", debian.SERIES)
def test_offsets_in_nfs_inode(series: str, tmp_path: Path) -> None:
    kernel = debian.kernel(series)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    folder = kernel_headers.Kernel(kernel.btf / "vmlinux", cache).cut(PROGRAM, [])
    wanted = {member: f"__builtin_offsetof(struct nfs_inode, {member})" for member in MEMBERS}
    wanted["size"] = "sizeof(struct nfs_inode)"
    ours = debian.evaluate([str(folder / "include/linux/kconfig.h")], debian.NO_HEADERS, wanted,
                           tmp_path)
    assert ours == debian.evaluate(["linux/nfs_fs.h"], kernel.flags(), wanted, tmp_path)
    assert set(ours) == set(wanted)
