"""Which groups of a correlation can come to hold at all, said for all candidates at once.

Most groups of most correlations never come near their threshold: a person works in one office, a terminal sees one
account. An upper bound of what is counted, by sorting and binary search, says which groups the exact count has to look
at one by one; the others are only remembered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.correlation import Correlation

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


# So many candidates of a group wait until the window of an ordered correlation is folded: a folded one stays small.
MOST_WAITING: Final = 64


def sifted(rows: pl.DataFrame, correlation: Correlation) -> tuple[pl.Series, pl.Series]:
    """Part candidates by whether their group could hold if all of them were in one window.

    Returns:
        Which to look at closer (`parted`), and which of the others may be needed by later ones.
    """
    least, ordered = correlation.least, correlation.kind == "temporal_ordered"
    if least <= 0:
        return pl.repeat(True, rows.height, eager=True), pl.repeat(False, rows.height, eager=True)
    base, value = pl.col("base"), pl.col("value")
    match correlation.kind:
        case "event_count":
            enough = pl.len() >= least
        case "value_count":
            enough = value.n_unique() >= least
        case "temporal":
            enough = base.n_unique() >= least
        case _:
            wanted = Counter(one.name for one in correlation.bases[:least])
            enough = pl.all_horizontal((base == name).sum() >= n for name, n in wanted.items())
            enough = (enough | (pl.len() > MOST_WAITING)) & (base == correlation.bases[0].name).any()
    first = (base == correlation.bases[0].name).any() if ordered else pl.lit(True)
    groups = rows.group_by("group").agg(
        (enough | pl.col("folded").is_not_null().any()).alias("asked"), first.alias("begun")
    )
    asked = rows["group"].is_in(groups.filter("asked")["group"].implode())
    begun = rows["group"].is_in(groups.filter("begun")["group"].implode()) if ordered else ~asked
    # What cannot hold at its newest candidate did not hold before it: only later windows matter.
    times = rows["time.occurred"]
    return asked, ~asked & begun & (times + correlation.reach_ms > times.max())


def parted(rows: pl.DataFrame, correlation: Correlation) -> tuple[pl.Series, pl.Series]:
    """Part candidates by whether their group may hold in some window.

    Returns:
        Which are of groups that have to be counted one by one, and which of all candidates are needed at all.
    """
    least, span = correlation.least, correlation.timespan_ms
    if least <= 0 or rows.is_empty():
        return pl.repeat(True, rows.height, eager=True), pl.repeat(True, rows.height, eager=True)
    found = arrange(rows["group"], rows["time.occurred"], span)
    fits = np.ones(rows.height, dtype=np.bool_)
    if correlation.kind == "temporal_ordered":
        fits = begun(found, rows["base"], correlation.bases[0].name)
    near = _near(found, rows, correlation, least)
    # A folded window is gone on with, unless it is over before the next candidate.
    folded = rows["folded"].is_not_null().to_numpy()[found.order]
    near |= folded & (found.times + span > np.append(found.times[1:], 0)) & found.followed
    groups = np.zeros(rows.height, dtype=np.bool_)
    groups[found.group[near]] = True
    kept = fits & (found.times + correlation.reach_ms > found.end)
    if correlation.kind == "temporal_ordered":
        groups |= np.bincount(found.group[kept], minlength=rows.height) > MOST_WAITING
    near = groups[found.group]
    return found.unsorted(near), found.unsorted(np.where(near, fits, kept))


def _near(found: Sorted, rows: pl.DataFrame, correlation: Correlation, least: int) -> Bools:
    names = [base.name for base in correlation.bases]
    match correlation.kind:
        case "event_count":
            return many(found, least)
        case "value_count":
            return various(found, rows["value"], least)
        case "temporal":
            return some(found, rows["base"], least)
        case _:
            return each(found, rows["base"], Counter(names[:least]))


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
