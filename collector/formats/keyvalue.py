"""key=value pairs, values quoted or not."""

from __future__ import annotations

import polars as pl

from collector.formats import DETAIL, REASON, verdict
from collector.quotes import escape
from collector.sources import Source


def cut(lines: pl.Series, source: Source, header: str | None = None) -> pl.DataFrame:
    """One String column per column that the source names.

    The line is read pair by pair from its start, so a `user=` inside of a quoted value is not taken for one. A
    wanted key that is given twice is refused: whoever can write into a value could else choose who acted.
    """
    wanted = list(dict.fromkeys([*source.time, *source.received, *(c for cs in source.columns.values() for c in cs)]))
    blank, equals = escape(source.pair_separator), escape(source.assign)
    pair = rf'[^{blank}{equals}\s"]+{equals}(?:"(?:[^"\\]|\\.)*"|[^{blank}]*)'
    frame = lines.to_frame("line").with_row_index("!row")
    pairs = frame.select("!row", pair=pl.col("line").str.extract_all(pair)).explode("pair").drop_nulls()
    pairs = pairs.select(
        "!row",
        key=pl.col("pair").str.extract(rf"^([^{equals}]+)"),
        value=pl.col("pair").str.extract(rf"(?s)^[^{equals}]+{equals}(.*)$"),
    ).filter(pl.col("key").is_in(wanted))
    quoted = pl.col("value").str.starts_with('"') & pl.col("value").str.ends_with('"')
    # Escapes that spell a character stay: without its backslash `\u0031` is a digit that no mask knows.
    bare = pl.col("value").str.slice(1, pl.col("value").str.len_chars() - 2).str.replace_all(r"\\([^uUx])", "${1}")
    pairs = pairs.with_columns(value=pl.when(quoted).then(bare).otherwise("value"))
    twice = (
        pairs.group_by("!row", "key").len().filter(pl.col("len") > 1).sort("!row", "key").unique("!row", keep="first")
    )
    result = frame.select("!row")
    for name in wanted:
        one = pairs.filter(pl.col("key") == name).unique("!row", keep="first", maintain_order=True)
        one = one.select("!row", pl.col("value").alias(name))
        result = result.join(one, on="!row", how="left", maintain_order="left")
    some = pairs.select("!row", pl.lit(True).alias("!some")).unique("!row")
    result = result.join(some, on="!row", how="left", maintain_order="left")
    result = result.join(
        twice.select("!row", pl.col("key").alias("!twice")), on="!row", how="left", maintain_order="left"
    )
    none = verdict(pl.col("!some").is_null(), "format", f"holds none of the declared keys ({', '.join(wanted[:5])}, …)")
    return (
        result.with_columns(none)
        .with_columns(
            pl.when(pl.col("!twice").is_not_null()).then(pl.lit("duplicate")).otherwise(REASON).alias(REASON),
            pl.when(pl.col("!twice").is_not_null())
            .then(pl.format("{} is given twice", "!twice"))
            .otherwise(DETAIL)
            .alias(DETAIL),
        )
        .drop("!row", "!some", "!twice")
    )
