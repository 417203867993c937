"""The refused line: what could not be read as an event, why, and where it stands.

Bad data is a value. A line that is no event is refused alone; it is counted and kept (`rejected.ndjson`, topic
`dead-letters`), and the lines around it go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

import polars as pl

# Header of an empty record that stands for others that could not be unpacked; its value says why.
UNREAD: Final = "sekimori-unread"

KEPT_CHARS: Final = 500
DETAIL_CHARS: Final = 300


class Reason(StrEnum):
    """Why a line was refused. A small closed set: it is a metric's label and a column of the report."""

    ENCODING = "encoding"
    FORMAT = "format"
    JSON = "json"
    COLUMNS = "columns"
    TIME = "time"
    REQUIRED = "required"
    TYPE = "type"
    VALUE = "value"
    DUPLICATE = "duplicate"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    SCHEMA = "schema"
    SEAL = "seal"
    UNDELIVERED = "undelivered"


OF_LINES: Final = tuple(reason for reason in Reason if reason != Reason.UNDELIVERED)

MEANING: Final[dict[Reason, str]] = {
    Reason.ENCODING: "The bytes are no text in the source's encoding, or hold a NUL or half of a surrogate pair",
    Reason.FORMAT: "The line has not the shape of its source's format",
    Reason.JSON: "The line is not one JSON object",
    Reason.COLUMNS: "The line has more or fewer columns than the header",
    Reason.TIME: "The time is missing or is none",
    Reason.REQUIRED: "A required key is missing or empty",
    Reason.TYPE: "A value has another type than its key asks for",
    Reason.VALUE: "A value is outside its range or its set of words",
    Reason.DUPLICATE: "A key is given twice",
    Reason.TOO_LONG: "The line is longer than is read",
    Reason.TOO_LARGE: "The record on Kafka is larger than is read",
    Reason.SCHEMA: "It was written by a newer version than reads it",
    Reason.SEAL: "The record is not what its headers say, or an event claims to be from an agent that did not send it",
    Reason.UNDELIVERED: "A notice that a channel would not have, or could not be given in time",
}


class Refusal(NamedTuple):
    """One refused line before it becomes a row: reason, detail and the line's text, not yet masked."""

    reason: Reason
    detail: str
    line: str


REJECTED_SCHEMA: Final = pl.Schema(
    {
        "source.id": pl.String(),  # configured log source; null where none is named
        "source.position": pl.String(),  # file identity and byte offset, as in the event
        "reason": pl.String(),  # a word of Reason
        "detail": pl.String(),  # what is wrong, for the operator
        "line": pl.String(),  # the first KEPT_CHARS characters
    }
)

# A cut through a number could leave a part of a My Number that no mask recognises any more. A number is written in digits of
# any script or in escapes (%31, \\u0031, &#49;, broken CP932), and what stands between its digits separates or is not seen.
_DIGIT: Final = r"\d²³¹\u2070-\u2089\u2460-\u24ff\u2776-\u2793\u3251-\u325f\u32b1-\u32bf%\\&\ufffd"
_BETWEEN: Final = r"\s\-\u00ad\u00b7\u2010-\u2015\u2022-\u2027\u2043−\u2044\u2215─━ー・･－ｰ﹘﹣.．/／_＿+＋\u200b-\u200f\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff\0"
_OPEN_NUMBER: Final = re.compile(rf"[{_DIGIT}][{_DIGIT}{_BETWEEN}0-9A-Fa-fuxmp#;{{}}@O-X]*$")


def cut(text: str, chars: int = KEPT_CHARS) -> str:
    """The first `chars` characters of a text, and no number that the cut would break.

    A run of digits (also full-width, also in groups) that the cut goes through is left out whole, so masking
    after cutting finds every number that masking before would have found.
    """
    if len(text) <= chars:
        return text
    kept = text[:chars]
    return _OPEN_NUMBER.sub("", kept)


def frame(refusals: Iterable[Refusal], positions: Iterable[str], source_id: str | None = None) -> pl.DataFrame:
    """Rows in `REJECTED_SCHEMA`, in the order given; `line` and `detail` are cut but not masked.

    Who read the line masks both columns before they are written anywhere: the contract knows no masks.
    """
    rows = [
        (source_id, position, str(refusal.reason), cut(refusal.detail, DETAIL_CHARS), cut(refusal.line))
        for refusal, position in zip(refusals, positions, strict=True)
    ]
    return pl.DataFrame(rows, schema=REJECTED_SCHEMA, orient="row")


def empty() -> pl.DataFrame:
    """No refused lines."""
    return pl.DataFrame(schema=REJECTED_SCHEMA)
