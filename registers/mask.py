"""My Numbers (個人番号) are masked wherever free text may hold one, before anything is written (design §9).

Twelve digits of which the last is the check digit of 総務省令第85号 (2014), Article 5: with the digits counted from the
right without the check digit, weights 2…7 then 2…6, remainder by 11; 0 or 1 gives 0, else 11 minus the remainder.
One in eleven other twelve-digit numbers passes by chance and is masked too: that is the safe side.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, overload

import polars as pl

MASK: Final = "[個人番号]"

# All characters that NFKC turns into one ASCII digit (０ ① ² 𝟎 …): the text around them stays as it was written.
_DIGITS: Final = {
    char: unicodedata.normalize("NFKC", char)
    for code in (*range(0x30, 0x3A), *range(0xB2, 0xBA), *range(0x2070, 0x208A), *range(0x2460, 0x2469), 0x24EA,
                 *range(0xFF10, 0xFF1A), *range(0x1D7CE, 0x1D800), *range(0x1FBF0, 0x1FBFA))
    if re.fullmatch("[0-9]", unicodedata.normalize("NFKC", char := chr(code)))
}  # fmt: skip
_TO_ASCII: Final = str.maketrans(_DIGITS)
_DIGIT: Final = "[" + "".join(_DIGITS) + "]"
_NO_DIGIT: Final = "[^" + "".join(_DIGITS) + "]"
_HYPHEN: Final = "[\\-\u00ad\u2010-\u2015\u2212\u30fc\ufe58\ufe63\uff0d\uff70]"
_GAP: Final = f"(?:{_HYPHEN}|[ \u00a0\u2000-\u200a\u202f\u3000])"
_FOUR: Final = f"{_DIGIT}{{4}}"
_GROUPS: Final = f"{_FOUR}{_GAP}?{_FOUR}{_GAP}?{_FOUR}"
# The gate runs in Polars over all rows; only rows that pass it are looked at in Python, which has look-around.
_GATE: Final = f"(?:^|{_NO_DIGIT}){_GROUPS}(?:$|{_NO_DIGIT})"
# With hyphens, a group more beside it makes another number: a card (4-4-4-4), a corporate number (1-4-4-4).
_LONGER_BEFORE: Final = "".join(
    f"(?<!{edge}{group}{_HYPHEN})" for group in (_DIGIT, _FOUR) for edge in ("^", _NO_DIGIT)
)
_NUMBER: Final = re.compile(
    f"(?<!{_DIGIT})(?:{_DIGIT}{{12}}|{_LONGER_BEFORE}{_GROUPS}(?!{_HYPHEN}{_FOUR}))(?!{_DIGIT})"
)
_WEIGHTS: Final = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def is_my_number(digits: str) -> bool:
    """Whether twelve ASCII digits carry the right check digit."""
    remainder = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits[:11], strict=True)) % 11
    return int(digits[11]) == (0 if remainder <= 1 else 11 - remainder)


@overload
def mask_my_numbers(text: pl.Series) -> pl.Series: ...
@overload
def mask_my_numbers(text: pl.Expr) -> pl.Expr: ...
def mask_my_numbers(text: pl.Series | pl.Expr) -> pl.Series | pl.Expr:
    """Replace every My Number in free text by `[個人番号]`.

    Found in ASCII, full-width and other compatibility digits, together or 4-4-4 with blanks or hyphens. Longer runs of
    digits (13-digit corporate numbers, time stamps) stay.

    Args:
        text: String series or expression.

    Returns:
        The same, masked; nulls stay null.
    """
    if isinstance(text, pl.Expr):
        return text.map_batches(_mask, return_dtype=pl.String)
    return _mask(text)


def _mask(text: pl.Series) -> pl.Series:
    suspects = text.str.contains(_GATE).fill_null(False).arg_true()
    if suspects.is_empty():
        return text
    masked = [_mask_one(line) for line in text.gather(suspects).to_list()]
    return text.clone().scatter(suspects, pl.Series(masked, dtype=pl.String))


def _mask_one(text: str) -> str:
    parts = []
    done = at = 0
    while found := _NUMBER.search(text, at):
        digits = "".join(char for char in found.group().translate(_TO_ASCII) if char in "0123456789")
        if is_my_number(digits):
            parts += [text[done : found.start()], MASK]
            done = at = found.end()
        else:
            # The number may begin in the middle of what was no number: 2026 1234 5678 9018.
            at = found.start() + 1
    return "".join((*parts, text[done:]))
