# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Stacks as bpftrace and the stock BCC tool see them."""
from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from frontends import FRONTENDS, ROOT, Running, cgroup
from parity.test_offcputime import COUNT, LONG, sleep_through
from parity.test_profile import FAST, HOT, burn_for_a_while, burning, wait_sampling
from parity.test_symbols import build


def bpftrace(script: str, group: Path, programs: int) -> Running:
    """bpftrace, limited to a cgroup."""
    here = f"/cgroup == {group.stat().st_ino}/"
    return Running("bpftrace", "", (), programs,
                   argv=["bpftrace", "-q", "-f", "json", "-e", script.replace("HERE", here)])


def functions(stack: str) -> List[str]:
    """The functions of a stack as bpftrace writes it: NAME+OFFSET in each line, or a number."""
    lines = stack.replace("\\n", "\n").splitlines()      # bpftrace 0.23 escapes them twice
    names = [re.sub(r"\+\d+$", "", line.strip()) for line in lines if line.strip()]
    return ["[unknown]" if name.startswith("0x") else name for name in names]


def plain(names: List[str]) -> Tuple[str, ...]:
    """Without what tells names of one address apart: clock_nanosleep and __clock_nanosleep."""
    return tuple(name.lstrip("_") for name in names)


def test_profile_and_bpftrace(workloads, tmp_path: Path) -> None:
    """Nearly all of the samples are in the same chain."""
    burn = build(tmp_path, ["burn.c"], ["-static"])
    with cgroup("oracle") as group, burning([str(burn)], group) as process, \
            contextlib.ExitStack() as ends:
        ours = Running("c", "profile", [*FAST, "--cgroup", str(group), "--format", "json"], 0)
        ends.callback(ours.end)
        theirs = bpftrace("profile:hz:999 HERE { @[ustack] = count(); }", group, 0)
        ends.callback(theirs.end)
        wait_sampling(ours)
        wait_sampling(theirs)
        theirs.settle()
        burn_for_a_while(process.pid)
        said = theirs.interrupt().lines()
        (report,) = ours.finish().objects()
    stacks = {tuple(functions(stack)): count for line in said if line
              for stack, count in json.loads(line)["data"]["@"].items()}
    hot = max(stacks, key=lambda stack: stacks[stack])
    assert hot[:3] == tuple(HOT)
    assert stacks[hot] >= 0.5 * sum(stacks.values())
    assert tuple(max(report["data"], key=lambda entry: entry["value"])["user"]) == hot


def test_offcputime_and_bpftrace(workloads, tmp_path: Path) -> None:
    """Both stacks of a sleep, to the last frame, and how many there were."""
    waits = build(tmp_path, ["waits.c"], ["-static"])
    script = "tracepoint:sched:sched_switch HERE { @[kstack, ustack] = count(); }"
    with cgroup("oracle") as group, contextlib.ExitStack() as ends:
        ours = Running("c", "offcputime", [*LONG, "--cgroup", str(group), "--format", "json"], 1)
        ends.callback(ours.end)
        theirs = bpftrace(script, group, 1)
        ends.callback(theirs.end)
        ours.wait_ready()
        theirs.wait_ready()
        theirs.settle()
        sleep_through(waits, group, ends)
        said = theirs.interrupt().lines()
        (report,) = ours.finish().objects()
    entry = max(report["data"], key=lambda entry: entry["value"])
    counts = {plain(functions(key.replace(",", "\n"))): count
              for line in said if line for key, count in json.loads(line)["data"]["@"].items()}
    assert counts.get(plain(entry["kernel"] + entry["user"])) == COUNT, (entry, counts)


@pytest.mark.host_only
@pytest.mark.parametrize("style", [["-f"], [], ["-U"]])
def test_stock_profile(workloads, tmp_path: Path, style: List[str]) -> None:
    """The same text as the stock tool's, but for the counts."""
    burn = build(tmp_path, ["burn.c"], ["-static"])
    ends_in, wanted = ("\n", r";burn_hot \d+$") if style == ["-f"] else ("\n\n", "^burn_hot\n")
    stock = [sys.executable, "-u", str(ROOT / "tests" / "oracle" / "stock.py"), "profile"]
    with cgroup("oracle") as group, burning([str(burn)], group) as process, \
            contextlib.ExitStack() as ends:
        scope = ["-F", "999", "-p", str(process.pid), *style]
        tracers = {frontend: Running(frontend, "profile", scope, 0) for frontend in FRONTENDS}
        tracers["stock"] = Running("stock", "", (), 0, argv=[*stock, *scope])
        for tracer in tracers.values():
            ends.callback(tracer.end)
        for tracer in tracers.values():
            wait_sampling(tracer)
        tracers["stock"].settle()
        burn_for_a_while(process.pid)
        texts = {}
        for name, tracer in tracers.items():
            text = (tracer.interrupt() if name == "stock" else tracer.finish()).stdout.decode()
            # the stack of the chain alone, which has nearly all samples: an interrupt, or the first
            # instructions of a function, may come to one and not to the other, and the stock tool
            # prints its innermost function twice
            stacks = [stack for stack in map(str.lstrip, text.split(ends_in))
                      if re.search(wanted, stack)]
            texts[name] = re.sub(r"\d+$", "N", max(
                stacks, key=lambda stack: int(stack.split()[-1])))
    assert texts["stock"] == texts["c"] == texts["bcc"]
