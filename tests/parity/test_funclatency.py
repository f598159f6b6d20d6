# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""funclatency: calls whose times are known from inside and from outside."""
from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from frontends import FORMATS, FRONTENDS, WORKLOADS, Result, Watched, run, watch
from parity.histogram import Counts, bounds, counted, drawn, read
from parity.intervals import prints_of

NESTED = str(WORKLOADS / "nested")
FUNCTION = f"{NESTED}:nested_call"
CALLS, DEPTH = 23, 3
WORKLOAD = [NESTED, str(CALLS), str(DEPTH)]
PROGRAMS = 2
UNITS = {"-u": (b"usecs", 1000), "-m": (b"msecs", 1000000), "-um": (b"msecs", 1000000),
         "": (b"nsecs", 1)}
AVERAGE = re.compile(rb"\navg = (\d+) (\w+), total: (\d+) (\w+), count: (\d+)\n\n")
BANNER = f'Tracing 1 functions for "{FUNCTION}"... Hit Ctrl-C to end.\n'.encode()


def at_least(counts: Counts, slot: int) -> int:
    return sum(count for number, count in counts.items() if number >= slot)


def assert_true(counts: Counts, said: Sequence[Sequence[int]], levels: Sequence[int], per: int
                ) -> None:
    """The histogram lies between what calls of these levels took from inside and from outside."""
    inside = counted([ns // per for level, ns, _ in said if level in levels])
    outside = counted([ns // per for level, _, ns in said if level in levels])
    for slot in range(1, max(outside) + 2):
        assert at_least(inside, slot) <= at_least(counts, slot) <= at_least(outside, slot)


def check_text(text: bytes, said: Sequence[Sequence[int]], levels: Sequence[int], unit: bytes,
               per: int, head: bytes = b"\n") -> None:
    """All of a text is as BCC's tool prints it, and true."""
    counts = read(text)
    assert_true(counts, said, levels, per)
    average = AVERAGE.search(text)
    assert average
    mean, total, count = (int(average[number]) for number in (1, 3, 5))
    assert count == sum(counts.values()) == CALLS * len(levels)
    inside = sum(ns for level, ns, _ in said if level in levels) // per
    outside = sum(ns for level, _, ns in said if level in levels) // per
    assert inside <= total <= outside
    assert mean == total // count
    assert average[2] == average[4] == unit
    assert text == head + b"".join(line + b"\n" for line in drawn(counts, unit)) + average[0]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("unit", list(UNITS))
def test_units(workloads, unit: str) -> None:
    name, per = UNITS[unit]
    watched = watch("funclatency", [FUNCTION, *unit.split()], WORKLOAD, PROGRAMS)
    innermost = [DEPTH - 1]
    for frontend in FRONTENDS:
        assert watched.results[frontend, "text"].stderr == BANNER
        check_text(watched.out(frontend), watched.said, innermost, name, per)
        histogram, average = watched.results[frontend, "json"].objects()
        assert (histogram["type"], histogram["report"]) == ("histogram", "dist")
        (section,) = histogram["data"]
        counts = {one["high"].bit_length(): one["count"] for one in section["buckets"]}
        assert_true(counts, watched.said, innermost, per)
        assert section == {"unit": name.decode(), "buckets": [
            dict(zip(("low", "high", "count"), [*bounds(slot), count]))
            for slot, count in sorted(counts.items())]}
        total = average["data"]["total"]
        assert average == {"type": "average", "tool": "funclatency", "report": "average", "data": {
            "unit": name.decode(), "average": total // CALLS, "total": total, "count": CALLS}}
        head, *rows, last_head, last = watched.out(frontend, "csv").decode().splitlines()
        assert (head, last_head) == ("report,low,high,count", "report,unit,average,total,count")
        assert sum(int(row.split(",")[3]) for row in rows) == CALLS
        assert re.fullmatch(rf"average,{name.decode()},\d+,\d+,{CALLS}", last)
    for form in FORMATS:
        assert len({re.sub(rb"\d+", b"", first_line(watched, frontend, form))
                    for frontend in FRONTENDS}) == 1


def first_line(watched: Watched, frontend: str, form: str) -> bytes:
    return watched.out(frontend, form).strip().splitlines()[0][:40]


@pytest.mark.parametrize("level", [1, 2, DEPTH + 1])
def test_levels(workloads, level: int) -> None:
    """-l: the outermost calls."""
    watched = watch("funclatency", ["-ul", str(level), FUNCTION], WORKLOAD, PROGRAMS, ["text"])
    for frontend in FRONTENDS:
        check_text(watched.out(frontend), watched.said, range(min(level, DEPTH)), *UNITS["-u"])


def test_by_process(workloads) -> None:
    watched = watch("funclatency", ["-P", FUNCTION], WORKLOAD, PROGRAMS,
                    bystander=[NESTED, "5", "1"])
    for frontend in FRONTENDS:
        sections = re.split(rb"\npid = (\d+)\n", watched.out(frontend))
        assert sections[0] == b"\n"
        found: Dict[int, Counts] = {int(pid): read(text)
                                    for pid, text in zip(sections[1::2], sections[2::2])}
        assert len(found) == 2 and list(found) == sorted(found)
        assert_true(found.pop(watched.pid), watched.said, [DEPTH - 1], 1)
        (other,) = found.values()
        assert sum(other.values()) == 5
        assert AVERAGE.search(watched.out(frontend))[5] == b"%d" % (CALLS + 5)
        report = watched.results[frontend, "json"].objects()[0]
        assert [section["key"]["pid"] for section in report["data"]] == \
            [int(pid) for pid in sections[1::2]]


@pytest.mark.first_in_guests
@pytest.mark.parametrize("args, seen", [
    (["-p", "{pid}"], True), (["--tid", "{pid}"], True), (["--comm", "nested"], True),
    (["--uid", "0"], True), (["-p", str(os.getpid())], False), (["--comm", "other"], False)])
def test_filters(workloads, args: List[str], seen: bool) -> None:
    watched = watch("funclatency", [*args, FUNCTION], WORKLOAD, PROGRAMS, ["text"],
                    bystander=[] if "--comm" in args or "--uid" in args else [NESTED, "5", "1"])
    for frontend in FRONTENDS:
        if seen:
            check_text(watched.out(frontend), watched.said, [DEPTH - 1], *UNITS[""])
        else:
            assert watched.out(frontend) == b"\n"


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_intervals(workloads, frontend: str) -> None:
    """Both maps are emptied after each print; an average of nothing is not printed."""
    prints = prints_of(frontend, "funclatency", ["-Ti", "1", FUNCTION], WORKLOAD, PROGRAMS,
                       re.compile(AVERAGE.pattern + rb"\n\d\d:\d\d:\d\d\n"))
    shown = [text for text in prints if text]
    assert sum(int(AVERAGE.search(text)[5]) for text in shown) == CALLS
    for text in shown:
        counts = read(text)
        assert sum(counts.values()) == int(AVERAGE.search(text)[5])
        assert text.startswith(b"".join(line + b"\n" for line in drawn(counts, b"nsecs")))


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_command(workloads, frontend: str) -> None:
    """A library by its short name. echo allocates; how often is the library's affair."""
    done = run(frontend, "funclatency", ["c:malloc", "-d", "60", "--", "sh", "-c", "exec ls -d /"])
    assert done.status == 0 and int(AVERAGE.search(done.stdout)[5]) > 0
    done = run(frontend, "funclatency", [FUNCTION, "--", *WORKLOAD])
    assert int(AVERAGE.search(done.stdout)[5]) == CALLS


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("function, sentence", [
    ("/bin/true:bpfduet_missing", "'bpfduet_missing' in '/bin/true'"),
    ("/bpfduet/missing:f", "'/bpfduet/missing'"),
    ("c:bpfduet_missing", "there is no function 'bpfduet_missing' in 'c', or no such file"),
    ("c:", "'c:' is not BINARY:SYMBOL"),
])
@pytest.mark.host_only
def test_no_function(tracefs, frontend: str, function: str, sentence: str) -> None:
    done = run(frontend, "funclatency", [function])
    assert (done.status, done.stdout) == (1, b"")
    assert len(done.stderr.splitlines()) == 1 and sentence in done.stderr.decode()


TWICE = "static __attribute__((noinline)) void twice(void) { __asm__ volatile (\"\"); }\n"


@pytest.mark.host_only
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_two_functions_of_one_name(tracefs, frontend: str, tmp_path: Path) -> None:
    """A sentence that says how to name one of them, and so it can be: by its place in the file."""
    for name, calls in (("first", 5), ("second", 11)):
        (tmp_path / f"{name}.c").write_text(
            TWICE + f"void {name}(void) {{ for (int i = 0; i < {calls}; i++) twice(); }}\n")
    (tmp_path / "main.c").write_text("void first(void), second(void);\n"
                                     "int main(void) { first(); second(); return 0; }\n")
    program = tmp_path / "program"
    subprocess.run(["cc", "-O1", "-fno-ipa-cp", "-o", program, *sorted(tmp_path.glob("*.c"))], check=True)
    done = run(frontend, "funclatency", [f"{program}:twice", "--", str(program)])
    assert done.status == 1
    assert f"'{program}:+0xOFFSET' (readelf -sW)\n".encode() in done.stderr
    names = subprocess.run(["nm", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    places = sorted(line.split()[0] for line in names.splitlines() if line.endswith(" t twice"))
    counts = []
    for place in places:
        done = run(frontend, "funclatency", [f"{program}:+0x{place}", "--", str(program)])
        found = AVERAGE.search(done.stdout)
        assert done.status == 0 and found, done
        counts.append(int(found[5]))
    assert counts == [5, 11]


@pytest.mark.needs("kprobes")
def test_kernel_function(workloads) -> None:
    """The same programs, at a function of the kernel."""
    watched = watch("funclatency", ["__x64_sys_getpgid"], [str(WORKLOADS / "calls"), "23"],
                    PROGRAMS, ["text"])
    for frontend in FRONTENDS:
        text = watched.out(frontend)
        average = AVERAGE.search(text)
        assert average and int(average[5]) == sum(read(text).values()) == 23
        assert text == b"\n" + b"".join(line + b"\n" for line in drawn(read(text), b"nsecs")) \
            + average[0]


@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_no_kernel_function(tracefs, frontend: str) -> None:
    done: Result = run(frontend, "funclatency", ["bpfduet_missing"])
    assert (done.status, done.stdout) == (1, b"")
    assert b"this kernel does not have the kprobe bpfduet_missing" in done.stderr


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_usage(workloads, frontend: str) -> None:
    """The word without a dash must be there."""
    done = run(frontend, "funclatency", ["--", "/bin/true"])
    assert (done.status, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"funclatency: no function is given\n")
    done = run(frontend, "funclatency", ["--help"])
    assert done.stdout.startswith(b"Usage: funclatency [OPTIONS] FUNCTION [-- COMMAND [ARGUMENT...]]\n")
