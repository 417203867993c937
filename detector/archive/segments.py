"""One partition's records into the archive: segments of a few minutes, and a signed digest every hour (design §9).

What is in a segment that is not closed yet is in memory only: after a crash it is read from Kafka again, from `next` on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import Final

from detector.archive import digest, framing
from detector.archive.digest import Body, DigestError, Heads, Listed, Newest
from detector.archive.framing import Arrived, FramingError, Name, Open
from detector.archive.signing import Signer
from detector.archive.store import Store

RECORDS: Final = "records"
SEGMENT_MS: Final = 300_000
SEGMENT_BYTES: Final = 64 << 20
DIGEST_MS: Final = 3_600_000
# A digest is written early when it has so many starts of agents to name: whoever floods the topic with invented ones shall not fill the memory.
MOST_STARTS: Final = 10_000
_log = logging.getLogger(__name__)


class ArchiveError(ValueError):
    """The archive cannot be continued; the message says what is wrong, where, and what to do."""


class Superseded(Exception):
    """Somebody else writes this partition's archive now; what is closed stays, what is open is to be dropped."""


class Segments:
    """Writes the archive of one partition. All methods from one thread.

    Of two writers the later claim wins: the other one notices before it names a file, and each name is made once, so
    neither can damage what the other wrote. What a replaced writer left is no part of the archive.

    Args:
        store: Where.
        topic, partition: Whose records.
        partitions: How many partitions the topic has.
        signer: Signs the digests.
        now_ms: The time, UTC; of all calls.
        start: The first offset to be kept where the archive holds nothing yet.
        writer: Who this is, for people.
        segment_ms, segment_bytes: When a segment is closed, whichever comes first; the bytes are uncompressed.
        digest_ms: A digest is due whenever the time passes a multiple of it.

    Attributes:
        next: The first offset that is not safely closed: from here on records have to be appended again after a crash.
        expected: The first offset that was not appended yet; older ones are passed over.
        closed_segments, closed_bytes, digests: What this writer closed and signed so far.
        adopted: Closed segments of a writer before, which no digest named yet.

    Raises:
        ArchiveError: What is there is no archive of this partition, or damaged.
        OSError: The store cannot be read or written.
        Superseded: Somebody else began to write at the same moment.
    """

    def __init__(
        self, store: Store, topic: str, partition: int, signer: Signer, now_ms: int, *, partitions: int, start: int = 0,
        writer: str = "", segment_ms: int = SEGMENT_MS, segment_bytes: int = SEGMENT_BYTES, digest_ms: int = DIGEST_MS,
    ) -> None:  # fmt: skip
        self._store, self._signer = store, signer
        self._topic, self._partition, self._partitions, self._writer = topic, partition, partitions, writer
        self._segment_ms, self._segment_bytes, self._digest_ms = segment_ms, segment_bytes, digest_ms
        self._folder = folder(topic, partition)
        self.closed_segments = self.closed_bytes = self.digests = 0
        self._open: Open | None = None
        self._heads = Heads()
        self._listed: list[Listed] = []
        self._waiting: list[tuple[str, bytes, Listed | None]] = []
        for part in ("claims", "segments", "digests"):
            store.tidy(f"{self._folder}/{part}")
        self._claim = self._claimed()
        self._newest = self._read_newest(start, now_ms)
        self._adopt()
        self.adopted = len(self._listed)
        self.next = self.expected = self._listed[-1].next if self._listed else self._newest.next
        if self._newest.number < 0:
            # Where the archive begins has to be known even if this writer dies before it closes anything.
            self._sign(now_ms)

    def append(self, records: Iterable[Arrived], now_ms: int) -> None:
        """Take records, in the order of their offsets; those that were taken before are passed over.

        Raises:
            OSError: A segment could not be closed. Nothing is lost: call again with the same records when there is room.
            Superseded: Somebody else writes now.
        """
        self._store_waiting()
        for record in records:
            if record.offset < self.expected:
                continue
            if self._open is None:
                self._open = Open(self._topic, self._partition, self.expected, now_ms)
            self._open.add(record)
            self._heads.take(self._partition, record)
            self.expected = record.offset + 1
            if self._heads.starts >= MOST_STARTS:
                self._sign(now_ms)
            elif self._open.size_bytes >= self._segment_bytes:
                self.seal()

    def tick(self, now_ms: int) -> None:
        """Close the segment and sign the digest that are due.

        Raises:
            OSError: The disk is full, or the store cannot be reached; call again.
            Superseded: Somebody else writes now.
        """
        self._store_waiting()
        if self._open is not None and now_ms - self._open.opened_ms >= self._segment_ms:
            self.seal()
        if now_ms >= (self._newest.to_ms // self._digest_ms + 1) * self._digest_ms:
            self._sign(now_ms)

    def close(self, now_ms: int) -> None:
        """Close the segment and sign what is closed, so that whoever comes next goes on from here.

        Raises:
            OSError, Superseded: As `tick`.
        """
        self._sign(now_ms)

    def seal(self) -> None:
        """Close the open segment, if any.

        Raises:
            OSError, Superseded: As `tick`.
        """
        self._store_waiting()
        if self._open is None:
            return
        data = self._open.close()
        sha256 = hashlib.sha256(data).hexdigest()
        name = str(Name(self._open.first, self._claim, sha256[:16]))
        listed = Listed(name, self._open.first, self._open.next, self._open.records, len(data), sha256, False)
        self._open = None
        self._listed.append(listed)
        self._waiting.append((f"segments/{name}", data, listed))
        self._store_waiting()

    def _sign(self, now_ms: int) -> None:
        self.seal()
        body = Body(
            self._topic, self._partition, self._partitions, self._claim, self._writer, self._newest.next, self.next,
            self._newest.to_ms, max(now_ms, self._newest.to_ms), self._listed, self._heads,
        )  # fmt: skip
        data, self._newest = digest.encode(body, self._newest, self._signer)
        self._listed, self._heads = [], Heads()
        self._waiting.append((f"digests/{self._newest.number:08}.json", data, None))
        self._store_waiting()

    def _store_waiting(self) -> None:
        """Store what is whole and could not be stored yet."""
        while self._waiting:
            name, data, listed = self._waiting[0]
            if max(_numbers(self._store.names(f"{self._folder}/claims"))) != self._claim:
                raise Superseded(f"{self._folder}: a later writer has taken over")
            path = f"{self._folder}/{name}"
            try:
                self._store.create(path, data)
            except FileExistsError:
                # Ours, if an earlier attempt failed only after the file was there.
                if self._store.read(path) != data:
                    raise Superseded(f"{path}: another writer made it") from None
            del self._waiting[0]
            if listed is None:
                self.digests += 1
            else:
                self.next = listed.next
                self.closed_segments += 1
                self.closed_bytes += listed.size_bytes

    def _claimed(self) -> int:
        """Claim the partition: a number above all that are there."""
        segments = self._segments()
        claims = _numbers(self._store.names(f"{self._folder}/claims"))
        number = max([*claims, *(one.claim for one in segments)], default=0)
        while True:
            number += 1
            try:
                self._store.create(f"{self._folder}/claims/{number:08}", b"")
            except FileExistsError:
                continue
            return number

    def _read_newest(self, start: int, now_ms: int) -> Newest:
        files = self._store.names(f"{self._folder}/digests")
        numbers = _numbers(name.removesuffix(".json") for name in files)
        if not numbers:
            return Newest(-1, 0, start, now_ms)
        name = f"{self._folder}/digests/{max(numbers):08}.json"
        try:
            return digest.decode(self._store.read(name))
        except DigestError as error:
            advice = "keep the folder of this partition as it is for sekimori verify, and begin a new archive elsewhere"
            raise ArchiveError(f"{name}: {error}: {advice}") from None

    def _adopt(self) -> None:
        """Take over closed segments that no digest names yet, as far as they follow one another."""
        at = self._newest.next
        segments = self._segments()
        while True:
            # Of two writers' segments the later claim's counts.
            choice = sorted((one for one in segments if one.first == at), key=lambda one: one.claim, reverse=True)
            for name in choice:
                if self._take(name):
                    at = self._listed[-1].next
                    break
            else:
                return

    def _take(self, name: Name) -> bool:
        path = f"{self._folder}/segments/{name}"
        data = self._store.read(path)
        try:
            found = framing.read(data)
        except FramingError as error:
            _log.warning("%s: %s: it is left where it is, and its records are read from Kafka again", path, error)
            return False
        if not name.fits(data) or found.next == found.first:
            _log.warning("%s: is not what it was named for: it is left, its records are read from Kafka again", path)
            return False
        sha256 = hashlib.sha256(data).hexdigest()
        self._listed.append(Listed(str(name), found.first, found.next, len(found.records), len(data), sha256, True))
        for record in found.records:
            self._heads.take(self._partition, record)
        return True

    def _segments(self) -> list[Name]:
        names = self._store.names(f"{self._folder}/segments")
        return [name for text in names if (name := Name.parse(text))]


def folder(topic: str, partition: int) -> str:
    """Where a partition's archive lies in the store."""
    return f"{RECORDS}/{topic}/{partition:05}"


def _numbers(names: Iterable[str]) -> list[int]:
    return [int(name) for name in names if name.isascii() and name.isdigit()]
