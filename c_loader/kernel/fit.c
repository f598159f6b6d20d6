// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/fit.h"

#include <bpf/btf.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONSTANTS ".rodata"
#define TYPES ".bpfduet.types"

__attribute__((format(printf, 2, 3))) static bool misfit(struct buf *error, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	buf__printf(error, "the bound spec does not fit its object (%s): build it again", why);
	return false;
}

/* -- constants --------------------------------------------------------------------------------- */

/* A variable of a section of the object's, NULL if there is none. */
static const struct btf_var_secinfo *find_variable(const struct btf *btf, const char *section,
						   const char *name)
{
	int id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -1;
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL, *variable;
	const struct btf_var_secinfo *all = type ? btf_var_secinfos(type) : NULL;
	int i;

	for (i = 0; type && i < btf_vlen(type); i++) {
		variable = btf__type_by_id(btf, all[i].type);
		if (variable && !strcmp(btf__name_by_offset(btf, variable->name_off), name))
			return &all[i];
	}
	return NULL;
}

/* Types do not tell of the constants that BCC has compiled. */
static bool check_constant(const struct btf *btf, const struct config *config, size_t constants,
			   struct buf *error)
{
	const struct btf_var_secinfo *variable = find_variable(btf, CONSTANTS, config->name);

	/* One that is nowhere is not written. */
	if (!config->in_object ||
	    ((uint64_t)config->offset + config->size <= constants &&
	     (!variable || (variable->offset == config->offset && variable->size == config->size))))
		return true;
	return misfit(error, "the constant '%s' lies elsewhere", config->name);
}

static bool check_constants(const struct btf *btf, const struct spec *spec, size_t constants,
			    struct buf *error)
{
	size_t i;

	for (i = 0; i < spec->n_configs; i++) {
		if (!check_constant(btf, &spec->configs[i], constants, error))
			return false;
	}
	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].has_config &&
		    !check_constant(btf, &spec->options[i].config, constants, error))
			return false;
	}
	return true;
}

/* -- maps -------------------------------------------------------------------------------------- */

enum map_kind { OTHER, HASH, ARRAY };

static enum map_kind kind_of(const struct bpf_map *map, bool *percpu)
{
	*percpu = false;
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		*percpu = true;
		return HASH;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
		return HASH;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		*percpu = true;
		return ARRAY;
	case BPF_MAP_TYPE_ARRAY:
		return ARRAY;
	default:
		return OTHER;
	}
}

static const struct bpf_map *find_map(const struct bpf_object *obj, const char *name,
				      struct buf *error)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	if (!map)
		misfit(error, "there is no map '%s'", name);
	return map;
}

/* One of a type that only the kernel reads and writes. */
static const struct bpf_map *find_map_of_type(const struct bpf_object *obj, const char *name,
					      enum bpf_map_type type, struct buf *error)
{
	const struct bpf_map *map = find_map(obj, name, error);

	if (map && bpf_map__type(map) != type) {
		misfit(error, "the map '%s' is of another kind", name);
		return NULL;
	}
	return map;
}

static bool check_sizes(const struct bpf_map *map, uint32_t key, uint32_t value, struct buf *error)
{
	if (bpf_map__key_size(map) == key && bpf_map__value_size(map) == value)
		return true;
	return misfit(error, "the map '%s' has %u bytes of key and %u of value", bpf_map__name(map),
		      bpf_map__key_size(map), bpf_map__value_size(map));
}

static bool check_report(const struct bpf_object *obj, const struct report *report,
			 struct buf *error)
{
	const struct bpf_map *map = find_map(obj, report->map, error);
	const struct stack_fields *stacks = &report->stacks;
	enum map_kind kind;
	bool percpu;

	if (!map)
		return false;
	kind = kind_of(map, &percpu);
	if (kind != (report->array ? ARRAY : HASH) || percpu != report->percpu)
		return misfit(error, "the map '%s' is of another kind", report->map);
	if (!check_sizes(map, report->key.size, report->value.size, error))
		return false;
	if (report->kind != REPORT_STACKS)
		return true;
	map = find_map_of_type(obj, stacks->map, BPF_MAP_TYPE_STACK_TRACE, error);
	return map && check_sizes(map, sizeof(uint32_t), stacks->depth * (uint32_t)sizeof(uint64_t),
				  error);
}

/* A map that gets numbers of the command line as its keys. */
static bool check_set(const struct bpf_object *obj, const char *name, struct buf *error)
{
	const struct bpf_map *map = find_map(obj, name, error);
	bool percpu;

	if (!map)
		return false;
	if (kind_of(map, &percpu) == HASH && !percpu &&
	    bpf_map__key_size(map) <= sizeof(uint64_t) &&
	    bpf_map__value_size(map) <= sizeof(uint64_t))
		return true;
	return misfit(error, "the map '%s' is no set of integers", name);
}

/* -- records ----------------------------------------------------------------------------------- */

/* BPF_EVENTS leaves MAP__type, a pointer to the record's type. */
static bool check_record(const struct btf *btf, const struct events *events, struct buf *error)
{
	const struct btf_var_secinfo *variable;
	const struct btf_type *type;
	char name[256];
	int64_t size = -1;
	int id;

	if (snprintf(name, sizeof(name), "%s__type", events->map) >= (int)sizeof(name))
		return true;
	variable = find_variable(btf, TYPES, name);
	if (!variable)
		return true;
	type = btf__type_by_id(btf, variable->type);
	id = type ? btf__resolve_type(btf, type->type) : -1;
	type = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	if (type && btf_is_ptr(type))
		size = btf__resolve_size(btf, type->type);
	if (size == events->size)
		return true;
	return misfit(error, "a record of '%s' has another size than %u bytes", events->map,
		      events->size);
}

bool fit__check(const struct bpf_object *obj, const struct spec *spec, size_t constants,
		struct buf *error)
{
	const struct btf *btf = bpf_object__btf(obj);
	size_t i;

	if (!check_constants(btf, spec, constants, error))
		return false;
	if (spec->has_events && (!find_map_of_type(obj, spec->events.map,
						   spec->events.perf ? BPF_MAP_TYPE_PERF_EVENT_ARRAY
								     : BPF_MAP_TYPE_RINGBUF,
						   error) ||
				 !check_record(btf, &spec->events, error)))
		return false;
	for (i = 0; i < spec->n_reports; i++) {
		if (!check_report(obj, &spec->reports[i], error))
			return false;
	}
	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].set && !check_set(obj, spec->options[i].set, error))
			return false;
	}
	for (i = 0; i < spec->n_counters; i++) {
		if (!find_map_of_type(obj, spec->counters[i].map, BPF_MAP_TYPE_PERF_EVENT_ARRAY,
				      error))
			return false;
	}
	return true;
}
