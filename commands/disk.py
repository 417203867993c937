"""The folder that a run writes to: what is in it, and what to say when it cannot be written."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from commands.failure import Failure

OUTPUTS: Final = (
    "findings.ndjson", "sessions.parquet", "rejected.ndjson", "runs.ndjson", "summary.json", "report.html",
    "report.json", "report.pdf", "report.xlsx",
)  # fmt: skip
EVENTS: Final = "events"
SPOOL: Final = ".spool-"
# A day of the archive, or a part of one that a run which was stopped left behind.
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\.parquet|\.\d{4}-\d\d-\d\d\.\d{4,}\.parquet")
_SPACE: Final = "free space there, or choose another --out"
_ADVICE: Final = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
}


def create(path: Path, data: bytes, exists: str = "give --out another name", mode: int = 0o600) -> None:
    """Write a file that must not be there yet; on the disk when this returns.

    Args:
        path: The file.
        data: What it holds.
        exists: What to do if there is one already.
        mode: Its permissions.

    Raises:
        Failure: It is there, or cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
    except FileExistsError:
        raise Failure(f"{path}: exists already: {exists}") from None
    except OSError as error:
        raise Failure(f"{path}: cannot be written ({error.strerror}): give --out a folder that can be") from None


def create_pair(path: Path, private: bytes, public: bytes) -> Path:
    """Write a key that only its owner may read and, beside it, the public one; returns where that is.

    Raises:
        Failure: As `create` does.
    """
    beside = path.with_name(path.name + ".pub")
    for where, data, mode in ((path, private, 0o600), (beside, public, 0o644)):
        create(where, data, "give --out another name, a key is never overwritten", mode)
    return beside


def check(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse a folder that cannot be written to, or where something would be lost.

    Args:
        out: The folder, which need not exist.
        inputs: What will be read.

    Raises:
        Failure: All problems at once.
    """
    problems = _unusable(out)
    if not problems:
        problems += _foreign(out / EVENTS)
        problems += [problem for path in inputs for problem in _overwritten(out, path)]
    if problems:
        raise Failure("\n".join(problems))


def _unusable(out: Path) -> list[str]:
    try:
        str(out).encode()
    except UnicodeEncodeError:
        return [f"--out {str(out)!a}: the name is no UTF-8; choose another --out"]
    there = next(path for path in (out, *out.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        return [f"--out {out}: {there} is there and is no folder; choose another --out"]
    if not os.access(there, os.W_OK | os.X_OK):
        return [f"--out {out}: {there} cannot be written to; choose another --out, or mend its permissions"]
    return []


def _foreign(events: Path) -> list[str]:
    """A folder of the archive is emptied before it is written: all that is in it must be an archive's."""
    names = sorted(path.name for path in events.iterdir()) if events.is_dir() else []
    strange = [name for name in names if not _DAY.fullmatch(name)]
    return [f"{events}: holds {strange[0]}, which no analysis wrote; choose another --out"] if strange else []


def _overwritten(out: Path, path: Path) -> list[str]:
    return [f"{path}: would be written anew by this run; choose another --out"] if is_output(out, path) else []


def is_output(out: Path, path: Path) -> bool:
    """Whether a file is, or lies in, something that a run with this output folder removes and writes anew."""
    targets = {(out / name).resolve() for name in (*OUTPUTS, EVENTS)}
    real = path.resolve()
    return real in targets or not targets.isdisjoint(real.parents)


def clear(out: Path) -> None:
    """Make the folder and remove what an earlier run wrote, so that nothing of it is taken for ours.

    Raises:
        OSError: Something could not be removed or made.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:
        (out / name).unlink(missing_ok=True)
    for spool in out.glob(f"{SPOOL}*"):
        shutil.rmtree(spool, ignore_errors=True)
    shutil.rmtree(out / EVENTS, ignore_errors=True)
    (out / EVENTS).mkdir()


def failure(error: OSError, out: Path) -> Failure:
    """What to say when writing failed halfway."""
    advice = _ADVICE.get(error.errno or 0, "choose another --out")
    place = error.filename or out
    return Failure(f"{place}: {error.strerror or error}: {advice}; what was written so far is incomplete")
