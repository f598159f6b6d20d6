// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * connects KIND PORT COUNT [KIND PORT COUNT]...: COUNT times connect() by TCP to this port of
 * the loopback interface, where nobody need listen. KIND: 4, 6, `mapped` (to the IPv4 address by an
 * IPv6 socket) or `nowhere` (an address to which no SYN can be sent). Prints "KIND LOCAL-PORT PORT"
 * for each, with 4 for `mapped` and nothing for `nowhere`.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

static union address address_of(int family, const char *text, int port)
{
	union address a = { 0 };

	a.any.sa_family = family;
	if (family == AF_INET) {
		a.ip4.sin_port = htons(port);
		inet_pton(family, text, &a.ip4.sin_addr);
	} else {
		a.ip6.sin6_port = htons(port);
		inet_pton(family, text, &a.ip6.sin6_addr);
	}
	return a;
}

/* Bound first: a refused connect() gives the port back. */
static int connect_once(int family, const char *from, const char *to, int port)
{
	union address local = address_of(family, from, 0), remote = address_of(family, to, port);
	socklen_t size = family == AF_INET ? sizeof(local.ip4) : sizeof(local.ip6);
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, &local.any, size) || getsockname(fd, &local.any, &size))
		exit(1);
	connect(fd, &remote.any, size);
	close(fd);
	return ntohs(family == AF_INET ? local.ip4.sin_port : local.ip6.sin6_port);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 2 < argc; i += 3) {
		int port = atoi(argv[i + 1]), count = atoi(argv[i + 2]);

		for (int n = 0; n < count; n++) {
			if (!strcmp(argv[i], "4"))
				printf("4 %d %d\n",
				       connect_once(AF_INET, "127.0.0.1", "127.0.0.2", port), port);
			else if (!strcmp(argv[i], "6"))
				printf("6 %d %d\n", connect_once(AF_INET6, "::1", "::1", port),
				       port);
			else if (!strcmp(argv[i], "mapped"))
				printf("4 %d %d\n",
				       connect_once(AF_INET6, "::ffff:127.0.0.1",
						    "::ffff:127.0.0.3", port),
				       port);
			else
				connect_once(AF_INET, "127.0.0.1", "255.255.255.255", port);
		}
	}
	return 0;
}
