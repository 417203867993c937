"""Runs of numbers: which numbers were seen, and where the holes are.

A list of runs is sorted, and between two of its runs at least one number is missing. Joining is commutative and may be
repeated, so the order in which numbers come does not matter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple


class Run(NamedTuple):
    """Numbers `lo`…`hi` without a gap; time (UTC ms), event and minute (`summary`) of both ends."""

    lo: int
    hi: int
    t_lo: int
    t_hi: int
    id_lo: str
    id_hi: str
    tick_lo: int
    tick_hi: int


def join(runs: list[Run], new: Run) -> None:
    """Add a run, in place, joining what it touches or overlaps."""
    if not runs or new.lo > runs[-1].hi + 1:
        runs.append(new)
        return
    start = len(runs) - 1
    if new.lo <= runs[-1].hi:
        start = bisect_left(runs, new.lo - 1, key=lambda run: run.hi)
    end = bisect_right(runs, new.hi + 1, lo=start, key=lambda run: run.lo)
    together = [*runs[start:end], new]
    first = min(together, key=lambda run: (run.lo, run.t_lo, run.id_lo, run.tick_lo))
    last = max(together, key=lambda run: (run.hi, run.t_hi, run.id_hi, run.tick_hi))
    runs[start:end] = [
        Run(first.lo, last.hi, first.t_lo, last.t_hi, first.id_lo, last.id_hi, first.tick_lo, last.tick_hi)
    ]


def around(runs: list[Run], number: int) -> Run | None:
    """The run that a number is in, or None."""
    if runs and runs[-1].lo <= number:
        return runs[-1] if number <= runs[-1].hi else None
    at = bisect_right(runs, number, key=lambda run: run.lo) - 1
    return runs[at] if at >= 0 and number <= runs[at].hi else None


def behind(runs: list[Run], number: int) -> Run | None:
    """The first run that begins behind a number, or None."""
    at = bisect_right(runs, number, key=lambda run: run.lo)
    return runs[at] if at < len(runs) else None


def missing(runs: list[Run], lo: int, hi: int) -> int:
    """How many of the numbers `lo`…`hi` are in no run."""
    start = bisect_left(runs, lo, key=lambda run: run.hi)
    end = bisect_right(runs, hi, lo=start, key=lambda run: run.lo)
    return hi - lo + 1 - sum(min(run.hi, hi) - max(run.lo, lo) + 1 for run in runs[start:end])
