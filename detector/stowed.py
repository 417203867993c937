"""Events of sessions that closed, packed until their day is over: before that nobody asks for them.

A person's day is summed up when it ends, and until then all its events are needed. Packed they take a tenth of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import polars as pl

from detector import features, parcel, sessionise

# At most so many events of a day are unpacked at once.
MOST_ROWS: Final = 1_000_000
_KIND: Final = "events of days"
_VERSION: Final = 1

Stowed = tuple[bytes, ...]


def stow(rows: pl.DataFrame) -> bytes:
    """Pack events, in the columns that days are summed up from."""
    return parcel.pack(_KIND, _VERSION, {}, {"rows": rows.select(features.DAY_COLUMNS)}, {})


def days(stowed: Stowed, rows: pl.DataFrame, first: date, today: date, most: int = MOST_ROWS) -> Iterator[pl.DataFrame]:
    """The events of days that are over, some actors at a time.

    Args:
        stowed: Packed ones.
        rows: Others, in `features.DAY_COLUMNS` at least.
        first, today: The days from the first on, before today.
        most: How many are unpacked at once, or little more.

    Yields:
        Rows of `features.DAY_COLUMNS` in event order, all of an actor together; at least one frame, which may be empty.
    """
    parts = 1 + (sum(_frame(one).height for one in stowed) + rows.height) // most if stowed else 1
    for part in range(parts):
        mine = pl.col("time.date").is_between(first, today, closed="left")
        if parts > 1:
            mine &= pl.col("actor.id").hash(0) % parts == part
        pieces = [_frame(one).filter(mine) for one in stowed]
        yield sessionise.in_order(pl.concat([*pieces, rows.select(features.DAY_COLUMNS).filter(mine)]))


def left(stowed: Stowed, today: date) -> Stowed:
    """What belongs to days that are not over."""
    later: Sequence[pl.DataFrame] = [_frame(one).filter(pl.col("time.date") >= today) for one in stowed]
    return tuple(stow(one) for one in later if one.height)


def _frame(packed: bytes) -> pl.DataFrame:
    return parcel.unpack(packed, _KIND, _VERSION)[1]["rows"]
