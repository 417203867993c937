"""What a decision must say, above all an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract import decision
from contract.decision import LONGEST_MS, DecisionError, DecisionKind

EXCEPTION = decision.example(DecisionKind.EXCEPTION)


def without(*names: str, **changes: Any) -> bytes:
    left = {name: value for name, value in EXCEPTION.items() if name not in names}
    return decision.to_json(left | changes).encode()


@pytest.mark.parametrize("kind", DecisionKind)
def test_a_decision_is_read_as_it_was_written(kind: DecisionKind):
    one = decision.example(kind)
    assert decision.from_json(decision.to_json(one).encode()) == one


def test_a_closed_case_needs_nothing_of_what_an_exception_needs():
    assert not {"analytic", "actor", "subject", "until", "approver"} & decision.example().keys()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (without("until"), "until: missing, an exception needs it"),
        (without("by", "approver"), "by: missing, an exception needs it"),
        (without("analytic", "actor", "subject"), "analytic, actor, subject: at least one"),
        (without(until=EXCEPTION["time"] + LONGEST_MS + 1), "more than 366 days after time"),
        (without(approver=EXCEPTION["by"]), "approver: is who decided"),
        (without(actor=""), "actor: should be text, not empty"),
        (without(reason="あ" * 3000), "bytes, a decision has at most 8,192"),
        (b"[" * 8_000, "is no JSON"),
        (json.dumps(EXCEPTION | {"reason": "\ud800"}).encode(), "holds half of a character"),
        (without(reason="*").replace(b"*", b"\xed\xa0\x80"), "is no JSON"),
    ],
)
def test_what_would_allow_too_much_or_stands_for_nobody_is_refused(data: bytes, said: str):
    with pytest.raises(DecisionError, match=said):
        decision.from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        without("analytic", "subject", "reason", "approver"),
        without(until=EXCEPTION["time"] + LONGEST_MS),
        without(until=0),
        json.dumps(EXCEPTION | {"mood": "good"}).encode(),
    ],
    ids=["one of three", "a year", "withdrawn", "of a newer program"],
)
def test_what_is_enough_is_taken(data: bytes):
    assert decision.from_json(data)["kind"] == "exception"


def test_the_name_is_that_of_what_was_decided_whatever_the_order_and_the_new_keys_of_the_record():
    told = json.dumps(dict(reversed(EXCEPTION.items()))).encode()
    assert decision.name(decision.from_json(told)) == decision.name(EXCEPTION)
    assert decision.name(EXCEPTION | {"time": EXCEPTION["time"] + 1}) != decision.name(EXCEPTION)
