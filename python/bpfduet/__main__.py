# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``python3 -m bpfduet``."""
from .begin import main

main()
