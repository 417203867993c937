"""Closed cases and exceptions out of a real topic: every one once, in order, from where a state stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from contract import decision
from contract.decision import DecisionKind
from detector.cases import Case, Cases, Exempted
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
        one = decision.example(DecisionKind(kind)) | {"finding": name}
        producer.send(topic, decision.to_json(one).encode(), partition=partition)
    producer.flush()
    producer.close()


def names(found: Sequence[Case | Exempted]) -> list[str]:
    return [one.name if isinstance(one, Case) else one.allowed.finding for one in found]


def test_every_closed_case_comes_once_in_the_order_of_its_partition(kafka: Cluster, reading: tuple[Cases, str]):
    cases, topic = reading
    put(kafka, topic, "f-1", "f-2", "f-3")
    put(kafka, topic, "f-4", partition=1)
    until(lambda: len(cases.since({})[0]) == 4)
    found, taken = cases.since({}, most=2)
    assert names(found) == ["f-1", "f-2"]
    found, taken = cases.since(taken)
    assert names(found) == ["f-3", "f-4"]
    assert cases.since(taken) == ([], taken)
    put(kafka, topic, "f-5", partition=1)
    until(lambda: names(cases.since(taken)[0]) == ["f-5"])


def test_exceptions_come_in_their_order_and_what_is_no_decision_is_passed_over_and_told(
    kafka: Cluster, reading: tuple[Cases, str], caplog: pytest.LogCaptureFixture
):
    cases, topic = reading
    put(kafka, topic, "x-1", kind="exception")
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","))
    endless = {name: value for name, value in decision.example(DecisionKind.EXCEPTION).items() if name != "until"}
    for value in (b"no decision", decision.to_json(endless).encode()):
        producer.send(topic, value, partition=0)
    producer.flush()
    producer.close()
    put(kafka, topic, "f-1")
    until(lambda: names(cases.since({})[0]) == ["x-1", "f-1"])
    [exception, _], _ = cases.since({})
    assert isinstance(exception, Exempted)
    assert exception.allowed.until == decision.example(DecisionKind.EXCEPTION)["until"]
    assert exception.allowed.name == decision.name(decision.example(DecisionKind.EXCEPTION) | {"finding": "x-1"})
    assert cases.exceptions_since({}) == ([exception], {0: 1})
    assert cases.exceptions_since({0: 1}) == ([], {0: 1})
    assert "0/1: is no decision: is no JSON" in caplog.text
    assert "0/2: is no decision: until: missing, an exception needs it" in caplog.text


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
