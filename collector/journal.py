"""What was sealed and what of it was acknowledged, on the disk before anything is sent.

A boot that dies leaves records that may or may not have arrived. Its successor reads here where the chain ended and
which numbers nobody can vouch for, and signs that in its first record (`contract.sealed.Predecessor`), so that a crash
is not taken for a gap.

The file is lines of JSON with a check sum in front. A last line that was cut by a crash or a full disk was never
followed by a sending, so it is dropped.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contract.sealed import NO_RECORD, Predecessor
from service.durable import sync_folder, write_all

NAME: Final = "journal"
DAMAGED: Final = "journal.damaged"
# Enough for a crash loop of hours; beyond, boots of which nothing was acknowledged are left out first.
MOST_PREDECESSORS: Final = 500

_VERSION: Final = 1
_LARGE_B: Final = 4 << 20


class JournalError(OSError):
    """The journal cannot be written; nothing may be sent until it can. The message is one line."""


@dataclass(slots=True)
class Ledger:
    """What the lines of a journal add up to.

    Attributes:
        boot: Whose it is.
        previous: What its first record says of the boots before, the oldest first.
        last: Newest own number sealed, −1 before any.
        hash: Hash of the newest record sealed, `NO_RECORD` before any.
        waiting: First → last number of each record that was sealed and not acknowledged.
        begun: Its first record was acknowledged, so `previous` has arrived.
        relayed: Records without numbers that were sealed and not acknowledged.
    """

    boot: str
    previous: tuple[Predecessor, ...] = ()
    last: int = -1
    hash: str = NO_RECORD
    waiting: dict[int, int] = field(default_factory=dict)
    begun: bool = False
    relayed: int = 0

    def take(self, entry: dict[str, Any]) -> None:
        """Add one line of the journal."""
        for first, last in entry.get("sealed", ()):
            self.waiting[first] = last
            self.last = max(self.last, last)
        self.hash = entry.get("hash", self.hash)
        self.relayed = entry.get("relayed", self.relayed)
        for first in entry.get("acknowledged", ()):
            self.waiting.pop(first, None)
            self.begun = self.begun or first == 0

    def predecessors(self) -> tuple[Predecessor, ...]:
        """What the boot after this one has to say of the boots before."""
        told = () if self.begun else self.previous
        if self.hash != NO_RECORD:
            told += (Predecessor(self.boot, self.last, self.hash, _ranges(self.waiting), self.relayed),)
        spare = len(told) - MOST_PREDECESSORS
        if spare > 0:
            # The newest one carries the hash that the chain goes on from.
            lost = [at for at, one in enumerate(told[:-1]) if one.unacknowledged == ((0, one.last),)]
            del lost[spare:]
            told = tuple(one for at, one in enumerate(told) if at not in lost)
        return told

    def snapshot(self) -> dict[str, Any]:
        """One line that stands for all so far."""
        return {
            "version": _VERSION, "boot": self.boot, "previous": [one.as_json() for one in self.previous],
            "last": self.last, "hash": self.hash, "waiting": sorted(self.waiting.items()), "begun": self.begun,
            "relayed": self.relayed,
        }  # fmt: skip

    @classmethod
    def restore(cls, entry: dict[str, Any]) -> Ledger:
        """The reverse of `snapshot`.

        Raises:
            ValueError, KeyError, TypeError: It is none, or of another version.
        """
        if entry["version"] != _VERSION:
            raise ValueError(entry["version"])
        previous = tuple(Predecessor.from_json(one) for one in entry["previous"])
        waiting = {int(first): int(last) for first, last in entry["waiting"]}
        begun, relayed = bool(entry["begun"]), int(entry["relayed"])
        return cls(str(entry["boot"]), previous, int(entry["last"]), str(entry["hash"]), waiting, begun, relayed)


def _ranges(waiting: dict[int, int]) -> tuple[tuple[int, int], ...]:
    """Numbers not acknowledged, as ranges that do not touch."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted(waiting.items()):
        if ranges and ranges[-1][1] + 1 == first:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return tuple(ranges)


class Journal:
    """The journal of one boot.

    Args:
        folder: The seal's part of the state folder; it exists.
        boot: Name of this boot.
        start: How many boots came before.

    Attributes:
        ledger: What stands in it, and what will at the next `commit`.
        notes: What the operator should know of the journal of the boot before.

    Raises:
        JournalError: It cannot be written.
    """

    def __init__(self, folder: Path, boot: str, start: int) -> None:
        self._path = folder / NAME
        before, note = _read(self._path, start)
        self.notes = (note,) if note else ()
        self.ledger = Ledger(boot, before.predecessors() if before else ())
        self._sealed: list[tuple[int, int]] = []
        self._acknowledged: list[int] = []
        self._changed = False  # anything that is not in the file yet
        self._handle = -1
        self._end = 0
        self._rewrite()

    def sealed(self, first: int, last: int, digest: str) -> None:
        """A record was sealed; it may be sent after the next `commit`. `last` < `first`: it holds no number."""
        self._changed = True
        self.ledger.hash = digest
        if last < first:
            self.ledger.relayed += 1
            return
        self._sealed.append((first, last))
        self.ledger.take({"sealed": [(first, last)]})

    def acknowledged(self, first: int, last: int) -> None:
        """A record was acknowledged. Losing this in a crash costs a longer list of doubts, no more."""
        if last < first:
            self._changed = True
            self.ledger.relayed = max(0, self.ledger.relayed - 1)
            return
        if first not in self.ledger.waiting:
            return
        self._changed = True
        self._acknowledged.append(first)
        self.ledger.take({"acknowledged": [first]})

    def commit(self) -> None:
        """Put everything said so far on the disk.

        Raises:
            JournalError: It is full or broken; may be called again.
        """
        if not self._changed:
            return
        if self._end > _LARGE_B:
            self._rewrite()
            return
        entry = {
            "sealed": self._sealed, "hash": self.ledger.hash, "acknowledged": self._acknowledged,
            "relayed": self.ledger.relayed,
        }  # fmt: skip
        line = _line(entry)
        try:
            # Always at the same place, so that half a line of a try that failed is written over.
            write_all(self._handle, line, self._end)
            os.fsync(self._handle)
        except OSError as error:
            raise JournalError(self._said(error)) from error
        self._end += len(line)
        self._changed, self._sealed, self._acknowledged = False, [], []

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self.commit()
        os.close(self._handle)

    def _rewrite(self) -> None:
        """Start the file anew with one line for all so far: whole or not at all."""
        new = self._path.with_name(NAME + ".new")
        line = _line(self.ledger.snapshot())
        try:
            handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                write_all(handle, line, 0)
                os.fsync(handle)
                os.replace(new, self._path)
                sync_folder(self._path.parent)
            except OSError:
                os.close(handle)
                raise
        except OSError as error:
            raise JournalError(self._said(error)) from error
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._end = handle, len(line)
        self._changed, self._sealed, self._acknowledged = False, [], []

    def _said(self, error: OSError) -> str:
        return f"{self._path}: cannot be written ({error.strerror}): nothing is sent until it can; make room"


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _read(path: Path, start: int) -> tuple[Ledger | None, str]:
    """The ledger of the boot before, and a line for the operator if it is not to be had."""
    consequence = "the end of the start before cannot be signed, and `sekimori verify` will call it a gap"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, f"{path}: is missing: {consequence}" if start else ""
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror}): give it back to the agent's user") from error
    ledger = _replay(data)
    if ledger is None:
        path.replace(path.with_name(DAMAGED))
        return None, f"{path}: is damaged and was moved to {DAMAGED}: {consequence}"
    return ledger, ""


def _replay(data: bytes) -> Ledger | None:
    """Add up the lines; None if one that is not the last is damaged, or there is none."""
    lines = data.split(b"\n")
    entries = [_entry(line) for line in lines[:-1]]
    if entries and entries[-1] is None:
        entries.pop()
    try:
        if not entries or any(entry is None for entry in entries):
            return None
        ledger = Ledger.restore(entries[0] or {})
        for entry in entries[1:]:
            ledger.take(entry or {})
    except (ValueError, KeyError, TypeError):
        return None
    return ledger


def _entry(line: bytes) -> dict[str, Any] | None:
    text = line[9:]
    if line[:9] != b"%08x " % zlib.crc32(text):
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None
