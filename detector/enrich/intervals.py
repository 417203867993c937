"""Registers as sorted arrays: who or what was valid when, for millions of events at a time.

A join of events with intervals multiplies rows; here every event finds its row by binary search in arrays that are
sorted once per site. The cost is the same whether a subject has one basis or fifty, and nothing is ever multiplied.
All moments are Int64 UTC milliseconds, all intervals closed at both ends.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BEGINNING: Final = -(2**61)
FOREVER: Final = 2**61
DAY_MS: Final = 86_400_000
# Tables up to this size stay in the processor's cache.
SMALL: Final = 4096


def search(table: npt.NDArray[Any], sought: npt.NDArray[Any]) -> Ints:
    """`numpy.searchsorted`. A large table is walked in order: jumping about in it misses the cache at every step."""
    if len(table) < SMALL:
        return np.searchsorted(table, sought)
    order = np.argsort(sought)
    found = np.empty(len(sought), dtype=np.int64)
    found[order] = np.searchsorted(table, sought[order])
    return found


class Codes:
    """Texts as small integers, in sorted order, so that keys of several columns can be packed into one number."""

    def __init__(self, *columns: pl.Series) -> None:
        texts = [column.cast(pl.String) for column in columns] or [pl.Series([], dtype=pl.String)]
        self.texts: pl.Series = pl.concat([t.alias("text") for t in texts]).drop_nulls().unique().sort()
        hashes = self.texts.hash().to_numpy()
        by_hash = np.argsort(hashes)
        self._by_hash = short(by_hash)
        self._hashes = hashes[by_hash]
        unlike = len(np.unique(self._hashes)) == len(self._hashes)
        # What looks a text up in a small table is made once; a large register is searched, which takes less memory.
        self._enum = None if len(self.texts) > SMALL and unlike else pl.Enum(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def encode(self, texts: pl.Series) -> Ints:
        """One code per text, in order; −1 where the text is null or was never declared."""
        if not len(self.texts) or not len(texts):
            return np.full(len(texts), -1, dtype=np.int64)
        texts = texts.cast(pl.String).alias("text")
        if self._enum is None:
            return self._search(texts)
        codes = pl.col("text").cast(self._enum, strict=False).to_physical().cast(pl.Int64).fill_null(-1)
        return texts.to_frame().select(codes).to_series().to_numpy()

    def _search(self, texts: pl.Series) -> Ints:
        """The same by binary search: a batch must not pay for hashing a large register."""
        found = np.minimum(search(self._hashes, texts.hash().to_numpy()), len(self._hashes) - 1)
        code = self._by_hash[found]
        same = (self.texts.gather(pl.Series(code).cast(pl.UInt32)) == texts).fill_null(False).to_numpy()
        return np.where(same, code, -1)


def short(places: Ints) -> Places:
    """Places in an array, or −1, in half the memory where the array has less than two billion entries."""
    return places.astype(np.int32) if not len(places) or int(places.max()) < 1 << 31 else places


def pack(*columns: tuple[Ints, int]) -> Ints:
    """Combine codes into one key: `pack((person, len(persons)), (system, len(systems)))`; −1 where any code is −1."""
    key, _ = columns[0]
    signs = key
    for codes, size in columns[1:]:
        key = key * max(size, 1) + codes
        signs = signs | codes
    return np.where(signs < 0, -1, key)


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
        self.order = short(order)
        distinct, rank = np.unique(keys[order], return_inverse=True)
        self.rank = short(rank)
        self._moments = np.unique(moments[order])
        self._place = (rank.astype(np.int64) << 32) | np.searchsorted(self._moments, moments[order])
        first = np.searchsorted(rank, np.arange(len(distinct)))
        newest = (np.append(first[1:], len(order)) - 1)[: len(distinct)]
        # Behind the last stands what place −1 finds: no key at all.
        self._first, self._last = short(first), short(np.append(newest, -1))
        self._newest = np.append(moments[order][newest], BEGINNING)
        self._table = _direct(distinct)
        # Of keys that a table finds only how many they are is asked.
        self._keys = distinct if self._table is None else np.broadcast_to(np.int64(0), len(distinct))

    def before(self, keys: Ints, times: Ints) -> Ints:
        """Place in `order` of the last entry with moment ≤ time, per query; −1 if there is none."""
        rank = self._rank(keys)
        found = self._last[rank].astype(np.int64)
        # A register mostly speaks of what has begun: only where something is still to come must it be searched.
        early = np.flatnonzero(self._newest[rank] > times)
        if len(early):
            rank = rank[early]
            sought = (rank << 32) | np.searchsorted(self._moments, times[early], side="right")
            place = search(self._place, sought) - 1
            found[early] = np.where(place >= self._first[rank], place, -1)
        return found

    def has(self, keys: Ints) -> Bools:
        """Whether the key occurs at all."""
        return np.asarray(self._rank(keys) >= 0)

    def _rank(self, keys: Ints) -> Ints:
        """Place of each key (−1 or more) among the distinct keys; −1 where it does not occur."""
        if not len(self._keys):
            return np.full(len(keys), -1, dtype=np.int64)
        if self._table is not None:
            return self._table[np.minimum(keys, len(self._table) - 2)].astype(np.int64)
        found = np.full(len(keys), -1, dtype=np.int64)
        asked = np.flatnonzero(keys >= 0)
        rank = np.minimum(search(self._keys, keys[asked]), len(self._keys) - 1)
        found[asked] = np.where(self._keys[rank] == keys[asked], rank, -1)
        return found


def _direct(keys: Ints) -> Places | None:
    """Where keys lie close together (codes of one column), a table from key to place instead of a search.

    The last two entries are −1, for keys above the largest one and for key −1.
    """
    if not len(keys) or keys[-1] > 4 * len(keys) + 100_000:
        return None
    table = np.full(int(keys[-1]) + 3, -1, dtype=np.int64)
    table[keys] = np.arange(len(keys))
    return short(table)


class Timeline:
    """Rows with validity. Where several are valid, the one that became valid last wins; of equals, the later row."""

    def __init__(self, keys: Ints, start: Ints, end: Ints) -> None:
        self._index = Index(keys, start)
        self._rows = short(np.append(self._index.order, -1))  # the last for place −1, here and below
        self._endless = not len(end) or int(end.min()) >= FOREVER
        end = end[:0] if self._endless else end[self._index.order]
        self._end, self._outer = np.append(end, FOREVER), _outer(self._index.rank[: len(end)], end)

    def row(self, keys: Ints, times: Ints) -> Ints:
        """Row of the register valid for each key at each time; −1 if there is none."""
        place = self._index.before(keys, times)
        over = np.flatnonzero(self._end[place] < times) if not self._endless else place[:0]
        while len(over):
            place[over] = self._outer[place[over]]
            over = over[self._end[place[over]] < times[over]]
        return self._rows[place].astype(np.int64)

    def has(self, keys: Ints) -> Bools:
        """Whether the register has a row for the key at any time."""
        return self._index.has(keys)


def last(keys: Ints, moments: Ints) -> Timeline:
    """A timeline that answers with the row whose moment is the latest one at or before the time, and never ends."""
    return Timeline(keys, moments, np.full(len(moments), FOREVER, dtype=np.int64))


def _outer(rank: Places, end: Ints) -> Places:
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
    return short(outer)


class Told(NamedTuple):
    """What the intervals of a key say of a time.

    Attributes:
        covers: Whether one covers it.
        begun: Whether one began at or before it.
        since: Beginning of the unbroken interval that covers it; `FOREVER` if none does, `BEGINNING` if open.
        ended: Latest end before it where nothing covers it; `BEGINNING` if there is none.
    """

    covers: Bools
    begun: Bools
    since: Ints
    ended: Ints


class Cover:
    """Union of the intervals of each key. Intervals that touch (a renewal the next millisecond) are one."""

    def __init__(self, keys: Ints, start: Ints, end: Ints) -> None:
        pieces, start, end = _merged(keys, start, end)
        self._index = Index(pieces, start)  # in this order already: a place is a piece
        # The last is what place −1 stands for.
        self._start, self._end = np.append(start, FOREVER), np.append(end, BEGINNING)

    def covers(self, keys: Ints, times: Ints) -> Bools:
        """Whether an interval of the key covers the time."""
        return np.asarray(self._end[self._index.before(keys, times)] >= times)

    def told(self, keys: Ints, times: Ints) -> Told:
        """All that can be said of a key at a time."""
        place = self._index.before(keys, times)
        end = self._end[place]
        within = end >= times
        return Told(within, place >= 0, np.where(within, self._start[place], FOREVER), np.where(within, BEGINNING, end))

    def has(self, keys: Ints) -> Bools:
        """Whether the key has an interval at any time."""
        return self._index.has(keys)


def _merged(keys: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
    """Key, start and end of the disjoint pieces, ordered by key and start."""
    # An interval that ends before it begins (two dates swapped by hand) covers nothing.
    kept = np.flatnonzero((keys >= 0) & (start <= end))
    order = kept[np.lexsort((end[kept], start[kept], keys[kept]))]
    keys, start, end = keys[order], start[order], end[order]
    if not len(keys):
        return keys, start, end
    first = np.append(True, keys[1:] != keys[:-1])
    moments, place = np.unique(end, return_inverse=True)
    # How far the intervals of a key reach so far: the running maximum of (key, end) packed into one number.
    reach = moments[np.maximum.accumulate(((np.cumsum(first) - 1) << 32) | place) & 0xFFFFFFFF]
    begins = first.copy()
    begins[1:] |= start[1:] > reach[:-1] + 1
    piece = np.flatnonzero(begins)
    return keys[piece], start[piece], np.maximum.reduceat(end, piece)
