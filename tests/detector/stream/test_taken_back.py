"""What was told on arrival and is nothing when it is decided, because versions changed in between, is taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from contract import finding
from detector.baseline import Baseline
from detector.ledger import Ledger, Policy
from detector.notices import advance
from detector.rulebook import Rule
from tests.detector.month import office
from tests.detector.rows import book, rule
from tests.detector.stream.streamed import Stream, Versions
from tests.detector.stream.test_telling import COPY, EXPORT, MINUTE, NEXT_DAY, START, A, B, one, told

OTHER = rule("other", where="event.action: print", level="critical", precision=0.95)
NARROW = rule("copy", where="event.action: copy, op.code: X", level="critical", precision=0.85)
PROTECTED = {"subject.token": "s_d000000000000001"}


def versions(*parts: tuple[float, tuple[Rule, ...]]) -> Versions:
    """Rules from so many minutes after ten on; the first from the beginning."""
    since = [0, *(START + int(minute * MINUTE) for minute, _ in parts[1:])]
    books = [replace(book(*rules), version=",".join(one.name for one in rules)) for _, rules in parts]
    return Versions.of(
        office(), *((moment, rules, None, Baseline()) for moment, rules in zip(since, books, strict=True))
    )


@pytest.fixture(params=[False, True], ids=["", "from bytes"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(versions((0, (EXPORT, COPY, OTHER))), 1, request.param)


def paged(stream: Stream) -> list[tuple[str, str | None]]:
    """Change and ending of each notice."""
    findings = [json.loads(finding.to_json(found)) for found in stream.findings]
    _, effects = advance(Ledger(), findings, (), Policy("Asia/Tokyo"))
    return [(item["change"], item["ending"]) for item in effects.notices]


@pytest.mark.parametrize(
    "rules", [(OTHER,), (rule("export", where="event.action: export", level="low", precision=0.1), OTHER)],
    ids=["removed", "weaker"],
)  # fmt: skip
def test_it_is_suppressed_in_no_queue_and_its_alert_ends(stream: Stream, rules: tuple[Rule, ...]):
    assert told(stream, one(1, 5), minute=1) == [(200401, [A])]
    stream.versions = versions((0, (EXPORT, COPY, OTHER)), (2, rules))

    assert told(stream, minute=3) == []
    assert told(stream, minute=10) == [(200402, [A])]
    last = stream.findings[-1]

    assert finding.validate(last) == []
    assert (last["status_id"], last["is_alert"], last["unmapped"]["queue"]) == (3, False, "none")
    assert last["unmapped"]["withdrawn"] is True
    assert last["unmapped"]["versions"]["rules"] == stream.versions.loaded[1][1].book.version
    assert last["unmapped"]["text"] == stream.findings[0]["unmapped"]["text"]
    assert paged(stream) == [("opened", None), ("resolved", "withdrawn")]
    assert told(stream, minute=NEXT_DAY) == []


def test_what_pages_later_under_the_same_name_is_told_again(stream: Stream):
    told(stream, one(1, 5), minute=1)
    stream.versions = versions((0, (EXPORT, COPY, OTHER)), (2, (OTHER,)))
    assert told(stream, minute=10) == [(200402, [A])]
    stream.versions = versions((0, (OTHER,)), (20, (EXPORT, OTHER)))

    assert told(stream, one(2, 25), minute=20) == [(200402, [B])]

    assert stream.findings[-1]["unmapped"]["queue"] == "alert"
    assert "withdrawn" not in stream.findings[-1]["unmapped"]
    assert paged(stream)[-1] == ("opened", None)
    assert told(stream, minute=NEXT_DAY) == []


def test_what_is_left_of_it_is_said_at_once(stream: Stream):
    stream.versions = versions((0, (COPY, OTHER)))
    known: dict[str, Any] = {"op.code": "X"}
    assert told(stream, one(1, 1, action="copy", **known), minute=2) == [(200401, [A])]
    assert told(stream, one(2, 5, action="copy", **PROTECTED), minute=3) == [(200402, [A, B])]
    stream.versions = versions((0, (COPY, OTHER)), (4, (NARROW, OTHER)))

    assert told(stream, minute=10) == [(200402, [A])]

    assert [found["severity_id"] for found in stream.findings] == [4, 5, 4]
    assert told(stream, minute=NEXT_DAY) == []


def test_what_held_at_its_time_stands_although_its_rule_is_removed_before_the_day_is_over(stream: Stream):
    assert told(stream, one(1, 5), minute=1) == [(200401, [A])]
    assert told(stream, minute=6) == []
    stream.versions = versions((0, (EXPORT, COPY, OTHER)), (7, (OTHER,)))

    assert told(stream, minute=NEXT_DAY) == []

    assert paged(stream) == [("opened", None)]
