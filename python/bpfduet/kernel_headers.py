# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Kernel headers for BCC, made out of the running kernel's BTF.

BCC compiles against a folder that the environment variable BCC_KERNEL_SOURCE names. This module makes
such a folder: ``include/linux/kconfig.h`` holds the configuration, the types the program needs (a cut of
what ``bpftool btf dump`` prints) and the constants BTF does not hold; every other header is empty.
docs/headers.md tells why that works and what it costs.

    headers = kernel_headers.folder_for(text, [Path("headers")])
    headers.apply(os.environ)
    bpf = kernel_headers.without_kallsyms(lambda: bcc.BPF(text=text))

Everything is cached by kernel build; a cache another user could write to is not used.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import glob
import gzip
import hashlib
import marshal
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    Callable, Dict, FrozenSet, Iterable, List, MutableMapping, Optional, Sequence, Set, Tuple, TypeVar,
)

from .errors import Error
from .paths import HEADERS

VMLINUX = Path("/sys/kernel/btf/vmlinux")
KHEADERS = Path("/sys/kernel/kheaders.tar.xz")
MODULES = Path("/lib/modules")
CONSTANTS = HEADERS / "kernel_constants.h"
ORIGINS = ("btf", "real", "kheaders")
KEEP_KERNELS = 3
KEEP_CUTS = 64
STALE_SECONDS = 3600.0

# BCC's own text forces the first six into every program; the rest is what its tools and examples include.
FORCED = (
    "uapi/linux/bpf.h", "uapi/linux/if_packet.h", "uapi/linux/if_ether.h", "uapi/linux/ptrace.h",
    "linux/version.h", "linux/log2.h", "linux/types.h", "linux/bpf_common.h", "asm/page.h",
)
KNOWN = FORCED + (
    "asm/byteorder.h", "asm/current.h", "asm/ptrace.h", "asm/unistd.h",
    "linux/bio.h", "linux/bitops.h", "linux/blk-mq.h", "linux/blk_types.h", "linux/blkdev.h", "linux/bpf.h",
    "linux/byteorder/generic.h", "linux/capability.h", "linux/cdev.h", "linux/cgroup-defs.h", "linux/cgroup.h",
    "linux/compaction.h", "linux/compiler.h", "linux/cred.h", "linux/dcache.h", "linux/delay.h",
    "linux/device.h", "linux/err.h", "linux/errno.h", "linux/fcntl.h", "linux/fdtable.h", "linux/file.h",
    "linux/filter.h", "linux/fs.h", "linux/fs_struct.h", "linux/genhd.h", "linux/gfp.h", "linux/icmp.h",
    "linux/icmpv6.h", "linux/if_arp.h", "linux/if_ether.h", "linux/if_packet.h", "linux/if_vlan.h",
    "linux/in.h", "linux/in6.h", "linux/inet.h", "linux/init_task.h", "linux/interrupt.h", "linux/ip.h",
    "linux/ipv6.h", "linux/irq.h", "linux/irqdesc.h", "linux/kasan.h", "linux/kernel.h", "linux/kvm_host.h",
    "linux/limits.h", "linux/list.h", "linux/magic.h", "linux/mm.h", "linux/mm_types.h", "linux/mmzone.h",
    "linux/mount.h", "linux/mutex.h", "linux/net.h", "linux/netdevice.h", "linux/netfilter.h",
    "linux/nfs_fs.h", "linux/ns_common.h", "linux/nsproxy.h", "linux/oom.h", "linux/path.h",
    "linux/perf_event.h", "linux/pid.h", "linux/pid_namespace.h", "linux/pipe_fs_i.h", "linux/pkt_cls.h",
    "linux/ptrace.h", "linux/rcupdate.h", "linux/rwsem.h", "linux/sched.h", "linux/sched/signal.h",
    "linux/sched/task.h", "linux/seccomp.h", "linux/security.h", "linux/signal.h", "linux/skbuff.h",
    "linux/slab.h", "linux/slab_def.h", "linux/slub_def.h", "linux/sock_diag.h", "linux/socket.h",
    "linux/spinlock.h", "linux/stat.h", "linux/stddef.h", "linux/string.h", "linux/tcp.h", "linux/time.h",
    "linux/time64.h", "linux/tty.h", "linux/udp.h", "linux/uio.h", "linux/un.h", "linux/version.h",
    "linux/virtio.h", "linux/virtio_ring.h", "linux/wait.h", "linux/workqueue.h",
    "net/af_unix.h", "net/flow.h", "net/if_inet6.h", "net/inet_connection_sock.h", "net/inet_sock.h",
    "net/ip.h", "net/ipv6.h", "net/net_namespace.h", "net/netns/generic.h", "net/request_sock.h",
    "net/route.h", "net/sock.h", "net/tcp.h", "net/tcp_states.h", "net/udp.h",
    "uapi/asm/unistd.h", "uapi/linux/bpf_perf_event.h", "uapi/linux/fcntl.h", "uapi/linux/icmp.h",
    "uapi/linux/if_arp.h", "uapi/linux/in.h", "uapi/linux/in6.h", "uapi/linux/ip.h", "uapi/linux/ipv6.h",
    "uapi/linux/limits.h", "uapi/linux/openat2.h", "uapi/linux/perf_event.h", "uapi/linux/pkt_cls.h",
    "uapi/linux/stat.h", "uapi/linux/tcp.h", "uapi/linux/types.h", "uapi/linux/udp.h", "uapi/linux/un.h",
)
# Only these folders are the kernel's: an unknown header from elsewhere stays an error of the compiler.
KERNEL_FOLDERS = frozenset((
    "acpi", "asm", "asm-generic", "block", "crypto", "drm", "generated", "kvm", "linux", "media", "net",
    "rdma", "scsi", "sound", "trace", "uapi", "vdso", "video", "xen",
))
# Types BCC's generated code uses without the program naming them; those of its helpers.h when no libbcc is found.
ALWAYS = ("struct pt_regs",)
# The integer types: BCC declares a tracepoint's fields with them, whatever the program says.
ALWAYS_WORDS = ("BPF_ANY", "BPF_EXIST", "BPF_NOEXIST", "BPF_F_CURRENT_CPU", "BPF_F_LOCK",
                "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "bool")
HELPERS_WORDS = frozenset((
    "__be16", "__be32", "__be64", "__s16", "__s32", "__s64", "__s8", "__sum16", "__u16", "__u32", "__u64",
    "__u8", "__wsum", "bool", "dev_t", "gfp_t", "loff_t", "pid_t", "s16", "s32", "s64", "s8", "sector_t",
    "size_t", "ssize_t", "u16", "u32", "u64", "u8", "uintptr_t", "umode_t", "true", "false",
    "BPF_FUNC_map_lookup_elem",
))
# BCC's C++ code and helpers.h look at these whatever the program says.
CONFIGS = frozenset((
    "CONFIG_ARCH_HAS_SYSCALL_WRAPPER", "CONFIG_BPF_SYSCALL", "CONFIG_FUNCTION_TRACER", "CONFIG_X86",
    "CONFIG_PAGE_SHIFT", "CONFIG_ARM64_PAGE_SHIFT", "CONFIG_HZ", "CONFIG_X86_64", "CONFIG_SMP",
))

_WORD = re.compile(r"[A-Za-z_]\w*")
_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
_TAG = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)")
_CHUNK = re.compile(
    r"^(?:typedef|struct|union|enum)\b[^\n;{]*(?:;|\{[^\n]*;|\{\n(?:\t[^\n]*\n|\n)*\}[^\n]*;)$", re.M)
_FORWARD = re.compile(r"(?:struct|union|enum) \w+;|[^{]*__attribute__\(\([^{]*;")
_ENUMERATOR = re.compile(r"^\t+([A-Za-z_]\w*)(?: = -?\w+)?,$", re.M)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
_HEAD = re.compile(r"\s*(?:(?:const|volatile)\s+)*(?:(struct|union|enum)\s+(\w+)|(\w+))")
_MEMBER = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?::\s*\d+\s*)?;")
_FUNCTION_MEMBER = re.compile(r"\(\*+\s*(?:const\s+)?(\w+)")
_FUNCTION_TYPE = re.compile(r"(\w+)\s*\)?\s*\(")
_BY_VALUE = re.compile(r"\b(struct|union|enum)\s+(\w+)\s+\w+\s*[\[;]")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n\\]|\\\n|\\.)*)$", re.M)
_HELPER_ID = re.compile(r"^\s*FN\((\w+)(?:,\s*(\d+),[^)]*)?\),?\s*\\?$", re.M)
_TRACEPOINT = re.compile(r"\bTRACEPOINT_PROBE\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)|\btracepoint__(\w+?)__(\w+)")

Result = TypeVar("Result")


class HeadersError(Error):
    """No headers can be had; the text is one sentence for the user."""


@dataclass(frozen=True)
class Headers:
    """Where BCC takes kernel headers from.

    path: the folder; None if BCC is to find those under /lib/modules by itself, the only way Debian's
    split ones work. reasons: one sentence for each origin that was not taken, in order of preference.
    """

    path: Optional[Path]
    origin: str
    reasons: Tuple[str, ...] = ()

    def apply(self, environment: MutableMapping[str, str]) -> None:
        """Set or remove BCC_KERNEL_SOURCE in `environment`."""
        if self.path is None:
            environment.pop("BCC_KERNEL_SOURCE", None)
        else:
            environment["BCC_KERNEL_SOURCE"] = str(self.path)


# --- text ----------------------------------------------------------------------------------------------------


def words_of(text: str) -> FrozenSet[str]:
    """The identifiers of a C text, comments and strings left out."""
    return frozenset(_WORD.findall(_NOISE.sub(" ", text)))


def bcc_side(text: str) -> str:
    """`text` without what `#ifdef __BCC__` and its kin leave out when __BCC__ is defined."""
    kept: List[str] = []
    stack: List[Optional[bool]] = []  # None: a condition that this function does not judge
    for line in text.splitlines(keepends=True):
        directive = re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*(.*)", line)
        if directive is None:
            if False not in stack:
                kept.append(line)
            continue
        word, rest = directive.groups()
        condition = re.sub(r"\s+|/[*/].*", "", rest)
        if word in ("if", "ifdef", "ifndef"):
            yes = (word, condition) in (("ifdef", "__BCC__"), ("if", "defined(__BCC__)"), ("if", "defined__BCC__"))
            no = (word, condition) in (("ifndef", "__BCC__"), ("if", "!defined(__BCC__)"), ("if", "!defined__BCC__"))
            stack.append(True if yes else False if no else None)
        elif word in ("elif", "else") and stack and stack[-1] is not None:
            stack[-1] = not stack[-1] if word == "else" else False if stack[-1] else None
        elif word == "endif" and stack:
            stack.pop()
        if False not in stack:
            kept.append("\n" if "__BCC__" in condition else line)
    return "".join(kept)


def macros_of(text: str) -> Tuple[Dict[str, str], str]:
    """The macros of a text, name to everything after the name, and the text without them."""
    macros: Dict[str, str] = {}
    for name, body in _MACRO.findall(text):
        macros[name] = macros.get(name, "") + " " + body
    return macros, _MACRO.sub("", text)


def used_macros(macros: Dict[str, str], words: Iterable[str]) -> str:
    """The bodies of the macros that `words` name, and of those that these name in turn."""
    bodies: List[str] = []
    done: Set[str] = set()
    todo = [word for word in words if word in macros]
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            bodies.append(macros[name])
            todo += [word for word in words_of(macros[name]) if word in macros]
    return "\n".join(bodies)


def defined_by(text: str) -> Tuple[Set[str], Set[str]]:
    """What a program defines itself: ("struct x" keys, typedef names and enumerators)."""
    text = _ATTRIBUTE.sub(" ", _NOISE.sub(" ", text))
    tags: Set[str] = set()
    names: Set[str] = set()
    for found in re.finditer(r"\b(typedef\s+)?(struct|union|enum)\b(?:\s+(\w+))?(?:\s+__\w+)*\s*\{", text):
        typedef, keyword, tag = found.groups()
        if tag:
            tags.add(keyword + " " + tag)
        end, depth = found.end(), 1
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if keyword == "enum":
            names.update(re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", text[found.end():end - 1]))
        if typedef:
            names.update(_WORD.findall(text[end:].split(";", 1)[0]))
    for declaration in re.findall(r"\btypedef\b([^;{}]*);", text):
        function = _FUNCTION_MEMBER.search(declaration)
        plain = re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", declaration)
        name = function or plain
        if name:
            names.add(name.group(1))
    return tags, names


def read_sources(source: str, include_dirs: Sequence[Path]) -> Tuple[str, Tuple[str, ...]]:
    """The text of a program and of the files it includes from `include_dirs`; the other headers it names."""
    texts: List[str] = []
    unknown: Set[str] = set()
    done: Set[Path] = set()
    todo: List[Tuple[str, Sequence[Path]]] = [(source, include_dirs)]
    while todo:
        text, dirs = todo.pop()
        text = bcc_side(text)
        texts.append(text)
        for _, name in _INCLUDE.findall(text):
            path = next((d / name for d in dirs if (d / name).is_file()), None)
            if path is None:
                unknown.add(name)
                continue
            path = path.resolve()
            if path not in done:
                done.add(path)
                todo.append((path.read_text(errors="replace"), [path.parent, *include_dirs]))
    return "\n".join(texts), tuple(sorted(unknown))


def is_kernel_header(name: str) -> bool:
    """Whether an #include of that name is the kernel's, and so may be an empty file."""
    parts = name.split("/")
    return parts[0] in KERNEL_FOLDERS and len(parts) > 1 and not {"", ".", ".."} & set(parts)


# --- the index of vmlinux.h ----------------------------------------------------------------------------------


@dataclass
class Index:
    """One kernel's definitions and what else a cut needs to know.

    text: vmlinux.h. places: key to (start, end) in it; a key is "struct x", "union x", "enum x", a typedef's
    name, or "enum @START" for one without a name. enumerators: name to key. config: CONFIG_x to value.
    helpers: text of BCC's helpers.h and proto.h. functions: BPF_FUNC_x to number, where BTF lacks it.
    kallsyms: lines for without_kallsyms().
    """

    text: str
    places: Dict[str, Tuple[int, int]]
    enumerators: Dict[str, str]
    config: Dict[str, str] = field(default_factory=dict)
    helpers: str = ""
    functions: Dict[str, int] = field(default_factory=dict)
    kallsyms: str = ""

    def definition(self, key: str) -> str:
        start, end = self.places[key]
        return self.text[start:end]


def parse(text: str) -> Index:
    """Index the C text that `bpftool btf dump ... format c` prints."""
    places: Dict[str, Tuple[int, int]] = {}
    enumerators: Dict[str, str] = {}
    for found in _CHUNK.finditer(text):
        chunk = found.group()
        if chunk.startswith("typedef"):
            flat = _ATTRIBUTE.sub("", chunk[chunk.rfind("\n}") + 1:] if "{" in chunk else chunk)
            name = _FUNCTION_MEMBER.search(flat) or _FUNCTION_TYPE.search(flat) or _MEMBER.search(flat)
            if name is None:
                continue
            key = name.group(1)
        elif _FORWARD.fullmatch(chunk):
            continue
        else:
            tag = _TAG.match(chunk)
            key = " ".join(tag.groups()) if tag else "enum @%d" % found.start()
        places[key] = found.span()
        if "enum" in chunk:
            for name_ in _ENUMERATOR.findall(chunk):
                enumerators[name_] = key
    return Index(text, places, enumerators)


@dataclass
class _Definition:
    """What one definition asks for: complete types, declared typedefs, and pointers (member, key)."""

    members: Set[str] = field(default_factory=set)
    values: Set[str] = field(default_factory=set)
    declared: Set[str] = field(default_factory=set)
    pointers: Set[Tuple[Optional[str], str]] = field(default_factory=set)

    def add(self, line: str, places: Dict[str, Tuple[int, int]]) -> None:
        """Take in one declaration that ends with a semicolon."""
        line = _ATTRIBUTE.sub("", line)
        if "(" in line:
            name = _FUNCTION_MEMBER.search(line)
            keys = {" ".join(tag) for tag in _TAG.findall(line)}
            keys |= {word for word in _WORD.findall(line) if word in places}
            incomplete = not re.search(r"\)\s*\[", line)
            for key in keys:
                (self.declared if incomplete and not key.startswith("enum ") else self.values).add(key)
        else:
            name = _MEMBER.search(line)
            head = _HEAD.match(line)
            if head is None:
                return
            key = head.group(3) or head.group(1) + " " + head.group(2)
            if "*" not in line or key.startswith("enum "):
                self.values.add(key)
            else:
                self.declared.add(key)
                self.pointers.add((name.group(1) if name else None, key))
        if name is not None:
            self.members.add(name.group(1))


class Cut:
    """The part of an index that one program needs, complete in itself."""

    def __init__(self, index: Index, words: FrozenSet[str], own_tags: Set[str]) -> None:
        self.index = index
        self.words = words
        self.own_tags = own_tags
        self.complete: Dict[str, bool] = {}  # False: a typedef that is only declared
        self.todo: List[str] = []
        self.parsed: Dict[str, _Definition] = {}

    def parse(self, key: str) -> _Definition:
        """The definition of a key that the index has."""
        known = self.parsed.get(key)
        if known is not None:
            return known
        result = _Definition()
        text = self.index.definition(key)
        body = text.find("{")
        if body < 0:
            result.add(text[len("typedef "):], self.index.places)
            if not key.startswith(("struct ", "union ", "enum ")):
                result.pointers = {(None, target) for _, target in result.pointers}
        else:
            for line in text[body + 1:].split("\n")[1:-1]:
                if line.endswith(";") and not line.lstrip().startswith("}"):
                    result.add(line, self.index.places)
                elif line.endswith(";"):
                    result.members.update(_WORD.findall(_ATTRIBUTE.sub("", line)))
        self.parsed[key] = result
        return result

    def is_alias(self, key: str) -> bool:
        """Whether a key is a typedef without a body."""
        return key.find(" ") < 0 and "{" not in self.index.definition(key)

    def members(self, key: str) -> Set[str]:
        """The members reached through an object of a type, nested anonymous ones included."""
        while key in self.index.places and self.is_alias(key):
            targets = self.parse(key).values
            if len(targets) != 1:
                return set()
            key = next(iter(targets))
        return self.parse(key).members if key in self.index.places else set()

    def need(self, key: str, complete: bool = True) -> None:
        """Take a type in; `complete` False: a typedef is wanted, but not what it stands for."""
        if key not in self.index.places or (not complete and " " in key):
            return
        if complete and self.complete.get(key) or not complete and key in self.complete:
            return
        self.complete[key] = complete
        self.todo.append(key)

    def need_words(self, words: Iterable[str]) -> None:
        """Take in the typedefs and enumerations that `words` name."""
        for word in words:
            self.need(word)
            # A lower-case enumerator is far likelier the program's own name, and would collide with it.
            key = self.index.enumerators.get(word)
            if key is not None and (not word.islower() or word in ("true", "false")):
                self.need(key)

    def follow(self) -> None:
        """Take in all that what is there needs."""
        while self.todo:
            key = self.todo.pop()
            definition = self.parse(key)
            text = self.index.definition(key)
            hollow = not self.complete[key] and self.is_alias(key) and "[" not in text
            for value in definition.values:
                self.need(value, not hollow)
            for declared in definition.declared:
                self.need(declared, False)
            for member, target in definition.pointers:
                if member is not None and member not in self.words or target in self.own_tags:
                    continue
                if self.members(target) & self.words:
                    self.need(target)

    def render(self, mentioned: Iterable[Tuple[str, str]]) -> str:
        """The C text, in the order of vmlinux.h, every other struct that it or `mentioned` names declared first."""
        places = sorted(self.index.places[key] for key in self.complete)
        body = "\n\n".join(self.index.text[start:end] for start, end in places)
        forward = sorted({tag for tag in [*_TAG.findall(body), *mentioned] if tag[0] != "enum"})
        return "".join("%s %s;\n" % tag for tag in forward) + "\n" + body + "\n"


def cut(index: Index, program: str, constants: str = "") -> str:
    """The definitions that `program` (C text with its includes) needs, of `index`.

    `constants` is the text of kernel_constants.h; only what the program uses of it counts.
    """
    program = _NOISE.sub(" ", program)
    words = words_of(program)
    program_tags = set(_TAG.findall(program))
    own_tags, own_names = defined_by(program)

    macros, _ = macros_of(constants)
    from_constants = used_macros(macros, words)
    helper_macros, helpers = macros_of(_NOISE.sub(" ", index.helpers))
    helper_tags, _ = defined_by(helpers)
    helper_words = words_of(helpers) if index.helpers else HELPERS_WORDS
    from_helpers = used_macros(helper_macros, words | helper_words)
    own_tags |= helper_tags

    chosen = Cut(index, words | words_of(from_constants), own_tags)
    roots = {" ".join(tag) for tag in program_tags | set(_TAG.findall(from_constants + from_helpers))}
    roots |= {" ".join(tag) for tag in _BY_VALUE.findall(helpers)}
    for key in (roots - own_tags) | set(ALWAYS):
        chosen.need(key)
    chosen.need_words((words | words_of(from_constants)) - own_names)
    chosen.need_words((helper_words | words_of(from_helpers)).union(ALWAYS_WORDS))
    chosen.follow()

    text = chosen.render(program_tags | set(_TAG.findall(helpers)))
    # What the program defines too gets another name here: by value it may be part of what is needed.
    for key in sorted(own_tags & set(chosen.complete)):
        keyword, name = key.split(" ")
        text = re.sub(r"\b%s %s\b" % (keyword, name), "%s %s___kernel" % (keyword, name), text)
    clashes = (own_names - helper_words) & (set(chosen.complete) | set(index.enumerators))
    if clashes:
        text = re.sub(r"\b(%s)\b" % "|".join(sorted(clashes)), r"\1___kernel", text)
    return text


# --- what the running kernel says of itself --------------------------------------------------------------------


def read_config(release: str) -> Dict[str, str]:
    """CONFIG_x to its value as a macro's body ("1" for y), from /proc/config.gz or a file beside the kernel.

    Empty if there is none. x=m gives CONFIG_x_MODULE.
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
    """The kernel's version of three numbers. Debian's release lacks the third, its version string has it."""
    found = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", version) or re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if found is None:
        return 0, 0, 0
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, min(patch, 255)


def find_libbcc() -> Optional[Path]:
    """The libbcc.so this process has loaded, or else the one it would load."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            loaded = re.search(r"(/\S*/libbcc\.so\S*)", file.read())
        if loaded and os.path.exists(loaded.group(1)):
            return Path(loaded.group(1))
    except OSError:
        pass
    for pattern in ("/usr/local/lib*/libbcc.so.0", "/usr/lib/%s-*/libbcc.so.0" % platform.machine(),
                    "/usr/lib64/libbcc.so.0", "/usr/lib/libbcc.so.0"):
        for path in sorted(glob.glob(pattern)):
            return Path(path).resolve()
    return None


def helpers_of(libbcc: bytes) -> Tuple[str, Dict[str, int]]:
    """BCC's own headers (helpers.h, proto.h) and numbered helper functions, out of libbcc.so's bytes.

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
    """The lines of kallsyms that BCC looks for while it compiles: bpf_* and the bpf system call's function.

    Addresses are made up, none of them is asked for.
    """
    names = sorted(set(re.findall(r" [TtWw] (bpf_\w+|\w*sys_bpf)$", text, re.M)))
    return "".join("%016x T %s\n" % (0xFFFFFFFF81000000 + 16 * i, name) for i, name in enumerate(names))


def dump_btf(btf: Path) -> str:
    """The C text of a BTF file.

    Raises HeadersError if bpftool cannot be run or refuses the file.
    """
    tool = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")
    if tool is None:
        raise HeadersError("bpftool is missing, and headers cannot be made from BTF without it: install it")
    done = subprocess.run([tool, "btf", "dump", "file", str(btf), "format", "c"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode or b"struct task_struct {" not in done.stdout:
        said = done.stderr.decode(errors="replace").strip().split("\n")[0] or "it has no struct task_struct"
        raise HeadersError("bpftool cannot use the BTF of %s: %s" % (btf, said))
    return done.stdout.decode(errors="replace")


def build_index(btf: Path) -> Index:
    """Ask the kernel for everything an index holds; about half a second."""
    index = parse(dump_btf(btf))
    index.config = read_config(os.uname().release)
    libbcc = find_libbcc()
    if libbcc is not None:
        index.helpers, functions = helpers_of(libbcc.read_bytes())
        index.functions = {name: n for name, n in functions.items() if name not in index.enumerators}
    try:
        with open("/proc/kallsyms", encoding="ascii", errors="replace") as file:
            index.kallsyms = short_kallsyms(file.read())
    except OSError:
        pass
    return index


# --- the folder ------------------------------------------------------------------------------------------------


def kconfig(index: Index, program: Optional[str], constants: str) -> str:
    """The text of include/linux/kconfig.h for a program with its includes; for any program if it is None."""
    macros, _ = macros_of(constants)
    if program is None:
        types, configs = index.text, set(index.config)
    else:
        words = words_of(program)
        types = cut(index, program, constants)
        configs = {name for name in words | CONFIGS if name in index.config}
        configs |= {name + "_MODULE" for name in words if name + "_MODULE" in index.config}
    uname = os.uname()
    version = version_code(uname.release, uname.version)
    lines = ["/* Made by bpfduet out of the kernel's BTF; SPDX-License-Identifier: GPL-2.0-only */",
             "#ifndef BPFDUET_KCONFIG_H", "#define BPFDUET_KCONFIG_H"]
    lines += ["#define %s %s" % (name, index.config[name]) for name in sorted(configs)]
    if not index.config:
        # Without the configuration at hand: BTF and this process are proof enough of these.
        lines.append("#define CONFIG_BPF_SYSCALL 1")
        if "x64_sys_bpf" in index.kallsyms or "arm64_sys_bpf" in index.kallsyms:
            lines.append("#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1")
    lines += [
        "#define LINUX_VERSION_CODE %d" % ((version[0] << 16) + (version[1] << 8) + version[2]),
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))",
        "/* BCC forces its own copy of bpf.h in; all of it is among the types below. */",
        "#define _UAPI__LINUX_BPF_H__",
        "#define BPF_NO_PRESERVE_ACCESS_INDEX",
        "#define __VMLINUX_H__" if program is not None else "",
        types,
    ]
    lines += ["#define %s %d" % item for item in sorted(index.functions.items(), key=lambda item: item[1])]
    lines += ["#define %s %s" % item for item in derived_constants(index)]
    lines += [constants, "#endif", ""]
    return "\n".join(lines)


def derived_constants(index: Index) -> List[Tuple[str, str]]:
    """Constants that differ between kernels and that this kernel's types tell."""
    constants = []
    for key, pattern in (("struct dentry", r"\bd_iname\[(\d+)\]"), ("union shortname_store", r"\bstring\[(\d+)\]")):
        found = re.search(pattern, index.definition(key)) if key in index.places else None
        if found:
            constants.append(("DNAME_INLINE_LEN", found.group(1)))
            break
    return constants


def write_folder(directory: Path, text: str, stubs: Iterable[str]) -> None:
    """Write the empty headers and, last, kconfig.h, sealed with a checksum.

    Also mends a folder. Each file is put in place at once, so others may read or write the same meanwhile.
    """
    for name in sorted(set(stubs)):
        path = directory / "include" / name
        if not path.is_file() or path.stat().st_size:
            _write(path, b"")
    raw = text.encode()
    _write(directory / "include/linux/kconfig.h", raw + b"/* crc32 %08x */\n" % zlib.crc32(raw))


def _write(path: Path, content: bytes) -> None:
    """Put a file in place at once that only its owner can change, whatever the umask."""
    missing = []
    for folder in path.parents:
        if folder.is_dir():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o755, exist_ok=True)
    temporary = path.with_name(".new-%d-%d" % (os.getpid(), threading.get_ident()))
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.rename(temporary, path)


def folder_is_whole(directory: Path, stubs: Iterable[str]) -> bool:
    """Whether a folder is as write_folder() left it."""
    try:
        raw = (directory / "include" / "linux" / "kconfig.h").read_bytes()
    except OSError:
        return False
    body, mark, seal = raw.rpartition(b"/* crc32 ")
    if not mark or seal != b"%08x */\n" % zlib.crc32(body):
        return False
    try:
        return all(os.stat(directory / "include" / name).st_size == 0 for name in stubs)
    except OSError:
        return False


# --- the cache -------------------------------------------------------------------------------------------------


def is_private(path: Path) -> bool:
    """Whether nobody but root and this user can change what `path`, a folder, holds or leads to."""
    path = Path(os.path.abspath(path))
    for folder in (path, *path.parents):
        try:
            info = os.lstat(folder)
        except OSError:
            return False
        if not stat.S_ISDIR(info.st_mode) or info.st_uid not in (0, os.geteuid()):
            return False
        others = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others and (folder == path or not info.st_mode & stat.S_ISVTX):
            return False
    return True


@functools.lru_cache(maxsize=None)
def _private_folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="bpfduet-headers-"))
    atexit.register(shutil.rmtree, str(path), True)
    return path


def cache_folder() -> Path:
    """The folder of the cache: the first of the usual places that only this user can write, else a private one.

    The private one lives in the folder for temporary files and as long as the process.
    """
    places = []
    if os.environ.get("XDG_CACHE_HOME", "").startswith("/"):
        places.append(Path(os.environ["XDG_CACHE_HOME"]))
    if os.geteuid() == 0:
        places.append(Path("/var/cache"))
    elif os.environ.get("HOME", "").startswith("/"):
        places.append(Path(os.environ["HOME"]) / ".cache")
    for place in places:
        path = (Path(os.path.realpath(place)) / "bpfduet")
        try:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError:
            continue
        if is_private(path) and os.access(path, os.W_OK):
            return path
    return _private_folder()


def kernel_key(btf: Path) -> str:
    """A name for what an index is made of: kernel build, BCC, this module. 32 hexadecimal digits.

    Raises HeadersError if there is no BTF: what is cached is only used for a kernel that shows its own.
    """
    if not btf.exists():
        raise HeadersError("%s does not exist: the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)" % btf)
    uname = os.uname()
    digest = hashlib.sha256(repr((uname.release, uname.version, uname.machine)).encode())
    digest.update(Path(__file__).read_bytes())
    try:
        if btf != VMLINUX:
            raise OSError("not the running kernel's")
        digest.update(Path("/sys/kernel/notes").read_bytes())  # has the build id
    except OSError:
        digest.update(btf.read_bytes())
    libbcc = find_libbcc()
    if libbcc is not None:
        info = libbcc.stat()
        digest.update(repr((str(libbcc), info.st_size, info.st_mtime_ns)).encode())
    return digest.hexdigest()[:32]


def _load(path: Path) -> Optional[Index]:
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    if raw[:9] != b"%08x\n" % zlib.crc32(raw[9:]):
        return None
    return Index(**marshal.loads(raw[9:]))


def _prune(folder: Path, prefix: str, keep: int) -> None:
    """Remove all but the `keep` entries used last, and what died half-written."""
    entries = []
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            age = os.stat(folder / name).st_mtime
        except OSError:
            continue
        if name.startswith(".new-"):
            if time.time() - age > STALE_SECONDS:
                entries.append((-1.0, name))
        elif name.startswith(prefix):
            entries.append((age, name))
    living = sorted((entry for entry in entries if entry[0] >= 0), reverse=True)
    for _, name in [entry for entry in entries if entry[0] < 0] + living[keep:]:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class Kernel:
    """The cache of one kernel build: its index, read when first needed, and the folders cut from it."""

    def __init__(self, btf: Path, root: Optional[Path] = None) -> None:
        self.btf = btf
        self.root = root or cache_folder()
        self.folder = self.root / ("kernel-" + kernel_key(btf))
        self._index: Optional[Index] = None

    def index(self) -> Index:
        """The index, from the cache if it is there and whole.

        Raises HeadersError if there is no BTF or no bpftool.
        """
        if self._index is None:
            self._index = _load(self.folder / "index")
        if self._index is None:
            self._index = build_index(self.btf)
            payload = marshal.dumps(self._index.__dict__, 4)
            _write(self.folder / "index", b"%08x\n" % zlib.crc32(payload) + payload)
            _prune(self.root, "kernel-", KEEP_KERNELS)
        return self._index

    def kallsyms(self) -> Optional[Path]:
        """A file that can stand in for /proc/kallsyms while BCC compiles; None if that cannot be read."""
        for path in self.folder.glob("kallsyms-*"):
            if path.name == "kallsyms-%08x" % zlib.crc32(path.read_bytes()):
                return path
        lines = self.index().kallsyms.encode()
        if not lines:
            return None
        path = self.folder / ("kallsyms-%08x" % zlib.crc32(lines))
        _write(path, lines)
        return path

    def cut(self, source: str, include_dirs: Sequence[Path]) -> Path:
        """The folder for one program."""
        program, includes = read_sources(source, include_dirs)
        program += "\n" + tracepoint_fields(program)
        constants = CONSTANTS.read_text()
        stubs = tuple(sorted({*FORCED, *filter(is_kernel_header, includes)}))
        name = hashlib.sha256(repr((program, stubs, constants)).encode()).hexdigest()[:32]
        path = self.folder / "cuts" / name
        if folder_is_whole(path, stubs):
            os.utime(path)
            os.utime(self.folder)
            return path
        write_folder(path, kconfig(self.index(), program, constants), stubs)
        _prune(path.parent, "", KEEP_CUTS)
        return path


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


# --- the ways to have headers ------------------------------------------------------------------------------------


def _real() -> Optional[Path]:
    """Headers of exactly this kernel: their folder, or None if BCC must find them by itself.

    Raises HeadersError, with why not.
    """
    release = os.uname().release
    modules = MODULES / release
    build, source = modules / "build", modules / "source"
    if not build.is_dir():
        raise HeadersError("%s does not exist: no kernel headers are installed for this kernel" % build)
    found = None
    for name in ("include/config/kernel.release", "include/generated/utsrelease.h"):
        try:
            text = (build / name).read_text()
        except OSError:
            continue
        quoted = re.search(r'"([^"]*)"', text)
        found = quoted.group(1) if quoted else text.strip()
        break
    if found is None:
        raise HeadersError("%s does not say which kernel it belongs to" % build)
    if found != release:
        raise HeadersError("%s holds headers of %s, but the running kernel is %s: offsets would be wrong"
                           % (build, found, release))
    split = source.is_dir() and source.resolve() != build.resolve()
    return None if split else build.resolve()


def _kheaders(unpack: bool = True) -> Path:
    """The headers that the kernel carries, unpacked or as an archive. Raises HeadersError if it carries none."""
    if not KHEADERS.exists():
        raise HeadersError("%s does not exist: the kernel was built without CONFIG_IKHEADERS, "
                           "or its module kheaders is not loaded" % KHEADERS)
    if not unpack:
        return KHEADERS
    root = cache_folder()
    path = root / ("kernel-" + kernel_key(VMLINUX)) / "kheaders"
    if (path / "include" / "linux" / "kconfig.h").is_file():
        return path
    path.parent.mkdir(mode=0o755, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        with tarfile.open(KHEADERS) as archive:
            archive.extractall(temporary)
        temporary.chmod(0o755)
        os.rename(temporary, path)
    except (OSError, tarfile.TarError) as error:
        if not (path / "include" / "linux" / "kconfig.h").is_file():
            raise HeadersError("%s cannot be unpacked: %s" % (KHEADERS, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def folder_for(source: str, include_dirs: Sequence[Path], *, btf: Path = VMLINUX) -> Headers:
    """The kernel headers to compile `source`, a BPF program in BCC's dialect, with.

    include_dirs are the folders its own includes are looked for in, as -I does; other identifiers that
    reach the compiler, as from -D, belong into `source`. BTF is preferred, then headers that are exactly
    the running kernel's, then those it carries; BPFDUET_HEADERS=real|kheaders|btf forces one.
    Raises HeadersError, one sentence, if there is nothing to be had.
    """
    forced = os.environ.get("BPFDUET_HEADERS", "")
    if forced and forced not in ORIGINS:
        raise HeadersError("BPFDUET_HEADERS is %r, and may be real, kheaders or btf" % forced)
    reasons: List[str] = []
    for origin in (forced,) if forced else ORIGINS:
        try:
            if origin == "btf":
                path: Optional[Path] = Kernel(btf).cut(source, include_dirs)
            else:
                path = _real() if origin == "real" else _kheaders()
        except (HeadersError, OSError) as error:
            reasons.append("%s: %s" % (origin, error))
            continue
        return Headers(path, origin, tuple(reasons))
    if forced:
        raise HeadersError("BPFDUET_HEADERS=%s cannot be done: %s" % (forced, reasons[0].split(": ", 1)[1]))
    raise HeadersError("no kernel headers can be had (%s)" % "; ".join(reasons))


def make(directory: Path, source: Optional[str], btf: Path = VMLINUX, include_dirs: Sequence[Path] = ()) -> None:
    """Write a complete folder for BCC_KERNEL_SOURCE: for one program, or for any one if `source` is None.

    Raises HeadersError if the BTF cannot be used, OSError if the folder cannot be written.
    """
    index = Kernel(btf).index()
    program: Optional[str] = None
    includes: Tuple[str, ...] = ()
    if source is not None:
        program, includes = read_sources(source, include_dirs)
        program += "\n" + tracepoint_fields(program)
    write_folder(directory, kconfig(index, program, CONSTANTS.read_text()),
                 {*KNOWN, *filter(is_kernel_header, includes)})


def explain() -> List[Tuple[str, bool, str]]:
    """Every origin in order of preference: (origin, whether it can be used, what it is or why not)."""
    found: List[Tuple[str, bool, str]] = []
    for origin in ORIGINS:
        try:
            if origin == "btf":
                index = Kernel(VMLINUX).index()
                why = "%s, %d types" % (VMLINUX, len(index.places))
            elif origin == "real":
                why = str(_real() or MODULES / os.uname().release)
            else:
                why = str(_kheaders(unpack=False))
        except (HeadersError, OSError) as error:
            found.append((origin, False, str(error)))
        else:
            found.append((origin, True, why))
    return found


# --- kallsyms ----------------------------------------------------------------------------------------------------

CLONE_NEWNS = 0x00020000
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18


def _hide_kallsyms(file: Path) -> None:
    """Give the calling thread a mount namespace of its own, where `file` is /proc/kallsyms.

    Raises OSError where that is not allowed; the thread then sees what it saw before.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    check(libc.unshare(CLONE_NEWNS))
    # Without this the bind mount would travel back into everybody's /proc.
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    check(libc.mount(str(file).encode(), b"/proc/kallsyms", None, MS_BIND, None))


def without_kallsyms(call: Callable[[], Result]) -> Result:
    """Run `call`, a compilation by BCC, where /proc/kallsyms is short, and return what it returns or raises.

    It runs in a thread of its own, the only one that sees the short file; the thread's working directory is
    its own as well. Where the kernel does not allow that, `call` runs all the same, and sees the real file.
    BCC's symbol table of the kernel is forgotten afterwards, if the call filled it.
    """
    try:
        short = Kernel(VMLINUX).kallsyms()
    except (HeadersError, OSError):
        short = None
    outcome: List[Result] = []
    failure: List[BaseException] = []

    def run() -> None:
        try:
            if short is not None:
                _hide_kallsyms(short)
        except OSError:
            pass
        try:
            outcome.append(call())
        except BaseException as error:  # handed to the caller, whatever it is
            failure.append(error)

    thread = threading.Thread(target=run, name="bpfduet-compile")
    thread.start()
    thread.join()
    bcc = sys.modules.get("bcc")
    if bcc is not None and short is not None:
        bcc.BPF._sym_caches.pop(-1, None)
    if failure:
        raise failure[0]
    return outcome[0]
