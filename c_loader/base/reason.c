// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/reason.h"

#include <bpf/libbpf.h>

const char *reason(int err)
{
	static _Thread_local char text[128];

	libbpf_strerror(err, text, sizeof(text));
	return text;
}
