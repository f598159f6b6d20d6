# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Programs at their places, where BCC does not put them there by their names.

Which programs a kernel half has is read from the text, as BCC's own macros are; where they
belong is told by the text, the spec's [[program]] and the options.
"""
from __future__ import annotations

import contextlib
import ctypes as ct
import glob
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import features, libbpf
from .cgroup import hierarchy
from .errors import Error

# type and config of struct perf_event_attr; the names are perf's
PERF_EVENTS = {
    "cpu-clock": (1, 0), "task-clock": (1, 1), "page-faults": (1, 2), "context-switches": (1, 3),
    "cpu-migrations": (1, 4), "minor-faults": (1, 5), "major-faults": (1, 6),
    "cpu-cycles": (0, 0), "instructions": (0, 1), "cache-references": (0, 2),
    "cache-misses": (0, 3), "branch-instructions": (0, 4), "branch-misses": (0, 5),
}
SO_ATTACH_BPF = 50
ETH_P_ALL = 3

_KINDS = {
    "BEGIN": "begin", "PROBE": "probe", "RETPROBE": "retprobe",
    "UPROBE": "uprobe", "URETPROBE": "uretprobe", "USDT": "usdt", "PERF_EVENT": "perf_event",
    "XDP": "xdp", "TC": "tc", "CGROUP_SKB": "cgroup_skb", "SOCKET_FILTER": "socket_filter",
}
_PROGRAM = re.compile(rf'^({"|".join(_KINDS)})\(\s*(\w+)\s*(?:,\s*"?([^")]*))?', re.MULTILINE)

# What BCC writes for each argument of a USDT probe.
_READER = re.compile(r"\b_bpf_readarg_(\w+)_(\d+)\([^)]*\) \{\s*if \(len != sizeof\((\w+)\)\)")
_USDT_ARGUMENTS = 12    # sys/sdt.h has no more

Settings = Dict[str, str]


@dataclass(frozen=True)
class Unattached:
    """A program that BCC leaves alone: its kind, its name as BCC sees it, and its target in the
    text (a direction, for cgroup_skb)."""

    kind: str
    name: str
    target: str
    place: int      # in the text

    @property
    def section(self) -> str:
        """The section that it is in ahead of time, for messages."""
        alone = {"socket_filter": "socket", "begin": "raw_tp", "probe": "kprobe",
                 "retprobe": "kretprobe"}.get(self.kind, self.kind)
        if self.target or self.kind in ("uprobe", "uretprobe", "usdt"):
            return f"{alone}/{self.target}"
        return alone


def programs_of(text: str) -> List[Unattached]:
    """The programs of a kernel half that BCC does not attach by itself."""
    found = []
    for match in _PROGRAM.finditer(text):
        macro, name, target = match.groups("")
        if macro == "CGROUP_SKB":
            name, target = target.strip(), name     # the direction comes first
        found.append(Unattached(_KINDS[macro], f"{_KINDS[macro]}__{name}", target, match.start()))
    return found


def _library_folders(root: str) -> List[str]:
    folders = ["/usr/lib64", "/usr/lib"]
    folders += sorted(path[len(root):] for path in glob.glob(
        f"{glob.escape(root)}/usr/lib/{os.uname().machine}-*"))
    return [root + folder for folder in folders]


def _library(name: str, root: str) -> Optional[str]:
    """The file of the library that the linker calls -lNAME."""
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+", name):
        return None
    for folder in _library_folders(root):
        for path in sorted(glob.glob(f"{glob.escape(folder)}/lib{name}.so.[0-9]*")):
            return path
    return None


def _mapped(name: str, process: int) -> Optional[str]:
    """The library of a short name, or the file of a name, that a process has in its memory."""
    wanted = re.compile(rf"(?:lib{re.escape(name)}(?:-[0-9][0-9.]*)?\.so(?:\.[0-9.]*)?|"
                        rf"{re.escape(name)})")
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/maps").read_bytes().splitlines():
            path = os.fsdecode(line.partition(b"/")[2])
            if wanted.fullmatch(path.rpartition("/")[2]) \
                    and os.path.exists(f"/proc/{process}/root/{path}"):
                return f"/proc/{process}/root/{path}"
    return None


def _found(name: str, root: str) -> Optional[str]:
    """Where a library or a program is below a root directory."""
    library = _library(name, root)
    if library:
        return library
    if re.search(r"\.so(\.|$)", name):
        folders = [root + folder for folder in filter(None, os.environ.get(
            "LD_LIBRARY_PATH", "").split(":"))] + _library_folders(root)
        mode = os.R_OK
    else:
        folders = [root + folder for folder in filter(None, [
            *os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/sbin"])]
        mode = os.R_OK | os.X_OK
    return next((f"{folder}/{name}" for folder in folders
                 if os.access(f"{folder}/{name}", mode)), None)


def binary_path(name: str, process: int = 0) -> str:
    """The file that a target names: a path; a library, by its file's name or its short one; or a
    program in PATH. If a process is to be probed, absolute paths and names are first looked for as
    that process sees its files. Raises Error.

    The engine has the same rules (c_loader/binary.c).
    """
    root = f"/proc/{process}/root"
    if "/" in name:
        its = process and name.startswith("/") and os.path.exists(root + name)
        return root + name if its else name
    path = (process and (_mapped(name, process) or _found(name, root))) or _found(name, "")
    if not path:
        raise Error(f"there is no file '{name}' where programs and libraries are")
    return path


def usdt_target(target: str, process: int = 0) -> Tuple[str, str, str]:
    """Path, provider and name of "BINARY:PROVIDER:PROBE". Raises Error."""
    parts = target.rsplit(":", 2)
    if len(parts) != 3 or not all(parts):
        raise Error(f"'{target}' is not BINARY:PROVIDER:PROBE")
    return os.path.abspath(binary_path(parts[0], process)), parts[1], parts[2]


def usdt_contexts(programs: List[Unattached], settings: Dict[str, Settings]) -> List[Any]:
    """What BCC must know of USDT probes before it compiles. Raises Error."""
    import bcc
    contexts = []
    for program in programs:
        if program.kind != "usdt":
            continue
        chosen = settings.get(program.name, {})
        target = chosen.get("target") or program.target
        path, provider, name = usdt_target(target)
        # BCC wants the process for a probe with a semaphore, and then it must have the file mapped
        for pid in (None, *filter(None, [int(chosen.get("process", 0))])):
            with contextlib.suppress(bcc.usdt.USDTException):
                context = bcc.USDT(pid=pid, path=path)
                context.enable_probe(f"{provider}:{name}", program.name)
                contexts.append(context)
                break
        else:
            raise Error(f"cannot attach {program.name} (usdt/{program.target}): there is no probe "
                        f"'{provider}:{name}' in '{target.rsplit(':', 2)[0]}', or no such file")
    return contexts


def usdt_arguments(contexts: List[Any], programs: List[Unattached]) -> str:
    """Macros in front of the functions that BCC writes to read arguments of USDT
    probes: those refuse a variable of another width than the argument's, and there are none for
    arguments that a probe has not."""
    types = {(name, int(number)): ctype for context in contexts
             for name, number, ctype in _READER.findall(context.get_text())}
    macros = []
    for program in [program for program in programs if program.kind == "usdt"]:
        for number in range(1, _USDT_ARGUMENTS + 1):
            reader = f"_bpf_readarg_{program.name}_{number}"
            ctype = types.get((program.name, number))
            read = f"{ctype} v_ = 0; int e_ = ({reader})(ctx, &v_, sizeof(v_));" if ctype \
                else "int v_ = 0, e_ = -2;"     # ENOENT, as libbpf has it
            macros.append(f"#define {reader}(ctx, to, n) ({{ {read} *(to) = v_; e_; }})\n")
    return "".join(macros)


class Attacher:
    """Attaches programs and counters of one ``bcc.BPF``; ``detach()`` undoes it.

    ``settings``: what the spec says of each program, options filled in. ``group``: folder of the
    cgroup that the run is limited to; ``own_group``: it was made for the run.
    """

    def __init__(self, bpf: Any, settings: Dict[str, Settings], group: Optional[str],
                 own_group: bool):
        self._bpf = bpf
        self._settings = settings
        self._group = group
        self._own_group = own_group
        self._undo: List[Callable[[], object]] = []

    def attach(self, program: Unattached) -> None:
        """Put a program where it belongs. Raises Error."""
        chosen = self._settings.get(program.name, {})
        attach = getattr(self, f"_attach_{program.kind}", None)
        if attach is None:
            return      # usdt: BCC has done it
        try:
            attach(program, chosen)
        except OSError as error:
            raise Error(f"cannot attach {program.name} ({program.section}): "
                        f"{os.strerror(error.errno or 0)}") from error
        except Error as error:
            raise Error(f"cannot attach {program.name} ({program.section}): {error}") from error

    def detach(self) -> None:
        """Take them away again, the last one first."""
        while self._undo:
            with contextlib.suppress(OSError):
                self._undo.pop()()

    def open_counters(self, name: str, event: str) -> None:
        """Fill a perf event array: one counter for each CPU. Raises Error."""
        number, config = _perf_event(event)
        try:
            self._bpf[name.encode()].open_perf_event(number, config)
        except Exception as error:      # BCC raises nothing more precise
            raise Error(f"this machine does not count the perf event '{event}'") from error

    def _load(self, program: Unattached, kind: str) -> int:
        import bcc
        try:
            return int(self._bpf.load_func(program.name.encode(), getattr(bcc.BPF, kind)).fd)
        except Exception as error:
            raise Error(f"the kernel does not take the program: {error}") from error

    def _attach_begin(self, program: Unattached, _chosen: Settings) -> None:
        libbpf.run_once(self._load(program, "RAW_TRACEPOINT"))

    # -- user space -------------------------------------------------------------------------

    def _attach_uprobe(self, program: Unattached, chosen: Settings) -> None:
        target = chosen.get("target") or program.target
        binary, _, symbol = target.rpartition(":")
        if not binary or not symbol:
            raise Error(f"'{target}' is not BINARY:SYMBOL")
        symbol, _, offset = symbol.partition("+")
        attach = self._bpf.attach_uretprobe if program.kind in ("uretprobe", "retprobe") \
            else self._bpf.attach_uprobe
        extra = {"sym_off": int(offset, 0)} if offset else {}
        path = binary_path(binary, int(chosen.get("process", 0)))
        try:
            attach(name=os.fsencode(path), sym=symbol.encode(), fn_name=program.name.encode(),
                   pid=int(chosen.get("process", 0)) or -1, **extra)
        except Exception as error:
            raise Error(f"there is no function '{symbol}' in '{binary}', or no such file") \
                from error

    _attach_uretprobe = _attach_uprobe

    # -- user space or the kernel ---------------------------------------------------------------

    def _attach_probe(self, program: Unattached, chosen: Settings) -> None:
        target = chosen.get("target", "")
        if ":" in target:
            self._attach_uprobe(program, chosen)
            return
        if not target:
            raise Error("no function is given")
        features.missing_programs([f"kprobe:{target}"])
        attach = self._bpf.attach_kretprobe if program.kind == "retprobe" \
            else self._bpf.attach_kprobe
        try:
            attach(event=target.encode(), fn_name=program.name.encode())
        except Exception as error:      # BCC raises nothing more precise
            raise Error(f"the kernel does not let '{target}' be probed") from error

    _attach_retprobe = _attach_probe

    # -- perf events --------------------------------------------------------------------------

    def _attach_perf_event(self, program: Unattached, chosen: Settings) -> None:
        period, frequency = int(chosen.get("period", 0)), int(chosen.get("frequency", 0))
        if "event" not in chosen or not (period or frequency):
            raise Error("the spec does not say which perf event, or how often")
        number, config = _perf_event(chosen["event"])
        try:
            self._bpf.attach_perf_event(
                ev_type=number, ev_config=config, fn_name=program.name.encode(),
                sample_period=period, sample_freq=0 if period else frequency,
                pid=int(chosen.get("process", 0)) or -1)
        except Exception as error:
            raise Error(f"this machine does not count the perf event '{chosen['event']}'") \
                from error
        self._undo.append(lambda: self._bpf.detach_perf_event(number, config))

    # -- the network -----------------------------------------------------------------------------

    def _attach_xdp(self, program: Unattached, chosen: Settings) -> None:
        fd = libbpf.link(self._load(program, "XDP"), _interface(chosen)[1], libbpf.XDP)
        self._undo.append(lambda: os.close(fd))

    def _attach_tc(self, program: Unattached, chosen: Settings) -> None:
        egress = chosen.get("direction") == "egress"
        index = _interface(chosen)[1]
        loaded = self._load(program, "SCHED_CLS")
        try:
            fd = libbpf.link(loaded, index, libbpf.TCX_EGRESS if egress else libbpf.TCX_INGRESS)
        except OSError:
            self._attach_filter(loaded, index, egress)      # before Linux 6.6
        else:
            self._undo.append(lambda: os.close(fd))

    def _attach_filter(self, program: int, index: int, egress: bool) -> None:
        """A filter of the clsact queueing discipline. That stays: others may use it, and without
        filters it does nothing."""
        lib = libbpf.library()
        hook = libbpf.TcHook(sz=ct.sizeof(libbpf.TcHook), ifindex=index,
                             attach_point=libbpf.TC_EGRESS if egress else libbpf.TC_INGRESS)
        opts = libbpf.TcOpts(sz=ct.sizeof(libbpf.TcOpts), prog_fd=program)
        error = lib.bpf_tc_hook_create(ct.byref(hook))
        if error in (0, -libbpf.EEXIST):
            error = lib.bpf_tc_attach(ct.byref(hook), ct.byref(opts))
        if error:
            raise OSError(-error, "")

        def undo() -> None:
            opts.prog_fd = opts.prog_id = opts.flags = 0
            lib.bpf_tc_detach(ct.byref(hook), ct.byref(opts))
        self._undo.append(undo)

    def _attach_cgroup_skb(self, program: Unattached, _chosen: Settings) -> None:
        group = self._group or str(hierarchy(Path("/proc/self/mountinfo").read_text())[0])
        kind = {"ingress": libbpf.CGROUP_INET_INGRESS,
                "egress": libbpf.CGROUP_INET_EGRESS}[program.target]
        loaded = self._load(program, "CGROUP_SKB")
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._undo.append(lambda: os.close(folder))
        if not self._own_group:
            with contextlib.suppress(OSError):      # before Linux 5.7
                fd = libbpf.link(loaded, folder, kind)
                self._undo.append(lambda: os.close(fd))
                return
        # needs no link: what is attached to the run's own cgroup ends with that at the latest
        libbpf.attach_to_cgroup(loaded, folder, kind)
        self._undo.append(lambda: libbpf.detach_from_cgroup(loaded, folder, kind))

    def _attach_socket_filter(self, program: Unattached, chosen: Settings) -> None:
        """A packet socket sees what comes and goes; the program keeps it from its queue or not."""
        interface, _ = _interface(chosen)
        # of no protocol, so that nothing gets in before the program is there
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._undo.append(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, self._load(program, "SOCKET_FILTER"))
        listener.bind((interface, ETH_P_ALL))


def complete_uprobes() -> None:
    """BCC 0.26 calls ``bpf_attach_uprobe`` without its last argument, the offset of a semaphore:
    whatever is in the register is taken for it, and the kernel refuses a second probe at a place
    that has another one."""
    import bcc
    if getattr(bcc.lib.bpf_attach_uprobe, "__wrapped__", None):
        return
    call = ct.CFUNCTYPE(ct.c_int, ct.c_int, ct.c_int, ct.c_char_p, ct.c_char_p, ct.c_uint64,
                        ct.c_int, ct.c_uint32)(
        ct.cast(bcc.lib.bpf_attach_uprobe, ct.c_void_p).value or 0)

    def complete(*arguments: Any) -> int:
        return int(call(*arguments, *[0] * (7 - len(arguments))))

    setattr(complete, "__wrapped__", call)
    bcc.lib.bpf_attach_uprobe = complete


def _perf_event(name: str) -> Tuple[int, int]:
    if name not in PERF_EVENTS:
        raise Error(f"there is no perf event '{name}'")
    return PERF_EVENTS[name]


def _interface(chosen: Settings) -> Tuple[str, int]:
    """Name and index of the interface that the spec names. Raises Error."""
    name = chosen.get("interface")
    if not name:
        raise Error("no network interface is given")
    try:
        return name, socket.if_nametoindex(name)
    except OSError as error:
        raise Error(f"there is no network interface '{name}'") from error
