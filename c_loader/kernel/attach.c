// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/attach.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reason.h"
#include "kernel/binary.h"
#include "kernel/cgroup.h"
#include "kernel/probe_kind.h"
#include "kernel/requires.h"
#include "kernel/usdt.h"

/* Newer than the oldest headers this compiles with. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

struct attachment {
	struct bpf_link *link; /* NULL: one of the others */
	int fd; /* a link or a socket of our own, -1 if none */
	struct bpf_tc_hook hook; /* ifindex 0 if it is no filter of a qdisc */
	struct bpf_tc_opts filter;
	int group; /* folder of the cgroup that `prog` is attached to without a link, -1 if none */
	int prog;
	enum bpf_attach_type type;
};

static struct attachment *append(struct attachments *a)
{
	struct attachment *list = realloc(a->list, (a->n + 1) * sizeof(*list));

	if (!list)
		return NULL;
	a->list = list;
	memset(&list[a->n], 0, sizeof(*list));
	list[a->n].fd = -1;
	list[a->n].group = -1;
	return &list[a->n++];
}

static bool keep_link(struct attachments *a, struct bpf_link *link)
{
	struct attachment *at = link ? append(a) : NULL;

	if (at)
		at->link = link;
	else if (link)
		bpf_link__destroy(link);
	return at != NULL;
}

static bool keep_fd(struct attachments *a, int fd)
{
	struct attachment *at = fd >= 0 ? append(a) : NULL;

	if (at)
		at->fd = fd;
	else if (fd >= 0)
		close(fd);
	return at != NULL;
}

bool attachments__add_plain(struct attachments *a, struct bpf_program *prog)
{
	return keep_link(a, bpf_program__attach(prog));
}

void attachments__clear(struct attachments *a)
{
	struct attachment *at;

	while (a->n) {
		at = &a->list[--a->n];
		bpf_link__destroy(at->link);
		if (at->fd >= 0)
			close(at->fd);
		if (at->hook.ifindex) {
			/* A filter is detached by its handle and priority alone. */
			at->filter.prog_fd = 0;
			at->filter.prog_id = 0;
			at->filter.flags = 0;
			bpf_tc_detach(&at->hook, &at->filter);
		}
		if (at->group >= 0) {
			bpf_prog_detach2(at->prog, at->group, at->type);
			close(at->group);
		}
	}
	free(a->list);
	a->list = NULL;
}

/* -- perf events ---------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	__u32 type;
	__u64 config;
} perf_events[] = {
	{ "cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
	{ "task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
	{ "page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN },
	{ "major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ },
	{ "context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
	{ "cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES },
	{ "cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
	{ "branch-instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	{ "branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES },
};

static bool describe_event(const char *name, struct perf_event_attr *attr, struct buf *error)
{
	size_t i;

	memset(attr, 0, sizeof(*attr));
	attr->size = sizeof(*attr);
	for (i = 0; i < sizeof(perf_events) / sizeof(perf_events[0]); i++) {
		if (strcmp(perf_events[i].name, name))
			continue;
		attr->type = perf_events[i].type;
		attr->config = perf_events[i].config;
		return true;
	}
	buf__puts(error, "there is no perf event '");
	buf__puts(error, name);
	buf__puts(error, "'");
	return false;
}

static int open_event(struct perf_event_attr *attr, int pid, int cpu)
{
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static void no_event(struct buf *error, const char *name)
{
	if (errno == ENOENT || errno == EOPNOTSUPP || errno == ENODEV)
		buf__printf(error, "this machine does not count the perf event '%s'", name);
	else
		buf__printf(error, "cannot open the perf event '%s': %s", name, strerror(errno));
}

/* What the spec says of one program, with the options' values in it. Empty if it says nothing. */
struct setting {
	const struct options *options;
	struct buf text;
};

static const char *setting__get(struct setting *s, const char *template)
{
	s->text.len = 0;
	if (!template || !options__fill(s->options, template, &s->text) || !s->text.len)
		return NULL;
	buf__putc(&s->text, '\0');
	return s->text.failed ? NULL : s->text.data;
}

static unsigned long long setting__number(struct setting *s, const char *template)
{
	const char *text = setting__get(s, template);

	return text ? strtoull(text, NULL, 0) : 0;
}

static bool open_counters(int map_fd, const char *event, int cpus, struct buf *error)
{
	struct perf_event_attr attr;
	int cpu, fd, err, opened = 0;

	if (!describe_event(event, &attr, error))
		return false;
	for (cpu = 0; cpu < cpus; cpu++) {
		fd = open_event(&attr, -1, cpu);
		if (fd < 0 && errno == ENODEV)
			continue; /* possible, but not online */
		if (fd < 0) {
			no_event(error, event);
			return false;
		}
		/* From here on the map holds it. */
		err = bpf_map_update_elem(map_fd, &cpu, &fd, BPF_ANY);
		close(fd);
		if (err) {
			buf__printf(error, "cannot count '%s': %s", event, reason(err));
			return false;
		}
		opened++;
	}
	if (!opened)
		no_event(error, event);
	return opened;
}

bool attach__open_counters(int map_fd, const char *event, int cpus, const struct options *options,
			   struct buf *error)
{
	struct setting setting = { .options = options };
	const char *name = setting__get(&setting, event);
	bool ok = open_counters(map_fd, name ? name : "", cpus, error);

	buf__free(&setting.text);
	return ok;
}

static bool attach_perf(struct attachments *a, struct bpf_program *prog, const struct program *how,
			struct setting *s, struct buf *error)
{
	int cpu, fd, cpus = libbpf_num_possible_cpus(), pid;
	unsigned long long period, frequency;
	struct perf_event_attr attr;
	struct bpf_link *link;
	const char *event;
	size_t before = a->n;

	pid = (int)setting__number(s, how->process);
	period = setting__number(s, how->period);
	frequency = setting__number(s, how->frequency);
	event = setting__get(s, how->event);
	if (!event || (!period && !frequency)) {
		buf__puts(error, "the spec does not say which perf event, or how often");
		return false;
	}
	if (!describe_event(event, &attr, error))
		return false;
	attr.freq = !period;
	attr.sample_period = period ? period : frequency;
	for (cpu = 0; cpu < cpus; cpu++) {
		fd = open_event(&attr, pid ? pid : -1, cpu);
		if (fd < 0 && errno == ENODEV)
			continue; /* possible, but not online */
		if (fd < 0) {
			no_event(error, event);
			return false;
		}
		/* The link owns the event from now on. */
		link = bpf_program__attach_perf_event(prog, fd);
		if (!link)
			close(fd);
		if (!keep_link(a, link)) {
			buf__puts(error, strerror(errno));
			return false;
		}
	}
	if (a->n == before)
		no_event(error, event);
	return a->n > before;
}

/* -- uprobes -------------------------------------------------------------------------------------
 */

/* BINARY:SYMBOL; a symbol may be followed by +OFFSET. */
static bool attach_uprobe(struct attachments *a, struct bpf_program *prog, bool at_return,
			  char *target, int pid, struct buf *error)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = at_return);
	char *symbol = strrchr(target, ':'), *plus, *path;
	size_t offset = 0;
	bool ok;

	if (!symbol || symbol == target || !symbol[1]) {
		buf__printf(error, "'%s' is not BINARY:SYMBOL", target);
		return false;
	}
	*symbol++ = '\0';
	plus = strchr(symbol, '+');
	if (plus) {
		*plus = '\0';
		offset = strtoull(plus + 1, NULL, 0);
	}
	opts.func_name = *symbol ? symbol : NULL; /* else the offset is that in the file */
	path = binary__find(target, pid, error);
	if (!path)
		return false;
	ok = keep_link(a,
		       bpf_program__attach_uprobe_opts(prog, pid ? pid : -1, path, offset, &opts));
	if (!ok && errno == ENOENT)
		buf__printf(error, "there is no function '%s' in '%s', or no such file", symbol,
			    target);
	else if (!ok && errno == LIBBPF_ERRNO__FORMAT)
		buf__printf(error,
			    "'%s' is no ELF file, or has several functions '%s': give the place "
			    "of one in the file, '%s:+0xOFFSET' (readelf -sW)",
			    target, symbol, target);
	else if (!ok)
		buf__printf(error, "'%s:%s': %s", target, symbol, reason(errno));
	free(path);
	return ok;
}

/* Where the places of a probe are in a file, in the form that the kernel takes them in. */
struct probe_places {
	unsigned long *offsets, *semaphores;
	__u64 *cookies;
	size_t n;
};

static void probe_places__free(struct probe_places *p)
{
	free(p->offsets);
	free(p->semaphores);
	free(p->cookies);
}

/* false with one sentence; probe_places__free() in any case. */
static bool probe_places__read(struct probe_places *p, const struct bcc_probe *probe,
			       struct buf *error)
{
	const struct json *entry;
	struct bcc_place place;
	size_t n = 0;

	json__for_each(entry, probe->places) n++;
	*p = (struct probe_places){
		.offsets = calloc(n + 1, sizeof(*p->offsets)),
		.semaphores = calloc(n + 1, sizeof(*p->semaphores)),
		.cookies = calloc(n + 1, sizeof(*p->cookies)),
	};
	if (!p->offsets || !p->semaphores || !p->cookies) {
		buf__puts(error, "out of memory");
		return false;
	}
	json__for_each(entry, probe->places)
	{
		if (!bcc_place__read(&place, entry))
			break;
		p->offsets[p->n] = place.offset;
		p->semaphores[p->n] = place.semaphore;
		p->cookies[p->n++] = place.cookie;
	}
	if (n && p->n == n)
		return true;
	buf__puts(error, "the table of probes is damaged: compile the object again with "
			 "'bpfduet run'");
	return false;
}

/* One link for each place. */
static bool attach_each(struct attachments *a, struct bpf_program *prog,
			const struct probe_places *places, int pid, const char *path)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts);
	size_t i;

	for (i = 0; i < places->n; i++) {
		opts.ref_ctr_offset = places->semaphores[i];
		opts.bpf_cookie = places->cookies[i];
		if (!keep_link(a, bpf_program__attach_uprobe_opts(prog, pid, path,
								  places->offsets[i], &opts)))
			return false;
	}
	return true;
}

#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 3
/* From 1.3 on libbpf loads USDT programs for one link, where the kernel has such (Linux 6.6). */
static bool attach_places(struct attachments *a, struct bpf_program *prog,
			  const struct probe_places *places, int pid, const char *path)
{
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = places->offsets,
		    .ref_ctr_offsets = places->semaphores, .cookies = places->cookies,
		    .cnt = places->n);

	if (bpf_program__expected_attach_type(prog) != BPF_TRACE_UPROBE_MULTI)
		return attach_each(a, prog, places, pid, path);
	return keep_link(a, bpf_program__attach_uprobe_multi(prog, pid, path, NULL, &opts));
}
#else
#define attach_places attach_each
#endif

/*
 * Where an object of BCC's says that the probe is. By the descriptor, so that it is the file that
 * was looked at. The kernel counts up the semaphore in each process that has the file mapped.
 */
static bool attach_probe_of_bcc(struct attachments *a, struct bpf_program *prog,
				const struct usdt_target *target, const struct bcc_probe *probe,
				int pid, struct buf *error)
{
	struct probe_places places;
	char path[32];
	bool ok;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target->fd);
	ok = probe_places__read(&places, probe, error);
	if (ok) {
		ok = attach_places(a, prog, &places, pid ? pid : -1, path);
		if (!ok)
			buf__printf(error, "'%s:%s:%s': %s", target->binary, target->provider,
				    target->name, reason(errno));
	}
	probe_places__free(&places);
	return ok;
}

/* BINARY:PROVIDER:NAME */
static bool attach_usdt(struct attachments *a, struct bpf_program *prog,
			const struct bcc_object *bcc, const char *text, int pid, struct buf *error)
{
	struct usdt_target target;
	struct bcc_probe probe;
	bool ok;

	if (!usdt_target__open(&target, text, pid, error))
		return false;
	if (bcc->doc) {
		bcc_object__find_probe(bcc, bpf_program__name(prog), &probe);
		ok = usdt_target__fits(&target, &probe, error) &&
		     attach_probe_of_bcc(a, prog, &target, &probe, pid, error);
		goto cleanup;
	}
	ok = keep_link(a, bpf_program__attach_usdt(prog, pid ? pid : -1, target.path,
						   target.provider, target.name, NULL));
	if (!ok && errno == ENOENT)
		usdt_target__missing(&target, error);
	else if (!ok)
		buf__printf(error, "'%s:%s:%s': %s", target.binary, target.provider, target.name,
			    reason(errno));
cleanup:
	usdt_target__close(&target);
	return ok;
}

/* A function of the kernel. */
static bool attach_function(struct attachments *a, struct bpf_program *prog, bool at_return,
			    const char *name, struct buf *error)
{
	int present = requires__present("kprobe", name, error);

	if (!present)
		requires__missing("kprobe", name, error);
	if (present <= 0)
		return false;
	if (keep_link(a, bpf_program__attach_kprobe(prog, at_return, name)))
		return true;
	buf__printf(error, "the kernel does not let '%s' be probed", name);
	return false;
}

/* What is BINARY:SYMBOL is of user space, anything else a function of the kernel. */
static bool attach_probe(struct attachments *a, struct bpf_program *prog, bool at_return,
			 char *target, int pid, struct buf *error)
{
	if (strchr(target, ':'))
		return attach_uprobe(a, prog, at_return, target, pid, error);
	if (*target)
		return attach_function(a, prog, at_return, target, error);
	buf__puts(error, "no function is given");
	return false;
}

/*
 * Where a program of user space belongs, and in which process (0: in any). The section's name is
 * KIND or KIND/TARGET, the spec may say another target. To be freed; NULL without memory.
 */
static char *find_target(struct bpf_program *prog, const struct program *how, struct setting *s,
			 int *pid)
{
	const char *slash = strchr(bpf_program__section_name(prog), '/'), *given;

	*pid = how ? (int)setting__number(s, how->process) : 0;
	given = how ? setting__get(s, how->target) : NULL;
	return strdup(given ? given : slash ? slash + 1 : "");
}

static bool attach_user(struct attachments *a, struct bpf_program *prog,
			const struct probe_kind *kind, const struct program *how,
			const struct places *places, struct setting *s, struct buf *error)
{
	char *target;
	bool ok;
	int pid;

	target = find_target(prog, how, s, &pid);
	if (!target) {
		buf__puts(error, "out of memory");
		return false;
	}
	if (kind->way == WAY_USDT)
		ok = attach_usdt(a, prog, places->bcc, target, pid, error);
	else if (kind->way == WAY_PROBE)
		ok = attach_probe(a, prog, kind->at_return, target, pid, error);
	else
		ok = attach_uprobe(a, prog, kind->at_return, target, pid, error);
	free(target);
	return ok;
}

/* -- the network ------------------------------------------------------------------------------- */

/* Index of the interface that the spec names; 0 with a sentence if there is none. */
static unsigned int find_interface(const struct program *how, struct setting *s, struct buf *error)
{
	const char *name = how ? setting__get(s, how->interface) : NULL;
	unsigned int index = name ? if_nametoindex(name) : 0;

	if (!name)
		buf__puts(error, "no network interface is given");
	else if (!index)
		buf__printf(error, "there is no network interface '%s'", name);
	return index;
}

/* A filter of the clsact queueing discipline: what kernels before 6.6 have. */
static bool attach_filter(struct attachments *a, int prog, unsigned int ifindex, bool egress,
			  struct buf *error)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = prog);
	struct attachment *at;
	int err;

	/* It stays: others may use it, and without filters it does nothing. */
	err = bpf_tc_hook_create(&hook);
	if (!err || err == -EEXIST)
		err = bpf_tc_attach(&hook, &filter);
	if (err) {
		buf__puts(error, reason(err));
		return false;
	}
	at = append(a);
	if (!at) {
		filter.prog_fd = filter.prog_id = filter.flags = 0;
		bpf_tc_detach(&hook, &filter);
		buf__puts(error, "out of memory");
		return false;
	}
	at->hook = hook;
	at->filter = filter;
	return true;
}

static bool attach_tc(struct attachments *a, int prog, unsigned int ifindex, bool egress,
		      struct buf *error)
{
	int fd = bpf_link_create(prog, (int)ifindex, egress ? TCX_EGRESS : TCX_INGRESS, NULL);

	if (fd < 0)
		return attach_filter(a, prog, ifindex, egress, error);
	if (keep_fd(a, fd))
		return true;
	buf__puts(error, "out of memory");
	return false;
}

/* A packet socket sees what comes and goes; the program keeps everything from its queue or not. */
static bool attach_socket(struct attachments *a, int prog, unsigned int ifindex, struct buf *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	/* Of no protocol, so that nothing gets in before the program is there. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)) &&
	    !bind(fd, (struct sockaddr *)&address, sizeof(address)) && keep_fd(a, fd))
		return true;
	buf__puts(error, strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

/* Without a link: what is attached to the run's own cgroup ends with that at the latest. */
static bool attach_group(struct attachments *a, struct bpf_program *prog, int folder)
{
	struct attachment at = {
		.fd = -1,
		.group = fcntl(folder, F_DUPFD_CLOEXEC, 0),
		.prog = bpf_program__fd(prog),
		.type = bpf_program__expected_attach_type(prog),
	};
	struct attachment *kept;

	if (at.group < 0)
		return false;
	if (bpf_prog_attach(at.prog, at.group, at.type, BPF_F_ALLOW_MULTI)) {
		close(at.group);
		return false;
	}
	kept = append(a);
	if (!kept) {
		bpf_prog_detach2(at.prog, at.group, at.type);
		close(at.group);
		errno = ENOMEM;
		return false;
	}
	*kept = at;
	return true;
}

static bool attach_cgroup(struct attachments *a, struct bpf_program *prog,
			  const struct places *places, struct buf *error)
{
	char *mountinfo = NULL, *root = NULL;
	const char *folder = places->cgroup;
	bool ok = false;
	int fd = -1;

	if (!folder) {
		mountinfo = read_file("/proc/self/mountinfo");
		folder = root = mountinfo ? cgroup__folder(mountinfo, "/", error) : NULL;
	}
	if (folder)
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		ok = !places->own_cgroup && keep_link(a, bpf_program__attach_cgroup(prog, fd));
	/* Linux has no links there before 5.7. */
	if (fd >= 0 && !ok)
		ok = attach_group(a, prog, fd);
	if (!ok && !error->len)
		buf__puts(error, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(mountinfo);
	free(root);
	return ok;
}

/* A program that is to run once, now. */
static bool run_once(int prog, struct buf *error)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int err = bpf_prog_test_run_opts(prog, &opts);

	if (err)
		buf__puts(error, reason(err));
	return !err;
}

/* Whether `requires` has a tracepoint that the kernel need not have. */
static bool is_optional(const struct spec *spec, const char *tracepoint)
{
	const char *name;
	char kind[32];
	bool optional;
	size_t i;

	for (i = 0; i < spec->n_requires; i++) {
		if (requires__split(spec->requires[i], kind, &optional, &name) && optional &&
		    !strcmp(kind, "tracepoint") && !strcmp(name, tracepoint))
			return true;
	}
	return false;
}

/* The program of one tracepoint at others, too. */
static bool attach_also(struct attachments *a, struct bpf_program *prog,
			const struct probe_kind *kind, const struct program *how,
			const struct spec *spec, struct buf *error)
{
	char category[128];
	const char *colon;
	int present;
	size_t i;

	for (i = 0; i < how->n_also; i++) {
		colon = strchr(how->also[i], ':');
		if (!kind->requires || strcmp(kind->requires, "tracepoint") || !colon ||
		    (size_t)(colon - how->also[i]) >= sizeof(category)) {
			buf__printf(error,
				    "it cannot be at '%s' too: the bound spec does not fit its "
				    "object, build it again",
				    how->also[i]);
			return false;
		}
		present = requires__present("tracepoint", how->also[i], error);
		if (present < 0)
			return false;
		if (!present && is_optional(spec, how->also[i]))
			continue;
		if (!present) {
			requires__missing("tracepoint", how->also[i], error);
			return false;
		}
		snprintf(category, sizeof(category), "%.*s", (int)(colon - how->also[i]),
			 how->also[i]);
		if (!keep_link(a, bpf_program__attach_tracepoint(prog, category, colon + 1))) {
			buf__printf(error, "at %s: %s", how->also[i], reason(errno));
			return false;
		}
	}
	return true;
}

static bool attach(struct attachments *a, struct bpf_program *prog, const struct program *how,
		   const struct places *places, struct setting *s, struct buf *error)
{
	const struct probe_kind *kind = probe_kind__of(prog);
	int fd = bpf_program__fd(prog);
	unsigned int ifindex = 0;

	if (probe_kind__has_interface(kind)) {
		ifindex = find_interface(how, s, error);
		if (!ifindex)
			return false;
	}
	switch (kind->way) {
	case WAY_ONCE:
		return run_once(fd, error);
	case WAY_PROBE:
	case WAY_UPROBE:
	case WAY_USDT:
		return attach_user(a, prog, kind, how, places, s, error);
	case WAY_XDP:
		if (keep_link(a, bpf_program__attach_xdp(prog, (int)ifindex)))
			return true;
		break;
	case WAY_TC:
		return attach_tc(a, fd, ifindex, how->egress, error);
	case WAY_SOCKET:
		return attach_socket(a, fd, ifindex, error);
	case WAY_CGROUP:
		return attach_cgroup(a, prog, places, error);
	case WAY_PERF:
		if (how)
			return attach_perf(a, prog, how, s, error);
		buf__puts(error, "the spec does not say which perf event, or how often");
		return false;
	case WAY_LIBBPF:
		if (attachments__add_plain(a, prog))
			return !how ||
			       attach_also(a, prog, kind, how, places->options->spec, error);
		break;
	}
	buf__puts(error, reason(errno));
	return false;
}

static void cannot_attach(struct bpf_program *prog, const struct buf *why, struct buf *error)
{
	buf__printf(error, "cannot attach %s (%s): ", bpf_program__name(prog),
		    bpf_program__section_name(prog));
	buf__write(error, why->data, why->len);
}

bool attach__check_binary(struct bpf_program *prog, const struct bcc_object *bcc,
			  const struct options *options, struct buf *error)
{
	const struct program *how = spec__find_program(options->spec, bpf_program__name(prog));
	struct setting setting = { .options = options };
	struct usdt_target target;
	struct bcc_probe probe;
	struct buf why = { 0 };
	bool ok = false;
	char *text;
	int pid;

	if (!bcc_object__find_probe(bcc, bpf_program__name(prog), &probe))
		return true;
	text = find_target(prog, how, &setting, &pid);
	if (!text)
		buf__puts(&why, "out of memory");
	else if (usdt_target__open(&target, text, pid, &why)) {
		ok = usdt_target__fits(&target, &probe, &why);
		usdt_target__close(&target);
	}
	if (!ok)
		cannot_attach(prog, &why, error);
	free(text);
	buf__free(&why);
	buf__free(&setting.text);
	return ok;
}

bool attachments__add(struct attachments *a, struct bpf_program *prog, const struct places *places,
		      struct buf *error)
{
	struct setting setting = { .options = places->options };
	const struct program *how =
		spec__find_program(places->options->spec, bpf_program__name(prog));
	struct buf why = { 0 };
	bool ok;

	ok = attach(a, prog, how, places, &setting, &why);
	if (!ok)
		cannot_attach(prog, &why, error);
	buf__free(&why);
	buf__free(&setting.text);
	return ok;
}
