"""Several Kafka records → lines and events, decoded together, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contract import rejected, wire
from contract.lines import occurrences
from contract.rejected import KEPT_CHARS, Reason, Refusal

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One record as it came from Kafka, decompressed.

    Attributes:
        topic, partition, offset: Where it lies.
        timestamp_ms: Kafka's time of it, UTC.
        key, value, headers: As they are; a value that is null is empty.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Refused(NamedTuple):
    """A refused line: number of its record among those given, first byte in the record's value."""

    record: int
    byte: int
    refusal: Refusal


@dataclass(frozen=True)
class Batch:
    """Records, decoded.

    Attributes:
        frame: Events in `contract.event` columns, in the order of (record, line).
        record: Number of each event's record among those given.
        line: Number of each event's line among all lines.
        lines: Lines of each record; 0 for one that was not to be decoded.
        refused: Lines that are no event, in their order.
        unknown: How often each key outside the contract occurred.
        data: What was decoded.
        origins: Where each record's value starts in it, or would.
    """

    frame: pl.DataFrame
    record: NDArray[np.int64]
    line: NDArray[np.int64]
    lines: NDArray[np.int64]
    refused: list[Refused]
    unknown: dict[str, int]
    data: bytes
    origins: NDArray[np.int64]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each line starts in the data; nobody asks while nothing is refused."""
        return _starts(self.data)

    def refuse(self, row: int, reason: Reason, detail: str) -> Refused:
        """An event that is refused after all."""
        record, start = int(self.record[row]), int(self.starts[self.line[row]])
        line = self.data[start : start + _MOST_SHOWN].partition(b"\n")[0]
        return Refused(record, start - int(self.origins[record]), Refusal(reason, detail, shown(line)))


_MOST_SHOWN: Final = 4 * KEPT_CHARS + 8


def shown(value: bytes) -> str:
    """The beginning of a value, as dead letters show it."""
    return rejected.cut(value[:_MOST_SHOWN].decode(errors="replace"))


def decode(records: Sequence[Arrived], numbers: Sequence[int]) -> Batch:
    """Decode records as if each were decoded alone, at the price of one.

    Args:
        records: All.
        numbers: Of those to be decoded, ascending.
    """
    values, lines, origins = _joined(records, numbers)
    data = b"".join(values)
    decoded = wire.decode(data)
    record = np.repeat(np.arange(len(records)), lines)
    kept, refused = np.ones(len(record), np.bool_), []
    if decoded.frame.height < len(record):
        starts = _starts(data)
        bad = _lines_at(decoded.rejected.get_column("source.position"), starts)
        kept[bad] = False
        if np.count_nonzero(kept) > decoded.frame.height:
            kept[[line for line in np.flatnonzero(kept).tolist() if _is_blank(data, starts, line)]] = False
        refused = [
            Refused(int(record[at]), int(starts[at] - origins[record[at]]), Refusal(Reason(reason), detail, text))
            for at, (reason, detail, text) in zip(
                bad.tolist(), decoded.rejected.select("reason", "detail", "line").iter_rows(), strict=True
            )
        ]
    line = np.flatnonzero(kept)
    return Batch(decoded.frame, record[line], line, lines, refused, decoded.unknown, data, origins)


def _starts(data: bytes) -> NDArray[np.int64]:
    """Where lines start in data that ends with a newline, or is empty."""
    return np.append(0, np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1)[:-1]


def _joined(
    records: Sequence[Arrived], numbers: Sequence[int]
) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int64]]:
    """Values that can be put one after another; by record its lines and where it starts."""
    values: list[bytes] = []
    lines, origins = np.zeros(len(records), np.int64), np.zeros(len(records), np.int64)
    place = 0
    for number in numbers:
        value = records[number].value
        origins[number] = place
        # One mark at a record's beginning is no part of its first line; a second one is, and makes it none.
        if value.startswith(_BOM) and not value.startswith(_BOM + _BOM):
            value = value[len(_BOM) :]
            origins[number] -= len(_BOM)
        if value and not value.endswith(b"\n"):
            value += b"\n"
        values.append(value)
        lines[number] = occurrences(value, "\n")
        place += len(value)
    return values, lines, origins


def _lines_at(positions: pl.Series, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the lines at positions that read `:byte`."""
    places = positions.str.slice(1).cast(pl.Int64).to_numpy()
    return np.searchsorted(starts, places, side="right") - 1


def _is_blank(data: bytes, starts: NDArray[np.int64], line: int) -> bool:
    end = int(starts[line + 1]) if line + 1 < len(starts) else len(data)
    return not data[int(starts[line]) : end].strip(b" \t\r\n")
