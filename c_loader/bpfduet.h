/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * libbpfduet: run tools that bpfduet's compilers have made, inside a program of your own.
 *
 *	struct bpfduet *duet = bpfduet__new();
 *
 *	bpfduet__open(duet, elf, size, 0);
 *	bpfduet__set(duet, "pid", "1234");
 *	bpfduet__on_record(duet, take, NULL);
 *	bpfduet__start(duet);
 *	while (bpfduet__poll(duet, -1) > 0)
 *		;
 *	bpfduet__stop(duet, false);
 *	bpfduet__free(duet);
 *
 * A handle is one tool: its object, its options, one run. There may be any number of them, in any
 * threads; one handle is for one thread at a time. The library has no state of its own besides, it
 * changes no signal handlers, never exits, and writes to no descriptor that it has not opened:
 * what a tool prints goes to a function of the caller's. It starts threads nowhere, and a process
 * only for COMMAND.
 *
 * Functions that return an int return -1 if they fail, unless they say otherwise, and
 * bpfduet__error() has one sentence that says why. Strings that come from outside (paths, names,
 * options) are in it as they are: escape it before you show it.
 *
 * Compatibility: functions and values that are here stay, and mean the same, as long as the
 * SONAME is libbpfduet.so.0 (docs/library.md).
 */
#ifndef BPFDUET_BPFDUET_H
#define BPFDUET_BPFDUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BPFDUET_API __attribute__((visibility("default")))

struct bpfduet;

/* The version of the library, "0.1.0". */
BPFDUET_API const char *bpfduet__version(void);

/* NULL if there is no memory. */
BPFDUET_API struct bpfduet *bpfduet__new(void);

/* Ends what still runs and frees all. NULL is allowed. */
BPFDUET_API void bpfduet__free(struct bpfduet *duet);

/* The sentence about what failed last, "" if nothing has. It lives until the next call. */
BPFDUET_API const char *bpfduet__error(const struct bpfduet *duet);

/* -- the object and its options ---------------------------------------------------------------- */

/* Flags of bpfduet__open(). */
enum {
	/*
	 * Take an object without a bound spec as it is: all that can be attached is, and what it
	 * writes to the kernel's trace pipe is the output.
	 */
	BPFDUET_FOREIGN = 1,
	/*
	 * Say nothing about it if the kernel refuses programs that BCC has compiled: the caller
	 * does, by bpfduet__log().
	 */
	BPFDUET_EXPLAINS = 2,
};

/* `size` bytes of an object file (ELF). They must stay as they are until bpfduet__free(). */
BPFDUET_API int bpfduet__open(struct bpfduet *duet, const void *elf, size_t size,
			      unsigned int flags);

/*
 * A bound spec alone, to read a command line before there is an object: of what a whole one has
 * (docs/spec.md) it may lack events, reports, trace_pipe and maps. It cannot be started.
 */
BPFDUET_API int bpfduet__open_spec(struct bpfduet *duet, const char *json, size_t size);

/* The file that it was compiled from, to name files in what the compiler has said. Borrowed. */
BPFDUET_API void bpfduet__set_source(struct bpfduet *duet, const char *path);

/* The tool's name, and its bound spec, JSON (docs/spec.md). They live as long as the handle. */
BPFDUET_API const char *bpfduet__tool(const struct bpfduet *duet);
BPFDUET_API const char *bpfduet__spec(const struct bpfduet *duet, size_t *size);

/* What bpfduet__parse() returns. */
enum {
	BPFDUET_RUN = 0,
	BPFDUET_REPLY = 1, /* --help and the like: bpfduet__reply() is what to print */
	BPFDUET_WRONG = 2, /* wrong usage: bpfduet__error() says what; it is escaped already */
};

/*
 * Read a command line, without the program's name: options, "--", COMMAND and its arguments.
 * `argv` and its strings must stay until bpfduet__free(). At most once, and before
 * bpfduet__start().
 */
BPFDUET_API int bpfduet__parse(struct bpfduet *duet, int argc, char **argv);
BPFDUET_API const char *bpfduet__reply(const struct bpfduet *duet, size_t *size);

/*
 * One option by its long name ("pid", without hyphens) and its value as it would be typed; NULL
 * for an option that takes none. Copied. What is set is checked by bpfduet__start(), or by
 * bpfduet__parse(), whose arguments come behind it.
 */
BPFDUET_API int bpfduet__set(struct bpfduet *duet, const char *name, const char *value);

/*
 * The argument of an option, as it was typed, or its default; NULL if it has neither. `given` says
 * whether it was typed, which is all that there is of a flag.
 */
BPFDUET_API const char *bpfduet__option(const struct bpfduet *duet, const char *name, bool *given);

/*
 * What the options make of a CONFIG constant of `size` bytes. 1: they set it; 0: they do not.
 */
BPFDUET_API int bpfduet__constant(const struct bpfduet *duet, const char *name, void *value,
				  size_t size);

/* COMMAND and its arguments, NULL-ended; NULL if there is none. */
BPFDUET_API char *const *bpfduet__command(const struct bpfduet *duet);

/* The file that --output names, for the caller to write to; NULL if there is none. */
BPFDUET_API const char *bpfduet__output(const struct bpfduet *duet);

/* -- what comes out ---------------------------------------------------------------------------- */

enum bpfduet_stream {
	BPFDUET_DATA, /* what a tool prints on stdout */
	BPFDUET_MESSAGES, /* what it prints on stderr: lines about loss, the log of the verifier */
};

/*
 * Takes a piece of output, and returns how many bytes of it; fewer than `size` mean that no more
 * data is wanted: the run is over then, and the lines that were not taken count as lost.
 * Data comes when it is `delay_ms` old or there is much of it, and ends with a line's end.
 * Without such a function there is no output, and the maps of reports are left as they are.
 */
typedef size_t (*bpfduet_write_fn)(void *ctx, enum bpfduet_stream stream, const char *data,
				   size_t size);
BPFDUET_API void bpfduet__on_write(struct bpfduet *duet, bpfduet_write_fn write, void *ctx,
				   unsigned int delay_ms);

/*
 * Takes records, in the place of output: `size` bytes, laid out as events.fields of the bound spec
 * says, which live during the call. All are of full size: what a program did not write is zero.
 * Those that an option leaves out (a pattern, say) do not come.
 */
typedef void (*bpfduet_record_fn)(void *ctx, const void *record, size_t size);
BPFDUET_API void bpfduet__on_record(struct bpfduet *duet, bpfduet_record_fn take, void *ctx);

/* -- the run ----------------------------------------------------------------------------------- */

/* What bpfduet__start() returns besides 0 and -1: see BPFDUET_EXPLAINS. */
#define BPFDUET_REFUSED (-2)

/*
 * Load, attach, and let COMMAND go, which is killed if the calling thread ends before it. It needs
 * root, or CAP_BPF, CAP_PERFMON and what its programs' places want.
 */
BPFDUET_API int bpfduet__start(struct bpfduet *duet);

/* What the kernel said of programs that it refused (BPFDUET_REFUSED). */
BPFDUET_API const char *bpfduet__log(const struct bpfduet *duet, size_t *size);

/*
 * A descriptor that is readable when bpfduet__poll() has something to do. It is the library's, and
 * good from bpfduet__start() to bpfduet__close().
 */
BPFDUET_API int bpfduet__fd(const struct bpfduet *duet);

/*
 * Wait at most `timeout_ms` (-1: without end) for something to do, and do it: records, reports of
 * an interval, lines about loss, output. 1 while the run goes on, 0 when it is over: by
 * --duration or --count, with COMMAND, or because no more output is wanted.
 */
BPFDUET_API int bpfduet__poll(struct bpfduet *duet, int timeout_ms);

/* Whether --duration is over, or COMMAND has ended. May be called by a bpfduet_write_fn. */
BPFDUET_API bool bpfduet__over(struct bpfduet *duet);

/* Reports now, as at the end of an interval. */
BPFDUET_API int bpfduet__report(struct bpfduet *duet);

/* The name of the i-th report, from 0, that the options ask for; NULL if there are fewer. */
BPFDUET_API const char *bpfduet__report_name(const struct bpfduet *duet, size_t i);

/*
 * Detach the programs, take in what there is, print the last reports and what was lost. Maps can
 * still be read. COMMAND is asked to end (SIGTERM) if `terminate`.
 */
BPFDUET_API int bpfduet__stop(struct bpfduet *duet, bool terminate);

/*
 * End COMMAND and what it left running, remove its cgroup, unpin, free the kernel's objects.
 * bpfduet__free() does so too, but cannot say what failed.
 */
BPFDUET_API int bpfduet__close(struct bpfduet *duet);

/*
 * End COMMAND at once and unpin, from a signal handler; cgroups that COMMAND made are left.
 * Everything else ends with the process, but a filter of tc where that has no links (before Linux
 * 6.6).
 */
BPFDUET_API void bpfduet__abandon(const struct bpfduet *duet);

/* Kinds of loss (docs/output.md). */
enum bpfduet_loss {
	BPFDUET_LOST_RECORDS, /* records that found no room, or were too short */
	BPFDUET_LOST_SKIPPED, /* events whose program the kernel skipped; an upper bound */
};
/* How many so far. */
BPFDUET_API uint64_t bpfduet__lost(const struct bpfduet *duet, enum bpfduet_loss kind);

/* -- maps, from bpfduet__start() to bpfduet__close() ------------------------------------------- */

struct bpfduet_map {
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size; /* bytes */
	/*
	 * Bytes that a look-up gives and an update takes. Of a map per CPU that is one value for
	 * each possible CPU, each filled up to a multiple of 8.
	 */
	uint32_t value_size;
	uint32_t values; /* 1, or the number of possible CPUs */
	uint32_t max_entries;
};

/* 0, or -1 if the object has no such map. */
BPFDUET_API int bpfduet__map(struct bpfduet *duet, const char *name, struct bpfduet_map *map);
/* 1: found; 0: there is no such key. */
BPFDUET_API int bpfduet__map_lookup(struct bpfduet *duet, const char *name, const void *key,
				    void *value);
/* The key behind `key`, the first one if that is NULL or gone. 1: there is one; 0: no more. */
BPFDUET_API int bpfduet__map_next(struct bpfduet *duet, const char *name, const void *key,
				  void *next);
BPFDUET_API int bpfduet__map_update(struct bpfduet *duet, const char *name, const void *key,
				    const void *value);
/* 1: deleted; 0: there was no such key. */
BPFDUET_API int bpfduet__map_delete(struct bpfduet *duet, const char *name, const void *key);

/* -- binaries and symbols ---------------------------------------------------------------------- */

/*
 * The file that a probe's target names: a path; a library, by its file's name or its short one; or
 * a program in PATH. If a process is to be probed (`pid`, else 0), an absolute path and a name are
 * first looked for as that process sees its files. NULL: there is none. It lives until the next
 * call.
 */
BPFDUET_API const char *bpfduet__binary(struct bpfduet *duet, const char *name, uint32_t pid);

/*
 * Look at what process `pid` has mapped, while it runs, to have names for its addresses later.
 * 0 also if that cannot be read: there are no names then.
 */
BPFDUET_API int bpfduet__remember(struct bpfduet *duet, uint32_t pid);

/*
 * The function at an address, demangled: of the kernel if `pid` is 0, else of a process that is
 * remembered (one that is not is looked at now). NULL if it is not known. It lives until the next
 * call with this handle.
 */
BPFDUET_API const char *bpfduet__symbol(struct bpfduet *duet, uint32_t pid, uint64_t address);

#ifdef __cplusplus
}
#endif
#endif
