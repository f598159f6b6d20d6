#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Write bpfduet_syscalls.h from the running kernel's tracefs.

BTF does not hold the contexts of the syscalls tracepoints, so they are written
down. The layout is the kernel's ABI: 8 bytes of its own, the number, then one
8-byte slot for each argument. Run on a new kernel to add its new calls:

    headers/generate_syscalls.py > headers/bpfduet_syscalls.h

With a table of numbers as its argument: bpfduet_syscall_numbers.h.

    headers/generate_syscalls.py python/bpfduet/data/syscalls_x86_64.txt > headers/bpfduet_syscall_numbers.h
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

EVENTS = Path("/sys/kernel/tracing/events/syscalls")
FIELD = re.compile(r"field:(.+?)\s*(\w+);\s*offset:(\d+);\s*size:(\d+);")

TOP = """\
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Contexts of the syscalls tracepoints, which BTF does not hold.
 * Made by generate_syscalls.py from tracefs; do not edit.
 */
#ifndef BPFDUET_SYSCALLS_H
#define BPFDUET_SYSCALLS_H

/* Every argument has a slot of 8 bytes, whatever its C type. */
#define DUET_SYS_ENTER(call, args...)                                        \\
	struct tracepoint__syscalls__sys_enter_##call {                      \\
		u64 duet_own;                                                \\
		int __syscall_nr;                                            \\
		int duet_pad;                                               \\
		args                                                         \\
	};
#define DUET_SYS_EXIT(call)                                                  \\
	struct tracepoint__syscalls__sys_exit_##call {                       \\
		u64 duet_own;                                                \\
		int __syscall_nr;                                            \\
		int duet_pad;                                               \\
		long ret;                                                    \\
	};

/* The two that see every call. */
struct tracepoint__raw_syscalls__sys_enter {
	u64 duet_own;
	long id;
	unsigned long args[6];
};
struct tracepoint__raw_syscalls__sys_exit {
	u64 duet_own;
	long id;
	long ret;
};

/* clang-format off */
"""


NUMBERS = """\
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Numbers of system calls, which are no part of BTF: x86-64.
 * Made by generate_syscalls.py; do not edit.
 */
#ifndef BPFDUET_SYSCALL_NUMBERS_H
#define BPFDUET_SYSCALL_NUMBERS_H

/* clang-format off */
"""


def slot(ctype: str, name: str) -> str:
    """The declaration of one argument: pointers stay pointers, the rest is u64."""
    if "*" not in ctype:
        return f"u64 {name};"
    if "char *" in ctype:
        return f"{ctype.replace('* ', '*')}{'' if ctype.endswith('*') else ' '}{name};"
    return f"const void *{name};"


def write_numbers(table: Path) -> None:
    sys.stdout.write(NUMBERS)
    for line in table.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            number, name = line.split()
            print(f"#define __NR_{name} {number}")
    print("/* clang-format on */\n\n#endif /* BPFDUET_SYSCALL_NUMBERS_H */")


def main() -> int:
    if len(sys.argv) > 1:
        write_numbers(Path(sys.argv[1]))
        return 0
    if not EVENTS.is_dir():
        sys.exit("tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")
    sys.stdout.write(TOP)
    for path in sorted(EVENTS.glob("sys_enter_*/format")):
        call = path.parent.name[len("sys_enter_"):]
        fields = [f for f in FIELD.findall(path.read_text()) if not f[1].startswith("common_")]
        if fields[0][1:] != ("__syscall_nr", "8", "4"):
            sys.exit(f"{path}: unexpected layout: {fields[0]}")
        args = []
        for i, (ctype, name, offset, size) in enumerate(fields[1:]):
            if (int(offset), int(size)) != (16 + 8 * i, 8):
                sys.exit(f"{path}: unexpected layout: {name}")
            args.append(slot(ctype, name))
        print(f"DUET_SYS_ENTER({', '.join([call, ' '.join(args)]) if args else call})")
        print(f"DUET_SYS_EXIT({call})")
    print("/* clang-format on */\n\n#endif /* BPFDUET_SYSCALLS_H */")
    return 0


if __name__ == "__main__":
    sys.exit(main())
