"""One day in the two business systems: work items arrive, are worked off at desks, and leave rows and reasons behind.

Vectorised: a day is a handful of arrays with one element a work item, then one a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulator.reasons import no_bases, reasons
from simulator.record import complete, frame
from simulator.screens import expand, to_rows
from simulator.sessions import sessions
from simulator.tasks import ACT, Act, Busy, Recent, draw
from simulator.world import World


@dataclass(frozen=True)
class Outcome:
    """What a day leaves: rows of the business systems with log-ons and log-offs, reasons for the register, what waits."""

    rows: pl.DataFrame
    bases: pl.DataFrame
    recent: Recent


def day(world: World, number: int, volume: float, acts: list[Act], recent: Recent, busy: Busy) -> Outcome:
    """Work through one day.

    Args:
        world: The office.
        number: Day of the period.
        volume: Factor on the number of work items.
        acts: What episodes want done inside ordinary sessions.
        recent: Applications that wait for approval.
        busy: Per person, stretches (ms after midnight) in which he does something else and no ordinary work.
    """
    rng = world.generator(1, number)
    tasks, unrecorded = draw(world, number, volume, acts, recent, busy, rng)
    if not tasks.person.size:
        return Outcome(complete({}, 0), no_bases(), recent)
    ref, bases, waiting = reasons(world, number, tasks, unrecorded, recent, rng)
    rows, begin, end = expand(world, number, tasks, ref, acts, rng)
    session, device, ip, frames = sessions(world, number, tasks, begin, end, busy, rng)
    placed = to_rows(world, number, tasks, rows, session, device, ip)
    done = []
    for task in np.flatnonzero(tasks.kind == ACT):
        act = acts[int(tasks.act[task])]
        done += act.build(world.when.at(number) + int(begin[task]), session[task], device[task], ip[task])
    table = pl.concat([placed, frames, frame(done)])
    return Outcome(table, bases, waiting)
