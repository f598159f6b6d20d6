# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where the command begins: with the quick start of a tool, else with all the rest."""
from __future__ import annotations

import os
import sys

from .bcc import quick


_EMFILE = 24    # too many open files; errno takes an import


def _reserve_streams() -> None:
    """Closed standard streams must not become files that are opened later: what stands in their
    place can be read from and not be written to. Python's own files are not inherited."""
    for number in range(3):
        try:
            if os.get_inheritable(number):
                continue
        except OSError:
            pass
        null = os.open(os.devnull, os.O_RDONLY)
        if null == number:
            os.set_inheritable(null, True)
        else:
            os.dup2(null, number)
            os.close(null)


def main() -> None:
    """The console script. Does not return."""
    try:
        _main()
    except OSError as error:
        if error.errno != _EMFILE:
            raise
        os.write(2, b"bpfduet: too few files may be open: raise the limit (ulimit -n)\n")
        os._exit(1)     # Python's own way out opens files, too


def _main() -> None:
    _reserve_streams()
    interrupted = False
    try:
        if len(sys.argv) > 2 and sys.argv[1] == "run":
            quick.start(sys.argv[2], sys.argv[3:])
    except KeyboardInterrupt:
        interrupted = True
    import signal       # late: it is a good part of what a quick start would import
    signal.signal(signal.SIGINT, signal.SIG_DFL)    # until a run handles it: no traceback
    if interrupted:
        os.kill(os.getpid(), signal.SIGINT)
    from .commands.main import main as command
    sys.exit(command(sys.argv[1:]))
