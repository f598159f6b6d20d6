# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What objects of BCC's hold besides plain maps, and the sentences about what they cannot."""
from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from frontends import Result, run
from needs import mount_bpffs
from support import SPDX, bpftool, one_sentence, write_tool

pytestmark = pytest.mark.host_only

COUNTS = """summary = "test"

[[report]]
map = "counts"
columns = [{ field = "value", heading = "COUNT" }]
"""
EXEC = "TRACEPOINT_PROBE(sched, sched_process_exec)\n{\n%s\treturn 0;\n}\n"
COUNT = "\tif (task_matches())\n\t\tcounts.atomic_increment(0);\n"


def tool(folder: Path, name: str, declared: str, body: str = "", more: str = "",
         spec: str = "") -> Path:
    """A tool that counts execs, and does more."""
    return write_tool(folder, name, f'// {SPDX}\n#include "bpfduet.h"\n\nBPF_ARRAY(counts, u64, 1);\n'
                      f"{declared}\n{EXEC % (COUNT + body)}{more}LICENSE(\"GPL\");\n", COUNTS + spec)


def counted(result: Result) -> int:
    """What such a tool has counted."""
    assert (result.status, result.stderr) == (0, b""), result
    return int(result.lines()[-1])


PACKETS = '[programs]\nxdp__pass = { interface = "lo", when = "packets" }\n\n' \
    '[options]\npackets = { help = "packets, too" }\n'
REDIRECT = "XDP(pass)\n{\n\treturn things.redirect_map(0, 0);\n}\n"
# Maps that nothing here fills, but for whoever finds them by --pin.
MAPS = {
    "programs": ("BPF_PROG_ARRAY(things, 4);", "\tthings.call(args, 3);\n", "", "", "prog_array"),
    "groups": ("BPF_CGROUP_ARRAY(things, 4);",
               "\tif (things.check_current_task(0) > 0)\n\t\treturn 1;\n", "", "", "cgroup_array"),
    "devices": ("BPF_DEVMAP(things, 4);", "", REDIRECT, PACKETS, "devmap"),
    "cpus": ("BPF_CPUMAP(things, 4);", "", REDIRECT, PACKETS, "cpumap"),
    "xsks": ("BPF_XSKMAP(things, 4);", "", REDIRECT, PACKETS, "xskmap"),
    "socks": ("BPF_SOCKMAP(things, 4);", "", "", "", "sockmap"),
    "sockhashes": ("BPF_SOCKHASH(things, u32, 4);", "", "", "", "sockhash"),
    "of_sockets": ("BPF_SK_STORAGE(things, u64);", "", "", "", "sk_storage"),
    "of_tasks": ("BPF_TASK_STORAGE(things, u64);", "", "", "", "task_storage"),
    "of_inodes": ("BPF_INODE_STORAGE(things, u64);", "", "", "", "inode_storage"),
    "public": ('BPF_TABLE_PUBLIC("hash", u32, u64, things, 64);',
               "\tu32 k = 1;\n\tu64 v = 2;\n\tthings.update(&k, &v);\n", "", "", "hash"),
    "shared": ('BPF_TABLE_SHARED("hash", u32, u64, things, 64);',
               "\tu32 k = 1;\n\tu64 v = 2;\n\tthings.update(&k, &v);\n", "", "", "hash"),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps(tracefs: None, tmp_path: Path, bpffs: Path, name: str) -> None:
    """They are there, of their type, and the tool runs, compiled and kept."""
    declared, body, more, spec, kind = MAPS[name]
    source = tool(tmp_path, name, declared, body, more, spec)
    script = f"bpftool -j map show pinned {bpffs}/things > {tmp_path}/shown"
    for _ in range(2):
        done = run("bcc", str(source), ["--pin", str(bpffs), "--", "sh", "-c", script])
        assert counted(done) == 2
        assert json.loads((tmp_path / "shown").read_text())["type"] == kind


@pytest.fixture(name="bpffs")
def pins() -> Iterator[Path]:
    """A folder for pins, not there yet."""
    folder = mount_bpffs() / f"bpfduet-constructs-{os.getpid()}"
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def test_a_map_that_stays(tracefs: None, tmp_path: Path, bpffs: Path) -> None:
    """BPF_TABLE_PINNED: made where it is not, used where it is, and left there."""
    bpffs.mkdir()
    path = bpffs / "all"
    source = tool(tmp_path, "stays", f'BPF_TABLE_PINNED("hash", u32, u64, all, 64, "{path}");',
                  "\tif (task_matches()) {\n\t\tu32 k = 7;\n\t\tall.increment(k);\n\t}\n")
    for runs in (1, 2, 3):
        if runs == 3:       # the kept object makes it as well
            path.unlink()
        assert counted(run("bcc", str(source), ["--", "true"])) == 1
        entry, = json.loads(bpftool("-j", "map", "dump", "pinned", str(path)).stdout)
        assert entry["formatted"] == {"key": 7, "value": 1 if runs == 3 else runs}
    path.unlink()
    subprocess.run(["bpftool", "map", "create", str(path), "type", "array", "key", "4", "value", "8",
                    "entries", "2", "name", "other"], check=True)
    done = run("bcc", str(source), ["--", "true"])
    assert done.status == 1 and one_sentence(done, "stays") == (
        "a map that is pinned already is of another type or size than the source declares it: "
        "remove it, or declare it as it is")
    source.write_text(source.read_text() + "/* compiled again */\n")
    done = run("bcc", str(source), ["--", "true"])
    assert done.status == 1 and one_sentence(done, "stays") == (
        "stays.bpf.c: the map that is pinned for 'all' is of another type or size: remove it, or "
        "declare it as it is")


def test_storage_of_sockets(tracefs: None, tmp_path: Path) -> None:
    """A map whose key and value the kernel wants to be told by BTF, in use."""
    source = tool(tmp_path, "sockets", "BPF_SK_STORAGE(seen, u64);", more="""
CGROUP_SKB(egress, sent)
{
	struct bpf_sock *sk = ctx->sk ? bpf_sk_fullsock(ctx->sk) : 0;
	u64 *before = sk ? seen.sk_storage_get(sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : 0;

	if (before && skb_matches(ctx) && (*before)++ == 0)
		counts.atomic_increment(0);
	return 1;
}
""")
    source.write_text(source.read_text().replace(COUNT, ""))
    script = ("import socket\nfor _ in range(3):\n with socket.socket(type=socket.SOCK_DGRAM) as s:\n"
              "  [s.sendto(b'x', ('127.0.0.1', 9)) for _ in range(5)]")
    assert counted(run("bcc", str(source), ["--", "/usr/bin/python3", "-c", script])) == 3


EXECUTES = "tracepoint__sched__sched_process_exec()"
REFUSED = {
    "calls": ("static __attribute__((noinline)) int odd(u64 x)\n{\n\treturn x % 7;\n}\n",
              "\tif (odd(bpf_ktime_get_ns()))\n\t\treturn 1;\n", "",
              f"calls.bpf.c: {EXECUTES} calls a function that is not inlined, and BCC has no such "
              "calls: write it static __always_inline, without recursion"),
    "loops": ("static long each(u32 i, void *ctx)\n{\n\treturn 0;\n}\n",
              "\tbpf_loop(10, each, NULL, 0);\n", "", "bpf_loop()"),
    "walks": ("static long each(void *map, int *key, u64 *value, void *ctx)\n{\n\treturn 0;\n}\n",
              "\tbpf_for_each_map_elem((void *)bpf_pseudo_fd(1, -2), each, NULL, 0);\n", "",
              "bpf_for_each_map_elem()"),
    "times": ("struct waiting {\n\tstruct bpf_timer timer;\n};\n"
              'BPF_TABLE("array", int, struct waiting, timers, 1);\n'
              "static int over(void *map, int *key, struct waiting *value)\n{\n\treturn 0;\n}\n",
              "\tint zero = 0;\n\tstruct waiting *w = timers.lookup(&zero);\n\n\tif (w) {\n"
              "\t\tbpf_timer_set_callback(&w->timer, over);\n\t}\n", "", "bpf_timer_set_callback()"),
    "outer": ('BPF_TABLE("hash", int, u64, inner, 64);\nBPF_ARRAY_OF_MAPS(outer, "inner", 4);\n',
              "\tint zero = 0;\n\tvoid *m = outer.lookup(&zero);\n\n"
              "\tif (m)\n\t\tbpf_map_lookup_elem(m, &zero);\n", "",
              "outer.bpf.c: 'outer' is a map of maps, which nothing here fills: use one map, with the "
              "outer key as a part of its key"),
    "foreign": ("", "\tu32 k = 0;\n\n\tbpf_map_lookup_elem((void *)bpf_pseudo_fd(1, 12345), &k);\n", "",
                f"foreign.bpf.c: {EXECUTES} names a map by a descriptor that is not of its own: "
                "declare the map"),
    "jumped_to": ("BPF_PROG_ARRAY(targets, 4);", "\ttargets.call(args, 3);\n",
                  "int target(void *ctx)\n{\n\treturn 0;\n}\n",
                  "nothing attaches target(), and nothing here puts it into a map of programs: call it "
                  "as a function, 'static __always_inline'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_object_holds(tracefs: None, tmp_path: Path, name: str) -> None:
    """A sentence that names the construct and the file, and says what to do."""
    declared, body, more, sentence = REFUSED[name]
    if sentence.endswith("()"):
        sentence = (f"{name}.bpf.c: {EXECUTES} hands a function to {sentence}, which BCC cannot: put "
                    "that behind #ifndef __BCC__, for the tool that clang builds, and do without it "
                    "here")
    source = tool(tmp_path, name, declared, body, more)
    for _ in range(2):
        done = run("bcc", str(source), ["--", "true"])
        assert (done.status, done.stdout) == (1, b"")
        assert done.stderr.splitlines()[-1].decode() == f"{name}: {sentence}"
