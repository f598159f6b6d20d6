# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Control groups (v2): limiting a tool to one, and running COMMAND in its own."""
from __future__ import annotations

import contextlib
import ctypes as ct
import errno
import fcntl
import mmap
import os
import signal
import time
import warnings
from pathlib import Path
from typing import List, Optional, Tuple

from ..environment import given_environment
from ..errors import Error

# linux/proc_ns.h: the inode of the initial cgroup namespace
INIT_NAMESPACE = 0xEFFFFFFB
PATIENCE_S = 2.0
_PR_SET_PDEATHSIG = 1


def hierarchy(mountinfo: str) -> Tuple[Path, str]:
    """Mount point of the v2 hierarchy, and which of its folders is mounted there ("/" for all)."""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split(" ", 1)[0] == "cgroup2":
            root, point = fields.split(" ")[3:5]
            return Path(point.encode().decode("unicode_escape")), root
    raise Error("cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")


def level(point: Path, root: str, group: Path) -> int:
    """Depth of ``group`` below the root of the hierarchy, which has 0."""
    inside = group.resolve().relative_to(point.resolve())
    return len([part for part in root.split("/") if part]) + len(inside.parts)


def identify(path: str) -> Tuple[int, int]:
    """(id, level) of the cgroup at ``path``, as bpf_get_current_ancestor_cgroup_id() takes and
    gives them. Raises Error."""
    if os.stat("/proc/self/ns/cgroup").st_ino != INIT_NAMESPACE:
        raise Error("a cgroup's place cannot be seen from inside a cgroup namespace: "
                    "run on the host")
    point, root = hierarchy(Path("/proc/self/mountinfo").read_text())
    try:
        os.stat(os.path.join(path, "cgroup.procs"))
        return os.stat(path).st_ino, level(point, root, Path(path))
    except (OSError, ValueError) as error:
        raise Error(f"'{path}' is not a cgroup (v2) directory") from error


def own_cgroup() -> Path:
    """The cgroup that this process is in."""
    point, _ = hierarchy(Path("/proc/self/mountinfo").read_text())
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, _, rest = line.partition(":")
        if number == "0":
            return point / rest.partition(":")[2].lstrip("/")
    raise Error("this process is in no cgroup (v2)")


class Command:
    """COMMAND: started in a cgroup of its own, held until ``go()``.

    The cgroup is made below ``parent``, or below that of this process.
    """

    def __init__(self, argv: List[bytes], parent: Optional[str] = None):
        self._argv = argv
        self.status: Optional[int] = None
        self._asked = False     # to end
        self.pid = 0
        self.path = (own_cgroup() if parent is None else Path(parent)) / f"bpfduet-{os.getpid()}"
        try:
            self.path.mkdir()
            # the engine's next start removes those that nobody holds
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Error(f"cannot make the cgroup {self.path}: {error.strerror}") from error
        try:
            self._fork()
        except BaseException:
            self.close()
            raise

    def _fork(self) -> None:
        self._moved = mmap.mmap(-1, mmap.PAGESIZE)  # a byte shared with the child
        environment = given_environment()
        self._failure, failure = os.pipe()
        parent = os.getpid()
        with warnings.catch_warnings():
            # of Python 3.12 and later, where the program has threads; the child execs or ends
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid:
            os.close(failure)
            return
        try:
            # The first two are the tool's own, the others Python's.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._failure)
            Path("/proc/self/comm").write_bytes(os.path.basename(self._argv[0])[:15])
            ct.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            child = os.getpid()
            if os.getppid() != parent:
                os._exit(127)
            # It is moved while it is stopped, behind the end of a system call: so all that is seen of
            # it is its exec, under the name that it will have.
            while not self._moved[0]:
                os.kill(child, signal.SIGSTOP)
            os.execvpe(self._argv[0], self._argv, environment)
        except OSError as error:
            os.write(failure, str(error.errno).encode())
        except ValueError:      # an empty name
            os.write(failure, str(errno.ENOENT).encode())
        finally:
            os._exit(127)

    def go(self) -> None:
        """Let COMMAND run. Raises Error if it cannot be started."""
        name = self._argv[0].decode(errors="backslashreplace")
        status = os.waitpid(self.pid, os.WUNTRACED)[1]
        if not os.WIFSTOPPED(status):
            self.status = status
            raise Error(f"cannot run '{name}': somebody has ended its process")
        try:
            (self.path / "cgroup.procs").write_text(str(self.pid))
        except OSError as error:
            raise Error(f"cannot move a process to the cgroup {self.path}: "
                        f"{error.strerror}") from error
        self._moved[0] = 1
        os.kill(self.pid, signal.SIGCONT)
        reason = os.read(self._failure, 16)   # closed by a successful exec
        os.close(self._failure)
        if reason:
            raise Error(f"cannot run '{name}': {os.strerror(int(reason))}")

    def ended(self) -> bool:
        """Whether COMMAND itself has ended; what it left running does not count."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def terminate(self) -> None:
        """Ask COMMAND to end, once: many programs take a second SIGTERM for more than that."""
        if not self._asked and not self.ended():
            self._asked = True
            os.kill(self.pid, signal.SIGTERM)

    def abandon(self) -> None:
        """End COMMAND at once and clean up as far as that goes without waiting."""
        if self.pid and not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            self._empty()
            self.path.rmdir()

    def close(self) -> None:
        """End COMMAND if it still is held or runs, and remove the cgroup: what COMMAND left
        running goes on in the one above."""
        if self.pid and not self.ended():
            if self._moved[0]:
                self.terminate()
            else:       # it is stopped still
                os.kill(self.pid, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE_S
            while not self.ended() and time.monotonic() < deadline:
                time.sleep(0.01)
            if not self.ended():
                os.kill(self.pid, signal.SIGKILL)
                self.status = os.waitpid(self.pid, 0)[1]
        deadline = time.monotonic() + PATIENCE_S
        while self.path.exists():
            self._empty()
            try:
                self.path.rmdir()
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY) or time.monotonic() > deadline:
                    raise Error(f"cannot remove the cgroup {self.path}: "
                                f"{error.strerror}") from error
                time.sleep(0.01)
        os.close(self._lock)

    def _empty(self) -> None:
        """Move what is left in the cgroup, and in those that COMMAND made below it, up."""
        for folder, _, _ in os.walk(self.path, topdown=False):
            for pid in (Path(folder) / "cgroup.procs").read_text().split():
                try:
                    (self.path.parent / "cgroup.procs").write_text(pid)
                except OSError:
                    continue    # it has ended meanwhile
            if Path(folder) != self.path:
                try:
                    os.rmdir(folder)
                except OSError:
                    continue    # the caller tries again
