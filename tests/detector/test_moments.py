"""What pages alone is told as a unit of its own, and the session says the rest."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from contract import finding
from detector import decide, findings, moments
from detector.baseline import STRANGER, Baseline
from detector.rulebook import Rule
from tests.detector.rows import book, rule
from tests.detector.units import CLEARED, EVERY, HIGH, LOW, MEDIUM, START, hit, incidents, judge, period, sessions

THRESHOLDS = decide.Thresholds()


def moment(by: Rule = HIGH, number: int = 0, **more: Any) -> dict[str, Any]:
    """A row of `moments.MOMENTS`: what a rule found of one person on one day."""
    day = date(2026, 4, 15)
    given = {"unit": f"a\x1f{by.name}\x1f{day}\x1fa", "rule": by.name, "time": START + number, "event.id": str(number),
             "related": [str(number)], "about": [f"s_{number}"], "values": "{}", "observed": None, "excused": False,
             "session": "w-0", "date": day, "who": "a", "actor.id": "a", "stranger": False, "n.protected": 0}  # fmt: skip
    return given | more


def paging(*rows: dict[str, Any], usual: Baseline | None = None) -> pl.DataFrame:
    table = pl.DataFrame(rows, schema=moments.MOMENTS)
    return moments.paging(table, EVERY, usual or Baseline(), THRESHOLDS)


def test_what_weighs_enough_pages_and_what_does_not_waits_for_its_session():
    assert paging(moment(HIGH), moment(MEDIUM), moment(LOW))["rule"].to_list() == ["high"]


def test_evidence_always_pages():
    [row] = paging(moment(CLEARED)).to_dicts()
    assert row["risk"] == decide.EVIDENCE_RISK


def test_the_circumstances_of_the_event_count():
    protected = moment(MEDIUM, **{"n.protected": 1, "person.type": "vendor"})
    calm = moment(HIGH, **{"emergency.active": True})
    assert paging(protected, calm)["rule"].to_list() == ["medium"]


def test_what_is_usual_in_this_office_does_not_page():
    assert paging(moment(), usual=Baseline({"high": 1000.0})).is_empty()
    stranger = moment(stranger=True)
    assert paging(stranger, usual=Baseline({"high": 1000.0})).height == 1
    assert paging(stranger, usual=Baseline({STRANGER + "high": 1000.0})).is_empty()


def test_a_rule_that_looks_back_is_not_decided_at_once():
    assert moments.at_once(HIGH)
    assert not moments.at_once(rule("back", where="actor.new_op: true"))
    assert not moments.at_once(rule("whole", category="session", where="n.read|gte: 3"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_one_person_rule_and_day_is_one_finding_in_whichever_order_it_came(order: tuple[int, ...]):
    judged = judge(period([], moments=paging(*(moment(number=number) for number in order))))
    versions = dict.fromkeys(("code", "rules", "model", "calibration", "baseline", "registers", "exceptions"), "x")
    [got] = findings.publish(judged, incidents(), findings.Maker(book(*EVERY), versions, "Asia/Tokyo", {}, "live", "0"))
    assert finding.validate(got) == []
    assert (got["is_alert"], got["unmapped"]["kind"]) == (True, "event")
    assert [event["uid"] for event in got["finding_info"]["related_events"]] == ["0", "1", "2"]
    assert [row["uid"] for row in got["resources"]] == ["s_0", "s_1", "s_2"]
    assert got["finding_info"]["uid"] == finding.finding_uid("event", "high", "2026-04-15\x1fa", "")
    assert (got["finding_info"]["created_time"], got["time"]) == (START, START + 2)


def queue_of_session(found: list[dict[str, Any]], told: pl.DataFrame) -> tuple[str, bool]:
    judged = judge(period(found, sessions({}), told=told))
    [unit] = judged.units.to_dicts()
    return unit["queue"], unit["repeated"]


def test_a_session_that_says_no_more_than_its_moment_goes_to_the_digest():
    assert queue_of_session([hit("w-0")], paging()) == ("alert", False)
    assert queue_of_session([hit("w-0")], paging(moment())) == ("digest", True)


def test_a_session_that_is_more_serious_than_its_moment_pages_too():
    other = [hit("w-0"), *(hit("w-0", by) for by in (MEDIUM, CLEARED))]
    assert queue_of_session(other, paging(moment())) == ("alert", False)


def test_what_was_told_of_another_session_changes_nothing():
    assert queue_of_session([hit("w-0")], paging(moment(session="w-9"))) == ("alert", False)
