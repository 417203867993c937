"""The table of sessions, one Parquet file per calendar day of the site, made of the tables of events and findings.

A session stands in the day of its last event. A day is made when it is closed: when the archive reaches beyond its end by the
longest pause of a session. Beside each day lies what may go on at its end, which the day after begins with; a day without
that is made, or made again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from contract import event
from detector import parcel
from detector.archive import days, parquet, sittings
from detector.archive.days import EVENTS, FINDINGS
from detector.archive.sittings import Open
from detector.sessionise import Limits
from registers.calendar import day_end
from service.durable import sync_folder

NAME: Final = "sessions"
# So many events are worked on at once.
PIECE_ROWS: Final = 200_000
# Of what is read to sum sessions up, so many times as much, as it has fewer columns.
_PIECES: Final = 4
_PARTS: Final = ".parts"
_KIND: Final = "sessions at midnight"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _Night:
    """What may go on at the end of a day.

    Attributes:
        open: It.
        on: Names of those of these sessions that do go on.
        began: `_name` of what the day began with.
        since: The day of the oldest event that was looked at.
        known: What the findings about the sessions of these days are told apart by from others.
    """

    open: Open
    on: set[str]
    began: str
    since: date
    known: str


class SessionDays:
    """Writes `<folder>/sessions/YYYY-MM-DD.parquet`, in the order of first event and name.

    Args:
        folder: Where the tables lie; local.
        zone: The site's time zone.
        limits: When a session ends; pauses are shorter than a day.
        piece_rows: How many events are worked on at once.
    """

    def __init__(self, folder: Path, zone: str, limits: Limits | None = None, piece_rows: int = PIECE_ROWS) -> None:
        self._tables, self.folder, self._zone = folder, folder / NAME, zone
        self._limits, self._piece_rows = limits or Limits(), piece_rows

    def changed(self, events: Iterable[str], findings: Iterable[str]) -> None:
        """Hear that days of these tables are not what they were; what depends on them will be made again.

        Args:
            events, findings: Days, as YYYY-MM-DD.

        Raises:
            OSError: The note of that could not be removed.
        """
        for day in map(date.fromisoformat, events):
            self._night(day).unlink(missing_ok=True)
            night = _read(self._night(_before(day)))
            if night is not None and self._going_on(_before(day), night.open.tails) != night.on:
                self._night(_before(day)).unlink()
        told = list(map(date.fromisoformat, findings))
        for path in self.folder.glob(".????-??-??.open") if told else ():
            night, day = _read(path), date.fromisoformat(path.name[1:11])
            if night is None or (
                any(night.since <= one <= _after(day) for one in told)
                and _short({"known": self._known(night.since, day)}) != night.known
            ):
                path.unlink()

    def make(self, reached_ms: int) -> tuple[list[str], int]:
        """Make the days that are closed and are not made yet, or were changed.

        Args:
            reached_ms: Up to when (UTC ms) the archive holds what came.

        Returns:
            The days that were written, as YYYY-MM-DD, and the rows in them.

        Raises:
            OSError: One could not be written.
        """
        made, rows = [], 0
        for name in days.listed(self._tables / EVENTS.name):
            day = date.fromisoformat(name)
            if self._end(day) + self._limits.own_gap_ms >= reached_ms:
                break
            if _read(self._night(day)) is None:
                rows += self._make(day)
                made.append(name)
        return made, rows

    def clear(self) -> None:
        """Remove the days that are there, and nothing else.

        Raises:
            OSError: One could not be removed.
        """
        for name in days.listed(self.folder):
            (self.folder / f"{name}.parquet").unlink()
        for path in self.folder.glob(".????-??-??.open"):
            path.unlink()

    def _make(self, day: date) -> int:
        before = _read(self._night(_before(day)))
        begun = before.open if before else Open()
        oldest = begun.rows.select(pl.col("time.occurred").min()).item()
        since = day if oldest is None else self._day(oldest)
        parts = self.folder / _PARTS
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        rows, tails = self._placed(day, begun, parts)
        left = Open(tails, rows.filter(pl.col("session").is_in(tails["session"].implode())).collect())
        on = self._going_on(day, tails)
        known = self._known(since, day)
        over = rows.filter(~pl.col("session").is_in(list(on)))
        table = pl.concat(sittings.summed(some, known) for some in self._shares(over))
        # What ended before this day and was only waited for stands in the day before.
        start = self._end(_before(day)) + 1
        table = table.filter(pl.col("last") >= start).sort("first", "session")
        self._write(day, table, _Night(left, on, _name(begun), since, _short({"known": known})))
        shutil.rmtree(parts)
        return table.height

    def _placed(self, day: date, begun: Open, parts: Path) -> tuple[pl.LazyFrame, pl.DataFrame]:
        """A day's events (`sittings.KEPT`), with those of the sessions that it begins with; and what may go on at its end.

        They lie on the disk: sessions that last all day would fill the memory.
        """
        path, tails = parts / "00000.parquet", begun.tails
        parquet.write(begun.rows, path)
        paths = [path]
        for events, watermark in chain(self._pieces(day), [(event.empty().select(sittings.READ), self._end(day))]):
            tails, rows = sittings.advance(tails, events, watermark, self._limits)
            paths.append(parts / f"{len(paths):05}.parquet")
            parquet.write(rows, paths[-1])
        return pl.concat([pl.scan_parquet(path, glob=False) for path in paths]), tails

    def _shares(self, rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """Rows some at a time, all those of a session together."""
        shares = 1 + rows.select(pl.len()).collect().item() // (_PIECES * self._piece_rows)
        for number in range(shares):
            yield rows.filter(pl.col("session").hash() % shares == number).collect()

    def _going_on(self, day: date, tails: pl.DataFrame) -> set[str]:
        """Those of the sessions at the end of a day that have an event on the day after."""
        until = self._end(day) + self._limits.own_gap_ms
        return sittings.going_on(tails, self._until(_after(day), until), self._limits)

    def _write(self, day: date, table: pl.DataFrame, night: _Night) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        target, unfinished = self.folder / f"{day}.parquet", self.folder / f".{day}.tmp"
        parquet.write(table, unfinished, compression="zstd")
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, target)
        after = _read(self._night(_after(day)))
        if after is not None and after.began != _name(night.open):
            self._night(_after(day)).unlink()
        sync_folder(self.folder)
        # Comes last: as long as it is not there, the day is made again.
        header = {
            "began": night.began, "on": sorted(night.on), "since": night.since.isoformat(), "known": night.known,
        }  # fmt: skip
        unfinished.write_bytes(parcel.pack(_KIND, _VERSION, header, _frames(night.open), {}))
        os.replace(unfinished, self._night(day))

    def _pieces(self, day: date) -> Iterator[tuple[pl.DataFrame, int]]:
        path = self._tables / EVENTS.name / f"{day}.parquet"
        if path.exists():
            yield from sittings.pieces(pl.scan_parquet(path, glob=False).select(sittings.READ), self._piece_rows)

    def _until(self, day: date, upto: int) -> Iterator[tuple[pl.DataFrame, int]]:
        for events, watermark in self._pieces(day):
            yield events.filter(pl.col("time.occurred") <= upto), min(watermark, upto)
            if watermark >= upto:
                return

    def _known(self, since: date, day: date) -> pl.DataFrame:
        """Findings (`sittings.TOLD`) that may be about a session which ended on a day and did not begin before another."""
        folder, end = self._tables / FINDINGS.name, self._end(day)
        names = [name for name in days.listed(folder) if since <= date.fromisoformat(name) <= _after(day)]
        tables = [pl.read_parquet(folder / f"{name}.parquet", columns=sittings.ASKED) for name in names]
        found = [sittings.told(table.filter(pl.col("first") <= end)) for table in tables]
        known = pl.concat([pl.DataFrame(schema=sittings.TOLD), *found]).sort("time", "finding", maintain_order=True)
        return known.unique("finding", keep="last", maintain_order=True)

    def _night(self, day: date) -> Path:
        return self.folder / f".{day}.open"

    def _end(self, day: date) -> int:
        return int(pl.select(day_end(pl.lit(day), self._zone)).item())

    def _day(self, at: int) -> date:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(self._zone)).date()


def _before(day: date) -> date:
    return day - timedelta(days=1)


def _after(day: date) -> date:
    return day + timedelta(days=1)


def _name(left: Open) -> str:
    """What may go on, in short: equal for equal sessions."""
    return _short(_frames(left))


def _frames(left: Open) -> dict[str, pl.DataFrame]:
    return {"tails": left.tails.sort("session"), "rows": left.rows}


def _short(frames: Mapping[str, pl.DataFrame]) -> str:
    return hashlib.sha256(parcel.pack(_KIND, _VERSION, {}, frames, {})).hexdigest()


def _read(path: Path) -> _Night | None:
    """What may go on at the end of a day; None where that is not known, or was written by another version."""
    try:
        header, frames, _ = parcel.unpack(path.read_bytes(), _KIND, _VERSION)
    except (FileNotFoundError, ValueError):
        return None
    left = Open(frames["tails"], frames["rows"])
    return _Night(left, set(header["on"]), header["began"], date.fromisoformat(header["since"]), header["known"])
