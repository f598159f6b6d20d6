// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/binary.h"

#include <gelf.h>
#include <glob.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"

#define BUILD_ID_SECTION ".note.gnu.build-id"
#define LIBRARY_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-"
#define DIGITS "0123456789"
/* Room for /proc/PID/root. */
#define ROOT_SIZE 32

/* The file of the first that a pattern finds; NULL if it finds none. To be freed. */
static char *first_match(const char *pattern)
{
	char *path = NULL;
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return NULL;
	path = strdup(found.gl_pathv[0]);
	globfree(&found);
	return path;
}

/* NAME in one of the folders where libraries are, below a root directory; NAME may be a pattern. */
static char *find_in_library_folders(const char *root, const char *name)
{
	static const char *const folders[] = { "/usr/lib64", "/usr/lib", "/usr/lib/%s-*" };
	char folder[128], *path = NULL, *pattern;
	struct utsname machine;
	size_t i;

	if (uname(&machine))
		return NULL;
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]) && !path; i++) {
		snprintf(folder, sizeof(folder), folders[i], machine.machine);
		if (asprintf(&pattern, "%s%s/%s", root, folder, name) < 0)
			return NULL;
		path = first_match(pattern);
		free(pattern);
	}
	return path;
}

/* The file of the library that the linker calls -lNAME. */
static char *find_library(const char *root, const char *name)
{
	char *pattern, *path;

	if (name[strspn(name, LIBRARY_LETTERS)] || asprintf(&pattern, "lib%s.so.[0-9]*", name) < 0)
		return NULL;
	path = find_in_library_folders(root, pattern);
	free(pattern);
	return path;
}

/* NAME in a list of folders with colons between them, below a root directory. */
static char *find_in_list(const char *root, const char *list, const char *name, int mode)
{
	const char *folder = list ? list : "", *end;
	char *path;

	for (; *folder; folder = *end ? end + 1 : end) {
		end = strchrnul(folder, ':');
		if (end == folder)
			continue;
		if (asprintf(&path, "%s%.*s/%s", root, (int)(end - folder), folder, name) < 0)
			return NULL;
		if (!access(path, mode))
			return path;
		free(path);
	}
	return NULL;
}

static bool is_library_file(const char *name)
{
	const char *so = name;

	while ((so = strstr(so, ".so"))) {
		so += 3;
		if (!*so || *so == '.')
			return true;
	}
	return false;
}

/* A library or a program, below a root directory ("" is this process's own). */
static char *find_by_name(const char *root, const char *name)
{
	char *path = find_library(root, name);

	if (path)
		return path;
	if (is_library_file(name)) {
		path = find_in_list(root, getenv("LD_LIBRARY_PATH"), name, R_OK);
		if (path || name[strspn(name, LIBRARY_LETTERS)])
			return path;
		return find_in_library_folders(root, name);
	}
	path = find_in_list(root, getenv("PATH"), name, R_OK | X_OK);
	return path ? path : find_in_list(root, "/usr/bin:/usr/sbin", name, R_OK | X_OK);
}

/* Whether a file's name is NAME, or that of the library NAME: libNAME[-VERSION].so[.VERSION] */
static bool is_named(const char *file, const char *name)
{
	size_t len = strlen(name);

	if (!strcmp(file, name))
		return true;
	if (strncmp(file, "lib", 3) || strncmp(file + 3, name, len))
		return false;
	file += 3 + len;
	if (file[0] == '-' && file[1] && strchr(DIGITS, file[1])) {
		file += 1 + strspn(file + 1, DIGITS ".");
		/* The version in libc-2.36.so does not end with the point. */
		file -= file[-1] == '.';
	}
	if (strncmp(file, ".so", 3))
		return false;
	file += 3;
	return !*file || (*file == '.' && !file[1 + strspn(file + 1, DIGITS ".")]);
}

/* A file that a process has in its memory, by its name. */
static char *find_mapped(const char *root, const char *name, int pid)
{
	char *maps, *line, *rest, *start, *path = NULL;
	char proc[ROOT_SIZE];

	snprintf(proc, sizeof(proc), "/proc/%d/maps", pid);
	maps = read_file(proc);
	for (line = maps ? strtok_r(maps, "\n", &rest) : NULL; line && !path;
	     line = strtok_r(NULL, "\n", &rest)) {
		start = strchr(line, '/');
		if (!start || !is_named(strrchr(start, '/') + 1, name) ||
		    asprintf(&path, "%s%s", root, start) < 0) {
			path = NULL;
			continue;
		}
		if (access(path, F_OK)) {
			free(path);
			path = NULL;
		}
	}
	free(maps);
	return path;
}

/* As a process sees its files. */
static char *find_for_process(const char *name, int pid)
{
	char root[ROOT_SIZE], *path;

	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	if (!strchr(name, '/')) {
		path = find_mapped(root, name, pid);
		return path ? path : find_by_name(root, name);
	}
	if (*name != '/' || asprintf(&path, "%s%s", root, name) < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	free(path);
	return NULL;
}

char *binary__find(const char *name, int pid, struct buf *error)
{
	char *path = pid ? find_for_process(name, pid) : NULL;

	if (!path)
		path = strchr(name, '/') ? strdup(name) : find_by_name("", name);
	if (!path)
		buf__printf(error, "there is no file '%s' where programs and libraries are", name);
	return path;
}

bool binary__build_id(int fd, struct buf *digits)
{
	Elf_Scn *section = NULL;
	const char *name;
	GElf_Shdr header;
	bool ok = false;
	Elf_Data *data;
	size_t names, i;
	Elf *file;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return false;
	file = elf_begin(fd, ELF_C_READ, NULL);
	if (!file || elf_kind(file) != ELF_K_ELF || elf_getshdrstrndx(file, &names))
		goto cleanup;
	ok = true;
	while ((section = elf_nextscn(file, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(file, names, header.sh_name);
		if (!name || strcmp(name, BUILD_ID_SECTION))
			continue;
		data = elf_rawdata(section, NULL);
		for (i = 0; data && data->d_buf && i < data->d_size; i++)
			buf__printf(digits, "%02x", ((const uint8_t *)data->d_buf)[i]);
		break;
	}
cleanup:
	elf_end(file);
	return ok;
}
