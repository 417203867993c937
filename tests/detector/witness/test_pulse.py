"""Heartbeats of agents: silence, counts and clocks; what is wrong is said once and in time, and what is in order is not."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from detector.witness import State, advance
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
    rows,
    told,
)


def test_regular_heartbeats_are_in_order():
    assert checks(beats(range(0, 200, 10))) == []


def test_a_heartbeat_that_is_a_little_late_is_in_order():
    assert checks(beats([10 * n + (n > 7) for n in range(20)])) == []


def test_an_agent_that_is_silent_is_said_at_once_and_again_when_it_is_back():
    silent, back = told(beats([10 * n + 60 * (n > 7) for n in range(20)]))
    assert (silent["check"], silent["form"], silent["update"]) == ("heartbeat_gap", "open", False)
    # 2.5 times the usual pace.
    assert (silent["from"], silent["time"]) == (70 * MINUTE, 95 * MINUTE + 1)
    assert (back["form"], back["update"], back["observed"], back["usual"]) == ("text", True, 4200.0, 600.0)
    assert (back["from"], back["to"], back["time"]) == (70 * MINUTE, 140 * MINUTE, 140 * MINUTE)
    assert silent["beside"] == back["beside"] == back["related"][0] == "0000000000000007"


def test_an_agent_that_never_comes_back_is_said_at_once():
    assert checks(beats(range(0, 200, 10)), 240) == [("heartbeat_gap", "open", False)]
    assert checks(beats(range(0, 200, 10)), 24 * 60 * 400) == [("heartbeat_gap", "open", False)]


def test_an_agent_that_beats_more_slowly_than_declared_is_said_once():
    assert checks(beats(range(0, 500, 25))) == [("heartbeat_gap", "open", False), ("heartbeat_gap", "text", True)]


def test_the_usual_pace_is_the_one_before_not_the_one_to_come():
    found = told(beats([*range(100), *range(130, 1000, 30)]), by=limits(60))
    silent = of("heartbeat_gap", found)
    assert silent[0]["usual"] == 60.0
    # Half of the last twenty gaps are long by then: it is the pace.
    assert len([one for one in silent if not one["update"]]) == 10


def test_a_single_heartbeat_counts_as_having_stopped_when_the_next_is_overdue():
    [found] = told([beat(0, 0, 0)], 12)
    assert (found["check"], found["form"], found["usual"]) == ("heartbeat_gap", "open", None)


def test_a_restart_in_time_is_no_silence():
    first = beats(range(0, 100, 10))
    assert checks([*first, *beats(range(100, 200, 10), boot="b2")]) == []


def test_an_agent_that_says_that_it_stops_is_not_silent():
    stop = beat(10, 100, 0, message='{"sealed":9,"stopping":true}')
    back = beats(range(900, 1000, 10), boot="b2")
    assert checks([*beats(range(0, 100, 10)), stop], 24 * 60) == []
    assert checks([*beats(range(0, 100, 10)), stop, *back]) == []
    assert checks([*beats(range(0, 100, 10)), stop, *back], 1020) == [("heartbeat_gap", "open", False)]


def test_the_time_for_which_an_agent_was_stopped_is_no_pace():
    stop = beat(0, 0, 0, message='{"stopping":true}')
    silent = told([stop, beat(1, 900, 0)], 1000)
    assert [(one["form"], one["time"], one["usual"]) for one in silent] == [("open", 911 * MINUTE + 1, None)]


def test_a_text_that_speaks_of_stopping_stops_nothing():
    stop = beat(10, 100, 0, message='{"files":{"\\"stopping\\":true":[1,2]}}')
    assert checks([*beats(range(0, 100, 10)), stop], 24 * 60) == [("heartbeat_gap", "open", False)]


def test_a_heartbeat_that_comes_late_ends_a_silence():
    state, first = advance(State(), summary(rows(*beats(range(0, 100, 10)))), 130 * MINUTE, limits())
    state, late = advance(state, summary(rows(beat(10, 100, 0))), 130 * MINUTE, limits())
    _, after = advance(state, summary(rows(*beats(range(110, 200, 10), 11))), 200 * MINUTE, limits())
    assert [one["form"] for one in (*first.to_dicts(), *late.to_dicts())] == ["open", "text"]
    assert late["to"].to_list() == [100 * MINUTE]
    assert after.is_empty()


def test_a_count_that_is_right_is_in_order():
    assert checks([beat(0, 0, 0), line(1, 3), line(2, 4), beat(3, 10, 2)]) == []


@pytest.mark.parametrize("count", [0, 4])
def test_a_count_that_differs_from_the_lines_between_is_said(count: int):
    [found] = told([beat(0, 0, 0), line(1, 3), beat(2, 10, count)])
    assert (found["check"], found["observed"], found["usual"]) == ("count_mismatch", 1.0, float(count))
    assert (found["from"], found["to"], found["time"]) == (0, 10 * MINUTE, 11 * MINUTE - 1)


def test_a_count_that_is_missing_is_not_compared():
    assert checks([beat(0, 0), line(1, 3), beat(2, 10)]) == []


def test_the_first_heartbeat_of_a_boot_has_nothing_to_be_compared_with():
    assert checks([beat(4, 0, 99), line(5, 3), beat(6, 10, 1)]) == []


def test_missing_numbers_are_said_once_and_not_again_as_a_wrong_count():
    assert checks(kept(range(30), {41, 42}), 30) == [GAP]
    assert checks(kept(range(30), {43}), 30) == [GAP]


def test_one_round_over_several_partitions_counts_as_one():
    first = [beat(n, n / 1000, 0) for n in range(4)]
    second = [beat(6 + n, 10 + n / 1000, 2) for n in range(4)]
    assert checks([*first, line(4, 3), line(5, 4), *second]) == []


def test_a_round_over_the_end_of_a_minute_counts_as_one():
    first = [beat(n, 0.995 + n / 300, 0) for n in range(4)]
    second = [beat(6 + n, 10.995 + n / 300, 2) for n in range(4)]
    assert checks([*first, line(4, 3), line(5, 4), *second]) == []


def test_a_heartbeat_that_comes_again_counts_once():
    twice = [beat(2, 10, 1), beat(2, 10, 1, **{"event.id": "again"}), beat(2, 15, 1)]
    assert checks([beat(0, 0, 0), line(1, 3), *twice, beat(3, 20, 0)]) == []


def test_a_clock_that_is_set_back_is_said():
    [found] = told([beat(0, 30, 0), beat(1, 5, 0), beat(2, 15, 0)], by=limits(3000))
    assert (found["check"], found["observed"]) == ("clock_set_back", 1500.0)
    assert (found["from"], found["to"]) == (5 * MINUTE, 30 * MINUTE)


def test_a_clock_that_its_time_server_corrects_is_in_order():
    assert checks([beat(0, 10, 0), beat(1, 9.1, 0), beat(2, 19, 0)]) == []


def lived_twice() -> list[dict[str, Any]]:
    """Set back by two hours after ten hours, and right again half an hour later."""
    return [beat(n, 10 * n - 120 * (60 <= n < 63), 0) for n in range(90)]


def test_the_time_that_a_clock_lived_through_twice_is_no_silence():
    assert checks(lived_twice()) == [("clock_set_back", "text", False)]


def test_a_clock_that_is_set_back_is_said_at_once_in_a_stream():
    state, said = State(), []
    for row in lived_twice():
        until = max(0, state.tick * MINUTE, row["time.occurred"])
        state, found = advance(state, summary(rows(row)), until, limits())
        said += found.to_dicts()
    assert [(one["check"], one["update"]) for one in said] == [("clock_set_back", False)]
    assert said[0]["observed"] == 120 * 60 - 600


def test_no_incident_ends_before_it_begins():
    found = pl.DataFrame(told([beat(0, 30, 0), line(1, 31), beat(2, 5, 4), line(4, 2)], LONG, by=limits(10**6)))
    assert sorted(found["check"]) == ["clock_set_back", "count_mismatch", "sequence_gap"]
    assert found.filter(pl.col("from") > pl.col("to")).is_empty()
