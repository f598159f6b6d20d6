# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet: one BPF program, two ways to run it, one output.

>>> from bpfduet import Tool
>>> for event in Tool("opensnoop").events(duration=5):
...     print(event.pid, event.comm, event.path)
"""
from .errors import Error
from .options import UsageError
from .paths import VERSION as __version__
from .spec import SpecError
from .tool import Tool

__all__ = ["Error", "SpecError", "Tool", "UsageError", "__version__"]
