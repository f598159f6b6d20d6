# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Every struct and union of a kernel is laid out as its BTF says, by headers made out of that."""
from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

import debian
from bpfduet import kernel_headers
from bpfduet.kernel_headers.kernel import read_btf

# bpftool 7.1 cannot write a packed union in C. The check of sizes in each cut catches them.
KNOWN_WRONG = {"ec_response_get_next_data_v3", "ec_response_get_next_event_v3", "cros_ec_device"}
KINDS = ("STRUCT", "UNION", "ENUM", "ENUM64")


def offsets(btf: Path) -> Iterator[Tuple[str, str, int]]:
    """An expression, the type it is about, its value; for every type that has its name alone."""
    dump = json.loads(subprocess.run(["bpftool", "-j", "btf", "dump", "file", str(btf)], check=True,
                                     stdout=subprocess.PIPE).stdout)
    tags = [entry for entry in dump["types"] if entry["kind"] in KINDS]
    names = Counter(entry["name"] for entry in tags)
    for entry in tags:
        if names[entry["name"]] > 1 or "members" not in entry:
            continue
        tag = f"{entry['kind'].lower()} {entry['name']}"
        yield f"sizeof({tag})", entry["name"], entry["size"]
        for member in entry["members"]:
            if member["name"] != "(anon)" and not member.get("bitfield_size"):
                yield (f"__builtin_offsetof({tag}, {member['name']})", entry["name"],
                       member["bits_offset"] // 8)


def wrong_types(btf: Path, folder: Path) -> Set[str]:
    """Compile an assertion for each of them; the names of the types for which one fails."""
    index = read_btf(btf)
    checks: List[str] = [f'_Static_assert({expression} == {value}, "<{name}>");'
                         for expression, name, value in offsets(btf)]
    assert len(checks) > 50000
    source = folder / "layouts.c"
    source.write_text("\n".join(["#define BPF_NO_PRESERVE_ACCESS_INDEX", index.text, *checks]))
    done = subprocess.run(["clang", "-std=gnu11", "-w", "-ferror-limit=0", "-fsyntax-only",
                           str(source)], stderr=subprocess.PIPE, text=True, check=False)
    errors = re.findall(r"error: (.*)", done.stderr)
    wrong = [re.search(r'static.*"?<(\w+)>', error) for error in errors]
    assert all(wrong), [error for error, match in zip(errors, wrong) if not match]
    return {match[1] for match in wrong if match}


@pytest.mark.skipif(not kernel_headers.VMLINUX.exists(), reason="the kernel shows no BTF")
def test_the_running_kernel(tmp_path: Path) -> None:
    assert wrong_types(kernel_headers.VMLINUX, tmp_path) <= KNOWN_WRONG


@pytest.mark.host_only
@debian.needs_packages
@pytest.mark.parametrize("series", debian.SERIES)
def test_debians_kernels(series: str, tmp_path: Path) -> None:
    assert wrong_types(debian.kernel(series).btf / "vmlinux", tmp_path) <= KNOWN_WRONG
