#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# The short form of check-toolchains, in the root: all is built, the unit tests run, and each tool once both ways.
set -eu
cd "$(dirname "$0")/../.."

scripts/install-deps.sh build run unit
make --no-print-directory -j"$(nproc)" all static tests
for test in build/tests/test_*; do
	"$test"
done
# a browser is as large as all the rest
/usr/bin/python3 -m pytest -q -p no:cacheprovider -k "not browser" tests/unit tests/dialect/test_programs.py::test_bcc
/usr/bin/python3 tests/toolchains/each_tool.py
