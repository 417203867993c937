"""Files to lines: where a line starts, which bytes it is, in bounded memory.

A line's identity is its file's generation (SHA-256 of the first line) and its offset in the uncompressed bytes. Both come
from the content alone, so a copied, rotated or zipped file gives the same.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from collector.encoding import decode_lines
from collector.quotes import join_quoted
from collector.sources import Source

BLOCK_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_PACKED: Final = {
    b"PK\x03\x04": "a zip archive", b"BZh": "compressed by bzip2", b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd", b"7z\xbc\xaf": "a 7z archive",
}  # fmt: skip
# Control characters, and the ones that turn the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


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
        header: The first line as text, for formats that name their columns in it; None where it cannot be decoded.
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


class Unreadable(ValueError):
    """A file, or the rest of it, cannot be read; the message says what, where and what to do."""


def shown(name: str) -> str:
    """A file's name as text that can be printed: bytes that are no UTF-8 and control characters are spelt out."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda sign: f"\\x{ord(sign[0]):02x}", text)


def files(path: Path, problems: list[str]) -> list[tuple[Path, str]]:
    """The files below a path, sorted, with the name each gets in positions: relative to the path.

    Args:
        path: A file or a folder.
        problems: Gets a line for whatever is there and cannot be read as a file, and where there is nothing.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        advice = "there is no such file or folder: check the path"
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            advice = f"cannot be read ({error.strerror}): {_advice(error)}"
        problems.append(f"{shown(str(path))}: {advice}")
        return []
    if stat.S_ISDIR(mode):
        return _below(path, problems)
    return [(path, shown(path.name))] if _is_regular(path, str(path), problems) else []


def _below(folder: Path, problems: list[str]) -> list[tuple[Path, str]]:
    def refuse(error: OSError) -> None:
        problems.append(f"{shown(str(error.filename))}: cannot be listed ({error.strerror}): check its permissions")

    found: list[tuple[Path, str]] = []
    empty = True
    for here, folders, names in os.walk(folder, onerror=refuse):
        for name in sorted(folders):
            # Links could lead in a circle.
            if Path(here, name).is_symlink():
                problems.append(
                    f"{shown(str(Path(here, name)))}: is a link to a folder, not followed: name that folder"
                )
        for name in names:
            empty = False
            file = Path(here, name)
            inside = file.relative_to(folder).as_posix()
            if _is_regular(file, inside, problems):
                found.append((file, shown(inside)))
    if empty:
        problems.append(f"{shown(str(folder))}: no file is in this folder: check the path")
    return sorted(found, key=lambda pair: pair[1])


def _is_regular(file: Path, name: str, problems: list[str]) -> bool:
    """Whether it is a file with a beginning and an end: opening a pipe would wait, reading a device never ends."""
    try:
        if stat.S_ISREG(file.stat().st_mode):
            return True
        what = "is a pipe, socket or device, not a file: write what comes out of it to a file first"
    except OSError as error:
        what = "is a link to nothing: remove it" if file.is_symlink() else f"cannot be read ({error.strerror})"
    problems.append(f"{shown(name)}: {what}")
    return False


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, uncompressed, in blocks.

    Raises:
        Unreadable: It cannot be opened or read on; what was read before has been yielded.
    """
    try:
        with path.open("rb") as file:
            first = file.read(BLOCK_BYTES)
            rest = iter(lambda: file.read(BLOCK_BYTES), b"")
            if first.startswith(_GZIP):
                yield from _unzip(first, rest, path)
                return
            if first:
                yield first
            yield from rest
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Unreadable(f"{path.name}: cannot be read ({reason}): {_advice(error)}") from None


def _advice(error: OSError) -> str:
    denied = error.errno in (errno.EACCES, errno.EPERM)
    return "check its permissions" if denied else "check the disk, or copy the file anew"


def _unzip(first: bytes, rest: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """Gzip of any number of members; nothing that was readable is lost where it breaks off."""
    stream = zlib.decompressobj(wbits=31)
    done = 0
    for packed in _chain(first, rest):
        data = packed
        while data:
            try:
                out = stream.decompress(data, BLOCK_BYTES)
            except zlib.error:
                raise Unreadable(
                    f"{path.name}: gzip is damaged after {done} bytes of text: what came before was read"
                ) from None
            if out:
                done += len(out)
                yield out
            data = stream.unconsumed_tail
            if stream.eof:
                # Padding with zeros after the last member is allowed (gzip manual, "tapes").
                data = stream.unused_data.lstrip(b"\0")
                if data:
                    stream = zlib.decompressobj(wbits=31)
    if not stream.eof:
        raise Unreadable(
            f"{path.name}: gzip is cut off after {done} bytes of text: what is there was read; copy it again"
        )


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def head(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file, uncompressed; fewer where it is shorter or damaged.

    Raises:
        Unreadable: It cannot be opened, is empty, or is no text.
    """
    data = b""
    try:
        for block in blocks(path):
            data += block
            if len(data) >= size:
                break
    except Unreadable:
        if not data:
            raise
    if not data:
        raise Unreadable(f"{path.name}: is empty: nothing was read")
    if data.startswith(b"PAR1"):
        raise Unreadable(f"{path.name}: is Parquet: archived events are files whose name ends in .parquet")
    for magic, what in _PACKED.items():
        if data.startswith(magic):
            raise Unreadable(f"{path.name}: is {what}: unpack it first (gzip is read as it is)")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(f"{path.name}: is UTF-16: write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)")
    if data.count(0) * 10 > len(data):  # some NULs are a log with damage: its other lines are still wanted
        raise Unreadable(f"{path.name}: is binary, not a log: leave it out")
    return data[:size]


def pieces(path: Path, name: str, source: Source, limits: Limits = DEFAULT_LIMITS) -> Iterator[Piece]:
    """Cut a file into pieces of whole lines.

    Args:
        path: The file, plain or gzip.
        name: Its name in positions.
        source: Says encoding, and whether quotes hold newlines together.
        limits: Bounds of memory.

    Yields:
        Pieces in file order; together they hold every line once.

    Raises:
        Unreadable: The rest of the file cannot be read.
    """
    cutter = Cutter(name, source, limits)
    try:
        for block in blocks(path):
            yield from cutter.feed(block)
    except Unreadable:
        yield from cutter.finish()
        raise
    yield from cutter.finish()


class Cutter:
    """Bytes in, pieces out. Holds what is not a whole line yet."""

    def __init__(self, name: str, source: Source, limits: Limits = DEFAULT_LIMITS) -> None:
        self._name = name
        self._source = source
        self._limits = limits
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte
        self._encoding: str = source.encoding
        self._generation = ""
        self._header: str | None = None
        self._skipping: tuple[int, bytes] | None = None  # offset and beginning of a line too long to hold

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes of the file; pieces come once enough has gathered."""
        self._buffer += data
        if self._skipping is not None:
            yield from self._skip(last=False)
        if len(self._buffer) >= self._limits.piece_bytes:
            yield from self._cut(last=False)

    def finish(self) -> Iterator[Piece]:
        """The file has ended: what is left is its last line, with or without line end."""
        if self._skipping is not None:
            yield from self._skip(last=True)
        if self._buffer:
            yield from self._cut(last=True)

    def _cut(self, last: bool) -> Iterator[Piece]:
        end = len(self._buffer) if last else self._buffer.rfind(b"\n") + 1
        if end == 0:
            if len(self._buffer) <= self._limits.line_bytes:
                return
            self._skipping = (self._offset, bytes(self._buffer[: self._limits.line_bytes]))
            yield from self._skip(last)
            return
        data = bytes(self._buffer[:end])
        lines, used = self._lines(data, last)
        del self._buffer[:used]
        self._offset += used
        sizes = lines.get_column("raw").bin.size()
        long = lines.filter(sizes > self._limits.line_bytes)
        lines = lines.filter(sizes <= self._limits.line_bytes)
        yield from self._pieces(lines, _too_long(long))

    def _pieces(self, lines: pl.DataFrame, long: pl.DataFrame) -> Iterator[Piece]:
        for at in range(0, max(lines.height, 1), self._limits.piece_lines):
            part = lines.slice(at, self._limits.piece_lines)
            yield Piece(
                self._name, self._generation, self._encoding, self._header, part, long if at == 0 else long.clear()
            )

    def _skip(self, last: bool) -> Iterator[Piece]:
        assert self._skipping is not None
        end = self._buffer.find(b"\n") + 1
        if end == 0 and not last:
            self._offset += len(self._buffer)
            self._buffer.clear()
            return
        ended = end > 0
        end = end or len(self._buffer)
        start, kept = self._skipping
        self._skipping = None
        self._offset += end
        del self._buffer[:end]
        self._remember_first(kept)
        long = _long_frame([(start, kept, self._offset - start - ended)])
        yield from self._pieces(_no_lines(), long)

    def _remember_first(self, raw: bytes) -> None:
        if not self._generation:
            self._generation = generation(raw)

    def _lines(self, data: bytes, last: bool) -> tuple[pl.DataFrame, int]:
        """Whole lines of a chunk, and how many of its bytes they take."""
        raws = data.split(b"\n")
        if raws[-1] == b"":
            raws.pop()
        self._remember_first(raws[0])
        text, self._encoding = decode_lines(data, raws, self._encoding)
        sizes = np.fromiter(map(len, raws), dtype=np.int64, count=len(raws)) + 1
        starts = self._offset + np.concatenate(([0], np.cumsum(sizes)[:-1]))
        lines = pl.DataFrame({"raw": pl.Series(raws, dtype=pl.Binary), "line": text, "offset": starts})
        used = len(data)
        quote = self._source.quote
        if self._source.format == "delimited" and quote and quote.encode() in data:
            lines, held = join_quoted(lines, self._source, self._limits.record_lines, last)
            used = int(held) - self._offset if held is not None else used
        if b"\r" in data:
            lines = _without_cr(lines)
        if self._offset == 0 and lines.height:
            lines = lines.with_columns(pl.col("line").str.strip_prefix("\ufeff"))
            self._header = lines.get_column("line")[0]
        return lines, used


def generation(first_line: bytes) -> str:
    """Identity of a file's content: SHA-256 (hex) of its first line without line end."""
    return hashlib.sha256(first_line.removesuffix(b"\r")).hexdigest()


def _without_cr(lines: pl.DataFrame) -> pl.DataFrame:
    """Take the CR of CR LF off; a lone CR inside a line is part of it."""
    ends = pl.col("raw").bin.ends_with(b"\r")
    bare = pl.col("raw").bin.head(pl.col("raw").bin.size().cast(pl.Int64) - 1)
    return lines.with_columns(
        raw=pl.when(ends).then(bare).otherwise(pl.col("raw")), line=pl.col("line").str.strip_suffix("\r")
    )


def _no_lines() -> pl.DataFrame:
    return pl.DataFrame(schema={"raw": pl.Binary, "line": pl.String, "offset": pl.Int64})


def _too_long(lines: pl.DataFrame) -> pl.DataFrame:
    return _long_frame([(at, raw, len(raw)) for raw, at in lines.select("raw", "offset").rows()])


def _long_frame(rows: list[tuple[int, bytes, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(at, raw[:2000].decode("utf-8", errors="replace"), size) for at, raw, size in rows],
        schema={"offset": pl.Int64, "line": pl.String, "bytes": pl.Int64},
        orient="row",
    )
