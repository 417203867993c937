"""One start of an agent: which of its numbers were seen, told as missing, or are waited for, and its heartbeats in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from detector.witness.incident import FILLED, Incident
from detector.witness.numbers import Run, around, join, missing
from detector.witness.summary import ROUND_MS

# A hole that no heartbeat confirms: told after so many minutes of a boot that sends none, or that fell silent.
GRACE: Final = 60
GRACE_BEATING: Final = 24 * 60
# How long what was told can still be filled, in minutes, and how many runs are kept for it.
KEPT: Final = 28 * 24 * 60
MOST_RUNS: Final = 5000


class Round(NamedTuple):
    """Heartbeats sealed together.

    Attributes:
        lo, hi: Their numbers.
        time, event: UTC ms and id of the first.
        n: The count that it declares.
        stopping: The agent says that it stops.
        settled: It has been compared with the round before it.
        done: The round behind it has been compared with it.
    """

    lo: int
    hi: int
    time: int
    event: str
    n: int | None
    stopping: bool = False
    settled: bool = False
    done: bool = False


class Told(NamedTuple):
    """Missing numbers that were told at a minute: the holes, how many are still missing, and what was said."""

    tick: int
    holes: list[list[int]]
    left: int
    said: Incident


@dataclass(slots=True)
class Boot:
    """One start of an agent.

    Attributes:
        seen: Numbers that came.
        sure: Those, and those that nothing more is said of: declared doubtful, or told as missing.
        doubts: Numbers that a later boot declared as sealed and never acknowledged.
        rounds: The newest, those not compared yet, and the ones before these.
        beats: The last two minutes in which it beat, with the greatest number of a heartbeat.
        told: What was told as missing and may still come, oldest first.
        tick: Newest minute.
    """

    seen: list[Run] = field(default_factory=list)
    sure: list[Run] = field(default_factory=list)
    doubts: list[Run] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    beats: list[tuple[int, int]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    tick: int = -1

    @property
    def beat_tick(self) -> int:
        """The last minute in which it beat; −1 if it never did."""
        return self.beats[-1][0] if self.beats else -1

    def holes(self) -> list[tuple[Run, Run]]:
        """The runs on both sides of every hole that is not told yet."""
        return list(zip(self.sure, self.sure[1:], strict=False))

    def grace_tick(self, left: Run, right: Run) -> int:
        """The minute at which a hole is told at the latest."""
        return max(left.tick_hi, right.tick_lo, self.beat_tick) + (GRACE_BEATING if self.beats else GRACE)

    def put(self, new: Round) -> None:
        """Add a round in the order of numbers."""
        at = len(self.rounds)
        while at and self.rounds[at - 1].lo > new.lo:
            at -= 1
        before = self.rounds[at - 1] if at else None
        after = self.rounds[at] if at < len(self.rounds) else None
        if before and new.lo == before.hi + 1 and abs(new.time - before.time) <= ROUND_MS:
            self.rounds[at - 1] = before._replace(hi=new.hi, time=min(before.time, new.time))
        elif after and after.lo == new.hi + 1 and abs(new.time - after.time) <= ROUND_MS:
            self.rounds[at] = new._replace(
                hi=after.hi, time=min(after.time, new.time), settled=after.settled, done=after.done
            )
        else:
            self.rounds.insert(at, new)

    def pairs(self) -> list[tuple[Round, Round]]:
        """Rounds that can be compared now, since nothing more is to come between them; forgets what is done with."""
        out, rounds = [], self.rounds
        for at in range(1, len(rounds)):
            before, after = rounds[at - 1], rounds[at]
            between = None if before.done or after.settled else around(self.sure, before.hi)
            if between is not None and between.hi >= after.lo:
                out.append((before, after))
                rounds[at - 1], rounds[at] = before._replace(done=True), after._replace(settled=True)
        last = len(rounds) - 1
        # The first of all is kept: one with smaller numbers may have a later time.
        self.rounds = [
            one
            for at, one in enumerate(rounds)
            if not (one.settled or (at and rounds[at - 1].done))
            or not (one.done or (at < last and rounds[at + 1].settled))
        ]
        return out

    def forget(self, tick: int) -> None:
        """Give up waiting for what was told long ago."""
        while self.told and (self.told[0].tick < tick - KEPT or len(self.seen) > MOST_RUNS):
            old = self.told.pop(0)
            at, event = old.said.time, old.said.beside
            for lo, hi in old.holes:
                join(self.seen, Run(lo, hi, at, at, event, event, old.tick, old.tick))

    def take(self, numbers: Iterable[Run], doubts: Iterable[Run], tick: int) -> None:
        """Add numbers that came, and declared doubts, of a minute."""
        for run in numbers:
            join(self.seen, run)
            join(self.sure, run)
        for run in doubts:
            join(self.doubts, run)
            join(self.sure, run)
        self.tick = max(self.tick, tick)

    def tell(self, tick: int, holes: list[tuple[Run, Run]], said: Incident) -> None:
        """Remember that holes were told at a minute."""
        spans = [[left.hi + 1, right.lo - 1] for left, right in holes]
        for (left, right), (lo, hi) in zip(holes, spans, strict=True):
            join(self.sure, Run(lo, hi, left.t_hi, right.t_lo, left.id_hi, right.id_lo, tick, tick))
        self.told.append(Told(tick, spans, int(said.observed or 0), said))

    def filled(self, now: int) -> list[Incident]:
        """Take back what was told as missing and came after all, by UTC ms."""
        if not self.told:
            return []
        out, waiting, found = [], [], list(self.seen)
        for run in self.doubts:
            join(found, run)
        for one in self.told:
            left = sum(missing(found, lo, hi) for lo, hi in one.holes)
            if left < one.left:
                said = one.said._replace(time=max(now, one.said.time), update=True)
                out.append(said._replace(observed=float(left)) if left else said._replace(form=FILLED))
            if left:
                waiting.append(one._replace(left=left))
        self.told = waiting
        return out

    def pack(self) -> list[Any]:
        """Plain values."""
        sure = None if self.sure == self.seen else self.sure
        return [self.seen, sure, self.doubts, self.rounds, self.beats, self.told, self.tick]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Boot:
        """The inverse of `pack`."""
        seen, sure, doubts = ([Run(*run) for run in runs or ()] for runs in packed[:3])
        told = [Told(tick, holes, left, Incident.unpack(said)) for tick, holes, left, said in packed[5]]
        return cls(
            seen, list(seen) if packed[1] is None else sure, doubts, [Round(*one) for one in packed[3]],
            [(tick, top) for tick, top in packed[4]], told, packed[6],
        )  # fmt: skip
