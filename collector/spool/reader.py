"""Reads spool files in order, from a place on; what is damaged or missing becomes a loss, and reading goes on behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from collector.cut import generation
from collector.spool import frame
from collector.spool.frame import Batch, Chunk, Loss, SpoolPosition

_WINDOW_BYTES: Final = 1 << 20  # read at once, unless a frame is longer


class Reader:
    """One reader of one folder of spool files.

    Args:
        folder: Where they lie.
        secret: 32 bytes from which their keys are derived.
        position: Where to go on; None begins with the oldest file.

    Attributes:
        position: Up to where was read.
    """

    def __init__(self, folder: Path, secret: bytes, position: SpoolPosition | None) -> None:
        self.position = position
        self._folder = folder
        self._secret = secret
        self._open: tuple[int, int, ChaCha20Poly1305, int] | None = None  # number, handle, cipher, version

    def read(self, budget_bytes: int, sizes: Mapping[int, int]) -> list[Batch | Chunk | Loss]:
        """What comes next, in order.

        Args:
            budget_bytes: About how much, in bytes of messages.
            sizes: Number and length of the files there are; no more of a file is looked at.

        Raises:
            OSError: A file cannot be read now.
        """
        found: list[Batch | Chunk | Loss] = []
        while budget_bytes > 0:
            try:
                parts = self._step(sizes, budget_bytes)
            except OSError:
                if found:  # they are behind the position now; the error comes again
                    break
                raise
            if parts is None:
                break
            found += parts
            budget_bytes -= sum(_size(part) for part in parts)
        return found

    def _step(self, sizes: Mapping[int, int], budget_bytes: int) -> Sequence[Batch | Chunk | Loss] | None:
        """Go on by some frames or to the next file; None if there is nothing more. If it raises, nothing has moved."""
        place = self.position
        if place is not None and place.file in sizes and place.generation and not self._has_open(place.file):
            return self._resume(place, sizes)
        if place is not None and place.file in sizes and place.at < sizes[place.file]:
            return self._frames(place, sizes[place.file], budget_bytes)
        following = min((number for number in sizes if place is None or number > place.file), default=None)
        return None if following is None else self._enter(following, sizes)

    def received_ms(self, sizes: Mapping[int, int]) -> int | None:
        """When the oldest message not yet read was received, UTC milliseconds; None if all were."""
        place = self.position
        for number in sorted(sizes):
            path = frame.path_of(self._folder, number)
            if place is None or number > place.file:
                at = len(frame.read_first_line(path))
            else:
                at = place.at if number == place.file else sizes[number]
            if at < sizes[number]:
                return frame.received_ms(path, at)
        return None

    def close(self) -> None:
        """Close the file that is read."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _start(self, number: int) -> SpoolPosition | None:
        """Open a file; the place behind its first line, None if it has none."""
        self.close()
        path = frame.path_of(self._folder, number)
        first = frame.read_first_line(path)
        if not first:
            return None
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._open = (number, handle, frame.cipher(self._secret, first), frame.version(first))
        return SpoolPosition(number, generation(first.removesuffix(b"\n")), len(first), 0, len(first))

    def _resume(self, place: SpoolPosition, sizes: Mapping[int, int]) -> list[Loss]:
        """Open the file of a place that the checkpoint held; if another file bears its number, read all of that."""
        start = self._start(place.file)
        if start is None:
            return [self._unreadable(place.file, place.offset, sizes)]
        if start.generation != place.generation:
            self.position = start
        return []

    def _enter(self, number: int, sizes: Mapping[int, int]) -> list[Loss]:
        """Go to the beginning of the next file, and look whether something is missing before it."""
        before, start = self.position, self._start(number)
        if start is None:
            return [self._unreadable(number, 0, sizes)]
        length = frame.before_bytes(frame.read_first_line(frame.path_of(self._folder, number)))
        self.position = start
        if before is None:
            return []
        if number > before.file + 1:
            detail = f"spool files {before.file + 1} to {number - 1} are gone"
        elif length > before.at:
            detail = f"the last {length - before.at} bytes of spool file {before.file} are gone"
        else:
            return []
        return [Loss(before.file, before.generation, before.offset, None, "spool_missing", detail, start)]

    def _unreadable(self, number: int, offset: int, sizes: Mapping[int, int]) -> Loss:
        self.position = SpoolPosition(number, "", sizes[number], 0, offset)
        detail = f"spool file {number} ({sizes[number]} bytes) does not begin like one: it was altered"
        return Loss(number, "", offset, None, "spool_damaged", detail, self.position)

    def _has_open(self, number: int) -> bool:
        return self._open is not None and self._open[0] == number

    def _frames(self, place: SpoolPosition, size: int, budget_bytes: int) -> list[Batch | Chunk | Loss]:
        """The next frames of the open file; something, if there is something."""
        assert self._open is not None
        _, handle, key, version = self._open
        data = os.pread(handle, min(size - place.at, _WINDOW_BYTES), place.at)
        longer = frame.frame_bytes(data, version)
        if len(data) < longer <= size - place.at:
            data = os.pread(handle, longer, place.at)
        found: list[Batch | Chunk | Loss] = []
        for one in frame.unpack(data, key, place.frame, version):
            offset = place.offset + one.messages_size
            after = replace(place, at=place.at + one.size, frame=one.number + 1, offset=offset)
            found.append(_part(one, place, after))
            place = after
            budget_bytes -= _size(found[-1])
            if budget_bytes <= 0:
                break
        if not found:
            left = size - place.at
            detail = (
                f"{left} bytes are no whole message: the agent stopped while they were written, or they were altered"
            )
            place = replace(place, at=size)
            found.append(Loss(place.file, place.generation, place.offset, None, "spool_damaged", detail, place))
        self.position = place
        return _joined(found)


def _joined(parts: Sequence[Batch | Chunk | Loss]) -> list[Batch | Chunk | Loss]:
    """Chunks that follow each other as one: in files of version 1 a frame may hold a single message."""
    found: list[Batch | Chunk | Loss] = []
    chunks: list[Chunk] = []
    for part in (*parts, None):
        if isinstance(part, Chunk):
            chunks.append(part)
            continue
        if chunks:
            found.append(Chunk(chunks[0].offset, b"".join(one.data for one in chunks), chunks[-1].after))
            chunks = []
        if part is not None:
            found.append(part)
    return found


def _size(part: Batch | Chunk | Loss) -> int:
    """What a part takes of a budget."""
    if isinstance(part, Loss):
        return 1
    return part.size if isinstance(part, Batch) else len(part.data)


def _part(one: frame.Frame, place: SpoolPosition, after: SpoolPosition) -> Batch | Chunk | Loss:
    """What a frame holds that lies between two places."""
    if one.text is None:
        detail = f"{one.messages_size} bytes of messages were altered in the spool"
        return Loss(place.file, place.generation, place.offset, after.offset - 1, "spool_damaged", detail, after)
    if one.kind == frame.BATCH:
        return Batch(one.text, one.messages_size, after)
    if one.kind == frame.LINES:
        return Chunk(place.offset, one.text, after)
    reason, _, detail = one.text.decode().partition(" ")
    return Loss(place.file, place.generation, place.offset, place.offset - 1, frame.loss_reason(reason), detail, after)
