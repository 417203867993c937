"""Moments in the shapes of Japanese systems."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registers.dates import DAY_MS, check_format, moments

TOKYO = ZoneInfo("Asia/Tokyo")


def _ms(*parts: int, zone=TOKYO) -> int:
    return round(datetime(*parts, tzinfo=zone).timestamp() * 1000)


def _read(*texts: str | None, zone: str = "Asia/Tokyo", formats=(), end_of_day: bool = False) -> list[int | None]:
    return moments(pl.Series(texts, dtype=pl.String), zone, formats, end_of_day).to_list()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2026-04-01", (2026, 4, 1)),
        ("2026-04-01 08:30", (2026, 4, 1, 8, 30)),
        ("2026-04-01T08:30:05", (2026, 4, 1, 8, 30, 5)),
        ("2026-04-01T08:30:05.250", (2026, 4, 1, 8, 30, 5, 250_000)),
        ("2026-04-01 08:30:05,25", (2026, 4, 1, 8, 30, 5, 250_000)),
        ("2026-03-31T23:30:05Z", (2026, 4, 1, 8, 30, 5)),
        ("2026-04-01T08:30:05.123456789+09:00", (2026, 4, 1, 8, 30, 5, 123_000)),
        ("2026-03-31 18:30:05 -0500", (2026, 4, 1, 8, 30, 5)),
        ("2026-04-01 08:30:05 JST", (2026, 4, 1, 8, 30, 5)),
        ("2026/3/1 8:05", (2026, 3, 1, 8, 5)),
        ("2026/3/1 8:05:09", (2026, 3, 1, 8, 5, 9)),
        ("2026/03/01(日) 8:05", (2026, 3, 1, 8, 5)),
        ("2026年3月1日 8時5分9秒", (2026, 3, 1, 8, 5, 9)),
        ("20260301", (2026, 3, 1)),
        ("20260301083000", (2026, 3, 1, 8, 30)),
        ("20260301083000123", (2026, 3, 1, 8, 30, 0, 123_000)),
        ("20260301T083000", (2026, 3, 1, 8, 30)),
        ("20260301 08:30", (2026, 3, 1, 8, 30)),
        ("令和6年10月18日", (2024, 10, 18)),
        ("令和６年１０月１８日（金）　午後３時５分", (2024, 10, 18, 15, 5)),
        ("令和元年5月1日", (2019, 5, 1)),
        ("㋿元年5月1日", (2019, 5, 1)),
        ("R6.10.18", (2024, 10, 18)),
        ("R元.5.1", (2019, 5, 1)),
        ("r6.10.18 8:05", (2024, 10, 18, 8, 5)),
        ("R06/10/18", (2024, 10, 18)),
        ("R061018", (2024, 10, 18)),
        ("R061018 083000", (2024, 10, 18, 8, 30)),
        ("H31.4.30", (2019, 4, 30)),
        ("平成元年1月8日", (1989, 1, 8)),
        ("平成32年3月31日", (2020, 3, 31)),
        ("昭和64年1月7日", (1989, 1, 7)),
        ("S25.4.1", (1950, 4, 1)),
        ("令和6年10月18日 午前12時00分", (2024, 10, 18, 0, 0)),
        ("令和6年10月18日 午後12時30分", (2024, 10, 18, 12, 30)),
        ("2026-04-01 24:00", (2026, 4, 2)),
        ("2026/12/31 29:59:59", (2027, 1, 1, 5, 59, 59)),
        ("２０２６／４／１　８：３０", (2026, 4, 1, 8, 30)),
        ("  2024-02-29 ", (2024, 2, 29)),
    ],
)
def test_shapes_of_one_moment(text, parts):
    assert _read(text) == [_ms(*parts)]


@pytest.mark.parametrize(
    "text",
    [
        "R8.13.1", "R8.2.30", "R0.1.1", "令和元年4月30日", "H1.1.7", "R8.4", "R8/4.1", "X8.4.1", "2026-02-29", "2026-00-01",
        "2026-4/1", "2026-04-01 30:00", "2026-04-01 08:60", "2026-04-01 午後13時", "20261301", "1775090400000", "99999999",
        "0000-00-00", "10000-01-01", "1767-01-01", "2026-04-01x", "x2026-04-01", "午前8時", "8:30", "-", "٢٠٢٦-٠٤-٠١",
        "2026-04-01\n2026-04-02", "",
    ],
)  # fmt: skip
def test_what_is_no_date_is_null(text):
    assert _read(text) == [None]


def test_a_date_as_an_end_is_its_whole_day_and_a_moment_is_itself():
    whole, moment = _read("R8.3.31", "2026-03-31 12:00", end_of_day=True)
    assert whole == _ms(2026, 4, 1) - 1
    assert moment == _ms(2026, 3, 31, 12)
    assert _read("20260331", formats=["%Y%m%d"], end_of_day=True) == [whole]
    assert _read("9999-12-31", end_of_day=True) == [_ms(9999, 12, 31) + DAY_MS - 1]


def test_formats_of_the_source_come_first_and_the_usual_shapes_after_them():
    formats = ["%d/%b/%Y:%H:%M:%S %z", "%m/%d/%Y %I:%M:%S %p"]
    texts = ("31/Mar/2026:23:30:00 +0000", "04/01/2026 08:30:00 AM", "R8.4.1 8:30", "tomorrow")
    assert _read(*texts, formats=formats) == [_ms(2026, 4, 1, 8, 30)] * 3 + [None]


def test_a_format_decides_what_would_be_read_otherwise():
    assert _read("20260401", formats=["%Y%d%m"]) == [_ms(2026, 1, 4)]
    assert _read("2026-04-01 08:30:00.123456", formats=["%Y-%m-%d %H:%M:%S.%f"]) == [_ms(2026, 4, 1, 8, 30, 0, 123_000)]


def test_epochs_in_seconds_and_milliseconds():
    assert _read("1775090400", "1775090400.5", "x", "1e9", formats=["epoch"]) == [
        1775090400000,
        1775090400500,
        None,
        None,
    ]
    assert _read("1775090400000", formats=["epoch_ms"]) == [1775090400000]
    assert _read("９９９９９９９９９９９９９９９", formats=["epoch_ms"]) == [None]


def test_a_format_that_reads_nothing_is_refused_with_its_name():
    with pytest.raises(ValueError, match="time format '%Y-%m-%d %H'"):
        check_format("%Y-%m-%d %H")
    with pytest.raises(ValueError, match="no time zone 'Asia/Tokio': use an IANA name"):
        _read("2026-04-01", zone="Asia/Tokio")


def test_hours_that_summer_time_skips_or_repeats():
    new_york = ZoneInfo("America/New_York")
    skipped, repeated = _read("2025-03-09 02:30:00", "2025-11-02 01:30:00", zone="America/New_York")
    assert skipped == _ms(2025, 3, 9, 3, 30, zone=new_york)
    assert repeated == _ms(2025, 11, 2, 1, 30, zone=new_york)
    [last] = _read("2025-03-09", zone="America/New_York", end_of_day=True)
    assert last == _ms(2025, 3, 10, zone=new_york) - 1


def test_nothing_and_nulls_keep_name_length_and_type():
    nothing = moments(pl.Series("valid_to", [], dtype=pl.String), "Asia/Tokyo")
    assert (nothing.name, nothing.dtype, len(nothing)) == ("valid_to", pl.Int64, 0)
    assert _read(None, None) == [None, None]


def test_many_equal_values_are_read_like_few():
    texts = ["R8.4.1", "2026-04-02", "R8.13.1", None] * 1000
    assert _read(*texts) == _read(*texts[:4]) * 1000


_ERAS = {
    "令和": (2018, "R", date(2019, 5, 1)),
    "平成": (1988, "H", date(1989, 1, 8)),
    "昭和": (1925, "S", date(1926, 12, 25)),
}


@given(st.dates(date(1926, 12, 25), date(2117, 12, 31)), st.times())
def test_every_way_of_writing_a_moment_means_the_same(day, time):
    at = datetime.combine(day, time.replace(microsecond=time.microsecond // 1000 * 1000))
    era = next(name for name, (_, _, start) in _ERAS.items() if day >= start)
    before, letter, _ = _ERAS[era]
    year = day.year - before
    clock = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"
    texts = [
        f"{at.isoformat(timespec='milliseconds')}",
        f"{day} {clock}",
        f"{day.year}/{day.month}/{day.day} {clock}",
        f"{day:%Y%m%d}{at:%H%M%S}{at.microsecond // 1000:03}",
        f"{at.replace(tzinfo=TOKYO).astimezone(UTC).isoformat(timespec='milliseconds')}",
        f"{era}{'元' if year == 1 else year}年{day.month}月{day.day}日 {clock}",
        f"{letter}{year}.{day.month}.{day.day} {clock}",
        f"{letter}{year:02}{day:%m%d} {clock}" if year < 100 else f"{day} {clock}",
    ]
    # Not `timestamp()`: Japan had summer time from 1948 to 1951, and the two libraries choose alike only with fold 0.
    expected = round((at.replace(tzinfo=TOKYO, fold=0) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    assert set(_read(*texts)) == {expected}


@given(st.dates(date(1970, 1, 1), date(2100, 1, 1)), st.integers(24, 29), st.integers(0, 59))
def test_clocks_beyond_midnight_are_the_next_day(day, hour, minute):
    following = day + timedelta(days=1)
    assert _read(f"{day} {hour}:{minute:02}") == _read(f"{following} {hour - 24:02}:{minute:02}")


@given(st.dates(date(1952, 1, 1), date(9998, 12, 31)))
def test_first_and_last_moment_of_a_day_lie_a_day_less_a_millisecond_apart(day):
    [first], [last] = _read(f"{day}"), _read(f"{day}", end_of_day=True)
    assert last - first == DAY_MS - 1


@given(st.integers(-10, 10_000), st.integers(-1, 14), st.integers(-1, 33))
def test_a_day_is_read_exactly_if_it_exists(year, month, day):
    [read] = _read(f"{year:04}-{month:02}-{day:02}", zone="UTC")
    try:
        exists = date(year, month, day)
    except ValueError:
        exists = None
    if exists is None or year < 1868:
        assert read is None
    else:
        assert read == (exists - date(1970, 1, 1)).days * DAY_MS


@given(st.text())
def test_any_text_is_read_or_null(text):
    assert len(_read(text)) == 1
