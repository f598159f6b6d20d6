# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``python3 -m bpfduet.spec.describe TOOL.toml TOOL.o``: the bound spec of a compiled object, as JSON."""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import List

from . import bind, object_types, read
from ..errors import SpecError
from ..paths import COMMON, VERSION


def main(arguments: List[str]) -> int:
    """Print the bound spec on stdout, or what is wrong with the spec on stderr."""
    if len(arguments) != 2:
        print("Usage: python3 -m bpfduet.spec.describe TOOL.toml TOOL.o", file=sys.stderr)
        return 2
    try:
        types = object_types.types_from_object(Path(arguments[1]))
        bound = bind.bind(read.load(Path(arguments[0]), COMMON), types, VERSION)
    except (SpecError, object_types.BtfError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(bound, ensure_ascii=False, separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
