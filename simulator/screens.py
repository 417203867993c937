"""Work items become screens, one row each, with times: nobody does two things at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from simulator.population import NOBODY, Floats, Ints
from simulator.record import complete
from simulator.rhythm import DAY, HOUR
from simulator.tasks import ACT, SYSTEM, Act, Tasks, other, seconds
from simulator.work import KINDS
from simulator.world import World

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


_MEMO: Final = np.array([step.op in ("WE130", "WE200", "DS140") for step in _STEPS])
# The last one holds twelve digits with a right check digit, as a My Number has; it is nobody's.
MEMOS: Final = (
    "電話連絡済",
    "再訪問予定",
    "㈱丸髙より照会①",
    '家主と面談、"滞納なし"とのこと',
    "本人申出 1234 5678 9018",
)


@dataclass
class Rows:
    task: Ints
    t: Ints
    columns: dict[str, Any]


def expand(
    world: World, number: int, tasks: Tasks, ref: pl.Series, acts: list[Act], rng: np.random.Generator
) -> tuple[Rows, Ints, Ints]:
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
    return Rows(task, t, columns), begin, begin + lasts


def _squeeze(world: World, number: int, tasks: Tasks, task: Ints, gap: Ints, lasts: Ints) -> tuple[Ints, Ints]:
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
    tasks: Tasks,
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
    here = seconds(world, number)
    ledger = np.array(
        sorted({p for p, _, _ in world.roster.spans[number]} & set(world.holders(number, disaster=True))),
        dtype=np.int64,
    )
    ids = pl.Series([person.id for person in world.people])
    second = pl.Series([None] * size, dtype=pl.String)
    if here.size:
        second = ids.gather(pl.Series(other(here, tasks.person[task], rng)))
    if ledger.size:
        names = pl.Series([person.disaster_account for person in world.people]).gather(
            pl.Series(other(ledger, tasks.person[task], rng))
        )
        second = names.zip_with(pl.Series(SYSTEM[tasks.kind[task]] == 1), second)
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
        "text": _memos(step, rng),
        "ack": pl.Series(rng.integers(1500, 9000, size)).zip_with(
            pl.Series(town.protected[safe] & somebody), pl.Series([None], dtype=pl.Int64)
        ),
    }  # fmt: skip


def _memos(step: Ints, rng: np.random.Generator) -> pl.Series:
    """Free text that people write; now and then with a number in it that should not be there."""
    written = (rng.random(step.size) < 0.02) & _MEMO[step]
    which = pl.Series(rng.choice(len(MEMOS), step.size, p=[0.4, 0.3, 0.15, 0.1, 0.05]))
    return pl.Series(MEMOS).gather(which).zip_with(pl.Series(written), pl.Series([None], dtype=pl.String))


def to_rows(
    world: World, number: int, tasks: Tasks, rows: Rows, session: list[str], device: list[str], ip: list[str]
) -> pl.DataFrame:
    """Rows in `record.SCHEMA`."""
    person = tasks.person[rows.task]
    at = pl.Series(rows.task)
    disaster = pl.Series(SYSTEM[tasks.kind[rows.task]] == 1)
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
