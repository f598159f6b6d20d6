# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet run``: from a source to the C engine, which takes the place of this process.

The object comes from the cache, or from a child that has BCC compile. If the kernel refuses it, the
engine starts the command again, which then only says why.
"""
from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import (TYPE_CHECKING, Any, BinaryIO, Dict, NamedTuple, NoReturn, Optional, Sequence, Set, Tuple,
                    Union)

from ..errors import Error, SpecError, UsageError
from ..paths import ROOT, find
from . import kept, quick
from .objects import BCC_SECTION, section

if TYPE_CHECKING:
    from .choices import Choices
    from . import usdt

# Set by the engine when it starts the command again: the descriptor of what the kernel has said.
EXPLAIN = "BPFDUET_EXPLAIN"
PYTHON = "/usr/bin/python3"     # the one that has the distribution's bcc
_SIGKILL = 9        # the module takes an import
_CHILD = ("import sys; sys.path.insert(0, sys.argv[1]); from bpfduet.bcc import child; "
          "sys.exit(child.main())")
LOADERS = (ROOT / "build/bin/bpfduet-loader", ROOT.parents[1] / "bin/bpfduet-loader")

Argument = Union[str, bytes]


def run(name: str, argv: Sequence[Argument]) -> int:
    """Run a tool, named by itself or by its file, to its end. Does not return if the engine takes
    over; else the exit status. Raises Error."""
    began = time.time()
    source = find(name)
    log = os.environ.pop(EXPLAIN, None)
    entry = kept.entry_of(source)
    raw = entry.read() if entry else None
    if raw is None or log is not None or _depends_on_options(raw):
        from .. import say         # late: they are most of what a start has to read
        from . import choices
        from .complaints import check
        try:
            check(source)
            chosen = choices.Choices(source, argv)
            if chosen.reply is not None:
                return _print(chosen, chosen.reply)
            if log is not None:
                _explain(source, entry, chosen, _read_log(log))
            loader = _loader()
            raw = _made(source, entry, raw, chosen)
        except UsageError as error:
            name = source.name[:-len(".bpf.c")]
            say.say(f"{name}: {error}")
            say.say(f"Try '{name} --help' for more information.")
            return 2
        except Error as error:
            if error.detail:
                say.say(error.detail.rstrip("\n"))
            say.complain(source.name[:-len(".bpf.c")], str(error))
            return 1
    else:
        loader = _loader()
    engine = quick.Engine(str(loader), _command(), str(source))
    if entry and not _depends_on_options(raw):
        entry.note(name, began, engine, source)
    memory = os.memfd_create("bpfduet-object")
    with open(memory, "wb", closefd=False) as file:
        file.write(raw)
    engine.start(memory, argv)


def _loader() -> Path:
    """The engine. Raises Error."""
    for path in LOADERS:
        if os.access(path, os.X_OK):
            return path
    raise Error(f"the engine is missing ({LOADERS[0]}): 'make' builds it, 'make install' installs "
                "it")


def _command() -> str:
    """How this command is started again."""
    command = ROOT / "bpfduet"
    return str(command) if command.exists() else sys.argv[0]


def _print(choices: Choices, reply: bytes) -> int:
    """What --help and the like are answered; returns the exit status."""
    from ..say import complain
    rest = memoryview(reply)
    while rest:
        try:
            rest = rest[os.write(1, rest):]
        except BlockingIOError:
            select.select([], [1], [])
        except BrokenPipeError:
            return 0        # whoever read has had enough
        except OSError as error:
            complain(choices.bound["tool"], f"cannot write the output: {error.strerror}")
            return 1
    return 0


def _about(raw: bytes) -> Dict[str, Any]:
    """What an object says of itself."""
    found = section(raw, BCC_SECTION)
    about: Dict[str, Any] = json.loads(found) if found else {}
    return about


def _depends_on_options(raw: bytes) -> bool:
    """Whether there are several objects of a source."""
    about = _about(raw)
    return bool(about.get("fixed") or about.get("usdt"))


class _Made(NamedTuple):
    """What an object is made for besides its source."""

    values: Dict[str, Any]                                  # of constants that are compiled in
    probes: Dict[str, Tuple[usdt.Wanted, usdt.Identity]]    # by program, and their binaries

    def place(self, entry: kept.Entry) -> kept.Entry:
        """Where such an object is kept: wherever the binary is, if it is the same."""
        if not self.values and not self.probes:
            return entry
        return entry.of(self.values, {name: (wanted.provider, wanted.name, identity)
                                      for name, (wanted, identity) in self.probes.items()})


def _made(source: Path, entry: Optional[kept.Entry], raw: Optional[bytes],
          choices: Choices) -> bytes:
    """The object for the options that were given. Raises Error."""
    from .. import features
    features.check_privileges()
    features.check_lockdown()
    choices.left_out()
    made = _Made({}, _probes(source, choices))
    if raw is None or made.probes:
        raw = _kept(source, entry, made)
    fixed = _about(raw).get("fixed", ())
    values = {name: value for name, value in choices.constants().items() if name in fixed}
    if not values:
        return raw
    return _kept(source, entry, made._replace(values=values))


def _probes(source: Path, choices: Choices) -> Dict[str, Tuple[usdt.Wanted, usdt.Identity]]:
    """The USDT probes that the programs of this run are for, and their binaries. Raises Error."""
    from . import usdt
    from .programs import programs_of
    entries = {program["name"]: program for program in choices.bound["programs"]}
    found = {}
    for program in programs_of(source.read_text()):
        entry = entries.get(program.name, {})
        if program.kind != "usdt" or not choices.holds(entry.get("when", [])):
            continue
        place = choices.place(entry)
        try:
            wanted = usdt.wanted(place.get("target") or program.target,
                                 lambda name: choices.binary(name, int(place.get("process", 0))))
            found[program.name] = wanted, usdt.look_up(wanted)
        except Error as error:
            raise Error(f"cannot attach {program.name} ({program.section}): {error}") from error
    return found


def object_for(source: Path, argv: Sequence[Argument]) -> bytes:
    """The object for a run with these options, of the cache or made now. Raises Error, SpecError and
    UsageError."""
    entry = kept.entry_of(source)
    raw = entry.read() if entry else None
    if raw is not None and not _depends_on_options(raw):
        return raw
    from . import choices
    from .complaints import check
    check(source)
    return _made(source, entry, raw, choices.Choices(source, argv))


def object_of(source: Path) -> bytes:
    """The object of a source, its constants late where they can be, for no binary in particular.
    Raises Error."""
    return _kept(source, kept.entry_of(source), _Made({}, {}))


def texts_of(source: Path) -> bytes:
    """What ``child`` tells of the texts that BCC gets and makes. Raises Error."""
    return _compile(source, _Made({}, {}), texts=True)


def _kept(source: Path, entry: Optional[kept.Entry], made: _Made) -> bytes:
    """The object of an entry, which is made if it is not there."""
    if entry is None:
        return _compile(source, made)
    entry = made.place(entry)
    raw = entry.read()
    if raw is None:
        with entry.alone():
            raw = entry.read()      # another process may have been faster
            if raw is None:
                raw = _compile(source, made)
                entry.write(raw)
    return raw


def _compile(source: Path, made: _Made, **more: object) -> bytes:
    """What a child has BCC make of a source; ``more`` is for it, too. Raises Error."""
    from . import complaints        # late, like all that a kept object does without
    from .child import SPEC
    request = {"source": str(source.absolute()), "parent": os.getpid(),
               "values": {name: value.hex() if isinstance(value, bytes) else int(value)
                          for name, value in made.values.items()},
               "probes": made.probes, **more}
    status, out, noise = _child(json.dumps(request).encode())
    if not status:
        return out
    sentence = out.decode(errors="surrogateescape")
    if status == SPEC:
        raise SpecError(sentence)
    raise complaints.failure(source, status, sentence, noise.decode(errors="backslashreplace"))


def _child(request: bytes) -> Tuple[int, bytes, bytes]:
    """Have a request answered: the child's exit status, negative if a signal has ended it, and what
    it has written to its standard output and error."""
    with _memory("request") as asked, _memory("object") as made, _memory("noise") as noise:
        asked.write(request)
        asked.seek(0)       # flushes, too
        # not by subprocess, which takes as long to import as the interpreter to start
        child = os.posix_spawn(
            PYTHON, [PYTHON, "-I", "-c", _CHILD, str(Path(__file__).resolve().parents[2])], os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), number)
                          for number, file in enumerate((asked, made, noise))])
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except BaseException:       # KeyboardInterrupt, most likely
            os.kill(child, _SIGKILL)
            os.waitpid(child, 0)
            raise
        made.seek(0)
        noise.seek(0)
        return status, made.read(), noise.read()


def _memory(name: str) -> BinaryIO:
    """An empty file in memory."""
    return open(os.memfd_create(f"bpfduet-{name}"), "w+b")


# -- why the kernel refuses a source --------------------------------------------------------------


def _read_log(log: str) -> str:
    """What the kernel has said. Raises Error."""
    try:
        with open(int(log), "rb") as file:
            return file.read().decode(errors="backslashreplace")
    except (OSError, ValueError) as error:
        raise Error(f"{EXPLAIN} is for the engine alone: unset it") from error


def explain(source: Path, argv: Sequence[Argument], said: str) -> NoReturn:
    """Raise Error that says why the kernel has refused the object of ``object_for()``."""
    from .choices import Choices
    _explain(source, kept.entry_of(source), Choices(source, argv), said)


def _explain(source: Path, entry: Optional[kept.Entry], choices: Choices, said: str) -> NoReturn:
    """Raise Error that says why the kernel has refused the object of this run: with BCC's log of
    the verifier, which has the source's lines, if BCC's own loading is refused as well."""
    probes = _probes(source, choices)
    values: Dict[str, Any] = {**choices.constants(), "own_pid": os.getpid()}
    if choices.limited():
        values.update(filter_cgroup=1, filter_cgroup_level=1)   # that of COMMAND is gone
    _compile(source, _Made(values, probes), explain=True, off=choices.left_out(),
             pinned={name: os.path.abspath(os.fsdecode(path))
                     for name, path in choices.pinned().items()})
    if entry:
        _throw_away(entry, _Made(choices.constants(), probes))
    raise Error("the kernel refuses the object (its log is above), but takes the same programs from "
                "BCC: what was kept has been thrown away, so run it again", said)


def _throw_away(entry: kept.Entry, made: _Made) -> None:
    """Remove the objects that a run of these values and probes uses."""
    fixed: Set[str] = set()
    for one in (entry, _Made({}, made.probes).place(entry)):
        raw = one.read()
        fixed.update(_about(raw).get("fixed", ()) if raw else ())
        one.remove()
    values = {name: value for name, value in made.values.items() if name in fixed}
    made._replace(values=values).place(entry).remove()
