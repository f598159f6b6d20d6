# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The command line of a tool, out of its bound spec, for the Python API."""
from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

from . import users, values
from .errors import UsageError
from .values import Bound, Value, number_of, numbers_of, show


@dataclass
class Options:
    """What the command line says.

    ``values`` has numbers and bytes by option name, defaults included; ``given`` the options
    that were typed and ``typed`` their arguments. ``command`` is what follows ``--``, None
    without. ``configs`` are the values for CONFIG constants: strings are padded with NULs to
    the constant's size. ``maps`` has paths of pinned maps by map name, ``entries`` sizes of maps,
    ``sets`` the keys to put into maps.
    ``roles`` is ``values`` by role. ``reply`` is what --help, --version or a list prints before the tool exits with 0.
    """

    values: Dict[str, Value] = field(default_factory=dict)
    given: Set[str] = field(default_factory=set)
    typed: Dict[str, bytes] = field(default_factory=dict)
    command: Optional[List[bytes]] = None
    configs: Dict[str, Value] = field(default_factory=dict)
    maps: Dict[str, bytes] = field(default_factory=dict)
    entries: Dict[str, int] = field(default_factory=dict)
    sets: Dict[str, List[int]] = field(default_factory=dict)
    roles: Dict[str, Value] = field(default_factory=dict)
    reply: Optional[bytes] = None

    def holds(self, when: Sequence[str]) -> bool:
        """Whether all conditions of a ``when`` list hold."""
        return all((name.lstrip("!") in self.given) != name.startswith("!") for name in when)


def parse(bound: Bound, argv: Sequence[Union[str, bytes]]) -> Options:
    """Parse the arguments (without the program's name) as getopt_long does. Raises UsageError."""
    return _Parser(bound).parse([os.fsencode(argument) for argument in argv])


def parse_value(option: Bound, text: bytes) -> Value:
    """The value of one argument. Raises UsageError."""
    if option["type"] == "disk":
        return values.parse(option, b"%d" % _disk_of(text))
    if option["type"] == "user" and number_of(text) is None:
        return values.parse(option, b"%d" % _uid_of(text))
    return values.parse(option, text)


def fill(bound: Bound, options: Options, text: str) -> Tuple[bytes, bool]:
    """``text`` with what was typed for each ``{option}``, or its default, in its place; and
    whether all of them have a value: nothing stands there where one has none."""
    defaults = {option["name"]: option.get("default") for option in bound["options"]}
    complete = True

    def typed(match: "re.Match[bytes]") -> bytes:
        nonlocal complete
        name = match[1].decode()
        default = defaults.get(name)
        complete = complete and (name in options.typed or default is not None)
        return options.typed.get(name, b"" if default is None else str(default).encode())

    return re.sub(rb"\{([^{}]*)\}", typed, text.encode()), complete


def _uid_of(name: bytes) -> int:
    uid = users.uid_of(name)
    if uid is None:
        raise UsageError(f"no such user '{show(name)}'")
    return uid


def _disk_of(name: bytes) -> int:
    try:
        found = os.stat(b"/dev/" + name)
    except (OSError, ValueError):
        found = None
    if found is None or not stat.S_ISBLK(found.st_mode):
        raise UsageError(f"no such disk '{show(name)}'")
    return os.major(found.st_rdev) << 20 | os.minor(found.st_rdev)


# -- the command line ---------------------------------------------------------------------

class _Parser:
    def __init__(self, bound: Bound):
        self._bound = bound
        self._by_name: Dict[bytes, Bound] = {}
        self._by_letter: Dict[bytes, Bound] = {}
        self._options = Options()
        for option in bound["options"]:
            self._by_name[option["name"].encode()] = option
            if option.get("short"):
                self._by_letter[option["short"].encode()] = option
            if option.get("default") is not None:
                text = str(option["default"]).encode()
                self._set(option, parse_value(option, text))

    def parse(self, argv: List[bytes]) -> Options:
        options = self._options
        rest = argv[::-1]
        arguments = [name.encode() for name in self._bound.get("arguments") or []][::-1]
        while rest and options.reply is None:
            word = rest.pop()
            if word == b"--":
                if not rest:
                    raise UsageError("no command after '--'")
                options.command = rest[::-1]
                break
            if word.startswith(b"--"):
                self._long(word[2:], rest)
            elif word.startswith(b"-") and word != b"-":
                self._letters(word[1:], rest)
            elif arguments:
                self._argument(self._by_name[arguments.pop()], word)
            else:
                raise UsageError(f"unexpected argument '{show(word)}'")
        if options.reply is None:
            self._check_required()
        return options

    def _check_required(self) -> None:
        for option in self._bound["options"]:
            if option.get("required") and option["name"] not in self._options.given:
                raise UsageError(f"no {option['name']} is given")

    def _long(self, word: bytes, rest: List[bytes]) -> None:
        name, equals, argument = word.partition(b"=")
        option = self._find(name)
        if option["type"] == "flag":
            if equals:
                raise UsageError(f"option '--{option['name']}' takes no argument")
            self._flag(option)
        else:
            self._argument(option, argument if equals else self._next(option, rest))

    def _find(self, name: bytes) -> Bound:
        if name in self._by_name:
            return self._by_name[name]
        found = [option for known, option in self._by_name.items() if known.startswith(name)]
        if not found:
            raise UsageError(f"unknown option '--{show(name)}'")
        if len(found) > 1:
            raise UsageError(f"option '--{show(name)}' is ambiguous")
        return found[0]

    def _letters(self, word: bytes, rest: List[bytes]) -> None:
        for index in range(len(word)):
            letter = word[index:index + 1]
            option = self._by_letter.get(letter)
            if option is None:
                raise UsageError(f"unknown option '-{show(letter)}'")
            if option["type"] != "flag":
                attached = word[index + 1:]
                self._argument(option, attached or self._next(option, rest))
                return
            self._flag(option)
            if self._options.reply is not None:
                return

    @staticmethod
    def _next(option: Bound, rest: List[bytes]) -> bytes:
        if not rest:
            raise UsageError(f"option '--{option['name']}' needs an argument")
        return rest.pop()

    def _flag(self, option: Bound) -> None:
        self._options.given.add(option["name"])
        value = option.get("value")
        self._set(option, 1 if value is None else int(value))
        if option.get("gives"):
            name, text = option["gives"]
            self._argument(self._by_name[name.encode()], text.encode())
        role = option.get("role")
        if role == "help":
            self._options.reply = self._bound["help"].encode()
        elif role == "version":
            self._options.reply = f"{self._bound['tool']} {self._bound['version']}\n".encode()
        elif role == "list":
            self._options.reply = option["text"].encode()

    def _argument(self, option: Bound, text: bytes) -> None:
        name = option["name"]
        value = parse_value(option, text)
        if option.get("repeat") and name in self._options.given:
            value |= self._options.values[name]  # type: ignore[operator]
        self._options.given.add(name)
        self._options.typed[name] = text
        self._set(option, value)

    def _set(self, option: Bound, value: Value) -> None:
        options = self._options
        options.values[option["name"]] = value
        if option.get("role"):
            options.roles[option["role"]] = value
        if option.get("map"):
            assert isinstance(value, bytes)
            options.maps[option["map"]] = value
        if option.get("entries"):
            options.entries[option["entries"]] = int(value)
        if option.get("set"):
            assert isinstance(value, bytes)
            options.sets[option["set"]] = [number for number in numbers_of(value)
                                           if number is not None]
        config = option.get("config")
        if config:
            if option["type"] == "numbers":
                value = 1
            if isinstance(value, bytes):
                value = value.ljust(config["size"], b"\0")
            options.configs[config["name"]] = value
