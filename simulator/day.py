"""One day in the two business systems: work items arrive, are worked off at desks, and leave rows and reasons behind.

Vectorised: a day is a handful of arrays with one element a work item, then one a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from simulator.population import NOBODY, Bools, Floats, Ints, Post
from simulator.record import OPS, complete, frame
from simulator.rhythm import DAY, HOUR, MINUTE
from simulator.work import BASES, JOBS, KINDS, NUMBER, TIMEOUT_MS, UNRECORDED
from simulator.world import World

ACT: Final = -2  # kind of a task that an episode planned
JOB_NAMES: Final = tuple(JOBS)
_STEPS: Final = [step for kind in KINDS for step in kind.steps]
_FIRST: Final = np.concatenate(([0], np.cumsum([len(kind.steps) for kind in KINDS])))[:-1]
_LENGTH: Final = np.array([len(kind.steps) for kind in KINDS])
_CHANCE: Final = np.array([step.chance for step in _STEPS])
_GAP: Final = np.array([step.gap_s for step in _STEPS])
_ROWS: Final = np.array([step.rows for step in _STEPS])
_WHO: Final = np.array(["S-H".index(step.who) for step in _STEPS])
_OPS: Final = pl.Series("op", [step.op for step in _STEPS])
_QUERY: Final = pl.Series("query", [step.query or None for step in _STEPS])
_SECOND: Final = np.array([step.op in ("WE400", "DS180") for step in _STEPS])  # needs a second person
_MONEY: Final = np.array([step.op in ("WE520", "DS180") for step in _STEPS])
_INQUIRY: Final = np.array([step.op == "WE310" for step in _STEPS])
_SYSTEM: Final = np.array([0 if OPS[kind.steps[0].op].system == "welfare" else 1 for kind in KINDS])
SYSTEMS: Final = ("welfare", "disaster")


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


@dataclass(frozen=True)
class Outcome:
    """What a day leaves: rows of the business systems with log-ons and log-offs, reasons for the register, what waits."""

    rows: pl.DataFrame
    bases: pl.DataFrame
    recent: Recent


@dataclass
class _Tasks:
    person: Ints
    wish: Ints
    kind: Ints
    subject: Ints
    given: Ints  # index into the references of `Recent`, or NOBODY
    act: Ints

    def take(self, order: Ints | Bools) -> _Tasks:
        return _Tasks(*(getattr(self, name)[order] for name in ("person", "wish", "kind", "subject", "given", "act")))


def day(
    world: World, number: int, volume: float, acts: list[Act], recent: Recent, busy: dict[int, list[tuple[int, int]]]
) -> Outcome:
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
    tasks, unrecorded = _tasks(world, number, volume, acts, recent, busy, rng)
    if not tasks.person.size:
        return Outcome(complete({}, 0), _no_bases(), recent)
    ref, bases, waiting = _reasons(world, number, tasks, unrecorded, recent, rng)
    rows, begin, end = _expand(world, number, tasks, ref, acts, rng)
    session, device, ip, frames = _sessions(world, number, tasks, begin, end, busy, rng)
    placed = _place(world, number, tasks, rows, session, device, ip)
    done = []
    for task in np.flatnonzero(tasks.kind == ACT):
        act = acts[int(tasks.act[task])]
        done += act.build(world.when.at(number) + int(begin[task]), session[task], device[task], ip[task])
    table = pl.concat([placed, frames, frame(done)])
    return Outcome(table, bases, waiting)


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


def _tasks(
    world: World,
    number: int,
    volume: float,
    acts: list[Act],
    recent: Recent,
    busy: dict[int, list[tuple[int, int]]],
    rng: np.random.Generator,
) -> tuple[_Tasks, Bools]:
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
    ordinary = _Tasks(person, wish, kind.astype(np.int64), nobody, nobody, nobody).take(keep)
    ordinary = ordinary.take(np.lexsort((ordinary.wish, ordinary.person)))
    unrecorded = rng.random(ordinary.person.size) < UNRECORDED
    _subjects(world, number, ordinary, unrecorded, recent, rng)
    second = _confirmations(world, number, ordinary, rng)
    planned = _Tasks(
        *(np.array(column, dtype=np.int64) for column in (
            [a.person for a in acts], [a.at for a in acts], [ACT] * len(acts), [NOBODY] * len(acts), [NOBODY] * len(acts), list(range(len(acts))),
        ))
    )  # fmt: skip
    parts = (ordinary, second, planned)
    names = ("person", "wish", "kind", "subject", "given", "act")
    tasks = _Tasks(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    unrecorded = np.concatenate([unrecorded, np.zeros(second.person.size + len(acts), dtype=np.bool_)])
    order = np.lexsort((tasks.wish, tasks.person))
    return tasks.take(order), unrecorded[order]


def _subjects(
    world: World, number: int, tasks: _Tasks, unrecorded: Bools, recent: Recent, rng: np.random.Generator
) -> None:
    """Fill in whose data each work item is about."""
    loads, size = world.loads, tasks.person.size
    luck = rng.random(size)
    pool = np.array([kind.pool for kind in KINDS])[tasks.kind]
    seats = np.array([(p.seat if (p := world.post(n, number)) else NOBODY) for n in range(len(world.people))])
    sections = np.array([(p.section if (p := world.post(n, number)) else NOBODY) for n in range(len(world.people))])
    seat, section = seats[tasks.person], sections[tasks.person]
    last_seat = loads.first.size - 1
    own = (pool == "own") & (seat != NOBODY)
    # A reason nobody wrote down: a quick look for the colleague at the next desk.
    neighbour = np.where(
        seat // 7 * 7 + (seat + 1) % 7 < last_seat, seat // 7 * 7 + (seat + 1) % 7, np.maximum(seat - 1, 0)
    )
    seat = np.where(own & unrecorded, neighbour, seat)
    low = np.where(own, loads.first[np.clip(seat, 0, last_seat - 1)], loads.first[np.clip(section * 7, 0, last_seat)])
    high = np.where(
        own, loads.first[np.clip(seat + 1, 0, last_seat)], loads.first[np.clip(section * 7 + 7, 0, last_seat)]
    )
    whole = (pool == "section") & (section == NOBODY) | (high <= low)
    low, high = np.where(whole, 0, low), np.where(whole, loads.order.size, high)
    ranged = own | (pool == "section") | (pool == "own")
    place = low + ((luck ** np.where(own, 1.5, 1.0)) * (high - low)).astype(np.int64)
    subject = np.where(ranged, loads.order[np.minimum(place, loads.order.size - 1)], NOBODY)
    for name, people in (
        ("welfare", world.open_recipients),
        ("resident", world.open_residents),
        ("damaged", world.damaged),
    ):
        chosen = pool == name
        subject[chosen] = people[(luck[chosen] * people.size).astype(np.int64)]
    paid = pool == "pay"
    rank = np.arange(size) - np.searchsorted(tasks.person, tasks.person)
    recipients = np.sort(loads.order)
    subject[paid] = recipients[(tasks.person[paid] * 331 + number * 97 + rank[paid]) % recipients.size]
    waits = pool == "recent"
    if recent.subject.size:
        pick = (luck * recent.subject.size).astype(np.int64)
        tasks.given[waits] = pick[waits]
        subject[waits] = recent.subject[pick[waits]]
    else:
        subject[waits] = loads.order[(luck[waits] * loads.order.size).astype(np.int64)]
    tasks.subject[:] = subject


def _confirmations(world: World, number: int, tasks: _Tasks, rng: np.random.Generator) -> _Tasks:
    """For each registration of a My Number, the second person's look a little later."""
    made = tasks.take(tasks.kind == NUMBER["mynumber"])
    here = _seconds(world, number)
    if not made.person.size or not here.size:
        return made.take(np.zeros(0, dtype=np.int64))
    who = _other(here, made.person, rng)
    later = made.wish + (rng.uniform(15, 60, made.person.size) * MINUTE).astype(np.int64)
    nobody = np.full(made.person.size, NOBODY, dtype=np.int64)
    return _Tasks(
        who, np.minimum(later, DAY - HOUR), np.full_like(nobody, NUMBER["confirm"]), made.subject, nobody, nobody
    )


def _seconds(world: World, number: int) -> Ints:
    working = {p for p, _, _ in world.roster.spans[number]}
    roles = ("supervisor", "payment", "reception")
    return np.array([p for r in roles for p in world.holders(number, r, "seikatsu") if p in working], dtype=np.int64)


def _other(choices: Ints, person: Ints, rng: np.random.Generator) -> Ints:
    """For each person somebody else of the choices, himself only where there is nobody else."""
    pick = rng.integers(0, choices.size, person.size)
    found = choices[pick]
    return np.where(found == person, choices[(pick + 1) % choices.size], found)


def _no_bases() -> pl.DataFrame:
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


def _reasons(
    world: World, number: int, tasks: _Tasks, unrecorded: Bools, recent: Recent, rng: np.random.Generator
) -> tuple[pl.Series, pl.DataFrame, Recent]:
    """References as the log will show them, rows of the register, and applications that now wait for approval."""
    ordinary = tasks.kind >= 0
    kind = np.where(ordinary, tasks.kind, 0)
    words = [k.basis if k.basis in BASES else "" for k in KINDS]
    has = ordinary & np.array([bool(w) for w in words])[kind] & (tasks.subject != NOBODY)
    kept = has & (~unrecorded | (tasks.kind == NUMBER["pay"]))
    today = f"{world.when.day(number):%y%m%d}"
    prefix = pl.Series([BASES[w][0] if w else "" for w in words]).gather(kind)
    counter = pl.Series(np.cumsum(kept)).cast(pl.String).str.zfill(5)
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
    bases = _register(world, number, tasks, kept, own, words, kind, rng)
    new = np.flatnonzero(kept & np.isin(tasks.kind, (NUMBER["change"], NUMBER["intake"])))
    fresh = recent.day >= number - 4
    waiting = Recent(
        np.concatenate([recent.subject[fresh], tasks.subject[new]]),
        pl.concat([recent.ref.filter(pl.Series(fresh)), own.gather(pl.Series(new)).alias("ref")]),
        np.concatenate([recent.day[fresh], np.full(new.size, number)]),
    )
    return ref, bases, waiting


def _register(
    world: World,
    number: int,
    tasks: _Tasks,
    kept: Bools,
    own: pl.Series,
    words: list[str],
    kind: Ints,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Rows of the register of reasons, one for each member of the household that a reason is about."""
    chosen = np.flatnonzero(kept)
    if not chosen.size:
        return _no_bases()
    town, subject, now = world.town, tasks.subject[chosen], world.when.at(number) + tasks.wish[chosen]
    before = np.array([BASES[w][1] if w else 0.0 for w in words])[kind[chosen]]
    after = np.array([BASES[w][2] if w else 0.0 for w in words])[kind[chosen]]
    opened = now - (before * rng.uniform(0.1, 1.0, chosen.size) * DAY).astype(np.int64) - 5 * MINUTE
    closed = now + (after * rng.uniform(0.4, 1.0, chosen.size) * DAY).astype(np.int64) + 10 * HOUR
    late = rng.random(chosen.size) < 0.04  # entered days later, as happens
    known = np.where(late, now + (rng.uniform(0.5, 3, chosen.size) * DAY).astype(np.int64), opened)
    home = town.household[subject]
    each = np.repeat(np.arange(chosen.size), town.size[home])
    offset = np.arange(each.size) - np.searchsorted(each, each)
    dept = [(p.dept if (p := world.post(int(who), number)) else "") for who in range(len(world.people))]
    return pl.DataFrame(
        {
            "basis_ref": own.gather(pl.Series(chosen[each])),
            "kind": pl.Series(words).gather(pl.Series(kind[chosen[each]])),
            "subject": town.raw[town.first[home[each]] + offset],
            "opened": opened[each],
            "closed": closed[each],
            "dept": pl.Series(dept).gather(pl.Series(tasks.person[chosen[each]])),
            "known": known[each],
        }
    )


@dataclass
class _Rows:
    task: Ints
    t: Ints
    columns: dict[str, Any]


def _expand(
    world: World, number: int, tasks: _Tasks, ref: pl.Series, acts: list[Act], rng: np.random.Generator
) -> tuple[_Rows, Ints, Ints]:
    """Turn work items into screens with times; nobody does two things at once.

    Returns:
        Rows, and begin and end of each work item in ms after midnight.
    """
    town = world.town
    ordinary = np.flatnonzero(tasks.kind >= 0)
    length = _LENGTH[tasks.kind[ordinary]]
    task = np.repeat(ordinary, length)
    step = (
        np.repeat(_FIRST[tasks.kind[ordinary]], length)
        + np.arange(task.size)
        - np.repeat(np.cumsum(length) - length, length)
    )
    subject = np.where(_WHO[step] == 1, NOBODY, tasks.subject[task])
    home = town.household[np.maximum(subject, 0)]
    size = town.size[home]
    taken = (rng.random(task.size) < _CHANCE[step]) & ~((_WHO[step] == 2) & ((size < 2) | (subject == NOBODY)))
    turn = 1 + (rng.random(task.size) * (size - 1)).astype(np.int64)
    relative = town.first[home] + (subject - town.first[home] + turn) % size
    subject = np.where((_WHO[step] == 2) & (subject != NOBODY), relative, subject)
    task, step, subject = task[taken], step[taken], subject[taken]
    pace = np.array([person.pace for person in world.people])
    gap = (_GAP[step] * 1000 * np.exp(rng.normal(0, 0.45, step.size)) / pace[tasks.person[task]]).astype(np.int64)
    lasts = np.bincount(task, weights=gap, minlength=tasks.person.size).astype(np.int64) + 2_000
    for place in np.flatnonzero(tasks.kind == ACT):
        lasts[place] = acts[int(tasks.act[place])].lasts
    gap, lasts = _squeeze(world, number, tasks, task, gap, lasts)
    begin = _one_after_another(tasks.person, tasks.wish, lasts)
    within = np.cumsum(gap) - gap
    start_of_task = np.zeros(tasks.person.size, dtype=np.int64)
    head = np.flatnonzero(np.diff(task, prepend=-1))
    start_of_task[task[head]] = within[head]
    t = begin[task] + within - start_of_task[task]
    count = np.where(_ROWS[step] > 1, np.maximum(0, _ROWS[step] * np.exp(rng.normal(-0.1, 0.6, step.size))), 1).astype(
        np.int64
    )
    columns = _details(world, number, tasks, task, step, subject, count, ref, rng)
    return _Rows(task, t, columns), begin, begin + lasts


def _squeeze(world: World, number: int, tasks: _Tasks, task: Ints, gap: Ints, lasts: Ints) -> tuple[Ints, Ints]:
    """Where there is more work than day (large volumes), everything goes faster."""
    spans = np.array(world.roster.spans[number], dtype=np.int64).reshape(-1, 3)
    room = np.bincount(spans[:, 0], weights=spans[:, 2] - spans[:, 1], minlength=len(world.people))
    load = np.bincount(tasks.person, weights=lasts, minlength=len(world.people))
    factor: Floats = np.where(load > 0.8 * room, 0.8 * np.maximum(room, HOUR) / np.maximum(load, 1), 1.0)
    own = tasks.kind >= 0
    shorter = np.where(own, lasts * np.minimum(factor[tasks.person], 1.0), lasts).astype(np.int64)
    return (gap * np.minimum(factor[tasks.person[task]], 1.0)).astype(np.int64), shorter


def _one_after_another(person: Ints, wish: Ints, lasts: Ints) -> Ints:
    """Begin of each item: when wished, or when the same person's item before is done. Items sorted by (person, wish)."""
    head = np.searchsorted(person, person)
    done = np.cumsum(lasts) - lasts
    done -= done[head]  # work before this item, same person
    _, rank = np.unique(person, return_inverse=True)
    far = 400 * DAY  # keeps one person's running maximum out of the next one's
    return np.maximum.accumulate(wish - done + rank * far) - rank * far + done


def _details(
    world: World,
    number: int,
    tasks: _Tasks,
    task: Ints,
    step: Ints,
    subject: Ints,
    count: Ints,
    ref: pl.Series,
    rng: np.random.Generator,
) -> dict[str, Any]:
    town, size = world.town, step.size
    somebody = subject != NOBODY
    safe = np.maximum(subject, 0)
    mask = pl.Series(somebody)
    purposes = pl.Series([k.purpose or None for k in KINDS], dtype=pl.String).gather(pl.Series(tasks.kind[task]))
    here = _seconds(world, number)
    ledger = np.array(
        sorted({p for p, _, _ in world.roster.spans[number]} & set(world.holders(number, disaster=True))),
        dtype=np.int64,
    )
    ids = pl.Series([person.id for person in world.people])
    second = pl.Series([None] * size, dtype=pl.String)
    if here.size:
        second = ids.gather(pl.Series(_other(here, tasks.person[task], rng)))
    if ledger.size:
        names = pl.Series([person.disaster_account for person in world.people]).gather(
            pl.Series(_other(ledger, tasks.person[task], rng))
        )
        second = names.zip_with(pl.Series(_SYSTEM[tasks.kind[task]] == 1), second)
    payee = pl.Series(900_000 + town.household[safe] * 13 % 1_000_003).cast(pl.String)
    void = pl.Series([None], dtype=pl.String)
    return {
        "op": _OPS.gather(pl.Series(step)),
        "query": _QUERY.gather(pl.Series(step)),
        "subj": pl.Series(town.raw[safe]).zip_with(mask, pl.Series([None], dtype=pl.Int64)),
        "home": pl.Series(500_000 + town.household[safe]).zip_with(mask, pl.Series([None], dtype=pl.Int64)),
        "area": world.areas.gather(pl.Series(town.area[safe])).zip_with(mask, void),
        "count": pl.Series(count),
        "basis": ref.gather(pl.Series(task)),
        "purpose": purposes,
        "law": pl.Series(["T42", "T43"]).gather(pl.Series(rng.integers(0, 2, size))).zip_with(pl.Series(_INQUIRY[step]), void),
        "approver": second.zip_with(pl.Series(_SECOND[step]), void),
        "amount": pl.Series(rng.integers(30, 190, size) * 1000).zip_with(pl.Series(_MONEY[step]), pl.Series([None], dtype=pl.Int64)),
        "payee": payee.zip_with(pl.Series(_MONEY[step]), void),
        "ack": pl.Series(rng.integers(1500, 9000, size)).zip_with(
            pl.Series(town.protected[safe] & somebody), pl.Series([None], dtype=pl.Int64)
        ),
    }  # fmt: skip


def _sessions(
    world: World,
    number: int,
    tasks: _Tasks,
    begin: Ints,
    end: Ints,
    busy: dict[int, list[tuple[int, int]]],
    rng: np.random.Generator,
) -> tuple[list[str], list[str], list[str], pl.DataFrame]:
    """Cut each person's day into sessions: people log off, or forget and are cut off.

    Returns:
        Session, device and address of every work item, and the rows of log-ons, failures and log-offs.
    """
    size = tasks.person.size
    system = np.where(tasks.kind >= 0, _SYSTEM[np.maximum(tasks.kind, 0)], 0)
    system[tasks.kind < 0] = _usual(world, number, tasks.person[tasks.kind < 0])
    limit = np.array([TIMEOUT_MS[name] for name in SYSTEMS])[system]
    tidy = np.array([person.tidy for person in world.people])[tasks.person]
    gap = begin - np.concatenate(([0], end[:-1]))
    fresh = np.concatenate(([True], tasks.person[1:] != tasks.person[:-1]))
    luck = rng.random(size)
    cut = fresh | (gap > limit) | ((gap > 6 * MINUTE) & (luck < tidy * 0.5))
    for who, stretches in busy.items():
        for first, _ in stretches:
            after = np.flatnonzero((tasks.person == who) & (begin >= first))
            if after.size:
                cut[after[0]] = True
    head = np.flatnonzero(cut)
    tail = np.concatenate((head[1:] - 1, [size - 1]))
    number_of = np.cumsum(cut) - 1
    clock = f"{world.when.day(number):%m%d}"
    names = [f"{'WD'[system[h]]}-{clock}{place + 1:05d}" for place, h in enumerate(head)]
    places = {int(p): world.device(int(p), number) for p in np.unique(tasks.person)}
    frames = _doors_of_systems(world, number, tasks, begin, end, head, tail, system, luck, names, places, rng)
    device = [places[int(p)][0] for p in tasks.person]
    ip = [places[int(p)][1] for p in tasks.person]
    return [names[n] for n in number_of], device, ip, frames


def _usual(world: World, number: int, person: Ints) -> Ints:
    """System that people work in: 0 welfare, 1 disaster."""
    posts = [world.post(int(p), number) for p in person]
    return np.array([0 if post is not None and post.dept == "seikatsu" else 1 for post in posts], dtype=np.int64)


def _doors_of_systems(
    world: World, number: int, tasks: _Tasks, begin: Ints, end: Ints, head: Ints, tail: Ints, system: Ints, luck: Floats,
    names: list[str], places: dict[int, tuple[str, str]], rng: np.random.Generator,
) -> pl.DataFrame:  # fmt: skip
    """Log-on, wrong passwords before it, and log-off or time-out of every session."""
    base = world.when.at(number)
    rows: list[dict[str, Any]] = []
    monday = 2.0 if world.when.day(number).weekday() == 0 else 1.0
    slips, waits, ends = rng.random((3, head.size))
    for place, (first, last) in enumerate(zip(head.tolist(), tail.tolist(), strict=True)):
        who = world.people[int(tasks.person[first])]
        name = SYSTEMS[int(system[first])]
        device, ip = places[who.number]
        log_on = base + int(begin[first]) - 6_000 - int(waits[place] * 16_000)
        common: dict[str, Any] = {"system": name, "device": device, "ip": ip, "session": names[place]}
        common |= {"actor": who.id, "src": "auth-card", "method": "card+password", "card": who.card} if name == "welfare" else {
            "actor": who.disaster_account, "src": "disaster-ops", "method": "password",
        }  # fmt: skip
        entry = {**common, "act": "logon", "out": "ok", "op": "DS001" if name == "disaster" else None}
        for miss in range(1 + int(slips[place] < who.clumsy * 0.25) if slips[place] < who.clumsy * monday else 0):
            rows.append(
                {
                    **entry,
                    "t": log_on - 9_000 * (miss + 1),
                    "out": "failure",
                    "reason": "パスワード相違",
                    "session": None,
                }
            )
        rows.append({**entry, "t": log_on})
        following = int(head[place + 1]) if place + 1 < head.size else -1
        same = following >= 0 and tasks.person[following] == tasks.person[first]
        room = int(begin[following] - end[last]) - 40_000 if same else TIMEOUT_MS[name] * 2
        leaves = luck[last] < who.tidy or room < TIMEOUT_MS[name]
        pause = min(int(2_000 + ends[place] * 45_000), max(room, 500)) if leaves else TIMEOUT_MS[name]
        word, op = ("logoff", "DS099") if leaves else ("timeout", "DS098")
        rows.append(
            {
                **common,
                "t": base + int(end[last]) + pause,
                "act": word,
                "out": "ok",
                "op": op if name == "disaster" else None,
                "method": None,
            }
        )
    return frame(rows)


def _place(
    world: World, number: int, tasks: _Tasks, rows: _Rows, session: list[str], device: list[str], ip: list[str]
) -> pl.DataFrame:
    """Rows in `record.SCHEMA`."""
    person = tasks.person[rows.task]
    at = pl.Series(rows.task)
    disaster = pl.Series(_SYSTEM[tasks.kind[rows.task]] == 1)
    ids = pl.Series([p.id for p in world.people]).gather(pl.Series(person))
    names = pl.Series([p.disaster_account for p in world.people]).gather(pl.Series(person))
    return complete(
        {
            **rows.columns,
            "t": world.when.at(number) + rows.t,
            "src": pl.Series(["disaster-ops"]).zip_with(disaster, pl.Series(["welfare-ops"])),
            "system": pl.Series(["disaster"]).zip_with(disaster, pl.Series(["welfare"])),
            "actor": names.zip_with(disaster, ids),
            "out": "ok",
            "session": pl.Series(session).gather(at),
            "device": pl.Series(device).gather(at),
            "ip": pl.Series(ip).gather(at),
        },
        rows.t.size,
    )
