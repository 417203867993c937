"""The decision: what people decided about a finding, one JSON object a record of the topic of decisions (design §5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from contract.event import MAX_TIME
from contract.shape import Field, Shape

VERSION: Final = 1
# Decisions are short, and a hundred of them go into one step of the detector's log.
MOST_BYTES: Final = 8 << 10
# Nothing is allowed for ever: 366 days after it was decided an exception has to be decided anew.
LONGEST_MS: Final = 366 * 86_400_000


class DecisionKind(StrEnum):
    """What was decided: a case is closed, or an exception is in force."""

    CASE = "case"
    EXCEPTION = "exception"


SCOPE: Final = ("analytic", "actor", "subject")

FIELDS: Final[tuple[Field, ...]] = (
    Field("version", "int", VERSION, "Version of this form", values=(VERSION,)),
    Field("kind", "str", "case", "`case`: it is closed; `exception`: something is allowed from now on", values=tuple(DecisionKind)),
    Field("finding", "str", "f-3c9d0e17b2a84f65", "`finding_info.uid` of a finding, or the fingerprint of an alert: then all findings in it"),
    Field("time", "int", 1775113200000, "When it was decided, UTC milliseconds", minimum=0, maximum=MAX_TIME),
    Field("outcome", "str", "dismissed", "What was decided, in a word of the office's own"),
    Field("by", "str", "100007", "Who decided; an exception needs somebody who stands for it", required=False),
    Field("approver", "str", "100003", "The second person, who approved it", required=False),
    Field("reason", "str", "応援業務の届出あり", "Why, in their words", required=False),
    Field("analytic", "str", "session_without_any_reason", "Exception: allowed is what this rule alone finds", required=False),
    Field("actor", "str", "100231", "Exception: allowed is what this person alone does, as `evidences[].actor.user.uid` names them", required=False),
    Field("subject", "str", "s_91d2c0aa3be47710", "Exception: allowed is what concerns this person, by token", required=False),
    Field("until", "int", 1782892800000, "Exception: up to when, UTC milliseconds; at most 366 days after `time`, and before it to withdraw one", minimum=0, maximum=MAX_TIME, required=False),
)  # fmt: skip


def _inconsistent(decision: Mapping[str, Any]) -> Iterator[str]:
    """What an exception lacks whose single values are right."""
    if decision["kind"] != DecisionKind.EXCEPTION:
        return
    yield from (f"{key}: missing, an exception needs it" for key in ("by", "until") if key not in decision)
    if decision.get("until", 0) > decision["time"] + LONGEST_MS:
        yield f"until: {decision['until']} is more than {LONGEST_MS // 86_400_000} days after time: decide again then"
    if not any(key in decision for key in SCOPE):
        yield f"{', '.join(SCOPE)}: at least one says what is allowed"
    if "approver" in decision and decision["approver"] == decision.get("by"):
        yield "approver: is who decided: name a second person, or nobody"


_SHAPE: Final = Shape("decision", FIELDS, _inconsistent)


class DecisionError(ValueError):
    """A record that is no decision; the message names all problems."""


def to_json(decision: Mapping[str, Any]) -> str:
    """One line of compact JSON without newline, keys in the order of `FIELDS`."""
    return _SHAPE.to_json(decision)


def from_json(data: bytes) -> dict[str, Any]:
    """Read a decision; keys that nobody knows here are let be.

    Raises:
        DecisionError: It is too long, no JSON, of another version, or wrong in any key.
    """
    if len(data) > MOST_BYTES:
        raise DecisionError(f"{len(data):,} bytes, a decision has at most {MOST_BYTES:,}")
    try:
        return _SHAPE.from_json(data)
    except ValueError as error:
        raise DecisionError(str(error)) from None


def name(decision: Mapping[str, Any]) -> str:
    """What tells a decision apart from others: `d-` and 16 hex digits; equal for one that was sent twice."""
    return "d-" + hashlib.sha256(to_json(decision).encode()).hexdigest()[:16]


def example(kind: DecisionKind = DecisionKind.CASE) -> dict[str, Any]:
    """A decision made of the examples in `FIELDS`; a closed case has none of what belongs to an exception."""
    every = _SHAPE.example() | {"kind": str(kind)}
    if kind == DecisionKind.EXCEPTION:
        return every | {"outcome": "allowed"}
    return {key: value for key, value in every.items() if key not in (*SCOPE, "approver", "until")}


def validate(decision: object) -> list[str]:
    """What is wrong with a decision, as `Shape.problems` says."""
    return _SHAPE.problems(decision)
