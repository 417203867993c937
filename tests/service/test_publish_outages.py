"""Publishing to a real Kafka that is away, frozen, killed and back: nothing lost, and no more held than agreed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from contract.sealed import Record
from service.publish import Publisher
from tests.kafka.broker import Broker, Door
from tests.service.publishing import (
    all_of,
    assert_nothing_lost,
    at_door,
    numbers,
    publisher,
    record,
    trouble_of,
    until,
)

ROOT = Path(__file__).resolve().parents[2]


def fill(one: Publisher, topic: str, size: int = 400_000) -> list[Record]:
    """Send until there is no room."""
    sent: list[Record] = []
    while one.room() >= size:
        sent.append(record(topic, len(sent), size=size))
        one.send(sent[-1])
        one.poll()
    return sent


def test_a_kafka_that_starts_later_is_waited_for(broker: Broker):
    topic = broker.topic()
    sent = [record(topic, number) for number in range(20)]
    broker.stop()
    with publisher(at_door(broker, Door.PLAIN), topic) as one:
        for each in sent:
            one.send(each)
        assert trouble_of(one) == f"Kafka at {broker.address} refuses connections: is it running, and is this its port?"
        assert one.partitions(topic) is None
        broker.start()
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def test_a_kafka_that_is_killed_again_and_again_loses_nothing(broker: Broker):
    topic = broker.topic()
    sent: list[Record] = []
    arrived: list[Record] = []
    with publisher(at_door(broker, Door.PLAIN), topic) as one:
        for _ in range(2):
            for _ in range(150):
                sent.append(record(topic, len(sent), size=20_000))
                one.send(sent[-1])
                arrived += one.poll(0.002)
            broker.kill()
            for _ in range(50):
                sent.append(record(topic, len(sent), size=20_000))
                one.send(sent[-1])
                arrived += one.poll()
            broker.start()
        arrived += until(one, lambda more: len(arrived) + len(more) == len(sent))
    assert [id(each) for each in arrived] == [id(each) for each in sent]
    assert_nothing_lost(broker.stored(topic), sent)


def test_a_kafka_that_is_stopped_in_good_order_gets_everything_once(broker: Broker):
    topic = broker.topic()
    with publisher(at_door(broker, Door.PLAIN), topic) as one:
        sent = [record(topic, 0)]
        one.send(sent[0])
        all_of(one, sent)
        broker.stop()
        later = [record(topic, number) for number in range(1, 50)]
        for each in later:
            one.send(each)
        one.poll(0.5)
        broker.start()
        all_of(one, later)
        assert one.rebuilds == 0
    assert_nothing_lost(broker.stored(topic), sent + later)
    assert sorted(numbers(broker.stored(topic))) == list(range(50))


def test_a_frozen_kafka_is_told_and_holds_no_more_than_agreed(broker: Broker):
    topic = broker.topic()
    with publisher(at_door(broker, Door.PLAIN, in_flight_mib=8), topic) as one:
        until(one, lambda _: one.partitions(topic) is not None)
        broker.pause()
        sent = fill(one, topic)
        assert one.in_flight_bytes <= 8 << 20
        assert one.poll(0.5) == []
        assert one.oldest_age_s > 0.4
        assert "does not answer" in trouble_of(one)
        broker.resume()
        all_of(one, sent)
        assert one.trouble is None
        assert one.rebuilds == 0
    stored = broker.stored(topic)
    assert_nothing_lost(stored, sent)
    assert len(stored) == len(sent)


def test_a_producer_that_falls_silent_is_replaced_and_what_it_had_is_sent_again(broker: Broker):
    topic = broker.topic()
    with publisher(at_door(broker, Door.PLAIN), topic, stuck_after_s=1.0) as one:
        until(one, lambda _: one.partitions(topic) is not None)
        broker.pause()
        sent = [record(topic, number, size=50_000) for number in range(40)]
        for each in sent:
            one.send(each)
        until(one, lambda _: one.rebuilds >= 1)
        broker.resume()
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def test_a_producer_with_nothing_to_send_is_left_alone(broker: Broker):
    topic = broker.topic()
    with publisher(at_door(broker, Door.PLAIN), topic, stuck_after_s=0.3) as one:
        until(one, lambda _: one.partitions(topic) is not None)
        end = time.monotonic() + 1
        until(one, lambda _: time.monotonic() > end)
        sent = [record(topic, 0)]
        one.send(sent[0])
        all_of(one, sent)
        assert one.rebuilds == 0


def test_a_topic_that_is_deleted_is_told_and_gets_everything_once_it_is_back(broker: Broker):
    topic = broker.topic()
    with publisher(at_door(broker, Door.PLAIN), topic, stuck_after_s=3.0) as one:
        first = [record(topic, 0)]
        one.send(first[0])
        all_of(one, first)
        broker.delete(topic)
        # Each fills a batch: the new topic refuses the sequence numbers of the first, and the next may not slip by.
        sent = [record(topic, number, size=700_000) for number in range(1, 25)]
        for each in sent:
            one.send(each)
        assert "topic" in trouble_of(one)
        broker.topic(4, topic)
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(broker.stored(topic), sent)


def test_ending_with_a_frozen_kafka_takes_no_longer_than_asked_and_leaves_no_thread(broker: Broker):
    topic = broker.topic()
    before = set(threading.enumerate())
    one = Publisher(at_door(broker, Door.PLAIN), [topic])
    first = [record(topic, 0)]
    one.send(first[0])
    all_of(one, first)  # a thread that has not connected yet would wait for 30 s
    broker.pause()
    sent = [record(topic, number, size=50_000) for number in range(40)]
    for each in sent:
        one.send(each)
    assert one.close(0.5) == []
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline, set(threading.enumerate()) - before
        time.sleep(0.05)


LEAVE = """
import sys
from service.settings import Kafka
from service.publish import Publisher
from contract.sealed import Record

one = Publisher(Kafka.model_validate({"bootstrap_servers": [sys.argv[1]]}), [sys.argv[2]])
while one.partitions(sys.argv[2]) is None:
    one.poll(0.1)
print("connected", flush=True)
sys.stdin.readline()
for number in range(100):
    one.send(Record(sys.argv[2], 0, b"x" * 50_000, [], 0))
one.poll(0.5)
if sys.argv[3] == "close":
    one.close(0.2)
"""


@pytest.mark.parametrize("how", ["close", "just leave"])
def test_a_process_that_leaves_unfinished_records_behind_ends_without_a_word(broker: Broker, how: str):
    topic = broker.topic()
    process = subprocess.Popen(
        [sys.executable, "-c", LEAVE, broker.address, topic, how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "connected\n"
    broker.pause()
    rest, complaints = process.communicate("go\n", timeout=60)
    assert (process.returncode, rest, complaints) == (0, "", "")
