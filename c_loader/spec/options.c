// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "spec/options.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Lists of values that are longer do not help in an error message. */
#define MAX_LISTED 8

struct parse {
	const struct spec *spec;
	struct options *options;
	struct buf *out, *err;
	enum options_result result;
};

/* A sentence whose only untrusted part, `word`, stands between `before` and `after`. */
static enum options_result wrong(struct parse *ps, const char *before, const char *word,
				 const char *after)
{
	buf__puts(ps->err, before);
	buf__escaped(ps->err, word, strlen(word));
	buf__puts(ps->err, after);
	return OPTIONS_WRONG;
}

/* The same with "'--NAME'" of an option and more text behind it. */
static enum options_result wrong_named(struct parse *ps, const char *before, const char *word,
				       const char *middle, const struct option_spec *o,
				       const char *end)
{
	struct buf after = { 0 };
	enum options_result result;

	buf__printf(&after, "%s'--%s'%s", middle, o->name, end);
	buf__putc(&after, '\0');
	result = wrong(ps, before, word, after.failed ? "'" : after.data);
	buf__free(&after);
	return result;
}

static enum options_result wrong_for(struct parse *ps, const char *word, const char *middle,
				     const struct option_spec *o, const char *end)
{
	return wrong_named(ps, "'", word, middle, o, end);
}

static enum options_result out_of_range(struct parse *ps, const char *arg,
					const struct option_spec *o)
{
	struct buf end = { 0 };
	enum options_result result;

	buf__puts(&end, " (");
	if (o->min < 0)
		buf__signed(&end, (int64_t)o->min);
	else
		buf__unsigned(&end, (uint64_t)o->min);
	buf__puts(&end, " to ");
	if (o->max < 0)
		buf__signed(&end, (int64_t)o->max);
	else
		buf__unsigned(&end, (uint64_t)o->max);
	buf__puts(&end, ")");
	buf__putc(&end, '\0');
	result = wrong_for(ps, arg, "' is out of range for ", o, end.failed ? "" : end.data);
	buf__free(&end);
	return result;
}

/*
 * An optional sign, then decimal or 0x and hexadecimal digits. Saturates: what is far too large
 * is out of every range.
 */
static bool parse_number(const char *s, json_int *value)
{
	const json_int limit = (json_int)1 << 100;
	bool negative = *s == '-';
	unsigned int base = 10, digit;
	json_int v = 0;

	if (*s == '-' || *s == '+')
		s++;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned int)(*s - 'A') + 10;
		else
			return false;
		if (digit >= base)
			return false;
		if (v < limit)
			v = v * base + digit;
	}
	*value = negative ? -v : v;
	return true;
}

static const struct named_number *find_choice(const struct names *choices, const char *name,
					      size_t len)
{
	size_t i;

	for (i = 0; i < choices->n; i++) {
		if (!strncmp(choices->list[i].name, name, len) && !choices->list[i].name[len])
			return &choices->list[i];
	}
	return NULL;
}

static bool find_user(const char *name, json_int *uid)
{
	struct passwd *entry;
	bool found = false;
	FILE *file;

	/* Not getpwnam(): its modules cannot be linked statically. */
	file = fopen("/etc/passwd", "re");
	if (!file)
		return false;
	while (!found && (entry = fgetpwent(file))) {
		found = !strcmp(entry->pw_name, name);
		if (found)
			*uid = entry->pw_uid;
	}
	fclose(file);
	return found;
}

/* The kernel's own number of the device /dev/NAME. */
static bool find_disk(const char *name, json_int *dev)
{
	struct buf path = { 0 };
	struct stat st;
	bool found;

	buf__printf(&path, "/dev/%s", name);
	buf__putc(&path, '\0');
	found = !path.failed && !stat(path.data, &st) && S_ISBLK(st.st_mode);
	if (found)
		*dev = (json_int)major(st.st_rdev) << 20 | minor(st.st_rdev);
	buf__free(&path);
	return found;
}

static enum options_result not_a_value(struct parse *ps, const char *arg,
				       const struct option_spec *o)
{
	struct buf end = { 0 };
	enum options_result result;
	size_t i;

	if (o->choices.n && o->choices.n <= MAX_LISTED) {
		for (i = 0; i < o->choices.n; i++)
			buf__printf(&end, "%s%s", i ? ", " : " (", o->choices.list[i].name);
		buf__puts(&end, ")");
	}
	buf__putc(&end, '\0');
	result = wrong_for(ps, arg, "' is not a value of ", o, end.failed ? "" : end.data);
	buf__free(&end);
	return result;
}

/* "A", or for flags "A|B" */
static enum options_result parse_choice(struct parse *ps, const char *arg,
					const struct option_spec *o, json_int *value)
{
	const struct named_number *choice;
	enum options_result result;
	char *part;
	size_t len;

	*value = 0;
	for (;; arg += len + 1) {
		len = o->type == OPTION_FLAGS ? strcspn(arg, "|") : strlen(arg);
		choice = find_choice(&o->choices, arg, len);
		if (!choice)
			break;
		*value |= choice->number;
		if (!arg[len])
			return OPTIONS_RUN;
	}
	part = strndup(arg, len);
	result = not_a_value(ps, part ? part : arg, o);
	free(part);
	return result;
}

static enum options_result check_range(struct parse *ps, const char *arg,
				       const struct option_spec *o, json_int v)
{
	if ((o->has_min && v < o->min) || (o->has_max && v > o->max))
		return out_of_range(ps, arg, o);
	if (o->role == ROLE_BUFFER && (v <= 0 || (v & (v - 1))))
		return wrong_for(ps, arg, "' is not a power of two for ", o, "");
	return OPTIONS_RUN;
}

static enum options_result parse_named(struct parse *ps, const char *arg,
				       const struct option_spec *o, json_int *v)
{
	const struct named_number *choice;
	const char *what = o->type == OPTION_USER      ? "no such user '"
			   : o->type == OPTION_ERRNO   ? "no such errno '"
			   : o->type == OPTION_SYSCALL ? "no such syscall '"
						       : "no such signal '";
	char with_sig[32];

	if (parse_number(arg, v)) {
		if (o->type == OPTION_ERRNO && *v < 0)
			*v = -*v;
		return OPTIONS_RUN;
	}
	if (o->type == OPTION_USER)
		return find_user(arg, v) ? OPTIONS_RUN : wrong(ps, what, arg, "'");
	choice = find_choice(&o->choices, arg, strlen(arg));
	if (!choice && o->type == OPTION_SIGNAL) {
		snprintf(with_sig, sizeof(with_sig), "SIG%s", arg);
		choice = find_choice(&o->choices, with_sig, strlen(with_sig));
	}
	if (!choice)
		return wrong(ps, what, arg, "'");
	*v = choice->number;
	return OPTIONS_RUN;
}

static enum options_result parse_string(struct parse *ps, const char *arg,
					const struct option_spec *o, struct option_value *value)
{
	char end[64];

	if (o->has_config && o->config.kind == FIELD_STRING && strlen(arg) >= o->config.size) {
		snprintf(end, sizeof(end), " (at most %u bytes)", o->config.size - 1);
		return wrong_for(ps, arg, "' is too long for ", o, end);
	}
	if (o->match == MATCH_REGEX) {
		if (value->has_regex)
			regfree(&value->regex);
		value->has_regex = !regcomp(&value->regex, arg, REG_EXTENDED | REG_NOSUB);
		if (!value->has_regex) {
			return wrong_named(ps, "bad pattern '", arg, "' for ", o, "");
		}
	}
	return OPTIONS_RUN;
}

/* "80,443" */
static enum options_result parse_numbers(struct parse *ps, const char *arg,
					 const struct option_spec *o, struct option_value *value)
{
	enum options_result result = OPTIONS_RUN;
	char *copy = strdup(arg), *rest = copy, *word;
	bool good = true;
	size_t i;

	free(value->numbers);
	value->n_numbers = 0;
	/* There are never more numbers than bytes, and one more than commas. */
	value->numbers = calloc(strlen(arg) + 1, sizeof(*value->numbers));
	if (!copy || !value->numbers) {
		free(copy);
		return wrong(ps, "out of memory", "", "");
	}
	while (good && (word = strsep(&rest, ",")))
		good = parse_number(word, &value->numbers[value->n_numbers++]);
	free(copy);
	if (!good)
		return wrong_for(ps, arg, "' is no list of numbers for ", o, "");
	for (i = 0; i < value->n_numbers && result == OPTIONS_RUN; i++)
		result = check_range(ps, arg, o, value->numbers[i]);
	return result;
}

/* An argument (not NULL but for flags) of option o. */
static enum options_result take_argument(struct parse *ps, const struct option_spec *o,
					 const char *arg)
{
	struct option_value *value = &ps->options->values[o - ps->spec->options];
	enum options_result result = OPTIONS_RUN;
	json_int v = 0;

	switch (o->type) {
	case OPTION_FLAG:
		v = o->value;
		break;
	case OPTION_INT:
		if (!parse_number(arg, &v))
			return wrong_for(ps, arg, "' is not a number for ", o, "");
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		result = parse_string(ps, arg, o, value);
		break;
	case OPTION_NUMBERS:
		result = parse_numbers(ps, arg, o, value);
		v = 1;
		break;
	case OPTION_USER:
	case OPTION_ERRNO:
	case OPTION_SYSCALL:
	case OPTION_SIGNAL:
		result = parse_named(ps, arg, o, &v);
		break;
	case OPTION_DISK:
		if (!find_disk(arg, &v))
			return wrong(ps, "no such disk '", arg, "'");
		break;
	case OPTION_FLAGS:
	case OPTION_CHOICE:
		result = parse_choice(ps, arg, o, &v);
		break;
	}
	if (result == OPTIONS_RUN && o->type != OPTION_FLAG && o->type != OPTION_NUMBERS)
		result = check_range(ps, arg, o, v);
	if (result != OPTIONS_RUN)
		return result;
	value->number = o->repeat && value->given ? value->number | v : v;
	value->text = arg;
	value->set = true;
	return OPTIONS_RUN;
}

static enum options_result given(struct parse *ps, const struct option_spec *o, const char *arg)
{
	uint32_t index = (uint32_t)(o - ps->spec->options);
	enum options_result result = take_argument(ps, o, arg);

	if (result != OPTIONS_RUN)
		return result;
	ps->options->values[index].given = true;
	ps->options->sequence[ps->options->n_sequence++] = index;
	if (o->gives) {
		int other = spec__find_option(ps->spec, o->gives);

		return other < 0 ? OPTIONS_RUN : given(ps, &ps->spec->options[other], o->gift);
	}
	switch (o->role) {
	case ROLE_HELP:
		buf__puts(ps->out, ps->spec->help);
		return OPTIONS_DONE;
	case ROLE_VERSION:
		buf__printf(ps->out, "%s %s\n", ps->spec->tool, ps->spec->version);
		return OPTIONS_DONE;
	case ROLE_LIST:
		buf__puts(ps->out, o->text ? o->text : "");
		return OPTIONS_DONE;
	default:
		return OPTIONS_RUN;
	}
}

/* "--name" or "--name=value"; *next is the word after it, NULL at the end. */
static enum options_result parse_long(struct parse *ps, char *word, char *next, bool *used_next)
{
	const struct option_spec *found = NULL;
	size_t len = strcspn(word + 2, "="), i;
	char *value = word[2 + len] ? word + 2 + len + 1 : NULL;
	bool ambiguous = false;
	char name[256];

	for (i = 0; i < ps->spec->n_options; i++) {
		const struct option_spec *o = &ps->spec->options[i];

		if (strncmp(o->name, word + 2, len))
			continue;
		if (!o->name[len]) {
			found = o;
			ambiguous = false;
			break;
		}
		ambiguous |= found != NULL;
		found = o;
	}
	if (!found || ambiguous) {
		struct buf typed = { 0 };
		enum options_result result;

		buf__write(&typed, word, len + 2);
		buf__putc(&typed, '\0');
		result = wrong(ps, found ? "option '" : "unknown option '",
			       typed.failed ? "--" : typed.data, found ? "' is ambiguous" : "'");
		buf__free(&typed);
		return result;
	}
	snprintf(name, sizeof(name), "--%s", found->name);
	if (found->type == OPTION_FLAG && value)
		return wrong(ps, "option '", name, "' takes no argument");
	if (found->type != OPTION_FLAG && !value) {
		if (!next)
			return wrong(ps, "option '", name, "' needs an argument");
		value = next;
		*used_next = true;
	}
	return given(ps, found, value);
}

/* "-abc", "-p123" or "-p". */
static enum options_result parse_short(struct parse *ps, char *word, char *next, bool *used_next)
{
	enum options_result result = OPTIONS_RUN;
	const struct option_spec *o;
	char letter[3] = "-", name[256];
	size_t i;

	for (word++; *word && result == OPTIONS_RUN; word++) {
		o = NULL;
		for (i = 0; i < ps->spec->n_options && !o; i++) {
			if (ps->spec->options[i].letter == *word)
				o = &ps->spec->options[i];
		}
		if (!o) {
			letter[1] = *word;
			return wrong(ps, "unknown option '", letter, "'");
		}
		if (o->type == OPTION_FLAG) {
			result = given(ps, o, NULL);
			continue;
		}
		if (word[1])
			return given(ps, o, word + 1);
		if (!next) {
			snprintf(name, sizeof(name), "--%s", o->name);
			return wrong(ps, "option '", name, "' needs an argument");
		}
		*used_next = true;
		return given(ps, o, next);
	}
	return result;
}

/* Defaults are read as if they had been typed. */
static enum options_result set_defaults(struct parse *ps)
{
	enum options_result result = OPTIONS_RUN;
	size_t i;

	for (i = 0; i < ps->spec->n_options && result == OPTIONS_RUN; i++) {
		const struct option_spec *o = &ps->spec->options[i];

		if (o->preset)
			result = take_argument(ps, o, o->preset);
	}
	return result;
}

static enum options_result check_required(struct parse *ps)
{
	size_t i;

	for (i = 0; i < ps->spec->n_options; i++) {
		const struct option_spec *o = &ps->spec->options[i];

		if (o->required && !ps->options->values[i].given)
			return wrong(ps, "no ", o->name, " is given");
	}
	return OPTIONS_RUN;
}

enum options_result options__parse(struct options *options, const struct spec *spec, int argc,
				   char **argv, struct buf *out, struct buf *err)
{
	struct parse ps = { .spec = spec, .options = options, .out = out, .err = err };
	enum options_result result;
	bool used_next;
	size_t letters = 0, n_words = 0;
	char *next;
	int i;

	memset(options, 0, sizeof(*options));
	options->spec = spec;
	/* A word gives as many options as it has letters, at most, and each of them another one. */
	for (i = 0; i < argc; i++)
		letters += 2 * (strlen(argv[i]) + 1); /* a word alone is one too */
	options->values = calloc(spec->n_options + 1, sizeof(*options->values));
	options->sequence = calloc(letters + 1, sizeof(*options->sequence));
	if (!options->values || !options->sequence)
		return wrong(&ps, "out of memory", "", "");
	result = set_defaults(&ps);
	for (i = 0; i < argc && result == OPTIONS_RUN; i++) {
		used_next = false;
		next = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(argv[i], "--")) {
			if (!next)
				return wrong(&ps, "no command after '--'", "", "");
			options->command = argv + i + 1;
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			if (n_words == spec->n_arguments)
				return wrong(&ps, "unexpected argument '", argv[i], "'");
			result = given(&ps, &spec->options[spec->arguments[n_words++]], argv[i]);
			continue;
		}
		if (argv[i][1] == '-')
			result = parse_long(&ps, argv[i], next, &used_next);
		else
			result = parse_short(&ps, argv[i], next, &used_next);
		i += used_next;
	}
	return result == OPTIONS_RUN ? check_required(&ps) : result;
}

void options__free(struct options *options)
{
	size_t i;

	for (i = 0; options->values && i < options->spec->n_options; i++) {
		if (options->values[i].has_regex)
			regfree(&options->values[i].regex);
		free(options->values[i].numbers);
	}
	free(options->values);
	free(options->sequence);
	memset(options, 0, sizeof(*options));
}

bool options__hold(const struct options *options, const struct conditions *when)
{
	size_t i;

	for (i = 0; i < when->n; i++) {
		if (options->values[when->list[i].option].given == when->list[i].negated)
			return false;
	}
	return true;
}

bool options__fill(const struct options *options, const char *text, struct buf *out)
{
	const struct spec *spec = options->spec;
	bool complete = true;
	const char *value;
	size_t len, i;

	for (; *text; text++) {
		len = strcspn(text + 1, "{}");
		if (*text != '{' || text[1 + len] != '}') {
			buf__putc(out, *text);
			continue;
		}
		value = NULL;
		for (i = 0; i < spec->n_options && !value; i++) {
			if (!strncmp(spec->options[i].name, text + 1, len) &&
			    !spec->options[i].name[len])
				value = options->values[i].text;
		}
		complete = complete && value;
		buf__puts(out, value ? value : "");
		text += 1 + len;
	}
	return complete;
}

json_int options__role_number(const struct options *options, enum role role, json_int absent)
{
	int i = options->spec->roles[role];

	return i >= 0 && options->values[i].set ? options->values[i].number : absent;
}

const char *options__role_text(const struct options *options, enum role role)
{
	int i = options->spec->roles[role];

	return i >= 0 && options->values[i].given ? options->values[i].text : NULL;
}

static bool write_config(const struct config *config, const struct option_value *value,
			 uint8_t *rodata, size_t size)
{
	uint64_t bits;

	if (!config->in_object || (uint64_t)config->offset + config->size > size)
		return false;
	if (config->kind == FIELD_STRING) {
		memset(rodata + config->offset, 0, config->size);
		if (value->text)
			memcpy(rodata + config->offset, value->text,
			       strnlen(value->text, config->size - 1));
		return true;
	}
	bits = (uint64_t)value->number;
	memcpy(rodata + config->offset, &bits, config->size);
	return true;
}

bool options__constant(const struct options *options, const char *name, void *value, size_t size)
{
	const struct spec *spec = options->spec;
	const struct option_value *chosen = NULL;
	struct config config = { 0 };
	size_t i, o;

	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].has_config && options->values[i].set &&
		    !options->values[i].given && !strcmp(spec->options[i].config.name, name)) {
			config = spec->options[i].config;
			chosen = &options->values[i];
		}
	}
	for (i = 0; i < options->n_sequence; i++) {
		o = options->sequence[i];
		if (spec->options[o].has_config && !strcmp(spec->options[o].config.name, name)) {
			config = spec->options[o].config;
			chosen = &options->values[o];
		}
	}
	config.offset = 0;
	config.in_object = true;
	return chosen && config.size == size && write_config(&config, chosen, value, size);
}

bool options__configure(const struct options *options, uint8_t *rodata, size_t size)
{
	const struct spec *spec = options->spec;
	size_t i;

	for (i = 0; i < spec->n_options; i++) {
		if (spec->options[i].has_config && options->values[i].set &&
		    !options->values[i].given &&
		    !write_config(&spec->options[i].config, &options->values[i], rodata, size))
			return false;
	}
	/* Several options may set one CONFIG: the last one given wins. */
	for (i = 0; i < options->n_sequence; i++) {
		uint32_t o = options->sequence[i];

		if (spec->options[o].has_config &&
		    !write_config(&spec->options[o].config, &options->values[o], rodata, size))
			return false;
	}
	return true;
}
