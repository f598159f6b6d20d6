/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_DEMANGLE_H
#define BPFDUET_DEMANGLE_H

/*
 * The name of a C++ or Rust function as its programmer wrote it, the caller's to free; NULL if it
 * is neither.
 */
char *demangle(const char *name);

#endif
