"""Counts of people against what an assessment declares: at the beginning of the fiscal year, now, and at the present trend. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from audit.catalogue import Assessment, Band
from audit.report import headcount, judgement
from registers.calendar import day_end
from registers.site import Site

_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Count:
    """One thing that is counted.

    Attributes:
        what: As in a band of the catalogue.
        band: What is declared; None: nothing.
        april: On 1 April, the beginning of the fiscal year; None: not known.
        now: At the period's end; None: not known.
        points: Day and count, days ascending: those of the register of counts, or of the register of rights month by month.
        today: Day of `now`.
        as_of: When the register of counts says that `now` was counted (UTC ms).
        is_permitted: Whether anybody has a right at all, so that there is something to count.
    """

    what: str
    band: Band | None
    april: int | None
    now: int | None
    points: tuple[tuple[date, int], ...]
    today: date
    as_of: int | None = None
    is_permitted: bool = True

    @property
    def is_inside(self) -> bool | None:
        """Whether it lies within its band; None: not known, or nothing is declared."""
        if self.now is None or self.band is None:
            return None
        return self.band.least <= self.now and (self.band.below is None or self.now < self.band.below)

    @property
    def leaves(self) -> date | None:
        """When it leaves its band at the present trend; None: never, or it has, or that is not known."""
        per_day = judgement.slope(self.points)
        if self.now is None or self.band is None or per_day is None or not self.is_inside:
            return None
        upwards = per_day > 0
        bound = self.band.below if upwards else self.band.least
        return None if bound is None else judgement.crossing(self.today, self.now, per_day, bound, upwards=upwards)


def counts(site: Site, assessment: Assessment, systems: Sequence[str], last: int) -> list[Count]:
    """What an assessment has a band for, and what the threshold judgement needs.

    Args:
        site: For `counts`, `permissions` and `staff`.
        assessment: With or without bands.
        systems: Systems that name it.
        last: Last moment of the period, UTC ms.

    Returns:
        `subjects on file`, `handlers`, then those others that have a band.
    """
    bands = {str(band.what): band for band in (assessment.thresholds.bands if assessment.thresholds else ())}
    today = datetime.fromtimestamp(last / 1000, ZoneInfo(site.config.time_zone)).date()
    begun = _midnight(first_of_april(today), site)
    moments = [(day, _midnight(day, site)) for day in _firsts(today)] + [(today, last)]
    heads = headcount.monthly(site, systems, moments)
    then, now = (headcount.permitted(site, systems, at) for at in (begun, last))
    out = [_on_file(site, systems, bands.get("subjects on file"), begun, last, today)]
    for what in ("handlers", "users", "contractor handlers"):
        if what == "handlers" or what in bands:
            points = tuple((day, n) for day, one in heads if (n := one.of(what)) is not None)
            known = now.handlers is not None
            out.append(Count(what, bands.get(what), then.of(what), now.of(what), points, today, is_permitted=known))
    return out


def _on_file(site: Site, systems: Sequence[str], band: Band | None, begun: int, last: int, today: date) -> Count:
    what = "subjects on file"
    then, now = (headcount.on_file(site, systems, what, at) for at in (begun, last))
    points = tuple(headcount.counted(site, systems, what, last))
    return Count(what, band, then and then[0], now and now[0], points, today, now and now[1])


def first_of_april(day: date) -> date:
    """The beginning of the fiscal year that a day is in."""
    return date(day.year if day.month >= 4 else day.year - 1, 4, 1)


def _firsts(day: date) -> list[date]:
    """The first days of twelve months, up to the one of a day, which is left out where it is that day itself."""
    months = [day.year * 12 + day.month - 1 - back for back in range(_MONTHS - 1, -1, -1)]
    return [first for month in months if (first := date(month // 12, month % 12 + 1, 1)) != day]


def _midnight(day: date, site: Site) -> int:
    """First millisecond of a local day, UTC."""
    before = pl.DataFrame({"day": [day - timedelta(days=1)]})
    return int(before.select(day_end(pl.col("day"), site.config.time_zone)).item()) + 1
