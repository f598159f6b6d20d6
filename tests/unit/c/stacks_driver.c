// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Draws flame graphs, demangles names and looks up symbols as the tools do, without a kernel:
 *
 *   stacks_driver TITLE UNIT < STACKS     each stack: KIND NAME, tab, ..., tab, VALUE, line end
 *   stacks_driver --demangle < NAMES      one name a line; one answer a line
 *   stacks_driver --symbols [latest]     lines START SIZE NAME, an empty one, then addresses; one
 *                                        answer a line, "-" for none. Numbers in hex.
 *   stacks_driver --names PID            addresses, in hex: the names of their functions in a
 *                                        process, or with PID 0 in the kernel; "-" for none
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"
#include "output/flame.h"
#include "symbols/symbol_table.h"
#include "symbols/symbols.h"

#define MAX_STACKS 4096

static int demangle_lines(void)
{
	char *line = NULL, *name;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		name = demangle(line);
		puts(name ? name : line);
		free(name);
	}
	free(line);
	return 0;
}

static int look_up(bool latest)
{
	struct symbol_table table = { 0 };
	unsigned long start, size;
	char *line = NULL;
	const char *name;
	bool asked = false;
	size_t room = 0;
	int at;

	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (asked) {
			name = symbol_table__find(&table, strtoull(line, NULL, 16));
			puts(name ? name : "-");
		} else if (!*line) {
			symbol_table__sort(&table, latest);
			asked = true;
		} else if (sscanf(line, "%lx %lx %n", &start, &size, &at) == 2) {
			symbol_table__add(&table, start, size, line + at, strlen(line + at));
		}
	}
	free(line);
	symbol_table__free(&table);
	return 0;
}

static int print_names(uint32_t pid)
{
	struct symbols *s = symbols__new();
	char *line = NULL;
	const char *name;
	uint64_t address;
	size_t room = 0;

	if (!s)
		return 1;
	if (pid)
		symbols__remember(s, pid, false);
	while (getline(&line, &room, stdin) > 0) {
		address = strtoull(line, NULL, 16);
		name = pid ? symbols__user(s, pid, address) : symbols__kernel(s, address);
		puts(name ? name : "-");
	}
	free(line);
	symbols__free(s);
	return 0;
}

/* "cbash\tumain\t12": frames end with NULs in place of tabs. */
static bool read_stack(struct flame_stack *stack, char *line)
{
	char *value = strrchr(line, '\t'), *p;

	if (!value)
		return false;
	for (p = line; p <= value; p++) {
		if (*p == '\t')
			*p = '\0';
	}
	stack->frames = line;
	stack->len = (size_t)(value + 1 - line);
	stack->value = strtoull(value + 1, NULL, 10);
	return true;
}

int main(int argc, char **argv)
{
	static struct flame_stack stacks[MAX_STACKS];
	static char *lines[MAX_STACKS];
	struct buf out = { 0 };
	size_t room, n = 0, i;

	if (argc == 2 && !strcmp(argv[1], "--demangle"))
		return demangle_lines();
	if (argc >= 2 && !strcmp(argv[1], "--symbols"))
		return look_up(argc == 3);
	if (argc == 3 && !strcmp(argv[1], "--names"))
		return print_names((uint32_t)strtoul(argv[2], NULL, 10));
	if (argc != 3)
		return 2;
	while (n < MAX_STACKS && (room = 0, getline(&lines[n], &room, stdin)) > 0) {
		if (!read_stack(&stacks[n], lines[n]))
			return 2;
		n++;
	}
	flame__draw(&out, argv[1], argv[2], stacks, n);
	fwrite(out.data, 1, out.len, stdout);
	buf__free(&out);
	for (i = 0; i <= n && i < MAX_STACKS; i++)
		free(lines[i]);
	return 0;
}
