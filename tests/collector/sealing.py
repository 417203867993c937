"""What tests of the seal share: an enrolled agent, events, and a topic as it looks when everything arrived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from audit.chains.capture import Taken, Topic
from collector.heartbeat import Clock, Tally, heartbeats
from collector.seal import Sealer
from contract import sealed
from contract.event import schema
from contract.sealed import Record
from contract.sealkey import SealKey
from registers.tokens import SiteKey

SECRET = bytes(range(32))
SITE = SiteKey(b"site key of a test")
AGENT = "ag-test"
NOON = 1_775_091_000_000
PARTITIONS = 3


def enrolled(folder: Path, agent: str = AGENT, secret: bytes = SECRET) -> SealKey:
    """Put a fresh key file where `start` looks for it; the key is the verifier's copy."""
    key = SealKey.enrol(agent, secret)
    place = folder / "seal.key"
    place.touch(0o600)
    place.write_text(key.text(), encoding="utf-8")
    return key


def start(folder: Path, agent: str = AGENT, **more: str) -> Sealer:
    """The agent starts (again)."""
    return Sealer(folder / "state", agent, folder / "seal.key", **more)


def beats(sealer: Sealer, at_ms: int = NOON, partitions: int = PARTITIONS, **more: bool) -> list[Record]:
    """A round of heartbeats, sealed."""
    frame, places = heartbeats(sealer, SITE, Tally(), Clock(at_ms, 0), partitions, "digest", **more)
    return sealer.seal(frame, places, at_ms)


def rows(count: int, **columns: object) -> pl.DataFrame:
    """So many ordinary events; a column may be one value or a list."""
    filled: dict[str, object] = {
        "event.id": [f"{number:016x}" for number in range(count)],
        "event.schema": 1,
        "event.class": "access",
        "time.occurred": NOON,
        "actor.id": [f"u{number % 7}" for number in range(count)],
    }
    frame = pl.DataFrame(filled | columns)
    missing = [pl.lit(None, dtype=kind).alias(name) for name, kind in schema().items() if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in schema().items())


def some(sealer: Sealer, count: int, partitions: int = PARTITIONS, at_ms: int = NOON) -> list[Record]:
    """So many events, dealt out over the partitions, sealed."""
    places = pl.Series("partition", [number % partitions for number in range(count)], dtype=pl.Int32)
    return sealer.seal(rows(count), places, at_ms)


def taken(records: Iterable[Record]) -> list[Taken]:
    """The records as they lie in the topic, each partition with offsets of its own."""
    ends: dict[int, int] = {}
    lying = []
    for record in records:
        offset = ends.get(record.partition, 0)
        ends[record.partition] = offset + 1
        headers = tuple(record.headers)
        lying.append(Taken(record.partition, offset, record.timestamp_ms, record.key, headers, record.value))
    return lying


def topic(lying: Sequence[Taken] = (), taken_ms: int = NOON, firsts: dict[int, int] | None = None) -> Topic:
    """What the reader of a topic knows about it."""
    partitions = {one.partition for one in lying} | set(range(PARTITIONS))
    spans = {number: ((firsts or {}).get(number, 0), len(lying)) for number in sorted(partitions)}
    return Topic("access-events", taken_ms, spans)


def hash_of(record: Record) -> str:
    """What the next record names it by, in hex."""
    return sealed.record_hash(record.partition, record.key, record.headers[:-1], record.value).hex()
