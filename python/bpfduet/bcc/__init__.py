# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""BCC as a compiler: what it makes of a kernel half becomes an object file, which the C engine runs.

``quick`` and ``start`` are `bpfduet run`; ``child`` compiles, in a process of its own, and
``complaints`` is what the compiler says; ``usdt`` reads the notes of probes; ``explain`` tells what
the kernel refuses; ``objects`` writes and reads the object files; ``kept`` is the cache of them.
docs/start-up.md tells the whole.
"""

FORMAT = 1  # of the objects (c_loader/kernel/bcc_object.c)
# The compiler's, for all that BCC compiles. Linux 7 has `struct x;` as a member. BCC does not link:
# a function must be known.
FLAGS = ("-D__BCC__", "-fms-extensions", "-Wno-microsoft-anon-tag",
         "-Werror=implicit-function-declaration")
