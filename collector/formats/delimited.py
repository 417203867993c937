"""Delimited text: CSV, TSV and relatives, with RFC 4180 quotes."""

from __future__ import annotations

import csv
from typing import Final

import polars as pl

from collector.formats import DETAIL, REASON, verdict
from collector.quotes import escape
from collector.sources import Source

# Names that no header's name can be mixed up with while lines are in work: columns are numbered until the end.
_ROW: Final = "!row"
_LINE: Final = "!line"


def split(line: str, source: Source) -> list[str]:
    """Cut one line, as the format says; it may hold newlines inside of quotes."""
    if not source.quote:
        return line.split(source.delimiter)
    try:
        rows = csv.reader(line.splitlines(keepends=True), delimiter=source.delimiter, quotechar=source.quote)
        return next(rows, [])
    except csv.Error:
        return line.split(source.delimiter)


def names(source: Source, header: str | None) -> list[str]:
    """Names of the columns: the header's, or the declared ones. A name that comes twice gets a number."""
    if not source.header:
        return list(source.names)
    result: list[str] = []
    for name in (column.strip() for column in split(header or "", source)):
        number, unique = 1, name
        while unique in result or unique in (REASON, DETAIL):
            number += 1
            unique = f"{name}#{number}"
        result.append(unique)
    return result or [""]  # a blank header names one column, and its name is none


def cut(lines: pl.Series, source: Source, header: str | None) -> pl.DataFrame:
    """One String column per named column.

    A line with more or fewer columns is refused (`columns`): a shifted value would land under the wrong key.
    """
    columns = names(source, header)
    numbers = [str(at) for at in range(len(columns))]
    frame = lines.alias(_LINE).to_frame().with_row_index(_ROW)
    has_quote = frame.get_column(_LINE).str.contains(source.quote, literal=True) if source.quote else None
    if has_quote is None or not has_quote.any():
        cells = _plain(frame, numbers, source.delimiter)
    elif has_quote.all():
        cells = _quoted(frame, numbers, source)
    else:
        # Lines with quotes are cut twice, for few have any: to part the others from them would cost more.
        plain = _plain(frame, numbers, source.delimiter)
        cells = _with_rows(plain, has_quote, _quoted(frame.filter(has_quote), numbers, source))
    return cells.drop(_ROW).rename(dict(zip(numbers, columns, strict=True)))


def _with_rows(frame: pl.DataFrame, places: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """The frame with other rows in these places."""
    at = places.arg_true()
    return pl.DataFrame([column.scatter(at, rows.get_column(column.name)) for column in frame])


def _plain(frame: pl.DataFrame, numbers: list[str], delimiter: str) -> pl.DataFrame:
    # One column more than there should be tells of lines that are too long.
    cells = frame.get_column(_LINE).str.split_exact(delimiter, len(numbers)).struct.unnest()
    wrong = cells.to_series(-2).is_null() | cells.to_series(-1).is_not_null()
    if wrong.any():
        found = pl.col(_LINE).str.count_matches(delimiter, literal=True) + 1
        checked = frame.select(_ROW, *_wrong_number(found, len(numbers)))
    else:
        checked = frame.select(_ROW, pl.lit(None, pl.String).alias(REASON), pl.lit(None, pl.String).alias(DETAIL))
    cells = cells[:, :-1]
    cells.columns = numbers
    return pl.concat([checked, cells], how="horizontal")


def _wrong_number(found: pl.Expr, expected: int) -> list[pl.Expr]:
    detail = pl.format("has {} columns, the header has {}", found, pl.lit(expected))
    return verdict(found != expected, "columns", detail)


def _quoted(frame: pl.DataFrame, numbers: list[str], source: Source) -> pl.DataFrame:
    d, q = escape(source.delimiter), escape(source.quote)
    # A quote in the midst of a field that does not begin with one is common, and means itself.
    cell = f"(?:{q}(?:[^{q}]|{q}{q})*{q}|[^{q}{d}][^{d}]*|)"
    well = pl.col(_LINE).str.contains(f"(?s)^{cell}(?:{d}{cell})*$")
    found = (pl.lit(source.delimiter) + pl.col(_LINE)).str.extract_all(f"(?s){d}{cell}")
    cells = frame.select(_ROW, _LINE, well.alias("well"), found.alias("cells"))
    detail = "a quote is not closed, or stands where none may"
    checked = cells.with_columns(_wrong_number(pl.col("cells").list.len(), len(numbers))).with_columns(
        pl.when("well").then(REASON).otherwise(pl.lit("format")).alias(REASON),
        pl.when("well").then(DETAIL).otherwise(pl.lit(detail)).alias(DETAIL),
    )
    values = pl.col("cells").list.eval(_value(pl.element(), source.quote))
    gets = (pl.col("cells").list.get(at, null_on_oob=True).alias(name) for at, name in enumerate(numbers))
    return checked.select(_ROW, REASON, DETAIL, values).select(_ROW, REASON, DETAIL, *gets)


def _value(cell: pl.Expr, quote: str) -> pl.Expr:
    """A cell without the delimiter before it and the quotes around it."""
    text = cell.str.slice(1)
    inner = text.str.slice(1, text.str.len_chars() - 2).str.replace_all(quote * 2, quote, literal=True)
    return pl.when(text.str.starts_with(quote)).then(inner).otherwise(text)
