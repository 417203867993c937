"""What the table of findings leaves out, read from the findings themselves, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from audit import findings
from audit.desk import Row
from audit.findings import Findings

_PIECE: Final = 500
_FLAGS: Final = ("learning", "over_budget", "repeated")
_EXCEPTION: Final = ("finding", "by", "approver", "reason", "time", "until")

TABLE: Final = pl.Schema(
    {
        "uid": pl.String(), "learning": pl.Boolean(), "over_budget": pl.Boolean(), "repeated": pl.Boolean(),
        "exception.finding": pl.String(), "exception.by": pl.String(), "exception.approver": pl.String(),
        "exception.reason": pl.String(), "exception.time": pl.Int64(), "exception.until": pl.Int64(),
    }
)  # fmt: skip
VERSIONS: Final = pl.Schema({"uid": pl.String(), "time": pl.Int64(), "kind": pl.String(), "version": pl.String()})
EVENTS: Final = pl.Schema({"event.id": pl.String()})


@dataclass(frozen=True, slots=True)
class Details:
    """What findings say of how they came about.

    Attributes:
        table: `TABLE`, one row per finding, sorted by uid: why it was kept from people, as far as it says so.
        versions: `VERSIONS`, what each was decided with, sorted by all columns.
    """

    table: pl.DataFrame
    versions: pl.DataFrame


def read(found: Findings) -> Details:
    """Read all findings of a table; they are never in memory all at once."""
    table: list[tuple[Any, ...]] = []
    versions: list[tuple[Any, ...]] = []
    for one in by_file(found, found.table["uid"].to_list()):
        table.append(_row(one))
        versions += _versions(one)
    return Details(
        pl.DataFrame(table, TABLE, orient="row", strict=False).sort("uid"),
        pl.DataFrame(versions, VERSIONS, orient="row", strict=False).sort(list(VERSIONS)),
    )


def related(found: Findings, uids: Sequence[str]) -> pl.DataFrame:
    """The events that findings are about: `event.id`, each once, sorted."""
    pieces = [pl.DataFrame(schema=EVENTS)]
    for one in by_file(found, uids):
        ids = [each["uid"] for each in one["finding_info"]["related_events"]]
        pieces.append(pl.DataFrame({"event.id": ids}, schema=EVENTS))
    return pl.concat(pieces).drop_nulls().unique().sort("event.id")


def behind(found: Findings, uids: Iterable[str]) -> pl.LazyFrame:
    """The same, read only when somebody asks."""
    wanted = list(uids)
    return pl.defer(lambda: related(found, wanted), schema=EVENTS)


def of_rows(rows: Sequence[Row], folder: Path) -> Findings:
    """The findings of cases.

    Args:
        rows: Cases.
        folder: Where findings are.
    """
    table = pl.DataFrame([row.found for row in rows], schema=findings.SCHEMA, strict=False)
    return Findings(table, (), folder)


def by_file(found: Findings, uids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Findings in full, in the order in which they stand in their files, so that each file is opened few times."""
    wanted = found.table.filter(pl.col("uid").is_in(list(uids))).sort("file", "offset")
    for piece in wanted["uid"].to_frame().iter_slices(_PIECE):
        yield from found.in_full(piece["uid"].to_list())


def _row(one: Mapping[str, Any]) -> tuple[Any, ...]:
    more = one["unmapped"]
    said = more["exception"] if isinstance(more.get("exception"), Mapping) else {}
    return (
        one["finding_info"]["uid"],
        *(bool(more.get(flag)) for flag in _FLAGS),
        *(said.get(name) for name in _EXCEPTION),
    )


def _versions(one: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    said = one["unmapped"].get("versions")
    for kind, version in said.items() if isinstance(said, Mapping) else ():
        yield one["finding_info"]["uid"], one["time"], str(kind), str(version)
