"""Periods of few units and what was said of them, for tests of judging and publishing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from detector import features, hits, witness
from detector import judge as judging
from detector.baseline import Baseline
from detector.delivery import UNLIMITED
from detector.judge import Judged, Period
from detector.model import Model
from detector.rulebook import Rule
from registers.calendar import day_end
from tests.detector.offices import at
from tests.detector.rows import book, rule, with_sessions

DAY_MS = 86_400_000
START = at("2026-04-15 10:00")
STAFF = [(date(2026, 4, 1) + timedelta(days=n), 1000) for n in range(40)]

HIGH = rule("high")
MEDIUM = rule("medium", level="medium")
LOW = rule("low", level="low")
NOISE = rule("noise", level="informational")
CLEARED = rule("cleared", level="low", family="evidence", precision=0.1)
EVERY = (HIGH, MEDIUM, LOW, NOISE, CLEARED)


def sessions(*given: dict[str, Any]) -> pl.DataFrame:
    """One session per event, named w-0, w-1, …, a day apart unless said otherwise."""
    rows = [{"event.id": str(n), "session.id": f"S{n}", "time.occurred": START + n * DAY_MS} | row
            for n, row in enumerate(given)]  # fmt: skip
    events = with_sessions(*rows)
    found = features.sessions(events).join(hits.concerned(events, ["session"]), on="session")
    return found.with_columns(
        pl.col("session").str.strip_prefix("w-").alias("event.id"), (pl.col("last") + 1).alias("closes")
    )


def days(*given: dict[str, Any]) -> pl.DataFrame:
    """One day per event, named d-0, d-1, …, a day apart unless said otherwise."""
    rows = [{"event.id": f"e{n}", "time.occurred": START + n * DAY_MS} | row for n, row in enumerate(given)]
    found = features.days(with_sessions(*rows), 100).with_row_index("number")
    return found.with_columns(
        pl.format("d-{}", "number").alias("unit"),
        pl.concat_list(pl.format("e{}", "number")).alias("related"),
        pl.lit([], dtype=pl.List(pl.String)).alias("about"),
        pl.format("e{}", "number").alias("event.id"),
        day_end(pl.col("time.date"), "Asia/Tokyo").alias("closes"),
    ).drop("number")


def hit(unit: str, by: Rule = HIGH, **more: Any) -> dict[str, Any]:
    """A row of `hits.SUMS`; its event is the unit's first."""
    given = {"unit": unit, "rule": by.name, "n": 1, "time": START, "event.id": unit[2:], "related": [unit[2:]],
             "about": [], "values": "{}", "observed": None, "excused": False}  # fmt: skip
    return given | more


def period(
    found: list[dict[str, Any]],
    of_sessions: pl.DataFrame | None = None,
    of_days: pl.DataFrame | None = None,
    **more: Any,
) -> Period:
    """A period of these hits; without sessions and days unless said otherwise."""
    return Period(
        sessions=sessions() if of_sessions is None else of_sessions,
        days=days() if of_days is None else of_days,
        hits=pl.DataFrame(found, schema=hits.SUMS),
        **more,
    )


def judge(what: Period, model: Model | None = None, rules: tuple[Rule, ...] = EVERY, **more: Any) -> Judged:
    """Decide with rules of every level; nothing is usual and nothing held back unless said otherwise."""
    budget = more.pop("budget", UNLIMITED)
    judged, _ = judging.judge(what, book(*rules), model, **({"usual": Baseline()} | more))
    [kept] = judging.within_budget([judged], STAFF, "Asia/Tokyo", budget)
    return kept


def queues(judged: Judged) -> dict[str, str]:
    """Where each unit went."""
    return dict(judged.units.select("unit", "queue").iter_rows())


def incident(
    check: str = "sequence_gap",
    who: str = "ag",
    at_ms: int = START,
    related: tuple[str, ...] = ("e1",),
    form: str = "text",
) -> dict[str, Any]:
    """A row of `witness.FINDINGS`."""
    return {"check": check, "who": who, "time": at_ms, "from": at_ms - 5, "to": at_ms, "related": list(related),
            "observed": 1.0, "usual": 0.0, "form": form, "update": False, "beside": next(iter(related), "")}  # fmt: skip


def incidents(*given: dict[str, Any]) -> pl.DataFrame:
    """Rows of `witness.FINDINGS`."""
    return pl.DataFrame(given, schema=witness.FINDINGS)


def group(**more: Any) -> dict[str, Any]:
    """A row of `correlate.HITS`: four people looked at one subject."""
    given = {"rule": "high", "group": "s1", "time.occurred": START, "event.id": "e9", "first": START - 5, "count": 4,
             "related": ["e1", "e9"], "actors": ["a", "b"], "about": ["s1"]}  # fmt: skip
    return given | more
