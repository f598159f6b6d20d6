# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Compiles a kernel half through BCC, in a process of its own that ends then.

So LLVM, what BCC and clang write to descriptor 2, the working directory and the mount namespace of
a compilation are never those of whoever wants the object. The request comes as JSON on standard
input: ``{"source": FILE, "values": {CONSTANT: VALUE}, "probes": {PROGRAM: [WANTED, IDENTITY]},
"parent": PID}``, where a string's value is hexadecimal; WANTED and IDENTITY are usdt's. The object
comes out on standard output; standard error must be a file that can be read, for what is in it
becomes part of the object. If there is no object, the exit status is ``COMPILER`` or ``SPEC``, with
a sentence on standard output.

With ``"texts": true`` it is what BCC gets and makes that comes out. With ``"explain": true, "off":
[PROGRAM], "pinned": {MAP: FILE}`` nothing does: the programs are loaded as BCC loads them, which
writes the verifier's log to standard error.
"""
from __future__ import annotations

import ctypes as ct
import functools
import json
import os
import re
import signal
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import (Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set,
                    Tuple)

from .. import kernel_headers
from . import late_constants
from ..spec import bind, read
from ..errors import Error, SpecError
from ..spec.types import Config
from ..paths import COMMON, HEADERS, VERSION
from . import FLAGS, FORMAT, complaints, explain, module as modules, usdt
from .btf import describe_maps
from .layouts import described_types, pinned_sets
from .libbcc import library
from .module import Compiled, NotCovered
from .objects import BCC_SECTION, SPEC_SECTION, Code, MapDefinition, write
from .programs import programs_of

# exit statuses: it does not compile or has what no object holds, the spec does not fit
COMPILER, SPEC = 1, 2

POSSIBLE_CPUS, NOTES = Path("/sys/devices/system/cpu/possible"), Path("/sys/kernel/notes")
_PR_SET_PDEATHSIG = 1
_DEBUG_PREPROCESSOR = 4     # libbcc's
_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL)
# Where a pinned map's descriptor will be; no descriptor is that large.
_MARK = 0x6d000000
# By a function's name what BCC attaches it to, and its section ahead of time.
_ATTACHED = {"tracepoint": "tracepoint", "raw_tracepoint": "raw_tracepoint", "kprobe": "kprobe",
             "kretprobe": "kretprobe", "kfunc": "fentry", "kretfunc": "fexit", "lsm": "lsm"}

_PINNED = re.compile(r"^BPF_(?:\w*PINNED|XSKMAP)\(([^;]*)\)\s*;", re.MULTILINE)
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
    """The section of a program ahead of time. Raises Error if nothing attaches it."""
    for program in programs_of(text):
        if program.name == function:
            return program.section
    prefix, _, target = function.partition("__")
    if prefix not in _ATTACHED or not target:
        if "BPF_PROG_ARRAY" in text:
            raise Error(f"nothing attaches {function}(), and nothing here puts it into a map of "
                        "programs: call it as a function, 'static __always_inline'")
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

    def __init__(self, source: Path, values: Dict[str, Any],
                 probes: Dict[str, Tuple[usdt.Wanted, usdt.Identity]]):
        self._source = source
        self._text = source.read_text()
        self._values = values
        self._folders = [HEADERS, source.resolve().parent]
        self._pinned = pinned_sets(self._text)
        self._modules: Sequence[str] = ()
        whole, _ = kernel_headers.read_sources(self._text, self._folders)
        self._headers = whole[len(kernel_headers.bcc_side(self._text)):]
        self._whole = whole
        programs = [program for program in programs_of(self._text) if program.kind == "usdt"]
        self._probes = [usdt.Probe(program.name, *probes.get(program.name, ()))
                        for program in programs]
        self._before = _before([probe.readers(_body(self._text, program.place))
                                for probe, program in zip(self._probes, programs)])

    def _plans(self) -> List[late_constants.Plan]:
        """What to try; all is ready for BCC."""
        self._find_headers()
        plans = [late_constants.plan(self._text, self._headers, own) for own in (True, False)]
        if plans[0] == plans[1]:        # the text has no constants of its own
            del plans[0]
        library()       # once for all plans
        return plans

    def object(self) -> bytes:
        """The object file. Raises Error, SpecError, NotCovered."""
        bound_to = read.load(self._source.with_name(
            self._source.name[:-len(".bpf.c")] + ".toml"), COMMON)
        plans = self._plans()
        for plan in plans[:-1]:
            # with its own constants late it may not compile: they need not be expressions
            made = _tried(functools.partial(self._made, plan, bound_to))
            if made:
                return made
            _forget()
        return self._made(plans[-1], bound_to)

    def texts(self) -> bytes:
        """What BCC gets and what it makes of that: two texts in JSON. Raises Error."""
        plans = self._plans()
        for plan in plans:
            _tried(lambda: b"1" if self._module(plan.text, self._flags(plan)[0],
                                                _DEBUG_PREPROCESSOR) else b"")
            said = _said()
            found = complaints.REWRITTEN.search(said)
            refused = re.search(r"(?m)^error: ", said) and plan is not plans[-1]
            if found and not refused and not re.search(r"\d: (?:fatal )?error: ", said):
                return json.dumps([plan.text, complaints.without_numbers(found[0])]).encode()
            _forget()
        said = complaints.CLANG_CALLED.sub("", complaints.REWRITTEN.sub("", said))
        os.write(2, said.encode())
        raise self._failure()

    def _made(self, plan: late_constants.Plan, bound_to: read.Spec) -> bytes:
        return kernel_headers.without_kallsyms(lambda: self._compiled(plan, bound_to))

    def load(self, off: Sequence[str], pinned: Dict[str, str]) -> bytes:
        """Have BCC load all programs but those that are ``off``; there is no object then. Raises
        Error for what the kernel refuses."""
        lib = library()
        self._find_headers()
        values = {**self._values, **{name: explain.open_pinned(path)
                                     for name, path in pinned.items()}}
        flags = self._plain_flags() + [late_constants.define(f"DUET_SET_{name}", value)
                                       for name, value in values.items()]
        module = kernel_headers.without_kallsyms(
            functools.partial(self._module, self._text, flags))
        if not module:
            raise self._failure()
        for name in explain.names_of(lib, module):
            plain = _plain(name.decode())
            if plain not in off:
                explain.load(lib, module, name, section_of(plain, self._text))
        return b""

    def _find_headers(self) -> None:
        headers = kernel_headers.folder_for(self._before + self._text, self._folders)
        headers.apply(os.environ)
        os.chdir(headers.path or "/")   # BCC looks for headers there first
        self._modules = headers.modules

    def _plain_flags(self) -> List[str]:
        return [*FLAGS, *(f"-I{folder}" for folder in self._folders)]

    def _flags(self, plan: late_constants.Plan) -> Tuple[List[str], Dict[int, str]]:
        """The compiler's flags, and the names of the constants by their placeholders."""
        flags = self._plain_flags()
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

    def _compiled(self, plan: late_constants.Plan, bound_to: read.Spec) -> bytes:
        lib = library()
        flags, marks = self._flags(plan)
        module = self._module(plan.text, flags)
        if not module:
            raise self._failure()
        marks_of_maps = range(_MARK, _MARK + len(self._pinned))
        found = modules.describe(lib, module, marks, marks_of_maps)
        btf, maps = describe_maps(lib, module, found)
        types = described_types(found.tables, self._pinned)
        constants = self._constants(plan)
        types = replace(types, configs=constants.configs,
                        programs=frozenset(_plain(one.name.decode()) for one in found.functions))
        bound = bind.bind(bound_to, types, VERSION)
        return self._object(found, constants, bound, marks, btf, maps)

    def _module(self, text: str, flags: List[str], debug: int = 0) -> Any:
        """What libbcc makes of a text; None if it does not compile."""
        array = (ct.c_char_p * len(flags))(*map(os.fsencode, flags))
        text = self._before + complaints.numbered(text, str(self._source))
        return library().bpf_module_create_c_from_string(text.encode(), debug, array, len(array),
                                                         True, None)

    def _failure(self) -> Error:
        return Error(f"BCC cannot compile {self._source.name}")

    def _constants(self, plan: late_constants.Plan) -> _Constants:
        configs = late_constants.configs_of(self._text)
        late = {name for name in configs if name in plan.late or f"{name}_0" in plan.late}
        for name in (f"{pinned}_fd" for pinned in self._pinned):
            configs[name] = Config(name, None, 4, "int")
            late.add(name)
        values = {**late_constants.unset_strings(self._whole), **self._values}
        return _laid_out(configs, late, values, late_constants.defaults(self._whole))

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
            "programs": late, "usdt": [probe.table() for probe in self._probes],
            "pinned": _pinned_paths(self._whole, names),
            "modules": [_module_identity(name) for name in self._modules],
            "said": complaints.Messages(_said(), self._source).kept()}
        return write(maps, programs, btf, found.license, {
            SPEC_SECTION: json.dumps(bound, ensure_ascii=False, separators=(",", ":")).encode(),
            BCC_SECTION: json.dumps(about, separators=(",", ":")).encode()})


def _module_identity(name: str) -> Dict[str, Any]:
    """What tells a module of the kernel from another build of it."""
    return {"name": name, "notes": _hex_of(Path(f"/sys/module/{name}/notes/.note.gnu.build-id")),
            "btf": (kernel_headers.VMLINUX.parent / name).stat().st_size}


def _pinned_paths(whole: str, maps: Iterable[str]) -> List[Dict[str, str]]:
    """The maps that the text declares as pinned, and where: the last string of BPF_*_PINNED()."""
    found = []
    for arguments in _PINNED.findall(whole):
        words, strings = re.findall(r"\w+", arguments), re.findall(r'"([^"]*)"', arguments)
        found += [{"map": name, "path": strings[-1]} for name in maps if strings and name in words]
    return found


def _body(text: str, place: int) -> str:
    """A function, from its macro to the brace that ends it."""
    end = text.find("\n}", place)
    return text[place:end if end >= 0 else len(text)]


def _before(functions: List[str]) -> str:
    """What comes before a source's own text, whose lines keep their numbers."""
    return "\n".join(["#include <uapi/linux/ptrace.h>", *functions, "#line 1", ""]) \
        if functions else ""


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


def _forget() -> None:
    """Take back what was said so far."""
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)


def _tried(make: Callable[[], bytes]) -> bytes:
    """What a function returns, in a process of its own, for LLVM ends the process at some errors;
    empty if that or the function fails."""
    memory, parent = os.memfd_create("bpfduet-try"), os.getpid()
    with open(memory, "r+b") as file:
        child = os.fork()
        if not child:
            status = COMPILER
            try:
                _end_with(parent)
                file.write(make())
                file.flush()
                status = 0
            except (Error, SpecError, NotCovered, OSError, MemoryError):
                pass
            finally:
                os._exit(status)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) not in _CRASHES:
            os.kill(os.getpid(), os.WTERMSIG(status))   # that was meant for this process, too
        if status:
            return b""
        file.seek(0)
        return file.read()


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
    complaints.limit()
    values = {name: bytes.fromhex(value) if isinstance(value, str) else value
              for name, value in request["values"].items()}
    probes = {name: (usdt.Wanted(*wanted), usdt.Identity(*identity))
              for name, (wanted, identity) in request["probes"].items()}
    sentence: Optional[str] = None
    status = 0
    try:
        compilation = _Compilation(Path(request["source"]), values, probes)
        if "explain" in request:
            result = compilation.load(request["off"], request["pinned"])
        else:
            result = compilation.texts() if "texts" in request else compilation.object()
    except NotCovered as error:
        status, sentence = COMPILER, f"{Path(request['source']).name}: {error}"
    except SpecError as error:
        status, sentence = SPEC, str(error)
    except (Error, OSError) as error:
        status, sentence = COMPILER, str(error)
    except MemoryError:
        status, sentence = COMPILER, ""
    with open(out, "wb") as file:
        file.write(sentence.encode(errors="surrogateescape") if sentence is not None else result)
    return status
