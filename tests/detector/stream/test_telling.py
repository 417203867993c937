"""What pages alone is told when it comes, again when it is worse, and once more when its day is over if there was more."""

from __future__ import annotations

from typing import Any

import pytest

from contract import event, finding
from detector.baseline import Baseline
from tests.detector.month import office
from tests.detector.offices import at, events
from tests.detector.rows import book, rule
from tests.detector.stream.streamed import Finding, Stream, Versions

MINUTE = 60_000
START = at("2026-04-15 10:00")
EXPORT = rule("export", where="event.action: export", level="critical", precision=0.95)
COPY = rule("copy", where="event.action: copy", level="critical", precision=0.85)
CLEARED = rule("cleared", where="event.action: log_clear", level="low", precision=0.1, family="evidence")
LOOKS_BACK = rule("back", where="seq.prev_action: logon", level="critical", precision=0.95)
VERSIONS = Versions.of(office(), (0, book(EXPORT, COPY, CLEARED, LOOKS_BACK), None, Baseline()))


def one(number: int, minute: float, action: str = "export", **more: Any) -> dict[str, Any]:
    """An event so many minutes after ten."""
    return {
        "event.id": f"{number:016x}", "event.action": action, "time.occurred": START + int(minute * MINUTE),
        "actor.id": "100101", "src.device": "PC-1", "event.outcome": "success", **more,
    }  # fmt: skip


def told(stream: Stream, *rows: dict[str, Any], minute: float) -> list[tuple[int, list[str]]]:
    """What one turn says of what pages alone: type and events of each."""
    before = len(stream.findings)
    stream.turn([events(*rows) if rows else event.empty()], START + int(minute * MINUTE))
    return [(one["type_uid"], related(one)) for one in stream.findings[before:] if one["unmapped"]["kind"] == "event"]


def related(found: Finding) -> list[str]:
    return [item["uid"] for item in found["finding_info"]["related_events"]]


@pytest.fixture(params=[False, True], ids=["", "from bytes"])
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(VERSIONS, 1, request.param)


A, B, C = (f"{number:016x}" for number in (1, 2, 3))
NEXT_DAY = 15 * 60


def test_it_is_told_before_the_watermark_reaches_it(stream: Stream):
    assert told(stream, one(1, 5), minute=1) == [(200401, [A])]
    assert finding.validate(stream.findings[0]) == []
    assert told(stream, minute=10) == []
    assert told(stream, minute=NEXT_DAY) == []


def test_what_comes_before_it_in_time_but_later_is_added_when_the_day_is_over(stream: Stream):
    assert told(stream, one(2, 5), minute=1) == [(200401, [B])]
    assert told(stream, one(1, 3), minute=2) == []
    assert told(stream, minute=NEXT_DAY) == [(200402, [A, B])]
    assert len({found["finding_info"]["uid"] for found in stream.findings if found["unmapped"]["kind"] == "event"}) == 1


def test_what_is_worse_breaks_through(stream: Stream):
    protected = {"subject.token": "s_d000000000000001"}
    assert told(stream, one(1, 5, action="copy"), minute=1) == [(200401, [A])]
    assert told(stream, one(2, 6, action="copy", **protected), minute=2) == [(200402, [A, B])]
    assert [found["severity_id"] for found in stream.findings] == [4, 5]
    assert told(stream, one(3, 7, action="copy", **protected), minute=3) == []


def test_evidence_is_told_at_once_whatever_its_weight(stream: Stream):
    assert told(stream, one(1, 5, action="log_clear"), minute=1) == [(200401, [A])]


def test_what_looks_back_waits_for_all_before_it(stream: Stream):
    assert told(stream, one(2, 5, action="read"), minute=1) == []
    assert told(stream, one(1, 4, action="logon"), minute=2) == []
    assert told(stream, minute=6) == [(200401, [B])]


def test_each_day_person_and_rule_is_told_for_itself(stream: Stream):
    rows = [one(1, 5), one(2, 6, **{"actor.id": "100102"}), one(3, 24 * 60 + 5)]
    assert sorted(events for _, events in told(stream, *rows, minute=1)) == [[A], [B], [C]]


def test_nothing_is_remembered_for_ever(stream: Stream):
    told(stream, one(1, 5), minute=1)
    told(stream, minute=NEXT_DAY)
    told(stream, minute=NEXT_DAY + 25 * 60)
    moments = stream.states[0].moments
    assert (moments.known.height, moments.early.height, dict(moments.told)) == (0, 0, {})
