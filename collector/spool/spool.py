"""One listener's spool: one thread appends, another reads and forgets."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from collector.cut import generation
from collector.spool import frame
from collector.spool.frame import Batch, Chunk, Loss, SpoolPosition
from collector.spool.reader import Reader
from service.durable import sync_folder

FILE_BYTES: Final = 32 << 20
# Once all of it is acknowledged, the file in use gives way to a new one, so that it can be deleted; not at every message.
WORTH_BYTES: Final = 1 << 20
WORTH_MS: Final = 60_000

_log = logging.getLogger(__name__)


class SpoolFull(OSError):
    """The spool, or its disk, takes nothing more for now."""


@dataclass(slots=True)
class _Active:
    """The file that is written to."""

    number: int
    handle: int
    cipher: ChaCha20Poly1305
    generation: str
    size: int
    offset: int
    since_ms: int
    frames: int = 0
    dirty: bool = False
    reserved: bool = False


class Spool:
    """Files of one listener, in a folder of their own that is made if it is missing.

    Args:
        folder: That folder.
        secret: 32 bytes from which the files' keys are derived.
        limit_bytes: About the most that lies on the disk.
        position: What the checkpoint holds; None reads all there is.
        file_bytes: When a new file is begun.

    Raises:
        OSError: The folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        secret: bytes,
        limit_bytes: int,
        position: SpoolPosition | None = None,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._secret = secret
        self._limit_bytes = limit_bytes
        self._file_bytes = file_bytes
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sizes = {number: frame.path_of(folder, number).stat().st_size for number in frame.numbers(folder)}
        self._last = max([*self._sizes, position.file if position else 0])
        self._active: _Active | None = None
        self._reader = Reader(folder, secret, position)

    @property
    def position(self) -> SpoolPosition | None:
        """Up to where was read; None if nothing ever was."""
        return self._reader.position

    @property
    def used_bytes(self) -> int:
        """Bytes on the disk, those that were read and not yet forgotten included."""
        with self._lock:
            return sum(self._sizes.values())

    @property
    def unread_bytes(self) -> int:
        """Bytes on the disk that were not read yet."""
        place = self._reader.position
        with self._lock:
            waiting = sum(size for number, size in self._sizes.items() if place is None or number >= place.file)
        return max(0, waiting - (place.at if place else 0))

    @property
    def is_full(self) -> bool:
        """Whether batches are refused for now."""
        return self.used_bytes >= self._limit_bytes

    def oldest_ms(self) -> int | None:
        """When the oldest message not yet read was received, UTC milliseconds; None if all were.

        Raises:
            OSError: A file cannot be read.
        """
        with self._lock:
            sizes = dict(self._sizes)
        return self._reader.received_ms(sizes)

    def reserve(self, now_ms: int, *, at_last: bool = False) -> SpoolPosition:
        """Where the next batch will lie: ids of its events are made of that. It stays so until `append` or a loss.

        Args:
            now_ms: UTC milliseconds.
            at_last: It is what was in memory when the agent stops: it may go beyond the limit.

        Raises:
            SpoolFull: There is no room, or the disk has none.
        """
        if self.is_full and not at_last:
            raise SpoolFull(0, "the spool is full")
        with self._lock:
            active = self._room(now_ms)
            active.reserved = True
            return SpoolPosition(active.number, active.generation, active.size, active.frames, active.offset)

    def append(self, place: SpoolPosition, data: bytes, size: int, now_ms: int) -> None:
        """Write a batch down, all or nothing.

        Args:
            place: What `reserve` gave; nothing else was written since.
            data: The batch.
            size: Bytes of the messages it is of, each with a newline behind it.
            now_ms: When the first of them was received, UTC milliseconds.

        Raises:
            SpoolFull: The disk has no room. The next place is another one.
        """
        with self._lock:
            active = self._active
            if active is None or (active.number, active.size) != (place.file, place.at):
                raise ValueError("something else was written at this place of the spool")
            active.reserved = False
            self._write(active, frame.BATCH, data, size, now_ms)

    def append_loss(self, reason: frame.LossReason, detail: str, now_ms: int) -> None:
        """Write down that something was lost, between the batches where it was; also where there is no room for these.

        Raises:
            SpoolFull: The disk takes nothing.
        """
        with self._lock:
            self._write(self._room(now_ms), frame.LOSS, f"{reason} {detail}".encode(), 0, now_ms)

    def read(self, budget_bytes: int) -> list[Batch | Chunk | Loss]:
        """What comes next, in order, up to about so many bytes of messages.

        Raises:
            OSError: A file cannot be read.
        """
        with self._lock:
            sizes = dict(self._sizes)
        return self._reader.read(budget_bytes, sizes)

    def forget(self, acknowledged: SpoolPosition, now_ms: int) -> None:
        """Delete what lies before a place. Call it once a checkpoint with that place is on the disk."""
        with self._lock:
            active = self._active
            if active is not None and acknowledged.file == active.number and acknowledged.at >= active.size:
                worth = active.size >= WORTH_BYTES or now_ms - active.since_ms >= WORTH_MS
                if active.frames and worth and not active.reserved:
                    with suppress(SpoolFull):  # then it stays a while longer
                        self._begin(now_ms)
            done = [number for number in self._sizes if self._is_done(number, acknowledged)]
            try:
                for number in done:
                    frame.path_of(self._folder, number).unlink(missing_ok=True)
                    del self._sizes[number]
                if done:
                    sync_folder(self._folder)
            except OSError as error:  # it is tried again the next time
                _log.error("%s: what was acknowledged cannot be deleted (%s)", self._folder, error.strerror)

    def _is_done(self, number: int, acknowledged: SpoolPosition) -> bool:
        """Whether all of a file was acknowledged, and a later one is there to say how long it was."""
        if self._active is None or number >= self._active.number:
            return number < acknowledged.file
        return number < acknowledged.file or (number == acknowledged.file and acknowledged.at >= self._sizes[number])

    def sync(self) -> None:
        """Have the disk keep what was appended, also if the power fails."""
        with self._lock:
            active = self._active
            if active is None or not active.dirty:
                return
            handle = os.dup(active.handle)  # the file may be closed by the other thread meanwhile
            active.dirty = False
        try:
            os.fdatasync(handle)
        finally:
            os.close(handle)

    def close(self) -> None:
        """End writing and reading; what was not read stays for the next start."""
        self.sync()
        with self._lock:
            if self._active is not None:
                os.close(self._active.handle)
                self._active = None
        self._reader.close()

    def _room(self, now_ms: int) -> _Active:
        """The file that takes what comes next."""
        active = self._active
        return self._begin(now_ms) if active is None or active.size >= self._file_bytes else active

    def _write(self, active: _Active, kind: bytes, text: bytes, messages_size: int, now_ms: int) -> None:
        data = frame.pack(kind, active.frames, now_ms, text, messages_size, active.cipher)
        try:
            size = _write_all(active.handle, data)
        except OSError as error:
            # Half a frame may stand there: it is cut off, and its number must not be used again.
            with suppress(OSError):
                os.ftruncate(active.handle, active.size)
            os.close(active.handle)
            self._active = None
            raise SpoolFull(error.errno, error.strerror) from error
        active.frames += 1
        active.size += size
        active.offset += messages_size
        active.dirty = True
        self._sizes[active.number] = active.size

    def _begin(self, now_ms: int) -> _Active:
        """Start the next file, once the one before is complete on the disk."""
        number, old = self._last + 1, self._active
        first = frame.first_line(self._sizes.get(self._last, 0))
        try:
            if old is not None:
                os.fdatasync(old.handle)
            handle = self._create(frame.path_of(self._folder, number), first)
        except OSError as error:
            raise SpoolFull(error.errno, error.strerror) from error
        if old is not None:
            os.close(old.handle)
        own = generation(first.removesuffix(b"\n"))
        self._active = _Active(
            number, handle, frame.cipher(self._secret, first), own, len(first), len(first), now_ms
        )  # fmt: skip
        self._last = number
        self._sizes[number] = len(first)
        return self._active

    def _create(self, path: Path, first: bytes) -> int:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _write_all(handle, first)
            os.fsync(handle)
            sync_folder(self._folder)
        except OSError:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        return handle


def _write_all(handle: int, data: bytes) -> int:
    written = 0
    while written < len(data):
        written += os.write(handle, data[written:])
    return written
