// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * probed COUNT: COUNT calls of probed_call(i), each of which passes the USDT probe duet:call with
 * i and a name, and as many datagrams of 100 bytes over loopback. Prints the PID.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES 100

__attribute__((noinline)) long probed_call(long i)
{
	DTRACE_PROBE2(duet, call, i, "name");
	return 2 * i;
}

static int send_all(long count)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(to);
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	char bytes[BYTES] = { 0 };

	if (in < 0 || out < 0 || bind(in, (struct sockaddr *)&to, sizeof(to)) ||
	    getsockname(in, (struct sockaddr *)&to, &length))
		return -1;
	for (long i = 0; i < count; i++) {
		if (sendto(out, bytes, sizeof(bytes), 0, (struct sockaddr *)&to, length) != BYTES)
			return -1;
	}
	close(in);
	close(out);
	return 0;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 0, sum = 0;

	for (long i = 0; i < count; i++)
		sum += probed_call(i);
	if (sum != count * (count - 1) || send_all(count)) {
		perror("probed");
		return 1;
	}
	printf("%d\n", getpid());
	return 0;
}
