"""Numbers of agents: what is missing is said once and in time, and what is in order is not."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from detector.witness import State, advance
from detector.witness.agent import MOST_AHEAD, MOST_BOOTS, MOST_SHOWN, Agent
from detector.witness.boot import GRACE, GRACE_BEATING, MOST_RUNS
from detector.witness.summary import summary
from tests.detector.witness.tidings import (
    GAP,
    LONG,
    MINUTE,
    beat,
    beats,
    checks,
    kept,
    limits,
    line,
    of,
    opening,
    rows,
    told,
)

FILLED = ("sequence_gap", "filled", True)


def test_numbers_without_a_gap_are_in_order():
    assert checks(kept(range(90)), 90) == []


def test_a_missing_number_is_said_when_heartbeats_behind_it_came():
    [found] = told(kept(range(20), {41, 42}), 20)
    assert (found["check"], found["who"], found["observed"], found["form"]) == ("sequence_gap", "ag", 2.0, "text")
    assert (found["from"], found["to"]) == (int(10.2 * MINUTE), int(10.9 * MINUTE))
    assert found["time"] == 16 * MINUTE - 1
    assert len(found["related"]) == 2
    assert found["beside"] == found["related"][0]


def test_holes_of_one_moment_are_one_statement():
    [found] = told(kept(range(20), {40, 42}), 30)
    assert (found["observed"], len(found["related"])) == (2.0, 3)


def test_numbers_begin_again_with_a_new_boot():
    both = [*kept(range(30)), beat(0, 31, 0, "b2"), *beats(range(32, 60), 1, "b2")]
    assert checks(both, 60) == []


def test_a_gap_in_each_of_two_boots_is_two_gaps():
    both = [line(1), line(3, 0.1), line(1, boot="b2"), line(3, 0.1, boot="b2")]
    assert checks(both, LONG) == [GAP, GAP]


def test_two_agents_may_use_the_same_numbers():
    assert checks([line(1, agent="x"), line(2, agent="y"), line(3, agent="z")], LONG) == []


def test_a_number_that_comes_twice_is_no_gap():
    assert checks([line(1), line(2), line(2, 1), line(3), line(2, 5), line(3, 6)], LONG) == []


def test_a_number_known_under_the_line_that_came_again_fills_a_gap():
    assert checks([line(1), line(3, 2), line(2, 1, again=True)], LONG) == []
    assert checks([line(1), line(3, 2)], LONG) == [GAP]


def test_a_boot_without_heartbeats_waits_for_an_hour():
    [found] = told([line(1, 1), line(2, 2), line(5, 7)], LONG)
    assert (found["from"], found["to"], found["observed"]) == (2 * MINUTE, 7 * MINUTE, 2.0)
    assert found["time"] == (7 + GRACE + 1) * MINUTE - 1
    assert checks([line(1, 1), line(2, 2), line(5, 7)], 7 + GRACE) == []


def test_a_boot_that_fell_silent_waits_for_a_day():
    events = [*beats(range(10)), line(11, 10.5)]
    assert of("sequence_gap", told(events, 10 + GRACE_BEATING)) == []
    assert len(of("sequence_gap", told(events, 12 + GRACE_BEATING))) == 1


def test_the_line_behind_a_gap_may_have_happened_earlier():
    [found] = told([line(1, 30), line(3, 20)], LONG)
    assert (found["from"], found["to"]) == (20 * MINUTE, 30 * MINUTE)


@pytest.mark.parametrize("absent", [{"seq": None}, {"seq": 5, "boot": None}, {"seq": 5, "agent": None}])
def test_a_line_without_agent_boot_or_number_proves_nothing(absent: dict[str, Any]):
    assert checks([line(1), line(2), line(**absent)], LONG) == []


def test_a_source_whose_clock_runs_ahead_a_little_makes_no_gap():
    events = kept(range(60))
    ahead = [row | {"time.occurred": row["time.occurred"] + 4 * MINUTE} if row["agent.seq"] % 4 == 1 else row
             for row in events]  # fmt: skip
    assert checks(ahead, 70) == []


def test_a_source_whose_clock_runs_far_ahead_is_learned():
    events = kept(range(120))
    ahead = [row | {"time.occurred": row["time.occurred"] + 20 * MINUTE} if row["agent.seq"] % 4 == 1 else row
             for row in events]  # fmt: skip
    found = checks(ahead, 130)
    # Said while it is not known yet, minute by minute, and taken back when the lines come.
    assert found.count(GAP) == found.count(FILLED) == 15
    assert len(found) == 30


def test_what_is_learned_of_a_clock_is_bounded():
    found = [*kept(range(20), {41}), line(41, 300), *beats(range(20, 310), 80)]
    state, _ = advance(State(), summary(rows(*found)), 310 * MINUTE, limits())
    assert Agent.unpack(state.agents["ag"]).ahead == MOST_AHEAD


def test_an_agent_that_runs_twice_under_one_name_is_heard_as_two_boots():
    one = [row | {"time.occurred": row["time.occurred"] + 4 * MINUTE} if row["agent.seq"] % 4 == 1 else row
           for row in kept(range(30))]  # fmt: skip
    assert checks([*one, *beats([n + 0.95 for n in range(30)], boot="b2")], 30) == []


def test_the_boot_before_tells_nothing_of_a_new_one():
    new = [
        line(0, 10.1, "b2"),
        line(1, 18, "b2"),
        line(2, 10.3, "b2"),
        line(3, 16, "b2"),
        *beats(range(20, 30), 4, "b2"),
    ]
    assert checks([*beats(range(10)), *new], 30) == []


def test_lines_ahead_of_time_at_the_end_of_a_boot_make_no_gap():
    one = [row | {"time.occurred": row["time.occurred"] + 4 * MINUTE} if row["agent.seq"] % 4 == 1 else row
           for row in kept(range(30))]  # fmt: skip
    assert checks([*one, *beats(range(30, 50), boot="b2")], 50) == []


def test_a_file_that_comes_a_day_late_makes_no_gap():
    today = [row | {"time.occurred": row["time.occurred"] + 1440 * MINUTE} for row in kept(range(60))]
    late = [row | {"time.received": row["time.occurred"]} for row in today]
    for n, row in enumerate(late):
        if row["agent.seq"] % 4 == 2:
            row["time.occurred"] = (n + 1) * MINUTE
    yesterday = beats(range(1440), boot="b0")
    assert checks([*yesterday, *late], 1500) == []


def test_a_gap_that_a_late_line_fills_is_taken_back():
    state, first = advance(State(), summary(rows(*kept(range(20), {41, 42}))), 20 * MINUTE - 1, limits())
    [gap] = first.to_dicts()
    state, partly = advance(state, summary(rows(line(42, 10.4))), 20 * MINUTE - 1, limits())
    [less] = partly.to_dicts()
    state, whole = advance(state, summary(rows(line(41, 10.3))), 20 * MINUTE - 1, limits())
    [none] = whole.to_dicts()
    assert [(one["form"], one["update"], one["observed"]) for one in (gap, less, none)] == [
        ("text", False, 2.0), ("text", True, 1.0), ("filled", True, 2.0)
    ]  # fmt: skip
    assert {(one["check"], one["who"], one["beside"]) for one in (gap, less, none)} == {
        ("sequence_gap", "ag", gap["beside"])
    }
    assert advance(state, summary(rows()), 21 * MINUTE, limits())[1].is_empty()


def test_a_late_line_that_fills_a_gap_in_time_leaves_nothing_to_say():
    state, first = advance(State(), summary(rows(*kept(range(12), {41}))), 12 * MINUTE - 1, limits())
    state, late = advance(state, summary(rows(line(41, 10.3))), 12 * MINUTE - 1, limits())
    _, after = advance(state, summary(rows(*kept(range(12, 25)))), 25 * MINUTE - 1, limits())
    assert first.is_empty()
    assert late.is_empty()
    assert after.is_empty()


def test_a_heartbeat_that_comes_after_its_gap_was_told_makes_no_count_wrong():
    state, first = advance(State(), summary(rows(*kept(range(20), {43}))), 20 * MINUTE - 1, limits())
    _, late = advance(state, summary(rows(beat(43, 10.9, 3))), 20 * MINUTE - 1, limits())
    assert [(one["check"], one["form"]) for one in (*first.to_dicts(), *late.to_dicts())] == [GAP[:2], FILLED[:2]]


def test_what_was_told_four_weeks_ago_is_final():
    day = 24 * 60
    lives = beats(range(20, 30 * day, 30), 80)
    state, _ = advance(State(), summary(rows(*kept(range(20), {41}), *lives)), 27 * day * MINUTE, limits(3600))
    assert advance(state, summary(rows(line(41, 10.3))), 0, limits())[1]["form"].to_list() == ["filled"]
    state, _ = advance(state, summary(rows()), 30 * day * MINUTE, limits(3600))
    assert advance(state, summary(rows(line(41, 10.3))), 0, limits())[1].is_empty()


def test_an_agent_that_loses_every_other_number_is_told_and_stays_small():
    found = [line(2 * n, n / 100) for n in range(12_000)]
    state, said = advance(State(), summary(rows(*found)), 5000 * MINUTE, limits())
    assert said["observed"].sum() == 11_999
    assert said["related"].list.len().max() == MOST_SHOWN
    state, _ = advance(state, summary(rows(*beats([5001], 24_000))), 5002 * MINUTE, limits())
    assert len(Agent.unpack(state.agents["ag"]).boots["b1"].seen) <= MOST_RUNS


def test_an_agent_that_starts_anew_every_minute_stays_small():
    found = [row for n in range(500) for row in (beat(0, n, 0, f"b{n:03}"), line(2, n + 0.5, f"b{n:03}"))]
    state, said = advance(State(), summary(rows(*found)), 501 * MINUTE, limits())
    boots = Agent.unpack(state.agents["ag"]).boots
    assert len(boots) <= MOST_BOOTS + 1
    # Nothing is forgotten untold: the newest boots wait.
    assert said.filter(pl.col("check") == "sequence_gap").height == 500 - len(boots)


# What a new boot says of the one before it, after a crash.


def restarted(lost: set[int], unacknowledged: list[list[int]], boot: str = "b1") -> list[dict[str, Any]]:
    return [*kept(range(5), lost), opening(unacknowledged, boot, 8.0), *beats(range(9, 30), 1, "b2")]


def test_numbers_that_a_crash_may_have_lost_are_no_gap():
    assert checks(restarted({17, 18}, [[17, 18]]), 30) == []
    assert checks(restarted({17, 18}, []), 30) == [GAP]


def test_numbers_beside_those_that_a_crash_may_have_lost_are_a_gap():
    found = told(restarted({13, 14, 15, 17}, [[14, 15]]), 30)
    assert [(one["check"], one["observed"]) for one in found] == [("sequence_gap", 1.0)] * 2


def test_what_is_said_of_another_boot_excuses_nothing():
    assert checks(restarted({17, 18}, [[17, 18]], boot="b0"), 30) == [GAP]


def test_a_heartbeat_that_a_crash_may_have_lost_makes_no_count_wrong():
    assert checks(restarted({15}, [[15, 15]]), 30) == []


def test_what_was_told_before_a_boot_declared_it_is_taken_back():
    late = [*kept(range(5), {17, 18}), opening([[17, 18]], minute=1500.0), *beats(range(1501, 1520), 1, "b2")]
    assert [one for one in checks(late, 1520) if one[0] == "sequence_gap"] == [GAP, FILLED]


@pytest.mark.parametrize(
    "message",
    [
        '{"previous":', '{"previous":7}', '{"previous":[7]}', '"previous"', '["previous"]', '"previous"' + "[" * 100_000,
        "[" * 100_000 + '"previous"',
        '{"previous":[{"boot":"b1","last":9,"hash":"","unacknowledged":[[1,1' + "0" * 40 + ']],"relayed":0}]}',
    ],
)  # fmt: skip
def test_a_message_that_is_no_agents_statement_says_nothing(message: str):
    strange = [beat(0, 3, 0, "b2", message=message), *beats(range(4, 9), 1, "b2")]
    assert checks([*kept(range(3), {5}), *strange], 10) == [GAP]
