"""Lines that a quoted newline cuts in two are one line (RFC 4180)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from collector.sources import Source


def join_quoted(lines: pl.DataFrame, source: Source, record_lines: int, last: bool) -> tuple[pl.DataFrame, int | None]:
    """Join physical lines that one quoted field holds together (RFC 4180).

    A line opens a field if a quote starts a field and no quote ends it; the field ends with the first line that closes it. If
    none of the next `record_lines` does, or a quote stands where none may, the quote was none and the line stands
    alone (and will be refused for it): one stray quote must not swallow the lines behind it.

    Args:
        lines: `raw`, `line`, `offset`, one row per physical line.
        source: Says delimiter and quote.
        record_lines: How many lines a record may have.
        last: No more lines will come.

    Returns:
        The lines, joined where needed, and the offset from which on more lines must come first (None: all is there).
    """
    opens, closes, ends = _quote_states(lines.get_column("line"), source.delimiter, source.quote)
    openers, enders = np.flatnonzero(opens), np.flatnonzero(ends)
    group = np.arange(lines.height)
    free = 0
    for at in openers.tolist():
        if at < free:
            continue
        place = int(np.searchsorted(enders, at + 1))
        end = int(enders[place]) if place < enders.size else lines.height
        if end - at >= record_lines:
            continue
        if end == lines.height:
            if not last:
                return _join(lines.head(at), group[:at]), int(lines.get_column("offset")[at])
        elif closes[end]:
            group[at : end + 1] = at
            free = end + 1
    return _join(lines, group), None


Flags = NDArray[np.bool_]


def _quote_states(text: pl.Series, delimiter: str, quote: str) -> tuple[Flags, Flags, Flags]:
    """For each line: if it starts outside of a field, does it end inside of one? If it starts inside of one, does it
    close it, and does it end it in whatever way (so that it neither goes on nor opens the next)?"""
    d, q = escape(delimiter), escape(quote)
    inside = f"(?:[^{q}]|{q}{q})*"
    field = f"(?:{q}{inside}{q}|[^{q}{d}][^{d}]*|)"
    opening = f"(?s)^(?:{field}{d})*{q}{inside}$"
    closing = f"(?s)^{inside}{q}(?:{d}{field})*$"
    going_on = f"(?s)^{inside}(?:{q}(?:{d}{field})*{d}{q}{inside})?$"
    has_quote = text.str.contains(quote, literal=True).fill_null(False)
    some = text.filter(has_quote).str.strip_suffix("\r")
    opens, closes, ends = (np.zeros(len(text), dtype=np.bool_) for _ in range(3))
    at = has_quote.arg_true().to_numpy()
    opens[at] = some.str.contains(opening).to_numpy()
    closes[at] = some.str.contains(closing).to_numpy()
    ends[at] = ~some.str.contains(going_on).to_numpy()
    return opens, closes, ends


def escape(sign: str) -> str:
    """One character for use in an RE2 pattern, also inside a class."""
    return "\\" + sign if sign in r"\.+*?()|[]{}^$#&-~/" else sign


def _join(lines: pl.DataFrame, group: NDArray[np.int64]) -> pl.DataFrame:
    if np.array_equal(group, np.arange(lines.height)):
        return lines
    # Only the joined ones go through Python: they are few.
    many = lines.with_columns(group=pl.Series(group, dtype=pl.Int64)).with_row_index("row")
    size = many.group_by("group").len()
    many = many.join(size, on="group", how="left", maintain_order="left")
    alone = many.filter(pl.col("len") == 1).select("raw", "line", "offset")
    together = many.filter(pl.col("len") > 1).sort("row").group_by("group", maintain_order=True)
    joined = together.agg(
        pl.col("raw"),
        pl.when(pl.col("line").is_not_null().all()).then(pl.col("line").str.join("\n")).first(),
        pl.col("offset").first(),
    )
    raws = [b"\n".join(parts) for parts in joined.get_column("raw").to_list()]
    joined = joined.with_columns(raw=pl.Series(raws, dtype=pl.Binary)).select("raw", "line", "offset")
    return pl.concat([alone, joined]).sort("offset")
