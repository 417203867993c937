"""Decided units: what is published, in which queue, and what never gets lost."""

import polars as pl
import pytest

from detector import core, correlate, decide
from detector.baseline import Baseline
from detector.delivery import Budget
from detector.judge import concerned
from detector.rulebook import Rule
from tests.detector.rows import rule
from tests.detector.units import (
    CLEARED,
    DAY_MS,
    EVERY,
    HIGH,
    LOW,
    MEDIUM,
    NOISE,
    START,
    days,
    group,
    hit,
    incident,
    incidents,
    judge,
    period,
    queues,
    sessions,
)

# Which queue.


@pytest.mark.parametrize(
    ("by", "queue"), [(HIGH, "alert"), (MEDIUM, "review"), (LOW, "digest"), (NOISE, None), (CLEARED, "alert")]
)
def test_the_queue_follows_the_risk_and_evidence_always_pages(by: Rule, queue: str | None):
    assert queues(judge(period([hit("w-0", by)], sessions({})))).get("w-0") == queue


def test_what_nothing_hit_is_not_published():
    assert queues(judge(period([hit("w-0")], sessions({}, {}), days({})))) == {"w-0": "alert"}


def test_signs_of_two_families_weigh_more_than_two_of_one():
    other = rule("other", level="medium", family="export")
    same = rule("same", level="medium")
    units = [hit("w-0", MEDIUM), hit("w-0", other), hit("w-1", MEDIUM), hit("w-1", same)]
    judged = judge(period(units, sessions({}, {"actor.id": "b"})), rules=(*EVERY, other, same))
    by_unit = dict(judged.units.select("unit", "risk").iter_rows())
    assert by_unit["w-0"] > by_unit["w-1"] > 0.495


def test_a_hit_that_is_excused_is_kept_aside_and_not_dropped():
    judged = judge(period([hit("w-0", MEDIUM, excused=True)], sessions({})))
    [unit] = judged.units.to_dicts()
    assert (unit["queue"], unit["suppressed"], unit["risk"]) == ("none", True, 0.0)
    assert judged.hits.height == 1


def test_a_weak_hit_that_is_excused_says_nothing():
    assert judge(period([hit("w-0", LOW, excused=True)], sessions({}))).units.is_empty()


def test_an_excused_hit_does_not_hide_another_one():
    found = [hit("w-0", HIGH, excused=True), hit("w-0", MEDIUM)]
    [unit] = judge(period(found, sessions({}))).units.to_dicts()
    assert (unit["queue"], unit["suppressed"]) == ("review", False)


def test_a_hit_of_a_rule_that_is_no_longer_there_says_nothing():
    assert judge(period([hit("w-0", rule("gone"))], sessions({}))).units.is_empty()


def test_the_circumstances_count_and_are_named():
    frame = sessions({}, {"person.type": "vendor", "actor.id": "b"})
    judged = judge(period([hit("w-0", MEDIUM), hit("w-1", MEDIUM)], frame))
    plain, vendor = judged.units.sort("unit").to_dicts()
    assert plain["risk"] == plain["plain"] == vendor["plain"] < vendor["risk"]
    assert (plain["reasons"], vendor["reasons"], vendor["odds"]) == ([], ["vendor"], 1.5)


def test_a_rule_that_hits_day_after_day_weighs_less():
    often = Baseline({"high": 30.0})
    judged = judge(period([hit("w-0")], sessions({})), usual=often)
    assert judged.units["risk"].item() == pytest.approx(0.85 * 0.9 * often.factor("high"))
    assert often.factor("high") < 1


# Evidence and groups.


def test_incidents_of_evidence_always_page_and_do_not_need_a_hit():
    judged = judge(period([], incidents=incidents(incident(), incident(who="other"))))
    assert judged.units.select("kind", "queue", "risk", "severity_id").unique().rows() == [
        ("evidence", "alert", 0.9, 5)
    ]
    assert judged.units.height == 2


def test_two_gaps_of_one_agent_in_the_same_moment_are_two_units():
    judged = judge(period([], incidents=incidents(incident(), incident(related=("e7",)))))
    assert judged.units["unit"].n_unique() == 2


def test_a_source_that_never_spoke_is_a_unit_without_event():
    row = incident("source_never", related=()) | {"from": None, "to": None}
    [unit] = judge(period([], incidents=incidents(row))).units.to_dicts()
    assert (unit["event.id"], unit["first"], unit["last"]) == (None, START, START)


def test_a_filled_group_is_a_unit_of_all_its_actors():
    judged = judge(period([], groups=pl.DataFrame([group()], schema=correlate.HITS)))
    [unit] = judged.units.to_dicts()
    assert (unit["kind"], unit["actors"], unit["first"], unit["last"]) == ("group", ["a", "b"], START - 5, START)
    assert unit["queue"] == "alert"
    assert judged.hits["observed"].to_list() == [4.0]


def test_a_group_that_fills_twice_is_two_units():
    groups = pl.DataFrame([group(), group(**{"event.id": "e20", "related": ["e12", "e20"]})], schema=correlate.HITS)
    assert judge(period([], groups=groups)).units.height == 2


# Repetition.


@pytest.mark.parametrize(("after", "queue"), [(7, "digest"), (8, "review")])
def test_the_same_of_the_same_person_within_a_week_is_a_repetition(after: int, queue: str):
    frame = days({}, {"time.occurred": START + after * DAY_MS})
    judged = judge(period([hit("d-0", MEDIUM), hit("d-1", MEDIUM)], of_days=frame))
    assert queues(judged) == {"d-0": "review", "d-1": queue}
    assert judged.units["repeated"].to_list() == [False, queue == "digest"]


def test_the_same_of_another_person_is_no_repetition():
    frame = days({}, {"actor.id": "b"})
    assert set(queues(judge(period([hit("d-0", MEDIUM), hit("d-1", MEDIUM)], of_days=frame))).values()) == {"review"}


def test_something_else_of_the_same_person_is_no_repetition():
    other = rule("other", level="medium")
    found = [hit("d-0", MEDIUM), hit("d-1", other)]
    judged = judge(period(found, of_days=days({}, {})), rules=(*EVERY, other))
    assert set(queues(judged).values()) == {"review"}


def test_an_alert_of_a_session_is_no_repetition():
    assert set(queues(judge(period([hit("w-0"), hit("w-1")], sessions({}, {})))).values()) == {"alert"}


def test_evidence_is_no_repetition():
    found = [hit("d-0", CLEARED), hit("d-1", CLEARED)]
    assert set(queues(judge(period(found, of_days=days({}, {})))).values()) == {"alert"}


def test_what_nobody_in_particular_did_is_no_repetition():
    frame = sessions({"actor.id": None}, {"actor.id": None, "src.device": "T2"})
    found = [hit("w-0", MEDIUM), hit("w-1", MEDIUM)]
    assert set(queues(judge(period(found, frame))).values()) == {"review"}


# The budget.


def test_what_is_over_the_budget_goes_to_the_digest_and_is_still_there():
    people = [{"actor.id": f"p{n}", "time.occurred": START + n} for n in range(6)]
    found = [hit(f"w-{n}", MEDIUM) for n in range(6)]
    judged = judge(period(found, sessions(*people)), budget=Budget(reviews=2.0, carry_days=1.0))
    assert sorted(queues(judged).values()) == ["digest"] * 4 + ["review"] * 2
    assert judged.units.filter("over")["queue"].unique().to_list() == ["digest"]
    assert judged.units["over"].sum() == 4
    assert set(judged.families["unit"]) == set(judged.units["unit"])


def test_evidence_is_never_over_the_budget():
    nothing = Budget(alerts=0.0, reviews=0.0, carry_days=0.0, start_days=0.0)
    found = [hit("w-0"), hit("w-1", CLEARED)]
    more = [hit(f"w-{n}") for n in range(2, 5)]
    people = [{"actor.id": f"p{n}", "time.occurred": START + n} for n in range(3)]
    frame = sessions({}, {"actor.id": "b", "time.occurred": START + 1}, *people)
    judged = judge(period([*found, *more], frame, incidents=incidents(incident())), budget=nothing)
    by_unit = queues(judged)
    assert by_unit["w-1"] == "alert"
    assert judged.units.filter(pl.col("kind") == "evidence")["queue"].to_list() == ["alert"]
    assert "digest" in by_unit.values()


# The model.


def test_a_model_that_learned_from_few_sessions_is_learning_and_does_not_raise_its_voice():
    ordinary = [
        {"actor.id": f"p{n % 9}", "time.occurred": START + n * 600_000, "person.dept": "tax"} for n in range(120)
    ]
    odd = {"actor.id": "p1", "resource.count": 10_000, "event.action": "export", "person.dept": "tax", "amount": 10**9}
    frame = sessions(*ordinary, {**odd, "time.occurred": START + DAY_MS})
    model = core.fit(frame, 0)
    assert model.small
    judged = judge(period([], frame), model, thresholds=decide.Thresholds(surprise_floor=1.0, surprise_slope=1.0))
    assert "w-120" in judged.units["unit"]
    assert judged.units["risk"].max() > decide.Thresholds().review  # type: ignore[operator]
    assert set(judged.units["queue"]) == {"digest"}
    assert judged.units["learning"].all()
    assert judged.scores["session"].sort().equals(frame["session"].sort())


def test_without_a_model_there_are_no_scores():
    assert judge(period([hit("w-0")], sessions({}))).scores.is_empty()


# Everything at once.


def test_the_order_of_the_input_does_not_matter():
    frame = sessions(*({"actor.id": f"p{n % 5}"} for n in range(20)))
    found = [hit(f"w-{n}", EVERY[n % 5]) for n in range(20)]
    whole = judge(period(found, frame), budget=Budget())
    for seed in range(3):
        mixed = [found[n] for n in pl.int_range(20, eager=True).sample(20, shuffle=True, seed=seed)]
        again = judge(period(mixed, frame.sample(fraction=1, shuffle=True, seed=seed)), budget=Budget())
        assert again.units.equals(whole.units)
        assert again.families.equals(whole.families)


def test_an_empty_period_decides_nothing():
    judged = judge(period([]))
    assert judged.units.is_empty()
    assert concerned(judged).is_empty()


def test_a_finding_is_about_the_events_of_its_hits():
    found = [hit("w-0", related=["x", "y"]), hit("w-0", LOW, related=["z"], excused=True)]
    judged = judge(period(found, sessions({})))
    assert concerned(judged)["event.id"].to_list() == ["x", "y"]


def test_where_every_hit_is_excused_it_is_about_theirs():
    judged = judge(period([hit("w-0", MEDIUM, related=["z"], excused=True)], sessions({})))
    assert concerned(judged)["event.id"].to_list() == ["z"]


def test_an_incident_is_about_the_events_on_both_sides():
    judged = judge(period([], incidents=incidents(incident(related=("e1", "e2")))))
    assert concerned(judged)["event.id"].to_list() == ["e1", "e2"]


def test_thresholds_are_pinned():
    strict = decide.Thresholds(alert=0.99, review=0.9, digest=0.8)
    assert judge(period([hit("w-0")], sessions({})), thresholds=strict).units.is_empty()
