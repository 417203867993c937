"""One window of a correlation, candidate by candidate: what it holds, and what is counted in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detector.correlation import Correlation

# Events of an ordered correlation that a hit lists at most: the newest. Windows of months stay small that way.
MOST_SHOWN: Final = 20


class Item(NamedTuple):
    """A candidate inside a window."""

    time: int
    event: str
    base: str
    value: str | None
    actor: str | None
    subject: str | None = None


@dataclass(slots=True)
class Window:
    """What is remembered of one group.

    Attributes:
        items: The candidates of the trailing window.
        seen: How often each distinct value (`value_count`) or base (`temporal`) stands in the window.
        starts: For `temporal_ordered`, by length: the latest time at which a chain of so many bases, in order and
            ended before `moment`, began; −1 if there is none.
        moment: Time of the newest candidates.
        newest: Event ids of the candidates of that moment, by base.
        held: Whether the condition held at the newest candidate.
    """

    items: list[Item] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    moment: int = -1
    newest: dict[str, list[str]] = field(default_factory=dict)
    held: bool = False

    def told(self, group: str, correlation: Correlation) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
        """All event ids and distinct actors, in order, and the tokens of whom the events were about, sorted."""
        events = tuple(dict.fromkeys(item.event for item in self.items))
        actors = tuple(dict.fromkeys(item.actor for item in self.items if item.actor is not None))
        about = {correlation.subject_of(item.base, group, item.value, item.subject) for item in self.items}
        return events, actors, sorted(token for token in about if token)

    def pack(self) -> str:
        """The window at rest, as JSON: as objects they take four times the memory."""
        parts = [self.items, self.seen, self.starts, self.moment, self.newest, self.held]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def unpack(cls, packed: str) -> Window:
        """The inverse of `pack`."""
        items, *rest = json.loads(packed)
        return cls([Item(*item) for item in items], *rest)


def moved(window: Window | None, item: Item, correlation: Correlation) -> tuple[Window, int | None]:
    """Move a group's window, if it has one, to a candidate; also returns what is counted, None where no chain has begun."""
    # Where nothing is left of a window, whether it was forgotten in between must not matter.
    if window is None or (window.items and window.items[-1].time + correlation.timespan_ms <= item.time):
        window = Window()
    if correlation.kind == "temporal_ordered" and not _begun(window, item, correlation):
        _note(window, item)
        return window, None
    _push(window, item, correlation)
    return window, _number(window, correlation)


def _begun(window: Window, item: Item, correlation: Correlation) -> bool:
    """Whether a chain is under way, or begins here. What comes before its first event need not be kept."""
    first = correlation.bases[0].name
    latest = window.moment if first in window.newest else max(window.starts, default=-1)
    return item.base == first or latest > max(item.time - correlation.timespan_ms, -1) or correlation.holds(0)


def _note(window: Window, item: Item) -> None:
    """Keep only what a first event of the same moment could still need."""
    if item.time != window.moment:
        window.items.clear()
        window.seen.clear()
        window.starts, window.moment, window.newest = [], item.time, {}
    window.newest.setdefault(item.base, []).append(item.event)


def _push(window: Window, item: Item, correlation: Correlation) -> None:
    window.items.append(item)
    edge = item.time - correlation.timespan_ms
    old = next(place for place, kept in enumerate(window.items) if kept.time > edge)
    if correlation.kind in ("value_count", "temporal"):
        by_value = correlation.kind == "value_count"
        counted = item.value if by_value else item.base
        if counted is not None:
            window.seen[counted] = window.seen.get(counted, 0) + 1
        for kept in window.items[:old]:
            gone = kept.value if by_value else kept.base
            if gone is not None:
                window.seen[gone] -= 1
                if not window.seen[gone]:
                    del window.seen[gone]
    elif correlation.kind == "temporal_ordered":
        # Chains are followed in `starts`; the items only say which events to show.
        old = max(old, len(window.items) - MOST_SHOWN)
    del window.items[:old]


def _number(window: Window, correlation: Correlation) -> int:
    match correlation.kind:
        case "event_count":
            return len(window.items)
        case "value_count" | "temporal":
            return len(window.seen)
        case _:
            return _in_order(window, window.items[-1], correlation)


def _in_order(window: Window, item: Item, correlation: Correlation) -> int:
    """How many of the bases happened one after the other inside the window, from the first on.

    Each is an event of its own. Events of one moment count in either order: the clock does not tell which came first.
    Only the latest start of a chain of each length is kept, so the work per candidate does not grow with the window.
    """
    bases = [base.name for base in correlation.bases]
    if item.time != window.moment:
        window.starts = _longest(window, bases)
        window.moment, window.newest = item.time, {}
    window.newest.setdefault(item.base, []).append(item.event)
    edge = item.time - correlation.timespan_ms
    return sum(start > max(edge, -1) for start in _longest(window, bases))


def _longest(window: Window, bases: list[str]) -> list[int]:
    """Latest starts by length of chain, with the candidates of the newest moment taken in."""
    before = window.starts or [-1] * len(bases)
    # (start, events of this moment used so far): what chains of the length before can be continued from.
    options: list[tuple[int, frozenset[str]]] = [(window.moment, frozenset())]
    out = []
    for base, start in zip(bases, before, strict=True):
        longer: dict[int, frozenset[str]] = {}
        for begun, used in options:
            event = next((event for event in window.newest.get(base, ()) if event not in used), None)
            if event is not None:
                longer.setdefault(begun, used | {event})
        if start >= 0:
            # Complete before this moment, such a chain leaves all events of the moment to the bases that follow.
            longer[start] = frozenset()
        options = list(longer.items())
        out.append(max(longer, default=-1))
    return out
