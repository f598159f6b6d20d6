// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_PREFIX "bpfduet_"

/* Not those of libbpf's making, nor bpfduet's own. */
static bool is_of_the_tool(const struct bpf_map *map)
{
	return !bpf_map__is_internal(map) && bpf_map__fd(map) >= 0 &&
	       strncmp(bpf_map__name(map), OWN_PREFIX, sizeof(OWN_PREFIX) - 1);
}

static bool pin_one(struct pins *pins, const struct bpf_map *map, struct buf *error)
{
	char *path;

	if (asprintf(&path, "%s/%s", pins->folder, bpf_map__name(map)) < 0) {
		buf__puts(error, "out of memory");
		return false;
	}
	if (bpf_obj_pin(bpf_map__fd(map), path)) {
		buf__printf(error, "cannot pin the map '%s' at '%s': %s", bpf_map__name(map), path,
			    errno == EPERM || errno == EINVAL ? "that is no bpf file system"
							      : strerror(errno));
		free(path);
		return false;
	}
	pins->paths[pins->n++] = path;
	return true;
}

bool pins__make(struct pins *pins, const struct bpf_object *obj, const char *folder,
		struct buf *error)
{
	const struct bpf_map *map;
	size_t n = 0;

	bpf_object__for_each_map(map, obj)
		n++;
	pins->folder = strdup(folder);
	pins->paths = calloc(n + 1, sizeof(*pins->paths));
	if (!pins->folder || !pins->paths) {
		buf__puts(error, "out of memory");
		return false;
	}
	pins->made = !mkdir(folder, 0700);
	if (!pins->made && errno != EEXIST) {
		buf__printf(error, "cannot make the folder '%s': %s", folder, strerror(errno));
		return false;
	}
	bpf_object__for_each_map(map, obj) {
		if (is_of_the_tool(map) && !pin_one(pins, map, error))
			return false;
	}
	return true;
}

void pins__abandon(const struct pins *pins)
{
	size_t i;

	for (i = 0; i < pins->n; i++)
		unlink(pins->paths[i]);
	if (pins->made)
		rmdir(pins->folder);
}

void pins__remove(struct pins *pins)
{
	pins__abandon(pins);
	pins->made = false;
	while (pins->n)
		free(pins->paths[--pins->n]);
	free(pins->paths);
	free(pins->folder);
	memset(pins, 0, sizeof(*pins));
}
