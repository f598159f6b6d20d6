# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Command lines: what they mean, and the sentence about each that means nothing."""
from __future__ import annotations

from typing import Any, Dict, List

import pytest

import harness
from bpfduet import options, users

OPENSNOOP = harness.bound_of("opensnoop")
EXECSNOOP = harness.bound_of("execsnoop")
SYSCOUNT = harness.bound_of("syscount")


def parse(*argv: str, bound: Dict[str, Any] = OPENSNOOP) -> options.Options:
    """The arguments of opensnoop, or of another tool."""
    return options.parse(bound, argv)


@pytest.fixture(autouse=True)
def _passwd(tmp_path, monkeypatch):
    """Users of our own."""
    path = tmp_path / "passwd"
    path.write_bytes(b"# comment:x:1:1\nroot:x:0:0:root:/root:/bin/sh\nalias:x:0:0::/:\n"
                     b"+nis:x:7:7\nn\xc3\xa9e:x:1000:1000::/:/bin/sh\nbroken\n12:x:9:9::/:\n")
    monkeypatch.setattr(users, "PASSWD", str(path))
    users._users.cache_clear()
    yield
    users._users.cache_clear()


def test_nothing():
    """No arguments: defaults, and no conditions."""
    found = parse()
    assert found.values == {"format": 0}
    assert found.given == set()
    assert found.command is None and found.reply is None and found.format == "text"
    assert found.configs == {} and found.maps == {}


@pytest.mark.parametrize("argv", [
    ["-p123"], ["-p", "123"], ["--pid=123"], ["--pid", "123"], ["-p0x7b"],
    ["-p+123"], ["-p0123"], ["-p1", "-p123"], ["-p", "0X7B"],
])
def test_ways_to_give_a_number(argv: List[str]) -> None:
    """All of them mean the same."""
    found = parse(*argv)
    assert found.values["pid"] == 123
    assert found.configs == {"filter_pid": 123}
    assert found.given == {"pid"}


def test_whole_name_wins() -> None:
    """An option's own name is no abbreviation of a longer one."""
    longer = {"name": "pathology", "type": "flag"}
    bound = {**OPENSNOOP, "options": [longer, *OPENSNOOP["options"]]}
    assert parse("--path=x", bound=bound).given == {"path"}
    assert parse("--patho", bound=bound).given == {"pathology"}


def test_cluster() -> None:
    """Several letters in one word, the last with its argument."""
    found = parse("-TUp1", "-xb", "64")
    assert found.given == {"timestamp", "print-uid", "pid", "failed", "buffer-pages"}
    assert found.configs == {"filter_pid": 1, "failed_only": 1}
    assert found.roles["buffer"] == 64


def test_argument_may_look_like_an_option() -> None:
    """What follows an option that needs an argument is that argument."""
    assert parse("--name", "--").values["name"] == b"--"
    assert parse("-n", "-T").given == {"name"}
    assert parse("-nT").values["name"] == b"T"
    assert parse("--name=").values["name"] == b""


def test_command() -> None:
    """Everything after -- belongs to the command."""
    found = parse("-T", "--", "ls", "-l", "--", "--help")
    assert found.command == [b"ls", b"-l", b"--", b"--help"]
    assert found.given == {"timestamp"} and found.reply is None


def test_strings_are_bytes() -> None:
    """File names are what the system takes, in whatever encoding."""
    found = options.parse(OPENSNOOP, [b"--mapped=/\xff", "--comm", "n\u00e9e"])
    assert found.maps == {"wanted": b"/\xff"}
    assert found.configs["filter_comm"] == b"n\xc3\xa9e" + bytes(12)


def test_flags() -> None:
    """Names are OR-ed, in one argument and over several."""
    assert parse("-f", "O_WRONLY|O_CREAT", "-fO_TRUNC").configs["flag_mask"] == 0o1101


def test_names() -> None:
    """errno, syscall and signal by name or number."""
    found = parse("-e", "ENOENT", "--syscall=openat", "--signal", "TERM", bound=SYSCOUNT)
    assert found.configs == {"only_errno": 2, "only_syscall": 257}
    assert found.values["signal"] == 15
    found = parse("-e", "-13", "--syscall=0x1", "--signal", "SIGKILL", bound=SYSCOUNT)
    assert found.configs == {"only_errno": 13, "only_syscall": 1}
    assert found.values["signal"] == 9


@pytest.mark.parametrize("text, uid", [("root", 0), ("née", 1000), ("1000", 1000), ("12", 12),
                                       ("0xffffffff", 0xffffffff)])
def test_users(text: str, uid: int) -> None:
    """By name or number; a number is never a name."""
    assert parse("-u", text).configs["filter_uid"] == uid


def test_names_of_users() -> None:
    """The first line that has the uid counts."""
    assert users.name_of(0) == b"root"
    assert users.name_of(7) is None


def test_defaults() -> None:
    """A default is as good as an argument, but is not given."""
    found = parse(bound=EXECSNOOP)
    assert found.configs == {"max_args": 20} and not found.given
    assert parse("--max-args=3", bound=EXECSNOOP).configs == {"max_args": 3}


def test_conditions() -> None:
    """All must hold; ! is for options that were not given."""
    found = parse("-TU")
    assert found.holds([]) and found.holds(["timestamp", "print-uid"])
    assert not found.holds(["timestamp", "failed"])
    assert found.holds(["!failed"]) and not found.holds(["!timestamp"])


def test_replies() -> None:
    """What is printed at once, and that what follows is not looked at."""
    assert parse("--help", "--nonsense").reply == OPENSNOOP["help"].encode()
    assert parse("-TVZ").reply == b"opensnoop 1.0\n"
    reply = parse("--list", bound=SYSCOUNT).reply
    assert reply is not None
    assert b"\nopenat " in b"\n" + reply or b" openat " in reply
    assert reply.splitlines()[0] == b"   ".join(
        b"%-22s" % name for name in (b"_sysctl", b"accept", b"accept4", b"access"))
    with pytest.raises(options.UsageError):
        parse("--nonsense", "--help")


def test_banner() -> None:
    """Conditions, values as typed, escaped; text only."""
    assert options.banner(OPENSNOOP, parse()) == []
    assert options.banner(OPENSNOOP, parse("-d0x5", "-na\x1b")) == [b"Tracing a\\x1b for 0x5 s"]
    assert options.banner(OPENSNOOP, parse("-d5", "--format=json")) == []


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
    ("--uid=nobody", "no such user 'nobody'"),
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
    with pytest.raises(options.UsageError) as caught:
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
    with pytest.raises(options.UsageError) as caught:
        parse(argv, bound=SYSCOUNT)
    assert str(caught.value) == sentence


def test_many_choices_are_not_listed() -> None:
    """Nine names and more are too many for a sentence."""
    option = {"name": "n", "type": "choice", "choices": {f"v{n}": n for n in range(9)}}
    with pytest.raises(options.UsageError) as caught:
        options.parse_value(option, b"x")
    assert str(caught.value) == "'x' is not a value of '--n'"


@pytest.mark.parametrize("argv, sentence", [
    (["5"], ""), (["5", "3"], ""), (["-i", "7", "5", "--", "x"], ""),
    (["5", "3", "1"], "unexpected argument '1'"), (["x"], "'x' is not a number for '--interval'"),
    (["0"], "'0' is out of range for '--interval' (1 to 2147483647)"),
    (["5", ""], "'' is not a number for '--count'"),
    (["--count=2", "-"], "'-' is not a number for '--interval'"),
])
def test_words_without_a_dash(argv: List[str], sentence: str) -> None:
    """Are for the options that ``arguments`` names, in its order; in both frontends."""
    bound = harness.bound_of("readhist")
    bound["options"] = [{**option, "short": "i"} if option["name"] == "interval" else option
                        for option in bound["options"]]
    document = {"bound": bound, "argv": argv, "steps": [],
                "clock": {"start_mono_ns": "0", "wall_minus_mono_ns": "0", "now_wall_ns": "0"}}
    answer = harness.run_python(document)
    assert harness.run_c([document]) == [answer]
    assert answer[2].decode().split("\n")[0] == (sentence and f"readhist: {sentence}")
    if not sentence:
        found = options.parse(bound, argv)
        assert [found.values["interval"], found.values.get("count")] == [
            5, 3 if "3" in argv else None]
        assert found.given >= {"interval"}


@pytest.mark.parametrize("argv, sentence", [
    ("--calls=1,0x10,4095", ""), ("--calls=", "'' is no list of numbers for '--calls'"),
    ("--calls=1,,2", "'1,,2' is no list of numbers for '--calls'"),
    ("--calls=1,read", "'1,read' is no list of numbers for '--calls'"),
    ("--calls=1,4096", "'1,4096' is out of range for '--calls' (0 to 4095)"),
    ("--calls=-1", "'-1' is out of range for '--calls' (0 to 4095)"),
])
def test_lists_of_numbers(argv: str, sentence: str) -> None:
    """Each is within the range; they are put into a map. In both frontends."""
    document = {"bound": SYSCOUNT, "argv": [argv], "steps": [],
                "clock": {"start_mono_ns": "0", "wall_minus_mono_ns": "0", "now_wall_ns": "0"}}
    answer = harness.run_python(document)
    assert harness.run_c([document]) == [answer]
    assert answer[2].decode().split("\n")[0] == (sentence and f"syscount: {sentence}")
    if not sentence:
        found = parse(argv, bound=SYSCOUNT)
        assert found.sets == {"wanted": [1, 16, 4095]} and found.configs == {"some_calls": 1}


@pytest.mark.parametrize("argv, missing", [
    ([], True), (["--count=5"], True), (["--", "ls"], True), (["5"], False), (["--interval=5"], False),
    (["5", "--", "ls"], False), (["--help"], False)])
def test_required(argv: List[str], missing: bool) -> None:
    """An option without which there is nothing to do; in both frontends."""
    bound = harness.bound_of("readhist")
    for option in bound["options"]:
        option["required"] = option["name"] == "interval"
    document = {"bound": bound, "argv": argv, "steps": [],
                "clock": {"start_mono_ns": "0", "wall_minus_mono_ns": "0", "now_wall_ns": "0"}}
    answer = harness.run_python(document)
    assert harness.run_c([document]) == [answer]
    assert answer[0] == (2 if missing else 0)
    assert (b"readhist: no interval is given\n" in answer[2]) == missing


def test_usage_names_them() -> None:
    """In --help."""
    assert harness.bound_of("readhist")["help"].startswith(
        "Usage: readhist [OPTIONS] [SECONDS [NUMBER]]\n")
