"""Section 5: rows of the ledger against events and events against rows, pinned by loops over both."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from audit.report.draft import Draft
from audit.report.model import Tone
from audit.report.sections import ledgers
from tests.audit.office import DAYS, DISASTER, VENDORS, WELFARE, WORKING, Office, at, good
from tests.audit.report.writing import Written, sources

HOSTILE = '＝cmd()|"><img src=x>\u202e'
LIMIT = "[limits]\nexport_rows_needing_approval = 100\n"


def written(office: Office, folder, language="en") -> Written:
    draft = Draft()
    one = Written(ledgers.section(sources(office, folder, language), draft), draft)
    one.all_is_well_formed()
    return one


def row(office: Office, kind: str, day: Any, actor: str = "", **more: Any) -> None:
    office.registers["ledger"].append(
        {"kind": kind, "date": day, "actor_id": actor, "content": "x", "approved_by": "100199", **more}
    )


def results(one: Written, name: str) -> list[tuple[Any, ...]]:
    return [(r["By"], r["Events"], r["Result"]) for r in one.rows(f"ledgers.{name}.ledger")]


def local(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["time.occurred"] / 1000, UTC).astimezone(ZoneInfo("Asia/Tokyo"))


def empty() -> Office:
    """The good month without what the ledger is about, and a ledger of the year before."""
    office = good()
    office.registers["ledger"] = [{"kind": "output", "date": "2025-03-05", "actor_id": WELFARE[0], "content": "x"}]
    office.events = [event for event in office.events if event["event.action"] not in ("copy", "delete")]
    for place, event in enumerate(office.events):
        event["event.id"] = f"{place:016x}"
    return office


def test_the_good_month_ties_in_both_directions(tmp_path):
    one = written(good(), tmp_path)

    assert results(one, "take-out") == [(DISASTER[1], 1, "same person and day")]
    assert results(one, "disposal") == [(DISASTER[2], 1, "same person and day")]
    for name in ("take-out", "disposal"):
        assert [one.value(f"ledgers.{name}.{what}") for what in ("rows", "alone", "poor", "unwritten")] == [
            1,
            0,
            0,
            0,
        ], name
    taken = [event["event.id"] for event in good().events if event["event.action"] == "copy"]
    assert one.behind("ledgers.take-out.ledger") == taken
    assert one.behind("ledgers.disposal.ledger") == [
        e["event.id"] for e in good().events if e["event.action"] == "delete"
    ]
    assert one.behind("ledgers.take-out.unwritten") == one.behind("ledgers.take-out.log") == []
    assert [notice.text for notice in one.notices] == [
        "column target of ledger.csv is not there, so part of the comparison cannot be made.",
        "column company of ledger.csv is not there, so part of the comparison cannot be made.",
    ]


def test_rows_tie_to_the_same_person_within_a_day_and_to_nobody_else(tmp_path):
    office = empty()
    events = {}
    for place, offset in enumerate((-2, -1, 0, 1, 2)):
        actor = WELFARE[place]
        day = DAYS[10] + timedelta(days=offset)
        events[actor] = (offset, office.event(at(day, "23:30:00"), actor, "welfare", "export", resource_count=7))
        row(office, "output", DAYS[10], actor)
    row(office, "output", DAYS[10], WELFARE[9])
    one = written(office, tmp_path)

    assert sorted(results(one, "output")) == sorted(
        [
            (actor, 1 if abs(offset) <= 1 else 0, "same person and day" if abs(offset) <= 1 else "no event")
            for actor, (offset, _) in events.items()
        ]
        + [(WELFARE[9], 0, "no event")]
    )
    assert one.value("ledgers.output.alone") == 3
    far = [uid for offset, uid in events.values() if abs(offset) > 1]
    assert one.value("ledgers.output.unwritten") == len(far)
    assert one.behind("ledgers.output.unwritten") == sorted(far)


def test_a_row_may_name_several_people(tmp_path):
    office = empty()
    both = [office.event(at(WORKING[3]), actor, "welfare", "export", resource_count=7) for actor in WELFARE[:2]]
    third = office.event(at(WORKING[3]), WELFARE[2], "welfare", "export", resource_count=7)
    row(office, "output", WORKING[3], f"{WELFARE[0]}、{WELFARE[1]}")
    one = written(office, tmp_path)

    assert [(r["Events"], r["Result"]) for r in one.rows("ledgers.output.ledger")] == [(2, "same person and day")]
    assert one.behind("ledgers.output.ledger") == sorted(both)
    assert one.behind("ledgers.output.unwritten") == [third]


def test_a_row_that_names_a_medium_ties_to_that_medium_only_by_its_number_or_its_serial(tmp_path):
    office = empty()
    copy = {"source_id": "disaster-media", "class": "export"}
    right = office.event(at(WORKING[3], "10:00:00"), f"d.{DISASTER[1]}", "media", "copy", media_id="SER-0012", **copy)
    wrong = office.event(at(WORKING[3], "10:05:00"), f"d.{DISASTER[1]}", "media", "copy", media_id="OTHER-1", **copy)
    row(office, "take-out", WORKING[3], DISASTER[1], target="USB-0012")
    one = written(office, tmp_path)

    assert right != wrong
    assert results(one, "take-out") == [(DISASTER[1], 1, "same target")]
    assert one.behind("ledgers.take-out.unwritten") == [wrong]
    assert [(r["Medium"], r["Events"]) for r in one.rows("ledgers.take-out.log")] == [("OTHER-1", 1)]


def test_a_deletion_ties_to_the_person_on_file_that_the_row_names(tmp_path):
    office = empty()
    mine, other = "s_00000000000000c1", "s_00000000000000c2"
    office.registers["subjects"] = [{"subject_id": token} for token in (mine, other)]
    office.event(at(WORKING[5]), WELFARE[0], "welfare", "delete", subject_token=mine)
    left = office.event(at(WORKING[5]), WELFARE[0], "welfare", "delete", subject_token=other)
    row(office, "disposal", WORKING[5], WELFARE[0], target=mine)
    one = written(office, tmp_path)

    assert results(one, "disposal") == [(WELFARE[0], 1, "same target")]
    assert one.behind("ledgers.disposal.unwritten") == [left]


def test_deletions_by_contractors_have_a_ledger_of_their_own_and_need_company_and_certificate(tmp_path):
    office = empty()
    for day in (4, 9, 14):
        office.event(at(WORKING[day]), VENDORS[0], "disaster", "delete")
    row(office, "contractor disposal", WORKING[4], company="架空システム保守", content="HDD 2台 消去証明書 第12号")
    row(office, "contractor disposal", WORKING[9], VENDORS[0], content="HDD")
    one = written(office, tmp_path)

    assert [(r["Company, destination"], r["Events"], r["Lacks"]) for r in one.rows("ledgers.contractor.ledger")] == [
        ("架空システム保守", 1, None), (None, 1, "company, certificate"),
    ]  # fmt: skip
    assert (
        one.value("ledgers.contractor.poor"),
        one.value("ledgers.contractor.unwritten"),
        one.value("ledgers.disposal.unwritten"),
    ) == (1, 1, 0)


def test_what_a_row_lacks_is_said(tmp_path):
    office = empty()
    row(office, "take-out", WORKING[1], WELFARE[0], approved_by="")
    row(office, "take-out", WORKING[2], WELFARE[0], approved_by=WELFARE[0], content=HOSTILE)
    row(office, "disposal", "", "", content="", approved_by="")
    row(office, "disposal", "2026-04-02", WELFARE[0])
    one = written(office, tmp_path)

    assert [r["Lacks"] for r in one.rows("ledgers.take-out.ledger")] == ["approval", "approved by oneself"]
    assert [r["Lacks"] for r in one.rows("ledgers.disposal.ledger")] == ["date, person, content"]
    assert HOSTILE in [r["Content"] for r in one.rows("ledgers.take-out.ledger")]


def test_use_is_asked_of_the_person_and_of_the_card(tmp_path):
    office = empty()
    office.event(at(WORKING[2], "09:00:00"), WELFARE[0], "welfare", "logon", auth_card="T-9")
    row(office, "use", WORKING[2], WELFARE[0], target="T-9")
    row(office, "use", WORKING[2], WELFARE[1], target="T-9")
    row(office, "use", WORKING[2], WELFARE[23])
    one = written(office, tmp_path)

    days = {WORKING[2] + timedelta(days=n) for n in (-1, 0, 1)}
    counts = {
        actor: sum(
            e["actor.id"] == actor and local(e).date() in days and e["event.outcome"] == "success"
            for e in office.events
        )
        for actor in (WELFARE[0], WELFARE[1], WELFARE[23])
    }
    assert sorted(results(one, "output")) == sorted(
        [
            (WELFARE[0], counts[WELFARE[0]], "same target"),
            (WELFARE[1], counts[WELFARE[1]], "same person and day"),
            (WELFARE[23], 0, "no event"),
        ]
    )
    assert one.value("ledgers.output.unwritten") == 0


def test_programs_are_counted_apart_and_what_needs_approval_is_named(tmp_path):
    office = empty()
    office.toml = office.toml.replace("[limits]\n", LIMIT)
    big = office.event(at(WORKING[2]), WELFARE[0], "welfare", "export", resource_count=100, destination=HOSTILE)
    office.event(at(WORKING[2]), WELFARE[0], "welfare", "export", resource_count=99, destination=HOSTILE)
    office.event(at(WORKING[2]), WELFARE[1], "welfare", "print")
    office.event(at(WORKING[2]), WELFARE[1], "welfare", "print", outcome="denied")
    office.event(at(WORKING[2]), "svc-backup", "welfare", "export", resource_count=3000, actor_type="service")
    one = written(office, tmp_path)

    assert (one.value("ledgers.output.unwritten"), one.value("ledgers.output.large")) == (3, 1)
    assert one.behind("ledgers.output.large") == [big]
    assert one.figures["ledgers.output.unwritten"].note == "1 by programs are left out"
    assert [(r["Person"], r["Action"], r["Destination"], r["Events"], r["Records"]) for r in one.rows("ledgers.output.log")] == [
        (WELFARE[0], "export", HOSTILE, 2, 199), (WELFARE[1], "print", None, 1, None),
    ]  # fmt: skip


def test_log_ins_and_hours_are_those_of_the_log(tmp_path):
    office = empty()
    office.event(at(WORKING[0], "17:14:00"), WELFARE[0], "welfare", "read")
    late = office.event(at(WORKING[0], "17:15:00"), WELFARE[0], "welfare", "read")
    off = office.event(at(DAYS[5], "10:00:00"), WELFARE[0], "welfare", "read")
    holiday = office.event(at(date(2026, 3, 20), "10:00:00"), WELFARE[0], "welfare", "read")
    refused = office.event(at(WORKING[0], "09:00:00"), WELFARE[0], "welfare", "logon", outcome="failure")
    office.event(at(WORKING[0], "03:00:00"), "batch", "welfare", "read", actor_type="service")
    one = written(office, tmp_path)

    mine = [e for e in office.events if e["event.outcome"] == "success" and e["actor.id"] != "batch"]
    assert one.value("ledgers.accesses") == len(mine)
    assert one.value("ledgers.logons") == sum(e["event.action"] == "logon" for e in mine)
    assert (one.value("ledgers.failed"), one.behind("ledgers.failed")) == (1, [refused])
    assert one.behind("ledgers.accesses") == one.behind("ledgers.heat") == sorted(e["event.id"] for e in mine)
    assert one.behind("ledgers.logons") == sorted(e["event.id"] for e in mine if e["event.action"] == "logon")
    assert one.behind("ledgers.off") == sorted([off, holiday])
    early = [
        e["event.id"]
        for e in mine
        if not (8 * 60 + 30 <= local(e).hour * 60 + local(e).minute < 17 * 60 + 15) or local(e).date() not in WORKING
    ]
    assert {late, off, holiday} <= set(early)
    assert (one.value("ledgers.outside"), one.behind("ledgers.outside")) == (len(early), sorted(early))
    assert one.value("ledgers.off") == 2
    matrix = [[0] * 24 for _ in range(7)]
    for event in mine:
        matrix[local(event).weekday()][local(event).hour] += 1
    assert [list(line[1:]) for line in one.charts["ledgers.heat"].data.rows] == matrix
    welfare = next(r for r in one.rows("ledgers.systems") if r["System"] == "生活保護システム")
    assert (welfare["People"], welfare["Log-ons refused"]) == (10, 1)


def test_few_people_are_not_counted(tmp_path):
    office = empty()
    one = written(office, tmp_path)

    server = next(r for r in one.rows("ledgers.systems") if r["System"] == "(servers)")
    assert (server["People"], server["Log-ons"]) == (None, len(WORKING))


@pytest.mark.parametrize("column", ["date", "actor_id", "approved_by", "company", "content", "target"])
def test_a_column_that_is_missing_is_said(column, tmp_path):
    office = good()
    row(office, "contractor disposal", WORKING[4], company="架空システム保守", target="x")
    for line in office.registers["ledger"]:
        line.pop(column, None)
    one = written(office, tmp_path)

    assert any(notice.tone is Tone.LACKING and column in notice.text for notice in one.notices)
    if column in ("date", "actor_id"):
        assert one.value("ledgers.take-out.alone") is None
        assert one.value("ledgers.take-out.unwritten") is None


def test_without_a_ledger_nothing_is_said_to_be_missing_in_it(tmp_path):
    office = good()
    del office.registers["ledger"]
    one = written(office, tmp_path)

    assert [notice.tone for notice in one.notices] == [Tone.LACKING]
    for name in ("output", "take-out", "disposal", "contractor"):
        for what in ("rows", "alone", "poor", "unwritten"):
            assert one.value(f"ledgers.{name}.{what}") is None
    assert len(one.rows("ledgers.take-out.log")) == 1


def test_rows_without_a_log_cannot_be_told(tmp_path):
    office = good()
    office.events.clear()
    one = written(office, tmp_path, "ja")

    assert [r["突合"] for r in one.rows("ledgers.take-out.ledger")] == ["突合できない"]
    for name in ("ledgers.take-out.alone", "ledgers.take-out.unwritten", "ledgers.logons", "ledgers.outside"):
        assert one.value(name) is None, name
    assert one.value("ledgers.take-out.rows") == 1
    assert one.tables["ledgers.disposal.log"].empty == "対象期間のログがない"


def test_without_declared_hours_nothing_is_outside_of_them(tmp_path):
    office = good()
    before, _, rest = office.toml.partition("[office_hours]")
    office.toml = before + rest[rest.index("[limits]") :]
    one = written(office, tmp_path)

    assert (one.value("ledgers.outside"), one.value("ledgers.off")) == (None, None)
    assert one.behind("ledgers.outside") == []
