"""The core over a whole period: how the input is cut, ordered and spread changes nothing; nothing is lost.

The office is `tests.detector.month`: about twenty actors in eight days, with the registers and rules that ship.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import event, finding
from detector import core, hits, step
from detector.baseline import Baseline
from detector.delivery import UNLIMITED, Budget
from detector.rulebook import RuleBook
from detector.sessionise import Limits
from detector.step import Context, Groups, Output, State
from registers.site import Site
from tests.detector.month import hash_, month, office, rules
from tests.detector.offices import at, events
from tests.detector.rows import book, rule

MINUTE_MS = 60_000
# Every hit counts in full and nothing is held back: more findings to compare.
LOUD: dict[str, Any] = {"usual": Baseline(), "budget": UNLIMITED}


def run(frame: pl.DataFrame, cuts: Iterable[int] = (), book: RuleBook | None = None, **more: Any) -> core.Result:
    """`core.analyse` with every knob of `finish`."""
    analysis = core.Analysis(office(), book or rules())
    rows = [analysis.feed(piece, watermark) for watermark, piece in stretches(frame, cuts)]
    return analysis.finish(core.in_memory(rows), core.Pinned(**(LOUD | more)))


def stretches(frame: pl.DataFrame, cuts: Iterable[int]) -> list[tuple[int, pl.DataFrame]]:
    end = int(frame["time.occurred"].max())  # type: ignore[arg-type]
    out, before = [], -1
    for cut in [*sorted({cut for cut in cuts if cut < end}), end]:
        out.append((cut, frame.filter(pl.col("time.occurred").is_between(before + 1, cut))))
        before = cut
    return out


def evenly(frame: pl.DataFrame, pieces: int) -> list[int]:
    low, high = int(frame["time.occurred"].min()), int(frame["time.occurred"].max())  # type: ignore[arg-type]
    return [low + (high - low) * number // pieces for number in range(1, pieces)]


def at_events(frame: pl.DataFrame, pieces: int, seed: int) -> list[int]:
    """Cuts in the millisecond of an event, where it is easiest to be off by one."""
    return [
        int(time) for time in np.random.default_rng(seed).choice(frame["time.occurred"].unique().sort(), pieces - 1)
    ]


def lines(result: core.Result) -> list[str]:
    return [finding.to_json(item) for item in result.findings]


@cache
def whole(seed: int) -> tuple[pl.DataFrame, core.Result]:
    frame = month(seed)
    return frame, run(frame)


def kinds(result: core.Result) -> set[tuple[str, str]]:
    return {(item["unmapped"]["kind"], item["unmapped"]["queue"]) for item in result.findings}


# How the input is cut.


def test_the_office_gives_findings_of_every_kind():
    _, result = whole(1)
    assert {kind for kind, _ in kinds(result)} == {"event", "session", "day", "group", "evidence"}
    assert {"alert", "digest"} <= {queue for _, queue in kinds(result)}
    assert result.mode == "retrospective"
    assert len(result.findings) > 100


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("pieces", "anywhere"), [(3, True), (20, False)])
def test_findings_and_sessions_do_not_depend_on_cuts(seed: int, pieces: int, anywhere: bool):
    frame, expected = whole(seed)
    got = run(frame, at_events(frame, pieces, seed) if anywhere else evenly(frame, pieces))
    assert lines(got) == lines(expected)
    assert got.sessions.equals(expected.sessions)
    assert (got.accesses, got.explained) == (expected.accesses, expected.explained)


def test_an_event_at_a_time_gives_the_same_as_all_at_once():
    frame = month(8, events=40, days=4).filter(pl.col("event.class") != "heartbeat")
    got, expected = run(frame, frame["time.occurred"]), run(frame)
    assert lines(got) == lines(expected)
    assert got.sessions.equals(expected.sessions)


def test_the_whole_run_in_one_call_does_not_depend_on_cuts_and_is_the_same_twice():
    frame, _ = whole(1)
    results = [
        core.analyse(frame, office(), rules(), cuts=cuts) for cuts in ((), (), evenly(frame, 3), evenly(frame, 20))
    ]
    assert all(lines(result) == lines(results[0]) for result in results)
    assert all(result.sessions.equals(results[0].sessions) for result in results)


def test_the_order_of_the_events_and_copies_of_them_do_not_matter():
    frame, _ = whole(1)
    expected = core.analyse(frame, office(), rules())
    mixed = pl.concat([frame.reverse(), frame.head(100)])
    assert lines(core.analyse(mixed, office(), rules())) == lines(expected)


# How actors are spread.


def part_of(frame: pl.DataFrame, parts: int) -> pl.Series:
    """Which stage one an event goes to: by its actor, else by its agent, as on the way through Kafka (design §5)."""
    keys = frame.select(pl.coalesce("actor.id", "agent.id", pl.lit(""))).to_series()
    return pl.Series([hash_(key) % parts for key in keys], dtype=pl.Int64)


def stage_one(frame: pl.DataFrame, cuts: Iterable[int], end: int, context: Context) -> list[Output]:
    """All that one stage one says of its actors, with a state of its own."""
    state, outputs = State(), []
    pieces = stretches(frame, cuts) if frame.height else []
    for watermark, piece in [*pieces, (end, event.empty())]:
        state, output = step.step(state, piece, watermark, context)
        outputs.append(output)
    assert state.rows.height == 0
    assert state.open_hits.is_empty()
    return outputs


@pytest.mark.parametrize("seed", [1, 2])
def test_the_month_split_by_actor_into_four_parts_gives_the_same_findings(seed: int):
    frame, expected = whole(seed)
    frame = frame.sort("time.occurred", "event.id")
    end = expected.last + core.CLOSING_MS  # type: ignore[operator]
    part = part_of(frame, 4)
    assert part.n_unique() == 4
    analysis = core.Analysis(office(), rules())
    outputs = []
    for number in range(4):
        own = frame.filter(part == number)
        # Each is cut where it likes, and none knows of the others.
        outputs += stage_one(own, at_events(own, 3 + number, number), end, Context(office(), rules()))
    everything = step.merge(outputs[::-1])
    analysis.take(everything, end)
    got = analysis.conclude(core.in_memory([everything.rows]), core.Pinned(expected.model, **LOUD))
    assert got.mode == "pinned"
    assert lines(got) == lines(run(frame, model=expected.model))
    assert got.sessions.equals(expected.sessions)
    assert (got.accesses, got.explained) == (expected.accesses, expected.explained)


def test_four_stage_ones_that_move_together_feed_one_stage_two():
    frame, expected = whole(1)
    frame = frame.sort("time.occurred", "event.id")
    analysis = core.Analysis(office(), rules())
    states, rows = [State()] * 4, []
    for watermark, piece in [*stretches(frame, evenly(frame, 5)), (0, event.empty())]:
        moved = [
            step.step(states[number], piece.filter(part_of(piece, 4) == number), watermark or analysis.closing, analysis.context)
            for number in range(4)
        ]  # fmt: skip
        states = [state for state, _ in moved]
        together = step.merge([output for _, output in moved])
        rows.append(together.rows)
        analysis.take(together, watermark or analysis.closing)
    got = analysis.conclude(core.in_memory(rows), core.Pinned(expected.model, **LOUD))
    assert lines(got) == lines(run(frame, model=expected.model))
    assert got.sessions.equals(expected.sessions)


def test_what_one_stage_one_says_is_not_changed_by_merging():
    frame = month(3, events=200, days=2)
    _, output = step.step(State(), frame, int(frame["time.occurred"].max()), Context(office(), rules()))  # type: ignore[arg-type]
    merged = step.merge([output])
    for name in Output.__dataclass_fields__:
        assert getattr(merged, name).schema == getattr(output, name).schema
        assert getattr(merged, name).height == getattr(output, name).height
    assert merged.rows.equals(output.rows)
    assert merged.sessions.equals(output.sessions)
    assert merged.hits.equals(output.hits)


# Purity.


def snapshot(state: State) -> dict[str, Any]:
    return {name: copy.deepcopy(getattr(state, name)) for name in State.__dataclass_fields__}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, (pl.DataFrame, pl.Series)):
        return one.equals(other)
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def test_a_step_can_be_taken_twice_and_leaves_the_state_as_it_was():
    frame = month(4, events=600, days=6)
    context = Context(office(), rules())
    (first, head), (second, tail) = stretches(frame, [at("2026-04-14 09:04")])
    state, output = step.step(State(), head, first, context)
    groups, _, _ = step.group(Groups(), output.candidates, output.notes, first, context)
    assert state.rows.height
    assert state.windows
    before, before_groups = snapshot(state), copy.deepcopy(groups)
    once, again = step.step(state, tail, second, context), step.step(state, tail, second, context)
    assert same(once, again)
    assert same(snapshot(state), before)
    late = once[1]
    filled = [step.group(groups, late.candidates, late.notes, second, context) for _ in range(2)]
    assert same(filled[0][0], filled[1][0])
    assert filled[0][1].equals(filled[1][1])
    assert same(groups, before_groups)


def test_the_order_of_a_stretch_does_not_matter():
    frame = month(5, events=300, days=2)
    context, end = Context(office(), rules()), int(frame["time.occurred"].max())  # type: ignore[arg-type]
    once, again = step.step(State(), frame, end, context), step.step(State(), frame.reverse(), end, context)
    assert same(once, again)


def test_an_empty_step_before_the_first_event_changes_nothing():
    frame = month(5, events=300, days=2)
    context, end = Context(office(), rules()), int(frame["time.occurred"].max())  # type: ignore[arg-type]
    state, nothing = step.step(State(), event.empty(), 1000, context)
    assert nothing.rows.is_empty()
    assert same(step.step(state, frame, end, context)[1], step.step(State(), frame, end, context)[1])


# Small sessions, any cuts.

Brief = tuple[int, str, str | None, str, str | None]  # minute, actor, session of the system, action, subject
BRIEF = st.lists(
    st.tuples(
        st.integers(0, 3000), st.sampled_from(["a", "b", ""]), st.sampled_from([None, "W1"]),
        st.sampled_from(["read", "update", "logoff", "export"]), st.sampled_from([None, "s1", "s2"]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def brief(given: Sequence[Brief]) -> pl.DataFrame:
    rows = [
        {"time.occurred": at("2026-04-14") + minute * MINUTE_MS, "actor.id": actor or None, "session.id": own,
         "event.action": action, "subject.token": subject, "src.device": "T1"}
        for minute, actor, own, action, subject in given
    ]  # fmt: skip
    return events(*rows)


@cache
def small_book() -> RuleBook:
    return book(
        rule("read"),
        rule("many", category="session", where="n.read|gte: 3"),
        rule("day", category="actor_day", where="n.export|gte: 2"),
    )


@settings(max_examples=25, deadline=None)
@given(BRIEF, st.sets(st.integers(0, 3000), max_size=4), st.sampled_from([3, 20_000]))
def test_what_a_stage_one_says_does_not_depend_on_cuts(given: list[Brief], cuts: set[int], longest: int):
    frame = brief(given)
    context = Context(office(), small_book(), Limits(events=longest))
    end = at("2026-04-14") + 3000 * MINUTE_MS + core.CLOSING_MS
    once = step.merge(stage_one(frame, (), end, context))
    pieces = step.merge(stage_one(frame, [at("2026-04-14") + cut * MINUTE_MS for cut in cuts], end, context))
    for name in ("rows", "sessions", "days", "candidates", "notes"):
        assert getattr(pieces, name).equals(getattr(once, name)), name
    assert hits.total_again(pieces.hits).equals(hits.total_again(once.hits))
    assert once.sessions["events"].sum() == frame.height


# Odd frames.


@pytest.mark.parametrize("site", [office(), Site.none(None)], ids=["registers", "no site"])
def test_no_events_give_an_empty_result(site: Site):
    result = core.analyse(event.empty(), site, rules())
    assert (result.findings, result.sessions.height, result.first, result.last) == ([], 0, None, None)
    assert (result.mode, result.staff_days) == ("rules", 0)


@pytest.mark.parametrize("site", [office(), Site.none(None)], ids=["registers", "no site"])
def test_events_of_nothing_but_the_required_keys_are_analysed(site: Site):
    rows = [{"event.id": f"e{number}", "event.class": word} for number, word in enumerate(event.CLASSES)]
    result = core.analyse(events(*rows), site, rules())
    # The heartbeat belongs to no session.
    assert result.sessions["events"].to_list() == [len(event.CLASSES) - 1]
    assert {item["unmapped"]["kind"] for item in result.findings} <= {"evidence"}
    assert all(finding.validate(item) == [] for item in result.findings)


@pytest.mark.parametrize("key", [key for key in event.KEYS if key not in event.REQUIRED])
def test_a_key_that_no_event_has_is_no_error(key: str):
    frame = month(6, events=60, days=2).with_columns(pl.lit(None, dtype=event.BY_KEY[key].dtype).alias(key))
    result = core.analyse(frame, office(), rules())
    assert result.sessions.height
    assert [problem for item in result.findings for problem in finding.validate(item)] == []


def test_heartbeats_are_archived_and_belong_to_no_session():
    context = Context(office(), rules())
    frame = events({"event.class": "heartbeat", "agent.id": "ag", "agent.boot": "b", "agent.seq": 1}, {"actor.id": "a"})
    state, output = step.step(State(), frame, int(frame["time.occurred"].max()), context)  # type: ignore[arg-type]
    assert output.rows.select("event.class", "session").rows() == [
        ("heartbeat", None), ("access", "w-0000000000000001"),
    ]  # fmt: skip
    assert output.notes["kind"].unique().sort().to_list() == ["beat", "expected"]
    assert state.rows.height == 1


# Nothing is lost.


def test_what_is_over_the_budget_becomes_digest_and_is_still_there():
    frame, generous = whole(1)
    strict = run(frame, model=generous.model, budget=Budget(alerts=0.0, reviews=0.0, carry_days=0.0, start_days=0.0))
    before = {item["finding_info"]["uid"]: item["unmapped"] for item in generous.findings}
    after = {item["finding_info"]["uid"]: item["unmapped"] for item in strict.findings}
    assert after.keys() == before.keys()
    over = [uid for uid, item in after.items() if item["over_budget"]]
    assert over
    assert {before[uid]["queue"] for uid in over} == {"alert", "review"}
    assert {after[uid]["queue"] for uid in over} == {"digest"}
    assert all(after[uid]["queue"] == before[uid]["queue"] for uid in after.keys() - set(over))
    assert {item["queue"] for item in after.values() if item["kind"] == "evidence"} == {"alert"}


def test_every_session_stands_in_the_table_once_with_its_finding():
    frame, result = whole(1)
    assert result.sessions["session"].is_unique().all()
    assert result.sessions["events"].sum() == (frame["event.class"] != "heartbeat").sum()
    uids = {item["unmapped"]["unit"]: item["finding_info"]["uid"] for item in result.findings}
    for session, queue, uid in result.sessions.select("session", "queue", "finding").iter_rows():
        assert uid == uids.get(session)
        assert queue == "none" or uid is not None


def test_a_model_that_is_given_is_used_and_named():
    frame, fitted = whole(1)
    result = run(frame, model=fitted.model)
    assert (result.mode, result.model) == ("pinned", fitted.model)
    assert result.versions["model"] == fitted.model.id  # type: ignore[union-attr]
    assert lines(result) == lines(fitted)


def test_few_sessions_give_no_model():
    result = core.analyse(month(7, events=60, days=2), office(), rules())
    assert (result.mode, result.model, result.sessions["p"].null_count()) == ("rules", None, result.sessions.height)
    assert any(check["check"] == "peer_surprise" for check in result.not_run)
