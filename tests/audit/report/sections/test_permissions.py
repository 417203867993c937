"""Section 6: rights against use, leavers, cards, shared ids and work orders, against counts in plain loops."""

from __future__ import annotations

from typing import Any

import pytest

from audit.catalogue import CONTROLS
from audit.report.draft import Draft
from audit.report.lending import SHARING
from audit.report.model import Tone
from audit.report.sections import permissions
from audit.report.sources import Period
from tests.audit.office import DAYS, VENDORS, WELFARE, WORKING, Office, at, finding, good
from tests.audit.report.writing import MARCH, Written, sources

HOSTILE = '=1+1"><b>\u202e'


def written(office: Office, folder, language="en", period: Period = MARCH) -> Written:
    draft = Draft()
    one = Written(permissions.section(sources(office, folder, language, period), draft), draft)
    one.all_is_well_formed()
    return one


def test_rules_that_speak_of_shared_ids_exist():
    for rule in SHARING:
        assert len(list(CONTROLS.parent.glob(f"*/{rule}/rule.yml"))) == 1, rule


def session(office: Office, actor: str, system: str, device: str | None, first: int, last: int) -> None:
    uid = f"w-x{len(office.sessions):05}"
    office.sessions.append(
        {
            "session": uid,
            "actor.id": actor,
            "system.id": system,
            "src.device": device,
            "first": first,
            "last": last,
            "events": 3,
            "subjects": 1,
        }
    )


def ok_events(office: Office, system: str) -> list[dict[str, Any]]:
    return [event for event in office.events if event["system.id"] == system and event["event.outcome"] == "success"]


def person(office: Office, account: str) -> str:
    return next((row["actor_id"] for row in office.registers["accounts"] if row["account"] == account), account)


def unused(office: Office) -> dict[tuple[str, str], int]:
    """Rights without a use, by person and system; a system whose events name functions is judged by function."""
    used = {(person(office, e["actor.id"]), e["system.id"], e.get("op.code")) for e in ok_events(office, "welfare") + ok_events(office, "disaster")
            if e["event.action"] not in ("logoff", "timeout", "lock")}  # fmt: skip
    out: dict[tuple[str, str], int] = {}
    for row in office.registers["permissions"]:
        who, system, function = row["actor_id"], row["system"], row["function"]
        mine = {code for name, where, code in used if (name, where) == (who, system)}
        if not (mine if function == "*" else function in mine):
            out[who, system] = out.get((who, system), 0) + 1
    return out


def test_rights_that_nobody_used_in_the_period(tmp_path):
    office = good()
    one = written(office, tmp_path)

    expected = unused(office)
    assert one.value("permissions.granted") == len(office.registers["permissions"])
    assert one.value("permissions.unused") == sum(expected.values())
    names = {"生活保護システム": "welfare", "被災者台帳システム": "disaster"}
    assert {
        (row["Person"], names[row["System"]]): row["Not used in the period"] for row in one.rows("permissions.rights")
    } == expected
    assert one.value("permissions.unused_90") is None
    assert "2026-03-02" in one.figures["permissions.unused_90"].note


def test_rights_that_nobody_used_for_long_where_the_log_reaches_back(tmp_path):
    office = good()
    # One use 100 days before the end, one 190 days before it: the log reaches back, and 90 days are not 180.
    end = MARCH.end
    day = 86_400_000
    office.event(end - 190 * day, WELFARE[20], "welfare", "read", op_code="WE110")
    office.event(end - 100 * day, WELFARE[21], "welfare", "read", op_code="WE110")
    office.registers["permissions"].append(
        {
            "actor_id": WELFARE[22],
            "system": "welfare",
            "function": "WE777",
            "granted_by": "",
            "valid_from": "2026-02-01",
        }
    )
    one = written(office, tmp_path)

    rows = {(row["Person"], row["System"]): row for row in one.rows("permissions.rights")}
    long = rows[WELFARE[20], "生活保護システム"]
    assert (long["Rights"], long["Not used for 90 days"], long["Not used for 180 days"]) == (2, 2, 2)
    shorter = rows[WELFARE[21], "生活保護システム"]
    assert (shorter["Not used for 90 days"], shorter["Not used for 180 days"], shorter["Last use"]) == (
        2,
        1,
        end - 100 * day,
    )
    fresh = rows[WELFARE[22], "生活保護システム"]
    assert (fresh["Rights"], fresh["Not used in the period"], fresh["Not used for 90 days"]) == (3, 3, 2)
    # Nothing of the disaster system is that old.
    assert {row["Not used for 90 days"] for (_, system), row in rows.items() if system == "被災者台帳システム"} == {
        None
    }


def test_use_beyond_what_was_granted_says_why(tmp_path):
    office = good()
    rights = office.registers["permissions"]
    rights.append(
        {
            "actor_id": WELFARE[10],
            "system": "welfare",
            "function": "WE900",
            "granted_by": "",
            "valid_from": "2025-04-01",
            "valid_to": "2026-03-05",
        }
    )
    rights.append(
        {
            "actor_id": WELFARE[11],
            "system": "welfare",
            "function": "WE901",
            "granted_by": "",
            "valid_from": "2026-03-20",
        }
    )
    when = at(WORKING[6], "10:00:00")
    behind = [
        office.event(when, WELFARE[10], "welfare", "read", op_code="WE900"),
        office.event(when, WELFARE[11], "welfare", "read", op_code="WE901"),
        office.event(when, WELFARE[12], "welfare", "read", op_code=HOSTILE),
        office.event(when + 1, WELFARE[12], "welfare", "read", op_code=HOSTILE),
        office.event(when, WELFARE[13], "disaster", "read", op_code="DS110"),
    ]
    office.event(when, WELFARE[14], "disaster", "read", op_code="DS110", outcome="denied")
    office.event(when, "svc", "disaster", "read", op_code="DS110", actor_type="service")
    one = written(office, tmp_path)

    assert sorted(
        (row["Person"], row["Function"], row["Right"], row["Events"]) for row in one.rows("permissions.beyond_rights")
    ) == [
        (WELFARE[10], "WE900", "ended", 1),
        (WELFARE[11], "WE901", "not begun", 1),
        (WELFARE[12], HOSTILE, "for other functions only", 2),
        (WELFARE[13], "DS110", "none in this system", 1),
    ]
    assert one.value("permissions.beyond") == len(behind)
    assert one.behind("permissions.beyond") == sorted(behind)


def leave(office: Office, actor: str, day: str) -> None:
    next(row for row in office.registers["staff"] if row["actor_id"] == actor)["end"] = day


def test_leavers_with_open_rights_and_what_they_did_after(tmp_path):
    office = good()
    leave(office, WELFARE[0], "2026-03-09")
    leave(office, WELFARE[15], "2026-03-10")
    for row in office.registers["permissions"]:
        if row["actor_id"] == WELFARE[15]:
            row["valid_to"] = "2026-03-12"
    office.event(at(WORKING[8], "09:00:00"), WELFARE[0], "welfare", "read", op_code="WE110", outcome="denied")
    one = written(office, tmp_path)

    rows = {row["Person"]: row for row in one.rows("permissions.leavers")}
    last = at(DAYS[7], "23:59:59") + 999
    after = [
        event["event.id"]
        for event in office.events
        if event["actor.id"] == WELFARE[0] and event["time.occurred"] > last and event["event.outcome"] == "success"
    ]
    gone = rows[WELFARE[0]]
    assert (
        gone["Left or moved on"],
        gone["Disabled at"],
        gone["Rights open"],
        gone["Uses after"],
        gone["Refused after"],
    ) == ("2026-03-09", None, 5, len(after), 1)
    assert gone["Lag"] == MARCH.end - last
    tidy = rows[WELFARE[15]]
    assert (tidy["Disabled at"], tidy["Lag"], tidy["Rights open"], tidy["Uses after"]) == (
        at(DAYS[10], "23:59:59") + 999,
        2 * 86_400_000,
        0,
        0,
    )
    assert (one.value("permissions.open"), one.value("permissions.after")) == (1, len(after))
    assert one.behind("permissions.after") == sorted(after)


def test_an_account_that_the_log_shows_taken_away_is_disabled(tmp_path):
    office = good()
    leave(office, WELFARE[16], "2026-03-09")
    taken = at(DAYS[9], "10:00:00")
    office.event(
        taken - 1,
        "100199",
        "welfare",
        "revoke",
        target_actor=WELFARE[16],
        target_function="WE110",
        **{"class": "admin"},
    )
    office.event(taken, "100199", "welfare", "revoke", target_actor=WELFARE[16], **{"class": "admin"})
    one = written(office, tmp_path)

    [row] = one.rows("permissions.leavers")
    assert (row["Disabled at"], one.value("permissions.open")) == (taken, 0)


def test_movers_keep_no_rights_that_their_new_department_does_not_use(tmp_path):
    office = good()
    mover = next(row for row in office.registers["staff"] if row["actor_id"] == WELFARE[1])
    mover["valid_to"] = "2026-03-15"
    office.registers["staff"].append({**mover, "dept": "zeimu", "valid_from": "2026-03-16", "valid_to": ""})
    one = written(office, tmp_path)

    [row] = one.rows("permissions.leavers")
    moved = at(DAYS[14], "00:00:00")
    after = [e for e in office.events if e["actor.id"] == WELFARE[1] and e["time.occurred"] >= moved]
    assert (row["Kind"], row["Departments"], row["Left or moved on"]) == ("moved", "生活課 → 税務課", "2026-03-15")
    assert (row["Rights open"], row["Uses after"]) == (5, len(after))
    assert "handover" not in one.tables["permissions.leavers"].note
    office.toml = office.toml.replace("[limits]\n", "[limits]\nhandover_days = 5\n")
    assert (
        "After a move 5 days of handover are allowed"
        in written(office, tmp_path / "b").tables["permissions.leavers"].note
    )


def test_temporary_cards_out_and_used_without_a_loan(tmp_path):
    office = good()
    for card in ("T-1", "T-2"):
        office.registers["devices"].append({"device_id": card, "kind": "temporary_card", "serial": card})
    lent = {"kind": "temporary_card", "device_id": "T-1", "serial": "T-1"}
    office.registers["devices"] += [
        {**lent, "actor_id": WELFARE[0], "valid_from": "2026-03-04", "valid_to": "2026-03-04"},
        {**lent, "actor_id": WELFARE[1], "valid_from": "2026-03-20", "valid_to": ""},
        {**lent, "actor_id": WELFARE[2], "valid_from": "2026-02-04", "valid_to": "2026-02-04"},
    ]
    used = [
        office.event(at(DAYS[2], "09:00:00"), WELFARE[0], "welfare", "logon", auth_card="T-1"),
        office.event(at(DAYS[3], "09:00:00"), WELFARE[0], "welfare", "logon", auth_card="T-1"),
        office.event(at(DAYS[21], "09:00:00"), WELFARE[5], "welfare", "logon", auth_card="T-1"),
        office.event(at(DAYS[2], "09:00:00"), WELFARE[6], "welfare", "logon", auth_card="T-2"),
    ]
    one = written(office, tmp_path)

    assert [
        (row["Lent to"], row["Lent on"], row["Returned on"], row["Uses"]) for row in one.rows("permissions.loans")
    ] == [
        (WELFARE[1], "2026-03-20", None, 0),
        (WELFARE[0], "2026-03-04", "2026-03-04", 1),
    ]
    assert [(row["Card"], row["Account"], row["Lent to"]) for row in one.rows("permissions.stray_cards")] == [
        ("T-2", WELFARE[6], "(nobody)"), ("T-1", WELFARE[0], "(nobody)"), ("T-1", WELFARE[5], WELFARE[1]),
    ]  # fmt: skip
    assert (one.value("permissions.out"), one.value("permissions.strays")) == (1, 3)
    assert one.behind("permissions.loans") == sorted(used)


def test_ids_that_several_people_use(tmp_path):
    office = good()
    office.registers["accounts"].append({"account": "window", "system": "welfare", "actor_id": WELFARE[0]})
    office.registers["accounts"].append({"account": "window", "system": "welfare", "actor_id": WELFARE[1]})
    start = at(WORKING[0], "15:00:00")
    session(office, WELFARE[3], "welfare", "A", start, start + 600_000)
    session(office, WELFARE[3], "welfare", "B", start + 300_000, start + 900_000)
    session(office, WELFARE[4], "welfare", "A", start, start + 600_000)
    session(office, WELFARE[4], "welfare", "B", start + 600_000, start + 900_000)
    office.findings.append(finding(7, actor=WELFARE[5], rule="open_session_taken_over"))
    one = written(office, tmp_path)

    rows = {row["Account"]: row for row in one.rows("permissions.ids")}
    assert sorted(rows) == sorted([WELFARE[3], WELFARE[5], "window"])
    assert rows["window"]["Registered for"] == f"{WELFARE[0]}, {WELFARE[1]}"
    assert (rows[WELFARE[3]]["Open on two devices"], rows[WELFARE[3]]["Registered for"]) == (1, WELFARE[3])
    assert (rows[WELFARE[5]]["Findings"], one.value("permissions.shared")) == (1, 3)


def test_sessions_of_contractors_against_work_orders(tmp_path):
    office = good()
    hour = 3_600_000
    evening = at(WORKING[6], "18:00:00")
    office.registers["work_orders"] += [
        {"order": "W1", "company": "架空システム保守", "actor_id": VENDORS[0], "system": "disaster", "window_from": f"{WORKING[6]} 18:00", "window_to": f"{WORKING[6]} 20:00", "approved_by": "100199"},
        {"order": "W2", "company": "架空システム保守", "system": "", "window_from": f"{WORKING[7]} 18:00", "window_to": f"{WORKING[7]} 20:00", "approved_by": "100199"},
        {"order": "old", "company": "架空システム保守", "window_from": "2026-01-07 18:00", "window_to": "2026-01-07 20:00"},
    ]  # fmt: skip
    session(office, VENDORS[0], "disaster", "KI1", evening, evening + hour)
    session(office, VENDORS[0], "disaster", "KI1", evening + hour, evening + 3 * hour)
    session(office, VENDORS[1], "welfare", "KI1", at(WORKING[7], "18:30:00"), at(WORKING[7], "18:40:00"))
    session(office, VENDORS[0], "welfare", "KI1", evening, evening + hour)
    stray = office.event(evening + 2 * hour, VENDORS[0], "disaster", "read", op_code="DS1")
    one = written(office, tmp_path)

    assert [(row["Order"], row["Sessions"]) for row in one.rows("permissions.orders")] == [("W1", 1), ("W2", 1)]
    assert sorted(
        (row["From"], row["Account"], row["System"], row["Why"]) for row in one.rows("permissions.unordered")
    ) == [
        (evening, VENDORS[0], "生活保護システム", "outside the order's window"),
        (evening + hour, VENDORS[0], "被災者台帳システム", "outside the order's window"),
    ]
    assert one.value("permissions.no_order") == 2
    assert one.behind("permissions.no_order") == one.behind("permissions.unordered") == [stray]
    within = [
        e["event.id"]
        for e in office.events
        if e["actor.id"] == VENDORS[0] and evening <= e["time.occurred"] <= evening + hour
    ]
    assert one.behind("permissions.orders") == sorted(within)


@pytest.mark.parametrize(("register", "told", "unknown"), [
    ("permissions", "permissions.csv", "permissions.open"),
    ("work_orders", "work_orders.csv", "permissions.no_order"),
    ("staff", "staff.csv", None),
    ("devices", "devices.csv", None),
    ("accounts", "accounts.csv", None),
])  # fmt: skip
def test_a_missing_register_is_said_and_nothing_is_zero_for_it(register, told, unknown, tmp_path):
    office = good()
    office.registers.pop(register, None)
    one = written(office, tmp_path)

    assert any(notice.tone is Tone.LACKING and told in notice.text for notice in one.notices)
    if unknown:
        assert one.value(unknown) is None
        assert one.figures[unknown].note


def test_a_month_without_log_knows_no_use(tmp_path):
    office = good()
    office.events.clear()
    office.sessions.clear()
    office.registers["devices"].append(
        {
            "device_id": "T-1",
            "kind": "temporary_card",
            "serial": "T-1",
            "actor_id": WELFARE[0],
            "valid_from": "2026-03-04",
        }
    )
    office.registers["work_orders"].append(
        {
            "order": "W1",
            "company": "架空システム保守",
            "window_from": f"{WORKING[7]} 18:00",
            "window_to": f"{WORKING[7]} 20:00",
        }
    )
    one = written(office, tmp_path)

    for name in ("unused", "unused_90", "unused_180", "beyond", "after", "strays", "shared", "no_order"):
        assert one.value(f"permissions.{name}") is None, name
        assert one.figures[f"permissions.{name}"].note, name
    assert one.value("permissions.out") == 1
    told = {
        name: one.tables[f"permissions.{name}"].empty
        for name in ("rights", "beyond_rights", "stray_cards", "ids", "unordered")
    }
    assert not any("There was none" in text or "No unused" in text for text in told.values()), told
    assert [row["Sessions"] for row in one.rows("permissions.orders")] == [None]
    assert [row["Uses"] for row in one.rows("permissions.loans")] == [None]
