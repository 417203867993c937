"""A log with its writer, a follower that can be killed, and an oracle that counts what is missing, double and torn."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from collector.cut import DEFAULT_LIMITS, Limits
from collector.follow import Follower, Gap, Lines, Patience, Progress, Watched
from collector.sources import Source

PLAIN = Source.model_validate({"id": "plain", "format": "syslog"})


@dataclass
class Rig:
    """One log folder.

    Attributes:
        folder: Where the logs are.
        patterns: What is followed.
        written: Every whole line that a writer wrote, in order.
        given: What was delivered: key, generation, offset, line.
        gaps: What was told to be missing.
    """

    folder: Path
    patterns: tuple[str, ...] = ()
    source: Source | None = PLAIN
    sources: tuple[Source, ...] = ()
    limits: Limits = DEFAULT_LIMITS
    patience: Patience = field(default_factory=Patience)
    now: float = 1000.0
    written: list[bytes] = field(default_factory=list)
    given: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    long: list[tuple[int, int]] = field(default_factory=list)
    saved: str | None = None
    follower: Follower | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.patterns = self.patterns or (str(self.folder / "app.log"),)

    @property
    def log(self) -> Path:
        return self.folder / "app.log"

    # --- the writer

    def line(self) -> bytes:
        number = next(self._numbers)
        return b"%08d user%d did something %x" % (number, number % 7, number * 2654435761 % 2**32)

    def write(self, count: int = 1, to: Path | None = None) -> list[bytes]:
        """Append whole lines as one writer would."""
        lines = [self.line() for _ in range(count)]
        with (to or self.log).open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        self.written += lines
        return lines

    def rotate(self, keep: int = 9, zip_from: int | None = None) -> None:
        """As logrotate does: rename, the older ones first; create anew is left to the writer."""
        for number in range(keep, 0, -1):
            for ending in ("", ".gz"):
                old = self.folder / f"app.log.{number}{ending}"
                if old.exists():
                    if number == keep:
                        old.unlink()
                    else:
                        old.rename(self.folder / f"app.log.{number + 1}{ending}")
        self.log.rename(self.folder / "app.log.1")
        if zip_from is not None:
            for number in range(zip_from, keep + 1):
                if (self.folder / f"app.log.{number}").exists():
                    self.zip(self.folder / f"app.log.{number}")

    def zip(self, path: Path) -> Path:
        """As gzip does: a new file, then the old one is removed; the time of the last change stays."""
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        found = path.stat()
        os.utime(packed, ns=(found.st_atime_ns, found.st_mtime_ns))
        path.unlink()
        return packed

    def copytruncate(self, to: str = "app.log.1") -> None:
        shutil.copyfile(self.log, self.folder / to)
        os.truncate(self.log, 0)

    # --- the agent

    def start(self) -> Follower:
        self.stop()
        progress = Progress.from_json(json.loads(self.saved)) if self.saved else None
        self.follower = Follower(
            [Watched(self.patterns, self.source)], progress, self.sources, self.patience, self.limits
        )
        return self.follower

    def stop(self) -> None:
        if self.follower is not None:
            self.follower.close()
            self.follower = None

    def poll(self, seconds: float = 1.0, budget_bytes: int = 1 << 30) -> list[Lines | Gap]:
        """One poll; what it gives is not yet safe."""
        follower = self.follower or self.start()
        self.now += seconds
        return follower.poll(self.now, budget_bytes)

    def take(self, found: Iterable[Lines | Gap]) -> None:
        """What was given is safe now, and so is the progress."""
        for one in found:
            if isinstance(one, Gap):
                self.gaps.append(one)
                continue
            self.long += one.piece.too_long.select("offset", "bytes").rows()
            for raw, offset in one.piece.lines.select("raw", "offset").iter_rows():
                self.given.append((one.key, one.piece.generation, offset, raw))
        assert self.follower is not None
        self.saved = json.dumps(self.follower.progress().to_json())

    def run(self, seconds: float = 0.0, budget_bytes: int = 1 << 30) -> None:
        """Poll until nothing comes, at least once, for so many seconds of the clock at least."""
        end = self.now + seconds
        while True:
            found = self.poll(budget_bytes=budget_bytes)
            self.take(found)
            if not found and self.now >= end:
                return

    # --- the oracle

    @property
    def lines(self) -> list[bytes]:
        return [raw for _, _, _, raw in self.given]

    @property
    def problems(self) -> list[str]:
        assert self.follower is not None
        return self.follower.problems

    def missing(self) -> list[bytes]:
        given = set(self.lines)
        return [line for line in self.written if line not in given]

    def double(self) -> list[bytes]:
        return [line for line, count in Counter(self.lines).items() if count > 1]

    def torn(self) -> list[bytes]:
        written = set(self.written)
        return [line for line in self.lines if line not in written]

    def check(self) -> None:
        """Every line once, whole, and no gap."""
        assert (self.missing(), self.double(), self.torn(), self.gaps) == ([], [], [], [])
