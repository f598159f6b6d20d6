# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The same question put to others on the same workload: bpftrace and the stock BCC tools."""
