/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The dialect under BCC: what BCC itself does not have.
 *
 * BCC rewrites map methods in the main file only, into calls of helpers with
 * bpf_pseudo_fd(1, FD) for the map. Two things follow, and this file lives by
 * both of them:
 *  - a function here cannot call map.method(), but it can call the helper with
 *    the pseudo descriptor. BCC numbers the maps of a program -1, -2, ... in
 *    the order of their declarations, so the first one is always -1;
 *  - the rewritten text is compiled once more with the same headers, so a macro
 *    named like a helper catches what a map method has become.
 */
#ifndef BPFDUET_BCC_H
#define BPFDUET_BCC_H

/* Of real kernel headers; where they are cut out of BTF the types are there already. */
#include <linux/sched.h>
#include <uapi/linux/ptrace.h>

#include "bpfduet_pick.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
#ifndef SEC
#define SEC(name)
#endif

/* Records that could not be written. Must stay the first map: it is -1 below. */
BPF_TABLE("percpu_array", int, u64, bpfduet_lost, 1);
#define DUET_LOST_MAP ((void *)bpf_pseudo_fd(1, -1))
#define BPF_COUNT_LOST()
#define count_lost() duet_count_lost(DUET_LOST_MAP)

/* -- constants set from the command line -------------------------------- */

/* Behind the value: help and a letter for the option, which the compiler of specs reads in the text. */
#define CONFIG(type, name, value, ...) \
	static const type name = DUET_PICK(DUET_SET_##name, value)
#define DUET_SHARED_CONFIG CONFIG
/*
 * The constant's value, which the frontend can fill in when it loads what was compiled
 * before: here it is one immediate, whole. The frontend puts this around the uses of CONFIG
 * constants in the main file (python/bpfduet/bcc/late_constants.py); headers say it themselves.
 */
#define DUET_WHOLE(value) \
	({ u64 whole_ = value; asm volatile("" : "+r"(whole_)); whole_; })
#define DUET_LATE(name) \
	((typeof(name))DUET_WHOLE(DUET_PICK(DUET_LATE_##name, name)))

#define CONFIG_STR(name, size) \
	static const char name[size] __attribute__((aligned(8))) = DUET_PICK(DUET_SET_##name, "")
/* All bits are set until the user gives a string, whose last word, ended by NUL, is another. */
#define DUET_SHARED_CONFIG_STR(name, size) \
	static const char name[size] __attribute__((aligned(8))) = \
		DUET_PICK(DUET_SET_##name, { [0 ... (size) - 1] = -1 })
#define DUET_STR_UNSET ((u64)-1)
#define CONFIG_STR_WORD(name, n) \
	DUET_WHOLE(DUET_PICK(DUET_LATE_##name##_##n, ((const u64 *)name)[n]))

/* Indices are constant once unrolled, so clang folds the bytes: no .rodata. */
#define CONFIG_STR_READ(dst, name)                                   \
	do {                                                         \
		_Pragma("unroll")                                    \
		for (int i_ = 0; i_ < (int)sizeof(name); i_++)       \
			(dst)[i_] = name[i_];                        \
	} while (0)

/*
 * A pinned map is opened by the frontend, which passes its descriptor; without
 * one the constant 0 removes the look-up. In an object file the descriptor is a
 * mark, where the map will be, and whether there is one is filled in late.
 */
#define DUET_PINNED_SET(name) \
	static const int name##_fd = DUET_PICK(DUET_SET_##name, 0)
#define DUET_SET_GIVEN(name) (DUET_PICK(DUET_LATE_##name##_fd, name##_fd))
#define DUET_SET_LOOKUP(name, key) \
	bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, DUET_PICK(DUET_SET_##name, 0)), key)

/* -- maps ---------------------------------------------------------------- */

/* BCC's own, with the number of entries from the command line. */
#undef BPF_STACK_TRACE
#define BPF_STACK_TRACE(name, entries)                                       \
	BPF_TABLE("stacktrace", int, struct bpf_stacktrace, name,            \
		  roundup_pow_of_two(DUET_PICK(DUET_ENTRIES_##name, entries)))

/* -- events -------------------------------------------------------------- */

#define BPF_EVENTS(name, type, pages)                                        \
	BPF_RINGBUF_OUTPUT(name, DUET_PICK(DUET_PAGES_##name, pages));       \
	BPF_TABLE("array", int, type, name##__type, 1)

#define BPF_PERF_EVENTS(name, type)                                          \
	BPF_PERF_OUTPUT(name);                                               \
	BPF_TABLE("array", int, type, name##__type, 1)

#define DUET_RB_QUERY bpf_ringbuf_query
#define DUET_RB_OUTPUT bpf_ringbuf_output
#define DUET_RB_RESERVE bpf_ringbuf_reserve
#define DUET_RB_SUBMIT bpf_ringbuf_submit
#define DUET_RB_DISCARD bpf_ringbuf_discard
#include "bpfduet_ringbuf.h"

static __always_inline long duet_bcc_output(void *rb, void *data, u64 size, u64 flags)
{
	return duet_ringbuf_output(rb, DUET_LOST_MAP, data, size, flags);
}

static __always_inline void *duet_bcc_reserve(void *rb, u64 size, u64 flags)
{
	return duet_ringbuf_reserve(rb, DUET_LOST_MAP, size);
}

#define bpf_ringbuf_output duet_bcc_output
#define bpf_ringbuf_reserve duet_bcc_reserve
#define bpf_ringbuf_submit duet_ringbuf_submit
#define bpf_ringbuf_discard duet_ringbuf_discard

/* -- printing ------------------------------------------------------------- */

/* bpf_trace_printk() is rewritten too, hence not to be had in a macro. */
#undef bpf_printk
#define bpf_printk(fmt, args...)                                             \
	({                                                                   \
		char fmt_[] = fmt;                                           \
		bpf_trace_printk_(fmt_, sizeof(fmt_), ##args);               \
	})

/* -- reads: libbpf's names as plain probe reads --------------------------- */

#define bpf_core_read(dst, size, src) bpf_probe_read_kernel(dst, size, src)
#define bpf_core_read_str(dst, size, src) bpf_probe_read_kernel_str(dst, size, src)
#define bpf_core_read_user(dst, size, src) bpf_probe_read_user(dst, size, src)
#define bpf_core_read_user_str(dst, size, src) bpf_probe_read_user_str(dst, size, src)

#define DUET_NTH(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, N, ...) N
#define DUET_NARGS(...) DUET_NTH(, ##__VA_ARGS__, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

#define DUET_GET(read, p, f) \
	({ typeof((p)->f) v_; read((void *)&v_, sizeof(v_), &(p)->f); v_; })
#define DUET_GET1(read, p, a) DUET_GET(read, p, a)
#define DUET_GET2(read, p, a, b...) \
	({ typeof((p)->a) p2_ = DUET_GET(read, p, a); DUET_GET1(read, p2_, b); })
#define DUET_GET3(read, p, a, b...) \
	({ typeof((p)->a) p3_ = DUET_GET(read, p, a); DUET_GET2(read, p3_, b); })
#define DUET_GET4(read, p, a, b...) \
	({ typeof((p)->a) p4_ = DUET_GET(read, p, a); DUET_GET3(read, p4_, b); })
#define DUET_GET5(read, p, a, b...) \
	({ typeof((p)->a) p5_ = DUET_GET(read, p, a); DUET_GET4(read, p5_, b); })
#define DUET_GET6(read, p, a, b...) \
	({ typeof((p)->a) p6_ = DUET_GET(read, p, a); DUET_GET5(read, p6_, b); })
#define DUET_GET7(read, p, a, b...) \
	({ typeof((p)->a) p7_ = DUET_GET(read, p, a); DUET_GET6(read, p7_, b); })
#define DUET_GET8(read, p, a, b...) \
	({ typeof((p)->a) p8_ = DUET_GET(read, p, a); DUET_GET7(read, p8_, b); })
#define DUET_GET9(read, p, a, b...) \
	({ typeof((p)->a) p9_ = DUET_GET(read, p, a); DUET_GET8(read, p9_, b); })
#if __has_warning("-Wdefault-const-init-var-unsafe") /* clang 21: of those that begin as constants */
#pragma clang diagnostic ignored "-Wdefault-const-init-var-unsafe"
#endif
#define DUET_READ(read, p, args...) \
	DUET_PASTE(DUET_GET, DUET_NARGS(args))(read, p, args)

/* last: how the last member is read; step: how the pointers to it are */
#define DUET_INTO1(last, step, dst, p, a) last((void *)(dst), sizeof(*(dst)), &(p)->a)
#define DUET_INTO2(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p2_ = DUET_GET(step, p, a); DUET_INTO1(last, step, dst, p2_, b); })
#define DUET_INTO3(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p3_ = DUET_GET(step, p, a); DUET_INTO2(last, step, dst, p3_, b); })
#define DUET_INTO4(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p4_ = DUET_GET(step, p, a); DUET_INTO3(last, step, dst, p4_, b); })
#define DUET_INTO5(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p5_ = DUET_GET(step, p, a); DUET_INTO4(last, step, dst, p5_, b); })
#define DUET_INTO6(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p6_ = DUET_GET(step, p, a); DUET_INTO5(last, step, dst, p6_, b); })
#define DUET_INTO7(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p7_ = DUET_GET(step, p, a); DUET_INTO6(last, step, dst, p7_, b); })
#define DUET_INTO8(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p8_ = DUET_GET(step, p, a); DUET_INTO7(last, step, dst, p8_, b); })
#define DUET_INTO9(last, step, dst, p, a, b...) \
	({ typeof((p)->a) p9_ = DUET_GET(step, p, a); DUET_INTO8(last, step, dst, p9_, b); })
#define DUET_READ_INTO(last, step, dst, p, args...) \
	DUET_PASTE(DUET_INTO, DUET_NARGS(args))(last, step, dst, p, args)

#define BPF_CORE_READ(p, args...) DUET_READ(bpf_probe_read_kernel, p, args)
#define BPF_CORE_READ_INTO(dst, p, args...) \
	DUET_READ_INTO(bpf_probe_read_kernel, bpf_probe_read_kernel, dst, p, args)
#define BPF_CORE_READ_STR_INTO(dst, p, args...) \
	DUET_READ_INTO(bpf_probe_read_kernel_str, bpf_probe_read_kernel, dst, p, args)
#define BPF_CORE_READ_USER(p, args...) DUET_READ(bpf_probe_read_user, p, args)
#define BPF_CORE_READ_USER_INTO(dst, p, args...) \
	DUET_READ_INTO(bpf_probe_read_user, bpf_probe_read_user, dst, p, args)
#define BPF_CORE_READ_USER_STR_INTO(dst, p, args...) \
	DUET_READ_INTO(bpf_probe_read_user_str, bpf_probe_read_user, dst, p, args)

#define BPF_PROBE_READ BPF_CORE_READ
#define BPF_PROBE_READ_INTO BPF_CORE_READ_INTO
#define BPF_PROBE_READ_STR_INTO BPF_CORE_READ_STR_INTO
#define BPF_PROBE_READ_USER BPF_CORE_READ_USER
#define BPF_PROBE_READ_USER_INTO BPF_CORE_READ_USER_INTO
#define BPF_PROBE_READ_USER_STR_INTO BPF_CORE_READ_USER_STR_INTO

/* The string behind a tracepoint's __data_loc field. */
#define TP_DATA_LOC(field) ((const char *)args + (args->data_loc_##field & 0xffff))
/* BCC's own takes the length from the kernel, which the verifier no longer accepts. */
#undef TP_DATA_LOC_READ
#define TP_DATA_LOC_READ(dst, field) \
	bpf_probe_read_kernel_str((void *)(dst), sizeof(*(dst)), TP_DATA_LOC(field))

/* -- programs -------------------------------------------------------------- */

/*
 * BCC rewrites a function with typed arguments by editing its text, which it
 * cannot do inside a macro: so the program takes ctx alone and hands the
 * arguments to an inner function. BCC attaches by the name's prefix.
 */
#define DUET_ARGS0(reg)
#define DUET_ARGS1(reg) , (void *)reg##1(regs_)
#define DUET_ARGS2(reg) DUET_ARGS1(reg), (void *)reg##2(regs_)
#define DUET_ARGS3(reg) DUET_ARGS2(reg), (void *)reg##3(regs_)
#define DUET_ARGS4(reg) DUET_ARGS3(reg), (void *)reg##4(regs_)
#define DUET_ARGS5(reg) DUET_ARGS4(reg), (void *)reg##5(regs_)
#define DUET_ARGS6(reg) DUET_ARGS5(reg), (void *)reg##6(regs_)

/*
 * BCC loads and attaches whatever has such a name. The frontend leaves out a
 * program that this run does not need by giving it another one.
 */
#define DUET_NAME(prefix, name) DUET_NAME_AFTER(prefix, prefix##__, name)
#define DUET_NAME_AFTER(prefix, begin, name) \
	DUET_PASTE(DUET_PICK(DUET_OFF_##prefix##__##name, begin), name)

#define DUET_PROG(name, ctx_type, regs, list, args...)                       \
	static __always_inline int DUET_PASTE(____, name)(ctx_type *ctx, ##args);        \
	int name(ctx_type *ctx)                                              \
	{                                                                    \
		struct pt_regs *regs_ = (void *)(regs);                      \
		(void)regs_;                                                 \
		_Pragma("GCC diagnostic push")                               \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")       \
		return DUET_PASTE(____, name)(ctx list);                                 \
		_Pragma("GCC diagnostic pop")                                \
	}                                                                    \
	static __always_inline int DUET_PASTE(____, name)(ctx_type *ctx, ##args)

#define DUET_REG1(r) PT_REGS_PARM1(r)
#define DUET_REG2(r) PT_REGS_PARM2(r)
#define DUET_REG3(r) PT_REGS_PARM3(r)
#define DUET_REG4(r) PT_REGS_PARM4(r)
#define DUET_REG5(r) PT_REGS_PARM5(r)
#define DUET_REG6(r) PT_REGS_PARM6(r)

#define DUET_SYS1(r) DUET_GET(bpf_probe_read_kernel, r, di)
#define DUET_SYS2(r) DUET_GET(bpf_probe_read_kernel, r, si)
#define DUET_SYS3(r) DUET_GET(bpf_probe_read_kernel, r, dx)
#define DUET_SYS4(r) DUET_GET(bpf_probe_read_kernel, r, r10)
#define DUET_SYS5(r) DUET_GET(bpf_probe_read_kernel, r, r8)
#define DUET_SYS6(r) DUET_GET(bpf_probe_read_kernel, r, r9)

#define DUET_RET0
#define DUET_RET1 , (void *)PT_REGS_RC(regs_)

#define DUET_LIST(args...) DUET_PASTE(DUET_ARGS, DUET_NARGS(args))

#define KPROBE(func, args...) \
	DUET_PROG(DUET_NAME(kprobe, func), struct pt_regs, ctx, DUET_LIST(args)(DUET_REG), ##args)
#define KRETPROBE(func, args...) \
	DUET_PROG(DUET_NAME(kretprobe, func), struct pt_regs, ctx, \
		  DUET_PASTE(DUET_RET, DUET_NARGS(args)), ##args)
#define KSYSCALL(call, args...) \
	DUET_PROG(DUET_NAME(kprobe, sys_##call), struct pt_regs, PT_REGS_SYSCALL_CTX(ctx), \
		  DUET_LIST(args)(DUET_SYS), ##args)
#define KRETSYSCALL(call, args...) \
	DUET_PROG(DUET_NAME(kretprobe, sys_##call), struct pt_regs, ctx, \
		  DUET_PASTE(DUET_RET, DUET_NARGS(args)), ##args)
#define UPROBE(name, target, args...) \
	DUET_PROG(uprobe__##name, struct pt_regs, ctx, DUET_LIST(args)(DUET_REG), ##args)
#define URETPROBE(name, target, args...) \
	DUET_PROG(uretprobe__##name, struct pt_regs, ctx, \
		  DUET_PASTE(DUET_RET, DUET_NARGS(args)), ##args)
#define PROBE(name, args...) \
	DUET_PROG(probe__##name, struct pt_regs, ctx, DUET_LIST(args)(DUET_REG), ##args)
#define RETPROBE(name, args...) \
	DUET_PROG(retprobe__##name, struct pt_regs, ctx, \
		  DUET_PASTE(DUET_RET, DUET_NARGS(args)), ##args)
#define BEGIN(name) int begin__##name(struct bpf_raw_tracepoint_args *ctx)
#define USDT(name, target) int usdt__##name(struct pt_regs *ctx)
#define PERF_EVENT(name) int perf_event__##name(struct bpf_perf_event_data *ctx)
#define XDP(name) int xdp__##name(struct xdp_md *ctx)
#define TC(name) int tc__##name(struct __sk_buff *ctx)
#define CGROUP_SKB(direction, name) int cgroup_skb__##name(struct __sk_buff *ctx)
#define SOCKET_FILTER(name) int socket_filter__##name(struct __sk_buff *ctx)

#undef TRACEPOINT_PROBE
#define TRACEPOINT_PROBE(category, event)                                    \
	int DUET_NAME(tracepoint, category##__##event)                       \
	(struct tracepoint__##category##__##event *args)
#undef RAW_TRACEPOINT_PROBE
#define RAW_TRACEPOINT_PROBE(event)                                          \
	int DUET_NAME(raw_tracepoint, event)(struct bpf_raw_tracepoint_args *ctx)
/*
 * From BCC 0.28 on, which has this macro, libbcc takes what follows the kind for the module that
 * the function is in, and where nothing does it copies past the end of a buffer.
 */
#ifdef MODULE_KFUNC_PROBE
#define DUET_KFUNC_NAME(kind, func) DUET_NAME_AFTER(kind, kind##__vmlinux__, func)
#else
#define DUET_KFUNC_NAME(kind, func) DUET_NAME(kind, func)
#endif
#undef KFUNC_PROBE
#define KFUNC_PROBE(func, args...) DUET_TRAMPOLINE(DUET_KFUNC_NAME(kfunc, func), ##args)
#undef KRETFUNC_PROBE
#define KRETFUNC_PROBE(func, args...) DUET_TRAMPOLINE(DUET_KFUNC_NAME(kretfunc, func), ##args)
#define DUET_TRAMPOLINE(name, args...) BPF_PROG(name, ##args)

#define RAW_TRACEPOINT_ARG(n) (ctx->args[n])

#define LICENSE(text)

#endif /* BPFDUET_BCC_H */
