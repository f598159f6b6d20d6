# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The tests on other kernels, each in a QEMU guest:
``run.py [--shell | --short] KERNEL... [-- PYTEST_ARGUMENT...]``

A guest has the host's files, read-only, and so the programs as built on the host; it builds none
of them. What it leaves is in build/vm/KERNEL: progress.log, also shown while it runs, console.log,
the kernel's own, and results/ with a JUnit file and an exit status for each suite.
"""
from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import List, Sequence
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import conftest  # noqa: E402
import packages  # noqa: E402
from frontends import BUILD, ROOT  # noqa: E402
from vm.kernels import FOLDER, Kernel  # noqa: E402

LIMIT_S = 120 * 60      # of a guest
SILENCE_S = 10 * 60     # without progress, after which it counts as hung
CPUS, MEMORY = 2, "4G"
# Without what TCG is slow at and no test asks for: 256-bit vectors, checks of every access to user
# memory, a fifth level of page tables. Nor cmpxchg16b, whose flags QEMU 7.2 gets wrong.
CPU = "max,-avx,-avx2,-smap,-la57,-pku,-cx16"
DISKS = {"vda": "256M", "vdb": "1M"}    # the first is for tests to overwrite
HOST_BTF = FOLDER / "host.btf"
printing = threading.Lock()


class Guest:
    """A kernel, and the suites in it."""

    def __init__(self, kernel: Kernel, size: str = ""):
        """size: "short" or "narrow", if not all tests are to run."""
        self.kernel = kernel
        self.size = size
        self.folder = FOLDER / kernel.series
        self.results = self.folder / "results"
        self.progress = self.folder / "progress.log"
        self.failure = "it ended early"
        self.last = ""      # a line begun and not ended: the test that ran

    def _job(self, args: Sequence[str]) -> str:
        """The script that the initramfs starts."""
        values = {"BPFDUET_GUEST": self.kernel.series, "BUILD": str(BUILD),
                  "KERNEL_FILES": str(self.kernel.files),
                  "HEADERS_FILES": str(self.kernel.headers), "VMLINUX_BTF": str(HOST_BTF)}
        if self.size:
            values["BPFDUET_ROUND"] = self.size
        lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        return "\n".join([*lines, f"exec {shlex.join([str(ROOT / 'tests/vm/guest.sh'), *args])}", ""])

    def _qemu(self, interactive: bool) -> List[str]:
        share = "local,path={},mount_tag={},security_model=none,multidevs=remap,{}"
        append = "console=ttyS0 quiet panic=-1 mitigations=off lsm=lockdown,yama,apparmor,bpf"
        console = ["-serial", "mon:stdio"] if interactive else \
            ["-serial", f"file:{self.folder / 'console.log'}"]
        disks: List[str] = []
        for name in DISKS:
            disks += ["-drive", f"if=none,id={name},format=raw,file={self.folder / name}",
                      "-device", f"virtio-blk-pci,drive={name}"]
        # whose round is longer shall not wait for the others at the end
        nice = ["nice"] if self.size == "narrow" else []
        # with whoever ends this program the guest ends too
        return [*nice, "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", "-accel", "tcg,thread=single",
                "-cpu", CPU, "-smp", str(CPUS), "-m", MEMORY,
                "-kernel", str(self.kernel.image), "-initrd", str(self.folder / "initramfs"),
                "-append", append, *console,
                "-virtfs", share.format("/", "host", "readonly=on"),
                "-virtfs", share.format(self.results, "results", "readonly=off"),
                *disks, "-device", "virtio-serial-pci",
                "-chardev", f"file,id=progress,path={self.progress}",
                "-device", "virtserialport,chardev=progress,name=progress"]

    def _prepare(self, args: Sequence[str]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.results.mkdir(parents=True)
        self.progress.touch()
        for name, size in DISKS.items():
            subprocess.run(["truncate", "-s", size, str(self.folder / name)], check=True)
        self.kernel.initramfs(self._job(args), self.folder / "initramfs")

    def shell(self) -> int:
        """Run bash in it, on this terminal."""
        self._prepare(["shell"])
        return subprocess.run(self._qemu(True), check=False).returncode

    def run(self, args: Sequence[str]) -> None:
        """Run the suites, showing their progress line by line."""
        self._prepare(["suites", *args])
        began = heard = time.monotonic()
        with open(self.folder / "qemu.log", "wb") as log, \
                subprocess.Popen(self._qemu(False), stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log) as qemu, open(self.progress, "rb") as progress:
            rest = b""
            while True:
                ended = qemu.poll() is not None     # what it wrote before is there now
                *lines, rest = (rest + progress.read()).split(b"\n")
                now = time.monotonic()
                heard = now if lines else heard
                self._show(lines)
                if self._panicked():    # its last words; it may not come to end itself
                    self.failure = "its kernel panicked"
                    qemu.kill()
                elif not ended and (now - heard > SILENCE_S or now - began > LIMIT_S):
                    self.failure = "it hung and was killed"
                    qemu.kill()
                if ended:
                    break
                time.sleep(0.2)
        self.last = rest.decode(errors="replace").strip()

    def _panicked(self) -> bool:
        console = self.folder / "console.log"
        return console.exists() and b"Kernel panic" in console.read_bytes()

    def _show(self, lines: Sequence[bytes]) -> None:
        with printing:
            for line in lines:
                print(f"{self.kernel.series:5}|", line.decode(errors="replace").rstrip(),
                      flush=True)

    def _rebuilt(self) -> List[str]:
        """What to say of its programs if they are not those that the host has."""
        same = subprocess.run(["sha256sum", "--check", "--quiet", "--strict",
                               str(self.results / "programs")],
                              capture_output=True, text=True, check=False)
        return [f"the guest's programs are not the host's: {line}"
                for line in (same.stdout or same.stderr).splitlines()]

    def report(self) -> bool:
        """Say how it went; returns whether all is well."""
        failed: List[str] = []
        for file in sorted(self.results.glob("*.xml")):
            suite = Suite(file)
            failed += [f"{file.stem}: {name}" for name in suite.failed]
            print(f"{self.kernel.series} ({self.kernel.release}), {suite}")
        for file in sorted(self.results.glob("*.status")):
            status = file.read_text().strip()
            if status != "0" and not failed:
                failed.append(f"{file.stem}: pytest ended with {status}, see {self.progress}")
        if (self.results / "complete").exists():
            failed += self._rebuilt()
        else:
            failed.append(f"{self.failure}, in {self.last or 'no test'}: see "
                          f"{self.folder / 'console.log'}")
        for one in failed:
            print(f"  FAILED {one}")
        return not failed


class Suite:
    """What a JUnit file says."""

    def __init__(self, file: Path):
        cases = list(ElementTree.parse(file).iter("testcase"))
        kinds = Counter(child.tag for case in cases for child in case)
        self.name, self.cases, self.skipped = file.stem, cases, kinds["skipped"]
        self.failed = [f"{case.get('classname')}::{case.get('name')}" for case in cases
                       if case.find("failure") is not None or case.find("error") is not None]

    def __str__(self) -> str:
        passed = len(self.cases) - len(self.failed) - self.skipped
        return f"{self.name}: {passed} passed, {len(self.failed)} failed, {self.skipped} skipped"


def sizes(short: bool, kernels: int) -> List[str]:
    """The size of the round that each of so many guests runs."""
    return ["narrow"] * (kernels - 1) + ["short"] if short else [""] * kernels


def main() -> int:
    """Run the guests, all at the same time; exit 1 if anything failed."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shell", action="store_true", help="bash in the guest, on this terminal")
    parser.add_argument("--short", action="store_true",
                        help="one test of each file, and on the last kernel what not every one "
                             "can be asked")
    parser.add_argument("kernels", nargs="+", metavar="KERNEL", help="a series, as 6.12")
    options = parser.parse_args(given[:cut])
    try:
        guests = [Guest(Kernel(series), size) for series, size
                  in zip(options.kernels, sizes(options.short, len(options.kernels)))]
    except packages.PackagesError as error:
        print(f"check-vm: {error}", file=sys.stderr)
        return 1
    conftest.build_workloads()
    if not HOST_BTF.exists():
        shutil.copy2("/sys/kernel/btf/vmlinux", HOST_BTF)
    if options.shell:
        return guests[0].shell()
    threads = [threading.Thread(target=guest.run, args=[given[cut + 1:]]) for guest in guests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if all([guest.report() for guest in guests]) else 1


if __name__ == "__main__":
    sys.exit(main())
