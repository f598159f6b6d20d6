# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Programs that bcc does not attach by their names, put at their places by its attach functions."""
from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import bcc

from .. import features, libbpf
from .cgroup import hierarchy
from ..errors import Error, UsageError
from .records import table_of

_MACROS = ("BEGIN", "PROBE", "RETPROBE", "UPROBE", "URETPROBE", "USDT", "PERF_EVENT", "XDP", "TC",
           "CGROUP_SKB", "SOCKET_FILTER")
_PROGRAM = re.compile(rf'^({"|".join(_MACROS)})\(\s*(\w+)\s*(?:,\s*"?([^")]*))?', re.MULTILINE)
_CGROUP_ALLOW_MULTI = 2
_MOST_ARGUMENTS = 12    # of a USDT probe

Settings = Dict[str, str]
_SOFTWARE = {
    "cpu-clock": "CPU_CLOCK", "task-clock": "TASK_CLOCK", "page-faults": "PAGE_FAULTS",
    "context-switches": "CONTEXT_SWITCHES", "cpu-migrations": "CPU_MIGRATIONS",
    "minor-faults": "PAGE_FAULTS_MIN", "major-faults": "PAGE_FAULTS_MAJ",
}
_HARDWARE = {
    "cpu-cycles": "CPU_CYCLES", "instructions": "INSTRUCTIONS",
    "cache-references": "CACHE_REFERENCES", "cache-misses": "CACHE_MISSES",
    "branch-instructions": "BRANCH_INSTRUCTIONS", "branch-misses": "BRANCH_MISSES",
}


class Program(NamedTuple):
    """A program: the macro that makes it, its name as bcc has it, and its target in the text."""

    macro: str
    name: str
    target: str


def programs_of(text: str) -> List[Program]:
    """The programs of a kernel half that bcc leaves alone."""
    found = []
    for macro, name, target in _PROGRAM.findall(text):
        if macro == "CGROUP_SKB":
            name, target = target.strip(), name     # the direction comes first
        found.append(Program(macro, f"{macro.lower()}__{name}", target))
    return found


def check(programs: List[Program]) -> None:
    """Raise UsageError if there are programs that bcc has no function to attach."""
    if any(program.macro == "TC" for program in programs):
        raise UsageError("--plain leaves out tc, which bcc cannot attach programs to: run it "
                         "without --plain")


def perf_event(name: str) -> Tuple[int, int]:
    """Type and config of a perf event, by perf's name for it. Raises Error."""
    if name in _SOFTWARE:
        return bcc.PerfType.SOFTWARE, getattr(bcc.PerfSWConfig, _SOFTWARE[name])
    if name in _HARDWARE:
        return bcc.PerfType.HARDWARE, getattr(bcc.PerfHWConfig, _HARDWARE[name])
    raise Error(f"there is no perf event '{name}'")


def binary(name: str) -> str:
    """The file that a target names: a path, a library (c, libc.so.6) or a program. Raises Error."""
    if "/" in name:
        return name
    short = re.sub(r"^lib(.+)\.so(\..*)?$", r"\1", name)
    found = bcc.BPF.find_library(short.encode()) or bcc.BPF.find_exe(name.encode())
    if not found:
        raise Error(f"there is no file '{name}' where programs and libraries are")
    return os.fsdecode(found)


# -- USDT: bcc wants to know of them before it compiles -------------------------------------------


class Usdt(NamedTuple):
    """A program on a USDT probe: its name, the probe as PROVIDER:NAME, and bcc's object for it."""

    program: str
    probe: str
    context: Any


def usdt_probes(programs: List[Program], settings: Dict[str, Settings]) -> List[Usdt]:
    """The USDT probes that programs are for. Raises Error."""
    found = []
    for program in programs:
        if program.macro != "USDT":
            continue
        chosen = settings.get(program.name, {})
        target = chosen.get("target") or program.target
        path, _, probe = target.rpartition(":")
        path, _, provider = path.rpartition(":")
        if not path or not provider or not probe:
            raise Error(f"'{target}' is not BINARY:PROVIDER:PROBE")
        context = _usdt_context(program.name, binary(path), f"{provider}:{probe}",
                                chosen.get("process"))
        if context is None:
            raise Error(f"there is no probe '{provider}:{probe}' in '{path}', or no such file")
        found.append(Usdt(program.name, f"{provider}:{probe}", context))
    return found


def _usdt_context(program: str, path: str, probe: str, process: Optional[str]) -> Any:
    """bcc's object for a probe. Of a process alone only where bcc asks for one, for then that must
    have mapped the file already."""
    for pid in (None, *([int(process)] if process else [])):
        with contextlib.suppress(bcc.usdt.USDTException):
            context = bcc.USDT(pid=pid, path=path)
            context.enable_probe(probe, program)
            return context
    return None


def usdt_arguments(usdt: Usdt) -> str:
    """Macros to put in front of the text: what bcc writes to read an argument takes a variable of
    the argument's own type only, and there is nothing for arguments that a probe has not."""
    probe = next(probe for probe in usdt.context.enumerate_probes()
                 if b"%b:%b" % (probe.provider, probe.name) == usdt.probe.encode())
    lines = []
    for number in range(1, _MOST_ARGUMENTS + 1):
        reader = f"_bpf_readarg_{usdt.program}_{number}"
        read = "int v_ = 0, e_ = -2;"       # ENOENT
        if number <= probe.num_arguments:
            ctype = usdt.context.get_probe_arg_ctype(usdt.probe, number - 1)
            read = f"{ctype} v_ = 0; int e_ = ({reader})(ctx, &v_, sizeof(v_));"
        lines.append(f"#define {reader}(ctx, to, n) ({{ {read} *(to) = v_; e_; }})\n")
    return "".join(lines)


# -- all others --------------------------------------------------------------------------------


class Places:
    """Attaches programs of a ``bcc.BPF``. ``group``: the folder of the cgroup that the run is
    limited to, if it is. ``remove()`` takes away what bcc's cleanup() leaves."""

    def __init__(self, bpf: Any, settings: Dict[str, Settings], group: Optional[Path]):
        self._bpf = bpf
        self._settings = settings
        self._group = group
        self._undo: List[Callable[[], object]] = []

    def attach(self, program: Program) -> None:
        """Put a program where it belongs. Raises Error."""
        if program.macro == "USDT":
            return      # bcc has done it
        attach = getattr(self, f"_{program.macro.lower()}")
        try:
            attach(program, self._settings.get(program.name, {}))
        except Error:
            raise
        except Exception as error:      # bcc raises nothing more precise
            raise Error(f"cannot attach {program.name}: {error}") from error

    def remove(self) -> None:
        """Undo it."""
        while self._undo:
            self._undo.pop()()

    def open_counter(self, table: str, event: str) -> None:
        """Fill a perf event array: a counter for each CPU. Raises Error."""
        try:
            table_of(self._bpf, table).open_perf_event(*perf_event(event))
        except Error:
            raise
        except Exception as error:
            raise Error(f"this machine does not count the perf event '{event}'") from error

    def _begin(self, program: Program, _chosen: Settings) -> None:
        # bcc has nothing that runs a program once
        libbpf.run_once(self._bpf.load_func(program.name, bcc.BPF.RAW_TRACEPOINT).fd)

    def _probe(self, program: Program, chosen: Settings) -> None:
        target = chosen.get("target") or program.target
        returns = program.macro in ("RETPROBE", "URETPROBE")
        if ":" not in target:
            features.missing_programs([f"kprobe:{target}"])
            attach = self._bpf.attach_kretprobe if returns else self._bpf.attach_kprobe
            attach(event=target, fn_name=program.name)
            return
        name, _, symbol = target.rpartition(":")
        symbol, _, offset = symbol.partition("+")
        attach = self._bpf.attach_uretprobe if returns else self._bpf.attach_uprobe
        extra = {"sym_off": int(offset, 0)} if offset else {}
        attach(name=binary(name), sym=symbol, fn_name=program.name,
               pid=int(chosen.get("process", -1)), **extra)

    _retprobe = _probe
    _uprobe = _probe
    _uretprobe = _probe

    def _perf_event(self, program: Program, chosen: Settings) -> None:
        kind, config = perf_event(chosen.get("event", ""))
        period = int(chosen.get("period", 0))
        self._bpf.attach_perf_event(
            ev_type=kind, ev_config=config, fn_name=program.name, sample_period=period,
            sample_freq=0 if period else int(chosen.get("frequency", 0)),
            pid=int(chosen.get("process", -1)))

    def _xdp(self, program: Program, chosen: Settings) -> None:
        device = _interface(chosen)
        self._bpf.attach_xdp(device, self._bpf.load_func(program.name, bcc.BPF.XDP),
                             bcc.XDPFlags.UPDATE_IF_NOEXIST)    # not in place of another one
        self._undo.append(lambda: self._bpf.remove_xdp(device))

    def _cgroup_skb(self, program: Program, _chosen: Settings) -> None:
        kind = {"ingress": bcc.BPFAttachType.CGROUP_INET_INGRESS,
                "egress": bcc.BPFAttachType.CGROUP_INET_EGRESS}[program.target]
        function = self._bpf.load_func(program.name, bcc.BPF.CGROUP_SKB)
        group = self._group or hierarchy(Path("/proc/self/mountinfo").read_text())[0]
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._undo.append(lambda: os.close(folder))
        self._bpf.attach_func(function, folder, kind, _CGROUP_ALLOW_MULTI)
        self._undo.append(lambda: self._bpf.detach_func(function, folder, kind))

    def _socket_filter(self, program: Program, chosen: Settings) -> None:
        function = self._bpf.load_func(program.name, bcc.BPF.SOCKET_FILTER)
        self._bpf.attach_raw_socket(function, _interface(chosen))
        self._undo.append(lambda: os.close(function.sock))


def _interface(chosen: Settings) -> str:
    """The network interface that the spec names. Raises Error."""
    name = chosen.get("interface")
    if not name:
        raise Error("no network interface is given")
    try:
        socket.if_nametoindex(name)
    except OSError as error:
        raise Error(f"there is no network interface '{name}'") from error
    return name
