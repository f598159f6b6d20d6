// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/stacks.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/entries.h"
#include "output/flame.h"
#include "symbols/symbols.h"

#define UNKNOWN "[unknown]"

struct stacks {
	const struct options *options;
	struct symbols *symbols;
	const char *flame_path; /* NULL if no flame graph was asked for */
	int flame_fd;
	bool folded, delimited, annotate;
	bool told, told_of_kernel; /* that names are missing */
};

/* One half of a stack. */
struct side {
	bool there; /* it has an id */
	bool missed; /* it should have been stored and was not */
	const char **names; /* from the innermost function outwards */
	size_t n;
};

/* An entry of the map. */
struct stack {
	const uint8_t *key, *value;
	uint64_t number;
	const char *comm;
	size_t comm_len;
	struct side kernel, user;
	size_t frames; /* where flame.frames begin in the set's */
	struct flame_stack flame;
};

/* The entries of a report. */
struct stack_set {
	const struct report *report;
	struct stack *list;
	size_t n;
	struct buf frames;
	uint64_t *addresses; /* of one stack */
	size_t missing;
	bool collided, failed;
};

static bool wants(const struct options *options, enum role role)
{
	return options__role_number(options, role, 0) != 0;
}

static void stacks__end(struct stacks *s)
{
	if (!s)
		return;
	if (s->flame_fd >= 0)
		close(s->flame_fd);
	symbols__free(s->symbols);
	free(s);
}

static struct stacks *stacks__begin(const struct options *options, struct buf *error)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (!s || !(s->symbols = symbols__new())) {
		buf__puts(error, "out of memory");
		free(s);
		return NULL;
	}
	s->options = options;
	s->folded = wants(options, ROLE_FOLDED);
	s->delimited = wants(options, ROLE_DELIMITED);
	s->annotate = wants(options, ROLE_ANNOTATE);
	s->flame_fd = -1;
	s->flame_path = options__role_text(options, ROLE_FLAME);
	if (s->flame_path) {
		s->flame_fd = open(s->flame_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (s->flame_fd < 0) {
			buf__printf(error, "cannot write '%s': %s", s->flame_path, strerror(errno));
			stacks__end(s);
			return NULL;
		}
	}
	return s;
}

static void remember(struct stacks *s, const struct report *report, const struct entries *entries,
		     bool again)
{
	const struct field *process = &report->stacks.process;
	size_t i;

	for (i = 0; i < entries->n; i++)
		symbols__remember(s->symbols,
				  (uint32_t)field__load(process, entries__key(entries, i), 0),
				  again);
}

static bool stacks__look(struct stacks *s, const struct kernel_half *kernel, struct buf *error)
{
	const struct spec *spec = s->options->spec;
	struct entries entries;
	struct report peek;
	size_t i;

	for (i = 0; i < spec->n_reports; i++) {
		peek = spec->reports[i];
		if (peek.kind != REPORT_STACKS || !options__hold(s->options, &peek.when))
			continue;
		peek.clear = false;
		if (!kernel_half__read(kernel, &peek, &entries, error))
			return false;
		remember(s, &peek, &entries, false);
		free(entries.data);
	}
	return true;
}

/* -- from ids to names ------------------------------------------------------------------------- */

static size_t read_addresses(const struct kernel_half *kernel, const struct stack_set *set,
			     uint32_t id)
{
	const struct stack_fields *fields = &set->report->stacks;
	size_t n = 0;

	if (bpf_map_lookup_elem(kernel_half__map(kernel, fields->map), &id, set->addresses))
		return 0;
	while (n < fields->depth && set->addresses[n])
		n++;
	return n;
}

static void fill_side(struct stacks *s, const struct kernel_half *kernel, struct stack_set *set,
		      const struct stack *stack, const struct field *field, bool user,
		      struct side *side)
{
	const struct field *process = &set->report->stacks.process;
	const char *name;
	int64_t id;
	size_t i;

	if (!field->name)
		return;
	id = (int64_t)field__load(field, stack->key, 0);
	if (id < 0) {
		set->collided |= id == -EEXIST || id == -ENOMEM;
		/* EFAULT: there is none, or none was wanted. */
		side->missed = id != -EFAULT;
		set->missing += side->missed;
		return;
	}
	side->there = true;
	side->n = read_addresses(kernel, set, (uint32_t)id);
	side->names = calloc(side->n + 1, sizeof(*side->names));
	if (!side->names) {
		set->failed = true;
		side->n = 0;
		return;
	}
	for (i = 0; i < side->n; i++) {
		name = user ? symbols__user(s->symbols,
					    (uint32_t)field__load(process, stack->key, 0),
					    set->addresses[i])
			    : symbols__kernel(s->symbols, set->addresses[i]);
		side->names[i] = name ? name : UNKNOWN;
	}
}

static void add_frame(struct buf *out, char kind, const char *name, size_t len)
{
	buf__putc(out, kind);
	format__folded(out, name, len);
	buf__putc(out, '\0');
}

static void add_side(struct buf *out, char kind, const struct side *side, const char *missed)
{
	size_t i;

	if (side->missed)
		add_frame(out, kind, missed, strlen(missed));
	for (i = side->n; i-- > 0;)
		add_frame(out, kind, side->names[i], strlen(side->names[i]));
}

static void fill_stack(struct stacks *s, const struct kernel_half *kernel, struct stack_set *set,
		       struct stack *stack)
{
	const struct stack_fields *fields = &set->report->stacks;

	stack->number = field__load(&set->report->value.fields[0], stack->value, 0);
	stack->comm = (const char *)stack->key + fields->comm.offset;
	stack->comm_len = strnlen(stack->comm, fields->comm.size);
	fill_side(s, kernel, set, stack, &fields->kernel, false, &stack->kernel);
	fill_side(s, kernel, set, stack, &fields->user, true, &stack->user);
	stack->frames = set->frames.len;
	add_frame(&set->frames, 'c', stack->comm, stack->comm_len);
	add_side(&set->frames, 'u', &stack->user, "[Missed User Stack]");
	add_side(&set->frames, 'k', &stack->kernel, "[Missed Kernel Stack]");
	stack->flame.len = set->frames.len - stack->frames;
	stack->flame.value = stack->number;
}

/* By value, then by what is printed. */
static int by_value(const void *a, const void *b, void *arg)
{
	const struct report *report = arg;
	const struct stack *x = a, *y = b;
	int order = field__compare(&report->value.fields[0], x->value, y->value);
	size_t i;

	if (!order)
		order = flame_stack__compare(&x->flame, &y->flame);
	for (i = 0; i < report->key.n_fields && !order; i++)
		order = field__compare(&report->key.fields[i], x->key, y->key);
	return order ? order : memcmp(x->key, y->key, report->key.size);
}

static void stack_set__fill(struct stack_set *set, struct stacks *s,
			    const struct kernel_half *kernel, const struct entries *entries)
{
	size_t i;

	set->list = calloc(entries->n + 1, sizeof(*set->list));
	set->addresses = calloc(set->report->stacks.depth, sizeof(*set->addresses));
	if (!set->list || !set->addresses) {
		set->failed = true;
		return;
	}
	for (; set->n < entries->n; set->n++) {
		set->list[set->n].key = entries__key(entries, set->n);
		set->list[set->n].value = entries__value(entries, set->n);
		fill_stack(s, kernel, set, &set->list[set->n]);
	}
	set->failed |= set->frames.failed;
	/* The buffer has stopped moving. */
	for (i = 0; i < set->n; i++)
		set->list[i].flame.frames = set->frames.data + set->list[i].frames;
	if (set->n && !set->failed)
		qsort_r(set->list, set->n, sizeof(*set->list), by_value, (void *)set->report);
}

static void stack_set__free(struct stack_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		free(set->list[i].kernel.names);
		free(set->list[i].user.names);
	}
	free(set->list);
	free(set->addresses);
	buf__free(&set->frames);
}

/* -- output ------------------------------------------------------------------------------------ */

static void put_number(struct buf *out, const struct field *field, const uint8_t *base)
{
	const struct sink_value value = sink_value__field(field, base);

	sink_value__put_number(out, &value);
}

static void folded_line(const struct stacks *s, struct buf *out, const struct stack_set *set,
			const struct stack *stack)
{
	const char *frame = stack->flame.frames, *end = frame + stack->flame.len;
	bool delimit = s->delimited && stack->user.there && stack->kernel.there;

	for (; frame < end; frame += strlen(frame) + 1) {
		if (frame != stack->flame.frames)
			buf__putc(out, ';');
		if (delimit && *frame == 'k') {
			buf__puts(out, "-;");
			delimit = false;
		}
		buf__puts(out, frame + 1);
		if (s->annotate && *frame == 'k' && !stack->kernel.missed)
			buf__puts(out, "_[k]");
	}
	buf__putc(out, ' ');
	put_number(out, &set->report->value.fields[0], stack->value);
	buf__putc(out, '\n');
}

static void put_line(struct buf *out, const char *text, const char *mark)
{
	buf__repeat(out, ' ', 4);
	buf__escaped(out, text, strlen(text));
	buf__puts(out, mark);
	buf__putc(out, '\n');
}

static void stack_lines(const struct stacks *s, struct buf *out, const struct stack_set *set,
			const struct stack *stack)
{
	size_t i;

	if (stack->kernel.missed)
		put_line(out, "[Missed Kernel Stack]", "");
	for (i = 0; i < stack->kernel.n; i++)
		put_line(out, stack->kernel.names[i], s->annotate ? "_[k]" : "");
	if (s->delimited && stack->user.there && stack->kernel.there)
		put_line(out, "--", "");
	if (stack->user.missed)
		put_line(out, "[Missed User Stack]", "");
	for (i = 0; i < stack->user.n; i++)
		put_line(out, stack->user.names[i], "");
	buf__printf(out, "    %-16s ", "-");
	buf__escaped(out, stack->comm, stack->comm_len);
	buf__puts(out, " (");
	put_number(out, &set->report->stacks.task, stack->key);
	buf__puts(out, ")\n        ");
	put_number(out, &set->report->value.fields[0], stack->value);
	buf__puts(out, "\n\n");
}

/* What is shown, and how. */
struct shown_stacks {
	const struct stacks *how;
	const struct stack_set *set;
};

static void draw(struct sink *sink, const struct sink_view *view)
{
	const struct shown_stacks *shown = view->data;
	size_t i;

	for (i = 0; i < shown->set->n; i++) {
		if (shown->how->folded)
			folded_line(shown->how, sink->out, shown->set, &shown->set->list[i]);
		else
			stack_lines(shown->how, sink->out, shown->set, &shown->set->list[i]);
	}
}

static struct sink_value value_of_side(const struct side *side)
{
	struct sink_value value = {
		.kind = VALUE_STACK, .names = side->names, .n = side->n, .missed = side->missed
	};

	return value;
}

static void tell(struct sink *sink, const struct sink_view *view)
{
	/* In a line the outermost function comes first. */
	static const struct sink_column list[] = {
		{ "comm", 1 },	 { "process", 0 }, { "task", 2 },
		{ "kernel", 4 }, { "user", 3 },	   { "value", 5 }
	};
	static const struct sink_columns columns = { list, sizeof(list) / sizeof(list[0]) };
	const struct shown_stacks *shown = view->data;
	const struct report *report = view->report;
	size_t i;

	sink__headings(sink, NULL, &columns);
	for (i = 0; i < shown->set->n; i++) {
		const struct stack *stack = &shown->set->list[i];
		const struct sink_value values[] = {
			sink_value__bytes(stack->comm, stack->comm_len),
			sink_value__field(&report->stacks.process, stack->key),
			sink_value__field(&report->stacks.task, stack->key),
			value_of_side(&stack->kernel),
			value_of_side(&stack->user),
			sink_value__field(&report->value.fields[0], stack->value),
		};

		sink->ops->row(sink, &columns, values);
	}
}

static void show_set(const struct stacks *s, struct sink *sink, const struct stack_set *set,
		     uint64_t now_wall_ns)
{
	const struct shown_stacks shown = { .how = s, .set = set };
	const struct sink_view view = {
		.type = "stacks",
		.shape = SHAPE_ROWS,
		.report = set->report,
		.now_wall_ns = now_wall_ns,
		.data = &shown,
		.draw = draw,
		.tell = tell,
	};

	sink__show(sink, &view);
}

/* Each graph takes the place of the one before. */
static bool write_flame(const struct stacks *s, const struct stack_set *set, struct buf *error)
{
	struct flame_stack *stacks = calloc(set->n + 1, sizeof(*stacks));
	struct buf graph = { 0 };
	size_t i, done = 0;
	ssize_t n;
	bool ok;

	for (i = 0; stacks && i < set->n; i++)
		stacks[i] = set->list[i].flame;
	if (stacks)
		flame__draw(&graph, s->options->spec->tool, set->report->heading, stacks, set->n);
	ok = stacks && !graph.failed;
	if (!ok)
		buf__puts(error, "out of memory");
	/* A pipe has no place. */
	if (ok && !lseek(s->flame_fd, 0, SEEK_SET))
		ok = !ftruncate(s->flame_fd, 0);
	while (ok && done < graph.len) {
		n = write(s->flame_fd, graph.data + done, graph.len - done);
		ok = n > 0 || errno == EINTR;
		done += n > 0 ? (size_t)n : 0;
	}
	if (!ok && !error->len)
		buf__printf(error, "cannot write '%s': %s", s->flame_path, strerror(errno));
	free(stacks);
	buf__free(&graph);
	return ok;
}

static void warn_of_names(struct stacks *s, struct sink *sink)
{
	if (!s->told_of_kernel && symbols__kernel_hidden(s->symbols)) {
		s->told_of_kernel = true;
		buf__puts(sink->err,
			  "WARNING: The kernel does not show the addresses of its functions: "
			  "sysctl kernel.kptr_restrict=1\n");
	}
	if (s->told || !symbols__cut(s->symbols))
		return;
	s->told = true;
	buf__puts(sink->err, "WARNING: Functions of files or perf maps that are too large have no "
			     "names.\n");
}

/* `report`'s stacks lie in the map whose size an option sets. */
static void warn(const struct stacks *s, struct sink *sink, const struct stack_set *set)
{
	const struct spec *spec = s->options->spec;
	const char *option = NULL;
	size_t i;

	if (!set->missing)
		return;
	for (i = 0; i < spec->n_options && set->collided && !option; i++) {
		if (spec->options[i].entries &&
		    !strcmp(spec->options[i].entries, set->report->stacks.map))
			option = spec->options[i].name;
	}
	buf__printf(sink->err, "WARNING: %zu stack traces could not be displayed.", set->missing);
	if (option)
		buf__printf(sink->err, " Consider increasing --%s.", option);
	buf__putc(sink->err, '\n');
}

static bool stacks__print(struct stacks *s, const struct kernel_half *kernel, struct sink *sink,
			  const struct report *report, uint64_t now_wall_ns, struct buf *error)
{
	struct stack_set set = { .report = report };
	struct entries entries;
	bool ok = true;

	if (!kernel_half__read(kernel, report, &entries, error))
		return false;
	remember(s, report, &entries, true);
	stack_set__fill(&set, s, kernel, &entries);
	if (set.failed) {
		buf__puts(error, "out of memory");
		ok = false;
	} else if (s->flame_path) {
		ok = write_flame(s, &set, error);
	} else {
		show_set(s, sink, &set, now_wall_ns);
	}
	if (ok) {
		warn(s, sink, &set);
		warn_of_names(s, sink);
	}
	symbols__end_round(s->symbols);
	stack_set__free(&set);
	free(entries.data);
	return ok;
}

const struct stacks_operations duet_stacks = {
	.begin = stacks__begin,
	.look = stacks__look,
	.print = stacks__print,
	.end = stacks__end,
};
