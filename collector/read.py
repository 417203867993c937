"""Files to lines: which files there are, what is no log, gzip or not, from the first byte to the last."""

from __future__ import annotations

import errno
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from collector.cut import BLOCK_BYTES, DEFAULT_LIMITS, Cutter, Limits, Piece
from collector.sources import Source

__all__ = [
    "BLOCK_BYTES",
    "DEFAULT_LIMITS",
    "PACKED",
    "Cutter",
    "Limits",
    "Piece",
    "Unreadable",
    "blocks",
    "files",
    "head",
    "pieces",
    "shown",
]

_GZIP: Final = b"\x1f\x8b"
PACKED: Final = {
    b"PK\x03\x04": "a zip archive", b"BZh": "compressed by bzip2", b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd", b"7z\xbc\xaf": "a 7z archive",
}  # fmt: skip
# Control characters, and the ones that turn the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


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
    for magic, what in PACKED.items():
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
