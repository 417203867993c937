"""Which positions may go into the checkpoint: those before which everything has been acknowledged.

A tick is one turn of the agent: some lines read, the records made of them, and the positions after them. Kafka
acknowledges records in the order of sending, but the positions of a tick count only when all of its records and all
earlier ticks have arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from contract.sealed import Record

Positions = TypeVar("Positions")


@dataclass(slots=True)
class _Tick(Generic[Positions]):
    waiting: int
    positions: Positions | None


class Ticks(Generic[Positions]):
    """The ticks under way, oldest first. Positions are opaque here."""

    def __init__(self) -> None:
        self._ticks: deque[_Tick[Positions]] = deque()
        self._of: dict[int, _Tick[Positions]] = {}

    def __len__(self) -> int:
        return len(self._ticks)

    def add(self, records: Iterable[Record], positions: Positions | None) -> None:
        """A turn is over: its records were handed to the publisher (none, if no line became one).

        Args:
            records: Waited for.
            positions: After the turn; None: not to be written down, but later ones wait for these records all the same.
        """
        sent = list(records)
        tick = _Tick(len(sent), positions)
        self._ticks.append(tick)
        self._of |= dict.fromkeys(map(id, sent), tick)

    def arrived(self, records: Iterable[Record]) -> Positions | None:
        """Records were acknowledged.

        Args:
            records: The very objects that were added; others are none of our business.

        Returns:
            The newest positions that may go into the checkpoint, if they are newer than those returned before.
        """
        for record in records:
            tick = self._of.pop(id(record), None)
            if tick is not None:
                tick.waiting -= 1
        newest = None
        while self._ticks and not self._ticks[0].waiting:
            newest = self._ticks.popleft().positions or newest
        return newest
