/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_ENTRIES_H
#define BPFDUET_ENTRIES_H

#include "spec/spec.h"

struct kernel_half;

/* Entries of one map: pairs of key and value, one after the other, in any order. */
struct entries {
	uint8_t *data;
	size_t n;
	size_t key_size, value_size;
};

static inline uint8_t *entries__key(const struct entries *e, size_t i)
{
	return e->data + i * (e->key_size + e->value_size);
}

static inline uint8_t *entries__value(const struct entries *e, size_t i)
{
	return entries__key(e, i) + e->key_size;
}

/* Whether n bytes are all zero. */
bool entries__is_zero(const uint8_t *p, size_t n);

/* Add up one key's values of all CPUs (`n`, each `stride` bytes after the other) into `sum`. */
void report__sum_cpus(const struct report *report, uint8_t *sum, const uint8_t *values,
		      size_t stride, size_t n);

/*
 * Read a report's map, summed over the CPUs, and empty it if the report says so. The entries'
 * data is the caller's to free.
 */
bool kernel_half__read(const struct kernel_half *k, const struct report *report,
		       struct entries *entries, struct buf *error);

#endif
