// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/bcc_object.h"

#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "kernel/load.h"

#define BCC_SECTION ".bpfduet.bcc"
#define FORMAT 1
#define FOLDER '\1' /* in what the compiler said: that of the source */
#define POSSIBLE_CPUS "/sys/devices/system/cpu/possible"
#define KERNEL_NOTES "/sys/kernel/notes" /* the build id is one */

static const char *string_of(const struct json *object, const char *name)
{
	const struct json *found = json__get(object, name);

	return found && found->type == JSON_IS_STRING ? found->string : "";
}

static bool number_of(const struct json *object, const char *name, uint64_t *number)
{
	const struct json *found = json__get(object, name);
	json_int value;

	if (!found || !json__to_int(found, &value) || value < 0 || value > UINT64_MAX)
		return false;
	*number = (uint64_t)value;
	return true;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* Bytes written as two hexadecimal digits each; NULL if they are not. To be freed. */
static uint8_t *from_hex(const char *text, size_t *size)
{
	size_t n = strlen(text) / 2, i;
	uint8_t *bytes = calloc(n + 1, 1);
	int high, low;

	if (!bytes || strlen(text) % 2)
		goto failed;
	for (i = 0; i < n; i++) {
		high = digit(text[2 * i]);
		low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			goto failed;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	*size = n;
	return bytes;
failed:
	free(bytes);
	return NULL;
}

/* Whether a file's content is this, in hexadecimal digits; nothing if it cannot be read. */
static bool is_content(const char *path, const char *hex)
{
	struct buf content = { 0 };
	size_t size = 0;
	uint8_t *bytes = from_hex(hex, &size);
	bool same;

	if (!file__read(path, &content))
		content.len = 0;
	same = bytes && content.len == size && (!size || !memcmp(content.data, bytes, size));
	buf__free(&content);
	free(bytes);
	return same;
}

static bool is_of_this_kernel(const struct json *root)
{
	const char *release = string_of(root, "release"), *version = string_of(root, "version");
	struct utsname name;

	return !uname(&name) && !strcmp(name.release, release) && !strcmp(name.version, version) &&
	       is_content(KERNEL_NOTES, string_of(root, "notes"));
}

/* Whether a module is loaded, and is the one whose types the object was compiled with. */
static bool is_loaded(const struct json *module)
{
	const char *name = string_of(module, "name");
	char path[256];
	struct stat info;
	uint64_t size;

	if (!*name || strchr(name, '/') || !number_of(module, "btf", &size))
		return false;
	snprintf(path, sizeof(path), "/sys/kernel/btf/%s", name);
	if (stat(path, &info) || (uint64_t)info.st_size != size)
		return false;
	snprintf(path, sizeof(path), "/sys/module/%s/notes/.note.gnu.build-id", name);
	return is_content(path, string_of(module, "notes"));
}

static bool check_modules(const struct json *root, struct buf *error)
{
	const struct json *module;

	json__for_each(module, json__get(root, "modules"))
	{
		if (is_loaded(module))
			continue;
		buf__printf(error,
			    "BCC compiled the object with types of the kernel's module '%s', which "
			    "is not loaded or is another now: load it, or compile the object again "
			    "with 'bpfduet run'",
			    string_of(module, "name"));
		return false;
	}
	return true;
}

bool bcc_object__open(struct bcc_object *b, const void *elf, size_t size, struct buf *error)
{
	const struct json *root, *format;
	const char *text;
	char why[256];
	size_t len;

	memset(b, 0, sizeof(*b));
	if (!elf__find_section(elf, size, BCC_SECTION, &text, &len))
		return true;
	b->doc = json_doc__parse(text, len, why);
	if (!b->doc) {
		buf__printf(error, "the section " BCC_SECTION " is damaged: %s", why);
		return false;
	}
	root = json_doc__root(b->doc);
	format = json__get(root, "format");
	if (!format || format->type != JSON_IS_INT || format->integer != FORMAT) {
		buf__puts(error,
			  "the object is of another version of bpfduet: compile it again with "
			  "'bpfduet run'");
		return false;
	}
	if (!is_of_this_kernel(root)) {
		buf__printf(error,
			    "BCC compiled the object for another kernel (%s), and it is good for "
			    "that one alone: compile it again with 'bpfduet run'",
			    string_of(root, "release"));
		return false;
	}
	if (!is_content(POSSIBLE_CPUS, string_of(root, "cpus"))) {
		buf__puts(error, "BCC compiled the object for another number of CPUs: compile it "
				 "again with 'bpfduet run'");
		return false;
	}
	if (!check_modules(root, error))
		return false;
	b->image = from_hex(string_of(root, "image"), &b->size);
	b->compiled = b->image ? malloc(b->size + 1) : NULL;
	if (!b->compiled) {
		buf__puts(error, "the section " BCC_SECTION " is damaged: no image");
		return false;
	}
	memcpy(b->compiled, b->image, b->size);
	return true;
}

void bcc_object__free(struct bcc_object *b)
{
	json_doc__free(b->doc);
	free(b->image);
	free(b->compiled);
	memset(b, 0, sizeof(*b));
}

void bcc_object__tell_said(const struct bcc_object *b, const char *source, struct buf *out)
{
	const char *said = b->doc ? string_of(json_doc__root(b->doc), "said") : "";
	const char *slash = source ? strrchr(source, '/') : NULL;

	for (; *said; said++) {
		if (*said != FOLDER)
			buf__putc(out, *said);
		else if (slash)
			buf__write(out, source, (size_t)(slash + 1 - source));
	}
}

bool bcc_object__find_probe(const struct bcc_object *b, const char *program,
			    struct bcc_probe *probe)
{
	const struct json *entry;

	*probe = (struct bcc_probe){ .provider = "", .name = "", .build_id = "" };
	json__for_each(entry, b->doc ? json__get(json_doc__root(b->doc), "usdt") : NULL)
	{
		if (strcmp(string_of(entry, "program"), program))
			continue;
		*probe = (struct bcc_probe){
			.provider = string_of(entry, "provider"),
			.name = string_of(entry, "name"),
			.build_id = string_of(entry, "build_id"),
			.places = json__get(entry, "places"),
		};
		/* Without them it fits no binary. */
		if (!number_of(entry, "size", &probe->size) ||
		    !number_of(entry, "changed_ns", &probe->changed_ns))
			probe->size = probe->changed_ns = UINT64_MAX;
		return true;
	}
	return false;
}

bool bcc_place__read(struct bcc_place *place, const struct json *entry)
{
	return number_of(entry, "offset", &place->offset) &&
	       number_of(entry, "semaphore", &place->semaphore) &&
	       number_of(entry, "cookie", &place->cookie);
}

static bool misfit(struct buf *error)
{
	buf__puts(error, "the table of constants does not fit the code: compile the object again "
			 "with 'bpfduet run'");
	return false;
}

bool bcc_object__share_maps(const struct bcc_object *b, struct bpf_object *obj, struct buf *error)
{
	const struct json *entry;
	struct bpf_map *map;

	json__for_each(entry, b->doc ? json__get(json_doc__root(b->doc), "pinned") : NULL)
	{
		map = bpf_object__find_map_by_name(obj, string_of(entry, "map"));
		if (!map || !*string_of(entry, "path") ||
		    bpf_map__set_pin_path(map, string_of(entry, "path"))) {
			buf__puts(error, "the table of pinned maps is damaged: compile the object "
					 "again with 'bpfduet run'");
			return false;
		}
	}
	return true;
}

static bool is_given(const struct options *options, const char *constant)
{
	const struct spec *spec = options->spec;
	size_t i;

	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].has_config && options->values[i].given &&
		    !strcmp(spec->options[i].config.name, constant))
			return true;
	}
	return false;
}

/* Constants that are no immediates of their own, or whose value is known to the compiler alone. */
static bool check_fixed(const struct bcc_object *b, const struct options *options,
			struct buf *error)
{
	const struct json *root = json_doc__root(b->doc), *name;
	const struct config *config;
	bool same;

	json__for_each(name, json__get(root, "fixed"))
	{
		config = name->type == JSON_IS_STRING
				 ? spec__find_config(options->spec, name->string)
				 : NULL;
		if (!config || (uint64_t)config->offset + config->size > b->size)
			return misfit(error);
		same = !memcmp(b->image + config->offset, b->compiled + config->offset,
			       config->size);
		if (!same) {
			buf__printf(error,
				    "the constant '%s' was compiled into the object with another "
				    "value: 'bpfduet run' compiles it for each",
				    name->string);
			return false;
		}
	}
	json__for_each(name, json__get(root, "unknown"))
	{
		if (name->type != JSON_IS_STRING)
			return misfit(error);
		if (is_given(options, name->string)) {
			buf__printf(error,
				    "the constant '%s' was compiled into the object: 'bpfduet run' "
				    "compiles it for each value",
				    name->string);
			return false;
		}
	}
	return true;
}

/* The value of a constant, or of eight bytes of a string, as 64 bits. */
static bool value_of(const struct bcc_object *b, const struct config *config, uint32_t word,
		     uint64_t *value)
{
	uint64_t offset = config->offset + 8ULL * word, bits = 0;
	uint32_t size = config->size;
	int unused;

	if (config->kind == FIELD_STRING)
		size = size > 8 * word ? size - 8 * word : 0;
	else if (word)
		return false;
	size = size < 8 ? size : 8;
	if (!size || offset + size > b->size)
		return false;
	memcpy(&bits, b->image + offset, size);
	unused = 64 - 8 * (int)size;
	if (config->kind == FIELD_INT)
		bits = (uint64_t)((int64_t)(bits << unused) >> unused);
	*value = bits;
	return true;
}

static bool fill_one(const struct bcc_object *b, const struct json *late,
		     const struct options *options, struct bpf_insn *code, size_t n)
{
	const struct config *config = spec__find_config(options->spec, string_of(late, "config"));
	uint64_t place, word, placeholder, value;

	if (!config || !number_of(late, "instruction", &place) || !number_of(late, "word", &word) ||
	    !number_of(late, "placeholder", &placeholder) || word > UINT32_MAX ||
	    !value_of(b, config, (uint32_t)word, &value) || place >= n || n - place < 2)
		return false;
	if (code[place].code != (BPF_LD | BPF_IMM | BPF_DW) || code[place].src_reg ||
	    (uint32_t)code[place].imm != (uint32_t)placeholder ||
	    (uint32_t)code[place + 1].imm != (uint32_t)(placeholder >> 32))
		return false;
	code[place].imm = (int32_t)(uint32_t)value;
	code[place + 1].imm = (int32_t)(uint32_t)(value >> 32);
	return true;
}

static bool fill_program(const struct bcc_object *b, const struct json *entry,
			 struct bpf_program *prog, const struct options *options)
{
	size_t n = bpf_program__insn_cnt(prog);
	struct bpf_insn *code = calloc(n + 1, sizeof(*code));
	const struct json *late;
	bool ok = code != NULL;

	if (code)
		memcpy(code, bpf_program__insns(prog), n * sizeof(*code));
	json__for_each(late, json__get(entry, "late")) ok =
		ok && fill_one(b, late, options, code, n);
	ok = ok && !bpf_program__set_insns(prog, code, n);
	free(code);
	return ok;
}

bool bcc_object__fill(struct bcc_object *b, struct bpf_object *obj, const struct options *options,
		      struct buf *error)
{
	struct bpf_program *prog;
	const struct json *entry;

	if (!b->doc)
		return true;
	if (!check_fixed(b, options, error))
		return false;
	json__for_each(entry, json__get(json_doc__root(b->doc), "programs"))
	{
		prog = bpf_object__find_program_by_name(obj, string_of(entry, "name"));
		if (!prog || !fill_program(b, entry, prog, options))
			return misfit(error);
	}
	return true;
}
