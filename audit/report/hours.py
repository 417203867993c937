"""When people work: events by weekday and hour of the site's clocks, and how many lie outside declared hours. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from audit.report.headcount import MACHINES
from audit.tables import Tables
from audit.usage import HEARTBEAT
from registers.calendar import Calendar


@dataclass(frozen=True, slots=True)
class Hours:
    """Events by weekday and hour.

    Attributes:
        matrix: Seven weekdays from Monday, each with 24 counts.
        declared: For each weekday from and to in minutes since midnight; None: no office hours on it.
        total: All events counted.
        outside: Those outside declared hours or on a day off; None: the site declares no hours.
        on_days_off: Of these, those on days off; None: the site declares no calendar.
        events: All of them, with `event.id`, `late` (outside declared hours), `off` (on a day off).
    """

    matrix: tuple[tuple[int, ...], ...]
    declared: tuple[tuple[int, int] | None, ...]
    total: int
    outside: int | None
    on_days_off: int | None
    events: pl.LazyFrame


def hours(tables: Tables) -> Hours:
    """Count what people did that was not refused, by the clock.

    Args:
        tables: Of the period.
    """
    config = tables.site.config
    calendar = Calendar(config)
    machines = (
        tables.frames["people"].filter(pl.col("type").is_in(MACHINES)).select("account").collect()["account"].sort()
    )
    local = calendar.local(pl.col("time.occurred"))
    mine = tables.frames["events"].filter(
        pl.col("ok"), pl.col("event.class") != HEARTBEAT, pl.col("actor.id").is_not_null(), ~pl.col("actor.id").is_in(machines.implode())
    )  # fmt: skip
    office = config.office_hours
    minute = local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute()
    # Hours may end after midnight.
    late = pl.lit(False) if office is None else ~(
        minute.is_between(office.from_min, office.to_min - 1) | (minute < office.to_min - 1440)
    )  # fmt: skip
    clocked = mine.with_columns(local.dt.hour().alias("hour"), late.alias("late"))
    counted = clocked.group_by("date", "hour", "late").len().collect(engine="streaming")
    days = counted["date"].unique().sort().to_list()
    off = [day for day in days if calendar.day_off(day)]
    has_calendar = any(calendar.day_off(day) is not None for day in days)
    by_clock = {
        (day, hour): n
        for day, hour, n in counted.group_by(pl.col("date").dt.weekday(), "hour").agg(pl.col("len").sum()).iter_rows()
    }
    is_off = pl.col("date").is_in(off)
    weekend = [has_calendar and day > 5 for day in range(1, 8)]
    span = None if office is None else (office.from_min, office.to_min)
    return Hours(
        matrix=tuple(tuple(int(by_clock.get((day, hour), 0)) for hour in range(24)) for day in range(1, 8)),
        declared=tuple(None if closed else span for closed in weekend),
        total=int(counted["len"].sum()),
        outside=None if office is None else int(counted.filter(is_off | pl.col("late"))["len"].sum()),
        on_days_off=int(counted.filter(is_off)["len"].sum()) if has_calendar else None,
        events=clocked.select("event.id", "late", is_off.alias("off")),
    )
