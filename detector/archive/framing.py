"""A segment's bytes: the records of one partition as they came, framed, in one zstd frame (docs/operations/archive.md)."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import zstandard

# Uncompressed, at most; a reader refuses more, so that a few bytes cannot fill its memory.
MOST_BYTES: Final = 256 << 20
# Events are half random ids: level 3 takes nearly twice the time and, measured, makes files a sixth larger.
LEVEL: Final = 1

_KIND: Final = "sekimori segment"
_VERSION: Final = 1
_RECORD: Final = struct.Struct(">cQqiiI")  # tag, offset, timestamp, bytes of key and value (-1: none), headers
_HEADER: Final = struct.Struct(">Ii")  # bytes of the name and of the value (-1: none)
_END: Final = struct.Struct(">cQQ")  # tag, next offset, number of records
_PIECE_BYTES: Final = 1 << 14
_NAME: Final = re.compile(r"([0-9]{20})-([0-9]{8})-([0-9a-f]{16})\.zst")


class FramingError(ValueError):
    """The bytes are no whole segment; the message says why, in one line."""


class Arrived(Protocol):
    """A Kafka record, whoever's class it is; times in UTC milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A record read back; as `Arrived`."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Name:
    """What a segment's file name says.

    Attributes:
        first: The first offset that it is about.
        claim: Number of the claim under which it was written.
        check: First 16 hex digits of the file's SHA-256.
    """

    first: int
    claim: int
    check: str

    def __str__(self) -> str:
        return f"{self.first:020}-{self.claim:08}-{self.check}.zst"

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """The reverse of `str`; None for any other file's name."""
        match = _NAME.fullmatch(text)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None

    def fits(self, data: bytes) -> bool:
        """Whether the file holds what it was named for."""
        return hashlib.sha256(data).hexdigest().startswith(self.check)


class Open:
    """A segment that is being written, in memory; compressed as it grows.

    Args:
        topic, partition: Whose records.
        first: The first offset that it is about; offsets after it that never come are holes.
        opened_ms: When, UTC.

    Attributes:
        first, opened_ms: As given.
        next: The offset after the newest record.
        records: Number of records.
        size_bytes: Uncompressed.
    """

    def __init__(self, topic: str, partition: int, first: int, opened_ms: int) -> None:
        self.first = self.next = first
        self.opened_ms = opened_ms
        self.records = self.size_bytes = 0
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._done: list[bytes] = []
        self._write(_head(topic, partition, first))

    def add(self, record: Arrived) -> None:
        """Take the next record; its offset must not be below `next`."""
        key, value = record.key, record.value
        sizes = (-1 if key is None else len(key), -1 if value is None else len(value))
        parts = [_RECORD.pack(b"R", record.offset, record.timestamp_ms, *sizes, len(record.headers)), key or b""]
        for name, text in record.headers:
            raw = name.encode()
            parts += (_HEADER.pack(len(raw), -1 if text is None else len(text)), raw, text or b"")
        parts.append(value or b"")
        self._write(b"".join(parts))
        self.records += 1
        self.next = record.offset + 1

    def close(self) -> bytes:
        """The file's bytes."""
        self._write(_END.pack(b"E", self.next, self.records))
        self._done.append(self._zstd.flush())
        return b"".join(self._done)

    def _write(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if packed := self._zstd.compress(data):
            self._done.append(packed)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment read back.

    Attributes:
        topic, partition, first: As its head says.
        next: The offset after its last record.
        records: In the order of their offsets.
    """

    topic: str
    partition: int
    first: int
    next: int
    records: tuple[Kept, ...]


def read(data: bytes) -> Segment:
    """The reverse of `Open`.

    Raises:
        FramingError: It is cut short, damaged, or of a version that this program does not know.
    """
    raw = _unpacked(data)
    line = raw.find(b"\n") + 1
    topic, partition, first = _read_head(raw[:line])
    records: list[Kept] = []
    try:
        at = line
        while raw[at : at + 1] == b"R":
            record, at = _read_record(raw, at)
            if record.offset < (records[-1].offset + 1 if records else first):
                raise FramingError(f"its offsets go backwards at {record.offset}")
            records.append(record)
        tag, following, count = _END.unpack_from(raw, at)
    except (struct.error, UnicodeDecodeError):
        raise FramingError("its frames are damaged") from None
    last = records[-1].offset + 1 if records else first
    if (tag, following, count, at + _END.size) != (b"E", last, len(records), len(raw)):
        raise FramingError("its end does not fit its records")
    return Segment(topic, partition, first, last, tuple(records))


def _head(topic: str, partition: int, first: int) -> bytes:
    head = {"kind": _KIND, "version": _VERSION, "topic": topic, "partition": partition, "first": first}
    return json.dumps(head, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _read_head(line: bytes) -> tuple[str, int, int]:
    try:
        head = json.loads(line)
        if head["kind"] != _KIND:
            raise FramingError("is no segment of an archive")
        if head["version"] != _VERSION:
            raise FramingError(f"is a segment of version {head['version']}: this program knows {_VERSION} only")
        return str(head["topic"]), int(head["partition"]), int(head["first"])
    except FramingError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError):
        raise FramingError("is no segment of an archive") from None


def _read_record(raw: bytes, at: int) -> tuple[Kept, int]:
    _, offset, timestamp_ms, key_bytes, value_bytes, count = _RECORD.unpack_from(raw, at)
    key, at = _take(raw, at + _RECORD.size, key_bytes)
    headers = []
    for _ in range(count):
        name_bytes, text_bytes = _HEADER.unpack_from(raw, at)
        name, at = _take(raw, at + _HEADER.size, name_bytes)
        text, at = _take(raw, at, text_bytes)
        headers.append(((name or b"").decode(), text or b""))
    value, at = _take(raw, at, value_bytes)
    return Kept(offset, timestamp_ms, key, value, tuple(headers)), at


def _take(raw: bytes, at: int, size: int) -> tuple[bytes | None, int]:
    if size == -1:
        return None, at
    if size < 0 or at + size > len(raw):
        raise FramingError("its frames are damaged")
    return raw[at : at + size], at + size


def _unpacked(data: bytes) -> bytes:
    return b"".join(_pieces(data))


def _pieces(data: bytes) -> Iterator[bytes]:
    zstd = zstandard.ZstdDecompressor().decompressobj()
    total = 0
    try:
        for at in range(0, len(data), _PIECE_BYTES):
            piece = zstd.decompress(data[at : at + _PIECE_BYTES])
            total += len(piece)
            if total > MOST_BYTES:
                raise FramingError(f"holds more than {MOST_BYTES} bytes")
            if zstd.eof and (zstd.unused_data or at + _PIECE_BYTES < len(data)):
                raise FramingError("bytes follow its end")
            yield piece
    except zstandard.ZstdError:
        raise FramingError("cannot be decompressed") from None
    if not zstd.eof:
        raise FramingError("is cut short")
