"""Which groups of a correlation can come to hold at all, said for all candidates at once.

Most groups of most correlations never come near their threshold: a person works in one office, a terminal sees one
account. An upper bound of what is counted, by sorting and binary search, says which groups the exact count has to look
at one by one; the others are only remembered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Candidates by (group, time).

    Attributes:
        order: Place of each in the frame.
        group: A number per group, ascending.
        times: UTC ms.
        low: Place of the first candidate of the group that is in the trailing window.
        high: Place of the group's last candidate of the same moment.
        long: As `low`, for a window of twice the length.
        end: Time of the group's last candidate.
    """

    order: Ints
    group: Ints
    times: Ints
    low: Ints
    high: Ints
    long: Ints
    end: Ints

    @property
    def followed(self) -> Bools:
        """Where another candidate of the group comes after."""
        return np.append(self.group[1:] == self.group[:-1], False)

    def unsorted(self, mask: Bools) -> pl.Series:
        """A mask over the sorted candidates, for the frame."""
        result = np.empty(len(mask), dtype=np.bool_)
        result[self.order] = mask
        return pl.Series(result)


def arrange(groups: pl.Series, times: pl.Series, span_ms: int) -> Sorted:
    """Sort candidates (any order) and find the trailing window (t − span, t] of each."""
    names = groups.unique(maintain_order=True).alias("group").to_frame().with_row_index("code")
    codes = groups.alias("group").to_frame().join(names, on="group", how="left", maintain_order="left")["code"]
    order = np.lexsort((times.to_numpy(), codes.to_numpy()))
    group, moments = codes.to_numpy()[order].astype(np.int64), times.to_numpy()[order]
    distinct = np.unique(moments)
    key = (group << 32) | np.searchsorted(distinct, moments)

    def first(age: int) -> Ints:
        return np.searchsorted(key, (group << 32) | np.searchsorted(distinct, moments - age, side="right"))

    last = np.searchsorted(group, group, side="right") - 1
    high = np.searchsorted(key, key, side="right") - 1
    return Sorted(order, group, moments, first(span_ms), high, first(2 * span_ms), moments[last])


def many(rows: Sorted, least: int) -> Bools:
    """Where so many candidates are in the window."""
    return np.asarray(rows.high - rows.low + 1 >= least)


def various(rows: Sorted, values: pl.Series, least: int) -> Bools:
    """Where there may be so many distinct values in the window: no more than the times the value changes in it, and one."""
    told = values.gather(rows.order)
    known = np.flatnonzero(told.is_not_null().to_numpy())
    distinct = told.drop_nulls()
    changes = np.zeros(len(told), dtype=np.int64)
    changes[known] = (distinct != distinct.shift(1)).fill_null(True).to_numpy()
    total = np.cumsum(changes)
    return np.asarray(total[rows.high] - total[rows.low] + 1 >= least)


def each(rows: Sorted, bases: pl.Series, wanted: Counter[str]) -> Bools:
    """Where every base is in the window as often as wanted."""
    result = np.ones(len(rows.order), dtype=np.bool_)
    for base, least in wanted.items():
        result &= _within(rows, bases, base, rows.low) >= least
    return result


def some(rows: Sorted, bases: pl.Series, least: int) -> Bools:
    """Where so many different bases are in the window."""
    present = [_within(rows, bases, str(base), rows.low) > 0 for base in bases.unique()]
    return np.asarray(np.sum(present, axis=0) >= least)


def begun(rows: Sorted, bases: pl.Series, first: str) -> Bools:
    """Where something can depend on a chain that begins with the base `first`.

    Twice the window: a chain keeps events alive that stay listed for as long again.
    """
    return _within(rows, bases, first, rows.long) > 0


def _within(rows: Sorted, bases: pl.Series, base: str, low: Ints) -> Ints:
    total = np.cumsum((bases == base).to_numpy()[rows.order])
    before = np.where(low > 0, total[np.maximum(low - 1, 0)], 0)
    return np.asarray(total[rows.high] - before)
