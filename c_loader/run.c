// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cgroup.h"
#include "clock.h"
#include "command.h"
#include "load.h"
#include "output.h"
#include "render.h"
#include "requires.h"
#include "stacks.h"

/* Output is written when so much has gathered, so a block and an event over fit a pipe. */
#define OUTPUT_BYTES 65536
/* Events between two looks at the clock and at signals. */
#define BATCH_EVENTS 4096
/*
 * Records come without a wake-up, so the buffer is looked at by the clock: soon after there was
 * something in it, then less and less often.
 */
#define SHORT_WAIT_MS 2
#define LONG_WAIT_MS 50
#define PERF_PAGES 64

struct run {
	const struct spec *spec;
	const struct options *options;
	struct command command;
	struct kernel_half kernel;
	struct renderer renderer;
	struct output_stream out;
	struct output_wait wait; /* of it, for its reader */
	bool ended; /* which that wait has seen */
	struct buf err; /* what is to go to stderr */
	struct buf error; /* the sentence that ends the run */
	struct ring_buffer *ring;
	struct perf_buffer *perf;
	struct stacks *stacks; /* NULL if no report is of that kind */
	uint64_t look_ns; /* at the processes whose stacks there are */
	int trace_fd;
	struct buf trace; /* the beginning of a line */
	int batch; /* events left in this batch */
	uint64_t now_ns;
	uint64_t deadline_ns, due_ns, interval_ns;
	uint64_t prints_left; /* reports until --count is reached; 0: no limit */
	uint64_t dropped; /* records lost on this side */
	uint64_t told[N_LOSSES], tell_ns; /* of the loss */
};

/* What the signal handlers see. */
static struct {
	volatile sig_atomic_t stop; /* number of the signal, 0 if there was none */
	int wake_fd;
	const struct command *command;
} signals = { .wake_fd = -1 };

static void wake(void)
{
	const uint64_t one = 1;
	int saved = errno;

	/* Full means awake already. */
	if (write(signals.wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

static void on_child(int signal)
{
	(void)signal;
	wake();
}

/* Those that end a run. */
static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define N_STOPS (sizeof(stops) / sizeof(stops[0]))

/* The first one ends the run cleanly, the second one at once. */
static void on_stop(int number)
{
	if (signals.stop) {
		if (signals.command)
			command__abandon(signals.command);
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	signals.stop = number;
	wake();
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
	struct sigaction child = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	bool ok;
	size_t i;

	/* One at a time: the second signal cleans up what the first one's handler may read. */
	for (i = 0; i < N_STOPS; i++)
		sigaddset(&stop.sa_mask, stops[i]);
	signals.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ok = signals.wake_fd >= 0 && !sigaction(SIGCHLD, &child, NULL) &&
	     !sigaction(SIGPIPE, &ignore, NULL);
	for (i = 0; i < N_STOPS; i++)
		ok = ok && catch_stop(stops[i], &stop);
	if (!ok)
		buf__printf(error, "cannot catch signals: %s", strerror(errno));
	return ok;
}

static void clear_wake(void)
{
	uint64_t count;

	while (read(signals.wake_fd, &count, sizeof(count)) > 0)
		;
}

static void flush_err(struct run *run)
{
	/* Where stderr is gone there is nobody to tell. */
	if (run->err.len && write(STDERR_FILENO, run->err.data, run->err.len) < 0)
		run->err.failed = true;
	run->err.len = 0;
}

void run__complain(const char *tool, const struct buf *sentence)
{
	struct buf line = { 0 };

	buf__puts(&line, tool);
	buf__puts(&line, ": ");
	if (sentence->failed)
		buf__puts(&line, "out of memory");
	else
		buf__escaped(&line, sentence->data, sentence->len);
	buf__putc(&line, '\n');
	if (write(STDERR_FILENO, line.data, line.len) < 0)
		errno = 0; /* nobody to tell */
	buf__free(&line);
}

/* -- reading ----------------------------------------------------------------------------------- */

/* 0 to go on, -EAGAIN to come back later. */
static int take_event(struct run *run, void *data, size_t len)
{
	if (run->out.unread || !renderer__event(&run->renderer, data, len))
		run->dropped++;
	if (run->out.buf.len >= OUTPUT_BYTES && !output_stream__flush(&run->out, run->now_ns))
		return -EAGAIN;
	return --run->batch > 0 ? 0 : -EAGAIN;
}

static int on_ring_event(void *ctx, void *data, size_t len)
{
	return take_event(ctx, data, len);
}

static void on_perf_event(void *ctx, int cpu, void *data, __u32 len)
{
	(void)cpu;
	take_event(ctx, data, len);
}

static void on_perf_lost(void *ctx, int cpu, __u64 count)
{
	struct run *run = ctx;

	(void)cpu;
	run->dropped += count;
}

static void trace_lines(struct run *run)
{
	char *start = run->trace.data, *end = start + run->trace.len, *newline;

	while (start < end && (newline = memchr(start, '\n', (size_t)(end - start)))) {
		run->dropped += renderer__trace(&run->renderer, start, (size_t)(newline - start));
		start = newline + 1;
	}
	run->trace.len = (size_t)(end - start);
	memmove(run->trace.data, start, run->trace.len);
	if (run->out.buf.len >= OUTPUT_BYTES)
		output_stream__flush(&run->out, run->now_ns);
}

/* Whether there was anything. */
static bool read_trace(struct run *run)
{
	bool any = false;
	ssize_t n;
	int i;

	for (i = 0; i < 64; i++) {
		if (!buf__reserve(&run->trace, 4096))
			return any;
		n = read(run->trace_fd, run->trace.data + run->trace.len, 4096);
		if (n <= 0)
			break;
		any = true;
		run->trace.len += (size_t)n;
		trace_lines(run);
	}
	return any;
}

/* Take in what there is, up to a batch. Whether there was anything. */
static bool take_in(struct run *run)
{
	bool any = false;

	run->batch = BATCH_EVENTS;
	if (run->ring)
		ring_buffer__consume(run->ring);
	if (run->perf)
		perf_buffer__consume(run->perf);
	any = run->batch < BATCH_EVENTS;
	if (run->trace_fd >= 0)
		any |= read_trace(run);
	return any;
}

static bool open_trace(struct run *run)
{
	const char *tracefs = requires__tracefs(&run->error);
	char path[64], old[4096];

	if (!tracefs)
		return false;
	snprintf(path, sizeof(path), "%s/trace_pipe", tracefs);
	run->trace_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (run->trace_fd < 0) {
		if (errno == EBUSY)
			buf__printf(&run->error, "another program reads %s: end it first", path);
		else
			buf__printf(&run->error, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	/* Lines from before this run are not its own. */
	while (read(run->trace_fd, old, sizeof(old)) > 0)
		;
	return true;
}

static bool open_events(struct run *run)
{
	const struct events *events = &run->spec->events;
	json_int pages = options__role_number(run->options, ROLE_BUFFER, PERF_PAGES);
	int fd = kernel_half__map(&run->kernel, events->map);

	if (fd < 0) {
		buf__printf(&run->error, "the object has no map '%s'", events->map);
		return false;
	}
	if (events->perf)
		run->perf =
			perf_buffer__new(fd, (size_t)pages, on_perf_event, on_perf_lost, run, NULL);
	else
		run->ring = ring_buffer__new(fd, on_ring_event, run, NULL);
	if (!run->perf && !run->ring) {
		buf__printf(&run->error, "cannot open the events buffer: %s", strerror(errno));
		return false;
	}
	return true;
}

/* -- reports and loss -------------------------------------------------------------------------- */

static bool print_reports(struct run *run)
{
	uint64_t now = clock__ns(CLOCK_REALTIME);
	struct entries entries;
	size_t i;

	for (i = 0; i < run->spec->n_reports; i++) {
		const struct report *report = &run->spec->reports[i];

		if (!options__hold(run->options, &report->when))
			continue;
		if (report->kind == REPORT_STACKS) {
			if (!duet_stacks.print(run->stacks, &run->kernel, &run->renderer, report,
					       now, &run->error))
				return false;
			continue;
		}
		if (!kernel_half__read(&run->kernel, report, &entries, &run->error))
			return false;
		renderer__report(&run->renderer, report, &entries, now);
		free(entries.data);
	}
	return true;
}

static bool begin_stacks(struct run *run)
{
	const struct spec *spec = run->spec;
	size_t i;

	for (i = 0; i < spec->n_reports && !run->stacks; i++) {
		if (spec->reports[i].kind != REPORT_STACKS)
			continue;
		run->stacks = duet_stacks.begin(run->options, &run->error);
		if (!run->stacks)
			return false;
	}
	return true;
}

static bool look_at_stacks(struct run *run)
{
	uint64_t took;

	if (!run->stacks || run->now_ns < run->look_ns)
		return true;
	if (!duet_stacks.look(run->stacks, &run->kernel, &run->error))
		return false;
	took = clock__ns(CLOCK_MONOTONIC) - run->now_ns;
	run->look_ns = run->now_ns + took +
		       (took * STACKS_LOOK_SHARE > STACKS_LOOK_NS ? took * STACKS_LOOK_SHARE
								  : STACKS_LOOK_NS);
	return true;
}

static void tell_loss(struct run *run, bool at_end)
{
	uint64_t lost[N_LOSSES];
	enum loss kind;

	if (!at_end && run->now_ns < run->tell_ns)
		return;
	run->tell_ns = run->now_ns + NS_PER_S;
	lost[LOSS_RECORDS] = kernel_half__lost(&run->kernel) + run->dropped;
	lost[LOSS_SKIPPED] = kernel_half__skipped(&run->kernel);
	for (kind = 0; kind < N_LOSSES; kind++) {
		if (lost[kind] > run->told[kind])
			renderer__lost(&run->renderer, kind, lost[kind] - run->told[kind]);
		run->told[kind] = lost[kind];
	}
}

/* -- the run ----------------------------------------------------------------------------------- */

static bool limit_to_cgroup(struct run *run, struct limit *limit)
{
	const char *folder = options__role_text(run->options, ROLE_CGROUP);

	memset(limit, 0, sizeof(*limit));
	if (folder && !cgroup__identify(folder, &limit->id, &limit->level, &run->error))
		return false;
	if (run->options->command) {
		if (!command__start(&run->command, run->options->command, folder, &run->error))
			return false;
		folder = run->command.folder;
	}
	if (!folder)
		return true;
	limit->given = true;
	limit->folder = folder;
	return cgroup__identify(folder, &limit->id, &limit->level, &run->error);
}

static bool start(struct run *run, const void *elf, size_t size, bool foreign)
{
	struct run_clock clock;
	struct places places;
	struct limit limit;

	kernel_half__set_verbose(options__role_number(run->options, ROLE_VERBOSE, 0) != 0);
	if (!requires__allowed(&run->error) || !requires__check(run->spec, &run->error) ||
	    !limit_to_cgroup(run, &limit) ||
	    !kernel_half__load(&run->kernel, elf, size, run->options, &limit, foreign, &run->error))
		return false;
	/* libbpf is done with the kernel's BTF, which is large. */
	malloc_trim(0);
	if ((run->spec->has_events && !open_events(run)) ||
	    (run->spec->trace_pipe.present && !open_trace(run)) || !begin_stacks(run))
		return false;
	clock.start_mono_ns = clock__ns(CLOCK_MONOTONIC);
	clock.wall_minus_mono_ns = (int64_t)(clock__ns(CLOCK_REALTIME) - clock.start_mono_ns);
	if (!renderer__init(&run->renderer, run->spec, run->options, &clock, &run->out.buf,
			    &run->err)) {
		buf__puts(&run->error, "out of memory");
		return false;
	}
	places.options = run->options;
	places.bcc = &run->kernel.bcc;
	places.cgroup = limit.folder;
	places.own_cgroup = run->options->command != NULL;
	if (!kernel_half__attach(&run->kernel, &places, foreign, &run->error))
		return false;
	renderer__begin(&run->renderer);
	flush_err(run);
	return !run->options->command ||
	       command__go(&run->command, run->options->command, &run->error);
}

static void set_times(struct run *run)
{
	uint64_t duration = (uint64_t)options__role_number(run->options, ROLE_DURATION, 0);
	uint64_t interval = (uint64_t)options__role_number(run->options, ROLE_INTERVAL, 0);

	run->now_ns = clock__ns(CLOCK_MONOTONIC);
	run->tell_ns = run->now_ns + NS_PER_S;
	run->interval_ns = interval * NS_PER_S;
	run->deadline_ns = duration ? run->now_ns + duration * NS_PER_S : UINT64_MAX;
	run->wait.ended_ns = run->deadline_ns;
	run->due_ns = interval ? run->now_ns + run->interval_ns : UINT64_MAX;
	run->prints_left = (uint64_t)options__role_number(run->options, ROLE_COUNT, 0);
}

static int wait_ms(const struct run *run, int poll_ms)
{
	uint64_t next = run->deadline_ns < run->due_ns ? run->deadline_ns : run->due_ns;
	uint64_t ms;

	if (run->ended)
		return 0;
	if (run->stacks && run->look_ns < next)
		next = run->look_ns;
	if (next == UINT64_MAX)
		return poll_ms;
	ms = next > run->now_ns ? (next - run->now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
	if (poll_ms >= 0 && ms > (uint64_t)poll_ms)
		return poll_ms;
	return ms > 3600000 ? 3600000 : (int)ms;
}

static void wait_for_news(struct run *run, int timeout_ms)
{
	struct pollfd fds[2] = {
		{ .fd = signals.wake_fd, .events = POLLIN },
		{ .fd = run->ring   ? ring_buffer__epoll_fd(run->ring)
			: run->perf ? perf_buffer__epoll_fd(run->perf)
				    : -1,
		  .events = POLLIN },
	};

	if (poll(fds, 2, timeout_ms) > 0 && fds[0].revents)
		clear_wake();
}

/* Whether a signal or the end of COMMAND ends the run; asked while the reader makes us wait. */
static bool is_to_end(void *ctx)
{
	struct run *run = ctx;

	clear_wake();
	run->ended = signals.stop || (run->options->command && command__ended(&run->command));
	return run->ended;
}

/* Whether the run goes on; prints the reports of an interval. */
static bool look_at_clock(struct run *run)
{
	run->now_ns = clock__ns(CLOCK_MONOTONIC);
	if (signals.stop || run->now_ns >= run->deadline_ns ||
	    (run->options->command && command__ended(&run->command)))
		return false;
	if (!look_at_stacks(run))
		return false;
	if (run->now_ns < run->due_ns)
		return true;
	/* The last one is printed with the programs detached. */
	if (run->prints_left == 1)
		return false;
	run->prints_left -= run->prints_left > 0;
	while (run->due_ns <= run->now_ns)
		run->due_ns += run->interval_ns;
	return print_reports(run);
}

static void loop(struct run *run)
{
	bool streams = run->ring || run->perf || run->trace_fd >= 0;
	int poll_ms = streams ? SHORT_WAIT_MS : -1;
	bool going = true;

	set_times(run);
	while (going) {
		going = output_stream__tick(&run->out, run->now_ns);
		flush_err(run);
		if (!going)
			break;
		wait_for_news(run, wait_ms(run, run->batch > 0 || !streams ? poll_ms : 0));
		going = look_at_clock(run);
		if (take_in(run))
			poll_ms = SHORT_WAIT_MS;
		else if (streams && poll_ms < LONG_WAIT_MS)
			poll_ms = poll_ms * 2 < LONG_WAIT_MS ? poll_ms * 2 : LONG_WAIT_MS;
		tell_loss(run, false);
	}
}

static void finish(struct run *run)
{
	bool wanted;

	/* On Ctrl-C and Ctrl-\ the terminal has told it already. */
	if (run->options->command && (signals.stop == SIGTERM || signals.stop == SIGHUP))
		command__terminate(&run->command);
	kernel_half__detach(&run->kernel);
	/*
	 * The buffer gets nothing more; others may write to the trace pipe for ever. What a reader
	 * does not read is counted.
	 */
	do {
		take_in(run);
		wanted = output_stream__wanted(&run->out);
	} while ((wanted || run->out.unread) && run->batch <= 0);
	if (wanted && !run->error.len)
		print_reports(run);
	output_stream__flush(&run->out, run->now_ns);
	if (run->spec->has_events)
		run->dropped += run->out.unread_lines;
	/* A reader that has had enough is not told what else there was. */
	if (!run->out.closed)
		tell_loss(run, true);
	output_stream__flush(&run->out, run->now_ns);
	flush_err(run);
}

/* stdout, or the file that was asked for, made or emptied; -1 with one sentence. */
static int open_output(struct run *run)
{
	const char *path = options__role_text(run->options, ROLE_OUTPUT);
	int fd = STDOUT_FILENO;

	if (path) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0)
			buf__printf(&run->error, "cannot write '%s': %s", path, strerror(errno));
	}
	return fd;
}

int run__tool(const void *elf, size_t size, const struct options *options, bool foreign,
	      const struct duet_caller *caller)
{
	struct run run = {
		.spec = options->spec,
		.options = options,
		.command = COMMAND_NONE,
		.trace_fd = -1,
		.batch = BATCH_EVENTS,
		.kernel.caller = caller,
	};
	int status, fd = open_output(&run);
	bool refused;

	output_stream__init(&run.out, fd, clock__ns(CLOCK_MONOTONIC));
	if (fd < 0 || !catch_signals(&run.error))
		goto cleanup;
	run.wait = (struct output_wait){ is_to_end, &run, signals.wake_fd, UINT64_MAX };
	run.out.wait = &run.wait;
	signals.command = &run.command;
	if (start(&run, elf, size, foreign)) {
		loop(&run);
		finish(&run);
	}
	if (fd != STDOUT_FILENO && close(fd) && !run.out.error)
		run.out.error = errno;
	fd = -1;
	if (run.out.error && !run.error.len)
		buf__printf(&run.error, "cannot write the output: %s", strerror(run.out.error));
	if (run.out.unread && !run.error.len)
		buf__puts(&run.error, "the output is not whole: its reader takes nothing more");
cleanup:
	if (fd > STDERR_FILENO)
		close(fd);
	ring_buffer__free(run.ring);
	perf_buffer__free(run.perf);
	refused = run.kernel.refused && !run.error.len;
	kernel_half__free(&run.kernel);
	if (run.trace_fd >= 0)
		close(run.trace_fd);
	command__close(&run.command, &run.error);
	signals.command = NULL;
	if (run.stacks)
		duet_stacks.end(run.stacks);
	renderer__free(&run.renderer);
	if (run.error.len || run.error.failed)
		run__complain(options->spec->tool, &run.error);
	status = run.error.len || run.error.failed ? 1 : refused ? RUN_REFUSED : 0;
	buf__free(&run.out.buf);
	buf__free(&run.err);
	buf__free(&run.error);
	buf__free(&run.trace);
	if (signals.wake_fd >= 0)
		close(signals.wake_fd);
	return status;
}
