# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The command: ``bpfduet run``, ``bpfduet list``, ``bpfduet probes``, ``bpfduet headers``."""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Callable, Dict, List

from ..bcc import start
from ..errors import Error, SpecError
from ..paths import COMMON, HEADERS, TOOLS, VERSION, names
from ..say import complain, say

# What a command needs is loaded by that command: `run` is to start fast.


def run(arguments: List[str]) -> int:
    """TOOL|FILE.bpf.c [OPTIONS] [-- COMMAND]: run a tool through BCC; more: run --help"""
    if arguments and arguments[0].partition("=")[0] in (
            "--show", "--watch", "--plain", "--help", "-h"):
        from . import ways
        return ways.run(arguments)
    if not arguments or arguments[0].startswith("-"):
        return usage("run needs a tool: its name, or a .bpf.c file")
    return start.run(arguments[0], arguments[1:])


def list_tools(arguments: List[str]) -> int:
    """what there is, a line each"""
    if arguments:
        return usage(f"unexpected argument '{arguments[0]}'")
    from ..spec.read import load
    for name in names():
        spec = load(TOOLS / f"{name}.toml", COMMON)
        print(f"{name:<15} {spec.data['summary']}")
    return 0


def headers(arguments: List[str]) -> int:
    """[--make DIR] [--for FILE]: where BCC's kernel headers come from"""
    import getopt
    from .. import kernel_headers
    try:
        given, rest = getopt.getopt(arguments, "", ["make=", "for="])
    except getopt.GetoptError as error:
        return usage(str(error))
    if rest:
        return usage(f"unexpected argument '{rest[0]}'")
    chosen = dict(given)
    program = chosen.get("--for")
    try:
        source = Path(program).read_text() if program else None
    except (OSError, UnicodeDecodeError) as error:
        raise Error(f"cannot read '{program}': {error}") from error
    folders = [Path(program).resolve().parent, HEADERS] if program else []
    if "--make" in chosen:
        folder = Path(chosen["--make"])
        kernel_headers.make(folder, source, include_dirs=folders)
        print(f"BCC_KERNEL_SOURCE={folder.resolve()}")
    elif source is not None:
        found = kernel_headers.folder_for(source, folders)
        for reason in found.reasons:
            say(reason)
        print(f"BCC_KERNEL_SOURCE={found.path}" if found.path else "BCC finds them by itself")
    else:
        for origin, usable, why in kernel_headers.explain():
            print(f"{origin:<9} {'yes' if usable else 'no':<4} {why}")
    return 0


def list_probes(arguments: List[str]) -> int:
    """[-v] PATTERN: what a program can be attached to, as bpftrace -l has it"""
    import getopt
    from . import probes
    try:
        given, patterns = getopt.gnu_getopt(arguments, "v", ["verbose"])
    except getopt.GetoptError as error:
        return usage(str(error))
    if len(patterns) > 1:
        return usage(f"unexpected argument '{patterns[1]}'")
    found = False
    for line in probes.find(patterns[0] if patterns else "*", bool(given)):
        found = True
        print(line)
    if not found:
        raise Error(f"there is no probe '{patterns[0] if patterns else '*'}'")
    return 0


# A command's docstring is its line in --help.
COMMANDS: Dict[str, Callable[[List[str]], int]] = {
    "run": run,
    "list": list_tools,
    "probes": list_probes,
    "headers": headers,
}


def help_text() -> str:
    """What --help prints."""
    lines = ["Usage: bpfduet COMMAND [ARGUMENT...]", "",
             "One BPF program, two ways to run it, one output.", "", "Commands:"]
    for name, function in COMMANDS.items():
        lines.append(f"  {name:<8} {(function.__doc__ or '').strip()}")
    lines += ["", "'bpfduet run TOOL --help' shows the options of a tool.", ""]
    return "\n".join(lines)


def usage(sentence: str, command: str = "bpfduet") -> int:
    """Wrong usage: the sentence, where to look, status 2."""
    complain("bpfduet", sentence)
    say(f"Try '{command} --help' for more information.")
    return 2


def main(arguments: List[str]) -> int:
    """Run a command; returns the exit status."""
    if arguments[:1] in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(help_text())
        return 0
    if arguments == ["--version"]:
        print(f"bpfduet {VERSION}")
        return 0
    if not arguments:
        return usage("which command?")
    if arguments[0] not in COMMANDS:
        return usage(f"there is no command '{arguments[0]}'")
    try:
        status = COMMANDS[arguments[0]](arguments[1:])
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # or the interpreter would try again
        return 0
    except (Error, SpecError) as error:
        complain("bpfduet", str(error))
        return 1
