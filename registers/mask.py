"""My Numbers (個人番号) are masked wherever free text may hold one, before anything is written (design §9).

Twelve digits of which the last is the check digit of 総務省令第85号 (2014), Article 5: with the digits counted from the
right without the check digit, weights 2…7 then 2…6, remainder by 11; 0 or 1 gives 0, else 11 minus the remainder.
One in ten other twelve-digit numbers passes by chance and is masked too: that is the safe side.

What looks like one stays only where it has proved to be something else: a longer run of digits (a 13-digit corporate number, a
moment), a corporate number written 1-4-4-4 or a card number written 4-4-4-4 with its own check digit right, a UUID, a hash, a
token of ours, a stamp in a format that the caller declares. Zeros that fill a field up make no longer run.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import mul
from typing import Final, overload

import numpy as np
import polars as pl

from registers.spelling import (
    CONTROL,
    DIGIT_CHARS,
    DOUBLE_CHARS,
    ODD_DIGIT_CHARS,
    SEPARATOR_CHARS,
    UNSEEN_CHARS,
    readings,
)

MASK: Final = "[個人番号]"

_WEIGHTS: Final = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 0)
_ZEROS: Final = ord("0") * sum(_WEIGHTS)
_GAP: Final = f"[{SEPARATOR_CHARS}]"

# The gates run in Polars. The first looks at all rows, for a number as it mostly stands there or for the sign of a rarer
# spelling; the second at rows with such a sign, for a digit, an unseen character or another escape that is spelt so, or for
# twelve digits parted by escapes. What passes is looked at in Python, which has look-around.
_COMMON: Final = "0-9０-９"
_PLAIN_GATE: Final = (
    f"(?:^|[^{_COMMON}])(?:[{_COMMON}]{{4}}{_GAP}{{0,3}}[{_COMMON}]{{4}}{_GAP}{{0,3}}[{_COMMON}]{{4}}"
    f"|[0０]+[1-9１-９][{_COMMON}]{{11}}|(?:[{_COMMON}]{_GAP}){{11}}[{_COMMON}])(?:$|[^{_COMMON}])"
)
_PARTED_GATE: Final = (
    f"[{_COMMON}]{{4}}(?:{_GAP}{{1,3}}[{_COMMON}]{{4}}{_GAP}{{0,3}}|{_GAP}{{0,3}}[{_COMMON}]{{4}}{_GAP}{{1,3}})[{_COMMON}]{{4}}"
    f"|(?:[{_COMMON}]{_GAP}){{11}}[{_COMMON}]|[０-９]"
)
_RARE: Final = rf"{DOUBLE_CHARS}{ODD_DIGIT_CHARS}\p{{Nd}}--{_COMMON}"
_SIGNS: Final = rf"[%\\&\x{{fffd}}{UNSEEN_CHARS}]|[[{_RARE}]]|{CONTROL}"
_FIRST_GATE: Final = f"{_SIGNS}|{_PLAIN_GATE}"
_BYTE: Final = r"(?:%|\\+x)"
_UNIT: Final = r"[%\\]+u"
_SUSPECT_BYTE: Final = (
    rf"{_BYTE}(?:0[0-8ef]|1[0-9a]|2[56]|3[0-9]|5c|7f|82(?:[o-x]|{_BYTE}(?:4f|5[0-8]))|a3{_BYTE}b|c[2cd]|d|e[0-2]"
    rf"|e3{_BYTE}8[59a]|ef{_BYTE}(?:bc{_BYTE}9|b[8b]|be{_BYTE}a0|bf)|f)"
)
_SUSPECT_UNIT: Final = rf"{_UNIT}(?:00(?:[0189ab]|2[56]|3[0-9]|5c|7f)|0[1-9a-f]|[12def]|3[12]|\{{)"
_ESCAPE: Final = rf"{_BYTE}[0-9a-f]{{2}}[@de]?|{_UNIT}[0-9a-f]{{4}}|\\+/"
_PARTED: Final = f"(?:[{SEPARATOR_CHARS}{UNSEEN_CHARS}]|{_ESCAPE})*"
_SECOND_GATE: Final = (
    rf"(?i:{_SUSPECT_BYTE}|{_SUSPECT_UNIT}|&#|&amp;|\x{{fffd}}[o-x])|[{DIGIT_CHARS}][{UNSEEN_CHARS}]|{CONTROL}[{_COMMON}]|{_PLAIN_GATE}"
    rf"|(?i:[{_COMMON}]{{4}}{_PARTED}[{_COMMON}]{{4}}{_PARTED}[{_COMMON}]{{4}})"
    rf"|[{_RARE}](?:{_GAP}{{0,3}}[{DIGIT_CHARS}{DOUBLE_CHARS}]){{2}}|(?:[{DIGIT_CHARS}{DOUBLE_CHARS}]{_GAP}{{0,3}}){{2}}[{_RARE}]"
)

# The exact reading. A digit that means a bullet or a footnote (① ²) is one in the first reading and none in the second.
_DIGIT: Final = f"[{DIGIT_CHARS}]"
_GROUPED: Final = "{d}{{4}}{g}{{0,3}}{d}{{4}}{g}{{0,3}}{d}{{4}}(?!{d})"
_SINGLE: Final = "{d}({g}){d}(?:\\1{d}){{10}}(?!\\1?{d})"
_DECIMAL: Final = r"\d"
_SHAPES: Final = {
    digit: tuple(re.compile(shape.format(d=digit, g=_GAP)) for shape in (_GROUPED, _SINGLE))
    for digit in (_DIGIT, _DECIMAL)
}
# Filled up with zeros to the width of a field: no corporate number or moment begins so.
_PADDING: Final = re.compile(rf"(?<!{_DIGIT})[0０]+$")
_ODD: Final = re.compile(f"[{ODD_DIGIT_CHARS}]")
_MAY_BE_SPELT: Final = re.compile(rf"[%\\&#\ufffd{UNSEEN_CHARS}{DOUBLE_CHARS}]")
# All that a spelt number can consist of, and all that a UUID can.
_STRETCH: Final = re.compile(
    rf"[0-9A-Fa-fuxmp%\\&#;{{}}@O-X\ufffd{DIGIT_CHARS}{DOUBLE_CHARS}{SEPARATOR_CHARS}{UNSEEN_CHARS}]{{6,}}"
)
_HASH: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:[shrp]_[0-9a-f]{16}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{32,})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_CARD: Final = re.compile(
    rf"(?<!{_DIGIT})(?=({_DIGIT}{{4}}({_GAP}){_DIGIT}{{4}}\2{_DIGIT}{{4}}\2{_DIGIT}{{4}})(?!{_DIGIT}))"
)
_CORPORATE: Final = re.compile(
    rf"(?<!{_DIGIT})(?=({_DIGIT}((?!\s){_GAP}){_DIGIT}{{4}}\2{_DIGIT}{{4}}\2{_DIGIT}{{4}})(?!{_DIGIT}))"
)

_Span = tuple[int, int]


def is_my_number(digits: str) -> bool:
    """Whether twelve ASCII digits carry the right check digit."""
    remainder = (sum(map(mul, _WEIGHTS, digits.encode())) - _ZEROS) % 11
    return int(digits[11]) == (0 if remainder <= 1 else 11 - remainder)


@overload
def mask_my_numbers(text: pl.Series, stamps: Sequence[str] = ()) -> pl.Series: ...
@overload
def mask_my_numbers(text: pl.Expr, stamps: Sequence[str] = ()) -> pl.Expr: ...
def mask_my_numbers(text: pl.Series | pl.Expr, stamps: Sequence[str] = ()) -> pl.Series | pl.Expr:
    """Replace every My Number in free text by `[個人番号]`.

    Found in ASCII, full-width and all other compatibility digits, also with characters between them that are not seen, and as
    URLs, JSON, HTML and web servers' logs spell them, up to four layers deep; together, 4-4-4 with up to three blanks,
    hyphens, ー ・ . / _ + in a gap, or digit by digit with the same one in every gap.

    Args:
        text: String series or expression.
        stamps: strptime formats; what they read stays (a moment of twelve digits, `%Y%m%d%H%M`).

    Returns:
        The same, masked; nulls stay null.
    """
    formats = tuple(form for form in stamps if "%" in form)
    if isinstance(text, pl.Expr):
        return text.map_batches(lambda series: _mask(series, formats), return_dtype=pl.String)
    return _mask(text, formats)


def may_hold_my_numbers(text: pl.Expr) -> pl.Expr:
    """Boolean: false where a text certainly holds none; null where it is null."""
    return text.str.contains(_FIRST_GATE)


def mask_text(text: str) -> str:
    """One text, masked like a series of them; for what a program says itself (a log line, a name of a file)."""
    return _mask_one(text, ())


def _suspects(text: pl.Series) -> pl.Series:
    """The rows that are to be read exactly (UInt32, in no order); all others certainly hold no My Number."""
    passed = text.str.contains(_FIRST_GATE).fill_null(False).arg_true()
    if passed.is_empty():
        return passed
    rare = text.gather(passed).str.contains(_SIGNS)
    return pl.concat([_spelt(text, passed.filter(rare)), _plain(text, passed.filter(~rare))])


def _spans(text: str, stamps: Sequence[str] = ()) -> list[_Span]:
    """Where My Numbers stand in a text as it was written, by first character; they may overlap. `stamps` as above."""
    found = list(_numbers(text, stamps))
    if _MAY_BE_SPELT.search(text):
        for stretch in _STRETCH.finditer(text):
            for reading in readings(stretch.group()):
                for start, end in _numbers(reading.text, stamps):
                    found.append((stretch.start() + reading.starts[start], stretch.start() + reading.ends[end - 1]))
    return sorted(found)


def _mask(text: pl.Series, stamps: tuple[str, ...]) -> pl.Series:
    rows = _suspects(text)
    if rows.is_empty():
        return text
    masked = [_mask_one(line, stamps) for line in text.gather(rows).to_list()]
    return text.clone().scatter(rows, pl.Series(masked, dtype=pl.String))


def _spelt(text: pl.Series, rows: pl.Series) -> pl.Series:
    """Which of the rows with the sign of a rarer spelling are to be read exactly."""
    return rows.filter(text.gather(rows).str.contains(_SECOND_GATE)) if rows.len() else rows


def _plain(text: pl.Series, rows: pl.Series) -> pl.Series:
    """Which of the other rows are: those with a gap, and those with twelve ASCII digits in a row and the right check digit.

    Ids of twelve digits are common, so their check digits are reckoned all at once.
    """
    if rows.is_empty():
        return rows
    some = text.gather(rows)
    parted = some.str.contains(_PARTED_GATE)
    runs = pl.DataFrame({"row": rows, "run": some.str.extract_all("[0-9]{12,}")}).filter(~parted).explode("run")
    padded = pl.col("run").str.len_bytes() > len(_WEIGHTS)
    runs = runs.with_columns(run=pl.when(padded).then(pl.col("run").str.strip_chars_start("0")).otherwise("run"))
    runs = runs.filter(pl.col("run").str.len_bytes() == len(_WEIGHTS))
    text_of_all = "".join(runs.get_column("run").to_list()).encode()
    digits = np.frombuffer(text_of_all, dtype=np.uint8).reshape(-1, len(_WEIGHTS)).astype(np.int64) - ord("0")
    remainder = digits @ np.array(_WEIGHTS) % 11
    right = digits[:, -1] == np.where(remainder <= 1, 0, 11 - remainder)
    return pl.concat([rows.filter(parted), runs.get_column("row").filter(pl.Series(right, dtype=pl.Boolean)).unique()])


def _mask_one(text: str, stamps: tuple[str, ...]) -> str:
    """The text with a mask over each number; those that overlap get one together."""
    parts = []
    done = 0
    for start, end in _spans(text, stamps):
        if start >= done:
            parts += [text[done:start], MASK]
        done = max(done, end)
    return "".join((*parts, text[done:]))


def _numbers(text: str, stamps: Sequence[str]) -> Iterator[_Span]:
    """Places of My Numbers as they stand in a text without escapes; they may overlap."""
    others: list[_Span] | None = None
    for digit in (_DIGIT, _DECIMAL) if _ODD.search(text) else (_DIGIT,):
        for start, end in _of_twelve(text, digit):
            if not is_my_number(_ascii(text[start:end])) or _is_stamp(text[start:end], stamps):
                continue
            others = _other_numbers(text) if others is None else others
            at = bisect(others, (start, len(text))) - 1
            if at < 0 or end > others[at][1]:
                yield start, end


def _of_twelve(text: str, digit: str) -> Iterator[_Span]:
    """Places of twelve digits, together or parted, that are no part of a longer row."""
    is_digit = re.compile(digit).match
    for shape in _SHAPES[digit]:
        found = shape.search(text)
        while found:
            start, end = found.span()
            gap = found[1] if found.lastindex else ""
            row_goes_on = gap and text.startswith(gap, start - 1) and start > 1 and is_digit(text, start - 2)
            if not (row_goes_on or (start and is_digit(text, start - 1))) or _is_padded(text, start, end):
                yield start, end
            # The number may begin in the middle of what was no number: 2026 1234 5678 9018.
            found = shape.search(text, start + 1)


def _is_padded(text: str, start: int, end: int) -> bool:
    """Whether nothing but zeros stands before twelve digits in a row that do not begin with one."""
    before = text[max(0, start - 20) : start]
    return end - start == len(_WEIGHTS) and text[start] not in "0０" and bool(_PADDING.search(before))


def _ascii(text: str) -> str:
    if text.isascii() and text.isdigit():
        return text
    return "".join(str(unicodedata.digit(char)) for char in text if unicodedata.digit(char, None) is not None)


def _other_numbers(text: str) -> list[_Span]:
    """Places of what has proved to be something else, in order; those that overlap are one."""
    cards = [found.span(1) for found in _CARD.finditer(text) if _is_card(_ascii(found[1]))]
    corporate = [found.span(1) for found in _CORPORATE.finditer(text) if _is_corporate(_ascii(found[1]))]
    merged: list[_Span] = []
    for start, end in sorted([*cards, *corporate, *(found.span() for found in _HASH.finditer(text))]):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _is_card(digits: str) -> bool:
    """Sixteen digits that a card number can begin with (ISO/IEC 7812: 2221–2720, 3 to 6), and Luhn's check digit."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    known = digits[0] in "3456" or 2221 <= int(digits[:4]) <= 2720
    return known and (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def _is_corporate(digits: str) -> bool:
    """Thirteen digits with the check digit, in front, of 財務省令第70号 (2014): 9 less the remainder by 9 of the sum weighted 1, 2, 1 …"""
    weighted = sum(int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits[1:])))
    return int(digits[0]) == 9 - weighted % 9


def _is_stamp(text: str, stamps: Sequence[str]) -> bool:
    for form in stamps:
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return True
    return False
