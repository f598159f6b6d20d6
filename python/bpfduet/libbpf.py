# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The few calls of libbpf that BCC's Python API does not have.

BCC attaches network programs in ways that outlive a killed process; a link does not.
"""
from __future__ import annotations

import ctypes as ct
import functools
import os
from typing import Any, Optional

from .errors import Error

# linux/bpf.h
CGROUP_INET_INGRESS, CGROUP_INET_EGRESS = 0, 1
TRACE_FENTRY = 24
XDP = 37
TCX_INGRESS, TCX_EGRESS = 46, 47
PROG_TYPE_TRACEPOINT, PROG_TYPE_TRACING = 5, 26
F_ALLOW_MULTI = 2
F_LOCK = 4
F_SLEEPABLE = 16
# libbpf.h: enum bpf_tc_attach_point
TC_INGRESS, TC_EGRESS = 1, 2
ENOENT, EEXIST = 2, 17
# r0 = 0; exit
_NOTHING = (ct.c_uint64 * 2)(0xb7, 0x95)


class TcHook(ct.Structure):
    """struct bpf_tc_hook"""

    _fields_ = [("sz", ct.c_size_t), ("ifindex", ct.c_int), ("attach_point", ct.c_int),
                ("parent", ct.c_uint32), ("_", ct.c_uint32)]


class TcOpts(ct.Structure):
    """struct bpf_tc_opts"""

    _fields_ = [("sz", ct.c_size_t), ("prog_fd", ct.c_int), ("flags", ct.c_uint32),
                ("prog_id", ct.c_uint32), ("handle", ct.c_uint32), ("priority", ct.c_uint32),
                ("_", ct.c_uint32)]


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


class _BatchOpts(ct.Structure):
    """struct bpf_map_batch_opts"""

    _fields_ = [("sz", ct.c_size_t), ("elem_flags", ct.c_uint64), ("flags", ct.c_uint64)]


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
    lib.bpf_map_lookup_elem_flags.argtypes = [ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_uint64]
    lib.bpf_map_update_elem.argtypes = [ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_uint64]
    return lib


def link(program: int, target: int, attach_type: int) -> int:
    """BPF_LINK_CREATE: a descriptor that holds the program at its place. Raises OSError."""
    fd = library().bpf_link_create(program, target, attach_type, None)
    if fd < 0:
        raise OSError(-fd, "")
    return int(fd)


def attach_to_cgroup(program: int, folder: int, attach_type: int) -> None:
    """BPF_PROG_ATTACH, beside others: it stays until BPF_PROG_DETACH or the end of the cgroup.
    Raises OSError."""
    error = library().bpf_prog_attach(program, folder, attach_type, F_ALLOW_MULTI)
    if error:
        raise OSError(-error, "")


def detach_from_cgroup(program: int, folder: int, attach_type: int) -> None:
    """BPF_PROG_DETACH. Raises OSError."""
    error = library().bpf_prog_detach2(program, folder, attach_type)
    if error:
        raise OSError(-error, "")


def lookup(table: Any, key: Any, flags: int) -> Any:
    """A map's value, read with flags that BCC does not pass on. Raises KeyError."""
    leaf = table.Leaf()
    if library().bpf_map_lookup_elem_flags(table.map_fd, ct.byref(key), ct.byref(leaf), flags):
        raise KeyError
    return leaf


def update(table: Any, key: Any, leaf: Any, flags: int) -> None:
    """Set a map's value. Raises OSError."""
    error = library().bpf_map_update_elem(table.map_fd, ct.byref(key), ct.byref(leaf), flags)
    if error:
        raise OSError(-error, "")


def take_batch(fd: int, keys: Any, leaves: Any, room: int, flags: int) -> Optional[int]:
    """Read and delete all entries, of which there are no more than ``room``: how many there were.
    None where the kernel cannot (before 5.6)."""
    batch, count = ct.c_uint32(0), ct.c_uint32(room)
    opts = _BatchOpts(sz=ct.sizeof(_BatchOpts), elem_flags=flags)
    done = library().bpf_map_lookup_and_delete_batch(
        fd, None, ct.byref(batch), keys, leaves, ct.byref(count), ct.byref(opts))
    return count.value if done in (0, -ENOENT) else None    # ENOENT: that was the last batch


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
