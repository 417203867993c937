"""What is remembered of an actor: when last seen, which functions used, what was looked at without a reason.

Everything here is keyed by actor, so that work split by actor gives the same result. Nothing looks ahead: what is
said of an event depends on earlier events only, what is said of a day on that day and the ones before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import polars as pl

from detector.features import UNEXPLAINED
from detector.sessionise import DAY_MS, in_units

WINDOW_DAYS: Final = 30
# Before an actor has been seen for so long, a function is not called new to him: everything would be.
ACQUAINTED_DAYS: Final = 14

ARRIVAL: Final[dict[str, tuple[pl.DataType, str]]] = {
    "actor.since_seen_days": (pl.Float64(), "Days since the actor's previous event anywhere; null the first time"),
    "actor.new_op": (pl.Boolean(), f"First use of this function by an actor who was first seen {ACQUAINTED_DAYS} days ago or earlier"),
}  # fmt: skip

# What `arrive` reads of an event.
READ: Final = ("actor.id", "op.code", "time.occurred")

WINDOW: Final[dict[str, str]] = {
    "w30.unexplained_subjects": "Distinct subjects without a recorded reason in 30 days",
    "w30.colleagues": "Distinct colleagues looked at without a recorded reason in 30 days",
    "w30.neighbours": "Distinct people of the own area looked at without a recorded reason in 30 days",
    "w30.repeat_max": "Most days out of 30 on which one and the same subject was looked at without a recorded reason",
    "w30.rows": "Rows listed, printed or taken out in 30 days",
    "w30.exports": "Exports, copies and sendings in 30 days",
    "w30.near_limit": "Exports of 80 to 99 % of the limit in 30 days",
    "w30.near_limit_days": "Days out of 30 with an export of 80 to 99 % of the limit",
    "w30.active_days": "Days out of 30 on which the actor was seen",
    "w30.unexplained_days": "Days out of 30 with an access without a recorded reason",
    "w30.accesses": "Accesses to a subject in 30 days",
}

_PAIRS: Final = {
    "time.date": pl.Date(), "actor.id": pl.String(), "subject.token": pl.String(), "colleague": pl.Boolean(),
    "neighbour": pl.Boolean(),
}  # fmt: skip
_DAYS: Final = {
    "time.date": pl.Date(), "actor.id": pl.String(), "rows": pl.Int64(), "exports": pl.Int64(),
    "near_limit": pl.Int64(), "accesses": pl.Int64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered.

    Attributes:
        actors: One row per actor: `actor.id`, `seen_first`, `seen_last` (UTC ms).
        ops: One row per actor and function used: `actor.id`, `op.code`.
        pairs: One row per day, actor and subject accessed without a recorded reason; the last `WINDOW_DAYS` days.
        days: One row per day and actor; the last `WINDOW_DAYS` days.
    """

    actors: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(
            schema={"actor.id": pl.String, "seen_first": pl.Int64, "seen_last": pl.Int64}
        )
    )
    ops: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"actor.id": pl.String, "op.code": pl.String})
    )
    pairs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_PAIRS))
    days: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_DAYS))


def arrive(history: History, rows: pl.DataFrame) -> tuple[History, pl.DataFrame]:
    """Say what is new about each event, and remember it.

    Args:
        history: What earlier events left.
        rows: New events in event order.

    Returns:
        The history with these events in it, and the rows with the columns of `ARRIVAL`.
    """
    time = pl.col("time.occurred")
    # Few of all actors are at work at a time: the others are only looked at to leave them out.
    mine = pl.col("actor.id").is_in(rows["actor.id"].unique().implode())
    slim = rows.select(READ).join(history.actors.filter(mine), on="actor.id", how="left", maintain_order="left")
    previous = pl.coalesce(time.shift(1).over("actor.id"), pl.col("seen_last"))
    first = pl.coalesce(pl.col("seen_first"), time.min().over("actor.id"))
    used = history.ops.filter(mine)
    slim = slim.join(
        used.with_columns(pl.lit(True).alias("_used")), on=["actor.id", "op.code"], how="left", maintain_order="left"
    )
    again = ~pl.struct("actor.id", "op.code").is_first_distinct()
    arrived = slim.select(
        in_units(time - previous, DAY_MS).alias("actor.since_seen_days"),
        (
            ~again & pl.col("_used").is_null() & pl.col("op.code").is_not_null()
            & ((time - first) >= ACQUAINTED_DAYS * DAY_MS)
        ).alias("actor.new_op"),
        "actor.id",
    ).select(pl.when(pl.col("actor.id").is_not_null()).then(pl.col(name)).alias(name) for name in ARRIVAL)  # fmt: skip
    rows = rows.with_columns(arrived)
    return History(_met(history.actors, slim), _learnt(history.ops, used, slim), history.pairs, history.days), rows


def _met(actors: pl.DataFrame, slim: pl.DataFrame) -> pl.DataFrame:
    """All actors, when they were seen first and last."""
    time = pl.col("time.occurred")
    seen = (
        slim.filter(pl.col("actor.id").is_not_null())
        .group_by("actor.id")
        .agg(time.min().alias("first"), time.max().alias("last"), pl.col("seen_last").first().alias("before"))
    )
    actors = actors.join(seen, on="actor.id", how="left", maintain_order="left").select(
        "actor.id", pl.min_horizontal("seen_first", "first"), pl.max_horizontal("seen_last", "last")
    )
    strangers = seen.filter(pl.col("before").is_null()).select("actor.id", seen_first="first", seen_last="last")
    return pl.concat([actors, strangers]).sort("actor.id") if strangers.height else actors


def _learnt(ops: pl.DataFrame, used: pl.DataFrame, slim: pl.DataFrame) -> pl.DataFrame:
    """All functions that actors have used; `used` are those of the actors in `slim`."""
    new = slim.select("actor.id", "op.code").drop_nulls().unique().join(used, on=["actor.id", "op.code"], how="anti")
    return pl.concat([ops, new]).sort("actor.id", "op.code") if new.height else ops


class Noted(NamedTuple):
    """What is to be remembered of days: rows of `History.pairs` and of `History.days`."""

    pairs: pl.DataFrame
    days: pl.DataFrame


def look_back(history: History, days: pl.DataFrame, rows: pl.DataFrame) -> tuple[Noted, pl.DataFrame]:
    """Add to each day what the last 30 days say.

    Args:
        history: What earlier days left.
        days: One row per actor and complete day, as `features.days` gives them.
        rows: The events of these days.

    Returns:
        What `remember` is to be given, and `days` with the columns of `WINDOW` (this day counts as one of the 30).
    """
    noted = _noted(days, rows)
    mine = pl.col("actor.id").is_in(days["actor.id"].unique().implode())
    pairs = pl.concat([history.pairs.filter(mine), noted.pairs])
    sums = pl.concat([history.days.filter(mine), noted.days])
    key = ["time.date", "actor.id"]
    age = (pl.col("time.date") - pl.col("day")).dt.total_days()
    recent = age.is_between(0, WINDOW_DAYS - 1)

    def window(what: pl.DataFrame) -> pl.DataFrame:
        renamed = what.rename({"time.date": "day"})
        return days.select(key).join(renamed, on="actor.id", how="inner").filter(recent)

    seen = window(pairs)
    subject = pl.col("subject.token")
    looked = seen.group_by(key).agg(
        subject.n_unique().alias("w30.unexplained_subjects"),
        subject.filter(pl.col("colleague")).n_unique().alias("w30.colleagues"),
        subject.filter(pl.col("neighbour")).n_unique().alias("w30.neighbours"),
        pl.col("day").n_unique().alias("w30.unexplained_days"),
    )
    repeats = (
        seen.group_by(*key, "subject.token")
        .agg(pl.col("day").n_unique().alias("n"))
        .group_by(key)
        .agg(pl.col("n").max().alias("w30.repeat_max"))
    )
    took = (
        window(sums)
        .group_by(key)
        .agg(
            pl.col("rows").sum().alias("w30.rows"),
            pl.col("exports").sum().alias("w30.exports"),
            pl.col("near_limit").sum().alias("w30.near_limit"),
            (pl.col("near_limit") > 0).sum().alias("w30.near_limit_days"),
            pl.len().alias("w30.active_days"),
            pl.col("accesses").sum().alias("w30.accesses"),
        )
    )
    out = days
    for part in (looked, repeats, took):
        out = out.join(part, on=key, how="left", maintain_order="left")
    return noted, out.with_columns(pl.col(list(WINDOW)).fill_null(0).cast(pl.Int64))


def remember(history: History, noted: Sequence[Noted]) -> History:
    """The history with days in it, and without those that are too long ago."""
    pairs = pl.concat([history.pairs, *(one.pairs for one in noted)])
    sums = pl.concat([history.days, *(one.days for one in noted)])
    newest = sums["time.date"].max()
    fresh = (pl.lit(newest, dtype=pl.Date) - pl.col("time.date")).dt.total_days() < WINDOW_DAYS
    pairs = pairs.filter(fresh).sort("time.date", "actor.id", "subject.token")
    return History(history.actors, history.ops, pairs, sums.filter(fresh).sort("time.date", "actor.id"))


def _noted(days: pl.DataFrame, rows: pl.DataFrame) -> Noted:
    pairs = (
        rows.filter(UNEXPLAINED & pl.col("actor.id").is_not_null())
        .group_by("time.date", "actor.id", "subject.token")
        .agg(
            pl.col("subject.colleague").fill_null(False).any().alias("colleague"),
            pl.col("subject.neighbour").fill_null(False).any().alias("neighbour"),
        )
    )
    sums = days.select(
        "time.date", "actor.id",
        pl.col("rows.sum").fill_null(0).cast(pl.Int64).alias("rows"),
        pl.col("n.export").cast(pl.Int64).alias("exports"),
        pl.col("near_limit").fill_null(0).cast(pl.Int64).alias("near_limit"),
        pl.col("n.accesses").cast(pl.Int64).alias("accesses"),
    )  # fmt: skip
    return Noted(pairs, sums)
