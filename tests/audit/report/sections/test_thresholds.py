"""Section 7: numbers against bands, the threshold judgement, and what is said where a register is missing."""

from __future__ import annotations

import pytest

from audit.report.draft import Draft
from audit.report.model import Tone
from audit.report.sections import thresholds
from audit.sections import LEAST_PEOPLE
from tests.audit.office import DISASTER, VENDORS, Office, good
from tests.audit.report.writing import Written, sources


def written(office: Office, folder, language="ja") -> Written:
    draft = Draft()
    one = Written(thresholds.section(sources(office, folder, language), draft), draft)
    one.all_is_well_formed()
    return one


def numbers(one: Written, pia: str) -> dict[str, dict]:
    return {row["What is counted"]: row for row in one.rows(f"thresholds.{pia}.numbers")}


def test_numbers_stand_beside_what_is_declared_and_those_of_the_first_of_april(tmp_path):
    office = good()
    office.registers["counts"].append(
        {"system": "welfare", "what": "subjects on file", "value": 3100, "as_of": "R7.3.1"}
    )

    one = written(office, tmp_path, "en")

    file = numbers(one, "kanagawa-9")["People on file"]
    assert (file["Declared"], file["1 April 2025"], file["End of period"], file["Within?"]) == (
        "1,000 to under 10,000",
        3100,
        3214,
        "within",
    )
    handlers = numbers(one, "sakai-48")["Handlers (all who have a right)"]
    assert (handlers["1 April 2025"], handlers["End of period"]) == (len(DISASTER) + len(VENDORS),) * 2
    users = numbers(one, "sakai-48")["Users (staff who have a right)"]
    assert (users["Declared"], users["End of period"], users["Within?"]) == ("50 to under 100", len(DISASTER), "within")
    vendors = numbers(one, "sakai-48")["Contractor's handlers (the largest company)"]
    assert vendors["End of period"] == len(VENDORS)


def test_programs_are_no_handlers_and_who_has_left_or_is_unknown_is_no_user(tmp_path):
    office = good()
    right = {"system": "disaster", "function": "*", "granted_by": "", "valid_from": "R6.4.1"}
    office.registers["permissions"] += [{**right, "actor_id": "svc-1"}, {**right, "actor_id": "nobody-knows"}]
    office.registers["permissions"].append({**right, "actor_id": "later", "valid_from": "2026-04-02"})
    office.registers["permissions"].append({**right, "actor_id": "before", "valid_to": "2026-03-01"})
    office.registers["staff"].append({"actor_id": "svc-1", "type": "service", "valid_from": "2020-04-01"})
    next(row for row in office.registers["staff"] if row["actor_id"] == DISASTER[0])["end"] = "2026-03-15"
    one = written(office, tmp_path, "en")

    told = numbers(one, "sakai-48")
    assert told["Handlers (all who have a right)"]["End of period"] == len(DISASTER) + len(VENDORS) + 1
    assert told["Users (staff who have a right)"]["End of period"] == len(DISASTER) - 1


def test_who_is_in_the_log_is_counted_and_few_people_are_not_shown(tmp_path):
    office = good()
    one = written(office, tmp_path)

    persons = {
        row["account"]: row["actor_id"] for row in office.registers["accounts"] if row.get("system") == "disaster"
    }
    seen = {
        persons.get(event["actor.id"], event["actor.id"])
        for event in office.events
        if event["system.id"] == "disaster" and event["event.outcome"] == "success" and event["actor.id"]
    }
    assert len(seen) >= LEAST_PEOPLE
    assert one.value("thresholds.sakai-48.seen") == len(seen)
    assert len(seen & set(VENDORS)) < LEAST_PEOPLE
    assert one.value("thresholds.sakai-48.vendors") == "5人未満のため示さない"
    assert one.behind("thresholds.sakai-48.vendors") == sorted(
        event["event.id"]
        for event in office.events
        if event["actor.id"] in VENDORS and event["system.id"] == "disaster"
    )
    assert one.behind("thresholds.sakai-48.seen") == sorted(
        event["event.id"]
        for event in office.events
        if event["system.id"] == "disaster" and event["event.outcome"] == "success"
    )


def test_both_reference_assessments_keep_their_kind_in_a_good_month(tmp_path):
    one = written(good(), tmp_path)

    assert one.value("thresholds.kanagawa-9.judged") == "基礎項目評価"
    # 820,000 people on file need a full statement, and the catalogue says that a focused one is published.
    assert one.value("thresholds.sakai-48.judged") == "全項目評価"
    assert [notice.tone for notice in one.notices] == [Tone.URGENT]
    assert "速やかに評価を再実施" in one.notices[0].text


def test_a_serious_incident_counts_for_a_year_whatever_system_it_was_in(tmp_path):
    office = good()
    office.registers["incidents"] += [
        {"date": "2025-04-05", "system": "disaster", "serious": 1, "summary": "USB紛失"},
        {"date": "2025-03-20", "system": "disaster", "serious": 1, "summary": "古い"},
        {"date": "2026-04-02", "system": "disaster", "serious": 1, "summary": "後"},
        {"date": "2025-12-01", "system": "", "serious": 1, "summary": "=HYPERLINK(1)<b>"},
    ]
    one = written(office, tmp_path)

    assert (one.value("thresholds.kanagawa-9.serious"), one.value("thresholds.sakai-48.serious")) == (2, 2)
    assert [row["概要"] for row in one.rows("thresholds.incidents")] == ["USB紛失", "誤送付 1件", "=HYPERLINK(1)<b>"]


def test_a_number_outside_its_band_is_said_with_the_promise(tmp_path):
    office = good()
    office.registers["permissions"] = [
        row for row in office.registers["permissions"] if row["actor_id"] not in DISASTER[:10]
    ]
    one = written(office, tmp_path)

    [notice] = [notice for notice in one.notices if notice.tone is Tone.CHECK]
    assert "46人" in notice.text
    assert "P13" in notice.text


def test_growth_says_when_the_band_would_be_left(tmp_path):
    office = good()
    months = ["2025-10-01", "2025-11-01", "2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"]
    office.registers["counts"] = [
        {"system": "welfare", "what": "subjects on file", "value": 9400 + 90 * place, "as_of": day}
        for place, day in enumerate(months)
    ]
    one = written(office, tmp_path, "en")

    row = numbers(one, "kanagawa-9")["People on file"]
    # About 3 a day, 150 to go from 9,850: some 50 days after 31 March.
    assert row["Would leave the band on"] in {"2026-05-20", "2026-05-21"}
    assert 1050 < row["Change per year"] < 1120
    chart = one.charts["thresholds.kanagawa-9.subjects-on-file"]
    assert row["Would leave the band on"] in chart.alt
    assert [value for _, value in chart.data.rows] == [9400 + 90 * place for place in range(6)]


@pytest.mark.parametrize(("register", "unknown"), [
    ("counts", "thresholds.sakai-48.judged"),
    ("permissions", "thresholds.sakai-48.judged"),
    ("incidents", "thresholds.kanagawa-9.serious"),
    ("staff", "thresholds.sakai-48.vendors"),
])  # fmt: skip
def test_a_missing_register_reads_unknown_and_never_zero(register, unknown, tmp_path):
    office = good()
    # Between 100,000 and 299,999 people all three numbers matter.
    next(row for row in office.registers["counts"] if row["value"] == 820000)["value"] = 150000
    del office.registers[register]

    one = written(office, tmp_path)

    assert one.value(unknown) is None
    if unknown.endswith("judged"):
        assert any(notice.tone is Tone.LACKING and register in notice.text for notice in one.notices)


def test_a_month_without_events_has_nobody_in_the_log_and_says_why(tmp_path):
    office = good()
    office.events.clear()
    one = written(office, tmp_path)

    assert one.value("thresholds.kanagawa-9.seen") is None
    assert "ログが対象期間にない" in one.figures["thresholds.kanagawa-9.seen"].note
    assert one.value("thresholds.kanagawa-9.judged") == "基礎項目評価"


def test_without_an_assessment_there_is_nothing_to_compare(tmp_path):
    office = good()
    office.toml = office.toml.replace('pia = "kanagawa-9"\n', "").replace('pia = "sakai-48"\n', "")
    one = written(office, tmp_path)

    assert [notice.tone for notice in one.notices] == [Tone.LACKING]
    assert set(one.tables) == {"thresholds.incidents"}
