/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef BPFDUET_FIT_H
#define BPFDUET_FIT_H

#include <bpf/libbpf.h>

#include "spec/spec.h"

/*
 * Whether a bound spec says what its object has: maps, their kinds and sizes, the record, and the
 * constants, of which there are `constants` bytes. The kernel reads and writes as much as a map's
 * sizes say, so nothing may be loaded before. false with one sentence.
 */
bool fit__check(const struct bpf_object *obj, const struct spec *spec, size_t constants,
		struct buf *error);

#endif
