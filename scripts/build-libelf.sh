#!/bin/sh
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# What static programs need of libelf: build-libelf.sh FOLDER
# Nothing, where the installed libelf.a can be linked whole. That of Debian 13 (0.192) cannot: it calls
# functions of elfutils' own that no package has. So a whole one is built in FOLDER, of the source that
# the distribution's package was built of; apt checks that against the archive's signatures.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cc=${CC:-cc}

say() {
	echo "build-libelf: $*" >&2
}

# What libelf has twice, such as zlib's crc32, no program is linked with twice.
whole() {
	# shellcheck disable=SC2046,SC2086  # lists of words
	echo 'int main(void) { return 0; }' | $cc -x c - -x none -static -L"$folder" -Wl,-z,muldefs -Wl,--whole-archive -lelf \
		-Wl,--no-whole-archive $(pkg-config --static --libs libelf) -o "$work/whole" 2>"$work/whole.log"
}

# What apt knows of the distribution's packages, of their sources.
source_list() {
	# shellcheck disable=SC2016  # apt's variables
	apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)' |
		awk -v id="$(sed -n 's/^ID=//p' /etc/os-release)" 'tolower($1) == id {
			print "deb-src", ($5 ~ /^\//) ? "[signed-by=" $5 "]" : "", $2, $3, $4
		}' | sort -u
}

from_archive() {
	apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}

work=$(mktemp -d "$folder/new-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
rm -f "$folder/libelf.a"
whole && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-source >/dev/null; then
	cat "$work/whole.log" >&2
	say "the installed libelf.a cannot be linked whole, and to build one apt-get and dpkg-source are needed:" \
		"scripts/install-deps.sh build"
	exit 1
fi
wanted=$(dpkg-query -W -f '${source:Package}=${source:Version}' libelf-dev)
say "the installed libelf.a cannot be linked whole: building that of $wanted"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
source_list >"$work/sources.list"
(
	cd "$work"
	from_archive update
	from_archive source "$wanted"
	cd elfutils-*/
	unset MAKEFLAGS
	./configure --quiet --disable-nls --disable-debuginfod --disable-libdebuginfod
	make -s -C lib
	make -s -C libelf libelf.a
) >"$work/log" 2>&1 || {
	tail -n 20 "$work/log" >&2
	say "it cannot be built: see above (offline?)"
	exit 1
}
(
	cd "$work"
	mv elfutils-*/libelf/libelf.a elf.a
	mv elfutils-*/lib/libeu.a eu.a
	printf '%s\n' 'create libelf.a' 'addlib elf.a' 'addlib eu.a' save end | ar -M
	mv libelf.a ..
)
whole || {
	cat "$work/whole.log" >&2
	say "what was built of $wanted cannot be linked whole either"
	exit 1
}
