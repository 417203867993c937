"""Work items of one day: who meets which, when, and whose data each is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from simulator.population import NOBODY, Bools, Caseloads, Ints, Post
from simulator.record import OPS
from simulator.rhythm import DAY, HOUR, MINUTE
from simulator.work import JOBS, KINDS, NUMBER, UNRECORDED
from simulator.world import World

ACT: Final = -2  # kind of a task that an episode planned
JOB_NAMES: Final = tuple(JOBS)
SYSTEM: Final = np.array([0 if OPS[kind.steps[0].op].system == "welfare" else 1 for kind in KINDS])
_REASONED: Final = np.array([bool(kind.basis) for kind in KINDS])
Busy = dict[int, list[tuple[int, int]]]


@dataclass(frozen=True)
class Act:
    """Something an episode does inside a person's ordinary working session.

    Attributes:
        at: ms after midnight, wished for; the day's other work may push it back.
        lasts: ms.
        build: Called with (begin ms UTC, session, device, ip); returns rows as mappings.
    """

    person: int
    system: str
    at: int
    lasts: int
    build: Callable[[int, str, str, str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Recent:
    """Applications of the last days that wait for approval: subject (citizen), reference, section of the caseworker."""

    subject: Ints
    ref: pl.Series
    day: Ints

    @classmethod
    def none(cls) -> Recent:
        """Nothing waits."""
        return cls(np.zeros(0, np.int64), pl.Series("ref", [], dtype=pl.String), np.zeros(0, np.int64))


@dataclass
class Tasks:
    person: Ints
    wish: Ints
    kind: Ints
    subject: Ints
    given: Ints  # index into the references of `Recent`, or NOBODY
    act: Ints

    def take(self, order: Ints | Bools) -> Tasks:
        return Tasks(*(getattr(self, name)[order] for name in ("person", "wish", "kind", "subject", "given", "act")))


def draw(
    world: World,
    number: int,
    volume: float,
    acts: list[Act],
    recent: Recent,
    busy: Busy,
    rng: np.random.Generator,
) -> tuple[Tasks, Bools]:
    spans = np.array(world.roster.spans[number], dtype=np.int64).reshape(-1, 3)
    doing = jobs(world, number)
    job = np.array([JOB_NAMES.index(doing.get(int(p), "none")) for p in spans[:, 0]], dtype=np.int64)
    rate = np.array([JOBS[name][0] for name in JOB_NAMES])
    pace = np.array([person.pace for person in world.people])
    expected = rate[job] * pace[spans[:, 0]] * (spans[:, 2] - spans[:, 1]) / HOUR * volume
    often = rng.poisson(expected)
    where = np.repeat(np.arange(len(spans)), often)
    person, job = spans[where, 0], job[where]
    wish = spans[where, 1] + (rng.random(where.size) * (spans[where, 2] - spans[where, 1])).astype(np.int64)
    mixture = np.cumsum([[JOBS[name][1].get(kind.name, 0.0) for kind in KINDS] for name in JOB_NAMES], axis=1)
    kind = np.minimum((rng.random(where.size)[:, None] >= mixture[job]).sum(axis=1), len(KINDS) - 1)
    keep = np.ones(where.size, dtype=np.bool_)
    for who, stretches in busy.items():
        for first, last in stretches:
            keep &= ~((person == who) & (wish >= first - 6 * MINUTE) & (wish < last))
    nobody = np.full(where.size, NOBODY, dtype=np.int64)
    ordinary = Tasks(person, wish, kind.astype(np.int64), nobody, nobody, nobody).take(keep)
    ordinary = ordinary.take(np.lexsort((ordinary.wish, ordinary.person)))
    unrecorded = rng.random(ordinary.person.size) < UNRECORDED
    _subjects(world, number, ordinary, unrecorded, recent, volume, rng)
    second = _confirmations(world, number, ordinary, rng)
    planned = Tasks(
        *(np.array(column, dtype=np.int64) for column in (
            [a.person for a in acts], [a.at for a in acts], [ACT] * len(acts), [NOBODY] * len(acts), [NOBODY] * len(acts), list(range(len(acts))),
        ))
    )  # fmt: skip
    parts = (ordinary, second, planned)
    names = ("person", "wish", "kind", "subject", "given", "act")
    tasks = Tasks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    unrecorded = np.concatenate([unrecorded, np.zeros(second.person.size + len(acts), dtype=np.bool_)])
    order = np.lexsort((tasks.wish, tasks.person))
    return tasks.take(order), unrecorded[order]


def jobs(world: World, number: int) -> dict[int, str]:
    """Job of each person on a day."""
    found = {}
    for person in world.people:
        post = world.post(person.number, number) if person.kind == "staff" else None
        if post is not None:
            found[person.number] = _job(world, number, post)
    return found


def _job(world: World, number: int, post: Post) -> str:
    if post.dept == "seikatsu":
        return "payment_day" if post.role == "payment" and number in world.when.pay else post.role
    if post.disaster:
        return "ledger_quake" if world.when.shaking(number) else "ledger"
    return "none"


def _subjects(
    world: World, number: int, tasks: Tasks, unrecorded: Bools, recent: Recent, volume: float, rng: np.random.Generator
) -> None:
    """Fill in whose data each work item is about. More volume is more work on a case, not more cases."""
    size = tasks.person.size
    luck = rng.random(size)
    pool = np.array([kind.pool for kind in KINDS])[tasks.kind]
    seats = np.array([(p.seat if (p := world.post(n, number)) else NOBODY) for n in range(len(world.people))])
    sections = np.array([(p.section if (p := world.post(n, number)) else NOBODY) for n in range(len(world.people))])
    seat, section = seats[tasks.person], sections[tasks.person]
    # Only a caseload explains an access to the quiet ones, so what goes by a recorded reason leaves them out.
    all_of = _of_caseload(world.loads, pool, seat, section, unrecorded, luck)
    open_of = _of_caseload(world.open_loads, pool, seat, section, unrecorded, luck)
    subject = np.where(_REASONED[tasks.kind], open_of, all_of)
    for name, people in (
        ("welfare", world.open_recipients),
        ("resident", world.open_residents),
        ("damaged", world.damaged),
    ):
        chosen = pool == name
        # So many different people as an ordinary day would meet, others on each day.
        several = max(20, int(np.count_nonzero(chosen) / volume)) if volume > 1 else 0
        pick = (luck[chosen] * (several or people.size)).astype(np.int64)
        subject[chosen] = people[(pick * 7_919 + number * 104_729) % people.size if several else pick]
    paid = pool == "pay"
    rank = np.arange(size) - np.searchsorted(tasks.person, tasks.person)
    recipients = np.sort(world.open_recipients)
    subject[paid] = recipients[(tasks.person[paid] * 331 + number * 97 + rank[paid]) % recipients.size]
    waits = pool == "recent"
    if recent.subject.size:
        pick = (luck * recent.subject.size).astype(np.int64)
        tasks.given[waits] = pick[waits]
        subject[waits] = recent.subject[pick[waits]]
    else:
        subject[waits] = world.open_recipients[(luck[waits] * world.open_recipients.size).astype(np.int64)]
    tasks.subject[:] = subject


def _of_caseload(loads: Caseloads, pool: Any, seat: Ints, section: Ints, unrecorded: Bools, luck: Any) -> Ints:
    """Subjects of the pools own and section; NOBODY for the others."""
    last = loads.first.size - 1
    own = (pool == "own") & (seat != NOBODY)
    # A reason nobody wrote down: a quick look for the colleague at the next desk.
    beside = seat // 7 * 7 + (seat + 1) % 7
    seat = np.where(own & unrecorded, np.where(beside < last, beside, np.maximum(seat - 1, 0)), seat)
    begin = np.where(own, seat, section * 7)
    end = np.where(own, seat + 1, section * 7 + 7)
    low, high = loads.first[np.clip(begin, 0, last)], loads.first[np.clip(end, 0, last)]
    nowhere = ((pool == "section") & (section == NOBODY)) | (high <= low)
    low, high = np.where(nowhere, 0, low), np.where(nowhere, loads.order.size, high)
    place = low + ((luck ** np.where(own, 1.5, 1.0)) * (high - low)).astype(np.int64)
    return np.where((pool == "own") | (pool == "section"), loads.order[np.minimum(place, loads.order.size - 1)], NOBODY)


def _confirmations(world: World, number: int, tasks: Tasks, rng: np.random.Generator) -> Tasks:
    """For each registration of a My Number, the second person's look a little later."""
    made = tasks.take(tasks.kind == NUMBER["mynumber"])
    here = seconds(world, number)
    if not made.person.size or not here.size:
        return made.take(np.zeros(0, dtype=np.int64))
    who = other(here, made.person, rng)
    later = made.wish + (rng.uniform(15, 60, made.person.size) * MINUTE).astype(np.int64)
    nobody = np.full(made.person.size, NOBODY, dtype=np.int64)
    return Tasks(
        who, np.minimum(later, DAY - HOUR), np.full_like(nobody, NUMBER["confirm"]), made.subject, nobody, nobody
    )


def seconds(world: World, number: int) -> Ints:
    working = {p for p, _, _ in world.roster.spans[number]}
    roles = ("supervisor", "payment", "reception")
    return np.array([p for r in roles for p in world.holders(number, r, "seikatsu") if p in working], dtype=np.int64)


def other(choices: Ints, person: Ints, rng: np.random.Generator) -> Ints:
    """For each person somebody else of the choices, himself only where there is nobody else."""
    pick = rng.integers(0, choices.size, person.size)
    found = choices[pick]
    return np.where(found == person, choices[(pick + 1) % choices.size], found)
