/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The one include of a tool's kernel half.
 *
 * The same file is compiled by BCC at run time (which passes -D__BCC__) and by
 * clang -target bpf ahead of time. docs/dialect.md documents every construct
 * and what it becomes in both.
 */
#ifndef BPFDUET_H
#define BPFDUET_H

#ifdef __BCC__
#include "bpfduet_bcc.h"
#else
#include "bpfduet_core.h"
#endif

#include "bpfduet_task.h"

#endif /* BPFDUET_H */
