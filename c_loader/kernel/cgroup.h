/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_CGROUP_H
#define BPFDUET_CGROUP_H

#include "base/buf.h"

/*
 * Where control groups (v2) are. Functions that return a path return memory of the caller's, or
 * NULL with one sentence in `error`.
 */

/*
 * Find the cgroup2 mount in the text of /proc/self/mountinfo that shows the cgroup `group` of the
 * hierarchy ("/a/b"), and where: "POINT/b" if "/a" is what is mounted.
 */
char *cgroup__folder(const char *mountinfo, const char *group, struct buf *error);

/*
 * Depth below the hierarchy's root (which has 0) of `folder`, an absolute path without links;
 * -1 with a sentence if it lies in no cgroup2 mount.
 */
int cgroup__level(const char *mountinfo, const char *folder, struct buf *error);

/* The folder of the cgroup that this process is in. */
char *cgroup__own(struct buf *error);

/*
 * Id and level of a cgroup's folder, as bpf_get_current_ancestor_cgroup_id() gives and takes
 * them. false with a sentence if it is none.
 */
bool cgroup__identify(const char *folder, uint64_t *id, int *level, struct buf *error);

#endif
