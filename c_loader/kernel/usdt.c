// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/usdt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/binary.h"
#include "base/clock.h"

bool usdt_target__open(struct usdt_target *t, const char *text, int pid, struct buf *error)
{
	char *copy = strdup(text), *name, *provider;

	*t = (struct usdt_target){ .binary = copy, .fd = -1 };
	name = copy ? strrchr(copy, ':') : NULL;
	if (name)
		*name++ = '\0';
	provider = name ? strrchr(copy, ':') : NULL;
	if (!provider || provider == copy || !provider[1] || !*name) {
		buf__printf(error, "'%s' is not BINARY:PROVIDER:PROBE", text);
		goto failed;
	}
	*provider++ = '\0';
	t->provider = provider;
	t->name = name;
	t->path = binary__find(copy, pid, error);
	if (!t->path)
		goto failed;
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	if (t->fd >= 0)
		return true;
	if (errno == ENOENT)
		usdt_target__missing(t, error);
	else
		buf__printf(error, "'%s' cannot be read: %s", t->binary, strerror(errno));
failed:
	usdt_target__close(t);
	return false;
}

void usdt_target__close(struct usdt_target *t)
{
	free((char *)t->binary);
	free(t->path);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct usdt_target){ .fd = -1 };
}

void usdt_target__missing(const struct usdt_target *t, struct buf *error)
{
	buf__printf(error, "there is no probe '%s:%s' in '%s', or no such file", t->provider,
		    t->name, t->binary);
}

/* By its build id, or by size and date if it has none. */
static bool is_same_binary(int fd, const struct bcc_probe *probe)
{
	struct buf digits = { 0 };
	struct stat info;
	bool same = false;

	if (binary__build_id(fd, &digits) && !fstat(fd, &info)) {
		buf__putc(&digits, '\0');
		same = !digits.failed && !strcmp(digits.data, probe->build_id);
		if (same && !*digits.data)
			same = (uint64_t)info.st_size == probe->size &&
			       (uint64_t)info.st_mtim.tv_sec * NS_PER_S +
					       (uint64_t)info.st_mtim.tv_nsec ==
				       probe->changed_ns;
	}
	buf__free(&digits);
	return same;
}

bool usdt_target__fits(const struct usdt_target *t, const struct bcc_probe *probe,
		       struct buf *error)
{
	if (!strcmp(t->provider, probe->provider) && !strcmp(t->name, probe->name) &&
	    is_same_binary(t->fd, probe))
		return true;
	buf__printf(error,
		    "BCC compiled the object for another binary than '%s', or another probe: "
		    "'bpfduet run' compiles it for each",
		    t->binary);
	return false;
}
