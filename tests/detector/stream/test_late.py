"""What comes behind the watermark goes to its session, is counted, and amends what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import correlate
from detector.baseline import Baseline
from detector.stream import amend, two
from detector.stream.plan import Plans
from tests.detector.month import office
from tests.detector.offices import at, events
from tests.detector.rows import book, rule
from tests.detector.stream.streamed import Finding, Stream, Versions, analysed, plain

MINUTE = 60_000
START = at("2026-04-15 10:00")
EXPORT = rule("export", where="event.action: export", level="critical", precision=0.95)
MANY = rule("many", category="session", where="n.read|gte: 3", level="high", precision=0.9)
DAY = rule("day", category="actor_day", where="n.read|gte: 5", level="high", precision=0.9)
VERSIONS = Versions.of(office(), (0, book(EXPORT, MANY, DAY), None, Baseline()))


def one(number: int, minute: float, actor: str = "100101", action: str = "read", **more: Any) -> dict[str, Any]:
    """An event so many minutes after ten."""
    return {
        "event.id": f"{number:016x}", "event.action": action, "time.occurred": START + int(minute * MINUTE),
        "actor.id": actor, "src.device": "PC-1", "event.outcome": "success", "agent.id": "ag-1", **more,
    }  # fmt: skip


def streamed(*turns: tuple[Sequence[dict[str, Any]], float], reload: bool = True) -> Stream:
    """Give a stream events, and move its watermark to a minute after ten, turn by turn."""
    stream = Stream(VERSIONS, 1, reload)
    for rows, minute in turns:
        stream.turn([events(*rows)], START + int(minute * MINUTE))
    return stream


def of_kind(stream: Stream, kind: str) -> list[Finding]:
    return [found for found in stream.findings if found["unmapped"]["kind"] == kind]


def related(found: Finding) -> list[str]:
    return [item["uid"] for item in found["finding_info"]["related_events"]]


def test_an_open_session_takes_in_what_comes_late():
    early, late = [one(1, 0), one(2, 10)], [one(3, 5)]
    stream = streamed((early, 12), (late, 13), ([], 60))
    [found] = of_kind(stream, "session")
    assert (stream.late, related(found)) == (1, [f"{number:016x}" for number in (1, 2, 3)])
    assert found["type_uid"] == 200401


def test_a_session_that_closed_is_judged_again_under_its_name():
    stream = streamed(([one(1, 0), one(2, 5), one(3, 10)], 45), ([one(4, 6)], 46))
    first, again = of_kind(stream, "session")
    assert first["finding_info"]["uid"] == again["finding_info"]["uid"]
    assert (first["type_uid"], again["type_uid"]) == (200401, 200402)
    assert related(again) == [f"{number:016x}" for number in (1, 2, 3, 4)]
    assert again["unmapped"]["queue"] == first["unmapped"]["queue"]  # it does not repeat itself


def test_what_was_nothing_becomes_something():
    stream = streamed(([one(1, 0), one(2, 5)], 45), ([one(3, 6)], 46))
    [found] = of_kind(stream, "session")
    assert found["type_uid"] == 200401


def test_what_belongs_nowhere_makes_a_session_of_its_own():
    stream = streamed(([one(1, 0, actor="100102")], 400), ([one(number, number) for number in (2, 3, 4)], 401))
    [found] = of_kind(stream, "session")
    assert related(found) == [f"{number:016x}" for number in (2, 3, 4)]
    assert stream.late == 3


def test_what_pages_alone_is_told_though_it_is_late():
    stream = streamed(([one(1, 0)], 45), ([one(2, 3, action="export")], 46), ([], 24 * 60))
    first = of_kind(stream, "event")[0]
    assert related(first) == [f"{2:016x}"]


def test_a_day_that_is_over_tells_what_came_late_of_what_pages_alone():
    stream = streamed(([one(1, 0, action="export")], 15 * 60), ([one(2, 3, action="export")], 15 * 60 + 1))
    first, again = of_kind(stream, "event")
    assert (first["type_uid"], again["type_uid"]) == (200401, 200402)
    assert related(again) == [f"{number:016x}" for number in (1, 2)]


def test_what_closed_long_ago_is_not_kept():
    stream = streamed(([one(1, 0), one(2, 1), one(3, 2)], 40), ([], 200))
    assert stream.states[0].kept.rows.is_empty()
    assert stream.states[0].kept.tails.is_empty()


def test_the_oldest_go_where_it_is_too_much():
    tails = pl.DataFrame(
        [{"session": f"w-{number}", "n": amend.MOST_KEPT // 2, "closes": START + number} for number in range(3)],
        schema=streamed(([], 0)).states[0].kept.tails.schema,
    )
    rows = pl.DataFrame({"session": ["w-0", "w-1", "w-2"]})
    kept = amend.forget(amend.Kept(rows, tails=tails), START)
    assert kept.rows["session"].to_list() == ["w-1", "w-2"]


ROWS = st.lists(
    st.tuples(st.integers(0, 55), st.sampled_from(["100101", "100102"]), st.sampled_from(["read", "read", "export"])),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(ROWS, st.data())
def test_with_late_events_the_same_is_found_as_in_files(rows: list[tuple[int, str, str]], data: st.DataObject):
    """Within half an hour each person has one session, whatever is missing of it at first."""
    wanted = [one(number, minute / 2, actor, action) for number, (minute, actor, action) in enumerate(rows, 1)]
    late = data.draw(st.lists(st.booleans(), min_size=len(wanted), max_size=len(wanted)))
    on_time, behind = (
        [row for row, is_late in zip(wanted, late, strict=True) if is_late == side] for side in (False, True)
    )

    stream = streamed((on_time, data.draw(st.sampled_from([28, 50, 58]))), (behind, 59), ([], 3 * 24 * 60))

    found, files = plain(stream.last), plain(analysed(events(*wanted), VERSIONS))
    assert stream.late == len(behind)
    for kind in ("session", "event", "day"):
        assert concerned(found, kind) == concerned(files, kind)


def concerned(found: dict[str, Finding], kind: str) -> list[list[str]]:
    """The events of each finding of a kind. A session that began with a late event has another name."""
    return sorted(related(one) for one in found.values() if one["unmapped"]["kind"] == kind)


def test_what_a_partition_brings_that_nobody_waited_for_is_counted_where_it_is_late():
    core = two.Core(Plans("live"))
    row = {"rule": "many", "group": "PC-1", "time.occurred": START, "event.id": "1" * 16, "base": "many"}
    rows = pl.DataFrame([row, row | {"time.occurred": START + MINUTE, "event.id": "2" * 16}]).match_to_schema(
        pl.Schema(correlate.CANDIDATES), missing_columns="insert"
    )
    state, effects = core.advance(core.begin(), [("candidate", rows)], START, START, VERSIONS.loaded)
    assert effects.counts["late_candidates"] == 0  # one is due, one waits

    _, effects = core.advance(state, [("candidate", rows)], START, START, VERSIONS.loaded)

    assert effects.counts["late_candidates"] == 1
