// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Only in libbpfduet.so. The distribution's libbpf.a is made for programs, and takes the address of
 * stderr as only a program may. The Makefile gives it this one instead; nothing is written to it,
 * for libbpf's messages are taken by load.c.
 */
#include <stdio.h>

__attribute__((visibility("hidden"))) FILE *bpfduet_stderr;

__attribute__((constructor)) static void set(void)
{
	bpfduet_stderr = stderr;
}
