// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/requires.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/probe_kind.h"

/* Newer than the oldest headers this compiles with. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

#define KIND_ROOM 32

/* A program that is loaded only to see whether the kernel takes one of its kind. */
static const struct bpf_insn nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, /* r0 = 0 */
	{ .code = BPF_JMP | BPF_EXIT },
};

static bool has_capability(const struct __user_cap_data_struct *data, int cap)
{
	return data[cap / 32].effective >> (cap % 32) & 1;
}

bool requires__allowed(struct buf *error)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	char *lockdown;
	bool locked;

	if (!syscall(SYS_capget, &header, data) && !has_capability(data, CAP_SYS_ADMIN) &&
	    !(has_capability(data, CAP_BPF) && has_capability(data, CAP_PERFMON))) {
		buf__puts(error, "loading BPF programs needs root (or CAP_BPF and CAP_PERFMON)");
		return false;
	}
	/* Without securityfs nothing is known, and the load will tell. */
	lockdown = read_file("/sys/kernel/security/lockdown");
	locked = lockdown && strstr(lockdown, "[confidentiality]");
	free(lockdown);
	if (locked)
		buf__puts(error, "the kernel is locked down (confidentiality), which forbids "
				 "tracing with BPF: boot without lockdown=confidentiality");
	return !locked;
}

const char *requires__tracefs(struct buf *error)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/events", places[i]);
		if (!access(path, F_OK))
			return places[i];
		if (errno == EACCES) {
			buf__printf(error,
				    "%s cannot be read: run as root, or remount it with a gid",
				    places[i]);
			return NULL;
		}
	}
	buf__puts(error, "tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing");
	return NULL;
}

/* CATEGORY:EVENT */
static int has_tracepoint(const char *name, struct buf *error)
{
	const char *tracefs = requires__tracefs(error), *colon = strchr(name, ':');
	char path[512];
	int n;

	if (!tracefs)
		return -1;
	if (!colon)
		return 0;
	n = snprintf(path, sizeof(path), "%s/events/%.*s/%s/id", tracefs, (int)(colon - name), name,
		     colon + 1);
	return n > 0 && (size_t)n < sizeof(path) && !access(path, F_OK);
}

static int in_vmlinux(const char *prefix, const char *name, __u32 kind)
{
	char full[256];
	struct btf *btf;
	int found, n;

	n = snprintf(full, sizeof(full), "%s%s", prefix, name);
	if (n < 0 || (size_t)n >= sizeof(full))
		return 0;
	btf = btf__load_vmlinux_btf();
	if (!btf)
		return 0;
	found = btf__find_by_name_kind(btf, full, kind) > 0;
	btf__free(btf);
	return found;
}

/* Nearly all have an event of the same name in tracefs, which is quicker to see than BTF. */
static int has_raw_tracepoint(const char *name, struct buf *error)
{
	const char *tracefs = requires__tracefs(error);
	struct dirent *entry;
	char path[512];
	int found = 0;
	DIR *dir;

	if (!tracefs)
		return -1;
	snprintf(path, sizeof(path), "%s/events", tracefs);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		int n = snprintf(path, sizeof(path), "%s/events/%s/%s", tracefs, entry->d_name,
				 name);

		found = n > 0 && (size_t)n < sizeof(path) && entry->d_name[0] != '.' &&
			!access(path, F_OK);
	}
	if (dir)
		closedir(dir);
	return found || in_vmlinux("btf_trace_", name, BTF_KIND_TYPEDEF);
}

static int has_kprobes(struct buf *error)
{
	const char *tracefs = requires__tracefs(error);
	char path[64];

	if (!tracefs)
		return -1;
	snprintf(path, sizeof(path), "%s/kprobe_events", tracefs);
	return !access(path, F_OK);
}

static int has_kprobe(const char *name, struct buf *error)
{
	char *line = NULL, symbol[256], type;
	int found = 0, any = has_kprobes(error);
	size_t room = 0;
	FILE *file;

	if (any <= 0)
		return any;
	file = fopen("/proc/kallsyms", "re");
	while (file && !found && getline(&line, &room, file) > 0) {
		found = sscanf(line, "%*s %c %255s", &type, symbol) == 2 && strchr("tTwW", type) &&
			!strcmp(symbol, name);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/*
 * Whether a program can be put at the entry of a function: a kernel may have its type and yet no
 * trampolines, so one is loaded. An exit goes where an entry goes.
 */
static int has_fentry(const char *name, struct buf *error)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY);
	int id = libbpf_find_vmlinux_btf_id(name, BPF_TRACE_FENTRY), fd;

	(void)error;
	if (id <= 0)
		return 0;
	opts.attach_btf_id = (__u32)id;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", nothing, 2, &opts);
	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

/* The kernel can have it and not use it: it must be in lsm=... when it starts. */
static int uses_bpf_lsm(struct buf *error)
{
	char *names = read_file("/sys/kernel/security/lsm"), *rest = names, *name;
	int found = 0;

	if (!names) {
		buf__puts(error, "securityfs is not mounted: mount -t securityfs securityfs "
				 "/sys/kernel/security");
		return -1;
	}
	while ((name = strsep(&rest, ",\n")))
		found |= !strcmp(name, "bpf");
	free(names);
	return found;
}

static int has_lsm(const char *hook, struct buf *error)
{
	char function[256];
	int used = uses_bpf_lsm(error);

	if (used <= 0)
		return used;
	/* What is attached to a hook goes to the exit of this function. */
	snprintf(function, sizeof(function), "bpf_lsm_%s", hook);
	return has_fentry(function, error);
}

static int has_helper(const char *name, struct buf *error)
{
#define HELPER_NAME(x) "bpf_" #x
	static const char *const names[] = { __BPF_FUNC_MAPPER(HELPER_NAME) };
#undef HELPER_NAME
	size_t i;

	(void)error;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(names[i], name))
			return libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT,
						       (enum bpf_func_id)i, NULL) == 1;
	}
	return 0;
}

bool requires__split(const char *text, char *kind, bool *optional, const char **name)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	*optional = n && text[n - 1] == '?';
	n -= *optional;
	if (!n || n >= KIND_ROOM || !colon[1])
		return false;
	memcpy(kind, text, n);
	kind[n] = '\0';
	*name = colon + 1;
	return true;
}

/* What a tool can require: the word for it, what sentences call it, and whether it is there. */
static const struct requirement {
	const char *kind, *shown;
	int (*present)(const char *name, struct buf *error);
} requirements[] = {
	{ "tracepoint", "tracepoint", has_tracepoint },
	{ "raw_tracepoint", "raw tracepoint", has_raw_tracepoint },
	{ "kprobe", "kprobe", has_kprobe },
	{ "fentry", "fentry", has_fentry },
	{ "lsm", "LSM hook", has_lsm },
	{ "helper", "helper", has_helper },
};

static const struct requirement *find_requirement(const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(requirements) / sizeof(requirements[0]); i++) {
		if (!strcmp(requirements[i].kind, kind))
			return &requirements[i];
	}
	return NULL;
}

int requires__present(const char *kind, const char *name, struct buf *error)
{
	const struct requirement *requirement = find_requirement(kind);

	if (requirement)
		return requirement->present(name, error);
	buf__printf(error, "the tool requires something unknown: '%s'", kind);
	return -1;
}

void requires__missing(const char *kind, const char *name, struct buf *error)
{
	if (!strcmp(kind, "kprobe") && !has_kprobes(error))
		buf__printf(error, "this kernel has no kprobes, which this tool needs (for %s)",
			    name);
	else if (!strcmp(kind, "lsm") && !uses_bpf_lsm(error))
		buf__printf(error,
			    "this kernel does not use BPF as a security module, which this tool "
			    "needs (for %s): boot with bpf in lsm=",
			    name);
	else
		buf__printf(error, "this kernel does not have the %s %s, which this tool needs",
			    find_requirement(kind)->shown, name);
}

int requires__attachable(const struct bpf_program *prog, struct buf *error)
{
	const struct probe_kind *kind = probe_kind__of(prog);
	char place[256];

	if (probe_kind__place(kind, prog, place, sizeof(place)))
		return requires__present(kind->requires, place, error);
	buf__printf(error, "nobody can say whether %s is there", bpf_program__section_name(prog));
	return -1;
}

/*
 * Linux 7.2 and later preempt on x86, and let programs on the tracepoints of system calls sleep:
 * one that may is loaded to see.
 */
static bool preempts_programs(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACEPOINT, NULL, "GPL", nothing, 2, &opts);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool requires__skipped(const struct bpf_program *prog)
{
	return probe_kind__is_preempted(probe_kind__of(prog), prog) && preempts_programs();
}

void requires__unattachable(const struct bpf_program *prog, struct buf *error)
{
	const struct probe_kind *kind = probe_kind__of(prog);
	char place[256];

	if (probe_kind__place(kind, prog, place, sizeof(place)))
		requires__missing(kind->requires, place, error);
}

bool requires__check(const struct spec *spec, struct buf *error)
{
	char kind[KIND_ROOM];
	const char *name;
	bool optional;
	size_t i;
	int present;

	for (i = 0; i < spec->n_requires; i++) {
		if (!requires__split(spec->requires[i], kind, &optional, &name)) {
			buf__printf(error, "the tool requires something unknown: '%s'",
				    spec->requires[i]);
			return false;
		}
		if (optional)
			continue;
		present = requires__present(kind, name, error);
		if (!present)
			requires__missing(kind, name, error);
		if (present <= 0)
			return false;
	}
	return true;
}
