"""Packed or not, a day is summed up the same."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from contract import event
from detector import features, stowed
from detector.step import Context, Output, State, prepare, step
from tests.detector.month import month, office, rules
from tests.detector.test_core import evenly, stretches

DAY_MS = 86_400_000


def run(frame: pl.DataFrame, pieces: int, stowed_rows: int) -> tuple[list[Output], int]:
    """What stage one says in so many calls, and how many pieces it packed at most."""
    context, state, outputs, most = Context(office(), rules(), stowed_rows=stowed_rows), State(), [], 0
    end = int(frame["time.occurred"].max()) + 3 * DAY_MS  # type: ignore[arg-type]
    for watermark, piece in [*stretches(frame, evenly(frame, pieces)), (end, event.empty())]:
        state, output = step(state, piece, watermark, context)
        outputs.append(output)
        most = max(most, len(state.stowed))
    assert (state.rows.height, state.stowed) == (0, ())
    return outputs, most


@pytest.mark.parametrize("part", ["days", "sessions", "hits"])
@pytest.mark.parametrize("stowed_rows", [1, 30])
def test_packing_changes_nothing(part: str, stowed_rows: int):
    frame = month(1).unique("event.id", maintain_order=True)
    plain, none = run(frame, 60, 1_000_000)
    packed, some = run(frame, 60, stowed_rows)
    assert (none, some > 1) == (0, True)
    for one, other in zip(plain, packed, strict=True):
        assert getattr(one, part).equals(getattr(other, part))


def day_rows() -> pl.DataFrame:
    """Events with what days are summed up from."""
    rows = prepare(month(1).unique("event.id").filter(pl.col("actor.id").is_not_null()), Context(office(), rules()))
    lacking = [name for name in features.DAY_COLUMNS if name not in rows.columns]
    return rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in lacking)


@pytest.mark.parametrize("most", [1_000_000, 100, 7])
def test_some_actors_at_a_time_are_all_of_them(most: int):
    rows = day_rows()
    first, last = rows["time.date"].min(), rows["time.date"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    pieces = tuple(stowed.stow(part) for part in rows.iter_slices(100))
    found = list(stowed.days(pieces, rows.clear(), first, last, most))

    actors = [set(part["actor.id"]) for part in found]
    assert all(not one & other for n, one in enumerate(actors) for other in actors[:n])
    assert sorted(pl.concat(found)["event.id"]) == sorted(rows.filter(pl.col("time.date") < last)["event.id"])
    assert len(found) == 1 + rows.height // most


def test_what_belongs_to_a_day_that_is_not_over_stays_packed():
    rows = day_rows()
    last = rows["time.date"].max()
    assert isinstance(last, date)
    kept = stowed.left((stowed.stow(rows),), last)
    [again] = stowed.days(kept, rows.clear(), date(2000, 1, 1), date(2100, 1, 1))
    assert sorted(again["event.id"]) == sorted(rows.filter(pl.col("time.date") == last)["event.id"])
