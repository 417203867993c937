"""How much one turn reads: a piece as such has a price, and what becomes of it has to fit into memory.

What parsing and sealing hold goes by the bytes of the sealed events, about five times these, and how many they are goes
by the source: a short line with many columns grows fivefold, a JSON line twofold. So that is learnt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Beyond it a larger piece spares little more, and the processor's cache holds less of it.
MOST_BYTES: Final = 4 << 20
# Of sealed events that come of one turn.
SEALED_BYTES: Final = 10 << 20
# How many times its size a line takes up as a sealed event, where nothing is known of its source.
UNKNOWN_GROWTH: Final = 5.0
# Of fewer bytes nothing is learnt.
_ENOUGH_BYTES: Final = 64 << 10
# How fast a source that grows less is believed. One that grows more is at once.
_BELIEF: Final = 0.25


class Portion:
    """What is known of the sources' growth, and what follows from it.

    Args:
        sources: Ids of all that may be read. Until each was seen, and always where one is still to be recognised, what is
            read may be of one that grows as if it were unknown.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._growth = dict.fromkeys(sources, UNKNOWN_GROWTH)
        self._read: list[tuple[str, int, int]] = []

    @property
    def growth(self) -> float:
        """Bytes of sealed events for a byte that is read, of the source that grows most."""
        return max(self._growth.values(), default=UNKNOWN_GROWTH)

    def most_bytes(self, in_flight_bytes: int) -> int:
        """Bytes to read in one turn.

        Args:
            in_flight_bytes: What may be sent and not acknowledged. A turn fills three quarters of it at most.
        """
        return min(MOST_BYTES, int(min(SEALED_BYTES, in_flight_bytes * 3 // 4) / self.growth))

    def read(self, source: str, size_bytes: int, events: int) -> None:
        """So many bytes of a source became so many events, which will be sealed next."""
        self._read.append((source, size_bytes, events))

    def sealed(self, size_bytes: int) -> None:
        """The events that were read since the last time, sealed, have so many bytes."""
        read, self._read = self._read, []
        events = sum(count for _, _, count in read)
        for source, read_bytes, count in read:
            if read_bytes < _ENOUGH_BYTES:
                continue
            now = size_bytes * count / events / read_bytes if events else 0.0
            before = self._growth.get(source, 0.0)
            self._growth[source] = max(now, before + (now - before) * _BELIEF)
