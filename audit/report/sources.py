"""What a report is written from: the period's tables, what was before it, and what people did by the day it is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from audit import catalogue as catalogues
from audit import controls, findings, tables
from audit import runs as ledger
from audit.cases import DAY_MS, Deadlines
from audit.catalogue import Catalogue
from audit.chains.verdict import Verdict
from audit.database.store import Exemption, Store
from audit.desk import Desk, Row
from audit.runs import Run
from audit.tables import Tables
from audit.wording import Language, Words
from registers.site import Site


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is about.

    Attributes:
        name: `2026-03`, or `2026-03-05_2026-03-20`: of its files, and of the report that is signed.
        begin, end: UTC milliseconds, `end` excluded.
    """

    name: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the archive.

    Attributes:
        verdict: Of `sekimori verify`.
        command: How to verify it, on one line.
    """

    verdict: Verdict
    command: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What sections are written from; everything in it is as of `as_of`, nothing is later than the period's end but what people did.

    Attributes:
        words: The report's language and time zone.
        site: What the organisation declares.
        catalogue: Assessments and their controls; those that are left out by `--pia` are not in it.
        period: What the report is about.
        as_of: UTC milliseconds: what people did until then counts, and what is late is late by then.
        month: Tables of the period.
        history: All events there are before the period's end, with `date` (local) and `ok`; filter days before anything else.
        rows: All findings that were made before the period's end and are for people, or that somebody did something about: with
            their cases; the worst first.
        limits: How soon something has to be done.
        exemptions: Exceptions that were decided until `as_of`, in order.
        runs: The ledger of runs until `as_of`, in order; empty where there is no database.
        every_ms: How far apart analyses may be.
        samples: What people found in this report's sample, in order: `event`, `verdict` (`proper`, `improper`, `unknown`), `by`, `at`, `text`.
        evidence: What the verifier says of the archive; None: it was not asked.
        only: Assessments that were asked for; empty: all.
        kept: Whether there is an audit database; without one nothing is known of what people did.
    """

    words: Words
    site: Site
    catalogue: Catalogue
    period: Period
    as_of: int
    month: Tables
    history: pl.LazyFrame
    rows: tuple[Row, ...]
    limits: Deadlines
    exemptions: tuple[Exemption, ...]
    runs: tuple[Run, ...]
    every_ms: int
    samples: tuple[Mapping[str, Any], ...]
    evidence: Evidence | None
    only: tuple[str, ...]
    kept: bool

    @property
    def in_period(self) -> tuple[Row, ...]:
        """Rows of findings that were made in the period."""
        return tuple(row for row in self.rows if self.period.begin <= row.found["time"] < self.period.end)

    @property
    def is_silent(self) -> bool:
        """Whether the period holds not one event: where nothing was looked at, nothing that was not found is known."""
        return not self.month.frames["usage"].select(pl.len()).collect().item()


def gather(
    results: Path,
    site: Site,
    period: Period,
    as_of: int,
    language: Language,
    *,
    store: Store | None = None,
    limits: Deadlines | None = None,
    every_ms: int = 31 * DAY_MS,
    catalogue: Catalogue | None = None,
    evidence: Evidence | None = None,
    only: Collection[str] = (),
) -> Sources:
    """Open everything that a report of a period is written from; events stay on disk.

    Args:
        results: Folder of an analysis, or the tables of an archive.
        site: What the organisation declares.
        period: What the report is about.
        as_of: UTC milliseconds.
        language: `ja` or `en`.
        store: The audit database; None: there is none.
        limits: How soon something has to be done; None: as usual.
        every_ms: How far apart analyses may be.
        catalogue: Controls; None: those that ship.
        evidence: Of the archive.
        only: Assessments that are asked for; empty: all.

    Raises:
        audit.tables.OutputError: The folder is no output of an analysis.
        audit.database.engine.DatabaseError: The database cannot be read.
    """
    limits = limits or Deadlines()
    found = findings.read(results)
    earlier = findings.Findings(found.table.filter(pl.col("time") < period.end), found.bad_lines, results)
    month = tables.read(results, site, (period.begin, period.end), found)
    history = tables.history(results, site, end=period.end)
    rows = Desk(site, earlier, store, limits).rows(as_of)
    if only:
        history = history.filter(controls.own(month, only))
        month = controls.limited(month, only)
        rows = _about(rows, month, period, only)
    return Sources(
        words=Words(language, site.config.time_zone),
        site=site,
        catalogue=_chosen(catalogue or catalogues.load(), only),
        period=period,
        as_of=as_of,
        month=month,
        history=history,
        rows=tuple(rows),
        limits=limits,
        exemptions=() if store is None else tuple(one for one in store.exemptions() if one.at <= as_of),
        runs=() if store is None else tuple(ledger.fold(store.runs(), as_of)),
        every_ms=every_ms,
        samples=() if store is None else tuple(one for one in store.sample_verdicts(period.name) if one["at"] <= as_of),
        evidence=evidence,
        only=tuple(sorted(only)),
        kept=store is not None,
    )


def _chosen(catalogue: Catalogue, only: Collection[str]) -> Catalogue:
    if not only:
        return catalogue
    return replace(catalogue, assessments={pia: one for pia, one in catalogue.assessments.items() if pia in only})


def _about(rows: list[Row], month: Tables, period: Period, only: Collection[str]) -> list[Row]:
    """Rows that concern some assessments: in the period as its tables say, before it by the promises they touch."""
    there = set(month.findings.table["uid"])

    def concerns(row: Row) -> bool:
        if row.found["time"] >= period.begin:
            return row.found["uid"] in there
        return any(control.partition("/")[0] in only for control in row.found["controls"])

    return [row for row in rows if concerns(row)]
