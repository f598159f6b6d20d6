// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Runs any compiled BPF object: bpfduet-loader FILE.bpf.o [OPTIONS] [-- COMMAND [ARGUMENT...]] */
#include <stdio.h>
#include <string.h>

#include "duet.h"

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

static const char help[] =
	"Usage: bpfduet-loader FILE.bpf.o [OPTIONS] [-- COMMAND [ARGUMENT...]]\n\n"
	"Run a compiled BPF object. One that was built by bpfduet has the options that\n"
	"'bpfduet-loader FILE.bpf.o --help' shows; of any other all that can be attached is,\n"
	"and what it writes to the kernel's trace pipe is shown.\n";

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "bpfduet-loader: no object file given\n"
				"Try 'bpfduet-loader --help' for more information.\n");
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		fputs(help, stdout);
		return fflush(stdout) ? 1 : 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("bpfduet-loader " DUET_VERSION);
		return fflush(stdout) ? 1 : 0;
	}
	if (argv[1][0] == '-') {
		fprintf(stderr, "bpfduet-loader: the object file comes before the options\n"
				"Try 'bpfduet-loader --help' for more information.\n");
		return 2;
	}
	return duet__main_file(argv[1], argc - 1, argv + 1);
}
