# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""opensnoop: both frontends against each other and against what the workload knows it did."""
from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Sequence

import pytest

from frontends import FORMATS, FRONTENDS, SLOWNESS, WORKLOADS, Watched, run, seconds, watch
from parity.pinned import filling, pinned_map  # noqa: F401  # pylint: disable=unused-import
from parity.same import STAMP, Masks, assert_same, csv_text, rising

PROGRAMS = 4
NOBODY = 65534
NAME_CHARS = 255
MARK = "…".encode()     # of what is cut; where a name has it, it is escaped
O_WRONLY, O_RDWR, O_CREAT, O_PATH = 0o1, 0o2, 0o100, 0o10000000
MISSING = "/bpfduet/missing"


@dataclass
class Open:
    """One event, as it must be shown."""

    pid: int
    fd: int
    err: int
    flags: int
    path: bytes
    comm: bytes = b"places"
    uid: int = 0
    cut: bool = False           # the name goes on
    start_cut: bool = False     # folders are missing in front


def steps(folder: Path) -> List[str]:
    """23 calls: every way to open, results and flags of several kinds."""
    file = str(folder / "file")
    return ["openat", MISSING, "open", file, "openat2", file,                           # 3
            "flags", "2", "open", file, "openat", file, "openat2", str(folder),         # 6
            "flags", "101", "creat", str(folder / "new"), "openat", str(folder),         # 8
            "flags", "2000000", "openat", file, "openat2", "relative",                  # 10
            "cd", str(folder), "flags", "0", "open", "file", "openat", "./file",        # 12
            "openat2", "../" + folder.name + "/file", "bad",                            # 14
            "dir", str(folder), "at", "file", "at2", "sub/inner", "at", file,           # 18
            "comm", "an other name", "open", "file", "openat", "/", "openat2", "",      # 21
            "flags", "1", "at", "sub", "at2", "sub/missing"]                            # 23


def expected(said: Sequence[Sequence[int]], words: Sequence[str], uid: int = 0) -> List[Open]:
    """The events of a run of the workload with these steps."""
    events, comm, lines = [], b"places", iter(said)
    rest = iter(words)
    for step in rest:
        name = "" if step == "bad" else next(rest)
        if step == "comm":
            comm = name.encode()
        elif step not in ("flags", "cd", "dirfd"):
            pid, fd, err, flags = next(lines)
            path = os.fsencode(name)
            events.append(Open(pid, fd, err, flags, path[:NAME_CHARS], comm, uid, len(path) > NAME_CHARS))
    assert next(lines, None) is None
    return events


@dataclass
class Columns:
    """Which columns are shown beside the usual ones."""

    time: bool = False
    uid: bool = False
    tid: bool = False
    flags: bool = False
    full: bool = False


def as_text(events: Sequence[Open], show: Columns) -> bytes:
    """What the BCC tool of that name would print, its times masked."""
    lines = [(b"TIME(s)       " if show.time else b"") + (b"UID   " if show.uid else b"")
             + b"%-6s %-16s %4s %3s " % (b"TID" if show.tid else b"PID", b"COMM", b"FD", b"ERR")
             + (b"%-9s" % b"FLAGS" if show.flags else b"") + b"PATH"]
    for e in events:
        lines.append((b"%-14s" % b"T" if show.time else b"")
                     + (b"%-6d" % e.uid if show.uid else b"")
                     + b"%-6d %-16s %4d %3d " % (e.pid, e.comm, e.fd, e.err)
                     + (b"%08o " % e.flags if show.flags else b"")
                     + MARK * e.start_cut + e.path + MARK * e.cut)
    return b"".join(line + b"\n" for line in lines)


def as_csv(events: Sequence[Open], show: Columns) -> bytes:
    """The same in CSV."""
    names = ["ts"] * show.time + ["uid"] * show.uid + ["tid" if show.tid else "pid"]
    names += ["comm", "fd", "err"] + ["flags"] * show.flags + ["path_start_cut"] * show.full + ["path", "path_cut"]
    out = ",".join(names).encode() + b"\n"
    for e in events:
        values = [b"T"] * show.time + [b"%d" % e.uid] * show.uid
        values += [b"%d" % e.pid, e.comm, b"%d" % e.fd, b"%d" % e.err]
        values += [b"%08o" % e.flags] * show.flags + [MARK * e.start_cut] * show.full
        values += [csv_text(e.path), MARK * e.cut]
        out += b",".join(values) + b"\n"
    return out


def as_json(events: Sequence[Open]) -> List[dict]:
    """The same as objects."""
    return [{"type": "event", "tool": "opensnoop", "data": {
        "ts": 0, "pid": e.pid, "tid": e.pid, "uid": e.uid, "fd": e.fd, "err": e.err,
        "flags": e.flags, "comm": e.comm.decode(), "path_start_cut": e.start_cut, "path_cut": e.cut,
        "path": e.path.decode()}} for e in events]


def check(watched: Watched, events: Sequence[Open], show: Optional[Columns] = None) -> None:
    """All outputs are the same, and those of these events."""
    show = show or Columns()
    formats = {form for _, form in watched.results}
    masks: Masks = {"json": [STAMP]}
    if show.time:
        # the whole field, 14 wide
        masks["text"] = [(rb"^(?=\d+\.\d{9} +)[\d. ]{14}", b"%-14s" % b"T")]
        masks["csv"] = [(rb"^\d+\.\d{9},", b"T,")]
    same = assert_same(watched, masks, sorted(formats))
    assert same["text"] == as_text(events, show)
    if show.time:
        for frontend in FRONTENDS:
            times = [float(line[:14]) for line in watched.results[frontend, "text"].lines()[1:]]
            assert rising(times) and times[0] == 0
    if formats == {"text"}:
        return
    assert [json.loads(line) for line in same["json"].splitlines()] == as_json(events)
    assert same["csv"] == as_csv(events, show)
    for frontend in FRONTENDS:
        stamps = [found["data"]["ts"] for found in watched.results[frontend, "json"].objects()]
        assert rising(stamps)
        assert all(0 < time.monotonic_ns() - stamp < 60e9 for stamp in stamps)


@pytest.fixture(name="folder")
def folder_of_files(tmp_path: Path, workloads: Path) -> Path:
    """A folder with a few files."""
    assert workloads == WORKLOADS
    (tmp_path / "file").write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner").write_text("x")
    return tmp_path


def places(words: Sequence[str]) -> List[str]:
    """The command line of the workload."""
    return [str(WORKLOADS / "places"), *words]


@pytest.mark.parametrize("args, keep, show", [
    ("", lambda e: True, Columns()),
    ("-T", lambda e: True, Columns(time=True)),
    ("-U -e", lambda e: True, Columns(uid=True, flags=True)),
    ("-x", lambda e: e.err, Columns()),
    ("-T -U -e -x", lambda e: e.err, Columns(True, True, False, True)),
    ("-n othe", lambda e: b"othe" in e.comm, Columns()),
    ("-n places -b 8", lambda e: e.comm == b"places", Columns()),
    ("--comm places", lambda e: e.comm == b"places", Columns()),
    ("--comm place", lambda e: False, Columns()),
    ("--comm=", lambda e: e.comm == b"", Columns()),
    ("-f O_WRONLY -f O_RDWR -e", lambda e: e.flags & (O_WRONLY | O_RDWR), Columns(flags=True)),
    ("-f O_CREAT|O_PATH", lambda e: e.flags & (O_CREAT | O_PATH), Columns()),
    ("-x -f O_WRONLY", lambda e: e.err and e.flags & O_WRONLY, Columns()),
    ("-u 0 -U", lambda e: True, Columns(uid=True)),
    ("-u nobody", lambda e: False, Columns()),
    ("-u 4294967295", lambda e: False, Columns()),
])
def test_options(folder: Path, args: str, keep, show: Columns) -> None:
    words = steps(folder)
    if args == "--comm=":   # a name that a thread can have
        words[:0] = ["comm", "", "open", MISSING, "comm", "places"]
    formats = FORMATS if show != Columns() or not args else ("text",)
    watched = watch("opensnoop", args.split(), places(words), PROGRAMS, formats)
    events = expected(watched.said, words)
    assert len(events) == 23 + (args == "--comm=")
    check(watched, [event for event in events if keep(event)], show)


# Each flag alone, and such as are bits of others; access mode 3 is neither for reading nor for writing.
FLAGS = [0, 1, 2, 3, 0o100, 0o200, 0o400, 0o1000, 0o2001, 0o4000, 0o10001, 0o20000, 0o40000, 0o100002, 0o200000,
         0o400000, 0o1000000, 0o2000000, 0o4010001, 0o4010000, 0o10000000, 0o20200002, 0o20000001]


def has(flags: int, name: str) -> bool:
    """Whether a call's flags are called so."""
    value = 0o100000 if name == "O_LARGEFILE" else getattr(os, name)     # which glibc has as 0
    return flags & os.O_ACCMODE == value if value <= os.O_ACCMODE else flags & value == value


@pytest.mark.first_in_guests
@pytest.mark.parametrize("names", [
    "O_RDONLY", "O_WRONLY", "O_RDONLY|O_RDWR", "O_SYNC", "O_RSYNC|O_TMPFILE", "O_TMPFILE", "O_DSYNC",
    "O_DIRECTORY", "O_CREAT|O_EXCL|O_NOCTTY|O_TRUNC", "O_APPEND|O_NONBLOCK|O_ASYNC|O_DIRECT", "O_NDELAY",
    "O_LARGEFILE|O_NOFOLLOW", "O_NOATIME|O_CLOEXEC|O_PATH"])
def test_flags(workloads: Path, names: str) -> None:
    """A flag is there if all of its bits are; the access mode is a number, of which 0 is O_RDONLY."""
    words = ["creat", MISSING]
    for index, flags in enumerate(FLAGS):
        words += ["flags", f"{flags:o}", ("open", "openat", "openat2")[index % 3], MISSING]
    watched = watch("opensnoop", ["-e", "-f", names], places(words), PROGRAMS, ["text"])
    events = [one for one in expected(watched.said, words)
              if any(has(one.flags, name) for name in names.split("|"))]
    assert 0 < len(events) < len(FLAGS)
    check(watched, events, Columns(flags=True))


@pytest.mark.parametrize("args, uid, show", [
    (["-p", "{pid}"], None, Columns()),
    (["-t", "{pid}", "-T"], None, Columns(time=True, tid=True)),
    (["-u", "nobody", "-U"], NOBODY, Columns(uid=True)),
    (["-u", str(NOBODY)], NOBODY, Columns()),
])
def test_who(folder: Path, args: List[str], uid: Optional[int], show: Columns) -> None:
    """Another process in the same cgroup is left out."""
    words = steps(folder)
    if uid:     # who may not enter the folder
        words = ["open", MISSING, "openat", str(folder), "openat2", "/", "bad"] * 6
    watched = watch("opensnoop", args, places(words), PROGRAMS, uid=uid,
                    bystander=places(["open", MISSING] * 7))
    events = expected(watched.said, words, uid or 0)
    assert len(events) >= 23
    check(watched, events, show)


@pytest.mark.parametrize("loop", ["open", "creat", "openat", "openat2"])
def test_count(workloads: Path, loop: str) -> None:
    """As many lines as calls, be they fast."""
    watched = watch("opensnoop", [], places([loop, MISSING] * 997), PROGRAMS, ["text"])
    check(watched, [Open(watched.pid, -1, 2, 0, MISSING.encode())] * 997)


def deep(folder: Path, depth: int) -> Path:
    """A folder so many levels below."""
    for level in range(depth):
        folder = folder / f"d{level}"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    return folder


@pytest.fixture(name="mounted")
def folder_elsewhere() -> Iterator[Path]:
    """A folder of another file system."""
    folder = Path(f"/dev/shm/bpfduet-{os.getpid()}/inner")
    folder.mkdir(parents=True)
    yield folder
    folder.rmdir()
    folder.parent.rmdir()


def test_full_path(folder: Path, mounted: Path) -> None:
    """-F: names relative to the current directory or to that of a descriptor.

    One run for all cases: the kernel checks the three programs for a second or two.
    """
    low, lowest = deep(folder / "low", 30), deep(folder / "lowest", 70)
    top, shm = str(folder), str(mounted)
    long = "n" * 255
    cases = [   # steps, and what is to be shown for each that opens
        (["openat", MISSING], MISSING),
        (["openat2", "relative"], os.path.join(os.getcwd(), "relative")),
        (["cd", top, "open", "file"], f"{top}/file"),
        (["openat", "./file"], f"{top}/./file"),
        (["openat2", "sub/../file"], f"{top}/sub/../file"),
        (["bad"], top),
        (["dir", f"{top}/sub"], f"{top}/sub"),
        (["at", "inner"], f"{top}/sub/inner"),
        (["at2", "missing"], f"{top}/sub/missing"),
        (["at", f"{top}/file"], f"{top}/file"),
        (["dirfd", "-100", "at2", "file"], f"{top}/file"),
        (["cd", "/", "open", "dev/null"], "/dev/null"),
        # across the root of a mounted file system
        (["cd", shm, "openat", "x"], f"{shm}/x"),
        (["openat2", "../y"], f"{shm}/../y"),
        (["cd", "/dev/shm", "open", "z"], "/dev/shm/z"),
        (["cd", "/proc/self", "open", "comm"], "/proc/PID/comm"),
        (["dir", "/dev/shm"], "/dev/shm"),
        (["at2", "q"], "/dev/shm/q"),
        # no descriptors, and one of a pipe: nothing is made up
        (["dirfd", "-5", "at", "name"], "name"),
        (["dirfd", "77", "at", "name"], "name"),
        (["dirfd", "77", "at2", "name"], "name"),
        (["dirfd", "2000000000", "at", "name"], "name"),
        (["dirfd", "1", "at", "name"], "name"),
        # the first 255 bytes of a name are shown
        (["cd", top, "openat", long], f"{top}/{long}"),
        (["openat2", long + "x"], f"{top}/{long}"),
        (["open", "m" * 5000], f"{top}/{'m' * 255}"),
        (["open", "/" + "s/" * 200], "/" + "s/" * 127),
        (["cd", str(low), "openat", "file"], f"{low}/file"),
        # deeper than it climbs: the inner part, and not as if that began at the root
        (["cd", str(lowest), "openat", "file"], "INNER"),
    ]
    words = [word for step, _ in cases for word in step]
    watched = watch("opensnoop", ["-F", "-e"], places(words), PROGRAMS)
    events = expected(watched.said, words)
    for event, (_, path) in zip(events, cases):
        event.path = path.replace("PID", str(watched.pid)).encode()
    shown = watched.results["c", "json"].objects()[-1]["data"]["path"].encode()
    assert os.fsencode(lowest / "file").endswith(b"/" + shown) and shown.count(b"/") >= 40
    assert not shown.startswith(b"/")
    events[-1].path, events[-1].start_cut = shown, True
    check(watched, events, Columns(flags=True, full=True))


def test_long_names(folder: Path) -> None:
    """255 bytes of a name are shown, and a mark if there are more."""
    words = ["cd", str(folder)]
    for size in (254, 255, 256, 300, 4094, 5000):
        words += ["openat", "n" * size, "openat2", "/" + "m" * (size - 1)]
    watched = watch("opensnoop", [], places(words), PROGRAMS)
    events = expected(watched.said, words)
    assert [event.cut for event in events] == [False] * 4 + [True] * 8
    check(watched, events)


def test_odd_names(workloads: Path) -> None:
    """Names are escaped: control bytes, bad UTF-8, what cheats the eye."""
    names = {b"\x1b[31mred": rb"\x1b[31mred", b"line\nline": rb"line\x0aline", b"\xff\xfe": rb"\xff\xfe",
             "\u00e9t\u00e9".encode(): "\u00e9t\u00e9".encode(), b"\xe2\x80\xae": rb"\xe2\x80\xae",
             MARK: rb"\xe2\x80\xa6", b'a,"b"': b'a,"b"', b"back\\slash": b"back\\slash", b"\xc0\x80": rb"\xc0\x80"}
    words: List[str] = []
    for name in names:
        words += ["openat", os.fsdecode(b"/bpfduet/" + name)]
    watched = watch("opensnoop", [], places(words), PROGRAMS)
    events = [Open(watched.pid, -1, 2, 0, b"/bpfduet/" + shown) for shown in names.values()]
    same = assert_same(watched, {"json": [STAMP]})
    assert same["text"] == as_text(events, Columns())
    assert same["csv"] == as_csv(events, Columns())
    paths = [found["data"]["path"] for found in watched.results["c", "json"].objects()]
    plain = [name.decode(errors="backslashreplace") for name in names]
    assert paths == ["/bpfduet/" + name for name in plain]


@pytest.mark.parametrize("option", ["--cgroupmap", "--mntnsmap"])
@pytest.mark.parametrize("inside", [True, False])
def test_pinned_map(folder: Path, pinned: Path, option: str, inside: bool) -> None:
    """Only tasks whose cgroup or mount namespace is in the map."""
    words = steps(folder)
    watched = watch("opensnoop", [option, str(pinned)], places(words), PROGRAMS, ["text"],
                    prepare=filling(pinned, option, inside))
    check(watched, expected(watched.said, words) if inside else [])


def test_duration(workloads: Path) -> None:
    """-d ends the run by itself, at about that time."""
    began = time.monotonic()
    watched = watch("opensnoop", ["-d", seconds(2)], places(["open", MISSING] * 23), PROGRAMS,
                    ["text"], end=None)
    assert 2 <= (time.monotonic() - began) / SLOWNESS < 15
    check(watched, [Open(watched.pid, -1, 2, 0, MISSING.encode())] * 23)


def test_command(folder: Path) -> None:
    """-- COMMAND: it alone, in both; its PID differs between two runs of it."""
    words = steps(folder)
    outputs = []
    for frontend in FRONTENDS:
        (folder / "new").unlink(missing_ok=True)
        done = run(frontend, "opensnoop", ["-e", "--", *places(words)])
        assert done.status == 0 and done.stderr == b""
        said, shown = [], []
        for line in done.stdout.splitlines(keepends=True):
            words_of = line.split()
            (said if len(words_of) == 4 and words_of[0].isdigit() else shown).append(line)
        pids = {int(line.split()[0]) for line in said}
        assert len(pids) == 1
        events = expected([[int(line.split()[0]), int(line.split()[1]), int(line.split()[2]),
                            int(line.split()[3])] for line in said], words)
        assert len(events) == 23
        assert b"".join(shown) == as_text(events, Columns(flags=True))
        outputs.append(b"".join(shown).replace(b"%-6d" % pids.pop(), b"PID   "))
    assert outputs[0] == outputs[1]
