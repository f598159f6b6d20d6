// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * packets {KIND COUNT SIZE}...: sends COUNT packets with SIZE bytes of content over the loopback
 * interface, by each KIND in turn:
 *   udp4, udp6   datagrams from port 2300 + n to port 4600 + n, the n-th KIND's; n counts from 0
 *   closed       as udp4, but to a port where nobody listens: each is answered by an ICMP error
 *   echo         as udp4, but to a port where another process sends each back: waits for it
 *   spread       datagrams from port 2300 + n to port 4600 + n of COUNT addresses
 *   frame        frames that are no IP, SIZE bytes behind the Ethernet header
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGEST 32768

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_ll link;
};

static int open_at(int family, int type, const union address *address, socklen_t len)
{
	int fd = socket(family, type, 0);

	if (fd < 0 || bind(fd, &address->any, len))
		exit(1);
	return fd;
}

static void send_all(int fd, int count, size_t size, const union address *to, socklen_t len)
{
	static char content[LARGEST];

	while (count--) {
		/* an ICMP error to an earlier one may be waiting */
		if (sendto(fd, content, size, 0, &to->any, len) < 0 &&
		    sendto(fd, content, size, 0, &to->any, len) < 0)
			exit(1);
	}
	close(fd);
}

static void send_datagrams(int family, int listens, int n, int count, size_t size)
{
	union address from = { 0 }, to;
	socklen_t len = family == AF_INET ? sizeof(from.v4) : sizeof(from.v6);
	int receiver = -1;

	from.any.sa_family = family;
	if (family == AF_INET) {
		from.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		from.v4.sin_port = htons(2300 + n);
	} else {
		from.v6.sin6_addr = in6addr_loopback;
		from.v6.sin6_port = htons(2300 + n);
	}
	to = from;
	to.v4.sin_port = htons(4600 + n); /* where sin6_port is too */
	if (listens)
		receiver = open_at(family, SOCK_DGRAM, &to, len);
	send_all(open_at(family, SOCK_DGRAM, &from, len), count, size, &to, len);
	if (receiver >= 0)
		close(receiver);
}

static void send_echoes(int n, int count, size_t size)
{
	union address from = { .v4 = { .sin_family = AF_INET, .sin_port = htons(2300 + n) } }, to;
	static char content[LARGEST];
	int fd;

	from.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to = from;
	to.v4.sin_port = htons(4600 + n);
	fd = open_at(AF_INET, SOCK_DGRAM, &from, sizeof(from.v4));
	while (count--) {
		if (sendto(fd, content, size, 0, &to.any, sizeof(to.v4)) < 0 ||
		    recv(fd, content, size, 0) < 0)
			exit(1);
	}
	close(fd);
}

static void send_spread(int n, int count, size_t size)
{
	union address at = { .v4 = { .sin_family = AF_INET, .sin_port = htons(4600 + n) } };
	int receiver = open_at(AF_INET, SOCK_DGRAM, &at, sizeof(at.v4)), fd;
	static char content[LARGEST];

	at.v4.sin_port = htons(2300 + n);
	at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = open_at(AF_INET, SOCK_DGRAM, &at, sizeof(at.v4));
	at.v4.sin_port = htons(4600 + n);
	for (; count; count--) {
		at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + count);
		if (sendto(fd, content, size, 0, &at.any, sizeof(at.v4)) < 0)
			exit(1);
	}
	close(fd);
	close(receiver);
}

static void send_frames(int count, size_t size)
{
	union address to = { .link = {
				     .sll_family = AF_PACKET,
				     .sll_protocol = htons(ETH_P_802_EX1),
				     .sll_ifindex = if_nametoindex("lo"),
				     .sll_halen = ETH_ALEN,
			     } };

	send_all(socket(AF_PACKET, SOCK_DGRAM, 0), count, size, &to, sizeof(to.link));
}

int main(int argc, char **argv)
{
	for (int n = 0; 3 * n + 3 < argc; n++) {
		const char *kind = argv[3 * n + 1];
		int count = atoi(argv[3 * n + 2]);
		size_t size = strtoul(argv[3 * n + 3], NULL, 0);

		if (size > LARGEST)
			return 2;
		if (!strcmp(kind, "frame"))
			send_frames(count, size);
		else if (!strcmp(kind, "echo"))
			send_echoes(n, count, size);
		else if (!strcmp(kind, "spread"))
			send_spread(n, count, size);
		else
			send_datagrams(strcmp(kind, "udp6") ? AF_INET : AF_INET6,
				       strcmp(kind, "closed"), n, count, size);
	}
	return 0;
}
