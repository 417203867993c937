"""`sekimori analyze`: the agent's parse path and the detector's core over files."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit import report
from commands import keys, rules, show
from commands.archive import Archive
from commands.failure import Failure
from commands.spool import Spool
from detector import core, rulebook
from detector.model import Model
from detector.npz import StateError
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
    piece: int = 200_000


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
    model = _model(job.model)
    try:
        _clear(job.out)
        with tempfile.TemporaryDirectory(prefix=".spool-", dir=job.out) as folder:
            spool = Spool(Path(folder))
            read = _read(job, site, spool, progress)
            problems += read.problems
            analysis = core.Analysis(site, book)
            archive = Archive(job.out / "events", site.config.time_zone)
            progress.start("analyse", sum(spool.hours.values()))
            for watermark, events in spool.stretches(job.piece):
                archive.add(analysis.feed(events, watermark))
                progress.advance(events.height)
            archive.close()
            progress.start("decide", None)
            result = analysis.finish(archive.subjects, model, seed=job.seed)
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


def _model(path: Path | None) -> Model | None:
    if path is None:
        return None
    try:
        return Model.load(path)
    except (StateError, OSError) as error:
        raise Failure(f"{path}: {error}; train one with `sekimori analyze --save-model`") from error


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
