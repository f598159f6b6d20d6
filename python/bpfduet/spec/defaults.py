# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The arguments of options: what a spec may give as a default, with the sentences that a user of
the tool would get."""
from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Sequence, Union

from ..errors import UsageError
from .regex import Regex
from ..escape import escape

Value = Union[int, bytes]
Bound = Dict[str, Any]

_NUMBER = re.compile(rb"([+-]?)(?:0[xX]([0-9a-fA-F]+)|([0-9]+))")
_MOST_CHOICES = 8


def parse(option: Bound, text: bytes) -> Value:
    """The value of one argument. Names of users and disks stay as they are: which there are, the
    machine knows that runs the tool. Raises UsageError."""
    value = _PARSERS[option["type"]](option, text)
    if option.get("min") is not None:
        low, high = int(option["min"]), int(option["max"])
        numbers: Sequence[Optional[int]] = [value] if isinstance(value, int) else numbers_of(text)
        if any(number is not None and not low <= number <= high for number in numbers):
            raise UsageError(f"'{show(text)}' is out of range for '--{option['name']}' "
                             f"({low} to {high})")
    if option.get("role") == "buffer" and value & (value - 1):  # type: ignore[operator]
        raise UsageError(f"'{show(text)}' is not a power of two for '--{option['name']}'")
    return value


def show(text: bytes) -> str:
    """An argument in a sentence."""
    return escape(text).decode()


def number_of(text: bytes) -> Optional[int]:
    """The number that a text is, None for none."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    # 64 bits have 20 digits; more than 30 say no more than that it is too large
    digits = (match[2] or match[3]).lstrip(b"0")[:30] or b"0"
    number = int(digits, 16 if match[2] else 10)
    return -number if match[1] == b"-" else number


def numbers_of(text: bytes) -> List[Optional[int]]:
    """The numbers of "80,443"; None for what is none."""
    return [number_of(word) for word in text.split(b",")]


def _parse_int(option: Bound, text: bytes) -> Value:
    number = number_of(text)
    if number is None:
        raise UsageError(f"'{show(text)}' is not a number for '--{option['name']}'")
    return number


def _parse_string(option: Bound, text: bytes) -> Value:
    config = option.get("config")
    if config and len(text) >= config["size"]:
        raise UsageError(f"'{show(text)}' is too long for '--{option['name']}' "
                         f"(at most {config['size'] - 1} bytes)")
    match = option.get("match")
    if match and match["how"] == "regex":
        try:
            Regex(text)
        except ValueError as error:
            raise UsageError(
                f"bad pattern '{show(text)}' for '--{option['name']}'") from error
    return text


def _parse_numbers(option: Bound, text: bytes) -> Value:
    if None in numbers_of(text):
        raise UsageError(f"'{show(text)}' is no list of numbers for '--{option['name']}'")
    return text


def _parse_path(_option: Bound, text: bytes) -> Value:
    return text


def _parse_local(_option: Bound, text: bytes) -> Value:
    number = number_of(text)
    return text if number is None else number


def _parse_named(option: Bound, text: bytes) -> Value:
    """errno, syscall, signal."""
    kind = option["type"]
    number = number_of(text)
    if number is not None:
        return abs(number) if kind == "errno" else number
    choices = option["choices"]
    name = text.decode("utf-8", "surrogateescape")
    for candidate in (name, "SIG" + name) if kind == "signal" else (name,):
        if candidate in choices:
            return int(choices[candidate])
    raise UsageError(f"no such {kind} '{show(text)}'")


def _choice(option: Bound, text: bytes) -> int:
    choices = option["choices"]
    name = text.decode("utf-8", "surrogateescape")
    if name not in choices:
        known = f" ({', '.join(choices)})" if len(choices) <= _MOST_CHOICES else ""
        raise UsageError(f"'{show(text)}' is not a value of '--{option['name']}'{known}")
    return int(choices[name])


def _parse_choice(option: Bound, text: bytes) -> Value:
    return _choice(option, text)


def _parse_flags(option: Bound, text: bytes) -> Value:
    value = 0
    for name in text.split(b"|"):
        value |= _choice(option, name)
    return value


_PARSERS = {
    "int": _parse_int, "string": _parse_string, "path": _parse_path, "user": _parse_local,
    "errno": _parse_named, "syscall": _parse_named, "signal": _parse_named,
    "flags": _parse_flags, "choice": _parse_choice, "numbers": _parse_numbers,
    "disk": _parse_local,
}
