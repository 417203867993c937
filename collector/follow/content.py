"""The bytes of an open file, plain or gzip, and what tells them from those of other files."""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.cut import BLOCK_BYTES, generation
from collector.follow.position import TAIL_HASHED

GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a file's content.

    Attributes:
        size: Its length, uncompressed.
        generation: SHA-256 (hex) of its first line; empty where that is not whole yet.
        windows: Some offset = the bytes before it, up to 4096; only offsets within the file.
        start: The first bytes of the file, up to 8.
        end: The last bytes of the file, up to 4096.
        packed: It is gzip.
        whole: False if gzip breaks off or is damaged, at `size`.
    """

    size: int
    generation: str
    windows: Mapping[int, bytes]
    start: bytes
    end: bytes
    packed: bool = False
    whole: bool = True


def beginning(handle: int, count: int) -> bytes:
    """The first bytes of an open file, uncompressed."""
    if not is_gzip(handle):
        return os.pread(handle, count, 0)
    packed, data = Packed(handle), b""
    while len(data) < count and (block := packed.read(count - len(data))):
        data += block
    return data


def is_gzip(handle: int) -> bool:
    """Whether the open file begins like gzip."""
    return os.pread(handle, 2, 0) == GZIP


def window(handle: int, offset: int) -> bytes:
    """The bytes of an open plain file before an offset, up to 4096; fewer if the file is shorter."""
    start = max(0, offset - TAIL_HASHED)
    return os.pread(handle, offset - start, start)


def look(handle: int, offsets: Collection[int], line_bytes: int) -> Look:
    """Look at a plain file.

    Args:
        handle: The open file.
        offsets: Where windows are wanted.
        line_bytes: A longer first line counts with its beginning only, as in `Cutter`.
    """
    size = os.fstat(handle).st_size
    first, step = b"", 4096
    while b"\n" not in first and len(first) < min(size, line_bytes + 2):
        more = os.pread(handle, step, len(first))
        if not more:
            break
        first, step = first + more, step * 4
    windows = {offset: window(handle, offset) for offset in offsets if offset <= size}
    return Look(size, first_generation(first, line_bytes), windows, first[:8], window(handle, size))


def first_generation(beginning: bytes, line_bytes: int) -> str:
    """The generation that a file with this beginning has; empty if its first line is not whole."""
    end = beginning.find(b"\n")
    if end < 0 and len(beginning) <= line_bytes + 1:
        return ""
    return generation(beginning[: end if end >= 0 else None][:line_bytes])


@dataclass(slots=True)
class Packed:
    """A gzip file of any number of members, read from its start to its end.

    Attributes:
        handle: The open file.
        cursor: How many bytes were given, uncompressed.
        ended: Its end was reached, and it is whole.
        broken: It breaks off or is damaged here.
    """

    handle: int
    cursor: int = 0
    ended: bool = False
    broken: bool = False
    _at: int = 0
    _data: bytes = b""
    _stream: zlib._Decompress = field(default_factory=lambda: zlib.decompressobj(wbits=31))

    def read(self, count: int) -> bytes:
        """The next bytes, up to `count`; none at the end, or where it is broken."""
        while not (self.ended or self.broken):
            if not self._data:
                self._data = os.pread(self.handle, BLOCK_BYTES // 4, self._at)
                self._at += len(self._data)
                if not self._data:
                    self.ended, self.broken = self._stream.eof, not self._stream.eof
                    break
            if self._stream.eof:
                # Padding with zeros after the last member is allowed (gzip manual, "tapes").
                self._data = self._data.lstrip(b"\0")
                if not self._data:
                    continue
                self._stream = zlib.decompressobj(wbits=31)
            try:
                out = self._stream.decompress(self._data, count)
            except zlib.error:
                self.broken = True
                break
            self._data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if out:
                self.cursor += len(out)
                return out
        return b""


@dataclass(slots=True)
class PackedLook:
    """Look at a gzip file step by step, for it takes time.

    Attributes:
        packed: The file, not read yet.
        offsets: Where windows are wanted, ascending.
        line_bytes: As in `look`.
    """

    packed: Packed
    offsets: tuple[int, ...]
    line_bytes: int
    _first: bytes = b""
    _tail: bytes = b""
    _windows: dict[int, bytes] = field(default_factory=dict)

    def step(self, budget_bytes: int) -> Look | None:
        """Read on.

        Args:
            budget_bytes: How many bytes, uncompressed, at most.

        Returns:
            What was found, or None if there is more to read.
        """
        while budget_bytes > 0:
            start = self.packed.cursor
            block = self.packed.read(min(budget_bytes, BLOCK_BYTES))
            if not block:
                found = first_generation(self._first, self.line_bytes)
                return Look(
                    start, found, self._windows, self._first[:8], self._tail, packed=True, whole=self.packed.ended
                )
            budget_bytes -= len(block)
            if b"\n" not in self._first and len(self._first) < self.line_bytes + 2:
                self._first += block
            held = self._tail + block
            for offset in self.offsets:
                if start < offset <= self.packed.cursor:
                    end = offset - start + len(self._tail)
                    self._windows[offset] = held[max(0, end - TAIL_HASHED) : end]
            self._tail = held[-TAIL_HASHED:]
        return None
