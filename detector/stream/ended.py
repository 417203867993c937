"""A day with very many events is summed up over several turns, so that none of them takes long.

All that happened on the day is taken in, and time is held a millisecond before the day is over; then each turn sums some
actors up, until nobody is left and the day ends with what was made ready. What is said is the same as in one turn, and in
the same order: only when it is worked out differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from detector import step, stowed
from detector.step import Context
from registers.calendar import day_end
from registers.site import Site

# A day of more events is summed up over several turns, about so many in each: that takes two seconds or so.
MOST_ROWS: Final = 1_000_000


class Ending:
    """Days of a state that are summed up part by part. What was asked for once is not worked out again.

    Args:
        core: With all events of the days.
        end: UTC ms: the watermark at which they are over.
        context: Registers and rules.
        most: How many events a turn has, or little more.
    """

    def __init__(self, core: step.State, end: int, context: Context, most: int = MOST_ROWS) -> None:
        self._left = step.sum_days(core, end, context, min(most, stowed.MOST_ROWS))
        self._most = most
        self._made: list[tuple[int, step.Ended]] = []

    def turn(self, done: int) -> tuple[int, bool]:
        """Work parts out behind those that are done; returns how many are done then, and whether there are no more."""
        rows = 0
        while rows < self._most:
            if not self._has(done):
                return done, True
            rows += self._made[done][0]
            done += 1
        return done, False

    def _has(self, number: int) -> bool:
        """Whether there is such a part; those before it are worked out anew where the state came from its bytes."""
        while len(self._made) <= number:
            part = next(self._left, None)
            if part is None:
                return False
            self._made.append(part)
        return True

    @property
    def all(self) -> Sequence[step.Ended]:
        """All parts."""
        self._made += self._left
        return [part for _, part in self._made]


def held_at(core: step.State, site: Site, most: int = MOST_ROWS) -> int | None:
    """UTC ms at which time is held until the present day is summed up; None where that takes no longer than other turns.

    Args:
        core: What is remembered.
        site: Whose days.
        most: From more events on, a day is summed up over several turns.
    """
    if core.rows.height + sum(one.rows for one in core.stowed) <= most:
        return None
    today = step.local_date(core.watermark + 1, site)
    return int(pl.select(day_end(pl.lit(today), site.config.time_zone)).item()) - 1
