"""What the tests of the publisher share: settings for each door of a broker, records, and what to look for in a topic."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from contract.sealed import Record
from service.publish import Publisher
from service.settings import Kafka
from tests.kafka.broker import Broker, Door
from tests.kafka.certificates import Certificate
from tests.kafka.cluster import Stored

LONG_S = 60.0  # nothing takes so long, unless it is broken


def at_door(broker: Broker, door: Door, **options: object) -> Kafka:
    """Settings that lead to a door of the broker."""
    given: dict[str, object] = {"bootstrap_servers": [broker.at(door)], "security_protocol": door.protocol}
    if door is not Door.PLAIN:
        given["ssl_cafile"] = broker.authority.cafile
    return Kafka.model_validate(given | options)


def logged_in(broker: Broker, user: str, password_file: Path) -> Kafka:
    """Settings that log in by user and password."""
    return at_door(
        broker,
        Door.SASL,
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username=user,
        sasl_password_file=password_file,
    )


def shown(broker: Broker, certificate: Certificate) -> Kafka:
    """Settings that show a certificate."""
    return at_door(broker, Door.MTLS, ssl_certfile=certificate.cert, ssl_keyfile=certificate.key)


def record(
    topic: str, number: int, *, partition: int | None = None, size: int = 20, at_ms: int | None = None
) -> Record:
    """Record `number` of a test; its value begins with that and does not compress."""
    value = b"%d " % number + random.Random(number).randbytes(size)
    headers = [("first", b"%d" % number), ("mac", b"\x00\xff")]
    at_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return Record(topic, number % 4 if partition is None else partition, value, headers, at_ms)


@contextmanager
def publisher(settings: Kafka, *topics: str, **options: object) -> Iterator[Publisher]:
    """A publisher that ends with the test."""
    made = Publisher(settings, topics, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def until(publisher: Publisher, reached: Callable[[list[Record]], bool]) -> list[Record]:
    """Poll until something is reached, and return what arrived."""
    arrived: list[Record] = []
    deadline = time.monotonic() + LONG_S
    while not reached(arrived):
        assert time.monotonic() < deadline, f"{len(arrived)} arrived; {publisher.trouble}"
        arrived += publisher.poll(0.1)
    return arrived


def all_of(publisher: Publisher, sent: Sequence[Record]) -> list[Record]:
    """Poll until as many arrived as were sent."""
    return until(publisher, lambda arrived: len(arrived) >= len(sent))


def trouble_of(publisher: Publisher) -> str:
    """The first trouble there is."""
    until(publisher, lambda _: publisher.trouble is not None)
    assert publisher.trouble is not None
    return publisher.trouble


def numbers(stored: Sequence[Stored], partition: int | None = None) -> list[int]:
    """The records' numbers in a topic or a partition of it, in the order of the log."""
    return [int(one.value.split(b" ", 1)[0]) for one in stored if partition in (None, one.partition)]


def assert_nothing_lost(stored: Sequence[Stored], sent: Sequence[Record]) -> None:
    """Every record stands in its partition with the very bytes sent, and for the first time in the order of sending."""
    values = {(one.partition, one.value) for one in stored}
    assert {(one.partition, one.value) for one in sent} == values
    for partition in {one.partition for one in sent}:
        first_seen = list(dict.fromkeys(numbers(stored, partition)))
        assert first_seen == [int(one.value.split(b" ", 1)[0]) for one in sent if one.partition == partition]
