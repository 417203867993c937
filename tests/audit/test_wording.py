"""Numbers and days as the report words and draws them."""

from __future__ import annotations

from datetime import date

import pytest

from audit import charts, wording


@pytest.mark.parametrize(
    ("value", "step"), [(0, 0), (1, 1), (9, 1), (10, 2), (999, 3), (1000, 4), (10_000, 5), (10**9, 5)]
)
def test_a_shade_is_a_power_of_ten(value, step):
    assert charts.level(value) == step


@pytest.mark.parametrize(("share", "text"), [
    (0.0, "0%"), (1.0, "100%"), (0.999, "99.9%"), (0.9999, ">99.9%"), (0.0004, "<0.1%"), (0.005, "0.5%"), (0.5, "50%"), (None, "-"),
])  # fmt: skip
def test_a_share_is_whole_percent_and_never_all_unless_it_is(share, text):
    assert wording.percent(share) == text


@pytest.mark.parametrize(("day", "text"), [
    (date(2026, 3, 2), "令和8年3月2日（月）"), (date(2019, 5, 1), "令和元年5月1日（水）"), (date(2019, 4, 30), "平成31年4月30日（火）"),
])  # fmt: skip
def test_days_are_written_in_eras(day, text):
    assert wording.Words("ja", "Asia/Tokyo").day(day) == text
