from typing import Any

import polars as pl
import pytest

from contract.event import ACCESS_ACTIONS, ACTIONS
from detector.enrich import enrich
from detector.explain import PROOF, REASONS, explain
from registers.site import Site
from tests.detector.offices import at, end, events, site

TOML = """
[office_hours]
from = "08:30"
to = "17:15"
[holidays]
country = "JP"
[limits]
grace_days = 7
[[emergencies]]
name = "地震"
from = "2026-04-20"
to = "2026-04-25"
systems = ["welfare"]
[systems.welfare]
departments = ["zei"]
[systems.files]
"""
REGISTERS: dict[str, list[dict[str, Any]]] = {
    "staff": [
        {"actor_id": "a1", "type": "staff", "dept": "zei", "subject_id": "s_a1", "household_id": "h_1"},
        {"actor_id": "a2", "type": "staff", "dept": "shimin"},
        {"actor_id": "batch", "type": "service"},
    ],
    "assignments": [
        {"actor_id": "a1", "subject_id": "s_mine", "kind": "primary"},
        {"actor_id": "a1", "subject_id": "s_a1", "kind": "primary"},
        {"actor_id": "a1", "subject_id": "s_son", "kind": "primary"},
    ],
    "bases": [
        {
            "basis_ref": "B1",
            "subject_id": "s_1",
            "opened": at("2026-04-01"),
            "closed": end("2026-04-10"),
            "dept": "zei",
        },
        {
            "basis_ref": "B2",
            "subject_id": "s_2",
            "opened": at("2026-01-01"),
            "closed": end("2026-01-31"),
            "dept": "zei",
        },
        {"basis_ref": "B3", "subject_id": "s_son", "opened": at("2026-04-01"), "dept": "zei"},
        {"basis_ref": "B4", "subject_id": "s_daughter", "opened": at("2026-04-01"), "dept": "zei"},
        {"basis_ref": "B5", "subject_id": "s_a1", "opened": at("2026-04-01"), "dept": "zei"},
    ],
    "permissions": [{"actor_id": "a1", "system": "welfare", "function": "W1"}],
    "subjects": [{"subject_id": "s_son", "household_id": "h_1"}, {"subject_id": "s_daughter", "household_id": "h_1"}],
    "presence": [{"actor_id": "a1", "kind": "leave", "from": at("2026-04-16"), "to": end("2026-04-16")}],
}
OF = site(TOML, **REGISTERS)
COMMON = {"actor.id": "a1", "system.id": "welfare", "event.action": "read", "subject.token": "s_9", "op.code": "W1"}


def explained(of: Site = OF, **keys: Any) -> tuple[str | None, str | None]:
    event = COMMON | {key.replace("__", "."): value for key, value in keys.items()}
    [row] = explain(enrich(events(event), of)).to_dicts()
    return row["explained"], row["explained.by"]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ({"subject__token": "s_mine"}, ("explained", "assignment")),
        ({"subject__token": "s_mine", "basis__ref": "B9"}, ("explained", "assignment")),
        ({"subject__token": "s_1", "basis__ref": "B1", "actor__id": "a2"}, ("explained", "basis")),
        ({"subject__token": "s_1"}, ("explained", "subject_basis")),
        ({"subject__token": "s_1", "actor__id": "a2"}, ("unexplained", None)),  # another department's
        ({"subject__token": "s_2"}, ("unexplained", None)),  # closed long ago
        ({"subject__token": "s_2", "basis__ref": "B2"}, ("to_check", "basis_closed")),
        ({"basis__ref": "B9"}, ("to_check", "basis_unknown")),
        ({"basis__ref": "B1"}, ("to_check", "basis_other")),
        ({}, ("unexplained", None)),
        ({"purpose__code": "counter"}, ("to_check", "duty")),
        ({"purpose__code": "counter", "actor__id": "a2"}, ("unexplained", None)),
        ({"purpose__code": "counter", "op__code": "W2"}, ("unexplained", None)),
        ({"purpose__code": "counter", "event__action": "export"}, ("unexplained", None)),
        ({"purpose__code": "counter", "time__occurred": at("2026-04-15 20:00")}, ("unexplained", None)),
        ({"purpose__code": "counter", "time__occurred": at("2026-04-16 10:00")}, ("unexplained", None)),  # on leave
        ({"purpose__code": "emergency"}, ("unexplained", None)),
        ({"purpose__code": "emergency", "event__reason": "."}, ("unexplained", None)),
        ({"purpose__code": "emergency", "event__reason": "搬送先から照会"}, ("to_check", "break_glass")),
        ({"time__occurred": at("2026-04-22 03:00")}, ("to_check", "emergency")),
        ({"time__occurred": at("2026-04-22 03:00"), "actor__id": "a2"}, ("unexplained", None)),
        ({"actor__id": "batch", "system__id": "files"}, ("to_check", "service")),
        ({"actor__id": "batch", "system__id": "elsewhere"}, ("unexplained", None)),
    ],
)
def test_reasons(keys, answer):
    assert explained(**keys) == answer


def test_nobodys_own_record_has_a_reason():
    for keys in ({}, {"basis__ref": "B5"}, {"time__occurred": at("2026-04-22 03:00")}):
        assert explained(subject__token="s_a1", **keys) == ("unexplained", None)


def test_a_relative_needs_a_reason_that_was_stated():
    assert explained(subject__token="s_daughter") == ("unexplained", None)  # open in the own department, but not stated
    assert explained(subject__token="s_daughter", basis__ref="B4") == ("explained", "basis")
    assert explained(subject__token="s_son") == ("to_check", "family_assignment")
    assert explained(subject__token="s_daughter", purpose__code="counter") == ("unexplained", None)


@pytest.mark.parametrize("action", ACTIONS)
def test_only_accesses_to_a_subject_are_explained(action):
    assert (explained(event__action=action)[0] is not None) == (action in ACCESS_ACTIONS)
    assert explained(event__action=action, subject__token=None) == (None, None)


def test_what_was_refused_is_no_access():
    answers = [explained(event__outcome=outcome)[0] for outcome in ("failure", "denied", "unknown", "success", None)]

    assert answers == [None, None, "unexplained", "unexplained", "unexplained"]


def test_one_of_the_two_registers_is_enough_to_say():
    without_bases = site(TOML, **{name: rows for name, rows in REGISTERS.items() if name != "bases"})
    without_caseload = site(TOML, **{name: rows for name, rows in REGISTERS.items() if name != "assignments"})
    neither = site(TOML, staff=REGISTERS["staff"])

    assert explained(without_bases, subject__token="s_mine") == ("explained", "assignment")
    assert explained(without_bases) == ("unexplained", None)
    assert explained(without_bases, basis__ref="B1") == ("to_check", "basis_unverified")
    assert explained(without_caseload, subject__token="s_1") == ("explained", "subject_basis")
    assert explained(without_caseload) == ("unexplained", None)
    assert explained(neither, basis__ref="B1") == (None, None)
    assert explained(Site.none()) == (None, None)


def test_a_basis_register_that_names_no_subjects_cannot_confirm():
    of = site(TOML, missing=("bases.subject_id",), **REGISTERS)

    assert explained(of, subject__token="s_1", basis__ref="B1") == ("to_check", "basis_unverified")


def test_every_reason_occurs_and_no_other_column_changes():
    frame = enrich(events({"actor.id": "a1"}), OF)
    found = explain(explain(frame))

    assert found.columns == [*frame.columns, "explained", "explained.by"]
    assert found.select(frame.columns).equals(frame)
    assert set(PROOF) < set(REASONS)
    assert explain(frame.clear()).schema["explained"] == pl.String
