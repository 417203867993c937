"""Nobody looks ahead, and what is said does not depend on how the input is cut, ordered or spread."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.partition import partition_of
from detector import parcel, wording, words
from detector.witness import FINDINGS, State, advance
from detector.witness.agent import Agent
from detector.witness.incident import CHECKS
from detector.witness.summary import SUMMARY, summary
from tests.detector.witness.tidings import (
    COLUMNS,
    DAY,
    HOUR,
    MINUTE,
    beat,
    beats,
    hours,
    limits,
    line,
    moment,
    opening,
    rows,
    working_days,
)  # fmt: skip

LIMITS = limits(120)
SPAN = 40 * MINUTE
EXPECTED = ("doors", "lan")


def run(stretches: list[tuple[pl.DataFrame, int]], ones: int = 1, seed: int = 0) -> list[dict[str, Any]]:
    """All that is said; every stretch goes through so many stage ones, and its rows come in another order."""
    state, said, announced = State(), [], set()
    for n, (events, until) in enumerate(stretches):
        place = pl.col("event.id").map_elements(lambda name: partition_of(name, ones), return_dtype=pl.Int64)
        parts = []
        for one in range(ones):
            mine = events.filter(place == one)
            parts.append(summary(mine, EXPECTED if mine.height and one not in announced else ()))
            announced |= {one} if mine.height else set()
        came = pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed + n)
        # Every state is put away and taken up again, as it is by another detector.
        state = State.of(*parcel.unpack(parcel.pack("evidence", 1, *state.parts()), "evidence", 1))
        state, found = advance(state, through_kafka(came), until, LIMITS)
        said += found.to_dicts()
    return said


def through_kafka(came: pl.DataFrame) -> pl.DataFrame:
    """What JSON makes of the rows."""
    lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in came.iter_rows(named=True)]
    return pl.DataFrame([json.loads(one) for one in lines], schema=SUMMARY)


def cut(events: pl.DataFrame, cuts: list[int], end: int) -> list[tuple[pl.DataFrame, int]]:
    edges = [*sorted(at for at in set(cuts) if at < end), end]
    at = pl.col("time.occurred")
    return [
        (events.filter((at > before) & (at <= edge)), edge) for before, edge in zip([-1, *edges], edges, strict=False)
    ]


WHATS = ["line"] * 6 + ["round"] * 6 + ["lost", "crash", "back", "stop", "again", "long", "wrong"]
STEPS = st.lists(st.tuples(st.sampled_from(WHATS), st.integers(0, 90_000), st.integers(0, 9)), max_size=70)


def life(agent: str, steps: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """An agent at work: lines lost, come again or ahead of time; clocks set back, crashes, wrong counts."""
    found: list[dict[str, Any]] = []
    at, seq, boot, last = 0, 0, 0, 0
    for what, pause, number in steps:
        name = f"{agent}{boot}"
        if what in ("round", "wrong"):
            count = seq - last + (what == "wrong")
            found += [beat(seq + n, at / MINUTE, 0 if n else count, name, agent) for n in range(3)]
            seq, last = seq + 3, seq + 3
        elif what == "lost":
            seq += number
        elif what == "crash":
            boot, last = boot + 1, 1
            doubts = [[max(seq - number, 0), seq]] if number % 2 else []
            found.append(opening(doubts, name, at / MINUTE, new=f"{agent}{boot}") | {"agent.id": agent})
            seq = 1
        elif what == "back":
            at = max(at - number * MINUTE, 0)
        elif what == "stop":
            found.append(beat(seq, at / MINUTE, seq - last, name, agent, message='{"stopping":true}'))
            seq, last = seq + 1, seq + 1
        elif what == "long":
            at += number * MINUTE
        else:
            skew = {7: -5, 8: 2, 9: 12}.get(number, 0) * MINUTE
            more = {"source.id": ("ops", "lan")[number % 2], "time.received": at, "again": what == "again"}
            found.append(line(seq, max(at + skew, 0) / MINUTE, name, agent, **more))
            seq += 1
        at += pause
    return found


def agents() -> st.SearchStrategy[pl.DataFrame]:
    """Two agents at work for an hour or so."""

    def built(x: list[tuple[str, int, int]], y: list[tuple[str, int, int]]) -> pl.DataFrame:
        found = [*life("x", x), *life("y", y)]
        return rows(*(row | {"event.id": f"{n:016x}"} for n, row in enumerate(found)))

    return st.builds(built, STEPS, STEPS)


ENDS = st.sampled_from([SPAN, 3 * SPAN, 2 * DAY])
CUTS = st.lists(st.integers(0, 3 * SPAN), max_size=8)


@settings(max_examples=150, deadline=None)
@given(agents(), CUTS, ENDS, st.sampled_from([1, 2, 4]), st.integers(0, 99))
def test_how_events_of_agents_are_cut_ordered_and_spread_does_not_matter(
    events: pl.DataFrame, cuts: list[int], end: int, ones: int, seed: int
):
    assert run(cut(events, cuts, end), ones, seed) == run(cut(events, [], end))


@settings(max_examples=100, deadline=None)
@given(agents(), st.integers(0, SPAN), ENDS)
def test_what_is_said_of_agents_by_a_moment_does_not_depend_on_what_follows(events: pl.DataFrame, at: int, end: int):
    whole, known = run(cut(events, [], end)), run(cut(events, [], at))
    assert known == whole[: len(known)]
    # What is said later is of the minutes that were not over.
    assert all(one["time"] // MINUTE > (at + 1) // MINUTE - 1 for one in whole[len(known) :])


def folded(events: pl.DataFrame, cuts: list[int], end: int) -> tuple[State, list[dict[str, Any]]]:
    state, said = State(), []
    for part, until in cut(events, cuts, end):
        state, found = advance(state, summary(part), until, LIMITS)
        said += found.to_dicts()
    return state, said


@settings(max_examples=100, deadline=None)
@given(agents(), CUTS, ENDS)
def test_the_shortcut_for_usual_minutes_changes_nothing(events: pl.DataFrame, cuts: list[int], end: int):
    state, said = folded(events, cuts, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Agent, "_goes_on", lambda *_: False)
        other, as_well = folded(events, cuts, end)
    assert said == as_well
    assert (state.agents, state.sources) == (other.agents, other.sources)


@settings(max_examples=60, deadline=None)
@given(agents(), st.lists(st.integers(0, SPAN), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_comes_late_is_taken_and_never_said_twice(events: pl.DataFrame, cuts: list[int], random: Any):
    late = events.sample(fraction=1.0, shuffle=True, seed=random.randrange(99))
    stretches = [(late[n :: len(cuts)], at) for n, at in enumerate(sorted(cuts))]
    said = run([*stretches, (events.clear(), 3 * DAY)])
    seen = set()
    for one in said:
        identity = (one["check"], one["who"], one["beside"])
        assert one["update"] == (identity in seen) or one["check"] in ("count_mismatch", "clock_set_back")
        seen.add(identity)


@st.composite
def sources(draw: st.DrawFn) -> pl.DataFrame:
    """Three weeks of sources that miss hours now and then, stray lines and weekends."""
    days = sorted(working_days(3))
    parts = [rows(*beats(range(moment(days[0]) // MINUTE, moment(days[-1]) // MINUTE, 600)))]
    for source in ("ops", "doors"):
        quiet = {(draw(st.sampled_from(days)), draw(st.integers(8, 12))) for _ in range(draw(st.integers(0, 8)))}
        for hour in range(9, 12):
            spoken = {day: range(hour, hour + 1) for day in days if (day, hour) not in quiet}
            parts.append(hours(spoken, source, 31, tag=str(hour), from_minute=draw(st.integers(0, 29))))
        stray = dict.fromkeys(draw(st.lists(st.sampled_from(days), unique=True, max_size=3)), range(10, 11))
        parts.append(hours(stray, source, draw(st.sampled_from([1, 40])), tag="stray"))
    return pl.concat(parts)


FIRST, LAST = (moment(sorted(working_days(3))[n]) for n in (0, -1))


@settings(max_examples=40, deadline=None)
@given(
    sources(), st.lists(st.integers(FIRST // HOUR, LAST // HOUR), max_size=6), st.sampled_from([1, 2, 4]), st.integers(0, 99)
)  # fmt: skip
def test_how_events_of_sources_are_cut_ordered_and_spread_does_not_matter(
    events: pl.DataFrame, cuts: list[int], ones: int, seed: int
):
    end = LAST + 2 * DAY
    edges = [hour * HOUR + seed * 41_000 for hour in cuts]
    assert run(cut(events, edges, end), ones, seed) == run([(events, end)])


@settings(max_examples=40, deadline=None)
@given(sources(), st.integers(FIRST, LAST))
def test_what_is_said_of_sources_by_a_moment_does_not_depend_on_what_follows(events: pl.DataFrame, at: int):
    whole = run([(events, LAST + 2 * DAY)])
    known = run([(events.filter(pl.col("time.occurred") <= at), at)])
    assert known == whole[: len(known)]
    assert all(one["time"] > at - MINUTE for one in whole[len(known) :])


def test_the_empty_frame_and_a_frame_of_nulls_are_summarised():
    nothing = pl.DataFrame(schema=COLUMNS)
    bare = rows({"time.occurred": 5, "event.class": None, "source.id": "ops"})
    assert summary(nothing, ("ops",)).is_empty()
    assert summary(bare).is_empty()
    assert summary(bare).schema == SUMMARY
    state, found = advance(State(), summary(nothing), -1, LIMITS)
    assert found.is_empty()
    assert (found.schema, state.tick) == (FINDINGS, -1)


def test_an_event_of_the_last_year_of_all_is_no_trouble():
    events = pl.concat([rows(*beats(range(5)), beat(5, 4_223_000_000.0)), hours(working_days(3))])
    state, found = advance(State(), summary(events, EXPECTED), 253_402_300_799_999, LIMITS)
    assert found["check"].value_counts().sort("check").rows() == [
        ("heartbeat_gap", 2), ("source_never", 2), ("source_silent", 1)
    ]  # fmt: skip
    assert advance(state, summary(events.head(3)), 0, LIMITS)[1].is_empty()


def test_what_is_remembered_does_not_grow_with_time():
    sizes = []
    state = State()
    for week in range(12):
        day = moment(min(working_days(1))) + week * 7 * DAY
        lives = rows(*beats(range(day // MINUTE, day // MINUTE + 7 * 1440, 60), 168 * week))
        lines = hours(working_days(1)).with_columns(
            pl.col("time.occurred") + week * 7 * DAY, pl.col("time.date").dt.offset_by(f"{week}w")
        )
        state, _ = advance(state, summary(pl.concat([lives, lines])), day + 7 * DAY - 1, limits(3600))
        sizes.append(sum(map(len, (*state.agents.values(), *state.sources.values()))))
        assert state.waiting.is_empty()
    assert max(sizes[6:]) < 1.1 * sizes[5]


def test_every_form_of_every_check_has_words():
    said = {(check, form) for check in CHECKS for form in ("text", "open", "filled")}
    known = {(check, form) for check, form in said if form in words.EVIDENCE[check]}
    assert known == {(check, "text") for check in CHECKS if check != "source_never"} | {
        ("sequence_gap", "filled"), ("heartbeat_gap", "open"), ("source_silent", "open"), ("source_never", "open"),
        ("source_never", "filled"),
    }  # fmt: skip
    for check, form in known:
        for text in words.EVIDENCE[check][form].values():
            assert {name for _, name in wording.placeholders(text)} <= set(FINDINGS)
