"""Sources that fall silent, or never speak."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from detector.witness import State, advance
from detector.witness.source import NEVER_MS, a_working_day_after, end_of
from detector.witness.summary import summary
from tests.detector.witness.tidings import (
    EPOCH,
    HOUR,
    MINUTE,
    MONDAY,
    beats,
    checks,
    hours,
    limits,
    moment,
    rows,
    told,
    working_days,
)  # fmt: skip

SILENT = ("source_silent", "open", False)
BACK = ("source_silent", "text", True)
DAYS = sorted(working_days(4))
END = moment(DAYS[-1], 24) / MINUTE


def without(quiet: date, source: str = "ops", **more: Any) -> pl.DataFrame:
    return hours({day: span for day, span in working_days(4).items() if day != quiet}, source, **more)


def test_a_source_that_is_silent_in_working_hours_is_said_within_the_hour_and_once():
    quiet = DAYS[12]
    lines = pl.concat([without(quiet), hours({quiet: range(9, 11)}, tag="q")])
    silent, back = told(lines, END)
    assert (silent["check"], silent["who"], silent["form"], silent["update"]) == ("source_silent", "ops", "open", False)
    assert silent["from"] == moment(quiet, 10) + 39 * MINUTE
    assert silent["time"] == silent["to"] == moment(quiet, 12)
    assert (silent["usual"], silent["related"]) == (40, ["opsq-79"])
    assert (back["form"], back["update"], back["beside"]) == ("text", True, "opsq-79")
    assert (back["from"], back["to"]) == (silent["from"], moment(quiet, 24 + 9))
    assert back["time"] == moment(quiet, 24 + 10)
    assert back["usual"] == 6 * 40
    assert back["observed"] == (back["to"] - back["from"]) / 1000
    assert back["related"] == ["opsq-79", f"ops-{12 * 8 * 40}"]


def test_a_silence_over_an_hour_in_which_little_is_usual_is_one_silence():
    quiet = DAYS[12]
    spoken = {day: span for day, span in working_days(4).items() if day != quiet}
    morning, afternoon = dict.fromkeys(spoken, range(9, 12)), dict.fromkeys(spoken, range(13, 17))
    lunch = hours(dict.fromkeys(spoken, range(12, 13)), lines=5, tag="l")
    assert checks(pl.concat([hours(morning, tag="m"), lunch, hours(afternoon, tag="a")]), END) == [SILENT, BACK]


def test_a_few_stray_lines_do_not_break_a_silence():
    stray = hours({DAYS[12]: range(12, 13)}, lines=1, tag="s")
    assert checks(pl.concat([without(DAYS[12], lines=59), stray]), END) == [SILENT, BACK]


def test_silence_of_all_sources_for_a_working_day_is_said_while_heartbeats_go_on():
    lives = rows(*beats(range(moment(DAYS[0]) // MINUTE, int(END), 10)))
    found = told(pl.concat([without(DAYS[12]), without(DAYS[12], "doors"), lives]), END)
    assert [(one["check"], one["who"], one["update"]) for one in found] == [
        ("source_silent", "doors", False), ("source_silent", "ops", False),
        ("source_silent", "doors", True), ("source_silent", "ops", True),
    ]  # fmt: skip


def test_a_quiet_sunday_is_in_order():
    sundays = {day + timedelta(days=2): range(9, 17) for day in DAYS[:15] if day.weekday() == 4}
    other = {day: span for day, span in sundays.items() if day != max(sundays)}
    assert checks(pl.concat([hours(working_days(4)), hours(other)]), END) == []


def test_a_declared_holiday_is_in_order():
    assert checks(without(DAYS[12]), END, by=limits(off=[DAYS[12]])) == []
    assert checks(without(DAYS[12]), END) == [SILENT, BACK]


def test_without_a_calendar_a_source_that_rests_at_weekends_is_no_measure():
    every = limits()
    unknown = type(every)(every.heartbeat_s, every.zone, lambda day: None)
    assert checks(without(DAYS[12]), END, by=unknown) == []


def test_a_source_that_often_pauses_is_no_measure():
    every_other = {day: span for n, (day, span) in enumerate(sorted(working_days(4).items())) if n % 2}
    assert checks(hours(every_other), END) == []


def test_a_source_of_few_lines_is_no_measure():
    assert checks(without(DAYS[12], lines=29), END) == []


@pytest.mark.parametrize(("quiet", "said"), [(8, []), (9, [SILENT, BACK])])
def test_nothing_is_usual_before_eight_days_the_first_of_which_may_be_cut(quiet: int, said: list[Any]):
    assert checks(without(DAYS[quiet]), END) == said


def test_a_source_that_stops_for_good_is_said_once():
    until = {day: span for day, span in working_days(4).items() if day < DAYS[12]}
    assert checks(hours(until), END) == [SILENT]
    assert checks(hours(until), END + 400 * 24 * 60) == [SILENT]


def test_a_source_of_one_busy_week_is_no_measure():
    assert checks(hours(dict.fromkeys(DAYS[5:10], range(24))), END) == []


def test_what_was_usual_long_ago_is_no_measure():
    early = hours(working_days(4))
    later = hours({DAYS[-1] + timedelta(days=60 + n): range(9, 17) for n in range(3)}, tag="later")
    found = told(pl.concat([early, later]), (moment(DAYS[-1], 24) + 70 * 24 * HOUR) / MINUTE)
    assert [(one["check"], one["update"]) for one in found] == [("source_silent", False), ("source_silent", True)]


def test_lines_that_come_late_end_a_silence_that_was_told():
    quiet = DAYS[12]
    until = moment(quiet, 15) + MINUTE
    seen = without(quiet, lines=59).filter(pl.col("time.occurred") < until)
    state, first = advance(State(), summary(seen), until, limits())
    few, lines = hours({quiet: range(9, 10)}, lines=1, tag="few"), hours({quiet: range(9, 15)}, tag="late")
    state, late_few = advance(state, summary(few), until, limits())
    state, late = advance(state, summary(lines), until, limits())
    _, after = advance(state, summary(hours({quiet: range(15, 17)}, tag="on")), moment(quiet, 24), limits())
    _, again = advance(state, summary(hours({})), moment(quiet, 24), limits())
    assert [one["form"] for one in first.to_dicts()] == ["open"]
    assert late_few.is_empty()
    assert late.select("form", "update", "to").rows() == [("text", True, moment(quiet, 9))]
    assert after.is_empty()
    assert again.select("form", "update", "from").rows() == [("open", False, moment(quiet, 14) + 39 * MINUTE)]


def test_lines_from_before_a_silence_that_come_late_do_not_end_it():
    quiet = DAYS[12]
    seen = without(quiet).filter(pl.col("time.occurred") < moment(quiet))
    state, first = advance(State(), summary(seen), moment(quiet, 12), limits())
    _, late = advance(state, summary(hours({DAYS[11]: range(15, 16)}, tag="late")), moment(quiet, 12), limits())
    assert first["form"].to_list() == ["open"]
    assert late.is_empty()


def test_a_source_that_comes_back_after_years_begins_anew_however_it_is_cut():
    early = hours({day: span for day, span in working_days(4).items() if day < DAYS[12]})
    later = hours({DAYS[0] + timedelta(days=800): range(9, 17)}, tag="later")
    end = moment(DAYS[0], 24 * 900)
    state, first = advance(State(), summary(early), moment(DAYS[0], 24 * 700), limits())
    assert not state.sources
    _, second = advance(state, summary(later), end, limits())
    assert [*first.to_dicts(), *second.to_dicts()] == told(pl.concat([early, later]), end / MINUTE)


def test_the_hours_are_those_of_the_site():
    # 09:00 to 17:00 in Tokyo are other days' hours in UTC.
    tokyo = without(DAYS[12]).with_columns(pl.col("time.occurred") - 9 * HOUR)
    [silent, _] = told(tokyo, END, by=limits(zone="Asia/Tokyo"))
    assert silent["time"] == moment(DAYS[12], 10) - 9 * HOUR


@pytest.mark.parametrize(
    ("zone", "day", "hour", "end"),
    [
        ("Asia/Kolkata", date(2026, 4, 6), 9, "2026-04-06 04:30"),
        # 01:00 comes twice, 02:00 never.
        ("Europe/Berlin", date(2026, 10, 25), 1, "2026-10-25 01:00"),
        ("Europe/Berlin", date(2026, 10, 25), 2, "2026-10-25 02:00"),
        ("Europe/Berlin", date(2026, 3, 29), 1, "2026-03-29 01:00"),
    ],
)
def test_an_hour_is_over_when_it_is_over_for_the_last_time(zone: str, day: date, hour: int, end: str):
    at = pl.Series([end]).str.to_datetime("%Y-%m-%d %H:%M", time_unit="ms").dt.epoch("ms").item()
    assert end_of((day - EPOCH).days * 24 + hour, zone) == at


def test_the_last_hour_of_all_is_never_over():
    assert end_of((date.max - EPOCH).days * 24 + 23, "Asia/Tokyo") == NEVER_MS


# Declared sources.


def never(found: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(one["who"], one["form"], one["update"]) for one in found if one["check"] == "source_never"]


def test_a_declared_source_that_never_spoke_is_said_after_a_working_day():
    week = hours(working_days(1))
    assert never(told(week, (moment(MONDAY, 24 + 9)) / MINUTE, expected=("ops", "doors", "doors"))) == []
    found = told(week, (moment(MONDAY, 24 + 9) + 2 * MINUTE) / MINUTE, expected=("ops", "doors", "doors"))
    assert never(found) == [("doors", "open", False)]
    assert found[0]["time"] == moment(MONDAY, 24 + 9)


def test_a_declared_source_that_speaks_at_last_is_said():
    late = hours({MONDAY + timedelta(days=3): range(9, 12)}, "doors")
    found = told(pl.concat([hours(working_days(1)), late]), END, expected=("ops", "doors"))
    assert never(found) == [("doors", "open", False), ("doors", "filled", True)]
    assert (found[-1]["to"], found[-1]["beside"]) == (moment(MONDAY, 3 * 24 + 9), "")


def test_a_declared_source_that_speaks_at_last_is_said_in_a_later_call():
    state, first = advance(State(), summary(hours(working_days(1)), ("doors",)), moment(MONDAY, 60), limits())
    late = hours({MONDAY + timedelta(days=3): range(9, 12)}, "doors")
    _, second = advance(state, summary(late), moment(MONDAY, 96), limits())
    assert never([*first.to_dicts(), *second.to_dicts()]) == [("doors", "open", False), ("doors", "filled", True)]


def test_the_first_event_of_all_stage_ones_counts():
    one, other = hours({MONDAY: range(9, 10)}), hours({MONDAY + timedelta(days=1): range(9, 10)}, "lan")
    both = pl.concat([summary(other, ("doors",)), summary(one, ("doors",))])
    _, found = advance(State(), both, moment(MONDAY, 30 * 24), limits())
    assert found["time"].to_list() == [moment(MONDAY, 24 + 9)]


def test_without_any_event_nothing_is_said_of_sources():
    assert never(told(hours({}), END, expected=("ops",))) == []


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-04-06 09:10", "2026-04-07 09:15"),  # Monday
        ("2026-04-10 15:00", "2026-04-13 15:00"),  # Friday
        ("2026-04-11 10:00", "2026-04-14 00:00"),  # Saturday: the whole of Monday
    ],
)
def test_a_working_day_is_a_whole_one(since: str, until: str):
    zone = "Asia/Tokyo"
    moments = pl.Series([since, until]).str.to_datetime("%Y-%m-%d %H:%M", time_unit="ms", time_zone=zone)
    start, end = moments.dt.epoch("ms").to_list()
    assert a_working_day_after(start, limits(zone=zone)) == end


def test_where_every_day_is_off_nothing_is_waited_for():
    every = limits()
    off = type(every)(every.heartbeat_s, every.zone, lambda day: True)
    assert a_working_day_after(0, off) == NEVER_MS
    assert never(told(hours(working_days(1)), END, by=off, expected=("doors",))) == []
