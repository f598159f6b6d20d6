# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""BCC's frontend, and BCC's own tools, in forks of the tests' own process, which has loaded Python,
BCC and LLVM already.

In a guest that loading takes longer than all the rest of a short run. What is forked does from
there what the program does, with arguments, environment, streams and signals of its own.
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
from typing import Any, Callable, Dict, Optional, Sequence, TextIO, Union

Argument = Union[str, bytes]

ROOT = Path(__file__).resolve().parents[1]
COMMAND = str(ROOT / "bpfduet")
STOCK = str(ROOT / "tests" / "oracle" / "stock.py")


def _load() -> None:
    """Load what the forks need; the first call takes seconds."""
    import bcc  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel
    import bpfduet.begin  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel
    import bpfduet.commands.main  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel
    import bpfduet.bcc.start  # noqa: F401  # pylint: disable=unused-import,import-outside-toplevel


def _command() -> None:
    from bpfduet.begin import main      # pylint: disable=import-outside-toplevel
    main()


def _stock() -> None:
    del sys.modules["bcc.utils"]        # printb() keeps the stdout of when it was loaded
    from oracle.stock import main       # pylint: disable=import-outside-toplevel
    main()


def instead_of_exec(argv: Sequence[Argument], env: Dict[str, str]) -> Optional[Callable[[], None]]:
    """For ``preexec_fn`` of a Popen of ``argv``: runs the program and does not return, so nothing is
    executed. None if ``argv`` is no program that can be run so."""
    words = [os.fsdecode(argument) for argument in argv]
    if words[0] == COMMAND:
        main, own, unbuffered = _command, words, False
    elif words[1:3] == ["-u", STOCK]:
        main, own, unbuffered = _stock, words[2:], True
    else:
        return None
    _load()

    def run() -> None:
        status = 1
        try:
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))     # Popen waits for the end of one
            Path("/proc/self/comm").write_text(Path(words[0]).name)
            faulthandler.disable()
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)   # as Python has it when it starts
            os.environ.clear()
            os.environ.update(env)
            time.tzset()
            sys.argv = own
            sys.stdout = _stream(1, sys.__stdout__, write_through=unbuffered)
            sys.stderr = _stream(2, sys.__stderr__, line_buffering=True)
            status = _status(main)
        finally:
            os._exit(status)

    return run


def _stream(number: int, like: TextIO, **buffering: bool) -> io.TextIOWrapper:
    assert isinstance(like, io.TextIOWrapper)
    binary = open(number, "wb", 0 if buffering.get("write_through") else -1, closefd=False)
    return io.TextIOWrapper(binary, like.encoding, like.errors, **buffering)


def _status(main: Callable[[], None]) -> int:
    """Run it, with what the interpreter does at its end; returns the exit status."""
    atexit._clear()     # what is in there is of the tests
    status: Any = 1
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0
