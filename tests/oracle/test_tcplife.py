# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""tcplife beside the stock one, on the same transfers of 500 KB: the same text."""
from __future__ import annotations

import pytest

from frontends import FRONTENDS, WORKLOADS, watch
from oracle.stock import file_of
from oracle.test_stock import stock
from parity.network import own_network
from parity.same import masked
from parity.test_tcplife import MASKS

PORT = "4711"


# The port keeps the stock tool off other connections. With -p alone it also shows the client's
# ends as the server's, since the server runs when they are closed.
@pytest.mark.host_only
@pytest.mark.needs("netns")
@pytest.mark.parametrize("args", [
    "-L 4711 -p {pid}", "-L 4711", "-D 4711", "-D 80,4711", "-wD 4711", "-tTL 4711", "-sD 4711",
    "-stTwL 4711 -p {pid}", "-4D 4711", "-6D 4711", "-L 80"])
@pytest.mark.parametrize("kind", ["4", "6"])
def test_tcplife(workloads, args: str, kind: str) -> None:
    workload = [str(WORKLOADS / "transfer"), kind, "11", str(500 * 1024), str(23 * 1024), "client",
                PORT]
    with own_network():
        watched = watch("tcplife", args.split(), workload, 1, ["text"],
                        others={"stock": (stock("tcplife", args), 1)})
    masks = MASKS["csv" if "s" in args.split("-")[1] else "text"]
    if args.startswith("-w") and "%-39s" in file_of("tcplife").read_text():
        masks = [*masks, (rb" +", b" ")]    # from BCC 0.29 on the columns of addresses are wider
    theirs = masked(watched.out("stock"), masks)
    family = args[:2] not in ("-4", "-6") or args[1] == kind
    assert len(theirs.splitlines()) == 1 + 11 * (family and args != "-L 80")
    for frontend in FRONTENDS:
        assert masked(watched.out(frontend), masks) == theirs
