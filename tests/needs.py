# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a test may need of the machine: ``@pytest.mark.needs("kprobes")``."""
from __future__ import annotations

import ctypes as ct
import os
import struct
import subprocess
from pathlib import Path
from typing import Callable, Dict, Tuple

TRACEFS = Path("/sys/kernel/tracing")
BPFFS = Path("/sys/fs/bpf")
SECURITYFS = Path("/sys/kernel/security")


def mounted(folder: Path, kind: str, probe: str) -> Path:
    """``folder``, where a file system of this kind is, which has ``probe``. A fresh machine has
    not mounted it."""
    if os.geteuid() == 0 and not (folder / probe).exists():
        subprocess.run(["mount", "-t", kind, kind, str(folder)], check=True)
    return folder


def mount_tracefs() -> Path:
    """Where tracefs is mounted, now if not before."""
    return mounted(TRACEFS, "tracefs", "events")


def mount_bpffs() -> Path:
    """Where the BPF file system is mounted, now if not before."""
    if not os.path.ismount(BPFFS):
        subprocess.run(["mount", "-t", "bpf", "bpf", str(BPFFS)], check=True)
    return BPFFS


def has_bpf_lsm() -> bool:
    """The kernel can have it and not use it: it must be in lsm=... when it starts."""
    names = mounted(SECURITYFS, "securityfs", "lsm") / "lsm"
    return names.exists() and "bpf" in names.read_text().split(",")


def can_make_netns() -> bool:
    """Whether a network namespace can be made."""
    return subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def can_use_ftrace() -> bool:
    """Whether functions can be traced; some kernels have the files and forbid it."""
    try:
        with open(mount_tracefs() / "available_filter_functions", "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def release() -> Tuple[int, ...]:
    """The kernel's version: (6, 12)."""
    return tuple(map(int, os.uname().release.split(".")[:2]))


SYS_PERF_EVENT_OPEN = {"x86_64": 298}.get(os.uname().machine, 241)


def can_sample_caches() -> bool:
    """Whether the CPUs count references to the cache, and say so every 100 of them."""
    hardware, cache_references, size = 0, 2, 64
    attr = struct.pack("IIQQ", hardware, size, cache_references, 100).ljust(size, b"\0")
    descriptor = ct.CDLL(None).syscall(SYS_PERF_EVENT_OPEN, attr, 0, -1, -1, 0)
    if descriptor >= 0:
        os.close(descriptor)
    return bool(descriptor >= 0)


def root_is_whole() -> bool:
    """Whether / is the root of a file system and no folder of one: the stock opensnoop follows
    folders up to the former."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return all(fields[3] == "/" for fields in mounts if fields[4] == "/")


def shows_queued_requests() -> bool:
    """Whether there is a probe where the block layer takes a request on: Linux 6.5 has a
    tracepoint, and before that it is a function that some builds inline."""
    functions = mount_tracefs() / "available_filter_functions"
    return (mount_tracefs() / "events/block/block_io_start").exists() or (
        can_use_ftrace() and "\n__blk_account_io_start\n" in functions.read_text())


NEEDS: Dict[str, Callable[[], bool]] = {
    "kprobes": lambda: (mount_tracefs() / "kprobe_events").exists(),
    # BPF trampolines: fentry and fexit are patched in by ftrace
    "fentry": can_use_ftrace,
    "lsm": lambda: has_bpf_lsm() and can_use_ftrace(),
    # a disk that tests may overwrite
    "block": lambda: "BPFDUET_DISK" in os.environ,
    "queued": shows_queued_requests,
    "netns": can_make_netns,
    "whole root": root_is_whole,
    "pmu": can_sample_caches,
    # Linux 6.7 counts those of tracepoints; nothing tells whether a kernel does but that it does
    "counted skips": lambda: release() >= (6, 7),
}
