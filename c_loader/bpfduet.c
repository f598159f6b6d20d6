// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpfduet.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/reason.h"
#include "handle.h"
#include "kernel/binary.h"

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

#define FOREIGN_TOOL "bpfduet-loader"

/* The spec of objects that have none: what every tool offers, and the trace pipe. */
static const char foreign_spec[] =
	"{\"bpfduet\":1,\"tool\":\"" FOREIGN_TOOL "\",\"version\":\"" DUET_VERSION "\",\"help\":\""
	"Usage: " FOREIGN_TOOL " FILE.bpf.o [OPTIONS]\\n\\n"
	"Load a BPF object that has no bpfduet section, attach what can be attached, and\\n"
	"show what it writes to the kernel's trace pipe.\\n\\n"
	"Options:\\n"
	"      --duration SECONDS    end after that many seconds\\n"
	"      --format FORMAT       text, json or csv\\n"
	"  -o, --output FILE         write the data to this file, not to stdout\\n"
	"      --btf FILE            BTF of the kernel to relocate against\\n"
	"      --pin DIR             pin the maps in this folder of a bpf file system\\n"
	"  -v, --verbose             show the messages of libbpf\\n"
	"  -h, --help                show this text\\n"
	"      --version             show the version\\n\","
	"\"options\":["
	"{\"name\":\"duration\",\"type\":\"int\",\"role\":\"duration\","
	"\"min\":1,\"max\":2147483647},"
	"{\"name\":\"format\",\"type\":\"choice\",\"role\":\"format\","
	"\"choices\":{\"text\":0,\"json\":1,\"csv\":2}},"
	"{\"name\":\"output\",\"short\":\"o\",\"type\":\"path\",\"role\":\"output\"},"
	"{\"name\":\"btf\",\"type\":\"path\",\"role\":\"btf\"},"
	"{\"name\":\"pin\",\"type\":\"path\",\"role\":\"pin\"},"
	"{\"name\":\"verbose\",\"short\":\"v\",\"type\":\"flag\",\"role\":\"verbose\"},"
	"{\"name\":\"help\",\"short\":\"h\",\"type\":\"flag\",\"role\":\"help\"},"
	"{\"name\":\"version\",\"type\":\"flag\",\"role\":\"version\"}],"
	"\"trace_pipe\":{\"columns\":false}}";

const char *bpfduet__version(void)
{
	return DUET_VERSION;
}

struct bpfduet *bpfduet__new(void)
{
	return calloc(1, sizeof(struct bpfduet));
}

static void free_words(struct bpfduet *d)
{
	size_t i;

	for (i = 0; i < d->n_set; i++)
		free(d->words[i]);
	free(d->words);
	d->words = NULL;
}

void bpfduet__free(struct bpfduet *d)
{
	if (!d)
		return;
	if (d->begun)
		run__close(&d->run);
	buf__free(&d->run.error);
	free(d->binary);
	if (d->symbols)
		d->free_symbols(d->symbols);
	if (d->options.spec)
		options__free(&d->options);
	free_words(d);
	spec__free(d->spec);
	buf__free(&d->error);
	buf__free(&d->shown);
	buf__free(&d->reply);
	buf__free(&d->log);
	free(d);
}

int bpfduet__failed(struct bpfduet *d, const char *sentence)
{
	d->error.len = 0;
	buf__puts(&d->error, sentence);
	return -1;
}

/* Keep what a run has said, if it has failed. */
static int result(struct bpfduet *d, int status)
{
	if (status != -1 || (!d->run.error.len && !d->run.error.failed))
		return status;
	d->error.len = 0;
	buf__write(&d->error, d->run.error.data, d->run.error.len);
	d->error.failed |= d->run.error.failed;
	return status;
}

const char *bpfduet__error(const struct bpfduet *d)
{
	/* The sentence as a string is made when it is asked for, which changes nothing in it. */
	struct buf *shown = &((struct bpfduet *)d)->shown;

	shown->len = 0;
	buf__write(shown, d->error.data, d->error.len);
	buf__putc(shown, '\0');
	return d->error.failed || shown->failed ? "out of memory" : shown->data;
}

/* -- the object and its options ---------------------------------------------------------------- */

int bpfduet__open_spec(struct bpfduet *d, const char *json, size_t size)
{
	if (d->spec)
		return bpfduet__failed(d, "this handle has an object already");
	d->error.len = 0;
	d->spec_text = json;
	d->spec_size = size;
	d->spec = spec__parse(json, size, &d->error);
	return d->spec ? 0 : -1;
}

int bpfduet__open(struct bpfduet *d, const void *elf, size_t size, unsigned int flags)
{
	if (d->spec)
		return bpfduet__failed(d, "this handle has an object already");
	d->error.len = 0;
	d->order.foreign = false;
	if (!elf__find_section(elf, size, SPEC_SECTION, &d->spec_text, &d->spec_size)) {
		if (!(flags & BPFDUET_FOREIGN))
			return bpfduet__failed(d, "the object holds no bound spec: build it again");
		d->order.foreign = true;
		d->spec_text = foreign_spec;
		d->spec_size = sizeof(foreign_spec) - 1;
	}
	d->spec = spec__parse(d->spec_text, d->spec_size, &d->error);
	if (!d->spec)
		return -1;
	d->order.elf = elf;
	d->order.size = size;
	d->order.log = flags & BPFDUET_EXPLAINS ? &d->log : NULL;
	return 0;
}

void bpfduet__set_source(struct bpfduet *d, const char *path)
{
	d->order.source = path;
}

const char *bpfduet__tool(const struct bpfduet *d)
{
	return d->spec ? d->spec->tool : FOREIGN_TOOL;
}

const char *bpfduet__spec(const struct bpfduet *d, size_t *size)
{
	*size = d->spec_size;
	return d->spec_text;
}

/* Room for `n` more words behind those that were set. */
static bool reserve_words(struct bpfduet *d, size_t n)
{
	char **words = realloc(d->words, (d->n_set + n + 1) * sizeof(*words));

	if (words)
		d->words = words;
	return words;
}

int bpfduet__set(struct bpfduet *d, const char *name, const char *value)
{
	int len;

	if (d->parsed)
		return bpfduet__failed(d, "options are set before the command line is read");
	if (!reserve_words(d, 1))
		return bpfduet__failed(d, "out of memory");
	len = value ? asprintf(&d->words[d->n_set], "--%s=%s", name, value)
		    : asprintf(&d->words[d->n_set], "--%s", name);
	if (len < 0)
		return bpfduet__failed(d, "out of memory");
	d->n_set++;
	return 0;
}

int bpfduet__parse(struct bpfduet *d, int argc, char **argv)
{
	if (!d->spec || d->parsed)
		return bpfduet__failed(d, d->spec ? "a command line was read already"
						  : "there is no object: bpfduet__open() first");
	if (!reserve_words(d, (size_t)argc))
		return bpfduet__failed(d, "out of memory");
	memcpy(d->words + d->n_set, argv, (size_t)argc * sizeof(*argv));
	d->words[d->n_set + (size_t)argc] = NULL;
	d->parsed = true;
	d->error.len = d->reply.len = 0;
	switch (options__parse(&d->options, d->spec, (int)d->n_set + argc, d->words, &d->reply,
			       &d->error)) {
	case OPTIONS_DONE:
		return BPFDUET_REPLY;
	case OPTIONS_WRONG:
		return BPFDUET_WRONG;
	case OPTIONS_RUN:
		break;
	}
	d->ready = true;
	return BPFDUET_RUN;
}

const char *bpfduet__reply(const struct bpfduet *d, size_t *size)
{
	*size = d->reply.len;
	return d->reply.data;
}

const char *bpfduet__option(const struct bpfduet *d, const char *name, bool *given)
{
	size_t i;

	*given = false;
	for (i = 0; d->ready && i < d->spec->n_options; i++) {
		if (strcmp(d->spec->options[i].name, name))
			continue;
		*given = d->options.values[i].given;
		return d->options.values[i].text;
	}
	return NULL;
}

int bpfduet__constant(const struct bpfduet *d, const char *name, void *value, size_t size)
{
	return d->ready && options__constant(&d->options, name, value, size);
}

char *const *bpfduet__command(const struct bpfduet *d)
{
	return d->ready ? d->options.command : NULL;
}

const char *bpfduet__output(const struct bpfduet *d)
{
	return d->ready ? options__role_text(&d->options, ROLE_OUTPUT) : NULL;
}

/* -- the run ----------------------------------------------------------------------------------- */

void bpfduet__on_write(struct bpfduet *d, bpfduet_write_fn write, void *ctx, unsigned int delay_ms)
{
	d->order.sinks.write = write;
	d->order.sinks.write_ctx = ctx;
	d->order.sinks.delay_ns = delay_ms * 1000000ULL;
}

void bpfduet__on_record(struct bpfduet *d, bpfduet_record_fn take, void *ctx)
{
	d->order.sinks.take = take;
	d->order.sinks.take_ctx = ctx;
}

int bpfduet__start(struct bpfduet *d)
{
	if (d->begun)
		return bpfduet__failed(d, "a handle is started once");
	if (!d->parsed && bpfduet__parse(d, 0, NULL) < 0)
		return -1;
	if (!d->ready)
		return d->error.len ? -1 : bpfduet__failed(d, "the options ask for no run");
	if (!d->order.elf)
		return bpfduet__failed(d, "there is no object, only a spec");
	d->order.options = &d->options;
	d->begun = true;
	d->error.len = 0;
	run__init(&d->run, &d->order);
	d->running = true;
	return result(d, run__start(&d->run));
}

const char *bpfduet__log(const struct bpfduet *d, size_t *size)
{
	*size = d->log.len;
	return d->log.data;
}

int bpfduet__fd(const struct bpfduet *d)
{
	return d->running ? d->run.epoll_fd : -1;
}

static int not_running(struct bpfduet *d)
{
	return bpfduet__failed(d, "the tool is not running");
}

int bpfduet__poll(struct bpfduet *d, int timeout_ms)
{
	return d->running ? result(d, run__poll(&d->run, timeout_ms)) : not_running(d);
}

bool bpfduet__over(struct bpfduet *d)
{
	return !d->running || run__over(&d->run);
}

int bpfduet__report(struct bpfduet *d)
{
	return d->running ? result(d, run__report(&d->run)) : not_running(d);
}

const char *bpfduet__report_name(const struct bpfduet *d, size_t i)
{
	const struct report *report;
	size_t at;

	for (at = 0; d->ready && at < d->spec->n_reports; at++) {
		report = &d->spec->reports[at];
		if (options__hold(&d->options, &report->when) && !i--)
			return report->name;
	}
	return NULL;
}

int bpfduet__stop(struct bpfduet *d, bool terminate)
{
	return d->running ? result(d, run__stop(&d->run, terminate)) : not_running(d);
}

int bpfduet__close(struct bpfduet *d)
{
	if (!d->running)
		return 0;
	d->running = false;
	return result(d, run__close(&d->run));
}

void bpfduet__abandon(const struct bpfduet *d)
{
	run__abandon(&d->run);
}

uint64_t bpfduet__lost(const struct bpfduet *d, enum bpfduet_loss kind)
{
	static const enum loss kinds[] = {
		[BPFDUET_LOST_RECORDS] = LOSS_RECORDS,
		[BPFDUET_LOST_SKIPPED] = LOSS_SKIPPED,
	};

	return d->running ? run__lost(&d->run, kinds[kind]) : 0;
}

/* -- maps -------------------------------------------------------------------------------------- */

/* -1 with a sentence if there is no such map. */
static int find_map(struct bpfduet *d, const char *name)
{
	int fd = d->running ? kernel_half__map(&d->run.kernel, name) : -1;

	d->error.len = 0;
	if (!d->running)
		return not_running(d);
	if (fd < 0)
		buf__printf(&d->error, "the object has no map '%s'", name);
	return fd;
}

static int map_failed(struct bpfduet *d, const char *what, const char *name)
{
	buf__printf(&d->error, "cannot %s the map '%s': %s", what, name, reason(errno));
	return -1;
}

/* Values with a spin lock are read and written under it. */
static __u64 lock_flag(const struct bpfduet *d, const char *name)
{
	size_t i;

	for (i = 0; i < d->spec->n_reports; i++) {
		if (d->spec->reports[i].locked && !strcmp(d->spec->reports[i].map, name))
			return BPF_F_LOCK;
	}
	return BPF_ANY;
}

int bpfduet__map(struct bpfduet *d, const char *name, struct bpfduet_map *map)
{
	const struct bpf_map *found;

	if (find_map(d, name) < 0)
		return -1;
	found = bpf_object__find_map_by_name(d->run.kernel.obj, name);
	map->type = bpf_map__type(found);
	map->key_size = bpf_map__key_size(found);
	map->value_size = bpf_map__value_size(found);
	map->max_entries = bpf_map__max_entries(found);
	map->values = 1;
	switch (bpf_map__type(found)) {
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		map->values = (uint32_t)d->run.kernel.cpus;
		map->value_size = (map->value_size + 7) / 8 * 8 * map->values;
		break;
	default:
		break;
	}
	return 0;
}

int bpfduet__map_lookup(struct bpfduet *d, const char *name, const void *key, void *value)
{
	int fd = find_map(d, name);

	if (fd < 0)
		return -1;
	if (!bpf_map_lookup_elem_flags(fd, key, value, lock_flag(d, name)))
		return 1;
	return errno == ENOENT ? 0 : map_failed(d, "read", name);
}

int bpfduet__map_next(struct bpfduet *d, const char *name, const void *key, void *next)
{
	int fd = find_map(d, name);

	if (fd < 0)
		return -1;
	if (!bpf_map_get_next_key(fd, key, next))
		return 1;
	return errno == ENOENT ? 0 : map_failed(d, "read", name);
}

int bpfduet__map_update(struct bpfduet *d, const char *name, const void *key, const void *value)
{
	int fd = find_map(d, name);

	if (fd < 0)
		return -1;
	return bpf_map_update_elem(fd, key, value, lock_flag(d, name))
		       ? map_failed(d, "write to", name)
		       : 0;
}

int bpfduet__map_delete(struct bpfduet *d, const char *name, const void *key)
{
	int fd = find_map(d, name);

	if (fd < 0)
		return -1;
	if (!bpf_map_delete_elem(fd, key))
		return 1;
	return errno == ENOENT ? 0 : map_failed(d, "delete from", name);
}

const char *bpfduet__binary(struct bpfduet *d, const char *name, uint32_t pid)
{
	free(d->binary);
	d->error.len = 0;
	d->binary = binary__find(name, (int)pid, &d->error);
	return d->binary;
}
