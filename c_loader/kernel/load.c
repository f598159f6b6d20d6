// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/load.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reason.h"
#include "kernel/fit.h"
#include "kernel/probe_kind.h"
#include "kernel/relocations.h"
#include "kernel/requires.h"

#define LOST_MAP "bpfduet_lost"
#define VMLINUX_BTF "/sys/kernel/btf/vmlinux"
/* What libbpf prints before a verifier's log. */
static const char log_begins[] = "-- BEGIN PROG LOAD LOG --";

/* Whose messages those of libbpf are, whose callback has no context: by thread. */
static _Thread_local struct kernel_half *speaks;

__attribute__((format(printf, 2, 0))) static int append_message(struct buf *to, const char *fmt,
								va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n > 0 && buf__reserve(to, (size_t)n + 1)) {
		vsnprintf(to->data + to->len, (size_t)n + 1, fmt, ap);
		to->len += (size_t)n;
	}
	return n;
}

__attribute__((format(printf, 2, 0))) static int collect_message(enum libbpf_print_level level,
								 const char *fmt, va_list ap)
{
	struct kernel_half *k = speaks;
	struct buf words = { 0 };
	va_list again;

	if (!k)
		return 0;
	if (k->verbose) {
		va_copy(again, ap);
		append_message(k->trying ? &k->held : &words, fmt, again);
		va_end(again);
		k->tell(k->ctx, words.data, words.len);
		buf__free(&words);
	}
	return level == LIBBPF_WARN ? append_message(&k->said, fmt, ap) : 0;
}

void kernel_half__listen(struct kernel_half *k)
{
	speaks = k;
	libbpf_set_print(collect_message);
}

bool elf__find_section(const void *elf, size_t size, const char *wanted, const char **text,
		       size_t *len)
{
	Elf_Scn *section = NULL;
	Elf_Data *data;
	bool found = false;
	const char *name;
	GElf_Shdr header;
	size_t names;
	Elf *file;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return false;
	/* It is opened for reading: libelf leaves the image as it is. */
	file = elf_memory((char *)elf, size);
	if (!file)
		return false;
	if (elf_getshdrstrndx(file, &names))
		goto cleanup;
	while (!found && (section = elf_nextscn(file, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(file, names, header.sh_name);
		if (!name || strcmp(name, wanted))
			continue;
		data = elf_rawdata(section, NULL);
		/* Inside the image, since nothing is converted. Empty is damaged, not absent. */
		found = true;
		*text = data && data->d_buf ? data->d_buf : "";
		*len = data && data->d_buf ? data->d_size : 0;
	}
cleanup:
	elf_end(file);
	return found;
}

/* One that the command line does not set; not every tool has it. */
static bool set_constant(const struct spec *spec, const char *name, uint64_t value, uint8_t *rodata,
			 size_t size)
{
	const struct config *config = spec__find_config(spec, name);

	if (!config)
		return true;
	if (!config->in_object || config->size > sizeof(value) ||
	    (uint64_t)config->offset + config->size > size)
		return false;
	memcpy(rodata + config->offset, &value, config->size);
	return true;
}

/* The values of CONFIG constants: until the load they are ours to write. NULL if there are none. */
static uint8_t *find_constants(struct kernel_half *k, size_t *size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(k->obj, ".rodata");

	*size = k->bcc.size;
	if (k->bcc.doc)
		return k->bcc.image;
	return map ? (uint8_t *)bpf_map__initial_value(map, size) : NULL;
}

static bool fits(struct kernel_half *k, const struct spec *spec, struct buf *error)
{
	size_t size;

	find_constants(k, &size);
	return fit__check(k->obj, spec, size, error);
}

static bool set_constants(struct kernel_half *k, const struct options *options,
			  const struct limit *limit, struct buf *error)
{
	size_t size;
	uint8_t *rodata = find_constants(k, &size);
	bool good;

	if (limit->given && options->spec->roles[ROLE_CGROUP] < 0) {
		buf__puts(error, "this tool cannot be limited to a cgroup");
		return false;
	}
	good = options__configure(options, rodata, size) &&
	       set_constant(options->spec, "own_pid", (uint64_t)getpid(), rodata, size);
	if (limit->given)
		good = good &&
		       set_constant(options->spec, "filter_cgroup", limit->id, rodata, size) &&
		       set_constant(options->spec, "filter_cgroup_level", (uint64_t)limit->level,
				    rodata, size);
	if (!good)
		buf__puts(error, "the bound spec does not fit its object: build it again");
	return good;
}

/* Whether a program goes to a place, in the words of `requires`. */
static bool goes_to(const struct bpf_program *prog, const char *required, const char *name)
{
	const struct probe_kind *kind = probe_kind__of(prog);
	char place[256];

	return probe_kind__place(kind, prog, place, sizeof(place)) &&
	       !strcmp(kind->requires, required) && !strcmp(place, name);
}

/* Programs on probes that are optional are loaded if the kernel has the probe. */
static bool choose_optional(struct kernel_half *k, const struct spec *spec, struct buf *error)
{
	struct bpf_program *prog;
	const char *name;
	char kind[32];
	bool optional;
	int present;
	size_t i;

	for (i = 0; i < spec->n_requires; i++) {
		if (!requires__split(spec->requires[i], kind, &optional, &name) || !optional)
			continue;
		present = requires__present(kind, name, error);
		if (present < 0)
			return false;
		bpf_object__for_each_program(prog, k->obj) {
			if (goes_to(prog, kind, name))
				bpf_program__set_autoload(prog, present);
		}
	}
	return true;
}

static struct bpf_program *find_program(struct kernel_half *k, const char *name, struct buf *error)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(k->obj, name);

	if (!prog)
		buf__printf(error, "the object has no program '%s'", name);
	return prog;
}

/* Whether the kernel can attach all that a program falls back to; else with a sentence. */
static int has_fallback(struct kernel_half *k, const struct program *how, struct buf *error)
{
	struct bpf_program *other;
	int present;
	size_t i;

	for (i = 0; i < how->n_fallback; i++) {
		other = find_program(k, how->fallback[i], error);
		if (!other)
			return -1;
		present = requires__attachable(other, error);
		if (!present)
			requires__unattachable(other, error);
		if (present <= 0)
			return present;
	}
	return 1;
}

/* Whether this kernel cannot attach a program, or would not run it each time; -1: an error. */
static int is_replaced(struct kernel_half *k, const struct program *how,
		       const struct bpf_program *prog, struct buf *error)
{
	int present = requires__attachable(prog, error), there;
	struct buf ignored = { 0 };

	if (present < 0)
		return -1;
	if (!present)
		return has_fallback(k, how, error) > 0 ? 1 : -1;
	if (!requires__skipped(prog))
		return 0;
	there = has_fallback(k, how, &ignored);
	buf__free(&ignored);
	return there > 0;
}

static bool set_autoload(struct kernel_half *k, const struct program *how, bool load,
			 struct buf *error)
{
	struct bpf_program *other;
	size_t i;

	for (i = 0; i < how->n_fallback; i++) {
		other = find_program(k, how->fallback[i], error);
		if (!other)
			return false;
		bpf_program__set_autoload(other, load);
	}
	return true;
}

/*
 * Of programs and those that do the same by another probe, the ones that this kernel attaches
 * and this run wants. Programs that share what they fall back to are replaced together.
 */
static bool choose_programs(struct kernel_half *k, const struct options *options, struct buf *error)
{
	const struct spec *spec = options->spec;
	const struct program *how;
	struct bpf_program *prog;
	int replaced;
	size_t i;

	if (!choose_optional(k, spec, error))
		return false;
	for (i = 0; i < spec->n_programs; i++) {
		if (!set_autoload(k, &spec->programs[i], false, error))
			return false;
	}
	for (i = 0; i < spec->n_programs; i++) {
		how = &spec->programs[i];
		prog = find_program(k, how->name, error);
		if (!prog)
			return false;
		if (!options__hold(options, &how->when))
			bpf_program__set_autoload(prog, false);
		else if (how->n_fallback && bpf_program__autoload(prog)) {
			replaced = is_replaced(k, how, prog, error);
			if (replaced < 0 || (replaced && !set_autoload(k, how, true, error)))
				return false;
		}
	}
	for (i = 0; i < spec->n_programs; i++) {
		how = &spec->programs[i];
		if (!how->n_fallback)
			continue;
		prog = find_program(k, how->fallback[0], error);
		if (bpf_program__autoload(prog))
			bpf_program__set_autoload(find_program(k, how->name, error), false);
	}
	return true;
}

/* A pinned map in place of the object's own; the constant MAP_fd tells programs of it. */
static bool use_pinned(struct kernel_half *k, const struct options *options, size_t option,
		       struct buf *error)
{
	const char *name = options->spec->options[option].map;
	const char *path = options->values[option].text;
	const struct config *config;
	struct bpf_map *map;
	char fd_name[128];
	uint8_t *rodata;
	size_t size;
	int fd, err;

	map = bpf_object__find_map_by_name(k->obj, name);
	if (!map) {
		buf__printf(error, "the object has no map '%s'", name);
		return false;
	}
	fd = bpf_obj_get(path);
	if (fd < 0) {
		buf__printf(error, "there is no pinned map at '%s': %s", path, strerror(errno));
		return false;
	}
	err = bpf_map__reuse_fd(map, fd);
	close(fd);
	if (err) {
		buf__printf(error, "the map pinned at '%s' cannot be used: %s", path, reason(err));
		return false;
	}
	snprintf(fd_name, sizeof(fd_name), "%s_fd", name);
	config = spec__find_config(options->spec, fd_name);
	rodata = find_constants(k, &size);
	if (rodata && config && config->in_object &&
	    (uint64_t)config->offset + config->size <= size)
		memset(rodata + config->offset, 1, 1);
	return true;
}

static bool set_maps(struct kernel_half *k, const struct options *options, struct buf *error)
{
	const struct spec *spec = options->spec;
	json_int pages = options__role_number(options, ROLE_BUFFER, 0);
	struct bpf_map *map;
	size_t i;
	int err;

	for (i = 0; i < spec->n_options; i++) {
		if (!spec->options[i].map)
			continue;
		if (options->values[i].given) {
			if (!use_pinned(k, options, i, error))
				return false;
			continue;
		}
		/* What would read it is behind a constant that is not set. */
		map = bpf_object__find_map_by_name(k->obj, spec->options[i].map);
		if (map)
			bpf_map__set_autocreate(map, false);
	}
	for (i = 0; i < spec->n_options; i++) {
		if (!spec->options[i].entries || !options->values[i].set)
			continue;
		map = bpf_object__find_map_by_name(k->obj, spec->options[i].entries);
		err = map ? bpf_map__set_max_entries(map, (__u32)options->values[i].number)
			  : -ENOENT;
		if (err) {
			buf__printf(error, "the size of the map '%s' cannot be set: %s",
				    spec->options[i].entries, reason(err));
			return false;
		}
	}
	if (!spec->has_events || spec->events.perf || pages <= 0)
		return true;
	map = bpf_object__find_map_by_name(k->obj, spec->events.map);
	err = map ? bpf_map__set_max_entries(map, (__u32)(pages * sysconf(_SC_PAGESIZE))) : -ENOENT;
	if (err)
		buf__printf(error, "the size of the buffer cannot be set: %s", reason(err));
	return !err;
}

/* Whether libbpf has warned with these words. */
static bool has_said(const struct kernel_half *k, const char *words)
{
	const struct buf *text = &k->said;

	return text->len && memmem(text->data, text->len, words, strlen(words));
}

static void explain_load(const struct kernel_half *k, int err, const struct options *options,
			 struct buf *error)
{
	static const char cannot_reuse[] = "couldn't reuse pinned map";

	if (file__few_left()) {
		buf__puts(error, "cannot load the kernel half: too many open files");
	} else if (err == -ENOMEM) {
		buf__printf(error,
			    "cannot load the kernel half: %s (the machine's, or the limit of "
			    "a cgroup or of ulimit -l)",
			    reason(err));
	} else if (has_said(k, log_begins)) {
		if (!k->verbose)
			k->tell(k->ctx, k->said.data, k->said.len);
		buf__printf(error, "the kernel's verifier rejects a program (its log is above): %s",
			    reason(err));
	} else if (has_said(k, cannot_reuse)) {
		buf__puts(error, "a map that is pinned already is of another type or size than the "
				 "source declares it: remove it, or declare it as it is");
	} else if (access(VMLINUX_BTF, R_OK) && !options__role_text(options, ROLE_BTF)) {
		buf__puts(error, "this kernel has no BTF (" VMLINUX_BTF "): give one with --btf, "
				 "or use a kernel built with CONFIG_DEBUG_INFO_BTF");
	} else if (err == -EPERM) {
		buf__puts(error, "the kernel does not permit loading this program: run as root "
				 "(or with CAP_BPF and CAP_PERFMON), on a kernel not locked down");
	} else {
		buf__printf(error, "cannot load the kernel half: %s (-v tells more)", reason(err));
	}
}

/* Programs whose target is named by an id of the kernel's BTF. */
static bool needs_kernel_btf(const struct bpf_object *obj)
{
	struct bpf_program *prog;
	enum bpf_prog_type type;

	bpf_object__for_each_program(prog, obj) {
		type = bpf_program__type(prog);
		if (type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_LSM ||
		    type == BPF_PROG_TYPE_EXT)
			return true;
	}
	return false;
}

/* Every function outside of .text must be a program that something attaches. */
static bool check_programs(const struct kernel_half *k, struct buf *error)
{
	struct bpf_program *prog = bpf_object__next_program(k->obj, NULL);

	if (!prog)
		buf__puts(error,
			  "the kernel half has no program that anything attaches: write one "
			  "with a macro as KPROBE() or TRACEPOINT_PROBE() (docs/dialect.md)");
	for (; prog; prog = bpf_object__next_program(k->obj, prog)) {
		if (bpf_program__type(prog) != BPF_PROG_TYPE_UNSPEC)
			continue;
		buf__printf(error, "nothing attaches %s(): ", bpf_program__name(prog));
		if (strcmp(bpf_program__section_name(prog), ".text"))
			buf__printf(error, "libbpf does not know its section '%s'",
				    bpf_program__section_name(prog));
		else
			buf__puts(error, "write it with a macro as KPROBE() or TRACEPOINT_PROBE() "
					 "(docs/dialect.md)");
		return false;
	}
	return !error->len;
}

/* Programs that are for one binary each. */
static bool check_binaries(const struct kernel_half *k, const struct options *options,
			   struct buf *error)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, k->obj) {
		if (bpf_program__autoload(prog) &&
		    !attach__check_binary(prog, &k->bcc, options, error))
			return false;
	}
	return true;
}

/* What load_image() found: besides yes and no, that the kernel refused the programs. */
enum loaded { LOADED, FAILED, REFUSED };

/*
 * Whether the caller tells why an object of BCC's was refused; what is known here is in its log
 * then, and no more told.
 */
static bool explained_by_caller(const struct kernel_half *k, struct buf *known)
{
	if (!k->bcc.doc || !k->log || known->failed)
		return false;
	buf__write(k->log, known->data, known->len);
	if (k->log->failed)
		return false;
	known->len = 0;
	return true;
}

static enum loaded load_image(struct kernel_half *k, const void *elf, size_t size,
			      const struct options *options, const struct limit *limit,
			      bool foreign, bool poisoned, struct buf *error)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = options->spec->tool,
		    .btf_custom_path = options__role_text(options, ROLE_BTF), );
	int err;

	k->obj = bpf_object__open_mem(elf, size, &opts);
	if (!k->obj) {
		buf__printf(error, "this is no BPF object: %s (-v tells more)", reason(errno));
		return FAILED;
	}
	if (poisoned && needs_kernel_btf(k->obj))
		return REFUSED;
	if (!foreign &&
	    (!set_maps(k, options, error) || !fits(k, options->spec, error) ||
	     !set_constants(k, options, limit, error) || !choose_programs(k, options, error)))
		return FAILED;
	if (!foreign && (!check_programs(k, error) || !check_binaries(k, options, error)))
		return FAILED;
	if (!bcc_object__share_maps(&k->bcc, k->obj, error))
		return FAILED;
	if (!bcc_object__fill(&k->bcc, k->obj, options, error)) {
		k->refused = explained_by_caller(k, error);
		return FAILED;
	}
	if (foreign && limit->given) {
		buf__puts(error, "this tool cannot be limited to a cgroup");
		return FAILED;
	}
	err = bpf_object__load(k->obj);
	if (!err)
		return LOADED;
	k->refused = err != -ENOMEM && !file__few_left() && has_said(k, log_begins) &&
		     explained_by_caller(k, &k->said);
	if (!poisoned && !k->refused)
		explain_load(k, err, options, error);
	return REFUSED;
}

/* Load without the kernel's BTF if this run does not need it; see relocations.h. */
static enum loaded load_without_btf(struct kernel_half *k, const void *elf, size_t size,
				    const struct options *options, const struct limit *limit,
				    bool foreign, struct buf *error)
{
	enum loaded result = REFUSED;
	void *image = malloc(size);

	if (!image)
		return REFUSED;
	memcpy(image, elf, size);
	k->trying = true;
	if (relocations__poison(image, size))
		result = load_image(k, image, size, options, limit, foreign, true, error);
	k->trying = false;
	if (result != REFUSED && k->held.len)
		k->tell(k->ctx, k->held.data, k->held.len);
	buf__free(&k->held);
	if (result == REFUSED) {
		bpf_object__close(k->obj);
		k->obj = NULL;
		k->said.len = 0;
	}
	free(image); /* libbpf has copied what it keeps */
	return result;
}

bool kernel_half__load(struct kernel_half *k, const void *elf, size_t size,
		       const struct options *options, const struct limit *limit, bool foreign,
		       struct buf *error)
{
	struct buf compiler = { 0 };
	enum loaded result;

	k->cpus = libbpf_num_possible_cpus();
	if (k->cpus <= 0) {
		buf__puts(error, "cannot tell the number of CPUs: is /sys mounted?");
		return false;
	}
	if (!bcc_object__open(&k->bcc, elf, size, error))
		return false;
	if (k->verbose) {
		bcc_object__tell_said(&k->bcc, k->source, &compiler);
		k->tell(k->ctx, compiler.data, compiler.len);
		buf__free(&compiler);
	}
	result = load_without_btf(k, elf, size, options, limit, foreign, error);
	if (result == REFUSED)
		result = load_image(k, elf, size, options, limit, foreign, false, error);
	return result == LOADED;
}

static bool open_counters(struct kernel_half *k, const struct options *options, struct buf *error)
{
	const struct spec *spec = options->spec;
	const struct counter *counter;
	size_t i;
	int fd;

	for (i = 0; i < spec->n_counters; i++) {
		counter = &spec->counters[i];
		fd = kernel_half__map(k, counter->map);
		if (fd < 0) {
			buf__printf(error, "the object has no map '%s'", counter->map);
			return false;
		}
		if (!attach__open_counters(fd, counter->event, k->cpus, options, error))
			return false;
	}
	return true;
}

/* Numbers from the command line, as the keys of a map. */
static bool fill_set(struct kernel_half *k, const char *name, const struct option_value *value,
		     struct buf *error)
{
	struct bpf_map *map = bpf_object__find_map_by_name(k->obj, name);
	const uint64_t one = 1;
	size_t i;
	int err = 0;

	for (i = 0; i < value->n_numbers && !err; i++)
		err = bpf_map_update_elem(bpf_map__fd(map), &value->numbers[i], &one, BPF_ANY);
	if (err)
		buf__printf(error, "the map '%s' cannot be filled: %s", name, reason(err));
	return !err;
}

static bool fill_sets(struct kernel_half *k, const struct options *options, struct buf *error)
{
	const struct spec *spec = options->spec;
	size_t i;

	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].set && options->values[i].set &&
		    !fill_set(k, spec->options[i].set, &options->values[i], error))
			return false;
	}
	return true;
}

/* What knows nothing of bpfduet: as much of it as can be. */
static bool attach_foreign(struct kernel_half *k, const char *tool, struct buf *error)
{
	struct buf line = { 0 };
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, k->obj) {
		if (!bpf_program__autoload(prog) || attachments__add_plain(&k->attached, prog))
			continue;
		line.len = 0;
		buf__printf(&line, "%s: cannot attach %s (%s): %s\n", tool, bpf_program__name(prog),
			    bpf_program__section_name(prog), reason(errno));
		k->tell(k->ctx, line.data, line.len);
	}
	buf__free(&line);
	if (!k->attached.n)
		buf__puts(error, "nothing in the object can be attached");
	return k->attached.n;
}

bool kernel_half__attach(struct kernel_half *k, const struct places *places, bool foreign,
			 struct buf *error)
{
	const char *folder = options__role_text(places->options, ROLE_PIN);
	const struct spec *spec = places->options->spec;
	struct bpf_program *prog;

	if (folder && !pins__make(&k->pins, k->obj, folder, error))
		return false;
	if (foreign)
		return attach_foreign(k, spec->tool, error);
	if (!fill_sets(k, places->options, error) || !open_counters(k, places->options, error))
		return false;
	bpf_object__for_each_program(prog, k->obj) {
		if (bpf_program__autoload(prog) &&
		    !attachments__add(&k->attached, prog, places, error))
			return false;
	}
	return true;
}

void kernel_half__detach(struct kernel_half *k)
{
	attachments__clear(&k->attached);
}

void kernel_half__free(struct kernel_half *k)
{
	kernel_half__detach(k);
	pins__remove(&k->pins);
	bpf_object__close(k->obj);
	bcc_object__free(&k->bcc);
	buf__free(&k->said);
	memset(k, 0, sizeof(*k));
}

int kernel_half__map(const struct kernel_half *k, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(k->obj, name);

	return map ? bpf_map__fd(map) : -1;
}

uint64_t kernel_half__lost(const struct kernel_half *k)
{
	struct bpf_map *map = bpf_object__find_map_by_name(k->obj, LOST_MAP);
	uint64_t *counts, sum = 0;
	uint32_t zero = 0;
	int i;

	/* Anybody's object may have a map of that name. */
	if (!map || bpf_map__type(map) != BPF_MAP_TYPE_PERCPU_ARRAY ||
	    bpf_map__value_size(map) != sizeof(*counts))
		return 0;
	counts = calloc((size_t)k->cpus, sizeof(*counts));
	if (!counts)
		return 0;
	if (!bpf_map_lookup_elem(bpf_map__fd(map), &zero, counts)) {
		for (i = 0; i < k->cpus; i++)
			sum += counts[i];
	}
	free(counts);
	return sum;
}

uint64_t kernel_half__skipped(const struct kernel_half *k)
{
	struct bpf_prog_info info;
	struct bpf_program *prog;
	uint64_t sum = 0;
	uint32_t len;
	int fd;

	bpf_object__for_each_program(prog, k->obj) {
		fd = bpf_program__fd(prog);
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
			sum += info.recursion_misses;
	}
	return sum;
}
