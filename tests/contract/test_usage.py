# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Wrong usage: exit status 2, one sentence and where to look, the same bytes from both."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest

from frontends import BIN, FRONTENDS, ROOT, Argument, run

pytestmark = pytest.mark.host_only

LONG = "x" * 16
HUGE = "9" * 4000

WRONG: List[Tuple[str, List[Argument], bytes]] = [
    ("opensnoop", ["-Z"], b"unknown option '-Z'"),
    ("opensnoop", ["--foo"], b"unknown option '--foo'"),
    ("opensnoop", ["--foo=1"], b"unknown option '--foo'"),
    ("opensnoop", ["-TZ"], b"unknown option '-Z'"),
    ("opensnoop", ["--pid"], b"option '--pid' needs an argument"),
    ("opensnoop", ["-p"], b"option '--pid' needs an argument"),
    ("opensnoop", ["-Tp"], b"option '--pid' needs an argument"),
    ("opensnoop", ["--timestamp=1"], b"option '--timestamp' takes no argument"),
    ("opensnoop", ["--timestamp="], b"option '--timestamp' takes no argument"),
    ("opensnoop", ["--f"], b"option '--f' is ambiguous"),
    ("opensnoop", ["-p", "abc"], b"'abc' is not a number for '--pid'"),
    ("opensnoop", ["-p", ""], b"'' is not a number for '--pid'"),
    ("opensnoop", ["-p", " 1"], b"' 1' is not a number for '--pid'"),
    ("opensnoop", ["-p", "1 "], b"'1 ' is not a number for '--pid'"),
    ("opensnoop", ["-p", "0x"], b"'0x' is not a number for '--pid'"),
    ("opensnoop", ["-p", "1.5"], b"'1.5' is not a number for '--pid'"),
    ("opensnoop", ["-p", "0"], b"'0' is out of range for '--pid' (1 to 4194304)"),
    ("opensnoop", ["-p", "-1"], b"'-1' is out of range for '--pid' (1 to 4194304)"),
    ("opensnoop", ["-p", HUGE], b"'%s' is out of range for '--pid' (1 to 4194304)"
     % HUGE.encode()),
    ("opensnoop", ["--format", "xml"],
     b"'xml' is not a value of '--format' (text, json, csv)"),
    ("opensnoop", ["--format", "JSON"],
     b"'JSON' is not a value of '--format' (text, json, csv)"),
    ("opensnoop", ["-f", "O_NONE"], b"'O_NONE' is not a value of '--flag_filter'"),
    ("opensnoop", ["-f", "O_RDWR|"], b"'' is not a value of '--flag_filter'"),
    ("opensnoop", ["-u", "no-such-user"], b"no such user 'no-such-user'"),
    ("opensnoop", ["-b", "3"], b"'3' is not a power of two for '--buffer-pages'"),
    ("opensnoop", ["-b", "0"], b"'0' is out of range for '--buffer-pages' (1 to 262144)"),
    ("opensnoop", ["--comm", LONG], b"'%s' is too long for '--comm' (at most 15 bytes)"
     % LONG.encode()),
    ("opensnoop", ["x"], b"unexpected argument 'x'"),
    ("opensnoop", ["-"], b"unexpected argument '-'"),
    ("opensnoop", ["--"], b"no command after '--'"),
    ("opensnoop", ["-T", "--"], b"no command after '--'"),
    ("opensnoop", ["--duration", "0"], b"'0' is out of range for '--duration' (1 to 2147483647)"),
    # numbers that no filter has
    ("opensnoop", ["-u", "4294967296"], b"'4294967296' is out of range for '--uid' (0 to 4294967295)"),
    ("syscount", ["-e", "-0"], b"'-0' is out of range for '--errno' (1 to 2147483647)"),
    ("syscount", ["--syscall", "-1"], b"'-1' is out of range for '--syscall' (0 to 2147483647)"),
    ("syscount", ["-e", "ENONSENSE"], b"no such errno 'ENONSENSE'"),
    ("syscount", ["--syscall", "nonsense"], b"no such syscall 'nonsense'"),
    ("execsnoop", ["-n", "("], b"bad pattern '(' for '--name'"),
    ("execsnoop", ["-n", "[a"], b"bad pattern '[a' for '--name'"),
    ("execsnoop", ["--max-args", "65"], b"'65' is out of range for '--max-args' (1 to 64)"),
    # what was typed may be anything
    ("opensnoop", [b"-\xff"], b"unknown option '-\\xff'"),
    ("opensnoop", [b"--\x1b[31m"], b"unknown option '--\\x1b[31m'"),
    ("opensnoop", [b"a\nb"], b"unexpected argument 'a\\x0ab'"),
    ("opensnoop", ["\u202etxt"], b"unexpected argument '\\xe2\\x80\\xaetxt'"),
    ("opensnoop", ["-p", b"1\x07"], b"'1\\x07' is not a number for '--pid'"),
    ("opensnoop", ["-u", b"\xc0\x80"], b"no such user '\\xc0\\x80'"),
    ("opensnoop", ["-p", "\u0663"], "'\u0663' is not a number for '--pid'".encode()),
]


@pytest.mark.parametrize("tool, args, sentence", WRONG,
                         ids=[f"{tool}-{str(args)[:40]}" for tool, args, _ in WRONG])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_wrong_usage(frontend: str, tool: str, args: List[Argument], sentence: bytes) -> None:
    """TOOL: SENTENCE, where to look, 2; nothing on stdout."""
    result = run(frontend, tool, args)
    assert result.stderr == b"%s: %s\nTry '%s --help' for more information.\n" % (
        tool.encode(), sentence, tool.encode())
    assert (result.status, result.stdout) == (2, b"")


@pytest.mark.parametrize("args, status", [
    (["--help", "--nonsense"], 0), (["--nonsense", "--help"], 2), (["-h", "--"], 0),
    (["--vers"], 0), (["-TUh"], 0), (["-p", "--help"], 2), (["--version", "x"], 0)])
def test_left_to_right(args: List[str], status: int) -> None:
    """Options are obeyed where they stand."""
    c, bcc = (run(frontend, "opensnoop", args) for frontend in FRONTENDS)
    assert c == bcc
    assert c.status == status


@pytest.mark.parametrize("args", [[], ["--help-me"], ["nonsense"], ["run"], ["run", "--pid"],
                                  ["list", "x"]])
def test_wrong_usage_of_the_command(args: List[str]) -> None:
    """The command itself: the same form."""
    done = subprocess.run([str(ROOT / "bpfduet"), *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout, len(said)) == (2, b"", 2)
    assert said[0].startswith("bpfduet: ")
    assert said[1] == "Try 'bpfduet --help' for more information."


@pytest.mark.parametrize("tool", ["opensnop", "../opensnoop", "", "\x1b[2J", "/missing.bpf.c"])
def test_no_such_tool(tool: str) -> None:
    """bpfduet run of something that is not there: one sentence, 1."""
    done = subprocess.run([str(ROOT / "bpfduet"), "run", tool], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"bpfduet: there is no ") and done.stderr.count(b"\n") == 1
    assert b"\x1b" not in done.stderr
    if tool == "opensnop":
        assert b"did you mean 'opensnoop'?" in done.stderr


@pytest.mark.parametrize("args, status, said", [
    ([], 2, "bpfduet-loader: no object file given\n"),
    (["-p"], 2, "bpfduet-loader: the object file comes before the options\n"),
    (["{tmp}/missing"], 1, "bpfduet-loader: cannot read '{tmp}/missing': "
                           "No such file or directory\n"),
    (["{tmp}"], 1, "bpfduet-loader: cannot read '{tmp}': Is a directory\n")])
def test_wrong_usage_of_the_loader(tmp_path: Path, args: List[str], status: int,
                                   said: str) -> None:
    """The generic loader, without an object."""
    done = subprocess.run([str(BIN / "bpfduet-loader"), *(a.format(tmp=tmp_path) for a in args)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.decode().startswith(said.format(tmp=tmp_path))
    assert ("Try 'bpfduet-loader --help'" in done.stderr.decode()) == (status == 2)


@pytest.mark.parametrize("tool", sorted(path.stem for path in (ROOT / "shared_bpf").glob("*.toml")
                                        if path.stem != "common"))
def test_same_help(tool: str) -> None:
    """--help is the same: both find the same options, by other ways."""
    shown = [run(frontend, tool, ["--help"]) for frontend in FRONTENDS]
    assert shown[0] == shown[1]
    assert shown[0].status == 0 and shown[0].stdout.startswith(b"Usage: %s " % tool.encode())
