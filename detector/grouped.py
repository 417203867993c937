"""Rows by group, and what each group adds up to.

A query engine gathers the rows of each group for each sum that is asked for; most groups here, sessions, have three rows.
So rows are told apart by group once, and each sum is made for all groups together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]
Codes = NDArray[np.uint32]

_BITS: Final = 32
NULL: Final = (1 << _BITS) - 1
_LEAST: Final = -(1 << 63)


class Groups:
    """Rows of a frame by group.

    Attributes:
        names: One row per group: what it is called.
        number: Group of each row, from 0.
        order: Places of the rows, group by group; those of a group as they stand.
        starts: Where each group begins in `order`.
    """

    def __init__(self, rows: pl.DataFrame, key: Sequence[str]) -> None:
        """Tell rows apart.

        Args:
            rows: Fewer than 2³² of them.
            key: Columns that name a group.
        """
        found = (
            rows.select_seq(key)
            .with_row_index("_row")
            .group_by(key, maintain_order=True)
            .agg("_row", pl.len().alias("_n"))
        )
        lengths = found["_n"].to_numpy().astype(np.int64)
        self.names = found.select_seq(key)
        self.order: Places = (
            found.select_seq(pl.col("_row").explode(empty_as_null=False)).to_series().to_numpy().astype(np.int64)
        )
        self.starts: Places = np.cumsum(lengths) - lengths
        self.number: Places = np.empty(rows.height, dtype=np.int64)
        self.number[self.order] = np.repeat(np.arange(len(lengths)), lengths)

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, where: Bools) -> NDArray[np.uint32]:
        """How many rows of each group are marked."""
        return np.bincount(self.number[where], minlength=len(self)).astype(np.uint32)

    def marked(self, where: Bools) -> Places:
        """Places of marked rows, group by group."""
        return self.order[where[self.order]]

    def first(self, where: Bools | None = None) -> Places:
        """Place of the first (marked) row of each group; −1 where there is none."""
        return self._ends(self.order if where is None else self.marked(where), last=False)

    def last(self) -> Places:
        """Place of the last row of each group."""
        return self._ends(self.order, last=True)

    def _ends(self, places: Places, last: bool) -> Places:
        out = np.full(len(self), -1, dtype=np.int64)
        # Of several values for one place numpy keeps the last one.
        places = places if last else places[::-1]
        out[self.number[places]] = places
        return out

    def whole(self, ufunc: np.ufunc, values: NDArray[np.generic]) -> NDArray[Any]:
        """Values of all rows put together group by group, as `ufunc` puts two of them together."""
        return ufunc.reduceat(values[self.order], self.starts) if len(self) else values[:0]

    def keys(self, codes: Codes, where: Bools | None = None) -> Places:
        """Group and code of (marked) rows as one number each, ascending."""
        number, codes = (self.number, codes) if where is None else (self.number[where], codes[where])
        return np.sort(number << _BITS | codes)

    def distinct(self, keys: Places) -> NDArray[np.uint32]:
        """How many different codes each group has among the keys."""
        return np.bincount(group_of(keys[beginnings(keys)]), minlength=len(self)).astype(np.uint32)

    def most_frequent(self, ranks: Codes, texts: pl.Series) -> pl.Series:
        """The text that each group has most often; the smallest of equally frequent ones, null where it has none.

        Args:
            ranks: What `ranked` says of a column.
            texts: Its different texts, ascending.
        """
        keys = self.keys(ranks, ranks != NULL)
        starts = beginnings(keys)
        pairs, often = keys[starts], np.diff(np.append(starts, len(keys)))
        group = group_of(pairs)
        # Of several values for one place numpy keeps the last one: the most frequent, and of these the smallest.
        order = np.lexsort((-pairs, often, group))
        out = np.full(len(self), -1, dtype=np.int64)
        out[group[order]] = code_of(pairs[order])
        return taken(texts, out)


@dataclass(frozen=True, slots=True)
class Feature:
    """What is counted of the rows of a group.

    Attributes:
        how: `count` marked rows, `distinct` texts, `max` or `sum` of a number.
        mark: Which rows.
        meaning: In words.
        column: Of which column; empty for a count.
        with_null: Whether a missing text counts as one.
    """

    how: Literal["count", "distinct", "max", "sum"]
    mark: str
    meaning: str
    column: str = ""
    with_null: bool = False


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows by group; their marks, numbers with something in place of null, and numbers for texts."""

    groups: Groups
    made: pl.DataFrame

    def of(self, name: str) -> NDArray[Any]:
        """What was made of each row: a mark, or a column."""
        return self.made.get_column(name).to_numpy()

    def feature(self, wanted: Feature) -> NDArray[Any] | pl.Series:
        """A feature of each group."""
        where = self.of(wanted.mark)
        if wanted.how == "count":
            return self.groups.count(where)
        values = self.of(wanted.column)
        if wanted.how == "distinct":
            return self.groups.distinct(
                self.groups.keys(values, where if wanted.with_null else where & (values != NULL))
            )
        if wanted.how == "sum":
            return self.groups.whole(np.add, np.where(where, values, 0))
        most = self.groups.whole(np.maximum, np.where(where, values, _LEAST))
        return known(most, most > _LEAST)

    def first(self, column: pl.Series, mark: str) -> pl.Series:
        """What the first marked row of each group says."""
        return taken(column, self.groups.first(self.of(mark)))


def beginnings(ascending: Places) -> Places:
    """Places at which a new value begins."""
    new = np.ones(len(ascending), dtype=np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    return np.flatnonzero(new)


def group_of(keys: Places) -> Places:
    """The group in each key."""
    return keys >> _BITS


def code_of(keys: Places) -> Places:
    """The code in each key."""
    return keys & NULL


def coded(*columns: str) -> pl.Expr:
    """A number for each text in some columns, equal for equal ones only; `NULL` for null."""
    # Categories of their own, which end with the numbers: shared ones are remembered for good.
    return _numbers(pl.col(columns).cast(pl.Categorical(pl.Categories.random())))


def ranked(column: str, texts: pl.Series) -> pl.Expr:
    """The place of each text of a column among its different ones, which ascend; `NULL` for null."""
    return _numbers(pl.col(column).cast(pl.Enum(texts)))


def _numbers(texts: pl.Expr) -> pl.Expr:
    return texts.to_physical().cast(pl.UInt32).fill_null(NULL)


def taken(values: pl.Series, places: Places) -> pl.Series:
    """Values at places; null at −1."""
    if values.is_empty():
        return values.clear(len(places))
    return values[np.maximum(places, 0)].zip_with(pl.Series(places >= 0), values.clear(1))


def known(values: NDArray[Any], where: Bools) -> pl.Series:
    """Values where they are known; elsewhere null."""
    series = pl.Series(values)
    return series.zip_with(pl.Series(where), pl.Series([None], dtype=series.dtype))
