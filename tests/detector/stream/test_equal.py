"""What comes in as a stream is found as `analyze` finds it in files: the same findings, whatever the partitions, turns and order."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import polars as pl
import pytest

from contract import event
from detector import core, step
from detector.baseline import Baseline
from detector.rulebook import RuleBook
from tests.detector.month import month, office, rules
from tests.detector.stream.streamed import Finding, Stream, Versions, analysed, plain


@cache
def pinned() -> tuple[Versions, pl.DataFrame, dict[str, Finding]]:
    """Versions with a model, and a baseline that changes in the middle; events; and what `Analysis` says of them."""
    events = month(1)
    other = core.analyse(month(2), office(), rules())
    middle = int(events["time.occurred"].median() or 0) // 60_000 * 60_000  # type: ignore[arg-type]
    model = core.fit(sessions_of(month(2)), 0)
    versions = Versions.of(office(), (0, rules(), model, Baseline()), (middle, rules(), model, other.usual))
    return versions, events, plain(analysed(events, versions))


def sessions_of(events: pl.DataFrame) -> pl.DataFrame:
    """Sessions of a period, to fit a model on."""
    _, output = step.step(step.State(), events.unique("event.id"), event.MAX_TIME, step.Context(office(), rules()))
    return output.sessions


def changed() -> RuleBook:
    """The rules that ship, but for some that are missing, and correlations that ask for one more."""
    kept = [rule for number, rule in enumerate(rules().rules) if number % 7]
    rest = [
        replace(rule, correlation=replace(rule.correlation, count=rule.correlation.count + 1))
        if rule.correlation
        else rule
        for rule in kept
    ]
    return RuleBook(tuple(rest), (), "changed")


@pytest.mark.parametrize(
    ("partitions", "turns", "shuffle_ms"), [(1, 1, 0), (1, 40, 0), (2, 60, 50_000), (4, 25, 59_000)]
)
def test_a_stream_finds_what_analyze_finds(partitions: int, turns: int, shuffle_ms: int):
    versions, events, wanted = pinned()
    stream = Stream(versions, partitions)

    stream.run(events.unique("event.id"), turns, shuffle_ms)

    assert not stream.late
    found = plain(stream.last)
    assert sorted(found) == sorted(wanted)
    assert found == wanted


@pytest.mark.parametrize(("partitions", "turns", "reload"), [(1, 9, False), (1, 40, True), (2, 60, False)])
def test_it_does_where_days_are_summed_up_over_several_turns(partitions: int, turns: int, reload: bool):
    versions, events, wanted = pinned()
    stream = Stream(versions, partitions, reload=reload, most_rows=20)

    stream.run(events.unique("event.id"), turns, 50_000)

    assert stream.held > 3 * turns // 4
    assert not stream.late
    assert plain(stream.last) == wanted


def test_it_does_with_rules_that_change_in_the_middle():
    events = month(3)
    middle = int(events["time.occurred"].median() or 0) // 60_000 * 60_000  # type: ignore[arg-type]
    versions = Versions.of(office(), (0, changed(), None, Baseline()), (middle, rules(), None, Baseline()))
    stream = Stream(versions, 2, reload=True)

    stream.run(events.unique("event.id"), 20, 50_000)

    assert plain(stream.last) == plain(analysed(events, versions))


def test_windows_of_a_rule_that_changed_are_let_go():
    events = month(3).unique("event.id")
    middle = int(events["time.occurred"].median() or 0) // 60_000 * 60_000  # type: ignore[arg-type]
    versions = Versions.of(office(), (0, changed(), None, Baseline()), (middle, rules(), None, Baseline()))
    stream = Stream(versions, 1)
    stream.run(events, 10)
    named = {name.split("@")[0] for name in stream.states[0].core.windows}
    assert len(named) == len(stream.states[0].core.windows)
    assert named <= {rule.name for rule in rules().rules}
