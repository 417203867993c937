"""What a run is told beforehand: site, sources, rule book, model. All that is wrong with it is said at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from collector import sources
from collector.sources import Source
from commands import disk, keys, rules
from commands.failure import Failure
from detector import features, npz, rulebook
from detector import model as models
from detector.baseline import Baseline
from detector.model import Model
from detector.rulebook import RuleBook
from registers import site as sites
from registers.site import Site
from registers.tokens import SiteKey

if TYPE_CHECKING:
    from commands.analyze import Job

T = TypeVar("T")

_MAKE = "`sekimori analyze --save-model FILE` makes one"


@dataclass(frozen=True, slots=True)
class Declared:
    """What was declared, loaded.

    Attributes:
        site: The organisation.
        key: For event ids and tokens: the site's, else this machine's.
        source: How every log is read, or None: recognised by content.
        sources: What logs are recognised as.
        book: The rules.
        model, usual: What to score with, or None.
        problems: What was refused while the rest is used, one line each.
        notes: What the operator should know, one line each.
    """

    site: Site
    key: SiteKey
    source: Source | None
    sources: list[Source]
    book: RuleBook
    model: Model | None
    usual: Baseline | None
    problems: list[str]
    notes: list[str]


def load(job: Job) -> Declared:
    """Load everything, and look whether the run can write where it shall.

    Raises:
        Failure: Something cannot be used; with all problems.
    """
    wrong: list[str] = []
    _attempt(lambda: disk.check(job.out, job.paths), wrong)
    site = _attempt(lambda: _site(job.site), wrong)
    key = _attempt(lambda: site.key or keys.own(), wrong) if site else None
    chosen = _attempt(lambda: _sources(job.sources, job.source), wrong)
    book = _attempt(lambda: _book(job.rules), wrong)
    pinned = _attempt(lambda: _pinned(job.model), wrong)
    _attempt(lambda: _savable(job.save_model), wrong)
    if wrong or site is None or key is None or chosen is None or book is None or pinned is None:
        raise Failure("\n".join(wrong))
    problems = [*site.problems, *(f"rule refused: {refused}" for refused in book.refused)]
    notes = list(site.notes) if job.site else ["no site was given: checks that need its registers could not run"]
    return Declared(site, key, *chosen, book, *pinned, problems, notes)


def _attempt(step: Callable[[], T], wrong: list[str]) -> T | None:
    try:
        return step()
    except Failure as failure:
        wrong.append(str(failure))
        return None


def _site(folder: Path | None) -> Site:
    if folder is None:
        return Site.none(_own())
    try:
        return sites.load(folder, _fallback(folder))
    except sites.SiteError as error:
        told = [problem.removeprefix(f"{folder}: ") for problem in error.problems]
        raise Failure("\n".join(f"--site {folder}: {problem}" for problem in told)) from error


def _fallback(folder: Path) -> SiteKey | None:
    """A site without key of its own is read with this machine's."""
    return None if os.path.exists(folder / "keys" / "site.key") else _own()


def _own() -> SiteKey | None:
    """This machine's key; whether it is needed at all shows later."""
    try:
        return keys.own()
    except Failure:
        return None


def _sources(folder: Path | None, name: str | None) -> tuple[Source | None, list[Source]]:
    """The source that was named, and all that are known."""
    known = list(sources.shipped())
    if folder is not None:
        try:
            # An office's own declaration is tried before the one that ships, and replaces one of the same id.
            own = sources.load([folder])
        except sources.SourceError as error:
            raise Failure("\n".join(f"--sources: {problem}" for problem in error.problems)) from error
        known = [*own, *(source for source in known if source.id not in {mine.id for mine in own})]
    if name is None:
        return None, known
    for source in known:
        if source.id == name:
            return source, known
    names = [source.id for source in known]
    advice = sources.did_you_mean(name, names) or f"; known are {', '.join(sorted(names))}"
    raise Failure(f"--source {name}: no such source{advice}")


def _book(given: Path | None) -> RuleBook:
    folder = rules.folder(given)
    book = rulebook.load(folder)
    if not book.rules:
        reasons = "".join(f"\nrule refused: {refused}" for refused in book.refused)
        raise Failure(f"--rules {folder}: holds no rule that can be used; give a folder of rule folders{reasons}")
    return book


def _pinned(path: Path | None) -> tuple[Model | None, Baseline | None]:
    """The model to score with, and the baseline that lies beside it."""
    if path is None:
        return None, None
    try:
        model, usual = models.load(path), Baseline.read(baseline(path))
    except OSError as error:
        raise Failure(f"--model {error.filename or path}: {error.strerror}; {_MAKE}") from error
    except npz.StateError as error:
        raise Failure(f"--model {error}; {_MAKE}") from error
    except ValueError as error:
        raise Failure(f"--model {baseline(path)}: {error}; {_MAKE}") from error
    if set(model.features) - set(features.MODEL_FEATURES):
        raise Failure(f"--model {path}: was made with features that this version does not know; {_MAKE}")
    return model, usual


def baseline(model: Path) -> Path:
    """Where the baseline of a model lies: beside it."""
    return model.with_name(model.name + ".baseline.json")


def _savable(path: Path | None) -> None:
    """Told before the work, not after it."""
    if path is None:
        return
    if path.is_dir():
        raise Failure(f"--save-model {path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise Failure(f"--save-model {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Failure(f"--save-model {path}: the folder cannot be written to; choose another")
