// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"

#define CGROUP2_MAGIC 0x63677270
/* linux/proc_ns.h: the inode of the initial cgroup namespace */
#define INIT_CGROUP_NAMESPACE 0xeffffffbU

struct mount {
	char root[4096]; /* what of the hierarchy is mounted */
	char point[4096];
};

/* A field of mountinfo, which has blanks, backslashes and line ends as \ooo. */
static const char *read_word(const char *p, char *word, size_t size)
{
	size_t n = 0;

	while (*p == ' ')
		p++;
	while (*p && *p != ' ' && *p != '\n') {
		char c = *p++;

		if (c == '\\' && p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' &&
		    p[2] >= '0' && p[2] <= '7') {
			c = (char)((p[0] - '0') << 6 | (p[1] - '0') << 3 | (p[2] - '0'));
			p += 3;
		}
		if (n + 1 < size)
			word[n++] = c;
	}
	word[n] = '\0';
	return p;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER"; NULL at the end. */
static const char *next_mount(const char *p, struct mount *mount)
{
	char word[64];
	int i;

	while (*p) {
		for (i = 0; i < 3; i++)
			p = read_word(p, word, sizeof(word));
		p = read_word(p, mount->root, sizeof(mount->root));
		p = read_word(p, mount->point, sizeof(mount->point));
		do {
			p = read_word(p, word, sizeof(word));
		} while (word[0] && strcmp(word, "-"));
		p = read_word(p, word, sizeof(word));
		while (*p && *p != '\n')
			p++;
		p += *p == '\n';
		if (!strcmp(word, "cgroup2"))
			return p;
	}
	return NULL;
}

/* What is left of `path` below `folder`, without a leading slash; NULL if it is not below. */
static const char *below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	while (n && folder[n - 1] == '/')
		n--;
	if (strncmp(path, folder, n) || (path[n] && path[n] != '/'))
		return NULL;
	path += n;
	while (*path == '/')
		path++;
	return path;
}

static int count_parts(const char *path)
{
	int n = 0;

	for (; *path; path++)
		n += *path != '/' && (path[1] == '/' || !path[1]);
	return n;
}

static void not_mounted(struct buf *error)
{
	buf__puts(error, "cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
}

char *cgroup__folder(const char *mountinfo, const char *group, struct buf *error)
{
	struct mount *mount;
	const char *rest;
	char *folder = NULL;
	bool any = false;

	mount = malloc(sizeof(*mount));
	if (!mount) {
		buf__puts(error, "out of memory");
		return NULL;
	}
	while (!folder && (mountinfo = next_mount(mountinfo, mount))) {
		any = true;
		rest = below(group, mount->root);
		if (rest && asprintf(&folder, "%s%s%s", mount->point, *rest ? "/" : "", rest) < 0)
			folder = NULL;
	}
	if (!any)
		not_mounted(error);
	else if (!folder)
		buf__printf(error, "the cgroup %s of this process is not mounted", group);
	free(mount);
	return folder;
}

int cgroup__level(const char *mountinfo, const char *folder, struct buf *error)
{
	struct mount *mount;
	size_t longest = 0;
	const char *rest;
	bool any = false;
	int level = -1;

	mount = malloc(sizeof(*mount));
	if (!mount) {
		buf__puts(error, "out of memory");
		return -1;
	}
	/* The innermost mount shows the folder, and of several on one point the last one. */
	while ((mountinfo = next_mount(mountinfo, mount))) {
		any = true;
		rest = below(folder, mount->point);
		if (rest && strlen(mount->point) >= longest) {
			longest = strlen(mount->point);
			level = count_parts(mount->root) + count_parts(rest);
		}
	}
	if (!any)
		not_mounted(error);
	else if (level < 0)
		buf__printf(error, "'%s' is not a cgroup (v2) directory", folder);
	free(mount);
	return level;
}

char *cgroup__own(struct buf *error)
{
	char *mountinfo, *groups, *line, *folder = NULL;

	mountinfo = read_file("/proc/self/mountinfo");
	groups = read_file("/proc/self/cgroup");
	if (!mountinfo || !groups) {
		buf__printf(error, "cannot read /proc/self: %s", strerror(errno));
		goto cleanup;
	}
	for (line = groups; line && strncmp(line, "0::", 3); line = strchr(line, '\n')) {
		if (*line == '\n' && !strncmp(++line, "0::", 3))
			break;
	}
	if (!line) {
		not_mounted(error);
		goto cleanup;
	}
	line += 3;
	line[strcspn(line, "\n")] = '\0';
	folder = cgroup__folder(mountinfo, line, error);
cleanup:
	free(mountinfo);
	free(groups);
	return folder;
}

bool cgroup__identify(const char *folder, uint64_t *id, int *level, struct buf *error)
{
	char *real = NULL, *mountinfo = NULL;
	struct statfs fs;
	struct stat st;
	bool ok = false;

	/* Inside a namespace all paths are relative to its root, whose depth nothing tells. */
	if (!stat("/proc/self/ns/cgroup", &st) && st.st_ino != INIT_CGROUP_NAMESPACE) {
		buf__puts(error, "a cgroup's place cannot be seen from inside a cgroup namespace: "
				 "run on the host");
		return false;
	}
	mountinfo = read_file("/proc/self/mountinfo");
	if (!mountinfo) {
		buf__printf(error, "cannot read /proc/self/mountinfo: %s", strerror(errno));
		return false;
	}
	real = realpath(folder, NULL);
	if (!real || statfs(real, &fs) || stat(real, &st) || !S_ISDIR(st.st_mode) ||
	    fs.f_type != CGROUP2_MAGIC) {
		if (strstr(mountinfo, " - cgroup2 "))
			buf__printf(error, "'%s' is not a cgroup (v2) directory", folder);
		else
			not_mounted(error);
		goto cleanup;
	}
	*level = cgroup__level(mountinfo, real, error);
	*id = st.st_ino;
	ok = *level >= 0;
cleanup:
	free(real);
	free(mountinfo);
	return ok;
}
