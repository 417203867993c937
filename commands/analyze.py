"""`sekimori analyze`: the agent's parse path and the detector's core over files."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from audit import overview
from audit.wording import Language
from commands import archive, declared, disk, intake, ledger, show
from commands.declared import Declared
from commands.spool import Spool
from contract import event
from detector import core
from detector.archive import parquet

SHOWN_NAMES: Final = 5
# Share of refused lines above which the exit status is 1, unless the operator says another.
MOST_REFUSED: Final = 0.01


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be analysed.

    Attributes:
        paths: Log files, archived events, or folders of them.
        site: Folder of the site, or None.
        out: Folder to write to.
        language: Of the report.
        sources: Further source files.
        source: Id of the source that every file is read as; None: recognised by content.
        rules: Rule book, or None for the one that ships.
        model: Model to score with, or None to fit one.
        save_model: Where to keep the model that was used.
        seed: Of a model that is fitted.
        year: Of the first line of a file whose stamps carry none.
        piece: Events worked on at once.
    """

    paths: Sequence[Path]
    site: Path | None
    out: Path
    language: Language = "ja"
    sources: Path | None = None
    source: str | None = None
    rules: Path | None = None
    model: Path | None = None
    save_model: Path | None = None
    seed: int = 0
    year: int | None = None
    piece: int = 50_000


@dataclass(slots=True)
class Done:
    """What came of it.

    Attributes:
        result: What the core says.
        summary: The keys of `--json`.
        problems: What could not be read or used, a line each.
        refused: Files with refused lines, a line each.
        notes: What the operator should know, a line each.
        refused_share: Refused lines of all lines.
    """

    result: core.Result
    summary: dict[str, Any]
    problems: list[str]
    refused: list[str]
    notes: list[str]
    refused_share: float

    def status(self, most_refused: float) -> int:
        """Exit status: 1 if something could not be read or used, or too large a share of the lines was refused."""
        return 1 if self.problems or self.refused_share > most_refused else 0


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status."""
    job = Job(
        paths=options.paths, site=options.site, out=options.out, language=options.lang, sources=options.sources,
        source=options.source, rules=options.rules, model=options.model, save_model=options.save_model,
        seed=options.seed, year=options.year, piece=options.piece,
    )  # fmt: skip
    with show.Progress(quiet=options.json) as progress:
        done = analyze(job, progress) if options.audit is None else _recorded(job, options.audit, progress)
    if options.json:
        show.aside(done)
        show.say(json.dumps(done.summary, ensure_ascii=False))
    else:
        show.summary(done, job.out)
    return done.status(options.max_refused)


def _recorded(job: Job, audit: Path, progress: show.Progress) -> Done:
    """The same, kept in the ledger of runs: also when it fails."""
    from commands.case import login  # with a database, which an analysis alone can do without

    with ledger.of(audit, {"by": login(), "inputs": ledger.inputs(job.paths)}) as came:
        done = analyze(job, progress)
        came |= told(done)
    return done


def told(done: Done) -> dict[str, Any]:
    """What the ledger of runs says of an analysis."""
    numbers = done.summary
    raised = f"{numbers['alerts']} alerts, {numbers['review_items']} for review"
    refused = f", {numbers['rejected']} lines refused" if numbers["rejected"] else ""
    return {
        "first": done.result.first,
        "last": done.result.last,
        "events": numbers["events"],
        "findings": numbers["findings"],
        "versions": dict(done.result.versions),
        "result": f"{raised}{refused}",
    }


def analyze(job: Job, progress: show.Progress) -> Done:
    """Read, analyse, decide, write.

    Raises:
        Failure: Something declared cannot be used, nothing could be read, or the output cannot be written.
    """
    started = time.monotonic()
    told = declared.load(job)
    problems = list(told.problems)
    progress.start("read", None)
    given = intake.find(job.paths, job.out, told.sources, told.source, problems)
    try:
        disk.clear(job.out)
        with tempfile.TemporaryDirectory(prefix=disk.SPOOL, dir=job.out) as folder:
            spool = Spool(Path(folder))
            zone = told.site.config.time_zone
            read = intake.read(given, spool, job.out / "rejected.ndjson", told.key, zone, job.year, progress)
            result = _decide(job, told, spool, progress)
        problems += [*read.problems, *_clashes(spool)]
        if job.save_model is not None and result.model is None:
            problems.append(f"--save-model {job.save_model}: not written, {core.LEAST_SESSIONS} sessions make a model")
        notes = [*told.notes, *read.notes, *_remarks(result, spool)]
        events = read.lines - read.rejected - spool.repeated
        summary = _summary(result, events, read.rejected)
        done = Done(result, summary, problems, read.refused, notes, read.refused_share)
        _write(job, done, read, sorted(spool.sources), started)
        progress.start("report", None)
        overview.write(job.out, told.site, job.language)
    except OSError as error:
        raise disk.failure(error, job.out) from error
    return done


def _decide(job: Job, told: Declared, spool: Spool, progress: show.Progress) -> core.Result:
    analysis = core.Analysis(told.site, told.book)
    kept = archive.Archive(job.out / disk.EVENTS, told.site.config.time_zone)
    progress.start("analyse", sum(spool.slots.values()))
    for watermark, events in spool.stretches(job.piece):
        kept.add(analysis.feed(events, watermark))
        progress.advance(events.height)
    analysis.note_again(pl.concat([event.empty(), *spool.renumbered]))
    kept.close()
    progress.start("decide", None)
    return analysis.finish(kept.find, core.Pinned(told.model, told.usual, job.seed))


def _clashes(spool: Spool) -> list[str]:
    if not spool.conflicting:
        return []
    return [
        f"{spool.conflicting:,} events have the event.id of another, different event and were left out: "
        "mend what writes these ids, each must be given once"
    ]


def _remarks(result: core.Result, spool: Spool) -> list[str]:
    """What the operator should know of the input as a whole."""
    notes = []
    same = spool.repeated - spool.conflicting
    if same:
        notes.append(f"{same:,} events were given more than once (a file and its copy) and count once")
    if result.strangers:
        names = ", ".join(result.strangers[:SHOWN_NAMES]) + (", …" if len(result.strangers) > SHOWN_NAMES else "")
        notes.append(
            f"{len(result.strangers):,} actors are in no register ({names}): "
            "add them to staff.csv or accounts.csv, or find out who they are"
        )
    needs = sorted({need for item in result.not_run for need in item["needs"]})
    if needs:
        notes.append(f"{len(result.not_run)} checks could not run in full; missing: {', '.join(needs)}")
    return notes


def _write(job: Job, done: Done, read: intake.Read, sources: list[str], started: float) -> None:
    result, out = done.result, job.out
    _ndjson(out / "findings.ndjson", result.findings)
    parquet.write(result.sessions, out / "sessions.parquet", compression="zstd")
    if job.save_model is not None and result.model is not None:
        result.model.save(job.save_model)
        declared.baseline(job.save_model).write_bytes(result.usual.to_bytes())
    run = {
        "run": "analyze",
        "from": result.first,
        "to": result.last,
        "events": done.summary["events"],
        "rejected": read.rejected,
        "files": read.files,
        "sources": sources,
        "mode": result.mode,
        "versions": dict(result.versions),
        "not_run": result.not_run,
        "problems": done.problems,
        "notes": done.notes,
    }
    _ndjson(out / "runs.ndjson", [run])
    done.summary["seconds"] = round(time.monotonic() - started, 1)
    (out / "summary.json").write_text(json.dumps(done.summary, ensure_ascii=False) + "\n", encoding="utf-8")


def _summary(result: core.Result, events: int, rejected: int) -> dict[str, Any]:
    queues = [finding["unmapped"]["queue"] for finding in result.findings]
    return {
        "events": events,
        "rejected": rejected,
        "sessions": result.sessions.height,
        "explained_share": round(result.explained / result.accesses, 4) if result.accesses else None,
        "findings": len(result.findings),
        "alerts": queues.count("alert"),
        "review_items": queues.count("review"),
        "seconds": 0.0,
        "peak_rss_mb": _peak_mb(),
    }


def _peak_mb() -> int:
    """Most memory that was resident, in MiB."""
    try:
        # What getrusage says includes the program that started this one, as it was when it did.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)
    except (OSError, IndexError):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _ndjson(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
