"""The decision: what people decided about a finding, one JSON object a record of the topic of decisions (design §5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from contract.event import MAX_TIME
from contract.shape import Field, Shape

VERSION: Final = 1


class DecisionKind(StrEnum):
    """What was decided: a case is closed, or an exception is in force."""

    CASE = "case"
    EXCEPTION = "exception"


FIELDS: Final[tuple[Field, ...]] = (
    Field("version", "int", VERSION, "Version of this form", values=(VERSION,)),
    Field("kind", "str", "case", "`case`: it is closed; `exception`: something is allowed from now on", values=tuple(DecisionKind)),
    Field("finding", "str", "f-3c9d0e17b2a84f65", "`finding_info.uid` of a finding, or the fingerprint of an alert: then all findings in it"),
    Field("time", "int", 1775113200000, "When it was decided, UTC milliseconds", minimum=0, maximum=MAX_TIME),
    Field("outcome", "str", "dismissed", "What was decided, in a word of the office's own"),
    Field("by", "str", "100007", "Who decided", required=False),
    Field("reason", "str", "応援業務の届出あり", "Why, in their words", required=False),
)  # fmt: skip

_SHAPE: Final = Shape("decision", FIELDS)


class DecisionError(ValueError):
    """A record that is no decision; the message names all problems."""


def to_json(decision: Mapping[str, Any]) -> str:
    """One line of compact JSON without newline, keys in the order of `FIELDS`."""
    return _SHAPE.to_json(decision)


def from_json(data: bytes) -> dict[str, Any]:
    """Read a decision; keys that nobody knows here are let be.

    Raises:
        DecisionError: It is no JSON, of another version, or wrong in any key.
    """
    try:
        return _SHAPE.from_json(data)
    except ValueError as error:
        raise DecisionError(str(error)) from None


def example() -> dict[str, Any]:
    """A decision made of the examples in `FIELDS`."""
    return _SHAPE.example()


def validate(decision: object) -> list[str]:
    """What is wrong with a decision, as `Shape.problems` says."""
    return _SHAPE.problems(decision)
