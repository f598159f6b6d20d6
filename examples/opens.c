// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * opens OBJECT COMMAND [ARGUMENT...]: run a command, and print each open() of it that fails.
 *
 * All of bpfduet that this needs is its library. OBJECT is build/bpf/opensnoop.bpf.o, or what
 * `bpfduet run` keeps of opensnoop.
 *
 *	cc -o opens opens.c $(pkg-config --cflags --libs bpfduet)
 */
#include <bpfduet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	long end;

	if (!file)
		return NULL;
	if (!fseek(file, 0, SEEK_END) && (end = ftell(file)) > 0 && !fseek(file, 0, SEEK_SET)) {
		data = malloc((size_t)end);
		*size = data ? fread(data, 1, (size_t)end, file) : 0;
	}
	fclose(file);
	return data;
}

/* Whole lines: one JSON object each. */
static size_t print(void *ctx, enum bpfduet_stream stream, const char *data, size_t size)
{
	(void)ctx;
	return fwrite(data, 1, size, stream == BPFDUET_DATA ? stdout : stderr);
}

int main(int argc, char **argv)
{
	struct bpfduet *duet = bpfduet__new();
	struct pollfd ready = { .events = POLLIN };
	char *object = NULL, **command = argv + 1;
	int going, status = 1;
	size_t size;

	if (argc < 3 || !duet) {
		fprintf(stderr, "usage: opens OBJECT COMMAND [ARGUMENT...]\n");
		goto cleanup;
	}
	object = read_file(argv[1], &size);
	if (!object) {
		perror(argv[1]);
		goto cleanup;
	}
	command[0] = "--";
	if (bpfduet__open(duet, object, size, 0) || bpfduet__set(duet, "failed", NULL) ||
	    bpfduet__set(duet, "format", "json") || bpfduet__parse(duet, argc - 1, command))
		goto failed;
	bpfduet__on_write(duet, print, NULL, 0);
	if (bpfduet__start(duet))
		goto failed;
	/* A program of its own would wait for more than this. */
	ready.fd = bpfduet__fd(duet);
	do {
		poll(&ready, 1, -1);
		going = bpfduet__poll(duet, 0);
	} while (going > 0);
	if (going < 0 || bpfduet__stop(duet, false) || bpfduet__close(duet))
		goto failed;
	status = 0;
	goto cleanup;
failed:
	fprintf(stderr, "opens: %s\n", bpfduet__error(duet));
cleanup:
	bpfduet__free(duet);
	free(object);
	return status;
}
