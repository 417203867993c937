"""By when a leak is to be reported."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from audit.report.statutory import closed, counted, due


@pytest.mark.parametrize("n", [1, 3, 5, 30, 60])
def test_the_day_of_knowing_is_the_first(n):
    known = date(2026, 2, 20)
    days = []
    while len(days) < n:
        days.append(known + timedelta(days=len(days)))

    assert counted(known, n) == days[-1]


@pytest.mark.parametrize(
    ("known", "n", "by"),
    [
        (date(2026, 4, 1), 30, date(2026, 4, 30)),  # a Thursday
        (date(2026, 4, 1), 60, date(2026, 6, 1)),  # 30 May is a Saturday
        (date(2026, 4, 4), 30, date(2026, 5, 7)),  # 3 to 6 May are days off, the last one in place of the Sunday
        (date(2026, 12, 1), 30, date(2027, 1, 4)),  # 29 December to 3 January
        (date(2024, 1, 31), 30, date(2024, 2, 29)),  # a leap year
    ],
)
def test_a_full_report_that_falls_due_on_a_closed_day_is_due_on_the_next_open_one(known, n, by):
    assert due(known, n) == by


def test_authorities_are_closed_at_weekends_holidays_and_the_turn_of_the_year():
    assert [day for day in (date(2026, 12, 24) + timedelta(days=n) for n in range(14)) if not closed(day)] == [
        date(2026, 12, 24), date(2026, 12, 25), date(2026, 12, 28), date(2027, 1, 4), date(2027, 1, 5), date(2027, 1, 6),
    ]  # fmt: skip
