"""What a stage could not read, as records for the topic of dead letters."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from contract import rejected
from contract.rejected import UNREAD, Reason, Refusal
from contract.sealed import Record
from detector.arrival import Arrived, shown
from registers.mask import mask_my_numbers
from service import deadletters


def unread(records: Sequence[Arrived]) -> tuple[list[Arrived], pl.DataFrame]:
    """Part records from those that could not be unpacked.

    Returns:
        The records, and a row in `rejected.REJECTED_SCHEMA` for each of the others.
    """
    good = [one for one in records if not any(name == UNREAD for name, _ in one.headers)]
    if len(good) == len(records):
        return good, rejected.empty()
    bad = [one for one in records if any(name == UNREAD for name, _ in one.headers)]
    details = [dict(one.headers)[UNREAD].decode("utf-8", "replace") for one in bad]
    return good, refused(bad, details, Reason.TOO_LARGE)


def refused(records: Sequence[Arrived], details: Sequence[str], reason: Reason) -> pl.DataFrame:
    """A row in `rejected.REJECTED_SCHEMA`, masked, for each record that is refused whole."""
    if not records:
        return rejected.empty()
    positions = [f"{one.topic}/{one.partition}/{one.offset}:0" for one in records]
    refusals = [Refusal(reason, detail, shown(one.value)) for one, detail in zip(records, details, strict=True)]
    rows = rejected.frame(refusals, positions)
    return rows.with_columns(mask_my_numbers(rows.get_column(name)) for name in ("detail", "line"))


def records(rows: pl.DataFrame, topic: str) -> list[Record]:
    """Refused lines for the topic of dead letters: in its first partition, as nobody needs to know how many it has."""
    return [] if rows.is_empty() else deadletters.records(rows, None, topic, 1, 0)


def counts(rows: pl.DataFrame) -> dict[str, float]:
    """How many were refused for which reason, as a stage counts."""
    if rows.is_empty():
        return {}
    found = rows.group_by("reason").len().sort("reason")
    return {f"rejected:{reason}": float(count) for reason, count in found.iter_rows()}
