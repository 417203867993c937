"""What a turn of the core brings forth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from detector import relay


@dataclass(slots=True)
class Effects:
    """Gathered while a turn goes on.

    Attributes:
        findings: OCSF objects, in the order in which they are to arrive.
        relays: What goes on to stage two.
        counts: For the metrics.
    """

    findings: list[Mapping[str, Any]] = field(default_factory=list)
    relays: Sequence[relay.Rows] = ()
    counts: Counter[str] = field(default_factory=Counter)

    def count_hits(self, found: pl.DataFrame) -> None:
        """Count rows of `hits.SUMS` by rule."""
        for rule, number in found.group_by("rule").agg(pl.col("n").sum()).sort("rule").iter_rows():
            self.counts[f"hits:{rule}"] += int(number)
