"""A stream that holds nearly everything in little memory says the same, late events and snapshots included."""

from __future__ import annotations

from functools import partial

import pytest

from detector.baseline import Baseline
from detector.step import Context
from detector.stream import plan, waiting
from tests.detector.month import month, office, rules
from tests.detector.stream.streamed import LATENESS_MS, Finding, Stream, Versions


def said() -> tuple[list[Finding], int, int, int]:
    """All findings of a month with disorder and events that are late, and how much lay narrow or packed."""
    stream = Stream(Versions.of(office(), (0, rules(), None, Baseline())), 2, reload=True)
    narrow = packed = 0
    turn = stream.turn

    def watched(*given: object) -> None:
        nonlocal narrow, packed
        turn(*given)  # type: ignore[arg-type]
        narrow += sum(len(state.core.rows.pieces) + len(waiting.narrowed(state.waiting)) for state in stream.states)
        packed += sum(len(state.core.stowed) for state in stream.states)

    stream.turn = watched  # type: ignore[method-assign]
    stream.run(month(3, events=600, days=6).unique("event.id", maintain_order=True), 9, 90 * LATENESS_MS, seed=5)
    return stream.findings, stream.late, narrow, packed


def test_it_is_said_in_the_same_words(monkeypatch: pytest.MonkeyPatch):
    plain, late, *none = said()
    monkeypatch.setattr(plan, "Context", partial(Context, narrow_rows=2))
    monkeypatch.setattr(waiting, "kept", partial(waiting.kept, most=5, together=10))
    small, again, narrow, packed = said()

    assert none == [0, 0]
    assert min(narrow, packed) > 5
    assert late == again > 10
    assert len(plain) > 5
    assert small == plain
