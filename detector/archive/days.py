"""Tables of the archive, one Parquet file per calendar day of the site: parts first, joined into their day's file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from detector.archive import parquet
from service.durable import sync_folder

# So many rows of a day are sorted at once.
SLICE_ROWS: Final = 2_000_000
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\.parquet")
_PART: Final = re.compile(r"\.(\d{4}-\d\d-\d\d)\.(\w[\w-]*)\.parquet")


@dataclass(frozen=True, slots=True)
class Table:
    """What a table's rows are told apart by.

    Attributes:
        name: Its folder's name.
        time: The column that decides the day, UTC milliseconds, never null.
        identity: Rows that have the same are one; they must also have the same time.
        newest: The row that came last stays, else the one that came first.
    """

    name: str
    time: str
    identity: str
    newest: bool


EVENTS: Final = Table("events", "time.occurred", "event.id", newest=False)
FINDINGS: Final = Table("findings", "created", "uid", newest=True)
DECISIONS: Final = Table("decisions", "time", "decision", newest=False)


def listed(folder: Path) -> list[str]:
    """Days that have a file in a folder, as YYYY-MM-DD, ascending; none where there is no folder."""
    return sorted(path.stem for path in folder.glob("*.parquet") if _DAY.fullmatch(path.name))


class Days:
    """Writes `<folder>/<table>/YYYY-MM-DD.parquet`, in the order of time and identity.

    Args:
        folder: Where the tables lie; local.
        table: Which one.
        zone: The site's time zone.
        slice_rows: How many rows are held in memory at once when a day is joined.
    """

    def __init__(self, folder: Path, table: Table, zone: str, *, slice_rows: int = SLICE_ROWS) -> None:
        self.folder = folder / table.name
        self._table, self._zone, self._slice_rows = table, zone, slice_rows

    def add(self, rows: pl.DataFrame, part: str) -> None:
        """Write rows as parts of their days; a part of the same name is written anew.

        Args:
            rows: In the order of their coming.
            part: A name of letters, digits and hyphens; parts come in the order of their names.

        Raises:
            OSError: They could not be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for day, group in parquet.by_day(rows, self._table.time, self._zone):
            path = self.folder / f".{day.isoformat()}.{part}.parquet"
            unfinished = path.with_suffix(".tmp")
            parquet.write(group, unfinished, compression="zstd")
            os.replace(unfinished, path)

    def join(self) -> list[str]:
        """Join the parts into their days' files; what late rows add is put in its place.

        Returns:
            The days that changed, as YYYY-MM-DD.

        Raises:
            OSError: A day could not be written; its parts are still there.
        """
        if not self.folder.is_dir():
            return []
        for path in self.folder.glob(".*.tmp"):
            path.unlink()
        days: dict[str, list[Path]] = {}
        for path in sorted(self.folder.iterdir()):
            if match := _PART.fullmatch(path.name):
                days.setdefault(match[1], []).append(path)
        for day, parts in sorted(days.items()):
            self._join_day(self.folder / f"{day}.parquet", parts)
        return sorted(days)

    def clear(self) -> None:
        """Remove the days and parts that are there, and nothing else.

        Raises:
            OSError: One could not be removed.
        """
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if _DAY.fullmatch(path.name) or _PART.fullmatch(path.name):
                path.unlink()

    def _join_day(self, target: Path, parts: list[Path]) -> None:
        earlier = [target] if target.exists() else []
        # By diagonal, since an older program may have written fewer columns.
        rows = pl.concat([pl.scan_parquet(path, glob=False) for path in earlier + parts], how="diagonal")
        pieces = []
        for number, piece in enumerate(self._sorted(rows)):
            pieces.append(target.with_name(f".{target.stem}.{number:04}.tmp"))
            parquet.write(piece, pieces[-1], compression="zstd")
        whole = pieces[0]
        if len(pieces) > 1:
            whole = target.with_name(f".{target.stem}.tmp")
            scans = pl.concat([pl.scan_parquet(path, glob=False) for path in pieces])
            parquet.sink(scans, whole, compression="zstd", maintain_order=True)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(whole, target)
        sync_folder(self.folder)
        for path in [*parts, *(pieces if len(pieces) > 1 else ())]:
            path.unlink()

    def _sorted(self, rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """A day's rows, each once, in order, some at a time."""
        time, identity = pl.col(self._table.time), self._table.identity
        count, low, high = rows.select(pl.len(), time.min().alias("low"), time.max().alias("high")).collect().row(0)
        step = (high - low) // -(-count // self._slice_rows) + 1
        keep: Literal["first", "last"] = "last" if self._table.newest else "first"
        for start in range(low, high + 1, step):
            piece = rows.filter(time.is_between(start, start + step, closed="left")).collect()
            yield piece.unique(identity, keep=keep, maintain_order=True).sort(self._table.time, identity)
