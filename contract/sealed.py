"""The record on Kafka: how events travel, and what proves that none was altered, dropped or slipped in (design §5, §9).

A record's value is 1…N events, its headers say who sealed it and where it stands in the chain. An agent numbers the
events that it seals (`agent.seq`), one gapless chain per boot over all partitions, from 0. What is hashed are the bytes
on the wire with everything that gives them their meaning:

    hash = SHA-256(PREFIX, partition, key, every header but `mac`, value), each with its length in front
    prev = hash of the record sealed before, of the boot before in a boot's first record, of none (`NO_RECORD`) at first
    mac  = HMAC-SHA256(record key, hash)

The topic is left out so that a mirrored topic can be verified, the timestamp because a broker may set its own.

The keys go one way only; each is erased once its successor stands. Who takes over a host learns nothing that could
forge what it sealed before. Who verifies holds the first secret and derives the rest:

    boot secret  → next boot secret; → the boot's name; → its first epoch secret
    epoch secret → next epoch secret; → key of the first record in the epoch
    record key   → key of the next record in the epoch

A record is in epoch `first` // `EPOCH`. Epochs bound the search for the key of a record behind a gap, or at the front of
what a topic still holds: how many records went before is nowhere written, the number of events is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from contract.event import SCHEMA_VERSION

# Name and meaning, in the order of sending.
HEADERS: Final = {
    "fmt": "`ndjson`: 1…N events; `event`: one",
    "n": "Number of events",
    "schema": "Version of the event's table",
    "agent": "`agent.id` of who sealed it",
    "boot": "`agent.boot`: in which start",
    "first": "First of the agent's own numbers in it",
    "last": "Last of them; `first` − 1 if all events are relayed from another agent, whose numbers they keep",
    "prev": "Hash of the record sealed before, 64 hex digits; of the start before in a start's first record",
    "mac": "HMAC-SHA256 of the record's hash under a key of its own, 64 hex digits",
}
NDJSON: Final = "ndjson"
EVENT: Final = "event"
NO_RECORD: Final = "0" * 64

# A record's uncompressed value; below the broker's default message.max.bytes (1,048,588) even if nothing shrinks.
MAX_EVENTS: Final = 1000
MAX_BYTES: Final = 900_000
EPOCH: Final = 1 << 16

_PREFIX: Final = b"sekimori/record/1"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One Kafka record, ready to be sent, and to be sent again as it is. Equal only to itself.

    Attributes:
        topic: Where it goes.
        partition: Number of the partition; part of what is sealed.
        value: The bytes.
        headers: Name and value, in the order of sending; of a sealed record all of `HEADERS`, of another none.
        timestamp_ms: When it was sealed, UTC.
        key: Kafka's key, or None.
        first, last: The agent's own numbers in it; `last` is `first` − 1 where it has none; both −1 if it is not sealed.
    """

    topic: str
    partition: int
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int
    key: bytes | None = None
    first: int = -1
    last: int = -1

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes up in memory and, before compression, on the wire, roughly."""
        return len(self.value) + len(self.key or b"") + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Seal:
    """What the headers say, but for the MAC.

    Attributes:
        fmt: `ndjson` (1…N events, each ended by a newline) or `event` (one JSON object, with or without newline).
        n: Number of events in the value.
        agent, boot: Who sealed it, in which start.
        first, last: The agent's own numbers in it, inclusive. Events that the agent only relays, from another agent, keep
            the numbers they have, so n − (last − first + 1) of them may be in it too.
        prev: Hash of the record before, 64 hex digits.
        schema: Version of the event's table.
    """

    fmt: str
    n: int
    agent: str
    boot: str
    first: int
    last: int
    prev: str
    schema: int = SCHEMA_VERSION

    def headers(self) -> list[tuple[str, bytes]]:
        """Name and value of every header but `mac`, in the order of `HEADERS`."""
        return [(name, str(getattr(self, name)).encode()) for name in HEADERS if name != "mac"]


def record_hash(partition: int, key: bytes | None, headers: Iterable[tuple[str, bytes]], value: bytes) -> bytes:
    """SHA-256 of a record, 32 bytes.

    Args:
        partition: Number of the partition that it is in.
        key: Kafka's key.
        headers: All but `mac`, in the order of `HEADERS`.
        value: The bytes.
    """
    parts = [_PREFIX, b"%d" % partition, b"" if key is None else b"=" + key]
    for name, text in headers:
        parts += (name.encode(), text)
    head = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    digest = hashlib.sha256(b"%b%d:" % (head, len(value)))
    digest.update(value)
    return digest.digest()


def mac(record_key: bytes, digest: bytes) -> bytes:
    """HMAC of a record's hash, 64 hex digits as they stand in the header `mac`."""
    return hmac.digest(record_key, b"mac" + digest, "sha256").hex().encode()


def next_record_key(record_key: bytes) -> bytes:
    """The key of the record sealed after it in the same epoch; the one given must be forgotten then."""
    return hmac.digest(record_key, b"next", "sha256")


def next_boot_secret(secret: bytes) -> bytes:
    """The secret of the next start; the one given must be forgotten then, in memory and on disk."""
    return hmac.digest(secret, b"sekimori/next boot", "sha256")


def boot_name(secret: bytes) -> str:
    """`agent.boot`: 16 hex digits, which only who holds an earlier secret can know before they are used."""
    return hmac.digest(secret, b"sekimori/boot name", "sha256")[:8].hex()


def first_epoch_secret(secret: bytes, agent: str) -> bytes:
    """The secret of a boot's epoch 0."""
    return hmac.digest(secret, b"sekimori/epoch/" + agent.encode(), "sha256")


def next_epoch_secret(epoch_secret: bytes) -> bytes:
    """The secret of the epoch after; the one given must be forgotten once the epoch's first record key is made."""
    return hmac.digest(epoch_secret, b"next epoch", "sha256")


def first_record_key(epoch_secret: bytes) -> bytes:
    """The key of an epoch's first record."""
    return hmac.digest(epoch_secret, b"record", "sha256")


@dataclass(frozen=True, slots=True)
class Predecessor:
    """What a boot's first record says of the boot before: where it ended, and what of it may never have arrived.

    Attributes:
        boot: Its name.
        last: Its last own number, −1 if it gave none.
        hash: Hash of the last record it sealed, 64 hex digits.
        unacknowledged: Ranges of numbers (first, last; inclusive) that it sealed and never saw acknowledged. Lines in them
            are read again, and so are in the boot that says this, under the same event ids.
        relayed: How many records of relayed events only, which have no numbers, were not acknowledged either.
    """

    boot: str
    last: int
    hash: str
    unacknowledged: tuple[tuple[int, int], ...] = ()
    relayed: int = 0

    def as_json(self) -> dict[str, object]:
        """Plain values for the message of a heartbeat."""
        ranges = [list(pair) for pair in self.unacknowledged]
        return {
            "boot": self.boot, "last": self.last, "hash": self.hash, "unacknowledged": ranges, "relayed": self.relayed,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: object) -> Predecessor:
        """The reverse of `as_json`.

        Raises:
            ValueError: It is something else.
        """
        try:
            if not isinstance(value, Mapping):
                raise TypeError
            ranges = tuple((_number(a), _number(b)) for a, b in value["unacknowledged"])
            boot, digest = value["boot"], value["hash"]
            if not isinstance(boot, str) or not isinstance(digest, str):
                raise TypeError
            return cls(boot, _number(value["last"]), digest, ranges, _number(value["relayed"]))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError("is no statement about the boot before") from error


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value
