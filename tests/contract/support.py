# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Small tools that a test writes for itself, and what the kernel holds for a process."""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import frontends
import kept
from bpfduet.plain.cgroup import own_cgroup
from frontends import BIN, BUILD, LOOK_S, PATIENCE_S, ROOT, SLOWNESS, Argument, Result
from needs import mount_bpffs

F_GETPIPE_SZ = 1032             # linux/fcntl.h; Python 3.10 has a name for it
MISSING = "/bpfduet/missing"    # a file that is not there: what the workload `opens` opens
SPDX = "SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

# Counts execs in a map of its own name.
COUNTING = """#include "bpfduet.h"

BPF_HASH(%s, u32, u64);

TRACEPOINT_PROBE(sched, sched_process_exec)
{
	u32 key = 1;

	if (task_matches())
		%s.increment(key);
	return 0;
}

LICENSE("Dual BSD/GPL");
"""
COUNTING_SPEC = """summary = "count execs"

[[report]]
map = "%s"
columns = [
    { field = "value", heading = "COUNT" },
]
"""


def write_tool(folder: Path, name: str, source: str, spec: str) -> Path:
    """A tool's two files; returns the path of its .bpf.c."""
    path = folder / f"{name}.bpf.c"
    path.write_text(source)
    (folder / f"{name}.toml").write_text(spec)
    return path


def counting_tool(folder: Path, name: str, requires: Sequence[str] = (),
                  map_name: str = "execs") -> Path:
    """A tool that counts execs; ``requires`` as in a spec."""
    needs = ", ".join(f'"{one}"' for one in requires)
    return write_tool(folder, name, COUNTING % (map_name, map_name),
                      f"requires = [{needs}]\n" + COUNTING_SPEC % map_name)


def compile_bpf(source: Path, out: Path) -> Path:
    """The Makefile's first steps: a linked BPF object without a spec."""
    machine = {"x86_64": "x86", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    flags = ["-g", "-O2", "-mcpu=v3", "-target", "bpf", f"-D__TARGET_ARCH_{machine}"]

    def make() -> None:
        bare = out.with_suffix(".tmp.o")
        subprocess.run(["clang", *flags, f"-I{BUILD}", f"-I{ROOT}/headers", "-c", str(source),
                        "-o", str(bare)], check=True)
        subprocess.run(["bpftool", "gen", "object", str(out), str(bare)], check=True,
                       env={**os.environ, "PATH": PATH})

    return kept.made(out, [source, *kept.BPF_INPUTS], flags, make)


def describe(source: Path, linked: Path) -> subprocess.CompletedProcess[bytes]:
    """The Makefile's step that makes the bound spec, not checked."""
    spec = source.with_name(source.name.replace(".bpf.c", ".toml"))
    return subprocess.run([sys.executable, "-m", "bpfduet.spec.describe", str(spec), str(linked)],
                          env={**os.environ, "PATH": PATH, "PYTHONPATH": str(ROOT / "python")},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def add_section(linked: Path, content: bytes, out: Path) -> Path:
    """An object with a .bpfduet section of this content."""
    spec = out.with_suffix(".json")
    spec.write_bytes(content)
    tools = sorted(Path("/usr/bin").glob("llvm-objcopy*"))
    subprocess.run([str(tools[-1]), f"--add-section=.bpfduet={spec}", str(linked), str(out)],
                   check=True)
    return out


def build_object(source: Path) -> Path:
    """A tool's self-describing object, by the Makefile's steps."""
    out = source.with_suffix(".o")

    def make() -> None:
        linked = compile_bpf(source, source.with_suffix(".linked.o"))
        described = describe(source, linked)
        assert described.returncode == 0, described.stderr
        add_section(linked, described.stdout, out)

    spec = source.with_name(source.name.replace(".bpf.c", ".toml"))
    return kept.made(out, [source, spec, *kept.OBJECT_INPUTS], [], make)


def own_command(frontend: str, source: Path, args: Sequence[Argument] = ()) -> List[Argument]:
    """The command line of a tool that is no part of the tree."""
    if frontend == "c":
        return [str(BIN / "bpfduet-loader"), str(build_object(source)), *args]
    return frontends.command("bcc", str(source), args)


def run(argv: Sequence[Argument], **kwargs) -> Result:  # type: ignore[no-untyped-def]
    """Run a command line to its end."""
    return frontends.finish(frontends.start(argv, **kwargs))


def own_run(frontend: str, source: Path, args: Sequence[Argument] = ()) -> Result:
    """Run a tool that is no part of the tree to its end."""
    return run(own_command(frontend, source, args))


def opens(workloads: Path, count: int, path: Argument = MISSING) -> List[Argument]:
    """The command line of the workload that opens a path so many times."""
    return [str(workloads / "opens"), str(count), path]


def seen(result: Result, path: str = MISSING) -> int:
    """How many lines of the output are about a path."""
    return sum(path.encode() in line for line in result.lines())


def one_sentence(result: Result, tool: str) -> str:
    """What a failed run said: exactly one line, beginning with the tool's name; its sentence."""
    text = result.stderr.decode()
    assert text.startswith(f"{tool}: ") and text.count("\n") == 1 and text.endswith("\n"), text
    assert result.stdout == b""
    return text[len(tool) + 2:-1]


# -- what the kernel holds ------------------------------------------------------------------

Held = Set[Tuple[str, int]]


def held(pid: int) -> Held:
    """(kind, id) of the programs, maps and links that a process has open."""
    found: Held = set()
    with contextlib.suppress(OSError):
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                found.update((kind, int(number)) for kind, number in
                             re.findall(r"^(prog|map|link)_id:\s*(\d+)", info.read_text(), re.M))
    return found


def bpftool(*args: str) -> subprocess.CompletedProcess[bytes]:
    """Run bpftool, not checked."""
    return subprocess.run(["bpftool", "-j", *args], env={**os.environ, "PATH": PATH}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def still_there(objects: Iterable[Tuple[str, int]], patience_s: float = 3) -> Held:
    """Those of some BPF objects that the kernel still has; it frees them a little later."""
    left = set(objects)
    deadline = time.monotonic() + patience_s * SLOWNESS
    while left:
        left = {(kind, number) for kind, number in left
                if bpftool(kind, "show", "id", str(number)).returncode == 0}
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def map_remains(name: str, patience_s: float = 3) -> bool:
    """Whether the kernel still has a map of this name (at most 15 characters)."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while f'"name":"{name}"'.encode() in bpftool("map", "show").stdout:
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


def cgroup_of(pid: int) -> Path:
    """Where a run with COMMAND makes its cgroup."""
    return own_cgroup() / f"bpfduet-{pid}"


def wait_for(path: Path, patience_s: float = 10) -> None:
    """Wait until a file exists."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state: Optional[str] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        state = None
    return state not in (None, "Z", "X")


def wait_for_mapping(pid: int, names: Sequence[str], patience_s: float = 10) -> None:
    """Wait until a process has mapped a file whose path has one of these names in it."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while not any(name in Path(f"/proc/{pid}/maps").read_text() for name in names):
        assert time.monotonic() < deadline, f"it never mapped {names}"
        time.sleep(0.001)


def compiler_of(process: subprocess.Popen[bytes]) -> int:
    """The child of `bpfduet run` that compiles, once it has BCC."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + PATIENCE_S
    while not children.read_text():
        assert time.monotonic() < deadline and process.poll() is None
    child = int(children.read_text())
    wait_for_mapping(child, ["libbcc.so"])
    return child


def copy_tree(place: Path) -> None:
    """What `bpfduet run` reads of the tree, without what is built."""
    for name in ("VERSION", "bpfduet"):
        shutil.copy(ROOT / name, place)
    for name in ("headers", "python", "shared_bpf"):
        shutil.copytree(ROOT / name, place / name)


def trace_pipe_is_free(patience_s: float = 20) -> None:
    """Wait until nobody reads the trace pipe, which new kernels give to one reader at a time."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while True:
        try:
            os.close(os.open("/sys/kernel/tracing/trace_pipe", os.O_RDONLY | os.O_NONBLOCK))
            return
        except OSError as error:
            assert error.errno == errno.EBUSY and time.monotonic() < deadline, error
            time.sleep(0.05)


def environment(**more: str) -> Dict[str, str]:
    """This environment, and more."""
    return {**os.environ, **more}


@contextlib.contextmanager
def pin_folder() -> Iterator[Path]:
    """A folder of a bpf file system, not there yet."""
    folder = mount_bpffs() / f"bpfduet-pins-{os.getpid()}"
    try:
        yield folder
    finally:
        if folder.exists():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def pinned(folder: Path, patience_s: float = 10) -> None:
    """Wait until something is pinned there."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while not folder.exists() or not list(folder.iterdir()):
        assert time.monotonic() < deadline, f"nothing in {folder}"
        time.sleep(LOOK_S)


def taken(process: "subprocess.Popen[bytes]", number: int, patience_s: float = 10) -> None:
    """Wait until a signal that was sent is no longer pending."""
    deadline = time.monotonic() + patience_s * SLOWNESS
    while True:
        status = Path(f"/proc/{process.pid}/status").read_text()
        pending = int(status.split("ShdPnd:")[1].split()[0], 16)
        if not pending >> (number - 1) & 1:
            return
        assert time.monotonic() < deadline, f"signal {number} is not taken"
        time.sleep(LOOK_S)


def is_stuck(process: "subprocess.Popen[bytes]", patience_s: float = 10) -> None:
    """Wait until the pipe that is its stdout, from which nobody reads, has no room for a line."""
    assert process.stdout
    deadline = time.monotonic() + patience_s * SLOWNESS
    size = fcntl.fcntl(process.stdout, F_GETPIPE_SZ)
    while size - int.from_bytes(fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder) > 4096:
        assert time.monotonic() < deadline, "there is room"
        time.sleep(LOOK_S)
