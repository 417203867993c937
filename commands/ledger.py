"""The ledger of runs: each analysis, from before it begins, so that one that fails or crashes is on record too."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from audit import config, runs
from audit.config import Config
from audit.database import engine
from audit.database.store import Store
from commands.failure import Failure
from commands.process import configured
from service.printable import printable

# Of more files than this only the hash of all their hashes is kept.
_MOST_FILES: Final = 1000


@contextmanager
def of(path: Path, what: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Record an analysis in the ledger of an `audit.toml`, by the clock; as `recorded`.

    Raises:
        Failure: The file or its database cannot be used.
    """
    found: Config = configured(path, config.load)
    try:
        store = Store(engine.opened(found.audit.database))
        with recorded(store, _now(), _now, what) as came:
            yield came
    except engine.DatabaseError as error:
        raise Failure(f"{path}: audit.database: {error}") from error


def _now() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def recorded(store: Store, began: int, now: Callable[[], int], what: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Record an analysis.

    Args:
        store: The audit database.
        began: UTC milliseconds.
        now: Called for the time at which it ended.
        what: What is known beforehand: `by`, `inputs`.

    Yields:
        To be filled with what came of it: `first`, `last`, `events`, `findings`, `versions`, `result`.
    """
    name = f"{runs.ANALYSIS} {began}"
    store.begin_run(name, runs.ANALYSIS, began, what)
    came: dict[str, Any] = {}
    try:
        yield came
    except BaseException as error:
        store.end_run(name, runs.ANALYSIS, now(), {**came, "failed": True, "result": why(error)})
        raise
    store.end_run(name, runs.ANALYSIS, now(), came)


def why(error: BaseException) -> str:
    """Why a run failed, in a line."""
    return printable(str(error).splitlines()[0] if str(error) else type(error).__name__)


def inputs(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file that is given, or lies in a folder that is; of very many, one hash over all."""
    found = sorted(
        {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    )
    hashes = {str(file): _sha256(file) for file in found}
    if len(hashes) <= _MOST_FILES:
        return hashes
    whole = hashlib.sha256("".join(f"{one}  {name}\n" for name, one in hashes.items()).encode()).hexdigest()
    return {f"{len(hashes)} files": whole}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
