"""What a Sigma correlation asks: which plain rules, of whom, within what time, how many."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from detector import sigma

CONDITIONS: Final = ("event_count", "value_count", "temporal", "temporal_ordered")
# Between the values of several group-by fields; no text of a log holds it.
SEPARATOR: Final = "\x1f"
SUBJECT: Final = "subject.token"


@dataclass(frozen=True, slots=True)
class Base:
    """A plain rule that is correlated: its name in the file, and its condition."""

    name: str
    where: sigma.Tree


@dataclass(frozen=True, slots=True)
class Correlation:
    """How hits of plain rules are put together.

    Attributes:
        kind: One of `CONDITIONS`.
        bases: The plain rules; for `temporal_ordered` in the order in which they must happen.
        group_by: Fields (or aliases) whose values must be the same.
        timespan_ms: Length of the trailing window (t − timespan, t].
        operator, count: What the number of events or of distinct values or rules must be.
        field: Whose distinct values are counted (`value_count`).
        aliases: (alias, ((base, field), …)): a group-by that is another field in each base.
    """

    kind: str
    bases: tuple[Base, ...]
    group_by: tuple[str, ...]
    timespan_ms: int
    operator: str
    count: int | float
    field: str | None = None
    aliases: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @property
    def stage(self) -> int:
        """1 if all events of a group are of one actor and so in one place; else 2 (design §9)."""
        return 1 if "actor.id" in self.group_by else 2

    def fields_of(self, group: str) -> tuple[str, ...]:
        """Columns behind a group-by."""
        return next((tuple(name for _, name in pairs) for alias, pairs in self.aliases if alias == group), (group,))

    def field_in(self, group: str, base: str) -> str:
        """The column behind a group-by in the events of one base."""
        aliases = {alias: dict(pairs) for alias, pairs in self.aliases}
        return aliases.get(group, {}).get(base, group)

    def tells_subject(self, base: str) -> bool:
        """Whether an event's subject stands in its group or value, and so need not be kept beside them."""
        return self.field == SUBJECT or SUBJECT in (self.field_in(group, base) for group in self.group_by)

    def subject_of(self, base: str, group: str, value: str | None, subject: str | None) -> str | None:
        """The token of the person whom a candidate was about, if there is one."""
        keys = [self.field_in(name, base) for name in self.group_by]
        if SUBJECT in keys:
            return group.split(SEPARATOR)[keys.index(SUBJECT)]
        return value if self.field == SUBJECT else subject

    @property
    def reach_ms(self) -> int:
        """For how long a candidate can matter. Which events an ordered one lists depends on the chains before them."""
        return 2 * self.timespan_ms if self.kind == "temporal_ordered" else self.timespan_ms

    @property
    def least(self) -> int:
        """No smaller number can meet the condition."""
        match self.operator:
            case "gte" | "eq":
                return ceil(self.count)
            case "gt":
                return floor(self.count) + 1
            case _:
                return 0

    def holds(self, number: int) -> bool:
        """Whether the condition holds for a number."""
        match self.operator:
            case "lt":
                return number < self.count
            case "lte":
                return number <= self.count
            case "gt":
                return number > self.count
            case "gte":
                return number >= self.count
            case "neq":
                return number != self.count
            case _:
                return number == self.count
