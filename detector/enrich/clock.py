"""When: local time, working days and hours, leave and overtime, declared emergencies."""

from __future__ import annotations

from datetime import MAXYEAR, UTC, datetime

import numpy as np
import polars as pl

from contract.event import MAX_TIME
from detector.enrich.batch import Batch, Register, booleans, local_days
from detector.enrich.intervals import DAY_MS, Codes, Cover, Ints, ends, starts
from registers.calendar import Calendar
from registers.site import Site


class Clock:
    """The site's time zone, calendar and hours."""

    def __init__(self, site: Site) -> None:
        self.time_zone = site.config.time_zone
        self._calendar = Calendar(site.config)
        self._hours = site.config.office_hours
        self._years: dict[int, pl.DataFrame] = {}

    def add(self, batch: Batch) -> None:
        """Make `time.*`; leaves the local day as a number in `batch.days`."""
        stamps = pl.from_epoch(pl.Series("at", batch.times), time_unit="ms")
        local = stamps.dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone).dt.replace_time_zone(None)
        dates = local.dt.date()
        batch.days = dates.to_physical().cast(pl.Int64).to_numpy()
        # East of Greenwich the last hours of 9999 are in a year that no calendar has.
        dates = dates.set(dates.dt.year() > MAXYEAR, None)
        batch.add("time.hour", local.dt.hour().cast(pl.Int64))
        batch.add("time.date", dates)
        batch.add("time.weekday", dates.dt.weekday().cast(pl.Int64))
        off = self._days_off(batch, dates)
        batch.add("time.day_off", off)
        if self._hours is None:
            batch.add_null(pl.Boolean, "time.office_hours")
            return
        minute = local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute().cast(pl.Int64)
        within = minute.is_between(self._hours.from_min, self._hours.to_min, closed="left")
        batch.add("time.office_hours", ~off & within)

    def _days_off(self, batch: Batch, dates: pl.Series) -> pl.Series:
        if not dates.drop_nulls().len():
            return pl.repeat(None, len(batch), dtype=pl.Boolean, eager=True)
        # By year: one event stamped in the year 9999 must not make a calendar of eight thousand years.
        calendar = pl.concat([self._year(year) for year in dates.dt.year().drop_nulls().unique().sort().to_list()])
        joined = dates.alias("date").to_frame().join(calendar, on="date", how="left", maintain_order="left")
        return joined["day_off"]

    def _year(self, year: int) -> pl.DataFrame:
        if year not in self._years:
            # A day more at both ends covers every time zone.
            edges = [datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, tzinfo=UTC)]
            first, last = (int(edge.timestamp()) * 1000 for edge in edges)
            days = self._calendar.days(max(first - DAY_MS, 0), min(last + DAY_MS, MAX_TIME - DAY_MS))
            self._years[year] = days.filter(pl.col("date").dt.year() == year)
        return self._years[year]


class Emergencies:
    """Declared emergencies, by system."""

    def __init__(self, site: Site, systems: Codes) -> None:
        self._silent = "site.toml" in site.missing
        table = Calendar(site.config).emergencies
        start, end = starts(table["from"]), ends(table["to"])
        self._by_system = Cover(systems.encode(table["system"]), start, end)
        # One that names no system is about the whole office.
        everywhere = np.where(table["system"].is_null().to_numpy(), 0, -1)
        self._everywhere = Cover(everywhere, start, end)
        self._any = Cover(np.zeros(table.height, dtype=np.int64), start, end)

    def add(self, batch: Batch) -> None:
        """Make `emergency.active`: no without a declaration, unknown only where the event names no system."""
        one = np.zeros(len(batch), dtype=np.int64)
        active = self._by_system.covers(batch.system, batch.times) | self._everywhere.covers(one, batch.times)
        known = active | batch.present("system.id") | ~self._any.covers(one, batch.times)
        batch.add("emergency.active", booleans(active, known & (not self._silent)))


class Presence:
    """Leave, presence on site and overtime orders."""

    def __init__(self, site: Site, persons: Codes, time_zone: str) -> None:
        register = Register(site, "presence")
        self._absent = register.lacks("actor_id", "kind")
        kind = register.column("kind").cast(pl.String).str.to_lowercase().str.replace_all(r"[\s_-]", "")
        person = persons.encode(register.column("actor_id"))
        start, end = register.start("from"), register.end("to")
        forgotten = (kind == "onsite").fill_null(False).to_numpy() & register.column("to").is_null().to_numpy()
        end = np.where(forgotten, np.minimum(end, _end_of_day(start, time_zone)), end)
        self._covers = {
            name: Cover(np.where((kind == name).fill_null(False).to_numpy(), person, -1), start, end)
            for name in ("leave", "onsite", "overtime")
        }
        # A register of leave alone says nothing about who was in the building.
        self._doors = bool((kind == "onsite").any())

    def add(self, batch: Batch) -> None:
        """Make `presence.*`."""
        known = batch.present("person.id") & (not self._absent)
        for name, cover in self._covers.items():
            says = known & self._doors if name == "onsite" else known
            batch.add(f"presence.{name}", booleans(cover.covers(batch.person, batch.times), says))


def _end_of_day(moments: Ints, time_zone: str) -> Ints:
    """Last millisecond of the local day: nobody who forgot to stamp out stays for ever."""
    days = local_days(moments, time_zone) + 1
    near = np.clip(days, 0, 2_932_000)
    stamps = pl.Series("at", near).cast(pl.Int32).cast(pl.Date).cast(pl.Datetime("ms"))
    utc = stamps.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return utc.dt.epoch("ms").fill_null(0).to_numpy() - 1
