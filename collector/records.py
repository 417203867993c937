"""Physical lines to records: a quoted line break, or lines that do not begin as the source says a record does (a stack trace)."""

from __future__ import annotations

import numpy as np
import polars as pl

from collector.quotes import join_quoted
from collector.sources import QUOTED, Source


def join_lines(lines: pl.DataFrame, source: Source, record_lines: int, last: bool) -> tuple[pl.DataFrame, int | None]:
    """Join physical lines to records in the source's way: by how a record begins, by quotes, or not at all.

    Arguments and result are those of `join_records`.
    """
    if source.record_start:
        return join_records(lines, source, record_lines, last)
    if source.format in QUOTED and source.quote and _has(lines, source.quote):
        return join_quoted(lines, source, record_lines, last)
    return lines, None


def _has(lines: pl.DataFrame, quote: str) -> bool:
    return bool(lines.get_column("line").str.contains(quote, literal=True).any())


def join_records(lines: pl.DataFrame, source: Source, record_lines: int, last: bool) -> tuple[pl.DataFrame, int | None]:
    """Join physical lines to records that begin with a match of `record_start`.

    A record ends before the next beginning, or after `record_lines` lines; what follows then, and what stands before a file's
    first beginning, is a record of its own. So a record is the same wherever reading starts at one of these ends.

    Args:
        lines: `raw`, `line`, `offset`, one row per physical line; the first one begins a record or goes on after a full one.
        source: Says how a record begins.
        record_lines: How many lines a record may have.
        last: No more lines will come.

    Returns:
        The records, and the offset from which on more lines must come first (None: all is there). A record with a line that
        is no text is none either.
    """
    if lines.is_empty():
        return lines, None
    begins = (
        lines.get_column("line").str.strip_suffix("\r").str.contains(source.record_start).fill_null(False).to_numpy()
    )
    begins = np.concatenate(([True], begins[1:]))
    rows = np.arange(lines.height)
    first = np.maximum.accumulate(np.where(begins, rows, 0))
    first = rows - (rows - first) % record_lines
    open_from = int(first[-1])
    held = None
    if not last and lines.height - open_from < record_lines:
        held = int(lines.get_column("offset")[open_from])
        lines, first = lines.head(open_from), first[:open_from]
    return _join(lines, pl.Series(first, dtype=pl.Int64), _between(source)), held


def _between(source: Source) -> str:
    """What the text of a record has where its lines end: what the format takes for white space."""
    return {"json": " ", "keyvalue": source.pair_separator}.get(source.format, "\n")


def _join(lines: pl.DataFrame, first: pl.Series, between: str) -> pl.DataFrame:
    joined = first.is_duplicated()
    if not joined.any():
        return lines
    many = lines.with_columns(first=first).filter(joined).group_by("first", maintain_order=True)
    text = pl.col("line").str.strip_suffix("\r").str.join(between)
    records = many.agg("raw", pl.when(pl.col("line").is_not_null().all()).then(text).first(), pl.col("offset").first())
    # Polars joins no bytes.
    raws = pl.Series([b"\n".join(parts) for parts in records.get_column("raw").to_list()], dtype=pl.Binary)
    records = records.with_columns(raw=raws).select("raw", "line", "offset")
    return pl.concat([lines.filter(~joined), records]).sort("offset")
