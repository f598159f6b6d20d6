// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "rust_v0.h"

#include <stdio.h>

#include "buf.h"

/*
 * Anybody may have written a symbol, and one of a few bytes can stand for a name without end: it
 * may refer back to parts of itself. Hence these limits; the Python frontend has the same ones.
 */
#define MAX_DEPTH 160 /* of parts in parts */
#define MAX_WORK 65536 /* bytes read and written */
#define MAX_PUNYCODE 255

#define DIGITS "0123456789"
#define LOWERCASE "abcdefghijklmnopqrstuvwxyz"
#define UPPERCASE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

struct v0 {
	const char *symbol; /* without _R; what ends it is not part of any name */
	size_t len;
	size_t next;
	size_t work; /* that is left */
	unsigned int depth;
	uint64_t lifetimes; /* that the for<> around this place have named */
	bool quiet; /* read only */
	bool failed; /* nothing more is read or written */
	struct buf out;
};

struct identifier {
	const char *text;
	size_t len;
	bool punycode;
};

static void path(struct v0 *d, bool value);
static void type(struct v0 *d);
static void constant(struct v0 *d, bool value);

static void spend(struct v0 *d, size_t bytes)
{
	if (bytes > d->work)
		d->failed = true;
	else
		d->work -= bytes;
}

static bool enter(struct v0 *d)
{
	if (++d->depth > MAX_DEPTH)
		d->failed = true;
	return !d->failed;
}

static void leave(struct v0 *d)
{
	d->depth--;
}

/* -- writing ------------------------------------------------------------------------- */

static void put(struct v0 *d, const char *text, size_t len)
{
	if (d->quiet)
		return;
	spend(d, len);
	if (!d->failed)
		buf__write(&d->out, text, len);
}

static void put_text(struct v0 *d, const char *text)
{
	put(d, text, strlen(text));
}

static void put_number(struct v0 *d, uint64_t number)
{
	char text[24];

	put(d, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number));
}

static void put_code_point(struct v0 *d, uint32_t code)
{
	char text[4];

	put(d, text, utf8__encode(text, code));
}

/* As in a literal between these quotes. */
static void put_literal(struct v0 *d, uint32_t code, char quote)
{
	static const char escaped[] = "\0\t\r\n\\", letters[] = "0trn\\";
	const char *found = memchr(escaped, (int)code, sizeof(escaped) - 1);
	char text[16];

	if (code < 0x80 && found) {
		put_text(d, "\\");
		put(d, letters + (found - escaped), 1);
	} else if (code == (uint32_t)quote) {
		put_text(d, "\\");
		put(d, &quote, 1);
	} else if (utf8__printable(code)) {
		put_code_point(d, code);
	} else {
		put(d, text, (size_t)snprintf(text, sizeof(text), "\\u{%x}", code));
	}
}

/* -- reading --------------------------------------------------------------------------- */

static char peek(const struct v0 *d)
{
	return d->failed ? '\0' : d->symbol[d->next];
}

static const char *take(struct v0 *d, size_t len)
{
	const char *taken = d->symbol + d->next;

	if (len > d->len - d->next)
		d->failed = true;
	spend(d, len);
	if (!d->failed)
		d->next += len;
	return taken;
}

/* '\0' if there is none. */
static char take_byte(struct v0 *d)
{
	char byte = *take(d, 1);

	return d->failed ? '\0' : byte;
}

static bool eat(struct v0 *d, char wanted)
{
	return peek(d) == wanted && take_byte(d);
}

/* Whether a list goes on: `count` members are behind. */
static bool more(struct v0 *d, size_t *count, const char *separator)
{
	if (d->failed || eat(d, 'E'))
		return false;
	if ((*count)++)
		put_text(d, separator);
	return true;
}

static uint64_t sum(struct v0 *d, uint64_t a, uint64_t b)
{
	if (__builtin_add_overflow(a, b, &a))
		d->failed = true;
	return a;
}

static uint64_t base_62(struct v0 *d)
{
	static const char digits[] = DIGITS LOWERCASE UPPERCASE;
	const char *digit;
	uint64_t value = 0;
	char c;

	if (eat(d, '_'))
		return 0;
	while ((c = take_byte(d)) && c != '_') {
		digit = strchr(digits, c);
		if (!digit || __builtin_mul_overflow(value, 62, &value))
			d->failed = true;
		else
			value = sum(d, value, (uint64_t)(digit - digits));
	}
	return sum(d, value, 1);
}

static uint64_t tagged_base_62(struct v0 *d, char tag)
{
	return eat(d, tag) ? sum(d, base_62(d), 1) : 0;
}

static uint64_t disambiguator(struct v0 *d)
{
	return tagged_base_62(d, 's');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct identifier identifier(struct v0 *d)
{
	struct identifier id = { .punycode = eat(d, 'u') };

	if (!is_digit(peek(d)))
		d->failed = true;
	else
		id.len = (size_t)(take_byte(d) - '0');
	while (id.len && id.len <= d->len && is_digit(peek(d)))
		id.len = id.len * 10 + (size_t)(take_byte(d) - '0');
	eat(d, '_'); /* parts it from what would look like more of its length */
	id.text = take(d, id.len);
	if (!d->failed && id.punycode && (!id.len || id.text[id.len - 1] == '_'))
		d->failed = true;
	return id;
}

/* Hexadecimal digits and _. */
static const char *hex(struct v0 *d, size_t *len)
{
	const char *digits;

	*len = d->failed ? 0 : strspn(d->symbol + d->next, DIGITS "abcdef");
	digits = take(d, *len);
	if (!eat(d, '_'))
		d->failed = true;
	return digits;
}

static uint64_t hex_value(const char *digits, size_t len)
{
	uint64_t value = 0;

	for (; len; digits++, len--)
		value = value << 4 |
			(uint64_t)(is_digit(*digits) ? *digits - '0' : *digits - 'a' + 10);
	return value;
}

/* Whether a number has no more than 64 bits. */
static bool hex_fits(const char *digits, size_t len, uint64_t *value)
{
	for (; len && *digits == '0'; digits++, len--)
		;
	if (len > 16)
		return false;
	*value = hex_value(digits, len);
	return true;
}

/*
 * Go where a reference back leads, if that is to be written; `back` is where to go on after it. B
 * has been read.
 */
static bool follow(struct v0 *d, size_t *back)
{
	size_t start = d->next - 1;
	uint64_t target = base_62(d);

	if (target >= start)
		d->failed = true;
	*back = d->next;
	if (d->failed || d->quiet)
		return false;
	d->next = target;
	return true;
}

/* -- identifiers ------------------------------------------------------------------------- */

static bool is_scalar(uint64_t code)
{
	return code < 0xd800 || (code > 0xdfff && code < 0x110000);
}

static uint64_t adapted_bias(uint64_t delta, size_t count, bool first)
{
	uint64_t bias = 0;

	delta /= first ? 700 : 2;
	delta += delta / count;
	for (; delta > 455; bias += 36)
		delta /= 35;
	return bias + 36 * delta / (delta + 38);
}

/* The ASCII characters, _, and where which others belong among them (RFC 3492). */
static size_t decode_punycode(const struct identifier *id, uint32_t chars[MAX_PUNYCODE])
{
	const char *last = memrchr(id->text, '_', id->len), *p = id->text, *end = p + id->len;
	uint64_t code = 0x80, at = 0, bias = 72, before, weight, digit, k, least;
	size_t count = 0;

	if (last) {
		while (p < last)
			chars[count++] = (uint32_t)*p++;
		p++;
	}
	while (p < end) {
		before = at;
		for (k = 36, weight = 1;; k += 36, weight *= 36 - least) {
			if (p == end || at > UINT32_MAX || (*p >= 'A' && *p <= 'Z'))
				return 0;
			digit = (uint64_t)(is_digit(*p) ? *p - '0' + 26 : *p - 'a');
			p++;
			at += digit * weight;
			least = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			if (digit < least)
				break;
		}
		count++;
		bias = adapted_bias(at - before, count, !before);
		code += at / count;
		at %= count;
		if (!is_scalar(code))
			return 0;
		memmove(chars + at + 1, chars + at, (count - 1 - at) * sizeof(*chars));
		chars[at++] = (uint32_t)code;
	}
	return count;
}

static void put_identifier(struct v0 *d, const struct identifier *id)
{
	uint32_t chars[MAX_PUNYCODE];
	size_t count, i;

	if (d->failed || d->quiet)
		return;
	if (!id->punycode) {
		put(d, id->text, id->len);
		return;
	}
	count = id->len > MAX_PUNYCODE ? 0 : decode_punycode(id, chars);
	if (!count)
		d->failed = true;
	for (i = 0; i < count; i++)
		put_code_point(d, chars[i]);
}

/* -- lifetimes --------------------------------------------------------------------------- */

/* They are numbered from the inside out, and named from the outside in. */
static void put_lifetime(struct v0 *d, uint64_t index)
{
	char letter;

	if (d->quiet)
		return;
	if (index > d->lifetimes) {
		d->failed = true;
	} else if (!index) {
		put_text(d, "'_");
	} else if (d->lifetimes - index < 26) {
		letter = (char)('a' + (d->lifetimes - index));
		put_text(d, "'");
		put(d, &letter, 1);
	} else {
		put_text(d, "'_");
		put_number(d, d->lifetimes - index);
	}
}

/* for<...>; how many lifetimes it names. */
static uint64_t bind(struct v0 *d)
{
	uint64_t count = tagged_base_62(d, 'G'), i;

	if (!count || d->quiet)
		return 0;
	put_text(d, "for<");
	for (i = 0; i < count && !d->failed; i++) {
		if (i)
			put_text(d, ", ");
		d->lifetimes++;
		put_lifetime(d, 1);
	}
	put_text(d, "> ");
	return count;
}

/* -- paths --------------------------------------------------------------------------------- */

static void generic_arguments(struct v0 *d)
{
	size_t count = 0;

	while (more(d, &count, ", ")) {
		if (eat(d, 'L'))
			put_lifetime(d, base_62(d));
		else if (eat(d, 'K'))
			constant(d, false);
		else
			type(d);
	}
}

/* A name within another: upper-case letters stand for what has no name in the source. */
static void nested(struct v0 *d, bool value)
{
	char namespace = take_byte(d);
	struct identifier id;
	uint64_t number;

	if (namespace && !strchr(LOWERCASE UPPERCASE, namespace))
		d->failed = true;
	path(d, value);
	number = disambiguator(d);
	id = identifier(d);
	if (namespace >= 'a') {
		if (id.len)
			put_text(d, "::");
		put_identifier(d, &id);
		return;
	}
	put_text(d, "::{");
	if (namespace == 'C')
		put_text(d, "closure");
	else if (namespace == 'S')
		put_text(d, "shim");
	else
		put(d, &namespace, 1);
	if (id.len)
		put_text(d, ":");
	put_identifier(d, &id);
	put_text(d, "#");
	put_number(d, number);
	put_text(d, "}");
}

/* Where an implementation stands: not part of its name. */
static void skip_place(struct v0 *d)
{
	bool quiet = d->quiet;

	d->quiet = true;
	disambiguator(d);
	path(d, false);
	d->quiet = quiet;
}

/* As part of a value, generic arguments follow a ::. */
static void path(struct v0 *d, bool value)
{
	struct identifier id;
	size_t back;
	char tag;

	if (!enter(d))
		return;
	switch (tag = take_byte(d)) {
	case 'C':
		disambiguator(d);
		id = identifier(d);
		put_identifier(d, &id);
		break;
	case 'N':
		nested(d, value);
		break;
	case 'M':
	case 'X':
		skip_place(d);
		/* fall through */
	case 'Y':
		put_text(d, "<");
		type(d);
		if (tag != 'M') {
			put_text(d, " as ");
			path(d, false);
		}
		put_text(d, ">");
		break;
	case 'I':
		path(d, value);
		put_text(d, value ? "::<" : "<");
		generic_arguments(d);
		put_text(d, ">");
		break;
	case 'B':
		if (follow(d, &back)) {
			path(d, value);
			d->next = back;
		}
		break;
	default:
		d->failed = true;
	}
	leave(d);
}

/* -- types --------------------------------------------------------------------------------- */

static void function(struct v0 *d)
{
	uint64_t bound = bind(d);
	struct identifier abi;
	size_t count = 0, i;

	if (eat(d, 'U'))
		put_text(d, "unsafe ");
	if (eat(d, 'K')) {
		abi = (struct identifier){ "C", 1, false };
		if (!eat(d, 'C'))
			abi = identifier(d);
		if (!abi.len || abi.punycode)
			d->failed = true;
		put_text(d, "extern \"");
		for (i = 0; i < abi.len && !d->failed; i++)
			put(d, abi.text[i] == '_' ? "-" : abi.text + i, 1);
		put_text(d, "\" ");
	}
	put_text(d, "fn(");
	while (more(d, &count, ", "))
		type(d);
	put_text(d, ")");
	if (!eat(d, 'u')) {
		put_text(d, " -> ");
		type(d);
	}
	d->lifetimes -= bound;
}

/* A path; whether its generic arguments are still open. */
static bool open_path(struct v0 *d)
{
	bool open = false;
	size_t back;

	if (!enter(d))
		return false;
	if (eat(d, 'B')) {
		if (follow(d, &back)) {
			open = open_path(d);
			d->next = back;
		}
	} else if (eat(d, 'I')) {
		path(d, false);
		put_text(d, "<");
		generic_arguments(d);
		open = true;
	} else {
		path(d, false);
	}
	leave(d);
	return open;
}

/* Associated types stand among the generic arguments. */
static void bounds(struct v0 *d)
{
	struct identifier id;
	size_t count = 0;
	bool open;

	while (more(d, &count, " + ")) {
		open = open_path(d);
		for (; eat(d, 'p'); open = true) {
			put_text(d, open ? ", " : "<");
			id = identifier(d);
			put_identifier(d, &id);
			put_text(d, " = ");
			type(d);
		}
		if (open)
			put_text(d, ">");
	}
}

static void trait_object(struct v0 *d)
{
	uint64_t bound, lifetime;

	put_text(d, "dyn ");
	bound = bind(d);
	bounds(d);
	d->lifetimes -= bound;
	if (!eat(d, 'L'))
		d->failed = true;
	lifetime = base_62(d);
	if (lifetime) {
		put_text(d, " + ");
		put_lifetime(d, lifetime);
	}
}

static void reference(struct v0 *d, char tag)
{
	uint64_t lifetime = eat(d, 'L') ? base_62(d) : 0;

	put_text(d, "&");
	if (lifetime) {
		put_lifetime(d, lifetime);
		put_text(d, " ");
	}
	if (tag == 'Q')
		put_text(d, "mut ");
	type(d);
}

/* Which of a type's values there are. */
static void pattern(struct v0 *d)
{
	size_t count = 0;

	if (!enter(d))
		return;
	switch (take_byte(d)) {
	case 'R':
		constant(d, true);
		put_text(d, "..=");
		constant(d, true);
		break;
	case 'O':
		while (more(d, &count, " | "))
			pattern(d);
		break;
	case 'N':
		put_text(d, "!null");
		break;
	default:
		d->failed = true;
	}
	leave(d);
}

static void compound_type(struct v0 *d)
{
	size_t count = 0, back;
	char tag;

	if (!enter(d))
		return;
	switch (tag = take_byte(d)) {
	case 'R':
	case 'Q':
		reference(d, tag);
		break;
	case 'P':
	case 'O':
		put_text(d, tag == 'P' ? "*const " : "*mut ");
		type(d);
		break;
	case 'A':
	case 'S':
		put_text(d, "[");
		type(d);
		if (tag == 'A') {
			put_text(d, "; ");
			constant(d, true);
		}
		put_text(d, "]");
		break;
	case 'T':
		put_text(d, "(");
		while (more(d, &count, ", "))
			type(d);
		put_text(d, count == 1 ? ",)" : ")");
		break;
	case 'F':
		function(d);
		break;
	case 'D':
		trait_object(d);
		break;
	case 'W':
		type(d);
		put_text(d, " is ");
		pattern(d);
		break;
	case 'B':
		if (follow(d, &back)) {
			type(d);
			d->next = back;
		}
		break;
	default:
		d->failed = true;
	}
	leave(d);
}

static void type(struct v0 *d)
{
	static const char *const basic[] = {
		"i8",	 "bool", "char", "f64", "str",	"f32",	NULL,  "u8", "isize",
		"usize", NULL,	 "i32",	 "u32", "i128", "u128", "_",   NULL, NULL,
		"i16",	 "u16",	 "()",	 "...", NULL,	"i64",	"u64", "!",
	};
	char tag = peek(d);

	if (tag >= 'a' && tag <= 'z') {
		take_byte(d);
		if (basic[tag - 'a'])
			put_text(d, basic[tag - 'a']);
		else
			d->failed = true;
	} else if (tag && strchr("CNMXYI", tag)) {
		path(d, false);
	} else {
		compound_type(d);
	}
}

/* -- constants ------------------------------------------------------------------------------- */

static void integer(struct v0 *d, char tag)
{
	const char *digits;
	uint64_t value;
	size_t len;

	if (tag && strchr("aslxni", tag)) {
		if (eat(d, 'n'))
			put_text(d, "-");
	} else if (!tag || !strchr("htmyoj", tag)) {
		d->failed = true;
	}
	digits = hex(d, &len);
	if (hex_fits(digits, len, &value)) {
		put_number(d, value);
	} else {
		put_text(d, "0x");
		put(d, digits, len);
	}
}

static uint32_t small_integer(struct v0 *d, uint32_t most)
{
	const char *digits;
	uint64_t value;
	size_t len;

	digits = hex(d, &len);
	if (hex_fits(digits, len, &value) && value <= most)
		return (uint32_t)value;
	d->failed = true;
	return 0;
}

static void character(struct v0 *d)
{
	uint32_t code = small_integer(d, 0x10ffff);

	if (!is_scalar(code))
		d->failed = true;
	put_text(d, "'");
	put_literal(d, code, '\'');
	put_text(d, "'");
}

static void string(struct v0 *d)
{
	struct buf bytes = { 0 };
	const char *digits;
	size_t len, i, n;
	uint32_t code;

	digits = hex(d, &len);
	if (len % 2)
		d->failed = true;
	for (i = 0; i < len && !d->failed; i += 2)
		buf__putc(&bytes, (char)hex_value(digits + i, 2));
	put_text(d, "\"");
	for (i = 0; i < bytes.len && !d->failed; i += n) {
		n = utf8__decode(bytes.data + i, bytes.len - i, &code);
		if (n)
			put_literal(d, code, '"');
		else
			d->failed = true;
	}
	put_text(d, "\"");
	d->failed |= bytes.failed;
	buf__free(&bytes);
}

static size_t constants(struct v0 *d)
{
	size_t count = 0;

	while (more(d, &count, ", "))
		constant(d, true);
	return count;
}

static void fields(struct v0 *d)
{
	struct identifier id;
	size_t count = 0;

	put_text(d, " { ");
	while (more(d, &count, ", ")) {
		disambiguator(d);
		id = identifier(d);
		put_identifier(d, &id);
		put_text(d, ": ");
		constant(d, true);
	}
	put_text(d, " }");
}

/* A structure, or one of an enumeration. */
static void variant(struct v0 *d)
{
	path(d, true);
	switch (take_byte(d)) {
	case 'U':
		break;
	case 'T':
		put_text(d, "(");
		constants(d);
		put_text(d, ")");
		break;
	case 'S':
		fields(d);
		break;
	default:
		d->failed = true;
	}
}

/* What is more than a literal stands in braces, if it is not in some already. */
static void constant(struct v0 *d, bool value)
{
	bool braces;
	size_t back;
	char tag;

	if (!enter(d))
		return;
	tag = take_byte(d);
	braces = !value && tag && strchr("eRQATV", tag) && !(tag == 'R' && peek(d) == 'e');
	if (braces)
		put_text(d, "{");
	switch (tag) {
	case 'p':
		put_text(d, "_");
		break;
	case 'b':
		put_text(d, small_integer(d, 1) ? "true" : "false");
		break;
	case 'c':
		character(d);
		break;
	case 'e':
		put_text(d, "*");
		string(d);
		break;
	case 'R':
		if (eat(d, 'e')) {
			string(d);
			break;
		}
		/* fall through */
	case 'Q':
		put_text(d, tag == 'R' ? "&" : "&mut ");
		constant(d, true);
		break;
	case 'A':
		put_text(d, "[");
		constants(d);
		put_text(d, "]");
		break;
	case 'T':
		put_text(d, "(");
		put_text(d, constants(d) == 1 ? ",)" : ")");
		break;
	case 'V':
		variant(d);
		break;
	case 'B':
		if (follow(d, &back)) {
			constant(d, value);
			d->next = back;
		}
		break;
	default:
		integer(d, tag);
	}
	if (braces)
		put_text(d, "}");
	leave(d);
}

char *rust_v0__demangle(const char *name)
{
	struct v0 d = { .symbol = name + 2, .work = MAX_WORK };
	char end;

	d.len = strspn(d.symbol, "_" DIGITS LOWERCASE UPPERCASE);
	end = d.symbol[d.len];
	if (end && end != '.') /* a suffix of LLVM's */
		return NULL;
	path(&d, true);
	if (peek(&d) != end) { /* the crate that a generic function was made for */
		d.quiet = true;
		path(&d, false);
	}
	if (d.failed || d.next != d.len || !d.out.len)
		goto refused;
	buf__putc(&d.out, '\0');
	if (!d.out.failed)
		return d.out.data;
refused:
	buf__free(&d.out);
	return NULL;
}
