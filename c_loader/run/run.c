// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "kernel/cgroup.h"
#include "kernel/requires.h"

/* Output is written when so much has gathered, so a block and an event over fit a pipe. */
#define OUTPUT_BYTES 65536
/* Events between two looks at the clock. */
#define BATCH_EVENTS 4096
/*
 * Records come without a wake-up, so the buffer is looked at by the clock: soon after there was
 * something in it, then less and less often.
 */
#define SHORT_WAIT_MS 2
#define LONG_WAIT_MS 50
#define PERF_PAGES 64

/* -- writing ----------------------------------------------------------------------------------- */

static void write_messages(struct run *run)
{
	const struct sinks *sinks = &run->order->sinks;

	if (run->err.len && sinks->write)
		sinks->write(sinks->write_ctx, BPFDUET_MESSAGES, run->err.data, run->err.len);
	run->err.len = 0;
}

/* What the loader of the kernel half has to tell, at once. */
static void tell(void *ctx, const char *text, size_t size)
{
	struct run *run = ctx;

	buf__write(&run->err, text, size);
	write_messages(run);
}

/* Lines that the caller has not taken. */
static size_t lines_of(const char *data, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < size; i++)
		n += data[i] == '\n';
	return n;
}

/* Write all data that there is. false if no more is wanted. */
static bool write_data(struct run *run)
{
	const struct sinks *sinks = &run->order->sinks;
	size_t size = run->out.len, taken = size;

	if (run->out.failed) {
		buf__puts(&run->error, "cannot write the output: out of memory");
		run->unwanted = true;
	}
	if (size && sinks->write && !run->unwanted)
		taken = sinks->write(sinks->write_ctx, BPFDUET_DATA, run->out.data, size);
	if (taken < size) {
		run->unwanted = true;
		if (run->spec->has_events)
			run->dropped += lines_of(run->out.data + taken, size - taken);
	}
	run->out.len = 0;
	run->written_ns = run->now_ns;
	return !run->unwanted;
}

/* What is due. */
static void write_due(struct run *run)
{
	if (run->out.failed ||
	    (run->out.len && run->now_ns - run->written_ns >= run->order->sinks.delay_ns))
		write_data(run);
	write_messages(run);
}

/* -- reading ----------------------------------------------------------------------------------- */

/* A record for the caller, of full size. false if it is too short to be one. */
static bool hand_out(struct run *run, const uint8_t *data, size_t len)
{
	const struct sinks *sinks = &run->order->sinks;
	size_t size = run->spec->events.size;

	if (len < run->spec->events.least)
		return false;
	if (len < size) {
		memcpy(run->record, data, len);
		memset(run->record + len, 0, size - len);
		data = run->record;
	}
	if (renderer__shows(&run->renderer, data, size))
		sinks->take(sinks->take_ctx, data, size);
	return true;
}

/* 0 to go on, -EAGAIN to come back later. */
static int take_event(struct run *run, void *data, size_t len)
{
	if (run->order->sinks.take ? !hand_out(run, data, len)
				   : run->unwanted || !renderer__event(&run->renderer, data, len))
		run->dropped++;
	if (run->out.len >= OUTPUT_BYTES && !write_data(run))
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
	if (run->out.len >= OUTPUT_BYTES)
		write_data(run);
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

	/* Nobody takes them: the maps are the caller's to read. */
	if (!run->order->sinks.write && !options__role_text(run->options, ROLE_FLAME))
		return true;
	for (i = 0; i < run->spec->n_reports; i++) {
		const struct report *report = &run->spec->reports[i];

		if (!options__hold(run->options, &report->when))
			continue;
		if (report->kind == REPORT_STACKS) {
			if (!duet_stacks.print(run->stacks, &run->kernel, &run->renderer.sink,
					       report, now, &run->error))
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
	uint64_t began, took;

	if (!run->stacks || run->now_ns < run->look_ns)
		return true;
	/* CPU time: the clock would count what others take meanwhile. */
	began = clock__ns(CLOCK_THREAD_CPUTIME_ID);
	if (!duet_stacks.look(run->stacks, &run->kernel, &run->error))
		return false;
	took = clock__ns(CLOCK_THREAD_CPUTIME_ID) - began;
	run->look_ns = run->now_ns + took +
		       (took * STACKS_LOOK_SHARE > STACKS_LOOK_NS ? took * STACKS_LOOK_SHARE
								  : STACKS_LOOK_NS);
	return true;
}

uint64_t run__lost(const struct run *run, enum loss kind)
{
	return kind == LOSS_RECORDS ? kernel_half__lost(&run->kernel) + run->dropped
				    : kernel_half__skipped(&run->kernel);
}

static void tell_loss(struct run *run, bool at_end)
{
	enum loss kind;
	uint64_t lost;

	if (!at_end && run->now_ns < run->tell_ns)
		return;
	run->tell_ns = run->now_ns + NS_PER_S;
	for (kind = 0; kind < N_LOSSES; kind++) {
		lost = run__lost(run, kind);
		if (lost > run->told[kind])
			renderer__lost(&run->renderer, kind, lost - run->told[kind]);
		run->told[kind] = lost;
	}
}

/* -- what is undone, each by its step ---------------------------------------------------------- */

static bool end_command(void *what, struct buf *error)
{
	struct run *run = what;

	return command__close(&run->command, error);
}

static void abandon_command(const void *what)
{
	const struct run *run = what;

	command__abandon(&run->command);
}

static bool free_kernel_half(void *what, struct buf *error)
{
	struct run *run = what;

	(void)error;
	kernel_half__free(&run->kernel);
	return true;
}

static void abandon_kernel_half(const void *what)
{
	const struct run *run = what;

	pins__abandon(&run->kernel.pins);
}

static bool close_streams(void *what, struct buf *error)
{
	struct run *run = what;

	(void)error;
	ring_buffer__free(run->ring);
	perf_buffer__free(run->perf);
	run->ring = NULL;
	run->perf = NULL;
	file__close(&run->trace_fd);
	file__close(&run->timer_fd);
	file__close(&run->epoll_fd);
	return true;
}

static bool free_output(void *what, struct buf *error)
{
	struct run *run = what;

	(void)error;
	if (run->stacks)
		duet_stacks.end(run->stacks);
	run->stacks = NULL;
	renderer__free(&run->renderer);
	free(run->record);
	run->record = NULL;
	return true;
}

/* -- the run ----------------------------------------------------------------------------------- */

static bool limit_to_cgroup(struct run *run, struct limit *limit)
{
	const char *folder = options__role_text(run->options, ROLE_CGROUP);

	memset(limit, 0, sizeof(*limit));
	if (folder && !cgroup__identify(folder, &limit->id, &limit->level, &run->error))
		return false;
	if (run->options->command) {
		undo__push(&run->undo, end_command, abandon_command, run);
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

/* One descriptor to wait on: the buffers', the clock's, and COMMAND's. */
static bool open_waiting(struct run *run)
{
	int fds[] = {
		run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		run->ring ? ring_buffer__epoll_fd(run->ring) : -1,
		run->perf ? perf_buffer__epoll_fd(run->perf) : -1,
		run->command.pid_fd,
	};
	struct epoll_event wanted = { .events = EPOLLIN };
	bool ok;
	size_t i;

	run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ok = run->epoll_fd >= 0 && run->timer_fd >= 0;
	for (i = 0; ok && i < sizeof(fds) / sizeof(fds[0]); i++)
		ok = fds[i] < 0 || !epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, fds[i], &wanted);
	if (!ok)
		buf__printf(&run->error, "cannot wait for events: %s", strerror(errno));
	return ok;
}

static void set_times(struct run *run)
{
	uint64_t duration = (uint64_t)options__role_number(run->options, ROLE_DURATION, 0);
	uint64_t interval = (uint64_t)options__role_number(run->options, ROLE_INTERVAL, 0);

	run->now_ns = clock__ns(CLOCK_MONOTONIC);
	run->tell_ns = run->now_ns + NS_PER_S;
	run->interval_ns = interval * NS_PER_S;
	run->deadline_ns = duration ? run->now_ns + duration * NS_PER_S : UINT64_MAX;
	run->due_ns = interval ? run->now_ns + run->interval_ns : UINT64_MAX;
	run->prints_left = (uint64_t)options__role_number(run->options, ROLE_COUNT, 0);
}

static bool streams(const struct run *run)
{
	return run->ring || run->perf || run->trace_fd >= 0;
}

/* Have the descriptor readable when something is due: with a batch that is not done, at once. */
static bool set_timer(struct run *run)
{
	uint64_t next = run->deadline_ns < run->due_ns ? run->deadline_ns : run->due_ns;
	struct itimerspec when = { 0 };

	if (run->stacks && run->look_ns < next)
		next = run->look_ns;
	if (streams(run) && run->now_ns + (uint64_t)run->poll_ms * NS_PER_MS < next)
		next = run->now_ns + (uint64_t)run->poll_ms * NS_PER_MS;
	if (run->command.pid && run->command.pid_fd < 0 &&
	    run->now_ns + LONG_WAIT_MS * NS_PER_MS < next)
		next = run->now_ns + LONG_WAIT_MS * NS_PER_MS;
	/* At once is 1: a timer that is set to 0 never fires. */
	if (run->batch <= 0 || run->unwanted || !next)
		next = 1;
	if (next != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(next / NS_PER_S);
		when.it_value.tv_nsec = (long)(next % NS_PER_S);
	}
	if (!timerfd_settime(run->timer_fd, TFD_TIMER_ABSTIME, &when, NULL))
		return true;
	buf__printf(&run->error, "cannot set a timer: %s", strerror(errno));
	return false;
}

void run__init(struct run *run, const struct order *order)
{
	memset(run, 0, sizeof(*run));
	run->order = order;
	run->options = order->options;
	run->spec = order->options->spec;
	run->command = COMMAND_NONE;
	run->trace_fd = run->epoll_fd = run->timer_fd = -1;
	run->batch = BATCH_EVENTS;
	run->poll_ms = SHORT_WAIT_MS;
	run->kernel.tell = tell;
	run->kernel.ctx = run;
	run->kernel.source = order->source;
	run->kernel.log = order->log;
}

/* Load, attach, and let COMMAND go. */
static bool start(struct run *run)
{
	const struct order *order = run->order;
	struct run_clock clock;
	struct places places;
	struct limit limit;

	run->kernel.verbose = options__role_number(run->options, ROLE_VERBOSE, 0) != 0;
	if (!requires__allowed(&run->error) || !requires__check(run->spec, &run->error) ||
	    !limit_to_cgroup(run, &limit))
		return false;
	undo__push(&run->undo, free_kernel_half, abandon_kernel_half, run);
	if (!kernel_half__load(&run->kernel, order->elf, order->size, run->options, &limit,
			       order->foreign, &run->error))
		return false;
	undo__push(&run->undo, close_streams, NULL, run);
	undo__push(&run->undo, free_output, NULL, run);
	if ((run->spec->has_events && !open_events(run)) ||
	    (run->spec->trace_pipe.present && !open_trace(run)) || !begin_stacks(run) ||
	    !open_waiting(run))
		return false;
	clock.start_mono_ns = clock__ns(CLOCK_MONOTONIC);
	clock.wall_minus_mono_ns = (int64_t)(clock__ns(CLOCK_REALTIME) - clock.start_mono_ns);
	run->record = calloc(1, run->spec->events.size + 1);
	if (!renderer__init(&run->renderer, run->spec, run->options, &clock, &run->out,
			    &run->err) ||
	    !run->record) {
		buf__puts(&run->error, "out of memory");
		return false;
	}
	places.options = run->options;
	places.bcc = &run->kernel.bcc;
	places.cgroup = limit.folder;
	places.own_cgroup = run->options->command != NULL;
	if (!kernel_half__attach(&run->kernel, &places, order->foreign, &run->error))
		return false;
	renderer__begin(&run->renderer);
	write_messages(run);
	if (run->options->command &&
	    !command__go(&run->command, run->options->command, &run->error))
		return false;
	set_times(run);
	run->written_ns = run->now_ns;
	write_due(run);
	return set_timer(run);
}

int run__start(struct run *run)
{
	bool ok;

	kernel_half__listen(&run->kernel);
	ok = start(run);
	kernel_half__listen(NULL);
	if (ok)
		return 0;
	/* Whatever seems to be wrong then, this is. */
	if (file__few_left()) {
		run->error.len = 0;
		buf__puts(&run->error, "too few files may be open: raise the limit (ulimit -n)");
		return -1;
	}
	return run->kernel.refused && !run->error.len ? BPFDUET_REFUSED : -1;
}

bool run__over(struct run *run)
{
	return clock__ns(CLOCK_MONOTONIC) >= run->deadline_ns ||
	       (run->options->command && command__ended(&run->command));
}

/* Whether the run goes on; prints the reports of an interval. */
static bool look_at_clock(struct run *run)
{
	run->now_ns = clock__ns(CLOCK_MONOTONIC);
	if (run__over(run) || !look_at_stacks(run))
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

int run__poll(struct run *run, int timeout_ms)
{
	struct pollfd ready = { .fd = run->epoll_fd, .events = POLLIN };
	bool going;

	if (timeout_ms)
		poll(&ready, 1, timeout_ms);
	going = look_at_clock(run);
	if (take_in(run))
		run->poll_ms = SHORT_WAIT_MS;
	else if (run->poll_ms < LONG_WAIT_MS)
		run->poll_ms = run->poll_ms * 2 < LONG_WAIT_MS ? run->poll_ms * 2 : LONG_WAIT_MS;
	tell_loss(run, false);
	write_due(run);
	going = going && !run->unwanted && set_timer(run);
	return run->error.len || run->error.failed ? -1 : going;
}

int run__report(struct run *run)
{
	bool ok = print_reports(run);

	write_due(run);
	return ok ? 0 : -1;
}

int run__stop(struct run *run, bool terminate)
{
	bool ok = true;

	if (run->options->command && terminate)
		command__terminate(&run->command);
	kernel_half__detach(&run->kernel);
	/*
	 * The buffer gets nothing more; others may write to the trace pipe for ever. What is not
	 * wanted is counted.
	 */
	do {
		take_in(run);
	} while (run->batch <= 0);
	if (!run->unwanted && !run->error.len && !run->error.failed)
		ok = print_reports(run);
	write_data(run);
	tell_loss(run, true);
	write_data(run);
	write_messages(run);
	return ok ? 0 : -1;
}

int run__close(struct run *run)
{
	bool ok = undo__all(&run->undo, &run->error);

	buf__free(&run->out);
	buf__free(&run->err);
	buf__free(&run->trace);
	return ok ? 0 : -1;
}

void run__abandon(const struct run *run)
{
	undo__abandon(&run->undo);
}
