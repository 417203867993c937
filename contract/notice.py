"""The notice: who is to be told what, one JSON object a record of the topic of notices (design §3, deliver).

An alert is what pages somebody: one or more findings that say the same of the same person or group. Each change of an
alert is a notice, and each notice says all that there is to say of its alert: the newest takes the place of those before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from contract.event import MAX_TIME
from contract.finding import Kind, Severity
from contract.shape import Field, Shape, shown

VERSION: Final = 1
MOST_FINDINGS: Final = 20
TEXT_CHARS: Final = 2000
MOST_BYTES: Final = 64 << 10

_FINGERPRINT: Final = re.compile(r"n-[0-9a-f]{16}")


class Change(StrEnum):
    """What became of an alert. `opened` and `raised` page somebody, the others only say how things stand."""

    OPENED = "opened"
    UPDATED = "updated"
    RAISED = "raised"
    RESOLVED = "resolved"


class Ending(StrEnum):
    """Why an alert was resolved."""

    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


PAGES: Final = frozenset({Change.OPENED, Change.RAISED})


def _time(path: str, meaning: str) -> Field:
    return Field(path, "int", 1775090912000, meaning, minimum=0, maximum=MAX_TIME)


FIELDS: Final[tuple[Field, ...]] = (
    Field("version", "int", VERSION, "Version of this form", values=(VERSION,)),
    Field("fingerprint", "str", "n-8a51f0c2d97be034", "Names the alert: hash of the run and the finding that opened it"),
    Field("revision", "int", 1, "Counts the notices of this alert; the greatest is how it stands. An alert that is opened again when what it said before is forgotten, after 15 days, goes on from a number far above", minimum=1),
    Field("change", "str", "opened", "What became of it; `opened` and `raised` page somebody", values=tuple(Change)),
    Field("ending", "str", None, "Why it was resolved: its cases were closed, its findings do not page any more, or nobody closed them in time", nullable=True, values=tuple(Ending)),
    _time("time", "When this was decided; event time, UTC milliseconds"),
    _time("opened", "When the alert was opened; event time"),
    _time("last", "The last event concerned"),
    Field("severity_id", "int", 4, "The highest of its findings: 1 informational, 2 low, 3 medium, 4 high, 5 critical", values=tuple(level.value for level in Severity)),
    Field("risk_score", "number", 83.1, "Risk of that finding in percent", minimum=0, maximum=100),
    Field("kind", "str", "session", "What it is about", values=tuple(Kind)),
    Field("analytic", "str", "after_resignation", "The rule or model that contributed most"),
    Field("count", "int", 1, "Findings in it, those beyond `findings` included", minimum=1),
    Field("finding", "str", "f-3c9d0e17b2a84f65", "The finding whose words these are"),
    Field("findings", "texts", ["f-3c9d0e17b2a84f65"], f"`finding_info.uid` of the first {MOST_FINDINGS} findings in it"),
    Field("title.ja", "str", "退庁処理後のIDによる閲覧", "What happened, in a few words of Japanese; may hold text from logs"),
    Field("title.en", "str", "Activity after the last day of employment", "The same in English"),
    Field("text.ja", "str", "令和8年4月1日に退職した職員のIDが、翌日に生活保護システムで1人の記録を1回閲覧しました。", f"What happened, in Japanese, at most {TEXT_CHARS} characters; may hold text from logs"),
    Field("text.en", "str", "The account of a person who left on 2026-04-01 read one record in the welfare system on the day after.", "The same in English"),
    Field("check_first.ja", "str", "IDの停止日と、端末を使った人を確認してください。", "What to look at first, in Japanese", required=False),
    Field("check_first.en", "str", "Check when the account was closed and who used the terminal.", "The same in English", required=False),
    Field("controls", "texts", ["kanagawa-9/P4"], "Promises of the assessment that it touches"),
    Field("run", "str", "live", "`live`, or the name of a re-run"),
)  # fmt: skip

KEYS: Final[tuple[str, ...]] = tuple(dict.fromkeys(field.path.split(".")[0] for field in FIELDS))


def _inconsistent(notice: Mapping[str, Any]) -> Iterator[str]:
    """What contradicts itself in a notice whose single values are right."""
    if not _FINGERPRINT.fullmatch(notice["fingerprint"]):
        yield f"fingerprint: {shown(notice['fingerprint'])} is not n- and 16 hex digits"
    if (notice["ending"] is not None) != (notice["change"] == Change.RESOLVED):
        yield f"ending: {shown(notice['ending'])} does not go with change {notice['change']}"
    if not 1 <= len(notice["findings"]) <= min(notice["count"], MOST_FINDINGS):
        yield f"findings: {len(notice['findings'])} of them do not go with count {notice['count']}"


_SHAPE: Final = Shape("notice", FIELDS, _inconsistent)


class NoticeError(ValueError):
    """A record that is no notice; the message says why, without the words of the record beyond single values."""


def fingerprint(run: str, finding_uid: str) -> str:
    """The stable name of an alert: `n-` and 16 hex digits.

    Args:
        run: `live`, or the name of a re-run.
        finding_uid: `finding_info.uid` of the finding that opened it.
    """
    return "n-" + hashlib.sha256(f"{run}\0{finding_uid}".encode()).hexdigest()[:16]


def identity(notice: Mapping[str, Any]) -> str:
    """The stable name of one notice, the same whenever it is sent again: fingerprint and revision."""
    return f"{notice['fingerprint']}.{notice['revision']}"


def pages(notice: Mapping[str, Any]) -> bool:
    """Whether somebody is to be told now."""
    return notice["change"] in PAGES


def to_json(notice: Mapping[str, Any]) -> str:
    """One line of compact JSON without newline, keys in the order of `FIELDS`."""
    return _SHAPE.to_json(notice)


def from_json(data: bytes) -> dict[str, Any]:
    """Read a notice.

    Raises:
        NoticeError: It is too long, no JSON, of another version, or wrong in any key; all problems are named.
    """
    if len(data) > MOST_BYTES:
        raise NoticeError(f"{len(data):,} bytes, a notice has at most {MOST_BYTES:,}")
    try:
        notice = json.loads(data)
    except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
        raise NoticeError("is no JSON") from None
    if isinstance(notice, dict) and isinstance(notice.get("version"), int) and notice["version"] > VERSION:
        raise NoticeError(f"version {notice['version']} of a newer program; this one knows {VERSION}")
    problems = validate(notice, newer=True)
    if problems:
        raise NoticeError("; ".join(problems))
    return dict(notice)


def example() -> dict[str, Any]:
    """A notice made of the examples in `FIELDS`."""
    return _SHAPE.example()


def validate(notice: object, newer: bool = False) -> list[str]:
    """What is wrong with a notice, as `Shape.problems` says."""
    return _SHAPE.problems(notice, newer)
