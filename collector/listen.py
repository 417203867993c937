"""The syslog listeners as the main loop sees them: events and gaps come out, positions go in, like with files.

Threads of their own receive (`receive`) and write spools (`writing`); here the main thread reads them. A message's identity
is its place in the spool: a source's generations are its spool files.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collector import messages
from collector.config import Syslog
from collector.follow.events import Gap, Lag, Lines, Ready
from collector.parse import Parsed
from collector.reading import Reader
from collector.receive import SYNC_S, Counts, Port
from collector.sources import Source
from collector.spool import batch
from collector.spool.frame import Batch, Chunk, Loss, SpoolPosition
from collector.spool.spool import FILE_BYTES, Spool
from collector.writing import Writer, file_name

if TYPE_CHECKING:
    from collector.vault import Vault

_START_S: Final = 10.0
_ADVICE: Final[dict[int | None, str]] = {
    errno.EADDRINUSE: "another program listens there: stop it or give another port",
    errno.EADDRNOTAVAIL: "this machine has no such address: check host",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE, folders the right owner",
    errno.ENOSPC: "the disk is full",
}
_log = logging.getLogger(__name__)


class ListenError(ValueError):
    """Ports that cannot be listened at.

    Attributes:
        problems: One line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one port saw since it was last asked; for the metrics.

    Attributes:
        source: Id of its source.
        transport: udp, tcp or tls.
        counts: Messages and losses.
        connections: Senders connected now.
        spool_bytes: Bytes on the disk that are not acknowledged.
    """

    source: str
    transport: str
    counts: Counts
    connections: int
    spool_bytes: int


@dataclass(slots=True)
class _Listener:
    options: Syslog
    source: Source
    key: str
    spool: Spool
    writer: Writer
    port: Port
    trouble: str | None = None
    lag_s: float = 0.0

    def read(self, budget_bytes: int) -> list[Batch | Chunk | Loss]:
        """What comes next; nothing while a file cannot be read, such as for want of file handles."""
        try:
            found = self.spool.read(budget_bytes)
        except OSError as error:
            advice = "nothing is lost; it is tried again"
            self.trouble = f"syslog {self.port.name}: the spool cannot be read ({error.strerror}): {advice}"
            return []
        self.trouble = None
        return found


class Listeners:
    """All ports and their spools.

    Args:
        configured: Ports, each with the source of what arrives there.
        folder: Where spools lie, a folder for each port; made if missing.
        reader: Parses what is received, in a thread of its own: no other uses it. Spools are encrypted under its key.
        positions: What `positions` gave when the checkpoint was written; empty at the first start.
        vault: Encrypts the ids of new tokens; None without one.
        clock: The time with zone.
        file_bytes: When a spool begins a new file.

    Raises:
        ListenError: An address is taken, a certificate cannot be read, a spool cannot be opened; all that is wrong.
    """

    def __init__(
        self,
        configured: Sequence[tuple[Syslog, Source]],
        folder: Path,
        reader: Reader,
        positions: Mapping[str, Any],
        *,
        vault: Vault | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        file_bytes: int | None = None,
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._turn = 0
        self._stopped = False
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name="syslog", daemon=True)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._listeners: list[_Listener] = []
        problems: list[str] = []
        secret = reader.key.derive("spool")
        for options, source in configured:
            try:
                key = _key(options, source)
                place = SpoolPosition.from_json(positions[key]) if key in positions else None
                spool = Spool(folder / key, secret, options.max_spool_mib << 20, place, file_bytes or FILE_BYTES)
                writer = Writer(source, spool, key, reader, vault)
                port = Port(options, source, spool, writer, self._writing, clock)
                self._listeners.append(_Listener(options, source, key, spool, writer, port))
            except (OSError, ValueError) as error:
                problems.append(_told(options, error))
        if problems:
            self._close()
            raise ListenError(problems)
        mine = {one.key for one in self._listeners}
        self._left = {key: place for key, place in positions.items() if key not in mine}
        self._orphans = _orphans(folder, mine, positions)

    def start(self) -> None:
        """Begin to receive."""
        self._thread.start()
        self._ready.wait(_START_S)

    def poll(self, budget_bytes: int) -> list[Lines | Ready | Gap]:
        """What was received and not read yet, port by port in order of receipt.

        Args:
            budget_bytes: About the most that is returned, in bytes of messages.

        Returns:
            Events, gaps, and messages still to be parsed that an older version wrote down.

        Raises:
            RuntimeError: The thread ended by a defect; its traceback stands on standard error.
        """
        if self._ready.is_set() and not self._stopped and not self._thread.is_alive():
            raise RuntimeError("the thread of the syslog listeners has ended: its traceback says why")
        found: list[Lines | Ready | Gap] = []
        # Every port gets its share, and none is always the last.
        self._turn += 1
        for place in range(len(self._listeners)):
            listener = self._listeners[(place + self._turn) % len(self._listeners)]
            for part in listener.read(budget_bytes // len(self._listeners)):
                found.append(_found(part, listener))
        return found

    def positions(self) -> dict[str, Any]:
        """Up to where was read, as values that JSON knows: for the checkpoint, once all of it is acknowledged."""
        places = {one.key: one.spool.position for one in self._listeners}
        read = {key: place.to_json() for key, place in places.items() if place is not None}
        return dict(sorted((self._left | read).items()))

    def forget(self, positions: Mapping[str, Any]) -> None:
        """Delete from the spools what lies before some positions; the checkpoint that holds them is on the disk."""
        for listener in self._listeners:
            if listener.key in positions:
                listener.spool.forget(SpoolPosition.from_json(positions[listener.key]), self._now_ms())

    def lag(self) -> list[Lag]:
        """How far reading is behind receiving, one row per port."""
        now_ms = self._now_ms()
        rows = []
        for listener in self._listeners:
            with suppress(OSError):  # `read` tells
                oldest = listener.spool.oldest_ms()
                listener.lag_s = 0.0 if oldest is None else max(0, now_ms - oldest) / 1000
            rows.append(Lag(listener.source.id, listener.spool.unread_bytes, listener.lag_s))
        return rows

    def seen(self) -> list[Seen]:
        """What each port saw since the last call, in the order of the configuration."""
        return [
            Seen(
                one.source.id, one.options.protocol, one.port.take_counts(), one.port.connections, one.spool.used_bytes
            )
            for one in self._listeners
        ]

    def held(self) -> bool:
        """Nothing waits for its turn."""
        return False

    def troubles(self) -> list[str]:
        """What needs a person, one line each: full spools, and spools of ports that are not configured any more."""
        full = [
            f"syslog {one.port.name}: {one.spool.used_bytes >> 20} MiB wait for Kafka, which is all of max_spool_mib"
            for one in self._listeners
            if one.spool.is_full
        ]
        unread = [one.trouble for one in self._listeners if one.trouble]
        advice = "configure the port as before until they are sent, or delete the folder"
        return (
            full
            + unread
            + [
                f"{path}: {size} bytes of messages wait for a port that is not configured any more: {advice}"
                for path, size in self._orphans
            ]
        )

    def stop(self) -> None:
        """Take no more; what has arrived is written down and can still be read."""
        self._stopped = True
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join()
        self._writing.shutdown()

    def close(self) -> None:
        """`stop`, and close the spools; what was not read or not acknowledged is there at the next start."""
        self.stop()
        self._close()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.port.close()
            listener.spool.close()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)

    def _work(self) -> None:
        asyncio.run(self._receive())

    async def _receive(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        ports = [one.port for one in self._listeners]
        # A defect in any task ends them all, and with them the thread: better than a port that is silently deaf.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(port.run(group)) for port in ports]
            tasks.append(group.create_task(self._housekeeping()))
            for port in ports:
                group.create_task(port.write())
            self._ready.set()
            await self._stop.wait()
            for task in tasks:
                task.cancel()
            for port in ports:
                await port.stop()
            await asyncio.wait(tasks)
            for port in ports:
                port.end()

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            for listener in self._listeners:
                await listener.port.tell_losses()
                try:
                    await asyncio.to_thread(listener.spool.sync)
                except OSError as error:
                    _log.error("spool %s cannot be synced (%s): check the disk", listener.key, error.strerror)


def _key(options: Syslog, source: Source) -> str:
    """The name of a port's spool: another source's messages get another spool, because event ids hold the source."""
    host = options.host.replace(":", "_")
    return f"{options.protocol}-{host}-{options.port}-{source.id}"


def _told(options: Syslog, error: OSError | ValueError) -> str:
    where = f"syslog {options.protocol} {options.host}:{options.port}"
    if isinstance(error, ssl.SSLError):
        return f"{where}: certificate or key cannot be used ({error.reason or error}): check certfile, keyfile, cafile"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    name = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    return f"{where}: {name}{reason}: {_ADVICE.get(getattr(error, 'errno', None), 'check host and port')}"


def _orphans(folder: Path, mine: Collection[str], positions: Mapping[str, Any]) -> list[tuple[Path, int]]:
    """Spools that no port reads and that hold more than the checkpoint says was acknowledged."""
    found = []
    for path in sorted(path for path in folder.glob("*/") if path.name not in mine):
        place = SpoolPosition.from_json(positions[path.name]) if path.name in positions else None
        if size := Spool(path, b"", 0, place).unread_bytes:
            found.append((path, size))
    return found


def _found(part: Batch | Chunk | Loss, listener: _Listener) -> Lines | Ready | Gap:
    if isinstance(part, Chunk):
        return _lines(part, listener)
    if isinstance(part, Loss):
        listener.writer.forget_entries()
        return _gap(part, listener)
    try:
        return _ready(part, listener)
    except batch.BatchError as error:
        place, first = part.after, part.after.offset - part.size
        detail = f"a batch of {part.size} bytes of messages {error}: read it with the version that wrote it"
        lost = Loss(place.file, place.generation, first, place.offset - 1, "spool_damaged", detail, place)
        return _gap(lost, listener)


def _lines(chunk: Chunk, listener: _Listener) -> Lines:
    """Messages that an older version wrote down, as a piece like one of a file."""
    name, encoding = file_name(listener.key, chunk.after.file), listener.source.encoding
    piece = messages.piece(chunk.data, chunk.offset, name, chunk.after.generation, encoding)
    return Lines(listener.source, name, piece, False)


def _ready(part: Batch, listener: _Listener) -> Ready:
    name, held = file_name(listener.key, part.after.file), batch.unpack(part.data)
    parsed = Parsed(listener.source.id, name, held.events, held.rejected)
    return Ready(listener.source, parsed, held.messages, part.size, held.entries)


def _gap(loss: Loss, listener: _Listener) -> Gap:
    name = file_name(listener.key, loss.file)
    return Gap(listener.source.id, name, loss.generation, loss.first, loss.last, loss.reason, loss.detail)
