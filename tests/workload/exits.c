// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * exits END...: one child after the other. END is how it ends:
 *   NUMBER      exit(NUMBER)
 *   -NUMBER     by signal NUMBER
 *   tNUMBER     exit(0), after so many threads that end one after the other
 *   lEND        so, in a second thread, called "second", when the first one has ended
 *   zNUMBER     as lNUMBER, but no thread calls exit(): each only ends itself
 *   xNUMBER     exit(NUMBER) of this program, executed by a second thread
 *   rNUMBER     exit(0), by so many threads that end themselves at once
 *   oEND        no child: the workload itself
 * Before it makes a second thread, a process waits for 50 ms.
 * Prints "PID TID STATUS" of each thread and child that ended, in that order; STATUS is wait()'s.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
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

static void end(const char *how);

/* A dead first thread stays as a zombie. */
static bool first_has_ended(void)
{
	FILE *stat = fopen("/proc/self/stat", "re");
	char state = 0;

	if (!stat || fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		exit(2);
	fclose(stat);
	return state == 'Z';
}

static void *in_second_thread(void *how)
{
	const char *number = (const char *)how + 1;
	char own_end[16], self[4096] = "";

	if (*(const char *)how == 'x') {
		snprintf(own_end, sizeof(own_end), "o%s", number);
		/* by its name, for the process is to be called so */
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
			execl(self, self, own_end, NULL);
		exit(2);
	}
	prctl(PR_SET_NAME, "second");
	while (!first_has_ended())
		sched_yield();
	dprintf(STDOUT_FILENO, "%d %d 0\n", getpid(), gettid());
	if (*(const char *)how == 'z')
		syscall(SYS_exit, atoi(number));
	end(number);
	return NULL;
}

static void end_after_first(const char *how)
{
	pthread_t thread;

	usleep(50000);
	if (pthread_create(&thread, NULL, in_second_thread, (void *)how))
		exit(2);
	if (*how != 'x')
		syscall(SYS_exit, 0);
	pause();
}

static void *end_with_others(void *all)
{
	pthread_barrier_wait(all);
	syscall(SYS_exit, 0);
	return NULL;
}

static void end_at_once(unsigned int count)
{
	static pthread_barrier_t all;
	pthread_t thread;

	pthread_barrier_init(&all, NULL, count);
	for (unsigned int i = 1; i < count; i++) {
		if (pthread_create(&thread, NULL, end_with_others, &all))
			exit(2);
	}
	end_with_others(&all);
}

static void end(const char *how)
{
	static const struct rlimit no_core;

	setrlimit(RLIMIT_CORE, &no_core);
	if (*how == 'l' || *how == 'z' || *how == 'x')
		end_after_first(how);
	if (*how == 'r')
		end_at_once(atoi(how + 1));
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
		if (*argv[i] == 'o')
			end(argv[i] + 1);
		pid = fork();
		if (!pid)
			end(argv[i]);
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		dprintf(STDOUT_FILENO, "%d %d %d\n", pid, pid, status);
	}
	return 0;
}
