"""One module per format: lines to columns of text, vectorised.

Each has `cut(lines, source, header) -> DataFrame` with one row per line, in order: String columns, and `REASON` and
`DETAIL`, null where the line has the format's shape. Self-described formats name their columns like the event's keys;
the time stands in `TIME` (or in `STAMP`, `Dec 10 06:55:46`, where it has no year).
"""

from __future__ import annotations

from typing import Final

import polars as pl

REASON: Final = "!reason"
DETAIL: Final = "!detail"
TIME: Final = "!time"
STAMP: Final = "!stamp"


def verdict(bad: pl.Expr, reason: str, detail: str | pl.Expr) -> list[pl.Expr]:
    """The columns `REASON` and `DETAIL`: set where `bad`, else null."""
    text = pl.lit(detail) if isinstance(detail, str) else detail
    return [pl.when(bad).then(pl.lit(reason)).alias(REASON), pl.when(bad).then(text).alias(DETAIL)]


def by_pattern(lines: pl.Series, pattern: str, must: str, what: str) -> pl.DataFrame:
    """Named groups of a pattern as columns; a line without the group `must` is refused as not being `what`.

    A dot of the pattern matches line ends too: a record may have several lines.
    """
    groups = lines.to_frame("line").select(pl.col("line").str.extract_groups(f"(?s){pattern}").alias("groups"))
    frame = groups.unnest("groups").with_columns(pl.col(pl.String).replace("", None))
    return frame.with_columns(verdict(pl.col(must).is_null(), "format", f"is no line of {what}"))
