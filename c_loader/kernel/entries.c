// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/entries.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "kernel/load.h"

bool entries__is_zero(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static void add_fields(const struct field *fields, size_t n, uint8_t *sum, const uint8_t *value)
{
	uint32_t j, elements;
	uint64_t v;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct field *f = &fields[i];

		elements = f->count ? f->count : 1;
		for (j = 0; j < elements; j++) {
			size_t at = f->offset + (size_t)j * f->size;

			if (f->kind == FIELD_STRUCT) {
				add_fields(f->fields, f->n_fields, sum + at, value + at);
			} else if (f->kind == FIELD_UINT || f->kind == FIELD_INT) {
				v = field__load(f, sum, j) + field__load(f, value, j);
				memcpy(sum + at, &v, f->size);
			}
		}
	}
}

void report__sum_cpus(const struct report *report, uint8_t *sum, const uint8_t *values,
		      size_t stride, size_t n)
{
	const struct map_side *side = &report->value;
	bool seen = false;
	size_t i;

	memset(sum, 0, side->size);
	for (i = 0; i < n; i++) {
		const uint8_t *value = values + i * stride;

		if (entries__is_zero(value, side->size))
			continue;
		if (seen)
			add_fields(side->fields, side->n_fields, sum, value);
		else
			memcpy(sum, value, side->size);
		seen = true;
	}
}

/* Maps are read in pieces of so many entries. */
#define BATCH 4096

struct reading {
	const struct report *report;
	struct entries *entries;
	int fd;
	size_t room; /* entries that fit into entries->data */
	size_t stride; /* bytes of one CPU's value */
	int cpus; /* values of an entry */
	uint8_t *keys, *values;
	bool clear; /* by deleting */
	__u64 flags; /* of look-ups and updates */
};

static bool reading__add(struct reading *r, const uint8_t *key, const uint8_t *values)
{
	struct entries *e = r->entries;
	size_t size = e->key_size + e->value_size;
	uint8_t *data;

	if (e->n == r->room) {
		r->room = r->room ? r->room * 2 : 256;
		data = realloc(e->data, r->room * size);
		if (!data)
			return false;
		e->data = data;
	}
	memcpy(entries__key(e, e->n), key, e->key_size);
	report__sum_cpus(r->report, entries__value(e, e->n), values, r->stride, (size_t)r->cpus);
	e->n++;
	return true;
}

/* 0 when all was read, else -errno: kernels and map types without batches say -EINVAL or so. */
static int read_batches(struct reading *r)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = r->flags);
	size_t cursor_size = r->entries->key_size > 8 ? r->entries->key_size : 8, i;
	uint8_t *cursor = calloc(1, cursor_size);
	bool first = true;
	__u32 n;
	int err;

	if (!cursor)
		return -ENOMEM;
	do {
		n = BATCH;
		if (r->clear)
			err = bpf_map_lookup_and_delete_batch(r->fd, first ? NULL : cursor, cursor,
							      r->keys, r->values, &n, &opts);
		else
			err = bpf_map_lookup_batch(r->fd, first ? NULL : cursor, cursor, r->keys,
						   r->values, &n, &opts);
		first = false;
		/* ENOENT comes with the last entries, any other error with none. */
		for (i = 0; (!err || err == -ENOENT) && i < n; i++) {
			if (!reading__add(r, r->keys + i * r->entries->key_size,
					  r->values + i * r->stride * (size_t)r->cpus))
				err = -ENOMEM;
		}
	} while (!err);
	free(cursor);
	return err == -ENOENT ? 0 : err;
}

/* Entry by entry. A map that changes meanwhile may start over: hence the bound. */
static int read_singly(struct reading *r)
{
	size_t key_size = r->entries->key_size;
	uint8_t *key = r->keys, *next = r->keys + key_size;
	uint64_t left = 2 * (uint64_t)r->report->entries + BATCH;
	bool any = false;

	for (; left && !bpf_map_get_next_key(r->fd, any ? key : NULL, next); left--) {
		any = true;
		memcpy(key, next, key_size);
		if (bpf_map_lookup_elem_flags(r->fd, key, r->values, r->flags))
			continue; /* deleted meanwhile */
		if (!reading__add(r, key, r->values))
			return -ENOMEM;
	}
	return 0;
}

static void delete_read(const struct reading *r, size_t i)
{
	for (; i < r->entries->n; i++)
		bpf_map_delete_elem(r->fd, entries__key(r->entries, i));
}

static void zero_read(const struct reading *r)
{
	size_t i;

	memset(r->values, 0, r->stride * (size_t)r->cpus);
	for (i = 0; i < r->entries->n; i++)
		bpf_map_update_elem(r->fd, entries__key(r->entries, i), r->values, r->flags);
}

bool kernel_half__read(const struct kernel_half *k, const struct report *report,
		       struct entries *entries, struct buf *error)
{
	struct reading r = {
		.report = report,
		.entries = entries,
		.fd = kernel_half__map(k, report->map),
		.cpus = report->percpu ? k->cpus : 1,
		.stride = report->percpu ? ((size_t)report->value.size + 7) & ~(size_t)7
					 : report->value.size,
		.clear = report->clear && !report->array,
		.flags = report->locked ? BPF_F_LOCK : BPF_ANY,
	};
	int err = -ENOMEM;
	size_t before;

	memset(entries, 0, sizeof(*entries));
	entries->key_size = report->key.size;
	entries->value_size = report->value.size;
	r.keys = calloc(BATCH, entries->key_size);
	r.values = calloc(BATCH, r.stride * (size_t)r.cpus);
	if (r.keys && r.values) {
		err = read_batches(&r);
		if (err && err != -ENOMEM) {
			/* What a batch has deleted is kept, what it has only read comes again. */
			before = r.clear ? entries->n : 0;
			entries->n = before;
			err = read_singly(&r);
			if (r.clear)
				delete_read(&r, before);
		}
		if (!err && report->clear && report->array)
			zero_read(&r);
	}
	free(r.keys);
	free(r.values);
	if (err) {
		free(entries->data);
		memset(entries, 0, sizeof(*entries));
		buf__printf(error, "cannot read the map '%s': %s", report->map, reason(err));
	}
	return !err;
}
