"""Sessions out of events, stretch by stretch: what is over is summed up, what may go on is kept for the stretch after.

Nothing but the events is needed, and no register. A session is what `sessionise` calls one. What it is told apart by holds what
the partition is chosen by (`contract.partition`), so partitions need not be told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from contract.finding import Kind, Queue
from detector import features, sessionise
from detector.sessionise import Limits

TAKES_OUT: Final = ("export", "copy", "send", "print")

# What is read of an event, and what is kept of it until its session is summed up.
READ: Final = (*sessionise.READ, "event.class", "resource.count")
KEPT: Final = {
    "session": pl.String(), "event.id": pl.String(), "time.occurred": pl.Int64(), "event.action": pl.String(),
    "actor.id": pl.String(), "system.id": pl.String(), "src.device": pl.String(), "src.ip": pl.String(),
    "subject.token": pl.String(), "resource.count": pl.Int64(),
}  # fmt: skip
# Columns of the table of findings that are read.
ASKED: Final = ["uid", "time", "first", "queue", "risk", "finding"]
# Findings about sessions, by an event of the session.
TOLD: Final = {
    "event.id": pl.String(), "finding": pl.String(), "queue": pl.String(), "risk": pl.Float64(), "time": pl.Int64(),
}  # fmt: skip
TABLE: Final = pl.Schema(
    {
        "session": pl.String(), "actor.id": pl.String(), "system.id": pl.String(), "src.device": pl.String(),
        "src.ip": pl.String(), "first": pl.Int64(), "last": pl.Int64(), "events": pl.Int64(), "subjects": pl.Int64(),
        "exports": pl.Int64(), "rows.out": pl.Int64(), "finding": pl.String(), "queue": pl.String(),
        "risk": pl.Float64(),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Open:
    """Sessions that may go on.

    Attributes:
        tails: `sessionise.TAILS`.
        rows: Their events (`KEPT`) in event order.
    """

    tails: pl.DataFrame = field(default_factory=sessionise.no_tails)
    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=KEPT))


def pieces(events: pl.LazyFrame, most: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """Events some at a time, and up to when (UTC ms, inclusive) they have then all been given.

    Args:
        events: In the order of `time.occurred`.
        most: How many rows are read at once.
    """
    time = pl.col("time.occurred")
    held, last = pl.DataFrame(), 0
    for at in range(0, events.select(pl.len()).collect().item(), most):
        new = events.slice(at, most).collect()
        piece = pl.concat([held, new]) if held.height else new
        last = int(piece["time.occurred"][-1])
        # What happened in one millisecond is put into order together.
        yield piece.filter(time < last), last - 1
        held = piece.filter(time == last)
    if held.height:
        yield held, last


def advance(
    tails: pl.DataFrame, events: pl.DataFrame, watermark: int, limits: Limits
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give events their sessions.

    Args:
        tails: Sessions that may go on (`sessionise.TAILS`).
        events: In `READ` columns, later than all before, each once; heartbeats are left out.
        watermark: UTC ms up to which (inclusive) all events were given.
        limits: When a session ends.

    Returns:
        The sessions that may go on after them, and the events as `KEPT`, in event order.
    """
    work = events.filter((pl.col("event.class") != "heartbeat").fill_null(True))
    placed, tails = sessionise.assign(tails, work, limits)
    rows = placed.select(pl.col(name).cast(dtype) for name, dtype in KEPT.items())
    return tails.filter(~sessionise.is_closed(watermark, limits)), rows


def going_on(tails: pl.DataFrame, later: Iterable[tuple[pl.DataFrame, int]], limits: Limits) -> set[str]:
    """Which sessions have an event among those that come after; no more of these are taken than needed.

    Args:
        tails: What may go on (`sessionise.TAILS`).
        later: As `pieces` gives them.
        limits: When a session ends.
    """
    found: set[str] = set()
    names = tails["session"]
    for events, watermark in later if tails.height else ():
        theirs = events.filter(sessionise.key().is_in(tails["_key"].implode()))
        tails, placed = advance(tails, theirs, watermark, limits)
        found |= set(placed["session"].filter(placed["session"].is_in(names.implode())))
        tails = tails.filter(pl.col("session").is_in(names.implode()) & ~pl.col("session").is_in(list(found)))
        if tails.is_empty():
            break
    return found


def told(findings: pl.DataFrame) -> pl.DataFrame:
    """The last state of each finding about a session, as `TOLD`.

    A session is named by its first event. One that came too late for the detector may be older than that, so what is looked for is
    the session which that event belongs to.

    Args:
        findings: Rows of the table of findings.
    """

    def said(name: str) -> pl.Expr:
        return pl.col("finding").str.json_path_match(f"$.unmapped.{name}")

    about = findings.filter((said("kind") == Kind.SESSION.value) & said("unit").str.starts_with("w-"))
    return (
        about.sort("time", "uid", maintain_order=True)
        .unique("uid", keep="last", maintain_order=True)
        .select(said("unit").str.strip_prefix("w-").alias("event.id"), pl.col("uid").alias("finding"), "queue", "risk", "time")
        .cast(TOLD)  # type: ignore[arg-type]
    )  # fmt: skip


def summed(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Sum sessions up.

    Args:
        rows: All events of sessions (`KEPT`), those of a session in event order.
        known: Findings about sessions (`TOLD`). Of several about one session the one of the greatest risk counts.

    Returns:
        One row per session (`TABLE`), sorted by (first, session).
    """
    out = pl.col("event.action").is_in(TAKES_OUT).fill_null(False)
    best = (
        rows.select("session", "event.id")
        .join(known, on="event.id", how="inner")
        .sort("session", "risk", "time", "finding", descending=[False, True, True, False])
        .unique("session", keep="first", maintain_order=True)
    )
    parts = [features.most_frequent(rows, ["session"], name) for name in ("system.id", "src.device")]
    found = rows.group_by("session").agg(
        pl.col("actor.id").first(),
        pl.col("src.ip").drop_nulls().first(),
        pl.col("time.occurred").min().alias("first"),
        pl.col("time.occurred").max().alias("last"),
        pl.len().alias("events"),
        pl.col("subject.token").drop_nulls().n_unique().alias("subjects"),
        out.sum().alias("exports"),
        pl.col("resource.count").filter(out).sum().alias("rows.out"),
    )
    for part in (*parts, best.select("session", "finding", "queue", "risk")):
        found = found.join(part, on="session", how="left")
    found = found.with_columns(pl.col("queue").fill_null(Queue.NONE.value))
    return found.select(pl.col(name).cast(dtype) for name, dtype in TABLE.items()).sort("first", "session")
