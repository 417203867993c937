"""Put every event into a session, as it arrives.

A session is what the business system itself calls one (`session.id`), else what one actor does on one device without
a pause of more than 30 minutes. Log-off and time-out close both kinds. The name of a session is `w-` and the id of
its first event, so that it is known at the first event and stays the same however the input is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

CLOSERS: Final = ("logoff", "timeout")

# Columns that `assign` adds; rules may use the `seq.` ones.
SEQUENCE: Final[dict[str, tuple[pl.DataType, str]]] = {
    "session": (pl.String(), "Session that the event belongs to"),
    "seq.gap_s": (pl.Float64(), "Seconds since the previous event of the session; null for its first"),
    "seq.prev_action": (pl.String(), "Action of the previous event of the session"),
    "seq.prev_op": (pl.String(), "Function code of the previous event of the session"),
    "seq.prev_subject": (pl.String(), "Whether the previous event was about the `same` or an `other` subject; else `none`"),
    "seq.first": (pl.Boolean(), "The event opens its session"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """When a session ends.

    Attributes:
        gap_ms: Longest pause inside a session that has no id of its own.
        own_gap_ms: Longest pause inside a session of the business system: people leave for lunch without logging off,
            and who comes back to the open session is a question of its own (scenario 19).
        events: A session is cut after so many events, so that a service account that never pauses stays bounded.
    """

    gap_ms: int = 30 * MINUTE_MS
    own_gap_ms: int = 240 * MINUTE_MS
    events: int = 20_000


def in_units(ms: pl.Expr, unit_ms: int) -> pl.Expr:
    """A duration in ms as a number of longer units; whole ones are exact.

    Not `ms / unit_ms`: Polars multiplies by the reciprocal, but divides where a column has a single row. The last digit
    would depend on how the input was cut.
    """
    return ms // unit_ms + (ms % unit_ms) * (1 / unit_ms)


def _key() -> pl.Expr:
    """Who and where: sessions of different keys never meet.

    What nobody did is kept apart by agent, since that is how events without actor are spread over partitions.
    """
    agent = pl.coalesce(pl.col("agent.id"), pl.lit(""))
    who = pl.coalesce(pl.col("actor.id"), pl.concat_str(pl.lit("\x1e"), agent))
    where = pl.coalesce(pl.col("src.device"), pl.col("src.ip"), pl.lit(""))
    own = pl.concat_str(
        [pl.lit("own"), who, pl.coalesce(pl.col("system.id"), pl.lit("")), pl.col("session.id")], separator="\x1f"
    )
    nobody = pl.concat_str(
        [pl.lit("source"), agent, pl.coalesce(pl.col("source.id"), pl.lit("")), where], separator="\x1f"
    )
    device = pl.concat_str([pl.lit("device"), who, where], separator="\x1f")
    return (
        pl.when(pl.col("session.id").is_not_null())
        .then(own)
        .when(pl.col("actor.id").is_null())
        .then(nobody)
        .otherwise(device)
        .alias("_key")
    )


def order() -> list[pl.Expr]:
    """Sort key of all events: event time, then id. A closing event comes after what happened in the same millisecond."""
    return [pl.col("time.occurred"), pl.col("event.action").is_in(CLOSERS).fill_null(False), pl.col("event.id")]


def assign(open_events: pl.DataFrame, events: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Give every new event its session and its place in it.

    Args:
        open_events: Rows returned by earlier calls whose session is still open, with their `SEQUENCE` columns.
        events: New rows, not older than any row seen before, any order; all columns of `open_events` but `SEQUENCE`.
        limits: When a session ends.

    Returns:
        The rows of both, in the order of `order()`, with the `SEQUENCE` columns. What an earlier call said of a row
        is not changed by later rows.
    """
    rows = pl.concat([open_events, events], how="diagonal") if open_events.height else events
    rows = rows.sort(order(), maintain_order=True).with_columns(_key())
    time = pl.col("time.occurred")
    limit = pl.when(pl.col("session.id").is_not_null()).then(limits.own_gap_ms).otherwise(limits.gap_ms)
    before = pl.col("event.action").shift(1).over("_key")
    rows = rows.with_columns(
        (((time - time.shift(1).over("_key")) > limit).fill_null(True) | before.is_in(CLOSERS).fill_null(False)).alias(
            "_break"
        ),
    ).with_columns(pl.col("_break").cast(pl.Int32).cum_sum().over("_key").alias("_part"))
    group = ["_key", "_part", "_cut"]
    rows = rows.with_columns((pl.int_range(pl.len()).over("_key", "_part") // limits.events).alias("_cut"))
    subject = pl.col("subject.token")
    previous = subject.shift(1).over(group)
    return rows.with_columns(
        pl.concat_str(pl.lit("w-"), pl.col("event.id").first().over(group)).alias("session"),
        in_units(time - time.shift(1).over(group), 1000).alias("seq.gap_s"),
        pl.col("event.action").shift(1).over(group).alias("seq.prev_action"),
        pl.col("op.code").shift(1).over(group).alias("seq.prev_op"),
        pl.when(previous.is_null() | subject.is_null())
        .then(pl.lit("none"))
        .when(previous == subject)
        .then(pl.lit("same"))
        .otherwise(pl.lit("other"))
        .alias("seq.prev_subject"),
        (pl.int_range(pl.len()).over(group) == 0).alias("seq.first"),
    ).drop("_key", "_break", "_part", "_cut")


def is_closed(watermark: int, limits: Limits) -> pl.Expr:
    """Whether the session of each row can get no further event, given that all events up to the watermark are here.

    Args:
        watermark: UTC ms; every event up to it (inclusive) has been seen.
        limits: When a session ends.
    """
    last = pl.col("time.occurred").max().over("session")
    limit = pl.when(pl.col("session.id").is_not_null()).then(limits.own_gap_ms).otherwise(limits.gap_ms)
    ended = pl.col("event.action").last().over("session").is_in(CLOSERS).fill_null(False)
    # An event of the very millisecond of a log-off may still come (see `order`), hence `<` there.
    return ((last + limit) < watermark) | (ended & (last < watermark)) | (pl.len().over("session") >= limits.events)
