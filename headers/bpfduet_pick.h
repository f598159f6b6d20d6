/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * DUET_PICK(MACRO, otherwise): the value behind the comma if MACRO is defined
 * as ", value", else `otherwise`. The preprocessor has no #ifdef inside a
 * macro; an undefined name is one argument, a defined one becomes two.
 */
#ifndef BPFDUET_PICK_H
#define BPFDUET_PICK_H

#define DUET_SECOND(first, second, ...) second
#define DUET_EXPAND(...) DUET_SECOND(__VA_ARGS__)
#define DUET_PICK(macro, otherwise) DUET_EXPAND(macro, otherwise, )

#define DUET_PASTE_(a, b) a##b
#define DUET_PASTE(a, b) DUET_PASTE_(a, b)

#endif /* BPFDUET_PICK_H */
