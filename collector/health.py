"""Whether the agent does what it is for: what it reads, what Kafka takes, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service import health
from service.health import vital


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still well.

    Attributes:
        silent_after_s: By place in the configuration, see `Config.silent_after_s`.
        away_after_s: Age of the oldest unacknowledged record from which Kafka counts as away.
    """

    silent_after_s: Mapping[str, int]
    away_after_s: float


@dataclass(frozen=True, slots=True)
class Pulse(health.Pulse):
    """What the main loop says of itself after each turn.

    Attributes:
        read_at_s: By place in the configuration: when something new was last read, at first when the agent started.
        unacknowledged_since_s: When the oldest record in flight was sent; `None` if none is.
    """

    read_at_s: Mapping[str, float] = field(default_factory=dict)
    unacknowledged_since_s: float | None = None


def problems(pulse: Pulse | None, limits: Limits, now_s: float) -> tuple[str, ...]:
    """What is not well, one line each, in a fixed order; empty: all is.

    Args:
        pulse: The last one; `None` before the first.
        limits: What is still well.
        now_s: By the clock of the pulse.
    """
    if pulse is None:
        return ("starting: nothing was read yet",)
    found = list(vital(pulse, now_s))
    if pulse.unacknowledged_since_s is not None:
        waited_s = now_s - pulse.unacknowledged_since_s
        if waited_s > limits.away_after_s:
            found.append(f"kafka: no acknowledgement for {waited_s:.0f} s (away_after_s {limits.away_after_s:g})")
    for place, after_s in limits.silent_after_s.items():
        silent_s = now_s - pulse.read_at_s.get(place, now_s)
        if silent_s > after_s:
            found.append(
                f"{place}: silent for {silent_s:.0f} s (silent_after_s {after_s}): see whether the system logs"
            )
    return tuple(found)


class Health(health.Health[Pulse]):
    """The agent's.

    Args:
        limits: What is still well.
        clock: Monotonic seconds, the clock of the pulses.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.limits = limits  # replaced as a whole, so a reader needs no lock
        super().__init__(lambda pulse, now_s: problems(pulse, self.limits, now_s), clock)
