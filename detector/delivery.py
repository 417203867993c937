"""The daily budget: how many findings a day may page or be put before a reviewer.

The core knows pinned thresholds only. What is over the budget is not dropped: it goes to the digest, and says so. The
budget is stated per 1,000 staff and day, so a small office has fractions of an item a day; what is not spent is
carried over, up to `carry_days`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

QUEUES: Final = ("alert", "review")


@dataclass(frozen=True, slots=True)
class Budget:
    """Items per 1,000 staff and day.

    Attributes:
        alerts: Pages; evidence findings and critical ones are always delivered and not counted.
        reviews: Review items.
        carry_days: So many days' budget may be saved up; at least one whole item always may.
        start_days: Saved up on the first day.
    """

    alerts: float = 25.0
    reviews: float = 16.0
    carry_days: float = 10.0
    start_days: float = 7.0


UNLIMITED: Final = Budget(alerts=math.inf, reviews=math.inf)


def spend(items: pl.DataFrame, staff_by_day: Sequence[tuple[object, int]], budget: Budget) -> pl.DataFrame:
    """Keep within the budget, day by day, the riskiest of a day first.

    Args:
        items: One row per finding: `uid`, `date` (site's calendar day), `queue`, `risk`, `exempt` (never cut).
        staff_by_day: (day, staff employed) for every day of the period, ascending.
        budget: How much may be spent.

    Returns:
        `items` with `over` (true: was over the budget) and `queue` changed to `digest` there. Same rows, same order.
    """
    if budget == UNLIMITED:
        return items.with_columns(pl.lit(False).alias("over"))
    over: set[str] = set()
    ranked = items.filter(pl.col("queue").is_in(QUEUES) & ~pl.col("exempt")).sort(
        ["date", "risk", "uid"], descending=[False, True, False]
    )
    by_day: dict[tuple[object, str], list[str]] = {}
    for day, queue, uid in ranked.select("date", "queue", "uid").iter_rows():
        by_day.setdefault((day, queue), []).append(uid)
    for queue, rate in (("alert", budget.alerts), ("review", budget.reviews)):
        saved = None
        for day, staff in staff_by_day:
            daily = rate * staff / 1000
            most = max(daily * budget.carry_days, 1.0)
            saved = min(daily * budget.start_days if saved is None else saved + daily, most)
            waiting = by_day.get((day, queue), [])
            kept = min(int(saved + 1e-9), len(waiting))  # 10 × 0.1 is a whole one
            saved -= kept
            over.update(waiting[kept:])
    cut = pl.col("uid").is_in(sorted(over))
    return items.with_columns(
        cut.alias("over"), pl.when(cut).then(pl.lit("digest")).otherwise(pl.col("queue")).alias("queue")
    )
