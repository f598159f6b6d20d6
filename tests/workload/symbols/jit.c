// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * jit COUNT: makes a function at run time that calls chain_inner(), and tells of it in
 * /tmp/perf-PID.map, as run-time compilers do. The name that it has at last is the one that counts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "chain.h"

FRAME void chain_middle(void)
{
	chain_inner();
	STAY;
}

int main(int argc, char **argv)
{
	/* push %rbp; mov %rsp,%rbp; movabs $chain_middle,%rax; call *%rax; pop %rbp; ret */
	uint8_t code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0,    0,	   0,
			   0,	 0,    0,    0,	   0,	 0xff, 0xd0, 0x5d, 0xc3 };
	int left = argc > 1 ? atoi(argv[1]) : 1;
	uint64_t target = (uint64_t)chain_middle;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64];
	FILE *map;

	if (page == MAP_FAILED)
		return 1;
	memcpy(code + 6, &target, sizeof(target));
	memcpy(page, code, sizeof(code));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "w");
	if (!map)
		return 1;
	fprintf(map, "%lx %zx Old name\nnonsense\n%lx %zx Made;at run time\n", (long)page,
		sizeof(code), (long)page, sizeof(code));
	fclose(map);
	while (left-- > 0)
		((void (*)(void))page)();
	left = wait_for_end();
	unlink(path);
	return left;
}
