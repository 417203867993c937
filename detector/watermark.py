"""How far event time has come: the least of what every input has reached, of those that still speak.

An input is an agent, or a source of a third party. One that was silent too long leaves by a decision of the worker,
which is recorded, and comes back with its next record. The watermark never goes back, and depends on the records and the
decisions between them alone, not on how many records are handed over at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

# How far event time moves at least.
STEP_MS: Final = 250
# What has left is remembered for whom it may interest, and forgotten beyond so many: anybody can make up a name.
MOST_AWAY: Final = 10_000


@dataclass(frozen=True, slots=True)
class Heard:
    """What one record says of one input.

    Attributes:
        input: `agent.id`, else `source:` and `source.id`, else `?`.
        newest: Its greatest `time.occurred`, and at most an hour after the record's timestamp; UTC ms. −1 in the heartbeat
            with which a start begins: it comes before what is to be read from the time that the agent was away.
        timestamp_ms: Kafka's time of the record.
        offset: Place of the record in the partition.
        beat: It holds heartbeats only.
        near: The agent read the last event soon after it occurred; of an agent that catches up this is false.
    """

    input: str
    newest: int
    timestamp_ms: int
    offset: int
    beat: bool = False
    near: bool = True


@dataclass(frozen=True, slots=True)
class Clock:
    """One input.

    Attributes:
        newest: Event time that it has reached, UTC ms; −1 while that is not known.
        heard_ms: When it was heard last: the greatest timestamp of all records up to its last one, for an agent whose clock
            is slow, or that sends what an outage held up, is not silent.
        away: It left, and holds nobody up.
        behind: It catches up: its last event was read long after it occurred.
        quiet: No event came since its last heartbeat.
    """

    newest: int
    heard_ms: int
    away: bool = False
    behind: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Clocks:
    """All inputs of a partition.

    Attributes:
        inputs: By name.
        reached: Up to where all were at once, the greatest that ever was; None before the first record.
        latest_ms: The greatest timestamp of a record.
    """

    inputs: Mapping[str, Clock] = field(default_factory=dict)
    reached: int | None = None
    latest_ms: int = -1

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        inputs = {
            name: [one.newest, one.heard_ms, one.away, one.behind, one.quiet]
            for name, one in sorted(self.inputs.items())
        }
        return {"inputs": inputs, "reached": self.reached, "latest_ms": self.latest_ms}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Clocks:
        """The reverse of `to_json`."""
        inputs = {name: Clock(*one) for name, one in value["inputs"].items()}
        return cls(inputs, value["reached"], value["latest_ms"])


def hear(clocks: Clocks, heard: Sequence[Heard]) -> Clocks:
    """Take in what records say, in their order.

    A heartbeat moves time when nobody works: it counts as an event, unless the agent is catching up, for then its older
    events are still to come. That is over when it reads events soon after they occur, or has none between two heartbeats.

    Args:
        clocks: So far.
        heard: In the order of offsets. A name that was not known joins, one that had left comes back: it may hold up the
            others from then on, but what was reached stays.
    """
    if not heard:
        return clocks
    inputs = dict(clocks.inputs)
    reached, latest_ms = clocks.reached, clocks.latest_ms
    slowest: int | None = None  # of those present; to be found anew only when it is the slowest that has moved
    for one in heard:
        latest_ms = max(latest_ms, one.timestamp_ms)
        before = inputs.get(one.input)
        inputs[one.input] = after = _told(before, one, latest_ms)
        if slowest is None or (before is not None and not before.away and before.newest <= slowest):
            slowest = _slowest(inputs.values())
        slowest = after.newest if slowest is None else min(slowest, after.newest)
        reached = _further(reached, slowest)
    return Clocks(inputs, reached, latest_ms)


def _told(before: Clock | None, heard: Heard, latest_ms: int) -> Clock:
    known = -1 if before is None else before.newest
    if not heard.beat:
        return Clock(max(known, heard.newest), latest_ms, behind=not heard.near)
    if heard.newest < 0:
        return Clock(known, latest_ms, behind=True, quiet=True)
    behind = before is not None and before.behind and not before.quiet
    return Clock(known if behind else max(known, heard.newest), latest_ms, behind=behind, quiet=True)


def silent(clocks: Clocks, now_ms: int, heartbeat_s: int) -> tuple[str, ...]:
    """Which inputs have not been heard for too long and are to leave; the decision is the caller's to record.

    Args:
        clocks: So far.
        now_ms: The wall clock once the partition was read to its end; while there is more to read, `latest_ms`: in a
            backlog everybody would seem silent.
        heartbeat_s: How long an input may be silent.

    Returns:
        Names, sorted.
    """
    since = now_ms - heartbeat_s * 1000
    return tuple(sorted(name for name, one in clocks.inputs.items() if not one.away and one.heard_ms < since))


def leave(clocks: Clocks, names: Iterable[str]) -> Clocks:
    """Let inputs leave. Of those that are away nobody is waited for: if all are, the newest event of any is reached.

    Args:
        clocks: So far.
        names: As recorded; a name that is not known is left alone.
    """
    leaving = {name for name in names if name in clocks.inputs}
    if not leaving:
        return clocks
    inputs = {name: replace(one, away=True) if name in leaving else one for name, one in clocks.inputs.items()}
    present = _slowest(inputs.values())
    least = max(one.newest for one in inputs.values()) if present is None else present
    reached = _further(clocks.reached, least)
    return Clocks(_remembered(inputs), reached, clocks.latest_ms)


def watermark(clocks: Clocks, lateness_ms: int) -> int | None:
    """UTC ms up to which (inclusive) every event is expected to have come; None before the first record.

    Args:
        clocks: So far.
        lateness_ms: How much later than a newer event of the same input an event may come.
    """
    return None if clocks.reached is None else clocks.reached - lateness_ms


def in_steps(reached: int) -> int:
    """The last moment of the last whole step (`STEP_MS`), UTC ms, of a time up to which all events came.

    Under steady load time moves a little with every record, and each move costs both stages a round of their own. What is
    judged in parts or at once is the same, so small moves are left out. Longer steps would keep findings waiting.
    """
    return (reached + 1) // STEP_MS * STEP_MS - 1


def _further(reached: int | None, slowest: int) -> int | None:
    if slowest < 0:
        return reached
    return slowest if reached is None else max(reached, slowest)


def _slowest(clocks: Iterable[Clock]) -> int | None:
    return min((one.newest for one in clocks if not one.away), default=None)


def _remembered(inputs: dict[str, Clock]) -> dict[str, Clock]:
    away = [name for name, one in inputs.items() if one.away]
    if len(away) <= MOST_AWAY:
        return inputs
    longest = sorted(away, key=lambda name: (inputs[name].heard_ms, name))[: len(away) - MOST_AWAY]
    return {name: one for name, one in inputs.items() if name not in set(longest)}
