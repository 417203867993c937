"""Packed or not, a day is summed up the same."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from contract import event
from detector import features, sessionise, stowed
from detector.held import Held
from detector.narrow import Narrow
from detector.step import Context, Output, State, prepare, step
from tests.detector.month import month, office, rules
from tests.detector.test_core import evenly, stretches

DAY_MS = 86_400_000


def run(frame: pl.DataFrame, pieces: int, narrow_rows: int) -> tuple[list[Output], int]:
    """What stage one says in so many calls, and how many pieces it packed at most."""
    context, state, outputs, most = Context(office(), rules(), narrow_rows=narrow_rows), State(), [], 0
    end = int(frame["time.occurred"].max()) + 3 * DAY_MS  # type: ignore[arg-type]
    for watermark, piece in [*stretches(frame, evenly(frame, pieces)), (end, event.empty())]:
        state, output = step(state, piece, watermark, context)
        outputs.append(output)
        most = max(most, len(state.stowed))
    assert (state.rows.height, state.stowed) == (0, ())
    return outputs, most


@pytest.mark.parametrize("part", ["days", "sessions", "hits"])
@pytest.mark.parametrize("narrow_rows", [1, 30])
def test_packing_changes_nothing(part: str, narrow_rows: int):
    frame = month(1).unique("event.id", maintain_order=True)
    plain, none = run(frame, 60, 1_000_000)
    packed, some = run(frame, 60, narrow_rows)
    assert (none, some > 1) == (0, True)
    for one, other in zip(plain, packed, strict=True):
        assert getattr(one, part).equals(getattr(other, part))


def day_rows() -> pl.DataFrame:
    """Events with what days are summed up from."""
    rows = prepare(month(1).unique("event.id").filter(pl.col("actor.id").is_not_null()), Context(office(), rules()))
    lacking = [name for name in features.DAY_COLUMNS if name not in rows.columns]
    return rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in lacking)


def packed(rows: pl.DataFrame, size: int, whole: int) -> stowed.Stowed:
    found: stowed.Stowed = ()
    for part in rows.iter_slices(size):
        found = stowed.stow(found, [Narrow.of(part)], whole)
    return found


@pytest.mark.parametrize("most", [1_000_000, 100, 7])
@pytest.mark.parametrize("whole", [1000, 4])
def test_some_actors_at_a_time_are_all_of_them(most: int, whole: int):
    rows = day_rows()
    first, last = rows["time.date"].min(), rows["time.date"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    held = Held(rows[:150], (Narrow.of(rows[150:300]), Narrow.of(rows[300:400])))
    pieces = packed(rows[400:], 150, whole)
    assert {one.share == -1 for one in pieces} == ({True} if whole == 1000 else {True, False})
    found = list(stowed.days(pieces, held, first, last, most))

    actors = [set(part["actor.id"]) for part in found]
    assert all(not one & other for n, one in enumerate(actors) for other in actors[:n])
    over = rows.filter(pl.col("time.date") < last).select(features.DAY_COLUMNS)
    assert pl.concat(found).sort("event.id").equals(over.sort("event.id"))
    assert all(part.equals(sessionise.in_order(part)) for part in found)
    assert (len(found) > 1) == (most < rows.height)
    # Nobody is parted, so those of whom there are more come alone.
    busiest = over.group_by("actor.id").len()["len"].max()
    assert isinstance(busiest, int)
    assert max(part.height for part in found) <= busiest + 3 * most


@pytest.mark.parametrize("whole", [1000, 2])
def test_what_belongs_to_a_day_that_is_not_over_stays_packed(whole: int):
    rows = day_rows()
    last = rows["time.date"].max()
    assert isinstance(last, date)
    kept = stowed.left(packed(rows, 400, whole), last)
    assert stowed.left(kept, last) == kept
    [again] = stowed.days(kept, Held(rows.clear()), date(2000, 1, 1), date(2100, 1, 1))
    over = rows.filter(pl.col("time.date") == last).select(features.DAY_COLUMNS)
    assert again.sort("event.id").equals(over.sort("event.id"))
    assert stowed.left(kept, date(2100, 1, 1)) == ()
