"""Digits as people and programs spell them, and the places where they stand in the text as it was written.

`１２３`, `①`, `%31`, `%EF%BC%91`, `\\u0031`, `\\xEF\\xBC\\x91`, `&#49;` and `1<zero-width space>2` are all digits to somebody. What is
read here is read with its place, so that the text around a number can stay as it was.

The strings named `…_CHARS` are bodies of a character class, in the syntax that Python's `re` and Rust's regex share.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

# Characters with the value of one digit that are no decimal digits: ² ₂ ② ⑵ ⒉ ❷ …; decimal ones are `\d` in both engines.
# 2070–2793 holds the sub- and superscripts and all enclosed digits; 1F100–1F10A digits with a point or comma.
ODD_DIGIT_CHARS: Final = "".join(
    chr(code)
    for code in (*range(0xB2, 0xBA), *range(0x2070, 0x2794), *range(0x1F100, 0x1F10B))
    if unicodedata.digit(chr(code), None) is not None
)
# ⑩ … ㊿: two digits each after NFKC.
DOUBLE_CHARS: Final = "\u2469-\u2473\u3251-\u325f\u32b1-\u32bf"
DIGIT_CHARS: Final = rf"\d{ODD_DIGIT_CHARS}"
# Blanks, hyphens and dashes (the long vowel mark is typed for one), middle dots, points, slashes, underscores, and the
# plus that stands for a blank in forms.
SEPARATOR_CHARS: Final = (
    " \u00a0\u2000-\u200a\u202f\u205f\u3000"
    "\\-\u2010-\u2015\u2043\u2212\u2500\u2501\u30fc\ufe58\ufe63\uff0d\uff70"
    "\u00b7\u2022\u2027\u30fb\uff65.\u2024\uff0e/\u2044\u2215\uff0f_\uff3f+\uff0b"
)
# What is not seen between two digits: NUL (UTF-16 read as something else) and other controls that no terminal shows, the
# default-ignorable characters of Unicode, combining marks (key caps, strike-through).
UNSEEN_CHARS: Final = (
    "\\x00-\\x08\\x0e-\\x1a\\x7f-\\x9f\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20d0-\u20f0\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)

# Control characters as rsyslog writes them by default, and as our own syslog ports write a newline: `#011` is a tab.
CONTROL: Final = "#(?:0[0-3][0-7]|177)"

# Bytes as URLs, nginx, Apache and Python spell them. The digits of CP932 are 0x82 and a letter from O to X, which encoders
# leave as it is (its separators 0x81 and @, D, E); the decoder's mark of a broken byte before such a letter is that digit.
_SECOND: Final = "(?<=82)[O-X]|(?<=81)[@DE]"
_BYTE: Final = re.compile(rf"(?:%|\\{{1,16}}x)([0-9A-Fa-f]{{2}})({_SECOND})?")
# A backslash is doubled by each layer of JSON; the bound keeps a megabyte of them from taking for ever.
_UNIT: Final = r"(?:\\{1,16}|%)u"
_ESCAPE: Final = re.compile(
    rf"(?P<bytes>(?:(?:%|\\{{1,16}}x)[0-9A-Fa-f]{{2}}(?:{_SECOND})?)+)"
    rf"|{_UNIT}(?P<high>[Dd][89ABab][0-9A-Fa-f]{{2}}){_UNIT}(?P<low>[Dd][C-Fc-f][0-9A-Fa-f]{{2}})"
    rf"|{_UNIT}(?P<unit>[0-9A-Fa-f]{{4}})|{_UNIT}\{{(?P<braced>[0-9A-Fa-f]{{1,6}})\}}"
    r"|&#(?:(?P<decimal>[0-9]{1,7})|[xX](?P<hex>[0-9A-Fa-f]{1,6}));"
    rf"|\\{{1,16}}(?P<sign>/)|(?P<amp>&amp;)|\ufffd(?P<half>[O-X])|(?P<control>{CONTROL})"
)
_UNSEEN: Final = re.compile(f"[{UNSEEN_CHARS}]")
_DOUBLE: Final = re.compile(f"[{DOUBLE_CHARS}]")
# Encoded so many times over, in any mixture; twice is what proxies do by mistake.
_LAYERS: Final = 4
_BROKEN: Final = "\ufffd"
# First bytes of full-width signs and digits.
_LEADS: Final = {"cp932": (0x81, 0x82), "euc_jp": (0xA1, 0xA3)}


class Spelled(NamedTuple):
    """A text, and where its characters stand in the text it was read from.

    Attributes:
        text: What the spelling means.
        starts, ends: For each character the first place and the place after the last; what is not seen belongs to none.
    """

    text: str
    starts: list[int]
    ends: list[int]


def readings(text: str) -> Iterator[Spelled]:
    """What a text says once one, two … layers of escapes are taken off, as long as there are any, at most four.

    Characters that are not seen are left out of every reading, and `⑫` is two digits. The first reading takes no
    escape off; it is left out where it would be the text itself.
    """
    now = _seen(Spelled(text, list(range(len(text))), list(range(1, len(text) + 1))))
    if now.text != text:
        yield now
    for _ in range(_LAYERS):
        after = _seen(_unescaped(now))
        if after.text == now.text:
            return
        yield after
        now = after


def _seen(spelled: Spelled) -> Spelled:
    text, starts, ends = spelled
    if not (_UNSEEN.search(text) or _DOUBLE.search(text)):
        return spelled
    kept = [
        (char, start, end)
        for sign, start, end in zip(text, starts, ends, strict=True)
        if not _UNSEEN.match(sign)
        for char in (unicodedata.normalize("NFKC", sign) if _DOUBLE.match(sign) else sign)
    ]
    return Spelled("".join(char for char, _, _ in kept), [start for _, start, _ in kept], [end for *_, end in kept])


def _unescaped(spelled: Spelled) -> Spelled:
    text, starts, ends = spelled
    parts: list[str] = []
    new_starts: list[int] = []
    new_ends: list[int] = []
    done = 0
    for found in _ESCAPE.finditer(text):
        parts.append(text[done : found.start()])
        new_starts += starts[done : found.start()]
        new_ends += ends[done : found.start()]
        for char, first, last in _meant(found):
            parts.append(char)
            new_starts.append(starts[first])
            new_ends.append(ends[last - 1])
        done = found.end()
    return Spelled("".join((*parts, text[done:])), [*new_starts, *starts[done:]], [*new_ends, *ends[done:]])


def _meant(found: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """The characters that an escape stands for, each with its place in the text that was searched."""
    kind = found.lastgroup
    if kind == "bytes":
        yield from _of_bytes(found["bytes"], found.start())
        return
    if kind == "low":
        char = chr(0x10000 + ((int(found["high"], 16) & 0x3FF) << 10 | int(found["low"], 16) & 0x3FF))
    elif kind in ("unit", "braced", "hex"):
        char = _character(int(found[kind], 16))
    elif kind == "decimal":
        char = _character(int(found["decimal"]))
    elif kind == "control":
        char = chr(int(found[kind][1:], 8))
    elif kind == "half":
        char = str(ord(found["half"]) - ord("O"))
    else:
        char = "&" if kind == "amp" else found["sign"]
    yield char, found.start(), found.end()


def _character(code: int) -> str:
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else _BROKEN


def _of_bytes(run: str, at: int) -> Iterator[tuple[str, int, int]]:
    """UTF-8; where it is none, digits and separators of CP932 and EUC-JP, and else one character a byte."""
    data = bytearray()
    places: list[tuple[int, int]] = []
    for found in _BYTE.finditer(run):
        data.append(int(found[1], 16))
        places.append((at + found.start(), at + found.end(1)))
        if found[2]:
            data.append(ord(found[2]))
            places.append((at + found.start(2), at + found.end(2)))
    here = 0
    while here < len(data):
        char, length = _first(bytes(data[here : here + 4]))
        yield char, places[here][0], places[here + length - 1][1]
        here += length


def _first(data: bytes) -> tuple[str, int]:
    """The first character of up to four bytes, and of how many bytes it is."""
    length = 1 if data[0] < 0xC0 else 2 if data[0] < 0xE0 else 3 if data[0] < 0xF0 else 4
    try:
        return data[:length].decode(), length
    except UnicodeDecodeError:
        pass
    for code, leads in _LEADS.items():
        if data[0] in leads:
            try:
                return data[:2].decode(code), len(data[:2])
            except UnicodeDecodeError:
                pass
    return chr(data[0]), 1
