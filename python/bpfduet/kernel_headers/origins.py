# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Where a program's kernel headers come from."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import FrozenSet, List, MutableMapping, Optional, Sequence, Tuple

from .cache import Kernel, program_of
from .folder import KNOWN, kconfig, write_folder
from .kernel import MODULES
from .key import CONSTANTS, VMLINUX, HeadersError, kernel_key
from .modules import extended
from .store import cache_folder

KHEADERS = Path("/sys/kernel/kheaders.tar.xz")
ORIGINS = ("btf", "real", "kheaders")


@dataclass(frozen=True)
class Headers:
    """Where BCC takes kernel headers from.

    path: the folder; None if BCC is to find those under /lib/modules by itself, the only way
    Debian's split ones work. reasons: a sentence for each origin that was preferred, but not taken.
    modules: those that types in it are of, where BTF is the origin.
    """

    path: Optional[Path]
    origin: str
    reasons: Tuple[str, ...] = ()
    modules: Tuple[str, ...] = ()

    def apply(self, environment: MutableMapping[str, str]) -> None:
        """Set or remove BCC_KERNEL_SOURCE in `environment`."""
        if self.path is None:
            environment.pop("BCC_KERNEL_SOURCE", None)
        else:
            environment["BCC_KERNEL_SOURCE"] = str(self.path)


def _real() -> Optional[Path]:
    """Headers of exactly this kernel: their folder, or None if BCC must find them by itself.

    Raises HeadersError, with why not.
    """
    release = os.uname().release
    modules = MODULES / release
    build, source = modules / "build", modules / "source"
    if not build.is_dir():
        raise HeadersError("%s does not exist: no headers are installed for this kernel" % build)
    found = None
    for name in ("include/generated/utsrelease.h", "include/config/kernel.release"):
        try:
            text = (build / name).read_text()
        except OSError:
            continue
        quoted = re.search(r'"([^"]*)"', text)
        found = quoted.group(1) if quoted else text.strip()
        break
    if found is None:
        raise HeadersError("%s does not say which kernel it belongs to" % build)
    if found != release:
        raise HeadersError("%s holds headers of %s, but the running kernel is %s: offsets would be "
                           "wrong" % (build, found, release))
    split = source.is_dir() and source.resolve() != build.resolve()
    return None if split else build.resolve()


def _kheaders(unpack: bool = True) -> Path:
    """The headers that the kernel carries, unpacked or as an archive. Raises HeadersError."""
    if not KHEADERS.exists():
        raise HeadersError("%s does not exist: the kernel was built without CONFIG_IKHEADERS, "
                           "or its module kheaders is not loaded" % KHEADERS)
    if not unpack:
        return KHEADERS
    import shutil       # late: nearly no start needs it
    import tarfile
    import tempfile
    root = cache_folder()
    path = root / ("kernel-" + kernel_key(VMLINUX)) / "kheaders"
    if (path / "include" / "linux" / "kconfig.h").is_file():
        return path
    path.parent.mkdir(mode=0o755, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        with tarfile.open(KHEADERS) as archive:
            # of Python 3.11.4 and later, which says so where nothing is set
            setattr(archive, "extraction_filter", getattr(tarfile, "data_filter", None))
            archive.extractall(temporary)
        temporary.chmod(0o755)
        os.rename(temporary, path)
    except (OSError, tarfile.TarError) as error:
        if not (path / "include" / "linux" / "kconfig.h").is_file():
            raise HeadersError("%s cannot be unpacked: %s" % (KHEADERS, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def folder_for(source: str, include_dirs: Sequence[Path], *, btf: Path = VMLINUX) -> Headers:
    """The kernel headers to compile `source`, a BPF program in BCC's dialect, with.

    include_dirs are the folders its own includes are looked for in, as -I does; other identifiers
    that reach the compiler, as from -D, belong into `source`. BTF is preferred, then headers that
    are exactly the running kernel's, then those it carries; BPFDUET_HEADERS=real|kheaders|btf
    forces one. `btf` is the kernel's BTF; if its name is vmlinux, modules' lie beside it.
    Raises HeadersError, one sentence, if there is nothing to be had.
    """
    forced = os.environ.get("BPFDUET_HEADERS", "")
    if forced and forced not in ORIGINS:
        raise HeadersError("BPFDUET_HEADERS is %r, and may be real, kheaders or btf" % forced)
    reasons: List[str] = []
    for origin in (forced,) if forced else ORIGINS:
        modules: Tuple[str, ...] = ()
        try:
            if origin == "btf":
                path: Optional[Path]
                path, found = Kernel(btf).cut_with_modules(source, include_dirs)
                modules = tuple(module.path.name for module in found)
            else:
                path = _real() if origin == "real" else _kheaders()
        except (HeadersError, OSError) as error:
            reasons.append("%s: %s" % (origin, error))
            continue
        return Headers(path, origin, tuple(reasons), modules)
    if forced:
        raise HeadersError("BPFDUET_HEADERS=%s cannot be done: %s"
                           % (forced, reasons[0].split(": ", 1)[1]))
    raise HeadersError("no kernel headers can be had (%s)" % "; ".join(reasons))


def make(directory: Path, source: Optional[str], btf: Path = VMLINUX,
         include_dirs: Sequence[Path] = ()) -> None:
    """Write a folder for BCC_KERNEL_SOURCE: for one program, or for any one if `source` is None.

    Raises HeadersError if the BTF cannot be used, OSError if the folder cannot be written.
    """
    kernel = Kernel(btf)
    index = kernel.index()
    program: Optional[str] = None
    stubs: FrozenSet[str] = frozenset()
    if source is not None:
        program, stubs = program_of(source, include_dirs)
        index = extended(index, kernel.modules_for(program) or (), btf)
    write_folder(directory, kconfig(index, program, CONSTANTS.read_text()), stubs.union(KNOWN))


def explain() -> List[Tuple[str, bool, str]]:
    """Every origin in order of preference: (origin, if it is usable, what it is or why not)."""
    found: List[Tuple[str, bool, str]] = []
    for origin in ORIGINS:
        try:
            if origin == "btf":
                index = Kernel(VMLINUX).index()
                why = "%s, %d types" % (VMLINUX, len(index.places))
            elif origin == "real":
                why = str(_real() or MODULES / os.uname().release)
            else:
                why = str(_kheaders(unpack=False))
        except (HeadersError, OSError) as error:
            found.append((origin, False, str(error)))
        else:
            found.append((origin, True, why))
    return found
