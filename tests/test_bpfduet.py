# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""bpfduet list and bpfduet headers; bpfduet run has tests/contract and tests/parity."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, Optional

import pytest

from frontends import ROOT


def bpfduet(*arguments: str, env: Optional[Dict[str, str]] = None) -> subprocess.CompletedProcess:
    return subprocess.run([str(ROOT / "bpfduet"), *arguments], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, check=False)


@pytest.mark.host_only
def test_list_names_every_tool() -> None:
    done = bpfduet("list")
    tools = sorted(path.name[:-len(".bpf.c")] for path in (ROOT / "shared_bpf").glob("*.bpf.c"))
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == tools


def test_headers_explains() -> None:
    done = bpfduet("headers")
    assert done.returncode == 0
    assert [line.split()[:1] for line in done.stdout.splitlines()] == [["btf"], ["real"], ["kheaders"]]
    assert done.stdout.splitlines()[0].split()[1] == "yes"


def test_headers_serve_a_stock_tool(tmp_path: Path) -> None:
    """A folder made by the command is all that an unmodified BCC tool needs."""
    made = bpfduet("headers", "--make", str(tmp_path / "any"))
    assert (made.returncode, made.stdout) == (0, f"BCC_KERNEL_SOURCE={tmp_path / 'any'}\n")
    done = subprocess.run(["/usr/sbin/syscount-bpfcc", "-d", "1", "-p", str(os.getpid())],
                          env={**os.environ, "BCC_KERNEL_SOURCE": str(tmp_path / "any")},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SYSCALL                   COUNT" in done.stdout


def test_headers_for_a_program(tmp_path: Path) -> None:
    source = ROOT / "shared_bpf" / "opensnoop.bpf.c"
    made = bpfduet("headers", "--for", str(source), "--make", str(tmp_path / "cut"))
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "cut" / "include" / "linux" / "kconfig.h").read_text()
    assert "struct dentry {" in text        # opensnoop follows it
    assert "struct tcp_sock {" not in text
    cached = bpfduet("headers", "--for", str(source))
    assert cached.stdout.startswith("BCC_KERNEL_SOURCE=/")
    folder = Path(cached.stdout.strip().split("=", 1)[1])
    assert (folder / "include" / "linux" / "kconfig.h").read_text() == text


@pytest.mark.host_only
def test_wrong_usage() -> None:
    for arguments, sentence in ((("headers", "--nope"), "option --nope not recognized"),
                                (("headers", "x"), "unexpected argument 'x'"),
                                (("frobnicate",), "there is no command 'frobnicate'"),
                                (("run", "--plain"), "--plain needs a tool: its name, or a .bpf.c file"),
                                ((), "which command?")):
        done = bpfduet(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[0] == f"bpfduet: {sentence}"
    missing = bpfduet("headers", "--for", "/no/such/file")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("bpfduet: cannot read '/no/such/file'")
