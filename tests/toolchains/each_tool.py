# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Each tool once, by each frontend, on a COMMAND of its own: it ends well, and both say the same.

One that needs what this kernel lacks says so in one sentence, with exit status 1.
"""
from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from frontends import FRONTENDS, PATIENCE_S, ROOT, Argument, Result, command  # noqa: E402
from needs import NEEDS  # noqa: E402

COMMAND = ["--", "true"]
# The interface is that of an empty network.
INTERFACE = ["lo", "1", "1"]
ARGUMENTS = {"funccost": ["c:malloc", *COMMAND], "funclatency": ["c:malloc", *COMMAND],
             "usdtsnoop": ["libstdc++.so.6:libstdcxx:throw", *COMMAND],
             "flowmeter": INTERFACE, "pktsize": INTERFACE, "xdpcount": INTERFACE}
TOOLS = sorted(path.name[:-len(".bpf.c")] for path in (ROOT / "shared_bpf").glob("*.bpf.c"))
# One of the tests': tools have another way where there is no fentry.
TOOLS.append("reads_fentry")
NEEDED = {"capable": "kprobes", "tcpconnect": "kprobes", "vfsopen": "kprobes",
          "vfsreadlat": "kprobes", "vfsreadsize": "kprobes", "reads_fentry": "fentry",
          "lsmexec": "lsm", "llcstat": "pmu"}


def run(frontend: str, tool: str) -> Result:
    """One run of a tool."""
    argv: List[Argument] = command(frontend, tool, ARGUMENTS.get(tool, COMMAND))
    if INTERFACE == ARGUMENTS.get(tool):
        argv = ["unshare", "--net", *argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    return Result(done.stdout, done.stderr, done.returncode)


def wrong(tool: str) -> List[str]:
    """What is wrong with a tool, line by line."""
    lacks = tool in NEEDED and not NEEDS[NEEDED[tool]]()
    results = {frontend: run(frontend, tool) for frontend in FRONTENDS}
    said = {(result.status, result.stderr) for result in results.values()}
    # the line that some begin with, or the sentence
    lines = {result.stderr.count(b"\n") for result in results.values()}
    if len(said) == 1 and results["c"].status == lacks and lines <= ({1} if lacks else {0, 1}):
        return []
    return [f"{tool}, {frontend}: exit status {result.status}: "
            f"{result.stderr.decode(errors='replace')}" for frontend, result in results.items()]


def main() -> int:
    """All tools, as many at a time as there are CPUs."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [line for lines in pool.map(wrong, TOOLS) for line in lines]
    print(f"{len(TOOLS)} tools, each by both frontends: {len(found)} wrong", *found, sep="\n  ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
