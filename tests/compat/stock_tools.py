#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Compile the C text of every stock BCC tool of this machine with headers made out of BTF.

Each tool is run with a stand-in for bcc.BPF that takes the text it would compile and ends the tool; then
real BCC compiles the text from the folder that bpfduet.kernel_headers makes. Nothing is attached.
Needs root, bpfcc-tools, bpftool and the kernel's BTF.

    tests/compat/stock_tools.py [--btf FILE] [--whole] [--save FOLDER] [TOOL ...]

Prints one line for each text that does not compile and the count; exit status 1 if there is one.
`make check` does the same by test_stock_tools.py.
"""

from __future__ import annotations

import argparse
import builtins
import curses
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
import unittest.mock
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from bpfduet import kernel_headers  # noqa: E402

TOOLS = Path("/usr/sbin")
SUFFIX = "-bpfcc"
# What makes a tool get as far as its program; {pid} is a process that lives as long as the tool.
ARGUMENTS: Dict[str, List[str]] = {
    "argdist": ["-H", "p::__kmalloc(u64 size):u64:size"],
    "biolatpcts": ["8:0"],
    "dbslower": ["mysql", "-p", "{pid}"],
    "dbstat": ["mysql", "-p", "{pid}"],
    "deadlock": ["{pid}"],
    "dirtop": ["-d", "/tmp"],
    "funccount": ["t:sched:sched_switch"],
    "funcinterval": ["t:sched:sched_switch"],
    "funclatency": ["vfs_read"],
    "funcslower": ["vfs_read"],
    "inject": ["kmalloc", "-v", "d_alloc_parallel(struct dentry *parent, const struct qstr *name)"],
    "mysqld_qslower": ["{pid}"],
    "netqtop": ["-n", "lo"],
    "stackcount": ["t:sched:sched_switch"],
    "trace": ["t:sched:sched_switch"],
    "ttysnoop": ["/dev/console"],
}
LANGUAGE_TOOLS = ("ucalls", "uflow", "ugc", "uobjnew", "ustat", "uthreads")
ARGUMENTS.update({name: ["-l", "python", "{pid}"] for name in ("ucalls", "uflow", "ugc", "ustat")})
ARGUMENTS.update({name: ["-l", "java", "{pid}"] for name in ("uobjnew", "uthreads")})
KALLSYMS = ("btrfs_file_operations", "ext4_file_operations", "f2fs_file_operations", "vm_zone_stat")
NO_PROGRAM = ("bpflist", "tplist")  # no program at all


def capture(script: Path, arguments: List[str], output: Path) -> None:
    """Run a tool in this process until it hands its text to BPF; write {"text", "cflags"} and end."""
    import bcc  # type: ignore[import]

    class StandIn(bcc.BPF):  # type: ignore[misc]
        """Takes the text, and says yes to every question a tool has about the kernel before that."""

        def __init__(self, src_file: Any = "", hdr_file: Any = "", text: Any = None, debug: int = 0,
                     cflags: Any = (), usdt_contexts: Any = (), **_: Any) -> None:
            if text is None:
                text = Path(os.fsdecode(src_file)).read_text()
            text = os.fsdecode(text)
            for context in usdt_contexts:
                text = context.text() + text
            output.write_text(json.dumps({"text": text, "cflags": [os.fsdecode(flag) for flag in cflags]}))
            os._exit(0)

        @staticmethod
        def get_kprobe_functions(event_re: bytes) -> set[bytes]:
            return {event_re.strip(b"^$")}

        @staticmethod
        def ksymname(name: bytes) -> int:
            return 1

    class Usdt:
        """Stands in for a process with USDT probes: no probe is looked up."""

        def __init__(self, pid: Optional[int] = None, path: Optional[str] = None) -> None:
            self.probes: List[str] = []

        def enable_probe(self, probe: str, fn_name: str) -> None:
            self.probes.append(probe)

        enable_probe_or_bail = enable_probe

        def text(self) -> str:
            return "".join("#define bpf_usdt_readarg(n, ctx, p) ((void)(ctx), (void)(p), 0)\n"
                           "#define bpf_usdt_readarg_p(n, ctx, p, size) ((void)(ctx), (void)(p), 0)\n"
                           for _ in self.probes[:1])

    bcc.BPF = StandIn
    bcc.USDT = Usdt
    pretend()
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


def pretend() -> None:
    """Let this process look like one on a machine that has whatever a tool asks for before its program."""
    really_open, really_exists = builtins.open, os.path.exists

    def open_(file: Any, *rest: Any, **named: Any) -> Any:
        if file == "/proc/kallsyms":
            return io.StringIO("".join("ffffffff81000000 T %s\n" % name for name in KALLSYMS))
        return really_open(file, *rest, **named)

    builtins.open = open_
    os.path.exists = lambda path: (os.fsdecode(path).startswith(("/sys/", "/tracing/"))
                                   or really_exists(path))
    setattr(subprocess, "check_output", lambda *_, **__: b"GenuineIntel\n")
    setattr(os, "access", lambda *_: True)
    setattr(curses, "wrapper", lambda function, *rest: function(unittest.mock.MagicMock(), *rest))
    for name in ("nocbreak", "cbreak", "noecho", "echo"):
        setattr(curses, name, lambda: None)


def compile_text(path: Path, btf: Path, whole: bool) -> None:
    """Compile a captured text with real BCC in this process and say how long it took; exit 1 if it fails."""
    program = json.loads(path.read_text())
    started = time.monotonic()
    text = program["text"]
    if whole:
        folder = Path(tempfile.mkdtemp(prefix="bpfduet-whole-"))
        kernel_headers.make(folder, None, btf)
    else:
        headers = kernel_headers.folder_for(text + " ".join(program["cflags"]), [], btf=btf)
        assert headers.origin == "btf" and headers.path is not None, headers
        folder = headers.path
    os.environ["BCC_KERNEL_SOURCE"] = str(folder)
    made = time.monotonic()
    import bcc

    class NoAttach(bcc.BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            """Compile only."""

    kernel_headers.without_kallsyms(lambda: NoAttach(text=text, cflags=program["cflags"]))
    print("headers %.3f s, import and compile %.3f s, %d bytes" % (
        made - started, time.monotonic() - made, (folder / "include/linux/kconfig.h").stat().st_size))


def python_tools(wanted: List[str]) -> List[Tuple[str, Path]]:
    """The installed tools written in Python, by name."""
    found = []
    for path in sorted([*TOOLS.glob("*" + SUFFIX), *(TOOLS / name for name in LANGUAGE_TOOLS)]):
        name = path.name.replace(SUFFIX, "")
        if name in NO_PROGRAM or wanted and name not in wanted or not path.exists():
            continue
        if b"python" in path.read_bytes()[:40]:
            found.append((name, path))
    return found


def step(arguments: List[str]) -> subprocess.CompletedProcess[str]:
    """Run this script again for one step, in a process that may die as it likes."""
    return subprocess.run([sys.executable, __file__, *arguments], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)


@dataclass(frozen=True)
class Outcome:
    """What became of a tool: whether its text was had, and why it does not compile, if so."""

    name: str
    captured: bool
    error: str = ""


def examine(name: str, script: Path, folder: Path, btf: Path, whole: bool) -> Outcome:
    """Take a tool's text and compile it; the text stays in `folder`."""
    output = folder / (name + ".json")
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        given = [word.format(pid=sleeper.pid) for word in ARGUMENTS.get(name, [])]
        got = step(["--capture", str(output), str(script), *given])
        sleeper.terminate()
    if not output.exists():
        return Outcome(name, False, " ".join(got.stdout.split("\n")[-3:]))
    done = step(["--btf", str(btf), *["--whole"] * whole, "--compile", str(output)])
    if done.returncode == 0:
        return Outcome(name, True)
    errors = [line for line in done.stdout.split("\n") if "error:" in line]
    return Outcome(name, True, errors[0] if errors else done.stdout[-200:] or "no message")


def survey(wanted: List[str], folder: Path, btf: Path = kernel_headers.VMLINUX,
           whole: bool = False) -> List[Outcome]:
    """Examine the installed tools, or those of the names given, one on each processor."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda tool: examine(*tool, folder, btf, whole), python_tools(wanted)))


def main() -> int:
    """Examine, or do one step of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--btf", type=Path, default=kernel_headers.VMLINUX, help="another kernel's BTF")
    parser.add_argument("--whole", action="store_true", help="all of vmlinux.h in place of the cut")
    parser.add_argument("--save", type=Path, help="keep the texts in this folder")
    parser.add_argument("--compile", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("tools", nargs="*")
    options = parser.parse_args()
    if options.compile:
        compile_text(options.compile, options.btf, options.whole)
        return 0
    with tempfile.TemporaryDirectory(prefix="bpfduet-stock-") as temporary:
        outcomes = survey(options.tools, options.save or Path(temporary), options.btf, options.whole)
    for outcome in outcomes:
        if outcome.error:
            print("%-16s %s: %s" % (outcome.name, "does not compile" if outcome.captured else "no text",
                                    outcome.error))
    good = sum(not outcome.error for outcome in outcomes)
    print("%d of %d texts compile" % (good, sum(outcome.captured for outcome in outcomes)))
    return 0 if good == len(outcomes) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--capture"]:
        capture(Path(sys.argv[3]), sys.argv[4:], Path(sys.argv[2]))
    else:
        sys.exit(main())
