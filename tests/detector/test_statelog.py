"""The state log on a real Kafka: what was accepted is recovered, by one owner at a time, through outages."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition

from detector import statechain
from detector.statelog import Broken, Fenced, StateLog, Step, Unknown, Unreachable, key_of, partition_for
from service.settings import Kafka
from tests.kafka.broker import PASSWORDS, Broker, Door
from tests.kafka.cluster import Cluster

KEY = key_of("live", "access-events", 3)


@pytest.fixture
def opened(kafka: Cluster) -> Iterator[Callable[..., StateLog]]:
    """Logs that end with the test."""
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


def test_the_older_of_two_owners_is_fenced_and_what_it_writes_counts_for_nothing(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie, heir = opened(topic), opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5, by="zombie"))
    before = zombie._mine.link()
    assert heir.take_over().next == 5
    for _ in range(2):  # it stays fenced
        with pytest.raises(Fenced, match="live/access-events/3 has another owner now: epoch 2, ours was 1"):
            zombie.append(step(5, 6, by="zombie"))
    heir.append(step(5, 7, by="heir"))
    with writing(kafka) as send:  # what it had on the way lands late
        send(topic, KEY, statechain.step(before, step(5, 6, by="zombie")))
    heir.append(step(7, 8, by="heir"))
    assert heir.outdated == 2
    found = opened(topic).take_over()
    assert [one.decision["by"] for one in found.steps] == ["zombie", "heir", "heir"]


def test_a_zombie_is_fenced_in_the_middle_of_a_snapshot(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie = opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    assert nexts(opened(topic)) == [5]
    with pytest.raises(Fenced):
        zombie.snapshot(5, b"x" * 2_000_000)
    assert opened(topic).take_over().snapshot is None


def test_what_a_zombie_wrote_before_the_claim_is_the_heirs(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie = opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    with writing(kafka) as send:  # it was written, and the zombie never heard of it
        send(topic, KEY, statechain.step(zombie._mine.link(), step(5, 6)))
    assert nexts(opened(topic)) == [5, 6]
    with pytest.raises(Fenced):
        zombie.append(step(5, 6))


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


def test_somebody_who_writes_in_our_name_is_found_out(kafka: Cluster, opened):
    topic = kafka.topic(1)
    log = opened(topic)
    log.take_over()
    with writing(kafka) as send:
        send(topic, KEY, statechain.step(log._mine.link(), step(0, 9, by="forger")))
    with pytest.raises(Broken, match="somebody else writes state of live/access-events/3"):
        log.append(step(0, 5))


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


def test_an_owner_who_slept_through_the_deletion_of_what_he_had_not_read_is_fenced(kafka: Cluster, opened):
    topic = kafka.topic(1)
    zombie, heir = opened(topic), opened(topic)
    zombie.take_over()
    zombie.append(step(0, 5))
    heir.take_over()
    heir.append(step(5, 6))
    heir.snapshot(6, b"s")
    for _ in range(2):
        with pytest.raises(Fenced, match="another owner"):
            zombie.append(step(5, 6))
    assert zombie.take_over().snapshot == b"s"
    zombie.append(step(6, 7))


def test_whoever_fights_for_a_key_what_was_accepted_is_recovered_in_order(kafka: Cluster, opened):
    topic = kafka.topic(1)
    accepted: list[Step] = []
    errors: list[BaseException] = []

    def fight(name: int) -> None:
        try:
            for turn in range(6):
                log = opened(topic)
                at = log.take_over().next or 0
                with suppress(Fenced):
                    for number in range(15):
                        one = step(at, at + 1, by=name, turn=turn, n=number)
                        log.append(one)
                        accepted.append(one)
                        at += 1
                        if number == 7:
                            log.snapshot(at, b"%d" % at * 200_000)
                log.close()
        except BaseException as error:  # for the test's own thread to tell
            errors.append(error)
            raise

    threads = [threading.Thread(target=fight, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors
    found = opened(topic).take_over()
    everything = sorted(accepted, key=lambda one: one.start)
    # What an owner was told is accepted, nobody else took in hand as well; a step may count of which its owner did not hear.
    assert len({one.start for one in accepted}) == len(accepted) > 20
    assert found.next is not None
    assert found.next >= everything[-1].next
    counted = {one.start: one for one in found.steps}
    assert all(counted[one.start] == one for one in everything if one.start >= max(found.snapshot_next, 0))
    if found.snapshot is not None:
        assert found.snapshot == b"%d" % found.snapshot_next * 200_000


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
