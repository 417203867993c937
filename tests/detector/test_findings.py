"""Findings: valid OCSF, complete sentences, names that last, and numbers that add up (design §5)."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import polars as pl
import pytest

from contract import finding
from detector import core, correlate, decide, findings, judge, rulebook
from detector.baseline import Baseline
from detector.delivery import UNLIMITED
from detector.judge import Judged
from detector.rulebook import Rule, RuleBook
from detector.words import EVIDENCE
from tests.detector import units
from tests.detector.month import month, office, rules
from tests.detector.rows import book, rule
from tests.detector.units import CLEARED, DAY_MS, EVERY, HIGH, LOW, MEDIUM, START, days, hit, incident, sessions

VERSIONS = dict.fromkeys(("code", "rules", "model", "calibration", "baseline", "registers", "exceptions"), "x")


def publish(
    judged: Judged, incidents: pl.DataFrame | None = None, of: tuple[Rule, ...] = EVERY, **more: Any
) -> list[dict[str, Any]]:
    given = {"versions": VERSIONS, "zone": "Asia/Tokyo", "names": {}, "run": "live", "code": "0"} | more
    found = units.incidents() if incidents is None else incidents
    out = findings.publish(judged, found, findings.Maker(book(*of), **given))
    assert [problem for item in out for problem in finding.validate(item)] == []
    return out


def one(*found: dict[str, Any], row: dict[str, Any] | None = None, of: tuple[Rule, ...] = EVERY, **more: Any):
    """The finding of the first session, on these hits."""
    [got] = publish(units.judge(units.period(list(found), sessions(row or {})), rules=of), of=of, **more)
    return got


def of_incident(row: dict[str, Any]) -> dict[str, Any]:
    what = units.incidents(row)
    [got] = publish(units.judge(units.period([], incidents=what)), what)
    return got


def of_group(by: Rule, **row: Any) -> dict[str, Any]:
    groups = pl.DataFrame([units.group(rule=by.name, **row)], schema=correlate.HITS)
    [got] = publish(units.judge(units.period([], groups=groups), rules=(by,)), of=(by,))
    return got


MANY = """
title: Many look at one
name: many
correlation:
  type: value_count
  rules: [looked]
  group-by: [subject.token, system.id]
  timespan: 72h
  condition: {gte: 4, field: actor.id}
level: high
sekimori:
  family: relation
  precision: 0.85
  excused_by: []
  title: 多数の閲覧
  observed: {field: count, unit: {ja: 人, en: people}, usual: 1}
  text: {ja: "{subject.token}を{count}人（{actor.id}）が", en: "{count} ({actor.id}) looked at {subject.token} in {system.id}"}
  check_first: {ja: "{subject.token}", en: "Start with {subject.token}"}
---
title: Looked
name: looked
logsource: {product: sekimori, category: event}
detection:
  selection: {event.action: read}
  condition: selection
"""


def many() -> Rule:
    loaded = rulebook.parse(MANY.encode(), "relation/many/rule.yml")
    assert isinstance(loaded, Rule), loaded
    return loaded


# The whole office.


@cache
def office_result(book: RuleBook | None = None) -> tuple[pl.DataFrame, core.Result]:
    frame = month(1)
    analysis = core.Analysis(office(), book or rules())
    rows = analysis.feed(frame, int(frame["time.occurred"].max()))  # type: ignore[arg-type]
    return frame, analysis.finish(core.in_memory([rows]), core.Pinned(usual=Baseline(), budget=UNLIMITED))


def test_every_finding_of_an_office_is_valid_and_survives_the_wire():
    _, result = office_result()
    assert len(result.findings) > 100
    for item in result.findings:
        assert finding.validate(item) == []
        assert json.loads(finding.to_json(item)) == item


def test_findings_are_sorted_and_their_names_are_their_own():
    _, result = office_result()
    keys = [(item["time"], item["finding_info"]["uid"]) for item in result.findings]
    assert keys == sorted(keys)
    assert len({uid for _, uid in keys}) == len(keys)
    assert all(re.fullmatch("f-[0-9a-f]{16}", uid) for _, uid in keys)


def test_times_are_times_of_events():
    frame, result = office_result()
    known = set(frame["time.occurred"])
    for item in result.findings:
        info = item["finding_info"]
        # What is missing is told when a minute is over, not at an event.
        if item["unmapped"]["kind"] != "evidence":
            assert {item["time"], info["created_time"], info["first_seen_time"], info["last_seen_time"]} <= known
        assert info["first_seen_time"] <= info["last_seen_time"] == item["time"]
        created = "first_seen_time" if item["unmapped"]["kind"] == "event" else "last_seen_time"
        assert info["created_time"] == info[created]


def test_shares_add_up_to_one():
    _, result = office_result()
    for item in result.findings:
        shares = [share["share"] for share in item["unmapped"]["shares"]]
        assert sum(shares) == pytest.approx(1 if shares else 0, abs=1e-9)
        assert bool(shares) == (item["status_id"] == 1)


def test_events_and_subjects_of_a_finding_exist_and_belong_together():
    frame, result = office_result()
    subject = dict(frame.select("event.id", "subject.token").iter_rows())
    for item in result.findings:
        related = [event["uid"] for event in item["finding_info"]["related_events"]]
        assert related == sorted(set(related))
        assert {row["uid"] for row in item["resources"]} == {subject[uid] for uid in related} - {None}


def test_queue_alert_severity_and_risk_go_together():
    _, result = office_result()
    for item in result.findings:
        unmapped = item["unmapped"]
        assert item["is_alert"] == (unmapped["queue"] == "alert")
        assert (unmapped["queue"] == "none") == (item["status_id"] == 3)
        assert item["risk_level_id"] == item["severity_id"] - 1
        if unmapped["queue"] == "alert":
            assert item["risk_score"] >= 70
            assert item["severity_id"] >= 4


def test_sentences_are_filled_in():
    _, result = office_result()
    for item in result.findings:
        unmapped = item["unmapped"]
        for words in (unmapped["text"], unmapped["title"], unmapped["check_first"]):
            assert words["ja"]
            assert words["en"]
            assert not re.search(r"[{}]|None", words["ja"] + words["en"])
        assert item["finding_info"]["title"] == unmapped["title"]["ja"]
        assert item["finding_info"]["desc"] == unmapped["text"]["en"]


def test_a_new_rule_set_renames_nothing():
    every = rules()
    fewer = RuleBook(every.rules[::2], (), "another")
    before = {item["unmapped"]["unit"]: item["finding_info"]["uid"] for item in office_result()[1].findings}
    after = {item["unmapped"]["unit"]: item for item in office_result(fewer)[1].findings}
    both = before.keys() & after.keys()
    assert len(both) > 50
    assert all(after[unit]["finding_info"]["uid"] == before[unit] for unit in both)
    assert {after[unit]["unmapped"]["versions"]["rules"] for unit in both} == {"another"}


# Names.


def test_further_hits_versions_and_runs_do_not_change_the_name():
    names = {
        one(hit("w-0"))["finding_info"]["uid"],
        one(hit("w-0", MEDIUM))["finding_info"]["uid"],
        one(hit("w-0"), hit("w-0", LOW), versions=VERSIONS | {"rules": "y"}, run="again")["finding_info"]["uid"],
    }
    assert names == {finding.finding_uid("session", "risk", "w-0", "0")}


def test_a_session_and_a_day_have_names_of_their_own():
    judged = units.judge(units.period([hit("w-0"), hit("d-0")], sessions({}), days({})))
    assert len({item["finding_info"]["uid"] for item in publish(judged)}) == 2


def test_incidents_of_one_agent_have_names_of_their_own():
    what = units.incidents(incident(), incident("heartbeat_gap"), incident(related=("e7",)), incident(who="b"))
    got = publish(units.judge(units.period([], incidents=what)), what)
    assert len({item["finding_info"]["uid"] for item in got}) == 4


# What it says.


def test_a_finding_names_who_where_and_in_which_session():
    got = one(hit("w-0"), row={"src.ip": "192.0.2.7"})
    assert got["evidences"] == [
        {"actor": {"user": {"uid": "a"}, "session": {"uid": "S0"}}, "src_endpoint": {"uid": "T1", "ip": "192.0.2.7"}}
    ]
    assert got["unmapped"]["text"]["en"] == "a did it 1 times"


def test_what_nobody_did_names_nobody():
    got = one(hit("w-0"), row={"actor.id": None, "session.id": None, "src.device": None})
    assert got["evidences"] == [{"actor": {}}]
    assert got["unmapped"]["text"]["en"] == "unknown did it 1 times"


def test_the_rule_that_contributes_most_comes_first():
    got = one(hit("w-0", LOW), hit("w-0"), hit("w-0", MEDIUM))
    info = got["finding_info"]
    assert [item["uid"] for item in (info["analytic"], *info["related_analytics"])] == ["high", "medium", "low"]
    assert got["unmapped"]["title"] == {"ja": "規則high", "en": "Rule high"}
    assert got["confidence_score"] == 90


def test_more_than_three_rules_are_counted():
    more = tuple(rule(f"more{n}") for n in range(5))
    got = one(*(hit("w-0", by) for by in more), of=(*EVERY, *more))
    assert got["unmapped"]["text"]["en"].endswith("2 further rules matched.")
    assert got["unmapped"]["text"]["ja"].endswith("ほか2件の規則にも該当します。")


def test_excused_hits_are_not_spoken_of_beside_others():
    got = one(hit("w-0", MEDIUM), hit("w-0", HIGH, excused=True))
    assert got["finding_info"]["analytic"]["uid"] == "medium"
    assert got["finding_info"]["related_analytics"] == []


def test_what_is_excused_is_suppressed_and_says_by_what_it_was_raised():
    got = one(hit("w-0", HIGH, excused=True))
    assert (got["status_id"], got["is_alert"], got["risk_score"], got["severity_id"]) == (3, False, 0.0, 1)
    assert (got["unmapped"]["queue"], got["unmapped"]["explained"]) == ("none", "explained")
    assert (got["finding_info"]["analytic"]["uid"], got["unmapped"]["shares"]) == ("high", [])


@pytest.mark.parametrize(
    ("explained", "word"), [("unexplained", "unexplained"), ("to_check", "to_check"), ("explained", "unexplained")]
)
def test_a_finding_says_whether_a_reason_is_recorded(explained: str, word: str):
    row = {"subject.token": "s1", "explained": explained}
    assert one(hit("w-0"), row=row)["unmapped"]["explained"] == word


def test_promises_and_scenarios_are_named_once():
    got = one(hit("w-0"), hit("w-0", MEDIUM))["unmapped"]
    assert (got["controls"], got["scenarios"]) == (["kanagawa-9/P5"], [7])


def test_a_share_shows_the_number_beside_what_is_usual():
    [share] = one(hit("w-0", observed=12.0))["unmapped"]["shares"]
    expected = {"family": "relation", "share": 1.0, "observed": 12.0, "usual": 2.0, "peers": None, "unit": "times"}
    assert {key: share[key] for key in expected} == expected


@pytest.mark.parametrize("count", range(2, 7))
def test_shares_add_up_however_many_families_there_are(count: int):
    names = ("relation", "export", "time", "auth", "money", "admin")[:count]
    several = tuple(rule(f"r{n}", family=name, precision=0.37 + n / 17) for n, name in enumerate(names))
    shares = one(*(hit("w-0", by) for by in several), of=(*EVERY, *several))["unmapped"]["shares"]
    assert [share["share"] for share in shares] == sorted((share["share"] for share in shares), reverse=True)
    assert sum(share["share"] for share in shares) == pytest.approx(1, abs=1e-12)


def test_the_circumstances_stand_in_a_line_of_their_own():
    got = one(hit("w-0", MEDIUM), row={"person.type": "vendor"})
    context = got["unmapped"]["context"]
    assert (context["odds"], context["en"]) == (1.5, ["works for a contractor"])
    assert context["risk_without"] == pytest.approx(49.5)
    assert got["risk_score"] > context["risk_without"]


def test_subjects_are_listed():
    assert [item["uid"] for item in one(hit("w-0", about=["s1", "s2"]))["resources"]] == ["s1", "s2"]


# Groups.


def test_a_group_names_everybody_and_the_parts_of_its_key():
    got = of_group(many(), group=f"s1{correlate.SEPARATOR}welfare")
    assert got["unmapped"]["text"]["en"] == "4 (a, b) looked at s1 in welfare"
    assert got["unmapped"]["check_first"]["en"] == "Start with s1"
    assert [item["actor"]["user"]["uid"] for item in got["evidences"]] == ["a", "b"]
    assert got["finding_info"]["first_seen_time"] == START - 5
    assert [item["uid"] for item in got["finding_info"]["related_events"]] == ["e1", "e9"]


def test_the_name_of_a_group_is_that_of_its_rule_key_and_first_event():
    key = f"s1{correlate.SEPARATOR}welfare"
    got = of_group(many(), group=key)
    assert got["finding_info"]["uid"] == finding.finding_uid("group", "many", key, "e1")


# Evidence.


FORMS = [(check, form) for check, words in EVIDENCE.items() for form in words if form in ("text", "open", "filled")]


@pytest.mark.parametrize(("check", "form"), FORMS)
def test_every_incident_of_evidence_pages_and_is_a_sentence(check: str, form: str):
    got = of_incident(incident(check, form=form))
    # What came after all needs nobody any more, and is kept.
    state = (True, "alert", 1, "unexplained") if form != "filled" else (False, "none", 3, "explained")
    assert (got["is_alert"], got["unmapped"]["queue"], got["status_id"], got["unmapped"]["explained"]) == state
    assert got["severity_id"] == (5 if form != "filled" else 1)
    assert got["finding_info"]["analytic"]["uid"] == check
    assert "ag" in got["unmapped"]["text"]["en"]
    assert "unknown" not in got["unmapped"]["text"]["en"]
    assert [share["share"] for share in got["unmapped"]["shares"]] == [1.0]


def test_a_source_that_never_spoke_has_no_events():
    got = of_incident(incident("source_never", related=(), form="open") | {"from": None, "to": None, "usual": None})
    assert got["finding_info"]["related_events"] == []
    assert got["finding_info"]["first_seen_time"] == got["time"] == START


# The model.


def test_surprise_says_which_number_is_odd_and_what_peers_do():
    rows = [{"actor.id": f"p{n % 9}", "time.occurred": START + n * 600_000, "person.dept": "tax"} for n in range(120)]
    odd = {"actor.id": "p1", "resource.count": 9000, "event.action": "export", "time.occurred": START + 2 * DAY_MS}
    frame = sessions(*rows, odd | {"person.dept": "tax"})
    loud = decide.Thresholds(surprise_floor=1.0, surprise_slope=1.0)
    judged = units.judge(units.period([hit("w-120", CLEARED)], frame), core.fit(frame, 0), thresholds=loud)
    got = next(item for item in publish(judged) if item["unmapped"]["unit"] == "w-120")
    model = next(share for share in got["unmapped"]["shares"] if share["family"] == judge.MODEL)
    info = got["finding_info"]
    assert judge.MODEL in {item["uid"] for item in (info["analytic"], *info["related_analytics"])}
    assert model["observed"] is not None
    assert model["peers"] is not None
    assert "usual among" in got["unmapped"]["text"]["en"]


def test_nothing_to_publish_is_no_finding():
    assert publish(units.judge(units.period([]))) == []
