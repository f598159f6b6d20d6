# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet run --show: the texts and the code of both compilers."""
from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import pytest

from bpfduet.commands import show as show_module
from bpfduet.bcc import start as bcc_start
from bpfduet.paths import find
from frontends import ROOT, Result, finish, start
from support import COUNTING_SPEC, SPDX, copy_tree, held, one_sentence, write_tool

pytestmark = pytest.mark.host_only

SOURCE = f"""// {SPDX}
#include "bpfduet.h"

BPF_HASH(seen, u32, u64);
CONFIG(u32, limit, 3);

TRACEPOINT_PROBE(sched, sched_process_exec)
{{
	u32 key = args->pid;

	if (key > limit)
		seen.increment(key);
	return 0;
}}

LICENSE("Dual BSD/GPL");
"""
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(name="source")
def own_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracefs: None) -> Path:
    """A tool of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_tool(tmp_path, "mine", SOURCE, COUNTING_SPEC % "seen")


def show(*args: object, status: int = 0, **env: str) -> Result:
    """`bpfduet run --show`, to its end."""
    done = finish(start([str(ROOT / "bpfduet"), "run", "--show", *map(str, args)], env))
    assert done.status == status and b"Traceback" not in done.stderr, done.stderr
    return done


def blocks(text: str) -> Dict[str, Tuple[List[str], List[List[str]]]]:
    """By program: the headings of the columns, and the columns."""
    found = {}
    for block in text.split("\n\n"):
        first, heading, *rows = block.rstrip("\n").split("\n")
        cells = [[cell.strip() for cell in row.split(" | ")] for row in rows]
        count = len(heading.split(" | "))
        found[first.split(" ")[0]] = (
            [one.strip() for one in heading.split(" | ")],
            [[row[number] for row in cells if number < len(row) and row[number].rstrip(" |")]
             for number in range(count)])
    return found


def sizes(raw: bytes) -> Dict[str, int]:
    """How many instructions the functions of an object have, by name, as its symbols tell."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        said = subprocess.run(["readelf", "-sW", file.name], stdout=subprocess.PIPE, check=True).stdout
    return {name: int(size) // 8 for size, name in
            re.findall(r" (\d+) FUNC +\w+ +\w+ +\d+ (\w+)\n", said.decode())}


@pytest.mark.parametrize("tool", ["opensnoop", "syscount", "readhist", "funccost", "xdpcount", "offcputime"])
def test_code_of_tools(tool: str, tracefs: None) -> None:
    """Both sides have the programs and the numbers of instructions that the objects have."""
    done = show("bytecode", tool)
    assert done.stderr == b""
    shown = blocks(done.stdout.decode())
    built = sizes((ROOT / f"build/bpf/{tool}.bpf.o").read_bytes())
    compiled = sizes(bcc_start.object_of(find(tool)))
    assert set(shown) == set(built) | set(compiled) and compiled
    for name, (headings, columns) in shown.items():
        for side, counts, heading, lines in zip(("BCC", "clang"), (compiled, built), headings, columns):
            if name not in counts:
                assert heading == f"{side}: not there" and not lines
                continue
            assert heading == f"{side}: {counts[name]} instructions"
            last = [line for line in lines if re.match(r"\d+:", line)][-1]
            assert int(last.split(":")[0]) + 1 == counts[name] and last.endswith(("exit", "goto 0")) or \
                int(last.split(":")[0]) + 1 + last.endswith(" ll") == counts[name]
    assert "R_BPF" not in done.stdout.decode()


def test_functions_that_share_a_section() -> None:
    """Each is counted by itself."""
    path = ROOT / "build/bpf/usdtsnoop.bpf.o"
    objdump = show_module._tool("llvm-objdump")
    assert objdump
    found = show_module._programs(objdump, path, {})
    places = [program.section for program in found.values()]
    assert len(places) > len(set(places))
    assert {name: program.size for name, program in found.items()} == sizes(path.read_bytes())


def test_names(source: Path) -> None:
    """Of maps, constants and helpers, on both sides; of a source that clang compiles now."""
    done = show("bytecode", source)
    assert done.stderr == b""
    (headings, (bcc, clang)), = blocks(done.stdout.decode()).values()
    assert [heading.split(":")[0] for heading in headings] == ["BCC", "clang"]
    for lines in (bcc, clang):
        assert any(re.fullmatch(r"\d+: r\d = &seen ll", line) for line in lines), lines
        assert any(line.endswith("call 1  bpf_map_lookup_elem") for line in lines), lines
        numbers = {int(line.split(":")[0]) for line in lines if line}   # the other side may be longer
        jumps = [int(target) for target in re.findall(r"goto (\d+)", "\n".join(lines))]
        assert jumps and numbers.issuperset(jumps)
    assert any(re.fullmatch(r"\d+: r\d = limit ll", line) for line in bcc), bcc
    assert any(re.fullmatch(r"\d+: r\d = &limit ll", line) for line in clang), clang


def test_nothing_is_loaded(source: Path) -> None:
    """No program; maps are BCC's while it compiles."""
    with tempfile.NamedTemporaryFile("r") as log:
        done = finish(start(["strace", "-f", "-qq", "-e", "trace=bpf", "-o", log.name, str(ROOT / "bpfduet"),
                             "run", "--show", "bytecode", str(source)]))
        calls = log.read()
    assert done.status == 0 and "BPF_MAP_CREATE" in calls
    # libbpf's probes of what the kernel offers are loads of two instructions
    assert all(int(count) <= 4 for count in re.findall(r"BPF_PROG_LOAD, .*?insn_cnt=(\d+)", calls)), calls
    assert not held(os.getpid())


def test_width(source: Path) -> None:
    """160 columns where it is no terminal."""
    lines = show("bytecode", source).stdout.decode().splitlines()
    assert {line.index(" | ") for line in lines if " | " in line} == {78}
    assert max(map(len, lines)) <= 160


def test_texts(source: Path) -> None:
    """What BCC gets, and what it makes: each once, without the numbers of lines."""
    done = show("c", source)
    assert done.stderr == b""
    _, given, made = re.split(r"^// ---- .*\n", done.stdout.decode(), flags=re.M)
    assert given == SOURCE.replace("key > limit", "key > DUET_LATE(limit)")
    assert made.startswith("#if defined(BPF_LICENSE)") and made.endswith("#include <bcc/footer.h>\n")
    assert "struct tracepoint__sched__sched_process_exec {" in made and "seen.increment" not in made
    assert made.count("bpf_pseudo_fd(1, -") >= 2 and "#line" not in done.stdout.decode()


def test_texts_of_tools(tracefs: None) -> None:
    """Of all kinds: also where it is the binary that tells how arguments are read."""
    for tool in ("opensnoop", "profile", "vfsreadlat", "usdtsnoop"):
        assert show("c", tool).stdout.count(b"// ----") == 2


def test_what_no_object_holds(source: Path) -> None:
    """The sentence that a run would end with."""
    source.write_text(SOURCE.replace(
        "BPF_HASH(", 'BPF_TABLE("hash", int, u64, inner, 4);\nBPF_ARRAY_OF_MAPS(outer, "inner", 4);\n'
        "BPF_HASH(", 1))
    done = show("bytecode", source, status=1)
    assert done.stdout == b"" and b"'outer' is a map of maps" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_does_not_compile(source: Path) -> None:
    """Messages with the source's lines, and the sentence."""
    source.write_text(SOURCE.replace("key > limit", "key > nothing"))
    for kind in ("c", "bytecode"):
        done = show(kind, source, status=1)
        lines = done.stderr.decode().splitlines()
        assert lines[0].startswith(f"{source}:11:12: error: use of undeclared identifier 'nothing'")
        assert lines[-1] == "bpfduet: BCC cannot compile mine.bpf.c" and done.stdout == b""


@pytest.mark.parametrize("args, sentence", [
    ([], "--show needs what to show: c or bytecode"),
    (["asm", "hello"], "--show needs what to show: c or bytecode"),
    (["c"], "--show needs a tool: its name, or a .bpf.c file"),
    (["c", "-v"], "--show needs a tool: its name, or a .bpf.c file"),
    (["c", "hello", "-v"], "unexpected argument '-v': --show takes a tool alone"),
])
def test_usage(args: Sequence[str], sentence: str) -> None:
    """Exit status 2."""
    done = show(*args, status=2)
    assert done.stderr.decode() == \
        f"bpfduet: {sentence}\nTry 'bpfduet run --help' for more information.\n"
    assert done.stdout == b""


def test_without_llvm_objdump(source: Path, tmp_path: Path) -> None:
    """A sentence that says what to install."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = finish(start(["unshare", "-m", "sh", "-c", f"for f in /usr/bin/llvm-objdump*; do mount --bind /dev/null "
                         f"$(readlink -f $f); done; exec {ROOT}/bpfduet run --show bytecode {source}"]))
    assert done.status == 1
    assert one_sentence(done, "bpfduet") == "llvm-objdump is not there: install llvm"


@pytest.fixture(name="everybodys")
def public_copy() -> Iterator[Path]:
    """A copy of the tree without its build, which everybody can read."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        copy_tree(place)
        subprocess.run(["chmod", "-R", "a+rX", temporary], check=True)
        yield place


def test_without_root(everybodys: Path) -> None:
    """BCC's text, and clang's code, which clang compiles; BCC's code is left out."""
    def shown(kind: str, tool: str) -> Result:
        return finish(start([*AS_NOBODY, str(everybodys / "bpfduet"), "run", "--show", kind, tool],
                            {"XDG_CACHE_HOME": "/nonexistent"}))
    text = shown("c", "hello")
    assert (text.status, text.stderr) == (0, b"") and text.stdout.count(b"// ----") == 2
    code = shown("bytecode", "hello")
    assert code.status == 0, code.stderr
    assert code.stderr.startswith(b"bpfduet: BCC makes the maps when it compiles, so its side is left out: ")
    assert all(heading[0].startswith("clang: ") for heading, _ in blocks(code.stdout.decode()).values())
    fields = shown("c", "opensnoop")
    assert fields.status == 1 and b"tracing cannot be read: run as root" in fields.stderr.splitlines()[-1]
