# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet run --watch``: a tool runs again when its source, its spec or a header beside it changes.

The kernel tells of changes in folders (inotify), for editors put a new file in the place of the old
one. What counts is what the files hold then.
"""
from __future__ import annotations

import ctypes as ct
import hashlib
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from ..environment import given_environment
from ..errors import Error
from ..paths import HEADERS, ROOT
from ..say import say

# Editors write in several steps; the last one was so long ago.
QUIET_S = 0.1
# From a signal to SIGINT, which ends a tool at once then. Many probes take long to close.
PATIENCE_S = 60.0
WRONG_USAGE = 2     # exit status
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.M)
# inotify: written, its mode, closed, moved away and here, made, removed
_CHANGES = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200
_OVERFLOW = 0x4000
_EVENT = struct.Struct("=iIII")     # watch, what, cookie, length of the name
# signalfd: number, errno, code, and what is not looked at
_SIGNAL = struct.Struct("=IiI116x")
_FROM_KERNEL = 0x80     # a terminal's Ctrl-C, which the tool has got, too
_PR_SET_PDEATHSIG = 1
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

Prints = Dict[Path, Optional[bytes]]


def _prints(source: Path) -> Prints:
    """Checksums of the files that decide what a tool is, by path; None for one that is not there."""
    found: Prints = {}
    todo = [source, source.with_name(source.name[:-len(".bpf.c")] + ".toml")]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        try:
            raw = path.read_bytes()
        except OSError:
            found[path] = None
            continue
        found[path] = hashlib.sha256(raw).digest()
        if path.suffix != ".toml":
            todo += [path.parent / os.fsdecode(name) for name in _INCLUDE.findall(raw)
                     if not (HEADERS / os.fsdecode(name)).exists()]
    return found


def _checked(descriptor: int, what: str) -> int:
    if descriptor < 0:
        number = ct.get_errno()
        raise Error(f"{what}: {os.strerror(number)} (see fs.inotify in sysctl -a)")
    return descriptor


class _Folders:
    """Tells when files may have changed."""

    def __init__(self) -> None:
        self._libc = ct.CDLL(None, use_errno=True)
        self.fd = _checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK),
                           "cannot watch files")
        self._names: Dict[int, Set[bytes]] = {}

    def watch(self, files: Sequence[Path]) -> None:
        """Look at these files from now on: at their names, and at what links lead to."""
        self._names.clear()
        for path in {other for one in files for other in (one.absolute(), one.resolve())}:
            if path.parent.is_dir():
                watch = _checked(self._libc.inotify_add_watch(
                    self.fd, os.fsencode(path.parent), _CHANGES), f"cannot watch {path.parent}")
                self._names.setdefault(watch, set()).add(os.fsencode(path.name))

    def changed(self) -> bool:
        """Whether something has happened to one of the files since the last time."""
        found = False
        while True:
            try:
                raw = os.read(self.fd, 65536)
            except BlockingIOError:
                return found
            place = 0
            while place < len(raw):
                watch, what, _, length = _EVENT.unpack_from(raw, place)
                name = raw[place + _EVENT.size:][:length].rstrip(b"\0")
                found |= bool(what & _OVERFLOW) or name in self._names.get(watch, ())
                place += _EVENT.size + length


class _Signals:
    """The signals that end a run, and that of its end, as something to read."""

    def __init__(self) -> None:
        self._mask = {*_ENDS, signal.SIGCHLD}
        self.before = signal.pthread_sigmask(signal.SIG_BLOCK, self._mask)
        bits = sum(1 << number - 1 for number in self._mask)
        self.fd = _checked(ct.CDLL(None, use_errno=True).signalfd(
            -1, ct.byref(ct.c_uint64(bits)), os.O_CLOEXEC | os.O_NONBLOCK), "cannot take signals")

    def read(self) -> List[Tuple[int, bool]]:
        """Those that have come: the number, and whether it was for the terminal's whole group."""
        found: List[Tuple[int, bool]] = []
        while True:
            try:
                number, _, code = _SIGNAL.unpack(os.read(self.fd, _SIGNAL.size))
            except BlockingIOError:
                return found
            found.append((number, code == _FROM_KERNEL))


class _Watcher:
    """One tool, run again and again."""

    def __init__(self, source: Path, arguments: Sequence[str]):
        self._source = source
        command = ROOT / "bpfduet"
        self._argv = [str(command) if command.exists() else sys.argv[0], "run", *arguments]
        self._signals = _Signals()
        self._folders = _Folders()
        # a group of its own, so that what is sent to this one comes once; not where that would
        # take the terminal from it
        self._grouped = os.isatty(0)
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._prints: Prints = {}
        self._status = 0
        self._again: Optional[Path] = None      # what has changed, while the tool is ending
        self._patience = 0.0
        self._stopping = False
        self._first = True

    def run(self) -> int:
        """Until a signal ends it; returns the last run's exit status."""
        self._start()
        poll = select.poll()
        for fd in (self._folders.fd, self._signals.fd):
            poll.register(fd, select.POLLIN)
        due = 0.0       # when to look at the files, 0: not at all
        while not (self._stopping and self._process is None):
            now = time.monotonic()
            waits = [when for when in (due, self._patience) if when]
            poll.poll(max(0, min(waits) - now) * 1000 + 1 if waits else None)
            for number, to_group in self._signals.read():
                self._signalled(number, to_group)
            if self._folders.changed():
                due = time.monotonic() + QUIET_S
            now = time.monotonic()
            if due and now >= due:
                due = 0.0
                self._look()
            if self._patience and now >= self._patience:
                self._send(signal.SIGINT)
        return self._status

    def _start(self) -> None:
        """Run the tool with what the files hold now."""
        self._again, self._patience = None, 0.0
        self._folders.watch(list(_prints(self._source)))
        self._prints = _prints(self._source)
        libc, parent, before = ct.CDLL(None), os.getpid(), self._signals.before

        def prepare() -> None:
            # SIGTERM: a COMMAND and its cgroup end, too
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
            if not self._grouped:
                os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        self._process = subprocess.Popen(self._argv, env=given_environment(), preexec_fn=prepare)

    def _look(self) -> None:
        """Run the tool again if what its files hold is another."""
        now = _prints(self._source)
        if now.get(self._source) is None or self._stopping:
            return      # an editor is about to write it
        changed = next((path for path in {**now, **self._prints}
                        if now.get(path) != self._prints.get(path)), None)
        if changed is None:
            return
        self._again = changed
        if self._process is None:
            self._restart(changed)
        elif not self._patience:
            self._send(signal.SIGINT)

    def _restart(self, changed: Path) -> None:
        say(f"bpfduet: {changed} has changed: running it again")
        self._start()

    def _signalled(self, number: int, to_group: bool) -> None:
        if number == signal.SIGCHLD:
            self._ended()
            return
        self._stopping = True
        if not (to_group and self._grouped):
            self._send(number)

    def _send(self, number: int) -> None:
        """A signal to the tool, and patience until the next."""
        if self._process:
            self._process.send_signal(number)
            self._patience = time.monotonic() + PATIENCE_S

    def _ended(self) -> None:
        """See whether the tool is at its end, and what is to be done then."""
        status = self._process.poll() if self._process else None
        if status is None:
            return
        self._process = None
        self._patience = 0.0
        self._status = status if status >= 0 else 128 - status
        self._stopping |= self._first and status == WRONG_USAGE     # no change of a file helps
        self._first = False
        if self._stopping:
            return
        if self._again:
            self._restart(self._again)
        else:
            say(f"bpfduet: {self._source} has ended with status {self._status}: waiting until it changes")


def watch(source: Path, arguments: List[str]) -> int:
    """Run ``bpfduet run`` with these arguments, the first of which is ``source``, again and again."""
    return _Watcher(source, arguments).run()
