"""The tables that controls and report are written over: one output folder and one site, as lazy frames.

Nothing large is read here: events stay Parquet on disk until a query asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from audit import findings as published
from audit import usage as sums
from audit.usage import DAY_MS
from contract import event
from contract.event import MAX_TIME
from contract.rejected import REJECTED_SCHEMA
from registers.calendar import Calendar
from registers.site import Site

EVENTS: Final = pl.Schema({**event.schema(), "explained": pl.String(), "explained.by": pl.String()})

SESSIONS: Final = pl.Schema(
    {
        "session": pl.String(),
        "actor.id": pl.String(),
        "system.id": pl.String(),
        "src.device": pl.String(),
        "first": pl.Int64(),
        "last": pl.Int64(),
        "events": pl.Int64(),
        "subjects": pl.Int64(),
        "explained": pl.Float64(),
        "p": pl.Float64(),
        "queue": pl.String(),
        "finding": pl.String(),
    }
)

RUNS: Final = pl.Schema(
    {
        "run": pl.String(),
        "from": pl.Int64(),
        "to": pl.Int64(),
        "events": pl.Int64(),
        "rejected": pl.Int64(),
        "files": pl.Int64(),
        "sources": pl.List(pl.String()),
        "mode": pl.String(),
    }
)

DECISIONS: Final = pl.Schema(
    {
        "finding": pl.String(),
        "time": pl.Int64(),
        "kind": pl.String(),
        "outcome": pl.String(),
        "by": pl.String(),
        "approver": pl.String(),
        "reason": pl.String(),
        "analytic": pl.String(),
        "actor": pl.String(),
        "subject": pl.String(),
        "until": pl.Int64(),
    }
)

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

OK: Final = ~pl.col("event.outcome").fill_null("unknown").is_in(["failure", "denied"])


class OutputError(ValueError):
    """The folder is no output of an analysis.

    Attributes:
        problems: One line each: what, where, what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Tables:
    """What controls and report are made from.

    Attributes:
        frames: Tables by name, as `docs/controls.md` lists them.
        site: What the organisation declares.
        folder: The output folder.
        findings: The same findings as the table of that name (`system` included), and which lines were none.
        runs: Rows of `runs.ndjson` as they stand.
        period: First and last moment analysed, UTC ms; None if nothing was.
        problems: What could not be read, one line each.
    """

    frames: Mapping[str, pl.LazyFrame]
    site: Site
    folder: Path
    findings: published.Findings
    runs: tuple[Mapping[str, Any], ...]
    period: tuple[int, int] | None
    problems: tuple[str, ...]

    def system_name(self, system: str | None) -> str | None:
        """A system as the site calls it, else as it is written."""
        declared = self.site.config.systems.get(system) if system is not None else None
        return system if declared is None else declared.name or system


def read(
    out: Path, site: Site, between: tuple[int, int] | None = None, found: published.Findings | None = None
) -> Tables:
    """Open an output folder.

    Args:
        out: Folder that the detector wrote; every file in it may be missing.
        site: The site that the analysis was made with.
        between: Only what happened from the first moment up to the second, which is excluded (UTC ms): events that occurred,
            sessions that ended, findings and decisions that were made, runs that touch it. Refused lines carry
            no time and are all there. Days of which nothing is known are silent.
        found: All findings of the folder, if they were read already.

    Raises:
        OutputError: There is no such folder, or nothing in it is an output of an analysis.
    """
    try:
        return _read(out, site, between, found)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise OutputError([f"{out}: a file of it cannot be read ({reason}): analyse the logs again"]) from error


def _read(out: Path, site: Site, between: tuple[int, int] | None, found: published.Findings | None) -> Tables:
    names = ("findings.ndjson", "sessions.parquet", "events", "runs.ndjson")
    if not any((out / name).exists() for name in names):
        raise OutputError([f"{out}: holds none of {', '.join(names)}: give the folder that the analysis wrote"])
    problems: list[str] = []
    begin, end = between or (0, MAX_TIME + 1)
    events = history(out, site, begin, end)
    runs = [run for run in _objects(out / "runs.ndjson", problems) if _touches(run, begin, end)]
    found = found or published.read(out)
    found = replace(found, table=_with_system(_within(found.table, "time", begin, end), events, site))
    problems += [f"findings.ndjson: line {number}: is no finding, left out" for number in found.bad_lines]
    period = (begin, end - 1) if between else _period(runs, events)
    used = sums.usage(events, site)
    sessions = _within(_sessions(out), "last", begin, end)
    sessions.select(pl.len()).collect()  # a damaged file is told now, not in the middle of the report
    frames = {
        "events": events,
        "sessions": sessions,
        "findings": found.table.lazy(),
        "runs": pl.DataFrame(runs, schema=RUNS, strict=False).lazy(),
        "decisions": _within(_decisions(out, problems), "time", begin, end),
        "rejected": _rejected(out / "rejected.ndjson"),
        "usage": used.lazy(),
        "people": sums.people(used).lazy(),
        "coverage": sums.coverage(events, period, site).lazy(),
        "period": pl.DataFrame(
            [period] if period else [], schema={"from": pl.Int64, "to": pl.Int64}, orient="row"
        ).lazy(),
        **_site_tables(site),
        **_registers(site),
    }
    return Tables(frames, site, out, found, tuple(runs), period, tuple(problems))


def history(out: Path, site: Site, begin: int = 0, end: int = MAX_TIME + 1) -> pl.LazyFrame:
    """Events with `date` (local) and `ok` (neither failed nor denied); only files of days in question are opened.

    Args:
        out: The folder.
        site: For its time zone.
        begin, end: UTC milliseconds, `end` excluded.
    """
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).date() for ms in (max(begin, DAY_MS), min(end, MAX_TIME)))
    day = timedelta(days=1)  # a file holds a day of the site's zone
    names = (str(first - day), str(last + day))
    days = [path for path in sorted((out / "events").glob("[0-9]*.parquet")) if names[0] <= path.stem[:10] <= names[1]]
    return _within(_parquet(days, EVENTS), "time.occurred", begin, end).with_columns(
        Calendar(site.config).local(pl.col("time.occurred")).dt.date().alias("date"), OK.alias("ok")
    )


def _within(frame: Frame, column: str, begin: int, end: int) -> Frame:
    """Rows of a period; those without a moment belong to every one."""
    if begin <= 0 and end > MAX_TIME:
        return frame
    return frame.filter(pl.col(column).is_between(begin, end - 1).fill_null(True))


def _decisions(out: Path, problems: list[str]) -> pl.LazyFrame:
    """Those that `sekimori archive tables` wrote by day, and those of a file beside them."""
    written = pl.DataFrame(_objects(out / "decisions.ndjson", problems), schema=DECISIONS, strict=False)
    by_day = _parquet(sorted((out / "decisions").glob("[0-9]*.parquet")), DECISIONS)
    return pl.concat([by_day, written.lazy()])


def _sessions(out: Path) -> pl.LazyFrame:
    """Those that an analysis wrote, or `sekimori archive tables` by day."""
    return _parquet([out / "sessions.parquet", *sorted((out / "sessions").glob("[0-9]*.parquet"))], SESSIONS)


def _touches(run: Mapping[str, Any], begin: int, end: int) -> bool:
    first, last = run.get("from"), run.get("to")
    return not (isinstance(first, int) and isinstance(last, int)) or (first < end and last >= begin)


def _parquet(paths: list[Path], schema: pl.Schema) -> pl.LazyFrame:
    there = [path for path in paths if path.exists()]
    if not there:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(there, schema=schema, glob=False, missing_columns="insert", extra_columns="ignore")


def _rejected(path: Path) -> pl.LazyFrame:
    if not path.exists() or path.stat().st_size == 0:
        return pl.LazyFrame(schema=REJECTED_SCHEMA)
    return pl.scan_ndjson(path, schema=REJECTED_SCHEMA, ignore_errors=True)


def _objects(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """Objects of an NDJSON file, which need not exist; lines that are none are told and left out."""
    out = []
    if path.exists():
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                item = json.loads(line) if line.strip() else None
            except ValueError:
                item = ""
            if isinstance(item, dict):
                out.append(item)
            elif item is not None:
                problems.append(f"{path.name}: line {number}: is no JSON object, left out")
    return out


def _period(runs: list[dict[str, Any]], events: pl.LazyFrame) -> tuple[int, int] | None:
    """What was analysed: by the runs, else by the events themselves."""
    spans = [
        (run["from"], run["to"]) for run in runs if isinstance(run.get("from"), int) and isinstance(run.get("to"), int)
    ]
    if spans:
        return min(first for first, _ in spans), max(last for _, last in spans)
    at = pl.col("time.occurred")
    first, last = events.select(at.min().alias("first"), at.max().alias("last")).collect(engine="streaming").row(0)
    return None if first is None else (first, last)


def _with_system(found: pl.DataFrame, events: pl.LazyFrame, site: Site) -> pl.DataFrame:
    """Findings with `system`, the system of their first event, and only those promises that can concern it.

    A rule names the promises of every assessment that it serves; what happened in one system breaks no promise about
    another, and an assessment that no system names promises nothing here.
    """
    wanted = found["event"].drop_nulls().unique().sort()
    systems = (
        events.select(pl.col("event.id").alias("event"), pl.col("system.id").alias("system"))
        .filter(pl.col("event").is_in(wanted.implode()))
        .unique("event")
        .collect(engine="streaming")
    )
    named = {name: system.pia for name, system in site.config.systems.items() if system.pia is not None}
    joined = found.join(systems, on="event", how="left", maintain_order="left")
    kept = [
        [
            control
            for control in controls
            if control.partition("/")[0] in ({named[system]} if system in named else {*named.values()})
        ]
        for controls, system in joined.select("controls", "system").iter_rows()
    ]
    return joined.with_columns(pl.Series("controls", kept, dtype=pl.List(pl.String())))


def _registers(site: Site) -> dict[str, pl.LazyFrame]:
    """One table per register; the ledger also has `day`, the local day of its `date`."""
    local = Calendar(site.config).local
    frames = {name: table.lazy() for name, table in site.tables.items()}
    frames["ledger"] = frames["ledger"].with_columns(local(pl.col("date")).dt.date().alias("day"))
    return frames


def _site_tables(site: Site) -> dict[str, pl.LazyFrame]:
    """What `site.toml` says, one table per kind of thing."""
    config = site.config
    systems = sorted(config.systems.items())

    def pairs(name: str, lists: dict[str, list[str] | None]) -> pl.LazyFrame:
        rows = [(system, item) for system, items in lists.items() for item in items or ()]
        return pl.LazyFrame(rows, schema={"system": pl.String, name: pl.String}, orient="row")

    grounds = [
        (name, kind, ground)
        for name, system in systems
        for kind, items in (
            ("inquiry", system.inquiry_items if system.inquiry_items is not None else config.limits.inquiry_items),
            ("provision", system.provision_items),
        )
        for ground in items or ()
    ]
    contractors = [
        (one.company, one.approved, config.moment(one.approved_on), one.application_ref, one.subcontractor_of,
         one.max_handlers, one.systems)
        for one in config.contractors
    ]  # fmt: skip
    text, whole = pl.String, pl.Int64
    return {
        "systems": pl.LazyFrame(
            [(name, system.name or name, system.pia, system.auth) for name, system in systems],
            schema={"system": text, "name": text, "pia": text, "auth": text},
            orient="row",
        ),
        "system_sources": pairs("source", {name: system.sources for name, system in systems}),
        "system_departments": pairs("dept", {name: system.departments for name, system in systems}),
        "system_prohibited": pairs("action", {name: system.prohibited for name, system in systems}),
        "system_imports": pairs("dept", {name: system.import_from for name, system in systems}),
        "system_grounds": pl.LazyFrame(grounds, schema={"system": text, "kind": text, "ground": text}, orient="row"),
        "departments": pl.LazyFrame(
            sorted(config.departments.items()), schema={"dept": text, "name": text}, orient="row"
        ),
        "contractors": pl.LazyFrame(
            contractors,
            schema={
                "company": text,
                "approved": pl.Boolean,
                "approved_on": whole,
                "application_ref": text,
                "subcontractor_of": text,
                "max_handlers": whole,
                "systems": pl.List(text),
            },
            orient="row",
        ),
        "emergencies": Calendar(config).emergencies.lazy(),
        "limits": pl.LazyFrame([config.limits.model_dump(exclude={"inquiry_items"})], schema_overrides=_limits(config)),
    }


def _limits(config: Any) -> dict[str, Any]:
    return {name: pl.Int64 for name in type(config.limits).model_fields if name != "inquiry_items"}
