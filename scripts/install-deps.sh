#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Install what the named parts need: install-deps.sh build|run|unit|test|vm|toolchains|bench ...
# Only what is missing is installed; with everything there, no network is needed.
set -eu

apt_build="gcc make dpkg-dev pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libjansson-dev libiberty-dev python3 python3-tomli"
apt_run="bpftool python3 python3-bpfcc python3-tomli"
apt_test="g++ python3-pytest python3-hypothesis python3-pyelftools mypy libcmocka-dev clang-format shellcheck valgrind bpftrace bpfcc-tools strace systemtap-sdt-dev iproute2 clang-19 llvm-19 dwarves xz-utils zstd chromium"
# of these, what newer releases do not have: tests do without
apt_old="clang-19 llvm-19"
apt_unit="python3-pytest python3-hypothesis libcmocka-dev"
apt_toolchains="debootstrap"
apt_vm="qemu-system-x86 busybox-static cpio kmod"
apt_bench="libbpf-tools bpfcc-tools bpftrace"

dnf_build="gcc make pkgconf clang llvm bpftool libbpf-devel libbpf-static elfutils-libelf-devel elfutils-libelf-devel-static zlib-devel zlib-static jansson-devel binutils-devel glibc-static python3 python3-tomli"
dnf_run="bpftool python3 python3-bcc python3-tomli"
dnf_test="gcc-c++ python3-pytest python3-hypothesis python3-pyelftools python3-mypy libcmocka-devel libasan libubsan clang-tools-extra ShellCheck valgrind bpftrace bcc-tools strace systemtap-sdt-devel iproute dwarves xz zstd chromium"
dnf_unit="python3-pytest python3-hypothesis libcmocka-devel"
dnf_toolchains="debootstrap"
dnf_vm="qemu-system-x86-core busybox cpio kmod"
dnf_bench="bcc-tools bpftrace"

die() {
	echo "install-deps: $*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if command -v apt-get >/dev/null; then
	family=apt
	have() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
elif command -v dnf >/dev/null; then
	family=dnf
	have() { rpm -q "$1" >/dev/null 2>&1; }
else
	die "neither apt-get nor dnf here: see the package lists in $0"
fi

missing=
for part in "$@"; do
	case $family-$part in
	apt-build) list=$apt_build ;;
	apt-run) list=$apt_run ;;
	apt-test) list=$apt_test ;;
	apt-unit) list=$apt_unit ;;
	apt-vm) list=$apt_vm ;;
	apt-toolchains) list=$apt_toolchains ;;
	apt-bench) list=$apt_bench ;;
	dnf-build) list=$dnf_build ;;
	dnf-run) list=$dnf_run ;;
	dnf-test) list=$dnf_test ;;
	dnf-unit) list=$dnf_unit ;;
	dnf-vm) list=$dnf_vm ;;
	dnf-toolchains) list=$dnf_toolchains ;;
	dnf-bench) list=$dnf_bench ;;
	*)
		echo "usage: install-deps.sh build|run|unit|test|vm|toolchains|bench ..." >&2
		exit 2
		;;
	esac
	for package in $list; do
		have "$package" || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
	die "packages are missing, and to install them takes root or sudo: run this as root"
echo "installing:$missing"
if [ $family = apt ]; then
	as_root apt-get update -qq || die "apt-get update has failed"
	wanted=
	for package in $missing; do
		case " $apt_old " in
		*" $package "*) apt-cache show "$package" >/dev/null 2>&1 || continue ;;
		esac
		wanted="$wanted $package"
	done
	[ -n "$wanted" ] || exit 0
	missing=$wanted
	# What apt says of sizes, in its older or its newer form.
	# shellcheck disable=SC2086  # a list of words
	as_root env LC_ALL=C apt-get install --assume-no --no-install-recommends $missing 2>/dev/null |
		sed -n -e 's/^ *//' -e '/^Need to get /p' -e '/^After this operation, /p' -e '/^Download size: /p' -e '/^Space needed: /p'
	echo "The many lines of apt-get are kept back: nothing is printed now for up to some minutes, unless it fails."
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# shellcheck disable=SC2086
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 || {
		cat "$log" >&2
		die "apt-get has not installed the packages: its words are above"
	}
else
	echo "dnf is quiet: nothing is printed now for up to some minutes, unless it fails."
	# shellcheck disable=SC2086
	as_root dnf install -y -q $missing
fi
