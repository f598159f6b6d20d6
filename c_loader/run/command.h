/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_COMMAND_H
#define BPFDUET_COMMAND_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/buf.h"

/* Shared with the child that becomes COMMAND. */
struct gate {
	atomic_bool moved; /* it is in its cgroup */
};

/* `-- COMMAND`: a child in a cgroup (v2) of its own, held back until it may go. */
struct command {
	pid_t pid; /* 0 if there is none, or it has been waited for */
	bool going; /* it was let run */
	bool asked; /* to end */
	struct gate *gate;
	int pid_fd; /* readable when it has ended; -1 if the kernel has no such thing */
	int failure_fd;
	char *folder; /* of its cgroup */
	int folder_fd, parent_fd; /* of the folder, with a lock on it, and of that above it */
};

extern const struct command COMMAND_NONE;

/*
 * `command` is COMMAND_NONE before. Make the cgroup below `parent` (NULL: below that of this
 * process), after those that killed runs have left there are removed, and the child, which is
 * killed if this thread ends before it. false with one sentence; command__close() in any case.
 */
bool command__start(struct command *command, char **argv, const char *parent, struct buf *error);

/* Let it run. false with one sentence if it could not be started. */
bool command__go(struct command *command, char **argv, struct buf *error);

/* Whether it has ended; what it left running does not count. */
bool command__ended(struct command *command);

/* Ask it to end, once: many programs take a second SIGTERM for more than that. */
void command__terminate(struct command *command);

/*
 * End it if it still runs, move what it left running up, and remove the cgroup. false with one
 * sentence if that failed.
 */
bool command__close(struct command *command, struct buf *error);

/* The same from a signal handler, at once; cgroups that COMMAND made itself are left. */
void command__abandon(const struct command *command);

#endif
