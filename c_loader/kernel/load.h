/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_LOAD_H
#define BPFDUET_LOAD_H

#include "kernel/attach.h"
#include "kernel/bcc_object.h"
#include "spec/options.h"
#include "kernel/pin.h"

/* A kernel half: opened, loaded, attached. Functions that fail leave one sentence in `error`. */
struct kernel_half {
	struct bpf_object *obj;
	struct attachments attached;
	struct pins pins;
	struct bcc_object bcc;
	int cpus;
	/* Set before the load: where lines for stderr go, and all that libbpf says if `verbose`. */
	void (*tell)(void *ctx, const char *text, size_t size);
	void *ctx;
	bool verbose;
	const char *source; /* what the object was compiled of, NULL: unknown */
	/*
	 * Where the kernel's words go if it refuses an object of BCC's, for the caller to say why;
	 * `refused` says so then, and there is no sentence. NULL: it does not.
	 */
	struct buf *log;
	bool refused;
	struct buf said; /* warnings of libbpf */
	bool trying; /* a load that may well fail: what libbpf says of it is held back */
	struct buf held;
};

/* The cgroup that a run is limited to. */
struct limit {
	bool given;
	const char *folder;
	uint64_t id;
	int level;
};

/* A section that holds the bound spec's text. */
#define SPEC_SECTION ".bpfduet"
/* What a section of an object file's bytes holds; false if it has none or is no object. */
bool elf__find_section(const void *elf, size_t size, const char *wanted, const char **text,
		       size_t *len);

/* What libbpf says in this thread from now on is `k`'s; NULL: nobody's. */
void kernel_half__listen(struct kernel_half *k);

/* Open, set constants and sizes, load. `k` is all zero but for `caller`. `foreign` objects
 * hold no spec and are taken as they are. */
bool kernel_half__load(struct kernel_half *k, const void *elf, size_t size,
		       const struct options *options, const struct limit *limit, bool foreign,
		       struct buf *error);

/*
 * Attach all that was loaded. Of a foreign object what cannot be attached is left out, with a
 * line on stderr; that nothing could is an error.
 */
bool kernel_half__attach(struct kernel_half *k, const struct places *places, bool foreign,
			 struct buf *error);
void kernel_half__detach(struct kernel_half *k);
void kernel_half__free(struct kernel_half *k);

/* Descriptor of a map, -1 if there is none of that name. */
int kernel_half__map(const struct kernel_half *k, const char *name);

/* Records that the kernel half had no room for. */
uint64_t kernel_half__lost(const struct kernel_half *k);
/*
 * How often the kernel did not run a program, for it was still running on that CPU
 * (recursion_misses of struct bpf_prog_info); 0 before Linux 5.12, which does not tell.
 */
uint64_t kernel_half__skipped(const struct kernel_half *k);

#endif
