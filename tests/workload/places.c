// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * places STEP...: opens files in the ways that a STEP each says. What is opened stays open.
 *   flags OCTAL    flags of the steps that follow
 *   comm NAME      take another process name
 *   cd FOLDER      change the current directory
 *   dir FOLDER     open FOLDER with O_PATH by openat(): `at` and `at2` start there
 *   dirfd NUMBER   or from this descriptor, be it one or not
 *   open NAME, creat NAME, openat NAME, openat2 NAME    relative to the current directory
 *   at NAME, at2 NAME                       openat(), openat2() relative to `dir`
 *   bad            openat() with a name that cannot be read
 * Prints "PID FD ERRNO FLAGS" for each call that opens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long openat2(int dfd, const char *name, int flags)
{
	struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 };

	return syscall(SYS_openat2, dfd, name, &how, sizeof(how));
}

static long report(long fd, int flags)
{
	printf("%d %ld %d %d\n", getpid(), fd, fd < 0 ? errno : 0, flags);
	return fd;
}

int main(int argc, char **argv)
{
	int flags = O_RDONLY, dfd = AT_FDCWD;

	for (int i = 1; i < argc; i++) {
		const char *step = argv[i];
		const char *name = strcmp(step, "bad") ? argv[++i] : (const char *)1;

		if (!name)
			return 2;
		if (!strcmp(step, "flags"))
			flags = strtol(name, NULL, 8);
		else if (!strcmp(step, "comm"))
			prctl(PR_SET_NAME, name);
		else if (!strcmp(step, "cd") && chdir(name))
			return 3;
		else if (!strcmp(step, "dir"))
			dfd = report(syscall(SYS_openat, AT_FDCWD, name, O_PATH, 0), O_PATH);
		else if (!strcmp(step, "dirfd"))
			dfd = atoi(name);
		else if (!strcmp(step, "open"))
			report(syscall(SYS_open, name, flags, 0600), flags);
		else if (!strcmp(step, "creat"))
			report(syscall(SYS_creat, name, 0600), O_CREAT | O_WRONLY | O_TRUNC);
		else if (!strcmp(step, "openat") || !strcmp(step, "bad"))
			report(syscall(SYS_openat, AT_FDCWD, name, flags, 0600), flags);
		else if (!strcmp(step, "openat2"))
			report(openat2(AT_FDCWD, name, flags), flags);
		else if (!strcmp(step, "at"))
			report(syscall(SYS_openat, dfd, name, flags, 0600), flags);
		else if (!strcmp(step, "at2"))
			report(openat2(dfd, name, flags), flags);
		else if (strcmp(step, "cd"))
			return 2;
	}
	return 0;
}
