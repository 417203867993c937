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


# What `assign` reads of an event.
READ: Final = (
    "event.id", "event.action", "time.occurred", "actor.id", "agent.id", "source.id", "system.id", "session.id",
    "src.device", "src.ip", "op.code", "subject.token",
)  # fmt: skip


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


def key() -> pl.Expr:
    """Who and where: sessions of different keys never meet.

    What nobody did is kept apart by agent, since that is how events without actor are spread over partitions.
    """
    own, nobody = pl.col("session.id").is_not_null(), pl.col("actor.id").is_null()
    agent = pl.coalesce(pl.col("agent.id"), pl.lit(""))
    who = pl.coalesce(pl.col("actor.id"), pl.concat_str(pl.lit("\x1e"), agent))
    where = pl.coalesce(pl.col("src.device"), pl.col("src.ip"), pl.lit(""))
    system, source = (pl.coalesce(pl.col(name), pl.lit("")) for name in ("system.id", "source.id"))
    # One text of parts that are chosen, not a text of each kind of which one is chosen: that takes a third of the time.
    return pl.concat_str(
        pl.when(own).then(pl.lit("own")).when(nobody).then(pl.lit("source")).otherwise(pl.lit("device")),
        pl.when(~own & nobody).then(agent).otherwise(who),
        pl.when(own).then(system).when(nobody).then(source).otherwise(where),
        pl.when(own).then("session.id").when(nobody).then(where),
        separator="\x1f",
        ignore_nulls=True,
    ).alias("_key")


def order() -> list[pl.Expr]:
    """Sort key of all events: event time, then id. A closing event comes after what happened in the same millisecond."""
    return [pl.col("time.occurred"), pl.col("event.action").is_in(CLOSERS).fill_null(False), pl.col("event.id")]


# What is remembered of a session that may go on: its key, its name, and its newest event.
TAILS: Final[dict[str, pl.DataType]] = {
    "_key": pl.String(), "session": pl.String(), "n": pl.Int64(), "own": pl.Boolean(), "time.occurred": pl.Int64(),
    "event.id": pl.String(), "event.action": pl.String(), "op.code": pl.String(), "subject.token": pl.String(),
}  # fmt: skip


def no_tails() -> pl.DataFrame:
    """No session is open."""
    return pl.DataFrame(schema=TAILS)


def assign(tails: pl.DataFrame, events: pl.DataFrame, limits: Limits) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give every new event its session and its place in it.

    The work grows with the new events and the sessions that they reach; the other open ones are only passed on.

    Args:
        tails: One row per session that may go on (`TAILS`), as the call before returned those not closed.
        events: New rows, later than any row seen before, any order.
        limits: When a session ends.

    Returns:
        The new rows in the order of `order()`, with the `SEQUENCE` columns, and the tails of all sessions, also of
        those that no new event reached.
    """
    events = in_order(events)
    own = pl.col("session.id").is_not_null().alias("own")
    rows = events.select(key(), own, *(name for name in TAILS if name in events.columns))
    reached = pl.col("_key").is_in(rows["_key"].unique().implode())
    # The newest event of an open session stands in for all that came before.
    before = tails.filter(reached).rename({"session": "_name", "n": "_n"})
    rows = pl.concat([before, rows], how="diagonal_relaxed").with_row_index("_at")
    rows = _placed(rows, limits)
    follows = pl.col("_opens").shift(-1, fill_value=True)
    ends = rows.filter(follows).select(pl.col(name).cast(dtype) for name, dtype in (TAILS | {"n": pl.Int64()}).items())
    new = rows.select("_at", "_name", *SEQUENCE).filter(pl.col("_name").is_null()).sort("_at").select(*SEQUENCE)
    return events.drop(SEQUENCE, strict=False).hstack(new), pl.concat([tails.filter(~reached), ends])


def in_order(events: pl.DataFrame) -> pl.DataFrame:
    """Events sorted by `order()`. Looking whether they are is much less work than sorting."""
    time, closes, name = order()
    keys = events.select(time.alias("time"), closes.alias("closes"), name.alias("name"))

    def later(key: str, otherwise: pl.Expr | None = None) -> pl.Expr:
        before, here = pl.col(key).shift(1), pl.col(key)
        return (before < here) | ((before == here) & otherwise if otherwise is not None else before == here)

    if keys.select(later("time", later("closes", later("name"))).all()).item():
        return events
    return events[keys.with_row_index("at").sort("time", "closes", "name", maintain_order=True)["at"]]


def _placed(rows: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Part the rows of each key into sessions, and say what comes before what.

    Args:
        rows: Tails (rows with a `_name`), then new rows, in order.
        limits: When a session ends.

    Returns:
        The rows, those of a session one after the other, with `SEQUENCE`, `n` (the session's events so far) and `_opens` (the first
        row of a session that is here).
    """
    codes = rows.select(pl.col("_key").unique(maintain_order=True)).with_row_index("_code")
    rows = rows.join(codes, on="_key", how="left", maintain_order="left").sort("_code", maintain_order=True)
    time, action = pl.col("time.occurred"), pl.col("event.action")
    limit = pl.when("own").then(limits.own_gap_ms).otherwise(limits.gap_ms)
    after_closer = action.shift(1).is_in(CLOSERS).fill_null(False)
    begins = (pl.col("_code") != pl.col("_code").shift(1)).fill_null(True)
    rows = rows.with_columns((begins | (time - time.shift(1) > limit) | after_closer).fill_null(True).alias("_break"))
    first = pl.when("_break").then(pl.int_range(pl.len())).forward_fill()
    earlier = pl.when("_break").then(pl.col("_n").fill_null(1) - 1).forward_fill()
    count = (earlier + pl.int_range(pl.len()) - first).alias("_count")
    rows = rows.with_columns(count).with_columns(
        (pl.col("_break") | (pl.col("_count") // limits.events != pl.col("_count").shift(1) // limits.events)).alias(
            "_opens"
        )
    )
    opens, subject = pl.col("_opens"), pl.col("subject.token")
    previous = pl.when(~opens).then(subject.shift(1))
    name = pl.coalesce(pl.col("_name"), pl.concat_str(pl.lit("w-"), pl.col("event.id")))
    return rows.with_columns(
        pl.when(opens).then(name).forward_fill().alias("session"),
        in_units(pl.when(~opens).then(time - time.shift(1)), 1000).alias("seq.gap_s"),
        pl.when(~opens).then(action.shift(1)).alias("seq.prev_action"),
        pl.when(~opens).then(pl.col("op.code").shift(1)).alias("seq.prev_op"),
        pl.when(previous.is_null() | subject.is_null())
        .then(pl.lit("none"))
        .when(previous == subject)
        .then(pl.lit("same"))
        .otherwise(pl.lit("other"))
        .alias("seq.prev_subject"),
        (pl.col("_count") % limits.events == 0).alias("seq.first"),
        (pl.col("_count") % limits.events + 1).alias("n"),
    )


def closes(limits: Limits) -> pl.Expr:
    """The first watermark (UTC ms) at which the session of each tail is closed, if nothing more happens in it."""
    last = pl.col("time.occurred")
    limit = pl.when("own").then(limits.own_gap_ms).otherwise(limits.gap_ms)
    ended = pl.col("event.action").is_in(CLOSERS).fill_null(False)
    return pl.when(pl.col("n") >= limits.events).then(last).when(ended).then(last + 1).otherwise(last + limit + 1)


def is_closed(watermark: int, limits: Limits) -> pl.Expr:
    """Whether the session of each tail can get no further event, given that all events up to the watermark are here.

    Args:
        watermark: UTC ms; every event up to it (inclusive) has been seen.
        limits: When a session ends.
    """
    # An event of the very millisecond of a log-off may still come (see `order`), so it takes one more.
    return closes(limits) <= watermark
