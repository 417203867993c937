"""How long findings waited: to the first look, and to a decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from audit.cases import DAY_MS, Deadlines
from audit.desk import Row

DAYS: Final = (1, 3, 7, 14, 30)


@dataclass(frozen=True, slots=True)
class Waits:
    """One kind of waiting, of some findings.

    Attributes:
        took: How long those took that were done, milliseconds, ascending.
        waiting: How long those wait so far that are not done, milliseconds, ascending.
        in_time: Those done in time.
        due: Those that should be done by now, done or not.
    """

    took: tuple[int, ...]
    waiting: tuple[int, ...]
    in_time: int
    due: int

    @property
    def median(self) -> int | None:
        """Of those that were done, milliseconds; None: none was."""
        return round(median(self.took)) if self.took else None

    @property
    def longest(self) -> int | None:
        """Of those that were done, milliseconds; None: none was."""
        return self.took[-1] if self.took else None

    @property
    def in_time_share(self) -> float | None:
        """Of those that should be done by now, 0 to 1; None: none should."""
        return self.in_time / self.due if self.due else None


def to_look(rows: Iterable[Row], limits: Deadlines, now: int) -> Waits:
    """From findings to the first that somebody did about them.

    Args:
        rows: Findings with their cases; those of a queue that nobody has to look at are passed over.
        limits: How soon that has to be.
        now: UTC milliseconds.
    """
    return _waits(
        ((row.found["time"], row.case.seen, limits.look_ms[row.found["queue"]]) for row in rows if row.found["queue"] in limits.look_ms),
        now,
    )  # fmt: skip


def to_decide(rows: Iterable[Row], limits: Deadlines, now: int) -> Waits:
    """From findings to the closing of their cases."""
    return _waits(((row.found["time"], row.case.decided, limits.decide_ms) for row in rows), now)


def _waits(marks: Iterable[tuple[int, int | None, int]], now: int) -> Waits:
    """Of (found, done, at most), UTC milliseconds."""
    took: list[int] = []
    waiting: list[int] = []
    in_time = due = 0
    for found, done, most in marks:
        # A finding's time is that of its events; a source whose clock is ahead must not make anybody quicker than at once.
        ago = max(0, (now if done is None else done) - found)
        (waiting if done is None else took).append(ago)
        in_time += done is not None and ago <= most
        due += done is not None or ago > most
    return Waits(tuple(sorted(took)), tuple(sorted(waiting)), in_time, due)


def buckets(waits: Waits) -> list[tuple[int | None, int, int]]:
    """How many took how long: up to so many days (None: longer than all), those that were done, and those that wait.

    Each counts in the first that is long enough, in the order of `DAYS`.
    """
    edges: Sequence[int | None] = (*DAYS, None)
    return [(edge, _up_to(waits.took, place), _up_to(waits.waiting, place)) for place, edge in enumerate(edges)]


def _up_to(lengths: Iterable[int], place: int) -> int:
    low = DAYS[place - 1] * DAY_MS if place else -1
    high = DAYS[place] * DAY_MS if place < len(DAYS) else None
    return sum(low < one and (high is None or one <= high) for one in lengths)
