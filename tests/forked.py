# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""BCC's frontend in forks of the tests' own process, which has loaded it, BCC and LLVM already.

In a guest that loading takes longer than all the rest of a short run. What is forked
does from there what ``bpfduet`` does, with arguments, environment, streams and signals of its own.
"""
from __future__ import annotations

import atexit
import faulthandler
import io
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, TextIO, Union

Argument = Union[str, bytes]

def load() -> None:
    """Load what the forks need; the first call takes seconds."""
    import bcc  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel
    import bpfduet.command  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel
    import bpfduet.compiled  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel


def _stream(number: int, like: TextIO) -> io.TextIOWrapper:
    assert isinstance(like, io.TextIOWrapper)
    return open(number, "w", encoding=like.encoding, errors=like.errors, closefd=False)


def instead_of_exec(argv: List[Argument], env: Dict[str, str]) -> Callable[[], None]:
    """For ``preexec_fn`` of a Popen of ``argv``, ["…/bpfduet", ARGUMENT...]: runs the command and
    does not return, so nothing is executed."""
    load()

    def run() -> None:
        status = 1
        try:
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))     # Popen waits for the end of one
            Path("/proc/self/comm").write_text("bpfduet")
            faulthandler.disable()
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)   # as Python has it when it starts
            os.environ.clear()
            os.environ.update(env)
            time.tzset()
            sys.argv = [os.fsdecode(argument) for argument in argv]
            sys.stdout = _stream(1, sys.__stdout__)
            sys.stderr = _stream(2, sys.__stderr__)
            status = _command()
        finally:
            os._exit(status)

    return run


def _command() -> int:
    """Run it, with what the interpreter does at its end; returns the exit status."""
    from bpfduet.command import entry   # pylint: disable=import-outside-toplevel
    atexit._clear()     # what is in there is of the tests
    status: Any = 1
    try:
        entry()
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return status or 0
