# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What README promises a newcomer: the tool that it shows works, in both modes, as it is printed."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import frontends

pytestmark = pytest.mark.host_only

README = frontends.ROOT / "README.md"
COMMAND = ["sh", "-c", "kill -CONT $$; kill -0 $$"]


@pytest.fixture(scope="module")
def killsnoop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """README's two files in a folder of their own, compiled ahead of time."""
    folder = tmp_path_factory.mktemp("killsnoop")
    text = README.read_text()
    for name, language in (("killsnoop.bpf.c", "c"), ("killsnoop.toml", "toml")):
        found = re.search(rf"`shared_bpf/{re.escape(name)}`:\n\n```{language}\n(.*?)```", text, re.S)
        assert found, name
        (folder / name).write_text(found.group(1))
    subprocess.run(["make", "-s", f"TOOLS_DIR={folder}", "TOOLS=killsnoop",
                    f"BUILD={folder / 'build'}"], cwd=frontends.ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    return folder


@pytest.mark.parametrize("frontend", frontends.FRONTENDS)
def test_killsnoop(frontend: str, killsnoop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontends, "BIN", killsnoop / "build" / "bin")
    result = frontends.run(frontend, str(killsnoop / "killsnoop.bpf.c"), ["--", *COMMAND])
    assert result.status == 0, result.stderr
    header, cont, zero = result.lines()
    assert header == b"PID     COMM             SIG      TARGET"
    pid = cont.split()[0]
    assert cont == b"%-7s %-16s %-8s %s" % (pid, b"sh", b"SIGCONT", pid)
    assert zero == b"%-7s %-16s %-8s %s" % (pid, b"sh", b"0", pid)


def test_names_every_tool() -> None:
    tools = {path.name[:-len(".bpf.c")] for path in (frontends.ROOT / "shared_bpf").glob("*.bpf.c")}
    named = set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.M))
    assert named == tools


def test_every_tool_has_its_page() -> None:
    """docs/tools has a page for each tool, headed by its name, with a transcript, and none beside."""
    tools = {path.name[:-len(".bpf.c")] for path in (frontends.ROOT / "shared_bpf").glob("*.bpf.c")}
    pages = {path.stem: path.read_text() for path in (frontends.ROOT / "docs/tools").iterdir()}
    assert set(pages) == tools
    for tool, text in pages.items():
        assert text.startswith(f"# {tool}\n"), tool
        assert re.search(rf"^```console\n# .*\b{tool}\b", text, re.M), tool
