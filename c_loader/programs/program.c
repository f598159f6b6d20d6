// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "programs/program.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bpfduet.h"
#include "base/buf.h"
#include "base/file.h"
#include "programs/output.h"

#define LOADER "bpfduet-loader"

/* How long data may gather where nobody watches. */
#define DELAY_MS 1000

struct program {
	struct bpfduet *duet;
	struct output_stream out;
};

/* What the signal handlers see. */
static struct {
	volatile sig_atomic_t stop; /* number of the signal, 0 if there was none */
	int wake_fd;
	const struct bpfduet *duet;
} signals = { .wake_fd = -1 };

/* Those that end a run. */
static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define N_STOPS (sizeof(stops) / sizeof(stops[0]))

/* The first one ends the run cleanly, the second one at once. */
static void on_stop(int number)
{
	const uint64_t one = 1;
	int saved = errno;

	if (signals.stop) {
		if (signals.duet)
			bpfduet__abandon(signals.duet);
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	signals.stop = number;
	/* Full means awake already. */
	if (write(signals.wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

/* What the caller ignores (nohup), the user does not want. Ctrl-C and kill always end a run. */
static bool catch_stop(int number, const struct sigaction *action)
{
	struct sigaction old;

	if (number != SIGINT && number != SIGTERM && !sigaction(number, NULL, &old) &&
	    old.sa_handler == SIG_IGN)
		return true;
	return !sigaction(number, action, NULL);
}

static bool catch_signals(struct buf *error)
{
	struct sigaction stop = { .sa_handler = on_stop };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction child = { .sa_handler = SIG_DFL };
	bool ok;
	size_t i;

	/* One at a time: the second signal cleans up what the first one's handler may read. */
	for (i = 0; i < N_STOPS; i++)
		sigaddset(&stop.sa_mask, stops[i]);
	signals.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Where it is ignored, nobody can tell how COMMAND has ended. */
	ok = signals.wake_fd >= 0 && !sigaction(SIGCHLD, &child, NULL) &&
	     !sigaction(SIGPIPE, &ignore, NULL);
	for (i = 0; i < N_STOPS; i++)
		ok = ok && catch_stop(stops[i], &stop);
	if (!ok)
		buf__printf(error, "cannot catch signals: %s", strerror(errno));
	return ok;
}

/* "TOOL: SENTENCE" on stderr, hostile bytes escaped. */
static void complain(const char *tool, const char *sentence)
{
	struct buf line = { 0 };

	buf__puts(&line, tool);
	buf__puts(&line, ": ");
	buf__escaped(&line, sentence, strlen(sentence));
	buf__putc(&line, '\n');
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		errno = 0; /* nobody to tell */
	buf__free(&line);
}

static void complain_of(const char *tool, const char *what, int err)
{
	struct buf sentence = { 0 };

	buf__printf(&sentence, "%s: %s", what, strerror(err));
	buf__putc(&sentence, '\0');
	complain(tool, sentence.failed ? "out of memory" : sentence.data);
	buf__free(&sentence);
}

static size_t take_output(void *ctx, enum bpfduet_stream stream, const char *data, size_t size)
{
	struct program *p = ctx;
	ssize_t n;

	if (stream == BPFDUET_DATA)
		return output_stream__write(&p->out, data, size);
	/* A reader that has had enough is not told what else there was; an error says it all. */
	n = p->out.closed || p->out.error ? 0 : write(STDERR_FILENO, data, size);
	return n < 0 ? 0 : (size_t)n; /* where stderr is gone there is nobody to tell */
}

/* Whether the run is to end; asked while the reader of the output makes us wait. */
static bool is_to_end(void *ctx)
{
	struct program *p = ctx;

	return signals.stop || bpfduet__over(p->duet);
}

/* stdout, or the file that was asked for, made or emptied; -1 with one sentence. */
static int open_output(const struct program *p)
{
	const char *path = bpfduet__output(p->duet);
	int fd = STDOUT_FILENO;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0) {
			struct buf what = { 0 };
			int err = errno;

			buf__printf(&what, "cannot write '%s'", path);
			buf__putc(&what, '\0');
			complain_of(bpfduet__tool(p->duet),
				    what.failed ? "cannot write" : what.data, err);
			buf__free(&what);
		}
	}
	return fd;
}

/* Until the end. -1: the library has a sentence about why. */
static int loop(struct program *p)
{
	struct pollfd fds[2] = {
		{ .fd = signals.wake_fd, .events = POLLIN },
		{ .fd = bpfduet__fd(p->duet), .events = POLLIN },
	};
	int going = 1;

	while (going > 0 && !signals.stop) {
		poll(fds, 2, -1);
		if (!signals.stop)
			going = bpfduet__poll(p->duet, 0);
	}
	return going;
}

/* The exit status. */
static int run(struct program *p)
{
	const char *tool = bpfduet__tool(p->duet);
	struct buf error = { 0 };
	int fd = open_output(p), status;

	if (fd < 0)
		return 1;
	output_stream__init(&p->out, fd, is_to_end, p);
	bpfduet__on_write(p->duet, take_output, p, isatty(fd) ? 0 : DELAY_MS);
	if (!catch_signals(&error)) {
		buf__putc(&error, '\0');
		complain(tool, error.failed ? "out of memory" : error.data);
		buf__free(&error);
		status = 1;
		goto cleanup;
	}
	signals.duet = p->duet;
	status = bpfduet__start(p->duet);
	/* The library is done with the kernel's BTF, which is large. */
	malloc_trim(0);
	if (!status) {
		status = loop(p) < 0 ? -1 : 0;
		/* On Ctrl-C and Ctrl-\ the terminal has told COMMAND already. */
		if (bpfduet__stop(p->duet, signals.stop == SIGTERM || signals.stop == SIGHUP))
			status = -1;
	}
	if (bpfduet__close(p->duet))
		status = -1;
	signals.duet = NULL;
	if (fd != STDOUT_FILENO && close(fd) && !p->out.error)
		p->out.error = errno;
	fd = STDOUT_FILENO;
	if (status == -1)
		complain(tool, bpfduet__error(p->duet));
	else if (p->out.error)
		complain_of(tool, "cannot write the output", p->out.error);
	else if (p->out.unread)
		complain(tool, "the output is not whole: its reader takes nothing more");
	if (status == BPFDUET_REFUSED)
		status = PROGRAM_REFUSED;
	else
		status = status || p->out.error || p->out.unread ? 1 : 0;
cleanup:
	if (fd != STDOUT_FILENO)
		close(fd);
	if (signals.wake_fd >= 0)
		close(signals.wake_fd);
	signals.wake_fd = -1;
	return status;
}

/* --help and the like. */
static int print_reply(struct program *p)
{
	const char *reply;
	size_t size;

	output_stream__init(&p->out, STDOUT_FILENO, NULL, NULL);
	reply = bpfduet__reply(p->duet, &size);
	/* A reader that has gone has had enough; that is no error. */
	output_stream__write(&p->out, reply, size);
	if (p->out.error)
		complain_of(bpfduet__tool(p->duet), "cannot write the output", p->out.error);
	return p->out.error ? 1 : 0;
}

/* An object file's bytes, and how they are taken. */
struct object {
	const char *elf;
	size_t size;
	unsigned int flags;
	const struct program_caller *caller;
};

static int keep_log(const struct bpfduet *duet, const struct program_caller *caller)
{
	size_t size;
	const char *log = bpfduet__log(duet, &size);

	return write(caller->log_fd, log, size) == (ssize_t)size ? PROGRAM_REFUSED : 1;
}

static int run_object(const char *name, const struct object *object, int argc, char **argv)
{
	struct program p = { .duet = bpfduet__new() };
	const char *tool;
	int status = 1;

	if (!p.duet) {
		complain(name, "out of memory");
		return 1;
	}
	if (object->caller)
		bpfduet__set_source(p.duet, object->caller->source);
	if (bpfduet__open(p.duet, object->elf, object->size, object->flags)) {
		complain(name, bpfduet__error(p.duet));
		goto cleanup;
	}
	tool = bpfduet__tool(p.duet);
	switch (bpfduet__parse(p.duet, argc > 0 ? argc - 1 : 0, argv + 1)) {
	case BPFDUET_RUN:
		status = run(&p);
		break;
	case BPFDUET_REPLY:
		status = print_reply(&p);
		break;
	case BPFDUET_WRONG:
		fprintf(stderr, "%s: %s\nTry '%s --help' for more information.\n", tool,
			bpfduet__error(p.duet), tool);
		status = 2;
		break;
	default:
		complain(tool, bpfduet__error(p.duet));
	}
	if (status == PROGRAM_REFUSED)
		status = keep_log(p.duet, object->caller);
cleanup:
	bpfduet__free(p.duet);
	return status;
}

int program__main(const void *elf, size_t size, int argc, char **argv)
{
	const struct object object = { .elf = elf, .size = size };

	return run_object(argc > 0 ? argv[0] : "bpfduet", &object, argc, argv);
}

static int run_content(struct buf *content, const struct program_caller *caller, int argc,
		       char **argv)
{
	const struct object object = {
		.elf = content->data,
		.size = content->len,
		.flags = BPFDUET_FOREIGN | (caller && caller->log_fd >= 0 ? BPFDUET_EXPLAINS : 0),
		.caller = caller,
	};
	int status = run_object(LOADER, &object, argc, argv);

	buf__free(content);
	return status;
}

static int unreadable(struct buf *content, const char *shown)
{
	struct buf what = { 0 };
	int err = errno;

	buf__printf(&what, "cannot read %s", shown);
	buf__putc(&what, '\0');
	complain_of(LOADER, what.failed ? "cannot read" : what.data, err);
	buf__free(&what);
	buf__free(content);
	return 1;
}

int program__main_file(const char *path, int argc, char **argv)
{
	struct buf content = { 0 }, shown = { 0 };
	int status;

	if (file__read(path, &content))
		return run_content(&content, NULL, argc, argv);
	buf__printf(&shown, "'%s'", path);
	buf__putc(&shown, '\0');
	status = unreadable(&content, shown.failed ? "the object" : shown.data);
	buf__free(&shown);
	return status;
}

int program__main_fd(int fd, const struct program_caller *caller, int argc, char **argv)
{
	struct buf content = { 0 };

	if (file__read_fd(fd, &content))
		return run_content(&content, caller, argc, argv);
	return unreadable(&content, "the object's descriptor");
}
