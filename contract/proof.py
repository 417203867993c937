"""What proves that `polars.read_ndjson` read lines as the plain lane (`contract.plain`) means them.

It refuses whatever is no JSON object in UTF-8, and what is no integer or no truth value where one belongs. In silence it
skips blank lines, makes a text of whatever stands where one belongs, keeps one of two equal keys, and takes no notice of
nulls and of keys that nobody asked for. Two proofs say that nothing of that happened:

- `matching` and `accounted`, line by line: a regular expression for the line, and its keys counted against its row;
- `is_whole`, for what agents write: two counts over all bytes, at a quarter of the price. It says yes or no to all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from contract.event import FIELDS, KEYS
from contract.lines import CACHED, joined, occurrences

_SPACE: Final = r"[ \t\r]*"
# Text without escapes.
_BARE: Final = r'"[^"\\\x00-\x1f]*"'
# Text as JSON writes it, without \u0000 and without surrogates: these the plain lane judges.
_TEXT: Final = (
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:[1-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r'|0(?:[1-9a-fA-F][0-9a-fA-F]{2}|0(?:[1-9a-fA-F][0-9a-fA-F]|0[1-9a-fA-F])))))*"'
)
# Up to 18 digits: always within 64 bit. No -0, no leading zero, no fraction, no exponent.
_INT: Final = r"(?:0|-?[1-9][0-9]{0,17})"
# A key that is not spelt plainly goes to the plain lane.
_KEY_SIGN: Final = r'[^"\\\x00-\x20:,'


def _other_than(words: Iterable[str], prefix: str = "") -> str:
    """A regular expression for every text of `_KEY_SIGN`s that is none of `words` (they share `prefix`)."""
    rest = sorted({word[len(prefix)] for word in words if len(word) > len(prefix)})
    ways = [_KEY_SIGN + re.escape("".join(rest)) + "]" + _KEY_SIGN + "]*"]
    for sign in rest:
        longer = prefix + sign
        ways.append(re.escape(sign) + _other_than([word for word in words if word.startswith(longer)], longer))
    if prefix not in words:
        ways.append("")
    return "(?:" + "|".join(ways) + ")"


def _either(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in words) + ")"


def _pattern(text: str, space: str) -> str:
    """A regular expression that matches a line only if it is one flat object whose known keys have right values."""
    colon, comma = f":{space}", f"{space},{space}"  # a blank before a colon would make equal keys look different
    values = {"str": text, "int": _INT, "bool": "(?:true|false)"}
    other = rf"(?:{text}|{_INT}(?:\.[0-9]{{1,9}})?|true|false|null)"
    members = [f'"{_other_than(KEYS)}"{colon}{other}', f'"{_either(KEYS)}"{colon}null']
    members += [f'"{re.escape(known.key)}"{colon}"{_either(known.values)}"' for known in FIELDS if known.values]
    for kind, value in values.items():
        free = (known.key for known in FIELDS if known.kind == kind and not known.values)
        members.append(f'"{_either(free)}"{colon}{value}')
    member = "(?:" + "|".join(members) + ")"
    return rf"^{space}\{{{space}{member}(?:{comma}{member})*{space}\}}{space}$"


_LINE: Final = _pattern(_TEXT, _SPACE)
# What agents write matches this but for a few lines, and it is a third cheaper; others fail at their first blank.
_PLAIN_LINE: Final = _pattern(_BARE, "")
# In a line that matches `_LINE` these occur at its keys only: no value's closing quote is followed by a colon, a quote
# inside a value has a backslash before it, and no key has one.
KNOWN: Final = f'"{_either(KEYS)}":'
_KNOWN_NULL: Final = f'"{_either(KEYS)}":{_SPACE}null'
KEY: Final = f'"{_KEY_SIGN}]*":'


def matching(lines: pl.Series) -> pl.Series:
    """Which lines are one flat object whose known keys have right values; null where a line is."""
    plainly = lines.str.contains(_PLAIN_LINE)
    rest = (~plainly).arg_true()
    return plainly.scatter(rest, lines.gather(rest).str.contains(_LINE)) if len(rest) else plainly


def accounted(buffer: bytes, lines: pl.Series, frame: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
    """Which rows hold all that their lines say: no key twice, and none that was not read.

    A key has two quotes and a text two more, so where every line has just the quotes that its row accounts for, all
    is well at once. Other lines have nulls or unknown keys, which is no harm, or the two things looked for: these lines
    (the second result), and those with escaped quotes if there are any others, have their keys counted.
    """
    if _quotes_in(buffer) == sum((len(frame) - column.null_count()) * _quotes(column.dtype) for column in frame):
        return pl.repeat(True, len(frame), eager=True, dtype=pl.Boolean), None
    present = [pl.col(column.name).is_not_null().cast(pl.Int64) for column in frame]
    counts = frame.select(
        keys=pl.sum_horizontal(present),
        quotes=pl.sum_horizontal(flag * _quotes(column.dtype) for flag, column in zip(present, frame, strict=True)),
    ).with_columns(lines.alias("line"))
    odd = counts.select(
        pl.col("line").str.count_matches('"', literal=True).cast(pl.Int64) != pl.col("quotes")
    ).to_series()
    taken = (~odd).to_numpy(writable=True)
    taken[odd.to_numpy()] = counts.filter(odd).select(_given_once()).to_series().to_numpy()
    return pl.Series(taken), odd


def _quotes_in(buffer: bytes) -> int:
    """Quotes that open or close a text, in proven lines."""
    quotes = occurrences(buffer, '"')
    if b"\\" not in buffer:
        return quotes
    signs = np.frombuffer(buffer, np.uint8)
    slashes = np.flatnonzero(signs == ord("\\"))
    # Of backslashes in a row every other one is escaped itself.
    place = np.arange(len(slashes))
    begins = np.append(True, np.diff(slashes) != 1)
    escapes = (place - np.maximum.accumulate(np.where(begins, place, 0))) % 2 == 0
    return quotes - int(np.count_nonzero(signs[slashes[escapes] + 1] == ord('"')))


def _given_once() -> pl.Expr:
    """Whether `keys`, the number of values read, is the number of known keys in `line`, all different.

    Where nothing is null the numbers decide, for of two equal keys one value is lost. A null hides that, so there the
    keys themselves are compared, which costs more.
    """
    line, keys = pl.col("line").str, pl.col("keys")
    known, nulls = line.count_matches(KNOWN).cast(pl.Int64), line.count_matches(_KNOWN_NULL).cast(pl.Int64)
    spelt = pl.when(nulls > 0).then(pl.col("line")).str.extract_all(KNOWN).list.n_unique().cast(pl.Int64)
    return (known == keys + nulls) & ((nulls == 0) | (known == spelt))


def _quotes(dtype: pl.DataType) -> int:
    return 4 if dtype == pl.String else 2


class Counts(NamedTuple):
    """What there is in lines: quotes; places where a small letter stands before `":"`; quotes beside a quote."""

    quotes: int
    texts: int
    blank: int


def count(buffer: bytes) -> Counts:
    """Count a piece at a time, of a size that stays in the processor's cache."""
    signs = np.frombuffer(buffer, np.uint8)
    quotes = texts = blank = 0
    for start in range(0, len(signs), CACHED):
        block = signs[start : start + CACHED + 3]
        quote = block == ord('"')
        quotes += int(np.count_nonzero(quote[:CACHED]))
        blank += int(np.count_nonzero(quote[1:] & quote[:-1]))
        place = block[:-3] - np.uint8(ord("a")) < 26  # what is less than an a is great then
        place &= quote[1:-2]
        place &= quote[3:]
        place &= block[2:-1] == ord(":")
        texts += int(np.count_nonzero(place))
    return Counts(quotes, texts, blank)


def is_whole(counts: Counts, buffer: bytes, lines: pl.Series, frame: pl.DataFrame) -> bool:
    """Whether the rows are the lines, each with all that its line says and nothing else; values may be out of bounds.

    In JSON without backslashes every quote opens or closes a text, and `":"` behind a letter stands only where a key
    ends and a text begins; each known key ends with a letter. Say that x values became texts that were none; that u
    members were not read (unknown, lost or null; at any depth), t of them with a text, t' <= t of these behind such a
    `":"`; and that w texts that were read have a blank beside their colon. Then

        quotes - those of what was read = 2u + 2t - 2x + those of texts in lists
        places of such a `":"` - texts that were read = t' - w - x

    If both are 0, then x = t' - w, hence u + t - t' + w <= 0, and each of u, w and x is 0. Lines with backslashes are
    proven one by one and left out of the counts.

    Args:
        counts: Of the buffer.
        buffer: Lines with their newlines.
        lines: The same, none null.
        frame: What `read_ndjson` made of them, in one piece.
    """
    if frame.height != len(lines):
        return False
    (quotes, texts, _), read = counts, _expected(frame)
    if b"\\" in buffer:
        escaped = lines.str.contains("\\", literal=True)
        few, own = lines.filter(escaped), frame.filter(escaped)
        written = joined(few + "\n")
        if not few.str.contains(_LINE).all() or accounted(written, few, own)[1] is not None:
            return False
        apart, own_read = count(written), _expected(own)
        quotes, texts = quotes - apart.quotes, texts - apart.texts
        read = read[0] - own_read[0], read[1] - own_read[1]
    return (quotes, texts) == read


def _expected(frame: pl.DataFrame) -> tuple[int, int]:
    """Quotes, and places where a text begins, by what was read."""
    missing = frame.null_count().row(0)
    filled = [(dtype == pl.String, len(frame) - nulls) for dtype, nulls in zip(frame.dtypes, missing, strict=True)]
    texts = sum(count for is_text, count in filled if is_text)
    return 2 * texts + 2 * sum(count for _, count in filled), texts
