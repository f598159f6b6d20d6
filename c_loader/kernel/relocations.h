/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef DUET_RELOCATIONS_H
#define DUET_RELOCATIONS_H

#include <stddef.h>

/*
 * Reading the kernel's BTF costs libbpf more time and memory than everything else
 * at start-up (about 10 MB). It is needed for CO-RE relocations, but often those lie
 * in code that this run's options rule out, and which the verifier drops unseen.
 *
 * relocations__poison() takes them out of an object's image: every instruction that
 * was to be relocated becomes a call of a function that does not exist. If the kernel
 * takes the programs all the same, none of these instructions can be reached, and the
 * BTF was not needed; if it does not, the caller loads the object as it was.
 *
 * Returns how many instructions it replaced; 0 if there are none or the image is not
 * understood, and then the image is as it was.
 */
size_t relocations__poison(void *elf, size_t size);

#endif
