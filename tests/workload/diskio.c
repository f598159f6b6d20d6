// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * diskio DEVICE [r|w COUNT BYTES]...: so many reads or writes of this size, past the page cache,
 * each of them one request to the device if it takes that much at once. Writes are asynchronous:
 * while a process waits in pwrite(), Linux 6.1 leaves it to a kernel thread to issue the request.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Like pwrite() at the device's begin, asynchronously. */
static long submit_write(aio_context_t context, int fd, void *data, long bytes)
{
	struct iocb one = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = fd,
		.aio_buf = (unsigned long)data,
		.aio_nbytes = bytes,
	};
	struct iocb *all[] = { &one };
	struct io_event end;

	if (syscall(SYS_io_submit, context, 1, all) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &end, NULL) != 1)
		return -1;
	return end.res;
}

static int transfer(aio_context_t context, int fd, char what, long count, long bytes)
{
	void *data;

	if (posix_memalign(&data, 4096, bytes))
		return 1;
	memset(data, 0, bytes);
	while (count--) {
		if ((what == 'r' ? pread(fd, data, bytes, 0)
				 : submit_write(context, fd, data, bytes)) != bytes)
			return 1;
	}
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_DIRECT) : -1;
	aio_context_t context = 0;

	if (fd < 0 || syscall(SYS_io_setup, 1, &context))
		return 1;
	for (int i = 2; i + 2 < argc; i += 3) {
		if (transfer(context, fd, argv[i][0], atol(argv[i + 1]), atol(argv[i + 2])))
			return 1;
	}
	return close(fd);
}
