/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_ATTACH_H
#define BPFDUET_ATTACH_H

#include <bpf/libbpf.h>

#include "kernel/bcc_object.h"
#include "spec/options.h"

/*
 * Programs at their places. A list of what is attached; zeroed it is empty. Whatever the kernel
 * can hold by a descriptor it does, so that nothing outlives the process (or COMMAND's cgroup).
 */
struct attachment;

struct attachments {
	struct attachment *list;
	size_t n;
};

/* What a run knows of where its programs belong. */
struct places {
	const struct options *options;
	const struct bcc_object *bcc; /* all zero if BCC has not compiled the object */
	const char *cgroup; /* folder of the cgroup that the run is limited to, NULL if none */
	bool own_cgroup; /* it was made for the run */
};

/*
 * Attach a loaded program by its type, its section's name and what the spec says of it. false
 * with one sentence in `error` if it cannot be.
 */
bool attachments__add(struct attachments *a, struct bpf_program *prog, const struct places *places,
		      struct buf *error);

/*
 * Before the load: whether the binary of a program that BCC has compiled for one alone is that
 * one. false with one sentence if not; true of all other programs.
 */
bool attach__check_binary(struct bpf_program *prog, const struct bcc_object *bcc,
			  const struct options *options, struct buf *error);

/* Attach as its section's name says, whatever the spec. false with errno set. */
bool attachments__add_plain(struct attachments *a, struct bpf_program *prog);

/*
 * Fill a perf event array: one event for each CPU, which counts until the map is gone. `event` is
 * the spec's text.
 */
bool attach__open_counters(int map_fd, const char *event, int cpus, const struct options *options,
			   struct buf *error);

/* Detach all, in the reverse order. */
void attachments__clear(struct attachments *a);

#endif
