# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The few calls of libbpf that BCC's Python API does not have."""
from __future__ import annotations

import ctypes as ct
import functools
import os
from typing import Any

from .errors import Error

# linux/bpf.h
TRACE_FENTRY = 24
PROG_TYPE_TRACEPOINT, PROG_TYPE_TRACING = 5, 26
F_SLEEPABLE = 16
# r0 = 0; exit
_NOTHING = (ct.c_uint64 * 2)(0xb7, 0x95)


class _LoadOpts(ct.Structure):
    """struct bpf_prog_load_opts, as far as it is needed"""

    _fields_ = [("sz", ct.c_size_t), ("attempts", ct.c_int), ("expected_attach_type", ct.c_int),
                ("prog_btf_fd", ct.c_uint32), ("prog_flags", ct.c_uint32),
                ("prog_ifindex", ct.c_uint32), ("kern_version", ct.c_uint32),
                ("attach_btf_id", ct.c_uint32), ("attach_prog_fd", ct.c_uint32)]


class _RunOpts(ct.Structure):
    """struct bpf_test_run_opts"""

    _fields_ = [("sz", ct.c_size_t), ("data_in", ct.c_void_p), ("data_out", ct.c_void_p),
                ("data_size_in", ct.c_uint32), ("data_size_out", ct.c_uint32),
                ("ctx_in", ct.c_void_p), ("ctx_out", ct.c_void_p), ("ctx_size_in", ct.c_uint32),
                ("ctx_size_out", ct.c_uint32), ("retval", ct.c_uint32), ("repeat", ct.c_int),
                ("duration", ct.c_uint32), ("flags", ct.c_uint32), ("cpu", ct.c_uint32),
                ("batch_size", ct.c_uint32)]


@functools.lru_cache(maxsize=None)
def library() -> Any:
    """libbpf 1.x, which BCC is linked with. Raises Error."""
    try:
        lib = ct.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise Error("libbpf.so.1 is missing: install libbpf") from error
    lib.libbpf_set_print.argtypes = [ct.c_void_p]
    lib.libbpf_set_print.restype = ct.c_void_p
    lib.bpf_prog_load.argtypes = [ct.c_int, ct.c_char_p, ct.c_char_p, ct.c_void_p, ct.c_size_t,
                                  ct.c_void_p]
    return lib


def run_once(program: int) -> None:
    """BPF_PROG_TEST_RUN: the program runs here and now. Raises OSError."""
    opts = _RunOpts(sz=ct.sizeof(_RunOpts))
    error = library().bpf_prog_test_run_opts(program, ct.byref(opts))
    if error:
        raise OSError(-error, "")


def has_fentry(function: str) -> bool:
    """Whether a program can be put at the entry of a kernel function: one is loaded to see."""
    lib = library()
    told = lib.libbpf_set_print(None)   # that there is no such function is no news
    number = lib.libbpf_find_vmlinux_btf_id(function.encode(), TRACE_FENTRY)
    lib.libbpf_set_print(told)
    if number <= 0:
        return False
    opts = _LoadOpts(sz=ct.sizeof(_LoadOpts), expected_attach_type=TRACE_FENTRY,
                     attach_btf_id=number)
    fd = lib.bpf_prog_load(PROG_TYPE_TRACING, None, b"GPL", _NOTHING, 2, ct.byref(opts))
    if fd < 0:
        return False
    os.close(fd)
    return True


@functools.lru_cache(maxsize=None)
def has_sleepable_tracepoints() -> bool:
    """Whether programs of tracepoints may sleep: one is loaded to see."""
    opts = _LoadOpts(sz=ct.sizeof(_LoadOpts), prog_flags=F_SLEEPABLE)
    fd = library().bpf_prog_load(PROG_TYPE_TRACEPOINT, None, b"GPL", _NOTHING, 2, ct.byref(opts))
    if fd < 0:
        return False
    os.close(fd)
    return True
