"""What is usual in this office: how often each rule hits.

A rule's declared precision was written for an office that nobody had seen. Where it hits day after day, most of its hits
must be ordinary work (a device register that nobody keeps, a shift that is no overtime): real misuse of one kind is
rare. So the precision is scaled down by how far the rate exceeds what misuse can explain. It compares with everybody, so
it is computed beforehand, versioned and pinned (design §9), never while scoring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

VERSION: Final = 1
# Hits per 1,000 staff and day that misuse of one kind may explain: in a town office of 160 people, four in five days.
PLAUSIBLE: Final = 5.0
# Prefix of a rule's name, for hits of accounts that the staff register does not know.
STRANGER: Final = "strangers/"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Hits of each rule per 1,000 staff and day; a rule that is not named was not seen to hit."""

    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Hash over the content."""
        return "sha256:" + hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Serialise; equal baselines give equal bytes."""
        body = {"version": VERSION, "rates": dict(sorted(self.rates.items()))}
        return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()

    @staticmethod
    def read(path: Path) -> Baseline:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: Damaged, or an unknown version.
            OSError: Cannot be read.
        """
        try:
            body = json.loads(path.read_bytes())
            if body["version"] != VERSION:
                raise ValueError(f"version {body['version']} of a baseline is not known here, only {VERSION}")
            return Baseline({str(name): float(rate) for name, rate in body["rates"].items()})
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"is no baseline ({error})") from error

    def factor(self, rule: str) -> float:
        """What is left of a rule's precision, 0 to 1."""
        rate = self.rates.get(rule, 0.0)
        return min(1.0, PLAUSIBLE / rate) if rate > 0 else 1.0


def measure(hits: pl.DataFrame, staff_days: int) -> Baseline:
    """Count the hits of a period.

    Args:
        hits: Rows of `hits.SUMS`: one per unit and rule; excused ones do not count.
        staff_days: Sum over the days of the period of the staff employed; 0 if there is no register, then nothing is
            known to be usual.
    """
    if not staff_days:
        return Baseline()
    counts = hits.filter(~pl.col("excused")).group_by("rule").len("n").sort("rule")
    return Baseline({rule: round(n / staff_days * 1000, 4) for rule, n in counts.iter_rows()})
