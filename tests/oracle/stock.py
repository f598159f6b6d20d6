# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""``stock.py TOOL[:CGROUP_ID] [OPTIONS]``: the BCC tool of that name, as the system has it, on
tracepoints, and limited to a cgroup where its own options cannot limit it.

Options and printing are the tool's own code. Where it wants kprobes or kfuncs, which not every
kernel has, the heads of its BPF functions and its attach calls are replaced, and nothing else.
"""
from __future__ import annotations

import ctypes as ct
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

import bcc.containers  # noqa: E402
from bpfduet import kernel_headers  # noqa: E402

# The arguments are kept from the entry of the call to its exit, where a kfunc would have both.
OPEN_HEAD = '''
#ifndef KEPT
#define KEPT
struct kept_t {{ const char *filename; int flags; }};
BPF_HASH(kept, u64, struct kept_t);
#endif
TRACEPOINT_PROBE(syscalls, sys_enter_{call})
{{
    struct kept_t k = {{}};
    u64 key = bpf_get_current_pid_tgid();
    k.filename = args->filename;
    {flags}
    kept.update(&key, &k);
    return 0;
}}
TRACEPOINT_PROBE(syscalls, sys_exit_{call})
{{
    void *ctx = args;
    u64 key = bpf_get_current_pid_tgid();
    struct kept_t *k = kept.lookup(&key);
    if (!k)
        return 0;
    const char *filename = k->filename;
    int flags = k->flags, ret = args->ret;
    kept.delete(&key);
'''
FLAGS = {"open": "k.flags = args->flags;", "openat": "k.flags = args->flags;",
         "openat2": "bpf_probe_read_user(&k.flags, 4, args->how);"}

IN_CGROUP = "    if (bpf_get_current_cgroup_id() != CGROUP_ID)\n        return 0;\n"
# The test tool of that name is the kernel half of another one, with other events.
FILES = {"eventstat": "llcstat"}

# By tool: patterns in its source, and what stands in their place. Each must be found. CGROUP_ID
# stands for what the command line says.
Change = Tuple[str, str]
CHANGES: Dict[str, List[Change]] = {
    "opensnoop": [
        (r"is_support_kfunc = BPF\.support_kfunc\(\)", "is_support_kfunc = True"),
        # present by the tracepoint, if not by a symbol that may be hidden
        (r"if b\.ksymname\(fnname_openat2\) == -1:\n    fnname_openat2 = None\n", ""),
        *[(rf'bpf_text_kfunc_header_{call} = """.*?"""',
           f'bpf_text_kfunc_header_{call} = """{OPEN_HEAD.format(call=call, flags=FLAGS[call])}"""')
          for call in FLAGS],
    ],
    "execsnoop": [
        (r"int syscall__execve\(struct pt_regs \*ctx,.*?\n\{",
         "TRACEPOINT_PROBE(syscalls, sys_enter_execve)\n{\n"
         "    struct pt_regs *ctx = (struct pt_regs *)args;\n"
         "    const char *filename = args->filename;\n"
         "    const char *const *__argv = args->argv;"),
        (r"int do_ret_sys_execve\(struct pt_regs \*ctx\)\n\{",
         "TRACEPOINT_PROBE(syscalls, sys_exit_execve)\n{\n"
         "    struct pt_regs *ctx = (struct pt_regs *)args;"),
        (r"PT_REGS_RC\(ctx\)", "args->ret"),
        # it reads its own stack as user memory, which gives nothing where the two are apart
        (r"__submit_arg\(ctx, \(void \*\)ellipsis, &data\);",
         "__builtin_memcpy(&data.argv, ellipsis, sizeof(ellipsis));\n"
         "    events.perf_submit(ctx, &data, sizeof(data));"),
        (r"execve_fnname = .*?\n\n", "\n"),
        # from BCC 0.31 on it is called COMM
        (r"\"P?COMM\", \"PID\"", '"PCOMM", "PID"'),
    ],
    "syscount": [],
    "profile": [],
    # scoped by the file or the process that is probed
    "bashreadline": [],
    "gethostlatency": [],
    "funclatency": [],
    "runqlat": [],
    "tcplife": [],
    # Linux 6.5 and later, and some builds before it, have inlined what it probes
    "biolatency": [
        *[(rf"int trace_req_{what}\(struct pt_regs \*ctx, struct request \*req\)\n{{\n",
           f"RAW_TRACEPOINT_PROBE(block_rq_{event})\n{{\n"
           "    struct request *req = (struct request *)ctx->args[0];\n")
          for what, event in (("start", "issue"), ("done", "complete"))],
        (r"if args\.queued:\n.*?\n\n(?=\n*if not args\.json:\n)", "\n"),
    ],
    "bitesize": [
        (r"block_rq_issue\)\n\{", "block_rq_issue)\n{\n"
         "    if (bpf_get_current_cgroup_id() != CGROUP_ID)\n        return 0;"),
    ],
    "tcpconnect": [],
    "llcstat": [(rf"int on_cache_{kind}\(struct bpf_perf_event_data \*ctx\) {{\n",
                 f"int on_cache_{kind}(struct bpf_perf_event_data *ctx) {{\n{IN_CGROUP}")
                for kind in ("ref", "miss")],
    "capable": [
        (r"'if \(pid == %s\) \{ return 0; \}' % getpid\(\)",
         "'if (bpf_get_current_cgroup_id() != CGROUP_ID) { return 0; }'"),
    ],
    "exitsnoop": [
        (r"\('FILTER_PID', filter_pid\)",
         "('FILTER_PID', filter_pid + ' || bpf_get_current_cgroup_id() != CGROUP_ID')"),
    ],
}

# page faults and context switches
CHANGES["eventstat"] = CHANGES["llcstat"] + [
    (r"PerfType\.HARDWARE, ev_config=PerfHWConfig\.CACHE_REFERENCES", "1, ev_config=2"),
    (r"PerfType\.HARDWARE, ev_config=PerfHWConfig\.CACHE_MISSES", "1, ev_config=3"),
]


def file_of(tool: str) -> Path:
    """The stock tool itself."""
    return Path(f"/usr/sbin/{FILES.get(tool, tool)}-bpfcc")


def source(tool: str, cgroup_id: str) -> str:
    """The tool's text with the changes made. Raises LookupError where one does not fit."""
    text = file_of(tool).read_text()
    for pattern, stand_in in CHANGES[tool]:
        new = stand_in.replace("CGROUP_ID", cgroup_id)
        text, found = re.subn(pattern, lambda _, new=new: new, text, flags=re.DOTALL)
        if found != 1:
            raise LookupError(f"{tool}-bpfcc: '{pattern}' was found {found} times")
    return text


def complete_uprobes() -> None:
    """BCC 0.26 calls ``bpf_attach_uprobe`` without its last argument, the offset of a semaphore:
    whatever is in the register is taken for it, and the kernel refuses a second probe at a place
    that has another one."""
    if getattr(bcc.lib.bpf_attach_uprobe, "__wrapped__", None):
        return
    call = ct.CFUNCTYPE(ct.c_int, ct.c_int, ct.c_int, ct.c_char_p, ct.c_char_p, ct.c_uint64,
                        ct.c_int, ct.c_uint32)(
        ct.cast(bcc.lib.bpf_attach_uprobe, ct.c_void_p).value or 0)

    def complete(*arguments: Any) -> int:
        return int(call(*arguments, *[0] * (7 - len(arguments))))

    setattr(complete, "__wrapped__", call)
    bcc.lib.bpf_attach_uprobe = complete


def main() -> None:
    """Run it."""
    tool, _, cgroup_id = sys.argv[1].partition(":")
    text = source(tool, cgroup_id)
    # what stands in Python's strings is the program's too
    words = text.replace('"', " ") + Path(bcc.containers.__file__).read_text()
    kernel_headers.folder_for(words, []).apply(os.environ)
    complete_uprobes()      # or the kernel refuses what shares a place with others
    sys.argv[:2] = [f"{tool}-bpfcc"]
    exec(compile(text, tool, "exec"), {"__name__": "__main__"})  # pylint: disable=exec-used


if __name__ == "__main__":
    main()
