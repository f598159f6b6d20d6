# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The texts that a tool prints about itself: --help, and lists of names."""
from __future__ import annotations

import textwrap
from typing import Any, Dict, List

from .names import syscalls

_WIDTH = 79
_COLUMN = 28
_MOST_CHOICES = 8


def make(tool: str, data: Dict[str, Any], options: List[Dict[str, Any]], own: int,
         has_command: bool) -> str:
    """The complete text of --help: bound options, of which the first ``own`` are the tool's."""
    by_name = {option["name"]: option for option in options}
    words = [by_name[name] for name in data.get("arguments", [])]
    needed = [option["metavar"] for option in words if option["required"]]
    others = [option["metavar"] for option in words if not option["required"]]
    usage = " ".join([f"Usage: {tool} [OPTIONS]", *needed])
    usage += "".join(f" [{word}" for word in others) + "]" * len(others)
    usage += " [-- COMMAND [ARGUMENT...]]" if has_command else ""
    parts = [usage, _fill(data["summary"] + ".")]
    if "description" in data:
        parts += [_fill(paragraph) for paragraph in data["description"].strip().split("\n\n")]
    common = "Common options:" if own else "Options:"
    for title, group in (("Options:", options[:own]), (common, options[own:])):
        if group:
            parts.append("\n".join([title] + [_option(option) for option in group]))
    if has_command:
        parts.append(_fill("With a COMMAND, it alone and the processes it starts are traced, "
                           "until it ends."))
    if data.get("examples"):
        parts.append("\n".join(["Examples:"] + _examples(tool, data["examples"])))
    return "\n\n".join(parts) + "\n"


def syscall_list() -> str:
    """The names of all system calls, sorted, four in a row: the text of BCC's syscount -l."""
    names = [f"{name:22}" for name in sorted(syscalls())]
    return "".join("   ".join(names[i:i + 4]) + "\n" for i in range(0, len(names), 4))


def _fill(paragraph: str) -> str:
    return textwrap.fill(" ".join(paragraph.split()), _WIDTH, break_on_hyphens=False)


def _option(option: Dict[str, Any]) -> str:
    letter = f"-{option['short']}, " if option["short"] else "    "
    name = f"  {letter}--{option['name']}"
    if option["type"] != "flag":
        name += f" {option['metavar']}"
    text = option["help"]
    if option["type"] in ("flags", "choice") and len(option["choices"]) <= _MOST_CHOICES:
        text += f": {', '.join(option['choices'])}"
    notes = ["may be repeated"] if option["repeat"] else []
    if option["default"] is not None:
        notes.append(f"default: {option['default']}")
    if notes:
        text += f" ({'; '.join(notes)})"
    lines = textwrap.wrap(text, _WIDTH - _COLUMN, break_on_hyphens=False)
    if len(name) + 2 > _COLUMN:
        lines.insert(0, "")
    first, rest = lines[0], lines[1:]
    indent = " " * _COLUMN
    return "\n".join([f"{name:{_COLUMN}}{first}".rstrip()] + [indent + line for line in rest])


def _examples(tool: str, examples: List[List[str]]) -> List[str]:
    commands = [f"  {tool} {arguments}".rstrip() for arguments, _ in examples]
    width = max(map(len, commands))
    lines = []
    for command, (_, comment) in zip(commands, examples):
        line = f"{command:{width}}  # {comment}"
        if len(line) > _WIDTH:
            line = f"  # {comment}\n{command}"
        lines.append(line)
    return lines
