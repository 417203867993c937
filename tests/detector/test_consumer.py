"""Records out of a real Kafka, from where they are wanted, through pauses and consumers that stand still."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaProducer, TopicPartition

from detector.config import Kafka
from detector.fetcher import Fetcher
from detector.member import Member
from detector.place import Place
from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")


@pytest.fixture
def settings(kafka: Cluster) -> Kafka:
    return Kafka.model_validate(
        {"bootstrap_servers": kafka.address.split(","), "group": kafka.topic(1), "session_timeout_s": 3}
    )


@pytest.fixture
def fetcher(settings: Kafka) -> Iterator[Fetcher]:
    made = Fetcher(settings, "test", turn_records=100, stuck_after_s=5.0)
    yield made
    made.close()


def fill(kafka: Cluster, topic: str, partition: int, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.address.split(","), linger_ms=5)
    for number in range(count):
        producer.send(topic, b"%d" % number, partition=partition)
    producer.flush()
    producer.close()


def until(fetcher: Fetcher, enough: Callable[[dict[Place, list[int]]], bool]) -> dict[Place, list[int]]:
    """Take until it is enough; offsets by partition."""
    found: dict[Place, list[int]] = {place: [] for place in fetcher.places}
    deadline = time.monotonic() + 60
    while not enough(found):
        assert time.monotonic() < deadline, (found, fetcher.trouble)
        for place, taken in fetcher.take(0.2).items():
            found[place] += [one.offset for one in taken.records]
    return found


def read_to_the_end(kafka: Cluster, fetcher: Fetcher, topic: str) -> Place:
    """A partition with ten records, all taken."""
    place = Place(topic, 0)
    fill(kafka, topic, 0, 10)
    fetcher.read(place, 0)
    until(fetcher, lambda found: len(found[place]) >= 10)
    return place


def test_reading_begins_where_it_is_told_to(kafka: Cluster, fetcher: Fetcher, topic: str):
    fill(kafka, topic, 0, 500)
    place = Place(topic, 0)
    fetcher.read(place, 123)

    found = until(fetcher, lambda found: len(found[place]) >= 377)

    assert found[place] == list(range(123, 500))
    assert fetcher.at_end(place)
    assert fetcher.lag(place) == 0

    fetcher.read(place, 490)
    assert until(fetcher, lambda found: len(found[place]) >= 10)[place] == list(range(490, 500))


def test_a_partition_that_was_paused_goes_on_where_it_was_and_with_the_same_consumer(
    kafka: Cluster, fetcher: Fetcher, topic: str
):
    one, other = Place(topic, 0), Place(topic, 1)
    fill(kafka, topic, 0, 2000)
    fetcher.read(one, 0)
    fetcher.read(other, 0)
    found = until(fetcher, lambda found: len(found[one]) >= 100)[one]
    fetcher.pause(one, True)
    fill(kafka, topic, 1, 50)
    # The other is read to its end while the first waits with what came of it and was not given out.
    assert until(fetcher, lambda found: len(found[other]) >= 50)[one] == []
    begun = time.monotonic()
    fetcher.pause(one, False)

    found += until(fetcher, lambda found: len(found[one]) >= 1900)[one]

    assert found == list(range(2000))
    assert time.monotonic() - begun < fetcher._stuck_after_s
    assert fetcher.rebuilds == 0


def test_a_consumer_that_stands_still_though_there_is_more_is_replaced(kafka: Cluster, fetcher: Fetcher, topic: str):
    place = read_to_the_end(kafka, fetcher, topic)
    # As kafka-python does of itself now and then: the partition is never asked for again.
    assert fetcher._consumer is not None
    fetcher._consumer.pause(TopicPartition(*place))
    fill(kafka, topic, 0, 10)

    found = until(fetcher, lambda found: len(found[place]) >= 10)

    assert found[place] == list(range(10, 20))
    assert fetcher.rebuilds == 1


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slow(settings: Kafka) -> Iterator[tuple[Fetcher, Clock]]:
    """What takes ten records at a time."""
    clock = Clock()
    made = Fetcher(settings, "test", turn_records=10, stuck_after_s=10.0, clock=clock)
    yield made, clock
    made.close()


def turns(fetcher: Fetcher, clock: Clock, enough: Callable[[dict[Place, list[int]]], bool]) -> dict[Place, list[int]]:
    """As `until`; each turn takes half a second."""

    def later(found: dict[Place, list[int]]) -> bool:
        clock.now += 0.5
        return enough(found)

    return until(fetcher, later)


def test_partitions_that_wait_for_others_to_be_worked_through_do_not_stand_still(
    kafka: Cluster, slow: tuple[Fetcher, Clock], topic: str
):
    fetcher, clock = slow
    places = [Place(topic, number) for number in range(4)]
    for place in places:
        fill(kafka, topic, place.partition, 600)
        fetcher.read(place, 0)

    found = turns(fetcher, clock, lambda found: all(len(found[place]) >= 600 for place in places))

    assert clock.now > 100  # the last one waited for a minute and a half
    assert found == {place: list(range(600)) for place in places}
    assert fetcher.rebuilds == 0


def test_who_was_long_busy_takes_nothing_for_standing_still(kafka: Cluster, slow: tuple[Fetcher, Clock], topic: str):
    fetcher, clock = slow
    place, other = Place(topic, 0), Place(topic, 1)
    fetcher.read(place, 0)
    fetcher.read(other, 0)
    until(fetcher, lambda found: fetcher.at_end(place) and fetcher.at_end(other))
    for _ in range(5):
        fill(kafka, topic, 0, 5)
        clock.now += 60  # a turn
        until(fetcher, lambda found: len(found[place]) >= 5)

    fill(kafka, topic, 1, 5)
    clock.now += 60
    assert until(fetcher, lambda found: len(found[other]) >= 5)[other] == list(range(5))
    assert fetcher.rebuilds == 0


def test_one_that_stands_still_is_seen_also_while_others_have_more_than_can_be_taken(
    kafka: Cluster, slow: tuple[Fetcher, Clock], topic: str
):
    fetcher, clock = slow
    stuck, other = Place(topic, 0), Place(topic, 1)
    fill(kafka, topic, 1, 1500)
    fetcher.read(stuck, 0)
    fetcher.read(other, 0)
    turns(fetcher, clock, lambda found: len(found[other]) >= 10)
    assert fetcher._consumer is not None
    fetcher._consumer.pause(TopicPartition(*stuck))  # as kafka-python does of itself now and then
    fill(kafka, topic, 0, 10)

    found = turns(fetcher, clock, lambda found: len(found[stuck]) >= 10)

    assert len(found[other]) < 1000
    assert fetcher.rebuilds == 1


def test_a_partition_with_nothing_more_is_left_in_peace(kafka: Cluster, fetcher: Fetcher, topic: str):
    read_to_the_end(kafka, fetcher, topic)

    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert fetcher.take(0.2) == {}

    assert fetcher.rebuilds == 0


@pytest.fixture
def listening(settings: Kafka) -> Iterator[tuple[Fetcher, Clock]]:
    """What is to say for how long it has listened, by a clock of the test's; who hears nothing for a minute has not."""
    clock = Clock()
    made = Fetcher(
        settings, "test", turn_records=10, stuck_after_s=60.0, patience_s=240.0, now_ms=lambda: int(clock.now * 1000)
    )
    yield made, clock
    made.close()


def test_who_reads_what_was_there_before_has_not_listened_yet_and_who_comes_to_its_end_begins_to(
    kafka: Cluster, listening: tuple[Fetcher, Clock], topic: str
):
    fetcher, clock = listening
    fill(kafka, topic, 0, 200)
    place = Place(topic, 0)
    fetcher.read(place, 0)
    until(fetcher, lambda found: len(found[place]) > 0)
    assert fetcher.listened_s(place) == math.inf
    clock.now = 1000
    until(fetcher, lambda _: fetcher.at_end(place))
    assert fetcher.listened_s(place) == 0

    listen_on(fetcher, clock, place, 1050)

    assert fetcher.listened_s(place) == 50


def test_who_was_asleep_begins_to_listen_anew(kafka: Cluster, listening: tuple[Fetcher, Clock], topic: str):
    fetcher, clock = listening
    place = read_to_the_end(kafka, fetcher, topic)
    listen_on(fetcher, clock, place, 50)
    clock.now = 3600
    assert fetcher.listened_s(place) == 0  # at once, before Kafka was asked

    fill(kafka, topic, 0, 1)
    until(fetcher, lambda found: bool(found[place]))
    listen_on(fetcher, clock, place, 3630)

    assert fetcher.listened_s(place) == 30


def test_nobody_is_listened_to_while_kafka_is_away(broker: Broker, listening: tuple[Fetcher, Clock]):
    fetcher, clock = listening
    place = read_to_the_end(broker, fetcher, broker.topic(1))
    listen_on(fetcher, clock, place, 50)
    broker.kill()
    clock.now = 120
    until(fetcher, lambda _: fetcher.trouble is not None)
    assert fetcher.listened_s(place) == 0
    broker.start()
    clock.now = 200

    listen_on(fetcher, clock, place, 200)

    assert fetcher.listened_s(place) == 0
    listen_on(fetcher, clock, place, 250)
    assert fetcher.listened_s(place) == 50


def listen_on(fetcher: Fetcher, clock: Clock, place: Place, until_s: float) -> None:
    """Let the clock come to a moment, and Kafka be asked there, as it is now and then of who says nothing."""
    clock.now = until_s
    until(fetcher, lambda _: fetcher._stands[place].heard_ms == int(until_s * 1000))


def test_what_kafka_deleted_is_told_and_not_jumped_over(kafka: Cluster, fetcher: Fetcher, topic: str):
    place = Place(topic, 0)
    fill(kafka, topic, 0, 50)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(*place): 20})
    fetcher.read(place, 5)

    deadline = time.monotonic() + 30
    while fetcher.lost(place) is None:
        assert fetcher.take(0.2) == {}
        assert time.monotonic() < deadline

    assert fetcher.lost(place) == 20
    fetcher.read(place, 20)
    assert until(fetcher, lambda found: len(found[place]) >= 30)[place] == list(range(20, 50))


def test_offsets_are_found_by_time_and_at_both_ends(kafka: Cluster, fetcher: Fetcher, topic: str):
    place = Place(topic, 0)
    fill(kafka, topic, 0, 5)
    between = time.time_ns() // 1_000_000 + 1
    time.sleep(0.01)
    fill(kafka, topic, 0, 5)

    assert fetcher.beginnings([place]) == {place: 0}
    assert fetcher.ends([place]) == {place: 10}
    assert fetcher.at_time([place], between) == {place: 5}
    assert fetcher.at_time([place], between + 10**9) == {place: 10}


def test_members_share_the_partitions_and_who_leaves_gives_them_back(kafka: Cluster, settings: Kafka, topic: str):
    first = Member(settings, [topic], [topic], "first")
    members = [first]
    try:
        wait(lambda: len(first.assigned) == 4)
        wait(lambda: first.partitions == {topic: 4})
        second = Member(settings, [topic], [topic], "second")
        members.append(second)
        wait(lambda: len(first.assigned) == len(second.assigned) == 2)
        assert not first.assigned & second.assigned
        members.pop()
        second.close()
        wait(lambda: len(first.assigned) == 4)
    finally:
        for member in members:
            member.close()


def test_who_joins_later_gets_a_share_of_every_topic(kafka: Cluster, settings: Kafka):
    topics = [kafka.topic(2), kafka.topic(2), kafka.topic(1)]
    members = [Member(settings, topics, topics, "first")]
    try:
        wait(lambda: len(members[0].assigned) == 5)
        before = members[0].assigned
        members.append(Member(settings, topics, topics, "second"))
        wait(
            lambda: (
                members[1].assigned and len(members[0].assigned | members[1].assigned) == 5 != len(members[0].assigned)
            )
        )

        for topic in topics[:2]:
            assert [sum(place.topic == topic for place in one.assigned) for one in members] == [1, 1]
        assert members[0].assigned < before
        assert not members[0].assigned & members[1].assigned
    finally:
        for one in members:
            one.close()


def wait(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_broker_that_refuses_connections_is_trouble():
    settings = Kafka.model_validate({"bootstrap_servers": ["127.0.0.1:1"]})
    lonely = Fetcher(settings, "lonely")
    try:
        assert lonely.take(0.0) == {}
        assert lonely.trouble is not None
        assert "127.0.0.1:1 refuses connections" in lonely.trouble
    finally:
        lonely.close()
