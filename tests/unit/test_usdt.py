# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Binaries with USDT probes: their notes, and the C that reads arguments."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

from bpfduet.bcc import usdt
from bpfduet.errors import Error

# A note as <sys/sdt.h> makes it, with operands of our choice.
SOURCE = r"""
	.globl _start, counter
	.text
_start:
1:	nop
	ret
	.data
counter: .long 7
	.section .stapsdt.base, "aG", "progbits", .stapsdt.base, comdat
	.weak _.stapsdt.base
_.stapsdt.base: .space 1
	.section .note.stapsdt, "", "note"
	.balign 4
	.4byte 3f-2f, 5f-4f, 3
2:	.asciz "stapsdt"
3:	.balign 4
4:	.8byte 1b
	.8byte _.stapsdt.base
	.8byte 0
	.asciz "app"
	.asciz "probe"
	.asciz "OPERANDS"
5:	.balign 4
"""
BARRIER = 'asm volatile("" : "+r"(%s));'


@pytest.fixture(name="binary")
def assembled(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a program whose probe has these arguments."""
    def make(operands: str) -> Path:
        source, out = tmp_path / "a.s", tmp_path / "a.out"
        source.write_text(SOURCE.replace("OPERANDS", operands))
        subprocess.run(["gcc", "-nostdlib", "-static-pie", "-o", str(out), str(source)], check=True)
        return out
    return make


def probe_of(path: Path) -> usdt.Probe:
    """The probe of such a program."""
    wanted = usdt.Wanted(str(path), "app", "probe", "a.out")
    return usdt.Probe("usdt__x", wanted, usdt.look_up(wanted))


def reader_of(path: Path, number: int = 1) -> str:
    """What reads an argument."""
    readers = probe_of(path).readers(f"bpf_usdt_readarg({number}, ctx, &v);")
    return next(one for one in readers.split("static ") if f"_x_{number}(" in one)


def read(ctype: str, address: str) -> str:
    """C that reads memory."""
    return f"u64 a = {address}; {BARRIER % 'a'} {ctype} r = 0; e = bpf_probe_read_user(&r, "


@pytest.mark.parametrize("operand, code", [
    ("-4@%edi", f"v = (s32)ctx->di; {BARRIER % 'v'}"),
    ("8@%rax", f"v = (u64)ctx->ax; {BARRIER % 'v'}"),
    ("1@%sil", f"v = (u8)ctx->si; {BARRIER % 'v'}"),
    ("-2@%r10w", f"v = (s16)ctx->r10; {BARRIER % 'v'}"),
    ("1@%cl", f"v = (u8)ctx->cx; {BARRIER % 'v'}"),
    ("-4@$-7", "v = (s32)0xfffffffffffffff9ULL;"),
    ("8@$0x10", "v = (u64)0x10ULL;"),
    ("-4@(%rbx)", read("s32", "ctx->bx + 0x0ULL")),
    ("8@-16(%rbp)", read("u64", "ctx->bp + 0xfffffffffffffff0ULL")),
    ("8@8(%r9,%rdx,8)", read("u64", "ctx->r9 + ctx->dx * 8 + 0x8ULL")),
    ("8@(%r9,%rdx)", read("u64", "ctx->r9 + ctx->dx * 1 + 0x0ULL")),
    ("2@16+4(%rsp)", read("u16", "ctx->sp + 0x14ULL")),
])
def test_operands(binary: Callable[[str], Path], operand: str, code: str) -> None:
    assert code in reader_of(binary(operand))


def test_a_variable(binary: Callable[[str], Path]) -> None:
    """As far from the place as the linker has put it."""
    path = binary("-4@counter+4(%rip)")
    with usdt.Binary(str(path)) as program:
        place, = program.places("app", "probe")
        symbol = program.symbol("counter")
    assert symbol
    assert read("s32", f"ctx->ip + {symbol + 4 - place.address:#x}ULL") in reader_of(path)


@pytest.mark.parametrize("operand", ["8f@%xmm0", "8@%xmm0", "4f@%eax", "8@%ah", "8@missing(%rip)",
                                     "8@counter@GOTPCREL(%rip)", "8@4(%rip)", "16@%rax", "rubbish",
                                     "8@", "8@12", "8@%fs:0"])
def test_operands_that_cannot_be_read(binary: Callable[[str], Path], operand: str) -> None:
    """An error only for who reads them; those behind keep their numbers."""
    path = binary(f"{operand} 4@%esi")
    with pytest.raises(Error, match="argument 1 of the probe 'app:probe' cannot be read"):
        probe_of(path).readers("bpf_usdt_readarg ( 1 , ctx, &v)".replace(" (", "("))
    assert "v = (u32)ctx->si;" in reader_of(path, 2)
    assert "e = -2;" in reader_of(path, 3)


def test_no_such_probe(binary: Callable[[str], Path]) -> None:
    wanted = usdt.Wanted(str(binary("")), "app", "other", "it")
    with pytest.raises(Error, match="there is no probe 'app:other' in 'it', or no such file"):
        usdt.look_up(wanted)


def test_a_binary_that_was_replaced(binary: Callable[[str], Path]) -> None:
    """Between the look at it and the compilation: it would be kept under a wrong name."""
    wanted = usdt.Wanted(str(binary("4@%edi")), "app", "probe", "it")
    before = usdt.look_up(wanted)
    binary("4@%esi 8@%rdi")
    Path(wanted.path).write_bytes(Path(wanted.path).read_bytes() + b"x")
    with pytest.raises(Error, match="'it' was replaced meanwhile: try again"):
        usdt.Probe("usdt__x", wanted, before)


def test_a_probe_that_stays_out() -> None:
    """Of a program that this run leaves out: no argument, no place."""
    probe = usdt.Probe("usdt__x")
    assert probe.readers("bpf_usdt_readarg(1, ctx, &v)").count("e = -2;") == 12
    assert probe.table() == {"program": "usdt__x", "places": []}


@pytest.mark.parametrize("spoil", [
    lambda raw: b"", lambda raw: raw[:40], lambda raw: b"text\n" * 20,
    lambda raw: raw[:4] + b"\1" + raw[5:],                      # of 32 bits
    lambda raw: raw[:18] + b"\xb7\0" + raw[20:],                # of arm64
    lambda raw: raw[:62] + b"\xff\xff" + raw[64:],              # names in a section that is not
])
def test_what_is_no_program(binary: Callable[[str], Path],
                            spoil: Callable[[bytes], bytes]) -> None:
    path = binary("4@%edi")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(Error, match="is no program or library of x86-64"):
        usdt.look_up(usdt.Wanted(str(path), "app", "probe", "it"))


def test_damage_everywhere(binary: Callable[[str], Path]) -> None:
    """Cut or changed anywhere: an Error, or what is still whole."""
    path = binary("4@%edi -8@8(%rsp) -4@counter(%rip)")
    raw = path.read_bytes()
    tables = [*range(64), *range(len(raw) - 64 * 16, len(raw))]     # headers of the file, of sections
    spoilt = [raw[:end] for end in range(0, len(raw), 97)]
    spoilt += [raw[:at] + byte + raw[at + 1:] for at in tables for byte in (b"\xff", b"\x7f")]
    for other in spoilt:
        path.write_bytes(other)
        try:
            probe_of(path).readers("bpf_usdt_readarg(1, ctx, &v) bpf_usdt_readarg(3, ctx, &v)")
        except Error:
            continue
