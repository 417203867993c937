"""Messages of one port on their way from the socket to the spool: held for a moment, because parsing has a price per call.

What is held here is the only place where a message lies as it came, and it is memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

# How long a message is held at most before it is parsed, and what ends that sooner. What kill -9 loses of syslog is this.
MOMENT_S: Final = 0.2
LOT_BYTES: Final = 1 << 20
LOT_MESSAGES: Final = 10_000
# Held for one port; beyond, TCP and TLS senders wait and datagrams stay with the kernel.
HELD_BYTES: Final = 4 << 20
_OBJECT_BYTES: Final = 64  # what Python adds to a message


class Gathered:
    """Messages in order of receipt; of one event loop, which may be another thread's than the one that makes it."""

    def __init__(self) -> None:
        self._groups: deque[tuple[datetime, Sequence[bytes]]] = deque()
        self._bytes = self._messages = 0
        self._hurries = self._ended = False
        self._some, self._lot, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Whether as much is held as may be."""
        return not self._room.is_set()

    def add(self, messages: Sequence[bytes], at: datetime) -> None:
        """Take messages that were received at a time."""
        if messages:
            self._groups.append((at, messages))
            self._count(messages, 1)

    async def room(self) -> None:
        """Wait until something may be added; not any more once `hurry` was called."""
        await self._room.wait()

    def hurry(self) -> None:
        """From now on nothing waits for company, and nobody for room."""
        self._hurries = True
        self._tell()

    def end(self) -> None:
        """Nothing will be added any more."""
        self._hurries = self._ended = True
        self._tell()

    async def lot(self) -> tuple[list[bytes], datetime] | None:
        """The next messages, once there are enough or the first has waited its moment, and when that was received.

        Returns:
            None if there are none and never will be.
        """
        await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_S):
                await self._lot.wait()
        return self._taken() if self._groups else None

    def _taken(self) -> tuple[list[bytes], datetime]:
        at, size, taken = self._groups[0][0], 0, list[bytes]()
        while self._groups and size < LOT_BYTES and len(taken) < LOT_MESSAGES:
            of, messages = self._groups.popleft()
            fits = 0
            while fits < len(messages) and size < LOT_BYTES and len(taken) + fits < LOT_MESSAGES:
                size += len(messages[fits]) + 1
                fits += 1
            taken += messages[:fits]
            if fits < len(messages):
                self._groups.appendleft((of, messages[fits:]))
        self._count(taken, -1)
        return taken, at

    def _count(self, messages: Sequence[bytes], sign: int) -> None:
        self._messages += sign * len(messages)
        self._bytes += sign * (sum(map(len, messages)) + _OBJECT_BYTES * len(messages))
        self._tell()

    def _tell(self) -> None:
        enough = self._bytes >= LOT_BYTES or self._messages >= LOT_MESSAGES
        for event, is_so in (
            (self._some, bool(self._groups) or self._ended),
            (self._lot, enough or self._hurries),
            (self._room, self._bytes < HELD_BYTES or self._hurries),
        ):
            event.set() if is_so else event.clear()
