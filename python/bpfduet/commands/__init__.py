# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the command ``bpfduet`` does, a file each; main has their list."""
