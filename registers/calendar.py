"""The site's calendar: local time, days off, declared emergencies."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from registers.config import SiteConfig

if TYPE_CHECKING:
    from holidays import HolidayBase

_EMERGENCIES: Final = {"system": pl.String, "from": pl.Int64, "to": pl.Int64, "name": pl.String}


def day_end(day: pl.Expr, zone: str) -> pl.Expr:
    """The last millisecond (UTC ms) of a local day.

    Args:
        day: Dates.
        zone: IANA name.
    """
    midnight = (day + pl.duration(days=1)).cast(pl.Datetime("ms"))
    # A zone may have midnight twice, or skip it, once a year.
    there = midnight.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = (midnight + pl.duration(hours=1)).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return pl.coalesce(there, later).dt.epoch("ms") - 1


class Calendar:
    """Time as the organisation lives it.

    Args:
        config: Zone, holidays and emergencies of the site.
    """

    def __init__(self, config: SiteConfig) -> None:
        self._config = config
        self._national: HolidayBase | None = None
        local = config.holidays.local if config.holidays else []
        days = [config.moment(day) for day in local]
        self._local = set(
            pl.DataFrame({"at": pl.Series(days, dtype=pl.Int64)}).select(self.local(pl.col("at")).dt.date()).to_series()
        )

    def local(self, ms: pl.Expr) -> pl.Expr:
        """Datetime in the site's zone from UTC milliseconds."""
        return (
            pl.from_epoch(ms, time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(self._config.time_zone)
        )

    def days(self, first_ms: int, last_ms: int) -> pl.DataFrame:
        """Calendar days of a period.

        Args:
            first_ms, last_ms: UTC milliseconds of the first and last moment; last before first gives no rows.

        Returns:
            One row per local day, ascending: `date` (Date) and `day_off` (Boolean): national holiday or weekend of the declared
            country, or declared by the site. Null where the site declares no country, so weekends are not known to be off.
        """
        ends = pl.DataFrame({"at": [first_ms, last_ms]}).select(self.local(pl.col("at")).dt.date()).to_series()
        first, last = ends.to_list()
        dates = pl.date_range(first, last, "1d", eager=True) if first <= last else pl.Series([], dtype=pl.Date)
        off = [self.day_off(day) for day in dates.to_list()]
        return pl.DataFrame({"date": dates, "day_off": pl.Series(off, dtype=pl.Boolean)})

    def day_off(self, day: date) -> bool | None:
        """Whether a local day is off, as in `days`."""
        if day in self._local:
            return True
        country = self._config.holidays.country if self._config.holidays else None
        if country is None:
            return None
        if self._national is None:
            # Imported here because it takes a tenth of a second that most commands need not spend.
            import holidays

            self._national = holidays.country_holidays(country)
        return day in self._national or bool(self._national.is_weekend(day))

    @property
    def emergencies(self) -> pl.DataFrame:
        """Declared emergencies.

        Returns:
            One row per emergency and system: `system` (null: every system, because none is named), `from`, `to` (Int64 UTC ms,
            both inclusive, `to` null while it goes on), `name`.
        """
        rows = [
            (
                system,
                self._config.moment(emergency.start),
                self._config.moment(emergency.end, end_of_day=True),
                emergency.name,
            )
            for emergency in self._config.emergencies
            for system in (emergency.systems if emergency.systems is not None else [None])
        ]
        return pl.DataFrame(rows, schema=_EMERGENCIES, orient="row")
