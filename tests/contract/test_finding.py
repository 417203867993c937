"""The finding: what is wrong with one is named, all at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from contract import finding
from contract.finding import FIELDS, finding_uid, to_json, validate
from contract.shape import Field

REMOVED = object()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example with one value put in or removed; `0` steps into a list's first item."""
    made = copy.deepcopy(finding.example())
    *steps, last = path.replace("[]", ".0").split(".")
    place: Any = made
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return made


def test_the_example_is_valid():
    assert validate(finding.example()) == []


@pytest.mark.shared
def test_the_public_example_is_valid(shared: Path):
    assert validate(json.loads((shared / "examples" / "finding.json").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_a_value_of_the_wrong_type_is_named(field: Field):
    wrong: Any = 7 if field.type in ("str", "bool", "texts", "ints", "map") else "7"
    [problem] = validate(changed(field.path, wrong))
    assert problem.startswith(field.path.replace("[]", "[0]") + ": should be ")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_a_missing_key_is_named_if_it_is_required(field: Field):
    expected = [f"{field.path.replace('[]', '[0]')}: missing"] if field.required else []
    assert validate(changed(field.path, REMOVED)) == expected


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_null_is_right_only_where_it_says_so(field: Field):
    assert (validate(changed(field.path, None)) == []) == field.nullable


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("severity_id", 6, "severity_id: 6 is none of 1 2 3 4 5"),
        ("severity_id", True, "severity_id: should be an integer, got true"),
        ("risk_score", 100.5, "risk_score: 100.5 is above 100"),
        ("risk_score", float("nan"), "risk_score: should be a number, got NaN"),
        ("time", -1, "time: -1 is below 0"),
        ("unmapped.queue", "page", 'unmapped.queue: "page" is none of alert review digest none'),
        ("finding_info.uid", "", 'finding_info.uid: should be text, not empty, got ""'),
        ("unmapped.versions", {"code": 1}, 'unmapped.versions: should be an object of texts, got {"code": 1}'),
        ("unmapped.controls", ["a", 1], 'unmapped.controls: should be a list of texts, got ["a", 1]'),
        ("unmapped.scenarios", [True], "unmapped.scenarios: should be a list of integers, got [true]"),
        ("evidences", {}, "evidences: should be a list, got {}"),
        ("unmapped", None, "unmapped: should be an object, got null"),
        ("resources", ["s_1"], 'resources[0]: should be an object, got "s_1"'),
        ("sevrity_id", 4, "sevrity_id: unknown key"),
        ("unmapped.shares[].extra", 4, "unmapped.shares[0].extra: unknown key"),
        ("type_uid", 200402, "type_uid: 200402 does not go with activity_id 1"),
        ("is_alert", False, "is_alert: false does not go with queue alert"),
        ("finding_info.last_seen_time", 5, "finding_info.first_seen_time: later than last_seen_time"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, problem: str):
    assert validate(changed(path, value)) == [problem]


def test_all_problems_are_named_at_once():
    assert len(validate({})) > 10
    assert validate([1]) == ["finding: should be an object, got [1]"]


def test_lists_may_be_empty_but_not_missing():
    for name in ("evidences", "resources"):
        assert validate(changed(name, [])) == []
        assert validate(changed(name, REMOVED)) == [f"{name}: missing"]


def test_json_has_one_order_whatever_the_order_of_the_object():
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    made = finding.example() | {"zeta": 1, "alpha": {"b": 1, "a": 2}}
    line = to_json(made)
    versions = made["unmapped"]["versions"]
    assert to_json(turned(made)) == line
    assert json.loads(line) == made
    assert "\n" not in line
    assert list(json.loads(line))[:2] == ["class_uid", "category_uid"]
    assert list(json.loads(line))[-2:] == ["alpha", "zeta"]
    assert list(json.loads(line)["unmapped"]["versions"]) == sorted(versions)


def test_a_number_that_json_lacks_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(changed("risk_score", float("inf")))


def test_the_uid_names_kind_analytic_group_and_first_event():
    uid = finding_uid("session", "risk", "W-77120", "c11be04a77d90213")
    assert uid == finding_uid("session", "risk", "W-77120", "c11be04a77d90213")
    assert uid.startswith("f-")
    assert len(uid) == 18
    others = {
        finding_uid("day", "risk", "W-77120", "c11be04a77d90213"),
        finding_uid("session", "riskW", "-77120", "c11be04a77d90213"),
        finding_uid("session", "risk", "W-77120", ""),
        finding_uid("session", "risk", "", "W-77120c11be04a77d90213"),
    }
    assert uid not in others
    assert len(others) == 4
