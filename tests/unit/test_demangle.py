# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Names of C++ and Rust functions: as others show them; and what a hostile one may cost."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness

DRIVER = str(Path(harness.DRIVER).with_name("stacks_driver"))
RUST_V0 = Path(__file__).with_name("vectors") / "rust_v0.txt"
# Not demangling without limits takes minutes or years.
PATIENCE_S = 300
MAX_MANGLED, MAX_DEMANGLED = 4096, 16384


def demangled(what: Sequence[bytes]) -> List[bytes]:
    """The engine's answers."""
    done = subprocess.run([DRIVER, "--demangle"], input=b"".join(name + b"\n" for name in what),
                          stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S)
    return done.stdout.split(b"\n")[:-1]


def as_binutils(style: str, what: Sequence[bytes]) -> List[bytes]:
    """What c++filt says of names that a compiler could give."""
    done = subprocess.run(["c++filt", "-i", "-s", style], input=b"\n".join(what) + b"\n",
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.split(b"\n")[:-1]


# -- names -------------------------------------------------------------------------------------

CPLUSPLUS = {
    b"main": b"main", b"_Z": b"_Z", b"_Z1": b"_Z1", b"": b"", b"_": b"_",
    b"_ZNSt6vectorIiSaIiEE9push_backERKi":
        b"std::vector<int, std::allocator<int> >::push_back(int const&)",
    b"_ZN12_GLOBAL__N_13fooEv": b"(anonymous namespace)::foo()",
    b"_ZN1AC1ERKSs": b"A::A(std::string const&)",
    b"_ZZ4mainENKUllE_clEl": b"main::{lambda(long)#1}::operator()(long) const",
    b"_ZN1AcvT_IiEEv": b"A::operator int<int>()",
    b"_Z1fI1AIiEEv" + b"T_IiE" * 21: b"void f<A<int> >(" + b", ".join([b"A<int><int>"] * 21) + b")",
    b"_Z1fIJilEEvDpT_": b"void f<int, long>(int, long)",
    b"_Z3foov.constprop.0": b"foo() [clone .constprop.0]",
    b"_ZN5alpha7epsilonE": b"alpha::epsilon",
}

RUST = {
    b"_ZN5alpha4beta5gamma17h0123456789abcdefE": b"alpha::beta::gamma",
    b"_ZN5alpha4beta17h0123456789abcdefE.llvm.12": b"alpha::beta",
    b"_ZN10_$LT$x$GT$4beta17h0123456789abcdefE": b"<x>::beta",
    b"_ZN8a..b$C$c1d17h0123456789abcdefE": b"a::b,c::d",
    b"_ZN11$u7b$$u7d$_1d17h0123456789abcdefE": b"{}_::d",
    b"_ZN4$ZZ$1d17h0123456789abcdefE": b"$ZZ$::d",
    b"_ZN7$u20ac$1d17h0123456789abcdefE": b"$u20ac$::d",
    b"_RNvC6_123foo3bar": b"123foo::bar",
    b"_RNvC1a1b.cold": b"a::b",
    b"_RINvC1a1fKo123456789abcdef0_E": b"a::f::<1311768467463790320>",
    b"_RNZC1as0_1b": b"a::{Z:b#2}",
    b"_RINvC1a1fFUK9rust_callEhE": b'a::f::<unsafe extern "rust-call" fn() -> u8>',
    b"_RINvC1a1fDINtC1b1ThEp1AmINtC1b1UEp1BhINtC1b1VEEL_E":
        b"a::f::<dyn b::T<u8, A = u32> + b::U<, B = u8> + b::V<>>",
}

# Not Rust's, or not whole. What may be C++ is shown as that.
NEITHER = {
    b"_ZN5alpha4beta17h0123456789abcdeFE": b"alpha::beta::h0123456789abcdeF",
    b"_ZN17h0123456789abcdefE": b"h0123456789abcdef",
    b"_ZN1a17h0123012301230123E": b"a::h0123012301230123",
    b"_ZN5alpha99betaE": b"_ZN5alpha99betaE",
    **{name: name for name in (
        b"_GLOBAL__I_a", b"_R", b"_RC", b"_RC0", b"_RC1", b"_RC2a", b"_RNvC1a", b"_RNvC1a1b_", b"_RNvC1a1bx", b"_R0NvC1a1b",
        b"_RNvC1a1b$x", b"_RNvC1a1b\xff", "_RNvC1aü".encode(), b"_RN0C1a1b", b"_Rm", b"_RB_",
        b"_RNvB_1a", b"_RNvCs1a1b", b"_RNvCu0_1b", b"_RNvCu2a_1b", b"_RINvC1a1fgE", b"_RINvC1a1fm",
        b"_RINvC1a1fKE", b"_RINvC1a1fKm1E", b"_RINvC1a1fKb2_E", b"_RINvC1a1fFK0EuE", b"_RINvC1a1fB9_E")},
    # the library would drop the first digit
    b"_RINvC1a1fKo0123456789abcdef0_E": b"_RINvC1a1fKo0123456789abcdef0_E",
}


def rust_v0() -> Dict[bytes, bytes]:
    """Names that a compiler gave."""
    lines = RUST_V0.read_bytes().splitlines()
    return dict(line.split(b" ", 1) for line in lines if line.startswith(b"_R"))  # type: ignore


@pytest.mark.parametrize("known", [CPLUSPLUS, RUST, NEITHER, rust_v0()], ids=["cplusplus", "rust", "neither", "rust_v0"])
def test_names(known: Dict[bytes, bytes]) -> None:
    """Known names."""
    assert dict(zip(known, demangled(list(known)))) == known


def test_as_binutils() -> None:
    """binutils says the same of what is demangled."""
    for style, known in (("gnu-v3", CPLUSPLUS), ("rust", {**RUST, **rust_v0()})):
        shown = {name: text for name, text in known.items() if name != text}
        assert shown and as_binutils(style, list(shown)) == list(shown.values())


# -- limits ------------------------------------------------------------------------------------

DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def number(value: int, base: int) -> bytes:
    """As references back have it: "_" is 0."""
    digits = b""
    while value:
        value, digit = divmod(value - (not digits), base)
        digits = DIGITS[digit:digit + 1] + digits
    return digits + b"_"


def substitution(index: int) -> bytes:
    """A C++ name's reference back."""
    return b"S" + number(index, 36).upper()


def rust_doubling(times: int, first: bytes) -> bytes:
    """A generic function of tuples, each made of twice the one before it."""
    symbol, last = b"INvC1a1f" + first, 8
    for _ in range(times):
        here = len(symbol)
        symbol += b"T" + (b"B" + number(last, 62)) * 2 + b"E"
        last = here
    return b"_R" + symbol + b"E"


def cplusplus_doubling(times: int, first: int = 0) -> bytes:
    """Template arguments, each made of twice the one before it."""
    template = substitution(first)
    return b"1AIiE" + b"".join(template + b"I" + substitution(first + place + 1) * 2 + b"E" for place in range(times))


def packs(first: bytes) -> bytes:
    """Functions as template arguments one within the other, each with the pack of the one around it twice."""
    return b"_Z1fIJ%bEEv" % first + b"1XIL_Z1gIJDpT_DpT_EEv" * 30 + b"DpT_" + b"EE" * 30


def classes(count: int, used: int) -> bytes:
    """A function of classes, some of which come twice."""
    return b"_Z1f" + b"".join(b"1%c" % (65 + i) for i in range(count)) + b"".join(map(substitution, range(used)))


def of_length(length: int, tail: str = "") -> bytes:
    """A Rust name that is longer demangled than mangled, and how long."""
    last = length - len("a::f::<(" + 6 * ("b::, " + 2500 * "x") + "b::)>") - len(tail.encode())
    prefix, where, suffix = (b"Nv", b"Ba_", b"u9gre_6ka8i") if tail else (b"", b"B8_", b"")
    return (b"_R" + prefix + b"INvC1a1fTNtC1b2500" + b"x" * 2500 + where * 5 + b"NtC1b%d" % last + b"y" * last + b"EE"
            + suffix)


INSIDE = b"_RINvC1a1f%bE"
# What is just inside of a limit, and what just outside.
LIMITS = {
    "mangled": (b"_RNvC1a4085" + b"b" * 4085, b"_RNvC1a4086" + b"b" * 4086),
    "mangled, older Rust": (b"_ZN4069" + b"a" * 4069 + b"17h0123456789abcdefE",
                            b"_ZN4070" + b"a" * 4070 + b"17h0123456789abcdefE"),
    "mangled, C++": (b"_Z1017" + b"a" * 1017 + b"v", b"_Z1018" + b"a" * 1018 + b"v"),
    "demangled": (of_length(MAX_DEMANGLED), of_length(MAX_DEMANGLED + 1)),
    # the library has memory while it hands over the last part
    "demangled, not ascii": (of_length(MAX_DEMANGLED, "::größe"), of_length(MAX_DEMANGLED + 1, "::größe")),
    "ways": (classes(21, 20), classes(21, 21)),
    "conversion": (b"_Z2cvI1AIiEEv" + b"T_IiE" * 20, b"_Z2cvI1AIiEEv" + b"T_IiE" * 21),
    "lifetimes": (INSIDE % b"FG9_Eu", INSIDE % b"FGa_Eu"),
    "lifetimes, dyn": (INSIDE % b"DG9_C1bEL_", INSIDE % b"DG00_C1bEL_"),
    "depth": (INSIDE % (b"R" * 1000 + b"u"), INSIDE % (b"R" * 1100 + b"u")),
    "depth, C++": (b"_Z1f" + b"P" * 500 + b"i", b"_Z1f" + b"P" * 1100 + b"i"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_limits(limit: str) -> None:
    """What is beyond stays as it is, whole; what is not is demangled."""
    inside, outside = LIMITS[limit]
    known, same = demangled([inside, outside])
    assert same == outside
    assert known != inside and known
    if limit.startswith("demangled"):
        assert len(known) == MAX_DEMANGLED
    elif limit.startswith("mangled") and "C++" not in limit:
        assert (len(inside), len(outside)) == (MAX_MANGLED, MAX_MANGLED + 1)


# Each a few bytes that stand for gigabytes, or for years in which nothing is said.
HOSTILE = {
    "output": b"_Z1f" + cplusplus_doubling(27),
    "search": b"_Z1fDp1BI" + cplusplus_doubling(60, 1) + b"E",
    "conversion": b"_ZN1AcvT_I" + b"T_I" * 100 + b"i" + b"E" * 100 + b"EEv",
    "packs": packs(b"ii"),
    "packs, not ascii": packs("3€3€".encode()),
    "references": rust_doubling(60, b"ThhE"),
    "punycode": rust_doubling(60, b"NtC1bu9gre_6ka8i"),
    "lifetimes": INSIDE % b"FGzzzzzzzzzz_Eu",
    "lifetimes in a place": b"_RNvMINvC1c1dFGzzzzzzzzzz_EuEm1b",
    "lifetimes in a crate": b"_RNvC1a1bINvC1c1dDGzzzzzzzzzz_C1bEL_E",
    "lifetimes as a hash": b"_RNvMINvC1c1dFKCsaaaaaaFGzzzz_EuEuEm1b",
    "places": rust_doubling(60, b"MINvC1c1d" + b"FG9_Eu" * 500 + b"Eu"),
    "places in places": rust_doubling(60, b"M" * 300 + b"C1a" + b"u" * 300),
    "itself": INSIDE % (b"TB8_B8_E"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile(kind: str) -> None:
    """Given up soon, and then shown as it is."""
    assert demangled([HOSTILE[kind], b"_Z1fv"]) == [HOSTILE[kind], b"f()"]


def test_hashes() -> None:
    """A crate's hash may look like lifetimes; the name of a type is not taken for a hash."""
    known = {b"_RNvCsaFGzzzz_1a1b": b"a::b", b"_RNvCsDGzzzzFGzzzz_1a1b.cold": b"a::b",
             b"_RNvNtCs8NwYtU1Mohg_4coreNtCsxDGV85I1S7_1c1d": b"_RNvNtCs8NwYtU1Mohg_4coreNtCsxDGV85I1S7_1c1d",
             b"_RINvC1a1fNtCsxDGV85I1S7_1c1dE": b"a::f::<c::d>", b"_RNvNtC1a3CFG3xyz": b"a::CFG::xyz",
             b"_RNvNtC1a9CsFGw2_xy1b": b"_RNvNtC1a9CsFGw2_xy1b", b"_RNvCsa_FGzz_1a1b": b"_RNvCsa_FGzz_1a1b",
             b"_RNvNtC1a3CFG2__b": b"a::CFG::_b"}
    assert dict(zip(known, demangled(list(known)))) == known


parts = st.sampled_from(
    [b"_ZN", b"E", b"3foo", b"4$LT$", b"7$u20ac$", b"17h0123456789abcdef", b"2..", b".llvm.1", b"1a", b"0", b"12",
     b"$", b"..", b"St", b"I", b"i", b"v", b"S_", b"S0_", b"T_", b"DpT_", b"Dp", b"J", b"X", b"L_Z1f", b"cv", b"sZ",
     b"_R", b"Nv", b"C1a", b"1b", b"B_", b"B5_", b"M", b"T", b"F", b"DG_", b"FG9_", b"u3_ab", b"L0_", b"K", b"s_"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"_Z", b"_ZN", b"_R", b"_RINvC1a1f"]), st.one_of(
    st.binary(max_size=30), st.lists(parts, max_size=30).map(b"".join),
    st.sampled_from(sorted(rust_v0())).flatmap(lambda name: st.tuples(
        st.just(name), st.integers(2, 60), parts, st.integers(0, 5)).map(
            lambda case: case[0][2:case[1]] + case[2] + case[0][case[1] + case[3]:]))))
                .map(b"".join).filter(lambda raw: b"\n" not in raw and b"\0" not in raw), max_size=40))
def test_anything(what: List[bytes]) -> None:
    """Bytes of any kind, and names with a part in the wrong place: an answer to each, of no great length."""
    answers = demangled(what)
    assert len(answers) == len(what)
    assert all(0 < len(answer) <= MAX_DEMANGLED for answer in answers)
