"""Publishing to a real Kafka: order, bounds, and records that Kafka refuses."""

from __future__ import annotations

import time

import pytest
from kafka import TopicPartition

from service.publish import OVERHEAD_BYTES, WINDOW_BYTES
from service.settings import Kafka
from tests.kafka.cluster import Cluster
from tests.service.publishing import (
    all_of,
    assert_nothing_lost,
    numbers,
    publisher,
    record,
    trouble_of,
    until,
)

HOUR_MS = 3_600_000


@pytest.fixture
def plain(kafka: Cluster) -> Kafka:
    return Kafka.model_validate({"bootstrap_servers": kafka.address.split(",")})


def test_records_arrive_as_they_were_sealed(kafka: Cluster, plain: Kafka, topic: str):
    sent = [record(topic, number, size=5_000) for number in range(40)]
    with publisher(plain, topic) as one:
        for each in sent:
            one.send(each)
        arrived = all_of(one, sent)

    assert [id(each) for each in arrived] == [id(each) for each in sent]
    stored = kafka.stored(topic)
    assert len(stored) == len(sent)
    assert_nothing_lost(stored, sent)
    by_value = {each.value: each for each in sent}
    for each in stored:
        original = by_value[each.value]
        assert (each.headers, each.key, each.timestamp_ms) == (original.headers, original.key, original.timestamp_ms)


def test_the_number_of_partitions_is_known_once_connected(plain: Kafka, kafka: Cluster):
    few, many = kafka.topic(1), kafka.topic(7)
    with publisher(plain, few, many) as one:
        assert one.partitions(many) is None
        until(one, lambda _: one.partitions(many) is not None)
        assert (one.partitions(few), one.partitions(many)) == (1, 7)


def test_a_topic_that_was_not_named_is_a_mistake_of_the_caller(plain: Kafka, topic: str):
    with publisher(plain, topic) as one:
        with pytest.raises(KeyError):
            one.partitions("other")
        with pytest.raises(KeyError):
            one.send(record("other", 1))


def test_what_is_not_acknowledged_takes_up_room(plain: Kafka, topic: str):
    sent = [record(topic, number, size=900_000) for number in range(6)]
    taken = sum(each.size_bytes + OVERHEAD_BYTES for each in sent)
    with publisher(plain.model_copy(update={"in_flight_mib": 32}), topic) as one:
        whole = one.room()
        for each in sent:
            one.send(each)
        assert whole == 32 << 20
        assert whole - one.room() == one.in_flight_bytes == taken
        assert one.oldest_age_s >= 0
        all_of(one, sent)
        assert one.room() == whole
        assert one.oldest_age_s == 0


def test_there_is_no_room_below_zero(plain: Kafka, topic: str):
    with publisher(plain.model_copy(update={"in_flight_mib": 4}), topic) as one:
        sent = [record(topic, number, size=900_000) for number in range(12)]
        for each in sent:
            one.send(each)
        assert one.room() == 0
        all_of(one, sent)


def test_more_than_kafka_python_is_given_at_a_time_arrives_in_order(kafka: Cluster, plain: Kafka, topic: str):
    sent = [record(topic, number, size=800_000) for number in range(30)]
    assert sum(each.size_bytes for each in sent) > 2 * WINDOW_BYTES
    with publisher(plain, topic) as one:
        for each in sent:
            one.send(each)
        all_of(one, sent)
    assert_nothing_lost(kafka.stored(topic), sent)


def test_a_batch_that_is_too_large_is_split_and_arrives_once(kafka: Cluster, plain: Kafka):
    topic = kafka.topic(max_message_bytes=100_000)
    sent = [record(topic, number, partition=0, size=10_000) for number in range(60)]
    with publisher(plain, topic) as one:
        for each in sent:
            one.send(each)
        all_of(one, sent)
        assert one.rebuilds == 0
    assert numbers(kafka.stored(topic)) == list(range(60))


def test_a_record_that_is_too_large_is_never_stepped_over(kafka: Cluster, plain: Kafka):
    topic = kafka.topic(max_message_bytes=20_000)
    sent = [record(topic, number, size=50_000 if number == 8 else 3_000) for number in range(20)]
    with publisher(plain, topic) as one:
        for each in sent:
            one.send(each)
        arrived = until(one, lambda _: one.trouble is not None and one.rebuilds >= 3)
        assert "too large" in one.trouble
        assert "max.message.bytes" in one.trouble
        assert topic in one.trouble
        assert "\n" not in one.trouble
        # Record 8 is in partition 0; nothing that came after it in there may arrive before it does.
        assert numbers(kafka.stored(topic), 0)[-1:] in ([], [4])
        assert len(arrived) <= 8

        kafka.configure(topic, max_message_bytes=1_000_000)
        arrived += until(one, lambda more: len(arrived) + len(more) == len(sent))
        assert one.trouble is None
    assert [id(each) for each in arrived] == [id(each) for each in sent]
    assert_nothing_lost(kafka.stored(topic), sent)


def test_a_refused_record_is_tried_again_ever_more_rarely(kafka: Cluster, plain: Kafka):
    topic = kafka.topic(max_message_bytes=20_000)
    with publisher(plain, topic) as one:
        one.send(record(topic, 0, size=50_000))
        seen = []
        end = time.monotonic() + 4
        while time.monotonic() < end:
            # What arrives in other partitions meanwhile is no reason to hurry, nor to say that all is well.
            one.send(record(topic, 4 * len(seen) + 1))
            assert one.poll(0.05) == []
            seen.append(one.trouble)
        first = next(number for number, line in enumerate(seen) if line)
        assert len(set(seen[first:])) == 1, "the trouble comes and goes"
        assert 2 <= one.rebuilds <= 5


def test_records_sealed_under_a_wrong_clock_go_out_once_the_clock_is_right(kafka: Cluster, plain: Kafka, topic: str):
    right = time.time_ns() // 1_000_000
    clock = [right + 3 * HOUR_MS]
    sent = [record(topic, number, at_ms=clock[0]) for number in range(8)]
    with publisher(plain, topic, now_ms=lambda: clock[0]) as one:
        for each in sent:
            one.send(each)
        until(one, lambda _: one.trouble is not None)
        assert "clock" in one.trouble
        clock[0] = right
        all_of(one, sent)
        assert one.trouble is None
    stored = kafka.stored(topic)
    assert_nothing_lost(stored, sent)
    assert {each.timestamp_ms for each in stored} == {right}


def test_a_topic_that_is_missing_is_told_and_waited_for(kafka: Cluster, plain: Kafka):
    name = f"{kafka.topic()}-later"
    sent = [record(name, number) for number in range(8)]
    with publisher(plain, name) as one:
        for each in sent:
            one.send(each)
        assert trouble_of(one) == f"Kafka at {kafka.address} has no topic {name}: create it, or correct its name"
        kafka.topic(4, name)
        all_of(one, sent)
        assert one.trouble is None
    assert_nothing_lost(kafka.stored(name), sent)


def test_nothing_slips_by_a_record_whose_sequence_number_kafka_refuses(kafka: Cluster, plain: Kafka, topic: str):
    first = [record(topic, 0)]
    sent = [record(topic, number, partition=0, size=700_000) for number in range(1, 12)]  # each fills a batch
    with publisher(plain, topic) as one:
        one.send(first[0])
        all_of(one, first)
        # kafka-python would fail one batch, take a new epoch and go on with those after it.
        one._producer._producer._transaction_manager.set_sequence_number(TopicPartition(topic, 0), 1_000)
        for each in sent:
            one.send(each)
        arrived = all_of(one, sent)
        assert one.rebuilds == 1
        assert one.trouble is None
    assert [id(each) for each in arrived] == [id(each) for each in sent]
    assert_nothing_lost(kafka.stored(topic), first + sent)


def test_closing_waits_for_what_is_on_its_way(kafka: Cluster, plain: Kafka, topic: str):
    sent = [record(topic, number, size=200_000) for number in range(20)]
    with publisher(plain, topic) as one:
        for each in sent:
            one.send(each)
        arrived = one.close(30)
    assert len(arrived) == len(sent)
    assert_nothing_lost(kafka.stored(topic), sent)
