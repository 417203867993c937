"""When people work: office days, holidays, leave, overtime, lunch, and shifts round the clock after an earthquake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from simulator.population import NOBODY, Person, Post

ZONE: Final = ZoneInfo("Asia/Tokyo")
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
OPENING: Final = 8 * HOUR + 30 * MINUTE
NOON: Final = 12 * HOUR
AFTERNOON: Final = 13 * HOUR
CLOSING: Final = 17 * HOUR + 15 * MINUTE


@dataclass(frozen=True)
class Calendar:
    """The period simulated.

    Attributes:
        start, days: First day and number of days.
        zero: First moment of the first day, UTC ms. Tokyo keeps no summer time, so day n starts at zero + n days.
        off: Whether each day is a day off.
        quake: First and last moment of the emergency (UTC ms), and
        change: the day on which people change posts (1 April where the period has one).
        pay: Days on which assistance is paid.
    """

    start: date
    days: int
    zero: int
    off: tuple[bool, ...]
    quake: tuple[int, int]
    change: int
    pay: tuple[int, ...]

    def day(self, number: int) -> date:
        """Date of a day by number."""
        return self.start + timedelta(days=number)

    def at(self, number: int, clock: float = 0.0) -> int:
        """UTC ms of a day by number at so many hours after midnight."""
        return self.zero + number * DAY + round(clock * HOUR)

    def number(self, moment: int) -> int:
        """Day that a moment falls on."""
        return (moment - self.zero) // DAY

    def shaking(self, number: int) -> bool:
        """Whether the emergency touches this day."""
        return self.quake[0] < self.at(number + 1) and self.at(number) < self.quake[1]

    def working(self, first: int = 0, last: int | None = None) -> list[int]:
        """Ordinary office days between two days, both included."""
        return [
            d for d in range(max(0, first), self.days if last is None else min(last + 1, self.days)) if not self.off[d]
        ]


def calendar(start: date, days: int) -> Calendar:
    """Lay out the period. The earthquake comes on day 12 at 03:40, earlier in a short period."""
    national = holidays.country_holidays("JP", years=range(start.year, start.year + days // 365 + 2))
    dates = [start + timedelta(days=n) for n in range(days)]
    off = tuple(d.weekday() >= 5 or d in national for d in dates)
    zero = round(datetime(start.year, start.month, start.day, tzinfo=ZONE).timestamp() * 1000)
    struck = min(12, max(1, days * 2 // 5))
    calm = min(struck + 10, max(struck + 1, days * 22 // 30))
    firsts = [n for n, d in enumerate(dates) if d.day == 1 and d.month == 4] or [
        n for n, d in enumerate(dates) if d.day == 1 and n
    ]
    change = firsts[0] if firsts else max(1, days * 3 // 4)
    # The first office day of a month, and the supplementary runs of the 10th and 25th.
    pay = {
        n
        for n, d in enumerate(dates)
        if not off[n] and (d.day in (3, 10, 25) or (d.day in (4, 5, 11, 26) and n and off[n - 1]))
    }
    return Calendar(
        start, days, zero, off, (zero + struck * DAY + 220 * MINUTE, zero + calm * DAY), change, tuple(sorted(pay))
    )


@dataclass(frozen=True)
class Absence:
    """A stretch of leave or overtime of one person, UTC ms."""

    person: int
    kind: str
    first: int
    last: int
    note: str


@dataclass
class Roster:
    """Who works when.

    Attributes:
        spans: For each day, (person, from, to) in ms after midnight, one row per unbroken stretch of work.
        presence: Leave and overtime as the office decided them.
        leave, half: Days of leave by person, whole days and half ones.
    """

    spans: list[list[tuple[int, int, int]]]
    presence: list[Absence]
    leave: dict[int, set[int]]
    half: dict[int, set[int]]

    def hours(self, person: int, day: int) -> list[tuple[int, int]]:
        """Stretches of work of a person on a day, ms after midnight."""
        return [(first, last) for who, first, last in self.spans[day] if who == person]

    def works(self, person: int, day: int) -> bool:
        """Whether the person is at work on that day at all."""
        return 0 <= day < len(self.spans) and any(p == person for p, _, _ in self.spans[day])


def post_of(person: Person, places: list[Post], day: int, change: int) -> Post | None:
    """The post that a person holds on a day, if any."""
    number = person.post if day < change else person.next_post
    return places[number] if number != NOBODY else None


def roster(rng: np.random.Generator, when: Calendar, people: list[Person], places: list[Post]) -> Roster:
    """Draw the working hours of everybody for the whole period."""
    plan = Roster([[] for _ in range(when.days)], [], {}, {})
    for person in people:
        if person.kind != "staff" or person.away:
            continue
        leave = {int(d) for d in np.flatnonzero(rng.random(when.days) < 0.045)}
        half = {int(d) for d in np.flatnonzero(rng.random(when.days) < 0.025)} - leave
        plan.leave[person.number], plan.half[person.number] = leave, half
        for day in range(when.days):
            post = post_of(person, places, day, when.change)
            if post is None or not (person.start_day <= day) or (person.end_day is not None and day > person.end_day):
                continue
            if post.disaster and when.shaking(day):
                plan.spans[day] += _shift(rng, when, person, day)
            elif not when.off[day]:
                plan.spans[day] += _office_day(rng, when, person, post, day, day in leave, day in half, plan.presence)
            elif post.dept == "seikatsu" and rng.random() < 0.015:
                plan.spans[day] += _weekend(rng, when, person, day, plan.presence)
    for spans in plan.spans:
        spans.sort()
    return plan


def _office_day(
    rng: np.random.Generator,
    when: Calendar,
    person: Person,
    post: Post,
    day: int,
    leave: bool,
    half: bool,
    notes: list[Absence],
) -> list[tuple[int, int, int]]:
    here = person.number
    begin = max(OPENING + person.start_ms + int(rng.normal(0, 4) * MINUTE), 7 * HOUR + 50 * MINUTE)
    end = CLOSING + int(abs(rng.normal(0, 8)) * MINUTE)
    late = rng.random()
    if leave:
        notes.append(Absence(here, "leave", when.at(day), when.at(day + 1) - 1, "年休"))
        return []
    lunch = int(rng.normal(0, 5) * MINUTE)
    morning, afternoon = (here, begin, NOON + lunch), (here, AFTERNOON + lunch, end)
    if half:
        if rng.random() < 0.5:
            notes.append(Absence(here, "leave", when.at(day, 8.5), when.at(day, 12) - 1, "半日休(午前)"))
            return [(here, max(AFTERNOON + lunch, NOON + 45 * MINUTE), end)]
        notes.append(Absence(here, "leave", when.at(day, 13), when.at(day, 17.25), "半日休(午後)"))
        return [(here, begin, NOON - 5 * MINUTE)]
    if late < person.overtime * (1.6 if post.role == "payment" else 1.0):
        until = CLOSING + int(rng.uniform(60, 240) * MINUTE)
        notes.append(
            Absence(here, "overtime", when.at(day, 17.25), when.at(day) + until + 20 * MINUTE, "時間外勤務命令")
        )
        return [morning, (here, AFTERNOON + lunch, until)]
    return [morning, afternoon]


def _weekend(
    rng: np.random.Generator, when: Calendar, person: Person, day: int, notes: list[Absence]
) -> list[tuple[int, int, int]]:
    begin = 9 * HOUR + int(rng.uniform(0, 60) * MINUTE)
    end = begin + int(rng.uniform(2, 5) * HOUR)
    notes.append(
        Absence(
            person.number,
            "overtime",
            when.at(day) + begin - 30 * MINUTE,
            when.at(day) + end + 30 * MINUTE,
            "休日勤務命令",
        )
    )
    return [(person.number, begin, end)]


def _shift(rng: np.random.Generator, when: Calendar, person: Person, day: int) -> list[tuple[int, int, int]]:
    """Three groups: day, night until midnight and the rest of it, rest. Nobody works before the earthquake itself."""
    here, turn = person.number, (person.number + day) % 3
    earliest = (
        max(0, when.quake[0] - when.at(day)) + int(rng.uniform(25, 140) * MINUTE) if when.at(day) < when.quake[0] else 0
    )
    spans = {
        0: [(8 * HOUR + 10 * MINUTE, 13 * HOUR), (14 * HOUR, 20 * HOUR + 15 * MINUTE)],
        1: [(20 * HOUR, 24 * HOUR - 20 * MINUTE)],
        2: [(10 * MINUTE, 4 * HOUR), (4 * HOUR + 40 * MINUTE, 8 * HOUR + 25 * MINUTE)],
    }[turn]
    if earliest and turn == 1:
        spans = [(9 * HOUR, 15 * HOUR)]
    shifted = [(max(a + int(rng.normal(0, 6) * MINUTE), earliest, 0), b) for a, b in spans]
    return [(here, a, b) for a, b in shifted if b - a > 20 * MINUTE]
