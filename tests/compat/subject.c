// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What the stock tools are shown: does one known thing, once a byte comes on stdin, and says in a
 * line on stdout what only it can know of it. It stays until stdin ends: tools read symbols late.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int sink;

__attribute__((noinline)) int visit(int number)
{
	sink += number;
	return sink;
}

static void visits(int count)
{
	for (int i = 0; i < count; i++)
		visit(i % 5);
}

static void system_calls(int count)
{
	for (int i = 0; i < count; i++)
		syscall(SYS_getppid);
}

/* Sends `size` bytes to itself and tells both ports: the server's, the client's. */
static void transfer(int size)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in own;
	socklen_t length = sizeof(address);
	char buffer[4096] = "";

	if (bind(listener, (void *)&address, length) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &length) ||
	    connect(client, (void *)&address, length))
		err(1, "loopback");
	length = sizeof(own);
	getsockname(client, (void *)&own, &length);
	int server = accept(listener, NULL, NULL);

	close(listener);
	while (size > 0) {
		ssize_t sent = write(client, buffer, size < 4096 ? size : 4096);

		if (sent < 0)
			err(1, "write");
		size -= sent;
		for (ssize_t got = 0; got < sent;) {
			ssize_t part = read(server, buffer, sizeof(buffer));

			if (part <= 0)
				err(1, "read");
			got += part;
		}
	}
	close(client);
	/* When its end has come, the server closes as the second one: in this process, not in a
	 * softirq. */
	if (read(server, buffer, sizeof(buffer)))
		errx(1, "more was read than was written");
	close(server);
	printf("%d %d", ntohs(address.sin_port), ntohs(own.sin_port));
}

/* Sleeps `count` times and tells how often it was switched away from. */
static void sleeps(int count)
{
	struct timespec pause = { .tv_nsec = 1000000 };
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < count; i++)
		nanosleep(&pause, NULL);
	getrusage(RUSAGE_SELF, &after);
	printf("%ld %ld", after.ru_nvcsw - before.ru_nvcsw, after.ru_nivcsw - before.ru_nivcsw);
}

/* Uses the processor for `ms` milliseconds. */
__attribute__((noinline)) static void spin(int ms)
{
	clock_t end = clock() + ms * (CLOCKS_PER_SEC / 1000);

	while (clock() < end)
		for (int i = 0; i < 1000000; i++)
			sink++;
}

static void look_up(int count)
{
	struct addrinfo *found;

	for (int i = 0; i < count; i++)
		if (!getaddrinfo("localhost", NULL, NULL, &found))
			freeaddrinfo(found);
}

static void leave(int status)
{
	exit(status);
}

static const struct {
	const char *name;
	void (*act)(int number);
} acts[] = { { "visits", visits }, { "calls", system_calls }, { "transfer", transfer },
	     { "sleeps", sleeps }, { "spin", spin },	      { "look_up", look_up },
	     { "leave", leave } };

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: subject ACT NUMBER");
	if (getchar() == EOF)
		return 0;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[1], acts[i].name)) {
			acts[i].act(atoi(argv[2]));
			puts("");
			fflush(stdout);
			getchar();
			return 0;
		}
	errx(2, "no such act: %s", argv[1]);
}
