"""A segment's records, read as docs/operations/archive.md lays them out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import zstandard

from audit.chains.capture import Taken

LARGEST: Final = 256 << 20
_BITE: Final = 8192


class SegmentError(ValueError):
    """The file is no whole segment; the message says why."""


class Unknown(SegmentError):
    """It is of a version that this program does not know."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment holds.

    Attributes:
        topic, partition, first: As its head says.
        next: As its end says; the offset after the last record.
        records: In the order of their offsets.
        holes: Ranges (first, last; inclusive) of offsets that it is about and does not hold.
    """

    topic: str
    partition: int
    first: int
    next: int
    records: list[Taken]
    holes: list[tuple[int, int]]


class _Bytes:
    """Big-endian numbers and runs of bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def run(self, size: int) -> bytes:
        """The next so many bytes."""
        if size < 0 or self._at + size > len(self._data):
            raise SegmentError("its frames do not fit its length")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int, signed: bool = False) -> int:
        """The number in the next so many bytes."""
        return int.from_bytes(self.run(size), "big", signed=signed)

    def text(self, size: int) -> bytes | None:
        """A run of bytes; None for the size -1."""
        return None if size == -1 else self.run(size)

    def line(self) -> bytes:
        """All up to and with the next newline."""
        end = self._data.find(b"\n", self._at)
        return self.run(end + 1 - self._at)

    @property
    def is_done(self) -> bool:
        """Whether all of it was read."""
        return self._at == len(self._data)


def read(data: bytes) -> Segment:
    """Read a segment.

    Raises:
        SegmentError: It is none, damaged or cut short.
        Unknown: Its version is not known.
    """
    content = _Bytes(_decompressed(data))
    topic, partition, first = _head(content.line())
    records: list[Taken] = []
    holes = []
    expected = first
    while (tag := content.run(1)) == b"R":
        record = _record(content, partition)
        if record.offset < expected:
            raise SegmentError(f"offset {record.offset} does not come after {expected - 1}")
        if record.offset > expected:
            holes.append((expected, record.offset - 1))
        expected = record.offset + 1
        records.append(record)
    if tag != b"E" or content.number(8) != expected or content.number(8) != len(records) or not content.is_done:
        raise SegmentError("its end does not fit what is in it")
    return Segment(topic, partition, first, expected, records, holes)


def _head(line: bytes) -> tuple[str, int, int]:
    try:
        head = json.loads(line)
    except ValueError:
        raise SegmentError("its head cannot be read") from None
    if not isinstance(head, dict) or head.get("kind") != "sekimori segment":
        raise SegmentError("it is no segment")
    if head.get("version") != 1:
        raise Unknown(f"it is of version {head.get('version')}, this program knows 1 only")
    topic, partition, first = head.get("topic"), head.get("partition"), head.get("first")
    if not isinstance(topic, str) or type(partition) is not int or type(first) is not int:
        raise SegmentError("its head cannot be read")
    return topic, partition, first


def _record(content: _Bytes, partition: int) -> Taken:
    offset, stamp = content.number(8), content.number(8, signed=True)
    key_size, value_size = content.number(4, signed=True), content.number(4, signed=True)
    count = content.number(4)
    key = content.text(key_size)
    headers = []
    for _ in range(count):
        name_size, text_size = content.number(4), content.number(4, signed=True)
        name, text = content.run(name_size), content.text(text_size)
        try:
            headers.append((name.decode(), text or b""))
        except UnicodeDecodeError:
            raise SegmentError("the name of a header is no text") from None
    return Taken(partition, offset, stamp, key, tuple(headers), content.text(value_size) or b"")


def _decompressed(data: bytes) -> bytes:
    """One zstd frame and nothing behind it; taken in small bites, for a few bytes may become very many."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    content = bytearray()
    for at in range(0, len(data), _BITE):
        try:
            content += frame.decompress(data[at : at + _BITE])
        except zstandard.ZstdError:
            raise SegmentError("it cannot be decompressed") from None
        if len(content) > LARGEST:
            raise SegmentError(f"it holds more than {LARGEST} bytes")
        if frame.eof:
            if frame.unused_data or at + _BITE < len(data):
                raise SegmentError("bytes follow its end")
            return bytes(content)
    raise SegmentError("it is cut short")
