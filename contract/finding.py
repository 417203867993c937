"""The finding: what we publish, an OCSF Detection Finding (class 2004) as one JSON object a line (design §5).

`FIELDS` says every key once; validation, the order of keys on the wire and the table in `docs/event.md` follow from it.
See https://schema.ocsf.io/1.8.0/classes/detection_finding; what OCSF has no word for stands under `unmapped`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import IntEnum, StrEnum
from typing import Any, Final

from contract.event import MAX_TIME
from contract.shape import Field, Shape, shown

OCSF_VERSION: Final = "1.8.0"
CLASS_UID: Final = 2004
CATEGORY_UID: Final = 2


class Severity(IntEnum):
    """`severity_id` in OCSF's numbers."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Queue(StrEnum):
    """Who looks at a finding: `alert` pages, `review` is for the week, `digest` for the month, `none` for nobody."""

    ALERT = "alert"
    REVIEW = "review"
    DIGEST = "digest"
    NONE = "none"


class Kind(StrEnum):
    """What a finding is about: an event (all that one rule found of one person in a day), a session, a person's day, a group
    of events, or the evidence itself."""

    EVENT = "event"
    SESSION = "session"
    DAY = "day"
    GROUP = "group"
    EVIDENCE = "evidence"


class Activity(IntEnum):
    """`activity_id`; `type_uid` is 100 × `class_uid` + `activity_id`."""

    CREATE = 1
    UPDATE = 2


class Status(IntEnum):
    """`status_id`; what is suppressed is kept, never dropped."""

    NEW = 1
    SUPPRESSED = 3


class AnalyticType(IntEnum):
    """`analytic.type_id` in OCSF's numbers."""

    RULE = 1
    BEHAVIORAL = 2
    STATISTICAL = 3
    LEARNING = 4


class Explained(StrEnum):
    """Whether the accesses of a finding have a recorded reason."""

    EXPLAINED = "explained"
    TO_CHECK = "to_check"
    UNEXPLAINED = "unexplained"


def _time(path: str, meaning: str) -> Field:
    return Field(path, "int", 1775090912000, meaning, minimum=0, maximum=MAX_TIME)


def _words(words: type[StrEnum] | type[IntEnum]) -> tuple[str | int, ...]:
    return tuple(word.value for word in words)


_ANALYTIC_TYPES: Final = _words(AnalyticType)

FIELDS: Final[tuple[Field, ...]] = (
    Field("class_uid", "int", 2004, "OCSF's class: Detection Finding", values=(CLASS_UID,)),
    Field("category_uid", "int", 2, "OCSF's category: Findings", values=(CATEGORY_UID,)),
    Field("type_uid", "int", 200401, "200401 created, 200402 updated", values=(200401, 200402)),
    Field("activity_id", "int", 1, "1 create, 2 update", values=_words(Activity)),
    Field("metadata.version", "str", "1.8.0", "Version of OCSF"),
    Field("metadata.product.name", "str", "Sekimori", "Sekimori"),
    Field("metadata.product.version", "str", "0.1.0", "Version of the code"),
    _time("time", "When it was decided; event time, UTC milliseconds, never the wall clock"),
    Field("severity_id", "int", 4, "1 informational, 2 low, 3 medium, 4 high, 5 critical", values=_words(Severity)),
    Field("risk_score", "number", 83.1, "Decided risk in percent; higher is worse", minimum=0, maximum=100),
    Field("risk_level_id", "int", 3, "0 info, 1 low, 2 medium, 3 high, 4 critical", minimum=0, maximum=4),
    Field("confidence_score", "number", 78, "How often such a finding is right, in percent", minimum=0, maximum=100),
    Field("is_alert", "bool", True, "Whether it pages somebody: true only for queue `alert`"),
    Field("status_id", "int", 1, "1 new, 3 suppressed (kept, never dropped)", values=_words(Status)),
    Field("finding_info.uid", "str", "f-3c9d0e17b2a84f65", "Stable: hash of kind, analytic, session or group and first event; no versions"),
    Field("finding_info.title", "str", "退庁処理後のIDによる閲覧", "What happened, in a few words"),
    Field("finding_info.desc", "str", "The account of a person who left on 2026-04-01 read one record in the welfare system on the day after.", "What happened, in a sentence with numbers"),
    _time("finding_info.created_time", "When it was first decided; event time, UTC milliseconds"),
    _time("finding_info.first_seen_time", "The first event concerned"),
    _time("finding_info.last_seen_time", "The last event concerned"),
    Field("finding_info.analytic.type_id", "int", 1, "1 rule, 2 behavioural, 3 statistical, 4 learning", values=_ANALYTIC_TYPES),
    Field("finding_info.analytic.uid", "str", "after_resignation", "The rule or model that contributed most"),
    Field("finding_info.analytic.name", "str", "Activity after the last day of employment", "Its title"),
    Field("finding_info.analytic.member", "str", None, "Member of the model that fired", required=False, nullable=True),
    Field("finding_info.related_analytics[].type_id", "int", 4, "As above, for every other that contributed", values=_ANALYTIC_TYPES),
    Field("finding_info.related_analytics[].uid", "str", "model", "Rule or model"),
    Field("finding_info.related_analytics[].name", "str", "Rare among peers", "Its title"),
    Field("finding_info.related_analytics[].member", "str", "peer", "Member of the model that fired", required=False, nullable=True),
    Field("finding_info.related_events[].uid", "str", "c11be04a77d90213", "`event.id` of every event concerned"),
    Field("evidences[].actor.user.uid", "str", "100231", "Who acted; absent where nobody is named", required=False),
    Field("evidences[].actor.session.uid", "str", "W-77120", "In which session", required=False),
    Field("evidences[].src_endpoint.uid", "str", "HO0041", "At which terminal", required=False),
    Field("evidences[].src_endpoint.ip", "str", "192.0.2.41", "From which address", required=False),
    Field("resources[].uid", "str", "s_91d2c0aa3be47710", "Token of a person whose data it is"),
    Field("resources[].type", "str", "subject", "subject", values=("subject",)),
    Field("unmapped.text.ja", "str", "令和8年4月1日に退職した職員のIDが、翌日に生活保護システムで1人の記録を1回閲覧しました。", "What happened, in Japanese"),
    Field("unmapped.text.en", "str", "The account of a person who left on 2026-04-01 read one record in the welfare system on the day after.", "The same in English"),
    Field("unmapped.title.ja", "str", "退庁処理後のIDによる閲覧", "Title in Japanese", required=False),
    Field("unmapped.title.en", "str", "Activity after the last day of employment", "Title in English", required=False),
    Field("unmapped.check_first.ja", "str", "IDの停止日と、端末を使った人を確認してください。", "What to look at first, in Japanese", required=False),
    Field("unmapped.check_first.en", "str", "Check when the account was closed and who used the terminal.", "The same in English", required=False),
    Field("unmapped.shares[].family", "str", "leaver", "Family of rules, or the model"),
    Field("unmapped.shares[].share", "number", 1.0, "Its additive part of the risk", minimum=0, maximum=1),
    Field("unmapped.shares[].observed", "number", 1, "What was measured", nullable=True),
    Field("unmapped.shares[].usual", "number", 0, "What is usual for this person", nullable=True),
    Field("unmapped.shares[].peers", "number", None, "What is usual among peers", nullable=True),
    Field("unmapped.shares[].unit", "str", "days after last day", "Unit of the three"),
    Field("unmapped.shares[].unit_ja", "str", "退職後の日数", "The same in Japanese", required=False),
    Field("unmapped.context.odds", "number", 1.5, "Factor of the context on the odds of the risk", minimum=0, required=False),
    Field("unmapped.context.risk_without", "number", 76.6, "Risk in percent without the context", minimum=0, maximum=100, required=False),
    Field("unmapped.context.ja", "texts", ["対象者は保護の対象です。"], "What the context is, in Japanese", required=False),
    Field("unmapped.context.en", "texts", ["The person looked up is protected."], "The same in English", required=False),
    Field("unmapped.explained", "str", "unexplained", "Whether the accesses have a recorded reason", values=_words(Explained)),
    Field("unmapped.controls", "texts", ["kanagawa-9/P4"], "Promises of the assessment that it touches, `<pia>/<control>`"),
    Field("unmapped.scenarios", "ints", [14], "Numbers in the catalogue of misuse", required=False),
    Field("unmapped.kind", "str", "session", "What it is about", required=False, values=_words(Kind)),
    Field("unmapped.unit", "str", "W-77120", "Which session, day, group or piece of evidence", required=False),
    Field("unmapped.queue", "str", "alert", "Who looks at it", values=_words(Queue)),
    Field("unmapped.over_budget", "bool", False, "Moved to the digest because the day's budget of alerts or of review items was spent", required=False),
    Field("unmapped.learning", "bool", False, "Raised by a model still learning", required=False),
    Field("unmapped.repeated", "bool", False, "Moved to the digest because something of the last week said the same of this person", required=False),
    Field("unmapped.withdrawn", "bool", False, "Told at once and taken back: by the versions that decide at its time it is nothing (docs/decisions/moments.md)", required=False),
    Field("unmapped.exception.finding", "str", "f-5b1e7a90cc42d318", "Moved to the digest because it is allowed: the finding that this was decided about", required=False),
    Field("unmapped.exception.by", "str", "100007", "Who decided so", required=False),
    Field("unmapped.exception.approver", "str", "100003", "Who approved it", required=False),
    Field("unmapped.exception.reason", "str", "応援業務の届出あり", "Why, in their words, cut to 200 characters", required=False),
    Field("unmapped.exception.time", "int", 1775001600000, "When it was decided, UTC milliseconds", minimum=0, maximum=MAX_TIME, required=False),
    Field("unmapped.exception.until", "int", 1782777600000, "Up to when it is allowed, UTC milliseconds", minimum=0, maximum=MAX_TIME, required=False),
    Field("unmapped.exception.count", "int", 3, "Findings that this exception moved so far, this one included", minimum=1, required=False),
    Field("unmapped.run", "str", "live", "`live`, or the name of a re-run"),
    Field("unmapped.versions", "map", {"code": "0.1.0", "rules": "sha256:4c1f", "model": "2026-03-28T18:00Z-7", "calibration": "2026-03-31", "baseline": "2026-03-31", "registers": "sha256:90ab", "exceptions": "sha256:e3b0"}, "Code, rules, model, calibration, baseline, registers, exceptions: hashes or ids. Exceptions: SHA-256 over the names of those in force, as the detector knew them (docs/operations/notices.md); `none` without any"),
)  # fmt: skip


def finding_uid(kind: str, analytic: str, group: str, first_event_id: str) -> str:
    """The stable name of a finding: `f-` and 16 hex digits.

    Args:
        kind: A word of `Kind`.
        analytic: The rule or model; fixed for units that may gather further hits.
        group: Session, day or group key; empty where there is none.
        first_event_id: `event.id` of the first event concerned; empty where there is none.
    """
    digest = hashlib.sha256()
    for part in (kind, analytic, group, first_event_id):
        raw = part.encode()
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return "f-" + digest.hexdigest()[:16]


def _inconsistent(finding: Mapping[str, Any]) -> Iterator[str]:
    """What contradicts itself in a finding whose single values are right."""
    if finding["type_uid"] != 100 * finding["class_uid"] + finding["activity_id"]:
        yield f"type_uid: {finding['type_uid']} does not go with activity_id {finding['activity_id']}"
    if finding["is_alert"] != (finding["unmapped"]["queue"] == Queue.ALERT):
        yield f"is_alert: {shown(finding['is_alert'])} does not go with queue {finding['unmapped']['queue']}"
    if finding["finding_info"]["first_seen_time"] > finding["finding_info"]["last_seen_time"]:
        yield "finding_info.first_seen_time: later than last_seen_time"


_SHAPE: Final = Shape("finding", FIELDS, _inconsistent)


def to_json(finding: Mapping[str, Any]) -> str:
    """One line of compact JSON without newline; keys in the order of `FIELDS`, unknown ones behind them by name.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot say.
    """
    return _SHAPE.to_json(finding)


def from_json(data: bytes) -> dict[str, Any]:
    """Read a finding, as `Shape.from_json` does."""
    return _SHAPE.from_json(data)


def example() -> dict[str, Any]:
    """A finding made of the examples in `FIELDS`; every key is there, every list has one item."""
    return _SHAPE.example()


def validate(finding: object, newer: bool = False) -> list[str]:
    """What is wrong with a finding, as `Shape.problems` says."""
    return _SHAPE.problems(finding, newer)
