# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the running kernel offers, asked before anything is loaded."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import List

from .errors import Error

BTF = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39


def check_privileges() -> None:
    """Raise Error if this process may not load tracing programs."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.M)
    capabilities = int(found.group(1), 16) if found else 0
    if capabilities >> CAP_SYS_ADMIN & 1:
        return
    if not (capabilities >> CAP_BPF & 1 and capabilities >> CAP_PERFMON & 1):
        raise Error("loading BPF programs needs root (or CAP_BPF and CAP_PERFMON)")


def tracefs() -> Path:
    """Where tracefs is mounted. Raises Error if it is not."""
    for place in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        try:
            os.stat(os.path.join(place, "events"))
            return Path(place)
        except PermissionError as error:
            raise Error(f"{place} cannot be read: run as root, or remount it with a gid") from error
        except OSError:
            continue
    raise Error("tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")


def check_lockdown() -> None:
    """Raise Error if the kernel is locked down so far that BPF may not read its memory."""
    try:
        if "[confidentiality]" in LOCKDOWN.read_text():
            raise Error("the kernel is locked down (confidentiality), which forbids tracing with "
                        "BPF: boot without lockdown=confidentiality")
    except OSError:
        return      # securityfs is not mounted or there is no such file: not locked down, or unknown


def _offers(kind: str, name: str) -> bool:
    if kind == "tracepoint":
        category, event = name.split(":")
        return (tracefs() / "events" / category / event).is_dir()
    if kind == "kprobe":
        if not (tracefs() / "kprobe_events").exists():
            return False
        symbol = re.compile(rf"^\S+ [tTwW] {re.escape(name)}$", re.M)
        return bool(symbol.search(Path("/proc/kallsyms").read_text()))
    if kind == "raw_tracepoint" and any((tracefs() / "events").glob(f"[!.]*/{name}")):
        return True     # nearly all have an event of the same name
    if kind == "helper" and not BTF.exists():
        return True     # nobody knows, and the load will tell
    strings = BTF.read_bytes() if BTF.exists() else b""
    if kind == "helper":
        return b"\0BPF_FUNC_" + name[len("bpf_"):].encode() + b"\0" in strings
    if kind == "raw_tracepoint":
        return b"\0btf_trace_" + name.encode() + b"\0" in strings
    return b"\0" + name.encode() + b"\0" in strings     # fentry


def missing_programs(requires: List[str]) -> List[str]:
    """Check a spec's ``requires``; returns the programs on optional probes that are not there.

    Raises Error for what must be there and is not.
    """
    off = []
    for requirement in requires:
        kind, name = requirement.split(":", 1)
        optional = kind.endswith("?")
        kind = kind.rstrip("?")
        if _offers(kind, name):
            continue
        if optional:
            off.append(f"{kind}__{name.replace(':', '__')}")
        elif kind == "kprobe" and not (tracefs() / "kprobe_events").exists():
            raise Error(f"this kernel has no kprobes, which this tool needs (for {name})")
        else:
            raise Error(f"this kernel does not have the {kind.replace('_', ' ')} {name}, "
                        "which this tool needs")
    return off
