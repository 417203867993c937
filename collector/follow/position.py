"""Where reading goes on: what is kept of every file from one start of the agent to the next.

Only the bytes themselves say what a file is: a name is given anew by rotation, an inode by the file system. So a
position holds the generation (the first line's hash) and a hash of the bytes before the offset; device and inode only
save looking. A file of which no whole line was read yet has no position: it is read from its start.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from contract.plain import label

TAIL_HASHED: Final = 4096
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Position:
    """How far one generation was read.

    Attributes:
        path: Where the file was seen last, links resolved.
        name: Its name in `source.position`; stays the same through rotation.
        family: The path that its writer writes to, shared by all its rotations.
        source: Id of its source.
        dev, ino: Device and inode where it was seen last.
        version: Which use of the inode it is (its generation number), for file systems use an inode again; 0: unknown.
        disk_bytes, mtime_ns: Size on disk and last change then; while both stay, a finished file is not looked at again.
        generation: SHA-256 (hex) of its first line (design §5); empty for a rotated file that was there before the agent
            was and is none of its business (offset 0, finished).
        offset: Start of the first line that was not read, in bytes of the uncompressed file.
        tail: SHA-256 (hex) of the bytes before `offset`, up to 4096 of them.
        encoding: What its text was taken for.
        seen_bytes: Its greatest length that was seen, uncompressed; at least `offset`.
        finished: Nothing more is expected of it: its disappearance is no loss.
        copied: It was copied and emptied while in use (logrotate's copytruncate), and the copy is not finished.
    """

    path: str
    name: str
    family: str
    source: str
    dev: int
    ino: int
    version: int
    disk_bytes: int
    mtime_ns: int
    generation: str
    offset: int
    tail: str
    encoding: str
    seen_bytes: int
    finished: bool = False
    copied: bool = False


_NAMES: Final = tuple(known.name for known in fields(Position))


@dataclass(frozen=True, slots=True)
class Progress:
    """All positions, and since when they are kept.

    Attributes:
        positions: By a key that stays with a generation as long as it is followed.
        patterns: Those that were followed before. What matches a new one is there already and may be years old; what
            turns up beside a known one has been written since.
    """

    positions: Mapping[str, Position] = field(default_factory=dict)
    patterns: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        positions = {
            key: {name: getattr(position, name) for name in _NAMES} for key, position in sorted(self.positions.items())
        }
        return {"patterns": sorted(self.patterns), "positions": positions}

    @classmethod
    def from_json(cls, value: object) -> Progress:
        """Back from `to_json`.

        Raises:
            ValueError: It is something else; the message says what is wrong.
        """
        if not isinstance(value, dict) or set(value) != {"patterns", "positions"}:
            raise ValueError("should hold patterns and positions")
        patterns, positions = value["patterns"], value["positions"]
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise ValueError("patterns should be a list of texts")
        if not isinstance(positions, dict):
            raise ValueError("positions should be a table")
        return cls({str(key): _position(str(key), found) for key, found in positions.items()}, frozenset(patterns))


_KINDS: Final = dict.fromkeys(
    ("dev", "ino", "version", "disk_bytes", "mtime_ns", "offset", "seen_bytes"), int
) | dict.fromkeys(("finished", "copied"), bool)


def _position(key: str, value: object) -> Position:
    where = f"position {label(key)}"
    if not isinstance(value, dict) or set(value) != set(_NAMES):
        raise ValueError(f"{where}: should hold {', '.join(_NAMES)}")
    for name in _NAMES:
        kind = _KINDS.get(name, str)
        if type(value[name]) is not kind:
            raise ValueError(f"{where}: {name} should be of type {kind.__name__}")
    if not (_HASH.fullmatch(value["generation"] or value["tail"]) and _HASH.fullmatch(value["tail"])):
        raise ValueError(f"{where}: generation and tail should be SHA-256 in hex")
    if not 0 <= value["offset"] <= value["seen_bytes"]:
        raise ValueError(f"{where}: offset should not lie below 0 or beyond seen_bytes")
    if not value["offset"] and not value["finished"]:
        raise ValueError(f"{where}: offset should lie above 0")
    return Position(**value)


def tail_hash(tail: bytes) -> str:
    """SHA-256 (hex) of the last 4096 bytes of `tail`, or of all where there are fewer."""
    return hashlib.sha256(tail[-TAIL_HASHED:]).hexdigest()
