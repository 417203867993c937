"""The list of all shapes that misuse and its look-alikes take, and the plan of what happens when.

A shape is a function of a `Stage`. It may act inside somebody's ordinary session (`embed`), open a session of its own
(`session`), write single rows (`mine`), or disturb the evidence (`fault`). Rows it marks are the truth of the episode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simulator.agent import Fault
from simulator.tasks import Act
from simulator.world import World

if TYPE_CHECKING:
    from simulator.episodes.stage import Stage

Row = dict[str, Any]


class NoChance(Exception):
    """The period or the office offers no occasion for this shape; it is left out."""


@dataclass
class Episode:
    """One entry of the truth.

    Attributes:
        number: Place in the plan, marks its rows.
        actor: Account as the main system logs it; agent or source where nobody acts.
        person: `actor_id` of the person in staff.csv, or the same as `actor`.
        quiet: A look-alike that must stay quiet.
    """

    number: int
    id: str
    scenario: int
    shape: str
    difficulty: str
    quiet: bool
    actor: str = ""
    person: str = ""


@dataclass(frozen=True)
class Shape:
    """A way in which a scenario shows itself."""

    scenario: int
    name: str
    difficulty: str
    quiet: bool
    act: Callable[[Stage], None]


SHAPES: Final[list[Shape]] = []


def shape(
    scenario: int, difficulty: str = "medium", *, quiet: bool = False
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Enter a function into the list of shapes under its own name."""

    def enter(act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        SHAPES.append(Shape(scenario, act.__name__, difficulty, quiet, act))
        return act

    return enter


@dataclass
class Plan:
    """Everything the episodes want: done in ordinary sessions, written as rows, entered in registers, gone wrong."""

    world: World
    episodes: list[Episode] = field(default_factory=list)
    acts: dict[int, list[Act]] = field(default_factory=dict)
    rows: dict[int, list[Row]] = field(default_factory=dict)
    registers: dict[str, list[Row]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    busy: dict[int, dict[int, list[tuple[int, int]]]] = field(default_factory=dict)
    used: Counter[int] = field(default_factory=Counter)
    taken: set[int] = field(default_factory=set)
    sessions: int = 0

    def rows_of(self, day: int) -> list[Row]:
        """Rows that the episodes write on a day themselves."""
        return self.rows.get(day, [])


def plan(world: World, misuse: float) -> Plan:
    """Plan every shape, `misuse` times a shape and 30 days on average."""
    from simulator.episodes import access, evidence, money, outflow, relation, rights, seat, vendor, volume  # noqa: F401
    from simulator.episodes.stage import Stage

    planned = Plan(world)
    # Sorted, because the order of imports must not choose what happens.
    for place, each in enumerate(sorted(SHAPES, key=lambda each: (each.scenario, each.quiet, each.name))):
        rng = world.generator(50, place)
        expected = misuse * world.when.days / 30
        times = int(expected) + int(rng.random() < expected % 1)
        for _ in range(times):
            number = len(planned.episodes)
            kind = "L" if each.quiet else "E"
            episode = Episode(number, f"{kind}{number + 1:04d}", each.scenario, each.name, each.difficulty, each.quiet)
            planned.episodes.append(episode)
            try:
                each.act(Stage(planned, episode, rng))
            except NoChance:
                continue
    return planned
