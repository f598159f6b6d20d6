# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The stock BCC tools beside ours, on the same workload at the same time: the same text."""
from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from frontends import FRONTENDS, ROOT, WORKLOADS, Watched, watch
from oracle.stock import CHANGES, file_of
from parity.pinned import filling, pinned_map  # noqa: F401  # pylint: disable=unused-import
from parity.same import masked

for _tool in CHANGES:
    if not file_of(_tool).exists():
        pytest.skip(f"{file_of(_tool).name} (package bpfcc-tools) is not installed",
                    allow_module_level=True)

MISSING = "/bpfduet/missing"
LEAVE = str(WORKLOADS / "leave")
CALLS = str(WORKLOADS / "calls")


def stock(tool: str, args: str) -> List[str]:
    """The command line of the stock tool. Unbuffered: it prints to sys.stdout and below it in turn."""
    return [sys.executable, "-u", str(ROOT / "tests" / "oracle" / "stock.py"), tool, *args.split()]


def beside(tool: str, args: str, theirs: str, workload: List[str], programs: Tuple[int, int],
           **kwargs) -> Watched:
    """Our tool with ``args`` and the stock one with ``theirs``; programs of each."""
    return watch(tool, args.split(), workload, programs[0], ["text"],
                 others={"stock": (stock(tool, theirs), programs[1])}, **kwargs)


def assert_equal(watched: Watched, masks: List[Tuple[bytes, bytes]]) -> bytes:
    """The text of all three is the same; returns it."""
    texts = {name: masked(watched.out(name), masks) for name in ("stock", *FRONTENDS)}
    assert texts["stock"] == texts["c"]
    assert texts["stock"] == texts["bcc"]
    return texts["stock"]


@pytest.mark.host_only
@pytest.mark.parametrize("args", [
    "-p {pid}", "-t {pid} -U", "-p {pid} -T", "-p {pid} -x", "-p {pid} -e -U",
    "-p {pid} -n plac", "-p {pid} -e -f O_WRONLY -f O_RDWR", "-p {pid} -u 0 -T -U -e -x",
    pytest.param("-p {pid} -F", marks=pytest.mark.needs("whole root"))])
def test_opensnoop(workloads, tmp_path: Path, args: str) -> None:
    (tmp_path / "file").write_text("x")
    file = str(tmp_path / "file")
    words = ["open", MISSING, "openat", file, "openat2", file, "flags", "2", "open", file,
             "openat", file, "flags", "2000101", "openat2", str(tmp_path / "new"), "open",
             str(tmp_path), "flags", "0", "cd", str(tmp_path), "openat", "file", "open", "./file",
             "openat", "n" * 200, "comm", "other name", "open", "file"]
    if "-F" in args:    # the stock tool does not look across mounts, nor for dirfd
        words = words[:6] + ["cd", "/etc", "open", "x"]
    watched = beside("opensnoop", args, args, [str(workloads / "places"), *words], (4, 6))
    mask = [(rb"^(?=\d+\.\d{9} +)[\d. ]{14}", b"T" * 14)] if "-T" in args else []
    text = assert_equal(watched, mask)
    assert len(text.splitlines()) > (3 if "-x" in args or "-F" in args else 4)


@pytest.mark.host_only
@pytest.mark.parametrize("args", [
    "", "-x", "-x -q", "-U -T", "-t", "-x -n exec", "-l again.[13]", "-P {pid} -x",
    "-x --max-args 7", "--max-args 21"])
def test_execsnoop(workloads, pinned: Path, args: str) -> None:
    """The stock one can only be limited by a pinned map."""
    # no empty argument: the stock tool loses it on Linux 6.12 and before
    execs = [[LEAVE, "leave"], [LEAVE, "other", "a", "b c", 'quo"te'],
             ["/bpfduet/missing", "x", "1"], ["/tmp", "folder"], [LEAVE, "leave", *["many"] * 18],
             [LEAVE, "leave", *["many"] * 30], [LEAVE, "leave", "y" * 127, "end"],
             [LEAVE, "leave", "z" * 128, "end"], [LEAVE, "leave", "w" * 300, "end"],
             *[[LEAVE, "leave", "again", str(n)] for n in range(4)]]
    words = [str(workloads / "execs")]
    for index, one in enumerate(execs):
        words += ["--"] * (index > 0) + ["execve", *one]
    both = f"{args} --cgroupmap {pinned}"
    watched = beside("execsnoop", both, both, words, (4, 2),
                     prepare=filling(pinned, "--cgroupmap", True))
    masks = [("…$".encode(), b"")]     # the stock tool does not mark what it cuts
    if "-T" in args:
        masks.append((rb"^\d\d:\d\d:\d\d ", b"WALL     "))
    if "-t" in args:
        masks.append((rb"^(?=-?\d+\.\d{3} +)[-\d. ]{8}", b"ELAPSED "))
    text = assert_equal(watched, masks)
    assert len(text.splitlines()) > 2


@pytest.mark.host_only
@pytest.mark.parametrize("args", ["-T 100", "-x", "-e ENOENT", "--syscall getpgid", "-x --syscall access",
                                  "-T 2", "-P", "-L --syscall getpgid", "-L -m --syscall access",
                                  "-P -x"])
def test_syscount(workloads, args: str) -> None:
    """As it is: it needs no kprobe. The banner, which is ours on stderr, and a last word are more."""
    args = f"-p {{pid}} {args}"
    programs = 2 if "-L" in args else 1
    watched = beside("syscount", args, args, [CALLS, "23"], (programs, programs))
    masks = [(rb"^\[\d\d:\d\d:\d\d\]$", b"[TIME]"),
             # theirs asks for the name of a process that has ended, ours shows the first; 15 wide
             (rb"^(\d+ +)(\[unknown\]      |hold           |calls          ) ", rb"\1NAME ")]
    if "-L" in args:
        masks.append((rb"(?= *\d+\.(\d{3}|\d{6})$)[ \d.]{16}$", b"T"))
    text = masked(watched.out("stock"), masks)
    for name in FRONTENDS:
        result = watched.results[name, "text"]
        ours = result.stderr + masked(result.stdout, masks) + b"Detaching...\n"
        # the stock tool prints rows of one count in the order of their hash map, new each time
        assert sorted(ours.splitlines()) == sorted(text.splitlines())
        counts = [re.findall(rb" (\d+)$", one, re.MULTILINE) for one in (ours, text)]
        assert counts[0] == counts[1]
    assert re.search(rb" (23|[4-9]\d)\b", text)
