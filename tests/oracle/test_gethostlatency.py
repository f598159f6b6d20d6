# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""gethostlatency beside the stock tool, in one process."""
from __future__ import annotations

from oracle.test_stock import assert_equal, beside
from parity.test_gethostlatency import MASKS, PROGRAMS, workload


def test_lookups(workloads) -> None:
    names = [b"127.0.0.%d" % n for n in range(11)] + [b"", b"localhost.", "größe".encode(), b"z" * 79]
    lookups = [("getaddrinfo", name) for name in names]
    lookups += [("gethostbyname", b"10.0.0.1"), ("gethostbyname2", b"::1"), ("nobody", b"")]
    watched = beside("gethostlatency", "-p {pid}", "-p {pid}",
                     [str(word, "utf-8") if isinstance(word, bytes) else word
                      for word in workload(lookups)], (PROGRAMS, PROGRAMS))
    assert len(assert_equal(watched, MASKS["text"]).splitlines()) == len(lookups)
