#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# enter.sh ROOT COMMAND...: run it in ROOT, on this machine's kernel. To be started in a mount namespace
# of its own, with which all mounts end.
set -eu
root=$1
shift
mount --bind "$root" "$root"
for folder in proc sys dev; do
	mount --rbind "/$folder" "$root/$folder"
done
for folder in tmp run; do
	mount -t tmpfs tmpfs "$root/$folder"
done
tracing=$root/sys/kernel/tracing
[ -d "$tracing/events" ] || mount -t tracefs tracefs "$tracing"
grep -q " $root/sys/fs/bpf bpf " /proc/mounts || mount -t bpf bpf "$root/sys/fs/bpf"
# not chroot: to the kernel, paths would begin outside
cd "$root"
pivot_root . mnt
umount -l /mnt
exec "$@"
