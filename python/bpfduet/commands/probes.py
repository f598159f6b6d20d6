# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What there is to attach a program to: ``bpfduet probes``, spelt as ``bpftrace -l`` spells it."""
from __future__ import annotations

import ctypes as ct
import fnmatch
import functools
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

from .. import libbpf
from ..engine import Engine
from ..errors import Error
from ..features import tracefs

# enum of linux/btf.h
_PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _CONST, _FUNC = 2, 3, 4, 5, 6, 7, 10, 12
_VOLATILE, _RESTRICT, _TYPE_TAG, _ENUM64 = 9, 11, 18, 19
_TAGS = {_STRUCT: "struct ", _UNION: "union ", _ENUM: "enum ", _ENUM64: "enum ", _FWD: "struct "}
_FIELD = re.compile(r"^\tfield:(.*);\toffset:", re.MULTILINE)
# perf's names, all of which the engine knows (c_loader/kernel/attach.c)
_SOFTWARE = ("cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations",
             "minor-faults", "major-faults")
_HARDWARE = ("cpu-cycles", "instructions", "cache-references", "cache-misses",
             "branch-instructions", "branch-misses")


def find(pattern: str, details: bool = False) -> Iterator[str]:
    """Lines: the probes that match a pattern with ``*`` and ``?``, each followed, with
    ``details``, by its arguments, indented. Raises Error for a kind that there is not.

    A pattern that begins with no kind is looked for in all of the kernel's.
    """
    kind, _, rest = pattern.partition(":")
    if kind in ("uprobe", "usdt"):
        yield from _of_binary(kind, rest)
        return
    if rest and not set(kind) & set("*?[") and kind not in _KERNEL:
        raise Error(f"there is no kind of probe '{kind}'; it is one of "
                    + ", ".join([*_KERNEL, "uprobe", "usdt"]))
    for name, (probes, describe) in _KERNEL.items():
        if rest and not fnmatch.fnmatchcase(name, kind):
            continue
        wanted = re.compile(fnmatch.translate(rest if rest else pattern))
        try:
            found = sorted(filter(wanted.match, probes()))
        except OSError as error:
            if kind == name:
                raise Error(f"this kernel does not tell its {name}s: {error.strerror}") from error
            continue
        for probe in found:
            yield f"{name}:{probe}"
            if details:
                yield from (f"    {line}" for line in describe(probe))


# -- kinds -----------------------------------------------------------------------------------


def _tracepoints() -> List[str]:
    return [f"{path.parent.parent.name}:{path.parent.name}"
            for path in (tracefs() / "events").glob("*/*/enable")]


def _fields(probe: str) -> List[str]:
    """The fields of a tracepoint, without those that all have."""
    text = (tracefs() / "events" / probe.replace(":", "/") / "format").read_text()
    return [field for field in _FIELD.findall(text) if " common_" not in field]


def _functions() -> List[str]:
    """Functions that ftrace knows, and so kprobes and trampolines."""
    text = (tracefs() / "available_filter_functions").read_text()
    return sorted({line.split()[0] for line in text.splitlines()})


def _described_functions() -> List[str]:
    known = set(_names(_FUNC))
    return [name for name in _functions() if name in known]


def _raw_tracepoints() -> List[str]:
    prefix = "btf_trace_"
    return [name[len(prefix):] for name in _names(8) if name.startswith(prefix)]


def _raw_arguments(probe: str) -> List[str]:
    """Those of the function that a raw tracepoint calls, but the first, which is its own."""
    return _prototype(_target(_find(f"btf_trace_{probe}", 8)))[1:]


def _events(hardware: bool) -> Callable[[], List[str]]:
    return lambda: list(_HARDWARE if hardware else _SOFTWARE)


def _nothing(_probe: str) -> List[str]:
    return []


# kind: names, and the lines about one
_KERNEL: Dict[str, Tuple[Callable[[], List[str]], Callable[[str], List[str]]]] = {
    "hardware": (_events(True), _nothing),
    "kfunc": (_described_functions, lambda name: _prototype(_find(name, _FUNC))),
    "kprobe": (_functions, _nothing),
    "rawtracepoint": (_raw_tracepoints, _raw_arguments),
    "software": (_events(False), _nothing),
    "tracepoint": (_tracepoints, _fields),
}


def _of_binary(kind: str, rest: str) -> Iterator[str]:
    binary, _, pattern = rest.partition(":")
    if not binary:
        raise Error(f"'{kind}' wants a binary: '{kind}:/bin/bash:*'")
    path = Engine.bare().binary(binary)
    if not Path(path).is_file():
        raise Error(f"there is no file '{path}'")
    import bcc      # late: LLVM is slow to load
    if kind == "usdt":
        probes = [f"{probe.provider.decode()}:{probe.name.decode()}"
                  for probe in bcc.USDT(path=path).enumerate_probes()]
    else:
        probes = [name.decode(errors="backslashreplace")
                  for name in bcc.BPF.get_user_functions(path.encode(), b".*")]
    for probe in sorted(set(fnmatch.filter(probes, pattern or "*"))):
        yield f"{kind}:{path}:{probe}"


# -- the kernel's BTF ---------------------------------------------------------------------------


class _Type(ct.Structure):
    """struct btf_type"""

    _fields_ = [("name", ct.c_uint32), ("info", ct.c_uint32), ("type", ct.c_uint32)]

    @property
    def kind(self) -> int:
        return int(self.info >> 24 & 0x1f)


class _Parameter(ct.Structure):
    """struct btf_param"""

    _fields_ = [("name", ct.c_uint32), ("type", ct.c_uint32)]


@functools.lru_cache(maxsize=None)
def _btf() -> Any:
    """(library, the kernel's BTF). Raises Error."""
    lib = libbpf.library()
    lib.btf__load_vmlinux_btf.restype = ct.c_void_p
    lib.btf__type_by_id.restype = ct.POINTER(_Type)
    lib.btf__type_by_id.argtypes = [ct.c_void_p, ct.c_uint32]
    lib.btf__name_by_offset.restype = ct.c_char_p
    lib.btf__name_by_offset.argtypes = [ct.c_void_p, ct.c_uint32]
    lib.btf__find_by_name_kind.argtypes = [ct.c_void_p, ct.c_char_p, ct.c_uint32]
    lib.btf__type_cnt.argtypes = [ct.c_void_p]
    btf = lib.btf__load_vmlinux_btf()
    if not btf:
        raise Error("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    return lib, btf


def _names(kind: int) -> Iterator[str]:
    lib, btf = _btf()
    for number in range(1, lib.btf__type_cnt(btf)):
        one = lib.btf__type_by_id(btf, number).contents
        if one.kind == kind:
            yield lib.btf__name_by_offset(btf, one.name).decode()


def _find(name: str, kind: int) -> int:
    lib, btf = _btf()
    return int(lib.btf__find_by_name_kind(btf, name.encode(), kind))


def _target(number: int) -> int:
    """The function type behind a typedef of a pointer to it."""
    lib, btf = _btf()
    pointer = lib.btf__type_by_id(btf, number).contents.type
    return int(lib.btf__type_by_id(btf, pointer).contents.type)


def _prototype(number: int) -> List[str]:
    """The parameters of a function, and what it returns, as C writes them."""
    lib, btf = _btf()
    one = lib.btf__type_by_id(btf, number)
    if one.contents.kind == _FUNC:
        one = lib.btf__type_by_id(btf, one.contents.type)
    count = one.contents.info & 0xffff
    start = ct.addressof(one.contents) + ct.sizeof(_Type)
    lines = []
    for parameter in (_Parameter * count).from_address(start):
        name = lib.btf__name_by_offset(btf, parameter.name).decode()
        lines.append(f"{_type_name(parameter.type)} {name}".rstrip())
    returned = _type_name(one.contents.type)
    return lines + ([f"{returned} retval"] if returned != "void" else [])


def _type_name(number: int) -> str:
    if number == 0:
        return "void"
    lib, btf = _btf()
    one = lib.btf__type_by_id(btf, number).contents
    name = lib.btf__name_by_offset(btf, one.name).decode()
    if one.kind == _PTR:
        return _type_name(one.type) + " *"
    if one.kind == _CONST:
        return "const " + _type_name(one.type)
    if one.kind in (_VOLATILE, _RESTRICT, _TYPE_TAG):
        return _type_name(one.type)
    return _TAGS.get(one.kind, "") + (name or "void (*)()")
