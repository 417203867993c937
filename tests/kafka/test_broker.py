"""The Kafka that tests and people start."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaProducer

from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster
from tests.kafka.jars import BrokerError

ROOT = Path(__file__).resolve().parents[2]


def test_the_console_consumer_prints_a_topic_from_its_beginning(kafka: Cluster, topic: str):
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","), compression_type="zstd")
    producer.send(topic, '{"actor.id":"関守"}\n{"n":2}\n'.encode(), partition=1).get(30)
    producer.close()
    command = [sys.executable, "-m", "tests.kafka.consume", topic, "--bootstrap-servers", kafka.address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.stdout.decode().split() == ['{"actor.id":"関守"}', '{"n":2}']
    assert done.returncode == 0


def test_a_port_that_is_taken_is_told(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} of 127.0.0.1 is taken"):
            Broker(tmp_path, port=port)


def test_what_a_broker_holds_survives_its_death(broker: Broker):
    topic = broker.topic(2)
    producer = KafkaProducer(bootstrap_servers=broker.address)
    producer.send(topic, b"before", partition=1).get(30)
    producer.close()
    broker.kill()
    broker.start()
    assert [(one.partition, one.value) for one in broker.stored(topic)] == [(1, b"before")]
