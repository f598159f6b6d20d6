// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * exits END...: one child after the other. END is how it ends:
 *   NUMBER      exit(NUMBER)
 *   -NUMBER     by signal NUMBER
 *   tNUMBER     exit(0), after so many threads that end one after the other
 * Prints "PID TID STATUS" of each thread and child that ended, in that order; STATUS is wait()'s.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *tell(void *tid)
{
	dprintf(STDOUT_FILENO, "%d %d 0\n", getpid(), gettid());
	*(pid_t *)tid = gettid();
	return NULL;
}

/* A thread can be joined a little before it has really ended. */
static void end_threads(int count)
{
	pthread_t thread;
	pid_t tid;

	while (count--) {
		if (pthread_create(&thread, NULL, tell, &tid) || pthread_join(thread, NULL))
			exit(2);
		while (!syscall(SYS_tgkill, getpid(), tid, 0))
			sched_yield();
	}
}

static void end(const char *how)
{
	static const struct rlimit no_core;

	setrlimit(RLIMIT_CORE, &no_core);
	if (*how == 't')
		end_threads(atoi(how + 1));
	else if (*how == '-')
		kill(getpid(), atoi(how + 1));
	_exit(*how == 't' ? 0 : atoi(how));
}

int main(int argc, char **argv)
{
	int i, status;
	pid_t pid;

	for (i = 1; i < argc; i++) {
		pid = fork();
		if (!pid)
			end(argv[i]);
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		dprintf(STDOUT_FILENO, "%d %d %d\n", pid, pid, status);
	}
	return 0;
}
