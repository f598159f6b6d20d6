# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""A short /proc/kallsyms for the compilation alone."""
from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Callable, List, TypeVar

from .cache import Kernel
from .key import VMLINUX, HeadersError

CLONE_NEWNS = 0x00020000
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18
Result = TypeVar("Result")


def hide_kallsyms(file: Path) -> None:
    """Give the calling thread a mount namespace of its own, where `file` is /proc/kallsyms.

    Raises OSError where that is not allowed; the thread then sees what it saw before.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    check(libc.unshare(CLONE_NEWNS))
    # Without this the bind mount would travel back into everybody's /proc.
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    check(libc.mount(str(file).encode(), b"/proc/kallsyms", None, MS_BIND, None))


def without_kallsyms(call: Callable[[], Result]) -> Result:
    """Run `call`, a compilation by BCC, where /proc/kallsyms is short; return what it returns.

    It runs in a thread of its own, the only one that sees the short file; the thread's working
    directory is its own as well. What `call` raises is raised here. Where the kernel does not
    allow that, `call` runs all the same, and sees the real file.
    BCC's symbol table of the kernel is forgotten afterwards, if the call filled it.
    """
    try:
        short = Kernel(VMLINUX).kallsyms()
    except (HeadersError, OSError):
        short = None
    outcome: List[Result] = []
    failure: List[BaseException] = []

    def run() -> None:
        try:
            if short is not None:
                hide_kallsyms(short)
        except OSError:
            pass
        try:
            outcome.append(call())
        except BaseException as error:  # handed to the caller, whatever it is
            failure.append(error)

    thread = threading.Thread(target=run, name="bpfduet-compile")
    thread.start()
    thread.join()
    bcc = sys.modules.get("bcc")
    if bcc is not None and short is not None:
        bcc.BPF._sym_caches.pop(-1, None)
    if failure:
        raise failure[0]
    return outcome[0]
