// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/format.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

/* How untrusted bytes are appended: as they are, or escaped. */
typedef void (*put_fn)(struct buf *out, const void *s, size_t n);

bool shown_columns__init(struct shown_columns *shown, const struct columns *columns,
			 const struct options *options)
{
	size_t i;

	shown->n = 0;
	shown->list = calloc(columns->n + 1, sizeof(*shown->list));
	if (!shown->list)
		return false;
	for (i = 0; i < columns->n; i++) {
		const struct column *c = &columns->list[i];
		struct shown_column *s = &shown->list[shown->n];

		if (!options__hold(options, &c->when))
			continue;
		shown->n++;
		s->column = c;
		s->quote = c->quote >= 0 && options->values[c->quote].given;
	}
	return true;
}

void shown_columns__free(struct shown_columns *shown)
{
	free(shown->list);
	memset(shown, 0, sizeof(*shown));
}

void formatter__free(struct formatter *f)
{
	size_t i;

	for (i = 0; i < f->n_users; i++)
		free(f->users[i].name);
	free(f->users);
	memset(f, 0, sizeof(*f));
}

static int by_uid(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->line < y->line ? -1 : 1;
}

/* Without memory for more, the users read so far have names and the others numbers. */
static void read_users(struct formatter *f)
{
	struct passwd *entry;
	struct user *users;
	size_t room = 0;
	FILE *file;

	f->users_read = true;
	file = fopen("/etc/passwd", "re");
	if (!file)
		return;
	while ((entry = fgetpwent(file))) {
		if (f->n_users == room) {
			room = room ? room * 2 : 64;
			users = realloc(f->users, room * sizeof(*users));
			if (!users)
				break;
			f->users = users;
		}
		users = &f->users[f->n_users];
		users->uid = entry->pw_uid;
		users->line = (uint32_t)f->n_users;
		users->name = strdup(entry->pw_name);
		if (!users->name)
			break;
		f->n_users++;
	}
	fclose(file);
	if (f->n_users)
		qsort(f->users, f->n_users, sizeof(*f->users), by_uid);
}

/* The first name in /etc/passwd, NULL if there is none. */
static const char *find_user(struct formatter *f, uint32_t uid)
{
	size_t low = 0, high, mid;

	if (!f->users_read)
		read_users(f);
	high = f->n_users;
	while (low < high) {
		mid = low + (high - low) / 2;
		if (f->users[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->n_users && f->users[low].uid == uid ? f->users[low].name : NULL;
}

static json_int floor_divide(json_int a, json_int b)
{
	return a / b - (a % b < 0);
}

static bool broken_down(json_int wall_ns, bool utc, struct tm *tm)
{
	time_t t = (time_t)floor_divide(wall_ns, NS_PER_S);

	return utc ? gmtime_r(&t, tm) : localtime_r(&t, tm);
}

const char *formatter__hms(struct formatter *f, json_int wall_ns, bool utc)
{
	json_int second = floor_divide(wall_ns, NS_PER_S);
	struct clock_face *face = &f->faces[utc];
	struct tm tm;

	if (face->hms[0] && second == face->second)
		return face->hms;
	if (!broken_down(wall_ns, utc, &tm) ||
	    !strftime(face->hms, sizeof(face->hms), "%H:%M:%S", &tm))
		strcpy(face->hms, "??:??:??");
	face->second = second;
	return face->hms;
}

#define ZONE "{zone}"

void formatter__heading(struct formatter *f, struct buf *out, const struct column *c)
{
	json_int start_ns = (json_int)f->clock.start_mono_ns + f->clock.wall_minus_mono_ns;
	const char *zone = c->format == FORMAT_WALL ? strstr(c->heading, ZONE) : NULL;
	char name[64] = "UTC";
	struct tm tm;

	if (!zone) {
		buf__puts(out, c->heading);
		return;
	}
	if (!c->utc &&
	    (!broken_down(start_ns, false, &tm) || !strftime(name, sizeof(name), "%Z", &tm)))
		name[0] = '\0';
	buf__write(out, c->heading, (size_t)(zone - c->heading));
	buf__puts(out, name);
	buf__puts(out, zone + strlen(ZONE));
}

static void put_wall(struct formatter *f, struct buf *out, uint64_t mono_ns, const struct column *c)
{
	uint32_t digits = c->digits;
	json_int ns = (json_int)mono_ns + f->clock.wall_minus_mono_ns;
	uint64_t fraction;
	uint32_t i;

	buf__puts(out, formatter__hms(f, ns, c->utc));
	if (!digits)
		return;
	fraction = (uint64_t)(ns - floor_divide(ns, NS_PER_S) * NS_PER_S);
	for (i = digits; i < 9; i++)
		fraction /= 10;
	buf__putc(out, '.');
	buf__zero_filled(out, fraction, digits);
}

/* One decimal, half to even, of the double nearest to v / 2^(10 * power). */
static void put_bytes(struct buf *out, bool negative, uint64_t v)
{
	unsigned int shift = 0;
	unsigned __int128 tenths, rest, half;

	if (negative)
		buf__putc(out, '-');
	if (v < 10000) {
		buf__unsigned(out, v);
		return;
	}
	while (shift < 40 && v >> shift >= 1024)
		shift += 10;
	tenths = (unsigned __int128)(double)v * 10;
	rest = tenths & (((unsigned __int128)1 << shift) - 1);
	half = (unsigned __int128)1 << (shift - 1);
	tenths >>= shift;
	if (rest > half || (rest == half && (tenths & 1)))
		tenths++;
	buf__unsigned(out, (uint64_t)(tenths / 10));
	buf__putc(out, '.');
	buf__putc(out, (char)('0' + (int)(tenths % 10)));
	buf__putc(out, "KMGT"[shift / 10 - 1]);
}

static void put_ipv4(struct buf *out, const uint8_t *p)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i)
			buf__putc(out, '.');
		buf__unsigned(out, p[i]);
	}
}

static void put_ipv6(struct buf *out, const uint8_t *p)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(AF_INET6, p, text, sizeof(text)))
		buf__puts(out, text);
}

/* An IPv4 address that is mapped into IPv6 as what it is. */
static void put_ip(struct buf *out, const uint8_t *p)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(p, mapped, sizeof(mapped)))
		put_ipv6(out, p);
	else
		put_ipv4(out, p + sizeof(mapped));
}

/* The kernel's dev_t as the name of a block device, as its numbers where that is gone. */
static void put_disk(struct buf *out, uint64_t dev)
{
	char path[64], link[512], *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/block/%llu:%llu", (unsigned long long)(dev >> 20),
		 (unsigned long long)(dev & 0xfffff));
	n = readlink(path, link, sizeof(link));
	name = n > 0 ? memrchr(link, '/', (size_t)n) : NULL;
	if (name)
		buf__escaped(out, name + 1, (size_t)(link + n - name - 1));
	else
		buf__puts(out, path + sizeof("/sys/dev/block/") - 1);
}

/* A wait status, as BCC's exitsnoop words it. */
static void put_exit(struct buf *out, const struct column *c, uint64_t status)
{
	unsigned int code = status >> 8 & 0xff, number = status & 0x7f;
	const char *name = names__find(&c->values, number);

	if (name && !strncmp(name, "SIG", 3))
		name += 3;
	if (number)
		buf__printf(out, "signal %u (%s)", number, name ? name : "unknown");
	if (status & 0x80)
		buf__puts(out, ", core dumped ");
	else if (!number)
		buf__printf(out, code ? "code %u" : "%u", code);
}

static void put_percent(struct buf *out, const struct column *c, const uint8_t *base, uint64_t part)
{
	uint64_t whole = field__load(&c->whole, base, 0);

	if (c->rest)
		part = whole > part ? whole - part : 0;
	buf__printf(out, "%.*f%%", (int)c->digits,
		    whole ? 100.0 * (double)part / (double)whole : 0.0);
}

/* NULs at the end of the field are no strings. */
static size_t used_length(const char *p, size_t n)
{
	while (n && !p[n - 1])
		n--;
	return n;
}

/* Components stand innermost first; an absolute one ends the walk. */
static void put_path(struct buf *out, const char *p, size_t n, put_fn put)
{
	size_t end = 0, start, len;
	const char *nul;
	char last = '/';

	n = used_length(p, n);
	while (end < n) {
		len = strnlen(p + end, n - end);
		start = end;
		end += len + 1;
		if (len && p[start] == '/')
			break;
	}
	if (end > n)
		end = n;
	while (end > 0) {
		/* p[end] or the end of the field follows a component. */
		nul = memrchr(p, '\0', end);
		start = nul ? (size_t)(nul + 1 - p) : 0;
		if (end > start) {
			if (last != '/')
				buf__putc(out, '/');
			put(out, p + start, end - start);
			last = p[end - 1];
		}
		end = start ? start - 1 : 0;
	}
}

static void put_args(struct buf *out, const char *p, size_t n, bool quote, put_fn put)
{
	size_t at, len, part;

	n = used_length(p, n);
	for (at = 0; at < n; at += len + 1) {
		len = strnlen(p + at, n - at);
		if (at)
			buf__putc(out, ' ');
		if (!quote) {
			put(out, p + at, len);
			continue;
		}
		buf__putc(out, '"');
		for (part = 0; part < len;) {
			const char *mark = memchr(p + at + part, '"', len - part);
			size_t plain = mark ? (size_t)(mark - (p + at + part)) : len - part;

			put(out, p + at + part, plain);
			if (mark)
				buf__puts(out, "\\\"");
			part += plain + (mark != NULL);
		}
		buf__putc(out, '"');
	}
}

/* The bytes of a char array that are there. */
static const char *raw_string(const struct field *field, const uint8_t *base, size_t len, size_t *n)
{
	size_t room = len > field->offset ? len - field->offset : 0;

	*n = room < field->size ? room : field->size;
	return *n ? (const char *)base + field->offset : "";
}

static void put_string(struct buf *out, enum format format, bool quote, const struct field *field,
		       const uint8_t *base, size_t len, put_fn put)
{
	size_t n;
	const char *p = raw_string(field, base, len, &n);

	if (format == FORMAT_PATH)
		put_path(out, p, n, put);
	else if (format == FORMAT_ARGS)
		put_args(out, p, n, quote, put);
	else
		put(out, p, strnlen(p, n));
}

const char *format__args(const struct field *field, const uint8_t *base, size_t len, size_t *n)
{
	const char *p = raw_string(field, base, len, n);

	*n = used_length(p, *n);
	return p;
}

void format__address(struct buf *out, enum format format, const uint8_t *p)
{
	if (format == FORMAT_IPV4)
		put_ipv4(out, p);
	else if (format == FORMAT_IPV6)
		put_ipv6(out, p);
	else
		put_ip(out, p);
}

void format__folded(struct buf *out, const char *name, size_t len)
{
	size_t n;

	for (;;) {
		n = strcspn(name, ";") < len ? strcspn(name, ";") : len;
		buf__escaped(out, name, n);
		if (n == len)
			return;
		buf__puts(out, "\\x3b");
		name += n + 1;
		len -= n + 1;
	}
}

void format__plain(struct buf *out, enum format format, const struct field *field,
		   const uint8_t *base, size_t len)
{
	put_string(out, format, false, field, base, len, buf__write);
}

static void put_number(struct buf *out, const struct field *field, uint64_t v)
{
	if (field->kind == FIELD_INT)
		buf__signed(out, (int64_t)v);
	else
		buf__unsigned(out, v);
}

static void put_flags(struct buf *out, const struct column *c, uint64_t v)
{
	const char *name;
	uint64_t bits;
	bool first = true;
	size_t i;

	if (!v) {
		name = names__find(&c->values, 0);
		buf__puts(out, name ? name : "0");
		return;
	}
	for (i = 0; i < c->values.n; i++) {
		bits = (uint64_t)c->values.list[i].number;
		if (!bits || (v & bits) != bits)
			continue;
		if (!first)
			buf__puts(out, c->join);
		buf__puts(out, c->values.list[i].name);
		first = false;
		v &= ~bits;
	}
	if (v) {
		if (!first)
			buf__puts(out, c->join);
		buf__hex(out, v);
	}
}

static void put_named(struct buf *out, const struct column *c, uint64_t v)
{
	bool is_signed = c->field.kind == FIELD_INT;
	json_int number = is_signed ? (json_int)(int64_t)v : (json_int)v;
	const char *name;

	if (c->format == FORMAT_ERRNO && !v) {
		buf__putc(out, '0');
		return;
	}
	if (c->format == FORMAT_ERRNO && number < 0)
		number = -number;
	name = names__find(&c->values, number);
	if (name) {
		buf__puts(out, name);
	} else if (c->format == FORMAT_SYSCALL) {
		buf__puts(out, "[unknown: ");
		put_number(out, &c->field, v);
		buf__putc(out, ']');
	} else {
		put_number(out, &c->field, v);
	}
}

static void put_user(struct formatter *f, struct buf *out, uint64_t uid)
{
	const char *name = uid <= UINT32_MAX ? find_user(f, (uint32_t)uid) : NULL;

	if (name)
		buf__escaped(out, name, strlen(name));
	else
		buf__unsigned(out, uid);
}

void formatter__text(struct formatter *f, struct buf *out, const struct shown_column *shown,
		     const uint8_t *base, size_t len)
{
	const struct column *c = shown->column;
	const struct field *field = &c->field;
	uint64_t v, start;
	bool negative;

	if (field->kind == FIELD_STRING && c->format != FORMAT_IPV6 && c->format != FORMAT_IP) {
		put_string(out, c->format, shown->quote, field, base, len, buf__escaped);
		return;
	}
	if (c->format == FORMAT_IPV6) {
		put_ipv6(out, base + field->offset);
		return;
	}
	if (c->format == FORMAT_IP) {
		put_ip(out, base + field->offset);
		return;
	}
	v = field__load(field, base, 0);
	if (!v && c->zero) {
		buf__puts(out, c->zero);
		return;
	}
	negative = field->kind == FIELD_INT && (int64_t)v < 0;
	switch (c->format) {
	case FORMAT_HEX:
		buf__hex(out, field__bits(field, base));
		break;
	case FORMAT_OCTAL:
		buf__octal(out, field__bits(field, base), c->digits);
		break;
	case FORMAT_WALL:
		put_wall(f, out, v, c);
		break;
	case FORMAT_ELAPSED:
		start = c->since_first ? f->first_ns : f->clock.start_mono_ns;
		buf__decimal(out, v < start, v < start ? start - v : v - start, 9, c->digits);
		break;
	case FORMAT_DURATION:
		buf__decimal(out, negative, negative ? -v : v, c->scale, c->digits);
		break;
	case FORMAT_BYTES:
		put_bytes(out, negative, negative ? -v : v);
		break;
	case FORMAT_IPV4:
		put_ipv4(out, base + field->offset);
		break;
	case FORMAT_PORT:
		buf__unsigned(out, ntohs((uint16_t)v));
		break;
	case FORMAT_ERRNO:
	case FORMAT_SIGNAL:
	case FORMAT_SYSCALL:
	case FORMAT_CAPABILITY:
	case FORMAT_ENUM:
		put_named(out, c, v);
		break;
	case FORMAT_FLAGS:
		put_flags(out, c, field__bits(field, base));
		break;
	case FORMAT_DEVICE:
		v = field__bits(field, base);
		buf__unsigned(out, v >> 20);
		buf__putc(out, ':');
		buf__unsigned(out, v & 0xfffff);
		break;
	case FORMAT_DISK:
		put_disk(out, field__bits(field, base));
		break;
	case FORMAT_PERCENT:
		put_percent(out, c, base, v);
		break;
	case FORMAT_EXIT:
		put_exit(out, c, field__bits(field, base));
		break;
	case FORMAT_USER:
		put_user(f, out, field__bits(field, base));
		break;
	default:
		put_number(out, field, v);
		break;
	}
}
