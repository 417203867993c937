"""The archive of events: one Parquet file per calendar day of the site."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from contract import event, rejected
from detector import step
from detector.archive import parquet

PIECE_ROWS: Final = 50_000


class Damaged(ValueError):
    """A file of the archive cannot be read, or not to its end; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of an archived file.

    Attributes:
        events: In the event's own columns.
        rejected: Rows that are no events, in `contract.rejected.REJECTED_SCHEMA`.
    """

    events: pl.DataFrame
    rejected: pl.DataFrame


def pieces(path: Path, name: str) -> Iterator[Piece]:
    """Read archived events back.

    Args:
        path: A Parquet file.
        name: What it is called in messages and positions.

    Raises:
        Damaged: The file is no Parquet, or lacks a column that every event has.
    """
    read = 0
    try:
        with _panics_unheard():
            stored = pl.read_parquet_schema(path)
            missing = [key for key in event.REQUIRED if key not in stored]
            if missing:
                raise Damaged(f"{name}: is no archive of events, without {', '.join(missing)}: leave it out")
            known = [key for key in event.KEYS if key in stored]
            columns = [pl.col(key).cast(event.schema()[key]) for key in known]
            rows = pl.scan_parquet(path, glob=False).select(columns)
            total = rows.select(pl.len()).collect().item()
        for start in range(0, total, PIECE_ROWS):
            with _panics_unheard():
                part = rows.slice(start, PIECE_ROWS).collect()
            yield _checked(pl.concat([event.empty(), part], how="diagonal").select(event.KEYS), name, start)
            read = start + part.height
    # A damaged page can break an assumption of Polars, which panics then.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise Damaged(
            f"{name}: cannot be read as Parquet after {read:,} events ({reason}): copy it again, or analyse its logs anew"
        ) from error


def _checked(rows: pl.DataFrame, name: str, start: int) -> Piece:
    """Part what the contract allows from what it does not."""
    wrong = pl.coalesce(
        pl.when(_is_wrong(known)).then(pl.lit(f"{known.key}: missing, or no value of the contract"))
        for known in event.FIELDS
    )
    judged = rows.with_row_index("_row", offset=start).with_columns(wrong.alias("_wrong"))
    bad = judged.filter(pl.col("_wrong").is_not_null()).select(
        "source.id",
        pl.format("{}:{}", pl.lit(name), "_row").alias("source.position"),
        pl.lit(str(rejected.Reason.VALUE)).alias("reason"),
        pl.col("_wrong").alias("detail"),
        pl.lit("").alias("line"),
    )
    return Piece(judged.filter(pl.col("_wrong").is_null()).select(event.KEYS), bad.cast(rejected.REJECTED_SCHEMA))


def _is_wrong(known: event.Field) -> pl.Expr:
    column = pl.col(known.key)
    wrong = column.is_null() if known.key in event.REQUIRED else pl.lit(False)
    if known.values:
        wrong = wrong | ~column.is_in(known.values)
    if known.kind == "int":
        wrong = wrong | (column < (known.minimum if known.minimum is not None else -(2**63)))
        wrong = wrong | (column > (known.maximum if known.maximum is not None else 2**63 - 1))
    return wrong.fill_null(False)


@contextmanager
def _panics_unheard() -> Iterator[None]:
    """Polars writes a trace of its own when it panics, past Python; the operator gets one line instead."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@dataclass(slots=True)
class Archive:
    """Writes `<folder>/YYYY-MM-DD.parquet`, day by day, in event order.

    Attributes:
        folder: Where the files go.
        zone: The site's time zone.
        parts: Parts of days written so far.
    """

    folder: Path
    zone: str
    parts: dict[date, list[Path]] = field(default_factory=dict)

    def add(self, rows: pl.DataFrame) -> None:
        """Write events in event order, none older than those of the call before.

        Raises:
            OSError: They could not be written.
        """
        for day, group in parquet.by_day(rows, "time.occurred", self.zone):
            known = self.parts.setdefault(day, [])
            path = self.folder / f".{day.isoformat()}.{len(known):04d}.parquet"
            parquet.write(group, path, compression="zstd")
            known.append(path)

    def close(self) -> None:
        """Join the parts of each day into its file."""
        for day, parts in sorted(self.parts.items()):
            target = self.folder / f"{day.isoformat()}.parquet"
            if len(parts) == 1:
                shutil.move(parts[0], target)
            else:
                parquet.sink(pl.scan_parquet(parts, glob=False), target, compression="zstd", maintain_order=True)
                for part in parts:
                    part.unlink()
        self.parts.clear()

    def find(self, sessions: pl.Series) -> pl.DataFrame:
        """Events of these sessions, in the columns of `step.CLOSED` and in event order; call after `close`."""
        files = sorted(self.folder.glob("[0-9]*.parquet"))
        if not files or sessions.is_empty():
            return pl.DataFrame(schema=dict.fromkeys(step.CLOSED, pl.String))
        rows = pl.scan_parquet(files, glob=False).select(step.CLOSED)
        return rows.filter(pl.col("session").is_in(sessions.sort().implode())).collect(engine="streaming")
