# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What a tool prints every interval."""
from __future__ import annotations

import os
import re
import select
import time
from typing import List, Pattern, Sequence

from frontends import PATIENCE_S, Argument, Running, cgroup, in_cgroup


def prints_of(frontend: str, tool: str, args: Sequence[Argument], workload: Sequence[Argument],
              programs: int, until: "Pattern[bytes]") -> List[bytes]:
    """Run a tool that heads each print by an empty line and the time, and one workload; end it
    when what it has printed matches ``until``. Returns what stands below each time."""
    with cgroup("intervals") as group:
        tracer = Running(frontend, tool, ["--cgroup", str(group), *args], programs)
        try:
            tracer.wait_ready()
            in_cgroup(group, workload)
            assert tracer.process.stdout
            out, said = tracer.process.stdout.fileno(), b""
            deadline = time.monotonic() + PATIENCE_S
            while not until.search(said):
                left = max(deadline - time.monotonic(), 0)
                assert select.select([out], [], [], left)[0] and left, said
                more = os.read(out, 65536)
                assert more, said
                said += more
            result = tracer.finish()
        finally:
            tracer.end()
    assert result.status == 0, result
    first, *prints = re.split(rb"^\n\d\d:\d\d:\d\d\n", said + result.stdout, flags=re.MULTILINE)
    assert first == b""
    return prints
