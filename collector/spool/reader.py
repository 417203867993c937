"""Reads spool files in order, from a place on; what is damaged or missing becomes a loss, and reading goes on behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from collector.cut import generation
from collector.spool import frame
from collector.spool.frame import Chunk, Loss, SpoolPosition


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
        self._open: tuple[int, int, ChaCha20Poly1305] | None = None  # number, handle, cipher

    def read(self, budget_bytes: int, sizes: Mapping[int, int]) -> list[Chunk | Loss]:
        """What comes next, in order.

        Args:
            budget_bytes: About how much.
            sizes: Number and length of the files there are; no more of a file is looked at.

        Raises:
            OSError: A file cannot be read now.
        """
        found: list[Chunk | Loss] = []
        while budget_bytes > 0:
            try:
                parts = self._step(sizes)
            except OSError:
                if found:  # they are behind the position now; the error comes again
                    break
                raise
            if parts is None:
                break
            found += parts
            budget_bytes -= sum(len(part.data) if isinstance(part, Chunk) else 1 for part in parts)
        return found

    def _step(self, sizes: Mapping[int, int]) -> Sequence[Chunk | Loss] | None:
        """Go on by some frames or to the next file; None if there is nothing more. If it raises, nothing has moved."""
        place = self.position
        if place is not None and place.file in sizes and place.generation and not self._has_open(place.file):
            return self._resume(place, sizes)
        if place is not None and place.file in sizes and place.at < sizes[place.file]:
            return self._frames(place, sizes[place.file])
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
        self._open = (number, handle, frame.cipher(self._secret, first))
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

    def _frames(self, place: SpoolPosition, size: int) -> list[Chunk | Loss]:
        """The next frames of the open file, lines that follow each other as one chunk; something, if there is something."""
        assert self._open is not None
        _, handle, key = self._open
        data = os.pread(handle, min(size - place.at, frame.FRAME_BYTES), place.at)
        found: list[Chunk | Loss] = []
        texts: list[bytes] = []
        start = place
        for one in frame.unpack(data, key, place.frame):
            grown = one.text_size if one.kind == frame.LINES else 0
            after = replace(place, at=place.at + one.size, frame=one.number + 1, offset=place.offset + grown)
            if one.text is not None and one.kind == frame.LINES:
                texts.append(one.text)
            else:
                found += _chunk(start, texts, place)
                found.append(_loss(one, place, after))
                texts, start = [], after
            place = after
        found += _chunk(start, texts, place)
        if not found:
            left = size - place.at
            detail = (
                f"{left} bytes are no whole message: the agent stopped while they were written, or they were altered"
            )
            place = replace(place, at=size)
            found.append(Loss(place.file, place.generation, place.offset, None, "spool_damaged", detail, place))
        self.position = place
        return found


def _chunk(start: SpoolPosition, texts: list[bytes], after: SpoolPosition) -> list[Chunk]:
    return [Chunk(start.offset, b"".join(texts), after)] if texts else []


def _loss(one: frame.Frame, place: SpoolPosition, after: SpoolPosition) -> Loss:
    if one.text is None:
        detail = f"{one.text_size} bytes were altered in the spool"
        return Loss(place.file, place.generation, place.offset, after.offset - 1, "spool_damaged", detail, after)
    reason, _, detail = one.text.decode().partition(" ")
    return Loss(place.file, place.generation, place.offset, place.offset - 1, frame.loss_reason(reason), detail, after)
