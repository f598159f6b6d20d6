#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# One tool, both ways, at once, on one live workload: shows both outputs and that they agree.
set -eu
cd "$(dirname "$0")/.."

die() {
	echo "demo: $*" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || die "tracing needs root: sudo make demo"
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing ||
	die "cannot mount tracefs"
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$hierarchy" ] || die "cgroup v2 is not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup"

# The workload lives in a cgroup of its own, and nothing else is traced.
group=$hierarchy$(awk -F: '$1 == "0" { print $3 }' /proc/self/cgroup)/bpfduet-demo-$$
folder=$(mktemp -d)
mkdir "$group"
c=
bcc=
cleanup() {
	[ -z "$c" ] || kill "$c" 2>/dev/null || true
	[ -z "$bcc" ] || kill "$bcc" 2>/dev/null || true
	rmdir "$group" 2>/dev/null || true
	rm -rf "$folder"
}
trap cleanup EXIT

build/bin/opensnoop --cgroup "$group" >"$folder/c" &
c=$!
./bpfduet run opensnoop --cgroup "$group" >"$folder/bcc" &
bcc=$!
# Each prints its header once it traces.
tries=0
until [ -s "$folder/c" ] && [ -s "$folder/bcc" ]; do
	if ! kill -0 "$c" || ! kill -0 "$bcc"; then die "a tracer has ended"; fi
	tries=$((tries + 1))
	[ $tries -lt 600 ] || die "a tracer does not start"
	sleep 0.1
done

LC_ALL=C sh -c 'echo 0 >"$1/cgroup.procs"; cd /etc; cat hostname passwd nosuchfile >/dev/null 2>&1; exec wc -l group' \
	workload "$group" >/dev/null
kill -INT "$c" "$bcc"
wait "$c"
wait "$bcc"

echo
echo "== build/bin/opensnoop (libbpf, compiled ahead of time) =="
cat "$folder/c"
echo
echo "== bpfduet run opensnoop (BCC, compiled just now) =="
cat "$folder/bcc"
echo
if cmp -s "$folder/c" "$folder/bcc"; then
	echo "The two outputs are the same, byte for byte: $(wc -l <"$folder/c") lines."
else
	diff "$folder/c" "$folder/bcc" || true
	die "the two outputs differ"
fi
