// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * transfer KIND COUNT UP DOWN [FIRST [PORT]]: so many TCP connections over loopback, one after the
 * other. KIND is 4, 6, m: IPv6 sockets that speak IPv4, or p: MPTCP over IPv4. A child of another
 * name connects to PORT, or any, sends UP bytes and gets DOWN bytes. FIRST is who closes first:
 * "client" (if absent) or "server", or "reset": the server resets the connection. Prints
 * "SERVER_PID CLIENT_PID SERVER_PORT CLIENT_PORT" for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char kind;
static long up, down;
static bool server_first, reset;

static void check(bool good)
{
	if (!good)
		_exit(1);
}

static struct sockaddr_in6 address(uint16_t port)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = port };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = port };

	to4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (kind == '4' || kind == 'p')
		memcpy(&to, &to4, sizeof(to4));
	else
		inet_pton(AF_INET6, kind == '6' ? "::1" : "::ffff:127.0.0.1", &to.sin6_addr);
	return to;
}

static int stream(void)
{
	return socket(kind == '4' || kind == 'p' ? AF_INET : AF_INET6, SOCK_STREAM,
		      kind == 'p' ? IPPROTO_MPTCP : 0);
}

/* The port is at the same place in both kinds of address. */
static uint16_t port_of(int fd)
{
	struct sockaddr_in6 own;
	socklen_t len = sizeof(own);

	check(!getsockname(fd, (struct sockaddr *)&own, &len));
	return own.sin6_port;
}

static void put(int fd, long n)
{
	static const char zeros[4096];

	while (n > 0) {
		ssize_t done = write(fd, zeros, n < (long)sizeof(zeros) ? n : (long)sizeof(zeros));

		check(done > 0);
		n -= done;
	}
}

static void take(int fd, long n)
{
	char data[65536];

	while (n > 0) {
		ssize_t done = read(fd, data, n < (long)sizeof(data) ? n : (long)sizeof(data));

		check(done > 0);
		n -= done;
	}
}

/*
 * The other side has closed, or will: wait for that, then close too. Return when the last ACK is
 * there: the kernel may lose a FIN that comes while the other end turns into one that waits (see
 * TCP_FIN_WAIT1 in tcp_rcv_state_process()), and then sends it again a moment later.
 */
static void close_in_order(int fd, bool first)
{
	struct linger until_closed = { .l_onoff = 1, .l_linger = 30 };
	char end;

	if (!first) {
		check(read(fd, &end, 1) == 0);
		check(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &until_closed, sizeof(until_closed)));
	}
	close(fd);
}

/* MPTCP's sockets are closed by a worker: until there are no others than this end's that listens.
 */
static void wait_for_worker(void)
{
	char line[256];
	int state, open;
	FILE *sockets;

	do {
		open = 0;
		sockets = fopen("/proc/net/tcp", "r");
		check(sockets);
		while (fgets(line, sizeof(line), sockets)) {
			if (sscanf(line, " %*d: %*s %*s %x", &state) == 1 && state != TCP_LISTEN &&
			    state != TCP_TIME_WAIT)
				open++;
		}
		fclose(sockets);
		usleep(1000);
	} while (open);
}

static void client(int server_pid, uint16_t port)
{
	struct sockaddr_in6 to = address(port);
	int fd = stream();

	prctl(PR_SET_NAME, "a-long-client");
	check(!connect(fd, (struct sockaddr *)&to, sizeof(to)));
	dprintf(STDOUT_FILENO, "%d %d %d %d\n", server_pid, getpid(), ntohs(port),
		ntohs(port_of(fd)));
	put(fd, up);
	take(fd, down);
	if (reset) {
		put(fd, 1); /* got all */
		_exit(read(fd, &(char){ 0 }, 1) != -1);
	}
	close_in_order(fd, !server_first);
	_exit(0);
}

static void serve(int listener)
{
	pid_t pid = getpid(), child = fork();
	int fd, status;

	if (!child)
		client(pid, port_of(listener));
	fd = accept(listener, NULL, NULL);
	check(fd >= 0);
	take(fd, up);
	put(fd, down);
	if (reset) {
		take(fd, 1);
		check(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
				  sizeof(struct linger)));
	}
	close_in_order(fd, server_first || reset);
	check(waitpid(child, &status, 0) == child && !status);
	if (kind == 'p')
		wait_for_worker();
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 any;
	int listener;

	if (argc < 5)
		return 2;
	kind = argv[1][0];
	up = atol(argv[3]);
	down = atol(argv[4]);
	server_first = argc > 5 && !strcmp(argv[5], "server");
	reset = argc > 5 && !strcmp(argv[5], "reset");
	any = address(htons(argc > 6 ? atoi(argv[6]) : 0));
	listener = stream();
	check(!bind(listener, (struct sockaddr *)&any, sizeof(any)) && !listen(listener, 1));
	for (long i = 0; i < atol(argv[2]); i++)
		serve(listener);
	return 0;
}
