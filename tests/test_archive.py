"""From an agent through a real Kafka into the archive, and what `sekimori verify` and `sekimori archive tables` say of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from contract.sealed import Record
from detector.admission import Arrived
from detector.archive.segments import Segments
from detector.archive.signing import Signer
from detector.archive.store import Folder
from tests.collector.sealing import beats, enrolled, some, start
from tests.command import sekimori
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

PARTITIONS = 4


def sealed(folder: Path) -> list[Record]:
    """What an agent sealed that was killed once, now."""
    now = time.time_ns() // 1_000_000
    records: list[Record] = []
    for _ in range(2):
        sealer = start(folder)
        mine = beats(sealer, now, PARTITIONS) + some(sealer, 500, PARTITIONS, now)
        sealer.acknowledged(mine)
        mine += beats(sealer, now, PARTITIONS)
        sealer.commit()
        sealer.acknowledged(mine)
        sealer.close()
        records += mine
    return records


def ids_of(record: Record) -> list[str]:
    return [json.loads(line)["event.id"] for line in record.value.splitlines()]


def send(kafka: Cluster, topic: str, records: list[Record]) -> None:
    with closing(
        KafkaProducer(bootstrap_servers=kafka.address.split(","), acks="all", compression_type="zstd")
    ) as into:
        for record in records:
            into.send(topic, record.value, record.key, record.headers, record.partition, record.timestamp_ms).get(30)


def read(kafka: Cluster, topic: str, partition: int, first: int) -> Iterator[list[Arrived]]:
    """What lies in a partition from an offset on, a few records at a time."""
    place = TopicPartition(topic, partition)
    settings = {"bootstrap_servers": kafka.address.split(","), "enable_auto_commit": False, "max_poll_records": 3}
    with closing(KafkaConsumer(**settings)) as consumer:
        consumer.assign([place])
        consumer.seek(place, first)
        end = consumer.end_offsets([place])[place]
        while consumer.position(place) < end:
            yield [
                Arrived(topic, partition, one.offset, one.timestamp, one.key, one.value or b"", tuple(one.headers))
                for one in consumer.poll(1000).get(place, ())
            ]


def archived(kafka: Cluster, topic: str, folder: Path, private: bytes) -> None:
    """Every partition into the archive; the writer of each dies once, in the middle of it."""
    now = time.time_ns() // 1_000_000
    for partition in range(PARTITIONS):
        for is_last in (False, True):
            into = Segments(
                Folder(folder), topic, partition, Signer(private), now, partitions=PARTITIONS, segment_bytes=9000
            )
            for number, records in enumerate(read(kafka, topic, partition, into.next)):
                into.append(records, now)
                if number == 1 and not is_last:
                    break
            if is_last:
                into.close(now)


def test_what_an_agent_sent_is_archived_verified_and_made_into_tables(kafka: Cluster, topic: str, tmp_path: Path):
    keys, place = tmp_path / "keys", tmp_path / "archive"
    keys.mkdir()
    (keys / "ag-test.seal").touch(0o600)
    (keys / "ag-test.seal").write_text(enrolled(tmp_path).text(), encoding="utf-8")
    assert sekimori(tmp_path, "keys", "archive", out=tmp_path / "archive.key").status == 0
    (tmp_path / "archive.key.pub").rename(keys / "archive.pub")
    records = sealed(tmp_path)
    send(kafka, topic, [*records, records[5]])

    archived(kafka, topic, place, (tmp_path / "archive.key").read_bytes())
    right = sekimori(tmp_path, "verify", place, "--key", keys, "--topic", topic, "--json")
    path = sorted(place.glob("records/*/00002/segments/*"))[1]
    kept = path.read_bytes()
    path.unlink()
    thinned = sekimori(tmp_path, "verify", place, "--key", keys, "--topic", topic)
    path.write_bytes(kept)
    tables = sekimori(tmp_path, "archive", "tables", place, "--topic", topic)

    assert (right.status, right.summary["problems"]) == (0, [])
    [agent] = right.summary["agents"]
    assert (agent["starts"], agent["events"], agent["repeated"]) == (2, 1016, 1)
    assert thinned.status == 2
    thinned.says("gap: ", path.name, "is missing")
    assert tables.status == 0, tables.out + tables.err
    ids = pl.concat([pl.read_parquet(day) for day in place.glob("events/*.parquet")])["event.id"]
    assert ids.n_unique() == len(ids) == len({one for record in records for one in ids_of(record)})
    digests = [json.loads(one.read_text().splitlines()[0]) for one in place.glob("records/*/*/digests/*")]
    assert {segment["adopted"] for digest in digests for segment in digest["segments"]} == {True, False}
