"""The archive of events: one Parquet file per calendar day of the site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from contract import event

PIECE_ROWS: Final = 50_000


class Damaged(ValueError):
    """A file of the archive cannot be read; the text says which, why and what to do."""


def pieces(path: Path) -> Iterator[pl.DataFrame]:
    """Read archived events back, in the event's own columns.

    Raises:
        Damaged: The file is no Parquet, or lacks a column that every event has.
    """
    try:
        stored = pl.read_parquet_schema(path)
        missing = [key for key in event.REQUIRED if key not in stored]
        if missing:
            raise Damaged(f"{path}: is no archive of events: {', '.join(missing)} missing; nothing of it was read")
        known = [key for key in event.KEYS if key in stored]
        columns = [pl.col(key).cast(event.schema()[key]) for key in known]
        rows = pl.scan_parquet(path, glob=False).select(columns)
        for start in range(0, rows.select(pl.len()).collect().item(), PIECE_ROWS):
            part = rows.slice(start, PIECE_ROWS).collect()
            yield pl.concat([event.empty(), part], how="diagonal").select(event.KEYS)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise Damaged(
            f"{path}: cannot be read as Parquet ({reason}); analyse the logs again to make it anew"
        ) from error


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
        local = pl.from_epoch("time.occurred", time_unit="ms").dt.replace_time_zone("UTC")
        days = rows.with_columns(local.dt.convert_time_zone(self.zone).dt.date().alias("_day"))
        for (day,), group in days.group_by(["_day"], maintain_order=True):
            assert isinstance(day, date)
            known = self.parts.setdefault(day, [])
            path = self.folder / f".{day.isoformat()}.{len(known):04d}.parquet"
            group.drop("_day").write_parquet(path, compression="zstd")
            known.append(path)

    def close(self) -> None:
        """Join the parts of each day into its file."""
        for day, parts in sorted(self.parts.items()):
            target = self.folder / f"{day.isoformat()}.parquet"
            if len(parts) == 1:
                shutil.move(parts[0], target)
            else:
                pl.scan_parquet(parts).sink_parquet(target, compression="zstd", maintain_order=True)
                for part in parts:
                    part.unlink()
        self.parts.clear()

    def subjects(self, ids: pl.Series) -> pl.DataFrame:
        """`event.id` and `subject.token` of the events with these ids; call after `close`."""
        files = sorted(self.folder.glob("[0-9]*.parquet"))
        if not files or ids.is_empty():
            return pl.DataFrame(schema={"event.id": pl.String, "subject.token": pl.String})
        wanted = ids.sort().implode()
        return (
            pl.scan_parquet(files)
            .select("event.id", "subject.token")
            .filter(pl.col("subject.token").is_not_null() & pl.col("event.id").is_in(wanted))
            .collect(engine="streaming")
        )
