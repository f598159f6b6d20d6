/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_BINARY_H
#define BPFDUET_BINARY_H

#include "base/buf.h"

/*
 * The file that a target names: a path; a library, by its file's name or its short one; or a
 * program in PATH. If a process is to be probed (pid, else 0), an absolute path, and a name, are
 * first looked for as that process sees its files. To be freed; NULL with one sentence in `error`.
 */
char *binary__find(const char *name, int pid, struct buf *error);

/*
 * The build id of an open ELF file, as hexadecimal digits of the section that holds it; none if it
 * has no such section. false if it is no ELF file.
 */
bool binary__build_id(int fd, struct buf *digits);

#endif
