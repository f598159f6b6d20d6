// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * places: a program of every type that has to be told where it belongs, each counting what it
 * sees.
 */
#define BPFDUET_USDT
#include "bpfduet.h"

enum { UPROBE, URETPROBE, USDT_PROBE, XDP_IN, TC_IN, TC_OUT, SKB_OUT, SOCKET, COUNTER, SAMPLE };

BPF_ARRAY(counts, u64, 10);
BPF_PERF_ARRAY(clock, 256);

UPROBE(enter, "probed:probed_call", long i)
{
	struct bpf_perf_event_value before = {};

	if (!task_matches() || i < 0)
		return 0;
	counts.atomic_increment(UPROBE);
	if (!clock.perf_counter_value(CUR_CPU_IDENTIFIER, &before, sizeof(before)) &&
	    before.enabled)
		counts.atomic_increment(COUNTER);
	return 0;
}

URETPROBE(leave, "probed:probed_call", long twice)
{
	if (task_matches())
		counts.atomic_increment(URETPROBE, twice);
	return 0;
}

USDT(call, "probed:duet:call")
{
	u64 i = 0;

	bpf_usdt_readarg(1, ctx, &i);
	if (task_matches())
		counts.atomic_increment(USDT_PROBE, i);
	return 0;
}

PERF_EVENT(sample)
{
	if (task_matches())
		counts.atomic_increment(SAMPLE);
	return 0;
}

XDP(count)
{
	counts.atomic_increment(XDP_IN);
	return XDP_PASS;
}

TC(in)
{
	counts.atomic_increment(TC_IN, ctx->len);
	return TC_ACT_UNSPEC;
}

TC(out)
{
	counts.atomic_increment(TC_OUT, ctx->len);
	return TC_ACT_UNSPEC;
}

CGROUP_SKB(egress, sent)
{
	counts.atomic_increment(SKB_OUT, ctx->len);
	return 1;
}

SOCKET_FILTER(tap)
{
	counts.atomic_increment(SOCKET);
	return 0;
}

LICENSE("Dual BSD/GPL");
