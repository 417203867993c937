"""Reasons for access as they come into being: what the log cites, and what the register says (or does not)."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulator.population import NOBODY, Bools, Ints
from simulator.rhythm import DAY, HOUR, MINUTE
from simulator.tasks import Recent, Tasks
from simulator.work import BASES, KINDS, NUMBER
from simulator.world import World


def no_bases() -> pl.DataFrame:
    """The register of a day on which nothing was recorded."""
    schema = {
        "basis_ref": pl.String,
        "kind": pl.String,
        "subject": pl.Int64,
        "opened": pl.Int64,
        "closed": pl.Int64,
        "dept": pl.String,
        "known": pl.Int64,
    }
    return pl.DataFrame(schema=schema)


def reasons(
    world: World, number: int, tasks: Tasks, unrecorded: Bools, recent: Recent, rng: np.random.Generator
) -> tuple[pl.Series, pl.DataFrame, Recent]:
    """References as the log will show them, rows of the register, and applications that now wait for approval."""
    ordinary = tasks.kind >= 0
    kind = np.where(ordinary, tasks.kind, 0)
    words = [k.basis if k.basis in BASES else "" for k in KINDS]
    has = ordinary & np.array([bool(w) for w in words])[kind] & (tasks.subject != NOBODY)
    kept = has & (~unrecorded | (tasks.kind == NUMBER["pay"]))
    today = f"{world.when.day(number):%y%m%d}"
    prefix = pl.Series([BASES[w][0] if w else "" for w in words]).gather(kind)
    dept = [(p.dept if (p := world.post(int(who), number)) else "") for who in range(len(world.people))]
    first, same = _once(world, tasks, kept, kind, dept)
    counter = pl.Series(same).cast(pl.String).str.zfill(5)
    own = pl.select(pl.concat_str(prefix, pl.lit(today), counter)).to_series()
    waits = pl.Series(np.where(tasks.given == NOBODY, 0, tasks.given))
    given = recent.ref.gather(waits) if len(recent.ref) else pl.Series([None] * len(kind), dtype=pl.String)
    table = pl.DataFrame(
        {
            "own": own,
            "given": given,
            "kept": kept,
            "waits": tasks.given != NOBODY,
            "slip": rng.random(len(kind)) < 0.006,
        }
    )
    ref = table.select(
        pl.when("kept")
        .then(pl.when("slip").then(pl.col("own").str.replace(r"(\d)(\d)$", "${2}${1}")).otherwise("own"))
        .when("waits")
        .then("given")
    ).to_series()
    bases = _register(world, number, tasks, first, own, words, kind, dept, rng)
    new = np.flatnonzero(kept & np.isin(tasks.kind, (NUMBER["change"], NUMBER["intake"])))
    fresh = recent.day >= number - 4
    waiting = Recent(
        np.concatenate([recent.subject[fresh], tasks.subject[new]]),
        pl.concat([recent.ref.filter(pl.Series(fresh)), own.gather(pl.Series(new)).alias("ref")]),
        np.concatenate([recent.day[fresh], np.full(new.size, number)]),
    )
    return ref, bases, waiting


def _once(world: World, tasks: Tasks, kept: Bools, kind: Ints, dept: list[str]) -> tuple[Ints, Ints]:
    """One reason a day for the same matter of the same household in the same department.

    Returns:
        Places of the work items that open a reason, and for every item the number of its reason, from 1.
    """
    chosen = np.flatnonzero(kept)
    names = sorted(set(dept))
    desk = np.array([names.index(name) for name in dept], dtype=np.int64)[tasks.person[chosen]]
    home = world.town.household[tasks.subject[chosen]]
    matter = (home * len(KINDS) + kind[chosen]) * len(names) + desk
    order = np.lexsort((tasks.wish[chosen], matter))
    heads = order[np.flatnonzero(np.diff(matter[order], prepend=-1))]
    _, which = np.unique(matter, return_inverse=True)
    same = np.zeros(kept.size, dtype=np.int64)
    same[chosen] = which + 1
    return chosen[heads], same


def _register(
    world: World,
    number: int,
    tasks: Tasks,
    chosen: Ints,
    own: pl.Series,
    words: list[str],
    kind: Ints,
    dept: list[str],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Rows of the register of reasons, one for each member of the household that a reason is about."""
    if not chosen.size:
        return no_bases()
    town, subject, now = world.town, tasks.subject[chosen], world.when.at(number) + tasks.wish[chosen]
    before = np.array([BASES[w][1] if w else 0.0 for w in words])[kind[chosen]]
    after = np.array([BASES[w][2] if w else 0.0 for w in words])[kind[chosen]]
    opened = now - (before * rng.uniform(0.1, 1.0, chosen.size) * DAY).astype(np.int64) - 5 * MINUTE
    closed = now + (after * rng.uniform(0.4, 1.0, chosen.size) * DAY).astype(np.int64) + 14 * HOUR
    late = rng.random(chosen.size) < 0.04  # entered days later, as happens
    known = np.where(late, now + (rng.uniform(0.5, 3, chosen.size) * DAY).astype(np.int64), opened)
    home = town.household[subject]
    each = np.repeat(np.arange(chosen.size), town.size[home])
    offset = np.arange(each.size) - np.searchsorted(each, each)
    # Typing mistakes: the next number is somebody else.
    slip = (rng.random(each.size) < 0.004).astype(np.int64)
    return pl.DataFrame(
        {
            "basis_ref": own.gather(pl.Series(chosen[each])),
            "kind": pl.Series(words).gather(pl.Series(kind[chosen[each]])),
            "subject": town.raw[town.first[home[each]] + offset] + slip,
            "opened": opened[each],
            "closed": closed[each],
            "dept": pl.Series(dept).gather(pl.Series(tasks.person[chosen[each]])),
            "known": known[each],
        }
    )
