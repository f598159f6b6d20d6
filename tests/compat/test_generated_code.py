# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The code that BCC generates reads members where BTF says they are.

BCC lays structs out for the host's architecture and generates code for BPF; both must agree.
"""
from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(Path(__file__).parent)]

from bpfduet import kernel_headers  # noqa: E402
from bpfduet.kernel_headers.kernel import read_btf  # noqa: E402

ADD_IMMEDIATE = 0x07
MEMBER = re.compile(r"__builtin_offsetof\((struct \w+), (\w+)\)")


def last_members() -> List[Tuple[str, str, int]]:
    """(struct, member, offset) of the last member of every struct with pads in it."""
    from test_layouts import offsets
    index = read_btf(kernel_headers.VMLINUX)
    last: Dict[str, Tuple[str, int]] = {}
    for expression, _, value in offsets(kernel_headers.VMLINUX):
        match = MEMBER.fullmatch(expression)
        if match and value >= last.get(match[1], ("", 0))[1]:
            last[match[1]] = match[2], value
    return [(name, *last[name]) for name, (start, end) in sorted(index.places.items())
            if name in last and "\tlong: 64;" in index.text[start:end]]


def generated(members: List[Tuple[str, str, int]]) -> List[List[int]]:
    """What each member's function adds to the address of its struct, by real BCC."""
    done = subprocess.run([sys.executable, __file__], input=json.dumps(members), check=True,
                          stdout=subprocess.PIPE, text=True)
    found: List[List[int]] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not kernel_headers.VMLINUX.exists(), reason="the kernel shows no BTF")
def test_members_behind_pads() -> None:
    members = last_members()
    assert len(members) > 100 and "struct cgroup" in [name for name, *_ in members]
    wrong = [(name, member, offset, added)
             for (name, member, offset), added in zip(members, generated(members))
             if added != ([offset] if offset else [])]
    assert not wrong


def compile_all(members: List[Tuple[str, str, int]]) -> List[List[int]]:
    """Compile a function for each member and read its instructions."""
    import os
    text = "".join(
        f"int read_{number}(struct pt_regs *ctx)\n{{\n\tchar byte;\n\t{name} *at = (void *)ctx->di;\n"
        f"\tbpf_probe_read_kernel(&byte, 1, &at->{member});\n\treturn byte;\n}}\n"
        for number, (name, member, _) in enumerate(members))
    kernel_headers.folder_for(text, []).apply(os.environ)
    import bcc
    bpf = kernel_headers.without_kallsyms(lambda: bcc.BPF(text=text.encode()))
    found = []
    for number in range(len(members)):
        code = bpf.dump_func(f"read_{number}".encode())
        instructions = struct.iter_unpack("=BBhi", code)
        found.append([value for code, _, _, value in instructions
                      if code == ADD_IMMEDIATE and value > 0])
    return found


if __name__ == "__main__":
    json.dump(compile_all(json.load(sys.stdin)), sys.stdout)
