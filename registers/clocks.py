"""Moments that differ in their clock only: the day is read once, the clock by slices.

A log has many thousands of moments and a handful of days. So `令和8年3月9日 08:19:05` is read as its midnight, once for
each different day, and the clock is added. That is right because every shape that takes a clock `HH:MM:SS` takes any
other one, and counts on from midnight.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

# 1970 to about 9990: far from the years where dates end.
_LAST_MS: Final = 8020 * 366 * 86_400_000
_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_ENDING: Final = re.compile(
    rf".*[T :]{_CLOCK}(?P<fraction>[.,][0-9]{{3}})?(?P<zone> ?(?:Z|JST|UTC|GMT|[+-][0-9]{{2}}:?[0-9]{{2}}))?"
)
# With half of the day named, the clock does not count on from midnight.
_HALF: Final = re.compile("午|[AP]M", re.IGNORECASE)
# Formats of which the same can be said: one clock after the day, and a zone.
_FORMAT: Final = re.compile(r"(?:[^%]|%[dmYbe])*%H:%M:%S(?:\.%f|%\.3?f)?[^%]*%:?z")

# Of the digits of a clock (HHMMSS, then milliseconds) the largest that there can be, and what each is worth.
_MOST: Final = np.array([2, 9, 5, 9, 5, 9, 9, 9, 9], dtype=np.uint8)
_MS: Final = np.array([36_000_000, 3_600_000, 600_000, 60_000, 10_000, 1_000, 100, 10, 1])

Reader = Callable[[tuple[str, ...], tuple[str, ...]], pl.Series]


@dataclass(frozen=True, slots=True)
class Quick:
    """What was read.

    Attributes:
        ms: Int64 series, milliseconds; null where a text ends in another way than the first, or is no date.
        is_wall: The texts name no zone, so it is the wall clock's time; else UTC.
    """

    ms: pl.Series
    is_wall: bool


def by_clock(text: pl.Series, formats: tuple[str, ...], read: Reader) -> Quick | None:
    """Read texts that end like the first of them, in a clock with or without fraction and zone.

    Args:
        text: String series.
        formats: strptime formats that are tried before the usual shapes.
        read: Reads a few texts properly, given them and the formats; UTC is the zone of those that name none.

    Returns:
        What was read; None where that would gain nothing.
    """
    sample = text.first()
    ending = _ENDING.fullmatch(sample) if isinstance(sample, str) else None
    if ending is None:
        return None
    fraction, zone = ending["fraction"] or "", ending["zone"] or ""
    if formats and not (zone and all(_FORMAT.fullmatch(form) for form in formats)):
        return None
    shape = "00:00:00" + (f"{fraction[0]}000" if fraction else "") + zone
    clock = _clock_ms(text, shape)
    # A log is in order, nearly: what is of one day stands together.
    day = pl.when(pl.lit(pl.Series(clock >= 0))).then(pl.col("text").str.head(-len(shape)))
    runs = text.to_frame("text").select(day.rle().alias("run")).unnest("run")
    found = runs.get_column("value").to_list()
    days = sorted({day for day in found if day is not None})
    if not days or len(days) * 4 > text.len() or any(_names_half(day) for day in days):
        return None
    midnights = read(tuple(day + shape for day in days), formats).to_list()
    known = {day: ms for day, ms in zip(days, midnights, strict=True) if ms is not None and 0 <= ms <= _LAST_MS}
    at = np.repeat([known.get(day, -1) for day in found], runs.get_column("len").to_numpy())
    return Quick(_or_null(at + clock, (at >= 0) & (clock >= 0)), not zone)


def _clock_ms(text: pl.Series, shape: str) -> NDArray[np.int64]:
    """Milliseconds since midnight of each clock, -1 where the text does not end in one written in this shape.

    The last bytes of all texts are looked at side by side, which takes a fifth of what a pattern and slices take.
    """
    size = len(shape) + 1
    end = pl.col("text").str.tail(size)
    ends = text.to_frame("text").select(
        pl.when(end.str.len_bytes() == size).then(end).otherwise(pl.lit("\0" * size)).str.join("").cast(pl.Binary)
    )
    signs = np.frombuffer(ends.item(), dtype=np.uint8).reshape(-1, size).T
    known, places, fixed = _places(shape)
    digits = signs[places] - ord("0")
    good = (digits <= _MOST[: len(places), None]).all(axis=0) & (digits[0] * 10 + digits[1] <= 23)
    good &= (signs[fixed] == known[fixed, None]).all(axis=0)
    good &= (signs[0] == ord(" ")) | (signs[0] == ord("T")) | (signs[0] == ord(":"))
    return np.where(good, (_MS[: len(places), None] * digits).sum(axis=0), -1)


@lru_cache(maxsize=16)
def _places(shape: str) -> tuple[NDArray[np.uint8], list[int], list[int]]:
    """The bytes of a shape with a sign before it, the places of its digits and those of its other signs."""
    clock = len("00:00:00.000" if shape[8:9] in (".", ",") else "00:00:00")
    digits = [1 + at for at, sign in enumerate(shape[:clock]) if sign == "0"]
    others = [at for at in range(1, len(shape) + 1) if at not in digits]
    return np.frombuffer(f" {shape}".encode(), dtype=np.uint8), digits, others


def _or_null(numbers: NDArray[np.int64], there: NDArray[np.bool_]) -> pl.Series:
    found = pl.Series(numbers)
    return found if there.all() else found.set(pl.Series(~there), None)


def _names_half(day: str) -> bool:
    return _HALF.search(unicodedata.normalize("NFKC", day)) is not None
