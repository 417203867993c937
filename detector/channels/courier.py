"""One channel's notices on their way: tried in order, tried again while the target is away, set aside when it will not have them.

No Kafka and no thread in here: records come in, offsets that may be committed and notices that were set aside go out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from contract import notice
from contract.notice import NoticeError
from detector.channels.channel import Channel, LaterError, Notice, RefusedError

Outcome = Literal["delivered", "later", "refused"]
Parked = Literal["refused", "too_old", "unreadable"]

MOST_HELD: Final = 500


class Arrived(NamedTuple):
    """One record of the topic of notices."""

    partition: int
    offset: int
    timestamp_ms: int
    value: bytes


class Aside(NamedTuple):
    """A notice that this channel gave up: its record, a word for the metric, and what is wrong."""

    record: Arrived
    reason: Parked
    detail: str


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Attributes:
        first_s, most_s: Between two attempts: doubled from the one to the other.
        refusals: A notice that is refused so often is set aside.
        hours: A notice that is as old as this and still cannot be delivered is set aside.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    refusals: int = 3
    hours: float = 24.0


@dataclass(slots=True)
class Tally:
    """What a channel did since it began.

    Attributes:
        delivered: Notices that are done with, those included that it has nothing to tell of.
        attempts: Calls of the channel, by what came of them.
        parked: Notices set aside, by reason.
    """

    delivered: int = 0
    attempts: dict[Outcome, int] = field(default_factory=lambda: {"delivered": 0, "later": 0, "refused": 0})
    parked: dict[Parked, int] = field(default_factory=lambda: {"refused": 0, "too_old": 0, "unreadable": 0})


class _Held(NamedTuple):
    record: Arrived
    notice: Notice | None
    problem: str


class Courier:
    """See the head of the module.

    Args:
        channel: Where notices go.
        put_aside: Keeps a notice that was given up where people find it; false: not yet, it is called again.
        patience: How long to try.
        now_ms: UTC milliseconds.
        clock: Seconds, never back.

    Attributes:
        tally: What was done.
        trouble: What keeps the oldest notice from its target, in one line; empty: nothing.
    """

    def __init__(
        self,
        channel: Channel,
        put_aside: Callable[[Aside], bool],
        patience: Patience,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self.tally = Tally()
        self.trouble = ""
        self._channel = channel
        self._put_aside = put_aside
        self._patience = patience
        self._now_ms = now_ms
        self._clock = clock
        self._held: deque[_Held] = deque()
        self._done: dict[int, int] = {}
        self._refusals = 0
        self._wait_s = patience.first_s
        self._next_s = clock()

    @property
    def room(self) -> int:
        """How many more records can be taken; 0: none before some are done."""
        return max(0, MOST_HELD - len(self._held))

    @property
    def waiting(self) -> int:
        """Records in hand."""
        return len(self._held)

    @property
    def oldest_s(self) -> float:
        """Age of the oldest record in hand by Kafka's time; 0 if there is none."""
        return max(0.0, (self._now_ms() - self._held[0].record.timestamp_ms) / 1000) if self._held else 0.0

    def take(self, arrived: Iterable[Arrived]) -> None:
        """Take records, in the order of their partitions."""
        for record in arrived:
            try:
                self._held.append(_Held(record, notice.from_json(record.value), ""))
            except NoticeError as error:
                self._held.append(_Held(record, None, str(error)))

    def drop(self) -> None:
        """Forget what is in hand: it will be read again, here or elsewhere."""
        self._held.clear()
        self._done.clear()
        self._refusals = 0

    def done(self) -> dict[int, int]:
        """By partition: the offset to go on from, everything before which is done; given out once."""
        done, self._done = self._done, {}
        return done

    def turn(self) -> bool:
        """Try once, if it is time. Returns whether something went forward, so that another turn is worth while."""
        if self._clock() < self._next_s:
            return False
        try:
            self._channel.turn()
        except LaterError as error:
            self._postpone(str(error), error.wait_s)
            return False
        except RefusedError as error:
            self.trouble = str(error)  # something told again: it is said, and what is new goes on
        if not self._held:
            self.trouble = self._channel.trouble
            return False
        if self._held[0].notice is None:
            return self._aside("unreadable", self._held[0].problem)
        return self._deliver()

    def _deliver(self) -> bool:
        readable = []
        for held in self._held:
            if held.notice is None:
                break
            readable.append(held.notice)
        try:
            number = self._channel.deliver(readable)
        except LaterError as error:
            self.tally.attempts["later"] += 1
            if self.oldest_s >= self._patience.hours * 3600:
                return self._aside("too_old", str(error))
            self._postpone(str(error), error.wait_s)
            return False
        except RefusedError as error:
            self.tally.attempts["refused"] += 1
            self._refusals += 1
            if self._refusals >= self._patience.refusals:
                return self._aside("refused", str(error))
            self._postpone(str(error))
            return False
        self.tally.attempts["delivered"] += number > 0
        self.trouble = self._channel.trouble
        self._wait_s = self._patience.first_s
        self._finish(number)
        return number > 0

    def _aside(self, reason: Parked, detail: str) -> bool:
        if not self._put_aside(Aside(self._held[0].record, reason, detail)):
            self._postpone(
                f"{detail}; and it cannot be set aside: check that the topic of dead letters can be written to"
            )
            return False
        self.tally.parked[reason] += 1
        self.trouble = detail
        self._finish(1, delivered=False)
        return True

    def _finish(self, number: int, delivered: bool = True) -> None:
        for _ in range(number):
            record = self._held.popleft().record
            self._done[record.partition] = record.offset + 1
        if number:
            self._refusals = 0
        self.tally.delivered += number if delivered else 0

    def _postpone(self, trouble: str, asked_s: float = 0.0) -> None:
        self.trouble = trouble
        self._next_s = self._clock() + max(self._wait_s, asked_s)
        self._wait_s = min(self._wait_s * 2, self._patience.most_s)
