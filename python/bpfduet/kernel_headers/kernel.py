# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the running kernel, its BTF and BCC's library say."""
from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .btf import BadBtf, Btf, sizes, with_enum_sizes, with_single_pads, with_unnamed_members
from .index import Index, parse
from .key import HeadersError, find_libbcc

MODULES = Path("/lib/modules")
_HELPER_ID = re.compile(r"^\s*FN\((\w+)(?:,\s*(\d+),[^)]*)?\),?\s*\\?$", re.M)
_TRACEPOINT = re.compile(
    r"\bTRACEPOINT_PROBE\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)|\btracepoint__(\w+?)__(\w+)")


def read_config(release: str) -> Dict[str, str]:
    """CONFIG_x to its value as a macro's body ("1" for y), as the kernel or a file beside it says.

    Empty if nothing does. x=m gives CONFIG_x_MODULE.
    """
    for path in ("/proc/config.gz", "/boot/config-" + release, "%s/%s/config" % (MODULES, release)):
        try:
            with open(path, "rb") as file:
                raw = file.read()
            text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode(errors="replace")
        except OSError:
            continue
        return parse_config(text)
    return {}


def parse_config(text: str) -> Dict[str, str]:
    """CONFIG_x to macro body, from the text of a kernel configuration."""
    config: Dict[str, str] = {}
    for name, value in re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M):
        if value == "m":
            config[name + "_MODULE"] = "1"
        else:
            config[name] = "1" if value == "y" else value
    return config


def version_code(release: str, version: str) -> Tuple[int, int, int]:
    """The kernel's version of three numbers. Debian's has the third in its version string only."""
    found = (re.search(r"Debian (\d+)\.(\d+)\.(\d+)", version)
             or re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release))
    if found is None:
        return 0, 0, 0
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, min(patch, 255)


def helpers_of(libbcc: bytes) -> Tuple[str, Dict[str, int]]:
    """BCC's own headers (helpers.h, proto.h) and numbered helper functions, out of libbcc.so.

    Both are empty if the library has no such texts.
    """
    headers: List[str] = []
    functions: Dict[str, int] = {}
    for mark in (b"#ifndef __BPF_HELPERS_H", b"#ifndef __BCC_PROTO_H"):
        place = libbcc.find(mark)
        if place >= 0:
            end = libbcc.find(b"\0", place)
            headers.append(libbcc[place:end].decode(errors="replace"))
    place = libbcc.find(b"__BPF_FUNC_MAPPER(FN")
    if place >= 0:
        listed = libbcc[place:libbcc.find(b"enum bpf_func_id", place)].decode(errors="replace")
        for number, (name, given) in enumerate(_HELPER_ID.findall(listed)):
            functions["BPF_FUNC_" + name] = int(given) if given else number
    return "\n".join(headers), functions


def short_kallsyms(text: str) -> str:
    """The lines of kallsyms that BCC looks for: bpf_* and the bpf system call's function.

    Addresses are made up, none of them is asked for.
    """
    names = sorted(set(re.findall(r" [TtWw] (bpf_\w+|\w*sys_bpf)$", text, re.M)))
    return "".join("%016x T %s\n" % (0xFFFFFFFF81000000 + 16 * number, name)
                   for number, name in enumerate(names))


def read_btf(btf: Path, base: Optional[Path] = None) -> Index:
    """The types of a BTF file; `base` is the kernel's, if the file is a module's.

    Raises HeadersError if bpftool cannot be run or the file cannot be used.
    """
    try:
        raw = Btf(btf.read_bytes(), Btf(base.read_bytes()) if base else None)
        text = with_unnamed_members(with_enum_sizes(dump_btf(btf, base), raw))
        index = parse(with_single_pads(text))
        index.sizes = sizes(raw)
    except BadBtf as error:
        raise HeadersError("%s cannot be used: %s" % (btf, error)) from error
    return index


def dump_btf(btf: Path, base: Optional[Path] = None) -> str:
    """The C text of a BTF file; `base` is the kernel's, if the file is a module's.

    Raises HeadersError if bpftool cannot be run or refuses the file.
    """
    import shutil       # late: nearly no start needs it
    import subprocess
    places = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"
    tool = shutil.which("bpftool", path=places)
    if tool is None:
        raise HeadersError("bpftool is missing, and headers cannot be made from BTF without it: "
                           "install it")
    command = [tool, *(["--base-btf", str(base)] if base else ()),
               "btf", "dump", "file", str(btf), "format", "c"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().split("\n")[0]
        raise HeadersError("bpftool cannot use the BTF of %s: %s" % (btf, said))
    return done.stdout.decode(errors="replace")


def build_index(btf: Path) -> Index:
    """Ask the kernel for everything an index holds; about half a second."""
    index = read_btf(btf)
    if "struct task_struct" not in index.places:
        raise HeadersError("%s is not a kernel's BTF: it has no struct task_struct" % btf)
    index.config = read_config(os.uname().release)
    libbcc = find_libbcc()
    if libbcc is not None:
        index.helpers, functions = helpers_of(libbcc.read_bytes())
        index.functions = {name: number for name, number in functions.items()
                           if name not in index.enumerators}
    try:
        with open("/proc/kallsyms", encoding="ascii", errors="replace") as file:
            index.kallsyms = short_kallsyms(file.read())
    except OSError:
        pass
    return index


def tracepoint_fields(program: str) -> str:
    """The field declarations of the tracepoints a program names: BCC makes structs of them."""
    fields: List[str] = []
    for names in sorted(set(_TRACEPOINT.findall(program))):
        category, event = names[:2] if names[0] else names[2:]
        for root in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
            try:
                text = Path(root, "events", category, event, "format").read_text()
            except OSError:
                continue
            fields += re.findall(r"^\tfield:([^;]*;)", text, re.M)
            break
    return "\n".join(fields)
