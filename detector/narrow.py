"""Frames in little memory: texts as numbers of words, ids of hexadecimal digits as numbers, whole numbers as short as they are.

A column of texts takes 16 bytes a row in Polars even where it is empty. Of the same rows in the same pieces the same is made,
to the byte.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Each = TypeVar("Each", bound=np.generic)

# Hexadecimal digits that make a number of eight bytes, and the longest sign before them that is taken off.
_DIGITS: Final = 16
_SIGN: Final = 4
# Of fewer words it is not worth while.
_MANY: Final = 500
# Frames that make one.
PARTS: Final = ("rows", "words", "numbers")


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts.

    Attributes:
        codes: Which word each row is, or null; None where the words are the rows (some of them null then).
        words: The words; or numbers, if `sign` is not None.
        sign: What stands before the hexadecimal digits of each word.
    """

    codes: pl.Series | None
    words: pl.Series
    sign: str | None

    @staticmethod
    def of(column: pl.Series) -> Texts:
        """The same, narrow."""
        words = column.unique(maintain_order=True).drop_nulls()
        if 2 * len(words) > len(column):
            return Texts(None, *_in_numbers(column))
        # A list, because what was cut out of a column holds on to all the texts of that column.
        kind = pl.Enum(words.to_list())
        codes = column.cast(kind).to_physical()
        return Texts(codes, *_in_numbers(words))

    def __len__(self) -> int:
        return len(self.words if self.codes is None else self.codes)

    def wide(self) -> pl.Series:
        """The texts."""
        if self.codes is None:
            return _in_texts(self.words, self.sign)
        if 4 * len(self.codes) < len(self.words):
            return self._without_dead_words().wide()
        return _in_texts(self.words, self.sign).gather(self.codes)

    def taken(self, rows: Rows) -> Texts:
        """These rows, in this order."""
        places = pl.Series(rows)
        if self.codes is None:
            return replace(self, words=self.words.gather(places))
        taken = replace(self, codes=self.codes.gather(places))
        return taken._without_dead_words() if 2 * len(rows) < len(self.words) else taken

    def _without_dead_words(self) -> Texts:
        assert self.codes is not None
        alive = self.codes.unique().drop_nulls().sort()
        places = np.zeros(len(self.words), dtype=np.uint32)
        places[alive.to_numpy()] = np.arange(len(alive), dtype=np.uint32)
        return Texts(_shortest(pl.Series(places).gather(self.codes), len(alive)), self.words.gather(alive), self.sign)

    def among(self, texts: pl.Series) -> Mask:
        """Which rows are one of these (no nulls)."""
        if self.sign is not None:
            alike = texts.filter(texts.str.contains(rf"^{re.escape(self.sign)}[0-9a-f]{{{_DIGITS}}}$"))
            texts = _in_numbers(alike, self.sign)[0] if len(alike) else pl.Series([], dtype=pl.UInt64)
        found: Mask = self.words.is_in(texts.implode()).fill_null(False).to_numpy()
        return found if self.codes is None else _by_code(found, self.codes, False)

    def present(self) -> Mask:
        """Which rows are not null."""
        return (self.words if self.codes is None else self.codes).is_not_null().to_numpy()

    def hashes(self) -> NDArray[np.uint32]:
        """A number for each row, which depends on nothing but its text; 0 for null."""
        words = _in_texts(self.words, self.sign).to_list()
        each = np.array([0 if word is None else zlib.crc32(word.encode()) for word in words], dtype=np.uint32)
        return each if self.codes is None else _by_code(each, self.codes, 0)


def _by_code(each: NDArray[Each], codes: pl.Series, otherwise: Any) -> NDArray[Each]:
    """What holds of each word, for each row."""
    of_all: NDArray[Each] = np.append(each, otherwise).astype(each.dtype)
    places: NDArray[np.uint32] = codes.cast(pl.UInt32).fill_null(len(each)).to_numpy()
    return of_all[places]


def _shortest(codes: pl.Series, count: int) -> pl.Series:
    return codes.cast(pl.UInt8 if count <= 1 << 8 else pl.UInt16 if count <= 1 << 16 else pl.UInt32)


def _in_numbers(texts: pl.Series, sign: str | None = None) -> tuple[pl.Series, str | None]:
    """Texts as numbers and the sign before them, if they all are a sign and 16 digits; else as they are, and None."""
    valid = texts.drop_nulls()
    if sign is None:
        if len(valid) < max(_MANY, 1) or not _DIGITS <= len(valid[0]) <= _SIGN + _DIGITS:
            return _cut_loose(texts), None
        sign = valid[0][:-_DIGITS]
    size = len(sign) + _DIGITS
    if not ((valid.str.len_bytes() == size) & valid.str.starts_with(sign)).all():
        return _cut_loose(texts), None
    digits = "".join(valid.str.slice(len(sign)).to_list())
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return _cut_loose(texts), None
    if data.hex() != digits:
        return _cut_loose(texts), None
    numbers = pl.Series(np.frombuffer(data, dtype=">u8").astype(np.uint64))
    if len(valid) < len(texts):
        known = texts.is_not_null()
        numbers = numbers.gather(pl.select(pl.when(known).then(known.cum_sum() - 1)).to_series())
    return numbers, sign


def _in_texts(words: pl.Series, sign: str | None) -> pl.Series:
    if sign is None:
        return words
    if not len(words):
        return pl.Series([], dtype=pl.String)
    numbers = words.fill_null(0).to_numpy().astype(">u8")
    texts = pl.Series(numbers.tobytes().hex(" ", _DIGITS // 2).split(" "))
    if sign:
        texts = sign + texts
    return pl.select(pl.when(words.is_not_null()).then(texts)).to_series() if words.null_count() else texts


def _cut_loose(texts: pl.Series) -> pl.Series:
    """The same texts in memory of their own; a part of a column holds on to all of it."""
    return pl.Series(texts.to_list(), dtype=pl.String)


@dataclass(frozen=True, slots=True)
class Narrow:
    """A frame.

    Attributes:
        schema: Its columns and their types.
        numbers: Those that are no texts.
        texts: Those that are.
        height: How many rows.
    """

    schema: Mapping[str, pl.DataType]
    numbers: pl.DataFrame
    texts: Mapping[str, Texts]
    height: int

    @staticmethod
    def of(frame: pl.DataFrame) -> Narrow:
        """The same, narrow. Columns are texts, numbers, booleans and dates."""
        texts = {name: Texts.of(frame[name]) for name, kind in frame.schema.items() if kind == pl.String}
        numbers = frame.select(
            column.shrink_dtype() if column.dtype == pl.Int64 else column
            for column in frame.get_columns()
            if column.dtype != pl.String
        )
        return Narrow(dict(frame.schema), numbers.rechunk(), texts, frame.height)

    def wide(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The frame, or some of its columns."""
        return pl.DataFrame([
            self.texts[name].wide().alias(name) if name in self.texts else self.numbers[name].cast(self.schema[name])
            for name in columns or self.schema
        ])  # fmt: skip

    def taken(self, rows: Rows) -> Narrow:
        """These rows, in this order."""
        texts = {name: one.taken(rows) for name, one in self.texts.items()}
        return Narrow(self.schema, self.numbers[rows], texts, len(rows))

    def filter(self, mask: Mask) -> Narrow:
        """The rows that the mask is true for."""
        return self if mask.all() else self.taken(np.flatnonzero(mask))

    def select(self, columns: Iterable[str]) -> Narrow:
        """Some columns."""
        schema = {name: self.schema[name] for name in columns}
        numbers = self.numbers.select(name for name in schema if name not in self.texts)
        return Narrow(schema, numbers, {name: self.texts[name] for name in schema if name in self.texts}, self.height)

    def parts(self) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
        """JSON and frames, for `detector.parcel`."""
        rows, texts = self.numbers.get_columns(), {}
        words: list[pl.Series] = []
        numbers: list[pl.Series] = []
        for name in sorted(self.texts):
            one = self.texts[name]
            texts[name] = [one.sign, None if one.codes is None else len(one.words)]
            rows = [*rows, (one.words if one.codes is None else one.codes).alias(name)]
            if one.codes is not None:
                (words if one.sign is None else numbers).append(one.words.alias("word"))
        header = {"schema": [[name, str(kind)] for name, kind in self.schema.items()], "texts": texts}
        return header, {
            "rows": pl.DataFrame(rows),
            "words": pl.concat([pl.Series("word", [], dtype=pl.String), *words]).to_frame(),
            "numbers": pl.concat([pl.Series("word", [], dtype=pl.UInt64), *numbers]).to_frame(),
        }

    @staticmethod
    def of_parts(header: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> Narrow:
        """The reverse of `parts`."""
        rows, at, texts = frames["rows"], {"words": 0, "numbers": 0}, {}
        for name, (sign, count) in sorted(header["texts"].items()):
            if count is None:
                texts[name] = Texts(None, rows[name], sign)
                continue
            which = "words" if sign is None else "numbers"
            words = frames[which].to_series()[at[which] : at[which] + count]
            at[which] += count
            texts[name] = Texts(rows[name], words, sign)
        schema = {name: getattr(pl, kind)() for name, kind in header["schema"]}
        return Narrow(schema, rows.select(name for name in schema if name not in texts), texts, rows.height)


def joined(pieces: Sequence[Narrow]) -> Narrow:
    """Pieces with the same columns (at least one), one after another."""
    if len(pieces) == 1:
        return pieces[0]
    numbers = pl.concat([piece.numbers for piece in pieces], how="vertical_relaxed", rechunk=True)
    texts = {name: _joined([piece.texts[name] for piece in pieces]) for name in pieces[0].texts}
    return Narrow(pieces[0].schema, numbers, texts, sum(piece.height for piece in pieces))


def _joined(parts: Sequence[Texts]) -> Texts:
    signs = {part.sign for part in parts}
    sign = signs.pop() if len(signs) == 1 else None
    words = [part.words if sign is not None else _in_texts(part.words, part.sign) for part in parts]
    together = pl.concat(words, rechunk=True)
    if all(part.codes is None for part in parts):
        return Texts(None, together, sign)
    starts = accumulate(map(len, words), initial=0)
    codes = pl.concat([
        _coded(part).cast(pl.UInt32) + start for part, start in zip(parts, starts, strict=False)
    ], rechunk=True)  # fmt: skip
    if sign is None:
        once = together.unique(maintain_order=True).drop_nulls()
        places = together.cast(pl.Enum(once.to_list())).to_physical().cast(pl.UInt32)
        codes, together = places.gather(codes), _cut_loose(once)
    return Texts(_shortest(codes, len(together)), together, sign)


def _coded(part: Texts) -> pl.Series:
    """Codes of words that are rows."""
    if part.codes is not None:
        return part.codes
    every = pl.int_range(len(part.words), dtype=pl.UInt32, eager=True)
    return pl.select(pl.when(part.words.is_not_null()).then(every)).to_series()
