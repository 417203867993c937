"""Every rule fires on its own logs and stays quiet on the near misses, through the real parser and the real core."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import polars as pl
import pytest

from contract import wire
from detector import rulebook, wording
from detector.step import Context, Groups, State, group, step
from registers import site as sites

RULES = Path(__file__).resolve().parents[2] / "rules"
BOOK = rulebook.load(RULES)
BY_NAME = {rule.name: rule for rule in BOOK.rules}
DAY_MS = 86_400_000


def logs(kind: str) -> list[Path]:
    return sorted(path for path in RULES.glob(f"*/*/{kind}-*") if path.suffix in {".ndjson", ".csv", ".log", ".jsonl"})


@lru_cache(maxsize=4)
def office(folder: Path) -> sites.Site:
    return sites.load(folder)


def hits(log: Path) -> set[str]:
    """Names of the rules that hit, excused ones left out."""
    overlay = log.parent / "site"
    context = Context(office(overlay if overlay.is_dir() else RULES / "site"), BOOK)
    decoded = wire.decode(log.read_bytes())
    assert decoded.rejected.is_empty(), decoded.rejected
    events = decoded.frame
    end = int(events["time.occurred"].max()) + 3 * DAY_MS
    _, output = step(State(), events, end, context)
    _, filled = group(Groups(), output.candidates, output.notes, end, context)
    return {*output.hits.filter(~pl.col("excused"))["rule"], *filled["rule"]}


def test_every_rule_loads():
    assert not BOOK.refused, "\n".join(map(str, BOOK.refused))
    assert len(BOOK.rules) >= 35


@pytest.mark.parametrize("log", logs("fires"), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_rule_fires(log: Path):
    assert log.parent.name in hits(log)


@pytest.mark.parametrize("log", logs("quiet"), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_rule_stays_quiet(log: Path):
    assert log.parent.name not in hits(log)
