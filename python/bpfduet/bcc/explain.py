# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Why the kernel refuses a program: libbcc loads it, and its log of the verifier, on standard
error, has the lines of the source."""
from __future__ import annotations

import ctypes as ct
import os
from typing import Any, Sequence

from ..errors import Error
from .libbcc import library

# BPF_PROG_TYPE_* of what is before the first "/" of a section's name; libbcc finds by a program's
# name where those of fentry, fexit and lsm belong
_KPROBE, _TRACING = 2, 26
_TYPES = {"tracepoint": 5, "raw_tracepoint": 17, "raw_tp": 17, "fentry": _TRACING,
          "fexit": _TRACING, "lsm": 29, "perf_event": 7, "xdp": 6, "tc": 3, "cgroup_skb": 8,
          "socket": 1}


def open_pinned(path: str) -> int:
    """The descriptor of a pinned map. Raises Error."""
    fd = int(library().bpf_obj_get(os.fsencode(path)))
    if fd < 0:
        raise Error(f"there is no pinned map at '{path}': {os.strerror(ct.get_errno())}")
    return fd


def load(lib: Any, module: Any, name: bytes, section: str) -> None:
    """Load a program of a module, and let it go again. Raises Error if the kernel refuses it."""
    kind = _TYPES.get(section.partition("/")[0], _KPROBE)
    fd = lib.bcc_func_load(module, kind, name, lib.bpf_function_start(module, name),
                           lib.bpf_function_size(module, name), lib.bpf_module_license(module),
                           lib.bpf_module_kern_version(module), 0, None, 0, None, -1)
    if fd < 0:
        raise Error("the kernel's verifier rejects a program (its log is above): "
                    f"{os.strerror(ct.get_errno())}")
    os.close(fd)


def names_of(lib: Any, module: Any) -> Sequence[bytes]:
    """The programs of a module."""
    return [lib.bpf_function_name(module, number)
            for number in range(lib.bpf_num_functions(module))]
