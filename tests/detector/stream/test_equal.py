"""What comes in as a stream is found as `analyze` finds it in files: the same findings, whatever the partitions, turns and order."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest

from contract import event
from detector import core, step
from detector.baseline import Baseline
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
