# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Both frontends at once on one workload: the same bytes, and the truth."""
