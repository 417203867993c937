"""Events for tests of the evidence, and the two stages run over them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from detector.witness import Limits, State, advance
from detector.witness.summary import summary

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
COLUMNS = {
    "event.id": pl.String(), "event.class": pl.String(), "time.occurred": pl.Int64(), "time.date": pl.Date(),
    "time.hour": pl.Int64(), "time.day_off": pl.Boolean(), "agent.id": pl.String(), "agent.boot": pl.String(),
    "agent.seq": pl.Int64(), "source.id": pl.String(), "resource.count": pl.Int64(), "message": pl.String(),
    "again": pl.Boolean(), "time.received": pl.Int64(),
}  # fmt: skip
MONDAY = date(2026, 4, 6)
EPOCH = date(1970, 1, 1)
GAP = ("sequence_gap", "text", False)
LONG = 48 * 60.0


def limits(heartbeat_s: int = 600, zone: str = "UTC", off: Iterable[date] = ()) -> Limits:
    """Weekends and these days are off."""
    days = set(off)
    return Limits(heartbeat_s, zone, lambda day: day in days or day.weekday() > 4)


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    """Events; their ids are their places unless said otherwise."""
    filled = [{"event.id": f"{n:016x}", "event.class": "access"} | row for n, row in enumerate(given)]
    return pl.DataFrame(filled, schema=COLUMNS)


def line(
    seq: int | None, minute: float = 0.0, boot: str | None = "b1", agent: str | None = "ag", **more: Any
) -> dict[str, Any]:
    at = int(minute * MINUTE)
    local = {"time.occurred": at, "time.date": EPOCH + timedelta(milliseconds=at), "time.hour": at % DAY // HOUR}
    return local | {"agent.id": agent, "agent.boot": boot, "agent.seq": seq} | more


def beat(
    seq: int, minute: float, count: int | None = None, boot: str = "b1", agent: str = "ag", **more: Any
) -> dict[str, Any]:
    return line(seq, minute, boot, agent) | {"event.class": "heartbeat", "resource.count": count} | more


def beats(minutes: Iterable[float], first: int = 0, boot: str = "b1", agent: str = "ag") -> list[dict[str, Any]]:
    """Heartbeats in a row, with nothing between them."""
    return [beat(first + n, minute, 0, boot, agent) for n, minute in enumerate(minutes)]


def kept(minutes: range, lost: Collection[int] = ()) -> list[dict[str, Any]]:
    """A heartbeat every minute with three lines before it, from number 0 at minute 0; some numbers did not come."""
    out = []
    for minute in minutes:
        first = 4 * minute
        out += [line(first + n, minute + 0.2 + n / 10) for n in range(3)] + [beat(first + 3, minute + 0.9, 3)]
    return [row for row in out if row["agent.seq"] not in lost]


def opening(
    unacknowledged: list[list[int]], boot: str = "b1", minute: float = 30.0, seq: int = 0, new: str = "b2"
) -> dict[str, Any]:
    """The first heartbeat of a boot, which says what of the boot before may not have arrived."""
    told = {"boot": boot, "last": 9, "hash": "00" * 32, "unacknowledged": unacknowledged, "relayed": 0}
    message = json.dumps({"sealed": -1, "previous": [told]}, separators=(",", ":"))
    return beat(seq, minute, 0, new) | {"message": message, "event.id": f"open-{new}"}


def hours(
    spoken: dict[date, range], source: str = "ops", lines: int = 40, tag: str = "", from_minute: int = 0
) -> pl.DataFrame:
    """So many lines of a source in each of the hours (UTC is the local zone here)."""
    parts = []
    for day, span in spoken.items():
        for hour in span:
            at = (day - EPOCH).days * DAY + hour * HOUR + from_minute * MINUTE
            parts.append(
                pl.DataFrame({"time.occurred": [at + n * MINUTE for n in range(lines)]}).with_columns(
                    pl.lit(day).alias("time.date"), pl.lit(hour, dtype=pl.Int64).alias("time.hour")
                )
            )
    return pl.concat([pl.DataFrame(schema=COLUMNS), *parts], how="diagonal").with_columns(
        pl.format("{}{}-{}", pl.lit(source), pl.lit(tag), pl.int_range(pl.len())).alias("event.id"),
        pl.lit("access").alias("event.class"),
        pl.lit(source).alias("source.id"),
    )


def working_days(weeks: int) -> dict[date, range]:
    days = [MONDAY + timedelta(days=n) for n in range(7 * weeks)]
    return {day: range(9, 17) for day in days if day.weekday() < 5}


def moment(day: date, hour: float = 0.0) -> int:
    return (day - EPOCH).days * DAY + int(hour * HOUR)


def told(
    events: pl.DataFrame | Sequence[dict[str, Any]],
    until: float | None = None,
    by: Limits | None = None,
    expected: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What is said of events in one call, up to a minute (else of the last event)."""
    frame = events if isinstance(events, pl.DataFrame) else rows(*events)
    last = int(frame["time.occurred"].max() or 0)  # type: ignore[arg-type]
    end = (last // MINUTE + 1) * MINUTE - 1 if until is None else int(until * MINUTE) - 1
    _, found = advance(State(), summary(frame, expected), end, by or limits())
    return found.to_dicts()


def checks(
    events: pl.DataFrame | Sequence[dict[str, Any]], until: float | None = None, **more: Any
) -> list[tuple[str, str, bool]]:
    """Check, form and whether it is an update, of all that is said."""
    return [(one["check"], one["form"], one["update"]) for one in told(events, until, **more)]


def of(check: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if one["check"] == check]
