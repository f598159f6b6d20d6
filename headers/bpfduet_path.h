/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The path of an open file or a folder, for columns of format "path": the components, the last
 * one first, each with its NUL. Included by the tools that need it, after bpfduet.h.
 */
#ifndef BPFDUET_PATH_H
#define BPFDUET_PATH_H

#define NAME_BYTES 256
#define PATH_BYTES 4096 /* a power of two */
#define PATH_ROOM (PATH_BYTES + NAME_BYTES) /* of the buffer */
#define MAX_COMPONENTS 48

/*
 * Append a path to the `*len` bytes in `buffer`. Whether that has no room for its beginning, or
 * the walk none for another step. If so, or if no root is above, the path stays relative.
 *
 * Both lie in a map, not on the stack: of what comes from a map the verifier knows nothing, so
 * that it takes every round of the walk for the same and looks at it once.
 */
static __always_inline bool path_append(char *buffer, u64 *len, const struct path *path)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry), *parent;
	struct vfsmount *mnt = BPF_CORE_READ(path, mnt);
	struct mount *mount = container_of(mnt, struct mount, mnt), *above;
	const unsigned char *name;
	u64 at;
	long n;

	for (int i = 0; i < MAX_COMPONENTS && dentry; i++) {
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			above = BPF_CORE_READ(mount, mnt_parent);
			if (above == mount) {
				at = masked(*len, PATH_BYTES - 1);
				buffer[at] = '/';
				buffer[at + 1] = 0;
				*len = at + 2;
				return false;
			}
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return false;
		name = BPF_CORE_READ(dentry, d_name.name);
		at = masked(*len, PATH_BYTES - 1);
		n = bpf_probe_read_kernel_str(&buffer[at], NAME_BYTES, name);
		if (n <= 0 || at + n >= PATH_BYTES)
			return true;
		*len = at + n;
		dentry = parent;
	}
	return dentry;
}

#endif /* BPFDUET_PATH_H */
