/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_RUST_V0_H
#define BPFDUET_RUST_V0_H

/*
 * The name that Rust's newer mangling ("v0", RFC 2603) has made a symbol of, as rustc-demangle
 * shows it, without the hashes of crates. The caller's to free; NULL if the symbol is something
 * else, or if its name would be too long or too deep.
 */
char *rust_v0__demangle(const char *name);

#endif
