/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_REQUIRES_H
#define BPFDUET_REQUIRES_H

#include <bpf/libbpf.h>

#include "spec/spec.h"

/* What the running kernel offers, asked before anything is loaded. */

/* Where tracefs is mounted; NULL with one sentence in `error` if it is not. */
const char *requires__tracefs(struct buf *error);

/* Whether this process may load tracing programs, and the kernel is not locked down. */
bool requires__allowed(struct buf *error);

/*
 * Split "KIND[?]:NAME". false if it is no such thing. `kind` has room for the whole text.
 */
bool requires__split(const char *text, char *kind, bool *optional, const char **name);

/* 1 if the kernel has it, 0 if not, -1 with one sentence if that cannot be told. */
int requires__present(const char *kind, const char *name, struct buf *error);

/* The same of the place that a program's section names (probe_kind.h). */
int requires__attachable(const struct bpf_program *prog, struct buf *error);

/* Whether the kernel would leave out runs of a program there: those during which it preempts. */
bool requires__skipped(const struct bpf_program *prog);

/* The sentence about such a place that is not there. */
void requires__unattachable(const struct bpf_program *prog, struct buf *error);

/* The sentence about something that is not there. */
void requires__missing(const char *kind, const char *name, struct buf *error);

/* Check all that a spec cannot do without; false with one sentence for what is missing. */
bool requires__check(const struct spec *spec, struct buf *error);

#endif
