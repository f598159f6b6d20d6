# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The compiler of specs: TOOL.toml, and what the compilers know of TOOL.bpf.c, to the bound spec that the
engine reads (docs/spec.md)."""
