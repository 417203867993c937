"""What decides besides the events, and from when on: registers, rules, model, baseline, thresholds.

All of it is versioned. A change takes effect at a moment of event time, so that the same events always give the same
findings, whenever and wherever they are worked through: events are enriched and matched with what was in effect at their
time, units are judged with what was in effect when they closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

from detector import allowed
from detector.baseline import Baseline
from detector.model import Model
from detector.rulebook import RuleBook
from detector.step import Context
from registers.site import Site

CODE = "0.1.0"
EVER = -1  # in effect from the first event on

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Pins:
    """What decides, during one stretch of time.

    Attributes:
        context: Registers, rules, limits and thresholds.
        model: The fitted model, or None: then only rules speak.
        usual: How often each rule hits in this office.
    """

    context: Context
    model: Model | None = None
    usual: Baseline = field(default_factory=Baseline)

    @property
    def site(self) -> Site:
        """The organisation's registers."""
        return self.context.site

    @property
    def rules(self) -> RuleBook:
        """The rule book."""
        return self.context.rules

    @property
    def versions(self) -> dict[str, str]:
        """`unmapped.versions` of a finding: hashes or ids."""
        name = self.model.id if self.model else "none"
        return {
            "code": CODE,
            "rules": self.rules.version,
            "model": name,
            "calibration": name,
            "baseline": self.usual.id,
            "registers": self.site.version,
            "exceptions": allowed.NONE,
        }


@dataclass(frozen=True, slots=True)
class Schedule(Generic[P]):
    """What is in effect when.

    Attributes:
        pins: (first UTC ms in effect, what is), ascending; the first from `EVER` on.

    Raises:
        ValueError: Nothing is in effect at first, or the moments do not ascend.
    """

    pins: tuple[tuple[int, P], ...]

    def __post_init__(self) -> None:
        moments = [moment for moment, _ in self.pins]
        if not moments or moments[0] != EVER or any(a >= b for a, b in pairwise(moments)):
            raise ValueError(f"what is pinned must begin at {EVER} and ascend in time, not {moments}")

    def at(self, time: int) -> P:
        """What is in effect at a moment (UTC ms)."""
        return next(pins for moment, pins in reversed(self.pins) if moment <= max(time, EVER))

    def stretches(self, after: int, upto: int) -> list[tuple[int, int, P]]:
        """The stretch (after, upto] of UTC ms, cut where something else takes effect: (after, upto, what is in effect)."""
        out = []
        for place, (moment, pins) in enumerate(self.pins):
            end = self.pins[place + 1][0] - 1 if place + 1 < len(self.pins) else upto
            low, high = max(after, moment - 1), min(upto, end)
            if low < high:
                out.append((low, high, pins))
        return out
