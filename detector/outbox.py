"""What the workers of a process publish, and how each learns that all that a step brought forth has arrived."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from contract.sealed import Record
from service.publish import Publisher


@dataclass(slots=True, eq=False)
class Effects:
    """What a step sent, until all of it has arrived.

    Attributes:
        next: Input offset behind the step.
        waiting: Records that are not known to have arrived.
    """

    next: int
    waiting: int = 0


class Outbox:
    """Publishes for all workers of a process, and tells each what has arrived. Bounded as the publisher is."""

    def __init__(self, publisher: Publisher, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.publisher = publisher
        self._now_ms = now_ms
        self._order: deque[tuple[Effects, int]] = deque()

    def send(self, effects: Effects, records: Sequence[Record]) -> None:
        """Send what a step brought forth.

        Kafka's time of a record is that of sending: by the time of the events, retention would delete at once what a
        re-run says of a year ago.
        """
        effects.waiting = len(records)
        if records:
            now_ms = self._now_ms()
            self._order.append((effects, len(records)))
            for record in records:
                self.publisher.send(replace(record, timestamp_ms=now_ms))

    def poll(self, timeout_s: float = 0.0) -> None:
        """Go on with sending, and note what arrived."""
        self._arrived(len(self.publisher.poll(timeout_s)))

    def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, then end."""
        self._arrived(len(self.publisher.close(timeout_s)))

    @property
    def is_empty(self) -> bool:
        """Whether all that was sent has arrived."""
        return not self._order

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be worked out for now."""
        return self.publisher.room() <= 0

    def _arrived(self, count: int) -> None:
        while count:
            effects, left = self._order[0]
            now = min(count, left)
            effects.waiting -= now
            count -= now
            if now == left:
                self._order.popleft()
            else:
                self._order[0] = effects, left - now
