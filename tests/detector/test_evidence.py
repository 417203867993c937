"""Whether the logs are whole: what is missing is said once, and what is in order is not."""

import itertools
import json
from datetime import date, timedelta

import polars as pl
import pytest

from contract import event
from detector import evidence, words

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
COLUMNS = {
    "event.id": pl.String(), "event.class": pl.String(), "time.occurred": pl.Int64(), "time.date": pl.Date(),
    "time.hour": pl.Int64(), "time.day_off": pl.Boolean(), "agent.id": pl.String(), "agent.boot": pl.String(),
    "agent.seq": pl.Int64(), "source.id": pl.String(), "resource.count": pl.Int64(),
}  # fmt: skip
MONDAY = date(2026, 4, 6)


def noted(*frames: pl.DataFrame) -> evidence.Evidence:
    found = evidence.Evidence()
    for frame in frames:
        found = evidence.note(found, frame)
    return found


def rows(*given: dict[str, object]) -> pl.DataFrame:
    filled = [{"event.id": f"{n:016x}", "event.class": "access"} | row for n, row in enumerate(given)]
    return pl.DataFrame(filled, schema=COLUMNS)


def line(seq: int | None, minute: float = 0.0, boot: str | None = "b1", agent: str | None = "ag", **more: object):
    at = {"time.occurred": int(minute * MINUTE), "time.date": date(1970, 1, 1), "time.hour": 0, "time.day_off": False}
    return at | {"agent.id": agent, "agent.boot": boot, "agent.seq": seq} | more


def beat(seq: int, minute: float, count: int | None = None, boot: str = "b1", agent: str = "ag") -> dict[str, object]:
    return line(seq, minute, boot, agent) | {"event.class": "heartbeat", "resource.count": count}


def checks(found: evidence.Evidence, heartbeat_s: int = 600, sources: tuple[str, ...] = ()) -> list[str]:
    return evidence.judge(found, heartbeat_s, sources)["check"].to_list()


def hours(
    spoken: dict[date, range], source: str = "ops", lines: int = 40, off: tuple[date, ...] = (), tag: str = ""
) -> pl.DataFrame:
    """So many lines of a source in each of the hours (UTC is the local zone here)."""
    parts = []
    for day, span in spoken.items():
        for hour in span:
            at = (day - date(1970, 1, 1)).days * DAY + hour * HOUR
            parts.append(
                pl.DataFrame({"time.occurred": [at + n * MINUTE for n in range(lines)]}).with_columns(
                    pl.lit(day).alias("time.date"),
                    pl.lit(hour, dtype=pl.Int64).alias("time.hour"),
                    pl.lit(day in off or day.weekday() > 4).alias("time.day_off"),
                )
            )
    frame = pl.concat(parts).with_columns(
        pl.format("{}{}-{}", pl.lit(source), pl.lit(tag), pl.int_range(pl.len())).alias("event.id"),
        pl.lit("access").alias("event.class"),
        pl.lit(source).alias("source.id"),
        *(pl.lit(None, dtype=COLUMNS[name]).alias(name) for name in ("agent.id", "agent.boot", "agent.seq")),
        pl.lit(1, dtype=pl.Int64).alias("resource.count"),
    )
    return frame.select(list(COLUMNS))


def working_days(weeks: int) -> dict[date, range]:
    days = [MONDAY + timedelta(days=n) for n in range(7 * weeks)]
    return {day: range(9, 17) for day in days if day.weekday() < 5}


# Sequence numbers.


def test_numbers_without_a_gap_are_in_order():
    assert checks(noted(rows(*(line(n, n) for n in range(9))))) == []


def test_a_missing_number_is_said_with_both_neighbours():
    [found] = evidence.judge(noted(rows(line(1, 1), line(2, 2), line(5, 7))), 600).to_dicts()
    assert (found["check"], found["who"], found["observed"]) == ("sequence_gap", "ag", 2.0)
    assert (found["from"], found["to"], found["time"]) == (2 * MINUTE, 7 * MINUTE, 7 * MINUTE)
    assert found["related"] == ["0000000000000001", "0000000000000002"]


def test_numbers_begin_again_with_a_new_boot():
    assert checks(noted(rows(line(7, 1), line(8, 2), line(0, 3, "b2"), line(1, 4, "b2")))) == []


def test_a_gap_in_each_of_two_boots_is_two_gaps():
    assert checks(noted(rows(line(1), line(3), line(1, boot="b2"), line(3, boot="b2")))) == ["sequence_gap"] * 2


def test_two_agents_may_use_the_same_numbers():
    assert checks(noted(rows(line(1, agent="x"), line(2, agent="y"), line(3, agent="z")))) == []


def test_a_number_that_comes_twice_is_no_gap():
    assert checks(noted(rows(line(1), line(2), line(2), line(3)), rows(line(2), line(3)))) == []


def test_a_gap_that_a_late_line_fills_is_none():
    assert checks(noted(rows(line(1), line(3)), rows(line(2)))) == []


def test_the_line_behind_a_gap_may_have_happened_earlier():
    [found] = evidence.judge(noted(rows(line(1, 30), line(3, 20))), 600).to_dicts()
    assert (found["from"], found["to"], found["time"]) == (20 * MINUTE, 30 * MINUTE, 30 * MINUTE)


@pytest.mark.parametrize("absent", [{"seq": None}, {"seq": 5, "boot": None}, {"seq": 5, "agent": None}])
def test_a_line_without_agent_boot_or_number_proves_nothing(absent: dict[str, object]):
    assert checks(noted(rows(line(1), line(2), line(**absent)))) == []  # type: ignore[arg-type]


def test_the_order_in_which_lines_are_noted_does_not_matter():
    twice = [beat(6, 10, 1), beat(6, 11, 0), beat(8, 30, 5)]
    given = rows(line(1, 1), line(2, 5), line(2, 3), line(4, 9), line(4, 8), *twice)
    pieces = [given.slice(n, 2) for n in range(0, 8, 2)]
    whole = noted(given)
    for order in itertools.permutations(pieces):
        split = noted(*order)
        for part in ("ranges", "hours"):
            assert getattr(split, part).equals(getattr(whole, part)), part
        assert evidence.judge(split, 600).equals(evidence.judge(whole, 600))


# Heartbeats.


def test_regular_heartbeats_are_in_order():
    assert checks(noted(rows(*(beat(n, 10 * n, 0) for n in range(20))))) == []


def test_a_heartbeat_that_is_a_little_late_is_in_order():
    assert checks(noted(rows(*(beat(n, 10 * n + (n > 7), 0) for n in range(20))))) == []


def test_missing_heartbeats_are_one_silence():
    [found] = evidence.judge(noted(rows(*(beat(n, 10 * n + 60 * (n > 7), 0) for n in range(20)))), 600).to_dicts()
    assert (found["check"], found["observed"], found["usual"]) == ("heartbeat_gap", 4200.0, 600.0)
    assert (found["from"], found["to"]) == (70 * MINUTE, 140 * MINUTE)


def test_an_agent_that_beats_more_slowly_than_declared_is_not_reported_at_every_beat():
    assert checks(noted(rows(*(beat(n, 25 * n, 0) for n in range(20))))) == []


def test_an_agent_that_is_not_heard_of_again_is_said_once():
    others = [line(None, minute, agent=None, boot=None, **{"source.id": "ops"}) for minute in (195, 230)]
    [found] = evidence.judge(noted(rows(*(beat(n, 10 * n, 0) for n in range(20)), *others)), 600).to_dicts()
    assert (found["check"], found["from"], found["to"]) == ("heartbeat_stopped", 190 * MINUTE, 230 * MINUTE)


def test_an_agent_whose_next_heartbeat_is_not_due_yet_has_not_stopped():
    others = [line(None, 200.9, agent=None, boot=None, **{"source.id": "ops"})]
    assert checks(noted(rows(*(beat(n, 10 * n, 0) for n in range(20)), *others))) == []


def test_a_single_heartbeat_counts_as_having_stopped_when_the_next_is_overdue():
    later = line(None, 12, agent=None, boot=None)
    assert checks(noted(rows(beat(0, 0, 0), later))) == ["heartbeat_stopped"]


def test_a_restart_in_time_is_no_silence():
    first = [beat(n, 10 * n, 0) for n in range(10)]
    assert checks(noted(rows(*first, *(beat(n, 100 + 10 * n, 0, "b2") for n in range(10))))) == []


def test_a_count_that_is_right_is_in_order():
    assert checks(noted(rows(beat(0, 0, 0), line(1, 3), line(2, 4), beat(3, 10, 2)))) == []


def test_a_count_that_is_larger_than_the_lines_between_is_said():
    [found] = evidence.judge(noted(rows(beat(0, 0, 0), line(1, 3), beat(2, 10, 4))), 600).to_dicts()
    assert (found["check"], found["observed"], found["usual"]) == ("count_mismatch", 1.0, 4.0)


def test_a_count_that_is_missing_is_not_compared():
    assert checks(noted(rows(beat(0, 0), line(1, 3), beat(2, 10)))) == []


def test_the_first_heartbeat_of_a_boot_has_nothing_to_be_compared_with():
    assert checks(noted(rows(beat(4, 0, 99), line(5, 3), beat(6, 10, 1)))) == []


def test_missing_numbers_are_said_once_and_not_again_as_a_wrong_count():
    assert checks(noted(rows(beat(0, 0, 0), line(1, 3), line(3, 4), beat(4, 10, 2)))) == ["sequence_gap"]


def test_one_round_over_several_partitions_counts_as_one():
    first = [beat(n, n / 1000, 0) for n in range(4)]
    second = [beat(6 + n, 10 + n / 1000, 2) for n in range(4)]
    assert checks(noted(rows(*first, line(4, 3), line(5, 4), *second))) == []


def test_heartbeats_of_a_quiet_agent_are_rounds_of_their_own():
    assert checks(noted(rows(*(beat(n, 10 * n, 0) for n in range(5)), line(None, 55, boot=None)))) == []


def test_a_clock_that_is_set_back_is_said():
    [found] = evidence.judge(noted(rows(beat(0, 30, 0), beat(1, 5, 0), beat(2, 15, 0))), 3000).to_dicts()
    assert (found["check"], found["observed"]) == ("clock_set_back", 1500.0)
    assert (found["from"], found["to"]) == (5 * MINUTE, 30 * MINUTE)


def test_a_clock_that_its_time_server_corrects_is_in_order():
    assert checks(noted(rows(beat(0, 10, 0), beat(1, 9.1, 0), beat(2, 19, 0)))) == []


def test_no_incident_ends_before_it_begins():
    found = evidence.judge(noted(rows(beat(0, 30, 0), line(1, 31), beat(2, 5, 4), line(4, 2))), 6000)
    assert sorted(found["check"]) == ["clock_set_back", "count_mismatch", "sequence_gap"]
    assert found.filter(pl.col("from") > pl.col("to")).is_empty()


def test_every_check_has_words():
    said = evidence.judge.__doc__ or ""
    assert all(check in said for check in words.EVIDENCE)


# Sources.


def test_a_declared_source_that_never_spoke_is_said():
    found = evidence.judge(noted(hours(working_days(1))), 600, ("ops", "doors", "doors"))
    assert found.select("check", "who").rows() == [("source_never", "doors")]


def test_without_any_event_nothing_is_said_of_sources():
    assert checks(evidence.Evidence(), sources=("ops",)) == []


def test_a_source_that_is_silent_in_working_hours_is_said_once():
    days = working_days(4)
    quiet = sorted(days)[12]
    lines = [hours({day: span for day, span in days.items() if day != quiet}), hours({quiet: range(9, 11)}, tag="q")]
    [found] = evidence.judge(noted(*lines, hours(days, "other")), 600).to_dicts()
    assert (found["check"], found["who"]) == ("source_silent", "ops")
    start = (quiet - date(1970, 1, 1)).days * DAY
    assert found["from"] == start + 10 * HOUR + 39 * MINUTE
    assert found["to"] == start + DAY + 9 * HOUR
    assert found["usual"] == 6 * 40
    assert found["related"] == ["opsq-79", f"ops-{12 * 8 * 40}"]


def test_a_silence_over_an_hour_in_which_little_is_usual_is_one_silence():
    days = working_days(4)
    quiet = sorted(days)[12]
    spoken = {day: span for day, span in days.items() if day != quiet}
    lunch = {day: range(12, 13) for day in spoken}
    morning, afternoon = {day: range(9, 12) for day in spoken}, {day: range(13, 17) for day in spoken}
    lines = [hours(morning, tag="m"), hours(lunch, lines=5, tag="l"), hours(afternoon, tag="a")]
    assert checks(noted(*lines, hours(days, "other"))) == ["source_silent"]


def test_a_few_stray_lines_do_not_break_a_silence():
    days = working_days(4)
    quiet = sorted(days)[12]
    spoken = {day: span for day, span in days.items() if day != quiet}
    stray = hours({quiet: range(12, 13)}, lines=1, tag="s")
    many = hours(spoken, lines=59)
    assert checks(noted(many, stray, hours(days, "other"))) == ["source_silent"]


def test_a_quiet_sunday_is_in_order():
    days = working_days(4)
    weekend = {day + timedelta(days=1): range(9, 17) for day in days if day.weekday() == 4}
    sunday = weekend | {min(weekend) + timedelta(days=1): range(9, 10)}
    assert checks(noted(hours(days), hours(sunday, "other"))) == []


def test_a_declared_holiday_is_in_order():
    days = working_days(4)
    holiday = sorted(days)[12]
    spoken = {day: span for day, span in days.items() if day != holiday}
    assert checks(noted(hours(spoken), hours(days, "other", off=(holiday,)))) == []


def test_a_source_that_often_pauses_is_no_measure():
    days = working_days(4)
    every_other = {day: span for n, (day, span) in enumerate(sorted(days.items())) if n % 2}
    assert checks(noted(hours(every_other), hours(days, "other"))) == []


def test_a_source_of_few_lines_is_no_measure():
    days = working_days(4)
    quiet = sorted(days)[12]
    spoken = {day: span for day, span in days.items() if day != quiet}
    assert checks(noted(hours(spoken, lines=29), hours(days, "other"))) == []


def test_a_source_that_stops_for_good_is_silent_until_the_end():
    days = working_days(4)
    until = {day: span for n, (day, span) in enumerate(sorted(days.items())) if n < 12}
    found = noted(hours(until), hours(days, "other"))
    [one] = evidence.judge(found, 600).to_dicts()
    assert (one["check"], one["who"], one["to"], one["time"]) == ("source_silent", "ops", found.last, found.last)
    assert one["from"] == max(hours(until)["time.occurred"])
    assert one["related"] == [f"ops-{12 * 8 * 40 - 1}"]


def test_a_source_of_one_busy_week_has_not_stopped():
    days = working_days(4)
    week = {day: range(24) for day in sorted(days)[5:14]}
    assert checks(noted(hours(days, "other"), hours(week))) == []


def test_the_empty_frame_and_a_frame_of_nulls_are_noted():
    nothing = pl.DataFrame(schema=COLUMNS)
    assert checks(noted(nothing)) == []
    bare = rows({"time.occurred": 5, "time.date": date(1970, 1, 1), "time.hour": 9, "time.day_off": None})
    assert checks(noted(bare, nothing)) == []
    assert set(COLUMNS) - set(event.KEYS) == {"time.date", "time.hour", "time.day_off"}


# What a new boot says of the one before it, after a crash.


def opening(unacknowledged: list[list[int]], boot: str = "b1", minute: float = 30.0) -> pl.DataFrame:
    """The first heartbeat of boot b2, which says what of the boot before may not have arrived."""
    told = {"boot": boot, "last": 9, "hash": "00" * 32, "unacknowledged": unacknowledged, "relayed": 0}
    message = json.dumps({"sealed": -1, "previous": [told]}, separators=(",", ":"))
    return rows(beat(0, minute, 0, "b2")).with_columns(pl.lit(message).alias("message"))


def test_numbers_that_a_crash_may_have_lost_are_no_gap():
    before = rows(line(1, 1), line(2, 2), line(6, 3), line(7, 4))
    assert checks(noted(before, opening([[3, 5]]))) == []
    assert checks(noted(opening([[3, 5]]), before)) == []


def test_numbers_beside_those_that_a_crash_may_have_lost_are_a_gap():
    before = rows(line(1, 1), line(2, 2), line(8, 3))
    [found] = evidence.judge(noted(before, opening([[4, 5]])), 600).to_dicts()[:1]
    assert checks(noted(before, opening([[4, 5]]))) == ["sequence_gap", "sequence_gap"]
    assert found["observed"] == 1.0


def test_what_is_said_of_another_boot_excuses_nothing():
    before = rows(line(1, 1), line(2, 2), line(6, 3))
    assert checks(noted(before, opening([[3, 5]], boot="b0"))) == ["sequence_gap"]


def test_a_heartbeat_that_a_crash_may_have_lost_makes_no_count_wrong():
    before = rows(beat(1, 1, 0), *(line(n, 5) for n in (2, 3, 6)), beat(7, 11, 1))
    assert checks(noted(before, opening([[4, 5]], minute=21))) == []


@pytest.mark.parametrize(
    "message", ['{"previous":', '{"previous":7}', '{"previous":[7]}', '"previous"', '["previous"]']
)
def test_a_message_that_is_no_agents_statement_says_nothing(message: str):
    before = rows(line(1, 1), line(3, 2))
    strange = rows(beat(0, 3, 0, "b2")).with_columns(pl.lit(message).alias("message"))
    assert checks(noted(before, strange)) == ["sequence_gap"]
