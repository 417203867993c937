"""Reading the day once and adding the clock gives what reading every moment by itself gives."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers import dates

DAYS = (
    "令和8年3月9日 ", "R8.3.9 ", "R8.13.1 ", "令和元年5月1日 ", "2026-03-09T", "2026/3/9 ", "20260309 ", "２０２６-03-09 ", "2026-02-30 ",
    "令和8年3月9日 午後 ", "2026-03-09 PM ", "2026-03-09 ＰＭ ", "2024-03-31 ", "2024-10-27 ", "1969-12-31 ", "2026-03-09 10:", "M45.7.30 ",
)  # fmt: skip
CLOCKS = ("00:00:00", "08:19:05", "01:30:00", "23:59:59", "24:10:00", "29:59:59", "12:60:00", "23:59:60", "8:19:05")


@given(
    st.lists(
        st.tuples(st.sampled_from(DAYS[:3]) | st.sampled_from(DAYS), st.sampled_from(CLOCKS)), min_size=1, max_size=30
    ),
    st.sampled_from(("", "", ".312", ",5")),
    st.sampled_from(("", "", "Z", "+09:00", " JST", "-0530")),
    st.sampled_from(("Asia/Tokyo", "Europe/London", "Australia/Lord_Howe")),
    st.booleans(),
)
def test_many_moments_are_read_like_each_alone(moments, fraction, zone, time_zone, end_of_day):
    # Often enough for the same day, so that it is worth while to read that once.
    text = pl.Series("at", [day + clock + fraction + zone for day, clock in moments] * 20)

    together = dates.moments(text, time_zone, (), end_of_day)

    alone = {one: dates._slowly(pl.Series([one]), time_zone, (), end_of_day)[0] for one in text.unique()}
    assert together.to_list() == [alone[one] for one in text]


@pytest.mark.parametrize("form", ["%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y:%M:%H:%S %z"])
def test_a_format_says_what_is_the_hour(form):
    text = pl.Series("at", [f"09/Mar/2026:08:{minute:02}:05 +0900" for minute in range(24)])

    together = dates.moments(text, "Asia/Tokyo", (form,))

    assert together.to_list() == [dates._slowly(pl.Series([one]), "UTC", (form,), False)[0] for one in text]
    hours_first = form.startswith("%d/%b/%Y:%H")
    assert together[1] - together[0] == (60_000 if hours_first else 3_600_000)


@pytest.mark.parametrize("odd", ["+0100", "+0910", "+1900", "-0900", "Z", "", "+09:00", "＋0900"])
@pytest.mark.parametrize("fraction", ["", ".250"])
def test_a_moment_of_another_zone_or_shape_among_many_is_read_like_alone(odd: str, fraction: str):
    texts = [f"2026-03-09 08:{minute:02}:05{fraction}+0900" for minute in range(30)]
    texts += [f"2026-03-09 08:00:05{fraction}{odd}", "2026-03-09 08:00:05.1+0900", "08:00:05+0900", "日本", ""]
    text = pl.Series("at", [*texts, None])

    together = dates.moments(text, "Asia/Tokyo").to_list()

    alone = [dates._slowly(pl.Series([one], dtype=pl.String), "Asia/Tokyo", (), False)[0] for one in text]
    assert together == alone


def test_a_moment_that_a_change_of_clocks_skips_or_repeats_is_read_as_ever():
    text = pl.Series("at", [f"2024-03-31 {hour:02}:{minute:02}:00" for hour in range(24) for minute in range(60)])

    times = dates.moments(text, "Europe/London").to_list()

    assert times[59] + 60_000 == times[60]  # 01:00 is skipped: read as 02:00 summer time
    assert times[60] == times[120]
    assert times[-1] - times[0] == 22 * 3_600_000 + 59 * 60_000
