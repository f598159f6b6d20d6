# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""runqlat beside the stock tool."""
from __future__ import annotations

import re
from typing import List

import pytest

from frontends import FRONTENDS, watch
from oracle.test_stock import stock

FORKS = ["/bin/sh", "-c", "i=0; while [ $i -lt 23 ]; do /bin/true; i=$((i + 1)); done"]


def total(text: bytes) -> int:
    """Of a histogram."""
    return sum(map(int, re.findall(rb" -> \d+ +: (\d+) ", text)))


@pytest.mark.host_only
@pytest.mark.parametrize("args, sections", [("-p {pid}", False), ("-mT -p {pid}", False),
                                            ("-P -p {pid}", True), ("-L -p {pid}", True)])
def test_stock(workloads, args: str, sections: bool) -> None:
    """The same lines but for the buckets, and as many waits."""
    watched = watch("runqlat", args.split(), FORKS, 3, ["text"],
                    others={"stock": (stock("runqlat", args), 3)})
    theirs = watched.out("stock")

    def words(text: bytes) -> List[bytes]:
        text = re.sub(rb"\d\d:\d\d:\d\d", b"TIME", text)
        return [line for line in text.splitlines() if b"|" not in line]
    for frontend in FRONTENDS:
        result = watched.results[frontend, "text"]
        assert words(result.stderr + result.stdout) == words(theirs)
        # Theirs leaves out one that was preempted just before it would have slept; with sections
        # it does not set its keys' padding, and shows one only of the entries that differ there.
        more = total(result.stdout) - total(theirs)
        assert more >= 0 if sections else 0 <= more <= 3
        assert total(result.stdout) >= 23
