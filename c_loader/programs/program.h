/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_PROGRAM_H
#define BPFDUET_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A tool as a program: everything between main()'s arguments and its exit status, that is signals,
 * stdout and stderr around the library (bpfduet.h).
 *
 * `elf` is the object file of the kernel half, with the bound spec in its section ".bpfduet"
 * (docs/spec.md); it must stay as it is during the call. argv[0] is left out of account.
 * Returns 0, 1 (it could not run; a sentence on stderr says why) or 2 (wrong usage).
 */
int program__main(const void *elf, size_t size, int argc, char **argv);

/*
 * The same for an object file at `path`. One without a spec is taken as it is: all that can be
 * attached is, and what it writes to the trace pipe is shown until a signal.
 */
int program__main_file(const char *path, int argc, char **argv);

/* Who starts an object that BCC has compiled, and says why if the kernel refuses it. */
struct program_caller {
	const char *source; /* what it was compiled of, as the user named it */
	int log_fd; /* where what the kernel said of it is to go; -1: nowhere */
};

/*
 * The same for an open descriptor, which is closed. If the kernel refuses what BCC has compiled,
 * what it said is in the caller's log, nothing is printed, and the result is PROGRAM_REFUSED.
 */
#define PROGRAM_REFUSED 3
int program__main_fd(int fd, const struct program_caller *caller, int argc, char **argv);

#endif
