# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#
# make            build/bin/TOOL for every shared_bpf/TOOL.bpf.c, dynamically linked
# make static     build/static/TOOL: needs nothing on the target
# make demo       install what is needed, build, run a tool both ways on a live workload
# make check      install what is needed, run the tests: check-native, then short rounds of check-toolchains and check-vm
# make check-native   on this machine's kernel; TESTS="tests/parity -k opens" for some of them
# make check-vm   on other kernels, in QEMU guests; KERNELS="6.1 6.12 7", TESTS as above, SHORT=1 for a short round
# make check-toolchains   with other Debians' compilers and libraries; ROOTS="trixie", TESTS and SHORT as above
# make vm-shell   a shell in such a guest; KERNEL=6.12
# make bench-startup   measure BCC mode's start-up beside stock BCC's
# make bench      measure against the peers (never part of the tests)
# make install    PREFIX, DESTDIR
#
# V=1 shows the commands. BUILD=DIR builds elsewhere. SANITIZE=1 adds ASan and UBSan. WERROR=1 makes errors of warnings.
# TOOLS_DIR=DIR builds the tools of another folder, TOOLS="a b" some of them only.
# VMLINUX_BTF=FILE is the BTF to compile against, for a build machine without its own.

BUILD ?= build
CLANG ?= clang
OBJCOPY ?= objcopy
LLVM_OBJCOPY ?= $(or $(shell command -v llvm-objcopy 2>/dev/null),$(lastword $(sort $(wildcard /usr/bin/llvm-objcopy-*))),llvm-objcopy)
BPFTOOL ?= $(or $(shell PATH=$$PATH:/usr/sbin:/sbin command -v bpftool),bpftool)
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
VMLINUX_BTF ?= /sys/kernel/btf/vmlinux
ARCH := $(subst x86_64,x86,$(subst aarch64,arm64,$(shell uname -m)))

# Kernel series of the guests; KERNEL is the one of vm-shell.
KERNELS ?= 6.1 6.12 7
KERNEL ?= $(lastword $(KERNELS))
# Debians of check-toolchains.
ROOTS ?= trixie

TOOLS_DIR ?= shared_bpf
TOOLS ?= $(patsubst $(TOOLS_DIR)/%.bpf.c,%,$(wildcard $(TOOLS_DIR)/*.bpf.c))
LIB_OBJECTS := $(patsubst c_loader/%.c,$(BUILD)/c/%.o,$(filter-out %_main.c %/libbpf_stderr.c,$(wildcard c_loader/*.c c_loader/*/*.c)))
UNIT_TESTS := $(patsubst tests/unit/c/test_%.c,%,$(wildcard tests/unit/c/test_*.c))

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra $(if $(WERROR),-Werror)
# Each object says what it was made of.
DEPENDENCIES = -MMD -MP -MF $(@:.o=.d)
override CFLAGS += -std=gnu11 $(WARNINGS) -D_GNU_SOURCE -iquote c_loader -I$(BUILD)/bpf \
	-DDUET_VERSION='"$(shell cat VERSION)"'
PACKAGES := libbpf libelf jansson zlib
LIBS = $(eval LIBS := $(or $(shell pkg-config --libs $(PACKAGES) 2>/dev/null),-lbpf -lelf -ljansson -lz))$(LIBS)
STATIC_LIBS = $(eval STATIC_LIBS := $(or $(shell pkg-config --static --libs $(PACKAGES) 2>/dev/null),$(LIBS)))$(STATIC_LIBS)
# Tools that report stacks, and only they, have tables of symbols and a demangler (c_loader/output/stacks.h).
STACKS_LIBS := -Wl,-u,duet_stacks -liberty
STACKS = $(shell grep -q '"kind":"stacks"' $(BUILD)/bpf/$*.json && echo '$(STACKS_LIBS)')
# The shared library (c_loader/bpfduet.h, docs/library.md).
SONAME := libbpfduet.so.0
# Linux 7 has `struct x;` as a member.
UNNAMED := -fms-extensions -Wno-microsoft-anon-tag
# Debian keeps asm/*.h, which usdt.bpf.h wants, in a folder of the architecture.
MULTIARCH = $(eval MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null))$(MULTIARCH)
BPF_CFLAGS = -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -I$(BUILD) -Iheaders -I$(TOOLS_DIR) \
	$(if $(MULTIARCH),-idirafter /usr/include/$(MULTIARCH)) $(WARNINGS) -Wno-unused-parameter $(UNNAMED)
ifdef SANITIZE
override CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
else
override CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDENED := -Wl,-z,relro,-z,now
endif

# A goal that builds says at once, in one sentence, what is missing. The goals named here install first, or build nothing.
ifneq ($(filter-out deps demo check check-native check-vm vm-shell bench bench-startup clean,$(or $(MAKECMDGOALS),all)),)
HASH := \#
ABSENT := $(shell for program in $(foreach name,CC AR CLANG LLVM_OBJCOPY BPFTOOL PYTHON,$(firstword $($(name)))); do \
	command -v $$program >/dev/null || echo $$program; done)
ABSENT := $(or $(ABSENT),$(shell printf '$(HASH)if !__has_include(<%s>) && !__has_include(<%s>)\n%s\n$(HASH)endif\n' \
	$(foreach header,bpf/libbpf.h libelf.h zlib.h jansson.h libiberty/demangle.h,$(header) $(notdir $(header)) $(header)) | \
	$(CC) $(CFLAGS) -E -P -x c - 2>/dev/null))
$(if $(ABSENT),$(error not found: $(ABSENT). "make deps" installs what a build needs, "make demo" also builds and shows it))
endif

ifeq ($(V),1)
Q =
say =
else
Q = @
say = @printf '  %-8s %s\n' '$(1)' '$(2)';
endif

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all static objects demo bench-startup check check-native check-vm check-toolchains vm-shell bench install clean tests deps

all: $(TOOLS:%=$(BUILD)/bin/%) $(BUILD)/bin/bpfduet-loader $(BUILD)/lib/$(SONAME)
static: $(TOOLS:%=$(BUILD)/static/%) $(BUILD)/static/bpfduet-loader
objects: $(TOOLS:%=$(BUILD)/bpf/%.bpf.o)

# -- the kernel half ----------------------------------------------------------------

$(BUILD)/vmlinux.h: $(wildcard $(VMLINUX_BTF))
	@mkdir -p $(@D)
	@test -r $(VMLINUX_BTF) || { echo "no BTF at $(VMLINUX_BTF): build on a kernel with CONFIG_DEBUG_INFO_BTF," \
		"or give one with VMLINUX_BTF=FILE (a vmlinux, or a raw BTF file)" >&2; exit 1; }
	$(call say,BTF,$@)$(BPFTOOL) btf dump file $(VMLINUX_BTF) format c > $@
	@# before Linux 5.17 it was a macro, which BTF does not hold
	$(Q)grep -qw TASK_COMM_LEN $@ || echo '#define TASK_COMM_LEN sizeof(((struct task_struct *)0)->comm)' >> $@

$(BUILD)/bpf/%.tmp.o: $(TOOLS_DIR)/%.bpf.c Makefile | $(BUILD)/vmlinux.h
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) $(DEPENDENCIES) -c $< -o $@

# The linker drops DWARF and makes the offsets in BTF final.
$(BUILD)/bpf/%.linked.o: $(BUILD)/bpf/%.tmp.o
	$(Q)$(BPFTOOL) gen object $@ $<

$(BUILD)/bpf/%.json: $(BUILD)/bpf/%.linked.o $(TOOLS_DIR)/%.toml shared_bpf/common.toml $(wildcard python/bpfduet/*.py python/bpfduet/spec/*) VERSION
	$(call say,SPEC,$(TOOLS_DIR)/$*.toml)PATH=$$PATH:$(dir $(BPFTOOL)) PYTHONPATH=python \
		$(PYTHON) -m bpfduet.spec.describe $(TOOLS_DIR)/$*.toml $< > $@

# The object describes itself: its bound spec is one of its sections.
$(BUILD)/bpf/%.bpf.o: $(BUILD)/bpf/%.linked.o $(BUILD)/bpf/%.json
	$(Q)$(LLVM_OBJCOPY) --add-section .bpfduet=$(BUILD)/bpf/$*.json $< $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name tool_bpf > $@ 2> $@.log || { cat $@.log >&2; exit 1; }

# -- the C frontend --------------------------------------------------------------------

$(BUILD)/c/%.o: c_loader/%.c VERSION Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CFLAGS) $(DEPENDENCIES) -c $< -o $@

$(BUILD)/c/output/flame.o $(BUILD)/pic/output/flame.o: override CFLAGS += -Wa,-Ic_loader/output
$(BUILD)/c/output/flame.o $(BUILD)/pic/output/flame.o: c_loader/output/flame.css c_loader/output/flame.js

$(BUILD)/libbpfduet.a: $(LIB_OBJECTS)
	$(Q)rm -f $@
	$(call say,AR,$@)$(AR) rcs $@ $^

# Code for any address, and libbpf inside, seen by nobody: its callback for messages is one for all.
$(BUILD)/pic/%.o: c_loader/%.c VERSION Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fPIC -fvisibility=hidden $(DEPENDENCIES) -c $< -o $@


$(BUILD)/pic/libbpf.a: $(wildcard $(shell $(CC) -print-file-name=libbpf.a 2>/dev/null))
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) --redefine-sym stderr=bpfduet_stderr $(or $<,$(error there is no libbpf.a: "make deps" installs it)) $@

PIC_OBJECTS := $(patsubst $(BUILD)/c/%,$(BUILD)/pic/%,$(filter-out $(BUILD)/c/programs/%,$(LIB_OBJECTS))) $(BUILD)/pic/kernel/libbpf_stderr.o

$(BUILD)/lib/$(SONAME): $(PIC_OBJECTS) $(BUILD)/pic/libbpf.a c_loader/bpfduet.map
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CFLAGS) -fPIC -shared -Wl,-soname,$(SONAME) -Wl,--version-script=c_loader/bpfduet.map \
		$(if $(SANITIZE),,-Wl,-z,defs) -Wl,--gc-sections $(HARDENED) $(LDFLAGS) $(filter-out %.map,$^) $(filter-out -lbpf,$(LIBS)) $(STACKS_LIBS) -o $@
	$(Q)ln -sf $(SONAME) $(@D)/libbpfduet.so

$(BUILD)/c/%.tool.o: c_loader/programs/tool_main.c $(BUILD)/bpf/%.skel.h Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(DEPENDENCIES) -DTOOL=$* -c $< -o $@

$(BUILD)/bin/bpfduet-loader: $(BUILD)/c/programs/loader_main.o $(BUILD)/libbpfduet.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CFLAGS) -pie $(HARDENED) $(LDFLAGS) $^ $(LIBS) $(STACKS_LIBS) -o $@

$(BUILD)/bin/%: $(BUILD)/c/%.tool.o $(BUILD)/libbpfduet.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CFLAGS) -pie $(HARDENED) $(LDFLAGS) $^ $(LIBS) $(STACKS) -o $@

STATIC = $(CC) $(CFLAGS) -static-pie $(HARDENED) -Wl,--gc-sections -s -L$(BUILD)/libelf $(LDFLAGS) $^ $(STATIC_LIBS)

# A whole libelf.a, where the installed one is not (scripts/build-libelf.sh).
$(BUILD)/libelf/checked: scripts/build-libelf.sh $(wildcard $(shell $(CC) -print-file-name=libelf.a 2>/dev/null))
	$(Q)CC="$(CC)" scripts/build-libelf.sh $(@D)
	@touch $@

$(BUILD)/static/bpfduet-loader: $(BUILD)/c/programs/loader_main.o $(BUILD)/libbpfduet.a | $(BUILD)/libelf/checked
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(STATIC) $(STACKS_LIBS) -o $@

$(BUILD)/static/%: $(BUILD)/c/%.tool.o $(BUILD)/libbpfduet.a | $(BUILD)/libelf/checked
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(STATIC) $(STACKS) -o $@

# -- tests -------------------------------------------------------------------------------

tests: $(UNIT_TESTS:%=$(BUILD)/tests/test_%) $(BUILD)/tests/render_driver $(BUILD)/tests/stacks_driver \
	$(BUILD)/tests/symbols_driver
	$(if $(SANITIZE),,@$(MAKE) --no-print-directory TOOLS_DIR=tests/tools BUILD=$(BUILD)/tests/tools all)

$(BUILD)/tests/test_%: tests/unit/c/test_%.c $(BUILD)/libbpfduet.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $^ $(LIBS) -lcmocka -o $@

$(BUILD)/tests/%: tests/unit/c/%.c $(BUILD)/libbpfduet.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CFLAGS) $^ $(LIBS) $(STACKS_LIBS) -o $@

deps:
	@scripts/install-deps.sh build run

demo:
	@scripts/install-deps.sh build run
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh

check:
	@$(MAKE) --no-print-directory check-native
	@if command -v apt-get >/dev/null; then $(MAKE) --no-print-directory check-toolchains ROOTS=trixie SHORT=1 && \
		$(MAKE) --no-print-directory check-vm SHORT=1; \
	else echo "== other toolchains and kernels: not tested, apt-get is not here to fetch Debian's"; fi

check-native:
	@scripts/install-deps.sh build run test
	@scripts/check.sh $(TESTS)

check-vm:
	@scripts/install-deps.sh build run test vm
	@$(MAKE) --no-print-directory all static tests
	@$(PYTHON) tests/vm/run.py $(if $(SHORT),--short) $(KERNELS) $(if $(TESTS),-- $(TESTS))

check-toolchains:
	@scripts/install-deps.sh toolchains
	@$(PYTHON) tests/toolchains/run.py $(if $(SHORT),--short) $(ROOTS) $(if $(TESTS),-- $(TESTS))

vm-shell:
	@scripts/install-deps.sh build run test vm
	@$(MAKE) --no-print-directory all static tests
	@$(PYTHON) tests/vm/run.py --shell $(KERNEL)

bench:
	@scripts/install-deps.sh build run bench
	@$(MAKE) --no-print-directory all static
	@$(PYTHON) tests/bench/bench.py

bench-startup:
	@scripts/install-deps.sh build run bench
	@$(PYTHON) tests/bench/startup.py

-include $(wildcard $(BUILD)/c/*.d $(BUILD)/c/*/*.d $(BUILD)/pic/*.d $(BUILD)/pic/*/*.d $(BUILD)/bpf/*.d)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 755 $(TOOLS:%=$(BUILD)/bin/%) $(BUILD)/bin/bpfduet-loader $(DESTDIR)$(PREFIX)/bin
	install -m 644 c_loader/bpfduet.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/lib/$(SONAME) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libbpfduet.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: bpfduet' 'Description: runs tools that bpfduet has compiled' \
		"Version: $$(cat VERSION)" 'Cflags: -I$${prefix}/include' 'Libs: -L$${prefix}/lib -lbpfduet' \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/bpfduet.pc

clean:
	rm -rf --one-file-system $(BUILD)
