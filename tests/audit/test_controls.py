"""Every shipped control: kept, broken, and without what it needs; and what makes a verdict in general."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit import catalogue, tables
from audit.catalogue import Assessment
from audit.controls import Outcome, Verdict, judge
from registers import site as sites
from tests.audit.breaches import BREACHES
from tests.audit.office import DISASTER, WELFARE, WORKING, at, finding, good

CATALOGUE = catalogue.load()
CONTROLS = {f"{pia}/{c.id}": c for pia, one in CATALOGUE.assessments.items() for c in one.controls}
NEEDS = [(name, need) for name, control in CONTROLS.items() for need in control.needs]


def judged(read: tables.Tables, only: str | None = None) -> dict[str, Verdict]:
    chosen = [
        Assessment(pia, one.name, tuple(c for c in one.controls if only in (None, f"{pia}/{c.id}")))
        for pia, one in CATALOGUE.assessments.items()
    ]
    return {f"{verdict.pia}/{verdict.id}": verdict for verdict in judge(read, chosen)}


def test_all_shipped_controls_load():
    assert CATALOGUE.problems == ()
    assert list(CATALOGUE.assessments) == ["kanagawa-9", "sakai-48"]
    assert [len(one.controls) for one in CATALOGUE.assessments.values()] == [9, 16]


def test_a_month_that_keeps_every_promise_is_met_throughout(written):
    verdicts = judged(written(good()))

    assert list(verdicts) == list(CONTROLS)
    assert {name: v.reason for name, v in verdicts.items() if v.verdict is not Outcome.MET} == {}
    assert all(verdict.number is not None and verdict.evidence for verdict in verdicts.values())


def test_there_is_a_breach_to_test_every_control():
    assert list(BREACHES) == list(CONTROLS)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_broken_promise_is_to_be_checked(name, written):
    office = good()
    BREACHES[name](office)

    verdict = judged(written(office), name)[name]

    assert verdict.verdict is Outcome.CHECK, verdict.reason
    assert "{" not in verdict.reason
    if CONTROLS[name].examples is not None:
        assert verdict.examples


@pytest.mark.parametrize(("name", "need"), NEEDS)
def test_a_control_without_its_register_has_no_evidence(name, need, written):
    office = good()
    first, _, column = need.partition(".")
    if first == "systems":
        office.toml = "".join(f"{line}\n" for line in office.toml.splitlines() if not line.startswith(column))
    elif first == "site":
        before, _, rest = office.toml.partition("[[contractors]]")
        office.toml = before + rest[rest.index("[systems.") :]
    elif column:
        office.registers[first] = [{k: v for k, v in row.items() if k != column} for row in office.registers[first]]
    else:
        del office.registers[first]

    verdict = judged(written(office), name)[name]

    assert verdict.verdict is Outcome.LACKING, verdict.reason
    assert need in verdict.needs or first in verdict.needs


@pytest.mark.parametrize("name", [name for name, c in CONTROLS.items() if set(c.where) & {"events", "sessions"}])
def test_a_control_over_logs_has_no_evidence_without_logs(name, written):
    office = good()
    office.events, office.sessions = office.events[:0], []

    assert judged(written(office), name)[name].verdict is not Outcome.MET


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("kanagawa-9/P1", "logon"),
        ("kanagawa-9/P2", "register"),
        ("kanagawa-9/P3", "register"),
        ("kanagawa-9/P9", "inquire"),
        ("sakai-48/P3", "logoff"),
        ("sakai-48/P7", "copy"),
        ("sakai-48/P15", "import"),
    ],
)
def test_a_promise_about_something_that_never_happened_has_no_evidence(name, action, written):
    office = good()
    office.events = [event for event in office.events if event["event.action"] != action]

    assert judged(written(office), name)[name].verdict is Outcome.LACKING


def test_log_ons_that_do_not_say_how_are_missing_evidence(written):
    office = good()
    office.event(at(WORKING[0], "15:00:00"), WELFARE[0], "welfare", "logon", source_id="welfare-auth")

    verdict = judged(written(office))["kanagawa-9/P1"]

    assert verdict.verdict is Outcome.LACKING
    assert "1 件のログオンは認証方法が記録されていない" in verdict.reason


def test_a_registration_confirmed_later_by_somebody_else_is_confirmed(written):
    office = good()
    when = at(WORKING[5], "15:00:00")
    person = {"resource_class": "mynumber", "subject_token": "s_00000000000000cc"}
    office.event(when, WELFARE[0], "welfare", "register", op_code="WE400", **person)
    office.event(when + 60_000, WELFARE[1], "welfare", "approve", op_code="WE405", **person)

    assert judged(written(office))["kanagawa-9/P3"].verdict is Outcome.MET


def test_confirming_ones_own_registration_later_is_not_confirmation(written):
    office = good()
    when = at(WORKING[5], "15:00:00")
    person = {"resource_class": "mynumber", "subject_token": "s_00000000000000cc"}
    office.event(when, WELFARE[0], "welfare", "register", op_code="WE400", **person)
    office.event(when + 60_000, WELFARE[0], "welfare", "approve", op_code="WE405", **person)

    assert judged(written(office))["kanagawa-9/P3"].number == 1


def test_a_right_counts_from_its_first_day_to_its_last(written):
    office = good()
    day = WORKING[6]
    office.registers["permissions"].append(
        {"actor_id": WELFARE[9], "system": "welfare", "function": "WE400", "valid_from": day, "valid_to": day}
    )
    confirmed = {"op_code": "WE400", "resource_class": "mynumber", "approver_id": WELFARE[0]}
    office.event(at(day, "23:59:59"), WELFARE[9], "welfare", "register", **confirmed)
    assert judged(written(office))["kanagawa-9/P2"].verdict is Outcome.MET


def test_work_on_the_last_day_of_employment_is_in_order(written):
    office = good()
    row = next(row for row in office.registers["staff"] if row["actor_id"] == WELFARE[3])
    row["end"] = WORKING[-1]

    assert judged(written(office))["kanagawa-9/P4"].verdict is Outcome.MET


def test_refused_attempts_break_no_promise(written):
    office = good()
    when = at(WORKING[5], "15:00:00")
    office.event(when, f"d.{DISASTER[4]}", "disaster", "provide", outcome="denied")
    office.event(
        when, f"d.{DISASTER[4]}", "media", "connect", source_id="disaster-media", media_id="X", outcome="denied"
    )

    verdicts = judged(written(office))

    assert verdicts["sakai-48/P11"].verdict is Outcome.MET
    assert verdicts["sakai-48/P6"].verdict is Outcome.MET
    assert "拒否 1 件" in verdicts["sakai-48/P6"].reason


@pytest.mark.parametrize(("queue", "status", "expected"), [
    ("alert", 1, Outcome.CHECK), ("review", 1, Outcome.CHECK), ("digest", 1, Outcome.MET), ("none", 3, Outcome.MET),
])  # fmt: skip
def test_a_promise_is_not_met_while_a_finding_waits(queue, status, expected, written):
    office = good()
    office.findings.append(finding(1, queue=queue, status=status, controls=["kanagawa-9/P7"]))

    verdicts = judged(written(office))

    assert verdicts["kanagawa-9/P7"].verdict is expected
    assert verdicts["kanagawa-9/P7"].findings == (("f-0000000000000001",) if expected is Outcome.CHECK else ())
    assert verdicts["sakai-48/P7"].verdict is Outcome.MET


def test_a_finding_in_one_system_touches_no_promise_about_another(written):
    office = good()
    uid = next(e["event.id"] for e in office.events if e["system.id"] == "disaster")
    office.findings.append(finding(1, controls=["kanagawa-9/P4", "sakai-48/P1"], events=[uid]))

    verdicts = judged(written(office))

    assert verdicts["kanagawa-9/P4"].verdict is Outcome.MET
    assert verdicts["sakai-48/P1"].verdict is Outcome.CHECK


def test_a_declared_source_that_never_spoke_proves_nothing(written):
    office = good()
    office.toml = office.toml.replace('"welfare-auth"]', '"welfare-auth", "welfare-db"]')

    verdicts = judged(written(office))

    assert verdicts["kanagawa-9/P4"].verdict is Outcome.LACKING
    assert "welfare-db" in verdicts["kanagawa-9/P4"].reason
    assert verdicts["kanagawa-9/P5"].verdict is Outcome.CHECK
    assert verdicts["kanagawa-9/P8"].verdict is Outcome.MET


def test_a_breach_is_not_hidden_by_a_source_that_never_spoke(written):
    office = good()
    office.toml = office.toml.replace('"welfare-auth"]', '"welfare-auth", "welfare-db"]')
    BREACHES["kanagawa-9/P9"](office)

    verdict = judged(written(office))["kanagawa-9/P9"]

    assert verdict.verdict is Outcome.CHECK
    assert "welfare-db" in verdict.reason


@pytest.mark.parametrize(("lines", "expected"), [(50, Outcome.MET), (150, Outcome.LACKING)])
def test_a_log_that_was_refused_in_large_part_proves_nothing(lines, expected, written):
    office = good()
    spoken = sum(event["source.id"] == "welfare-ops" for event in office.events)
    assert 0.05 * spoken < 0.95 * 150
    office.rejected = [
        {"source.id": "welfare-ops", "source.position": f"a:{n}", "reason": "time", "detail": "", "line": ""}
        for n in range(lines)
    ]

    assert judged(written(office))["kanagawa-9/P4"].verdict is expected


def test_an_assessment_that_no_system_names_is_not_judged(written):
    office = good()
    office.toml = office.toml.replace('pia = "sakai-48"\n', "")

    assert {name.split("/")[0] for name in judged(written(office))} == {"kanagawa-9"}


def test_without_a_site_nothing_is_judged(tmp_path):
    out, _ = good().write(tmp_path)

    assert judged(tables.read(out, sites.Site.none())) == {}


def test_events_of_another_system_do_not_count(written):
    office = good()
    office.event(at(WORKING[5], "15:00:00"), WELFARE[0], "welfare", "provide", op_code="WE320")

    assert judged(written(office))["sakai-48/P11"].verdict is Outcome.MET


def test_sentences_come_in_english(written):
    office = good()
    BREACHES["kanagawa-9/P9"](office)

    [verdict] = [v for v in judge(written(office), CATALOGUE.assessments.values(), "en") if v.id == "P9" and v.pia == "kanagawa-9"]  # fmt: skip

    assert verdict.verdict == "要確認"
    assert verdict.reason == "1 of 2 inquiries name no listed ground (0 name none at all)."


GOOD_FILE = """
pia: town-1
name: {ja: 町, en: town}
stands_in: {ja: 不明, en: unknown}
controls:
  - id: P1
    title: {ja: あ, en: a}
    quote: {ja: あ, en: a}
    unit: {ja: 件, en: events}
    counts: {ja: あ, en: a}
    expect: {ja: 0 件, en: "0"}
    query: SELECT 0 AS number
    check: number > 0
    met: {ja: あ, en: a}
    to_check: {ja: あ, en: a}
    where: [events]
"""


BANDS = """
thresholds:
  kind: basic
  bands:
    - {what: handlers, from: 10, below: 20, control: P1}
drift: {departments: P1}
controls:
"""


def test_an_assessment_says_between_which_numbers_people_are_and_what_may_differ(tmp_path):
    (tmp_path / "town-1.yml").write_text(GOOD_FILE.replace("\ncontrols:\n", BANDS), encoding="utf-8")

    loaded = catalogue.load(tmp_path)

    assert loaded.problems == ()
    one = loaded.assessments["town-1"]
    assert one.thresholds is not None
    [band] = one.thresholds.bands
    assert (band.what, band.least, band.below, one.control(band.control).id) == ("handlers", 10, 20, "P1")
    assert one.thresholds.judgement.subjects == [1_000, 10_000, 100_000, 300_000]
    assert one.drift == {"departments": "P1"}


@pytest.mark.parametrize(("change", "problem"), [
    (("control: P1}", "control: P2}"), 'town-1.yml: thresholds: handlers: names P2, which is no control of the file'),
    (("departments: P1", "departments: P9"), "town-1.yml: drift: departments: names P9, which is no control of the file"),
    (("below: 20", "below: 10"), "town-1.yml: thresholds: handlers: below (10) must be more than from (10)"),
    (("  bands:\n", "  bands:\n    - {what: handlers, control: P1}\n"), "town-1.yml: thresholds: handlers: is there twice"),
    (("kind: basic", "kind: basic\n  judgement: {subjects: [1, 3, 2, 4]}"), "town-1.yml: thresholds.judgement.subjects: [1, 3, 2, 4] must rise"),
    (("kind: basic", "kind: basik"), "town-1.yml: thresholds.kind: input should be 'basic', 'focused' or 'full', got 'basik'"),
    (("departments: P1", "deparments: P1"), "town-1.yml: drift.deparments"),
])  # fmt: skip
def test_wrong_numbers_of_people_are_refused_and_say_why(change, problem, tmp_path):
    text = GOOD_FILE.replace("\ncontrols:\n", BANDS.replace(*change))
    (tmp_path / "town-1.yml").write_text(text, encoding="utf-8")

    loaded = catalogue.load(tmp_path)

    assert loaded.assessments == {}
    assert any(line.startswith(problem) for line in loaded.problems), loaded.problems


def test_the_shipped_assessments_declare_the_numbers_that_their_promises_name():
    told = {
        (pia, band.what): (band.least, band.below, one.control(band.control).expect["en"])
        for pia, one in CATALOGUE.assessments.items()
        if one.thresholds
        for band in one.thresholds.bands
    }

    assert told == {
        ("kanagawa-9", "subjects on file"): (1_000, 10_000, "1,000 to 9,999"),
        ("kanagawa-9", "handlers"): (0, 500, "under 500"),
        ("sakai-48", "subjects on file"): (100_000, 1_000_000, "100,000 to 999,999"),
        ("sakai-48", "users"): (50, 100, "50 to 99"),
        ("sakai-48", "contractor handlers"): (0, 10, "under 10"),
    }


@pytest.mark.parametrize(("change", "problem"), [
    (("check:", "chek:"), 'town-1.yml: controls.1.chek: unknown key, did you mean "check"?'),
    (("check: number > 0", ""), "town-1.yml: controls.1.check: missing, add it"),
    (("pia: town-1", "pia: town-2"), "town-1.yml: pia: is town-2, should be the name of the file, town-1"),
    (("    check:", "    lacking: number > 1\n    check:"), "town-1.yml: P1: lacking and short go together: write both or none"),
    (("met: {ja: あ, en: a}", 'met: {ja: "{a b}", en: a}'), "town-1.yml: controls.1.met: {a b} is no column: write {number} or another column of the query"),
    (("name: {ja: 町, en: town}", "name: {ja: 町"), "town-1.yml: is no valid YAML"),
])  # fmt: skip
def test_a_wrong_file_of_controls_is_refused_alone_and_says_why(change, problem, tmp_path):
    (tmp_path / "other-1.yml").write_text(GOOD_FILE.replace("town-1", "other-1"), encoding="utf-8")
    (tmp_path / "town-1.yml").write_text(GOOD_FILE.replace(*change), encoding="utf-8")

    loaded = catalogue.load(tmp_path)

    assert list(loaded.assessments) == ["other-1"]
    assert any(line.startswith(problem) for line in loaded.problems), loaded.problems


def test_a_query_that_cannot_run_reads_as_missing_evidence(written, tmp_path):
    folder = tmp_path / "controls"
    folder.mkdir()
    text = GOOD_FILE.replace("town-1", "kanagawa-9").replace(
        "SELECT 0 AS number", "SELECT nothing AS number FROM nowhere"
    )
    (folder / "kanagawa-9.yml").write_text(text, encoding="utf-8")

    [verdict] = judge(written(good()), catalogue.load(folder).assessments.values())

    assert verdict.verdict is Outcome.LACKING
    assert "nowhere" in verdict.reason


def test_the_folder_must_be_an_output_of_an_analysis(tmp_path: Path):
    with pytest.raises(tables.OutputError, match="give the folder that the analysis wrote"):
        tables.read(tmp_path, sites.Site.none())


def test_server_ids_whose_issuer_nobody_wrote_down_are_missing_evidence(written):
    office = good()
    next(row for row in office.registers["accounts"] if row["account"] == "kanri1")["issued_by"] = ""

    verdict = judged(written(office))["sakai-48/P5"]

    assert verdict.verdict is Outcome.LACKING
    assert "発行者の記載がない" in verdict.reason


def test_a_server_id_that_is_in_no_register_is_to_be_checked(written):
    office = good()
    office.event(at(WORKING[5], "02:00:00"), "root", "dis-ap01", "logon", source_id="server-syslog")

    verdict = judged(written(office))["sakai-48/P5"]

    assert (verdict.verdict, verdict.number, verdict.examples) == (Outcome.CHECK, 1, ("root",))


def test_every_control_that_a_rule_names_is_in_the_catalogue():
    folder = catalogue.CONTROLS.parent
    tags = {
        tag
        for path in folder.glob("*/*/rule.yml")
        for tag in re.findall(r"sekimori\.control\.([\w-]+\.\w+)", path.read_text(encoding="utf-8"))
    }

    assert tags
    assert tags <= {name.replace("/", ".") for name in CONTROLS}
