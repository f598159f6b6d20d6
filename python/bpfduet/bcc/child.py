# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Compiles a kernel half through BCC, in a process of its own that ends then.

So LLVM, what BCC and clang write to descriptor 2, the working directory and the mount namespace of
a compilation are never those of whoever wants the object. The request comes as JSON on standard
input: ``{"source": FILE, "values": {CONSTANT: VALUE}, "parent": PID}``, where a string's value is
hexadecimal. The object comes out on standard output; standard error must be a file that can be
read, for what is in it becomes part of the object. If there is no object, the exit status is one of
``FAILED``, with a sentence on standard output.
"""
from __future__ import annotations

import ctypes as ct
import json
import os
import re
import signal
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from .. import bind, compiled, kernel_headers, late_constants, spec
from ..attach import programs_of
from ..bcc_frontend import described_types, pinned_sets
from ..compiled import Compiled, NotCovered, NotLate, Table
from ..errors import Error, SpecError
from ..model import Config
from ..paths import COMMON, HEADERS, VERSION
from . import FORMAT
from .btf import describe_maps
from .objects import BCC_SECTION, SPEC_SECTION, Code, MapDefinition, write

# exit statuses: it does not compile, the spec does not fit, there is more to it than an object holds
COMPILER, SPEC, NOT_COVERED = 1, 2, 3
FAILED = (COMPILER, SPEC, NOT_COVERED)

POSSIBLE_CPUS, NOTES = Path("/sys/devices/system/cpu/possible"), Path("/sys/kernel/notes")
_PR_SET_PDEATHSIG = 1
# Where a pinned map's descriptor will be; no descriptor is that large.
_MARK = 0x6d000000
# By a function's name what BCC attaches it to, and its section ahead of time.
_ATTACHED = {"tracepoint": "tracepoint", "raw_tracepoint": "raw_tracepoint", "kprobe": "kprobe",
             "kretprobe": "kretprobe", "kfunc": "fentry", "kretfunc": "fexit", "lsm": "lsm"}


# The macros that make programs which BCC attaches, and the beginnings of their names.
_MACROS = {"TRACEPOINT_PROBE": "tracepoint__", "RAW_TRACEPOINT_PROBE": "raw_tracepoint__",
           "KFUNC_PROBE": "kfunc__", "KRETFUNC_PROBE": "kretfunc__", "LSM_PROBE": "lsm__",
           "KPROBE": "kprobe__", "KRETPROBE": "kretprobe__", "KSYSCALL": "kprobe__sys_",
           "KRETSYSCALL": "kretprobe__sys_"}
_MACRO = re.compile(rf"^({'|'.join(_MACROS)})\(\s*(\w+)(?:\s*,\s*(\w+))?", re.MULTILINE)


class _Constants(NamedTuple):
    """The CONFIG constants of an object: where each is in the image, the image, and of which
    the value was compiled in or is known to the compiler alone."""

    configs: Dict[str, Config]
    image: bytes
    fixed: List[str]
    unknown: List[str]


def section_of(function: str, text: str) -> str:
    """The section of a program ahead of time. Raises Error if nothing attaches it, NotCovered if
    it may be the target of a tail call."""
    for program in programs_of(text):
        if program.name == function:
            return program.section
    prefix, _, target = function.partition("__")
    if prefix not in _ATTACHED or not target:
        if "BPF_PROG_ARRAY" in text:
            raise NotCovered(f"{function}() may be called by its number")
        raise Error(f"nothing attaches {function}(): name it kprobe__FUNCTION, tracepoint__CATEGORY__"
                    "EVENT or the like, or write it with a macro as KPROBE() (docs/dialect.md)")
    if prefix in ("kprobe", "kretprobe") and target.startswith("sys_"):
        return f"{prefix.replace('probe', 'syscall')}/{target[len('sys_'):]}"
    return f"{_ATTACHED[prefix]}/{target.replace('__', '/', 1) if prefix == 'tracepoint' else target}"


def _in_order(names: Iterable[str], text: str) -> List[str]:
    """The programs as they are in the text, which is the order in which they are attached; last
    those that macros of the tool's own have made."""
    places = {program.name: program.place for program in programs_of(text)}
    for found in _MACRO.finditer(text):
        macro, first, second = found.groups()
        name = f"{first}__{second}" if macro == "TRACEPOINT_PROBE" else first
        places[_MACROS[macro] + name] = found.start()

    def place(name: str) -> int:
        found = text.find(name)
        return places.get(name, found if found >= 0 else len(text))
    return sorted(names, key=place)


def _laid_out(configs: Dict[str, Config], late: Set[str], values: Dict[str, Any],
              defaults: Dict[str, str]) -> _Constants:
    placed, image = {}, bytearray()
    fixed, unknown = [], []
    for name, config in configs.items():
        image += bytes(-len(image) % 8)
        placed[name] = replace(config, offset=len(image))
        value = values.get(name)
        if value is None and name in defaults:
            value = late_constants.number(defaults[name])
        if name not in late:
            fixed.append(name)
            if value is None and config.kind != "string":
                unknown.append(name)
        if isinstance(value, bytes):
            image += value.ljust(config.size, b"\0")
        else:
            image += struct.pack("<Q", int(value or 0) & (1 << 64) - 1)[:config.size] \
                .ljust(config.size, b"\0")
    return _Constants(placed, bytes(image), fixed, unknown)


class _Compilation:
    """One source on its way to an object."""

    def __init__(self, source: Path, values: Dict[str, Any]):
        self._source = source
        self._text = source.read_text()
        self._values = values
        self._folders = [HEADERS, source.resolve().parent]
        self._pinned = pinned_sets(self._text)
        whole, _ = kernel_headers.read_sources(self._text, self._folders)
        self._headers = whole[len(kernel_headers.bcc_side(self._text)):]
        self._whole = whole
        if compiled.SHARED_MAPS.search(whole):
            raise NotCovered("maps that are shared with others")
        if any(program.kind == "usdt" for program in programs_of(self._text)):
            raise NotCovered("probes whose arguments BCC reads by code for one binary")

    def object(self) -> bytes:
        """The object file. Raises Error, SpecError, NotCovered."""
        bound_to = spec.load(self._source.with_name(
            self._source.name[:-len(".bpf.c")] + ".toml"), COMMON)
        headers = kernel_headers.folder_for(self._text, self._folders)
        headers.apply(os.environ)
        os.chdir(headers.path or "/")   # BCC looks for headers there first
        plans = [late_constants.plan(self._text, self._headers, {}, own) for own in (True, False)]
        if plans[0] == plans[1]:        # the text has no constants of its own
            del plans[0]
        for plan in plans:
            try:
                return kernel_headers.without_kallsyms(lambda: self._compiled(plan, bound_to))
            except (NotLate, Error) as error:
                # with its own constants late it may not compile: they need not be expressions
                if plan is plans[-1]:
                    raise NotCovered(str(error)) if isinstance(error, NotLate) else error
                os.ftruncate(2, 0)
                os.lseek(2, 0, os.SEEK_SET)
        raise AssertionError("no plan")

    def _flags(self, plan: late_constants.Plan) -> Tuple[List[str], Dict[int, str]]:
        """The compiler's flags, and the names of the constants by their placeholders."""
        flags = [*compiled.FLAGS, *(f"-I{folder}" for folder in self._folders)]
        late = [*plan.late, *(f"{name}_fd" for name in self._pinned)]
        marks = {late_constants.placeholder(name): name for name in late}
        flags += [f"-DDUET_LATE_{name}=,{late_constants.placeholder(name):#x}ULL"
                  for name in plan.late]
        for number, name in enumerate(self._pinned):
            mark = late_constants.placeholder(f"{name}_fd")
            flags += [f"-DDUET_LATE_{name}_fd=,DUET_WHOLE({mark:#x}ULL)",
                      late_constants.define(f"DUET_SET_{name}", _MARK + number)]
        flags += [late_constants.define(f"DUET_SET_{name}", value)
                  for name, value in self._values.items() if name not in plan.late]
        return flags, marks

    def _compiled(self, plan: late_constants.Plan, bound_to: spec.Spec) -> bytes:
        from bcc.libbcc import lib
        flags, marks = self._flags(plan)
        compiled.declare(lib)
        array = (ct.c_char_p * len(flags))(*map(os.fsencode, flags))
        module = lib.bpf_module_create_c_from_string(plan.text.encode(), 0, array, len(array), True,
                                                     None)
        if not module:
            raise Error(f"BCC cannot compile {self._source.name}")
        marks_of_maps = range(_MARK, _MARK + len(self._pinned))
        found = compiled.describe(lib, module, marks, b"", marks_of_maps, typed=True)
        btf, maps = describe_maps(lib, module, found)
        types = described_types(found.tables, self._pinned)
        constants = self._constants(plan)
        types = replace(types, configs=constants.configs,
                        programs=frozenset(_plain(one.name.decode()) for one in found.functions))
        bound = bind.bind(bound_to, types, VERSION)
        return self._object(found, constants, bound, marks, btf, maps)

    def _constants(self, plan: late_constants.Plan) -> _Constants:
        configs = late_constants.configs_of(self._text)
        late = {name for name in configs if name in plan.late or f"{name}_0" in plan.late}
        for name in (f"{pinned}_fd" for pinned in self._pinned):
            configs[name] = Config(name, None, 4, "int")
            late.add(name)
        return _laid_out(configs, late, self._values, late_constants.defaults(self._whole))

    def _object(self, found: Compiled, constants: _Constants, bound: Dict[str, Any],
                marks: Dict[int, str], btf: bytes, maps: List[MapDefinition]) -> bytes:
        names = [table.name.decode() for table in found.tables] + list(self._pinned)
        kept = {one.name for one in maps} | set(self._pinned)
        maps = maps + [MapDefinition(name, 1, 8, 8, 1, 0) for name in self._pinned]
        programs, late = [], []
        placeholders = {name: mark for mark, name in marks.items()}
        functions = {_plain(one.name.decode()): one for one in found.functions}
        for name in _in_order(functions, self._text):
            function = functions[name]
            used = [(place, names[number]) for place, number in function.maps]
            assert all(one in kept for _, one in used)
            programs.append(Code(name, section_of(name, self._text), function.code, used))
            late.append({"name": name, "late": [
                {"instruction": place, **_of_constant(constant, constants.configs),
                 "placeholder": str(placeholders[constant])} for place, constant in function.late]})
        about = {
            "format": FORMAT, "release": os.uname().release, "version": os.uname().version,
            "notes": _hex_of(NOTES), "cpus": _hex_of(POSSIBLE_CPUS),
            "image": constants.image.hex(), "fixed": constants.fixed, "unknown": constants.unknown,
            "programs": late, "said": _said()}
        return write(maps, programs, btf, found.license, {
            SPEC_SECTION: json.dumps(bound, ensure_ascii=False, separators=(",", ":")).encode(),
            BCC_SECTION: json.dumps(about, separators=(",", ":")).encode()})


def _plain(function: str) -> str:
    """A program's name as the text has it: BCC from 0.28 on wants that of a module in it
    (headers/bpfduet_bcc.h)."""
    return function.replace("func__vmlinux__", "func__", 1)


def _of_constant(name: str, configs: Dict[str, Config]) -> Dict[str, Any]:
    """Which constant is meant, and which word of a string: NAME or NAME_NUMBER."""
    if name in configs:
        return {"config": name, "word": 0}
    config, _, word = name.rpartition("_")
    return {"config": config, "word": int(word)}


def _hex_of(path: Path) -> str:
    """A file's content; empty where it cannot be read."""
    try:
        return path.read_bytes().hex()
    except OSError:
        return ""


def _said() -> str:
    """What the compiler has written to standard error."""
    try:
        return os.pread(2, 1 << 20, 0).replace(b"\0", b"").decode(errors="backslashreplace")
    except OSError:
        return ""


def _end_with(parent: int) -> None:
    """Be killed when the parent ends: nobody else waits for the object."""
    ct.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(COMPILER)


def main() -> int:
    """Read a request, write the object; returns the exit status."""
    out = os.dup(1)
    os.dup2(2, 1)       # whatever prints there
    request = json.load(sys.stdin)
    _end_with(request["parent"])
    values = {name: bytes.fromhex(value) if isinstance(value, str) else value
              for name, value in request["values"].items()}
    sentence: Optional[str] = None
    status = 0
    try:
        result = _Compilation(Path(request["source"]), values).object()
    except NotCovered as error:
        status, sentence = NOT_COVERED, str(error)
    except SpecError as error:
        status, sentence = SPEC, str(error)
    except (Error, OSError) as error:
        status, sentence = COMPILER, str(error)
    with open(out, "wb") as file:
        file.write(sentence.encode(errors="surrogateescape") if sentence is not None else result)
    return status
