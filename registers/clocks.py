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
from typing import Final

import polars as pl

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
    rows = _rows(text, fraction[:1], zone)
    days = rows.get_column("day").unique().drop_nulls().sort().to_list()
    if not days or len(days) * 4 > text.len() or any(_names_half(day) for day in days):
        return None
    midnight = "00:00:00" + (f"{fraction[0]}000" if fraction else "") + zone
    midnights = read(tuple(day + midnight for day in days), formats)
    midnights = midnights.set(~midnights.is_between(0, _LAST_MS), None)
    at = pl.col("day").replace_strict(pl.Series(days), midnights, default=None, return_dtype=pl.Int64)
    return Quick(rows.select(at + pl.col("ms")).to_series(), not zone)


def _rows(text: pl.Series, point: str, zone: str) -> pl.DataFrame:
    """`day` (all before the clock, null where the text does not end as it should) and `ms` since its midnight."""
    end = (re.escape(point) + "[0-9]{3}" if point else "") + re.escape(zone)
    size = 8 + (4 if point else 0) + len(zone)
    whole = pl.col("text")

    def number(place: int, length: int) -> pl.Expr:
        return whole.str.slice(place - size, length).cast(pl.Int64, strict=False)

    ms = number(0, 2) * 3_600_000 + number(3, 2) * 60_000 + number(6, 2) * 1000
    return text.to_frame("text").select(
        pl.when(whole.str.contains(f"[T :]{_CLOCK}{end}$")).then(whole.str.head(-size)).alias("day"),
        (ms + number(9, 3) if point else ms).alias("ms"),
    )


def _names_half(day: str) -> bool:
    return _HALF.search(unicodedata.normalize("NFKC", day)) is not None
