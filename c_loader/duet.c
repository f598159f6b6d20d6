// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "duet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "load.h"
#include "output.h"
#include "run.h"

#ifndef DUET_VERSION
#define DUET_VERSION "unknown"
#endif

#define LOADER "bpfduet-loader"

/* The spec of objects that have none: what every tool offers, and the trace pipe. */
static const char foreign_spec[] =
	"{\"bpfduet\":1,\"tool\":\"" LOADER "\",\"version\":\"" DUET_VERSION "\",\"help\":\""
	"Usage: " LOADER " FILE.bpf.o [OPTIONS]\\n\\n"
	"Load a BPF object that has no bpfduet section, attach what can be attached, and\\n"
	"show what it writes to the kernel's trace pipe.\\n\\n"
	"Options:\\n"
	"      --duration SECONDS    end after that many seconds\\n"
	"      --format FORMAT       text, json or csv\\n"
	"  -o, --output FILE         write the data to this file, not to stdout\\n"
	"      --btf FILE            BTF of the kernel to relocate against\\n"
	"      --pin DIR             pin the maps in this folder of a bpf file system\\n"
	"  -v, --verbose             show the messages of libbpf\\n"
	"  -h, --help                show this text\\n"
	"      --version             show the version\\n\","
	"\"options\":["
	"{\"name\":\"duration\",\"type\":\"int\",\"role\":\"duration\","
	"\"min\":1,\"max\":2147483647},"
	"{\"name\":\"format\",\"type\":\"choice\",\"role\":\"format\","
	"\"choices\":{\"text\":0,\"json\":1,\"csv\":2}},"
	"{\"name\":\"output\",\"short\":\"o\",\"type\":\"path\",\"role\":\"output\"},"
	"{\"name\":\"btf\",\"type\":\"path\",\"role\":\"btf\"},"
	"{\"name\":\"pin\",\"type\":\"path\",\"role\":\"pin\"},"
	"{\"name\":\"verbose\",\"short\":\"v\",\"type\":\"flag\",\"role\":\"verbose\"},"
	"{\"name\":\"help\",\"short\":\"h\",\"type\":\"flag\",\"role\":\"help\"},"
	"{\"name\":\"version\",\"type\":\"flag\",\"role\":\"version\"}],"
	"\"trace_pipe\":{\"columns\":false}}";

/* An object file's bytes. */
struct object {
	const void *elf;
	size_t size;
	bool foreign_allowed; /* one without a bound spec */
	const struct duet_caller *caller;
};

static int print_reply(const struct spec *spec, struct output_stream *out)
{
	struct buf error = { 0 };
	int status;

	/* A reader that has gone has had enough; that is no error. */
	output_stream__flush(out, 0);
	if (out->error) {
		buf__printf(&error, "cannot write the output: %s", strerror(out->error));
		run__complain(spec->tool, &error);
		buf__free(&error);
	}
	status = out->error ? 1 : 0;
	return status;
}

static int run_spec(const struct spec *spec, const struct object *object, bool foreign, int argc,
		    char **argv)
{
	struct output_stream out;
	struct options options;
	struct buf err = { 0 };
	int status = 1;

	output_stream__init(&out, STDOUT_FILENO, 0);
	switch (options__parse(&options, spec, argc - 1, argv + 1, &out.buf, &err)) {
	case OPTIONS_RUN:
		status = run__tool(object->elf, object->size, &options, foreign, object->caller);
		break;
	case OPTIONS_DONE:
		status = print_reply(spec, &out);
		break;
	case OPTIONS_WRONG:
		fwrite(err.data, 1, err.len, stderr);
		status = 2;
		break;
	}
	options__free(&options);
	buf__free(&out.buf);
	buf__free(&err);
	return status;
}

static int run_object(const char *name, const struct object *object, int argc, char **argv)
{
	struct buf error = { 0 };
	bool foreign = false;
	struct spec *spec;
	const char *text;
	int status = 1;
	size_t len;

	if (!elf__find_section(object->elf, object->size, SPEC_SECTION, &text, &len)) {
		if (!object->foreign_allowed) {
			buf__puts(&error, "the object holds no bound spec: build it again");
			run__complain(name, &error);
			buf__free(&error);
			return 1;
		}
		foreign = true;
		text = foreign_spec;
		len = sizeof(foreign_spec) - 1;
	}
	spec = spec__parse(text, len, &error);
	if (spec)
		status = run_spec(spec, object, foreign, argc, argv);
	else
		run__complain(name, &error);
	spec__free(spec);
	buf__free(&error);
	return status;
}

int duet__main(const void *elf, size_t size, int argc, char **argv)
{
	const struct object object = { .elf = elf, .size = size };

	return run_object(argc > 0 ? argv[0] : "bpfduet", &object, argc, argv);
}

static int run_content(struct buf *content, const struct duet_caller *caller, int argc, char **argv)
{
	const struct object object = {
		.elf = content->data,
		.size = content->len,
		.foreign_allowed = true,
		.caller = caller,
	};
	int status = run_object(LOADER, &object, argc, argv);

	buf__free(content);
	return status;
}

static int unreadable(struct buf *content, const char *shown)
{
	struct buf error = { 0 };

	buf__printf(&error, "cannot read %s: %s", shown, strerror(errno));
	run__complain(LOADER, &error);
	buf__free(&error);
	buf__free(content);
	return 1;
}

int duet__main_file(const char *path, int argc, char **argv)
{
	struct buf content = { 0 }, shown = { 0 };
	int status;

	if (file__read(path, &content))
		return run_content(&content, NULL, argc, argv);
	buf__printf(&shown, "'%s'", path);
	buf__putc(&shown, '\0');
	status = unreadable(&content, shown.data);
	buf__free(&shown);
	return status;
}

int duet__main_fd(int fd, const struct duet_caller *caller, int argc, char **argv)
{
	struct buf content = { 0 };

	if (file__read_fd(fd, &content))
		return run_content(&content, caller, argc, argv);
	return unreadable(&content, "the object's descriptor");
}
