"""What the tests of state logs share: a key, steps, and somebody who writes to the topic besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kafka import KafkaProducer

from detector.statelog import StateLog, Step, key_of
from service.settings import Kafka
from tests.kafka.cluster import Cluster

KEY = key_of("live", "access-events", 3)


@contextmanager
def opening(kafka: Cluster) -> Iterator[Callable[..., StateLog]]:
    """Makes logs, and ends them."""
    logs: list[StateLog] = []

    def make(topic: str, key: str = KEY, partition: int = 0, **options: object) -> StateLog:
        settings = Kafka.model_validate({"bootstrap_servers": kafka.address.split(",")})
        logs.append(StateLog(settings, topic, partition, key, **options))  # type: ignore[arg-type]
        return logs[-1]

    yield make
    for log in logs:
        log.close()


def step(start: int, next: int, **decision: object) -> Step:
    return Step(start, next, decision, start)


@contextmanager
def writing(kafka: Cluster) -> Iterator[Callable[..., int]]:
    """Write records as somebody else would; gives their offsets."""
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","))

    def send(topic: str, key: str | None, value: bytes, partition: int = 0) -> int:
        sent = producer.send(topic, key=None if key is None else key.encode(), value=value, partition=partition)
        return int(sent.get(30).offset)

    yield send
    producer.close()


def nexts(log: StateLog) -> list[int]:
    return [one.next for one in log.take_over().steps]
