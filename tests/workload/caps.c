// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * caps COUNT: in a second thread, COUNT times what only privileged processes may do: chroot() to
 * the root that it has, setuid() to the user that it is, and a seccomp filter, of which the
 * kernel does not tell the audit log; it is a bad one and is refused. Prints "PID TID".
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long count;

static void *ask(void *unused)
{
	struct sock_filter nothing = { .code = 0xffff };
	struct sock_fprog bad = { .len = 1, .filter = &nothing };

	(void)unused;
	for (long i = 0; i < count; i++) {
		/* glibc's setuid() would do it in all threads */
		if (chroot("/") || syscall(SYS_setuid, getuid()))
			exit(1);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &bad) != -1 || errno != EINVAL)
			exit(1);
	}
	printf("%d %ld\n", getpid(), syscall(SYS_gettid));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	count = argc > 1 ? atol(argv[1]) : 0;
	return pthread_create(&thread, NULL, ask, NULL) || pthread_join(thread, NULL);
}
