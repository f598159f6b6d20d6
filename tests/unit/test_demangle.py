# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names of C++ and Rust functions: the same from both frontends, and as others show them."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from bpfduet.demangle import demangle

DRIVER = str(Path(harness.DRIVER).with_name("stacks_driver"))
RUST_V0 = Path(__file__).with_name("vectors") / "rust_v0.txt"

MANGLED = {
    b"main": b"main", b"_Z": b"_Z", b"_Z1": b"_Z1", b"": b"",
    b"_ZN5alpha4beta5gamma17h0123456789abcdefE": b"alpha::beta::gamma",
    b"_ZN5alpha4beta17h0123456789abcdefE.llvm.12": b"alpha::beta",
    b"_ZN5alpha4beta17h0123456789abcdeFE": b"alpha::beta::h0123456789abcdeF",
    b"_ZN17h0123456789abcdefE": b"h0123456789abcdef",
    b"_ZN10_$LT$x$GT$4beta17h0123456789abcdefE": b"<x>::beta",
    b"_ZN8a..b$C$c1d17h0123456789abcdefE": b"a::b,c::d",
    b"_ZN11$u7b$$u7d$_1d17h0123456789abcdefE": b"{}_::d",
    b"_ZN6$u20ac1d17h0123456789abcdefE": b"$u20ac::d",
    b"_ZN7$u20ac$1d17h0123456789abcdefE": "€::d".encode(),
    b"_ZN10$u1f600$ab1d17h0123456789abcdefE": "😀ab::d".encode(),
    b"_ZN7$ud800$1d17h0123456789abcdefE": b"$ud800$::d",
    b"_ZN4$ZZ$1d17h0123456789abcdefE": b"$ZZ$::d",
    b"_ZNSt6vectorIiSaIiEE9push_backERKi":
        b"std::vector<int, std::allocator<int> >::push_back(int const&)",
    b"_ZN12_GLOBAL__N_13fooEv": b"(anonymous namespace)::foo()",
}


def demangled_by_c(what: Sequence[bytes]) -> List[bytes]:
    """The C frontend's answers."""
    done = subprocess.run([DRIVER, "--demangle"], input=b"".join(name + b"\n" for name in what),
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.split(b"\n")[:-1]


def test_demangle() -> None:
    """Known names."""
    assert {name: demangle(name) for name in MANGLED} == MANGLED
    assert demangled_by_c(list(MANGLED)) == list(MANGLED.values())


pieces = st.lists(st.sampled_from(
    [b"_ZN", b"E", b"3foo", b"4$LT$", b"7$u20ac$", b"17h0123456789abcdef", b"2..", b".llvm.1", b"1a",
     b"0", b"12", b"$", b"..", b"_$", b"St", b"IiE", b"v", b"99"]), max_size=8).map(b"".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(pieces.map(lambda rest: b"_ZN" + rest), max_size=20))
def test_demangle_same(what: List[bytes]) -> None:
    """Anything: the same in both."""
    assert demangled_by_c(what) == [demangle(name) for name in what]


def test_demangle_long_length() -> None:
    """A length of seven digits is none, nor are its first six."""
    name = b"_ZN1234560" + b"a" * 123455 + b"17h0123456789abcdefE"
    assert demangle(name) == name
    assert demangled_by_c([name]) == [name]


def test_demangle_as_binutils() -> None:
    """binutils says the same of names that compilers give."""
    for style, real in (("gnu-v3", [name for name in MANGLED if b"17h" not in name]),
                        ("rust", [name for name in MANGLED if b"17h0123456789abcdefE" in name
                                  and b"::" in MANGLED[name] and MANGLED[name].isascii()
                                  and b"$" not in MANGLED[name]])):
        done = subprocess.run(["c++filt", "-s", style], input=b"\n".join(real) + b"\n",
                              stdout=subprocess.PIPE, check=True)
        # it leaves Rust's hash at the end
        theirs = re.sub(rb"::h[0-9a-f]{16}$", b"", done.stdout, flags=re.MULTILINE).split(b"\n")
        assert real and theirs[:-1] == [MANGLED[name] for name in real]


# -- Rust's newer form -------------------------------------------------------------------------

def rust_v0(known_to_binutils: bool) -> Dict[bytes, bytes]:
    """Names that a compiler gave."""
    ours, others = RUST_V0.read_bytes().split(b"# Constants and types that binutils")
    lines = (ours if known_to_binutils else others).splitlines()
    return dict(line.split(b" ", 1) for line in lines if line.startswith(b"_R"))  # type: ignore


def same(what: Sequence[bytes]) -> List[bytes]:
    """Demangled by both frontends, which must agree."""
    found = [demangle(name) for name in what]
    assert demangled_by_c(what) == found
    return found


def test_rust_v0() -> None:
    """A compiler's names."""
    known = {**rust_v0(True), **rust_v0(False)}
    assert dict(zip(known, same(list(known)))) == known


def test_rust_v0_as_binutils() -> None:
    """binutils says the same."""
    known = rust_v0(True)
    done = subprocess.run(["c++filt", "-i", "-s", "rust"], input=b"\n".join(known) + b"\n",
                          stdout=subprocess.PIPE, check=True)
    assert known and done.stdout.splitlines() == list(known.values())


RUST_V0_RARE = {
    b"_RNvC6_123foo3bar": b"123foo::bar",
    b"_RNvC1a1b.llvm.8A1F@2": b"a::b",
    b"_RNvC1a1b.cold": b"a::b",
    b"_RINvC1a1fmEC1c": b"a::f::<u32>",
    b"_RNvC1a0": b"a",
    b"_RNZC1as0_1b": b"a::{Z:b#2}",
    b"_RINvC1a1fKc0_Kc22_Kc27_Kc5c_E": b"""a::f::<'\\0', '"', '\\'', '\\\\'>""",
    b"_RINvC1a1fKc7f_Kc80_Kc1f600_Kc10ffff_E":
        br"a::f::<'\u{7f}', '\u{80}', '" + "😀".encode() + br"', '\u{10ffff}'>",
    b"_RINvC1a1fKm0000000000000000000001_Kan0_Kj_E": b"a::f::<1, -0, 0>",
    b"_RINvC1a1fKe_KRe_KTEKAEKTb0_EE": b'a::f::<{*""}, "", {()}, {[]}, {(false,)}>',
    b"_RINvC1a1fKRm1_KQRm1_KpKRB8_E": b"a::f::<{&1}, {&mut &1}, _, {&&1}>",
    b"_RINvC1a1fFGq_RL_hRL0_hRLr_hEuE":
        b"a::f::<for<" + b", ".join(b"'%c" % (97 + i) for i in range(26)) + b", '_26, '_27> "
        b"fn(&u8, &'_27 u8, &'a u8)>",
    b"_RINvC1a1fFUK9rust_callEhE": b'a::f::<unsafe extern "rust-call" fn() -> u8>',
    b"_RINvC1a1fDINtC1b1ThEp1AmINtC1b1UEp1BhINtC1b1VEEL_E":
        b"a::f::<dyn b::T<u8, A = u32> + b::U<, B = u8> + b::V<>>",
    b"_RINvC1a1fWmORm1_m2_Rm4_m5_EWPuNE": b"a::f::<u32 is 1..=2 | 4..=5, *const () is !null>",
}


def test_rust_v0_rare() -> None:
    """What the compiler's names have not got."""
    assert dict(zip(RUST_V0_RARE, same(list(RUST_V0_RARE)))) == RUST_V0_RARE


RUST_V0_REFUSED = [
    b"_R", b"_RC", b"_RC0", b"_RC1", b"_RC2a", b"_RNvC1a", b"_RNvC1a1b_", b"_RNvC1a1bx", b"_R0NvC1a1b",
    b"_RNvC1a1b$x", b"_RNvC1a1b\xff", "_RNvC1aü".encode(), b"_RN0C1a1b", b"_RNvC1a1bC1cC1d",
    b"_Rm", b"_RB_", b"_RNvB_1a", b"_RNvC1aB2_", b"_RNvCs1a1b", b"_RNvCszzzzzzzzzzzzz_1a1b",
    b"_RNvCu0_1b", b"_RNvCu2a_1b", b"_RNvCu8GDEL_5QA1b", b"_RNvCu3999_1b",
    b"_RINvC1a1fgE", b"_RINvC1a1fm", b"_RINvC1a1fKE", b"_RINvC1a1fKm1E", b"_RINvC1a1fKm1g_E",
    b"_RINvC1a1fKb2_E", b"_RINvC1a1fKcd800_E", b"_RINvC1a1fKc110000_E", b"_RINvC1a1fKmn1_E",
    b"_RINvC1a1fKRe4_E", b"_RINvC1a1fKReff_E", b"_RINvC1a1fKVC1aXE", b"_RINvC1a1fL0_E",
    b"_RINvC1a1fFK0EuE", b"_RINvC1a1fFKu3tdaEuE", b"_RINvC1a1fDC1bEE", b"_RINvC1a1fWmXE",
    b"_RINvC1a1fB9_E", b"_RINvC1a1fBzzzzzzzzzzz_E",
]


def test_rust_v0_refused() -> None:
    """What is malformed stays as it is."""
    assert same(RUST_V0_REFUSED) == RUST_V0_REFUSED


DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def base_62(number: int) -> bytes:
    """As references back have it."""
    digits = b""
    while number:
        number, digit = divmod(number - (not digits), 62)
        digits = b"%c%b" % (DIGITS[digit], digits)
    return digits + b"_"


def doubling(times: int, place: bytes = b"") -> bytes:
    """A generic function of tuples, each made of twice the one before it."""
    symbol, last = b"INvC1a1fThhE", 8
    for _ in range(times):
        here = len(symbol)
        symbol += b"T" + place + (b"B" + base_62(last)) * 2 + b"E"
        last = here
    return b"_R" + symbol + b"E"


def test_rust_v0_limits() -> None:
    """Names that are too deep or too long are refused, without trying to the end."""
    inside = b"_RINvC1a1f%bE"
    accepted = [
        doubling(6), inside % (b"R" * 150 + b"u"), inside % (b"INtC1b1S" * 70 + b"u" + b"E" * 70),
        inside % (b"DC1bp1x" * 75 + b"u" + b"EL_" * 75), inside % (b"FE" * 150 + b"u"),
        inside % (b"K" + b"T" * 150 + b"E" * 150), b"_RNvC1a30000" + b"b" * 30000,
        b"_RNvCu255" + b"a" * 249 + b"_aaaaa" + b"1b", inside % b"FG0_Eu",
    ]
    refused = [
        doubling(14), doubling(1000), inside % (b"R" * 160 + b"u"), inside % (b"R" * 1000000),
        b"_R" + b"Nv" * 1000000, inside % (b"INtC1b1S" * 1000 + b"u" + b"E" * 1000),
        b"_RNvC1a60000" + b"b" * 60000, b"_RNvCu256" + b"a" * 250 + b"_aaaaa" + b"1b",
        inside % b"FGzzzzzzzzzz_Eu", inside % (b"KRe" + b"41" * 40000 + b"_"),
        b"_RNvC1a9999999999999999999b",
        inside % (b"Km" + b"1" * 70000 + b"_"), inside % (b"L" + b"0" * 70000 + b"_"),
        # all that is read and not written is of the place of an implementation
        doubling(60, b"YMIC1p" + b"u" * 400 + b"EhC1q"),
    ]
    found = same(accepted + refused)
    assert not [was[:60] for name, was in zip(found, accepted) if name == was]
    assert found[len(accepted):] == refused


# The grammar. Without what may refer to something that is not there, every name of it is good.
Names = st.SearchStrategy[bytes]
numbers = st.sampled_from([b"_", b"0_", b"1_", b"2_", b"5_", b"8_", b"a_", b"Z_", b"10_"])
disambiguators = st.sampled_from([b"", b"", b"s_", b"s0_", b"sgEmfK2I1SDS_"])
identifiers = st.sampled_from([b"1a", b"3foo", b"0", b"2_1x", b"3__ab", b"u9gre_6ka8i", b"u6p8sx0v"])
named = st.sampled_from([b"1a", b"3foo", b"2_1x"])
basic_types = st.sampled_from([b"%c" % c for c in b"bcdefahijlmnopstuvxyz"])
binders = st.sampled_from([b"G_", b"G0_"])
chars = st.characters(blacklist_categories=["Cs"])
literals = st.one_of(
    st.sampled_from([b"p", b"b0_", b"b1_"]), chars.map(lambda char: b"c%x_" % ord(char)),
    st.tuples(st.sampled_from([b"a", b"sn", b"l", b"xn", b"h", b"t", b"o"]),
              st.one_of(st.integers(0, 300), st.integers(0, 1 << 130)))
    .map(lambda case: b"%b%x_" % case),
    st.tuples(st.sampled_from([b"e", b"Re"]), st.text(chars, max_size=4))
    .map(lambda case: b"%b%b_" % (case[0], case[1].encode().hex().encode())))


def joined(*parts: Names) -> Names:
    """One after the other."""
    return st.tuples(*parts).map(b"".join)


def optional(part: Names) -> Names:
    """Or nothing."""
    return st.one_of(st.just(b""), part)


def members(part: Names) -> Names:
    """A list."""
    return st.lists(part, max_size=3).map(lambda parts: b"".join(parts) + b"E")


class Grammar:
    """Strategies for the parts of symbols, each of which has parts in it down to a depth. With
    references, many lead nowhere."""

    def __init__(self, references: bool) -> None:
        self.back = [joined(st.just(b"B"), numbers)] if references else []
        self.lifetime = joined(st.just(b"L"), numbers if references else st.just(b"_"))

    def symbol(self) -> Names:
        """The whole."""
        return joined(st.just(b"_R"), self.path(3), optional(self.path(2)),
                      st.sampled_from([b"", b"", b".llvm.1"]))

    def path(self, depth: int) -> Names:
        """One of what has a name."""
        crate = joined(st.just(b"C"), disambiguators, named)
        if not depth:
            return crate
        path, of_type = self.path(depth - 1), self.type(depth - 1)
        return st.one_of(
            crate, *self.back,
            joined(st.sampled_from([b"Nv", b"Nt", b"NC", b"NS", b"NK"]), path, disambiguators,
                   identifiers),
            joined(st.just(b"M"), disambiguators, path, of_type),
            joined(st.just(b"X"), disambiguators, path, of_type, path),
            joined(st.just(b"Y"), of_type, path),
            joined(st.just(b"I"), path, members(st.one_of(
                self.lifetime, of_type, joined(st.just(b"K"), self.constant(depth - 1))))))

    def type(self, depth: int) -> Names:
        """One of a type."""
        if not depth:
            return basic_types
        path, inner = self.path(depth - 1), self.type(depth - 1)
        bounds = joined(path, optional(joined(st.just(b"p"), identifiers, inner)))
        return st.one_of(
            basic_types, path, *self.back,
            joined(st.sampled_from([b"R", b"Q"]), optional(self.lifetime), inner),
            joined(st.sampled_from([b"P", b"O", b"S"]), inner),
            joined(st.just(b"A"), inner, self.constant(depth - 1)),
            joined(st.just(b"T"), members(inner)),
            joined(st.just(b"W"), inner, self.pattern(depth - 1)),
            joined(st.just(b"F"), optional(binders), optional(st.just(b"U")),
                   optional(st.sampled_from([b"KC", b"K9rust_call"])), members(inner), inner),
            joined(st.just(b"D"), optional(binders), members(bounds), self.lifetime))

    def pattern(self, depth: int) -> Names:
        """One of which values a type has."""
        values = joined(st.just(b"R"), self.constant(0), self.constant(0))
        if not depth:
            return values
        return st.one_of(values, st.just(b"N"),
                         joined(st.just(b"O"), members(self.pattern(depth - 1))))

    def constant(self, depth: int) -> Names:
        """One of a value."""
        if not depth:
            return literals
        path, inner = self.path(depth - 1), self.constant(depth - 1)
        return st.one_of(
            literals, *self.back, joined(st.sampled_from([b"R", b"Q"]), inner),
            joined(st.sampled_from([b"A", b"T"]), members(inner)),
            joined(st.just(b"V"), path, st.one_of(
                st.just(b"U"), joined(st.just(b"T"), members(inner)),
                joined(st.just(b"S"), members(joined(disambiguators, named, inner))))))


@settings(max_examples=60, deadline=None)
@given(st.lists(Grammar(references=False).symbol(), min_size=1, max_size=10))
def test_rust_v0_grammar(what: List[bytes]) -> None:
    """Every name of the grammar."""
    assert not [name for name, was in zip(same(what), what) if name == was]


@settings(max_examples=60, deadline=None)
@given(st.lists(Grammar(references=True).symbol(), min_size=1, max_size=10))
def test_rust_v0_references(what: List[bytes]) -> None:
    """References back, and lifetimes: the same in both."""
    same(what)


known_names = st.sampled_from(sorted({**rust_v0(True), **rust_v0(False)}))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(
    st.binary(max_size=30).filter(lambda raw: b"\n" not in raw and b"\0" not in raw),
    st.text("_0123456789aBCDEFIKLMNRTVXYpsu.", max_size=30).map(str.encode),
    st.tuples(known_names, st.integers(2, 60), st.integers(0, 5), st.sampled_from(
        [b"", b"B_", b"B0_", b"B5_", b"E", b"L0_", b"T", b"u3_ab", b"s_", b"9"])).map(
            lambda case: case[0][2:case[1]] + case[3] + case[0][case[1] + case[2]:])),
    max_size=20))
def test_rust_v0_anything(what: List[bytes]) -> None:
    """Bytes of any kind, and names with a part in the wrong place: the same in both."""
    same([b"_R" + rest for rest in what])
