"""The threshold judgement (しきい値判断): which statement an assessment has to be, what would change that, and when at this rate. Pure.

Rules: 特定個人情報保護評価に関する規則 (2014, rule 1 of the commission), articles 4 to 7, and 特定個人情報保護評価指針 (2014,
notice 4), 第5の2. An assessment is judged by people on file, people who handle the data, and serious incidents within a year:

| people on file | fewer than 500 handlers and no serious incident | else |
|---|---|---|
| under 1,000 | none is needed | none is needed |
| 1,000 to 9,999 | basic 基礎項目評価 | basic |
| 10,000 to 99,999 | basic | focused 重点項目評価 |
| 100,000 to 299,999 | focused | full 全項目評価 |
| 300,000 and more | full | full |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final

from audit.catalogue import Judgement

LEAST_POINTS: Final = 3
FARTHEST: Final = timedelta(days=3653)  # ten years: a trend says nothing of what comes later


class Kind(StrEnum):
    """Which statement has to be made; each includes the ones before."""

    NONE = "none"
    BASIC = "basic"
    FOCUSED = "focused"
    FULL = "full"


_KINDS: Final = (
    (Kind.NONE, Kind.NONE),
    (Kind.BASIC, Kind.BASIC),
    (Kind.BASIC, Kind.FOCUSED),
    (Kind.FOCUSED, Kind.FULL),
    (Kind.FULL, Kind.FULL),
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is judged; None is not known.

    Attributes:
        subjects: People on file.
        handlers: People who handle the data, contractors' among them.
        serious: Serious incidents within a year.
    """

    subjects: int | None
    handlers: int | None
    serious: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one number, and the statement that would then have to be made.

    Attributes:
        what: `subjects`, `handlers` or `serious`.
        at: The number from which it is so.
        kind: The result then; None: not known, because others are not.
    """

    what: str
    at: int
    kind: Kind | None


def judged(numbers: Numbers, rule: Judgement) -> Kind | None:
    """The statement that has to be made; None where what is not known could change it."""
    subjects = [numbers.subjects] if numbers.subjects is not None else [0, *rule.subjects]
    possible = {_kind(one, large, rule) for one in subjects for large in _large(numbers, rule)}
    return possible.pop() if len(possible) == 1 else None


def _large(numbers: Numbers, rule: Judgement) -> set[bool]:
    """Whether there are many handlers or a serious incident: both answers where it is not known."""
    known = [
        None if n is None else n >= least for n, least in ((numbers.handlers, rule.handlers), (numbers.serious, 1))
    ]
    if True in known:
        return {True}
    return {True, False} if None in known else {False}


def _kind(subjects: int, large: bool, rule: Judgement) -> Kind:
    return _KINDS[sum(subjects >= step for step in rule.subjects)][large]


def changes(numbers: Numbers, rule: Judgement) -> list[Change]:
    """What would change next: the next step of people on file, many handlers, a serious incident.

    Returns:
        At most three, also those that would not change the result, because that is worth knowing as well; none of a number
        that is not known or has no further step.
    """
    out = []
    if numbers.subjects is not None:
        above = [step for step in rule.subjects if step > numbers.subjects]
        if above:
            out.append(Change("subjects", above[0], judged(_with(numbers, subjects=above[0]), rule)))
    if numbers.handlers is not None and numbers.handlers < rule.handlers:
        out.append(Change("handlers", rule.handlers, judged(_with(numbers, handlers=rule.handlers), rule)))
    if numbers.serious == 0:
        out.append(Change("serious", 1, judged(_with(numbers, serious=1), rule)))
    return out


def _with(numbers: Numbers, **other: int) -> Numbers:
    known = {"subjects": numbers.subjects, "handlers": numbers.handlers, "serious": numbers.serious}
    return Numbers(**{**known, **other})


def slope(points: Sequence[tuple[date, int]]) -> Fraction | None:
    """People per day, by least squares.

    Args:
        points: Day and count, one per day, any order.

    Returns:
        Exactly; None with fewer than three points, or all of them on one day: that is no trend.
    """
    if len(points) < LEAST_POINTS or len({day for day, _ in points}) < LEAST_POINTS:
        return None
    days = [Fraction(day.toordinal()) for day, _ in points]
    middle = sum(days, Fraction()) / len(days)
    mean = Fraction(sum(count for _, count in points), len(points))
    spread = sum(((day - middle) ** 2 for day in days), Fraction())
    together = sum(((day - middle) * (count - mean) for day, (_, count) in zip(days, points, strict=True)), Fraction())
    return together / spread


def crossing(now: date, count: int, per_day: Fraction, bound: int, *, upwards: bool) -> date | None:
    """The day on which a count leaves a band if it goes on like this.

    Args:
        now: Day of the count.
        count: As it is now.
        per_day: The trend, from `slope`.
        bound: First number above the band (`upwards`), else the smallest one in it.
        upwards: Whether it would be left by growing.

    Returns:
        `now` if it is outside already; None if it never is, or not within ten years.
    """
    if count >= bound if upwards else count < bound:
        return now
    if per_day == 0 or (per_day > 0) != upwards:
        return None
    # Below the smallest number means at most one less.
    way = Fraction(bound - count if upwards else count - bound + 1)
    days = -(-way // abs(per_day))
    return now + timedelta(days=int(days)) if days <= FARTHEST.days else None
