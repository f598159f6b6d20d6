/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ring buffer writes without a wake-up each.
 *
 * Waking the reader is most of what an event costs the traced process, far more
 * than the program itself. So with flags 0 a record is submitted silently, and
 * the reader is woken once in DUET_WAKEUP_BYTES of data; it also looks by itself
 * every few tens of milliseconds. The kernel's own flags (BPF_RB_NO_WAKEUP,
 * BPF_RB_FORCE_WAKEUP) are passed on as they are.
 *
 * Included by both sides, which define DUET_RB_* as the bare helpers.
 */
#ifndef DUET_WAKEUP_BYTES
#define DUET_WAKEUP_BYTES (64 * 1024)	/* a power of two */
#endif

static __always_inline void duet_count_lost(void *lost)
{
	int zero = 0;
	u64 *count = bpf_map_lookup_elem(lost, &zero);

	if (count)
		*count += 1;
}

/*
 * True when `size` more bytes cross a multiple of DUET_WAKEUP_BYTES. Two CPUs
 * may both miss one crossing; the next one, or the reader's timer, makes up.
 */
static __always_inline bool duet_ringbuf_due(void *rb, u64 size)
{
	u64 waiting = DUET_RB_QUERY(rb, BPF_RB_AVAIL_DATA);

	return (waiting & (DUET_WAKEUP_BYTES - 1)) + size + 8 >= DUET_WAKEUP_BYTES;
}

static __always_inline long duet_ringbuf_output(void *rb, void *lost, void *data, u64 size,
						u64 flags)
{
	long err;

	if (!flags)
		flags = duet_ringbuf_due(rb, size) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	err = DUET_RB_OUTPUT(rb, data, size, flags);
	if (err)
		duet_count_lost(lost);
	return err;
}

/*
 * A record that is being filled cannot wake anybody, and submit() no longer
 * knows the buffer: so it is the reservation that wakes the reader when due,
 * with an empty record that readers skip.
 */
static __always_inline void *duet_ringbuf_reserve(void *rb, void *lost, u64 size)
{
	void *record;

	if (duet_ringbuf_due(rb, size)) {
		record = DUET_RB_RESERVE(rb, 8, 0);
		if (record)
			DUET_RB_DISCARD(record, BPF_RB_FORCE_WAKEUP);
	}
	record = DUET_RB_RESERVE(rb, size, 0);
	if (!record)
		duet_count_lost(lost);
	return record;
}

static __always_inline void duet_ringbuf_submit(void *record, u64 flags)
{
	DUET_RB_SUBMIT(record, flags ? flags : BPF_RB_NO_WAKEUP);
}

static __always_inline void duet_ringbuf_discard(void *record, u64 flags)
{
	DUET_RB_DISCARD(record, flags ? flags : BPF_RB_NO_WAKEUP);
}
