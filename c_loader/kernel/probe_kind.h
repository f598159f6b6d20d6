/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_PROBE_KIND_H
#define BPFDUET_PROBE_KIND_H

#include <bpf/libbpf.h>

/* How a program gets to its place, and how that is written, in the spec or behind the section. */
enum way {
	WAY_LIBBPF, /* as libbpf does by the section's name alone */
	WAY_ONCE, /* nowhere: it runs once, now */
	WAY_PROBE, /* FUNCTION of the kernel, or BINARY:SYMBOL */
	WAY_UPROBE, /* BINARY:SYMBOL */
	WAY_USDT, /* BINARY:PROVIDER:PROBE */
	WAY_XDP, /* an interface */
	WAY_TC, /* an interface */
	WAY_SOCKET, /* an interface */
	WAY_CGROUP, /* the cgroup that a run is limited to, or all */
	WAY_PERF, /* an event of each CPU, and how often */
};

/* One kind of program; all that tells one from another is in probe_kind.c's table. */
struct probe_kind {
	const char
		*section; /* what names it: "KIND", "KIND/" with a place, "KIND*" with anything */
	enum bpf_prog_type type; /* if no section does */
	enum way way;
	bool at_return;
	/* The word that `requires` of a spec has for its places; NULL: none, libbpf tells. */
	const char *requires;
	/* Places, as the section has them, where Linux 7.2 and later preempt programs. */
	const char *preempted;
};

const struct probe_kind *probe_kind__of(const struct bpf_program *prog);

/* Whether an interface must be given. */
bool probe_kind__has_interface(const struct probe_kind *kind);

/*
 * The place that a section names, as `requires` has it (CATEGORY:EVENT). false if nothing is
 * required of this kind.
 */
bool probe_kind__place(const struct probe_kind *kind, const struct bpf_program *prog, char *place,
		       size_t room);

/* Whether a place is one of those where programs may be preempted. */
bool probe_kind__is_preempted(const struct probe_kind *kind, const struct bpf_program *prog);

#endif
