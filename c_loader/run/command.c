// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "run/command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/cgroup.h"

/* How long COMMAND may take to end, and its cgroup to be empty: 10 ms each. */
#define PATIENCE 200
/* Nested cgroups that are cleaned up. */
#define MAX_DEPTH 32
/* Runs with a COMMAND in one process, at once. */
#define MAX_FOLDERS 4096

const struct command COMMAND_NONE = {
	.pid_fd = -1,
	.failure_fd = -1,
	.folder_fd = -1,
	.parent_fd = -1,
};

static bool move_process(int folder_fd, const char *pid, size_t len)
{
	int fd = openat(folder_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC), saved;
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, pid, len) == (ssize_t)len;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

/*
 * The child is stopped here, behind the end of a system call, when it is moved to its cgroup. So
 * all that is seen of it there is its exec, under the name that it will have.
 */
__attribute__((noreturn)) static void run_child(const struct gate *gate, char **argv, pid_t parent,
						int failure_fd)
{
	const char *slash = strrchr(argv[0], '/');
	pid_t self = getpid();
	int error;

	/* The handlers are the tool's; what is ignored would stay so across exec. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	/* What the tool's caller ignores (nohup), COMMAND does. */
	if (signal(SIGHUP, SIG_DFL) == SIG_IGN)
		signal(SIGHUP, SIG_IGN);
	if (signal(SIGQUIT, SIG_DFL) == SIG_IGN)
		signal(SIGQUIT, SIG_IGN);
	prctl(PR_SET_NAME, slash ? slash + 1 : argv[0]);
	/* COMMAND does not outlive who watches it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* Others may let it go on: a terminal does that with all of its job. */
	while (!gate->moved)
		kill(self, SIGSTOP); /* raise() is more than one system call */
	execvp(argv[0], argv);
	error = errno;
	/* Nobody reads it if the tool has ended meanwhile. */
	_exit(write(failure_fd, &error, sizeof(error)) == sizeof(error) ? 127 : 126);
}

/*
 * Move the processes of a cgroup to another one. Only system calls: signal handlers call it.
 * One that has ended meanwhile cannot be moved, nor need it be; rmdir tells of the others.
 */
static void move_processes(int from_fd, int to_fd)
{
	int fd = openat(from_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096], *start, *newline;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = read(fd, text + len, sizeof(text) - len)) > 0) {
		len += (size_t)n;
		start = text;
		while ((newline = memchr(start, '\n', len - (size_t)(start - text)))) {
			move_process(to_fd, start, (size_t)(newline - start));
			start = newline + 1;
		}
		len -= (size_t)(start - text);
		memmove(text, start, len);
	}
	close(fd);
}

/* Empty a cgroup and those that COMMAND made below it, innermost first. */
static void empty(int folder_fd, int to_fd, int depth)
{
	int list_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), inner_fd;
	DIR *dir = list_fd >= 0 ? fdopendir(list_fd) : NULL;
	struct dirent *entry;

	while (dir && depth < MAX_DEPTH && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		inner_fd = openat(folder_fd, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (inner_fd < 0)
			continue;
		empty(inner_fd, to_fd, depth + 1);
		close(inner_fd);
		unlinkat(folder_fd, entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	else if (list_fd >= 0)
		close(list_fd);
	move_processes(folder_fd, to_fd);
}

/* Whether a name is one of those that make_folder() gives. */
static bool is_ours(const char *name)
{
	static const char before[] = "bpfduet-";
	size_t n;

	if (strncmp(name, before, sizeof(before) - 1))
		return false;
	name += sizeof(before) - 1;
	n = strspn(name, "0123456789");
	if (n && name[n] == '-' && name[n + 1])
		return !name[n + 1 + strspn(name + n + 1, "0123456789")];
	return n && !name[n];
}

/*
 * Remove cgroups whose run was killed. A run holds a lock on its own, which ends with it; other
 * PID namespaces are no hindrance.
 */
static void sweep(int parent_fd)
{
	int list_fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	DIR *dir = list_fd >= 0 ? fdopendir(list_fd) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!is_ours(entry->d_name))
			continue;
		fd = openat(parent_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
			empty(fd, parent_fd, 0);
			unlinkat(parent_fd, entry->d_name, AT_REMOVEDIR);
		}
		file__close(&fd);
	}
	if (dir)
		closedir(dir);
	else
		file__close(&list_fd);
}

/* The descriptor of a new folder, locked; -1 with EAGAIN if another start has swept it away. */
static int lock_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat mine, there;

	if (fd < 0) {
		errno = errno == ENOENT ? EAGAIN : errno;
		return -1;
	}
	if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &mine) && !stat(folder, &there) &&
	    mine.st_ino == there.st_ino)
		return fd;
	file__close(&fd);
	errno = EAGAIN;
	return -1;
}

/* The cgroup, with both descriptors: bpfduet-PID, or if there is one, bpfduet-PID-2 and so on. */
static bool make_cgroup(struct command *command, const char *parent, struct buf *error)
{
	char *folder = NULL, number[16] = "";
	int i;

	command->parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (command->parent_fd < 0) {
		buf__printf(error, "cannot open the cgroup %s: %s", parent, strerror(errno));
		return false;
	}
	sweep(command->parent_fd);
	for (i = 2; i < MAX_FOLDERS; i++) {
		free(folder);
		if (asprintf(&folder, "%s/bpfduet-%d%s", parent, (int)getpid(), number) < 0) {
			buf__puts(error, "out of memory");
			return false;
		}
		if (!mkdir(folder, 0755)) {
			command->folder = folder; /* whatever comes, it is to be removed */
			command->folder_fd = lock_folder(folder);
			if (command->folder_fd >= 0)
				return true;
			if (errno != EAGAIN)
				break;
			command->folder = NULL;
		} else if (errno != EEXIST) {
			break;
		}
		snprintf(number, sizeof(number), "-%d", i);
	}
	buf__printf(error, "cannot make the cgroup %s: %s", folder, strerror(errno));
	if (!command->folder)
		free(folder);
	return false;
}

static bool start_child(struct command *command, char **argv, struct buf *error)
{
	int failed[2] = { -1, -1 };
	pid_t pid = -1, self = getpid();
	void *page;

	page = mmap(NULL, sizeof(*command->gate), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED)
		command->gate = page;
	if (command->gate && !pipe2(failed, O_CLOEXEC))
		pid = fork();
	if (pid < 0)
		buf__printf(error, "cannot start a process: %s", strerror(errno));
	if (!pid)
		run_child(command->gate, argv, self, failed[1]);
	if (pid > 0) {
		command->pid = pid;
		command->failure_fd = failed[0];
		failed[0] = -1;
		/* Where there is none (before Linux 5.3), COMMAND is looked at by the clock. */
		command->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	}
	file__close(&failed[0]);
	file__close(&failed[1]);
	return pid > 0;
}

bool command__start(struct command *command, char **argv, const char *parent, struct buf *error)
{
	char *own = NULL;
	bool ok;

	if (!parent)
		parent = own = cgroup__own(error);
	ok = parent && make_cgroup(command, parent, error) && start_child(command, argv, error);
	free(own);
	return ok;
}

/* Wait until the child has stopped; false with errno if it has ended instead. */
static bool wait_stopped(struct command *command)
{
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(command->pid, &status, WUNTRACED);
	} while (pid < 0 && errno == EINTR);
	if (pid == command->pid && WIFSTOPPED(status))
		return true;
	command->pid = 0;
	errno = ESRCH;
	return false;
}

bool command__go(struct command *command, char **argv, struct buf *error)
{
	char pid[16];
	int failure, len = snprintf(pid, sizeof(pid), "%d", (int)command->pid);
	ssize_t n;

	if (!wait_stopped(command)) {
		buf__printf(error, "cannot run '%s': somebody has ended its process", argv[0]);
		return false;
	}
	if (!move_process(command->folder_fd, pid, (size_t)len)) {
		buf__printf(error, "cannot move a process to the cgroup %s: %s", command->folder,
			    strerror(errno));
		return false;
	}
	command->gate->moved = true;
	command->going = true;
	kill(command->pid, SIGCONT);
	/* A successful exec closes the other end. */
	do {
		n = read(command->failure_fd, &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	file__close(&command->failure_fd);
	if (n == sizeof(failure))
		buf__printf(error, "cannot run '%s': %s", argv[0], strerror(failure));
	return n != sizeof(failure);
}

bool command__ended(struct command *command)
{
	if (command->pid && waitpid(command->pid, NULL, WNOHANG) != 0)
		command->pid = 0;
	return !command->pid;
}

void command__terminate(struct command *command)
{
	if (!command->asked && !command__ended(command)) {
		command->asked = true;
		kill(command->pid, SIGTERM);
	}
}

static void nap(void)
{
	struct timespec ten_ms = { .tv_nsec = 10000000 };

	nanosleep(&ten_ms, NULL);
}

static void end_child(struct command *command)
{
	int i;

	/* One that is still stopped takes no SIGTERM. */
	if (command->going)
		command__terminate(command);
	for (i = 0; command->going && i < PATIENCE && !command__ended(command); i++)
		nap();
	if (!command__ended(command)) {
		kill(command->pid, SIGKILL);
		while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
			;
		command->pid = 0;
	}
}

static bool remove_cgroup(struct command *command, struct buf *error)
{
	int i;

	for (i = 0; i < PATIENCE; i++) {
		if (command->folder_fd >= 0)
			empty(command->folder_fd, command->parent_fd, 0);
		if (!rmdir(command->folder) || errno == ENOENT)
			return true;
		nap();
	}
	buf__printf(error, "cannot remove the cgroup %s: %s", command->folder, strerror(errno));
	return false;
}

bool command__close(struct command *command, struct buf *error)
{
	bool ok = true;

	end_child(command);
	file__close(&command->failure_fd);
	file__close(&command->pid_fd);
	if (command->gate)
		munmap(command->gate, sizeof(*command->gate));
	command->gate = NULL;
	if (command->folder)
		ok = remove_cgroup(command, error);
	file__close(&command->folder_fd);
	file__close(&command->parent_fd);
	free(command->folder);
	command->folder = NULL;
	return ok;
}

void command__abandon(const struct command *command)
{
	if (command->pid > 0) {
		kill(command->pid, SIGKILL);
		waitpid(command->pid, NULL, 0);
	}
	if (command->folder && command->folder_fd >= 0)
		move_processes(command->folder_fd, command->parent_fd);
	if (command->folder)
		rmdir(command->folder);
}
