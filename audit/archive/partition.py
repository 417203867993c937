"""One partition's archive judged: its digests' chain, the segments they name, and what else lies there."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from audit.archive import segment
from audit.archive.digest import Digest, DigestError, Keys, Link, Listed, Unverifiable
from audit.archive.place import Place
from audit.archive.segment import Segment, SegmentError, Unknown
from audit.chains.capture import Taken
from audit.chains.verdict import CANNOT, GAP, TAMPERED, Problem
from contract.sealed import HEADERS, record_hash

_DIGEST: Final = re.compile(r"[0-9]{8}\.json")
_SEGMENT: Final = re.compile(r"([0-9]{20})-([0-9]{8})-([0-9a-f]{16})\.zst")
_CLAIM: Final = re.compile(r"[0-9]{8}")
_FIRST: Final = re.compile(rb"[0-9]{1,18}")
_LAST: Final = re.compile(rb"[0-9]{1,18}|-[0-9]{1,17}")


@dataclass(slots=True)
class Chains:
    """Where the chains of the sealed records in one digest's segments stand, found anew.

    Attributes:
        agents: Agent → start → `first`, `last`, `records`, `head`.
        unsealed: Records without seal.
        offsets, stamps: Of sealed records: where each lies, and Kafka's time of it, UTC ms.
    """

    agents: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    unsealed: int = 0
    offsets: array[int] = field(default_factory=lambda: array("q"))
    stamps: array[int] = field(default_factory=lambda: array("q"))
    _places: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    def take(self, taken: Taken) -> None:
        """Look at a record."""
        seal = [(name, text) for name, text in taken.headers if name in HEADERS]
        said = dict(seal)
        try:
            if [name for name, _ in seal] != list(HEADERS):
                raise ValueError
            if not _FIRST.fullmatch(said["first"]) or not _LAST.fullmatch(said["last"]):
                raise ValueError
            agent, boot = said["agent"].decode(), said["boot"].decode()
        except ValueError:
            self.unsealed += 1
            return
        first, last = int(said["first"]), int(said["last"])
        self.offsets.append(taken.offset)
        self.stamps.append(taken.timestamp_ms)
        known = self.agents.setdefault(agent, {}).get(boot, {"first": first, "last": last, "records": 0, "head": ""})
        place = (first, last, taken.offset)
        head = known["head"]
        if (agent, boot) not in self._places or place > self._places[agent, boot]:
            self._places[agent, boot] = place
            head = record_hash(taken.partition, taken.key, seal[:-1], taken.value).hex()
        self.agents[agent][boot] = {
            "first": min(first, known["first"]), "last": max(last, known["last"]),
            "records": known["records"] + 1, "head": head,
        }  # fmt: skip


class Partition:
    """Judges a partition's archive, when it is made.

    Args:
        place: Where the archive lies.
        folder: The partition's folder in it.
        topic, partition: What it must be.
        keys: Of who may sign.
        since_ms: Digests that end before are not looked at; None: from the first one on.
        take: Gets every record that a digest vouches for, in the order of offsets.

    Attributes:
        problems, notes: The judgement.
        digests: Those that are signed and in their place.
        start, next: Offsets that they cover.
        newest_ms: Newest time of Kafka in a sealed record, UTC; None without one.
        records: How many were read.
        newest_hash: SHA-256 of the newest digest's file, 64 hex digits; empty without one.
    """

    def __init__(
        self, place: Place, folder: str, topic: str, partition: int, keys: Keys, since_ms: int | None,
        take: Callable[[Taken], None],
    ) -> None:  # fmt: skip
        self._place, self._folder, self._topic, self._partition, self._take = place, folder, topic, partition, take
        self._offsets, self._stamps = array("q"), array("q")
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.records = 0
        self.newest_hash = ""
        self.digests = list(self._chain(keys, since_ms))
        self.start = self.digests[0].start if self.digests else 0
        self.next = self.digests[-1].next if self.digests else 0
        for digest in self.digests:
            self._check(digest)
        self._check_rest()
        self.newest_ms = max(self._stamps, default=None)

    def end_at(self, ms: int) -> int:
        """The offset after the last sealed record that Kafka's time puts no later than this."""
        places = (offset for offset, stamp in zip(self._offsets, self._stamps, strict=True) if stamp <= ms)
        return max(places, default=self.start - 1) + 1

    def _say(self, status: int, text: str) -> None:
        self.problems.append(Problem(status, "", f"{self._folder}/{text}"))

    def _chain(self, keys: Keys, since_ms: int | None) -> Iterator[Digest]:
        """The digests from `since_ms` on, each held against the one before."""
        names = [name for name in self._place.inside(f"{self._folder}/digests")[1] if _DIGEST.fullmatch(name)]
        if not names:
            self._say(CANNOT, "digests: there is none, so nothing here can be verified")
        expected = 0 if since_ms is None else None
        before: tuple[Digest, Link] | None = None
        for name in names:
            number = int(name[:8])
            read = self._read_digest(f"digests/{name}", number, keys)
            if read and since_ms is not None and read[0].to_ms <= since_ms and expected is None:
                continue
            if expected is None:
                expected = number
                if since_ms is not None and number and read and read[0].from_ms > since_ms:
                    self._say(GAP, f"digests: those before {number:08} are missing")
            if number > expected:
                self._say(GAP, f"digests: {expected:08} to {number - 1:08} are missing")
            if read and before and number == expected:
                self._check_link(name, before, read[0])
            expected, before = number + 1, read
            if read:
                self.newest_hash = read[1].sha256
                yield read[0]

    def _read_digest(self, name: str, number: int, keys: Keys) -> tuple[Digest, Link] | None:
        try:
            digest, link = keys.read(self._place.read(f"{self._folder}/{name}") or b"")
        except Unverifiable as error:
            self._say(CANNOT, f"{name}: {error}")
            return None
        except DigestError as error:
            self._say(TAMPERED, f"{name}: {error}")
            return None
        if (digest.topic, digest.partition, digest.number) != (self._topic, self._partition, number):
            self._say(TAMPERED, f"{name}: is digest {digest.number} of {digest.topic}, partition {digest.partition}")
            return None
        if number == 0 and digest.previous is not None:
            self._say(TAMPERED, f"{name}: is the first one and speaks of one before")
        return digest, link

    def _check_link(self, name: str, before: tuple[Digest, Link], digest: Digest) -> None:
        last, link = before
        if digest.previous != link:
            self._say(TAMPERED, f"digests/{name}: does not follow the digest before it")
        if digest.start != last.next or digest.from_ms != last.to_ms:
            self._say(GAP, f"digests/{name}: does not begin where the digest before it ended")

    def _check(self, digest: Digest) -> None:
        """The segments of a digest, and the chains in them."""
        chains = Chains()
        expected, is_whole = digest.start, True
        for listed in digest.segments:
            if listed.first != expected:
                self._say(GAP, f"segments: offsets {expected} to {listed.first - 1} are in no segment")
            expected = listed.next
            found = self._segment(listed)
            is_whole = is_whole and found is not None
            for taken in found.records if found else ():
                chains.take(taken)
                self._take(taken)
        if expected != digest.next:
            self._say(GAP, f"segments: offsets {expected} to {digest.next - 1} are in no segment")
        if is_whole and (digest.model_dump()["agents"], digest.unsealed) != (chains.agents, chains.unsealed):
            self._say(TAMPERED, f"digests/{digest.number:08}.json: its agents' chains are not those of its records")
        self._offsets += chains.offsets
        self._stamps += chains.stamps

    def _segment(self, listed: Listed) -> Segment | None:
        name = f"segments/{listed.name}"
        data = self._place.read(f"{self._folder}/{name}")
        if data is None:
            self._say(GAP, f"{name}: is missing")
            return None
        if hashlib.sha256(data).hexdigest() != listed.sha256 or len(data) != listed.size_bytes:
            self._say(TAMPERED, f"{name}: was altered since it was signed")
            return None
        found = self._read_segment(name, data)
        if found is None:
            return None
        about = (found.topic, found.partition, found.first, found.next, len(found.records))
        if about != (self._topic, self._partition, listed.first, listed.next, listed.records):
            self._say(TAMPERED, f"{name}: is not what its digest says")
            return None
        self.records += len(found.records)
        for first, last in found.holes:
            self._say(GAP, f"{name}: offsets {first} to {last} never came")
        return found

    def _read_segment(self, name: str, data: bytes) -> Segment | None:
        try:
            return segment.read(data)
        except Unknown as error:
            self._say(CANNOT, f"{name}: {error}")
        except SegmentError as error:
            self._say(TAMPERED, f"{name}: {error}")
        return None

    def _check_rest(self) -> None:
        """What no digest names."""
        folders, files = self._place.inside(self._folder)
        for name in [one for one in folders if one not in ("segments", "digests", "claims")] + files:
            self._say_strange(name)
        for kind, pattern in (("segments", _SEGMENT), ("digests", _DIGEST), ("claims", _CLAIM)):
            inner, names = self._place.inside(f"{self._folder}/{kind}")
            for name in inner + [one for one in names if not pattern.fullmatch(one)]:
                self._say_strange(f"{kind}/{name}")
        for name in self._place.inside(f"{self._folder}/claims")[1]:
            if self._place.read(f"{self._folder}/claims/{name}"):
                self._say(TAMPERED, f"claims/{name}: holds something, which no claim does")
        signed = {listed.name for digest in self.digests for listed in digest.segments}
        oldest = self.digests[0].start if self.digests else 0
        others = [name for name in self._place.inside(f"{self._folder}/segments")[1] if name not in signed]
        matches = [match for name in others if (match := _SEGMENT.fullmatch(name)) and int(match[1]) >= oldest]
        if self.digests:
            self._check_unsigned(matches)

    def _say_strange(self, name: str) -> None:
        if name.rpartition("/")[2].startswith("."):
            self.notes.append(f"{self._folder}/{name}: passed over, it was never finished")
        else:
            self._say(TAMPERED, f"{name}: does not belong here")

    def _check_unsigned(self, matches: list[re.Match[str]]) -> None:
        """Segments that wait for the next digest, and those of writers that were replaced."""
        at, waiting = self.next, 0
        # Of several that begin in one place the latest claim's counts.
        for match in sorted(matches, key=lambda one: (int(one[1]), -int(one[2]))):
            name = f"segments/{match[0]}"
            data = self._place.read(f"{self._folder}/{name}") or b""
            if not hashlib.sha256(data).hexdigest().startswith(match[3]):
                self._say(TAMPERED, f"{name}: was altered, and no digest names it")
                continue
            found = self._read_segment(name, data)
            if found and found.first == at and at < found.next:
                at, waiting = found.next, waiting + len(found.records)
            elif found:
                self.notes.append(f"{self._folder}/{name}: passed over, a writer that was replaced left it")
        if waiting:
            self.notes.append(f"{self._folder}: {waiting:,} records wait for the next digest and are not judged yet")
