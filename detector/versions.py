"""What the detector decides with, kept by hash: site, rules, model and baseline.

A replay gives the same bytes only with the very versions that decided the first time. So each is copied, under the hash of
its content, before it is first used, and is loaded from the copy. The state log names the hashes and from when in event
time they hold; whoever takes a partition over needs the same copies.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from detector import features, npz, rulebook
from detector import model as models
from detector.baseline import Baseline
from detector.model import Model
from detector.rulebook import RuleBook
from registers import site as sites
from registers.config import ConfigError
from registers.site import Site
from registers.tokens import SiteKey
from service.durable import sync_folder, write_new

Kind = Literal["site", "rules", "model", "baseline"]
KINDS: Final[tuple[Kind, ...]] = ("site", "rules", "model", "baseline")
_FILE: Final = "file"
_RULES: Final = "rule.yml"
_MAKE: Final = "`sekimori analyze --save-model FILE` makes one"


class MissingError(ValueError):
    """A version that the state needs is not kept here; the message says which and where to get it."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What decides from a moment of event time on.

    Attributes:
        since: UTC ms, inclusive; -1: from the beginning.
        hashes: By kind, 64 hex digits; a kind that is not used is not there.
        deployed: When that was deployed (`pins.Deployment.at_ms`).
    """

    since: int
    hashes: Mapping[str, str]
    deployed: int = 0

    def as_json(self) -> dict[str, object]:
        """Plain values for the state log."""
        return {"since": self.since, "hashes": dict(sorted(self.hashes.items())), "deployed": self.deployed}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Pin:
        """The reverse of `as_json`.

        Raises:
            ValueError: It is something else.
        """
        since, hashes, deployed = value.get("since"), value.get("hashes"), value.get("deployed", 0)
        if not isinstance(hashes, dict) or set(hashes) - set(KINDS):
            raise ValueError(f"is no pin of versions: {value!r}")
        if not isinstance(since, int) or not isinstance(deployed, int):
            raise ValueError(f"is no pin of versions: {value!r}")
        return cls(since, {str(kind): str(digest) for kind, digest in hashes.items()}, deployed)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Versions, ready to decide with.

    Attributes:
        hashes: As pinned.
        site: The registers; empty ones without a site.
        book: The rules that loaded, and those that were refused.
        model: Scores sessions, or None.
        usual: How often each rule hits here, or None.
    """

    hashes: Mapping[str, str]
    site: Site
    book: RuleBook
    model: Model | None
    usual: Baseline | None


class Store:
    """Copies by hash.

    Args:
        folder: Where they lie; made if missing, closed to others, since a copy of a site holds what the site holds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, kind: Kind, source: Path) -> str:
        """Copy a folder or a file, unless it is there already.

        Returns:
            Its hash, 64 hex digits, over names and bytes.

        Raises:
            OSError: It cannot be read, or the copy not written.
        """
        contents = _contents(kind, source)
        digest = _digest(contents)
        place = self._folder / digest
        if not place.is_dir():
            self._write(place, contents)
        return digest

    def path(self, kind: Kind, digest: str) -> Path:
        """The copy: a folder, or for model and baseline a file.

        Raises:
            MissingError: It is not here, or was altered.
        """
        place = self._folder / digest
        if not place.is_dir():
            raise MissingError(
                f"{place}: the state was made with this version of the {kind}, which is not kept here: "
                "copy the folder of that name from the detector that made the state"
            )
        if _digest(_contents("site", place)) != digest:
            raise MissingError(
                f"{place}: was altered, the state needs it as it was: remove it, and copy the folder of that name from "
                "the detector that made the state"
            )
        return place if kind in ("site", "rules") else place / _FILE

    def _write(self, place: Path, contents: Mapping[str, bytes]) -> None:
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            for name, data in contents.items():
                for folder in reversed(Path(name).parents[:-1]):
                    (made / folder).mkdir(mode=0o700, exist_ok=True)
                write_new(made / name, data)
            for folder in [path for path in made.rglob("*") if path.is_dir()] + [made]:
                sync_folder(folder)
            os.rename(made, place)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not place.is_dir():  # else another detector of this folder was quicker
                raise
        sync_folder(self._folder)


class Library:
    """Loads versions, each kind once as long as it is in use.

    Args:
        store: The copies.
        key: For a site that holds no key of its own.
    """

    def __init__(self, store: Store, key: SiteKey | None) -> None:
        self._store = store
        self._key = key
        self._loaded: dict[tuple[tuple[str, str], ...], Loaded] = {}

    def deploy(self, sources: Mapping[Kind, Path]) -> Loaded:
        """Keep what is configured and load all of it.

        Raises:
            ConfigError: Something of it cannot be used; with all problems. Single rules and registers that are refused
                are none: see `refused`.
        """
        return self.load(self.keep(sources))

    def keep(self, sources: Mapping[Kind, Path]) -> dict[str, str]:
        """Copy what is configured, and return its hashes.

        Raises:
            ConfigError: Something of it cannot be read or kept; with all problems.
        """
        problems: list[str] = []
        hashes: dict[str, str] = {}
        for kind, source in sources.items():
            try:
                hashes[kind] = self._store.keep(kind, source)
            except OSError as error:
                problems.append(f"{kind}: {error.filename or source}: cannot be kept ({error.strerror})")
        if problems:
            raise ConfigError(problems)
        return hashes

    def load(self, hashes: Mapping[str, str]) -> Loaded:
        """Load pinned versions.

        Raises:
            MissingError: One is not kept here.
            ConfigError: One cannot be used; with all problems.
        """
        key = tuple(sorted(hashes.items()))
        if key not in self._loaded:
            self._loaded[key] = self._load(hashes)
        return self._loaded[key]

    def forget(self, used: Iterable[Mapping[str, str]]) -> None:
        """Let go of what is in use no longer; the copies stay."""
        keys = {tuple(sorted(hashes.items())) for hashes in used}
        self._loaded = {key: loaded for key, loaded in self._loaded.items() if key in keys}

    def _load(self, hashes: Mapping[str, str]) -> Loaded:
        places = {kind: self._store.path(kind, hashes[kind]) for kind in KINDS if kind in hashes}
        problems: list[str] = []
        site = self._site(places.get("site"), problems)
        book = rulebook.load(places["rules"])
        if not book.rules:
            problems += ["rules: hold none that can be used", *(f"rules: {one}" for one in book.refused)]
        model = _model(places.get("model"), problems)
        usual = None
        if "baseline" in places:
            try:
                usual = Baseline.read(places["baseline"])
            except ValueError as error:
                problems.append(f"baseline: {error}; {_MAKE}")
        if problems:
            raise ConfigError(problems)
        return Loaded(dict(hashes), site, book, model, usual)

    def _site(self, folder: Path | None, problems: list[str]) -> Site:
        if folder is not None:
            try:
                return sites.load(folder, self._key)
            except sites.SiteError as error:
                problems += ["site: " + problem.removeprefix(f"{folder}: ") for problem in error.problems]
        return Site.none(self._key)


def _model(path: Path | None, problems: list[str]) -> Model | None:
    if path is None:
        return None
    try:
        model = models.load(path)
    except npz.StateError as error:
        problems.append(f"model: {str(error).removeprefix(str(path) + ': ')}; {_MAKE}")
        return None
    if set(model.features) - set(features.MODEL_FEATURES):
        problems.append(f"model: was made with features that this version does not know; {_MAKE}")
    return model


def digest_of(hashes: Mapping[str, str]) -> str:
    """One hash, 64 hex digits, for several versions together."""
    return hashlib.sha256("".join(f"{kind}:{hashes[kind]}\n" for kind in sorted(hashes)).encode()).hexdigest()


def refused(loaded: Loaded) -> list[str]:
    """What of the versions was refused while the rest is used, one line each."""
    site = [f"site: {problem}" for problem in loaded.site.problems]
    return [*(f"rules: refused, the others are in use: {one}" for one in loaded.book.refused), *site]


def _contents(kind: Kind, source: Path) -> dict[str, bytes]:
    """Bytes by relative name; of rules only what a rule is, so that a log beside it makes no new version."""
    if source.is_file():
        return {_FILE: source.read_bytes()}
    pattern = f"**/{_RULES}" if kind == "rules" else "**/*"
    files = sorted(path for path in source.glob(pattern) if path.is_file())
    if not files:
        source.stat()
    return {path.relative_to(source).as_posix(): path.read_bytes() for path in files}


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{len(name.encode())}:{name}:{len(contents[name])}:".encode() + contents[name])
    return digest.hexdigest()
