"""Bound what a compressed batch may grow to: kafka-python 3.0.12 unpacks each one whole, whatever comes out.

A megabyte of zstd can hold thirty gigabytes of zeros, so one record could end every process that reads its partition, and
again at each start; so could one that is torn inside. What cannot be unpacked, or not within bounds, is given out as one empty
record at the batch's last offset instead, with a header that says why (`contract.rejected.UNREAD`), so that it is passed only where it is written down.
"""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

with warnings.catch_warnings():
    # It reads its message schemas in a way that Python 3.11 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.errors import CorruptRecordError, UnsupportedCodecError
    from kafka.record.default_records import DefaultRecordBatch
    from kafka.record.util import encode_varint

import zstandard

from contract.rejected import UNREAD

_CHUNK: Final = 1 << 20
_original: Final = DefaultRecordBatch._maybe_uncompress
_original_next: Final = DefaultRecordBatch.__next__
_DAMAGED: Final = (zstandard.ZstdError, zlib.error, OSError, EOFError, ValueError, RuntimeError)


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _TooLarge(Exception):
    """More came out than is allowed."""


def bound(most_bytes: int) -> None:
    """Unpack no batch further, in any consumer of this process, from now on.

    Args:
        most_bytes: Most that a batch may be unpacked to; more than any that is sent in earnest.
    """

    def unpack(batch: Any) -> None:
        kind = batch.compression_type
        if batch._decompressed or kind == batch.CODEC_NONE:
            _original(batch)
            return
        try:
            batch._assert_has_codec(kind)
            open_ = {batch.CODEC_ZSTD: _zstd, batch.CODEC_GZIP: _gzip}.get(kind)
            if open_ is None:  # others cannot grow more than some hundredfold
                _original(batch)
                return
            data = _read(open_, memoryview(batch._buffer)[batch._pos :], most_bytes)
        except _TooLarge:
            _stand_in(batch, f"they unpack to more than {most_bytes:,} bytes")
        except UnsupportedCodecError as error:
            _stand_in(batch, f"{error}: set compression.type=zstd on the topic, then Kafka packs everything so")
        except _DAMAGED as error:
            _stand_in(batch, f"they cannot be unpacked: {error}")
        else:
            batch._buffer, batch._pos, batch._decompressed = bytearray(data), 0, True

    DefaultRecordBatch._maybe_uncompress = unpack
    DefaultRecordBatch.__next__ = DefaultRecordBatch.next = _next


def unbound() -> None:
    """As kafka-python does it."""
    DefaultRecordBatch._maybe_uncompress = _original
    DefaultRecordBatch.__next__ = DefaultRecordBatch.next = _original_next


def _next(batch: Any) -> Any:
    """The next record; what is torn, such as the name of a header, is stood in for with all that follows it."""
    try:
        return _original_next(batch)
    except CorruptRecordError as error:
        if batch._next_record_index >= batch._num_records:
            raise StopIteration from None  # only what follows the last record is no record
        left = batch._num_records - batch._next_record_index
        _stand_in(batch, f"the last {left} of them cannot be read: {error}")
        batch._next_record_index = 0
        return _original_next(batch)


def _zstd(packed: io.BytesIO) -> _Reader:
    reader: _Reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    return reader


def _gzip(packed: io.BytesIO) -> _Reader:
    return gzip.GzipFile(fileobj=packed)


def _read(open_: Callable[[io.BytesIO], _Reader], packed: memoryview, most: int) -> bytes:
    reader = open_(io.BytesIO(packed))
    chunks, size = [], 0
    while chunk := reader.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise _TooLarge
    return b"".join(chunks)


def _stand_in(batch: Any, why: str) -> None:
    """Make the batch one of a single record that says why the others are not there."""
    first, last = batch.base_offset, batch.base_offset + batch.last_offset_delta
    text = f"records with offsets {first} to {last}, {len(batch._buffer) - batch._pos:,} bytes packed: {why}".encode()
    body = bytearray(b"\0")  # attributes
    _varint(body, batch.max_timestamp - batch.first_timestamp)
    _varint(body, batch.last_offset_delta)
    _varint(body, -1)  # no key
    _varint(body, 0)  # an empty value
    _varint(body, 1)  # header
    for part in (UNREAD.encode(), text):
        _varint(body, len(part))
        body += part
    record = bytearray()
    _varint(record, len(body))
    batch._buffer, batch._pos, batch._decompressed = record + body, 0, True
    batch._num_records = 1


def _varint(body: bytearray, value: int) -> None:
    encode_varint(value, body.append)
