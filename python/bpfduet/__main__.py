# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``python3 -m bpfduet``."""
import sys

from .command import main

sys.exit(main(sys.argv[1:]))
