#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# The tests on this machine's kernel: what `make check-native` runs once everything is installed.
# Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-/usr/bin/python3}

say() {
	printf '== %s\n' "$*"
}

[ "$(id -u)" = 0 ] || {
	echo "check: loading BPF programs needs root: sudo make check" >&2
	exit 1
}
[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing

say "build"
make --no-print-directory WERROR=1 all static tests
for tool in build/static/*; do
	if readelf -lW "$tool" | grep -q INTERP; then
		echo "check: $tool is not static" >&2
		exit 1
	fi
done

say "style"
clang-format --dry-run --Werror c_loader/*.[ch] c_loader/*/*.[ch] tests/unit/c/*.c tests/workload/*.c tests/workload/*/* tests/bench/*.c tests/compat/*.c shared_bpf/*.c \
	tests/tools/*.c
shellcheck scripts/*.sh tests/toolchains/*.sh tests/vm/*.sh .ci/run
shellcheck -s dash tests/vm/init
mypy --config-file setup.cfg python/bpfduet
git ls-files 2>/dev/null | while read -r file; do
	case $file in
	*.c | *.h | *.py | *.sh | *.toml | Makefile)
		head -n 3 "$file" | grep -q SPDX || {
			echo "check: $file has no SPDX line" >&2
			exit 1
		}
		;;
	esac
done

say "C unit tests, under ASan and UBSan and under valgrind"
make --no-print-directory BUILD=build/asan SANITIZE=1 WERROR=1 tests
for test in build/asan/tests/test_*; do
	"$test"
done
for test in build/tests/test_*; do
	valgrind -q --error-exitcode=1 --leak-check=full "$test"
done

say "tests"
# a skip that tests/expected_skips.txt does not name is a failure here
mkdir -p build/vm/host/results
uname -r >build/vm/host/results/release
[ $# -gt 0 ] || set -- tests
BPFDUET_CHECK=1 RENDER_DRIVER=$PWD/build/asan/tests/render_driver "$python" -m pytest -q -p no:cacheprovider \
	--durations=5 -rs --junitxml=build/vm/host/results/btf.xml "$@"
