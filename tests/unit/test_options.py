# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Command lines: what they mean, and the sentence about each that means nothing."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

import harness
from harness import Usage

OPENSNOOP = harness.bound_of("opensnoop")
EXECSNOOP = harness.bound_of("execsnoop")
SYSCOUNT = harness.bound_of("syscount")
READHIST = harness.bound_of("readhist")


def parse(*argv: str, bound: Dict[str, Any] = OPENSNOOP) -> Dict[str, Any]:
    """The arguments of opensnoop, or of another tool."""
    return harness.parse(bound, *argv)


def with_letter(bound: Dict[str, Any], name: str, letter: str) -> Dict[str, Any]:
    """A bound spec of which an option has a letter."""
    return {**bound, "options": [{**option, "short": letter} if option["name"] == name else option
                                 for option in bound["options"]]}


def with_option(option: Dict[str, Any]) -> Dict[str, Any]:
    """opensnoop with one more."""
    return {**OPENSNOOP, "options": [*OPENSNOOP["options"], option]}


def number(value: int, size: int = 4) -> str:
    """A CONFIG constant's bytes."""
    return value.to_bytes(size, "little").hex()


def test_nothing() -> None:
    """No arguments: defaults, and no conditions."""
    assert parse() == {"given": [], "values": {"format": 0}, "configs": {}, "command": None}


@pytest.mark.parametrize("argv", [
    ["-p123"], ["-p", "123"], ["--pid=123"], ["--pid", "123"], ["-p0x7b"],
    ["-p+123"], ["-p0123"], ["-p1", "-p123"], ["-p", "0X7B"],
])
def test_ways_to_give_a_number(argv: List[str]) -> None:
    """All of them mean the same."""
    found = parse(*argv)
    assert found["values"]["pid"] == 123
    assert found["configs"] == {"filter_pid": number(123)}
    assert found["given"] == ["pid"]


def test_whole_name_wins() -> None:
    """An option's own name is no abbreviation of a longer one."""
    bound = with_option({"name": "pathology", "type": "flag"})
    assert parse("--path=x", bound=bound)["given"] == ["path"]
    assert parse("--patho", bound=bound)["given"] == ["pathology"]


def test_cluster() -> None:
    """Several letters in one word, the last with its argument."""
    found = parse("-TUp1", "-xb", "64")
    assert sorted(found["given"]) == ["buffer-pages", "failed", "pid", "print-uid", "timestamp"]
    assert found["configs"] == {"filter_pid": number(1), "failed_only": number(1, 1)}
    assert found["values"]["buffer-pages"] == 64


def test_argument_may_look_like_an_option() -> None:
    """What follows an option that needs an argument is that argument."""
    assert parse("--name", "--")["values"]["name"] == "--"
    assert parse("-n", "-T")["given"] == ["name"]
    assert parse("-nT")["values"]["name"] == "T"
    assert parse("--name=")["values"]["name"] == ""


def test_command() -> None:
    """Everything after -- belongs to the command."""
    found = parse("-T", "--", "ls", "-l", "--", "--help")
    assert found["command"] == ["ls", "-l", "--", "--help"]
    assert found["given"] == ["timestamp"]


def test_strings_are_bytes() -> None:
    """File names are what the system takes, in whatever encoding."""
    found = parse("--mapped=/\udcff", "--comm", "n\u00e9e")
    assert found["values"]["mapped"] == r"/\xff"
    assert found["configs"] == {"filter_comm": (b"n\xc3\xa9e" + bytes(12)).hex()}


def test_flags() -> None:
    """Names are OR-ed, in one argument and over several."""
    found = parse("-f", "O_WRONLY|O_CREAT", "-fO_TRUNC")
    assert found["configs"] == {"flag_mask": number(0o1101)}


@pytest.mark.parametrize("argv, errno, syscall, signal", [
    (["-e", "ENOENT", "--syscall=openat", "--signal", "TERM"], 2, 257, 15),
    (["-e", "-13", "--syscall=0x1", "--signal", "SIGKILL"], 13, 1, 9)])
def test_names(argv: List[str], errno: int, syscall: int, signal: int) -> None:
    """errno, syscall and signal by name or number."""
    found = parse(*argv, bound=SYSCOUNT)
    assert found["configs"] == {"only_errno": number(errno), "only_syscall": number(syscall)}
    assert found["values"]["signal"] == signal


@pytest.mark.parametrize("text, uid", [("1000", 1000), ("0", 0), ("0xffffffff", 0xffffffff)])
def test_uids(text: str, uid: int) -> None:
    """By number."""
    assert parse("-u", text)["configs"]["filter_uid"] == number(uid, 8)


def test_users() -> None:
    """By name: every one that this machine has; the first line that has it counts."""
    lines = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    uids: Dict[str, int] = {}
    for name, _, uid, *_ in (line for line in lines if len(line) == 7):
        uids.setdefault(name, int(uid))
    assert uids["root"] == 0 and len(uids) > 1
    for name, uid in uids.items():
        assert parse("-u", name)["configs"]["filter_uid"] == number(uid, 8), name


def test_defaults() -> None:
    """A default is as good as an argument, but is not given."""
    found = parse(bound=EXECSNOOP)
    assert found["configs"] == {"max_args": number(20)} and not found["given"]
    found = parse("--max-args=3", bound=EXECSNOOP)
    assert found["configs"] == {"max_args": number(3)} and found["given"] == ["max-args"]


def test_replies() -> None:
    """What is printed at once, and that what follows is not looked at."""
    replies = harness.run([harness.document(OPENSNOOP, ["--help", "--nonsense"]),
                           harness.document(OPENSNOOP, ["-TVZ"]),
                           harness.document(SYSCOUNT, ["--list"])])
    assert [(status, stderr) for status, _, stderr in replies] == [(0, b"")] * 3
    text, version, syscalls = (stdout for _, stdout, _ in replies)
    assert text == OPENSNOOP["help"].encode() and version == b"opensnoop 1.0\n"
    assert b"openat" in syscalls.split()
    assert syscalls.splitlines()[0] == b"   ".join(
        b"%-22s" % name for name in (b"_sysctl", b"accept", b"accept4", b"access"))
    with pytest.raises(Usage):
        parse("--nonsense", "--help")


@pytest.mark.parametrize("argv, said", [
    ([], b""), (["-d0x5", "-na\x1b"], b"Tracing a\\x1b for 0x5 s\n"), (["-d5", "--format=json"], b""),
    (["-d5", "--format=csv"], b"")])
def test_banner(argv: List[str], said: bytes) -> None:
    """On stderr: conditions, values as typed, escaped; text only."""
    assert harness.run([harness.document(OPENSNOOP, argv)])[0][2] == said


@pytest.mark.parametrize("argv, sentence", [
    ("-Z", "unknown option '-Z'"),
    ("-TZp", "unknown option '-Z'"),
    ("-\x1b", "unknown option '-\\x1b'"),
    ("-é", "unknown option '-\\xc3'"),
    ("--foo", "unknown option '--foo'"),
    ("--foo=1", "unknown option '--foo'"),
    ("--\x07", "unknown option '--\\x07'"),
    ("--pid", "option '--pid' needs an argument"),
    ("-Tp", "option '--pid' needs an argument"),
    ("--timestamp=1", "option '--timestamp' takes no argument"),
    ("--times=", "option '--timestamp' takes no argument"),
    ("--f", "option '--f' is ambiguous"),
    ("--=x", "option '--' is ambiguous"),
    ("--pid=abc", "'abc' is not a number for '--pid'"),
    ("--pid=", "'' is not a number for '--pid'"),
    ("--pid= 1", "' 1' is not a number for '--pid'"),
    ("--pid=1_0", "'1_0' is not a number for '--pid'"),
    ("--pid=0x", "'0x' is not a number for '--pid'"),
    ("--pid=1e3", "'1e3' is not a number for '--pid'"),
    ("--pid=--1", "'--1' is not a number for '--pid'"),
    ("--pid=\u0661", "'\u0661' is not a number for '--pid'"),
    ("--pid=0", "'0' is out of range for '--pid' (1 to 4194304)"),
    ("--pid=-1", "'-1' is out of range for '--pid' (1 to 4194304)"),
    ("--pid=4194305", "'4194305' is out of range for '--pid' (1 to 4194304)"),
    ("--pid=" + "9" * 5000, f"'{'9' * 5000}' is out of range for '--pid' (1 to 4194304)"),
    ("--uid=4294967296", "'4294967296' is out of range for '--uid' (0 to 4294967295)"),
    ("--uid=-1", "'-1' is out of range for '--uid' (0 to 4294967295)"),
    ("--uid=no such user", "no such user 'no such user'"),
    ("--uid=+nis", "no such user '+nis'"),
    ("--format=xml", "'xml' is not a value of '--format' (text, json, csv)"),
    ("--format=", "'' is not a value of '--format' (text, json, csv)"),
    ("-fO_WRONLY|O_X", "'O_X' is not a value of '--flag-filter' "
                       "(O_WRONLY, O_RDWR, O_CREAT, O_TRUNC)"),
    ("-fo_wronly", "'o_wronly' is not a value of '--flag-filter' "
                   "(O_WRONLY, O_RDWR, O_CREAT, O_TRUNC)"),
    ("--comm=0123456789abcdef", "'0123456789abcdef' is too long for '--comm' (at most 15 bytes)"),
    ("--path=[", "bad pattern '[' for '--path'"),
    ("--path=(\x01", "bad pattern '(\\x01' for '--path'"),
    ("x", "unexpected argument 'x'"),
    ("", "unexpected argument ''"),
    ("-", "unexpected argument '-'"),
    ("\udcff", "unexpected argument '\\xff'"),
    ("--buffer-pages=3", "'3' is not a power of two for '--buffer-pages'"),
    ("--buffer-pages=0", "'0' is out of range for '--buffer-pages' (1 to 262144)"),
    ("--", "no command after '--'"),
])
def test_sentences(argv: str, sentence: str) -> None:
    """One argument, one sentence."""
    with pytest.raises(Usage) as caught:
        parse(argv)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("argv, sentence", [
    ("--errno=ENOPE", "no such errno 'ENOPE'"),
    ("--errno=enoent", "no such errno 'enoent'"),
    ("--syscall=opne", "no such syscall 'opne'"),
    ("--syscall=-1", "'-1' is out of range for '--syscall' (0 to 2147483647)"),
    ("--signal=TREM", "no such signal 'TREM'"),
    ("--top=1001", "'1001' is out of range for '--top' (1 to 1000)"),
])
def test_more_sentences(argv: str, sentence: str) -> None:
    """Those of syscount's types."""
    with pytest.raises(Usage) as caught:
        parse(argv, bound=SYSCOUNT)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["", "null", "no such disk", "../dev"])
def test_no_disk(name: str) -> None:
    """What is no block device below /dev."""
    with pytest.raises(Usage) as caught:
        parse("--disk", name, bound=with_option({"name": "disk", "type": "disk"}))
    assert str(caught.value) == f"no such disk '{name}'"


def test_many_choices_are_not_listed() -> None:
    """Nine names and more are too many for a sentence."""
    choices = {f"v{n}": n for n in range(9)}
    with pytest.raises(Usage) as caught:
        parse("--many=x", bound=with_option({"name": "many", "type": "choice", "choices": choices}))
    assert str(caught.value) == "'x' is not a value of '--many'"


@pytest.mark.parametrize("argv, interval, count", [
    (["5"], 5, None), (["5", "3"], 5, 3), (["-i", "7", "5", "--", "x"], 5, None)])
def test_words_without_a_dash(argv: List[str], interval: int, count: Any) -> None:
    """Are for the options that ``arguments`` names, in its order."""
    found = parse(*argv, bound=with_letter(READHIST, "interval", "i"))
    assert (found["values"]["interval"], found["values"].get("count")) == (interval, count)
    assert found["given"] == (["interval"] if count is None else ["interval", "count"])


@pytest.mark.parametrize("argv, sentence", [
    (["5", "3", "1"], "unexpected argument '1'"), (["x"], "'x' is not a number for '--interval'"),
    (["0"], "'0' is out of range for '--interval' (1 to 2147483647)"),
    (["5", ""], "'' is not a number for '--count'"),
    (["--count=2", "-"], "'-' is not a number for '--interval'"),
])
def test_wrong_words(argv: List[str], sentence: str) -> None:
    """They are read as if they stood behind the option."""
    with pytest.raises(Usage) as caught:
        parse(*argv, bound=READHIST)
    assert str(caught.value) == sentence


def test_lists_of_numbers() -> None:
    """They go into a map; the constant says that there are some."""
    found = parse("--calls=1,0x10,4095", bound=SYSCOUNT)
    assert found["values"]["calls"] == [1, 16, 4095]
    assert found["configs"]["some_calls"] == number(1, 1)


@pytest.mark.parametrize("argv, sentence", [
    ("--calls=", "'' is no list of numbers for '--calls'"),
    ("--calls=1,,2", "'1,,2' is no list of numbers for '--calls'"),
    ("--calls=1,read", "'1,read' is no list of numbers for '--calls'"),
    ("--calls=1,4096", "'1,4096' is out of range for '--calls' (0 to 4095)"),
    ("--calls=-1", "'-1' is out of range for '--calls' (0 to 4095)"),
])
def test_wrong_lists_of_numbers(argv: str, sentence: str) -> None:
    """Each is within the range."""
    with pytest.raises(Usage) as caught:
        parse(argv, bound=SYSCOUNT)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("argv, missing", [
    ([], True), (["--count=5"], True), (["--", "ls"], True), (["5"], False), (["--interval=5"], False),
    (["5", "--", "ls"], False), (["--help"], False)])
def test_required(argv: List[str], missing: bool) -> None:
    """An option without which there is nothing to do."""
    bound = {**READHIST, "options": [{**option, "required": option["name"] == "interval"}
                                     for option in READHIST["options"]]}
    status, _, stderr = harness.run([harness.document(bound, argv)])[0]
    assert status == (2 if missing else 0)
    assert (b"readhist: no interval is given\n" in stderr) == missing


def test_usage_names_them() -> None:
    """In --help."""
    assert READHIST["help"].startswith("Usage: readhist [OPTIONS] [SECONDS [NUMBER]]\n")
