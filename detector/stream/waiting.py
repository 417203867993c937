"""Events that wait for the watermark: prepared once, when they come, by the plan that decides at their time.

Where very many wait, most of them do so as they came, in little memory (`detector.narrow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from contract import event
from detector import sessionise, step
from detector.narrow import Narrow
from detector.schedule import Schedule
from detector.stream.plan import Plan

# So many events of a partition wait prepared; of a piece that came when there were more, only the events themselves do.
MOST_PREPARED: Final = 100_000
# So many that are not prepared are made narrow together.
NARROW_ROWS: Final = 20_000


class Piece(NamedTuple):
    """Events that came together, at least one.

    Attributes:
        rows: In event order: as `step.prepare` gives them, or where `by` is None in `contract.event` columns, perhaps narrow.
        first, last: UTC ms of the first and last of them.
        by: What prepared them.
    """

    rows: pl.DataFrame | Narrow
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
        rows = self.wide
        place = int(rows["time.occurred"].search_sorted(upto, side="right"))
        # What is left is copied: as a mere view it would keep all of the piece in memory.
        rest = rows.filter(pl.int_range(pl.len()) >= place)
        return Piece.of(rows[:place], self.by), Piece.of(rest, self.by)

    def ready(self, plan: Plan) -> Piece:
        """The same, prepared by a plan."""
        if self.by is plan:
            return self
        return self._replace(rows=step.prepare(self.bare, plan.context), by=plan)

    @property
    def wide(self) -> pl.DataFrame:
        """The rows as a frame."""
        return self.rows.wide() if isinstance(self.rows, Narrow) else self.rows

    @property
    def bare(self) -> pl.DataFrame:
        """The events themselves."""
        return self.wide.select(event.KEYS)


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
    ready = [piece.wide for piece in now if piece.by is plan]
    unready = [piece.bare for piece in now if piece.by is not plan]
    if unready:
        ready.append(step.prepare(pl.concat(unready), plan.context))
    rows = ready[0] if len(ready) == 1 else pl.concat([plan.unheard, *ready], rechunk=True)
    return sessionise.in_order(rows), tuple(piece for _, piece in parts if piece is not None)


def kept(waiting: Waiting, most: int = MOST_PREPARED, together: int = NARROW_ROWS) -> Waiting:
    """The same, of which no more than so many events stay prepared: the others will be prepared anew when they are due.

    Args:
        waiting: The pieces.
        most: How many events may stay prepared.
        together: So many of the others, or more, are made narrow.
    """
    out, room = [], most
    for piece in waiting:
        if piece.by is not None:
            room -= piece.rows.height
            piece = piece if room >= 0 else Piece(piece.bare, piece.first, piece.last)
        out.append(piece)
    # What was narrow and is due in part stands before what still is: it is not made narrow again.
    newest = max((number for number, piece in enumerate(out) if isinstance(piece.rows, Narrow)), default=-1)
    some = [piece for piece in out[newest + 1 :] if piece.by is None]
    if sum(piece.rows.height for piece in some) < together:
        return tuple(out)
    rows = sessionise.in_order(pl.concat([piece.wide for piece in some]))
    left = [*out[: newest + 1], *(piece for piece in out[newest + 1 :] if piece.by is not None)]
    return (*left, Piece(Narrow.of(rows), int(rows["time.occurred"][0]), int(rows["time.occurred"][-1])))


def plain(waiting: Sequence[Piece]) -> pl.DataFrame:
    """The events themselves of pieces that are not narrow, by time and id."""
    some = [piece.bare for piece in waiting if not isinstance(piece.rows, Narrow)]
    return pl.concat([event.empty(), *some]).sort("time.occurred", "event.id")


def narrowed(waiting: Sequence[Piece]) -> list[Narrow]:
    """The pieces that are."""
    return [piece.rows for piece in waiting if isinstance(piece.rows, Narrow)]


def again(rows: pl.DataFrame, pieces: Sequence[Narrow]) -> Waiting:
    """What `plain` and `narrowed` gave, as what waits."""
    first = (Piece.of(rows),) if rows.height else ()
    times = [piece.wide(["time.occurred"]).to_series() for piece in pieces]
    return (*first, *(Piece(piece, at[0], at[-1]) for piece, at in zip(pieces, times, strict=True)))
