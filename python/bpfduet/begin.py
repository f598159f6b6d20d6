# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where the command begins: with the quick start of a tool, else with all the rest."""
from __future__ import annotations

import os
import sys

from .bcc import quick


def main() -> None:
    """The console script. Does not return."""
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
    from .command import main as command
    sys.exit(command(sys.argv[1:]))
