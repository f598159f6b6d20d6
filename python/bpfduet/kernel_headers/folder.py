# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The folder that BCC takes for a kernel's source."""
from __future__ import annotations

import os
import re
import zlib
from pathlib import Path
from typing import Iterable, List, Optional, Tuple

from .cut import cut
from .index import Index
from .kernel import version_code
from .store import write_file
from .text import macros_of, words_of

# BCC's own text forces some of these in; the rest is what its tools and examples include.
FORCED = (
    "uapi/linux/bpf.h", "uapi/linux/if_packet.h", "uapi/linux/if_ether.h", "uapi/linux/ptrace.h",
    "linux/version.h", "linux/log2.h", "linux/types.h", "linux/bpf_common.h", "asm/page.h",
)
KNOWN = FORCED + (
    "asm/byteorder.h", "asm/current.h", "asm/ptrace.h", "asm/unistd.h", "linux/bio.h",
    "linux/bitops.h", "linux/blk-mq.h", "linux/blk_types.h", "linux/blkdev.h", "linux/bpf.h",
    "linux/byteorder/generic.h", "linux/capability.h", "linux/cdev.h", "linux/cgroup-defs.h",
    "linux/cgroup.h", "linux/compaction.h", "linux/compiler.h", "linux/cred.h", "linux/dcache.h",
    "linux/delay.h", "linux/device.h", "linux/err.h", "linux/errno.h", "linux/fcntl.h",
    "linux/fdtable.h", "linux/file.h", "linux/filter.h", "linux/fs.h", "linux/fs_struct.h",
    "linux/genhd.h", "linux/gfp.h", "linux/icmp.h", "linux/icmpv6.h", "linux/if_arp.h",
    "linux/if_ether.h", "linux/if_packet.h", "linux/if_vlan.h", "linux/in.h", "linux/in6.h",
    "linux/inet.h", "linux/init_task.h", "linux/interrupt.h", "linux/ip.h", "linux/ipv6.h",
    "linux/irq.h", "linux/irqdesc.h", "linux/kasan.h", "linux/kernel.h", "linux/kvm_host.h",
    "linux/limits.h", "linux/list.h", "linux/magic.h", "linux/mm.h", "linux/mm_types.h",
    "linux/mmzone.h", "linux/mount.h", "linux/mutex.h", "linux/net.h", "linux/netdevice.h",
    "linux/netfilter.h", "linux/nfs_fs.h", "linux/ns_common.h", "linux/nsproxy.h", "linux/oom.h",
    "linux/path.h", "linux/perf_event.h", "linux/pid.h", "linux/pid_namespace.h",
    "linux/pipe_fs_i.h", "linux/pkt_cls.h", "linux/ptrace.h", "linux/rcupdate.h", "linux/rwsem.h",
    "linux/sched.h", "linux/sched/signal.h", "linux/sched/task.h", "linux/seccomp.h",
    "linux/security.h", "linux/signal.h", "linux/skbuff.h", "linux/slab.h", "linux/slab_def.h",
    "linux/slub_def.h", "linux/sock_diag.h", "linux/socket.h", "linux/spinlock.h", "linux/stat.h",
    "linux/stddef.h", "linux/string.h", "linux/tcp.h", "linux/time.h", "linux/time64.h",
    "linux/tty.h", "linux/udp.h", "linux/uio.h", "linux/un.h", "linux/version.h", "linux/virtio.h",
    "linux/virtio_ring.h", "linux/wait.h", "linux/workqueue.h", "net/af_unix.h", "net/flow.h",
    "net/if_inet6.h", "net/inet_connection_sock.h", "net/inet_sock.h", "net/ip.h", "net/ipv6.h",
    "net/net_namespace.h", "net/netns/generic.h", "net/request_sock.h", "net/route.h",
    "net/sock.h", "net/tcp.h", "net/tcp_states.h", "net/udp.h", "uapi/asm/unistd.h",
    "uapi/linux/bpf_perf_event.h", "uapi/linux/fcntl.h", "uapi/linux/icmp.h",
    "uapi/linux/if_arp.h", "uapi/linux/in.h", "uapi/linux/in6.h", "uapi/linux/ip.h",
    "uapi/linux/ipv6.h", "uapi/linux/limits.h", "uapi/linux/openat2.h", "uapi/linux/perf_event.h",
    "uapi/linux/pkt_cls.h", "uapi/linux/stat.h", "uapi/linux/tcp.h", "uapi/linux/types.h",
    "uapi/linux/udp.h", "uapi/linux/un.h",
)
# Only these folders are the kernel's: an unknown header from elsewhere stays an error.
KERNEL_FOLDERS = frozenset((
    "acpi", "asm", "asm-generic", "block", "crypto", "drm", "generated", "kvm", "linux", "media",
    "net", "rdma", "scsi", "sound", "trace", "uapi", "vdso", "video", "xen",
))
# BCC's C++ code and helpers.h look at these whatever the program says.
CONFIGS = frozenset((
    "CONFIG_ARCH_HAS_SYSCALL_WRAPPER", "CONFIG_BPF_SYSCALL", "CONFIG_FUNCTION_TRACER",
    "CONFIG_X86", "CONFIG_PAGE_SHIFT", "CONFIG_ARM64_PAGE_SHIFT", "CONFIG_HZ", "CONFIG_X86_64",
    "CONFIG_SMP",
))


def is_kernel_header(name: str) -> bool:
    """Whether an #include of that name is the kernel's, and so may be an empty file."""
    parts = name.split("/")
    return parts[0] in KERNEL_FOLDERS and len(parts) > 1 and not {"", ".", ".."} & set(parts)


def kconfig(index: Index, program: Optional[str], constants: str) -> str:
    """The text of include/linux/kconfig.h for a program with its includes, or any (None)."""
    macros, _ = macros_of(constants)
    if program is None:
        types, configs = index.text, set(index.config)
    else:
        words = words_of(program)
        types = cut(index, program, constants)
        configs = {name for name in words | CONFIGS if name in index.config}
        configs |= {name + "_MODULE" for name in words if name + "_MODULE" in index.config}
    uname = os.uname()
    version = version_code(uname.release, uname.version)
    lines = ["/* Made by bpfduet out of the kernel's BTF; SPDX-License-Identifier: GPL-2.0-only */",
             "#ifndef BPFDUET_KCONFIG_H", "#define BPFDUET_KCONFIG_H"]
    lines += ["#define %s %s" % (name, index.config[name]) for name in sorted(configs)]
    if not index.config:
        # Without the configuration at hand: BTF and this process are proof enough of these.
        lines.append("#define CONFIG_BPF_SYSCALL 1")
        if "x64_sys_bpf" in index.kallsyms or "arm64_sys_bpf" in index.kallsyms:
            lines.append("#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1")
    lines += [
        "#define LINUX_VERSION_CODE %d" % ((version[0] << 16) + (version[1] << 8) + version[2]),
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))",
        "/* BCC forces its own copy of bpf.h in; all of it is among the types below. */",
        "#define _UAPI__LINUX_BPF_H__",
        "#define BPF_NO_PRESERVE_ACCESS_INDEX",
        "#define __VMLINUX_H__" if program is not None else "",
        types,
    ]
    numbered = sorted(index.functions.items(), key=lambda item: item[1])
    lines += ["#define %s %d" % item for item in numbered]
    lines += ["#define %s %s" % item for item in derived_constants(index)]
    lines += [constants, "#endif", ""]
    return "\n".join(lines)


def derived_constants(index: Index) -> List[Tuple[str, str]]:
    """Constants that differ between kernels and that this kernel's types tell."""
    constants = []
    for key, pattern in (("struct dentry", r"\bd_iname\[(\d+)\]"),
                         ("union shortname_store", r"\bstring\[(\d+)\]")):
        found = re.search(pattern, index.definition(key)) if key in index.places else None
        if found:
            constants.append(("DNAME_INLINE_LEN", found.group(1)))
            break
    # Before Linux 5.17 this was a macro.
    if "TASK_COMM_LEN" not in index.enumerators and "struct task_struct" in index.places:
        found = re.search(r"\bcomm\[(\d+)\]", index.definition("struct task_struct"))
        if found:
            constants.append(("TASK_COMM_LEN", found.group(1)))
    return constants


def write_folder(directory: Path, text: str, stubs: Iterable[str]) -> None:
    """Write the empty headers and, last, kconfig.h, sealed with a checksum.

    Also mends a folder. Each file is put in place at once: others may read or write it meanwhile.
    """
    for name in sorted(set(stubs)):
        path = directory / "include" / name
        if not path.is_file() or path.stat().st_size:
            write_file(path, b"")
    raw = text.encode()
    write_file(directory / "include/linux/kconfig.h", raw + b"/* crc32 %08x */\n" % zlib.crc32(raw))


def folder_is_whole(directory: Path, stubs: Iterable[str]) -> bool:
    """Whether a folder is as write_folder() left it."""
    try:
        raw = (directory / "include" / "linux" / "kconfig.h").read_bytes()
    except OSError:
        return False
    body, mark, seal = raw.rpartition(b"/* crc32 ")
    if not mark or seal != b"%08x */\n" % zlib.crc32(body):
        return False
    try:
        return all(os.stat(directory / "include" / name).st_size == 0 for name in stubs)
    except OSError:
        return False
