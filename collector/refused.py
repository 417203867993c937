"""Lines that could not become an event: what is kept of them, and what must not be.

A refused line is evidence, so it is kept; it is raw, so it may hold what design §9 keeps out of every file. My Numbers
are masked like everywhere. Where the source carries ids of people on file, longer runs of digits are blotted out as well,
because nobody knows in which place of a broken line the id stands. Stamps in a format that the source declares stay.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from collector.sources import TOKEN_KEYS, Source
from contract import rejected
from registers.mask import mask_my_numbers

# Digits also as URLs and JSON spell them.
_LONG_NUMBER: Final = r"(?i:[0-9０-９]|%3[0-9]|%ef%bc%9[0-9]|\\u003[0-9]|\\uff1[0-9]){5,}"


def refuse(rows: pl.DataFrame, source: Source, name: str) -> pl.DataFrame:
    """Refused lines in the contract's columns, cut and masked.

    Args:
        rows: `offset` (Int64), `reason`, `detail`, `line` (String), one row per refused line.
        source: Whose lines they are.
        name: Name of the file, for the position.

    Returns:
        One row per refused line, in the order given.
    """
    if rows.is_empty():
        return rejected.empty()
    position = pl.lit(f"{name}:") + pl.col("offset").cast(pl.String)
    framed = rows.select(
        pl.lit(source.id).alias("source.id"),
        position.alias("source.position"),
        pl.col("reason").cast(pl.String),
        _short(rows.get_column("detail"), rejected.DETAIL_CHARS),
        _short(rows.get_column("line"), rejected.KEPT_CHARS),
    )
    return hide(framed.select(pl.col(key).cast(kind) for key, kind in rejected.REJECTED_SCHEMA.items()), source)


def hide(framed: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Mask what `detail` and `line` of refused lines must not show.

    Args:
        framed: Refused lines in the contract's columns, cut already.
        source: Whose lines they are.
    """
    stamps = source.time_formats
    shown = framed.with_columns(mask_my_numbers(framed.get_column(name), stamps) for name in ("detail", "line"))
    if holds_people(source):
        shown = shown.with_columns(pl.col("detail", "line").str.replace_all(_LONG_NUMBER, "#####"))
    return shown


def holds_people(source: Source) -> bool:
    """Whether lines of the source carry raw ids of people on file."""
    records = "resource.id" in source.columns and (
        "resource.type" in source.columns or source.constants.get("resource.type") == "record"
    )
    return records or any(key in source.columns for key in TOKEN_KEYS)


def _short(text: pl.Series, chars: int) -> pl.Series:
    text = text.cast(pl.String).fill_null("")
    long = (text.str.len_chars() > chars).arg_true()
    if long.is_empty():
        return text
    cut = [rejected.cut(line, chars) for line in text.gather(long).str.slice(0, chars + 1).to_list()]
    return text.clone().scatter(long, pl.Series(cut, dtype=pl.String))
