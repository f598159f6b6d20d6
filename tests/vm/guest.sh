#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# What a guest does once it has the host's root (tests/vm/init): mounts, then bash or the suites.
# guest.sh shell | guest.sh suites [PYTEST_ARGUMENT...]; the environment comes from tests/vm/run.py.
set -u
tree=$(cd "$(dirname "$0")/../.." && pwd)
release=$(uname -r)
results=/run/results

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm $results
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t 9p -o trans=virtio,version=9p2000.L results $results
ip link set lo up
hostname guest

# as if the kernel's package were installed
mkdir -p "/lib/modules/$release" /boot
ln -s "$KERNEL_FILES/lib/modules/$release"/* "/lib/modules/$release"
[ ! -e "$KERNEL_FILES/boot" ] || ln -s "$KERNEL_FILES/boot/config-$release" /boot

# Run pytest; leaves NAME.xml and NAME.status.
suite() {
	name=$1
	shift
	/usr/bin/python3 -m pytest -v --tb=short -p no:cacheprovider -rs \
		--junitxml="$results/$name.xml" -o junit_suite_name="$name" "$@"
	echo $? >"$results/$name.status"
}

suites() {
	if [ $# -gt 0 ]; then
		suite chosen "$@"
		return
	fi
	export BPFDUET_CHECK=1
	uname -r >$results/release
	suite btf tests/dialect tests/contract tests/oracle tests/test_*.py tests/parity
	# as if the headers' packages were installed
	ln -s "$HEADERS_FILES/usr/src/linux-headers-$release" "/lib/modules/$release/build"
	ln -s "$HEADERS_FILES"/usr/src/linux-headers-*-common "/lib/modules/$release/source"
	# opensnoop and execsnoop are not among them: they read structs that no header has
	BPFDUET_HEADERS=real suite headers tests/dialect/test_attach.py tests/parity/test_hello.py \
		tests/parity/test_syscount.py::test_command tests/parity/test_readhist.py::test_command
}

# not over /tmp, below which the tree may be
mkdir -p /run/tmp
export TMPDIR=/run/tmp HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export BPFDUET_SLOWNESS=4 BPFDUET_FORKS=yes BPFDUET_DISK=/dev/vda
cd "$tree" || exit
case $1 in
shell)
	setsid --ctty bash <>/dev/ttyS0 >&0 2>&1
	;;
suites)
	shift
	suites "$@" >"$(echo /dev/vport*p1)" 2>&1 </dev/null
	# run.py compares them with the host's
	find "$BUILD/bin" "$BUILD/tests/tools/bin" -type f -exec sha256sum {} + >$results/programs
	touch $results/complete
	;;
esac
dmesg >$results/dmesg.log
sync
echo o >/proc/sysrq-trigger
sleep 60
