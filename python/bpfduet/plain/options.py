# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The command line: argparse, with the options of the spec."""
from __future__ import annotations

import argparse
import contextlib
import functools
import operator
import os
import pwd
import re
import stat
from dataclasses import dataclass, field
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Set

from ..errors import UsageError
from ..spec.regex import Regex

Option = Dict[str, Any]

# What --plain leaves out, by an option's role.
_LEFT_OUT = {"flame": "flame graphs", "pin": "pinning maps", "btf": "relocating by another BTF",
             "output": "files of its own"}


@dataclass
class Options:
    """What the command line says. ``values`` by option name, defaults included; ``typed`` the same
    as it was typed; ``given``: options that were typed; ``configs``: values of CONFIG constants;
    ``roles``: ``values`` by role; ``command``: what stands behind ``--``; ``reply``: what to print
    and end."""

    values: Dict[str, Any] = field(default_factory=dict)
    given: Set[str] = field(default_factory=set)
    typed: Dict[str, str] = field(default_factory=dict)
    configs: Dict[str, Any] = field(default_factory=dict)
    roles: Dict[str, Any] = field(default_factory=dict)
    command: List[str] = field(default_factory=list)
    reply: Optional[str] = None

    def holds(self, when: Sequence[str]) -> bool:
        """Whether the conditions of a ``when`` hold."""
        return all((name.lstrip("!") in self.given) != name.startswith("!") for name in when)

    def fill(self, text: str) -> Optional[str]:
        """A text of the spec with what was typed, or the default, for each ``{option}``; None if
        one has neither."""
        names = re.findall(r"\{([^{}]*)\}", text)
        if any(name not in self.typed for name in names):
            return None
        return re.sub(r"\{([^{}]*)\}", lambda match: self.typed[match[1]], text)

    def default(self, option: Option, text: str) -> None:
        """Begin with an option's default."""
        self._store(option, _value(option, text))
        self.typed[option["name"]] = text

    def argument(self, option: Option, text: str) -> None:
        """Take an option's argument. Raises ValueError."""
        self.default(option, text)
        self.given.add(option["name"])

    def flag(self, option: Option) -> None:
        """Take a flag."""
        self.given.add(option["name"])
        self._store(option, 1 if option["value"] is None else int(option["value"]))

    def _store(self, option: Option, value: Any) -> None:
        if option["repeat"] and option["name"] in self.given:
            value |= self.values[option["name"]]
        self.values[option["name"]] = value
        if option["role"]:
            self.roles[option["role"]] = value
        if option["config"]:
            self.configs[option["config"]["name"]] = \
                1 if option["type"] == "numbers" else \
                os.fsencode(value) if isinstance(value, str) else value


class _Replied(Exception):
    """--help or the like: what follows is not looked at."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Taker:
    """Notes in ``chosen`` what is met on the command line."""

    def __init__(self, bound: Dict[str, Any], chosen: Options):
        self._bound = bound
        self._chosen = chosen
        self._by_name = {option["name"]: option for option in bound["options"]}

    def action(self, option: Option) -> Any:
        """The argparse.Action of an option."""
        take = self.take

        class Note(argparse.Action):
            """Hands on what argparse has found."""

            def __call__(self, _parser: Any, _space: Any, values: Any, name: Any = None) -> None:
                take(option, name, values)

        return Note

    def take(self, option: Option, name: str, words: List[str]) -> None:
        """An option by one of its names, with its argument. Raises UsageError."""
        left_out = "filters by pinned maps" if option["map"] else _LEFT_OUT.get(option["role"])
        if left_out:
            raise UsageError(f"{name}: --plain leaves out {left_out}: run it without --plain")
        try:
            if option["type"] != "flag":
                self._chosen.argument(option, words[0])
                return
            self._chosen.flag(option)
            if option["gives"]:
                other, text = option["gives"]
                self._chosen.argument(self._by_name[other], text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
        self._reply(option)

    def _reply(self, option: Option) -> None:
        bound = self._bound
        self._chosen.reply = {"help": bound["help"], "list": option["text"],
                              "version": f"{bound['tool']} {bound['version']}\n"
                              }.get(option["role"])
        if self._chosen.reply is not None:
            raise _Replied

    def take_arguments(self, words: List[str]) -> None:
        """Words without a dash, which are for the options that the spec lists."""
        names = self._bound["arguments"]
        if len(words) > len(names):
            raise UsageError(f"unexpected argument '{words[len(names)]}'")
        for name, word in zip(names, words):
            self.take(self._by_name[name], name, [word])


def parse(bound: Dict[str, Any], argv: Sequence[str]) -> Options:
    """Parse the arguments. Raises UsageError."""
    chosen = Options()
    words = list(argv)
    if "--" in words:
        place = words.index("--")
        words, chosen.command = words[:place], words[place + 1:]
        if not chosen.command:
            raise UsageError("no command after '--'")
    parser = _Parser(prog=bound["tool"], add_help=False)
    taker = _Taker(bound, chosen)
    for option in bound["options"]:
        if option["default"] is not None:
            chosen.default(option, str(option["default"]))
        names = [f"--{option['name']}"] + ([f"-{option['short']}"] if option["short"] else [])
        parser.add_argument(*names, action=taker.action(option),
                            nargs=0 if option["type"] == "flag" else 1)
    parser.add_argument("arguments", nargs="*")
    with contextlib.suppress(_Replied):
        taker.take_arguments(parser.parse_intermixed_args(words).arguments)
        _check(bound, chosen)
    return chosen


def _check(bound: Dict[str, Any], chosen: Options) -> None:
    for option in bound["options"]:
        if option["required"] and option["name"] not in chosen.given:
            raise UsageError(f"no {option['name']} is given")
    if chosen.roles["format"] == 2:
        raise UsageError("--plain prints text and JSON, no CSV: run it without --plain")


# -- values by type ----------------------------------------------------------------------------


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)", text):
        raise ValueError(f"'{text}' is not a number")
    return int(text, 16 if "x" in text.lower() else 10)


def _named(option: Option, text: str) -> int:
    """A name of the option's choices, or a number where it may be one."""
    kind, choices = option["type"], option["choices"] or {}
    if kind not in ("choice", "flags") and re.match(r"[+-]?\d", text):
        return abs(_number(text)) if kind == "errno" else _number(text)
    for name in (text, f"SIG{text}") if kind == "signal" else (text,):
        if name in choices:
            return int(choices[name])
    raise ValueError(f"'{text}' is none of its values")


def _user(text: str) -> int:
    try:
        return _number(text) if re.match(r"[+-]?\d", text) else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise ValueError(f"no such user '{text}'") from error


def _disk(text: str) -> int:
    try:
        found = os.stat(f"/dev/{text}")
    except OSError:
        found = None
    if found is None or not stat.S_ISBLK(found.st_mode):
        raise ValueError(f"no such disk '{text}'")
    return os.major(found.st_rdev) << 20 | os.minor(found.st_rdev)


def _text(option: Option, text: str) -> str:
    config, match = option["config"], option["match"]
    if config and len(os.fsencode(text)) >= config["size"]:
        raise ValueError(f"'{text}' is too long (at most {config['size'] - 1} bytes)")
    if match and match["how"] == "regex":
        try:
            Regex(os.fsencode(text))
        except ValueError as error:
            raise ValueError(f"bad pattern '{text}'") from error
    return text


def _in_range(option: Option, number: int) -> int:
    if option["min"] is not None and not int(option["min"]) <= number <= int(option["max"]):
        raise ValueError(f"{number} is out of range ({option['min']} to {option['max']})")
    if option["role"] == "buffer" and number & (number - 1):
        raise ValueError(f"{number} is not a power of two")
    return number


def _value(option: Option, text: str) -> Any:
    """The value of an argument. Raises ValueError."""
    kind = option["type"]
    if kind in ("path", "string"):
        return _text(option, text)
    if kind == "numbers":
        return [_in_range(option, _number(word)) for word in text.split(",")]
    if kind == "flags":
        return functools.reduce(operator.or_, (_named(option, word) for word in text.split("|")))
    single = {"user": _user, "disk": _disk, "int": _number}
    return _in_range(option, single[kind](text) if kind in single else _named(option, text))
