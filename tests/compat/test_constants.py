# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""headers/kernel_constants.h against the real headers of the kernels that the guests run.

Every macro is evaluated twice: with the types and constants that bpfduet makes from the kernel's
BTF and configuration, and with Debian's headers of that kernel. The values must be the same.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Tuple

import pytest

import debian
from bpfduet.kernel_headers import CONSTANTS
from bpfduet.kernel_headers.folder import kconfig
from bpfduet.kernel_headers.kernel import build_index, parse_config
from bpfduet.kernel_headers.text import NOISE

HEADERS = """
linux/kernel.h linux/stddef.h linux/compiler.h linux/log2.h linux/bits.h linux/minmax.h
linux/limits.h linux/time64.h linux/jiffies.h asm/param.h asm/page.h linux/mmzone.h linux/sched.h
uapi/linux/sched.h linux/stat.h linux/fcntl.h linux/fs.h linux/kdev_t.h linux/dcache.h
linux/blkdev.h linux/blk_types.h linux/err.h linux/errno.h linux/signal.h linux/socket.h
linux/netlink.h linux/if_ether.h linux/if.h uapi/linux/pkt_cls.h net/tcp.h net/sock.h
net/inet_sock.h net/inet_connection_sock.h linux/tcp.h asm/byteorder.h linux/genetlink.h linux/security.h
""".split()

# Macros that are no number: what is to be the same in both worlds.
SAMPLES: Dict[str, str] = {
    "NULL": "(unsigned long)NULL",
    "offsetof": "offsetof(struct task_struct, real_parent)",
    "sizeof_field": "sizeof_field(struct task_struct, comm)",
    "container_of":
        "(unsigned long)container_of((struct list_head *)0x100000, struct task_struct, tasks)",
    "__packed": "sizeof(struct { char a; long b; } __packed)",
    "likely": "likely(23) + 2 * likely(0)",
    "unlikely": "unlikely(23) + 2 * unlikely(0)",
    "barrier": "({ barrier(); 23; })",
    "READ_ONCE": "({ int x = -23; READ_ONCE(x); })",
    "WRITE_ONCE": "({ int x = 0; WRITE_ONCE(x, 23); x; })",
    "IS_ENABLED":
        "IS_ENABLED(CONFIG_NET) + 2 * IS_ENABLED(CONFIG_NFS_FS) + 4 * IS_ENABLED(CONFIG_X)",
    "IS_BUILTIN":
        "IS_BUILTIN(CONFIG_NET) + 2 * IS_BUILTIN(CONFIG_NFS_FS) + 4 * IS_BUILTIN(CONFIG_X)",
    "IS_MODULE": "IS_MODULE(CONFIG_NET) + 2 * IS_MODULE(CONFIG_NFS_FS) + 4 * IS_MODULE(CONFIG_X)",
    "ARRAY_SIZE": "({ short a[23]; ARRAY_SIZE(a); })",
    "BIT": "BIT(0) + BIT(63)",
    "BIT_ULL": "BIT_ULL(0) + BIT_ULL(63)",
    "min_t": "min_t(unsigned int, -1, 23) + 100 * min_t(int, -1, 23)",
    "max_t": "max_t(unsigned int, -1, 23) + 100 * max_t(int, -1, 23)",
    "DIV_ROUND_UP": "DIV_ROUND_UP(0, 4) + 10 * DIV_ROUND_UP(4, 4) + 100 * DIV_ROUND_UP(5, 4)",
    "roundup_pow_of_two": "roundup_pow_of_two(1) + 3 * roundup_pow_of_two(64)"
                          " + 5 * roundup_pow_of_two(65) + 7 * roundup_pow_of_two(1UL << 40)",
    **{f"S_IS{kind}": " + ".join(f"({2 ** place} * !!S_IS{kind}({mode:#x}))" for place, mode in
                                 enumerate((0o140755, 0o120777, 0o100644, 0o60600, 0o40755, 0o20666,
                                            0o10644, 0o777)))
       for kind in ("LNK", "REG", "DIR", "CHR", "BLK", "FIFO", "SOCK")},
    "MAJOR": "MAJOR((dev_t)0x12345678)",
    "MINOR": "MINOR((dev_t)0x12345678)",
    "MKDEV": "MKDEV(0x123, 0x45678)",
    "IS_ERR_VALUE": "IS_ERR_VALUE(-1UL) + 2 * IS_ERR_VALUE(-4095UL) + 4 * IS_ERR_VALUE(-4096UL)",
    "IS_ERR": "IS_ERR((void *)-1L) + 2 * IS_ERR((void *)-4095L) + 4 * IS_ERR((void *)-4096L)",
    "PTR_ERR": "PTR_ERR((void *)-23L)",
    **{name: f"(unsigned long){name}({value})" for name, value in (
        ("ntohs", "0x1234"), ("htons", "0x1234"), ("ntohl", "0x12345678"), ("htonl", "0x12345678"),
        ("be16_to_cpu", "(__be16)0x1234"), ("be32_to_cpu", "(__be32)0x12345678"),
        ("be64_to_cpu", "(__be64)0x123456789abcdef0ULL"), ("cpu_to_be16", "0x1234"),
        ("cpu_to_be32", "0x12345678"))},
    **{name: f"(unsigned long){name}((struct sock *)0x1000)"
       for name in ("tcp_sk", "inet_sk", "inet_csk")},
    "sk_net": "offsetof(struct sock, sk_net)",
    **{f"sk_{name}": f"offsetof(struct sock, sk_{name})" for name in (
        "node", "refcnt", "hash", "dontcopy_begin", "num", "dport", "addrpair", "daddr",
        "rcv_saddr", "family", "bound_dev_if", "prot", "v6_daddr", "v6_rcv_saddr", "cookie",
        "flags")},
    "sk_state": "offsetof(struct sock, sk_state)",
    # Bit-fields have no address: the byte that they are in, with one of them set.
    **{f"sk_{name}": f"({{ static struct sock s; s.sk_{name} = 1;"
                     " *((unsigned char *)&s + offsetof(struct sock, sk_state) + 1); })"
       for name in ("reuse", "reuseport", "ipv6only")},
    **{name: f"offsetof(struct inet_sock, {name})"
       for name in ("inet_daddr", "inet_rcv_saddr", "inet_dport", "inet_num")},
    **{word: f"({{ struct {{ int {word} *p; }} s; sizeof(s); }})"
       for word in ("__user", "__kernel", "__percpu", "__rcu", "__iomem")},
    "__force": "(__force int)23",
    "__bitwise": "({ typedef int __bitwise marked_t; sizeof(marked_t); })",
    "__maybe_unused": "({ int __maybe_unused x = 23; x; })",
    "__always_inline": "({ __always_inline int f(void) { return 23; } f(); })",
}
# Parts of other macros, and the header's own.
PARTS = {
    "BPFDUET_KERNEL_CONSTANTS_H", "BPFDUET_BE16", "BPFDUET_BE32", "BPFDUET_BE64",
    "__ARG_PLACEHOLDER_1", "__take_second_arg", "____is_defined", "___is_defined", "__is_defined",
}
# What a series calls by another name, or has no name for.
RENAMED: Dict[str, Dict[str, str]] = {
    # 6.8 named both; before 6.4 MAX_ORDER was the number of orders.
    "6.1": {"NR_PAGE_ORDERS": "MAX_ORDER", "MAX_PAGE_ORDER": "MAX_ORDER - 1"},
    "6.12": {},
    "7": {},
}

def macros() -> Dict[str, bool]:
    """The macros of kernel_constants.h: name to whether it is a plain value."""
    found: Dict[str, bool] = {}
    text = NOISE.sub(" ", CONSTANTS.read_text())
    for name, arguments, body in re.findall(r"^#define (\w+)(\()?((?:[^\n\\]|\\\n)*)$", text, re.M):
        found[name] = not arguments and bool(body.strip())
    return found


def expressions(series: str) -> Dict[str, Tuple[str, str]]:
    """By macro: the expression to evaluate with our headers, and with the real ones."""
    chosen = {}
    for name in macros():
        if name not in PARTS:
            ours = SAMPLES.get(name, name)
            chosen[name] = ours, RENAMED[series].get(name, ours)
    return chosen


def test_every_macro_is_looked_at() -> None:
    found = macros()
    assert len(found) > 200
    not_plain = {name for name, plain in found.items() if not plain}
    assert not_plain - set(SAMPLES) - PARTS == set(), "no sample for these"
    assert (set(SAMPLES) | PARTS) - set(found) == set(), "no such macro any more"


@pytest.mark.host_only
@debian.needs_packages
@pytest.mark.parametrize("series", debian.SERIES)
def test_constants_are_the_kernels(series: str, tmp_path: Path) -> None:
    kernel = debian.kernel(series)
    index = build_index(kernel.btf / "vmlinux")
    index.config = parse_config(kernel.config)
    (tmp_path / "ours.h").write_text(kconfig(index, None, CONSTANTS.read_text()))
    chosen = expressions(series)
    ours = debian.evaluate(["ours.h"], debian.NO_HEADERS,
                           {name: pair[0] for name, pair in chosen.items()}, tmp_path)
    real = debian.evaluate(HEADERS, kernel.flags(),
                           {name: pair[1] for name, pair in chosen.items()}, tmp_path)
    assert set(chosen) - set(ours) == set(), "these do not compile with our headers"
    assert set(chosen) - set(real) == set(), "the real headers lack these"
    assert {name: hex(value) for name, value in ours.items() if name in real} == {
        name: hex(value) for name, value in real.items()}
