// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/probe_kind.h"

#include <stdio.h>
#include <string.h>

/* The first that fits counts; the last one always does. */
static const struct probe_kind kinds[] = {
	{ .section = "tracepoint/", .requires = "tracepoint", .preempted = "syscalls/" },
	{ .section = "tp/", .requires = "tracepoint", .preempted = "syscalls/" },
	{ .section = "raw_tracepoint/", .requires = "raw_tracepoint" },
	{ .section = "raw_tp/", .requires = "raw_tracepoint" },
	{ .section = "tp_btf/", .requires = "raw_tracepoint" },
	{ .section = "kprobe/", .requires = "kprobe" },
	{ .section = "kretprobe/", .requires = "kprobe" },
	{ .section = "fentry/", .requires = "fentry", .preempted = "" },
	{ .section = "fexit/", .requires = "fentry" },
	{ .section = "lsm/", .requires = "lsm" },
	{ .section = "raw_tp", .way = WAY_ONCE },
	{ .section = "kprobe", .way = WAY_PROBE },
	{ .section = "kretprobe", .way = WAY_PROBE, .at_return = true },
	{ .section = "uprobe*", .way = WAY_UPROBE },
	{ .section = "uretprobe*", .way = WAY_UPROBE, .at_return = true },
	{ .section = "usdt*", .way = WAY_USDT },
	{ .type = BPF_PROG_TYPE_XDP, .way = WAY_XDP },
	{ .type = BPF_PROG_TYPE_SCHED_CLS, .way = WAY_TC },
	{ .type = BPF_PROG_TYPE_SOCKET_FILTER, .way = WAY_SOCKET },
	{ .type = BPF_PROG_TYPE_CGROUP_SKB, .way = WAY_CGROUP },
	{ .type = BPF_PROG_TYPE_PERF_EVENT, .way = WAY_PERF },
	{ .section = "*", .way = WAY_LIBBPF },
};

static bool is_named(const char *section, const char *pattern)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return !strncmp(section, pattern, n - 1);
	return pattern[n - 1] == '/' ? !strncmp(section, pattern, n) : !strcmp(section, pattern);
}

const struct probe_kind *probe_kind__of(const struct bpf_program *prog)
{
	const char *section = bpf_program__section_name(prog);
	const struct probe_kind *kind = kinds;

	while (!(kind->section ? is_named(section, kind->section)
			       : bpf_program__type(prog) == kind->type))
		kind++;
	return kind;
}

bool probe_kind__has_interface(const struct probe_kind *kind)
{
	return kind->way == WAY_XDP || kind->way == WAY_TC || kind->way == WAY_SOCKET;
}

static const char *place_in_section(const struct probe_kind *kind, const struct bpf_program *prog)
{
	return bpf_program__section_name(prog) + strlen(kind->section);
}

bool probe_kind__place(const struct probe_kind *kind, const struct bpf_program *prog, char *place,
		       size_t room)
{
	char *slash;

	if (!kind->requires)
		return false;
	snprintf(place, room, "%s", place_in_section(kind, prog));
	slash = strchr(place, '/');
	if (slash)
		*slash = ':';
	return true;
}

bool probe_kind__is_preempted(const struct probe_kind *kind, const struct bpf_program *prog)
{
	return kind->preempted &&
	       !strncmp(place_in_section(kind, prog), kind->preempted, strlen(kind->preempted));
}
