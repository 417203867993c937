"""Events of sessions that closed, packed until their day is over: before that nobody asks for them.

A person's day is summed up when it ends, and until then all its events are needed. Packed they take a thirtieth of the memory.
Where there are many, they are packed by shares of the actors, so that a day that ends is unpacked share by share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from detector import features, narrow, parcel, sessionise
from detector.held import Held
from detector.narrow import Narrow

# At most about so many events of a day are unpacked at once; a single actor may have more.
MOST_ROWS: Final = 250_000
# How many shares of the actors there are, and how many pieces of all actors before they are parted.
_SHARES: Final = 32
_WHOLE: Final = 16
_ALL: Final = -1
_KIND: Final = "events of days"
_VERSION: Final = 2


class Packed(NamedTuple):
    """Some events.

    Attributes:
        rows: How many.
        last: The last day of them.
        share: Of which actors; -1 for all.
        data: The events, in `features.DAY_COLUMNS`.
    """

    rows: int
    last: date
    share: int
    data: bytes


Stowed = tuple[Packed, ...]


def stow(stowed: Stowed, pieces: Sequence[Narrow], whole: int = _WHOLE) -> Stowed:
    """Pack events besides others that are packed.

    Args:
        stowed: The others.
        pieces: Events in `features.DAY_COLUMNS` at least; those of nobody are left out.
        whole: From so many pieces of all actors on, they are parted into shares.
    """
    some = [one for one in (_of_days(piece, None) for piece in pieces) if one.height]
    if not some:
        return stowed
    stowed = (*stowed, _packed(narrow.joined(some), _ALL))
    together = [one for one in stowed if one.share == _ALL]
    if len(together) < whole:
        return stowed
    rows = narrow.joined([_unpacked(one) for one in together])
    share = rows.texts["actor.id"].hashes() % _SHARES
    parts = [(rows.filter(share == number), number) for number in range(_SHARES)]
    return (*(one for one in stowed if one.share != _ALL), *(_packed(*part) for part in parts if part[0].height))


def days(stowed: Stowed, held: Held, first: date, today: date, most: int = MOST_ROWS) -> Iterator[pl.DataFrame]:
    """The events of days that are over, some actors at a time.

    Args:
        stowed: Packed ones.
        held: Others.
        first, today: The days from the first on, before today.
        most: How many are unpacked at once, or little more.

    Yields:
        Rows of `features.DAY_COLUMNS` in event order, all of an actor together; at least one frame, which may be empty.
    """
    span = (first, today)
    fresh = held.fresh.select(features.DAY_COLUMNS).filter(
        pl.col("actor.id").is_not_null() & pl.col("time.date").is_between(first, today, closed="left")
    )
    others = [_of_days(piece, span) for piece in held.pieces]
    if held.height + sum(one.rows for one in stowed) <= most:
        others += [_of_days(_unpacked(one), span) for one in stowed]
        yield sessionise.in_order(pl.concat([fresh, *(piece.wide() for piece in others if piece.height)]))
        return
    others += [Narrow.of(fresh), *(_of_days(_unpacked(one), span) for one in stowed if one.share == _ALL)]
    hashed = [(piece, piece.texts["actor.id"].hashes()) for piece in others if piece.height]
    yield fresh.clear()
    for share in range(_SHARES):
        mine = [piece.filter(hashes % _SHARES == share) for piece, hashes in hashed]
        mine += [_of_days(_unpacked(one), span) for one in stowed if one.share == share]
        yield from _portions([piece for piece in mine if piece.height], most)


def _portions(pieces: Sequence[Narrow], most: int) -> Iterator[pl.DataFrame]:
    """A share of the actors, some of them at a time."""
    if not pieces:
        return
    rows = narrow.joined(pieces)
    count = -(-rows.height // most)
    part = rows.texts["actor.id"].hashes() // _SHARES % count
    for number in range(count):
        yield sessionise.in_order(rows.filter(part == number).wide())


def left(stowed: Stowed, today: date) -> Stowed:
    """What belongs to days that are not over."""
    kept: list[Packed] = []
    for one in stowed:
        if one.last < today:
            continue
        rows = _unpacked(one)
        later = rows.filter((rows.numbers["time.date"] >= today).to_numpy())
        kept.append(one if later.height == one.rows else _packed(later, one.share))
    return tuple(kept)


def _of_days(piece: Narrow, span: tuple[date, date] | None) -> Narrow:
    """Events of somebody, on days from the first on and before another, in `features.DAY_COLUMNS`."""
    mask = piece.texts["actor.id"].present()
    if span is not None:
        mask &= piece.numbers["time.date"].is_between(*span, closed="left").fill_null(False).to_numpy()
    return piece.select(features.DAY_COLUMNS).filter(mask)


def _packed(rows: Narrow, share: int) -> Packed:
    last = rows.numbers["time.date"].max()
    assert isinstance(last, date)
    return Packed(rows.height, last, share, parcel.pack(_KIND, _VERSION, *rows.parts(), {}))


def _unpacked(packed: Packed) -> Narrow:
    header, frames, _ = parcel.unpack(packed.data, _KIND, _VERSION)
    return Narrow.of_parts(header, frames)
