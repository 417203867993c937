"""What following files gives and takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from collector.cut import Piece
from collector.parse import Parsed
from collector.sources import Source

GapReason = Literal[
    # of files that are followed
    "deleted", "truncated", "copytruncate", "damaged",
    # of syslog: no room on the disk, cut or broken off, the kernel's buffer, altered or torn, spool file gone
    "spool_full", "too_long", "receive_buffer", "spool_damaged", "spool_missing",
    # of bundles in the drop folder: changed or taken away after it was accepted
    "bundle_altered",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watched:
    """Files to follow.

    Attributes:
        patterns: Globs of absolute paths (`**` stands for folders). Rotated generations are found beside the files that
            match, also where they do not match themselves.
        source: What all of them are; None: recognised by content, file by file.
    """

    patterns: tuple[str, ...]
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of one file, read for the first time since the positions that the follower started from.

    Attributes:
        source: What the file is.
        key: The generation's key in `Progress.positions`; pieces of one generation come in order.
        piece: The lines.
        first: The piece holds the first line of its generation.
        watched: Which of the follower's `Watched` the file is of, counted from 0.
    """

    source: Source
    key: str
    piece: Piece
    first: bool
    watched: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """Messages that were parsed when they were received.

    Attributes:
        source: What they are.
        parsed: Their events and refused lines.
        lines: How many messages.
        size: Bytes of them as they were received, each with a newline behind it.
        entries: For the vault, of tokens that were new then: lines, encrypted.
    """

    source: Source
    parsed: Parsed
    lines: int
    size: int
    entries: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that were, or may have been, written and can no longer be read.

    Attributes:
        source_id: Whose.
        name: Name of the file in positions.
        generation: Of which generation.
        first_byte: First byte that is missing, in the uncompressed file.
        last_byte: Last byte that is known to have been there; more may have been. None: nothing is known to be missing.
        reason: `deleted`: file gone before it was read to its end. `truncated`: emptied or overwritten, and no copy was
            found. `copytruncate`: copied and emptied while it may have been written to; what fell between is in neither.
            `damaged`: the rest cannot be read.
        detail: One line for the operator.
    """

    source_id: str
    name: str
    generation: str
    first_byte: int
    last_byte: int | None
    reason: GapReason
    detail: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind its writer the reading of one file is.

    Attributes:
        source_id: Whose.
        bytes: Seen in the file and not read; of gzip, compressed ones.
        seconds: Since everything that was there had been read; 0 where it still is.
    """

    source_id: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the follower waits, in seconds of the clock given to `poll`.

    Attributes:
        scan_s: Between two looks at the folders, to see whether names were added or taken away.
        rescan_s: Between two looks at all files in them, where no name was; open files are looked at all the time.
        retry_s: The same while there is a file that cannot be read.
        settle_s: A quiet file's lines that might belong to a longer record stand alone after this.
        rotated_s: A rotated or deleted file that was quiet for so long has ended.
        lost_s: A generation that was not found for so long is lost.
        away_s: The same where its folder is gone or another file system is mounted there.
        idle_s: A file that was quiet for so long, and was then copied whole and emptied, lost nothing in between.
    """

    scan_s: float = 0.5
    rescan_s: float = 10.0
    retry_s: float = 3.0
    settle_s: float = 10.0
    rotated_s: float = 60.0
    lost_s: float = 5.0
    away_s: float = 600.0
    idle_s: float = 5.0
