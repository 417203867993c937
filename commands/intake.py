"""What `sekimori analyze` was given to read: archived events and logs, into the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from collector import ingest
from collector import read as reader
from collector.parse import Parsed
from collector.sources import Source
from commands import archive, disk, show
from commands.failure import Failure
from commands.spool import Spool
from registers.tokens import SiteKey

ARCHIVED = ".parquet"


@dataclass(slots=True)
class Tally:
    """Lines of one file.

    Attributes:
        lines: Events and refused lines.
        reasons: Refused lines by reason.
        first: Position and detail of the first refused line.
    """

    lines: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: tuple[str, str] = ("", "")

    def count(self, events: int, refused: pl.DataFrame) -> None:
        """Add a piece; `refused` in `contract.rejected.REJECTED_SCHEMA`."""
        self.lines += events + refused.height
        if refused.height:
            if not self.reasons:
                self.first = refused.select("source.position", "detail").row(0)
            self.reasons.update(dict(refused.group_by("reason").len().iter_rows()))


@dataclass(slots=True)
class Given:
    """The files that will be read.

    Attributes:
        archived: Archived events, with the name each gets in messages.
        logs: Log files.
    """

    archived: list[tuple[Path, str]]
    logs: list[ingest.LogFile]


@dataclass(slots=True)
class Read:
    """What was read.

    Attributes:
        problems: Files that could not be read, or not to their end; a line each.
        notes: Assumptions made; a line each.
        files: Files of which something was read.
        tallies: By file name.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Events, also repeated ones, and refused lines."""
        return sum(tally.lines for tally in self.tallies.values())

    @property
    def rejected(self) -> int:
        """Refused lines."""
        return sum(tally.reasons.total() for tally in self.tallies.values())

    @property
    def refused_share(self) -> float:
        """Refused lines of all lines, 0 to 1."""
        return self.rejected / max(1, self.lines)

    @property
    def refused(self) -> list[str]:
        """One line per file with refused lines, in order of reading."""
        out = []
        for name, tally in self.tallies.items():
            if tally.reasons:
                reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(tally.reasons.items()))
                place, detail = tally.first
                counted = f"{tally.reasons.total():,} of {tally.lines:,} lines refused ({reasons})"
                out.append(f"{name}: {counted}, the first at {place}: {detail}")
        return out


def find(
    paths: Sequence[Path], out: Path, sources: Sequence[Source], source: Source | None, problems: list[str]
) -> Given:
    """Look what is there.

    Args:
        paths: Log files, archived events, or folders of them.
        out: Where the run writes to; what an earlier run left there is no input.
        sources: What logs are recognised as.
        source: If given, every log is of this source.
        problems: Gets a line for everything that cannot be read.

    Raises:
        Failure: Nothing is there.
    """
    pairs = [pair for path in paths for pair in reader.files(path, problems) if not disk.is_output(out, pair[0])]
    archived = {file.resolve(): (file, name) for file, name in reversed(pairs) if file.suffix == ARCHIVED}
    logs = ingest.take([pair for pair in pairs if pair[0].suffix != ARCHIVED], sources, problems, source)
    if not archived and not logs:
        raise Failure("\n".join(["nothing could be read", *problems]))
    return Given(sorted(archived.values(), key=lambda pair: (pair[1], str(pair[0]))), logs)


def read(
    given: Given, spool: Spool, rejects: Path, key: SiteKey, zone: str, year: int | None, progress: show.Progress
) -> Read:
    """Bring everything into the spool.

    Args:
        given: What `find` found.
        spool: Gets the events.
        rejects: File that gets the refused lines.
        key: For event ids and tokens.
        zone: Time zone of stamps without one.
        year: Of the first line of a file whose stamps have none.
        progress: Told of every piece.

    Raises:
        Failure: Nothing could be read.
        OSError: The spool or the file of refused lines cannot be written.
    """
    out = Read()
    names: dict[str, None] = {}
    with rejects.open("wb") as file:

        def take(name: str, events: pl.DataFrame, refused: pl.DataFrame) -> None:
            names[name] = None
            spool.add(events)
            # By way of a string, because Polars does not say why it cannot write to a full disk.
            file.write(refused.write_ndjson().encode())
            out.tallies.setdefault(name, Tally()).count(events.height, refused)
            progress.advance(events.height)

        for path, name in given.archived:
            try:
                for part in archive.pieces(path, name):
                    take(name, part.events, part.rejected)
            except archive.Damaged as error:
                out.problems.append(str(error))
        parsed: Parsed
        for parsed in ingest.read(given.logs, key, zone, out.problems, out.notes, year):
            take(parsed.name, parsed.events, parsed.rejected)
    out.files = len(names)
    if not out.files:
        raise Failure("\n".join(["nothing could be read", *out.problems]))
    return out
