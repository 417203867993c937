"""Whether an agent is silent: its heartbeats in the order of time, whatever it was started anew in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from detector.witness.incident import OPEN, TEXT, Incident
from detector.witness.summary import ROUND_MS

# The usual pace is the median of so many gaps between heartbeats.
PACE: Final = 20


@dataclass(slots=True)
class Pulse:
    """What is remembered of an agent's heartbeats.

    Attributes:
        beat: Time (UTC ms) and event of the newest.
        paces: The last gaps between them, ms.
        stopped: The newest says that the agent stops, so silence after it is none.
        pardon: ms by which the clock was set back at the newest: this time it lives through twice.
        silence: What was said of the silence that lasts.
    """

    beat: tuple[int, str] | None = None
    paces: list[int] = field(default_factory=list)
    stopped: bool = False
    pardon: int = 0
    silence: Incident | None = None

    def overdue(self, heartbeat_s: int) -> int | None:
        """UTC ms at which silence becomes one; None where it is told, or in order."""
        if self.beat is None or self.stopped or self.silence is not None:
            return None
        return self.beat[0] + self._limit(heartbeat_s) + 1

    def hear(self, who: str, time: int, event: str, stopping: bool, heartbeat_s: int) -> list[Incident]:
        """Take a heartbeat later than the newest; says how long the silence was that it ends."""
        out = []
        if self.beat is not None:
            gap = time - self.beat[0]
            if self.silence is not None or (not self.stopped and gap > self._limit(heartbeat_s)):
                before = self.silence.usual if self.silence is not None else self._usual()
                out.append(
                    Incident(
                        "heartbeat_gap", who, time, self.beat[0], time, (self.beat[1], event), gap / 1000, before,
                        TEXT, self.silence is not None, self.beat[1],
                    )
                )  # fmt: skip
            if gap > ROUND_MS and not self.stopped:
                self.paces = [*self.paces, gap][-PACE:]
        self.beat, self.stopped, self.pardon, self.silence = (time, event), stopping, 0, None
        return out

    def goes_on(self, time: int, stopping: bool, until: int, heartbeat_s: int) -> bool:
        """Whether a heartbeat at a moment, and none after it until another, is nothing to speak of."""
        if self.beat is None or self.stopped or stopping or self.silence is not None:
            return False
        return ROUND_MS < time - self.beat[0] <= heartbeat_s * 1100 and time + heartbeat_s * 1100 >= until

    def lapse(self, who: str, until: int, heartbeat_s: int) -> list[Incident]:
        """Say that nothing was heard for longer than is in order, by UTC ms (inclusive)."""
        at = self.overdue(heartbeat_s)
        if at is None or self.beat is None or at > until:
            return []
        since, event = self.beat
        self.silence = Incident(
            "heartbeat_gap", who, at, since, at, (event,), (at - 1 - since) / 1000, self._usual(), OPEN, False, event
        )
        return [self.silence]

    def _pace(self) -> int:
        ordered, middle = sorted(self.paces), len(self.paces) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2

    def _limit(self, heartbeat_s: int) -> int:
        # An agent that beats more slowly than declared is one finding of configuration, not one at every beat.
        usual = self._pace() * 5 // 2 if self.paces else 0
        return max(heartbeat_s * 1100, usual) + self.pardon

    def _usual(self) -> float | None:
        return self._pace() / 1000 if self.paces else None

    def pack(self) -> list[Any]:
        """Plain values."""
        return [self.beat, self.paces, self.stopped, self.pardon, self.silence]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Pulse:
        """The inverse of `pack`."""
        beat, paces, stopped, pardon, silence = packed
        said = Incident.unpack(silence) if silence else None
        return cls((beat[0], beat[1]) if beat else None, paces, stopped, pardon, said)
