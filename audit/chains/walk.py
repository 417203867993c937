"""One start of one agent: put its records in order, find each one's key, and say what is altered and what is missing.

This is separate code from the agent's, from the same description (`contract.sealed`).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from audit.chains.entry import Entry
from contract import sealed
from contract.sealed import EPOCH

# So many records that hold relayed events only, and so no numbers, may be missing in one place.
_SPARE: Final = 4096
# An agent that would have sent more than this many epochs of events between two records is a forger.
_MOST_EPOCHS: Final = 1 << 20
MOST_PROBLEMS: Final = 1000


@dataclass(slots=True)
class Walked:
    """What a start's records show.

    Attributes:
        good: Records whose MAC is right, in the order of sealing, each once.
        altered: A line for each record that the agent did not seal, or not so.
        claimed: Numbers that altered records claim.
        missing: Ranges of numbers before the newest good record that no good record holds.
        unlinked: First numbers of good records before which others without numbers are missing.
        repeated: Records that came again, byte for byte.
    """

    good: list[Entry] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    claimed: list[tuple[int, int]] = field(default_factory=list)
    missing: list[tuple[int, int]] = field(default_factory=list)
    unlinked: list[int] = field(default_factory=list)
    repeated: int = 0

    @property
    def last(self) -> int:
        """Newest number in a good record, −1 if there is none."""
        return self.good[-1].last if self.good else -1


class Keys:
    """The record keys of one start, going forward only.

    Args:
        secret: The start's secret.
        agent: `agent.id`.
    """

    def __init__(self, secret: bytes, agent: str) -> None:
        self._next_epoch = sealed.first_epoch_secret(secret, agent)
        self._epoch = -1
        self._key = b""

    def fit(self, entry: Entry, skipped: int) -> int | None:
        """Try the keys from here on.

        Args:
            entry: The record.
            skipped: How many records may lie between the last one that fitted and this one, at most.

        Returns:
            How many keys of its epoch were passed over; None if none fits, and then nothing has moved.
        """
        before = self._next_epoch, self._epoch, self._key
        if _epoch(entry) - self._epoch > _MOST_EPOCHS:
            return None
        while self._epoch < _epoch(entry):
            self._key = sealed.first_record_key(self._next_epoch)
            self._next_epoch = sealed.next_epoch_secret(self._next_epoch)
            self._epoch += 1
        for passed in range(min(skipped, EPOCH + _SPARE) + 1):
            fits = hmac.compare_digest(sealed.mac(self._key, entry.digest), entry.mac)
            self._key = sealed.next_record_key(self._key)
            if fits:
                return passed
        self._next_epoch, self._epoch, self._key = before
        return None


def walk(entries: Iterable[Entry], keys: Keys) -> Walked:
    """Follow a start's chain.

    Args:
        entries: Records that say they are of this start, in any order.
        keys: Of this start, fresh.
    """
    found = Walked()
    previous: Entry | None = None
    for entry in _in_order(entries):
        if len(found.altered) >= MOST_PROBLEMS:
            found.altered.append("and more: no further record of this start was looked at")
            break
        if previous and entry.digest == previous.digest and entry.mac == previous.mac:
            found.repeated += 1
            continue
        expected = previous.last + 1 if previous else 0
        follows = entry.first == expected and (previous is None or entry.prev == previous.digest)
        passed = _fit(entry, keys, expected, follows)
        if passed is None:
            _refuse(found, entry, expected)
            continue
        if entry.first > expected:
            found.missing.append((expected, entry.first - 1))
        elif not follows and passed:
            found.unlinked.append(entry.first)
        elif not follows:
            found.altered.append(f"{entry.place}: is sealed, but does not follow the record before it: two histories")
        found.good.append(entry)
        previous = entry
    return found


def _fit(entry: Entry, keys: Keys, expected: int, follows: bool) -> int | None:
    if entry.first < expected:
        return None
    return keys.fit(entry, 0 if follows else entry.first - expected + _SPARE)


def _epoch(entry: Entry) -> int:
    return entry.first // EPOCH


def _refuse(found: Walked, entry: Entry, expected: int) -> None:
    why = "its signature is wrong" if entry.first >= expected else "another record holds these numbers"
    found.altered.append(f"{entry.place}: numbers {entry.numbers}: {why}")
    if entry.last >= entry.first:
        found.claimed.append((entry.first, entry.last))


def _in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """By number; records without numbers, which share one place, by what each says of the one before."""
    newest = b""
    ordered = sorted(entries, key=lambda entry: (entry.first, entry.last, entry.partition, entry.offset))
    for (first, last), group in groupby(ordered, key=lambda entry: (entry.first, entry.last)):
        several = list(group)
        if last < first and len(several) > 1:
            several = _linked(several, newest)
        yield from several
        newest = several[-1].digest


def _linked(entries: Sequence[Entry], newest: bytes) -> list[Entry]:
    """Records in the order of their links from `newest` on; what no link reaches starts a run of its own."""
    after: dict[bytes, list[Entry]] = {}
    for entry in entries:
        after.setdefault(entry.prev, []).append(entry)
    known = {entry.digest for entry in entries}
    starts = [newest, *(prev for prev in after if prev not in known and prev != newest), *after]
    linked: list[Entry] = []
    for start in starts:
        at = start
        while at in after:
            run = after.pop(at)
            linked += run
            at = run[0].digest
    return linked


def outside(ranges: Iterable[tuple[int, int]], excused: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of some ranges (first, last; inclusive) no excused range covers, ascending."""
    left = sorted(ranges)
    for low, high in sorted(excused):
        kept: list[tuple[int, int]] = []
        for first, last in left:
            if high < first or last < low:
                kept.append((first, last))
                continue
            if first < low:
                kept.append((first, low - 1))
            if high < last:
                kept.append((high + 1, last))
        left = kept
    return left
