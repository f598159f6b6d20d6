/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_FILE_H
#define BPFDUET_FILE_H

#include "base/buf.h"

/* Append all of a file to `content`; false with errno set. */
bool file__read(const char *path, struct buf *content);
/* The same from a descriptor, which is closed in any case. */
bool file__read_fd(int fd, struct buf *content);

/* All of a small file, NUL-ended, in memory of the caller's; NULL with errno set. */
char *read_file(const char *path);

/* Close a descriptor if it is one, and make it -1. */
void file__close(int *fd);

/* Whether so few files more may be opened that this is why something has failed. */
bool file__few_left(void);

#endif
