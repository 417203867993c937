"""The state log while Kafka is away, slow, changed or closed to us: what is told, and that nothing accepted is lost."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer

from detector.statelog import Broken, StateLog, Unreachable, key_of
from service.settings import Kafka
from tests.detector.statelogs import KEY, nexts, step
from tests.kafka.broker import PASSWORDS, Broker, Door
from tests.kafka.cluster import Cluster


def test_appending_goes_on_through_a_restart_of_the_broker(broker: Broker, opened):
    topic = broker.topic(1)
    log = opened(topic, timeout_s=60.0)
    log.take_over()
    log.append(step(0, 1))
    broker.kill()
    waiting = threading.Thread(target=lambda: [log.append(step(number, number + 1)) for number in range(1, 20)])
    waiting.start()
    time.sleep(3.0)
    assert waiting.is_alive()
    broker.start()
    waiting.join(60)
    assert nexts(opened(topic)) == list(range(1, 21))


def test_a_time_out_is_told_and_the_same_step_may_be_tried_again(broker: Broker, opened):
    topic = broker.topic(1)
    log = opened(topic, timeout_s=3.0)
    log.take_over()
    log.append(step(0, 1))
    broker.pause()
    with pytest.raises(Unreachable, match="does not answer: is it well"):
        log.append(step(1, 2, n=1))
    with pytest.raises(ValueError, match="tried again before anything else"):
        log.append(step(1, 2, n=2))
    broker.resume()
    deadline = time.monotonic() + 60
    while True:
        try:
            log.append(step(1, 2, n=1))
            break
        except Unreachable:
            assert time.monotonic() < deadline
    log.append(step(2, 3))
    found = opened(topic).take_over()
    assert [one.decision for one in found.steps] == [{}, {"n": 1}, {}]


def test_a_topic_that_was_given_more_partitions_is_noticed(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    log.append(step(0, 5))
    with kafka.admin() as admin:
        admin.create_partitions({topic: 2})
    with pytest.raises(Broken, match=f"{topic} partition 0 holds state of {KEY}, which with 2 partitions belongs"):
        opened(topic, key_of("live", "access-events", 4)).take_over()


def test_a_long_log_may_take_longer_than_kafka_is_waited_for(kafka: Cluster, opened):
    topic = kafka.topic(1)
    with closing(KafkaProducer(bootstrap_servers=kafka.address.split(","))) as producer:
        for _ in range(10_000):
            producer.send(topic, b"somebody else's", partition=0)
        producer.flush(60)
    seconds = itertools.count(0.0, 0.5)
    log = opened(topic, timeout_s=5.0, clock=lambda: next(seconds))
    log.take_over()
    assert log.foreign == 10_000
    assert next(seconds) > 20


def test_a_topic_or_partition_that_is_not_there_is_told(kafka: Cluster, opened):
    for topic, partition in (("no-such-topic", 0), (kafka.topic(1), 1)):
        with pytest.raises(Unreachable, match=f"has no topic {topic}: create it, or correct its name"):
            opened(topic, partition=partition).take_over()


def test_who_may_not_write_is_told_what_to_allow(broker: Broker, tmp_path: Path):
    topic = broker.topic(1)
    password = tmp_path / "password"
    password.write_text(PASSWORDS["alice"])
    password.chmod(0o600)
    settings = Kafka.model_validate({
        "bootstrap_servers": [broker.at(Door.SASL)], "security_protocol": Door.SASL.protocol,
        "ssl_cafile": broker.authority.cafile, "sasl_mechanism": "SCRAM-SHA-256", "sasl_username": "alice",
        "sasl_password_file": password,
    })  # fmt: skip
    log = StateLog(settings, topic, 0, KEY, timeout_s=20.0)
    broker.allow("alice", topic, "READ", "DESCRIBE")
    with pytest.raises(Unreachable, match=f"does not let 'alice' use topic {topic}: allow READ and WRITE"):
        log.take_over()
    broker.allow("alice", topic, "WRITE")
    deadline = time.monotonic() + 30
    while True:  # rights take a moment to arrive
        try:
            log.take_over()
            break
        except Unreachable:
            assert time.monotonic() < deadline
    log.append(step(0, 5))
    log.snapshot(5, b"s")
    assert log.untrimmed is not None
    assert "allow DELETE" in log.untrimmed
    log.append(step(5, 6))
    log.close()
    broker.forbid("alice", topic)
