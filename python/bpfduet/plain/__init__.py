# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``bpfduet run --plain``: a tool through bcc's published Python API alone, as users write it.

It is what the tests compare the engine with, so it shares nothing with it but the spec: bcc
compiles, loads, attaches and reads, and what is printed is made here out of ctypes objects.
docs/plain.md shows the pattern.
"""
