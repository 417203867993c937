"""Nobody fills the memory by making up names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.baseline import Baseline
from detector.stream import caps
from detector.stream.caps import Caps
from tests.detector.month import month, office, rules
from tests.detector.offices import at, events
from tests.detector.rows import book, rule
from tests.detector.stream.streamed import Stream, Versions

START = at("2026-04-15 10:00")


def stream_of(people: int) -> Stream:
    """So many people, each with one read, a second apart."""
    read = rule("one", category="session", where="n.read|gte: 1", level="high", precision=0.9)
    stream = Stream(Versions.of(office(), (0, book(read), None, Baseline())), 1)
    rows = [
        {"event.id": f"{number:016x}", "event.action": "read", "op.code": "R", "actor.id": f"x{number}",
         "src.device": "PC-1", "time.occurred": START + number * 1000}
        for number in range(people)
    ]  # fmt: skip
    stream.turn([events(*rows)], START + people * 1000)
    return stream


def test_the_oldest_sessions_are_closed_before_their_time_and_scored():
    stream = stream_of(10)
    core, capped = caps.bounded(stream.states[0].core, Caps(sessions=7))
    assert capped == {"capped:sessions": 3}
    stream.states[0] = replace(stream.states[0], core=core)
    stream.turn([events()], START + 11_000)
    assert stream.states[0].core.tails.height == 7
    assert sorted(one["finding_info"]["related_events"][0]["uid"] for one in stream.findings) == [
        f"{number:016x}" for number in range(3)
    ]


def test_the_past_of_those_who_were_not_seen_for_longest_is_forgotten():
    core, capped = caps.bounded(stream_of(10).states[0].core, Caps(actors=4))
    assert capped == {"capped:actors": 6}
    assert core.history.actors["actor.id"].to_list() == [f"x{number}" for number in range(6, 10)]
    assert core.history.ops["actor.id"].to_list() == [f"x{number}" for number in range(6, 10)]


def test_functions_are_forgotten_with_their_actors():
    core, _ = caps.bounded(stream_of(10).states[0].core, Caps(ops=2))
    assert core.history.actors.height == core.history.ops.height == 2


@pytest.mark.parametrize("most", [5, 20])
def test_windows_keep_the_groups_that_moved_last(most: int):
    stream = Stream(Versions.of(office(), (0, rules(), None, Baseline())), 1)
    stream.run(month(1, events=300, days=2).unique("event.id"), 2)
    core = stream.states[0].core
    largest = max(core.windows.values(), key=lambda frame: frame.height)
    assert largest.height > most
    bounded, capped = caps.bounded(core, Caps(windows=most))
    assert capped["capped:windows"] > 0
    assert all(frame.height <= most for frame in bounded.windows.values())


def test_what_is_below_the_caps_stays_as_it_is():
    core = stream_of(10).states[0].core
    assert caps.bounded(core) == (core, {})
