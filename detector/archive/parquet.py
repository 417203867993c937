"""Parquet files: written so that a full disk is told as one, and rows parted by the site's calendar day."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl


def write(rows: pl.DataFrame, path: Path, **options: Any) -> None:
    """Write a Parquet file; options are those of Polars.

    Raises:
        OSError: It could not be written; says why.
    """
    try:
        rows.write_parquet(path, **options)
    except (pl.exceptions.ComputeError, OSError) as error:
        raise reason(error, path) from error


def sink(rows: pl.LazyFrame, path: Path, **options: Any) -> None:
    """As `write`, without holding all rows at once."""
    try:
        rows.sink_parquet(path, **options)
    except (pl.exceptions.ComputeError, OSError) as error:
        raise reason(error, path) from error


def reason(error: Exception, path: Path) -> OSError:
    """Why Polars could not write: it does not always say so, hence the system is asked by writing once more."""
    try:
        with path.open("ab") as file:
            file.write(bytes(1 << 16))
    except OSError as plain:
        return OSError(plain.errno, plain.strerror, str(path))
    return OSError(errno.EIO, str(error).splitlines()[0], str(path))


def by_day(rows: pl.DataFrame, column: str, zone: str) -> Iterator[tuple[date, pl.DataFrame]]:
    """Rows parted by the calendar day of a time in UTC milliseconds; days and rows in the order of their coming."""
    local = pl.from_epoch(column, time_unit="ms").dt.replace_time_zone("UTC")
    days = rows.with_columns(local.dt.convert_time_zone(zone).dt.date().alias("_day"))
    for (day,), group in days.group_by(["_day"], maintain_order=True):
        assert isinstance(day, date)
        yield day, group.drop("_day")
