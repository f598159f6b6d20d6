# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""libbcc, BCC's compiler: the library itself, without bcc's Python code, which takes as long to load
again as the interpreter."""
from __future__ import annotations

import ctypes as ct
import functools
from typing import Any

from ..errors import Error

_MODULE, _NAME, _NUMBER, _INT, _UINT = ct.c_void_p, ct.c_char_p, ct.c_size_t, ct.c_int, ct.c_uint
# bcc's bpf_module.h and libbpf.h: what a function returns, and its arguments
_FUNCTIONS = {
    "bpf_module_create_c_from_string":
        (ct.c_void_p, _NAME, _UINT, ct.POINTER(_NAME), _INT, ct.c_bool, _NAME),
    "bpf_module_license": (_NAME, _MODULE),
    "bpf_module_kern_version": (_UINT, _MODULE),
    "bpf_num_functions": (_NUMBER, _MODULE),
    "bpf_function_name": (_NAME, _MODULE, _NUMBER),
    "bpf_function_start": (ct.c_void_p, _MODULE, _NAME),
    "bpf_function_size": (_NUMBER, _MODULE, _NAME),
    "bpf_num_tables": (_NUMBER, _MODULE),
    "bpf_table_name": (_NAME, _MODULE, _NUMBER),
    "bpf_table_fd": (_INT, _MODULE, _NAME),
    "bpf_table_type_id": (_INT, _MODULE, _NUMBER),
    "bpf_table_max_entries_id": (_NUMBER, _MODULE, _NUMBER),
    "bpf_table_key_desc": (_NAME, _MODULE, _NAME),
    "bpf_table_leaf_desc": (_NAME, _MODULE, _NAME),
    "bpf_obj_get": (_INT, _NAME),
    "bpf_obj_get_info": (_INT, _INT, ct.c_void_p, ct.POINTER(ct.c_uint32)),
    "bcc_func_load": (_INT, _MODULE, _INT, _NAME, ct.c_void_p, _NUMBER, _NAME, _UINT, _INT, _NAME,
                      _UINT, _NAME, _UINT),
}


@functools.lru_cache(maxsize=None)
def library() -> Any:
    """The library. Raises Error."""
    try:
        lib = ct.CDLL("libbcc.so.0", use_errno=True)
    except OSError as error:
        raise Error(f"BCC cannot be loaded ({error}): install it (Debian: python3-bpfcc)") from error
    for name, (returned, *arguments) in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = returned, arguments
    return lib
