// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "spec/spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Here numbers are cut to a field's size, and made from fewer bytes, by copying their beginning. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "bpfduet takes the first bytes of a number for its lowest: it is for little-endian "
	       "machines alone");

/* Sanity bounds: nothing real comes near them, and sums of them never overflow. */
#define MAX_SIZE (1u << 20)
#define MAX_WIDTH 4096u
#define MAX_FIELD_DEPTH 16

struct allocation {
	struct allocation *next;
	_Alignas(16) char data[];
};

/*
 * State of a parse. Readers return a harmless default after the first error, so that their
 * callers need no check each; spec__from_json() looks at `failed` once.
 */
struct reader {
	struct spec *spec;
	struct buf *error;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void fail(struct reader *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf__puts(r->error, "malformed bound spec: ");
	buf__escaped(r->error, text, strlen(text));
}

static void *alloc_array(struct reader *r, size_t n, size_t size)
{
	struct allocation *a;

	if (n > SIZE_MAX / 2 / size || !(a = calloc(1, sizeof(*a) + n * size))) {
		fail(r, "out of memory");
		return NULL;
	}
	a->next = r->spec->allocations;
	r->spec->allocations = a;
	return a->data;
}

static size_t list_length(const struct json *list)
{
	const struct json *item;
	size_t n = 0;

	json__for_each(item, list) n++;
	return n;
}

/* A list member; NULL if it is absent or empty. */
static const struct json *get_list(struct reader *r, const struct json *object, const char *name,
				   enum json_type type)
{
	const struct json *json = json__get(object, name);

	if (!json)
		return NULL;
	if (json->type != type) {
		fail(r, "'%s' is not %s", name, type == JSON_IS_ARRAY ? "a list" : "an object");
		return NULL;
	}
	return json->child ? json : NULL;
}

/* A list member as an array of n zeroed structs; NULL with n = 0 if there is nothing. */
static void *get_array(struct reader *r, const struct json *object, const char *name, size_t size,
		       const struct json **list, size_t *n)
{
	void *array = NULL;

	*list = get_list(r, object, name, JSON_IS_ARRAY);
	*n = list_length(*list);
	if (*n)
		array = alloc_array(r, *n, size);
	if (!array) {
		*n = 0;
		*list = NULL;
	}
	return array;
}

static const char *get_string(struct reader *r, const struct json *object, const char *name)
{
	const struct json *json = json__get(object, name);

	if (!json)
		return NULL;
	if (json->type != JSON_IS_STRING) {
		fail(r, "'%s' is not a string", name);
		return NULL;
	}
	return json->string;
}

static const char *need_string(struct reader *r, const struct json *object, const char *name)
{
	const char *s = get_string(r, object, name);

	if (!s)
		fail(r, "'%s' is missing", name);
	return s ? s : "";
}

static bool get_bool(struct reader *r, const struct json *object, const char *name)
{
	const struct json *json = json__get(object, name);

	if (json && json->type != JSON_IS_BOOL)
		fail(r, "'%s' is not true or false", name);
	return json && json->boolean;
}

/* Whether the number is there; *value keeps what it was if not. */
static bool get_int(struct reader *r, const struct json *object, const char *name, json_int min,
		    json_int max, json_int *value)
{
	const struct json *json = json__get(object, name);
	json_int v;

	if (!json)
		return false;
	if (!json__to_int(json, &v)) {
		fail(r, "'%s' is not a whole number", name);
		return false;
	}
	if (v < min || v > max) {
		fail(r, "'%s' is out of range", name);
		return false;
	}
	*value = v;
	return true;
}

static uint32_t get_u32(struct reader *r, const struct json *object, const char *name, uint32_t max,
			uint32_t absent)
{
	json_int v = absent;

	get_int(r, object, name, 0, max, &v);
	return (uint32_t)v;
}

static uint32_t need_u32(struct reader *r, const struct json *object, const char *name,
			 uint32_t max)
{
	json_int v = 0;

	if (!get_int(r, object, name, 0, max, &v))
		fail(r, "'%s' is missing", name);
	return (uint32_t)v;
}

/* Index of a word in a list; `absent` if the member is not there. */
static int get_word(struct reader *r, const struct json *object, const char *name,
		    const char *const *words, size_t n, int absent)
{
	const char *s = get_string(r, object, name);
	size_t i;

	if (!s)
		return absent;
	for (i = 0; i < n; i++) {
		if (!strcmp(s, words[i]))
			return (int)i;
	}
	fail(r, "'%s' cannot be '%s'", name, s);
	return absent < 0 ? 0 : absent;
}

#define GET_WORD(r, object, name, words, absent)                                                   \
	get_word(r, object, name, words, sizeof(words) / sizeof((words)[0]), absent)

#define NEED_WORD(r, object, name, words)                                                          \
	need_word(r, object, name, GET_WORD(r, object, name, words, -1))

static unsigned int need_word(struct reader *r, const struct json *object, const char *name,
			      int index)
{
	if (index < 0 && json__get(object, name) == NULL)
		fail(r, "'%s' is missing", name);
	return index < 0 ? 0 : (unsigned int)index;
}

static const char *const kinds[] = { "uint", "int", "bool", "string", "struct" };

static const char **get_strings(struct reader *r, const struct json *object, const char *name,
				size_t *n)
{
	const struct json *list, *item;
	const char **strings = get_array(r, object, name, sizeof(*strings), &list, n);
	size_t i = 0;

	json__for_each(item, list)
	{
		if (item->type != JSON_IS_STRING)
			fail(r, "'%s' holds something that is not a string", name);
		strings[i++] = item->type == JSON_IS_STRING ? item->string : "";
	}
	return strings;
}

uint64_t field__total(const struct field *field)
{
	return (uint64_t)field->size * (field->count ? field->count : 1);
}

static void read_fields(struct reader *r, const struct json *object, uint32_t holder,
			struct field **fields, size_t *n, int depth);

/* `holder` is the size of what the offset counts in. */
static void read_field(struct reader *r, const struct json *json, uint32_t holder, struct field *f,
		       int depth)
{
	f->name = need_string(r, json, "name");
	f->offset = need_u32(r, json, "offset", MAX_SIZE);
	f->size = need_u32(r, json, "size", MAX_SIZE);
	f->count = get_u32(r, json, "count", MAX_SIZE, 0);
	f->kind = NEED_WORD(r, json, "kind", kinds);
	if (f->offset + field__total(f) > holder)
		fail(r, "field '%s' lies outside of what holds it", f->name);
	/* So that there are never more elements than bytes. */
	if (f->count && !f->size)
		fail(r, "field '%s' is an array of nothing", f->name);
	if (depth > MAX_FIELD_DEPTH)
		fail(r, "field '%s' is nested too deeply", f->name);
	else if (f->kind == FIELD_STRUCT)
		read_fields(r, json, f->size, &f->fields, &f->n_fields, depth + 1);
	else if (f->kind != FIELD_STRING && f->size != 1 && f->size != 2 && f->size != 4 &&
		 f->size != 8)
		fail(r, "field '%s' has no size of an integer", f->name);
}

static void read_fields(struct reader *r, const struct json *object, uint32_t holder,
			struct field **fields, size_t *n, int depth)
{
	const struct json *list, *item;
	size_t i = 0;

	*fields = get_array(r, object, "fields", sizeof(**fields), &list, n);
	json__for_each(item, list) read_field(r, item, holder, &(*fields)[i++], depth);
}

static void read_conditions(struct reader *r, const struct json *object, const char *name,
			    struct conditions *when)
{
	const struct json *list, *item;
	size_t i = 0;
	int option;

	when->list = get_array(r, object, name, sizeof(*when->list), &list, &when->n);
	json__for_each(item, list)
	{
		const char *term = item->type == JSON_IS_STRING ? item->string : "";
		bool negated = *term == '!';

		option = spec__find_option(r->spec, term + negated);
		if (option < 0)
			fail(r, "'%s' names no option: '%s'", name, term + negated);
		when->list[i].option = option < 0 ? 0 : (uint32_t)option;
		when->list[i++].negated = negated;
	}
}

static int by_number(const void *a, const void *b)
{
	json_int x = ((const struct named_number *)a)->number;
	json_int y = ((const struct named_number *)b)->number;

	return (x > y) - (x < y);
}

const char *names__find(const struct names *names, json_int number)
{
	size_t low = 0, high = names->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (names->sorted[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < names->n && names->sorted[low].number == number)
		return names->sorted[low].name;
	return NULL;
}

/* {"number": "name"} */
static void read_values(struct reader *r, const struct json *object, struct names *names)
{
	const struct json *list = get_list(r, object, "values", JSON_IS_OBJECT), *item;
	size_t n = list_length(list), i = 0;

	if (!n)
		return;
	names->list = alloc_array(r, n, sizeof(*names->list));
	names->sorted = alloc_array(r, n, sizeof(*names->sorted));
	if (!names->list || !names->sorted)
		return;
	json__for_each(item, list)
	{
		if (item->type != JSON_IS_STRING ||
		    !json__parse_int(item->name, &names->list[i].number)) {
			fail(r, "'values' has a bad entry '%s'", item->name);
			return;
		}
		names->list[i++].name = item->string;
	}
	names->n = n;
	memcpy(names->sorted, names->list, n * sizeof(*names->sorted));
	qsort(names->sorted, n, sizeof(*names->sorted), by_number);
}

/* {"name": number} */
static void read_choices(struct reader *r, const struct json *object, struct names *names)
{
	const struct json *list = get_list(r, object, "choices", JSON_IS_OBJECT), *item;
	size_t n = list_length(list), i = 0;

	if (!n)
		return;
	names->list = alloc_array(r, n, sizeof(*names->list));
	if (!names->list)
		return;
	json__for_each(item, list)
	{
		if (!json__to_int(item, &names->list[i].number)) {
			fail(r, "'choices' has a bad entry '%s'", item->name);
			return;
		}
		names->list[i++].name = item->name;
	}
	names->n = n;
}

static bool is_string_format(enum format format)
{
	return format == FORMAT_STRING || format == FORMAT_PATH || format == FORMAT_ARGS;
}

static bool format_fits(const struct column *c)
{
	const struct field *f = &c->field;

	switch (c->format) {
	case FORMAT_STRING:
	case FORMAT_PATH:
	case FORMAT_ARGS:
		return f->kind == FIELD_STRING && !f->count;
	case FORMAT_IPV6:
	case FORMAT_IP:
		return field__total(f) == 16;
	case FORMAT_IPV4:
		return f->size == 4 && !f->count && f->kind <= FIELD_BOOL;
	case FORMAT_PORT:
		return f->size == 2 && !f->count && f->kind <= FIELD_BOOL;
	case FORMAT_PERCENT:
		return f->kind == FIELD_UINT && !f->count && c->whole.kind == FIELD_UINT &&
		       c->whole.size && !c->whole.count;
	default:
		return f->kind <= FIELD_BOOL && !f->count;
	}
}

static uint32_t default_digits(const struct column *c)
{
	switch (c->format) {
	case FORMAT_ELAPSED:
		return 9;
	case FORMAT_DURATION:
		return c->scale ? 3 : 0;
	case FORMAT_PERCENT:
		return 2;
	default:
		return 0;
	}
}

static uint32_t max_digits(const struct column *c)
{
	switch (c->format) {
	case FORMAT_OCTAL:
		return 64;
	case FORMAT_WALL:
		return 9;
	default:
		return BUF_MAX_DIGITS;
	}
}

static const char *const formats[] = {
	"number", "hex",  "octal", "string", "path",  "args",	"wall",	   "elapsed",	 "duration",
	"bytes",  "ipv4", "ipv6",  "port",   "errno", "signal", "syscall", "capability", "device",
	"user",	  "enum", "flags", "ip",     "disk",  "exit",	"percent",
};

static void read_column(struct reader *r, const struct json *json, enum part whole,
			const uint32_t sizes[3], struct column *c)
{
	static const char *const parts[] = { "event", "key", "value" };
	static const char *const aligns[] = { "left", "right" };
	static const char *const units[] = { "ns", "us", "ms", "s" };
	static const char *const since[] = { "start", "first" };
	static const char *const zones[] = { "local", "utc" };
	const struct json *whole_field = json__get(json, "whole");
	const char *quote;

	c->of = (enum part)GET_WORD(r, json, "of", parts, (int)whole);
	if ((c->of == PART_EVENT) != (whole == PART_EVENT))
		fail(r, "a column reads '%s'", parts[c->of]);
	read_field(r, json, sizes[c->of], &c->field, 0);
	c->format = (enum format)GET_WORD(r, json, "format", formats,
					  c->field.kind == FIELD_STRING ? FORMAT_STRING
									: FORMAT_NUMBER);
	if (whole_field)
		read_field(r, whole_field, sizes[c->of], &c->whole, 0);
	c->rest = get_bool(r, json, "rest");
	if (!format_fits(c))
		fail(r, "field '%s' cannot be shown as '%s'", c->field.name, formats[c->format]);
	c->heading = need_string(r, json, "heading");
	c->label = get_string(r, json, "label");
	if (!c->label)
		c->label = c->field.name;
	c->width = get_u32(r, json, "width", MAX_WIDTH, 0);
	c->gap = get_u32(r, json, "gap", MAX_WIDTH, 1);
	c->right = GET_WORD(r, json, "align", aligns, 0) == 1;
	read_conditions(r, json, "when", &c->when);
	c->zero = get_string(r, json, "zero");
	c->scale = 3 * (uint32_t)GET_WORD(r, json, "unit", units, 0);
	c->digits = get_u32(r, json, "digits", max_digits(c), default_digits(c));
	c->since_first = GET_WORD(r, json, "since", since, 0) == 1;
	c->join = get_string(r, json, "join");
	if (!c->join)
		c->join = "|";
	c->cut = get_u32(r, json, "cut", MAX_SIZE, 0);
	c->utc = GET_WORD(r, json, "zone", zones, 0) == 1;
	quote = get_string(r, json, "quote");
	c->quote = quote ? spec__find_option(r->spec, quote) : -1;
	if (quote && c->quote < 0)
		fail(r, "'quote' names no option: '%s'", quote);
	read_values(r, json, &c->values);
}

static void read_columns(struct reader *r, const struct json *object, const char *name,
			 enum part whole, const uint32_t sizes[3], struct columns *columns)
{
	const struct json *list, *item;
	size_t i = 0;

	columns->list = get_array(r, object, name, sizeof(*columns->list), &list, &columns->n);
	json__for_each(item, list) read_column(r, item, whole, sizes, &columns->list[i++]);
}

static bool read_config(struct reader *r, const struct json *json, struct config *config)
{
	if (!json)
		return false;
	config->name = need_string(r, json, "name");
	config->in_object = json__get(json, "offset") != NULL;
	config->offset = get_u32(r, json, "offset", MAX_SIZE, 0);
	config->size = need_u32(r, json, "size", MAX_SIZE);
	config->kind = NEED_WORD(r, json, "kind", kinds);
	if (config->kind == FIELD_STRUCT ||
	    (config->kind == FIELD_STRING ? config->size == 0
					  : config->size != 1 && config->size != 2 &&
						    config->size != 4 && config->size != 8))
		fail(r, "CONFIG '%s' is no number and no string", config->name);
	return true;
}

/* As it would be typed: a string, or a number that is made one. */
static const char *read_default(struct reader *r, const struct json *option)
{
	const struct json *json = json__get(option, "default");
	struct buf text = { 0 };
	char *copy = NULL;
	json_int v = 0;

	if (!json || json->type == JSON_IS_STRING)
		return json ? json->string : NULL;
	if (!get_int(r, option, "default", INT64_MIN, UINT64_MAX, &v))
		return NULL;
	if (v < 0)
		buf__putc(&text, '-');
	buf__unsigned(&text, (uint64_t)(v < 0 ? -v : v));
	if (text.failed)
		fail(r, "out of memory");
	else
		copy = alloc_array(r, text.len + 1, 1);
	if (copy)
		memcpy(copy, text.data, text.len);
	buf__free(&text);
	return copy;
}

static bool match_fits(const struct option_spec *o)
{
	const struct field *f = &o->match_field;

	if (o->match == MATCH_ONE_OF)
		return o->type == OPTION_NUMBERS && f->kind <= FIELD_BOOL && !f->count;
	return o->type != OPTION_NUMBERS && f->kind == FIELD_STRING && !f->count &&
	       is_string_format(o->match_format);
}

static void read_option(struct reader *r, const struct json *json, struct option_spec *o)
{
	static const char *const types[] = { "flag",  "int",	"string",  "path",
					     "user",  "errno",	"syscall", "signal",
					     "flags", "choice", "numbers", "disk" };
	static const char *const roles[] = { "",	 "duration", "interval", "count",
					     "top",	 "format",   "buffer",	 "cgroup",
					     "verbose",	 "help",     "version",	 "list",
					     "btf",	 "pin",	     "folded",	 "delimited",
					     "annotate", "flame",    "output" };
	static const char *const hows[] = { "", "contains", "regex", "one_of" };
	const json_int min = INT64_MIN, max = UINT64_MAX;
	const struct json *match;
	const char *letter, **gift;
	size_t n;

	o->name = need_string(r, json, "name");
	letter = get_string(r, json, "short");
	if (letter && letter[0] && letter[1])
		fail(r, "'short' of '%s' is longer than a letter", o->name);
	o->letter = letter ? letter[0] : 0;
	o->type = (enum option_type)GET_WORD(r, json, "type", types, OPTION_FLAG);
	o->role = (enum role)GET_WORD(r, json, "role", roles, ROLE_NONE);
	if (o->role != ROLE_NONE && r->spec->roles[o->role] >= 0)
		fail(r, "two options have the role '%s'", roles[o->role]);
	else if (o->role != ROLE_NONE)
		r->spec->roles[o->role] = (int)(o - r->spec->options);
	o->has_min = get_int(r, json, "min", min, max, &o->min);
	o->has_max = get_int(r, json, "max", min, max, &o->max);
	o->repeat = get_bool(r, json, "repeat");
	o->required = get_bool(r, json, "required");
	o->value = 1;
	get_int(r, json, "value", min, max, &o->value);
	read_choices(r, json, &o->choices);
	o->has_config = read_config(r, json__get(json, "config"), &o->config);
	o->map = get_string(r, json, "map");
	o->entries = get_string(r, json, "entries");
	o->set = get_string(r, json, "set");
	gift = get_strings(r, json, "gives", &n);
	o->gives = n == 2 ? gift[0] : NULL;
	o->gift = n == 2 ? gift[1] : NULL;
	o->text = get_string(r, json, "text");

	o->preset = read_default(r, json);
	match = json__get(json, "match");
	if (match) {
		o->match = (enum match)NEED_WORD(r, match, "how", hows);
		read_field(r, match, MAX_SIZE, &o->match_field, 0);
		o->match_format = (enum format)GET_WORD(r, match, "format", formats, FORMAT_STRING);
		if (!match_fits(o))
			fail(r, "'%s' matches a field of another kind", o->name);
	}
}

/* A gift is no giver, or giving might never end. */
static void check_gifts(struct reader *r)
{
	const struct spec *spec = r->spec;
	const struct option_spec *o;
	size_t i;
	int to;

	for (i = 0; i < spec->n_options; i++) {
		o = &spec->options[i];
		to = o->gives ? spec__find_option(spec, o->gives) : -1;
		if (o->gives && (to < 0 || spec->options[to].gives))
			fail(r, "'%s' cannot give '%s'", o->name, o->gives);
	}
}

static void read_options(struct reader *r, const struct json *root)
{
	const struct json *list, *item;
	struct spec *spec = r->spec;
	size_t i = 0, j;

	for (i = 0; i < ROLES; i++)
		spec->roles[i] = -1;
	spec->options =
		get_array(r, root, "options", sizeof(*spec->options), &list, &spec->n_options);
	i = 0;
	json__for_each(item, list)
	{
		read_option(r, item, &spec->options[i]);
		for (j = 0; j < i && !r->failed; j++) {
			if (!strcmp(spec->options[j].name, spec->options[i].name))
				fail(r, "two options are called '%s'", spec->options[i].name);
		}
		i++;
	}
	if (!r->failed)
		check_gifts(r);
}

bool format__changes_json(enum format format)
{
	return format == FORMAT_PATH || format == FORMAT_ARGS || format == FORMAT_IPV4 ||
	       format == FORMAT_IPV6 || format == FORMAT_IP || format == FORMAT_PORT;
}

static bool is_same_place(const struct field *a, const struct field *b, uint64_t b_offset)
{
	return a->offset == b_offset && a->size == b->size && a->count == b->count &&
	       a->kind == b->kind;
}

/*
 * Let each field know the column that names it, for formats that change its value in JSON. The
 * fields are those of what begins at `base`, its name and a point are `prefix`.
 */
static void link_columns(struct reader *r, struct field *fields, size_t n_fields,
			 const struct columns *columns, enum part of, const char *prefix,
			 uint64_t base)
{
	char path[256];
	size_t i, j;

	for (i = 0; i < n_fields; i++) {
		struct field *f = &fields[i];

		if (snprintf(path, sizeof(path), "%s%s", prefix, f->name) >= (int)sizeof(path)) {
			fail(r, "the field name '%s' is too long", f->name);
			return;
		}
		for (j = 0; j < columns->n; j++) {
			const struct column *c = &columns->list[j];

			if (c->of != of || strcmp(c->field.name, path))
				continue;
			if (!is_same_place(&c->field, f, base + f->offset))
				fail(r, "a column has another field '%s' than the record", path);
			if (!f->column && format__changes_json(c->format))
				f->column = c;
		}
		if (f->kind == FIELD_STRUCT && !f->count) {
			strncat(path, ".", sizeof(path) - strlen(path) - 1);
			link_columns(r, f->fields, f->n_fields, columns, of, path,
				     base + f->offset);
		}
	}
}

static void need_field(struct events *e, const struct field *f)
{
	uint64_t end = f->offset + field__total(f);

	if (end > e->least)
		e->least = (uint32_t)end;
}

/*
 * The kernel half may submit a record that ends with the last string, so that a short name costs
 * little room in the buffer. Everything before it must be there, and so must all that is read
 * without regard to the record's length.
 */
static void find_least(struct reader *r, struct events *e)
{
	const struct field *last = e->n_fields ? &e->fields[e->n_fields - 1] : NULL;
	size_t i;

	for (i = 0; i < e->n_fields; i++) {
		struct field f = e->fields[i];

		if (&e->fields[i] == last && f.kind == FIELD_STRING && !f.count)
			f.size = 0;
		need_field(e, &f);
	}
	for (i = 0; i < e->columns.n; i++) {
		const struct column *c = &e->columns.list[i];

		if (!is_string_format(c->format))
			need_field(e, &c->field);
		need_field(e, &c->whole);
	}
	for (i = 0; i < r->spec->n_options; i++) {
		if (r->spec->options[i].match == MATCH_ONE_OF)
			need_field(e, &r->spec->options[i].match_field);
	}
	if (!e->n_fields)
		fail(r, "the record has no fields");
}

static void read_events(struct reader *r, const struct json *root)
{
	static const char *const transports[] = { "ringbuf", "perf" };
	const struct json *json = json__get(root, "events");
	struct events *e = &r->spec->events;
	size_t i;

	if (!json)
		return;
	r->spec->has_events = true;
	e->map = need_string(r, json, "map");
	e->perf = GET_WORD(r, json, "transport", transports, 0) == 1;
	e->size = need_u32(r, json, "size", MAX_SIZE);
	read_fields(r, json, e->size, &e->fields, &e->n_fields, 0);
	read_columns(r, json, "columns", PART_EVENT, (const uint32_t[3]){ e->size, 0, 0 },
		     &e->columns);
	for (i = 0; i < r->spec->n_options; i++) {
		const struct option_spec *o = &r->spec->options[i];

		if (o->match != MATCH_NONE &&
		    o->match_field.offset + field__total(&o->match_field) > e->size)
			fail(r, "'%s' matches a field outside of the record", o->name);
	}
	if (!r->failed) {
		find_least(r, e);
		link_columns(r, e->fields, e->n_fields, &e->columns, PART_EVENT, "", 0);
	}
}

static void read_side(struct reader *r, const struct json *object, const char *name,
		      struct map_side *side)
{
	const struct json *json = json__get(object, name);

	if (!json) {
		fail(r, "'%s' of a report is missing", name);
		return;
	}
	side->size = need_u32(r, json, "size", MAX_SIZE);
	if (!side->size)
		fail(r, "'%s' of a report has no size", name);
	read_fields(r, json, side->size, &side->fields, &side->n_fields, 0);
}

static void read_headings(struct reader *r, const struct json *json, struct report *report)
{
	const struct json *list, *item;
	size_t i = 0;

	report->heading = get_string(r, json, "heading");
	report->headings = get_array(r, json, "headings", sizeof(*report->headings), &list,
				     &report->n_headings);
	json__for_each(item, list)
	{
		struct heading *heading = &report->headings[i++];

		heading->text = need_string(r, item, "text");
		read_conditions(r, item, "when", &heading->when);
	}
}

static void read_sorts(struct reader *r, const struct json *json, const uint32_t sizes[3],
		       struct report *report)
{
	static const char *const parts[] = { "event", "key", "value" };
	const struct json *list, *item;
	size_t i = 0;

	report->sorts = get_array(r, json, "sort", sizeof(*report->sorts), &list, &report->n_sorts);
	json__for_each(item, list)
	{
		struct sort *sort = &report->sorts[i++];

		sort->of = NEED_WORD(r, item, "of", parts);
		read_field(r, item, sizes[sort->of], &sort->field, 0);
		read_conditions(r, item, "when", &sort->when);
		sort->ascending = get_bool(r, item, "ascending");
	}
}

static void read_stacks(struct reader *r, const struct json *json, struct report *report)
{
	struct stack_fields *stacks = &report->stacks;
	const struct {
		const char *name;
		struct field *field;
		bool needed, string;
	} fields[] = {
		{ "kernel", &stacks->kernel, false, false },
		{ "user", &stacks->user, false, false },
		{ "process", &stacks->process, true, false },
		{ "task", &stacks->task, true, false },
		{ "comm", &stacks->comm, true, true },
	};
	const struct json *field;
	size_t i;

	stacks->map = need_string(r, json, "map");
	stacks->depth = need_u32(r, json, "depth", MAX_SIZE / 8);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		field = json__get(json, fields[i].name);
		if (field)
			read_field(r, field, report->key.size, fields[i].field, 0);
		if (field ? fields[i].field->count || fields[i].field->kind == FIELD_STRUCT ||
				    (fields[i].field->kind == FIELD_STRING) != fields[i].string
			  : fields[i].needed)
			fail(r, "'%s' does not fit the stacks of '%s'", fields[i].name,
			     report->map);
	}
}

static void read_average(struct reader *r, const struct json *json, struct report *report)
{
	const struct {
		const char *name;
		struct field *field;
	} fields[] = { { "total", &report->total }, { "count", &report->count } };
	const struct json *field;
	json_int divisor = 1;
	size_t i;

	get_int(r, json, "divisor", 1, INT32_MAX, &divisor);
	report->divisor = (uint64_t)divisor;
	if (!report->heading)
		report->heading = "value";
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		field = json__get(json, fields[i].name);
		if (field)
			read_field(r, field, report->value.size, fields[i].field, 0);
		if (!field || fields[i].field->kind != FIELD_UINT || fields[i].field->count)
			fail(r, "'%s' of the average of '%s' is not a number", fields[i].name,
			     report->map);
	}
}

static void read_report(struct reader *r, const struct json *json, struct report *report)
{
	static const char *const report_kinds[] = { "log2",	"linear", "table",
						    "counters", "stacks", "average" };
	static const char *const map_kinds[] = { "hash", "array" };
	const struct json *slot = json__get(json, "slot");
	uint32_t sizes[3] = { 0 };
	json_int v;

	report->map = need_string(r, json, "map");
	report->name = get_string(r, json, "name");
	if (!report->name)
		report->name = report->map;
	report->kind = NEED_WORD(r, json, "kind", report_kinds);
	report->array = NEED_WORD(r, json, "map_kind", map_kinds);
	report->percpu = get_bool(r, json, "percpu");
	report->entries = get_u32(r, json, "entries", UINT32_MAX, 0);
	report->clear = get_bool(r, json, "clear");
	report->locked = get_bool(r, json, "locked");
	report->blank_before = get_bool(r, json, "blank_before");
	report->blank_after = get_bool(r, json, "blank_after");
	report->time = get_string(r, json, "time");
	report->title = get_string(r, json, "title");
	read_headings(r, json, report);
	read_conditions(r, json, "when", &report->when);
	read_conditions(r, json, "time_when", &report->time_when);
	read_side(r, json, "key", &report->key);
	read_side(r, json, "value", &report->value);
	sizes[PART_KEY] = report->key.size;
	sizes[PART_VALUE] = report->value.size;
	v = 0;
	get_int(r, json, "base", INT32_MIN, INT32_MAX, &v);
	report->base = (int64_t)v;
	v = 1;
	get_int(r, json, "step", 1, INT32_MAX, &v);
	report->step = (int64_t)v;
	report->inline_headings = get_bool(r, json, "inline");
	report->sum = get_bool(r, json, "sum");
	report->labels = get_strings(r, json, "labels", &report->n_labels);
	read_columns(r, json, "sections", PART_KEY, sizes, &report->sections);
	read_columns(r, json, "columns", PART_KEY, sizes, &report->columns);
	read_sorts(r, json, sizes, report);
	if (slot)
		read_field(r, slot, report->key.size, &report->slot, 0);
	if (report->kind == REPORT_STACKS)
		read_stacks(r, json__get(json, "stacks"), report);
	if (report->kind == REPORT_AVERAGE)
		read_average(r, json, report);
	if (r->failed)
		return;

	if (report->kind != REPORT_TABLE && report->kind != REPORT_AVERAGE &&
	    (report->value.n_fields != 1 || report->value.fields[0].kind > FIELD_BOOL ||
	     report->value.fields[0].count))
		fail(r, "the values of '%s' are not counts", report->map);
	if (report->kind == REPORT_COUNTERS &&
	    (report->key.n_fields != 1 || report->key.fields[0].kind > FIELD_INT))
		fail(r, "the keys of '%s' are not numbers", report->map);
	if (report->kind == REPORT_LOG2 || report->kind == REPORT_LINEAR) {
		if (!slot)
			fail(r, "the histogram '%s' has no slot", report->map);
		else if (report->slot.kind > FIELD_BOOL || report->slot.count)
			fail(r, "the slot of '%s' is not a number", report->map);
		if (!report->heading)
			report->heading = "value";
	}
	link_columns(r, report->key.fields, report->key.n_fields,
		     report->kind == REPORT_TABLE ? &report->columns : &report->sections, PART_KEY,
		     "", 0);
	link_columns(r, report->value.fields, report->value.n_fields, &report->columns, PART_VALUE,
		     "", 0);
}

static void read_arguments(struct reader *r, const struct json *root)
{
	struct spec *spec = r->spec;
	const char **names = get_strings(r, root, "arguments", &spec->n_arguments);
	size_t i;
	int option;

	if (!spec->n_arguments)
		return;
	spec->arguments = alloc_array(r, spec->n_arguments, sizeof(*spec->arguments));
	for (i = 0; spec->arguments && i < spec->n_arguments; i++) {
		option = spec__find_option(spec, names[i]);
		if (option < 0 || spec->options[option].type == OPTION_FLAG)
			fail(r, "'arguments' cannot name '%s'", names[i]);
		else
			spec->arguments[i] = (uint32_t)option;
	}
}

static void read_program(struct reader *r, const struct json *json, struct program *program)
{
	static const char *const directions[] = { "ingress", "egress" };

	program->name = need_string(r, json, "name");
	read_conditions(r, json, "when", &program->when);
	program->fallback = get_strings(r, json, "fallback", &program->n_fallback);
	program->also = get_strings(r, json, "also", &program->n_also);
	program->target = get_string(r, json, "target");
	program->process = get_string(r, json, "process");
	program->event = get_string(r, json, "event");
	program->frequency = get_string(r, json, "frequency");
	program->period = get_string(r, json, "period");
	program->interface = get_string(r, json, "interface");
	program->egress = GET_WORD(r, json, "direction", directions, 0) == 1;
}

static void read_spec(struct reader *r, const struct json *root)
{
	struct spec *spec = r->spec;
	const struct json *list, *item, *pipe;
	json_int version = 0;
	size_t i;

	if (root->type != JSON_IS_OBJECT) {
		fail(r, "it is not an object");
		return;
	}
	if (!get_int(r, root, "bpfduet", INT64_MIN, INT64_MAX, &version) || version != 1) {
		fail(r, "it is of another version of bpfduet: build the object again");
		return;
	}
	spec->tool = need_string(r, root, "tool");
	spec->version = need_string(r, root, "version");
	spec->help = need_string(r, root, "help");
	spec->requires = get_strings(r, root, "requires", &spec->n_requires);
	/* Options come first: conditions name them. */
	read_options(r, root);
	read_arguments(r, root);

	spec->banners =
		get_array(r, root, "banner", sizeof(*spec->banners), &list, &spec->n_banners);
	i = 0;
	json__for_each(item, list)
	{
		spec->banners[i].text = need_string(r, item, "text");
		spec->banners[i].more = get_bool(r, item, "more");
		read_conditions(r, item, "when", &spec->banners[i++].when);
	}
	spec->configs =
		get_array(r, root, "configs", sizeof(*spec->configs), &list, &spec->n_configs);
	i = 0;
	json__for_each(item, list) read_config(r, item, &spec->configs[i++]);
	spec->programs =
		get_array(r, root, "programs", sizeof(*spec->programs), &list, &spec->n_programs);
	i = 0;
	json__for_each(item, list) read_program(r, item, &spec->programs[i++]);
	spec->counters =
		get_array(r, root, "counters", sizeof(*spec->counters), &list, &spec->n_counters);
	i = 0;
	json__for_each(item, list)
	{
		spec->counters[i].map = need_string(r, item, "map");
		spec->counters[i++].event = need_string(r, item, "event");
	}
	read_events(r, root);
	spec->reports =
		get_array(r, root, "reports", sizeof(*spec->reports), &list, &spec->n_reports);
	i = 0;
	json__for_each(item, list) read_report(r, item, &spec->reports[i++]);
	pipe = json__get(root, "trace_pipe");
	spec->trace_pipe.present = pipe != NULL;
	spec->trace_pipe.columns = get_bool(r, pipe, "columns");
}

struct spec *spec__from_json(const struct json *json, struct buf *error)
{
	struct reader r = { .error = error };

	r.spec = calloc(1, sizeof(*r.spec));
	if (!r.spec) {
		buf__puts(error, "out of memory");
		return NULL;
	}
	read_spec(&r, json);
	if (r.failed) {
		spec__free(r.spec);
		return NULL;
	}
	return r.spec;
}

struct spec *spec__parse(const char *text, size_t len, struct buf *error)
{
	struct json_doc *doc;
	struct spec *spec;
	char why[256];

	doc = json_doc__parse(text, len, why);
	if (!doc) {
		buf__printf(error, "malformed bound spec: %s", why);
		return NULL;
	}
	spec = spec__from_json(json_doc__root(doc), error);
	if (spec)
		spec->doc = doc;
	else
		json_doc__free(doc);
	return spec;
}

void spec__free(struct spec *spec)
{
	struct allocation *a, *next;

	if (!spec)
		return;
	for (a = spec->allocations; a; a = next) {
		next = a->next;
		free(a);
	}
	json_doc__free(spec->doc);
	free(spec);
}

int spec__find_option(const struct spec *spec, const char *name)
{
	size_t i;

	for (i = 0; i < spec->n_options; i++) {
		if (!strcmp(spec->options[i].name, name))
			return (int)i;
	}
	return -1;
}

const struct program *spec__find_program(const struct spec *spec, const char *name)
{
	size_t i;

	for (i = 0; i < spec->n_programs; i++) {
		if (!strcmp(spec->programs[i].name, name))
			return &spec->programs[i];
	}
	return NULL;
}

const struct config *spec__find_config(const struct spec *spec, const char *name)
{
	size_t i;

	for (i = 0; i < spec->n_configs; i++) {
		if (!strcmp(spec->configs[i].name, name))
			return &spec->configs[i];
	}
	return NULL;
}

uint64_t field__load(const struct field *field, const uint8_t *base, uint32_t i)
{
	const uint8_t *p = base + field->offset + (size_t)i * field->size;
	bool sign = field->kind == FIELD_INT;
	uint16_t v16;
	uint32_t v32;
	uint64_t v;

	/* Records are packed by the compiler of the kernel half: nothing says they are aligned. */
	switch (field->size) {
	case 1:
		v = sign ? (uint64_t)(int8_t)*p : *p;
		break;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		v = sign ? (uint64_t)(int16_t)v16 : v16;
		break;
	case 4:
		memcpy(&v32, p, sizeof(v32));
		v = sign ? (uint64_t)(int32_t)v32 : v32;
		break;
	default:
		memcpy(&v, p, sizeof(v));
		break;
	}
	return field->kind == FIELD_BOOL ? v != 0 : v;
}

uint64_t field__bits(const struct field *field, const uint8_t *base)
{
	uint64_t v = field__load(field, base, 0);

	return field->size < 8 ? v & ((1ULL << (field->size * 8)) - 1) : v;
}

static int compare_element(const struct field *f, const uint8_t *a, const uint8_t *b, uint32_t i)
{
	size_t at = (size_t)i * f->size;
	uint64_t x, y;
	size_t n, m;
	uint32_t j;
	int order;

	switch (f->kind) {
	case FIELD_STRING:
		a += f->offset + at;
		b += f->offset + at;
		n = strnlen((const char *)a, f->size);
		m = strnlen((const char *)b, f->size);
		order = memcmp(a, b, n < m ? n : m);
		return order ? order : (n > m) - (n < m);
	case FIELD_STRUCT:
		for (j = 0; j < f->n_fields; j++) {
			order = field__compare(&f->fields[j], a + f->offset + at,
					       b + f->offset + at);
			if (order)
				return order;
		}
		return 0;
	default:
		x = field__load(f, a, i);
		y = field__load(f, b, i);
		if (f->kind == FIELD_INT)
			return ((int64_t)x > (int64_t)y) - ((int64_t)x < (int64_t)y);
		return (x > y) - (x < y);
	}
}

int field__compare(const struct field *field, const uint8_t *a, const uint8_t *b)
{
	uint32_t i, n = field->count ? field->count : 1;
	int order = 0;

	for (i = 0; i < n && !order; i++)
		order = compare_element(field, a, b, i);
	return order;
}
