# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""BCC as a compiler: what it makes of a kernel half becomes an object file, which the C engine runs.

``quick`` and ``start`` are `bpfduet run`; ``child`` compiles, in a process of its own; ``objects`` writes and
reads the object files; ``kept`` is the cache of them. docs/start-up.md tells the whole.
"""

FORMAT = 1  # of the objects (c_loader/bcc_object.c)
