// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * execs MODE PROGRAM [ARGUMENT...] [-- MODE ...]: for each group one child, one after the
 * other, that runs PROGRAM with these arguments (the first is argv[0]) and then ends.
 *   execve      execve()
 *   execveat    execveat() by path
 *   fexec       execveat() by descriptor, with an empty name
 *   thread      execve() from a second thread
 *   bad         execve() with an argument that cannot be read
 * Prints "PID PPID" for each child. The child is not waited for by exec alone: PROGRAM must end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char **group;
static char *environment[] = { NULL };

static void *run(void *unused)
{
	(void)unused;
	execve(group[1], group + 2, environment);
	_exit(127);
}

static void become(void)
{
	char *bad[] = { "zero", (char *)1, NULL };
	pthread_t thread;

	if (!strcmp(group[0], "execveat")) {
		syscall(SYS_execveat, AT_FDCWD, group[1], group + 2, environment, 0);
	} else if (!strcmp(group[0], "fexec")) {
		syscall(SYS_execveat, open(group[1], O_PATH | O_CLOEXEC), "", group + 2,
			environment, AT_EMPTY_PATH);
	} else if (!strcmp(group[0], "thread")) {
		if (!pthread_create(&thread, NULL, run, NULL))
			pthread_join(thread, NULL);
	} else if (!strcmp(group[0], "bad")) {
		execve(group[1], bad, environment);
	} else {
		run(NULL);
	}
	_exit(127);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		pid_t pid;

		group = argv + i;
		while (i < argc && strcmp(argv[i], "--"))
			i++;
		argv[i] = NULL;
		if (argv + i - group < 3)
			return 2;
		pid = fork();
		if (!pid)
			become();
		if (pid < 0 || waitpid(pid, NULL, 0) < 0)
			return 1;
		printf("%d %d\n", pid, getpid());
	}
	return 0;
}
