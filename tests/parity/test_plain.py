# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The witness, ``bpfduet run --plain``: what bcc's own Python API sees and prints of a workload is what
the engine prints, by both compilers' programs, byte for byte but for what two observers differ in."""
from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest

from frontends import FRONTENDS, PLAIN, Argument, Watched, watch
from parity import test_exitsnoop as exitsnoop
from parity import test_opensnoop as opensnoop
from parity.same import STAMP, Masks, first_difference, masked

ALL = (*FRONTENDS, PLAIN)
FORMATS = ("text", "json")


def assert_witnessed(watched: Watched, masks: Masks, formats: Sequence[str] = FORMATS) -> bytes:
    """All three printed the same, on stderr too, and more than a line; returns the masked text."""
    for form in formats:
        outputs = {name: masked(watched.out(name, form), masks.get(form, ())) for name in ALL}
        for name in FRONTENDS:
            assert outputs[name] == outputs[PLAIN], \
                (name, first_difference(form, [outputs[name], outputs[PLAIN]]))
            assert watched.results[name, form].stderr == watched.results[PLAIN, form].stderr
        assert outputs[PLAIN]
    return masked(watched.out(PLAIN), masks.get("text", ()))


def witness(tool: str, args: Sequence[Argument], workload: Sequence[Argument], programs: int,
            masks: Masks, lines: int) -> None:
    """One run of a workload, watched by all: so many lines of text at least."""
    watched = watch(tool, args, workload, programs, FORMATS, frontends=ALL)
    assert len(assert_witnessed(watched, masks).splitlines()) >= lines


# -- events of a ring buffer ------------------------------------------------------------------


@pytest.mark.parametrize("args", ["", "-U -e -x", "-n othe", "-f O_CREAT|O_PATH -b 8", "-F -t {pid}"])
def test_opensnoop(workloads, tmp_path: Path, args: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner").write_text("y")
    words = opensnoop.steps(tmp_path)
    witness("opensnoop", args.split(), opensnoop.places(words), 3, {"json": [STAMP]}, 2)


@pytest.mark.parametrize("args", [[], ["--per-thread", "-x"], ["--label", "a,\x1b"]])
def test_exitsnoop(workloads, args: Sequence[str]) -> None:
    witness("exitsnoop", args, [exitsnoop.EXITS, *exitsnoop.ENDS], 1,
            exitsnoop.MASKS, 20)
