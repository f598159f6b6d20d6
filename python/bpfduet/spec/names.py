# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Named numbers that columns and options use: errno, signal, syscall, capability.

Every function returns name -> number. Of several names for a number the first is the one to show.
"""
from __future__ import annotations

import errno
import signal
from functools import lru_cache
from pathlib import Path
from typing import Callable, Dict

_SYSCALLS = Path(__file__).with_name("data") / "syscalls_x86_64.txt"

# Not in user space's errno.h, yet a tracer sees them: see include/linux/errno.h.
_KERNEL_ERRNOS = {
    "ERESTARTSYS": 512, "ERESTARTNOINTR": 513, "ERESTARTNOHAND": 514, "ENOIOCTLCMD": 515,
    "ERESTART_RESTARTBLOCK": 516, "EPROBE_DEFER": 517, "EOPENSTALE": 518, "ENOPARAM": 519,
}
# Where the C library has two names for a number, the one the kernel uses is shown.
_PREFERRED_ERRNOS = ("EAGAIN", "EDEADLK", "EOPNOTSUPP")

# include/uapi/linux/capability.h, in order from 0
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE"
).split()


def errnos() -> Dict[str, int]:
    """errno names: the C library's and those that only the kernel uses."""
    names = {name: getattr(errno, name) for name in _PREFERRED_ERRNOS}
    for number in sorted(errno.errorcode):
        names.setdefault(errno.errorcode[number], number)
    for name in sorted(dir(errno)):
        if name.startswith("E"):
            names.setdefault(name, getattr(errno, name))
    names.update(_KERNEL_ERRNOS)
    return names


def signals() -> Dict[str, int]:
    """Signal names, with SIG."""
    names = {known.name: int(known) for known in signal.Signals}
    for name, known in signal.Signals.__members__.items():
        names.setdefault(name, int(known))
    return names


@lru_cache(maxsize=None)
def syscalls() -> Dict[str, int]:
    """System call names of x86_64."""
    lines = _SYSCALLS.read_text(encoding="ascii").splitlines()
    rows = (line.split() for line in lines if not line.startswith("#"))
    return {name: int(number) for number, name in rows}


def capabilities() -> Dict[str, int]:
    """Capability names, with CAP_."""
    return {"CAP_" + name: number for number, name in enumerate(_CAPABILITIES)}


TABLES: Dict[str, Callable[[], Dict[str, int]]] = {
    "errno": errnos, "signal": signals, "syscall": syscalls, "capability": capabilities,
    "exit": signals,
}


def by_number(names: Dict[str, int]) -> Dict[str, str]:
    """number (as text, for JSON) -> the first of its names, in the order of ``names``."""
    numbers: Dict[str, str] = {}
    for name, number in names.items():
        numbers.setdefault(str(number), name)
    return numbers
