"""Which groups of correlations can come to hold at all, said for all candidates of all correlations at once.

Most groups of most correlations never come near their threshold: a person works in one office, a terminal sees one
account. An upper bound of what is counted, by sorting and binary search, says which groups the exact count has to look
at one by one; the others are only remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detector.correlation import Correlation
from detector.marks import index

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# So many candidates of a group wait until the window of an ordered correlation is folded: a folded one stays small.
MOST_WAITING: Final = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """Candidates, and folded windows, of several correlations, in any order.

    Attributes:
        rule: Place of its correlation in a sequence of these.
        group: A number for each group of each correlation.
        times: UTC ms.
        folded: Whether it is a folded window.
        place: Where its texts are.
        bases, values: Texts, of these rows and others.
    """

    rule: Ints
    group: Ints
    times: Ints
    folded: Bools
    place: Ints
    bases: pl.Series
    values: pl.Series

    def at(self, rows: Ints) -> Rows:
        """Some of them."""
        if len(rows) == len(self.rule):
            return self
        own = self.rule[rows], self.group[rows], self.times[rows], self.folded[rows], self.place[rows]
        return Rows(*own, self.bases, self.values)

    def of(self, texts: pl.Series, rows: Ints) -> pl.Series:
        """The texts of some of them."""
        return texts[index(self.place[rows])]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What correlations ask, as a number for each; see `Correlation`."""

    correlations: Sequence[Correlation]
    least: Ints
    span: Ints
    reach: Ints

    @classmethod
    def of(cls, correlations: Sequence[Correlation]) -> Bounds:
        """Look them up."""
        found = [(one.least, one.timespan_ms, one.reach_ms) for one in correlations]
        return cls(correlations, *np.array(found, dtype=np.int64).reshape(-1, 3).T)

    def kind(self, kind: str, rule: Ints) -> Ints:
        """Which rows are of correlations of a kind."""
        return np.flatnonzero(np.array([one.kind == kind for one in self.correlations])[rule])

    def of_kind(self, kind: str, rule: Ints) -> Iterator[tuple[Correlation, Ints]]:
        """Correlations of a kind, and which rows are theirs."""
        for place, one in enumerate(self.correlations):
            if one.kind == kind and len(mine := np.flatnonzero(rule == place)):
                yield one, mine


def sift(rows: Rows, new: int, correlations: Sequence[Correlation]) -> tuple[Ints, Ints]:
    """Part rows by what has to be done with them.

    Args:
        rows: What is at rest, and behind it the candidates that came.
        new: How many came.
        correlations: Whose they are.

    Returns:
        Places of the rows that stay as they are, correlation by correlation, and of those to be counted one by one. The
        others are not needed any more.
    """
    bounds = Bounds.of(correlations)
    touched = np.zeros(int(rows.group.max(initial=0)) + 1, dtype=np.bool_)
    touched[rows.group[len(rows.group) - new :]] = True
    known = touched[rows.group]
    places = np.flatnonzero(known)
    some = rows.at(places)
    asked, waits = sifted(some, bounds)
    close = np.flatnonzero(asked)
    near, needed = parted(some.at(close), bounds)
    kept = np.concatenate([np.flatnonzero(~known), places[waits], places[close[~near & needed]]])
    return kept[np.argsort(rows.rule[kept], kind="stable")], places[close[near & needed]]


def sifted(rows: Rows, bounds: Bounds) -> tuple[Bools, Bools]:
    """Part candidates by whether their group could hold if all of them were in one window.

    Returns:
        Which to look at closer (`parted`), and which of the others may be needed by later ones.
    """
    size = int(rows.group.max(initial=0)) + 1
    least, lengths = bounds.least[rows.rule], np.bincount(rows.group, minlength=size)
    enough, begun = lengths[rows.group] >= least, np.ones(len(least), dtype=np.bool_)
    for kind, texts in (("value_count", rows.values), ("temporal", rows.bases)):
        mine = bounds.kind(kind, rows.rule)
        if len(mine):
            enough[mine] = _distinct(rows.group[mine], rows.of(texts, mine)) >= least[mine]
    for correlation, mine in bounds.of_kind("temporal_ordered", rows.rule):
        group, bases = rows.group[mine], rows.of(rows.bases, mine)
        wanted = _wanted(correlation)
        counts = {name: np.bincount(group[_is(bases, name)], minlength=size) for name in wanted}
        whole = np.all([counts[name] >= n for name, n in wanted.items()], axis=0) | (lengths > MOST_WAITING)
        first = counts[correlation.bases[0].name] > 0
        enough[mine], begun[mine] = (whole & first)[group], first[group]
    asked = np.zeros(size, dtype=np.bool_)
    asked[rows.group[enough | rows.folded | (least <= 0)]] = True
    closer = asked[rows.group]
    # What cannot hold at its newest candidate did not hold before it: only later windows matter.
    newest = np.full(len(bounds.reach), np.iinfo(np.int64).min)
    np.maximum.at(newest, rows.rule, rows.times)
    return closer, ~closer & begun & (rows.times + bounds.reach[rows.rule] > newest[rows.rule])


def parted(rows: Rows, bounds: Bounds) -> tuple[Bools, Bools]:
    """Part candidates by whether their group may hold in some window.

    Returns:
        Which are of groups that have to be counted one by one, and which of all candidates are needed at all.
    """
    if not len(rows.rule):
        return rows.folded, rows.folded
    found = arrange(rows, bounds.span[rows.rule])
    rule, least, size = rows.rule[found.order], bounds.least[rows.rule][found.order], int(found.group[-1]) + 1
    near, fits = _near(found, rows, rule, bounds)
    # A folded window is gone on with, unless it is over before the next candidate.
    ends = found.times + bounds.span[rule]
    near |= rows.folded[found.order] & (ends > np.append(found.times[1:], 0)) & found.followed
    kept = fits & (found.times + bounds.reach[rule] > found.end)
    groups = np.zeros(size, dtype=np.bool_)
    groups[found.group[near | (least <= 0)]] = True
    for _, mine in bounds.of_kind("temporal_ordered", rule):
        waiting = np.bincount(found.group[mine][kept[mine]], minlength=size)
        groups |= waiting > MOST_WAITING
    near = groups[found.group]
    return found.unsorted(near), found.unsorted(np.where(near, fits | (least <= 0), kept))


def _near(found: Sorted, rows: Rows, rule: Ints, bounds: Bounds) -> tuple[Bools, Bools]:
    """Where enough may be in the window, and where something can depend on what is; in the order found."""
    least, fits = bounds.least[rule], np.ones(len(rule), dtype=np.bool_)
    near = many(found, least)
    mine = bounds.kind("value_count", rule)
    if len(mine):
        near[mine] = various(found, rows.of(rows.values, found.order), least)[mine]
    ordered = [*bounds.of_kind("temporal", rule), *bounds.of_kind("temporal_ordered", rule)]
    bases = rows.of(rows.bases, found.order) if ordered else rows.bases
    for correlation, mine in ordered:
        if correlation.kind == "temporal":
            near[mine] = some(found, bases, correlation)[mine]
            continue
        near[mine] = each(found, bases, _wanted(correlation))[mine]
        if correlation.least > 0:
            fits[mine] = begun(found, bases, correlation.bases[0].name)[mine]
    return near, fits


def _wanted(correlation: Correlation) -> Counter[str]:
    """How often each base has to be there, the first of all at least once."""
    return Counter(base.name for base in correlation.bases[: max(correlation.least, 1)])


def _is(texts: pl.Series, text: str) -> Bools:
    return (texts == text).to_numpy()


def _distinct(group: Ints, texts: pl.Series) -> Ints:
    """How many different texts are in the group of each row; none is one as well."""
    codes = numbered(texts)
    most = int(codes.max()) + 1
    pairs = pl.Series(group * most + codes).unique().to_numpy()
    return np.bincount(pairs // most)[group]


def numbered(texts: pl.Series) -> Ints:
    """A number for each different text, from 1 up; 0 for none."""
    # One that is not seen anywhere else numbers only these.
    codes = texts.cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64).fill_null(-1)
    return codes.to_numpy() + 1


@dataclass(frozen=True, slots=True)
class Sorted:
    """Candidates by (group, time).

    Attributes:
        order: Place of each among the rows.
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

    def unsorted(self, mask: Bools) -> Bools:
        """A mask over the sorted candidates, for the rows."""
        result = np.empty(len(mask), dtype=np.bool_)
        result[self.order] = mask
        return result


def arrange(rows: Rows, span_ms: Ints) -> Sorted:
    """Sort candidates and find the trailing window (t − span, t] of each."""
    distinct = np.unique(rows.times)
    key = (rows.group << 32) | np.searchsorted(distinct, rows.times)
    order = np.argsort(key, kind="stable")
    key, group, times, span = key[order], rows.group[order], rows.times[order], span_ms[order]

    def first(age: Ints) -> Ints:
        return np.searchsorted(key, (group << 32) | np.searchsorted(distinct, times - age, side="right"))

    last = np.searchsorted(group, group, side="right") - 1
    high = np.searchsorted(key, key, side="right") - 1
    return Sorted(order, group, times, first(span), high, first(2 * span), times[last])


def many(rows: Sorted, least: Ints) -> Bools:
    """Where so many candidates are in the window."""
    return np.asarray(rows.high - rows.low + 1 >= least)


def various(rows: Sorted, values: pl.Series, least: Ints) -> Bools:
    """Where there may be so many distinct values in the window: no more than the times the value changes in it, and one.

    The values in the order of the rows.
    """
    told = numbered(values)
    known = np.flatnonzero(told)
    changes = np.zeros(len(told), dtype=np.int64)
    # The first value of a group counts whatever the group before it ends with.
    for column in (told[known], rows.group[known]):
        changes[known[1:]] |= column[1:] != column[:-1]
    changes[known[:1]] = 1
    total = np.cumsum(changes)
    return np.asarray(total[rows.high] - total[rows.low] + 1 >= least)


def each(rows: Sorted, bases: pl.Series, wanted: Counter[str]) -> Bools:
    """Where every base is in the window as often as wanted."""
    result = np.ones(len(rows.order), dtype=np.bool_)
    for base, least in wanted.items():
        result &= _within(rows, bases, base, rows.low) >= least
    return result


def some(rows: Sorted, bases: pl.Series, correlation: Correlation) -> Bools:
    """Where so many different bases are in the window."""
    names = {base.name for base in correlation.bases}
    present = [_within(rows, bases, name, rows.low) > 0 for name in sorted(names)]
    return np.asarray(np.sum(present, axis=0) >= correlation.least)


def begun(rows: Sorted, bases: pl.Series, first: str) -> Bools:
    """Where something can depend on a chain that begins with the base `first`.

    Twice the window: a chain keeps events alive that stay listed for as long again.
    """
    return _within(rows, bases, first, rows.long) > 0


def _within(rows: Sorted, bases: pl.Series, base: str, low: Ints) -> Ints:
    total = np.cumsum(_is(bases, base))
    before = np.where(low > 0, total[np.maximum(low - 1, 0)], 0)
    return np.asarray(total[rows.high] - before)
