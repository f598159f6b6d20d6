// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * storm COUNT SIZE: a thread on each of the first two CPUs, both sending COUNT datagrams of SIZE
 * bytes by one socket, from port 2300 to port 4600, as fast as they can. Nobody reads them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SENDERS 2

static int count, fd;
static size_t size;

static int open_at(struct sockaddr_in *at)
{
	int opened = socket(AF_INET, SOCK_DGRAM, 0);

	if (opened < 0 || bind(opened, (struct sockaddr *)at, sizeof(*at)))
		exit(1);
	return opened;
}

static void *send_on(void *cpu)
{
	static char content[1024];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((long)cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		exit(1);
	for (int i = 0; i < count; i++) {
		if (send(fd, content, size, 0) < 0)
			exit(1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(2300) }, to;
	pthread_t senders[SENDERS];

	if (argc < 3)
		return 2;
	count = atoi(argv[1]);
	size = strtoul(argv[2], NULL, 0) & 1023;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to = from;
	to.sin_port = htons(4600);
	open_at(&to);
	fd = open_at(&from);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	for (long cpu = 0; cpu < SENDERS; cpu++) {
		if (pthread_create(&senders[cpu], NULL, send_on, (void *)cpu))
			return 1;
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(senders[i], NULL);
	return 0;
}
