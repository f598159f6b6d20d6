# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet run``: from a source to the C engine, which takes the place of this process.

The object comes from the cache, or from a child that has BCC compile. What an object cannot hold,
and what the kernel refuses, BCC compiles, loads and attaches in this process (``runner``).
"""
from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Union

from ..environment import given_environment
from ..errors import Error, SpecError, UsageError
from ..paths import ROOT
from . import kept
from .objects import BCC_SECTION, section

# Set by the engine when it starts the command again, to have BCC load by itself.
IN_PROCESS = "BPFDUET_IN_PROCESS"
PYTHON = "/usr/bin/python3"     # the one that has the distribution's bcc
_CHILD = ("import sys; sys.path.insert(0, sys.argv[1]); from bpfduet.bcc import child; "
          "sys.exit(child.main())")
LOADERS = (ROOT / "build/bin/bpfduet-loader", ROOT.parents[1] / "bin/bpfduet-loader")

Argument = Union[str, bytes]


class NoObject(Exception):
    """There is more to a source than an object holds."""


def run(source: Path, argv: Sequence[Argument]) -> int:
    """Run a tool to its end. Does not return if the engine takes over; else the exit status."""
    loader = next((path for path in LOADERS if os.access(path, os.X_OK)), None)
    if os.environ.pop(IN_PROCESS, None) or loader is None:
        return _in_process(source, argv)
    entry = kept.entry_of(source)
    raw = entry.read() if entry else None
    if raw is None or _about(raw).get("fixed"):
        from .. import say, tool        # late: they are most of what a start has to read
        from .complaints import check
        try:
            check(source)
            session = tool.Session(source)
            if session.parse(argv).reply is not None:
                return _in_process(source, argv)
            raw = _made(source, entry, raw, session)
        except UsageError:
            return _in_process(source, argv)
        except Error as error:
            if error.detail:
                say.say(error.detail.rstrip("\n"))
            say.complain(source.name[:-len(".bpf.c")], str(error))
            return 1
    if not raw:
        return _in_process(source, argv)
    _hand_over(loader, raw, source, argv)


def _in_process(source: Path, argv: Sequence[Argument]) -> int:
    from .. import runner
    from .complaints import check
    check(source)
    return runner.run(source, argv)


def _about(raw: bytes) -> Dict[str, Any]:
    """What an object says of itself; nothing if it is none."""
    found = section(raw, BCC_SECTION) if raw else None
    about: Dict[str, Any] = json.loads(found) if found else {}
    return about


def _made(source: Path, entry: Optional[kept.Entry], raw: Optional[bytes], session: Any) -> bytes:
    """The object for the options that were given; empty if no object holds all. Raises Error."""
    from .. import features
    features.check_privileges()
    features.check_lockdown()
    chosen = session.options
    features.missing_programs(session.bound["requires"])
    features.replaced_programs([program for program in session.bound["programs"]
                                if chosen.holds(program.get("when", []))])
    if raw is None:
        raw = _kept(source, entry, {})
    fixed = _about(raw).get("fixed", ())
    values = {name: value for name, value in chosen.configs.items() if name in fixed}
    if not values:
        return raw
    return _kept(source, entry and entry.with_values(values), values)


def object_of(source: Path) -> bytes:
    """The object of a source, its constants late where they can be; empty if no object holds it.
    Raises Error."""
    return _kept(source, kept.entry_of(source), {})


def texts_of(source: Path) -> bytes:
    """What ``child`` tells of the texts that BCC gets and makes; empty if it cannot. Raises Error."""
    return _compile(source, {}, texts=True)


def _kept(source: Path, entry: Optional[kept.Entry], values: Dict[str, Any]) -> bytes:
    """The object of an entry, which is made if it is not there."""
    if entry is None:
        return _compile(source, values)
    raw = entry.read()
    if raw is None:
        with entry.alone():
            raw = entry.read()      # another process may have been faster
            if raw is None:
                raw = _compile(source, values)
                entry.write(raw)
    return raw


def _compile(source: Path, values: Dict[str, Any], texts: bool = False) -> bytes:
    """What a child has BCC make of a source; empty if no object holds it. Raises Error."""
    import subprocess       # late, like all that a kept object does without
    import tempfile
    from . import complaints
    from .child import NOT_COVERED, SPEC
    request = {"source": str(source.absolute()), "parent": os.getpid(), "texts": texts,
               "values": {name: value.hex() if isinstance(value, bytes) else int(value)
                          for name, value in values.items()}}
    with tempfile.TemporaryFile(buffering=0) as noise:
        done = subprocess.run(
            [PYTHON, "-I", "-c", _CHILD, str(Path(__file__).resolve().parents[2])],
            input=json.dumps(request).encode(), stdout=subprocess.PIPE, stderr=noise, check=False)
        noise.seek(0)
        said = noise.read().decode(errors="backslashreplace")
    if not done.returncode:
        return done.stdout
    sentence = done.stdout.decode(errors="surrogateescape")
    if done.returncode == NOT_COVERED:
        return b""
    if done.returncode == SPEC:
        raise SpecError(sentence)
    raise complaints.failure(source, done.returncode, sentence, said)


def _hand_over(loader: Path, raw: bytes, source: Path, argv: Sequence[Argument]) -> NoReturn:
    """Start the engine in place of this process, with the object in a descriptor."""
    memory = os.memfd_create("bpfduet-object", 0)
    with open(memory, "wb", closefd=False) as file:
        file.write(raw)
    os.lseek(memory, 0, os.SEEK_SET)
    command = ROOT / "bpfduet"
    arguments: List[Argument] = [
        str(loader), "--object-fd", str(memory),
        str(command) if command.exists() else sys.argv[0], str(source), *argv]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):     # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    os.execve(loader, arguments, given_environment())
