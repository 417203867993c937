"""One agent: which of its numbers are missing, whether its heartbeats count right, and whether it is silent.

Rows are folded minute by minute, and what is said at a minute depends on nothing later. An agent numbers lines as it
receives them, but a number may stand at a later minute than the ones behind it (the clock of its source runs ahead), or
at an earlier one (the clock of the host was set back). A hole is therefore told only when heartbeats behind it have come
and the lines before it have stopped coming.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from detector.witness.boot import KEPT, Boot, Round
from detector.witness.incident import Incident, Limits
from detector.witness.numbers import Run, around, behind
from detector.witness.pulse import Pulse
from detector.witness.summary import TICK_MS

# A clock that is set back by less than this was adjusted by its time server.
CLOCK_BACK_MS: Final = 60_000
# Minutes by which clocks of sources may run ahead of their agent's: what is allowed at first, and what can be learned.
AHEAD: Final = 5
MOST_AHEAD: Final = 60
# How long an agent that is not heard of is remembered, in minutes, and how many of its boots.
REMEMBERED: Final = 366 * 24 * 60
MOST_BOOTS: Final = 100
MOST_SHOWN: Final = 20

Named = tuple[str, Run]


class Minute(NamedTuple):
    """What came of one minute, each with the name of its boot: runs of numbers, declared doubts, and rounds."""

    numbers: list[Named]
    doubts: list[Named]
    rounds: list[tuple[str, Round]]


def end_of(tick: int) -> int:
    """Last UTC ms of a minute."""
    return (tick + 1) * TICK_MS - 1


@dataclass(slots=True)
class Agent:
    """What is remembered of one agent.

    Attributes:
        name: `agent.id`.
        boots: By name.
        current: The boot that beat last.
        pulse: Its heartbeats.
        ahead: Minutes by which its sources' clocks run ahead, as learned.
        tick: Newest minute.
    """

    name: str
    boots: dict[str, Boot] = field(default_factory=dict)
    current: str | None = None
    pulse: Pulse = field(default_factory=Pulse)
    ahead: int = AHEAD
    tick: int = -1

    def pack(self) -> bytes:
        """The agent at rest: JSON."""
        boots = {name: boot.pack() for name, boot in sorted(self.boots.items())}
        parts = [self.name, boots, self.current, self.pulse.pack(), self.ahead, self.tick]
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Agent:
        """The inverse of `pack`."""
        name, boots, current, pulse, ahead, tick = json.loads(packed)
        known = {boot: Boot.unpack(parts) for boot, parts in boots.items()}
        return cls(name, known, current, Pulse.unpack(pulse), ahead, tick)

    def due(self, heartbeat_s: int) -> int | None:
        """The minute at which something is to be said if nothing comes; None if nothing is."""
        times = [boot.grace_tick(*hole) for boot in self.boots.values() if len(boot.sure) > 1 for hole in boot.holes()]
        overdue = self.pulse.overdue(heartbeat_s)
        return min([*times, overdue // TICK_MS] if overdue is not None else times, default=None)

    def lapse(self, tick: int, limits: Limits) -> list[Incident]:
        """Say what is due at the end of a minute, later than those before."""
        missing, now = self._missing(tick), end_of(tick)
        return [*missing, *self._compare(now), *self.pulse.lapse(self.name, now, limits.heartbeat_s)]

    def fold(self, tick: int, came: Minute, limits: Limits) -> list[Incident]:
        """Take what came of a minute, later than those before, and say what is due at its end."""
        if self._goes_on(tick, came, limits):
            return []
        out = self._forget(tick)
        # Looked at before the numbers are joined: a heartbeat that comes again is known by its number.
        rounds = self._unseen(came.rounds)
        self._learn(tick, came.numbers)
        out += self._join(tick, came, end_of(tick))
        tops: dict[str, int] = {}
        for name, one in rounds:
            tops[name] = max(tops.get(name, -1), one.lo)
        for name, top in tops.items():
            self.boots[name].beats = [*self.boots[name].beats[-1:], (tick, top)]
        if rounds:
            self.current = max(rounds, key=_moment)[0]
        out += self._hear(rounds, limits)
        self.tick = tick
        return [*out, *self.lapse(tick, limits)]

    def fold_late(self, came: Minute, limits: Limits) -> list[Incident]:
        """Take what came of minutes that are decided already; says what changes by it."""
        rounds = self._unseen(came.rounds)
        tick = max((run.tick_hi for _, run in (*came.numbers, *came.doubts)), default=0)
        out, now = self._join(tick, came, end_of(tick)), end_of(tick)
        self.tick = max(self.tick, tick)
        return [*out, *self._hear(rounds, limits), *self._compare(now)]

    def _goes_on(self, tick: int, came: Minute, limits: Limits) -> bool:
        """Take a minute in which all is as it was: the next numbers, and one round in time; False if anything else is.

        Only a shortcut: nearly all minutes are such, and there are half a million in a month of twelve agents.
        """
        if len(came.numbers) != 1 or len(came.rounds) != 1 or came.doubts or tick - self.tick > KEPT:
            return False
        (name, run), (_, one), pulse = came.numbers[0], came.rounds[0], self.pulse
        boot = self.boots.get(name)
        if boot is None or name != self.current or boot.told or any(len(each.sure) > 1 for each in self.boots.values()):
            return False
        [whole], last = boot.sure, boot.rounds[-1]
        goes_on = boot.seen == boot.sure and run.lo == whole.hi + 1
        compared = last.settled and one.n in (None, one.lo - last.hi - 1)
        if not goes_on or not compared or not pulse.goes_on(one.time, one.stopping, end_of(tick), limits.heartbeat_s):
            return False
        both = whole._replace(hi=run.hi, t_hi=run.t_hi, id_hi=run.id_hi, tick_hi=run.tick_hi)
        boot.seen, boot.sure, boot.tick = [both], [both], tick
        boot.rounds[-1] = one._replace(settled=True)
        boot.beats = [*boot.beats[-1:], (tick, one.lo)]
        pulse.hear(self.name, one.time, one.event, False, limits.heartbeat_s)
        self.tick = tick
        return True

    def _unseen(self, rounds: Iterable[tuple[str, Round]]) -> list[tuple[str, Round]]:
        known = {name: self.boots[name].seen for name, _ in rounds if name in self.boots}
        return [(name, one) for name, one in rounds if around(known.get(name, []), one.lo) is None]

    def _learn(self, tick: int, numbers: Iterable[Named]) -> None:
        """Notice by how much lines come after heartbeats that have greater numbers."""
        for name, run in numbers:
            boot = self.boots.get(name)
            if boot is None or not boot.beats or run.lo >= boot.beats[-1][1] or around(boot.seen, run.lo) is not None:
                continue
            right = behind(boot.seen, run.lo)
            if right is not None:
                self.ahead = min(max(self.ahead, tick - right.tick_lo), MOST_AHEAD)

    def _join(self, tick: int, came: Minute, now: int) -> list[Incident]:
        parts: dict[str, tuple[list[Run], list[Run]]] = {}
        for name, run in came.numbers:
            parts.setdefault(name, ([], []))[0].append(run)
        for name, run in came.doubts:
            parts.setdefault(name, ([], []))[1].append(run)
        for name, (numbers, doubts) in parts.items():
            self.boots.setdefault(name, Boot()).take(numbers, doubts, tick)
        return [said for name in parts for said in self.boots[name].filled(now)]

    def _hear(self, rounds: Sequence[tuple[str, Round]], limits: Limits) -> list[Incident]:
        out = []
        for name, one in sorted(rounds, key=_moment):
            self.boots[name].put(one)
            # One that comes late and is older than the newest tells nothing of silence.
            if self.pulse.beat is None or one.time >= self.pulse.beat[0]:
                out += self.pulse.hear(self.name, one.time, one.event, one.stopping, limits.heartbeat_s)
        return out

    def _missing(self, tick: int) -> list[Incident]:
        """Tell the holes that are due, those of one boot together."""
        return [
            self._say(boot, holes, tick)
            for boot in self.boots.values()
            if len(boot.sure) > 1
            if (holes := [hole for hole in boot.holes() if self._is_due(boot, *hole, tick)])
        ]

    def _is_due(self, boot: Boot, left: Run, right: Run, tick: int) -> bool:
        if tick >= boot.grace_tick(left, right):
            return True
        edge = max(left.tick_hi, right.tick_lo)
        if tick - edge < self.ahead:
            return False
        if len(boot.beats) == 2 and all(top >= right.lo for _, top in boot.beats):
            return True
        newer = self.boots.get(self.current or "")
        return newer is not None and newer is not boot and len(newer.beats) == 2 and newer.beats[0][0] >= edge

    def _say(self, boot: Boot, holes: list[tuple[Run, Run]], tick: int) -> Incident:
        # Numbers follow receipt, times follow occurrence: the line behind a hole may be the older one.
        times = [at for left, right in holes for at in (left.t_hi, right.t_lo)]
        beside = list(dict.fromkeys(event for left, right in holes for event in (left.id_hi, right.id_lo)))
        shown = beside if len(beside) <= MOST_SHOWN else [*beside[: MOST_SHOWN - 1], beside[-1]]
        n = sum(right.lo - left.hi - 1 for left, right in holes)
        said = Incident(
            "sequence_gap",
            self.name,
            end_of(tick),
            min(times),
            max(times),
            tuple(shown),
            float(n),
            0.0,
            beside=shown[0],
        )
        boot.tell(tick, holes, said)
        return said

    def _compare(self, now: int) -> list[Incident]:
        """Compare rounds with those before them: the clock of the host, and the count that they declare."""
        out = []
        for boot in self.boots.values():
            if len(boot.rounds) < 2:
                continue
            for before, after in boot.pairs():
                out += self._jump(before, after, now)
                whole = around(boot.seen, before.hi)
                # Where numbers are missing that is told already.
                between = after.lo - before.hi - 1
                if after.n is not None and after.n != between and whole is not None and whole.hi >= after.lo:
                    out.append(self._of_rounds("count_mismatch", before, after, now, float(between), float(after.n)))
        return out

    def _jump(self, before: Round, after: Round, now: int) -> list[Incident]:
        back = before.time - after.time
        if back <= CLOCK_BACK_MS:
            return []
        if self.pulse.beat is not None and self.pulse.beat[0] == before.time:
            self.pulse.pardon = back
        return [self._of_rounds("clock_set_back", before, after, now, back / 1000, 0.0)]

    def _of_rounds(self, check: str, before: Round, after: Round, now: int, observed: float, usual: float) -> Incident:
        start, end = min(before.time, after.time), max(before.time, after.time)
        related = (before.event, after.event)
        return Incident(check, self.name, max(now, end), start, end, related, observed, usual, beside=before.event)

    def _forget(self, tick: int) -> list[Incident]:
        """Drop what can no longer matter; what a dropped boot still waits for is told."""
        if self.tick < tick - REMEMBERED:
            self.boots, self.current, self.pulse, self.ahead = {}, None, Pulse(), AHEAD
        out = []
        others = sorted((boot.tick, name) for name, boot in self.boots.items() if name != self.current)
        for at, (newest, name) in enumerate(others):
            if newest < tick - KEPT or at < len(self.boots) - MOST_BOOTS:
                boot = self.boots.pop(name)
                if boot.holes():
                    out.append(self._say(boot, boot.holes(), tick))
        for boot in self.boots.values():
            boot.forget(tick)
        return out


def _moment(named: tuple[str, Round]) -> tuple[int, int, str]:
    name, one = named
    return one.time, one.lo, name
