// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Names of functions in its own process, as the tools look them up. A line of stdin is a question,
 * one of stdout the answer, "-" for none. Places are in hex.
 *
 *   map PATH     map a file in place of the one before, and look at what is mapped
 *   look         look again
 *   done         a report is done
 *   name OFFSET  the function there in the file that is mapped
 *   at ADDRESS   the function there
 *   cut          whether names were left out
 *   peak         the most memory that there was, in KiB
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbols/symbols.h"

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

int main(void)
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
	return symbols ? 0 : 1;
}
