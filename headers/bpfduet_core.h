/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The dialect ahead of time: BCC's spelling as plain C over libbpf.
 *
 * A map is a libbpf map definition and, beside it, a constant table of function
 * pointers with the map's name, so that start.lookup(&key) is legal C. clang
 * folds the table away: the code is what bpf_map_lookup_elem(&start, &key) gives.
 * Two asm labels decide who is called what in the object file: the map keeps the
 * name, the table becomes NAME__ops. With one label alone clang merges the two.
 */
#ifndef BPFDUET_CORE_H
#define BPFDUET_CORE_H

#include "vmlinux.h"
#include "kernel_constants.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#ifdef BPFDUET_USDT
#include <bpf/usdt.bpf.h>	/* declares maps: only where it is used */
#endif
#include "bpfduet_pick.h"
#include "bpfduet_syscalls.h"

/*
 * libbpf's, but for the first pointer, which is read before: it may be in a struct of the program's
 * own, as a map's value, which CO-RE would look for in the kernel.
 */
#define DUET_CORE_READ(last, step, dst, src, a...) \
	({ typeof(src) duet_src = (src); ___core_read(last, step, dst, duet_src, a); })
#undef BPF_CORE_READ_INTO
#define BPF_CORE_READ_INTO(dst, src, a...) DUET_CORE_READ(bpf_core_read, bpf_core_read, dst, src, a)
#undef BPF_CORE_READ_STR_INTO
#define BPF_CORE_READ_STR_INTO(dst, src, a...) \
	DUET_CORE_READ(bpf_core_read_str, bpf_core_read, dst, src, a)
#undef BPF_CORE_READ_USER_INTO
#define BPF_CORE_READ_USER_INTO(dst, src, a...) \
	DUET_CORE_READ(bpf_core_read_user, bpf_core_read_user, dst, src, a)
#undef BPF_CORE_READ_USER_STR_INTO
#define BPF_CORE_READ_USER_STR_INTO(dst, src, a...) \
	DUET_CORE_READ(bpf_core_read_user_str, bpf_core_read_user, dst, src, a)

#define LICENSE(text) char LICENSE_[] __asm__("LICENSE") SEC("license") = text

/* -- constants set from the command line ---------------------------------- */

/* Behind the value: help and a letter for the option, which the compiler of specs reads in the text. */
#define CONFIG(type, name, value, ...) const volatile type name = value
#define CONFIG_STR(name, size) const volatile char name[size] __attribute__((aligned(8))) = ""
/* static: a tool that does not use them does not have them */
#define DUET_SHARED_CONFIG(type, name, value) \
	static const volatile type name __attribute__((unused)) = value
#define DUET_LATE(name) (name) /* all of them are filled in late here */
/* All bits are set until the user gives a string, whose last word, ended by NUL, is another. */
#define DUET_SHARED_CONFIG_STR(name, size) \
	static const volatile char name[size] __attribute__((unused, aligned(8))) = { \
		[0 ... (size) - 1] = -1 }
#define DUET_STR_UNSET ((u64)-1)

#define CONFIG_STR_WORD(name, n) (((const volatile u64 *)name)[n])
#define CONFIG_STR_READ(dst, name)                                           \
	do {                                                                 \
		_Pragma("unroll")                                            \
		for (int i_ = 0; i_ < (int)sizeof(name); i_++)               \
			(dst)[i_] = name[i_];                                \
	} while (0)

/* -- maps -------------------------------------------------------------------- */

#define DUET_MAP(name, map_type, key_type, leaf_type, entries, flags_)       \
	struct {                                                             \
		__uint(type, map_type);                                      \
		__uint(max_entries, entries);                                \
		__uint(map_flags, flags_);                                   \
		__type(key, key_type);                                       \
		__type(value, leaf_type);                                    \
	} name##__map __asm__(#name) SEC(".maps")

/* Counters have a leaf of some integer type; other leaves have no increment. */
#define DUET_IS_INT(type) (__builtin_classify_type(*(type *)0) == 1)
#define DUET_COUNTER(leaf_type) \
	typeof(*__builtin_choose_expr(DUET_IS_INT(leaf_type), (leaf_type *)0, (u64 *)0))

#define DUET_TABLE(name, map_type, key_type, leaf_type, entries, flags_)     \
	DUET_MAP(name, map_type, key_type, leaf_type, entries, flags_);      \
	static __always_inline leaf_type *name##__lookup(key_type *key)      \
	{                                                                    \
		return bpf_map_lookup_elem(&name##__map, key);               \
	}                                                                    \
	static __always_inline leaf_type *name##__try_init(key_type *key, leaf_type *leaf) \
	{                                                                    \
		leaf_type *found = bpf_map_lookup_elem(&name##__map, key);   \
		if (found)                                                   \
			return found;                                        \
		bpf_map_update_elem(&name##__map, key, leaf, BPF_NOEXIST);   \
		return bpf_map_lookup_elem(&name##__map, key);               \
	}                                                                    \
	static __always_inline long name##__update(key_type *key, leaf_type *leaf) \
	{                                                                    \
		return bpf_map_update_elem(&name##__map, key, leaf, BPF_ANY); \
	}                                                                    \
	static __always_inline long name##__insert(key_type *key, leaf_type *leaf) \
	{                                                                    \
		return bpf_map_update_elem(&name##__map, key, leaf, BPF_NOEXIST); \
	}                                                                    \
	static __always_inline long name##__delete(key_type *key)            \
	{                                                                    \
		return bpf_map_delete_elem(&name##__map, key);               \
	}                                                                    \
	static __always_inline void name##__add(key_type key, u64 n, bool atomic) \
	{                                                                    \
		DUET_COUNTER(leaf_type) *count = (void *)name##__lookup(&key), first; \
		if (count && atomic) {                                       \
			__sync_fetch_and_add(count, n);                      \
		} else if (count) {                                          \
			*count += n;                                         \
		} else if (map_type == BPF_MAP_TYPE_HASH) {                  \
			first = n;                                           \
			bpf_map_update_elem(&name##__map, &key, &first, BPF_NOEXIST); \
		}                                                            \
	}                                                                    \
	static __always_inline void name##__increment(key_type key, u64 n)   \
	{                                                                    \
		name##__add(key, n, false);                                  \
	}                                                                    \
	static __always_inline void name##__atomic_increment(key_type key, u64 n) \
	{                                                                    \
		name##__add(key, n, true);                                   \
	}                                                                    \
	static __always_inline void name##__call(void *ctx, u32 index)       \
	{                                                                    \
		bpf_tail_call(ctx, &name##__map, index);                     \
	}                                                                    \
	static __always_inline long name##__stackid(void *ctx, u64 flags)    \
	{                                                                    \
		return bpf_get_stackid(ctx, &name##__map, flags);            \
	}                                                                    \
	static const struct name##__ops {                                    \
		leaf_type *(*lookup)(key_type *key);                         \
		leaf_type *(*lookup_or_try_init)(key_type *key, leaf_type *leaf); \
		long (*update)(key_type *key, leaf_type *leaf);              \
		long (*insert)(key_type *key, leaf_type *leaf);              \
		long (*delete)(key_type *key);                               \
		void (*increment_)(key_type key, u64 n);                     \
		void (*atomic_increment_)(key_type key, u64 n);              \
		void (*call)(void *ctx, u32 index);                          \
		long (*get_stackid)(void *ctx, u64 flags);                   \
	} name __asm__(#name "__ops") __attribute__((unused)) = {            \
		.lookup = name##__lookup,                                    \
		.lookup_or_try_init = name##__try_init,                      \
		.update = name##__update,                                    \
		.insert = name##__insert,                                    \
		.delete = name##__delete,                                    \
		.increment_ = name##__increment,                             \
		.atomic_increment_ = name##__atomic_increment,               \
		.call = name##__call,                                        \
		.get_stackid = name##__stackid,                              \
	}

/* one or two arguments, as in BCC */
#define increment(...) increment_(DUET_EXPAND2(__VA_ARGS__, 1))
#define atomic_increment(...) atomic_increment_(DUET_EXPAND2(__VA_ARGS__, 1))
#define DUET_EXPAND2(...) DUET_TWO(__VA_ARGS__, )
#define DUET_TWO(first, second, ...) first, second

#define DUET_OVERLOAD(_1, _2, _3, _4, name, ...) name

#define DUET_HASH1(type, flags, name) DUET_TABLE(name, type, u64, u64, 10240, flags)
#define DUET_HASH2(type, flags, name, key) DUET_TABLE(name, type, key, u64, 10240, flags)
#define DUET_HASH3(type, flags, name, key, leaf) DUET_TABLE(name, type, key, leaf, 10240, flags)
#define DUET_HASH4(type, flags, name, key, leaf, size) \
	DUET_TABLE(name, type, key, leaf, size, flags)
#define DUET_HASH(type, flags, args...) \
	DUET_OVERLOAD(args, DUET_HASH4, DUET_HASH3, DUET_HASH2, DUET_HASH1)(type, flags, args)

#define DUET_ARRAY1(type, name) DUET_TABLE(name, type, int, u64, 10240, 0)
#define DUET_ARRAY2(type, name, leaf) DUET_TABLE(name, type, int, leaf, 10240, 0)
#define DUET_ARRAY3(type, name, leaf, size) DUET_TABLE(name, type, int, leaf, size, 0)
#define DUET_ARRAY(type, args...) \
	DUET_OVERLOAD(args, , DUET_ARRAY3, DUET_ARRAY2, DUET_ARRAY1)(type, args)

#define BPF_HASH(args...) DUET_HASH(BPF_MAP_TYPE_HASH, 0, args)
#define BPF_PERCPU_HASH(args...) DUET_HASH(BPF_MAP_TYPE_PERCPU_HASH, 0, args)
#define BPF_LPM_TRIE(args...) DUET_HASH(BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, args)
#define BPF_ARRAY(args...) DUET_ARRAY(BPF_MAP_TYPE_ARRAY, args)
#define BPF_PERCPU_ARRAY(args...) DUET_ARRAY(BPF_MAP_TYPE_PERCPU_ARRAY, args)

/* A histogram is an array if its key is an int, else a hash: BCC's rule. */
#define DUET_HIST_TYPE(key) \
	(__builtin_types_compatible_p(key, int) ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH)
#define DUET_HIST1(name) DUET_TABLE(name, BPF_MAP_TYPE_ARRAY, int, u64, 64, 0)
#define DUET_HIST2(name, key) DUET_TABLE(name, DUET_HIST_TYPE(key), key, u64, 64, 0)
#define DUET_HIST3(name, key, size) DUET_TABLE(name, DUET_HIST_TYPE(key), key, u64, size, 0)
#define BPF_HISTOGRAM(args...) \
	DUET_OVERLOAD(args, , DUET_HIST3, DUET_HIST2, DUET_HIST1)(args)

/* BCC's general form takes the kind as a string. */
#define DUET_KIND(kind, key)                                                 \
	(!__builtin_strcmp(kind, "hash") ? BPF_MAP_TYPE_HASH :               \
	 !__builtin_strcmp(kind, "array") ? BPF_MAP_TYPE_ARRAY :             \
	 !__builtin_strcmp(kind, "percpu_hash") ? BPF_MAP_TYPE_PERCPU_HASH : \
	 !__builtin_strcmp(kind, "percpu_array") ? BPF_MAP_TYPE_PERCPU_ARRAY : \
	 !__builtin_strcmp(kind, "lru_hash") ? BPF_MAP_TYPE_LRU_HASH :       \
	 !__builtin_strcmp(kind, "lru_percpu_hash") ? BPF_MAP_TYPE_LRU_PERCPU_HASH : \
	 !__builtin_strcmp(kind, "lpm_trie") ? BPF_MAP_TYPE_LPM_TRIE :       \
	 !__builtin_strcmp(kind, "histogram") ? DUET_HIST_TYPE(key) : -1)
#define BPF_F_TABLE(kind, key, leaf, name, size, flags) \
	DUET_TABLE(name, DUET_KIND(kind, key), key, leaf, size, flags)
#define BPF_TABLE(kind, key, leaf, name, size) BPF_F_TABLE(kind, key, leaf, name, size, 0)

#define BPF_MAX_STACK_DEPTH 127
struct bpf_stacktrace {
	u64 ip[BPF_MAX_STACK_DEPTH];
};
#define BPF_STACK_TRACE(name, entries) \
	DUET_TABLE(name, BPF_MAP_TYPE_STACK_TRACE, int, struct bpf_stacktrace, \
		   roundup_pow_of_two(entries), 0)
#define BPF_PROG_ARRAY(name, entries) \
	DUET_TABLE(name, BPF_MAP_TYPE_PROG_ARRAY, u32, u32, entries, 0)

/* Maps whose methods are their own: the operations table holds just those. */
#define DUET_OPS(name, members, values...)                                   \
	static const struct name##__ops members                              \
	name __asm__(#name "__ops") __attribute__((unused)) = { values }

#define DUET_QUEUESTACK(name, map_type, leaf_type, entries, flags_)          \
	struct {                                                             \
		__uint(type, map_type);                                      \
		__uint(max_entries, entries);                                \
		__uint(map_flags, flags_);                                   \
		__type(value, leaf_type);                                    \
	} name##__map __asm__(#name) SEC(".maps");                           \
	static __always_inline long name##__push(leaf_type *leaf, u64 flags) \
	{                                                                    \
		return bpf_map_push_elem(&name##__map, leaf, flags);         \
	}                                                                    \
	static __always_inline long name##__pop(leaf_type *leaf)             \
	{                                                                    \
		return bpf_map_pop_elem(&name##__map, leaf);                 \
	}                                                                    \
	static __always_inline long name##__peek(leaf_type *leaf)            \
	{                                                                    \
		return bpf_map_peek_elem(&name##__map, leaf);                \
	}                                                                    \
	DUET_OPS(name, {                                                     \
		long (*push)(leaf_type *leaf, u64 flags);                    \
		long (*pop)(leaf_type *leaf);                                \
		long (*peek)(leaf_type *leaf);                               \
	}, .push = name##__push, .pop = name##__pop, .peek = name##__peek)
#define DUET_QS3(type, name, leaf, size) DUET_QUEUESTACK(name, type, leaf, size, 0)
#define DUET_QS4(type, name, leaf, size, flags) DUET_QUEUESTACK(name, type, leaf, size, flags)
#define BPF_QUEUE(args...) DUET_OVERLOAD(args, DUET_QS4, DUET_QS3)(BPF_MAP_TYPE_QUEUE, args)
#define BPF_STACK(args...) DUET_OVERLOAD(args, DUET_QS4, DUET_QS3)(BPF_MAP_TYPE_STACK, args)

#define BPF_PERF_OUTPUT(name)                                                \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);                 \
		__type(key, u32);                                            \
		__type(value, u32);                                          \
	} name##__map __asm__(#name) SEC(".maps");                           \
	static __always_inline long name##__submit(void *ctx, void *data, u64 size) \
	{                                                                    \
		return bpf_perf_event_output(ctx, &name##__map, BPF_F_CURRENT_CPU, data, size); \
	}                                                                    \
	static __always_inline long name##__submit_skb(void *ctx, u32 skb_size, void *data, u64 size) \
	{                                                                    \
		return bpf_perf_event_output(ctx, &name##__map,              \
					     (u64)skb_size << 32 | BPF_F_CURRENT_CPU, data, size); \
	}                                                                    \
	DUET_OPS(name, {                                                     \
		long (*perf_submit)(void *ctx, void *data, u64 size);        \
		long (*perf_submit_skb)(void *ctx, u32 skb_size, void *data, u64 size); \
	}, .perf_submit = name##__submit, .perf_submit_skb = name##__submit_skb)

#define BPF_PERF_ARRAY(name, entries)                                        \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);                 \
		__uint(max_entries, entries);                                \
		__type(key, u32);                                            \
		__type(value, u32);                                          \
	} name##__map __asm__(#name) SEC(".maps");                           \
	static __always_inline u64 name##__read(u64 flags)                   \
	{                                                                    \
		return bpf_perf_event_read(&name##__map, flags);             \
	}                                                                    \
	static __always_inline long name##__value(u64 flags, void *value, u32 size) \
	{                                                                    \
		return bpf_perf_event_read_value(&name##__map, flags, value, size); \
	}                                                                    \
	DUET_OPS(name, {                                                     \
		u64 (*perf_read)(u64 flags);                                 \
		long (*perf_counter_value)(u64 flags, void *value, u32 size); \
	}, .perf_read = name##__read, .perf_counter_value = name##__value)
#define CUR_CPU_IDENTIFIER BPF_F_CURRENT_CPU

#define BPF_CGROUP_ARRAY(name, entries)                                      \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);                     \
		__uint(max_entries, entries);                                \
		__type(key, u32);                                            \
		__type(value, u32);                                          \
	} name##__map __asm__(#name) SEC(".maps");                           \
	static __always_inline long name##__check(u32 index)                 \
	{                                                                    \
		return bpf_current_task_under_cgroup(&name##__map, index);   \
	}                                                                    \
	DUET_OPS(name, {                                                     \
		long (*check_current_task)(u32 index);                       \
	}, .check_current_task = name##__check)

/* -- ring buffers and events ---------------------------------------------- */

#define DUET_RB_QUERY bpf_ringbuf_query
#define DUET_RB_OUTPUT bpf_ringbuf_output
#define DUET_RB_RESERVE bpf_ringbuf_reserve
#define DUET_RB_SUBMIT bpf_ringbuf_submit
#define DUET_RB_DISCARD bpf_ringbuf_discard
#include "bpfduet_ringbuf.h"

#define DUET_PAGE_SIZE 4096

/* Records that could not be written. Repeated declarations are one definition. */
struct duet_lost_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, u64);
};
extern struct duet_lost_map bpfduet_lost;
#define BPF_COUNT_LOST() struct duet_lost_map bpfduet_lost SEC(".maps")
#define count_lost() duet_count_lost(&bpfduet_lost)

#define BPF_RINGBUF_OUTPUT(name, pages)                                      \
	struct duet_lost_map bpfduet_lost SEC(".maps");                      \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                          \
		__uint(max_entries, (pages) * DUET_PAGE_SIZE);               \
	} name##__map __asm__(#name) SEC(".maps");                           \
	static __always_inline long name##__output(void *data, u64 size, u64 flags) \
	{                                                                    \
		return duet_ringbuf_output(&name##__map, &bpfduet_lost, data, size, flags); \
	}                                                                    \
	static __always_inline void *name##__reserve(u64 size)               \
	{                                                                    \
		return duet_ringbuf_reserve(&name##__map, &bpfduet_lost, size); \
	}                                                                    \
	static const struct name##__ops {                                    \
		long (*ringbuf_output)(void *data, u64 size, u64 flags);     \
		void *(*ringbuf_reserve)(u64 size);                          \
		void (*ringbuf_submit)(void *record, u64 flags);             \
		void (*ringbuf_discard)(void *record, u64 flags);            \
	} name __asm__(#name "__ops") __attribute__((unused)) = {            \
		.ringbuf_output = name##__output,                            \
		.ringbuf_reserve = name##__reserve,                          \
		.ringbuf_submit = duet_ringbuf_submit,                       \
		.ringbuf_discard = duet_ringbuf_discard,                     \
	}

/* The frontends learn the layout of a record from the pointer's type. */
#define DUET_EVENT_TYPE(name, event_type) \
	const event_type *const name##__type SEC(".bpfduet.types") = 0
#define BPF_EVENTS(name, event_type, pages)                                  \
	BPF_RINGBUF_OUTPUT(name, pages);                                     \
	DUET_EVENT_TYPE(name, event_type)
#define BPF_PERF_EVENTS(name, event_type)                                    \
	BPF_PERF_OUTPUT(name);                                               \
	DUET_EVENT_TYPE(name, event_type)

/*
 * A set that the user gave as a pinned map. The map is not created unless the
 * constant is set, and then it is the pinned one.
 */
#define DUET_PINNED_SET(name)                                                \
	static const volatile int name##_fd __attribute__((unused)) = 0;     \
	struct {                                                             \
		__uint(type, BPF_MAP_TYPE_HASH);                             \
		__uint(max_entries, 1);                                      \
		__type(key, u64);                                            \
		__type(value, u64);                                          \
	} name SEC(".maps")
#define DUET_SET_GIVEN(name) (name##_fd)
#define DUET_SET_LOOKUP(name, key) bpf_map_lookup_elem(&name, key)

/* -- printing ------------------------------------------------------------------ */

/* BCC's bpf_trace_printk takes the format alone, without its size. */
#define bpf_trace_printk(fmt, args...) DUET_PRINTK(fmt, ##args)
#define DUET_PRINTK(fmt, args...)                                            \
	({                                                                   \
		static const char fmt_[] = fmt;                              \
		duet_trace_printk(fmt_, sizeof(fmt_), ##args);               \
	})
static long (*duet_trace_printk)(const char *fmt, u32 fmt_size, ...) =
	(void *)BPF_FUNC_trace_printk;
#undef bpf_printk
#define bpf_printk(fmt, args...) DUET_PRINTK(fmt, ##args)

/* -- helpers that BCC has and libbpf has not -------------------------------------- */

#define lock_xadd(ptr, val) ((void)__sync_fetch_and_add(ptr, val))

/* The slot of BCC's histograms: 0 and 1 are slot 1, 2^(n-1) .. 2^n - 1 slot n. */
static __always_inline unsigned int bpf_log2(unsigned int v)
{
	unsigned int shift, r;

	r = (v > 0xffff) << 4;
	v >>= r;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

static __always_inline unsigned int bpf_log2l(unsigned long v)
{
	unsigned int high = v >> 32;

	return high ? bpf_log2(high) + 33 : bpf_log2(v) + 1;
}

/* -- programs ------------------------------------------------------------------------ */

/* Names are BCC's, so that a program is called the same in both modes. */
#define DUET_TP_syscalls , tracepoint__syscalls__
#define DUET_TP_raw_syscalls , tracepoint__raw_syscalls__
#define DUET_TP_STRUCT(category, event) \
	DUET_PASTE(DUET_PICK(DUET_TP_##category, trace_event_raw_), \
		   DUET_PICK(DUET_TEMPLATE_##event, event))
/* Declared: an event that is of a class on some kernels (sched_process_exit, on 6.12) has no
 * struct of its name there, and a program may do without its fields.
 */
#define TRACEPOINT_PROBE(category, event)                                    \
	struct DUET_TP_STRUCT(category, event);                              \
	SEC("tracepoint/" #category "/" #event)                              \
	int tracepoint__##category##__##event(struct DUET_TP_STRUCT(category, event) *args)
#define TP_DATA_LOC(field) ((const char *)args + (args->__data_loc_##field & 0xffff))
#define TP_DATA_LOC_READ_CONST(dst, field, length) \
	bpf_probe_read_kernel((void *)dst, length, TP_DATA_LOC(field))
#define TP_DATA_LOC_READ(dst, field) \
	bpf_probe_read_kernel_str((void *)(dst), sizeof(*(dst)), TP_DATA_LOC(field))

/* Run once by the frontend. */
#define BEGIN(name) SEC("raw_tp") int begin__##name(struct bpf_raw_tracepoint_args *ctx)

#define RAW_TRACEPOINT_PROBE(event)                                          \
	SEC("raw_tracepoint/" #event)                                        \
	int raw_tracepoint__##event(struct bpf_raw_tracepoint_args *ctx)
#define RAW_TRACEPOINT_ARG(n) (ctx->args[n])

#define KPROBE(func, args...) \
	SEC("kprobe/" #func) int BPF_KPROBE(kprobe__##func, ##args)
#define KRETPROBE(func, args...) \
	SEC("kretprobe/" #func) int BPF_KRETPROBE(kretprobe__##func, ##args)
#define KSYSCALL(call, args...) \
	SEC("ksyscall/" #call) int BPF_KSYSCALL(kprobe__sys_##call, ##args)
#define KRETSYSCALL(call, args...) \
	SEC("kretsyscall/" #call) int BPF_KRETPROBE(kretprobe__sys_##call, ##args)
#define KFUNC_PROBE(func, args...) \
	SEC("fentry/" #func) int BPF_PROG(kfunc__##func, ##args)
#define KRETFUNC_PROBE(func, args...) \
	SEC("fexit/" #func) int BPF_PROG(kretfunc__##func, ##args)
#define LSM_PROBE(hook, args...) \
	SEC("lsm/" #hook) int BPF_PROG(lsm__##hook, ##args)
#define UPROBE(name, target, args...) \
	SEC("uprobe/" target) int BPF_KPROBE(uprobe__##name, ##args)
#define URETPROBE(name, target, args...) \
	SEC("uretprobe/" target) int BPF_KRETPROBE(uretprobe__##name, ##args)
/* Of the kernel or of user space: the spec's target decides. */
#define PROBE(name, args...) SEC("kprobe") int BPF_KPROBE(probe__##name, ##args)
#define RETPROBE(name, args...) SEC("kretprobe") int BPF_KRETPROBE(retprobe__##name, ##args)
#ifdef BPFDUET_USDT
#define USDT(name, target) SEC("usdt/" target) int usdt__##name(struct pt_regs *ctx)
/* BCC counts arguments from 1 and stores into a variable of any width. */
#define bpf_usdt_readarg(n, ctx, dst)                                        \
	({                                                                   \
		long value_ = 0;                                             \
		int err_ = bpf_usdt_arg(ctx, (n) - 1, &value_);              \
		*(dst) = (typeof(*(dst)))value_;                             \
		err_;                                                        \
	})
#endif
#define PERF_EVENT(name) \
	SEC("perf_event") int perf_event__##name(struct bpf_perf_event_data *ctx)
#define XDP(name) SEC("xdp") int xdp__##name(struct xdp_md *ctx)
#define TC(name) SEC("tc") int tc__##name(struct __sk_buff *ctx)
#define CGROUP_SKB(direction, name) \
	SEC("cgroup_skb/" #direction) int cgroup_skb__##name(struct __sk_buff *ctx)
#define SOCKET_FILTER(name) SEC("socket") int socket_filter__##name(struct __sk_buff *ctx)

#endif /* BPFDUET_CORE_H */
