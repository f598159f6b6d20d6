# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""--pin DIR: the tool's maps can be read by others while it runs, and by nobody afterwards."""
from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from frontends import FRONTENDS, PATIENCE_S, WORKLOADS, Running, cgroup, in_cgroup, run
from support import pin_folder

both_frontends = pytest.mark.parametrize("frontend", FRONTENDS)
GETPGID = 121


@pytest.fixture(name="bpffs")
def bpf_file_system() -> Iterator[Path]:
    """A folder for the pins, not there yet."""
    with pin_folder() as folder:
        yield folder


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@both_frontends
def test_bpftool_reads_it(workloads, bpffs: Path, frontend: str, end: int) -> None:
    """23 calls are counted in the map while the tool runs; then folder and names are gone."""
    with cgroup() as group:
        tracer = Running(frontend, "syscount", ["--cgroup", str(group), "--pin", str(bpffs)], 1)
        try:
            tracer.wait_ready()
            deadline = time.monotonic() + PATIENCE_S    # BCC attaches before it gives names
            while not bpffs.exists() or len(list(bpffs.iterdir())) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert sorted(path.name for path in bpffs.iterdir()) == ["data", "start"]
            in_cgroup(group, [str(WORKLOADS / "calls"), "23"])
            read = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", str(bpffs / "data")],
                                  check=True, stdout=subprocess.PIPE)
            counts = {int.from_bytes(bytes(int(byte, 16) for byte in entry["key"]), "little"):
                      int.from_bytes(bytes(int(byte, 16) for byte in entry["value"][:8]), "little")
                      for entry in json.loads(read.stdout)}
            assert counts[GETPGID] == 23
            assert tracer.finish(end).status == 0
        finally:
            tracer.end()
    assert not bpffs.exists()


@both_frontends
def test_a_folder_that_is_there_stays(workloads, bpffs: Path, frontend: str) -> None:
    bpffs.mkdir()
    done = run(frontend, "readhist", ["--pin", str(bpffs), "--", "true"])
    assert done.status == 0
    assert list(bpffs.iterdir()) == []


@both_frontends
def test_a_name_that_is_taken(workloads, bpffs: Path, frontend: str) -> None:
    """Whose it is, it stays; what was pinned before it is removed."""
    bpffs.mkdir()
    taken = bpffs / "by_process_dist"
    subprocess.run(["bpftool", "map", "create", str(taken), "type", "hash", "key", "4", "value",
                    "4", "entries", "1", "name", "taken"], check=True)
    done = run(frontend, "readhist", ["--pin", str(bpffs), "--", "true"])
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr == (f"readhist: cannot pin the map 'by_process_dist' at '{taken}': "
                           "File exists\n").encode()
    assert list(bpffs.iterdir()) == [taken]


@pytest.mark.parametrize("folder, sentence", [
    ("{tmp}/here", "cannot pin the map '{map}' at '{tmp}/here/{map}': that is no bpf file system"),
    ("{tmp}/not/here", "cannot make the folder '{tmp}/not/here': No such file or directory"),
])
@pytest.mark.host_only
@both_frontends
def test_no_place(workloads, tmp_path: Path, frontend: str, folder: str, sentence: str) -> None:
    done = run(frontend, "opensnoop", ["--pin", folder.format(tmp=tmp_path), "--", "true"])
    assert (done.status, done.stdout) == (1, b"")
    # which map comes first is the compiler's
    shown = re.sub(r"'\w+'(.*)/\w+':", rf"'{{map}}'\1/{{map}}':", done.stderr.decode())
    said = sentence.format(tmp=tmp_path, map="{map}")
    assert shown == f"opensnoop: {said}\n"
    assert list(tmp_path.iterdir()) == []
