# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet run --show``: what the compilers get and make of a tool. docs/show.md."""
from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..bcc import FLAGS, complaints, start
from ..bcc.objects import BCC_SECTION, section
from ..errors import Error
from ..features import check_privileges, tracefs
from ..paths import HEADERS, ROOT, TOOLS
from ..say import say

WIDTH = 160     # of what is no terminal
KINDS = ("c", "bytecode")
_ARCHES = {"x86_64": "x86", "aarch64": "arm64"}
_FUNCTION = re.compile(r"[0-9a-f]+ <([^>]+)>:")
# Not the relocations of CO-RE, which LLVM 16 and later show in between.
_INSTRUCTION = re.compile(r"\s*(\d+):\s+(?!CO-RE )(.*)")
_RELOCATION = re.compile(r"\s+([0-9a-f]+):\s+R_BPF\w+\s+(\S+)")
_SYMBOL = re.compile(r"([0-9a-f]+) .{7} (\S+)\t[0-9a-f]+ (?:\.\w+ )?(\S+)")
_JUMP = re.compile(r"goto ([+-]?\w+) <.*>")
_CALL = re.compile(r"call (\w+)")
_LOADED = re.compile(r"(r\d+ = )(-?\w+)( ll)")


class Program(NamedTuple):
    """A function of an object: its section, its instructions as text, and how many they are."""

    section: str
    lines: List[str]
    size: int


def show(kind: str, source: Path) -> int:
    """Print what BCC gets and makes of it (``c``), or what both compilers make (``bytecode``)."""
    complaints.check(source)
    try:
        lines = _texts(source) if kind == "c" else _side_by_side(source)
        for line in lines:
            sys.stdout.write(line + "\n")
    except Error as error:
        if error.detail:
            say(error.detail.rstrip("\n"))
        if os.geteuid():
            tracefs()       # says if it cannot be read: BCC needs the formats of tracepoints
        raise
    return 0


# -- C ----------------------------------------------------------------------------------------------


def _texts(source: Path) -> Iterator[str]:
    given, made = json.loads(start.texts_of(source))
    yield f"// ---- what BCC gets of {source}"
    yield from given.splitlines()
    yield "// ---- what BCC makes of it"
    yield from made.splitlines()


# -- bytecode ---------------------------------------------------------------------------------------


def _side_by_side(source: Path) -> Iterator[str]:
    objdump = _tool("llvm-objdump")
    if not objdump:
        raise Error("llvm-objdump is not there: install llvm")
    with tempfile.TemporaryDirectory() as folder:
        sides = []
        bcc = _of_bcc(source)
        if bcc:
            path = Path(folder, "bcc.o")
            path.write_bytes(bcc)
            sides.append(("BCC", _programs(objdump, path, _late_constants(bcc))))
        clang = _of_clang(source, Path(folder))
        if clang:
            sides.append(("clang", _programs(objdump, clang, {})))
    if not sides:
        raise Error("there is nothing to show")
    yield from _table(sides, _width())


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 0)).columns if os.isatty(1) else WIDTH


def _tool(name: str) -> Optional[str]:
    """A program of LLVM's, by its name or with its version."""
    places = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    found = shutil.which(name, path=places)
    versions = sorted((path for path in Path("/usr/bin").glob(f"{name}-[0-9]*")
                       if os.access(path, os.X_OK)),
                      key=lambda path: int(path.name.rpartition("-")[2].partition(".")[0] or 0))
    return found or (str(versions[-1]) if versions else None)


def _of_bcc(source: Path) -> bytes:
    """BCC's object, empty if there is none."""
    try:
        check_privileges()
    except Error as error:
        say(f"bpfduet: BCC makes the maps when it compiles, so its side is left out: {error}")
        return b""
    return start.object_of(source)


def _of_clang(source: Path, folder: Path) -> Optional[Path]:
    """The object of the tree's build if it is not older than the source, else a new one; None if
    there cannot be one."""
    name = source.name[:-len(".bpf.c")]
    built = ROOT / "build/bpf" / f"{name}.bpf.o"
    if source.resolve().parent == TOOLS and built.exists() \
            and built.stat().st_mtime >= source.stat().st_mtime:
        return built
    clang = _tool("clang")
    if not clang:
        say("bpfduet: clang is not there, so its side is left out")
        return None
    out, machine = folder / "clang.o", os.uname().machine
    done = subprocess.run(
        [clang, "-g", "-O2", "-mcpu=v3", "-target", "bpf",
         f"-D__TARGET_ARCH_{_ARCHES.get(machine, machine)}", *FLAGS[1:],
         f"-I{_vmlinux(folder)}", f"-I{HEADERS}", f"-I{source.resolve().parent}",
         "-idirafter", f"/usr/include/{machine}-linux-gnu", "-c", str(source), "-o", str(out)],
        stderr=subprocess.PIPE, check=False)
    if done.returncode:
        say(done.stderr.decode(errors="backslashreplace").rstrip("\n"))
        say(f"bpfduet: clang cannot compile {source.name}, so its side is left out")
        return None
    return out


def _vmlinux(folder: Path) -> Path:
    """Where vmlinux.h is: the build's, or one made of the running kernel's BTF."""
    if (ROOT / "build/vmlinux.h").exists():
        return ROOT / "build"
    from ..kernel_headers import VMLINUX
    from ..kernel_headers.kernel import dump_btf
    (folder / "vmlinux.h").write_text(dump_btf(VMLINUX))
    return folder


def _late_constants(raw: bytes) -> Dict[Tuple[str, int], str]:
    """Names of the constants that are filled into BCC's code, by program and instruction."""
    names = {}
    for program in json.loads(section(raw, BCC_SECTION) or b"{}").get("programs", ()):
        for late in program["late"]:
            word = f"[{late['word']}]" if late["word"] else ""
            names[program["name"], late["instruction"]] = late["config"] + word
    return names


def _programs(objdump: str, path: Path, late: Dict[Tuple[str, int], str]) -> Dict[str, Program]:
    """The functions of an object, by name."""
    def said(*args: str) -> str:
        done = subprocess.run([objdump, *args, str(path)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise Error(f"{objdump} cannot read the object: "
                        f"{done.stderr.decode(errors='backslashreplace').strip()}")
        return done.stdout.decode(errors="backslashreplace")

    variables = {(where, int(place, 16)): name for place, where, name in
                 _SYMBOL.findall(said("-t")) if name != where}
    found: Dict[str, Program] = {}
    helpers = _helpers()
    where = name = ""
    for line in said("-d", "-r", "--no-show-raw-insn", "--no-print-imm-hex").splitlines():
        function, relocation = _FUNCTION.fullmatch(line), _RELOCATION.fullmatch(line)
        instruction = None if relocation else _INSTRUCTION.fullmatch(line)
        if line.startswith("Disassembly of section "):
            where = line[len("Disassembly of section "):-1]
        elif function and not re.fullmatch(r"LBB\d+_\d+", function[1]):
            name = function[1]
            found[name] = Program(where, [], 0)
        elif instruction and name:
            number = int(instruction[1])
            one = _instruction(number, instruction[2], late.get((name, number)), helpers)
            found[name].lines.append(one)
            found[name] = found[name]._replace(size=number + 1 + one.endswith(" ll"))
        elif relocation and name:
            found[name].lines[-1] = _related(found[name].lines[-1], relocation[2], variables)
    return {name: _from_zero(program) for name, program in found.items()}


@functools.lru_cache(maxsize=None)
def _helpers() -> List[str]:
    """Names of the kernel's helpers, by number; none if bpftool does not know them."""
    bpftool = _tool("bpftool")
    done = bpftool and subprocess.run([bpftool, "feature", "list_builtins", "helpers"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    names = done.stdout.decode().split() if done and not done.returncode else []
    first = names.index("bpf_map_lookup_elem") if "bpf_map_lookup_elem" in names else len(names)
    return ["", *names[first:]]     # some versions have one for 0, too


def _instruction(number: int, text: str, constant: Optional[str], helpers: List[str]) -> str:
    """An instruction with the number of that to which it jumps, the name of the constant that it
    loads, or of the helper that it calls."""
    call = _CALL.fullmatch(text)
    if call and 0 < int(call[1], 0) < len(helpers):
        text += f"  {helpers[int(call[1], 0)]}"
    jump = _JUMP.search(text)
    if jump:
        text = text[:jump.start()] + f"goto {number + 1 + int(jump[1], 0)}"
    if constant:
        text = _LOADED.sub(rf"\g<1>{constant}\3", text)
    return f"{number:5}: {text}"


def _related(line: str, symbol: str, variables: Dict[Tuple[str, int], str]) -> str:
    """An instruction with the name of the map, variable or function that it is about."""
    loaded = _LOADED.search(line)
    if not loaded:
        return f"{line}  {symbol}"
    offset = int(loaded[2], 0)
    name = variables.get((symbol, offset), f"{symbol}+{offset}" if offset else symbol)
    return _LOADED.sub(rf"\g<1>&{name}\3", line)


def _from_zero(program: Program) -> Program:
    """Of functions that share a section the second does not begin at 0."""
    first = int(program.lines[0].split(":")[0]) if program.lines else 0
    return program._replace(size=program.size - first)


def _table(sides: List[Tuple[str, Dict[str, Program]]], width: int) -> Iterator[str]:
    """The programs of all sides, those of one name beside each other."""
    column = max((width - 3 * (len(sides) - 1)) // len(sides), 20)

    def rows(cells: List[List[str]]) -> Iterator[str]:
        for parts in zip_longest(*cells, fillvalue=""):
            wrapped = [[part[at:at + column] for at in range(0, len(part), column)] for part in parts]
            for row in zip_longest(*wrapped, fillvalue=""):
                yield " | ".join(cell.ljust(column) for cell in row).rstrip(" ")

    names = list(dict.fromkeys(name for _, programs in sides for name in programs))
    for number, name in enumerate(names):
        if number:
            yield ""
        yield f"{name} ({next(programs[name].section for _, programs in sides if name in programs)})"
        yield from rows([[f"{side}: {programs[name].size} instructions" if name in programs
                          else f"{side}: not there"] for side, programs in sides])
        yield from rows([programs[name].lines if name in programs else []
                         for _, programs in sides])
