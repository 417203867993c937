"""Channels on a real Kafka: each on its own, nothing lost, nothing stepped over, bounded, whoever is away."""

from __future__ import annotations

import ipaddress
import json
import resource
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer, TopicPartition

from contract import notice
from detector.channels.alertmanager import Alertmanager
from detector.channels.channel import Channel, LaterError, Notice
from detector.channels.courier import MOST_HELD, Patience
from detector.channels.http import target
from detector.channels.run import Post, Runner
from detector.channels.webhook import Webhook
from service.settings import Kafka
from tests.detector.channels.receivers import Receiver, receiver, until

if TYPE_CHECKING:
    from tests.kafka.broker import Broker
    from tests.kafka.cluster import Cluster

HERE = [ipaddress.ip_network("127.0.0.0/8")]
QUICK = Patience(first_s=0.05, most_s=0.5, refusals=2, hours=24)


class Sink:
    """A channel that keeps what it is given, or is away."""

    def __init__(self, name: str, most: int = 100) -> None:
        self.name = name
        self.trouble = ""
        self.remembers = False
        self.got: list[str] = []
        self.away = False
        self.most = most
        self.widest = 0

    def deliver(self, waiting: Sequence[Notice]) -> int:
        self.widest = max(self.widest, len(waiting))
        if self.away:
            raise LaterError(f"{self.name}: away")
        self.got += [notice.identity(item) for item in waiting[: self.most]]
        return len(waiting[: self.most])

    def recall(self, notice: Notice) -> None: ...

    def forget(self) -> None: ...

    def turn(self) -> None: ...


def items(start: int, end: int, **more: Any) -> list[dict[str, Any]]:
    return [notice.example() | {"fingerprint": f"n-{number:016x}"} | more for number in range(start, end)]


def names(start: int, end: int) -> list[str]:
    return [f"n-{number:016x}.1" for number in range(start, end)]


def put(kafka: Cluster, topic: str, what: Iterable[dict[str, Any] | bytes]) -> None:
    """Write notices to the topic, by fingerprint."""
    with closing(KafkaProducer(bootstrap_servers=kafka.address, linger_ms=5)) as producer:
        for one in what:
            value = one if isinstance(one, bytes) else notice.to_json(one).encode()
            key = b"x" if isinstance(one, bytes) else str(one["fingerprint"]).encode()
            producer.send(topic, value, key)
        producer.flush()


@contextmanager
def running(kafka: Cluster, topic: str, dead: str, *channels: Channel, **more: Any) -> Iterator[Runner]:
    """Channels at work, which have found their places."""
    settings = Kafka(bootstrap_servers=kafka.address.split(","))
    runner = Runner(channels, Post(settings, topic, dead, patience=QUICK, **more))
    runner.start()
    yield runner
    assert runner.stop()


def warm(kafka: Cluster, topic: str, *sinks: Sink) -> None:
    """Write until all have begun to read, then forget what they got."""
    number = 1 << 40
    while not all(sink.got for sink in sinks):
        put(kafka, topic, items(number, number + 40))
        number += 40
        time.sleep(0.3)
    time.sleep(1)
    for sink in sinks:
        sink.got.clear()


def web(server: Receiver, name: str = "soc") -> Webhook:
    return Webhook(name, target(f"http://127.0.0.1:{server.port}/", HERE, 5), b"k" * 32)


def unique() -> str:
    return f"c{time.monotonic_ns()}"


def test_a_new_channel_tells_what_comes_from_now_on_and_a_known_one_goes_on(kafka: Cluster, topic: str, dead: str):
    put(kafka, topic, items(0, 50))
    first = Sink(unique())
    with running(kafka, topic, dead, first):
        warm(kafka, topic, first)
        put(kafka, topic, items(100, 150))
        until(lambda: len(first.got) >= 50)
        assert sorted(first.got) == names(100, 150)
    put(kafka, topic, items(200, 250))
    again = Sink(first.name)
    with running(kafka, topic, dead, again):
        until(lambda: len(again.got) >= 50)
        time.sleep(0.5)
    assert sorted(again.got) == names(200, 250)


def test_a_new_channel_is_told_what_came_while_it_was_starting(kafka: Cluster, topic: str, dead: str):
    put(kafka, topic, items(0, 50))
    time.sleep(0.1)
    sink = Sink(unique())
    runner = Runner([sink], Post(Kafka(bootstrap_servers=kafka.address.split(",")), topic, dead))
    put(kafka, topic, items(100, 150))
    runner.start()
    until(lambda: len(sink.got) >= 50)
    time.sleep(0.5)
    assert runner.stop()
    assert sorted(sink.got) == names(100, 150)


def test_one_that_is_away_stops_no_other_and_loses_nothing(kafka: Cluster, topic: str, dead: str):
    well, ill = Sink(unique()), Sink(unique())
    with running(kafka, topic, dead, well, ill) as runner:
        warm(kafka, topic, well, ill)
        ill.away = True
        put(kafka, topic, items(0, 2_000))
        until(lambda: len(well.got) == 2_000)
        assert ill.got == []
        assert any(f"channel {ill.name}: {ill.name}: away (" in line for line in runner.problems())
        assert not any(well.name in line for line in runner.problems())
        ill.away = False
        until(lambda: len(ill.got) >= 2_000)
    assert sorted(ill.got) == sorted(well.got) == names(0, 2_000)


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_what_is_read_and_not_delivered_is_bounded_in_a_flood(kafka: Cluster, topic: str, dead: str, count: int):
    slow = Sink(unique(), most=400)
    with running(kafka, topic, dead, slow) as runner:
        warm(kafka, topic, slow)
        slow.away = True
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        put(kafka, topic, (item for start in range(0, count, 100) for item in items(start, start + 100)))
        time.sleep(2)
        assert runner.states()[0].waiting <= MOST_HELD
        slow.away = False
        until(lambda: len(slow.got) >= count, 300)
        grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert sorted(slow.got) == names(0, count)
    assert slow.widest <= MOST_HELD
    assert grown_mib < 150  # the test's own producer and list of names among it


def test_a_refused_notice_is_set_aside_with_its_place_and_reason(kafka: Cluster, topic: str, dead: str):
    ready = Sink(unique())
    with receiver() as server:

        def picky(handler: Any) -> None:
            handler.send_response(422 if b"00bb" in server.got[-1].body else 200)
            handler.end_headers()

        server.answer = picky
        hook = web(server, unique())
        with running(kafka, topic, dead, hook, ready) as runner:
            warm(kafka, topic, ready)
            until(lambda: bool(server.got))
            bad = notice.example() | {"fingerprint": "n-00000000000000bb"}
            put(kafka, topic, [*items(1, 20), bad, b"{}", *items(20, 40)])
            until(lambda: runner.states()[0].tally.parked == {"refused": 1, "too_old": 0, "unreadable": 1})
            until(lambda: {json.loads(one.body)["fingerprint"] + ".1" for one in server.got} >= set(names(1, 40)))
    letters = [json.loads(record.value) for record in kafka.stored(dead)]
    mine = [letter for letter in letters if letter["source.id"] == f"notices/{hook.name}"]
    assert {letter["reason"] for letter in mine} == {"undelivered"}
    assert sorted(letter["detail"].split(":")[0] for letter in mine) == ["refused", "unreadable"]
    places = {(r.partition, r.offset) for r in kafka.stored(topic) if b"00bb" in r.value or r.value == b"{}"}
    assert {letter["source.position"] for letter in mine} == {f"{topic}/{part}/{offset}" for part, offset in places}


def test_a_partition_that_moves_leaves_nothing_untold(kafka: Cluster, topic: str, dead: str):
    name = unique()
    one, two = Sink(name, most=7), Sink(name, most=7)
    with running(kafka, topic, dead, one):
        warm(kafka, topic, one)
        with running(kafka, topic, dead, two):
            for start in range(0, 2_000, 100):
                put(kafka, topic, items(start, start + 100))
            until(lambda: set(one.got) | set(two.got) >= set(names(0, 2_000)), 60)
            assert two.got
        put(kafka, topic, items(2_000, 2_100))
        until(lambda: set(one.got) >= set(names(2_000, 2_100)), 60)


def test_what_kafka_deleted_is_counted_and_said(
    kafka: Cluster, topic: str, dead: str, caplog: pytest.LogCaptureFixture
):
    sink = Sink(unique())
    with running(kafka, topic, dead, sink):
        warm(kafka, topic, sink)
    put(kafka, topic, items(0, 100))
    ends = {TopicPartition(topic, record.partition): record.offset + 1 for record in kafka.stored(topic)}
    with kafka.admin() as admin:
        admin.delete_records(ends)
    put(kafka, topic, items(100, 200))
    later = Sink(sink.name)
    with running(kafka, topic, dead, later) as runner:
        until(lambda: len(later.got) >= 100, 60)
        assert runner.states()[0].lost == 100
    assert sorted(later.got) == names(100, 200)
    assert "were deleted before this channel was told them" in caplog.text


def test_a_broker_that_is_killed_costs_nothing(broker: Broker):
    topic, dead = broker.topic(), broker.topic(1)
    sink = Sink(unique())
    with running(broker, topic, dead, sink) as runner:
        warm(broker, topic, sink)
        put(broker, topic, items(0, 500))
        broker.kill()
        time.sleep(2)
        broker.start()
        put(broker, topic, items(500, 1_000))
        until(lambda: set(sink.got) >= set(names(0, 1_000)), 90)
        until(lambda: not runner.problems())


def test_alertmanager_is_told_what_is_open_after_a_restart(kafka: Cluster, topic: str, dead: str):
    def open_now(server: Receiver) -> set[str]:
        told: dict[str, str] = {}
        for request in server.got:
            told |= {one["labels"]["fingerprint"]: one["endsAt"] for one in json.loads(request.body)}
        return {
            name
            for name, ends in told.items()
            if ends > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 60))
        }

    def channel(server: Receiver, name: str) -> Alertmanager:
        return Alertmanager(name, [target(f"http://127.0.0.1:{server.port}/", None, 5)], {})

    name, sink = unique(), Sink(unique())
    with receiver() as server, running(kafka, topic, dead, channel(server, name), sink):
        warm(kafka, topic, sink)
        put(kafka, topic, items(0, 30))
        put(kafka, topic, items(0, 10, revision=2, change="resolved", ending="closed"))
        wanted = {one.split(".")[0] for one in names(10, 30)}
        until(lambda: len(sink.got) >= 40 and {one for one in open_now(server) if int(one[2:], 16) < 1 << 40} == wanted)
        before = open_now(server)
    with receiver() as server, running(kafka, topic, dead, channel(server, name)):
        until(lambda: open_now(server) == before)
        # Told once again as they stand, not as they came.
        assert sum(len(json.loads(request.body)) for request in server.got) == len(before)


def test_a_channel_with_a_fault_says_so_and_the_others_go_on(
    kafka: Cluster, topic: str, dead: str, caplog: pytest.LogCaptureFixture
):
    class Faulty(Sink):
        def deliver(self, waiting: Sequence[Notice]) -> int:
            raise ZeroDivisionError("https://hooks.example/very/secret")

    faulty, well = Faulty(unique()), Sink(unique())
    with running(kafka, topic, dead, faulty, well) as runner:
        warm(kafka, topic, well)
        put(kafka, topic, items(0, 100))
        until(lambda: len(well.got) == 100 and bool(runner.problems()))
        [line] = runner.problems()
    assert "ended by a fault of this program (ZeroDivisionError at " in line
    assert "secret" not in line + caplog.text


def test_stopping_takes_no_longer_than_what_is_being_done(kafka: Cluster, topic: str, dead: str):
    sinks = [Sink(unique()) for _ in range(3)]
    with running(kafka, topic, dead, *sinks) as runner:
        warm(kafka, topic, *sinks)
        before = time.monotonic()
        assert runner.stop()
        assert time.monotonic() - before < 5


def test_no_kafka_is_trouble_and_stopping_is_still_prompt():
    settings = Kafka(bootstrap_servers=["127.0.0.1:9"])
    runner = Runner([Sink("s")], Post(settings))
    runner.start()
    until(lambda: any("kafka" in line for line in runner.problems()), 30)
    runner.stop(0.1)
