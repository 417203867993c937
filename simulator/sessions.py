"""Sessions: people log on, mistype, log off, or forget and are cut off."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from simulator.population import Floats, Ints
from simulator.record import frame
from simulator.rhythm import MINUTE
from simulator.tasks import SYSTEM, Busy, Tasks
from simulator.work import TIMEOUT_MS
from simulator.world import World

SYSTEMS: Final = ("welfare", "disaster")


def sessions(
    world: World,
    number: int,
    tasks: Tasks,
    begin: Ints,
    end: Ints,
    busy: Busy,
    rng: np.random.Generator,
) -> tuple[list[str], list[str], list[str], pl.DataFrame]:
    """Cut each person's day into sessions: people log off, or forget and are cut off.

    Returns:
        Session, device and address of every work item, and the rows of log-ons, failures and log-offs.
    """
    size = tasks.person.size
    system = np.where(tasks.kind >= 0, SYSTEM[np.maximum(tasks.kind, 0)], 0)
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
    world: World, number: int, tasks: Tasks, begin: Ints, end: Ints, head: Ints, tail: Ints, system: Ints, luck: Floats,
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
