# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Golden vectors: documents, and what the engine must answer.

``python3 tests/unit/record.py`` records the answers anew, from the engine as it is built
(``make tests``). What then differs in ``git diff`` is what users will see changed: it needs a line
in CHANGELOG.md.

Files are lists of objects, of four forms:

- vectors/NAME.json: for the spec specs/NAME.toml, arguments, steps with their values by field
  name, and what must come out;
- golden/flame.json: title, unit, stacks (frames, each with its kind in front, and a value), and
  the graph's lines, its style and script left out;
- golden/symbols.json: symbols (first address, size, name), ``latest``, and the name of each
  address from 0 on, null for none;
- all others of golden/: a bound spec and steps as tests/unit/c/render_driver.c reads them, and
  what each command line prints of that.
"""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Match

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import harness  # noqa: E402  # pylint: disable=wrong-import-position

GOLDEN = Path(__file__).with_name("golden")
VECTORS = Path(__file__).with_name("vectors")
# What has a line for each of its elements.
SPREAD = ("steps", "runs", "stdout", "stderr", "stacks", "graph")
SYMBOLS_END = 90

Vector = Dict[str, Any]


def layout(value: Any, depth: int = 0, spread: bool = True) -> str:
    """JSON that is read in a diff: objects and the lists of SPREAD have lines of their own, and
    what is printed looks as it does."""
    margin = "\n" + " " * depth
    if spread and value and isinstance(value, list):
        inner = [layout(item, depth + 1, isinstance(item, dict)) for item in value]
        return "[" + ",".join(f"{margin} {item}" for item in inner) + margin + "]"
    if spread and isinstance(value, dict) and any(key in SPREAD for key in value):
        inner = [f"{json.dumps(key)}: {layout(item, depth + 1, key in SPREAD)}"
                 for key, item in value.items()]
        return "{" + ",".join(f"{margin} {item}" for item in inner) + margin + "}"
    if not isinstance(value, str):
        return json.dumps(value)
    return re.sub(r"[^ -~]", _visible, json.dumps(value, ensure_ascii=False))


def _visible(match: Match[str]) -> str:
    """A character, or JSON's escape of one that nobody would see."""
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def write(path: Path, vectors: List[Vector]) -> None:
    """Write a file of vectors."""
    path.write_text(layout(vectors) + "\n", encoding="utf-8")


def read(path: Path) -> List[Vector]:
    """The vectors of a file."""
    found: List[Vector] = json.loads(path.read_text(encoding="utf-8"))
    return found


def files() -> List[Path]:
    """All of them."""
    return sorted([*GOLDEN.glob("*.json"), *VECTORS.glob("*.json")])


def answered(path: Path) -> List[Vector]:
    """The vectors of a file, with the answers that the engine gives now."""
    vectors = read(path)
    if path.parent == VECTORS:
        answers = harness.run([
            harness.document(harness.bound_of(path.stem), vector["argv"], harness.packed_steps(
                path.stem, vector.get("steps", [])), vector.get("tz", "UTC"),
                **vector.get("clock", {})) for vector in vectors])
        return [{**_without_answer(vector), **_answer(*answer)}
                for vector, answer in zip(vectors, answers)]
    if path.stem == "flame":
        return [{**vector, "graph": _graph(vector)} for vector in vectors]
    if path.stem == "symbols":
        return [{**vector, "names": harness.find_symbols(
            vector["symbols"], range(SYMBOLS_END), vector["latest"])} for vector in vectors]
    rest = iter(harness.run([
        harness.document(vector["bound"], run["argv"], vector["steps"], vector["tz"],
                         **vector["clock"]) for vector in vectors for run in vector["runs"]]))
    return [{**vector, "runs": [{**_without_answer(run), **_answer(*next(rest))}
                                for run in vector["runs"]]} for vector in vectors]


def _without_answer(vector: Vector) -> Vector:
    return {key: value for key, value in vector.items() if key not in ("status", "stdout", "stderr")}


def _answer(status: int, stdout: bytes, stderr: bytes) -> Vector:
    """What was printed; an empty stderr and status 0 are left out."""
    answer: Vector = {"stdout": _lines(stdout)}
    if stderr:
        answer["stderr"] = _lines(stderr)
    if status:
        answer["status"] = status
    return answer


def _lines(text: bytes) -> List[str]:
    """Lines, of which the last one ends, too."""
    shown = text.decode().split("\n")
    assert shown.pop() == "", text
    return shown


def _graph(vector: Vector) -> List[str]:
    graph = harness.draw(vector["title"], vector["unit"], vector["stacks"]).decode()
    return re.sub(r"(?s)<!\[CDATA\[.*?]]>", "", graph).splitlines()


if __name__ == "__main__":
    for file in files():
        write(file, answered(file))
