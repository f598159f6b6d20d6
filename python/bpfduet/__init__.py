# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet: one BPF program, two ways to run it, one output.

>>> from bpfduet import Tool
>>> for event in Tool("opensnoop").events(duration=5):
...     print(event.pid, event.comm, event.path)
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import Error, SpecError, UsageError
    from .paths import VERSION as __version__
    from .api import Tool

__all__ = ["Error", "SpecError", "Tool", "UsageError", "__version__"]


def __getattr__(name: str) -> object:
    """What is here is loaded when it is first asked for: `bpfduet run` starts without it."""
    if name in ("Error", "SpecError", "UsageError"):
        from . import errors
        return getattr(errors, name)
    if name == "__version__":
        from .paths import VERSION
        return VERSION
    if name == "Tool":
        from .api import Tool
        return Tool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
