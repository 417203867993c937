"""Messages of syslog as a piece of lines, like one of a file. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from collector.cut import Piece
from collector.encoding import decode_lines
from registers.text import decode

_NONE_LONG: Final = pl.DataFrame(schema={"offset": pl.Int64, "line": pl.String, "bytes": pl.Int64})


def piece(data: bytes, offset: int, name: str, generation: str, encoding: str) -> Piece:
    """Messages of one spool file as its lines.

    Args:
        data: The messages as they came, each with a newline behind it.
        offset: Of the first one, in the file as if it were plain.
        name, generation: The file's, as in `Piece`.
        encoding: What the source declares; `auto`: each message in the one it is in, because many senders share a port.
    """
    raws = data.split(b"\n")
    raws.pop()
    sizes = np.fromiter(map(len, raws), dtype=np.int64, count=len(raws)) + 1
    starts = offset + np.concatenate(([0], np.cumsum(sizes)[:-1]))
    bare = pl.Series(raws, dtype=pl.Binary)
    text = _text(data, bare) if encoding == "auto" else decode_lines(data, bare, encoding)[0]
    lines = pl.DataFrame({"raw": bare, "line": text, "offset": starts})
    return Piece(name, generation, encoding, None, lines, _NONE_LONG)


def _text(data: bytes, raws: pl.Series) -> pl.Series:
    """Lines as text. UTF-8 if it is that, else as is likely."""
    text, _ = decode_lines(data, raws, "utf-8")
    if text.null_count() == 0:
        return text
    return pl.Series("line", [_guess(raw) if line is None else line for raw, line in zip(raws, text, strict=True)])


def _guess(raw: bytes) -> str | None:
    try:
        return decode(raw)[0]
    except UnicodeDecodeError:
        return None
