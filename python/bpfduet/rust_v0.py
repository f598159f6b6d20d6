# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Rust's newer mangling ("v0", RFC 2603) undone, as rustc-demangle shows names, without the hashes
of crates."""
from __future__ import annotations

import re
from typing import Callable, Dict, Iterator, List, Match, Optional, Pattern, Tuple

from .text import escape

# Anybody may have written a symbol, and one of a few bytes can stand for a name without end: it may
# refer back to parts of itself. Hence these limits; the C frontend has the same ones.
_MAX_DEPTH = 160        # of parts in parts
_MAX_WORK = 65536       # bytes read and written
_MAX_PUNYCODE = 255

_SYMBOL = re.compile(rb"_R(\w+)(\..*)?", re.DOTALL)     # the second part is a suffix of LLVM's
_BASE_62 = re.compile(rb"(\w*?)_")
_IDENTIFIER = re.compile(rb"(u?)(0|[1-9][0-9]{0,5}(?![0-9]))_?")
_HEX = re.compile(rb"([0-9a-f]*)_")
_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASIC_TYPES: Dict[bytes, bytes] = {
    b"a": b"i8", b"b": b"bool", b"c": b"char", b"d": b"f64", b"e": b"str", b"f": b"f32",
    b"h": b"u8", b"i": b"isize", b"j": b"usize", b"l": b"i32", b"m": b"u32", b"n": b"i128",
    b"o": b"u128", b"p": b"_", b"s": b"i16", b"t": b"u16", b"u": b"()", b"v": b"...",
    b"x": b"i64", b"y": b"u64", b"z": b"!",
}
_ESCAPES = {"\0": b"\\0", "\t": b"\\t", "\r": b"\\r", "\n": b"\\n", "\\": b"\\\\"}

_Identifier = Tuple[bytes, bool]    # its text; whether that is Punycode


class _Refused(Exception):
    """Malformed, or beyond a limit."""


def demangle(name: bytes) -> Optional[bytes]:
    """The name that a symbol was made of; None if it is something else, or if its name would be
    too long or too deep."""
    symbol = _SYMBOL.fullmatch(name)
    if not symbol:
        return None
    try:
        return _Demangler(symbol[1]).name() or None
    except _Refused:
        return None


def _literal(char: str, quote: str) -> bytes:
    """A character as in a literal between these quotes."""
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char == quote:
        return b"\\" + char.encode()
    text = char.encode()
    return text if escape(text) == text else b"\\u{%x}" % ord(char)


def _decode_punycode(text: bytes) -> bytes:
    """The ASCII characters, _, and where which others belong among them (RFC 3492)."""
    plain, _, others = text.rpartition(b"_")
    if len(text) > _MAX_PUNYCODE or others.lower() != others:
        raise _Refused
    try:
        return (plain + b"-" + others).decode("punycode").encode()
    except UnicodeError:
        raise _Refused from None


class _Demangler:
    def __init__(self, symbol: bytes) -> None:
        self._symbol = symbol
        self._next = 0
        self._work = _MAX_WORK      # that is left
        self._depth = 0
        self._lifetimes = 0         # that the for<> around this place have named
        self._quiet = False         # read only
        self._out: List[bytes] = []

    def name(self) -> bytes:
        """The whole symbol."""
        self._path(True)
        if self._next < len(self._symbol):  # the crate that a generic function was made for
            self._quiet = True
            self._path(False)
        if self._next < len(self._symbol):
            raise _Refused
        return b"".join(self._out)

    def _spend(self, size: int) -> None:
        self._work -= size
        if self._work < 0:
            raise _Refused

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Refused

    def _leave(self) -> None:
        self._depth -= 1

    # -- reading and writing ---------------------------------------------------------------

    def _put(self, text: bytes) -> None:
        if not self._quiet:
            self._spend(len(text))
            self._out.append(text)

    def _peek(self) -> bytes:
        return self._symbol[self._next:self._next + 1]

    def _take(self, size: int = 1) -> bytes:
        taken = self._symbol[self._next:self._next + size]
        if len(taken) < size:
            raise _Refused
        self._spend(size)
        self._next += size
        return taken

    def _take_match(self, pattern: Pattern[bytes]) -> Match[bytes]:
        match = pattern.match(self._symbol, self._next)
        if not match:
            raise _Refused
        self._take(len(match[0]))
        return match

    def _eat(self, wanted: bytes) -> bool:
        return self._peek() == wanted and bool(self._take())

    def _list(self, separator: bytes = b", ") -> Iterator[int]:
        """The number of each member, which the caller has to read, from 0."""
        count = 0
        while not self._eat(b"E"):
            if count:
                self._put(separator)
            yield count
            count += 1

    def _base_62(self) -> int:
        digits = self._take_match(_BASE_62)[1]
        if not digits:
            return 0
        value = 0
        for digit in digits:
            value = value * 62 + _DIGITS.index(digit)
            if value >> 64:
                raise _Refused
        return self._sum(value, 1)

    @staticmethod
    def _sum(one: int, other: int) -> int:
        if one + other >> 64:
            raise _Refused
        return one + other

    def _tagged_base_62(self, tag: bytes) -> int:
        return self._sum(self._base_62(), 1) if self._eat(tag) else 0

    def _disambiguator(self) -> int:
        return self._tagged_base_62(b"s")

    def _identifier(self) -> _Identifier:
        match = self._take_match(_IDENTIFIER)
        punycode, text = bool(match[1]), self._take(int(match[2]))
        if punycode and text[-1:] in b"_":
            raise _Refused
        return text, punycode

    def _put_identifier(self, identifier: _Identifier) -> None:
        text, punycode = identifier
        if not self._quiet:
            self._put(_decode_punycode(text) if punycode else text)

    def _hex(self) -> bytes:
        return self._take_match(_HEX)[1]

    def _follow(self, read: Callable[[], None]) -> None:
        """Read what a reference leads back to, if that is to be written. B has been read."""
        start = self._next - 1
        target = self._base_62()
        if target >= start:
            raise _Refused
        if not self._quiet:
            back, self._next = self._next, target
            read()
            self._next = back

    # -- lifetimes -------------------------------------------------------------------------

    def _put_lifetime(self, index: int) -> None:
        """They are numbered from the inside out, and named from the outside in."""
        if self._quiet:
            return
        place = self._lifetimes - index
        if place < 0:
            raise _Refused
        if not index:
            self._put(b"'_")
        elif place < 26:
            self._put(b"'%c" % (ord("a") + place))
        else:
            self._put(b"'_%d" % place)

    def _bind(self) -> int:
        """for<...>; how many lifetimes it names."""
        count = self._tagged_base_62(b"G")
        if not count or self._quiet:
            return 0
        self._put(b"for<")
        for i in range(count):
            if i:
                self._put(b", ")
            self._lifetimes += 1
            self._put_lifetime(1)
        self._put(b"> ")
        return count

    # -- paths -----------------------------------------------------------------------------

    def _generic_arguments(self) -> None:
        for _ in self._list():
            if self._eat(b"L"):
                self._put_lifetime(self._base_62())
            elif self._eat(b"K"):
                self._constant(False)
            else:
                self._type()

    def _nested(self, value: bool) -> None:
        """A name within another: upper-case letters stand for what has no name in the source."""
        namespace = self._take()
        if not namespace.isalpha():
            raise _Refused
        self._path(value)
        number = self._disambiguator()
        identifier = self._identifier()
        if namespace.islower():
            if identifier[0]:
                self._put(b"::")
            self._put_identifier(identifier)
            return
        self._put(b"::{" + {b"C": b"closure", b"S": b"shim"}.get(namespace, namespace))
        if identifier[0]:
            self._put(b":")
        self._put_identifier(identifier)
        self._put(b"#%d}" % number)

    def _skip_place(self) -> None:
        """Where an implementation stands: not part of its name."""
        quiet, self._quiet = self._quiet, True
        self._disambiguator()
        self._path(False)
        self._quiet = quiet

    def _path(self, value: bool) -> None:
        """As part of a value, generic arguments follow a ::."""
        self._enter()
        tag = self._take()
        if tag == b"C":
            self._disambiguator()
            self._put_identifier(self._identifier())
        elif tag == b"N":
            self._nested(value)
        elif tag in b"MXY":
            if tag != b"Y":
                self._skip_place()
            self._put(b"<")
            self._type()
            if tag != b"M":
                self._put(b" as ")
                self._path(False)
            self._put(b">")
        elif tag == b"I":
            self._path(value)
            self._put(b"::<" if value else b"<")
            self._generic_arguments()
            self._put(b">")
        elif tag == b"B":
            self._follow(lambda: self._path(value))
        else:
            raise _Refused
        self._leave()

    # -- types -----------------------------------------------------------------------------

    def _function(self) -> None:
        bound = self._bind()
        if self._eat(b"U"):
            self._put(b"unsafe ")
        if self._eat(b"K"):
            abi, punycode = (b"C", False) if self._eat(b"C") else self._identifier()
            if not abi or punycode:
                raise _Refused
            self._put(b'extern "%b" ' % abi.replace(b"_", b"-"))
        self._put(b"fn(")
        for _ in self._list():
            self._type()
        self._put(b")")
        if not self._eat(b"u"):
            self._put(b" -> ")
            self._type()
        self._lifetimes -= bound

    def _open_path(self) -> bool:
        """A path; whether its generic arguments are still open."""
        opened = False

        def read() -> None:
            nonlocal opened
            opened = self._open_path()

        self._enter()
        if self._eat(b"B"):
            self._follow(read)
        elif self._eat(b"I"):
            self._path(False)
            self._put(b"<")
            self._generic_arguments()
            opened = True
        else:
            self._path(False)
        self._leave()
        return opened

    def _bounds(self) -> None:
        """Associated types stand among the generic arguments."""
        for _ in self._list(b" + "):
            opened = self._open_path()
            while self._eat(b"p"):
                self._put(b", " if opened else b"<")
                opened = True
                self._put_identifier(self._identifier())
                self._put(b" = ")
                self._type()
            if opened:
                self._put(b">")

    def _trait_object(self) -> None:
        self._put(b"dyn ")
        bound = self._bind()
        self._bounds()
        self._lifetimes -= bound
        if not self._eat(b"L"):
            raise _Refused
        lifetime = self._base_62()
        if lifetime:
            self._put(b" + ")
            self._put_lifetime(lifetime)

    def _reference(self, tag: bytes) -> None:
        lifetime = self._base_62() if self._eat(b"L") else 0
        self._put(b"&")
        if lifetime:
            self._put_lifetime(lifetime)
            self._put(b" ")
        if tag == b"Q":
            self._put(b"mut ")
        self._type()

    def _pattern(self) -> None:
        """Which of a type's values there are."""
        self._enter()
        tag = self._take()
        if tag == b"R":
            self._constant(True)
            self._put(b"..=")
            self._constant(True)
        elif tag == b"O":
            for _ in self._list(b" | "):
                self._pattern()
        elif tag == b"N":
            self._put(b"!null")
        else:
            raise _Refused
        self._leave()

    def _compound_type(self) -> None:
        self._enter()
        tag = self._take()
        if tag in b"RQ":
            self._reference(tag)
        elif tag in b"PO":
            self._put(b"*const " if tag == b"P" else b"*mut ")
            self._type()
        elif tag in b"AS":
            self._put(b"[")
            self._type()
            if tag == b"A":
                self._put(b"; ")
                self._constant(True)
            self._put(b"]")
        elif tag == b"T":
            self._put(b"(")
            last = -1
            for last in self._list():
                self._type()
            self._put(b",)" if last == 0 else b")")
        elif tag == b"F":
            self._function()
        elif tag == b"D":
            self._trait_object()
        elif tag == b"W":
            self._type()
            self._put(b" is ")
            self._pattern()
        elif tag == b"B":
            self._follow(self._type)
        else:
            raise _Refused
        self._leave()

    def _type(self) -> None:
        tag = self._peek()
        if tag in _BASIC_TYPES:
            self._put(_BASIC_TYPES[self._take()])
        elif tag and tag in b"CNMXYI":
            self._path(False)
        else:
            self._compound_type()

    # -- constants -------------------------------------------------------------------------

    def _integer(self, tag: bytes) -> None:
        if tag in b"aslxni":
            if self._eat(b"n"):
                self._put(b"-")
        elif tag not in b"htmyoj":
            raise _Refused
        digits = self._hex()
        if len(digits.lstrip(b"0")) > 16:
            self._put(b"0x" + digits)
        else:
            self._put(b"%d" % int(digits or b"0", 16))

    def _small_integer(self, most: int) -> int:
        digits = self._hex().lstrip(b"0")
        value = int(digits or b"0", 16)
        if value > most:
            raise _Refused
        return value

    def _character(self) -> None:
        try:
            self._put(b"'" + _literal(chr(self._small_integer(0x10ffff)), "'") + b"'")
        except UnicodeError:
            raise _Refused from None

    def _string(self) -> None:
        try:
            text = bytes.fromhex(self._hex().decode()).decode()
        except ValueError:
            raise _Refused from None
        self._put(b'"' + b"".join(_literal(char, '"') for char in text) + b'"')

    def _constants(self) -> int:
        """How many."""
        last = -1
        for last in self._list():
            self._constant(True)
        return last + 1

    def _fields(self) -> None:
        self._put(b" { ")
        for _ in self._list():
            self._disambiguator()
            self._put_identifier(self._identifier())
            self._put(b": ")
            self._constant(True)
        self._put(b" }")

    def _variant(self) -> None:
        """A structure, or one of an enumeration."""
        self._path(True)
        tag = self._take()
        if tag == b"T":
            self._put(b"(")
            self._constants()
            self._put(b")")
        elif tag == b"S":
            self._fields()
        elif tag != b"U":
            raise _Refused

    def _constant(self, value: bool) -> None:
        """What is more than a literal stands in braces, if it is not in some already."""
        self._enter()
        tag = self._take()
        braces = not value and tag in b"eRQATV" and tag + self._peek() != b"Re"
        self._put(b"{" * braces)
        if tag == b"p":
            self._put(b"_")
        elif tag == b"b":
            self._put(b"true" if self._small_integer(1) else b"false")
        elif tag == b"c":
            self._character()
        elif tag == b"e":
            self._put(b"*")
            self._string()
        elif tag == b"R" and self._eat(b"e"):
            self._string()
        elif tag in b"RQ":
            self._put(b"&" if tag == b"R" else b"&mut ")
            self._constant(True)
        elif tag == b"A":
            self._put(b"[")
            self._constants()
            self._put(b"]")
        elif tag == b"T":
            self._put(b"(")
            self._put(b",)" if self._constants() == 1 else b")")
        elif tag == b"V":
            self._variant()
        elif tag == b"B":
            self._follow(lambda: self._constant(value))
        else:
            self._integer(tag)
        self._put(b"}" * braces)
        self._leave()
