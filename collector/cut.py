"""Bytes to pieces of whole lines: where a line starts, which bytes it is, in bounded memory.

A line's identity is its file's generation (SHA-256 of the first line) and its offset in the uncompressed bytes. Both come
from the content alone, so a copied, rotated or zipped file gives the same. Cutting can stop at any line and go on there
later, in another process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from collector.encoding import SAMPLE_LINES, decode, decode_lines, guess, reconsider
from collector.records import join_lines
from collector.sources import Source
from registers.mask import mask_text

BLOCK_BYTES: Final = 1 << 20
TAIL_BYTES: Final = 64 << 10
# From so few lines an encoding is taken only until others speak against it: half-width katakana can pass for UTF-8.
_SURE_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is held at once.

    Attributes:
        piece_bytes: A piece is cut once this much was read.
        piece_lines: No piece has more lines.
        line_bytes: A longer line is refused; no more of it is kept.
        record_lines: A quote that is not closed within so many lines was none.
    """

    piece_bytes: int = 16 << 20
    piece_lines: int = 100_000
    line_bytes: int = 1 << 20
    record_lines: int = 100


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of one file, in order.

    Attributes:
        name: Name of the file, for `source.position`.
        generation: SHA-256 (hex) of the file's first line without its end.
        encoding: What the file's text was taken for.
        header: The first line that is not blank, for formats that name their columns in it; None where it is no text.
        lines: `raw` (Binary, without line end), `line` (String, null where it is not of the encoding), `offset` (Int64,
            bytes of the uncompressed file).
        too_long: `offset`, `line` (String, its beginning), `bytes` (Int64) of the lines that were too long to read.
    """

    name: str
    generation: str
    encoding: str
    header: str | None
    lines: pl.DataFrame
    too_long: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Start:
    """Where cutting goes on in a file of which some lines were cut before.

    Attributes:
        offset: Start of the next line, in bytes of the uncompressed file; above 0.
        generation: As in `Piece`.
        encoding: As in `Piece`, of the file's latest piece.
        header: As in `Piece`.
        tail: The bytes before `offset`, up to 64 KiB.
    """

    offset: int
    generation: str
    encoding: str
    header: str | None
    tail: bytes


class Cutter:
    """Bytes in, pieces out. Holds what is not a whole line yet.

    Args:
        name: Name of the file in positions.
        source: Says encoding, and whether quotes hold newlines together.
        limits: Bounds of memory.
        start: Where to go on; None for the file's beginning.
    """

    def __init__(self, name: str, source: Source, limits: Limits = DEFAULT_LIMITS, start: Start | None = None) -> None:
        self._name = mask_text(name)  # it goes with every event, and names hold what people put there
        self._source = source
        self._limits = limits
        self._buffer = bytearray()
        self._offset = start.offset if start else 0  # of the buffer's first byte
        self._tail = start.tail if start else b""  # before the buffer
        self._encoding: str = start.encoding if start else source.encoding
        self._sample: list[bytes] | None = [] if source.encoding == "auto" else None  # None: the encoding is sure
        self._sampled = 0  # up to which offset
        self._generation = start.generation if start else ""
        self._header = start.header if start else None
        self._skipping: tuple[int, bytes, bytes] | None = None  # of a line too long to hold: offset, beginning, tail

    @property
    def generation(self) -> str:
        """As in `Piece`; empty until the first line was cut."""
        return self._generation

    @property
    def encoding(self) -> str:
        """As in `Piece`."""
        return self._encoding

    @property
    def position(self) -> int:
        """Start of the first line that is in no piece yet."""
        return self._skipping[0] if self._skipping else self._offset

    @property
    def tail(self) -> bytes:
        """The bytes before `position`, up to 64 KiB."""
        return self._skipping[2] if self._skipping else self._tail

    @property
    def taken(self) -> int:
        """How many bytes of the file were fed, with those before the start."""
        return self._offset + len(self._buffer)

    @property
    def held_lines(self) -> bool:
        """Whether whole lines are held, for they may belong to a longer record."""
        return self._skipping is None and b"\n" in self._buffer

    def last_bytes(self, count: int) -> bytes:
        """The last bytes that were fed, up to `count` (at most 64 KiB), with those before the start."""
        held = bytes(self._buffer[-count:])
        return (self._tail[-(count - len(held)) :] if len(held) < count else b"") + held

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes of the file; pieces come once enough has gathered."""
        self._buffer += data
        if self._skipping is not None:
            yield from self._skip(last=False)
        if len(self._buffer) >= self._limits.piece_bytes:
            yield from self._cut(last=False)

    def flush(self, settled: bool = False) -> Iterator[Piece]:
        """Give what is whole without waiting for more.

        Args:
            settled: Nothing was written for a while, so lines that might belong to a longer record stand alone.
        """
        if self._skipping is None and self._buffer:
            yield from self._cut(last=False, settled=settled)

    def finish(self) -> Iterator[Piece]:
        """The file has ended: what is left is its last line, with or without line end."""
        if self._skipping is not None:
            yield from self._skip(last=True)
        if self._buffer:
            yield from self._cut(last=True)

    def _consume(self, count: int) -> None:
        if count < TAIL_BYTES:
            self._tail = self._tail[-(TAIL_BYTES - count) :] + bytes(self._buffer[:count])
        else:
            self._tail = bytes(self._buffer[count - TAIL_BYTES : count])
        self._offset += count
        del self._buffer[:count]

    def _cut(self, last: bool, settled: bool = False) -> Iterator[Piece]:
        end = len(self._buffer) if last else self._buffer.rfind(b"\n") + 1
        if end == 0:
            # One more, for the CR may have come and not the LF.
            if len(self._buffer) > self._limits.line_bytes + 1:
                self._skipping = (self._offset, bytes(self._buffer[: self._limits.line_bytes]), self._tail)
                yield from self._skip(last)
            return
        with memoryview(self._buffer) as whole:
            data = bytes(whole[:end])
        lines, used = self._lines(data, last or settled)
        self._consume(used)
        long = lines.clear()
        is_long = lines.get_column("raw").bin.size() > self._limits.line_bytes
        if is_long.any():
            long, lines = lines.filter(is_long), lines.filter(~is_long)
        if used:
            yield from self._pieces(lines, _too_long(long))

    def _pieces(self, lines: pl.DataFrame, long: pl.DataFrame) -> Iterator[Piece]:
        for at in range(0, max(lines.height, 1), self._limits.piece_lines):
            part = lines.slice(at, self._limits.piece_lines)
            yield Piece(
                self._name, self._generation, self._encoding, self._header, part, long if at == 0 else _NONE_LONG
            )

    def _skip(self, last: bool) -> Iterator[Piece]:
        assert self._skipping is not None
        end = self._buffer.find(b"\n") + 1
        if end == 0 and not last:
            self._consume(len(self._buffer))
            return
        ended = end > 0
        start, kept, _ = self._skipping
        self._skipping = None
        self._consume(end or len(self._buffer))
        self._remember_first(kept)
        long = _long_frame([(start, kept, self._offset - start - ended)])
        yield from self._pieces(_no_lines(), long)

    def _remember_first(self, raw: bytes) -> None:
        if not self._generation:
            self._generation = generation(raw[: self._limits.line_bytes])

    def _take_encoding(self, sample: list[bytes], fresh: list[bytes]) -> None:
        sample += fresh
        if self._encoding == "auto":
            self._encoding = guess(sample)
        elif any(decode(raw, self._encoding) is None for raw in fresh):
            self._encoding = reconsider(sample, self._encoding)
        if len(sample) >= _SURE_LINES:
            self._sample = None

    def _lines(self, data: bytes, last: bool) -> tuple[pl.DataFrame, int]:
        """Whole lines of a chunk, and how many of its bytes they take."""
        raws = data.split(b"\n")
        if raws[-1] == b"":
            raws.pop()
        self._remember_first(raws[0])
        if self._sample is not None and not data.isascii():
            fresh = data[max(0, self._sampled - self._offset) :]  # lines that were held come a second time
            self._sampled = self._offset + len(data)
            self._take_encoding(self._sample, [raw for raw in fresh.split(b"\n") if not raw.isascii()][:SAMPLE_LINES])
        bare = pl.Series("raw", raws, dtype=pl.Binary)
        text, _ = decode_lines(data, bare, self._encoding)
        ends = np.cumsum(bare.bin.size().to_numpy().astype(np.int64) + 1)
        starts = pl.Series("offset", self._offset + np.concatenate(([0], ends[:-1])))
        lines = pl.DataFrame([bare, text.alias("line"), starts])
        used = len(data)
        lines, held = join_lines(lines, self._source, self._limits.record_lines, last)
        used = held - self._offset if held is not None else used
        if b"\r" in data:
            lines = _without_cr(lines)
        if self._offset == 0:
            lines = lines.with_columns(pl.col("line").str.strip_prefix("\ufeff"))
        if self._offset == 0 or self._header == "":
            self._header = _header(lines)
        return lines, used


def generation(first_line: bytes) -> str:
    """Identity of a file's content: SHA-256 (hex) of its first line without line end."""
    return hashlib.sha256(first_line.removesuffix(b"\r")).hexdigest()


def _header(lines: pl.DataFrame) -> str | None:
    """The first line that is not blank (SQL*Plus begins with one that is), or an empty one if there is none yet."""
    text = lines.get_column("line")
    said = text.filter((text.str.strip_chars() != "").fill_null(True))
    return said[0] if said.len() else ""


def _without_cr(lines: pl.DataFrame) -> pl.DataFrame:
    """Take the CR of CR LF off; a lone CR inside a line is part of it."""
    size = pl.col("raw").bin.size().cast(pl.Int64) - pl.col("raw").bin.ends_with(b"\r")
    return lines.with_columns(raw=pl.col("raw").bin.head(size), line=pl.col("line").str.strip_suffix("\r"))


def _no_lines() -> pl.DataFrame:
    return pl.DataFrame(schema={"raw": pl.Binary, "line": pl.String, "offset": pl.Int64})


_NONE_LONG: Final = pl.DataFrame(schema={"offset": pl.Int64, "line": pl.String, "bytes": pl.Int64})


def _too_long(lines: pl.DataFrame) -> pl.DataFrame:
    if lines.is_empty():
        return _NONE_LONG
    return _long_frame([(at, raw, len(raw)) for raw, at in lines.select("raw", "offset").rows()])


def _long_frame(rows: list[tuple[int, bytes, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(at, raw[:2000].decode("utf-8", errors="replace"), size) for at, raw, size in rows],
        schema={"offset": pl.Int64, "line": pl.String, "bytes": pl.Int64},
        orient="row",
    )
