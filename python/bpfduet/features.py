# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the running kernel offers, asked before anything is loaded."""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

from . import libbpf
from .errors import Error

BTF = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
LSM = Path("/sys/kernel/security/lsm")
# What BCC calls the programs on a probe of a kind, where that is not the kind's name.
_PREFIXES = {"kprobe": ("kprobe", "kretprobe"), "fentry": ("kfunc", "kretfunc")}
# What sentences call the kinds, where not by the word itself.
_SHOWN = {"raw_tracepoint": "raw tracepoint", "lsm": "LSM hook"}
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


def _has_kprobes() -> bool:
    return (tracefs() / "kprobe_events").exists()


def _uses_bpf_lsm() -> bool:
    """The kernel can have it and not use it: it must be in lsm=... when it starts."""
    try:
        return "bpf" in LSM.read_text().strip().split(",")
    except OSError as error:
        raise Error("securityfs is not mounted: mount -t securityfs securityfs "
                    "/sys/kernel/security") from error


def _offers(kind: str, name: str) -> bool:
    if kind == "tracepoint":
        category, event = name.split(":")
        return (tracefs() / "events" / category / event).is_dir()
    if kind == "kprobe":
        if not _has_kprobes():
            return False
        symbol = re.compile(rf"^\S+ [tTwW] {re.escape(name)}$", re.M)
        return bool(symbol.search(Path("/proc/kallsyms").read_text()))
    if kind == "raw_tracepoint" and any((tracefs() / "events").glob(f"[!.]*/{name}")):
        return True     # nearly all have an event of the same name
    if kind == "helper" and not BTF.exists():
        return True     # nobody knows, and the load will tell
    if kind == "fentry":
        return libbpf.has_fentry(name)
    if kind == "lsm":   # what is attached to a hook goes to the exit of this function
        return _uses_bpf_lsm() and libbpf.has_fentry(f"bpf_lsm_{name}")
    word = "BPF_FUNC_" + name[len("bpf_"):] if kind == "helper" else "btf_trace_" + name
    return BTF.exists() and f"\0{word}\0".encode() in BTF.read_bytes()


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
        if not optional:
            raise _missing(kind, name)
        off += [f"{prefix}__{name.replace(':', '__')}" for prefix in _PREFIXES.get(kind, (kind,))]
    return off


def replaced_programs(programs: List[Dict[str, Any]]) -> List[str]:
    """Of programs and their ``fallback``s, those that this kernel does not attach.

    Those that share a fallback are replaced together. Raises Error where the kernel can attach
    neither.
    """
    programs = [program for program in programs if program.get("fallback")]
    taken: Set[str] = set()
    for program in programs:
        if _is_replaced(program):
            taken.update(program["fallback"])
    off: Set[str] = set()
    for program in programs:
        off.update([program["name"]] if program["fallback"][0] in taken else program["fallback"])
    return sorted(off)


def _is_replaced(program: Dict[str, Any]) -> bool:
    """Whether this kernel cannot attach a program, or would not run it each time."""
    kind, probe = _probe_of(program["name"])
    missing = [other for other in map(_probe_of, program["fallback"]) if not _offers(*other)]
    if _offers(kind, probe):
        return not missing and _skips(program["name"])
    if missing:
        raise _missing(*missing[0])
    return True


def _skips(program: str) -> bool:
    """Whether the kernel leaves out runs of a program: those during which it preempts."""
    # Linux 7.2 and later preempt on x86, and let programs on system calls sleep
    return program.startswith(("tracepoint__syscalls__", "kfunc__")) \
        and libbpf.has_sleepable_tracepoints()


def _probe_of(program: str) -> Tuple[str, str]:
    """Kind and name of the probe that a program's name tells."""
    for kind, prefixes in _PREFIXES.items():
        for prefix in prefixes:
            if program.startswith(prefix + "__"):
                return kind, program[len(prefix) + 2:]
    kind, _, name = program.partition("__")
    return kind, name.replace("__", ":", 1)


def _missing(kind: str, name: str) -> Error:
    if kind == "kprobe" and not _has_kprobes():
        return Error(f"this kernel has no kprobes, which this tool needs (for {name})")
    if kind == "lsm" and not _uses_bpf_lsm():
        return Error("this kernel does not use BPF as a security module, which this tool needs "
                     f"(for {name}): boot with bpf in lsm=")
    return Error(f"this kernel does not have the {_SHOWN.get(kind, kind)} {name}, which this tool "
                 "needs")
