# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What the compiler says of a source: each thing once, at the user's file, line and column.

BCC compiles a text of its own making, of the name /virtual/main.c, three times. ``numbered`` tells
clang where each line comes from; ``Messages`` does what line numbers cannot do: columns in lines
that were edited, and lines that BCC has put in front of a function.
"""
from __future__ import annotations

import os
import re
import signal
from difflib import SequenceMatcher
from pathlib import Path
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..errors import Error
from .kept import MAX_SOURCE

# In what is kept this byte stands for the source's folder, which each run names in its own way.
FOLDER = "\1"
# What libbcc shows if asked: the command line of clang, and the text that it has made.
CLANG_CALLED = re.compile(r"^clang -cc1 [^\n]*\n", re.M)
REWRITTEN = re.compile(r"^#if defined\(BPF_LICENSE\)$.*?^#include <bcc/footer\.h>\n", re.S | re.M)
TAB = 8     # clang's
CANNOT_SELECT = "BPF has no instruction for this (%s)"
_TOKENS = re.compile(r'/\*|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[()]')
_CONTINUED = re.compile(r"\\\s*$")
_PLACE = r"(?P<file>[^\n:]+):(?P<line>\d+):(?P<column>\d+): "
_CLANG = re.compile(_PLACE + r"(?P<kind>(?:fatal )?error|warning|note|remark): (?P<text>.*)")
_LLVM = re.compile(r"error: " + _PLACE + r"in function (?P<function>\w+) .*?\)(?:\*?\))?: (?P<text>.*)")
_CARET = re.compile(r"[ ~]*\^[ ~]*")
_GUTTER = re.compile(r" +(\d*) \| ?(.*)")     # clang's from 17 on: a line's number in front
_INCLUDED = re.compile(r"In file included from (?P<file>[^\n]+):(?P<line>\d+):")
_COUNT = re.compile(r"\d+ (?:error|warning)s?(?: and \d+ errors?)? generated\.")
_OURS = re.compile(r"expanded from macro 'DUET_(?:LATE|WHOLE|PICK)")
_CRASH = re.compile(r"PLEASE submit a bug report|Stack dump:")
_SIGNED = re.compile(r"Error at line (\d+): Unsupport")
# What LLVM says when BPF has no way to do something, and what to do about it.
_REMEDIES = [(re.compile(pattern), remedy) for pattern, remedy in (
    (r"BPF stack limit|[Ss]tack size .*exceed",
     "a program has 512 bytes of stack: put what is large into a map, "
     "BPF_PERCPU_ARRAY(name, type, 1)"),
    (r"[Uu]nsupported signed division|\(s(?:div|rem)\)",
     "BPF divides unsigned numbers only: make both operands of / and % unsigned"),
    (r"built-in function '__(?:float|fix|extend|trunc|add|sub|mul|div|neg|eq|ne|[gl][te]|unord|pow)"
     r"\w*[sdxth]f\w*'",
     "BPF has no floating point: compute with integers"),
    (r"built-in function '__\w+ti\d'", "BPF has no arithmetic of 128 bits: compute with u64"),
    (r"built-in function 'mem\w+'",
     "BPF has no such function: give it a constant size of at most 1024 bytes, or use "
     "bpf_probe_read_kernel()"),
    (r"built-in function 'abort'",
     "BPF has no trap: clang makes one of __builtin_trap(), and of code that C does not define"),
    (r"built-in function", "BPF has no such function: write what it does as static __always_inline"),
    (r"[Uu]nsupported dynamic stack allocation",
     "BPF has no arrays of variable length: give each a constant size"),
    (r"\(brind\)", "BPF has no computed goto: use a switch"),
    (r"has no instruction|Cannot select|LLVM ERROR: [Uu]nsupported",
     "BPF cannot do it: write it in another way"),
    (r"too many arg(?:ument)?s|stack arguments|bcc only supports in-register",
     "functions that are not inlined take at most five arguments: pass a pointer to a struct"),
    (r"variadic functions|only integer returns|aggregate returns|pass by value",
     "a function that is not inlined takes and returns numbers and pointers alone: "
     "write it static __always_inline"),
    (r"cannot call non-static helper function",
     "a kernel half is one file: define the function there or in a header, "
     "as static __always_inline"),
    (r"<inline asm>", "an asm statement has no instruction of BPF's"),
    (r"implicit declaration of function|call to undeclared function",
     "no such function is known: include or write it, as static __always_inline"),
    (r"out of memory|bad_alloc", "the compiler ran out of memory: is a macro or an include endless?"),
)]


def numbered(text: str, path: str) -> str:
    """The text with `#line` in front of lines that begin a statement, a body or a declaration: what is
    moved within one is not torn."""
    name = "".join(f"\\{ord(char):03o}" if char in '"\\\n' else char for char in path)
    out: List[str] = []
    depth, comment, continued, directive, before = 0, False, False, False, ";"
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        if line[:1] == "}":
            depth = 0
        begins = not (comment or continued)
        first = line.lstrip()[:1]
        if begins and not depth and first and (before in ";{}" or first == "{"):
            out.append(f'#line {number} "{name}"')
        out.append(line)
        directive = (directive and continued) or begins and first == "#"
        change, comment, last = _scanned(line, comment)
        if not directive:
            depth = max(0, depth + change)
            before = last or before
        continued = _CONTINUED.search(line) is not None
    return "\n".join(out)


def without_numbers(text: str) -> str:
    """A text without the lines that ``numbered`` has put into it."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#line "))


def _scanned(line: str, comment: bool) -> Tuple[int, bool, str]:
    """By how much parentheses are deeper behind a line, whether it ends within a comment, and the last
    character of its code."""
    depth = place = 0
    code = ""
    while True:
        if comment:
            place = line.find("*/", place)
            if place < 0:
                return depth, True, code[-1:]
            comment, place = False, place + 2
        found = _TOKENS.search(line, place)
        code += line[place:found.start() if found else None].strip()
        if not found:
            return depth, False, code[-1:]
        if found[0][0] != "/":
            code += found[0]
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        comment, place = found[0] == "/*", found.end()


class _Message(NamedTuple):
    """Something that was said, with its place if it has one, and what is printed of it."""

    kind: str
    key: Tuple[str, ...]
    exact: bool     # its column is the user's, and does not come from a text of BCC's
    lines: List[str]


class Messages:
    """What a compiler has said of a source, in order, each once.

    ``source`` is its file as the user named it.
    """

    def __init__(self, said: str, source: Path):
        self._source = source
        self._path = str(source.absolute())
        try:
            self._text = source.read_text(errors="replace").split("\n")
        except OSError:
            self._text = []
        self._said = said
        self._messages = self._once(self._parsed())

    def kept(self) -> str:
        """As text in which FOLDER stands for the source's folder."""
        return "".join(f"{line}\n" for message in self._messages for line in message.lines)

    def text(self) -> str:
        """As text for the user."""
        folder = os.path.dirname(str(self._source))
        return self.kept().replace(FOLDER, f"{folder}/" if folder else "")

    def remedy(self) -> Optional[str]:
        """What to do about the first error, if that is known."""
        for message in self._messages:
            found = next((words for pattern, words in _REMEDIES
                          if any(map(pattern.search, message.lines))), None)
            if found and message.kind != "warning" or message.kind.endswith("error"):
                return found
        return None

    # -- what is in it ------------------------------------------------------------------------

    def _parsed(self) -> Iterator[_Message]:
        lines = self._said.removesuffix("\n").split("\n") if self._said else []
        place = 0
        while place < len(lines):
            above: List[str] = []
            while place < len(lines) and _INCLUDED.fullmatch(lines[place]):
                if self._named(lines[place]) not in above[-1:]:
                    above.append(self._named(lines[place]))
                place += 1
            if place == len(lines):
                return
            if _CRASH.match(lines[place]):      # what came before says more; if nothing did, this
                if place == 0:
                    yield _Message("other", ("crash",), True, lines)
                return
            end = place + 1
            clang = _CLANG.fullmatch(lines[place])
            if clang:
                while end < len(lines) and _GUTTER.fullmatch(lines[end]):
                    end += 1
                if end == place + 1 < len(lines) - 1 and _CARET.fullmatch(lines[end + 1]):
                    end += 2
                    end += end < len(lines) and lines[end].startswith(" ")      # what to write
                yield self._of_clang(clang, above, lines[place + 1:end])
            elif not _COUNT.fullmatch(lines[place]):
                while lines[place].startswith("LLVM ERROR: Cannot select") and end < len(lines) \
                        and lines[end].startswith(("  ", "In function:")):
                    end += 1        # a dump of what LLVM has of the program
                yield self._of_llvm("\n".join(lines[place:end]))
            place = end

    def _named(self, line: str) -> str:
        """A line with FOLDER in place of the source's folder, wherever it begins a path."""
        real = str(self._source.resolve().parent)
        line = line.replace(self._path, FOLDER + self._source.name)
        if real == str(self._source.absolute().parent.resolve()):
            line = re.sub(rf"(^|from |: )(?:{re.escape(real)}|{re.escape(os.path.dirname(self._path))})/",
                          rf"\g<1>{FOLDER}", line)
        return line

    def _of_clang(self, head: "re.Match[str]", above: Sequence[str],
                  below: Sequence[str]) -> _Message:
        number, column = int(head["line"]), int(head["column"])
        exact = True
        gutters = [_GUTTER.fullmatch(one) for one in below]
        shown = [gutter[2] if gutter else one for gutter, one in zip(gutters, below)]
        at = next((place for place, gutter in enumerate(gutters)
                   if gutter and gutter[1] == str(number)), 0)
        if head["file"] == self._path and below and self._text:
            number, column, shown, exact = self._corrected(number, column, shown, at)
        place = f"{self._named(head['file'] + ': ')[:-2]}:{number}"
        line = f"{place}:{column}: {head['kind']}: {head['text']}"
        return _Message(head["kind"], (place, head["kind"], head["text"], str(column)), exact,
                        [*above, line, *shown])

    def _corrected(self, number: int, column: int, below: List[str],
                   at: int) -> Tuple[int, int, List[str], bool]:
        """Line, column and what is shown of them, where the compiler had another text. ``at``: which
        of the lines ``below`` is this one."""
        def original(wanted: int) -> str:
            return self._text[wanted - 1].expandtabs(TAB) if 0 < wanted <= len(self._text) else ""

        seen, marks = below[at].rstrip(), below[at + 1:at + 2]
        if original(number).rstrip() == seen:
            return number, column, below, True
        # Lines in front of a function count until the next #line.
        same = next((other for other in range(min(number, len(self._text)), 0, -1)
                     if seen and original(other).rstrip() == seen), None)
        if same is not None:
            return same, column, below, True
        caret = marks[0].find("^") if marks else -1
        if caret < 0 or not original(number):
            return number, column, below, False
        place = _moved(seen, original(number), caret)
        return number, _column(self._text[number - 1], place), \
            [original(number).rstrip(), " " * place + "^"], False

    def _of_llvm(self, said: str) -> _Message:
        """What LLVM says, in clang's form where it has a place; anything else as it is."""
        llvm = _LLVM.fullmatch(said)
        if llvm:
            return self._at(llvm["file"], int(llvm["line"]),
                            f"in {llvm['function']}(): {llvm['text']}")
        signed = _SIGNED.match(said)
        if signed:
            return self._at(self._path, int(signed[1]), CANNOT_SELECT % "sdiv")
        line, _, _ = said.partition("\n")
        selected = re.match(r"LLVM ERROR: Cannot select: .*? = ([\w:]+)", line)
        place = selected and re.search(rf"[ /]{re.escape(self._source.name)}:(\d+):", said)
        if selected and place:
            return self._at(self._path, int(place[1]), CANNOT_SELECT % selected[1])
        return _Message("other", (line,), True, [self._named(line)])

    def _at(self, file: str, number: int, text: str) -> _Message:
        """An error with a line; its column would be that of the text that BCC has made."""
        if self._path.endswith(f"/{file}"):     # it leaves out where it works
            file = self._path
        place = self._named(file + ": ")[:-2]
        if number:      # LLVM 15 and later do not always know it
            place += f":{number}"
        lines = [f"{place}: error: {text}"]
        if file == self._path and 0 < number <= len(self._text):
            lines.append(self._text[number - 1].expandtabs(TAB).rstrip())
        return _Message("error", (place, text), True, lines)

    @staticmethod
    def _once(messages: Iterable[_Message]) -> List[_Message]:
        """Without what was said before; a note goes with what it belongs to."""
        kept: List[_Message] = []
        seen: Set[Tuple[str, ...]] = set()
        new = True
        for one in messages:
            if one.kind == "note":
                if new and not any(_OURS.search(line) for line in one.lines):
                    kept.append(one)
                continue
            new = one.kind == "other" or one.key not in seen and \
                (one.exact or one.key[:-1] not in seen)
            seen.update((one.key, one.key[:-1]))
            if new:
                kept.append(one)
        return kept


def _moved(seen: str, original: str, place: int) -> int:
    """Where in the original what is at a place of an edited line stands."""
    for _, begin, end, other, other_end in SequenceMatcher(None, seen, original, False).get_opcodes():
        if begin <= place < end:
            return min(other + place - begin, max(other, other_end - 1))
    return len(original)


def _column(line: str, at: int) -> int:
    """The column, in bytes, of what is displayed there."""
    for number in range(len(line)):
        if len(line[:number + 1].expandtabs(TAB)) > at:
            return len(line[:number].encode(errors="surrogateescape")) + 1
    return len(line.encode(errors="surrogateescape")) + 1


# -- the end of a compilation -------------------------------------------------------------------

MEMORY = 2 << 30    # of addresses; a compilation needs less than a quarter
CPU_S = 300         # a compilation needs half a second


def limit() -> None:
    """Bound what this process can use: a source may be endless."""
    import resource
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_S),
                       (resource.RLIMIT_CORE, 0)):
        soft, hard = resource.getrlimit(what)
        given = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
        resource.setrlimit(what, (min([most, *given]), hard))


def check(source: Path) -> None:
    """Raise Error if a file cannot be a kernel half: what a compiler need not be asked."""
    try:
        size = source.stat().st_size
        raw = source.read_bytes() if size <= MAX_SOURCE else b""
    except OSError as error:
        raise Error(f"cannot read {source}: {error.strerror}") from error
    if size > MAX_SOURCE:
        raise Error(f"{source} has {size >> 20} MiB: a kernel half has at most {MAX_SOURCE >> 20}; "
                    "is it the right file?")
    if not raw.strip():
        raise Error(f"{source} is empty: write a program with a macro as TRACEPOINT_PROBE() "
                    "(docs/dialect.md)")
    zero = raw.find(b"\0")
    if zero >= 0:
        raise Error(f"{source}:{_line_at(raw, zero)}: a zero byte: a kernel half is a text")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise Error(f"{source}:{_line_at(raw, error.start)}: the byte {raw[error.start]:#04x} is not "
                    "UTF-8: save the file as UTF-8") from error


def _line_at(raw: bytes, place: int) -> int:
    return raw.count(b"\n", 0, place) + 1


def failure(source: Path, status: int, sentence: str, said: str) -> Error:
    """What to raise when a compilation has ended with this status and said that."""
    messages = Messages(said, source)
    remedy = messages.remedy()
    if not sentence:
        sentence = f"BCC cannot compile {source.name}"
        remedy = _ended(-status) if status < 0 and status != -signal.SIGABRT else remedy
        remedy = remedy or (f"the compiler ended with {status}" if status > 0 else
                            "the compiler has given up")
    if sentence.startswith("BCC cannot compile") and remedy:
        sentence += f": {remedy}"
    return Error(sentence, messages.text())


def _ended(number: int) -> str:
    """Why the compiler is gone, by the signal that has ended it."""
    if number == signal.SIGXCPU:
        return "it took too much time: is a macro or an include endless?"
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL):
        return (f"the compiler crashed ({signal.Signals(number).name}): is an expression nested "
                "too deeply?")
    if number == signal.SIGKILL:
        return ("the compiler was killed (SIGKILL), by somebody or by the kernel, "
                "for want of memory")
    return f"the compiler was ended from outside (signal {number})"
