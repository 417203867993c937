"""The drop folder: bundles carried by hand from closed networks, each imported once.

What lies in the folder is checked whole before the first line of it is used: signature, contents, and that every log is
of a known source. Then it moves to `imported/` and is read there like files; otherwise to `refused/`, with a file beside
it that says why. Which bundles were taken stands in a ledger in the state folder; how far the one in hand was read, in
the checkpoint. What is changed or taken away in between becomes a gap.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import polars as pl

from collector.admission import READ_BYTES, Rules, read_keys, source_of, whole
from collector.bundle import Bundle, BundleError, Incomplete
from collector.config import Config
from collector.cut import Cutter, Limits, Piece
from collector.follow.events import Gap, Lag, Lines
from collector.ledger import Ledger
from collector.sources import Source
from service.printable import safe_line

SCAN_S: Final = 2.0
SETTLE_S: Final = 60.0  # a file that is too short and did not grow for so long is cut off
CHECK_BYTES: Final = 16 << 20  # looked at in one turn
LIMITS: Final = Limits(piece_bytes=4 << 20)
_IMPORTED: Final = "imported"
_REFUSED: Final = "refused"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Candidate:
    """A file that is being checked."""

    path: Path
    handle: int
    bundle: Bundle
    sources: list[Source]
    steps: Iterator[int]


@dataclass(slots=True)
class _Import:
    """A bundle that is being read.

    Attributes:
        skip: Lines of the log in hand that begin before this offset were read by an earlier run.
    """

    name: str
    handle: int
    bundle: Bundle
    sources: list[Source]
    log: int = 0
    offset: int = 0
    skip: int = 0
    stream: IO[bytes] | None = None
    cutter: Cutter | None = None


@dataclass(slots=True)
class Drop:
    """The drop folder as the main loop sees it.

    Attributes:
        folder: The folder; `imported` and `refused` are made in it.
        ledger: Which bundles were taken.
        rules: What may be imported.
        start: What `positions` gave when the checkpoint was written; empty at the first start.
        clock: Monotonic seconds.
    """

    folder: Path
    ledger: Ledger
    rules: Rules
    start: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _scanned_s: float | None = None
    _waiting: dict[str, tuple[int, float]] = field(default_factory=dict)  # name: size, since when
    _candidate: _Candidate | None = None
    _import: _Import | None = None
    _unread: list[tuple[str, str]] = field(default_factory=list)  # accepted before: digest, name
    _place: dict[str, Any] = field(default_factory=dict)
    _results: Counter[str] = field(default_factory=Counter)
    _trouble: str | None = None

    def __post_init__(self) -> None:
        self._place = dict(self.start)
        digest, ended = self._place.get("digest"), self._place.get("ended", True)
        self._unread = [one for one in self.ledger.unread(digest) if not (ended and one[0] == digest)]
        if digest is not None and not ended and self.ledger.date(digest) is None:  # the ledger was lost
            self._unread.insert(0, (digest, self._place["name"]))

    def poll(self, budget_bytes: int) -> list[Lines | Gap]:
        """What is there and was not read yet, about so many bytes of one log at most."""
        now_s = self.clock()
        if self._import is not None:
            return self._read(self._import, budget_bytes)
        if self._unread:
            return self._resume(*self._unread.pop(0))
        try:
            if self._candidate is not None:
                self._check(self._candidate)
            elif self._scanned_s is None or now_s - self._scanned_s >= SCAN_S:
                self._scanned_s = now_s
                self._scan(now_s)
            self._trouble = None
        except OSError as error:
            self._put_back()
            where = error.filename or self.folder
            self._trouble = f"drop folder: {where}: {error.strerror}: check the folder, its owner and the disk"
        return []

    def positions(self) -> dict[str, Any]:
        """Up to where was read, as values that JSON knows."""
        return dict(self._place)

    def forget(self, positions: Mapping[str, Any]) -> None:
        """These positions are in the checkpoint: bundles before them are done."""
        if "digest" not in positions:
            return
        try:
            self.ledger.done(positions["digest"], bool(positions["ended"]))
        except OSError as error:  # the checkpoint knows; it is written the next time
            _log.error("drop folder: the ledger cannot be written (%s): make room", error.strerror)

    def lag(self) -> list[Lag]:
        """What is accepted and not read yet of the log in hand."""
        one = self._import
        if one is None or one.log >= len(one.sources):
            return []
        log = one.bundle.manifest.logs[one.log]
        return [Lag(one.sources[one.log].id, max(0, log.size - one.offset), 0.0)]

    def held(self) -> bool:
        """Nothing waits for its turn."""
        return False

    def troubles(self) -> list[str]:
        """What needs a person, one line each."""
        return [self._trouble] if self._trouble else []

    def results(self) -> Counter[str]:
        """Bundles `imported` and `refused` since the last call."""
        results, self._results = self._results, Counter()
        return results

    def close(self) -> None:
        """Close what is open."""
        self._put_back()
        if self._import is not None:
            os.close(self._import.handle)
            self._import = None

    # --- before it is accepted --------------------------------------------------------------------------------------

    def _scan(self, now_s: float) -> None:
        """Take the first file that is there, if it is whole."""
        there = sorted(entry.name for entry in os.scandir(self.folder) if _is_offered(entry))
        self._waiting = {name: since for name, since in self._waiting.items() if name in there}
        for name in there:
            if self._take(self.folder / name, now_s):
                return

    def _take(self, path: Path, now_s: float) -> bool:
        """Begin to check a file; False if it has to wait."""
        try:
            # Neither through a link out of the folder, nor into a pipe that never answers.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # taken away again
            return False
        except OSError as error:
            what = "is a link: put the file itself there" if error.errno == errno.ELOOP else ""
            self._refuse(path, what or f"cannot be opened ({error.strerror}): let the agent's user read it")
            return True
        try:
            self._candidate = self._opened(path, handle, now_s)
        except BundleError as error:
            self._refuse(path, str(error))
        finally:
            if self._candidate is None:
                os.close(handle)
        return self._candidate is not None

    def _opened(self, path: Path, handle: int, now_s: float) -> _Candidate | None:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BundleError("is no file")
        if status.st_size > self.rules.max_bytes:
            raise BundleError(f"has {status.st_size >> 20} MiB, more than max_bundle_mib allows")
        try:
            bundle = Bundle(handle, self.rules.keys)
        except Incomplete:
            size, since_s = self._waiting.get(path.name, (-1, now_s))
            if size == status.st_size and now_s - since_s >= SETTLE_S:
                raise
            if size != status.st_size:
                self._waiting[path.name] = (status.st_size, now_s)
            return None
        if (date := self.ledger.date(bundle.digest)) is not None:
            raise BundleError(f"was imported already, on {date}")
        sources: list[Source] = []
        return _Candidate(path, handle, bundle, sources, whole(bundle, self.rules, sources))

    def _check(self, one: _Candidate) -> None:
        """Look at the next part of a candidate; accept or refuse it after the last."""
        try:
            left = CHECK_BYTES
            for size in one.steps:
                left -= size
                if left <= 0:
                    return
        except BundleError as error:
            self._put_back()
            self._refuse(one.path, str(error))
            return
        self._accept(one)

    def _accept(self, one: _Candidate) -> None:
        """Take a bundle: in the ledger first, so that it is imported once whatever happens next."""
        taken = self.ledger.names
        name = self._free(_IMPORTED, safe_line(one.path.name), taken)
        self.ledger.accept(one.bundle.digest, name)
        self._candidate = None
        self._begin(_Import(name, one.handle, one.bundle, one.sources))
        self._results["imported"] += 1
        _log.info("drop folder: %s is imported: %s", safe_line(one.path.name), _summary(one.bundle))
        one.path.rename(self.folder / _IMPORTED / name)

    def _refuse(self, path: Path, reason: str) -> None:
        name = self._free(_REFUSED, safe_line(path.name))
        path.rename(self.folder / _REFUSED / name)
        self._results["refused"] += 1
        _log.error("drop folder: %s is refused: %s", safe_line(path.name), safe_line(reason))
        note = self.folder / _REFUSED / f"{name}.reason.txt"
        note.write_text(f"{safe_line(path.name)}: {safe_line(reason)}\n", encoding="utf-8")

    def _free(self, where: str, wanted: str, taken: Collection[str] = ()) -> str:
        """A name that no file in a folder of ours has; the folder is made if it is missing."""
        folder = self.folder / where
        folder.mkdir(mode=0o700, exist_ok=True)
        name, number = wanted, 0
        while name in taken or os.path.lexists(folder / name):
            number += 1
            name = f"{wanted}.{number}"
        return name

    def _put_back(self) -> None:
        """Give a candidate up; it stays in the folder."""
        if self._candidate is not None:
            os.close(self._candidate.handle)
            self._candidate = None

    # --- once it is accepted ----------------------------------------------------------------------------------------

    def _begin(self, one: _Import) -> None:
        self._import = one
        self._set_place(one)

    def _set_place(self, one: _Import) -> None:
        ended = one.log >= len(one.sources)
        place = {"digest": one.bundle.digest, "name": one.name, "log": one.log, "offset": one.offset}
        self._place = {**place, "ended": ended}

    def _resume(self, digest: str, name: str) -> list[Lines | Gap]:
        """Open a bundle that an earlier run accepted, where that run left it."""
        log, offset = 0, 0
        if self._place.get("digest") == digest:
            log, offset = int(self._place["log"]), int(self._place["offset"])
        problem = "is gone"
        for path in (self.folder / _IMPORTED / name, *self._not_moved()):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                bundle = Bundle(handle, self.rules.keys)
                if bundle.digest != digest:
                    raise BundleError("is another one now")
                sources = [source_of(bundle, place, self.rules) for place in range(len(bundle.manifest.logs))]
            except BundleError as error:
                os.close(handle)
                problem = str(error) if path.name == name else problem
                continue
            self._begin(_Import(name, handle, bundle, sources, log, offset, offset))
            if path.parent == self.folder:
                (self.folder / _IMPORTED).mkdir(mode=0o700, exist_ok=True)
                path.rename(self.folder / _IMPORTED / name)
            return []
        self._place = {"digest": digest, "name": name, "log": log, "offset": offset, "ended": True}
        detail = f"bundle {safe_line(name)} {problem}: what follows byte {offset} of its log {log + 1} is missing"
        source = self.rules.source.id if self.rules.source else "drop"
        return [Gap(source, safe_line(name), "", offset, None, "bundle_altered", detail)]

    def _not_moved(self) -> list[Path]:
        """The files in the folder: the earlier run may have been stopped between accepting and moving, under a new name."""
        try:
            return sorted(Path(one.path) for one in os.scandir(self.folder) if one.is_file(follow_symlinks=False))
        except OSError:
            return []

    def _read(self, one: _Import, budget_bytes: int) -> list[Lines | Gap]:
        """The next lines of the log in hand."""
        if one.log >= len(one.sources):
            self._end()
            return []
        log, source = one.bundle.manifest.logs[one.log], one.sources[one.log]
        name = safe_line(f"{one.name}/{log.name}")
        one.cutter = cutter = one.cutter or Cutter(name, source, LIMITS)
        ended = False
        pieces: list[Piece] = []
        gaps: list[Gap] = []
        try:
            one.stream = one.stream or one.bundle.open(one.log)
            while budget_bytes > 0 and not ended:
                data = one.stream.read(READ_BYTES)
                ended = not data
                budget_bytes -= len(data)
                pieces += list(cutter.feed(data) if data else cutter.finish())
        except (BundleError, OSError, EOFError, zlib.error) as error:
            ended = True
            pieces += list(cutter.flush(settled=True))  # whole lines only
            detail = f"bundle {safe_line(one.name)} {error}: the rest of this log is missing"
            gaps.append(Gap(source.id, name, cutter.generation, cutter.position, None, "bundle_altered", detail))
        found: list[Lines | Gap] = [
            Lines(source, f"{one.bundle.digest}/{one.log}", part, part.lines.get_column("offset").min() == 0)
            for part in (_from(piece, one.skip) for piece in pieces)
            if part.lines.height or part.too_long.height
        ]
        one.offset = max(one.skip, cutter.position)
        if ended:
            one.log, one.offset, one.skip, one.stream, one.cutter = one.log + 1, 0, 0, None, None
        self._set_place(one)
        return found + gaps

    def _end(self) -> None:
        assert self._import is not None
        os.close(self._import.handle)
        _log.info("drop folder: %s was read to its end", safe_line(self._import.name))
        self._import = None


def open_drop(config: Config, start: Mapping[str, Any], clock: Callable[[], float]) -> Drop | None:
    """The drop folder that a configuration names; None if it names none.

    Args:
        config: The configuration.
        start: As `Drop.start`.
        clock: Monotonic seconds.

    Raises:
        BundleError: A public key cannot be used; a line for each.
        OSError: The ledger in the state folder cannot be read.
    """
    drop = config.drop
    if drop is None:
        return None
    rules = Rules(read_keys(drop.keys), config.source(drop.source), config.sources, drop.max_bundle_mib << 20)
    return Drop(drop.folder, Ledger(config.agent.state_dir / "bundles"), rules, start, clock)


def _is_offered(entry: os.DirEntry[str]) -> bool:
    """Not our own folders, nor what copying programs call their unfinished files."""
    return not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)


def _from(piece: Piece, offset: int) -> Piece:
    """The lines of a piece from an offset on."""
    if not offset:
        return piece
    later = pl.col("offset") >= offset
    lines, long = piece.lines.filter(later), piece.too_long.filter(later)
    return Piece(piece.name, piece.generation, piece.encoding, piece.header, lines, long)


def _summary(bundle: Bundle) -> str:
    logs = bundle.manifest.logs
    made = bundle.manifest.created.isoformat(timespec="seconds")
    return f"{len(logs)} logs, {sum(log.size for log in logs)} bytes, signed by {bundle.signer}, made {made}"
