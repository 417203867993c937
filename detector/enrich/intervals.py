"""Registers as sorted arrays: who or what was valid when, for millions of events at a time.

A join of events with intervals multiplies rows; here every event finds its row by binary search in arrays that are
sorted once per site. The cost is the same whether a subject has one basis or fifty, and nothing is ever multiplied.
All moments are Int64 UTC milliseconds, all intervals closed at both ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BEGINNING: Final = -(2**61)
FOREVER: Final = 2**61
DAY_MS: Final = 86_400_000


class Codes:
    """Texts as small integers, in sorted order, so that keys of several columns can be packed into one number."""

    def __init__(self, *columns: pl.Series) -> None:
        texts = [column.cast(pl.String) for column in columns] or [pl.Series([], dtype=pl.String)]
        self.texts: pl.Series = pl.concat([t.alias("text") for t in texts]).drop_nulls().unique().sort()
        self._frame = pl.DataFrame({"text": self.texts, "code": np.arange(len(self.texts), dtype=np.int64)})

    def __len__(self) -> int:
        return len(self.texts)

    def encode(self, texts: pl.Series) -> Ints:
        """One code per text, in order; −1 where the text is null or was never declared."""
        if not len(self.texts) or not len(texts):
            return np.full(len(texts), -1, dtype=np.int64)
        left = texts.cast(pl.String).alias("text").to_frame()
        joined = left.join(self._frame, on="text", how="left", maintain_order="left")
        return joined["code"].fill_null(-1).to_numpy()


def pack(*columns: tuple[Ints, int]) -> Ints:
    """Combine codes into one key: `pack((person, len(persons)), (system, len(systems)))`; −1 where any code is −1."""
    key = np.zeros(len(columns[0][0]), dtype=np.int64)
    bad = np.zeros(len(key), dtype=np.bool_)
    for codes, size in columns:
        key = key * max(size, 1) + codes
        bad |= codes < 0
    return np.where(bad, -1, key)


def starts(moments: pl.Series) -> Ints:
    """Beginnings of validity, open ones as `BEGINNING`."""
    return moments.cast(pl.Int64).fill_null(BEGINNING).to_numpy()


def ends(moments: pl.Series) -> Ints:
    """Ends of validity, open ones as `FOREVER`."""
    return moments.cast(pl.Int64).fill_null(FOREVER).to_numpy()


class Index:
    """Entries ordered by (key, moment, row); finds the last one of a key at or before a moment."""

    def __init__(self, keys: Ints, moments: Ints) -> None:
        kept = np.flatnonzero(keys >= 0)
        order = kept[np.lexsort((kept, moments[kept], keys[kept]))]
        self.order: Ints = order
        self.rank: Ints
        self._keys, self.rank = np.unique(keys[order], return_inverse=True)
        self._moments = np.unique(moments[order])
        place = (self.rank.astype(np.int64) << 32) | np.searchsorted(self._moments, moments[order])
        self._place = place
        self._first = np.searchsorted(self.rank, np.arange(len(self._keys)))

    def before(self, keys: Ints, times: Ints) -> Ints:
        """Place in `order` of the last entry with moment ≤ time, per query; −1 if there is none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if not len(self._keys):
            return found
        rank = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        asked = np.flatnonzero(self._keys[rank] == keys)
        rank = rank[asked]
        sought = (rank << 32) | np.searchsorted(self._moments, times[asked], side="right")
        place = np.searchsorted(self._place, sought) - 1
        found[asked] = np.where(place >= self._first[rank], place, -1)
        return found

    def has(self, keys: Ints) -> Bools:
        """Whether the key occurs at all."""
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.bool_)
        rank = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray(self._keys[rank] == keys)


class Timeline:
    """Rows with validity. Where several are valid, the one that became valid last wins; of equals, the later row."""

    def __init__(self, keys: Ints, start: Ints, end: Ints) -> None:
        self._index = Index(keys, start)
        self._end = end[self._index.order]
        self._outer = _outer(self._index.rank, self._end)

    def row(self, keys: Ints, times: Ints) -> Ints:
        """Row of the register valid for each key at each time; −1 if there is none."""
        place = self._index.before(keys, times)
        open_ = np.flatnonzero(place >= 0)
        while len(open_):
            open_ = open_[self._end[place[open_]] < times[open_]]
            place[open_] = self._outer[place[open_]]
            open_ = open_[place[open_] >= 0]
        return _rows(self._index.order, place)

    def has(self, keys: Ints) -> Bools:
        """Whether the register has a row for the key at any time."""
        return self._index.has(keys)


def last(keys: Ints, moments: Ints) -> Timeline:
    """A timeline that answers with the row whose moment is the latest one at or before the time, and never ends."""
    return Timeline(keys, moments, np.full(len(moments), FOREVER, dtype=np.int64))


def _outer(rank: Ints, end: Ints) -> Ints:
    """For each entry the nearest one before it, of the same key, that ends later: where to look when it is over."""
    outer = np.full(len(rank), -1, dtype=np.int64)
    alone = np.bincount(rank, minlength=1)[rank] == 1 if len(rank) else np.zeros(0, dtype=np.bool_)
    several = np.flatnonzero(~alone)
    stack: list[int] = []
    key = -1
    for i in several.tolist():
        if rank[i] != key:
            stack.clear()
            key = rank[i]
        while stack and end[stack[-1]] <= end[i]:
            stack.pop()
        if stack:
            outer[i] = stack[-1]
        stack.append(i)
    return outer


class Cover:
    """Union of the intervals of each key. Intervals that touch (a renewal the next millisecond) are one."""

    def __init__(self, keys: Ints, start: Ints, end: Ints) -> None:
        merged = _merged(keys, start, end)
        self._start = merged["start"].to_numpy()
        self._end = merged["end"].to_numpy()
        self._index = Index(merged["key"].to_numpy(), self._start)
        self._start, self._end = self._start[self._index.order], self._end[self._index.order]

    def covers(self, keys: Ints, times: Ints) -> Bools:
        """Whether an interval of the key covers the time."""
        place = self._index.before(keys, times)
        return self._within(place, times)

    def begun(self, keys: Ints, times: Ints) -> Bools:
        """Whether an interval of the key began at or before the time."""
        return np.asarray(self._index.before(keys, times) >= 0)

    def since(self, keys: Ints, times: Ints) -> Ints:
        """Beginning of the unbroken interval that covers the time; `FOREVER` if none does, `BEGINNING` if open."""
        place = self._index.before(keys, times)
        within = self._within(place, times)
        result = np.full(len(keys), FOREVER, dtype=np.int64)
        result[within] = self._start[place[within]]
        return result

    def ended(self, keys: Ints, times: Ints) -> Ints:
        """Latest end before the time where nothing covers it; `BEGINNING` if there is none."""
        place = self._index.before(keys, times)
        over = (place >= 0) & ~self._within(place, times)
        result = np.full(len(keys), BEGINNING, dtype=np.int64)
        result[over] = self._end[place[over]]
        return result

    def has(self, keys: Ints) -> Bools:
        """Whether the key has an interval at any time."""
        return self._index.has(keys)

    def _within(self, place: Ints, times: Ints) -> Bools:
        if not len(self._end):
            return np.zeros(len(place), dtype=np.bool_)
        return np.asarray((place >= 0) & (self._end[place] >= times))


def _merged(keys: Ints, start: Ints, end: Ints) -> pl.DataFrame:
    # An interval that ends before it begins (two dates swapped by hand) covers nothing.
    frame = pl.DataFrame({"key": keys, "start": start, "end": end}).filter(
        (pl.col("key") >= 0) & (pl.col("start") <= pl.col("end"))
    )
    reach = pl.col("end").cum_max().shift(1).over("key")
    return (
        frame.sort("key", "start", "end")
        .with_columns((reach.is_null() | (pl.col("start") > reach + 1)).cum_sum().alias("piece"))
        .group_by("piece", maintain_order=True)
        .agg(pl.col("key").first(), pl.col("start").first(), pl.col("end").max())
    )


def _rows(order: Ints, place: Ints) -> Ints:
    if not len(order):
        return np.full(len(place), -1, dtype=np.int64)
    return np.where(place >= 0, order[place], -1)
