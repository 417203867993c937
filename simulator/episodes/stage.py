"""How an episode is put on stage: who, when, whose data, through which screens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from simulator.agent import Fault
from simulator.declaration import moment, wareki
from simulator.episodes.plan import Episode, NoChance, Plan, Row
from simulator.population import AREAS, NOBODY, OFFICES, Ints
from simulator.record import OPS
from simulator.rhythm import HOUR, MINUTE
from simulator.tasks import Act


class Desk:
    """A sitting at a screen: every `do` is one row, time passes by itself.

    Attributes:
        rows: Rows with `t` in ms since the sitting began.
        clock: ms since the sitting began.
    """

    def __init__(self, stage: Stage, actor: int) -> None:
        self._stage = stage
        self._actor = actor
        self.rows: list[Row] = []
        self.clock = 0

    def do(self, op: str, citizen: int = NOBODY, *, gap: float = 25.0, mark: bool = True, **more: Any) -> Desk:
        """Use a function; then `gap` seconds on average pass. `mark=False`: the row is no part of the episode."""
        world, town = self._stage.world, self._stage.world.town
        system = OPS[op].system
        row: Row = {
            "t": self.clock, "src": f"{system}-ops", "system": system, "op": op, "out": "ok", "actor": world.account(self._actor, system), "count": 1,
        }  # fmt: skip
        if citizen != NOBODY:
            row |= {
                "subj": world.raw(citizen),
                "home": 500_000 + int(town.household[citizen]),
                "area": AREAS[int(town.area[citizen])],
            }
            # The welfare system warns before every protected record; the ledger does not know of them.
            if town.protected[citizen] and system == "welfare" and "ack" not in more:
                row["ack"] = int(self._stage.rng.integers(1800, 6000))
        row |= more
        if mark:
            row["ep"] = self._stage.episode.number
        self.rows.append(row)
        self.wait(gap)
        return self

    def each(self, op: str, citizens: Iterable[int], **more: Any) -> Desk:
        """Use a function on one citizen after another."""
        for citizen in citizens:
            self.do(op, int(citizen), **more)
        return self

    def wait(self, seconds: float) -> None:
        """Let time pass, a little more or less than said."""
        self.clock += int(seconds * 1000 * float(np.exp(self._stage.rng.normal(0, 0.25)))) + 350


Script = Callable[[Desk], object]


class Stage:
    """What a shape works with."""

    def __init__(self, planned: Plan, episode: Episode, rng: np.random.Generator) -> None:
        self.plan = planned
        self.episode = episode
        self.rng = rng
        self.world = planned.world
        self.when = planned.world.when

    # Who

    def star(self, person: int, system: str = "") -> int:
        """Make somebody the episode's actor, by his account in the system."""
        self.plan.used[person] += 1
        self.episode.actor = self.world.account(person, system)
        self.episode.person = self.world.people[person].id
        return person

    def anyone(self, candidates: Iterable[int]) -> int:
        """One of the candidates who has acted least so far."""
        listed = sorted(set(candidates))
        if not listed:
            raise NoChance
        least = min(self.plan.used[p] for p in listed)
        fresh = [p for p in listed if self.plan.used[p] == least]
        return fresh[int(self.rng.integers(0, len(fresh)))]

    def clerk(self, role: str = "", dept: str = "", *, disaster: bool | None = None, stays: bool = True) -> int:
        """Somebody with such a post at the start, as a rule one who keeps it through the period."""
        found = self.world.holders(0, role, dept, disaster)
        people = self.world.people
        return self.anyone(
            p for p in found if not stays or (people[p].post == people[p].next_post and people[p].end_day is None)
        )

    def caseworker(self) -> int:
        """A caseworker."""
        return self.clerk("caseworker", "seikatsu")

    def ledger_user(self) -> int:
        """Somebody with an account in the disaster ledger, no manager."""
        return self.anyone(set(self.world.holders(0, "officer", disaster=True)) & set(self._stayers()))

    def _stayers(self) -> list[int]:
        return [p.number for p in self.world.people if p.post == p.next_post and p.end_day is None]

    # When

    def days(self, person: int, first: int = 0, last: int | None = None, *, calm: bool | None = None) -> list[int]:
        """Whole days on which the person is at work; `calm`: outside the emergency, or (False) in it."""
        until = self.when.days - 1 if last is None else min(last, self.when.days - 1)
        half = self.world.roster.half.get(person, set())
        found = [d for d in range(max(first, 0), until + 1) if d not in half and self.world.roster.works(person, d)]
        return [d for d in found if calm is None or self.when.shaking(d) is not calm]

    def day(self, person: int, first: int = 0, last: int | None = None, *, calm: bool | None = None) -> int:
        """One such day."""
        return self.choice(self.days(person, first, last, calm=calm))

    def choice(self, options: Sequence[int]) -> int:
        """One of them."""
        if not options:
            raise NoChance
        return int(options[int(self.rng.integers(0, len(options)))])

    def some(self, options: Sequence[int], count: int) -> list[int]:
        """So many of them (or all), in order."""
        if not options:
            raise NoChance
        picked = self.rng.choice(len(options), size=min(count, len(options)), replace=False)
        return [int(options[i]) for i in sorted(picked.tolist())]

    # Whose data

    def fresh(self, pool: Ints | Sequence[int], count: int = 1) -> list[int]:
        """Citizens of a pool that no other episode touches."""
        candidates = np.asarray(pool, dtype=np.int64)
        left = candidates[~np.isin(candidates, np.fromiter(self.plan.taken, dtype=np.int64))]
        if left.size < count:
            raise NoChance
        picked = [int(c) for c in self.rng.choice(left, size=count, replace=False)]
        self.plan.taken.update(picked)
        return picked

    def resident(self) -> int:
        """A resident who has nothing to do with the office this month."""
        return self.fresh(self.world.quiet_residents)[0]

    def strangers(self, person: int, count: int) -> list[int]:
        """Recipients of other sections than the person's, without any business this month."""
        post = self.world.places[self.world.people[person].post]
        seats = self.world.loads.seat[self.world.quiet_recipients]
        away = (
            self.world.quiet_recipients[seats // 7 != post.section]
            if post.section != NOBODY
            else self.world.quiet_recipients
        )
        return self.fresh(away if away.size > count + 5 else self.world.quiet_residents, count)

    def caseload(self, person: int) -> list[int]:
        """Recipients of a caseworker."""
        seat = self.world.places[self.world.people[person].post].seat
        return [int(c) for c in self.world.loads.of(seat)]

    def client(self, person: int, place: int) -> int:
        """One recipient of a caseworker; different places give different ones as far as there are so many."""
        clients = self.caseload(person)
        return self.choice([clients[place % len(clients)]] if clients else [])

    def neighbours(self, person: int, count: int) -> list[int]:
        """Residents of the person's own area, not of his household."""
        home = self.world.people[person].citizen
        town = self.world.town
        here = self.world.quiet_residents[town.area[self.world.quiet_residents] == town.area[home]]
        return self.fresh(here, count)

    def colleagues(self, person: int, count: int) -> list[int]:
        """Citizens who are staff members, not he himself."""
        found = [
            p.citizen
            for p in self.world.people
            if p.kind == "staff" and p.number != person and p.citizen != NOBODY and p.post != NOBODY
        ]
        return [found[i] for i in self.rng.choice(len(found), size=min(count, len(found)), replace=False).tolist()]

    # What happens

    def embed(self, person: int, day: int, script: Script, *, clock: float | None = None) -> None:
        """Play a script inside the person's ordinary session of that day."""
        desk = self.play(person, script)
        spans = self.world.roster.hours(person, day)
        if not spans:
            raise NoChance
        if clock is None or not any(first <= clock * HOUR <= last for first, last in spans):
            first, last = spans[int(self.rng.integers(0, len(spans)))]
            clock = (first + float(self.rng.uniform(0.15, 0.8)) * (last - first)) / HOUR
        system = OPS[str(desk.rows[0]["op"])].system if desk.rows else "welfare"

        def build(begin: int, session: str, device: str, ip: str) -> list[Row]:
            return [{"session": session, "device": device, "ip": ip, **row, "t": begin + row["t"]} for row in desk.rows]

        self.plan.acts.setdefault(day, []).append(Act(person, system, int(clock * HOUR), desk.clock + 3000, build))

    def tour(
        self,
        person: int,
        day: int,
        ops: Sequence[str],
        citizens: Sequence[int],
        *,
        clock: float | None = None,
        **columns: Any,
    ) -> None:
        """Some functions used on one citizen after another inside the person's ordinary session."""

        def script(desk: Desk) -> None:
            for citizen in citizens:
                for op in ops:
                    desk.do(op, int(citizen), **columns)

        self.embed(person, day, script, clock=clock)

    def look(
        self, person: int, day: int, op: str, citizen: int = NOBODY, *, clock: float | None = None, **columns: Any
    ) -> None:
        """A single function used once inside the person's ordinary session."""
        self.embed(person, day, lambda desk: desk.do(op, citizen, **columns), clock=clock)

    def session(
        self, person: int, day: int, clock: float, script: Script, *, system: str = "welfare", device: tuple[str, str] | None = None,
        mark_logon: bool = True, busy: bool = True, logoff: bool = True, **logon: Any,
    ) -> tuple[int, int]:  # fmt: skip
        """Play a script in a session of its own; meanwhile the person does no ordinary work.

        Args:
            clock: Hours after midnight.
            device: Terminal and address; his own if None.
            mark_logon: Log-on and log-off are part of the episode.
            logon: Columns of the log-on row that differ (method, card, out, reason).

        Returns:
            First and last moment, UTC ms.
        """
        desk = self.play(person, script)
        begin = self.when.at(day, clock)
        where = device or self.world.device(person, day)
        self.plan.sessions += 1
        name = f"{system[0].upper()}-{self.when.day(day):%m%d}8{self.plan.sessions:04d}"
        ep = self.episode.number if mark_logon else None
        rows = [self._logon(person, system, begin, name, where, ep, **logon)]
        rows += [
            {"session": name, "device": where[0], "ip": where[1], **row, "t": begin + 8_000 + row["t"]}
            for row in desk.rows
        ]
        end = begin + 8_000 + desk.clock + 9_000
        if logoff:
            rows.append(
                {
                    **self._logon(person, system, end, name, where, ep),
                    "act": "logoff",
                    "op": "DS099" if system == "disaster" else None,
                }
            )
        for row in rows:
            self.row(day, **row)
        if busy:
            self.busy(person, day, clock * HOUR - 2 * MINUTE, clock * HOUR + end - begin + 3 * MINUTE)
        return begin, end

    def _logon(
        self, person: int, system: str, t: int, name: str, where: tuple[str, str], ep: int | None, **more: Any
    ) -> Row:
        row: Row = {
            "t": t, "src": "auth-card" if system == "welfare" else "disaster-ops", "system": system, "actor": self.world.account(person, system),
            "act": "logon", "out": "ok", "session": name, "device": where[0], "ip": where[1], "ep": ep,
        }  # fmt: skip
        if system == "welfare":
            row |= {"method": "card+password", "card": self.world.people[person].card}
        else:
            row |= {"method": "password", "op": "DS001"}
        return {**row, **more}

    def play(self, person: int, script: Script) -> Desk:
        """Run a script and see what it does."""
        desk = Desk(self, person)
        script(desk)
        return desk

    def busy(self, person: int, day: int, first: float, last: float) -> None:
        """No ordinary work of a person between two moments (ms after midnight)."""
        self.plan.busy.setdefault(day, {}).setdefault(person, []).append((int(first), int(last)))

    def row(self, day: int, **columns: Any) -> None:
        """One row as it is, on a day."""
        self.plan.rows.setdefault(day, []).append(columns)

    def mine(self, day: int, **columns: Any) -> None:
        """One row that belongs to the episode."""
        self.row(day, ep=self.episode.number, **columns)

    def register(self, table: str, **columns: Any) -> None:
        """One row of a register, as text."""
        self.plan.registers.setdefault(table, []).append(columns)

    def basis(
        self,
        kind: str,
        citizens: Iterable[int],
        day: int,
        *,
        opened: float = -0.5,
        closed: float = 5.0,
        dept: str = "seikatsu",
    ) -> str:
        """Enter a recorded reason; returns its number. Days count from 08:00 of `day`."""
        number = len(self.plan.registers.get("bases", ())) + 1
        ref = f"{ {'application': 'SEI', 'visit': 'HOM', 'phone': 'TEL', 'case': 'CAS'}.get(kind, 'KIR') }{self.when.day(day):%y%m%d}9{number:04d}"
        begin, end = self.when.at(day, 8) + int(opened * 24 * HOUR), self.when.at(day, 8) + int(closed * 24 * HOUR)
        for citizen in citizens:
            self.register(
                "bases",
                basis_ref=ref,
                kind=kind,
                subject_id=self.world.raw(citizen),
                opened=moment(begin),
                closed=moment(end),
                dept=dept,
                valid_from=moment(begin),
            )
        return ref

    def date(self, day: int) -> str:
        """A day as registers write it."""
        return wareki(self.when.day(day))

    def id(self, person: int) -> str:
        """`actor_id` of a person."""
        return self.world.people[person].id

    def other_office(self, office: str) -> str:
        """An office that is not this one."""
        return OFFICES[1] if office == OFFICES[0] else OFFICES[0]

    def fault(self, where: str, kind: str, day: int, first: float, last: float) -> None:
        """Disturb the evidence between two clock times of a day."""
        self.episode.actor = self.episode.person = where
        self.plan.faults.append(
            Fault(where, kind, self.when.at(day, first), self.when.at(day, last), self.episode.number)
        )
