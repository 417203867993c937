"""What a spool holds of some messages: their events and refused lines, and the vault's entries of new tokens, as bytes.

Columns without a value are left out, so a batch is shorter than its messages were. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import polars as pl
import zstandard

from contract import event, rejected

_HEAD: Final = struct.Struct(">III")  # messages, bytes of events, bytes of refused lines
_LEVEL: Final = 1
_NULL: Final = "null "  # before a column's name: where it is null
_NOTHING: Final[Mapping[Any, Any]] = {pl.String: "", pl.Int64: 0, pl.Boolean: False}


class BatchError(ValueError):
    """Bytes that are no batch, or one of another version."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A batch as it was packed.

    Attributes:
        messages: How many there were.
        events: In `contract.event.schema()`, in order of receipt.
        rejected: Refused lines in `contract.rejected.REJECTED_SCHEMA`, masked, in order of receipt.
        entries: Lines for the vault, encrypted, with their ends.
    """

    messages: int
    events: pl.DataFrame
    rejected: pl.DataFrame
    entries: tuple[bytes, ...]


def pack(messages: int, events: pl.DataFrame, refused: pl.DataFrame, entries: Sequence[bytes]) -> bytes:
    """The bytes of a batch; arguments as the attributes of `Unpacked`."""
    parts = [_packed(events), _packed(refused)]
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join([*parts, *entries]))
    return _HEAD.pack(messages, *map(len, parts)) + packed


def unpack(data: bytes) -> Unpacked:
    """What `pack` was given.

    Raises:
        BatchError: It was not `pack` that made this.
    """
    try:
        messages, events_bytes, refused_bytes = _HEAD.unpack_from(data)
        whole = body(data)
        entries = whole[events_bytes + refused_bytes :].splitlines(keepends=True)
        events = _unpacked(whole[:events_bytes], event.schema())
        refused = _unpacked(whole[events_bytes : events_bytes + refused_bytes], rejected.REJECTED_SCHEMA)
    except (struct.error, zstandard.ZstdError, pl.exceptions.PolarsError, OSError) as error:
        raise BatchError(f"is no batch of this version ({type(error).__name__})") from None
    return Unpacked(messages, events, refused, tuple(entries))


def body(data: bytes) -> bytes:
    """All that a batch says, without compression: Arrow IPC streams and lines.

    Raises:
        zstandard.ZstdError: It is no batch.
    """
    return zstandard.ZstdDecompressor().decompress(data[_HEAD.size :])


def _packed(frame: pl.DataFrame) -> bytes:
    """An Arrow IPC stream of the values and of nothing else.

    Polars keeps a text as a view into the buffer that it was read from, and would write that out whole: the line as it came,
    with what was masked in it. So texts are written in Arrow's older form, and what stands behind a null is written over.
    """
    if frame.is_empty():
        return b""
    columns = []
    for column in frame:
        nulls = column.null_count()
        if nulls == frame.height:
            continue
        if nulls:
            columns.append(column.is_null().alias(_NULL + column.name))
            column = column.fill_null(_NOTHING[column.dtype])
        columns.append(column)
    out = BytesIO()
    pl.DataFrame(columns).write_ipc_stream(out, compat_level=pl.CompatLevel.oldest())
    return out.getvalue()


def _unpacked(data: bytes, schema: Mapping[str, Any]) -> pl.DataFrame:
    """All columns of a schema; the ones that were left out are null."""
    if not data:
        return pl.DataFrame(schema=schema)
    held = pl.read_ipc_stream(data)
    known = {column.name: column for column in held}
    columns = []
    for absent in (pl.Series(name, [None], dtype=kind) for name, kind in schema.items()):
        column, nulls = known.get(absent.name), known.get(_NULL + absent.name)
        if column is None:
            column = absent.new_from_index(0, held.height)
        elif nulls is not None:
            column = column.set(nulls, None)
        columns.append(column.cast(absent.dtype))
    return pl.DataFrame(columns)
