"""Events that are held until their session is closed and their day is over.

The newest lie as they came; from some number on they are made narrow (`detector.narrow`), so that a million open sessions
do not fill the memory. Events are looked for by their session, and given back in event order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import polars as pl

from detector import narrow, sessionise
from detector.narrow import Mask, Narrow

# Pieces are joined until they are so large.
_LARGE_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Held:
    """Events, in `features.ROWS`.

    Attributes:
        fresh: As they came; without columns as long as there was none.
        pieces: The others, the largest first.
    """

    fresh: pl.DataFrame = field(default_factory=pl.DataFrame)
    pieces: tuple[Narrow, ...] = ()

    @property
    def height(self) -> int:
        """How many events."""
        return self.fresh.height + sum(piece.height for piece in self.pieces)

    def of(self, sessions: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
        """The events of some sessions, in event order."""
        if not self.fresh.width:
            return self.fresh
        found = [self.fresh.filter(pl.col("session").is_in(sessions.implode())).select(columns)]
        for piece in self.pieces if len(sessions) else ():
            some = piece.select(columns).filter(piece.texts["session"].among(sessions))
            if some.height:
                found.append(some.wide())
        return sessionise.in_order(pl.concat(found))


def added(held: Held, new: pl.DataFrame, most: int) -> Held:
    """With new events.

    Args:
        held: The others.
        new: In the same columns.
        most: From so many on, fresh ones are made narrow.
    """
    fresh = _appended(held.fresh, new)
    if fresh.height < most:
        return replace(held, fresh=fresh)
    return Held(fresh.clear(), _few((*held.pieces, Narrow.of(fresh))))


def _appended(rows: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Rows, and new ones behind them, in few pieces; yet what is old and large is seldom copied."""
    if not rows.width:
        return new
    together, from_ = new.height, rows.height
    for length in reversed(rows["event.id"].chunk_lengths()):
        if length > together:
            break
        together, from_ = together + length, from_ - length
    newest = pl.concat([rows[from_:], new], rechunk=True)
    return pl.concat([rows[:from_], newest]) if from_ else newest


def _few(pieces: Sequence[Narrow]) -> tuple[Narrow, ...]:
    """The same rows in few pieces; what is large is seldom copied."""
    ordered = sorted((piece for piece in pieces if piece.height), key=lambda piece: -piece.height)
    while len(ordered) > 1 and ordered[-2].height < 2 * ordered[-1].height <= _LARGE_ROWS:
        last = [ordered.pop(), ordered.pop()]
        ordered.append(narrow.joined(last[::-1]))
        ordered.sort(key=lambda piece: -piece.height)
    return tuple(ordered)


def kept(held: Held, stays: Sequence[Mask]) -> Held:
    """What a mask of each part says, as `among` and `since` give them."""
    pieces = [piece.filter(mask) for piece, mask in zip(held.pieces, stays[1:], strict=True)]
    return Held(held.fresh.filter(pl.Series(stays[0])), _few(pieces))


def others(held: Held, stays: Sequence[Mask]) -> list[Narrow]:
    """What does not stay, in pieces."""
    gone = [piece.filter(~mask) for piece, mask in zip(held.pieces, stays[1:], strict=True)]
    return [*gone, Narrow.of(held.fresh.filter(pl.Series(~stays[0])))]


def among(held: Held, sessions: pl.Series) -> list[Mask]:
    """Which events are of these sessions: of the fresh ones, and of each piece."""
    fresh = held.fresh["session"].is_in(sessions.implode()).to_numpy()
    return [fresh, *(piece.texts["session"].among(sessions) for piece in held.pieces)]


def since(held: Held, day: date) -> list[Mask]:
    """Which events are of this day or later: of the fresh ones, and of each piece."""
    dates = [held.fresh["time.date"], *(piece.numbers["time.date"] for piece in held.pieces)]
    return [(one >= day).fill_null(False).to_numpy() for one in dates]


def spans(held: Held, sessions: pl.Series) -> pl.DataFrame:
    """`session`, `_first` and `_last` (UTC ms) of those of these sessions that have events."""
    at = pl.col("time.occurred")
    rows = held.of(sessions, ["session", "time.occurred", "event.action", "event.id"])
    return rows.group_by("session").agg(at.min().alias("_first"), at.max().alias("_last"))
