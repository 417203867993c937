"""Columns of a chart over days: one per day, or per week or month where the days are many; and their axis."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from audit.report.charts import drawing
from audit.report.charts.wording import Language, say

AXIS: Final = 42

# A column of a day needs room for its number and a sign.
_MOST_DAYS: Final = 46
_MOST_WEEKS: Final = 54

_WEEKDAYS: Final = {"ja": "月火水木金土日", "en": "MTWTFSS"}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Span:
    """A column.

    Attributes:
        begin, end: Its days by place, `end` excluded.
        over: The month that it belongs to; of a month, the year.
        label: Its own number: of the day, of the Monday, of the month.
        under: The weekday; empty unless it is a single day.
        off: A day off.
    """

    begin: int
    end: int
    over: str
    label: str
    under: str
    off: bool


def spans(days: Sequence[date], language: Language, off: Collection[date] = ()) -> list[Span]:
    """Columns of ascending days: each its own up to 46 days, else weeks from Monday, and beyond a year months."""
    if len(days) <= _MOST_DAYS:
        return [
            Span(
                place,
                place + 1,
                _month(day, language),
                str(day.day),
                _WEEKDAYS[language][day.weekday()],
                day in off,
            )
            for place, day in enumerate(days)
        ]
    weeks = list(_runs([day - timedelta(days=day.weekday()) for day in days]))
    if len(weeks) <= _MOST_WEEKS:
        return [Span(low, high, _month(day, language), str(day.day), "", False) for day, low, high in weeks]
    months = _runs([day.replace(day=1) for day in days])
    return [Span(low, high, _year(day, language), str(day.month), "", False) for day, low, high in months]


def unit(spans: Sequence[Span], language: Language) -> str:
    """What a column stands for, where it is no day; else nothing."""
    if all(span.under for span in spans):
        return ""
    return say("column_week" if len(spans[0].over) > 5 else "column_month", language)


def _runs(days: Sequence[date]) -> Iterator[tuple[date, int, int]]:
    for day, places in groupby(range(len(days)), key=days.__getitem__):
        run = list(places)
        yield day, run[0], run[-1] + 1


def _month(day: date, language: Language) -> str:
    return f"{day.year}年{day.month}月" if language == "ja" else f"{_MONTHS[day.month - 1]} {day.year}"


def _year(day: date, language: Language) -> str:
    return f"{day.year}年" if language == "ja" else str(day.year)


def axis(spans: Sequence[Span], left: float, column: float, top: float) -> str:
    """Months, numbers and weekdays above or below the columns, in `AXIS` units of height; what would overlap is left out."""
    out = []
    for over, run in groupby(range(len(spans)), key=lambda place: spans[place].over):
        places = list(run)
        room = len(places) * column + (6 if places[-1] + 1 < len(spans) else 60)
        words = over if drawing.wide(over, 10) <= room else over.rpartition("年")[2]
        if drawing.wide(words, 10) <= room:
            out.append(drawing.text(left + places[0] * column, top + 11, words, size=10, fill=drawing.SOFT))
    every = 1 if column >= 12.5 else 2 if column >= 7 else 3
    for place, span in enumerate(spans):
        if place % every:
            continue
        middle = left + (place + 0.5) * column
        out.append(drawing.text(middle, top + 25, span.label, anchor="middle", size=9.5))
        if span.under:
            out.append(drawing.text(middle, top + 37, span.under, anchor="middle", size=8.5, fill=drawing.SOFT))
    return "".join(out)


def grounds(spans: Sequence[Span], left: float, column: float, top: float, height: float) -> str:
    """A shade behind days off."""
    shade = drawing.Fill(drawing.GROUND)
    return "".join(
        drawing.rect(left + place * column, top, column, height, shade) for place, span in enumerate(spans) if span.off
    )
