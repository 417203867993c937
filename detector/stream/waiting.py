"""Events that wait for the watermark: prepared once, when they come, by the plan that decides at their time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from contract import event
from detector import sessionise, step
from detector.schedule import Schedule
from detector.stream.plan import Plan

# So many events of a partition wait prepared; of a piece that came when there were more, only the events themselves do.
MOST_PREPARED: Final = 100_000


class Piece(NamedTuple):
    """Events that came together, at least one.

    Attributes:
        rows: In event order: as `step.prepare` gives them, or where `by` is None in `contract.event` columns.
        first, last: UTC ms of the first and last of them.
        by: What prepared them.
    """

    rows: pl.DataFrame
    first: int
    last: int
    by: Plan | None = None

    @classmethod
    def of(cls, rows: pl.DataFrame, by: Plan | None = None) -> Piece:
        """A piece of rows in event order."""
        times = rows["time.occurred"]
        return cls(rows, times[0], times[-1], by)

    def parted(self, upto: int) -> tuple[Piece | None, Piece | None]:
        """What is up to a moment (UTC ms), and what is later."""
        if upto < self.first:
            return None, self
        if upto >= self.last:
            return self, None
        place = int(self.rows["time.occurred"].search_sorted(upto, side="right"))
        # What is left is copied: as a mere view it would keep all of the piece in memory.
        rest = self.rows.filter(pl.int_range(pl.len()) >= place)
        return Piece.of(self.rows[:place], self.by), Piece.of(rest, self.by)

    def ready(self, plan: Plan) -> Piece:
        """The same, prepared by a plan."""
        if self.by is plan:
            return self
        return self._replace(rows=step.prepare(self.bare, plan.context), by=plan)

    @property
    def bare(self) -> pl.DataFrame:
        """The events themselves."""
        return self.rows.select(event.KEYS)


Waiting = tuple[Piece, ...]


def come(rows: pl.DataFrame, plans: Schedule[Plan], after: int, upto: int) -> Waiting:
    """Prepare events when they come.

    Args:
        rows: Events in `contract.event` columns, any order, all later than `after`.
        plans: What decides.
        after: UTC ms.
        upto: UTC ms; no piece has events up to it and later ones.
    """
    if rows.is_empty():
        return ()
    whole = Piece.of(sessionise.in_order(rows))
    pieces: list[Piece | None] = []
    for _, end, plan in plans.stretches(after, whole.last):
        now, rest = whole.parted(end)
        if now is not None:
            pieces += now.ready(plan).parted(upto)
        if rest is None:
            break
        whole = rest
    return tuple(piece for piece in pieces if piece is not None)


def due(waiting: Waiting, upto: int, plan: Plan) -> tuple[pl.DataFrame, Waiting]:
    """Events up to a moment (UTC ms), prepared by a plan, in event order; and what still waits."""
    parts = [piece.parted(upto) for piece in waiting]
    now = [piece for piece, _ in parts if piece is not None]
    ready = [piece.rows for piece in now if piece.by is plan]
    unready = [piece.bare for piece in now if piece.by is not plan]
    if unready:
        ready.append(step.prepare(pl.concat(unready), plan.context))
    rows = ready[0] if len(ready) == 1 else pl.concat([plan.unheard, *ready], rechunk=True)
    return sessionise.in_order(rows), tuple(piece for _, piece in parts if piece is not None)


def kept(waiting: Waiting, most: int = MOST_PREPARED) -> Waiting:
    """The same, of which no more than so many events stay prepared: the others will be prepared anew when they are due."""
    out, room = [], most
    for piece in waiting:
        if piece.by is not None:
            room -= piece.rows.height
            piece = piece if room >= 0 else Piece(piece.bare, piece.first, piece.last)
        out.append(piece)
    return tuple(out)


def bare(waiting: Sequence[Piece]) -> pl.DataFrame:
    """The events themselves, by time and id."""
    return pl.concat([event.empty(), *(piece.bare for piece in waiting)]).sort("time.occurred", "event.id")
