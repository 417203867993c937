"""Closed cases out of a real topic: every one once, in order, from where a state stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from contract import decision
from detector.cases import Cases
from service.settings import Kafka
from tests.detector.channels.receivers import until

if TYPE_CHECKING:
    from tests.kafka.cluster import Cluster


@pytest.fixture
def reading(kafka: Cluster) -> Iterator[tuple[Cases, str]]:
    """What reads a topic of two partitions, and its name."""
    topic = kafka.topic(2)
    cases = Cases(Kafka(bootstrap_servers=kafka.address.split(",")), topic, "test-cases")
    cases.start()
    yield cases, topic
    cases.stop()
    cases.join(20)


def put(kafka: Cluster, topic: str, *names: str, kind: str = "case", partition: int = 0) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","))
    for name in names:
        one = decision.example() | {"finding": name, "kind": kind}
        producer.send(topic, decision.to_json(one).encode(), partition=partition)
    producer.flush()
    producer.close()


def test_every_closed_case_comes_once_in_the_order_of_its_partition(kafka: Cluster, reading: tuple[Cases, str]):
    cases, topic = reading
    put(kafka, topic, "f-1", "f-2", "f-3")
    put(kafka, topic, "f-4", partition=1)
    until(lambda: len(cases.since({})[0]) == 4)
    found, taken = cases.since({}, most=2)
    assert [case.name for case in found] == ["f-1", "f-2"]
    found, taken = cases.since(taken)
    assert [case.name for case in found] == ["f-3", "f-4"]
    assert cases.since(taken) == ([], taken)
    put(kafka, topic, "f-5", partition=1)
    until(lambda: [case.name for case in cases.since(taken)[0]] == ["f-5"])


def test_what_is_no_closed_case_is_passed_over(
    kafka: Cluster, reading: tuple[Cases, str], caplog: pytest.LogCaptureFixture
):
    cases, topic = reading
    put(kafka, topic, "x-1", kind="exception")
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","))
    producer.send(topic, b"no decision", partition=0)
    producer.flush()
    producer.close()
    put(kafka, topic, "f-1")
    until(lambda: [case.name for case in cases.since({})[0]] == ["f-1"])
    assert "is no decision: is no JSON" in caplog.text


def test_a_topic_that_is_missing_holds_none(kafka: Cluster, caplog: pytest.LogCaptureFixture):
    cases = Cases(Kafka(bootstrap_servers=kafka.address.split(",")), "never-made", "test-cases")
    cases.start()
    cases.join(3)
    assert cases.is_alive()
    assert cases.since({}) == ([], {})
    cases.stop()
    cases.join(20)
    assert not cases.is_alive()
    assert "cannot be read" not in caplog.text
