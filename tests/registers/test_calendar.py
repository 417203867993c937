"""Local time, days off, emergencies."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import polars as pl

from registers.calendar import Calendar
from registers.config import parse

TOKYO = ZoneInfo("Asia/Tokyo")


def _ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=TOKYO).timestamp() * 1000)


def _days_off(toml: str, first: tuple[int, ...], last: tuple[int, ...]) -> dict[date, bool | None]:
    return dict(Calendar(parse(toml)).days(_ms(*first), _ms(*last)).iter_rows())


def test_national_holidays_weekends_and_the_days_of_the_site_are_off():
    off = _days_off('[holidays]\ncountry = "JP"\nlocal = ["R8.4.30", 2026-05-01]', (2026, 4, 24), (2026, 5, 7))
    working = [day.day for day, is_off in off.items() if not is_off]
    # 29 April to 6 May are holidays (6 May for 3 May, a Sunday); 25 and 26 April are a weekend.
    assert working == [24, 27, 28, 7]
    assert None not in off.values()


def test_without_a_country_only_declared_days_are_known():
    off = _days_off('[holidays]\nlocal = ["2026-12-29"]', (2026, 12, 28), (2026, 12, 30))
    assert list(off.values()) == [None, True, None]
    assert set(_days_off("", (2026, 12, 26), (2026, 12, 27)).values()) == {None}


def test_days_are_those_of_the_sites_zone():
    days = Calendar(parse("")).days(_ms(2026, 4, 1), _ms(2026, 4, 2) - 1)
    assert days.get_column("date").to_list() == [date(2026, 4, 1)]
    assert days.schema == {"date": pl.Date, "day_off": pl.Boolean}
    assert Calendar(parse("")).days(1, 0 - 86_400_000).is_empty()


def test_local_time_is_wall_clock_time():
    frame = pl.DataFrame({"at": [_ms(2026, 4, 1, 0, 30), None]}).select(Calendar(parse("")).local(pl.col("at")))
    assert frame.get_column("at").to_list() == [datetime(2026, 4, 1, 0, 30, tzinfo=TOKYO), None]


def test_emergencies_by_system():
    toml = """
        [[emergencies]]
        name = "地震"
        from = "2026-03-21T03:40:00+09:00"
        to = "2026-03-31"
        systems = ["disaster", "welfare"]
        [[emergencies]]
        from = 2026-05-01
    """
    assert Calendar(parse(toml)).emergencies.rows() == [
        ("disaster", _ms(2026, 3, 21, 3, 40), _ms(2026, 4, 1) - 1, "地震"),
        ("welfare", _ms(2026, 3, 21, 3, 40), _ms(2026, 4, 1) - 1, "地震"),
        (None, _ms(2026, 5, 1), None, ""),
    ]
    assert Calendar(parse("")).emergencies.schema == {
        "system": pl.String,
        "from": pl.Int64,
        "to": pl.Int64,
        "name": pl.String,
    }
