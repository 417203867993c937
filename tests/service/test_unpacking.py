"""A batch that would fill the memory is not unpacked; a record in its place says so, and the next ones come."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from contract.rejected import UNREAD
from service import unpacking
from tests.kafka.cluster import Cluster

MOST = 4 << 20
BOMB = bytes(64 << 20)


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    unpacking.bound(MOST)
    yield
    unpacking.unbound()


def packed(codec: int, *values: bytes) -> bytearray:
    """A batch as a producer builds it."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
    for number, value in enumerate(values):
        builder.append(number, 1000 + number, None, value, [])
    return bytearray(builder.build())


def unpacked(batch: bytearray) -> list[tuple[int, int, bytes, list[tuple[str, bytes]]]]:
    return [(one.offset, one.timestamp, one.value, one.headers) for one in DefaultRecordBatch(batch)]


@pytest.mark.parametrize("codec", [0, 1, 4])
def test_what_is_sent_in_earnest_comes_as_it_is(codec: int):
    values = [b"a" * 100_000, b"", bytes(range(256)) * 8000]
    assert [(offset, value) for offset, _, value, _ in unpacked(packed(codec, *values))] == list(enumerate(values))


@pytest.mark.parametrize("codec", [1, 4])
def test_a_bomb_is_not_unpacked(codec: int):
    batch = packed(codec, b"before", BOMB)
    assert len(batch) < 200_000
    tracemalloc.start()
    [(offset, at, value, [(name, why)])] = unpacked(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (offset, at, value, name) == (1, 1001, b"", UNREAD)
    assert why.startswith(b"records with offsets 0 to 1, ")
    assert why.endswith(b"they unpack to more than 4,194,304 bytes")
    assert peak < 4 * MOST


@pytest.mark.parametrize("codec", [1, 4])
def test_a_damaged_batch_is_told(codec: int):
    batch = packed(codec, b"x" * 1000)
    batch[-20:] = b"\xff" * 20
    [(_, _, value, [(name, why)])] = unpacked(batch)
    assert (value, name) == (b"", UNREAD)
    assert b"cannot be unpacked" in why


def test_a_codec_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr("kafka.codec.has_lz4", lambda: False)
    batch = packed(0, b"x")
    batch[DefaultRecordBatch.ATTRIBUTES_OFFSET + 1] |= DefaultRecordBatch.CODEC_LZ4
    [(_, _, _, [(_, why)])] = unpacked(batch)
    assert b"lz4 compression codec not found: set compression.type=zstd on the topic" in why


def test_a_consumer_gets_past_a_bomb(kafka: Cluster):
    topic = kafka.topic(1)
    options = {"compression_type": "zstd", "max_request_size": 100 << 20, "bootstrap_servers": kafka.address.split(",")}
    with closing(KafkaProducer(**options)) as producer:
        for value in (b"one", BOMB, b"two"):
            producer.send(topic, value).get(60)
    options = {"bootstrap_servers": kafka.address.split(","), "enable_auto_commit": False}
    with closing(KafkaConsumer(**options)) as consumer:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        found = []
        while len(found) < 3:
            for records in consumer.poll(timeout_ms=500).values():
                found += [(one.offset, one.value, [name for name, _ in one.headers]) for one in records]
    assert found == [(0, b"one", []), (1, b"", [UNREAD]), (2, b"two", [])]


class Torn(str):
    """A header's name that is no UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, *how: str) -> bytes:  # type: ignore[override]
        return b"\xff\xfe"


def test_a_header_that_is_no_text_is_stood_in_for_with_what_follows_it_in_its_batch(kafka: Cluster):
    topic = kafka.topic(1)
    with closing(KafkaProducer(bootstrap_servers=kafka.address.split(","), linger_ms=200)) as producer:
        producer.send(topic, b"before")
        producer.send(topic, b"torn", headers=[(Torn("x"), b"1")])
        producer.send(topic, b"beside")
        producer.flush()
        producer.send(topic, b"after")
        producer.flush()

    found = kafka.stored(topic)

    assert [one.value for one in found] == [b"before", b"", b"after"]
    assert [one.offset for one in found] == [0, 2, 3]
    [(name, why)] = found[1].headers
    assert name == UNREAD
    assert b"the last 2 of them cannot be read" in why
