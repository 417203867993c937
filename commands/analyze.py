"""`sekimori analyze`: the agent's parse path and the detector's core over files."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import report
from collector import ingest, sources
from commands import archive, keys, rules, show
from commands.failure import Failure
from commands.spool import Spool
from detector import core, rulebook
from detector import model as models
from detector.baseline import Baseline
from registers import site as sites
from registers.tokens import SiteKey

OUTPUTS = ("findings.ndjson", "sessions.parquet", "rejected.ndjson", "runs.ndjson", "summary.json", "report.html")


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
        year: Of the last line of a file whose stamps carry none.
        piece: Events worked on at once.
    """

    paths: Sequence[Path]
    site: Path | None
    out: Path
    language: str = "ja"
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
        problems: What could not be read, a line each.
        notes: What the operator should know, a line each.
        refused_share: Refused lines of all lines.
        by_source: Events per source.
        refused_by: Refused lines per reason.
    """

    result: core.Result
    summary: dict[str, Any]
    problems: list[str]
    notes: list[str]
    refused_share: float
    by_source: dict[str, int]
    refused_by: dict[str, int] = field(default_factory=dict)


def run(options: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit status."""
    job = Job(
        paths=options.paths, site=options.site, out=options.out, language=options.lang, sources=options.sources,
        source=options.source, rules=options.rules, model=options.model, save_model=options.save_model,
        seed=options.seed, year=options.year, piece=options.piece,
    )  # fmt: skip
    with show.Progress(quiet=options.json) as progress:
        done = analyze(job, progress)
    if options.json:
        print(json.dumps(done.summary, ensure_ascii=False))
    else:
        show.summary(done, job.out)
    return 1 if done.problems or done.refused_share > options.max_refused else 0


def analyze(job: Job, progress: show.Progress) -> Done:
    """Read, analyse, decide, write.

    Raises:
        Failure: Nothing could be read, the site is not valid, or the output cannot be written.
    """
    started = time.monotonic()
    site, notes = load_site(job.site)
    book = rulebook.load(rules.folder(job.rules))
    problems = [f"rule refused: {refused}" for refused in book.refused]
    pinned = _pinned(job.model)
    try:
        _clear(job.out)
        with tempfile.TemporaryDirectory(prefix=".spool-", dir=job.out) as folder:
            spool = Spool(Path(folder))
            read = _read(job, site, spool, progress)
            problems += read.problems
            analysis = core.Analysis(site, book)
            kept = archive.Archive(job.out / "events", site.config.time_zone)
            progress.start("analyse", sum(spool.hours.values()))
            for watermark, events in spool.stretches(job.piece):
                kept.add(analysis.feed(events, watermark))
                progress.advance(events.height)
            kept.close()
            progress.start("decide", None)
            result = analysis.finish(kept.subjects, *pinned, seed=job.seed)
        done = Done(
            result, {}, problems, notes, read.refused_share, dict(sorted(spool.sources.items())), read.refused_by
        )
        _write(job, site, done, read, started)
        progress.start("report", None)
        report.write(job.out, site, job.language)
    except OSError as error:
        place = error.filename or job.out
        raise Failure(f"{place}: {error.strerror or error}; what was written so far is incomplete") from error
    return done


def load_site(folder: Path | None) -> tuple[sites.Site, list[str]]:
    """The site, and what the operator should know of it.

    Raises:
        Failure: The folder does not exist or site.toml is not valid; all problems at once.
    """
    if folder is None:
        return sites.Site.none(keys.own()), ["no site was given: checks that need its registers could not run"]
    try:
        site = sites.load(folder, _fallback(folder))
    except sites.SiteError as error:
        raise Failure(str(error)) from error
    return site, [*site.problems, *site.notes]


def _fallback(folder: Path) -> SiteKey | None:
    """A site without key of its own is read with this machine's."""
    return None if (folder / "keys" / "site.key").exists() else keys.own()


def _pinned(path: Path | None) -> tuple[models.Model | None, Baseline | None]:
    """The model to score with, and the baseline that lies beside it."""
    if path is None:
        return None, None
    advice = "make one with `sekimori analyze --save-model`"
    try:
        return models.load(path), Baseline.read(_beside(path))
    except OSError as error:
        raise Failure(f"{error.filename or path}: {error.strerror}; {advice}") from error
    except ValueError as error:
        raise Failure(f"{path}: {error}; {advice}") from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".baseline.json")


def _clear(out: Path) -> None:
    """Remove what an earlier run wrote, so that nothing of it is taken for ours."""
    out.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "events", ignore_errors=True)
    (out / "events").mkdir()


@dataclass(slots=True)
class Read:
    """What the parser met."""

    problems: list[str] = field(default_factory=list)
    files: int = 0
    events: int = 0
    rejected: int = 0
    refused_by: dict[str, int] = field(default_factory=dict)

    @property
    def refused_share(self) -> float:
        """Refused lines of all lines, 0 to 1."""
        return self.rejected / max(1, self.rejected + self.events)


def _read(job: Job, site: sites.Site, spool: Spool, progress: show.Progress) -> Read:
    """Parse everything into the spool; refused lines go to `rejected.ndjson` as they come."""
    read = Read()
    key = site.key or keys.own()
    chosen, known = _sources(job)
    archived, logs = _split(job.paths)
    progress.start("read", None)
    names: set[tuple[str, str]] = set()
    with (job.out / "rejected.ndjson").open("wb") as rejects:
        for path in archived:
            _read_archived(path, spool, read)
        if logs:
            for parsed in ingest.ingest(
                logs, known, key, site.config.time_zone, problems=read.problems, source=chosen, reference_year=job.year
            ):
                names.add((parsed.source, parsed.name))
                spool.add(parsed.events)
                read.events += parsed.events.height
                if parsed.rejected.height:
                    parsed.rejected.write_ndjson(rejects)
                    read.rejected += parsed.rejected.height
                    for reason, count in parsed.rejected.group_by("reason").len().sort("reason").iter_rows():
                        read.refused_by[reason] = read.refused_by.get(reason, 0) + count
                progress.advance(parsed.events.height)
    read.files = len(names) + len(archived)
    if not read.files:
        raise Failure("\n".join(["nothing could be read", *read.problems]))
    return read


def _sources(job: Job) -> tuple[sources.Source | None, list[sources.Source]]:
    """The source that was named, and all that are known.

    Raises:
        Failure: A source file is not valid, or no source has the id.
    """
    known = list(sources.shipped())
    if job.sources is not None:
        try:
            # An office's own declaration is tried before the one that ships, and replaces one of the same id.
            own = sources.load([job.sources])
        except sources.SourceError as error:
            raise Failure(str(error)) from error
        known = [*own, *(source for source in known if source.id not in {mine.id for mine in own})]
    if job.source is None:
        return None, known
    for source in known:
        if source.id == job.source:
            return source, known
    close = sources.did_you_mean(job.source, [source.id for source in known])
    raise Failure(f"--source {job.source}: no such source{close}")


def _split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Archived events (Parquet files, folders that hold them) and logs."""
    archived, logs = [], []
    for path in paths:
        inside = sorted(path.glob("*.parquet")) if path.is_dir() else []
        if path.suffix == ".parquet" and path.is_file():
            archived.append(path)
        elif inside:
            archived += inside
        else:
            logs.append(path)
    return archived, logs


def _read_archived(path: Path, spool: Spool, read: Read) -> None:
    try:
        for events in archive.pieces(path):
            spool.add(events)
            read.events += events.height
    except archive.Damaged as error:
        read.problems.append(str(error))


def _write(job: Job, site: sites.Site, done: Done, read: Read, started: float) -> None:
    result, out = done.result, job.out
    _ndjson(out / "findings.ndjson", result.findings)
    result.sessions.write_parquet(out / "sessions.parquet", compression="zstd")
    if job.save_model is not None and result.model is not None:
        result.model.save(job.save_model)
        _beside(job.save_model).write_bytes(result.usual.to_bytes())
    run = {
        "run": "analyze",
        "from": result.first,
        "to": result.last,
        "events": sum(done.by_source.values()),
        "rejected": read.rejected,
        "files": read.files,
        "sources": list(done.by_source),
        "mode": result.mode,
        "versions": dict(result.versions),
        "not_run": result.not_run,
        "problems": done.problems,
    }
    _ndjson(out / "runs.ndjson", [run])
    done.refused_by = dict(sorted(read.refused_by.items()))
    done.summary = _summary(result, read, started)
    (out / "summary.json").write_text(json.dumps(done.summary, ensure_ascii=False) + "\n", encoding="utf-8")


def _summary(result: core.Result, read: Read, started: float) -> dict[str, Any]:
    queues = [finding["unmapped"]["queue"] for finding in result.findings]
    return {
        "events": read.events,
        "rejected": read.rejected,
        "sessions": result.sessions.height,
        "explained_share": round(result.explained / result.accesses, 4) if result.accesses else None,
        "findings": len(result.findings),
        "alerts": queues.count("alert"),
        "review_items": queues.count("review"),
        "seconds": round(time.monotonic() - started, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _ndjson(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
