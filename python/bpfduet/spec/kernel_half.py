# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What TOOL.bpf.c says in its text that a spec need not say again: help for CONFIG constants, and its programs.

Read from the text for both compilers: BCC keeps no constants, and options are read before it compiles.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.S)
# CONFIG(type, name, default, "help", "letter")
_CONFIG = re.compile(r'^\s*CONFIG\(\s*([\w ]+?)\s*,\s*(\w+)\s*,[^;"]*,\s*"((?:\\.|[^"\\])*)"'
                     r'\s*(?:,\s*"(\w)"\s*)?\)\s*;', re.MULTILINE)
_EVENTS = re.compile(r"^BPF_(?:PERF_)?EVENTS\(\s*(\w+)", re.MULTILINE)
_CONTAINERS = re.compile(r"^#define BPFDUET_CONTAINERS\b", re.MULTILINE)
_KINDS = {
    "TRACEPOINT_PROBE": "tracepoint", "RAW_TRACEPOINT_PROBE": "raw_tracepoint", "KPROBE": "kprobe",
    "KRETPROBE": "kretprobe", "KFUNC_PROBE": "kfunc", "KRETFUNC_PROBE": "kretfunc",
    "LSM_PROBE": "lsm", "UPROBE": "uprobe", "URETPROBE": "uretprobe", "USDT": "usdt",
    "PROBE": "probe", "RETPROBE": "retprobe",
}
_PROGRAM = re.compile(rf'^({"|".join(_KINDS)})\(\s*(\w+)\s*(?:,\s*(\w+))?', re.MULTILINE)


class Described(NamedTuple):
    """A constant with a help text; ``short`` is its letter, or empty."""

    ctype: str
    help: str
    short: str


class Program(NamedTuple):
    """A program by its name; ``kind`` is what the name begins with, ``probe`` the rest."""

    kind: str
    probe: str

    @property
    def name(self) -> str:
        """As BCC has it."""
        return f"{self.kind}__{self.probe}"


@dataclass(frozen=True)
class KernelHalf:
    """All of that. ``events`` are its buffers of records; ``containers``: it has the sets of cgroups and
    mount namespaces."""

    constants: Dict[str, Described] = field(default_factory=dict)
    programs: Tuple[Program, ...] = ()
    events: Tuple[str, ...] = ()
    containers: bool = False


def read(path: Path) -> KernelHalf:
    """The kernel half; one without anything, where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return KernelHalf()
    text = _NOISE.sub(lambda found: found[1] or " ", text)
    constants = {name: Described(ctype, re.sub(r"\\(.)", r"\1", words), short or "")
                 for ctype, name, words, short in _CONFIG.findall(text)}
    programs = []
    for macro, first, second in _PROGRAM.findall(text):
        programs.append(Program(_KINDS[macro], f"{first}__{second}"
                                if macro == "TRACEPOINT_PROBE" else first))
    return KernelHalf(constants, tuple(programs), tuple(_EVENTS.findall(text)),
                      bool(_CONTAINERS.search(text)))
