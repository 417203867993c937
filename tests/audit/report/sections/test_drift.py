"""Section 8: what differs from the declaration, the sentence it touches and when that is revised; against counts in plain loops."""

from __future__ import annotations

import re
from typing import Any

import pytest

from audit import catalogue
from audit.catalogue import Catalogue
from audit.report.differences import DEDICATED
from audit.report.draft import Draft
from audit.report.model import Tone
from audit.report.sections import drift
from tests.audit.office import DISASTER, VENDORS, WELFARE, WORKING, Office, at, good
from tests.audit.report.writing import Written, sources

HOSTILE = '=cmd()"><script>\u202e課'


def written(office: Office, folder, language="en", known: Catalogue | None = None) -> Written:
    draft = Draft()
    one = Written(drift.section(sources(office, folder, language, catalogue=known), draft), draft)
    one.all_is_well_formed()
    return one


def differences(one: Written, pia: str) -> list[dict[str, Any]]:
    return one.rows(f"drift.{pia}.differences")


def event(office: Office, actor: str, action: str, system: str = "disaster", **more: Any) -> str:
    return office.event(at(WORKING[7], "11:11:00"), actor, system, action, **more)


def test_a_dedicated_line_is_called_as_in_the_control_of_imports():
    query = catalogue.load().assessments["sakai-48"].control("P15").query
    [told] = re.findall(r"channel NOT IN \(([^)]*)\)", query)

    assert tuple(word.strip().strip("'") for word in told.split(",")) == DEDICATED


def test_a_month_as_declared_has_no_differences(tmp_path):
    one = written(good(), tmp_path)

    assert (differences(one, "kanagawa-9"), differences(one, "sakai-48")) == ([], [])
    assert (one.value("drift.kanagawa-9.all"), one.value("drift.sakai-48.all")) == (0, 0)
    # The log of media calls itself "media", and nobody declared that; the server stands in the register of devices.
    assert [(row["System"], row["Events"]) for row in one.rows("drift.systems")] == [
        ("media", sum(event["system.id"] == "media" for event in good().events))
    ]


def test_without_devices_terminals_look_like_systems_and_that_is_said(tmp_path):
    office = good()
    del office.registers["devices"]
    one = written(office, tmp_path)

    assert [row["System"] for row in one.rows("drift.systems")] == ["dis-ap01", "media"]
    assert any("names of terminals and servers are listed" in notice.text for notice in one.notices)


def test_departments_that_are_not_listed_are_named_with_their_events(tmp_path):
    office = good()
    for row in office.registers["staff"]:
        if row["actor_id"] in WELFARE[:2]:
            row["dept"] = "zeimu"
    one = written(office, tmp_path)

    theirs = [
        event for event in office.events
        if event["system.id"] == "welfare" and event["actor.id"] in WELFARE[:2] and event["event.outcome"] == "success"
    ]  # fmt: skip
    [row] = differences(one, "kanagawa-9")
    assert (row["Found"], row["Declared"], row["Events"]) == ("税務課", "生活課", len(theirs))
    assert (row["When"], row["Sentence of the assessment"][:3]) == ("after (事後)", "P4:")
    assert one.behind("drift.kanagawa-9.differences") == sorted(event["event.id"] for event in theirs)


def test_imports_by_origin_and_by_way(tmp_path):
    office = good()
    behind = [
        event(office, DISASTER[0], "import", origin=HOSTILE, channel="LGWAN"),
        event(office, DISASTER[0], "import", origin="shimin", channel="usb"),
        event(office, DISASTER[1], "import", origin="kenko", channel="usb"),
    ]
    event(office, DISASTER[1], "import", origin="kenko", channel="usb", outcome="denied")
    one = written(office, tmp_path)

    rows = differences(one, "sakai-48")
    assert sorted((row["Found"], row["Events"]) for row in rows) == sorted([(HOSTILE, 1), ("kenko", 1), ("usb", 2)])
    assert {row["Sentence of the assessment"].partition(":")[0] for row in rows} == {"P15"}
    assert {row["When"] for row in rows} == {"before (事前)"}
    assert one.behind("drift.sakai-48.differences") == one.behind("drift.sakai-48.before") == sorted(behind)
    assert (one.value("drift.sakai-48.before"), one.value("drift.sakai-48.after")) == (3, 0)


@pytest.mark.parametrize(("action", "control"), [("provide", "P11"), ("send", "P11"), ("inquire", "P12")])
def test_what_never_happens_is_shown_with_the_promise_of_its_action(action, control, tmp_path):
    office = good()
    event(office, DISASTER[3], action)
    event(office, DISASTER[3], action, outcome="failure")
    one = written(office, tmp_path)

    [row] = differences(one, "sakai-48")
    assert (row["Found"], row["Declared"], row["Events"]) == (action, "never", 1)
    assert row["Sentence of the assessment"].startswith(control)


def test_grounds_ways_of_logging_on_and_media(tmp_path):
    office = good()
    event(office, WELFARE[1], "inquire", "welfare", basis_law="T99")
    event(office, WELFARE[1], "inquire", "welfare")
    event(office, WELFARE[2], "logon", "welfare", auth_method="password", source_id="welfare-auth")
    event(office, f"d.{DISASTER[1]}", "copy", "media", media_id="STRANGE-1", source_id="disaster-media")
    one = written(office, tmp_path)

    assert [(row["Found"], row["Events"], row["Sentence of the assessment"][:2]) for row in differences(one, "kanagawa-9")] == [
        ("-", 1, "P9"), ("T99", 1, "P9"), ("password", 1, "P1"),
    ]  # fmt: skip
    assert [(row["Found"], row["Sentence of the assessment"][:2]) for row in differences(one, "sakai-48")] == [
        ("STRANGE-1", "P6")
    ]


@pytest.mark.parametrize(("change", "what"), [
    (('approved = true', 'approved = false'), "work of a contractor without approval"),
    (('approved_on = "R7.4.1"', 'approved_on = "R8.3.31"'), "work of a contractor before its approval, or with no date of it"),
    (('systems = ["disaster"]', 'systems = ["welfare"]'), "work of a contractor in a system that is not named for it"),
    (('max_handlers = 9', 'max_handlers = 0'), "more people of a contractor than declared"),
    (('company = "架空システム保守"', 'company = "別の会社"'), "work of a company that is not declared"),
    (('application_ref = "KEI-7-12"', 'subcontractor_of = "別の会社"'), "work of a sub-contractor without a written application"),
])  # fmt: skip
def test_contractors_that_are_not_as_declared(change, what, tmp_path):
    office = good()
    office.toml = office.toml.replace(*change)
    one = written(office, tmp_path)

    rows = differences(one, "sakai-48")
    assert [row["What differs"] for row in rows] == [what]
    assert rows[0]["Events"] == sum(event["actor.id"] in VENDORS for event in office.events)
    assert rows[0]["Sentence of the assessment"].startswith("P9" if "sub-" in what else "P8")


def test_a_system_that_lists_nobody_is_used_by_everybody_against_its_declaration(tmp_path):
    office = good()
    office.toml = office.toml.replace('departments = ["seikatsu"]', "departments = []").replace(
        'import_from = ["zeimu", "shimin"]', "import_from = []"
    )
    one = written(office, tmp_path)

    [row] = differences(one, "kanagawa-9")
    assert (row["Declared"], row["Found"]) == ("(none)", "生活課")
    assert [(row["Declared"], row["Found"]) for row in differences(one, "sakai-48")] == [("(none)", "税務課")]


def test_numbers_outside_their_band_are_revised_afterwards(tmp_path):
    office = good()
    next(row for row in office.registers["counts"] if row["value"] == 820000)["value"] = 1_200_000
    one = written(office, tmp_path)

    [row] = differences(one, "sakai-48")
    assert (row["Declared"], row["Found"], row["Events"]) == ("100,000 to under 1,000,000", "1,200,000 people", None)
    assert (row["When"], row["Sentence of the assessment"][:3]) == ("after (事後)", "P14")


@pytest.mark.parametrize(("take", "told"), [
    ("departments", "site.toml: systems.*.departments"),
    ("import_from", "site.toml: systems.*.import_from"),
    ("prohibited", "site.toml: systems.*.prohibited"),
    ("staff", "staff.csv"),
    ("devices", "devices.csv"),
])  # fmt: skip
def test_what_cannot_be_compared_is_said(take, told, tmp_path):
    office = good()
    event(office, DISASTER[3], "provide")
    if take in ("staff", "devices"):
        del office.registers[take]
    else:
        office.toml = "".join(f"{line}\n" for line in office.toml.splitlines() if not line.startswith(take))
    one = written(office, tmp_path)

    lacking = [notice.text for notice in one.notices if notice.tone is Tone.LACKING]
    assert any(told in text and text.startswith("Sakai") for text in lacking), lacking
    # The other assessment promises nothing of imports and media, so nothing is missing for it there.
    assert not any(text.startswith("Kanagawa") for text in lacking if take in ("import_from", "prohibited", "devices"))


def test_a_month_without_events_shows_nothing_and_says_that_it_is_not_known(tmp_path):
    office = good()
    office.events.clear()
    one = written(office, tmp_path)

    assert one.value("drift.sakai-48.all") is None
    assert one.tables["drift.sakai-48.differences"].empty == "Practice is not known, so nothing can be compared."
    assert sum("practice is not known" in notice.text for notice in one.notices) == 2


def test_an_assessment_whose_kind_is_not_said_leaves_the_time_open(tmp_path):
    office = good()
    event(office, DISASTER[3], "provide")
    shipped = catalogue.load()
    plain = {
        pia: catalogue.Assessment(pia, one.name, one.controls, None, one.drift)
        for pia, one in shipped.assessments.items()
    }
    one = written(office, tmp_path, known=Catalogue(plain, ()))

    [row] = differences(one, "sakai-48")
    assert row["When"] == "to be decided"


def test_without_an_assessment_only_systems_are_compared(tmp_path):
    office = good()
    office.toml = office.toml.replace('pia = "kanagawa-9"\n', "").replace('pia = "sakai-48"\n', "")
    event(office, DISASTER[3], "read", HOSTILE)
    one = written(office, tmp_path, "ja")

    assert [notice.tone for notice in one.notices] == [Tone.LACKING]
    assert sorted(one.tables) == ["drift.systems"]
    assert HOSTILE in [row["システム"] for row in one.rows("drift.systems")]
