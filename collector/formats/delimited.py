"""Delimited text: CSV, TSV and relatives, with RFC 4180 quotes."""

from __future__ import annotations

import csv

import polars as pl

from collector.formats import DETAIL, REASON, verdict
from collector.read import escape
from collector.sources import Source


def names(source: Source, header: str | None) -> list[str]:
    """Names of the columns: the header's, or the declared ones."""
    if not source.header:
        return list(source.names)
    return [name.strip() for name in split(header or "", source)]


def split(line: str, source: Source) -> list[str]:
    """Cut one line, as the format says."""
    if not source.quote:
        return line.split(source.delimiter)
    try:
        rows = list(csv.reader(line.splitlines(keepends=True), delimiter=source.delimiter, quotechar=source.quote))
    except csv.Error:
        return line.split(source.delimiter)
    return rows[0] if rows else []


def cut(lines: pl.Series, source: Source, header: str | None) -> pl.DataFrame:
    """One String column per named column.

    A line with more or fewer columns is refused (`columns`): a shifted value would land under the wrong key.
    """
    columns = _unique(names(source, header))
    frame = lines.to_frame("line").with_row_index("row")
    quoted = pl.col("line").str.contains(source.quote, literal=True) if source.quote else pl.lit(False)
    frame = frame.with_columns(quoted=quoted)
    plain = _plain(frame.filter(~pl.col("quoted")), columns, source.delimiter)
    if plain.height == frame.height:
        return plain.drop("row")
    rest = _quoted(frame.filter("quoted"), columns, source)
    return pl.concat([plain, rest]).sort("row").drop("row")


def _unique(columns: list[str]) -> list[str]:
    """A name that comes twice would hide a column; the second gets a number."""
    seen: dict[str, int] = {}
    result = []
    for name in columns:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return result


def _plain(frame: pl.DataFrame, columns: list[str], delimiter: str) -> pl.DataFrame:
    found = pl.col("line").str.count_matches(delimiter, literal=True) + 1
    counted = frame.select("row", "line", *_wrong_number(found, len(columns)))
    fields = counted.get_column("line").str.split_exact(delimiter, max(len(columns) - 1, 0)).struct.unnest()
    fields.columns = columns
    return pl.concat([counted.drop("line"), fields], how="horizontal")


def _wrong_number(found: pl.Expr, expected: int) -> list[pl.Expr]:
    return verdict(
        found != expected, "columns", pl.format("has {} columns, the header has {}", found, pl.lit(expected))
    )


def _quoted(frame: pl.DataFrame, columns: list[str], source: Source) -> pl.DataFrame:
    d, q = escape(source.delimiter), escape(source.quote)
    field = f"(?:{q}(?:[^{q}]|{q}{q})*{q}|[^{q}{d}][^{d}]*|)"
    whole = frame.with_columns(well=pl.col("line").str.contains(f"(?s)^{field}(?:{d}{field})*$"))
    bare = pl.col("line").str.replace_all(f"(?s)(^|{d}){q}(?:[^{q}]|{q}{q})*{q}", "${1}")
    found = bare.str.count_matches(source.delimiter, literal=True) + 1
    whole = whole.with_columns(_wrong_number(found, len(columns))).with_columns(
        pl.when("well").then(REASON).otherwise(pl.lit("format")).alias(REASON),
        pl.when("well").then(DETAIL).otherwise(pl.lit("a quote is not closed, or stands inside a field")).alias(DETAIL),
    )
    good = whole.filter(pl.col(REASON).is_null())
    fields = _read_quoted(good, columns, source)
    bad = whole.filter(pl.col(REASON).is_not_null()).select("row", REASON, DETAIL)
    bad = bad.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in columns)
    return pl.concat([pl.concat([good.select("row", REASON, DETAIL), fields], how="horizontal"), bad])


def _read_quoted(good: pl.DataFrame, columns: list[str], source: Source) -> pl.DataFrame:
    """Well-formed lines with quotes, by Polars' own reader; a row more or less than lines would be a bug of ours."""
    schema = dict.fromkeys(columns, pl.String)
    if good.is_empty():
        return pl.DataFrame(schema=schema)
    # A quote inside an unquoted field is allowed in the wild, but Polars' reader counts it; these few go through csv.
    literal = f"(?s)(?:^|{escape(source.delimiter)})[^{escape(source.quote)}{escape(source.delimiter)}][^{escape(source.delimiter)}]*{escape(source.quote)}"
    text = good.get_column("line")
    bare = text.str.replace_all(
        f"(?s)(^|{escape(source.delimiter)}){escape(source.quote)}(?:[^{escape(source.quote)}]|{escape(source.quote * 2)})*{escape(source.quote)}",
        "${1}",
    )
    if bare.str.contains(literal).any():
        rows = [split_whole(line, source) for line in text.to_list()]
        return pl.DataFrame(rows, schema=schema, orient="row")
    data = text.str.join("\n").item().encode()
    return pl.read_csv(
        data, has_header=False, schema=schema, separator=source.delimiter, quote_char=source.quote, truncate_ragged_lines=False,
    )  # fmt: skip


def split_whole(line: str, source: Source) -> list[str]:
    """Cut one line that may hold newlines inside of quotes."""
    return next(csv.reader(line.splitlines(keepends=True), delimiter=source.delimiter, quotechar=source.quote))
