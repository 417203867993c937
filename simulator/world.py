"""The whole office before its month begins: town, people, calendar, roster, and look-ups in array form."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from simulator.population import (
    AREAS,
    NOBODY,
    Bools,
    Caseloads,
    Citizens,
    Ints,
    Person,
    Post,
    caseloads,
    citizens,
    employ,
    posts,
)
from simulator.rhythm import Calendar, Roster, calendar, post_of, roster


@dataclass
class World:
    """Everything that stays the same through the month.

    Attributes:
        seed: Seed of the run; every day and stream draws from a generator of its own, see `generator`.
        open_recipients, open_residents, damaged, quiet_residents, quiet_recipients: Pools of citizens by index.
        loads, open_loads: Caseloads, whole and without the quiet.
        areas: Names of areas by index, as a series to gather from.
    """

    seed: int
    town: Citizens
    places: list[Post]
    people: list[Person]
    when: Calendar
    roster: Roster
    loads: Caseloads
    open_loads: Caseloads
    open_recipients: Ints
    open_residents: Ints
    damaged: Ints
    quiet_residents: Ints
    quiet_recipients: Ints
    areas: pl.Series
    ids: dict[str, pl.Series] = field(default_factory=dict)

    def generator(self, stream: int, day: int = 0) -> np.random.Generator:
        """Generator of one stream on one day, so that no stream disturbs another."""
        return np.random.default_rng([self.seed, stream, day])

    def post(self, person: int, day: int) -> Post | None:
        """Post that a person holds on a day."""
        return post_of(self.people[person], self.places, day, self.when.change)

    def device(self, person: int, day: int) -> tuple[str, str]:
        """Terminal and address a person works at: his post's, else one of the information section's."""
        post = self.post(person, day) or self.places[-1]
        return post.device, post.ip

    def account(self, person: int, system: str) -> str:
        """Account of a person in a system."""
        who = self.people[person]
        return who.disaster_account if system == "disaster" else who.id

    def raw(self, citizen: int) -> int:
        """Raw subject id of a citizen."""
        return int(self.town.raw[citizen])

    def holders(self, day: int, role: str = "", dept: str = "", disaster: bool | None = None) -> list[int]:
        """People who hold such a post on that day, in order of number."""
        found = []
        for person in self.people:
            post = self.post(person.number, day) if person.kind == "staff" else None
            if post is None or not (person.start_day <= day) or (person.end_day is not None and day > person.end_day):
                continue
            if (role in ("", post.role)) and (dept in ("", post.dept)) and (disaster in (None, post.disaster)):
                found.append(person.number)
        return found


def build(seed: int, start: date, days: int, staff: int) -> World:
    """Draw the office for a seed."""
    rng = np.random.default_rng([seed, 0])
    town = citizens(rng, max(12_000, min(1_000_000, staff * 750)))
    when = calendar(start, days)
    places = posts(staff)
    people = employ(rng, places, town, when.change)
    returner = [
        p for p in people if p.kind == "staff" and p.post == NOBODY and p.next_post == NOBODY and p.end_day is None
    ]
    for person in returner:
        person.away = set(range(days))
    loads = caseloads(town, places)
    mine = np.array(sorted({c for p in people if p.citizen != NOBODY for c in town.members(p.citizen)}), dtype=np.int64)
    known = np.zeros(town.raw.size, dtype=np.bool_)
    known[mine] = True
    plain = ~town.welfare & ~known & ~town.protected & ~town.vip
    hit = (town.household * 2_654_435_761 % 97) < 22  # scattered over the town, the same households for every stream
    return World(
        seed, town, places, people, when, roster(rng, when, people, places), loads, loads.only(~town.quiet),
        open_recipients=_pool(town.welfare & ~town.quiet & ~town.protected),
        open_residents=_pool(plain & ~town.quiet),
        # Staff live in the town: a colleague's home is damaged like any other.
        damaged=_pool(hit & ~town.quiet & ~town.protected),
        quiet_residents=_pool(plain & town.quiet),
        quiet_recipients=_pool(town.welfare & town.quiet & ~town.protected & ~town.vip),
        areas=pl.Series("area", AREAS),
    )  # fmt: skip


def _pool(chosen: Bools) -> Ints:
    found = np.flatnonzero(chosen).astype(np.int64)
    return found if found.size else np.zeros(1, dtype=np.int64)
