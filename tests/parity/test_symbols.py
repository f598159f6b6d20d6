# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names of functions: exact stacks (every call of one function) through both frontends, which
must print the same bytes, and against the chain of calls that the workload is known to make."""
from __future__ import annotations

import contextlib
import ctypes as ct
import json
import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import pytest

import kept
from frontends import BUILD, FRONTENDS, PATIENCE_S, Result, Running, _entering, cgroup

SOURCES = Path(__file__).resolve().parents[1] / "workload" / "symbols"
FLAGS = ["-O1", "-g0", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-Wall",
         "-Wextra", "-Werror"]
HEADERS = sorted(SOURCES.glob("*.h"))
COUNT = 23
CHAIN = ["chain_inner", "chain_middle", "chain_outer", "main"]
HOSTILE = b'evil;<b>&"\x1b\xff'
# Each run: its name, and the arguments that make it.
FORMS: Dict[str, List[str]] = {
    "text": [], "folded": ["-f"], "json": ["--format", "json"], "csv": ["--format", "csv"],
}


def build(folder: Path, sources: Sequence[str], flags: Sequence[str] = (),
          compiler: str = "gcc") -> Path:
    """Compile a workload."""
    output = folder / Path(sources[0]).stem
    paths = [SOURCES / source if (SOURCES / source).exists() else folder / source
             for source in sources]
    argv = [compiler, *FLAGS, "-o", str(output), *map(str, paths), *flags]
    return kept.made(output, [*paths, *HEADERS], [compiler, *FLAGS, *flags],
                     lambda: subprocess.run(argv, check=True))


@dataclass
class Workload:
    """A program, and what is known about it."""

    argv: List[str]
    probed: Path                        # the file that has chain_inner()
    frames: List[str] = field(default_factory=lambda: list(CHAIN))    # innermost first
    before: Optional[Callable[[], None]] = None     # in the child, before its exec


@dataclass
class Seen:
    """What both frontends printed, by form, and the process that was watched."""

    pid: int
    results: Dict[Tuple[str, str], Result]

    def same(self) -> Dict[str, bytes]:
        """stdout by form; the same in both frontends. Raises AssertionError."""
        found = {}
        for (frontend, form), result in self.results.items():
            assert (result.status, result.stderr) == (0, b""), (frontend, form, result)
            assert found.setdefault(form, result.stdout) == result.stdout, form
        return found


def is_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    inode = path.stat().st_ino
    with contextlib.suppress(OSError):
        for link in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/fd/{link}").st_ino == inode:
                    return True
    return False


def observe(workload: Workload, forms: Dict[str, List[str]], gone: bool = False,
            after: Callable[[int], None] = lambda pid: None) -> Seen:
    """Watch a run of a workload. ``gone``: it ends before the reports are made, but not before
    the tools have looked at it. ``after`` is called with its PID when its calls are over."""
    with cgroup("symbols") as group, contextlib.ExitStack() as ends:
        tracers: Dict[Tuple[str, str], Running] = {}
        for form, args in forms.items():
            for frontend in FRONTENDS:
                tracer = Running(frontend, "frames", [
                    "--cgroup", str(group), "--target", f"{workload.probed}:chain_inner",
                    *args], 1)
                ends.callback(tracer.end)
                tracers[frontend, form] = tracer
        for tracer in tracers.values():
            tracer.wait_ready()
        enter = _entering(group, None)

        def prepare() -> None:
            enter()
            if workload.before:
                workload.before()

        process = ends.enter_context(subprocess.Popen(
            [*workload.argv, str(COUNT)], preexec_fn=prepare, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE))
        ends.callback(process.kill)
        assert process.stdout and process.stdout.readline() == b"done\n"
        after(process.pid)
        if gone:
            perf_map = Path(f"/tmp/perf-{process.pid}.map")
            wait_until_open(list(tracers.values()),
                            [workload.probed, *[perf_map] * perf_map.exists()])
            process.communicate()
        seen = Seen(process.pid, {key: tracer.finish() for key, tracer in tracers.items()})
        if not gone:
            process.communicate()       # it ends, and takes away what it made
        return seen


def wait_until_open(tracers: List[Running], files: List[Path]) -> None:
    """Return when every tool keeps these files open, to read the names in them later."""
    deadline = time.monotonic() + PATIENCE_S
    while not all(is_open(tracer.process.pid, path) for tracer in tracers for path in files):
        assert time.monotonic() < deadline, "a tool has not looked at the process"
        time.sleep(0.01)


# -- the workloads -----------------------------------------------------------------------------

def plain(*flags: str) -> Callable[[Path], Workload]:
    """chain.c with these flags."""
    def make(folder: Path) -> Workload:
        binary = build(folder, ["chain.c", "inner.c"], flags)
        return Workload([str(binary)], binary)
    return make


def shared(folder: Path) -> Workload:
    """The probed function in a library."""
    library = folder / "libinner.so"
    # by name and not by path is it looked for, or what is kept would load that of another test
    flags = ["-shared", "-fPIC", "-Wl,-soname,libinner.so"]
    build(folder, ["inner.c"], flags).rename(library)
    binary = build(folder, ["chain.c", "libinner.so"], ["-Wl,-rpath,$ORIGIN"])
    return Workload([str(binary)], library)


def stripped(folder: Path) -> Workload:
    """Only what other files may call has a name."""
    binary = build(folder, ["chain.c", "inner.c"], ["-rdynamic", "-s"])
    return Workload([str(binary)], binary, ["chain_inner", "[unknown]", "[unknown]", "main"])


def separate(folder: Path) -> Workload:
    """Stripped, but with the file that a distribution's debug package would have."""
    binary = build(folder, ["chain.c", "inner.c"], ["-rdynamic", "-Wl,--build-id=0x" + BUILD_ID])
    subprocess.run(["objcopy", "--only-keep-debug", str(binary), str(DEBUG_FILE)], check=True)
    subprocess.run(["strip", str(binary)], check=True)
    return Workload([str(binary)], binary)


def cplusplus(folder: Path) -> Workload:
    """Names that need demangling."""
    inner = folder / "inner.o"
    build(folder, ["inner.c"], ["-c"]).rename(inner)
    binary = build(folder, ["cplusplus.cc", "inner.o"], compiler="g++")
    text = ("(anonymous namespace)::hidden(std::__cxx11::basic_string<char, "
            "std::char_traits<char>, std::allocator<char> > const&)")
    return Workload([str(binary)], binary, [
        "chain_inner", text, "shapes::Box<long, 4>::Box(long)",
        "shapes::Box<long, 3>::operator()(long) const",
        "main::{lambda(long)#1}::operator()(long) const", "main"])


def rust(folder: Path) -> Workload:
    """Rust's names, and a hostile one."""
    binary = build(folder, ["names.c", "inner.c"])
    raw = binary.read_bytes()
    assert raw.count(b"hostile_name\0") == 1 and len(HOSTILE) == len(b"hostile_name")
    binary.write_bytes(raw.replace(b"hostile_name\0", HOSTILE + b"\0"))
    return Workload([str(binary)], binary, [
        "chain_inner", "chain_middle", "alpha::beta::gamma",
        "<a::B as core::fmt::Debug[&,]>::fmt", "alpha::delta", "<vec::文字::Ünïcode>::наме",
        "vec::shapes::each::<u32, 3, vec::main::{closure#0}>", "alpha::epsilon", "_ZN5alpha99betaE", 'evil;<b>&"\x1b\\xff', "main"])


def jit(folder: Path) -> Workload:
    """A function that is in no file."""
    binary = build(folder, ["jit.c", "inner.c"])
    return Workload([str(binary)], binary,
                    ["chain_inner", "chain_middle", "Made;at run time", "main"])


def elsewhere(folder: Path) -> Workload:
    """In a mount namespace of its own, under a path that leads nowhere outside."""
    binary = build(folder, ["chain.c", "inner.c"])
    private = folder / "private"
    private.mkdir()
    return Workload(["unshare", "-m", "sh", "-c",
                     f'mount --bind {folder} {private} && exec {private}/chain "$1"', "sh"],
                    binary)


# The probed binary's own build id, so that no other file can have it.
BUILD_ID = "b9fd0e7" + "0" * 26 + "%07x" % (os.getpid() & 0xfffffff)
DEBUG_FILE = Path("/usr/lib/debug/.build-id") / BUILD_ID[:2] / f"{BUILD_ID[2:]}.debug"


@pytest.fixture(name="debug_file")
def _debug_file() -> Iterator[None]:
    made = [folder for folder in (DEBUG_FILE.parent, *DEBUG_FILE.parent.parents)
            if not folder.exists()]
    DEBUG_FILE.parent.mkdir(parents=True, exist_ok=True)
    yield
    DEBUG_FILE.unlink(missing_ok=True)
    for folder in made:
        folder.rmdir()


WORKLOADS: Dict[str, Callable[[Path], Workload]] = {
    "pie": plain("-pie", "-fPIE"), "no-pie": plain("-no-pie"), "static": plain("-static"),
    "static-pie": plain("-static-pie", "-fPIE"), "shared": shared, "stripped": stripped,
    "debug-file": separate, "cplusplus": cplusplus, "rust": rust, "jit": jit,
    "mount-namespace": elsewhere,
}


def chains(seen: Dict[str, bytes], pid: int) -> List[List[str]]:
    """The stacks in JSON, innermost function first; all from one process."""
    (report,) = [json.loads(line) for line in seen["json"].splitlines()]
    assert (report["type"], report["tool"], report["report"]) == ("stacks", "frames", "calls")
    assert {entry["process"] for entry in report["data"]} == {pid}
    assert all(entry["kernel"] == [] for entry in report["data"])
    return [entry["user"] for entry in report["data"]]


def up_to_main(chain: List[str]) -> List[str]:
    """Without what the C library has around main()."""
    return chain[:chain.index("main") + 1]


@pytest.mark.parametrize("name", WORKLOADS)
def test_names(workloads, tmp_path: Path, debug_file: None, name: str) -> None:
    """Every kind of binary; what has unusual names in every form."""
    workload = WORKLOADS[name](tmp_path)
    wanted = FORMS if name in ("rust", "jit") else ("json", "folded")
    seen = observe(workload, {form: FORMS[form] for form in wanted})
    same = seen.same()
    found = chains(same, seen.pid)
    # At its first instruction a function has made no frame yet: before Linux 6.11 the kernel
    # leaves its caller out.
    expected = [workload.frames, workload.frames[:1] + workload.frames[2:]]
    assert any(up_to_main(chain) in expected for chain in found), found
    folded = [frame.replace(";", r"\x3b").replace("\x1b", r"\x1b") for frame in workload.frames]
    assert ";".join(folded[:1:-1]).encode() in same["folded"]
    if "text" in same:
        assert same["text"].endswith(b"    %-16s %b (%d)\n        %d\n\n" % (
            b"-", Path(workload.argv[0]).name.encode(), seen.pid, COUNT))


@pytest.mark.parametrize("name", ["pie", "shared", "jit"])
def test_gone(workloads, tmp_path: Path, name: str) -> None:
    """A process that has ended has names if it lived long enough to be looked at."""
    workload = WORKLOADS[name](tmp_path)
    same = observe(workload, {"json": FORMS["json"], "text": []}, gone=True)
    found = chains(same.same(), same.pid)
    assert any(up_to_main(chain)[2:] == workload.frames[2:] or
               up_to_main(chain)[1:] == workload.frames[2:] for chain in found), found


def test_deleted(workloads, tmp_path: Path) -> None:
    """A program whose file is no longer there, and another one of that name."""
    workload = WORKLOADS["pie"](tmp_path)

    def replace(pid: int) -> None:
        workload.probed.unlink()
        shutil.copy("/bin/true", workload.probed)
        assert os.readlink(f"/proc/{pid}/exe").endswith(" (deleted)")

    seen = observe(workload, {"json": FORMS["json"], "text": []}, after=replace)
    assert [up_to_main(chain)[-2:] for chain in chains(seen.same(), seen.pid)] == [CHAIN[-2:]]


def test_exec(workloads, tmp_path: Path) -> None:
    """What a process was before it became another program does not matter."""
    workload = WORKLOADS["pie"](tmp_path)
    workload.argv = ["sh", "-c", f'exec {workload.argv[0]} "$1"', "sh"]
    seen = observe(workload, {"json": FORMS["json"], "text": []})
    assert [up_to_main(chain)[-2:] for chain in chains(seen.same(), seen.pid)] == [CHAIN[-2:]]


def test_hostile_perf_maps(workloads, tmp_path: Path) -> None:
    """A perf map that is a pipe, a link or another user's is left alone."""
    workload = WORKLOADS["jit"](tmp_path)

    def spoil(kind: str) -> Callable[[int], None]:
        def change(pid: int) -> None:
            path = Path(f"/tmp/perf-{pid}.map")
            kept = path.read_bytes()
            if kind == "user":
                os.chown(path, 4242421, 4242421)
                return
            path.unlink()
            if kind == "pipe":
                os.mkfifo(path)
            else:
                real = tmp_path / "real"
                real.write_bytes(kept)
                path.symlink_to(real)
        return change

    for kind in ("pipe", "link", "user"):
        seen = observe(workload, {"json": FORMS["json"]}, after=spoil(kind))
        (chain,) = chains(seen.same(), seen.pid)
        assert "[unknown]" in up_to_main(chain) and "Made;at run time" not in chain, kind


def names_of(pid: int, addresses: Iterable[int]) -> List[str]:
    """The engine's names for addresses in a process, of PID 0 in the kernel."""
    lines = "".join(f"{address:x}\n" for address in addresses)
    done = subprocess.run([str(BUILD / "tests" / "stacks_driver"), "--names", str(pid)],
                          input=lines, stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.splitlines()


def rank(symbol: Tuple[int, str]) -> Tuple[int, int, int, str]:
    """Of several names (with sizes) of an address the lowest one is shown (docs/output.md)."""
    size, name = symbol
    return -size, len(name) - len(name.lstrip("_")), len(name), name


def test_kernel_names() -> None:
    """Those of /proc/kallsyms; BCC has one of the same address, too."""
    bcc = pytest.importorskip("bcc")
    names: Dict[int, Set[str]] = {}
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            address, kind, name = line.split()[:3]
            if kind in "tTwW" and not name.startswith(("_Z", "_R")):     # as they are, no C++ or Rust
                names.setdefault(int(address, 16), set()).add(name)
    picked = random.Random(7).sample(sorted(names), 500)
    picked += [address for address in sorted(names) if len(names[address]) > 1][:500]
    for address, mine in zip(picked, names_of(0, picked)):
        assert mine == min(names[address], key=lambda name: rank((0, name))), hex(address)
        assert bcc.BPF.ksym(address).decode() in names[address], hex(address)


def functions_of(path: Path, *which: str) -> Dict[int, Set[Tuple[int, str]]]:
    """(size, name) of the functions of a file's symbol table by address, after binutils."""
    found: Dict[int, Set[Tuple[int, str]]] = {}
    done = subprocess.run(["readelf", "-sW", *which, str(path)], stdout=subprocess.PIPE, check=True,
                          text=True)
    for words in map(str.split, done.stdout.splitlines()):
        if len(words) >= 8 and words[3] in ("FUNC", "IFUNC") and words[6] != "UND" \
                and int(words[2], 0):
            found.setdefault(int(words[1], 16), set()).add((int(words[2], 0), words[7].split("@")[0]))
    return found


def test_user_names() -> None:
    """Each function of this process' C library: the best name of its symbol tables, and of its
    package of debug files, if that is installed. BCC's is a name of the same function."""
    bcc = pytest.importorskip("bcc")
    pid = os.getpid()
    library = ct.CDLL("libc.so.6")     # not what stands for them in a program without PIE
    library.dlsym.restype = ct.c_void_p
    library.dlsym.argtypes = [ct.c_void_p, ct.c_char_p]
    path = next(Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines()
                if line.endswith("/libc.so.6"))
    known = functions_of(path)
    build_id = subprocess.run(["readelf", "-n", str(path)], stdout=subprocess.PIPE, check=True,
                              text=True).stdout.split("Build ID: ")[1].split()[0]
    debug = Path("/usr/lib/debug/.build-id", build_id[:2], build_id[2:] + ".debug")
    if debug.exists():
        for address, symbols in functions_of(debug).items():
            known.setdefault(address, set()).update(symbols)
    (malloc,) = (address for address, symbols in known.items()
                 if any(name == "malloc" for _, name in symbols))
    base = ct.cast(library.malloc, ct.c_void_p).value - malloc
    assert len(known) > 1000
    for (address, symbols), mine in zip(known.items(),
                                        names_of(pid, [base + address for address in known])):
        assert mine == min(symbols, key=rank)[1], (hex(address), symbols)
    for name in ("malloc", "printf", "qsort", "getenv", "strtoul", "fopen", "sscanf", "read"):
        address = ct.cast(getattr(library, name), ct.c_void_p).value
        theirs = bcc.BPF.sym(address + 1, pid)
        # perhaps one that only debug files have, such as __GI_qsort and _IO_fopen64
        assert theirs.decode() in {other for _, other in known[address - base]} or \
            library.dlsym(library._handle, theirs) == address, theirs


def test_missing(workloads, tmp_path: Path) -> None:
    """Stacks that found no place are told of, with the option that helps."""
    workload = WORKLOADS["cplusplus"](tmp_path)
    seen = observe(workload, {"text": ["--stack-storage-size", "1"]})
    c, bcc = (seen.results[frontend, "text"] for frontend in FRONTENDS)
    assert c == bcc and c.status == 0
    assert b"    [Missed User Stack]\n" in c.stdout
    assert c.stderr.startswith(b"WARNING: ") and c.stderr.endswith(
        b" stack traces could not be displayed. Consider increasing --stack-storage-size.\n")


def test_flame(workloads, tmp_path: Path) -> None:
    """The same graph from both, and none of the stacks on stdout."""
    workload = WORKLOADS["rust"](tmp_path)
    graphs = {}
    for frontend in FRONTENDS:
        graphs[frontend] = tmp_path / f"{frontend}.svg"
    with cgroup("flame") as group:
        tracers = [Running(frontend, "frames", [
            "--cgroup", str(group), "--target", f"{workload.probed}:chain_inner", "--flame",
            str(graphs[frontend])], 1) for frontend in FRONTENDS]
        for tracer in tracers:
            tracer.wait_ready()
        with subprocess.Popen([*workload.argv, str(COUNT)], stdin=subprocess.PIPE,
                              preexec_fn=_entering(group, None),
                              stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline() == b"done\n"
            results = [tracer.finish() for tracer in tracers]
    assert [(one.status, one.stdout, one.stderr) for one in results] == [(0, b"", b"")] * 2
    drawn = graphs["c"].read_bytes()
    assert drawn == graphs["bcc"].read_bytes()
    assert f"<title>alpha::beta::gamma ({COUNT} calls, 100.00%)</title>".encode() in drawn
    assert rb"evil\x3b&lt;b&gt;&amp;&quot;\x1b\xff" in drawn
