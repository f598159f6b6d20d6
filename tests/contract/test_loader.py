# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet-loader: its own objects, foreign ones, and what is none."""
from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import List

import pytest

from frontends import BIN, BUILD, Running, run
from support import (SPDX, compile_bpf, counting_tool, held, one_sentence, opens, seen, still_there,
                     trace_pipe_is_free)
from support import run as run_argv

LOADER = str(BIN / "bpfduet-loader")

FOREIGN = f"""// {SPDX}
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tracepoint/sched/sched_process_exec")
int say(void *ctx)
{{
	bpf_printk("foreign");
	return 0;
}}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"""


def loader(*args: object) -> List[str]:
    """A command line of the loader."""
    return [LOADER, *map(str, args)]


@pytest.mark.host_only
@pytest.mark.parametrize("tool", ["hello", "opensnoop", "execsnoop", "syscount", "readhist"])
def test_help_of_own_objects(tool: str) -> None:
    """The object's own help, the same bytes as the tool's."""
    result = run_argv(loader(BUILD / "bpf" / f"{tool}.bpf.o", "--help"))
    assert result == run("c", tool, ["--help"])


@pytest.mark.parametrize("output", ["text", "csv"])
def test_own_object(workloads: Path, output: str) -> None:
    """It runs like the tool."""
    args = ["--format", output, "--", *opens(workloads, 23)]
    result = run_argv(loader(BUILD / "bpf" / "opensnoop.bpf.o", *args))
    assert (result.status, result.stderr, seen(result)) == (0, b"", 23)
    tool = run("c", "opensnoop", args)
    hide = re.compile(rb"\b\d{2,}\b *")     # PIDs, and their padding
    assert hide.sub(b"", result.stdout) == hide.sub(b"", tool.stdout)


@pytest.mark.parametrize("args", [[], ["--full-path"]])
def test_verbose(args: List[str]) -> None:
    """-v shows what libbpf says of the load that counts, not of one that was only tried: with
    --full-path the kernel refuses the programs without their relocations."""
    result = run("c", "opensnoop", ["-v", *args, "--", "true"])
    assert result.status == 0
    assert result.stderr.count(b"libbpf: loading object 'opensnoop' from buffer") == 1
    assert b"LOAD LOG" not in result.stderr and b"load failed" not in result.stderr


@pytest.mark.host_only
def test_own_object_usage() -> None:
    """Sentences are the tool's."""
    result = run_argv(loader(BUILD / "bpf" / "opensnoop.bpf.o", "-p", "x"))
    assert result == run("c", "opensnoop", ["-p", "x"]) and result.status == 2


@pytest.fixture(name="foreign", scope="module")
def fixture_foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object that knows nothing of bpfduet and printk's."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "foreign.bpf.c").write_text(FOREIGN)
    return compile_bpf(folder / "foreign.bpf.c", folder / "foreign.o")


@pytest.mark.parametrize("output", ["text", "json", "csv"])
def test_foreign_object(foreign: Path, tmp_path: Path, output: str) -> None:
    """It is attached, the trace pipe followed until SIGINT, without raw bytes of anybody's."""
    program = tmp_path / "\x1b[31mtrue"
    program.symlink_to("/bin/true")
    trace_pipe_is_free()
    tracer = Running("c", "foreign", [], 1, argv=loader(foreign, "--format", output))
    try:
        tracer.wait_ready()
        mine = held(tracer.process.pid)
        pids = []
        for _ in range(23):
            with subprocess.Popen([str(program)]) as process:
                pids.append(process.pid)
        tracer.settle()
        result = tracer.finish(signal.SIGINT)
    finally:
        tracer.end()
    assert (result.status, result.stderr) == (0, b"")
    ours = [line for line in result.lines() if b"foreign" in line
            and re.search(rb"\b(?:%s)\b" % b"|".join(b"%d" % pid for pid in pids), line)]
    assert len(ours) == 23      # not by name: the kernel shows <...> for one it has not noted
    assert b"\x1b" not in result.stdout
    assert (b"\\u001b[31mtrue" if output == "json" else b"\\x1b[31mtrue") in result.stdout
    if output == "json":
        assert {one["type"] for one in result.objects()} == {"printk"}
    assert still_there(mine) == set()


@pytest.mark.host_only
@pytest.mark.parametrize("args, sentence", [
    (["--", "true"], "this tool cannot be limited to a cgroup")])
def test_foreign_object_cannot_be_limited(foreign: Path, args: List[str], sentence: str) -> None:
    """What an object that knows no filters cannot do."""
    result = run_argv(loader(foreign, *args))
    assert (result.status, one_sentence(result, "bpfduet-loader")) == (1, sentence)


@pytest.mark.host_only
def test_damaged_objects(tmp_path: Path) -> None:
    """Garbage, nothing, other ELF files: one sentence."""
    for content in (b"", b"\0", b"garbage\n" * 100, b"\x7fELF", b"\x7fELF" + b"\xff" * 2000,
                    Path("/bin/true").read_bytes()):
        path = tmp_path / "object"
        path.write_bytes(content)
        result = run_argv(loader(path))
        assert result.status == 1
        assert one_sentence(result, "bpfduet-loader")


@pytest.mark.host_only
def test_truncated_objects(tmp_path: Path) -> None:
    """An object cut anywhere: an error, never a crash. --help needs the spec alone."""
    whole = (BUILD / "bpf" / "opensnoop.bpf.o").read_bytes()
    path = tmp_path / "cut.o"
    for part in range(40):
        path.write_bytes(whole[:len(whole) * part // 40])
        result = run_argv(loader(path, "--duration", "1"))
        assert result.status == 1, (part, result)
        assert b"bpfduet-loader: " in result.stderr or b"opensnoop: " in result.stderr


@pytest.mark.host_only
def test_flipped_bits(tmp_path: Path) -> None:
    """Headers with damaged numbers: never killed by a signal."""
    whole = bytearray((BUILD / "bpf" / "syscount.bpf.o").read_bytes())
    table = int.from_bytes(whole[0x28:0x30], "little")      # e_shoff
    path = tmp_path / "flipped.o"
    for place in [*range(0x10, 0x40, 5), *range(table, table + 0x40 * 12, 23)]:
        damaged = bytearray(whole)
        damaged[place] ^= 0xff
        path.write_bytes(damaged)
        result = run_argv(loader(path, "--format", "csv", "--", "true"))
        assert result.status in (0, 1, 2), (place, result)


@pytest.mark.host_only
def test_special_files(tmp_path: Path) -> None:
    """A folder, a missing file, one that may not be read, a name with hostile bytes."""
    for path, reason in ((tmp_path, "Is a directory"),
                         (tmp_path / "no", "No such file or directory")):
        result = run_argv(loader(path))
        assert result.status == 1
        assert one_sentence(result, "bpfduet-loader") == f"cannot read '{path}': {reason}"
    result = run_argv([os.fsencode(LOADER), b"/missing/\x1b[31m\xff"])
    assert result.stderr == (b"bpfduet-loader: cannot read '/missing/\\x1b[31m\\xff': "
                             b"No such file or directory\n")


def test_object_of_a_tool_of_ones_own(tmp_path: Path) -> None:
    """Built by hand, without the spec: foreign, and it has nothing to say."""
    linked = compile_bpf(counting_tool(tmp_path, "bare"), tmp_path / "bare.o")
    trace_pipe_is_free()
    result = run_argv(loader(linked, "--duration", "1", "--format", "csv"))
    assert (result.status, result.stderr) == (0, b"")
    assert result.lines()[0] == b"time,comm,pid,cpu,message"
