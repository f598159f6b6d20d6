# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a command line asks of a tool, before anything is compiled."""
from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from .. import features
from ..spec import bind, read
from ..engine import Engine
from .late_constants import configs_of
from ..paths import COMMON, VERSION

Value = Union[int, bytes]


class Choices:
    """A tool's spec, and the options that were chosen. The engine reads them, by the part of the
    bound spec that needs no compiler.

    ``reply`` is what --help and the like print before the tool ends, None of others. Raises
    SpecError and UsageError.
    """

    def __init__(self, source: Path, argv: Sequence[Union[str, bytes]]):
        self.source = source
        self._configs = configs_of(source.read_text())
        self.bound = bind.command_line(
            read.load(source.with_name(source.name[:-len(".bpf.c")] + ".toml"), COMMON),
            self._configs, VERSION)
        self._engine = Engine.of_spec(_checkable(self.bound))
        self.reply = self._engine.parse([os.fsencode(argument) for argument in argv])

    def holds(self, when: Sequence[str]) -> bool:
        """Whether all conditions of a ``when`` list hold."""
        return all(self._engine.option(name.lstrip("!"))[0] != name.startswith("!") for name in when)

    def fill(self, text: str) -> Tuple[str, bool]:
        """``text`` with the argument of each ``{option}``, or its default, in its place; and whether
        all of them have one: nothing stands there where one has none."""
        complete = True

        def typed(match: re.Match[str]) -> str:
            nonlocal complete
            argument = self._engine.option(match[1])[1]
            complete = complete and argument is not None
            return os.fsdecode(argument or b"")

        return re.sub(r"\{([^{}]*)\}", typed, text), complete

    def constants(self) -> Dict[str, Value]:
        """The CONFIG constants that the options set."""
        found: Dict[str, Value] = {}
        for config in self._configs.values():
            raw = self._engine.constant(config.name, config.size)
            if raw is not None:
                found[config.name] = raw if config.kind == "string" else int.from_bytes(
                    raw, sys.byteorder, signed=config.kind == "int")
        return found

    def pinned(self) -> Dict[str, bytes]:
        """Paths of pinned maps by the map's name."""
        found = {}
        for option in self.bound["options"]:
            given, path = self._engine.option(option["name"])
            if option["map"] and given and path is not None:
                found[option["map"]] = path
        return found

    def limited(self) -> bool:
        """Whether the run is limited to a cgroup."""
        return self._engine.has_command() or any(
            option["role"] == "cgroup" and self._engine.option(option["name"])[0]
            for option in self.bound["options"])

    def binary(self, name: str, process: int) -> str:
        """The file that a probe's target names, as the engine finds it. Raises Error."""
        return self._engine.binary(name, process)

    def left_out(self) -> List[str]:
        """The programs that this run does without. Raises Error for what must be there and is
        not."""
        off = features.missing_programs(self.bound["requires"])
        wanted = []
        for entry in self.bound["programs"]:
            if self.holds(entry.get("when", [])):
                wanted.append(entry)
            else:
                off += [entry["name"], *entry.get("fallback", ())]
        return off + features.replaced_programs(wanted)

    def place(self, program: Dict[str, Any]) -> Dict[str, str]:
        """What the spec says of a program's place; without what hangs on options not given."""
        settings = {key: program[key] for key in ("direction",) if key in program}
        for key in read.PLACE_KEYS:
            value, complete = self.fill(program.get(key, ""))
            if complete and value:
                settings[key] = value
        return settings


def _checkable(bound: Dict[str, Any]) -> Dict[str, Any]:
    """The same spec for the engine: a pattern is checked before it is known what it is to match."""
    options: List[Dict[str, Any]] = []
    for option in bound["options"]:
        match: Optional[Dict[str, Any]] = option["match"]
        if match:
            kind = "uint" if option["type"] == "numbers" else "string"
            match = {"how": match["how"], "name": match["field"], "offset": 0, "size": 8, "count": 0,
                     "kind": kind, "fields": [], "format": "string"}
        options.append({**option, "match": match})
    return {**bound, "options": options}
