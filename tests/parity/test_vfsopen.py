# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""vfsopen: the whole path of what is opened, however it was named, in both frontends."""
from __future__ import annotations

import json
from pathlib import Path
from typing import List, Tuple

import pytest

from frontends import FRONTENDS, WORKLOADS, Watched, run, watch
from needs import NEEDS
from parity.by_kprobes import by_kprobes
from parity.same import STAMP, Masks, assert_same, rising

PLACES = str(WORKLOADS / "places")
NO_KPROBES = b"vfsopen: this kernel has no kprobes, which this tool needs (for vfs_open)\n"
O_LARGEFILE, O_WRONLY = 0o100000, 0o1
Opened = Tuple[str, int]    # path and flags


@pytest.fixture(name="folder")
def own_folder(tmp_path: Path) -> Path:
    """On a file system that is not the root's: the walk goes through a mount point."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep,\x1b").write_text("y")
    return tmp_path


def steps(folder: Path) -> Tuple[List[str], List[Opened]]:
    """What the workload does, and what of it is opened."""
    file, deep = str(folder / "file"), str(folder / "inner" / "deep,\x1b")
    words = ["cd", str(folder)]
    opened = []
    for _ in range(7):
        words += ["open", "./file", "openat", "link", "openat2", "inner/../inner/deep,\x1b"]
        opened += [(path, O_LARGEFILE) for path in (file, file, deep)]
    words += ["open", "missing", "flags", "1", "openat", file, "flags", "0", "open", "/dev/null"]
    opened += [(file, O_LARGEFILE | O_WRONLY), ("/dev/null", O_LARGEFILE)]
    return [PLACES, *words], opened


def text_lines(watched: Watched, opened: List[Opened], comm: str = "places") -> List[bytes]:
    return [b"%-6d %-16s %s" % (watched.pid, comm.encode(), path.replace("\x1b", "\\x1b").encode())
            for path, _ in opened]


HEAD = b"PID    COMM             PATH"
ONLY = ["--comm", "places"]     # hold's exec opens its program, on the root file system
MASKS: Masks = {"json": [STAMP]}


@pytest.mark.needs("kprobes")
def test_opens(workloads, folder: Path, tmp_path_factory) -> None:
    """23 of them, by fentry and by a kprobe."""
    words, opened = steps(folder)
    assert len(opened) == 23
    older = by_kprobes("vfsopen", ONLY, 1, tmp_path_factory.mktemp("btf"))
    watched = watch("vfsopen", ONLY, words, 1, others={"kprobes": older})
    same = assert_same(watched, MASKS)
    assert same["text"].splitlines() == [HEAD, *text_lines(watched, opened)]
    assert watched.out("kprobes") == same["text"]
    quoted = [f'"{path}"' if "," in path else path for path, _ in opened]
    assert same["csv"].decode().splitlines() == [
        "pid,comm,path_start_cut,path", *[f"{watched.pid},places,,{path}".replace("\x1b", "\\x1b")
                           for path in quoted]]
    events = [json.loads(line)["data"] for line in same["json"].splitlines()]
    assert events == [{"ts": 0, "pid": watched.pid, "uid": 0, "flags": flags, "comm": "places",
                       "path_start_cut": False, "path": path} for path, flags in opened]


@pytest.mark.needs("kprobes")
def test_deep(workloads, folder: Path) -> None:
    """A path of which the beginning is missing says so."""
    deepest = folder.joinpath(*(f"d{level}" for level in range(70)))
    deepest.mkdir(parents=True)
    (deepest / "file").write_text("x")
    watched = watch("vfsopen", ONLY, [PLACES, "openat", str(deepest / "file"), "open", str(folder / "file")], 1)
    same = assert_same(watched, MASKS)
    deep, plain = [json.loads(line)["data"] for line in same["json"].splitlines()]
    assert (deep["path_start_cut"], plain["path_start_cut"]) == (True, False)
    assert str(deepest / "file").endswith("/" + deep["path"]) and deep["path"].count("/") == 47
    assert [line.split()[2].decode() for line in same["text"].splitlines()[1:]] == [
        "…" + deep["path"], plain["path"]]
    assert [line.split(",")[2:] for line in same["csv"].decode().splitlines()[1:]] == [
        ["…", deep["path"]], ["", plain["path"]]]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("args, shown", [
    ("-p {pid}", 23), ("-t {pid}", 23), ("-u 0", 23), ("-n lace", 23), ("--path /inner/deep", 7),
    ("-b 512", 23), ("-p 1", 0), ("-u nobody", 0), ("-n lacy", 0), ("--path /missing", 0)])
def test_filters(workloads, folder: Path, args: str, shown: int) -> None:
    words, opened = steps(folder)
    watched = watch("vfsopen", [*ONLY, *args.split()], words, 1, ["text"])
    same = assert_same(watched, MASKS, ["text"])
    wanted = [one for one in opened if shown == 23 or (shown and "/inner/deep" in one[0])]
    assert len(wanted) == shown
    assert same["text"].splitlines() == [HEAD, *text_lines(watched, wanted)]


@pytest.mark.needs("kprobes")
def test_columns(workloads, folder: Path) -> None:
    """-T, -U and -e."""
    words, opened = steps(folder)
    watched = watch("vfsopen", [*ONLY, "-T", "-U", "-e"], words, 1, ["text"])
    for frontend in FRONTENDS:
        head, *lines = watched.results[frontend, "text"].lines()
        assert head == b"TIME(s)       UID   PID    COMM             FLAGS    PATH"
        assert lines[0].startswith(b"0.000000000   0     ")
        assert rising([float(line[:14]) for line in lines])
        assert [line[20:].decode() for line in lines] == [
            f"{watched.pid:<6} {'places':16} {flags:08o} {path}".replace("\x1b", "\\x1b")
            for path, flags in opened]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, folder: Path, frontend: str) -> None:
    done = run(frontend, "vfsopen", ["-d", "1000", "--path", f"{folder}/file", "--", PLACES,
                                     "open", str(folder / "file"), "openat", str(folder)])
    assert done.status == 0 and done.stderr == b""
    lines = [line for line in done.stdout.splitlines() if b"places" in line]
    assert [line.split()[2] for line in lines] == [str(folder / "file").encode()]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_kernel(tracefs, frontend: str) -> None:
    """Without kprobes and trampolines: one sentence."""
    done = run(frontend, "vfsopen", ["--", "/bin/true"])
    if NEEDS["kprobes"]():
        assert done.status == 0 and done.stdout.startswith(HEAD)
    else:
        assert (done.status, done.stdout, done.stderr) == (1, b"", NO_KPROBES)
