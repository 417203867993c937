"""Who used what, day by day, and which log spoke on which day: sums of events that stay small however many there are."""

from __future__ import annotations

from typing import Final

import polars as pl

from registers.asof import as_of
from registers.calendar import Calendar
from registers.site import Site

USAGE_KEYS: Final = (
    "actor.id", "actor.type", "system.id", "source.id", "event.class", "event.action", "op.code", "auth.method",
    "ok", "date",
)  # fmt: skip

# A stray year 9999 in one line would make millions of empty days: beyond ten years only days that spoke are listed.
MOST_DAYS: Final = 3660
DAY_MS: Final = 86_400_000

HEARTBEAT: Final = "heartbeat"


def usage(events: pl.LazyFrame, site: Site) -> pl.DataFrame:
    """Sum events up by person, system, function and day.

    Args:
        events: Events with `date` (local day) and `ok` (not failed, not denied).
        site: For `accounts` (one person under several ids) and `staff`.

    Returns:
        One row per combination of `USAGE_KEYS`, sorted, with `usage_id`, `n` (events), `first` and `last` (UTC ms),
        `person.id`, `person.type` (register, else as logged), `person.dept`, `person.company` (as of the last event
        of the day), `person.employed` (between first and last day of employment; null without register).
    """
    counted = (
        events.filter(pl.col("event.class") != HEARTBEAT)
        .group_by(USAGE_KEYS)
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("time.occurred").min().alias("first"),
            pl.col("time.occurred").max().alias("last"),
        )
        .collect(engine="streaming")
        .sort(USAGE_KEYS, nulls_last=True)
    )
    # What registers say hangs on person and day only, so they are asked once for each, not once for each function.
    who = ["actor.id", "system.id", "date"]
    days = counted.group_by(who, maintain_order=True).agg(pl.col("last").max().alias("at"))
    days = persons(days, site)
    joined = counted.join(days.drop("at"), on=who, how="left", nulls_equal=True, maintain_order="left")
    known_type = pl.coalesce("person.type", "actor.type")
    return _employed(joined.with_columns(known_type.alias("person.type")), site).with_row_index("usage_id")


def persons(days: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Say who was behind an account.

    Args:
        days: With `actor.id`, `system.id` and `at` (UTC ms), and any other columns.
        site: For `accounts` and `staff`.

    Returns:
        The same rows in the same order, with `person.id` (the account itself, where no register knows it), `person.type`,
        `person.dept` and `person.company` as of `at`.
    """
    accounts, staff = site.tables["accounts"], site.tables["staff"]
    own = accounts.filter(pl.col("system").is_not_null())
    everywhere = accounts.filter(pl.col("system").is_null())
    days = as_of(days, own, ["actor.id", "system.id"], ["account", "system"], "at", {"actor_id": "own"})
    days = as_of(days, everywhere, ["actor.id"], ["account"], "at", {"actor_id": "everywhere"})
    person = pl.coalesce("own", "everywhere", "actor.id").alias("person.id")
    days = days.with_columns(person).drop("own", "everywhere")
    columns = {name: f"person.{name}" for name in ("type", "dept", "company")}
    return as_of(days, staff, ["person.id"], ["actor_id"], "at", columns)


def _employed(rows: pl.DataFrame, site: Site) -> pl.DataFrame:
    if "staff" in site.missing:
        return rows.with_columns(pl.lit(None, dtype=pl.Boolean).alias("person.employed"))
    spans = (
        site.tables["staff"]
        .sort("actor_id", "valid_from", nulls_last=False, maintain_order=True)
        .group_by("actor_id", maintain_order=True)
        .agg(
            pl.col("start").min().alias("_start"),
            pl.col("end").drop_nulls().last().alias("_end"),
        )
        .with_columns(pl.lit(True).alias("_known"))
    )
    begun = pl.col("_start").is_null() | (pl.col("_start") <= pl.col("first"))
    not_ended = pl.col("_end").is_null() | (pl.col("last") <= pl.col("_end"))
    return (
        rows.join(spans, left_on="person.id", right_on="actor_id", how="left", maintain_order="left")
        .with_columns((pl.col("_known").fill_null(False) & begun & not_ended).alias("person.employed"))
        .drop("_start", "_end", "_known")
    )


def people(used: pl.DataFrame) -> pl.DataFrame:
    """Accounts in use: `account`, `person` and `type` (of the last day), one row per account, sorted."""
    return (
        used.filter(pl.col("actor.id").is_not_null())
        .sort("actor.id", "last", "usage_id")
        .group_by("actor.id", maintain_order=True)
        .agg(pl.col("person.id").last().alias("person"), pl.col("person.type").drop_nulls().last().alias("type"))
        .rename({"actor.id": "account"})
    )


def coverage(events: pl.LazyFrame, period: tuple[int, int] | None, site: Site) -> pl.DataFrame:
    """Which log source spoke on which day.

    Args:
        events: Events with `date`.
        period: First and last moment (UTC ms) that the logs should cover; None if nothing is known.
        site: For declared sources and days off.

    Returns:
        One row per source and local day of the period, sorted: `source.id` (`-` where events name none), `date`,
        `lines` (events without heartbeats), `heartbeats`, `first`, `last` (UTC ms, null on silent days), `day_off`
        (null if the site declares no calendar), `declared` (a system of the site names the source), `gap` (neither
        line nor heartbeat on a day that is not off).
    """
    beats = pl.col("event.class") == HEARTBEAT
    spoken = (
        events.group_by(pl.col("source.id").fill_null("-"), "date")
        .agg(
            (~beats).sum().cast(pl.Int64).alias("lines"),
            beats.sum().cast(pl.Int64).alias("heartbeats"),
            pl.col("time.occurred").min().alias("first"),
            pl.col("time.occurred").max().alias("last"),
        )
        .collect(engine="streaming")
    )
    named = declared_sources(site)
    sources = sorted({*spoken["source.id"].to_list(), *named})
    # Of a period that long it cannot be said which days should have been covered.
    bounded = period is not None and (period[1] - period[0]) / DAY_MS <= MOST_DAYS
    grid = _grid(sources, spoken, period if bounded else None, site)
    silent = (pl.col("lines") == 0) & (pl.col("heartbeats") == 0)
    return (
        grid.join(spoken, on=["source.id", "date"], how="left")
        .with_columns(pl.col("lines", "heartbeats").fill_null(0))
        .with_columns(
            pl.col("source.id").is_in(sorted(named)).alias("declared"),
            (silent & ~pl.col("day_off").fill_null(False) & bounded).alias("gap"),
        )
        .select("source.id", "date", "lines", "heartbeats", "first", "last", "day_off", "declared", "gap")
        .sort("source.id", "date")
    )


def declared_sources(site: Site) -> set[str]:
    """Log sources that any system of the site names."""
    return {source for system in site.config.systems.values() for source in system.sources or ()}


def _grid(sources: list[str], spoken: pl.DataFrame, period: tuple[int, int] | None, site: Site) -> pl.DataFrame:
    """Every source on every day that the logs should cover, and on every day that they do."""
    days = pl.DataFrame(schema={"date": pl.Date, "day_off": pl.Boolean})
    if period is not None:
        days = Calendar(site.config).days(*period)
    others = spoken.select("date").unique().join(days, on="date", how="anti")
    days = pl.concat([days, others.with_columns(pl.lit(None, dtype=pl.Boolean).alias("day_off"))])
    return pl.DataFrame({"source.id": pl.Series(sources, dtype=pl.String)}).join(days, how="cross")
