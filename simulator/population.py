"""Who lives in the town and who works in its office: citizens, households, posts, people, terminals.

Everything is drawn from the generator given, so the same generator gives the same town.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

AREAS: Final = tuple(f"A{number:02d}" for number in range(1, 25))
FIRST_CITIZEN: Final = 10_000_001  # raw ids run on from here, household by household, as 宛名番号 do
OFFICES: Final = ("honcho", "kita", "minami")
NETWORKS: Final = {"honcho": 11, "kita": 12, "minami": 13}
DEPARTMENTS: Final = {
    "seikatsu": "生活福祉課",
    "shimin": "市民課",
    "shiminzei": "市民税課",
    "kiki": "危機管理課",
    "chiiki": "地域福祉課",
    "kenko": "健康推進課",
    "joho": "情報政策課",
}
SHARES: Final = {
    "seikatsu": 0.31, "shimin": 0.16, "shiminzei": 0.14, "kiki": 0.08, "chiiki": 0.12, "kenko": 0.11, "joho": 0.08,
}  # fmt: skip
DISASTER_DEPARTMENTS: Final = ("kiki", "shimin", "shiminzei", "chiiki", "kenko")
CONTRACTOR: Final = "架空システムサービス㈱"
SUBCONTRACTOR: Final = "架空データ工業㈱"
STRANGER: Final = "臨時応援ソフト㈱"  # in no register of contractors
NOBODY: Final = -1


@dataclass(frozen=True)
class Citizens:
    """The people on file; arrays with one element a person, in order of raw id.

    Attributes:
        raw: Raw subject id (宛名番号).
        household: Number of the household; members stand together.
        first, size: Of each household: index of its first member, number of members.
        area: Index into `AREAS`.
        welfare: Receives public assistance (whole households).
        quiet: Has no application, visit or call in this period, so only a caseload explains an access.
        protected, vip: Marked in the register of subjects.
    """

    raw: Ints
    household: Ints
    first: Ints
    size: Ints
    area: Ints
    welfare: Bools
    quiet: Bools
    protected: Bools
    vip: Bools

    def members(self, person: int) -> list[int]:
        """Indices of everybody in the household of `person`, himself included."""
        home = int(self.household[person])
        return list(range(int(self.first[home]), int(self.first[home] + self.size[home])))

    def household_id(self, person: Ints) -> Ints:
        """Raw household ids of the persons given by index."""
        return 500_000 + self.household[person]


def citizens(rng: np.random.Generator, count: int) -> Citizens:
    """Draw about `count` people in households of one to six."""
    size = rng.choice(np.arange(1, 7), size=max(8, int(count / 2.25)), p=[0.36, 0.29, 0.17, 0.12, 0.045, 0.015])
    household = np.repeat(np.arange(size.size), size)
    people = household.size
    home_area = rng.integers(0, len(AREAS), size.size)
    # Recipients live more in some areas than in others, so that caseloads by area differ.
    poor = rng.random(size.size) < 0.02 + 0.035 * (home_area % 4 == 1)
    home_quiet = rng.random(size.size) < 0.3
    protected_home = rng.random(size.size) < np.where(poor, 0.015, 0.0008)
    vip = np.zeros(people, dtype=np.bool_)
    vip[rng.choice(people, size=min(14, people), replace=False)] = True
    return Citizens(
        raw=np.arange(people, dtype=np.int64) + FIRST_CITIZEN,
        household=household.astype(np.int64),
        first=np.concatenate(([0], np.cumsum(size)[:-1])).astype(np.int64),
        size=size.astype(np.int64),
        area=home_area[household].astype(np.int64),
        welfare=poor[household],
        quiet=home_quiet[household],
        protected=protected_home[household],
        vip=vip,
    )


@dataclass(frozen=True)
class Post:
    """A place in the office: what its holder does, where, and at which terminal."""

    number: int
    dept: str
    role: str
    office: str
    device: str
    ip: str
    seat: int  # caseload, or NOBODY
    section: int  # part of the welfare section, or NOBODY
    disaster: bool  # uses the disaster victims' ledger


@dataclass
class Person:
    """Somebody with an account. Days are counted from the first day simulated; before it they are negative."""

    number: int
    id: str
    kind: str  # staff, vendor, service
    company: str
    post: int  # before the change of posts, or NOBODY
    next_post: int  # from the change of posts on, or NOBODY
    start_day: int
    end_day: int | None
    citizen: int  # index into Citizens, or NOBODY
    card: str
    start_ms: int = 0  # personal offset to the start of work
    pace: float = 1.0
    tidy: float = 0.8  # how often he logs off himself
    clumsy: float = 0.03  # how often he mistypes
    overtime: float = 0.1
    away: set[int] = field(default_factory=set)  # days never at work in the whole period (parental leave)
    registered_until: int | None = None

    @property
    def disaster_account(self) -> str:
        """Account in the disaster ledger, which has names of its own."""
        return f"ds-{self.id[1:]}" if self.kind == "staff" else f"ds-{self.id}"

    @property
    def windows_account(self) -> str:
        """Account of the terminals' domain."""
        return f"u{self.id}"


def posts(staff: int) -> list[Post]:
    """Lay out the posts of 7 departments in 3 offices, at least 14 of them."""
    rows: list[Post] = []
    ledger = 0
    for dept, share in SHARES.items():
        size = max(2, round(staff * share))
        if dept == "joho":
            size = max(2, staff - len(rows))
        roles = _roles(dept, size)
        seat = 0
        for place, role in enumerate(roles):
            office = "honcho"
            if dept in ("shimin", "chiiki", "seikatsu") and role not in ("manager", "payment"):
                office = "kita" if place % 7 == 3 else "minami" if place % 7 == 5 else "honcho"
            number = len(rows)
            wants = dept in DISASTER_DEPARTMENTS and (dept == "kiki" or place % 5 != 4) and ledger < 92
            ledger += wants
            rows.append(
                Post(
                    number=number,
                    dept=dept,
                    role=role,
                    office=office,
                    device=f"{office[:2].upper()}{number + 1:04d}",
                    ip=f"10.{NETWORKS[office]}.{1 + number // 200}.{20 + number % 200}",
                    seat=seat if role == "caseworker" else NOBODY,
                    section=seat // 7 if role == "caseworker" else place % 4 if role == "supervisor" else NOBODY,
                    disaster=bool(wants),
                )
            )
            seat += role == "caseworker"
    return rows


def _roles(dept: str, size: int) -> list[str]:
    if dept == "seikatsu":
        fixed = ["manager", "supervisor", "reception", "payment", "payment"]
        fixed += ["supervisor"] * (size // 12) + ["reception"] * (size // 14) + ["payment"] * (size // 20)
        return (fixed + ["caseworker"] * size)[: max(size, 7)]
    if dept == "joho":
        return ["manager"] + ["admin"] * (size - 1)
    return ["manager"] + ["officer"] * (size - 1)


def employ(rng: np.random.Generator, places: list[Post], town: Citizens, change_day: int) -> list[Person]:
    """Give every post a holder; swap some, retire some, hire some at `change_day`; add vendors and services.

    Returns:
        People in a fixed order: holders of posts, new staff, people long gone or on leave, vendors, services.
    """
    homes = rng.choice(
        np.flatnonzero(~town.welfare & (town.size[town.household] > 1)), size=len(places) + 12, replace=False
    )
    people: list[Person] = []

    def add(person_id: str, kind: str, company: str, post: int, next_post: int, start: int, end: int | None) -> Person:
        number = len(people)
        home = int(homes[number]) if kind == "staff" else NOBODY
        person = Person(
            number, person_id, kind, company, post, next_post, start, end, home, f"C-{4000 + number * 7}",
            start_ms=int(rng.normal(-6, 7) * 60_000),
            pace=float(np.exp(rng.normal(0, 0.22))),
            tidy=float(rng.beta(6, 2)),
            clumsy=float(rng.beta(2, 60)),
            overtime=float(rng.beta(1.5, 9)),
        )  # fmt: skip
        people.append(person)
        return person

    for post in places:
        add(f"{100_101 + post.number * 3}", "staff", "", post.number, post.number, -int(rng.integers(400, 9000)), None)
    movers = [p.number for p in places if p.role in ("caseworker", "officer")]
    chosen = [int(x) for x in rng.permutation(movers)]
    swaps = max(1, len(places) // 40)
    caseworkers = [x for x in chosen if places[x].role == "caseworker"][:swaps]
    officers = [x for x in chosen if places[x].role == "officer"][: 2 * swaps + 1]
    for one, other in [
        *zip(caseworkers, officers, strict=False),
        *zip(officers[swaps::2], officers[swaps + 1 :: 2], strict=False),
    ]:
        people[one].next_post, people[other].next_post = people[other].post, people[one].post
    leavers = [x for x in chosen if x not in (*caseworkers, *officers)][:3]
    for number in leavers:
        people[number].end_day, people[number].next_post = change_day - 1, NOBODY
        add(f"{100_901 + number * 3}", "staff", "", NOBODY, number, change_day, None)
    for number, end in enumerate((-61, -6, -190)):
        add(f"{100_011 + number * 3}", "staff", "", NOBODY, NOBODY, -5000, end)
    for number in range(2):  # on parental leave: employed, not seen for long
        add(f"{100_041 + number * 3}", "staff", "", NOBODY, NOBODY, -4000, None)
    for company, names in ((CONTRACTOR, 6), (SUBCONTRACTOR, 3), (STRANGER, 2)):
        for number in range(names):
            short = {CONTRACTOR: "VA", SUBCONTRACTOR: "VB", STRANGER: "VC"}[company]
            add(f"{short}{number + 1:02d}", "vendor", company, NOBODY, NOBODY, -300, None)
    for service in ("svc-batch", "svc-backup", "svc-kita"):
        add(service, "service", "", NOBODY, NOBODY, -2000, None)
    return people


@dataclass(frozen=True)
class Caseloads:
    """Which welfare recipients belong to which seat; seats hold whole areas as far as possible.

    Attributes:
        order: Indices of recipients, seat by seat.
        first: First place in `order` of each seat, one more than there are seats.
        seat: Seat of each citizen, NOBODY if none.
        areas: Areas of each section.
    """

    order: Ints
    first: Ints
    seat: Ints
    areas: list[list[int]]

    def of(self, seat: int) -> Ints:
        """Citizens of one seat."""
        return self.order[self.first[seat] : self.first[seat + 1]]

    def only(self, chosen: Bools) -> Caseloads:
        """The same caseloads with the chosen citizens only."""
        order = self.order[chosen[self.order]]
        first = np.searchsorted(self.seat[order], np.arange(self.first.size)).astype(np.int64)
        return Caseloads(order, first, self.seat, self.areas)


def caseloads(town: Citizens, places: list[Post]) -> Caseloads:
    """Share out the recipients among the caseworkers' posts, by area, whole households together."""
    seats = max(1, sum(post.role == "caseworker" for post in places))
    recipients = np.flatnonzero(town.welfare)
    recipients = recipients[np.lexsort((recipients, town.area[recipients]))]
    homes, where = np.unique(town.household[recipients], return_inverse=True)
    rank = np.empty(homes.size, dtype=np.int64)
    _, appearance = np.unique(where, return_index=True)
    rank[np.argsort(appearance, kind="stable")] = np.arange(homes.size)
    seat_of = np.minimum(rank[where] * seats // max(1, homes.size), seats - 1)
    seat = np.full(town.raw.size, NOBODY, dtype=np.int64)
    seat[recipients] = seat_of
    order = recipients[np.argsort(seat_of, kind="stable")]
    first = np.searchsorted(np.sort(seat_of), np.arange(seats + 1)).astype(np.int64)
    sections = 1 + (seats - 1) // 7
    areas = [sorted({int(a) for a in town.area[recipients[seat_of // 7 == s]]}) for s in range(sections)]
    return Caseloads(order.astype(np.int64), first, seat, areas)
