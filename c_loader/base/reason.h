/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_REASON_H
#define BPFDUET_REASON_H

/*
 * What an error number means, negative or not; libbpf has some of its own. The text is the calling
 * thread's, until the next call.
 */
const char *reason(int err);

#endif
