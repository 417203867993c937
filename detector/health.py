"""Whether the detector does what it is for, and whether it is ready to."""

from __future__ import annotations

from dataclasses import dataclass

from service import health
from service.health import vital


@dataclass(frozen=True, slots=True)
class Pulse(health.Pulse):
    """What the main loop says of itself after each turn.

    Attributes:
        unacknowledged_s: Age of the oldest record that was sent and not acknowledged.
        waited_for: What is not there yet, one line each: the group's assignment, partitions being recovered.
    """

    unacknowledged_s: float = 0.0
    waited_for: tuple[str, ...] = ()


def problems(pulse: Pulse | None, away_after_s: float, now_s: float) -> tuple[str, ...]:
    """What is not well, one line each, in a fixed order; empty: all is.

    Args:
        pulse: The last one; `None` before the first.
        away_after_s: Age of the oldest unacknowledged record from which Kafka counts as away.
        now_s: By the clock of the pulse.
    """
    if pulse is None:
        return ("starting: no turn was made yet",)
    found = list(vital(pulse, now_s))
    if pulse.unacknowledged_s > away_after_s:
        found.append(f"kafka: no acknowledgement for {pulse.unacknowledged_s:.0f} s (away_after_s {away_after_s:g})")
    return tuple(found)


def unready(pulse: Pulse | None) -> tuple[str, ...]:
    """Why the detector does not work on all that is its own, one line each; empty: it does."""
    if pulse is None:
        return ("starting: no turn was made yet",)
    return ("stopping",) if pulse.stopping else pulse.waited_for
