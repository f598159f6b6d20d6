# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What does not compile: each message once, at the user's file, line and column, and one sentence."""
from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Sequence, Tuple

import pytest

from bpfduet.bcc import complaints, objects
from bpfduet.bcc import start as bcc_start
from frontends import BUILD, ROOT, Result, finish, start
from support import COUNTING_SPEC, SPDX, alive, compiler_of, write_tool

pytestmark = pytest.mark.host_only

HEAD = f"""// {SPDX}
#include "bpfduet.h"

BPF_HASH(seen, u32, u64);
CONFIG(u32, limit, 3);
"""
PROBE = "TRACEPOINT_PROBE(sched, sched_process_exec)\n{\n"
TAIL = "\treturn 0;\n}\n\nLICENSE(\"Dual BSD/GPL\");\n"


@pytest.fixture(name="folder")
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracefs: None) -> Path:
    """An empty folder, to work in; the cache is another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "mine"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def tool(folder: Path, body: str, more: str = "", name: str = "t") -> Path:
    """A tool with one program."""
    return write_tool(folder, name, HEAD + more + PROBE + body + TAIL, COUNTING_SPEC % "seen")


def place_of(path: Path, part: str, number: int = 1) -> str:
    """LINE:COLUMN of a part of a file, where it is found for the so manyeth time."""
    text = path.read_text()
    at = -1
    for _ in range(number):
        at = text.index(part, at + 1)
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


def run(source: str, *args: str, **env: str) -> Result:
    """`bpfduet run`."""
    return finish(start([str(ROOT / "bpfduet"), "run", source, *args], env))


def failed(source: str, *args: str, **env: str) -> Tuple[List[str], str]:
    """What is said of a source that does not compile: the messages, and the sentence."""
    done = run(source, *(args or ("--duration", "1")), **env)
    assert (done.status, done.stdout) == (1, b""), done
    text = done.stderr.decode()
    assert "Traceback" not in text and "/virtual/" not in text and "Stack dump" not in text, text
    *lines, last = text.splitlines()
    return lines, last


def heads(lines: Sequence[str]) -> List[str]:
    """FILE:LINE:COLUMN: kind of each message."""
    return [found[0] for found in (re.match(r".*?:\d+(:\d+)?: (fatal error|error|warning|note)", line)
                                   for line in lines) if found]


# -- places ---------------------------------------------------------------------------------------

# From clang 16 on it would be one.
NO_ERROR = '#pragma clang diagnostic warning "-Wint-conversion"\n'
WRONG = """\tif (limit > 3 && nonsense)
		return 1;
	int unused = "text";
	seen.lookup(&limit, 1, 2, 3);	/* ' ( " */
	u32 key = BAD(limit);	/* of
	   two " lines */
	seen.increment(key); first = 1;
"""


@pytest.mark.parametrize("shown", ["t.bpf.c", "../mine/t.bpf.c", "{}/t.bpf.c"])
def test_places(folder: Path, shown: str) -> None:
    """In the source, in a macro, in a header that a header includes; by the name that was given."""
    (folder / "one.h").write_text('#include "two.h"\nstatic int f(int a) { return a + unknown_name; }\n')
    (folder / "two.h").write_text("#warning look here\n")
    source = tool(folder, WRONG, '#include "one.h"\n#define BAD(x) ((x) + nosuch)\n' + NO_ERROR)
    shown = shown.format(folder)
    lines, last = failed(shown)
    before = shown[:-len("t.bpf.c")]

    def at(part: str, number: int = 1, path: Path = source) -> str:
        return f"{before}{path.name}:{place_of(path, part, number)}"

    assert heads(lines) == [
        f"{before}two.h:1:2: warning", f"{at('unknown_name', 1, folder / 'one.h')}: error",
        f"{at('nonsense')}: error", f"{at('unused')}: warning", f"{at('1, 2, 3')}: error",
        f"{at('BAD', 2)}: error", f"{at('nosuch')}: note", f"{at('first')}: error"]
    assert [line for line in lines if line.startswith("In file")] == [
        f"In file included from {before}t.bpf.c:6:", f"In file included from {before}one.h:1:",
        f"In file included from {before}t.bpf.c:6:"]
    assert last == "t: BCC cannot compile t.bpf.c"
    # each with the user's line, and the caret at the column
    for part in ("nonsense)", "unused =", "BAD(limit);"):
        shown_line, caret = next((lines[number], lines[number + 1]) for number in range(len(lines))
                                 if part in lines[number] and lines[number][0] in " \t")
        assert shown_line.index(part) == caret.index("^"), (shown_line, caret)


@pytest.mark.parametrize("after", ["", "/* a comment\n*/ ", "#if 1\n", "#define A(x) \\\n\t(x + \\\n\t1)\n",
                                   "static int\nadd(int a,\n    int b)\n{ return a +\n b; }\n"])
def test_lines_in_front(folder: Path, after: str) -> None:
    """Whatever is in front of a program, and in its heading, which BCC moves down."""
    end = "#endif\n" if "#if" in after else ""
    source = write_tool(folder, "t", HEAD + after + "int tracepoint__sched__sched_process_exec(struct tracepoint__"
                        "sched__sched_process_exec *args,\n\tstruct gone what)\n{\n\treturn nonsense;\n}\n" + end,
                        COUNTING_SPEC % "seen")
    lines, _ = failed("t.bpf.c")
    assert f"t.bpf.c:{place_of(source, 'nonsense')}: error" in heads(lines), lines
    assert any(head.startswith(f"t.bpf.c:{place_of(source, 'what').split(':', maxsplit=1)[0]}:")
               for head in heads(lines)), lines


WARNS = """\tif (!task_matches())
		return 0;
	u32 key = 1; if (limit > 3) { int x = "y"; key = limit; }
	if (limit && key) { int *z = limit + 2 + key; seen.increment(key); }
	seen.increment(key);
"""


def test_warnings_of_edited_lines(folder: Path) -> None:
    """BCC gets them with DUET_LATE(); they are kept with the object, named as each run does."""
    source = tool(folder, WARNS, NO_ERROR)
    expected = [f"t.bpf.c:{place_of(source, part)}: warning" for part in ("x = ", "z = ")]
    for before, shown in (("", "t.bpf.c"), ("../mine/", "../mine/t.bpf.c"), ("", "t.bpf.c")):
        done = run(shown, "-v", "--", "true")
        text = done.stderr.decode()
        assert done.status == 0 and "DUET_" not in text and FOLDER not in text, text
        assert heads(text.splitlines()) == [before + one for one in expected]
        lines = text.splitlines()
        for part in ("x = ", "z = "):
            number = next(number for number, line in enumerate(lines) if part in line)
            assert lines[number].index(part) == lines[number + 1].index("^")
    # the loader does not know where the source was
    kept, = (folder.parent / "cache/bpfduet/programs").glob("object-*")
    done = finish(start([str(BUILD / "bin/bpfduet-loader"), str(kept), "-v", "--", "true"]))
    assert done.status == 0 and heads(done.stderr.decode().splitlines()) == expected


FOLDER = complaints.FOLDER


def test_the_line_that_the_source_sees(folder: Path) -> None:
    """__LINE__ is the user's."""
    source = tool(folder, "\tif (!task_matches())\n\t\treturn 0;\n\tu32 key = __LINE__;\n\n\tseen.increment(key);\n")
    spec = folder / "t.toml"
    spec.write_text(spec.read_text().replace("\n]", '\n    { field = "key", heading = "LINE" },\n]'))
    done = run("t.bpf.c", "--format", "csv", "--", "true")
    assert (done.status, done.stderr) == (0, b"")
    assert done.lines()[1] == b"1," + place_of(source, "u32 key").split(":", maxsplit=1)[0].encode()


def test_a_byte_order_mark(folder: Path) -> None:
    """In front of a source, as some editors write it."""
    source = tool(folder, "\tif (task_matches())\n\t\tseen.increment(nonsense);\n")
    source.write_text("\ufeff" + source.read_text())
    lines, _ = failed("t.bpf.c")
    assert heads(lines) == [f"t.bpf.c:{place_of(source, 'nonsense')}: error"]
    source.write_text(source.read_text().replace("nonsense", "limit"))
    done = run("t.bpf.c", "--", "true")
    assert (done.status, done.stderr) == (0, b"")


def test_where_a_line_may_be_numbered() -> None:
    """Not within comments, macros and parentheses; nothing else changes."""
    source = "\n".join(["int f(", "  int a", ") {", "/* x", "*/ g(1,", "2);", "CALL", "(3)", "c = '('; }",
                        "#define M \\", "  (", "", "end"])
    text = complaints.numbered(source, 'a "b"')
    assert [line for line in text.split("\n") if not line.startswith("#line")] == source.split("\n")
    assert re.findall(r'#line (\d+) "(.*)"\n', text) == [
        (number, "a \\042b\\042") for number in ("1", "4", "7", "10", "13")]


ACROSS = """\tstruct task_struct *task = (void *)bpf_get_current_task(), *other;
	u32 key;

	if (!task_matches())
		return 0;
	other = task->
		group_leader; /* of the group */
	key = other
		->real_parent
		->
		tgid
		+ other->tgid *
		  0;
	seen
		.increment
		(key);
"""


def test_expressions_across_lines(folder: Path) -> None:
    """BCC makes calls of them, whatever lines they are on."""
    source = tool(folder, ACROSS)
    joined = tool(folder, re.sub(r"/\*.*?\*/|\n(?=\t\t[^r])", "", ACROSS), name="joined")
    assert joined.read_text().count("\n") < source.read_text().count("\n")
    assert [run(f"{name}.bpf.c", "--", "true").status for name in ("t", "joined")] == [0, 0]
    codes = [objects.section(bcc_start.object_of(path), "tracepoint/sched/sched_process_exec")
             for path in (source, joined)]
    assert codes[0] and codes[0] == codes[1]


def test_the_verifiers_log_names_the_source(folder: Path) -> None:
    """Its lines are those of the file."""
    source = tool(folder, "\treturn *(volatile int *)(long)bpf_ktime_get_ns();\n")
    lines, last = failed("t.bpf.c")
    number = place_of(source, "return *(vol").split(":", maxsplit=1)[0]
    assert "verifier rejects" in last
    assert any(line.startswith("; return *(volatile int *)") and
               (line.endswith(f"@ t.bpf.c:{number}") or "@" not in line) for line in lines), lines


def test_the_api(folder: Path) -> None:
    """The same messages."""
    source = tool(folder, "\treturn nonsense;\n")
    script = (f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r})\nfrom bpfduet import Tool, Error\n"
              "try:\n    Tool('t.bpf.c').reports()\nexcept Error as error:\n    print(error.detail)\n")
    done = finish(start([sys.executable, "-c", script]))
    assert done.status == 0, done.stderr
    assert heads(done.stdout.decode().splitlines()) == [f"t.bpf.c:{place_of(source, 'nonsense')}: error"]


# -- what LLVM cannot do --------------------------------------------------------------------------

CALLS = "calls a function that is not inlined"
REFUSED = {
    "stack": ("", "\tu64 a[100] = {};\n\n\tbpf_probe_read_kernel(&a, sizeof(a), (void *)bpf_get_current_task());\n"
                  "\tu32 key = a[bpf_get_prandom_u32() & 63];\n", "a[100]", "512 bytes of stack"),
    "division": ("", "\tint d = bpf_get_prandom_u32();\n\tu32 key = (int)bpf_ktime_get_ns() / d;\n", "/ d",
                 "make both operands of / and % unsigned"),
    "float": ("", "\tfloat f = bpf_get_prandom_u32();\n\tu32 key = f * 1.5f;\n", "float f", "no floating point"),
    "int128": ("", "\tu32 key = (unsigned __int128)bpf_ktime_get_ns() * bpf_ktime_get_ns() >> 64;\n",
               "__int128", "128 bits"),
    "memset": ("struct m { char x[400]; };\n", "\tstruct m m;\n\t__builtin_memset(&m, 1, bpf_get_prandom_u32());\n"
               "\tu32 key = m.x[1];\n", "__builtin_memset", "a constant size of at most 1024 bytes"),
    "memcpy": ("struct m { char x[2000]; };\nBPF_ARRAY(heap, struct m, 2);\n",
               "\tint z = 0, o = 1;\n\tstruct m *a = heap.lookup(&z), *b = heap.lookup(&o);\n\tu32 key = 1;\n"
               "\tif (a && b)\n\t\t__builtin_memcpy(a, b, sizeof(*a));\n", "__builtin_memcpy", "at most 1024 bytes"),
    "trap": ("", "\tu32 key = 1;\n\tif (bpf_get_prandom_u32())\n\t\t__builtin_trap();\n", "__builtin_trap",
             "BPF has no trap"),
    "goto": ("", "\tstatic void *const t[] = { &&a, &&b };\n\tu32 key = 0;\n\tgoto *t[bpf_get_prandom_u32() & 1];\n"
             "a:\tkey = 1;\nb:\tkey += 2;\n", "goto *t", "use a switch"),
    "length": ("", "\tint n = bpf_get_prandom_u32() & 15;\n\tchar a[n + 1];\n\tbpf_get_current_comm(a, n);\n"
               "\tu32 key = a[0];\n", "", "give each a constant size"),
    "asm": ("", '\tasm volatile("mov %%rax, %%rbx" ::);\n\tu32 key = 1;\n', "", "no instruction of BPF's"),
    "extern": ("extern int nobody(int x);\n", "\tu32 key = nobody(3);\n", "nobody(3)", "define the function there"),
    "undeclared": ("", "\tu32 key = nobody(3);\n", "nobody(3)", "no such function is known"),
    "noinline": ("static __attribute__((noinline)) u64 give(u64 x) { return x * bpf_ktime_get_ns(); }\n",
                 "\tu32 key = give(bpf_ktime_get_ns());\n", "", CALLS),
    "recursion": ("static int rec(int a) { return a < 2 ? a : rec(a - 1) + rec(a - 2); }\n",
                  "\tu32 key = rec(bpf_get_prandom_u32());\n", "", CALLS),
    "six": ("static __attribute__((noinline)) u64 six(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)\n"
            "{\n\treturn a * b + c * d - e * f;\n}\n",
            "\tu64 n = bpf_ktime_get_ns();\n"
            "\tu32 key = six(n, n + bpf_get_prandom_u32(), n * n, n >> 3, n - 7, n | 8);\n",
            "six(n", "at most five arguments"),
    "pointer": ("static __attribute__((noinline)) int f1(int x) { return x + 1; }\n"
                "static __attribute__((noinline)) int f2(int x) { return x + 2; }\n",
                "\tint (*f)(int) = bpf_get_prandom_u32() & 1 ? f1 : f2;\n\tu32 key = f(3);\n", "",
                "a function by its address"),
    "nesting": ("", f"\tu32 key = bpf_get_prandom_u32();\n\tkey = 1{' + key' * 100000};\n", "",
                "nested too deeply"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_bpf_cannot_do(folder: Path, case: str) -> None:
    """The line, and what to do about it."""
    more, body, part, remedy = REFUSED[case]
    source = tool(folder, body + "\tseen.increment(key);\n", more)
    lines, last = failed("t.bpf.c")
    assert last.startswith("t: ") and remedy in last, (lines, last)
    if part:
        number = place_of(source, part).split(":", maxsplit=1)[0]
        errors = [head for head in heads(lines) if head.endswith("error")]
        # of a stack that is too large LLVM 15 and later know no line
        assert [head.split(":")[:2] for head in errors] == [["t.bpf.c", number]] \
            or case == "stack" and not errors and lines[0].startswith("t.bpf.c: error: "), lines
    assert len(lines) <= 5, lines


def test_a_constant_that_must_be_one(folder: Path) -> None:
    """What LLVM can do only with the constant's value is done with it."""
    tool(folder, "\tif (!task_matches())\n\t\treturn 0;\n\tu32 key = 0;\n"
         "\t__builtin_memset(&key, 1, width);\n\tseen.increment(key);\n", "CONFIG(u32, width, 4);\n")
    done = run("t.bpf.c", "--format", "csv", "--", "true")
    assert (done.status, done.stderr) == (0, b"") and done.stdout.count(b"\n") == 2


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content, sentence", ids=range(7), argvalues=[
    (b"", "t.bpf.c is empty: write a program"),
    (b"\n \n", "t.bpf.c is empty: write a program"),
    (b"// one\n// \xe9\n", "t.bpf.c:2: the byte 0xe9 is not UTF-8"),
    (b"\xff\xfea\0", "t.bpf.c:1: a zero byte"),
    (b"// one\n\nint x;\0\n", "t.bpf.c:3: a zero byte"),
    (b"//" + b"x" * 100_000_000, "t.bpf.c has 95 MiB: a kernel half has at most 4"),
    (HEAD.encode(), "the kernel half has no program that anything attaches"),
])
def test_files_that_are_no_source(folder: Path, content: bytes, sentence: str) -> None:
    """One sentence each."""
    write_tool(folder, "t", "", COUNTING_SPEC % "seen").write_bytes(content)
    lines, last = failed("t.bpf.c", "--duration", "1")
    assert not lines and last.startswith("t: ") and sentence in last, (lines, last)


def test_a_folder(folder: Path) -> None:
    """Of a tool's name."""
    (folder / "t.bpf.c").mkdir()
    assert failed("t.bpf.c") == ([], "bpfduet: t.bpf.c is not a file")


def test_an_unreadable_file(folder: Path) -> None:
    """The reason is named; root without its capabilities may read no more than others."""
    source = tool(folder, "")
    source.chmod(0)
    os.chown(source, 1234, 1234)
    done = finish(start(["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all",
                         str(ROOT / "bpfduet"), "run", "t.bpf.c"]))
    assert (done.status, done.stdout) == (1, b"")
    assert done.stderr == b"t: cannot read t.bpf.c: Permission denied\n"


def test_an_endless_include(folder: Path) -> None:
    """Clang counts."""
    (folder / "again.h").write_text('#include "again.h"\n')
    tool(folder, "", '#include "again.h"\n')
    lines, last = failed("t.bpf.c")
    assert heads(lines) == ["again.h:1:10: error"] and "nested too deeply" in lines[2]
    assert lines[:2] == ["In file included from t.bpf.c:6:", "In file included from again.h:1:"]
    assert last.startswith("t: BCC cannot compile t.bpf.c")


# -- bounds ---------------------------------------------------------------------------------------


# What a macro doubles 31 times: statements take time, parts of a string memory.
STATEMENTS, STRING = ("\tA31\n", "key = key * 3 + 1;"), ('\tconst char *s = A31;\n', '"x"')


def endless(folder: Path, body: str, part: str) -> None:
    """A source that is too large once its macros are expanded."""
    doubled = "".join(f"#define A{number} A{number - 1} A{number - 1}\n" for number in range(1, 32))
    source = tool(folder, f"\tu32 key = 1;\n{body}\tseen.increment(key);\n", f"#define A0 {part}\n{doubled}")
    # without a constant there is one way to compile it
    source.write_text(source.read_text().replace("CONFIG(u32, limit, 3);\n", ""))


@pytest.mark.parametrize("what, most, source, sentence", [
    (resource.RLIMIT_CPU, 3, STATEMENTS, "it took too much time"),
    (resource.RLIMIT_AS, 460 << 20, STRING, "the compiler ran out of memory"),
], ids=["time", "memory"])
def test_bounds(folder: Path, what: int, most: int, source: Tuple[str, str], sentence: str) -> None:
    """Time and memory of a compilation; with lower limits than its own, for a test's sake."""
    endless(folder, *source)
    done = finish(start([str(ROOT / "bpfduet"), "run", "t.bpf.c"],
                        preexec_fn=lambda: resource.setrlimit(what, (most, most + 60))
                        if what == resource.RLIMIT_CPU else resource.setrlimit(what, (most, most))))
    text = done.stderr.decode()
    assert (done.status, done.stdout) == (1, b"") and "Traceback" not in text
    assert text.splitlines()[-1].startswith("t: BCC cannot compile t.bpf.c: ") and sentence in text


def compiling(folder: Path) -> Tuple["subprocess.Popen[bytes]", int]:
    """A run whose child compiles without end; the child."""
    endless(folder, *STATEMENTS)
    process = start([str(ROOT / "bpfduet"), "run", "t.bpf.c"])
    return process, compiler_of(process)


@pytest.mark.parametrize("number, sentence", [
    (signal.SIGKILL, "the compiler was killed (SIGKILL)"),
    (signal.SIGTERM, "the compiler was ended from outside (signal 15)")])
def test_a_compiler_that_is_killed(folder: Path, number: int, sentence: str) -> None:
    """By somebody; that is said, and nothing is left."""
    process, child = compiling(folder)
    limits = Path(f"/proc/{child}/limits").read_text()
    os.kill(child, number)
    done = finish(process)
    assert (done.status, done.stdout) == (1, b"")
    text = done.stderr.decode()
    assert text.startswith("t: BCC cannot compile t.bpf.c: ") and sentence in text
    assert re.search(rf"Max cpu time +{complaints.CPU_S} ", limits)
    assert re.search(rf"Max address space +{complaints.MEMORY} ", limits)
    assert not alive(child)


def test_each_once(folder: Path) -> None:
    """Some builds of libbcc compile once more when it fails; others say warnings of the text that they
    have made, too. A note goes with what it belongs to; the verifier's lines may come again."""
    source = tool(folder, WRONG)
    path, number = source.absolute(), place_of(source, "nonsense").split(":", maxsplit=1)[0]
    said = (f"{path}:{number}:19: error: no\n        if (limit > 3 && nonsense)\n                         ^\n"
            f"{path}:5:1: note: because\nCONFIG(u32, limit, 3);\n^\n1 error generated.\n")
    made = (f"{path}:{number}:30: error: no\n        if (DUET_LATE(limit) > 3 && nonsense)\n"
            f"{' ' * 36}^\n1 error generated.\n")
    log = "0: (b7) r0 = 0\n0: (b7) r0 = 0\n"
    shown = complaints.Messages(said + said + made + log, Path("t.bpf.c")).text()
    assert heads(shown.splitlines()) == [f"t.bpf.c:{number}:19: error", "t.bpf.c:5:1: note"]
    assert shown.endswith(log)
    shown = complaints.Messages(made, Path("t.bpf.c")).text()
    assert shown == said.replace(f"{path}", "t.bpf.c").partition("t.bpf.c:5")[0]


def clangs() -> List[str]:
    """The versions that are here; from 17 on they show numbers in front of lines."""
    return sorted(path.name for path in Path("/usr/bin").glob("clang-[1-9][0-9]")) or ["clang"]


@pytest.mark.parametrize("clang", clangs())
def test_what_versions_of_clang_say(folder: Path, clang: str) -> None:
    """The same places: of a line as it is, of one that was edited, of one that was moved down."""
    text = ("int moved(int a, struct gone *b)\n{\n\tint p = limit + nothing(a,\n\t\t\t\t    1);\n"
            "\tint same = missing;\n\n\treturn 1;\n}\n")
    source = folder / "t.bpf.c"
    source.write_text("#define limit 3\n\n" + text)
    given = complaints.numbered(source.read_text().replace("= limit", "= DUET_LATE(limit)")
                                .replace("#define limit 3", "#define DUET_LATE(x) 3"), str(source))
    given = given.replace("int moved", "struct in_front {\n\tint a;\n};\nint moved")
    done = subprocess.run([clang, "-fsyntax-only", "-fno-color-diagnostics",
                           "-Werror=implicit-function-declaration", "-x", "c", "-"],
                          input=given.encode(), stderr=subprocess.PIPE, check=False)
    shown = complaints.Messages(done.stderr.decode(), Path("t.bpf.c")).text()
    errors = [head for head in heads(shown.splitlines()) if head.endswith("error")]
    assert errors == [f"t.bpf.c:{place_of(source, part)}: error" for part in ("nothing", "missing")], shown
    assert "DUET_LATE" not in shown and "\t" not in shown
    assert f"t.bpf.c:{place_of(source, 'gone')}: warning" in heads(shown.splitlines()), shown
    for part in ("gone *b", "nothing(a,", "missing;"):
        line, caret = next((one, other) for one, other in zip(shown.splitlines(), shown.splitlines()[1:])
                           if part in one and not one.startswith("t.bpf.c:"))
        assert line in source.read_text().expandtabs(8).splitlines() and line.index(part) == caret.index("^")


@pytest.mark.parametrize("said, text", [
    ("PLEASE submit a bug report to x\nStack dump:\n0.\tProgram arguments: x\n", "PLEASE submit"),
    ("LLVM ERROR: something\nPLEASE submit a bug report to x\nStack dump:\n #0 0x00\n",
     "LLVM ERROR: something\n"),
])
def test_stack_dumps(folder: Path, said: str, text: str) -> None:
    """LLVM's, where something else says what has happened, are left out."""
    shown = complaints.Messages(said, folder / "t.bpf.c").text()
    assert shown.startswith(text) and ("Stack dump" in shown) == (text == "PLEASE submit")
