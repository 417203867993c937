"""The digest of an hour: which segments there are and where each agent's chain stands, chained to the hour before and signed.

A digest is a line of JSON, which is what is signed, and a line with the signature (docs/operations/archive.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from contract.sealed import HEADERS, record_hash
from detector.archive.framing import Arrived
from detector.archive.signing import Signer

KIND: Final = "sekimori digest"
VERSION: Final = 1
_NONE: Final = "is no digest of an archive, or damaged"


class DigestError(ValueError):
    """The bytes are no digest; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment as a digest names it.

    Attributes:
        name: Its file's name.
        first: The first offset that it is about.
        next: The one after its last.
        records: Number of records.
        size_bytes: Of the file.
        sha256: Of the file, 64 hex digits.
        adopted: Its hash was taken from the disk after a restart, not when it was written.
    """

    name: str
    first: int
    next: int
    records: int
    size_bytes: int
    sha256: str
    adopted: bool


@dataclass(slots=True)
class Heads:
    """Where the chains of sealed records stand, by agent and start, and how many records have no seal.

    Attributes:
        chains: Agent → start → what the digest says of it; `head` is the hash of the record that is last in the order of
            (first, last, offset).
        unsealed: Records without the nine headers of a seal.
    """

    chains: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    unsealed: int = 0
    _newest: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    @property
    def starts(self) -> int:
        """How many starts of agents."""
        return len(self._newest)

    def take(self, partition: int, record: Arrived) -> None:
        """Look at a record, in the order of offsets."""
        own = [(name, text) for name, text in record.headers if name in HEADERS]
        said = _said(own)
        if said is None:
            self.unsealed += 1
            return
        agent, boot, first, last = said
        chain = self.chains.setdefault(agent, {}).setdefault(
            boot, {"first": first, "last": last, "records": 0, "head": ""}
        )
        chain["records"] += 1
        chain["first"], chain["last"] = min(chain["first"], first), max(chain["last"], last)
        place = (first, last, record.offset)
        if place > self._newest.get((agent, boot), (-1, -1, -1)):
            self._newest[agent, boot] = place
            chain["head"] = record_hash(partition, record.key, own[:-1], record.value or b"").hex()


def _said(own: Sequence[tuple[str, bytes]]) -> tuple[str, str, int, int] | None:
    """Agent, start, first and last number as the headers say; None if they are no seal's."""
    if [name for name, _ in own] != list(HEADERS):
        return None
    said = dict(own)
    first, last = said["first"], said["last"]
    if not (first.isdigit() and last.removeprefix(b"-").isdigit()) or max(len(first), len(last)) > 18:
        return None
    try:
        return said["agent"].decode(), said["boot"].decode(), int(first), int(last)
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class Newest:
    """What the next digest is chained to.

    Attributes:
        number: Of the digest, −1 if there is none.
        claim: Under which it was written.
        next: The offset after what it covers.
        to_ms: Up to when it speaks, UTC.
        sha256: Of the file; empty if there is none.
        signature: Its own, as hex.
    """

    number: int
    claim: int
    next: int
    to_ms: int
    sha256: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What a digest says besides its place in the chain.

    Attributes:
        topic, partition: Whose records.
        partitions: How many partitions the topic has.
        claim: Number of the writer's claim.
        writer: Who it is, in free words.
        start, next: Offsets that it covers, [start, next).
        from_ms, to_ms: From when to when it speaks, UTC.
        segments: In the order of their offsets.
        heads: Of their records.
    """

    topic: str
    partition: int
    partitions: int
    claim: int
    writer: str
    start: int
    next: int
    from_ms: int
    to_ms: int
    segments: Sequence[Listed]
    heads: Heads


def encode(body: Body, before: Newest, signer: Signer) -> tuple[bytes, Newest]:
    """The file's bytes, and what the digest after is chained to."""
    previous = {"sha256": before.sha256, "signature": before.signature} if before.sha256 else None
    said = {
        "kind": KIND, "version": VERSION, "topic": body.topic, "partition": body.partition,
        "partitions": body.partitions, "number": before.number + 1, "claim": body.claim, "writer": body.writer,
        "start": body.start, "next": body.next, "from_ms": body.from_ms, "to_ms": body.to_ms,
        "segments": [asdict(one) for one in body.segments], "agents": body.heads.chains,
        "unsealed": body.heads.unsealed, "previous": previous, "key": signer.fingerprint,
    }  # fmt: skip
    line = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    signature = signer.sign(line).hex()
    data = line + signature.encode() + b"\n"
    sha256 = hashlib.sha256(data).hexdigest()
    return data, Newest(before.number + 1, body.claim, body.next, body.to_ms, sha256, signature)


def decode(data: bytes) -> Newest:
    """What the next digest needs of one; its signature is not looked at.

    Raises:
        DigestError: It is none, or of a version that this program does not know.
    """
    said = _read(data)
    try:
        number, claim, following, to_ms = (int(said[name]) for name in ("number", "claim", "next", "to_ms"))
        signature = data.partition(b"\n")[2].strip().decode("ascii")
    except (ValueError, KeyError, TypeError, OverflowError):
        raise DigestError(_NONE) from None
    return Newest(number, claim, following, to_ms, hashlib.sha256(data).hexdigest(), signature)


def segments(data: bytes) -> list[Listed]:
    """The segments that a digest names; its signature is not looked at.

    Raises:
        DigestError: As `decode`.
    """
    said = _read(data)
    try:
        return [Listed(**one) for one in said["segments"]]
    except (KeyError, TypeError):
        raise DigestError(_NONE) from None


def partitions(data: bytes) -> int:
    """How many partitions the topic had when a digest was written.

    Raises:
        DigestError: As `decode`.
    """
    try:
        return int(_read(data)["partitions"])
    except (KeyError, TypeError, ValueError):
        raise DigestError(_NONE) from None


def _read(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data.partition(b"\n")[0])
        if said["kind"] != KIND:
            raise DigestError("is no digest of an archive")
        if said["version"] != VERSION:
            raise DigestError(f"is a digest of version {said['version']}: this program knows {VERSION} only")
    except DigestError:
        raise
    except (ValueError, KeyError, TypeError):
        raise DigestError(_NONE) from None
    return dict(said)
