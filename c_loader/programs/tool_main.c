// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A tool's whole program: -DTOOL=NAME picks the kernel half. */
#include <linux/types.h>
#include <stdbool.h>

/* The skeleton declares the CONFIG constants with the kernel half's own types. */
typedef __u8 u8;
typedef __s8 s8;
typedef __u16 u16;
typedef __s16 s16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#include TEXT_OF(TOOL.skel.h)

#include "programs/program.h"

int main(int argc, char **argv)
{
	size_t size;
	const void *elf = tool_bpf__elf_bytes(&size);

	return program__main(elf, size, argc, argv);
}
