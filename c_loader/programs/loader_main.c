// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Runs any compiled BPF object: bpfduet-loader FILE.bpf.o [OPTIONS] [-- COMMAND [ARGUMENT...]] */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "programs/program.h"

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

static const char help[] =
	"Usage: bpfduet-loader FILE.bpf.o [OPTIONS] [-- COMMAND [ARGUMENT...]]\n\n"
	"Run a compiled BPF object. One that was built by bpfduet has the options that\n"
	"'bpfduet-loader FILE.bpf.o --help' shows; of any other all that can be attached is,\n"
	"and what it writes to the kernel's trace pipe is shown.\n";

/* Tells `bpfduet run` that it is only to say why the kernel refuses a source. */
#define EXPLAIN "BPFDUET_EXPLAIN"

/* Start `bpfduet run` again, which gets the file of what the kernel said. Returns if it cannot. */
static void explain(int log_fd, char **argv)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", log_fd);
	if (lseek(log_fd, 0, SEEK_SET) || fcntl(log_fd, F_SETFD, 0) || setenv(EXPLAIN, number, 1))
		return;
	execv(argv[0], argv);
}

/*
 * How `bpfduet run` starts an object that BCC has compiled:
 *
 *   bpfduet-loader --object-fd FD BPFDUET SOURCE [OPTIONS] [-- COMMAND [ARGUMENT...]]
 *
 * FD is that of the object's bytes. If the kernel refuses it, BPFDUET is started again to say why:
 * BCC's log of the verifier has the source's lines.
 */
static int run_descriptor(int argc, char **argv)
{
	enum { FD = 2, BPFDUET, SOURCE };
	struct program_caller caller;
	char *end, *run = "run";
	int status;
	long fd;

	signal(SIGPIPE, SIG_DFL); /* Python ignores both, and hands that on */
	signal(SIGXFSZ, SIG_DFL);
	fd = argc > SOURCE ? strtol(argv[FD], &end, 10) : -1;
	if (fd < 0 || *end) {
		fprintf(stderr, "bpfduet-loader: --object-fd is for 'bpfduet run' alone\n"
				"Try 'bpfduet-loader --help' for more information.\n");
		return 2;
	}
	caller.source = argv[SOURCE];
	caller.log_fd = memfd_create("bpfduet-log", MFD_CLOEXEC);
	status = program__main_fd((int)fd, &caller, argc - SOURCE, argv + SOURCE);
	if (status != PROGRAM_REFUSED)
		return status;
	argv[FD] = argv[BPFDUET];
	argv[BPFDUET] = run;
	explain(caller.log_fd, argv + FD);
	fprintf(stderr, "bpfduet-loader: cannot start %s: %s\n", argv[FD], strerror(errno));
	return 1;
}

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
	if (!strcmp(argv[1], "--object-fd"))
		return run_descriptor(argc, argv);
	if (argv[1][0] == '-') {
		fprintf(stderr, "bpfduet-loader: the object file comes before the options\n"
				"Try 'bpfduet-loader --help' for more information.\n");
		return 2;
	}
	return program__main_file(argv[1], argc - 1, argv + 1);
}
