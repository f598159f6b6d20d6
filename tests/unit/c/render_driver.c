// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Runs the option parser and the renderer on a JSON document, without a kernel:
 * what a tool would print for given records and maps. The form:
 *
 * {"bound": SPEC, "argv": [HEX, ...], "clock": {"start_mono_ns", "wall_minus_mono_ns",
 * "now_wall_ns"}, "env": {"TZ": "UTC"}, "steps": [{"event": HEX}, {"trace": LINE},
 * {"lost": 3, "kind": "records"}, {"options": true},
 * {"report": NAME, "entries": [[KEYHEX, [VALHEX, one a CPU or just one]]]}]}
 *
 *   render_driver < DOCUMENT            prints what the tool would, and exits as it would
 *   render_driver --batch < DOCUMENTS   one document a line, one line of JSON as the answer
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "spec/options.h"
#include "output/render.h"
#include "spec/spec.h"

/* Exit status of a document that is itself wrong. */
#define STATUS_BAD 70
/* Room for the CONFIG constants, in bytes. */
#define CONFIGS 256

struct answer {
	struct buf out, err;
	int status;
};

struct run {
	struct spec *spec;
	struct options options;
	struct renderer renderer;
	struct answer *answer;
	uint64_t now_wall_ns;
	uint64_t lost;
};

static bool bad(struct answer *answer, const char *why)
{
	buf__printf(&answer->err, "render_driver: %s\n", why);
	answer->status = STATUS_BAD;
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * The bytes of a hexadecimal string, in a block of exactly their number, so that the sanitizers
 * see a read beyond them. NULL if it is none.
 */
static uint8_t *from_hex(const struct json *json, size_t *n)
{
	const char *s = json && json->type == JSON_IS_STRING ? json->string : "?";
	uint8_t *bytes;
	size_t i;

	*n = strlen(s) / 2;
	if (strlen(s) % 2)
		return NULL;
	bytes = malloc(*n ? *n : 1);
	for (i = 0; bytes && i < *n; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0) {
			free(bytes);
			return NULL;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return bytes;
}

static bool step_event(struct run *run, const struct json *hex)
{
	uint8_t *record;
	size_t n;

	record = from_hex(hex, &n);
	if (!record)
		return bad(run->answer, "an event is not hexadecimal");
	if (!renderer__event(&run->renderer, record, n))
		run->lost++;
	free(record);
	return true;
}

/* [KEYHEX, [VALHEX, ...]] */
static bool read_entry(struct run *run, const struct report *report, const struct json *pair,
		       uint8_t *key, uint8_t *value)
{
	const struct json *values = pair->child ? pair->child->next : NULL, *item;
	uint8_t *bytes, *cpus = NULL;
	size_t n, n_cpus = 0;
	bool ok;

	bytes = from_hex(pair->child, &n);
	ok = bytes && n == report->key.size;
	if (ok)
		memcpy(key, bytes, n);
	free(bytes);
	json__for_each(item, values) n_cpus++;
	if (ok && n_cpus) {
		cpus = calloc(n_cpus, report->value.size);
		ok = cpus != NULL;
	}
	n_cpus = 0;
	json__for_each(item, ok ? values : NULL)
	{
		bytes = from_hex(item, &n);
		ok = ok && bytes && n == report->value.size;
		if (ok)
			memcpy(cpus + n_cpus++ * n, bytes, n);
		free(bytes);
	}
	if (ok)
		report__sum_cpus(report, value, cpus, report->value.size, n_cpus);
	free(cpus);
	return ok || bad(run->answer, "an entry does not fit its map");
}

static bool step_report(struct run *run, const struct json *name, const struct json *list)
{
	struct entries entries = { 0 };
	const struct report *report = NULL;
	const struct json *pair;
	bool ok = true;
	size_t i, n = 0;

	for (i = 0; i < run->spec->n_reports && name->type == JSON_IS_STRING; i++) {
		if (!strcmp(run->spec->reports[i].name, name->string))
			report = &run->spec->reports[i];
	}
	if (!report)
		return bad(run->answer, "no such report");
	json__for_each(pair, list) n++;
	entries.key_size = report->key.size;
	entries.value_size = report->value.size;
	entries.data = calloc(n + 1, entries.key_size + entries.value_size);
	if (!entries.data)
		return bad(run->answer, "out of memory");
	json__for_each(pair, list)
	{
		ok = ok && read_entry(run, report, pair, entries__key(&entries, entries.n),
				      entries__value(&entries, entries.n));
		entries.n++;
	}
	if (ok)
		renderer__report(&run->renderer, report, &entries, run->now_wall_ns);
	free(entries.data);
	return ok;
}

static void put_name(struct buf *out, const char *name, bool first)
{
	if (!first)
		buf__putc(out, ',');
	buf__json_string(out, name, strlen(name));
}

/* Numbers of the command line have 64 bits, with or without a sign. */
static void put_number(struct buf *out, json_int number)
{
	if (number < 0)
		buf__signed(out, (int64_t)number);
	else
		buf__unsigned(out, (uint64_t)number);
}

static void put_value(struct buf *out, const struct option_spec *o,
		      const struct option_value *value)
{
	size_t i;

	if (o->type == OPTION_STRING || o->type == OPTION_PATH) {
		buf__json_string(out, value->text, strlen(value->text));
	} else if (o->type == OPTION_NUMBERS) {
		buf__putc(out, '[');
		for (i = 0; i < value->n_numbers; i++) {
			buf__puts(out, i ? "," : "");
			put_number(out, value->numbers[i]);
		}
		buf__putc(out, ']');
	} else {
		put_number(out, value->number);
	}
}

static void put_configs(struct run *run)
{
	struct buf *out = &run->answer->out;
	const struct spec *spec = run->spec;
	uint8_t image[CONFIGS] = { 0 };
	bool first = true;
	uint32_t byte;
	size_t c, i;

	if (!options__configure(&run->options, image, sizeof(image)))
		bad(run->answer, "no room for a CONFIG constant");
	for (c = 0; c < spec->n_configs; c++) {
		const struct config *config = &spec->configs[c];

		for (i = 0; i < spec->n_options; i++) {
			if (spec->options[i].has_config && run->options.values[i].set &&
			    !strcmp(spec->options[i].config.name, config->name))
				break;
		}
		if (i == spec->n_options || config->offset + config->size > sizeof(image))
			continue;
		put_name(out, config->name, first);
		buf__puts(out, ":\"");
		for (byte = 0; byte < config->size; byte++)
			buf__printf(out, "%02x", image[config->offset + byte]);
		buf__putc(out, '"');
		first = false;
	}
}

/* One line of JSON: what the command line means. */
static void step_options(struct run *run)
{
	const struct options *options = &run->options;
	struct buf *out = &run->answer->out;
	bool first = true;
	size_t i;

	buf__puts(out, "{\"given\":[");
	for (i = 0; i < run->spec->n_options; i++) {
		if (!options->values[i].given)
			continue;
		put_name(out, run->spec->options[i].name, first);
		first = false;
	}
	buf__puts(out, "],\"values\":{");
	first = true;
	for (i = 0; i < run->spec->n_options; i++) {
		if (!options->values[i].set)
			continue;
		put_name(out, run->spec->options[i].name, first);
		buf__putc(out, ':');
		put_value(out, &run->spec->options[i], &options->values[i]);
		first = false;
	}
	buf__puts(out, "},\"configs\":{");
	put_configs(run);
	buf__puts(out, "},\"command\":");
	for (i = 0; options->command && options->command[i]; i++) {
		buf__putc(out, i ? ',' : '[');
		buf__json_string(out, options->command[i], strlen(options->command[i]));
	}
	buf__puts(out, options->command ? "]}\n" : "null}\n");
}

static bool run_step(struct run *run, const struct json *step)
{
	const struct json *item;
	enum loss kind;
	json_int lost;

	item = json__get(step, "event");
	if (item)
		return step_event(run, item);
	item = json__get(step, "lost");
	if (item && json__to_int(item, &lost)) {
		item = json__get(step, "kind");
		kind = item && !strcmp(item->string, "skipped") ? LOSS_SKIPPED : LOSS_RECORDS;
		renderer__lost(&run->renderer, kind, (uint64_t)lost);
		return true;
	}
	item = json__get(step, "report");
	if (item)
		return step_report(run, item, json__get(step, "entries"));
	item = json__get(step, "trace");
	if (item && item->type == JSON_IS_STRING) {
		run->lost += renderer__trace(&run->renderer, item->string, strlen(item->string));
		return true;
	}
	if (json__get(step, "options")) {
		step_options(run);
		return true;
	}
	return bad(run->answer, "unknown step");
}

static void set_environment(const struct json *env)
{
	const struct json *item;

	json__for_each(item, env)
	{
		if (item->type == JSON_IS_STRING)
			setenv(item->name, item->string, 1);
	}
	tzset();
}

/* Arguments are bytes, which JSON strings need not be: hence hexadecimal. */
static char **read_argv(const struct json *list, int *argc)
{
	const struct json *item;
	size_t n = 0, len;
	uint8_t *bytes;
	char **argv;

	json__for_each(item, list) n++;
	argv = calloc(n + 1, sizeof(*argv));
	n = 0;
	json__for_each(item, argv ? list : NULL)
	{
		bytes = from_hex(item, &len);
		argv[n] = bytes ? strndup((char *)bytes, len) : NULL;
		free(bytes);
		if (!argv[n])
			break;
		n++;
	}
	*argc = (int)n;
	return argv;
}

static void free_argv(char **argv)
{
	for (char **arg = argv; arg && *arg; arg++)
		free(*arg);
	free(argv);
}

static json_int clock_value(const struct json *clock, const char *name)
{
	const struct json *json = json__get(clock, name);
	json_int v = 0;

	if (json)
		json__to_int(json, &v);
	return v;
}

static void run_steps(struct run *run, const struct json *root)
{
	const struct json *clock = json__get(root, "clock"), *step;
	struct run_clock start = {
		.start_mono_ns = (uint64_t)clock_value(clock, "start_mono_ns"),
		.wall_minus_mono_ns = (int64_t)clock_value(clock, "wall_minus_mono_ns"),
	};

	run->now_wall_ns = (uint64_t)clock_value(clock, "now_wall_ns");
	if (renderer__init(&run->renderer, run->spec, &run->options, &start, &run->answer->out,
			   &run->answer->err)) {
		renderer__begin(&run->renderer);
		json__for_each(step, json__get(root, "steps"))
		{
			if (!run_step(run, step))
				break;
		}
		if (run->lost)
			renderer__lost(&run->renderer, LOSS_RECORDS, run->lost);
	}
	renderer__free(&run->renderer);
}

static void run_document(const char *text, size_t len, struct answer *answer)
{
	struct run run = { .answer = answer };
	const struct json *root, *bound;
	char why[256] = "no bound spec", **argv = NULL;
	struct json_doc *doc;
	struct buf wrong = { 0 };
	int argc;

	doc = json_doc__parse(text, len, why);
	root = doc ? json_doc__root(doc) : NULL;
	bound = json__get(root, "bound");
	if (!bound) {
		bad(answer, why);
		goto cleanup;
	}
	set_environment(json__get(root, "env"));
	run.spec = spec__from_json(bound, &answer->err);
	if (!run.spec) {
		bad(answer, "");
		goto cleanup;
	}
	argv = read_argv(json__get(root, "argv"), &argc);
	if (!argv) {
		bad(answer, "out of memory");
		goto cleanup;
	}
	switch (options__parse(&run.options, run.spec, argc, argv, &answer->out, &wrong)) {
	case OPTIONS_RUN:
		run_steps(&run, root);
		break;
	case OPTIONS_DONE:
		break;
	case OPTIONS_WRONG:
		buf__printf(&answer->err, "%s: %.*s\nTry '%s --help' for more information.\n",
			    run.spec->tool, (int)wrong.len, wrong.data, run.spec->tool);
		answer->status = 2;
		break;
	}
	options__free(&run.options);
cleanup:
	buf__free(&wrong);
	free_argv(argv);
	spec__free(run.spec);
	json_doc__free(doc);
}

static void print_hex(const struct buf *b)
{
	size_t i;

	for (i = 0; i < b->len; i++)
		printf("%02x", (unsigned char)b->data[i]);
}

static int batch(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		struct answer answer = { 0 };

		run_document(line, (size_t)n, &answer);
		printf("{\"status\":%d,\"stdout\":\"", answer.status);
		print_hex(&answer.out);
		printf("\",\"stderr\":\"");
		print_hex(&answer.err);
		printf("\"}\n");
		fflush(stdout);
		buf__free(&answer.out);
		buf__free(&answer.err);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	struct answer answer = { 0 };
	struct buf text = { 0 };
	char block[4096];
	size_t n;

	if (argc == 2 && !strcmp(argv[1], "--batch"))
		return batch();
	while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
		buf__write(&text, block, n);
	run_document(text.data ? text.data : "", text.len, &answer);
	if (answer.out.len)
		fwrite(answer.out.data, 1, answer.out.len, stdout);
	if (answer.err.len)
		fwrite(answer.err.data, 1, answer.err.len, stderr);
	buf__free(&text);
	buf__free(&answer.out);
	buf__free(&answer.err);
	return answer.status;
}
