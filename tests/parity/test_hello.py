# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""hello: the trace pipe. One after the other, since two readers share its lines between them."""
from __future__ import annotations

import json
import re
from typing import Dict

import pytest

from frontends import FRONTENDS, WORKLOADS, run
from needs import TRACEFS

EXECS = str(WORKLOADS / "execs")
WORKLOAD = [EXECS, *" -- ".join([f"execve {WORKLOADS / 'leave'} leave"] * 22).split()]

RUNNERS = {"c": "hello", "bcc": "bpfduet"}

AT_START = "Hello, I am watching!"
LINES = {
    "text": rb"\d+\.\d{6}000 +(?P<comm>\S+) +(?P<pid>\d+) +(?P<message>Hello, .*)",
    "csv": rb"\d+\.\d+,(?P<comm>[^,]+),(?P<pid>\d+),\d+,\"(?P<message>Hello, .*)\"",
}
HEADERS = {"text": b"%-18s %-16s %-6s %s" % (b"TIME(s)", b"COMM", b"PID", b"MESSAGE"),
           "csv": b"time,comm,pid,cpu,message"}


@pytest.fixture(name="printing")
def fixture_printing(tracefs: None) -> None:
    """The first program that prints switches this event on; Linux 6.1 may lose what is printed
    right after that. And the trace pipe knows names from a cache of the kernel, where an earlier
    process of the same PID may still be: giving the cache a size empties it."""
    (TRACEFS / "events/bpf_trace/bpf_trace_printk/enable").write_text("1")
    size = TRACEFS / "saved_cmdlines_size"
    size.write_text(size.read_text())


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_command(workloads, printing: None, form: str) -> None:
    """One line at the start, 23 for 23 execs, with the PIDs that the workload knows; columns at
    their places."""
    shapes: Dict[str, bytes] = {}
    for frontend in FRONTENDS:
        done = run(frontend, "hello", ["--format", form, "--", *WORKLOAD])
        assert done.status == 0 and done.stderr == b""
        said = [line for line in done.lines() if re.fullmatch(rb"\d+ \d+", line)]
        lines = [line for line in done.lines() if line not in said]
        pids = [int(line.split()[0]) for line in said]
        assert len(pids) == 22
        first = int(said[0].split()[1])
        if form == "json":
            found = [json.loads(line) for line in lines]
            for one in found:
                assert (one["type"], one["tool"]) == ("printk", "hello")
                assert list(one["data"]) == ["time", "comm", "pid", "cpu", "message"]
            messages = [one["data"]["message"] for one in found]
            seen = [(one["data"]["pid"], one["data"]["comm"]) for one in found]
            times = [one["data"]["time"] for one in found]
        else:
            assert lines.pop(0) == HEADERS[form]
            matches = [re.fullmatch(LINES[form], line) for line in lines]
            assert all(matches), lines
            messages = [match["message"].decode() for match in matches if match]
            seen = [(int(match["pid"]), match["comm"].decode()) for match in matches if match]
            times = [float(re.split(rb"[ ,]", line)[0]) for line in lines]
        assert messages == [AT_START] + ["Hello, World!"] * 23
        seen.pop(0)     # of the tool itself
        # that cache may lack a name, or have the one that a process had before execve()
        names = {first: ("execs", RUNNERS[frontend]), **{pid: ("leave", "execs") for pid in pids}}
        assert sorted(pid for pid, _ in seen) == sorted(names)
        assert [one for one in seen if one[1] not in (*names[one[0]], "<...>")] == []
        assert sorted(times) == times and times[0] > 0
        # what differs between two runs are names and digits of time, PID and CPU alone
        shape = re.sub(rb"(<\.\.\.>|leave|execs|hello|bpfduet) *", b"@", b"\n".join(lines[1:]))
        shapes[frontend] = re.sub(rb"\d+ *", b"0", shape)
        if form == "text":
            assert {len(line) for line in lines[1:]} == {18 + 1 + 16 + 1 + 6 + 1 + 13}
    assert shapes["c"] == shapes["bcc"]
