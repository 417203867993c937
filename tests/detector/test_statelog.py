"""The state log on a real Kafka: what was accepted is recovered, whole and in order; what is damaged or foreign is told."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest
from kafka import KafkaProducer, TopicPartition

from detector import statechain
from detector.statelog import Broken, Fenced, Step, Unknown, key_of, partition_for
from tests.detector.statelogs import KEY, nexts, step, writing
from tests.kafka.cluster import Cluster


def test_keys_and_partitions_have_names():
    assert KEY == "live/access-events/3"
    assert [partition_for(p, 2) for p in range(4)] == [0, 1, 0, 1]


def test_an_empty_topic_knows_nothing(kafka: Cluster, opened):
    found = opened(kafka.topic(1)).take_over()
    assert (found.snapshot, found.steps, found.next, found.done) == (None, (), None, -1)


def test_steps_are_recovered(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    steps = [Step(7, 9, {"watermark": 12, "away": ["関守"]}, 7), Step(9, 9, {}, 9), Step(9, 30, {"pinned": None}, 9)]
    for one in steps:
        log.append(one)
    found = opened(topic).take_over()
    assert found.steps == tuple(steps)
    assert (found.next, found.done, found.snapshot_next) == (30, 9, -1)


def test_steps_follow_one_another(kafka: Cluster, opened):
    log = opened(kafka.topic(1))
    with pytest.raises(ValueError, match="take_over comes first"):
        log.append(step(0, 1))
    log.take_over()
    log.append(step(0, 5))
    with pytest.raises(ValueError, match="begins at 6, the one before ended at 5"):
        log.append(step(6, 7))
    with pytest.raises(ValueError, match="a snapshot at 4, where the last step ended at 5"):
        log.snapshot(4, b"")
    log.append(step(5, 6))


def test_a_snapshot_of_megabytes_replaces_the_steps_before_it(kafka: Cluster, opened):
    topic = kafka.topic(1)
    payload = bytes(range(256)) * 20_000
    log = opened(topic, trim=False)
    log.take_over()
    log.append(step(0, 5))
    log.snapshot(5, payload)
    log.append(step(5, 6))
    assert max(len(one.value) for one in kafka.stored(topic)) < 1_000_000
    found = opened(topic).take_over()
    assert found.snapshot == payload
    assert (found.snapshot_next, found.steps, found.next, found.done) == (5, (step(5, 6),), 6, 5)


def test_a_half_written_snapshot_is_ignored(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    log.append(step(0, 5))
    log.snapshot(5, b"old")
    log.append(step(5, 6))
    dying = log._mine.link()
    with writing(kafka) as send:  # the first of two pieces, as a worker that was killed leaves it
        send(topic, KEY, statechain.part(dying, 6, b"x" * 1_000_000, 0))
    after = opened(topic)
    found = after.take_over()
    assert (found.snapshot, found.steps) == (b"old", (step(5, 6),))
    after.snapshot(6, b"new")
    assert opened(topic).take_over().snapshot == b"new"


def test_a_step_that_comes_twice_counts_once(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    link = log._mine.link()
    with writing(kafka) as send:  # as a producer that hears no acknowledgement, and the worker that tries again
        send(topic, KEY, statechain.step(link, step(0, 5)))
        log.append(step(0, 5))
        send(topic, KEY, statechain.step(link, step(0, 5)))
    log.append(step(5, 6))
    assert log.repeated == 2
    assert nexts(opened(topic)) == [5, 6]


def test_damage_is_refused_with_place_and_advice(kafka: Cluster, opened):
    topic, holed = kafka.topic(1), kafka.topic(1)
    log = opened(topic)
    log.take_over()
    for number in range(4):
        log.append(step(number, number + 1))
    with writing(kafka) as send:
        for one in kafka.stored(topic):
            if one.offset != 2:
                send(holed, KEY, one.value)
    with pytest.raises(Broken, match=rf"topic {holed} partition 0 offset 2: .*retention.ms=-1.*run of its own"):
        opened(holed).take_over()


def test_deleted_records_that_are_needed_are_missed(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    log.append(step(0, 5))
    log.append(step(5, 6))
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 2})
    with pytest.raises(Broken, match="its beginning is missing"):
        opened(topic).take_over()


def test_a_later_version_is_refused_with_advice_and_only_by_whom_it_concerns(kafka: Cluster, opened):
    topic, other = kafka.topic(1), key_of("live", "access-events", 7)
    with writing(kafka) as send:
        send(topic, KEY, json.dumps({"sekimori-state": 2, "kind": "claim"}).encode())
    with pytest.raises(Unknown, match="offset 0: a state record of version 2, this program knows 1: run the version"):
        opened(topic).take_over()
    log = opened(topic, other)
    log.take_over()
    log.append(step(0, 5))
    log.snapshot(5, b"s")
    assert kafka.stored(topic)[0].offset == 0  # not deleted: whose it is may need it
    assert opened(topic, other).take_over().snapshot == b"s"


def test_several_keys_share_a_partition(kafka: Cluster, opened):
    topic = kafka.topic(1)
    keys = [key_of("live", "access-events", number) for number in range(3)]
    logs = [opened(topic, key) for key in keys]
    for log in logs:
        log.take_over()
    for turn in range(5):
        for number, log in enumerate(logs):
            log.append(step(10 * turn, 10 * turn + 10, by=number, turn=turn))
    for number, key in enumerate(keys):
        found = opened(topic, key).take_over()
        assert [(one.decision["by"], one.decision["turn"]) for one in found.steps] == [
            (number, turn) for turn in range(5)
        ]


def test_old_records_are_deleted_once_no_key_needs_them(kafka: Cluster, opened):
    topic = kafka.topic(1)
    one, two = opened(topic, "live/a/0"), opened(topic, "live/a/1")
    for log in (one, two):
        log.take_over()
        log.append(step(0, 5))
    one.snapshot(5, b"one")
    assert kafka.stored(topic)[0].offset == 2  # the claim of `two` is needed as long as it has no snapshot
    two.append(step(5, 6))
    two.snapshot(6, b"two")
    assert two.untrimmed is None
    assert [json.loads(record.value.split(b"\n")[0])["kind"] for record in kafka.stored(topic)] == [
        "part",
        "step",
        "part",
    ]
    one.append(step(5, 8))
    assert opened(topic, "live/a/0").take_over().snapshot == b"one"
    found = opened(topic, "live/a/1").take_over()
    assert (found.snapshot, found.next, found.steps) == (b"two", 6, ())
    with pytest.raises(Fenced):
        two.append(step(6, 7))


@pytest.mark.parametrize(("run", "days", "kept"), [("again", 8, False), ("again", 6, True), ("live", 8, True)])
def test_the_log_of_a_rerun_that_is_over_holds_nothing_back(kafka: Cluster, opened, run: str, days: int, kept: bool):
    topic = kafka.topic(1, retention_ms=-1)
    then = int(time.time() * 1000) - days * 86_400_000
    with closing(KafkaProducer(bootstrap_servers=kafka.address.split(","))) as producer:
        key = key_of(run, "access-events", 5).encode()
        producer.send(topic, statechain.claim(1, "x"), key=key, partition=0, timestamp_ms=then).get(30)
    log = opened(topic)
    log.take_over()
    log.append(step(0, 5))
    log.snapshot(5, b"s")
    assert [record.offset for record in kafka.stored(topic)] == ([0, 1, 2, 3] if kept else [3])


def test_records_of_others_are_ignored_and_counted(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    with writing(kafka) as send:
        send(topic, None, b"hello")
        log.take_over()
        send(topic, KEY, b"{}")
        send(topic, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), b"\0")
        log.append(step(0, 5))
    assert log.foreign == 3
    heir = opened(topic)
    assert nexts(heir) == [5]
    assert heir.foreign == 3
