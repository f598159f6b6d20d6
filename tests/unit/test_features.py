# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Programs that are replaced by those they fall back to, on kernels that are made up."""
from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from bpfduet import features, libbpf

RAW = ["tracepoint__raw_syscalls__sys_exit"]
OPENS = [{"name": f"tracepoint__syscalls__sys_exit_{call}", "fallback": RAW}
         for call in ("open", "openat")]
OTHER = {"name": "tracepoint__sched__sched_switch", "fallback": RAW}


@pytest.fixture(name="events")
def _events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a kernel's tracepoints."""
    events = tmp_path / "events"
    for name in ("syscalls/sys_exit_open", "syscalls/sys_exit_openat", "sched/sched_switch",
                 "raw_syscalls/sys_exit"):
        (events / name).mkdir(parents=True)
    monkeypatch.setattr(features, "tracefs", lambda: tmp_path)
    return events


@pytest.mark.parametrize("skips", (False, True))
def test_skipped(events: Path, monkeypatch: pytest.MonkeyPatch, skips: bool) -> None:
    """Where the kernel would not run them each time, and there are those to fall back to."""
    monkeypatch.setattr(libbpf, "has_sleepable_tracepoints", lambda: skips)
    own = [program["name"] for program in OPENS]
    assert features.replaced_programs(OPENS) == (own if skips else RAW)
    assert features.replaced_programs([OTHER]) == RAW
    (events / "raw_syscalls/sys_exit").rmdir()
    assert features.replaced_programs(OPENS) == RAW


@pytest.mark.parametrize("skips", (False, True))
@pytest.mark.parametrize("prefixes, skipped", [(("kfunc", "kprobe"), True),
                                               (("kretfunc", "kretprobe"), False)])
def test_functions(monkeypatch: pytest.MonkeyPatch, prefixes: Tuple[str, str], skipped: bool,
                   skips: bool) -> None:
    """A kprobe sees each call; a return probe has room for so many at once, and is no better."""
    monkeypatch.setattr(libbpf, "has_sleepable_tracepoints", lambda: skips)
    monkeypatch.setattr(features, "_offers", lambda kind, name: True)
    own, other = (f"{prefix}__vfs_read" for prefix in prefixes)
    off = features.replaced_programs([{"name": own, "fallback": [other]}])
    assert off == [own if skips and skipped else other]


@pytest.mark.parametrize("absent", (0, 1))
def test_together(events: Path, monkeypatch: pytest.MonkeyPatch, absent: int) -> None:
    """One that cannot be attached takes with it the other that has the same to fall back to."""
    monkeypatch.setattr(libbpf, "has_sleepable_tracepoints", lambda: False)
    (events / "syscalls" / ("sys_exit_open", "sys_exit_openat")[absent]).rmdir()
    assert features.replaced_programs(OPENS) == [program["name"] for program in OPENS]
