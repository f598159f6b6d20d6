// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Draws flame graphs, demangles names and looks up symbols as the tools do, without a kernel:
 *
 *   stacks_driver TITLE UNIT < STACKS     each stack: KIND NAME, tab, ..., tab, VALUE, line end
 *   stacks_driver --demangle < NAMES      one name a line; one answer a line
 *   stacks_driver --symbols [latest]     lines START SIZE NAME, an empty one, then addresses; one
 *                                        answer a line, "-" for none. Numbers in hex.
 *   stacks_driver --process              of its own process, one answer a line: "map PATH" maps a
 *                                        file in place of the one before, and looks at what is
 *                                        mapped; "name OFFSET" in that file, "at ADDRESS"; "look"
 *                                        does so again; "done" ends a report; "cut": whether
 *                                        names were left out; "peak": memory in KiB
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demangle.h"
#include "flame.h"
#include "symbol_table.h"
#include "symbols.h"

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

#define MAPPED_BYTES 4096

static bool map_file(const char *path, char **mapped)
{
	int fd = open(path, O_RDONLY);
	char *at;

	if (fd < 0)
		return false;
	if (*mapped)
		munmap(*mapped, MAPPED_BYTES);
	at = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	*mapped = at == MAP_FAILED ? NULL : at;
	return *mapped;
}

static unsigned long peak_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmHWM: %lu", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib;
}

static int ask_process(void)
{
	struct symbols *symbols = symbols__new();
	uint32_t pid = (uint32_t)getpid();
	char *line = NULL, *mapped = NULL, number_text[32];
	unsigned long number;
	const char *name;
	size_t room = 0;

	while (symbols && getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		name = "-";
		if (!strncmp(line, "map ", 4)) {
			name = map_file(line + 4, &mapped) ? "mapped" : "no";
			symbols__remember(symbols, pid, true);
		} else if (sscanf(line, "name %lx", &number) == 1) {
			name = symbols__user(symbols, pid, (uintptr_t)mapped + number);
		} else if (sscanf(line, "at %lx", &number) == 1) {
			name = symbols__user(symbols, pid, number);
		} else if (!strcmp(line, "look")) {
			symbols__remember(symbols, pid, false);
		} else if (!strcmp(line, "done")) {
			symbols__end_round(symbols);
		} else if (!strcmp(line, "cut")) {
			name = symbols__cut(symbols) ? "yes" : "no";
		} else if (!strcmp(line, "peak")) {
			snprintf(number_text, sizeof(number_text), "%lu", peak_kib());
			name = number_text;
		}
		puts(name ? name : "-");
		fflush(stdout);
	}
	free(line);
	symbols__free(symbols);
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
	if (argc == 2 && !strcmp(argv[1], "--process"))
		return ask_process();
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
