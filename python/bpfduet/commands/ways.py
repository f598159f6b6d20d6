# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What else ``bpfduet run`` does with a tool: ``--plain``, ``--show``, ``--watch``, ``--help``."""
from __future__ import annotations

import sys
from typing import List

from ..paths import find

COMMAND = "bpfduet run"
HELP = """Usage: bpfduet run TOOL|FILE.bpf.c [OPTIONS] [-- COMMAND [ARGUMENT...]]
       bpfduet run --watch TOOL|FILE.bpf.c [OPTIONS] [-- COMMAND [ARGUMENT...]]
       bpfduet run --plain TOOL|FILE.bpf.c [OPTIONS] [-- COMMAND [ARGUMENT...]]
       bpfduet run --show c|bytecode TOOL|FILE.bpf.c

Run a tool through BCC. 'bpfduet run TOOL --help' shows the options of a tool.

  --watch          run it again whenever its source, its spec or a header beside
                   it changes
  --plain          run it through bcc's own Python API, without the engine
  --show c         print the text that BCC gets, and the text that BCC makes of it
  --show bytecode  print the instructions of BCC's object and of clang's, side by
                   side
"""


def run(arguments: List[str]) -> int:
    """The command line behind ``bpfduet run``, which begins with an option."""
    from .main import usage
    first, given, value = arguments[0].partition("=")
    if first in ("--help", "-h") and not given:
        sys.stdout.write(HELP)
        return 0
    rest = arguments[1:]
    if first == "--show":
        from . import show
        kind, rest = (value, rest) if given else ("".join(rest[:1]), rest[1:])
        if kind not in show.KINDS:
            return usage(f"--show needs what to show: {' or '.join(show.KINDS)}", COMMAND)
        if len(rest) > 1:
            return usage(f"unexpected argument '{rest[1]}': --show takes a tool alone", COMMAND)
    if given and first != "--show":
        return usage(f"{first} takes no value", COMMAND)
    if not rest or rest[0].startswith("-"):
        return usage(f"{first} needs a tool: its name, or a .bpf.c file", COMMAND)
    source = find(rest[0])
    if first == "--show":
        return show.show(kind, source)
    if first == "--plain":
        from ..plain.run import run as run_plain
        return run_plain(source, rest[1:])
    from . import watch
    return watch.watch(source, rest)
