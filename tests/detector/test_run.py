"""Detectors against a real Kafka: killed, frozen, joined, cut off. Nothing missing, nothing wrong, and what comes twice is equal."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from tests.detector.desk import Desk
from tests.kafka.broker import Broker
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

KILLS = int(os.environ.get("SEKIMORI_KILLS", "6"))
SEED = int(os.environ.get("SEKIMORI_SEED", "1"))
# In all; between two kills a share of them is sent.
RECORDS = int(os.environ.get("SEKIMORI_RECORDS", "3000"))
KEYS = [f"k{number}" for number in range(23)]


@pytest.fixture
def desk(tmp_path: Path, kafka: Cluster) -> Iterator[Desk]:
    one = Desk(tmp_path / "desk", kafka)
    yield one
    one.close()


def stored(desk: Desk) -> dict[str, list[bytes]]:
    """Values of the findings topic by key, in the order of the topic."""
    found = defaultdict(list)
    for one in desk.kafka.stored(desk.topics["findings"]):
        found[(one.key or b"").decode()].append(one.value)
    return found


def counted(desk: Desk) -> Counter[str]:
    """How often each key was sent; what the second stage counts is named for the sums."""
    sent: Counter[str] = Counter()
    for one in desk.kafka.stored(desk.topics["events"]):
        sent[(one.key or b"").decode()] += 1
    return sent


def assert_nothing_missing_or_wrong(desk: Desk) -> int:
    """Every count of both stages was published, as what it is, and what came again is equal; returns how many came again."""
    found, sent = stored(desk), counted(desk)
    assert sum(sent.values()) == desk.sent
    wanted = {f"{key}-{n}" for key, count in sent.items() for n in range(1, count + 1)}
    relayed: Counter[str] = Counter()
    for record in desk.kafka.stored(desk.topics["correlate"]):
        relayed[(record.key or b"").decode()] += 1
    wanted |= {f"{key}-{n}" for key, count in relayed.items() for n in range(1, count + 1)}
    assert set(found) == wanted, (
        f"missing {sorted(wanted - set(found))[:5]}, too many {sorted(set(found) - wanted)[:5]}"
    )
    torn = {key: values for key, values in found.items() if len(set(values)) > 1}
    assert not torn, f"{len(torn)} came again with other bytes: {list(torn.items())[:2]}"
    values: dict[str, list[int]] = defaultdict(list)
    for key, (value, *_) in found.items():
        body = json.loads(value)
        if not key.startswith("sum"):
            values[body["key"]].append(int(body["value"]))
            assert key == f"{body['key']}-{body['count']}"
    assert sorted(number for numbers in values.values() for number in numbers) == list(range(desk.sent))
    assert {json.loads(value[0])["count"] for key, value in found.items() if key.startswith("sum")} >= {1}
    return sum(len(one) - 1 for one in found.values())


def keys(count: int, draw: random.Random) -> list[str]:
    return [draw.choice(KEYS) for _ in range(count)]


def test_one_detector_works_through_what_is_there_and_ends(desk: Desk):
    desk.send(keys(2000, random.Random(SEED)))

    assert desk.start("--once").process.wait(60) == 0

    assert assert_nothing_missing_or_wrong(desk) == 0


def test_a_second_start_goes_on_where_the_first_ended_and_repeats_nothing(desk: Desk):
    draw = random.Random(SEED)
    desk.send(keys(500, draw))
    assert desk.start("--once").process.wait(60) == 0
    desk.send(keys(500, draw))

    assert desk.start("--once").process.wait(60) == 0

    assert assert_nothing_missing_or_wrong(desk) == 0


def test_a_stop_ends_in_time_with_all_arrived_and_metrics_tell_the_work(desk: Desk):
    one = desk.start()
    desk.send(keys(1000, random.Random(SEED)))
    one.until(lambda: one.metric("sekimori_detector_records_total") >= 1000)
    one.until(lambda: one.get("/readyz") == (200, "ok\n") and one.get("/healthz") == (200, "ok\n"))
    begun = time.monotonic()

    assert one.end() == 0

    assert time.monotonic() - begun < 10
    assert desk.start("--once").process.wait(60) == 0
    assert assert_nothing_missing_or_wrong(desk) == 0


def test_detectors_that_join_and_leave_share_the_partitions(desk: Desk):
    draw = random.Random(SEED)
    first = desk.start(name="a")
    first.until_it_has(4)
    desk.send(keys(400, draw))
    second = desk.start(name="b")
    second.until_it_has(2)
    first.until_it_has(2)
    desk.send(keys(400, draw))
    assert first.end() == 0
    second.until_it_has(4)
    desk.send(keys(400, draw))
    assert second.end() == 0

    assert desk.start("--once").process.wait(60) == 0
    assert_nothing_missing_or_wrong(desk)


def test_detectors_killed_at_random_miss_nothing_and_get_nothing_wrong(desk: Desk):
    draw = random.Random(SEED)
    running = {name: desk.start(name=name) for name in ("a", "b")}
    running["a"].until(lambda: "taken over" in running["a"].said)
    most = RECORDS // KILLS
    for number in range(KILLS):
        desk.send(keys(draw.randrange(most // 4, most), draw))
        time.sleep(draw.random() * 2)
        name = draw.choice(("a", "b"))
        running[name].end(signal.SIGKILL)
        desk.send(keys(draw.randrange(most // 4, most), draw))
        if number % 3 == 0:
            time.sleep(draw.random() * 2)
        running[name] = desk.start(name=name)
    desk.send(keys(100, draw))
    for one in running.values():
        one.end(signal.SIGKILL)

    assert desk.start("--once").process.wait(120) == 0
    again = assert_nothing_missing_or_wrong(desk)
    print(f"{KILLS} kills, {desk.sent} records, {again} findings came again, with equal bytes")


def test_a_detector_that_was_frozen_and_wakes_up_gets_nothing_wrong(desk: Desk):
    draw = random.Random(SEED)
    zombie = desk.start(name="zombie")
    zombie.until_it_has(4)
    desk.send(keys(600, draw))
    zombie.send(signal.SIGSTOP)
    heir = desk.start(name="heir")
    heir.until_it_has(4)
    desk.send(keys(600, draw))
    zombie.send(signal.SIGCONT)
    desk.send(keys(600, draw))
    zombie.until_it_has(2, 90)
    for one in (zombie, heir):
        assert one.end() == 0

    assert desk.start("--once").process.wait(120) == 0
    assert_nothing_missing_or_wrong(desk)


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(tmp_path: Path, broker: Broker):
    desk = Desk(tmp_path / "desk", broker)
    try:
        draw = random.Random(SEED)
        one = desk.start()
        one.until_it_has(4)
        desk.send(keys(500, draw))
        broker.kill()
        one.until(lambda: one.get("/health")[0] == 503, 90)
        broker.start()
        desk.send(keys(500, draw))
        one.until(lambda: one.metric("sekimori_detector_records_total") >= 1000, 120)
        one.until(lambda: one.get("/health") == (200, "ok\n"), 120)
        assert one.end() == 0
        assert desk.start("--once").process.wait(120) == 0
        assert_nothing_missing_or_wrong(desk)
    finally:
        desk.close()


def test_a_stop_ends_in_time_also_when_kafka_is_away(tmp_path: Path, broker: Broker):
    desk = Desk(tmp_path / "desk", broker)
    try:
        one = desk.start()
        one.until_it_has(4)
        desk.send(keys(500, random.Random(SEED)))
        broker.kill()
        one.until(lambda: one.get("/health")[0] == 503, 90)
        begun = time.monotonic()

        one.end()

        assert time.monotonic() - begun < 10
        assert "Traceback" not in one.said
    finally:
        desk.close()


def test_what_kafka_deleted_before_it_was_read_is_told_and_the_rest_goes_on(desk: Desk):
    desk.send(["a"] * 50, partition=0)
    assert desk.start("--once").process.wait(60) == 0
    desk.send(["a"] * 50, partition=0)
    delete_before(desk, desk.topics["events"], 0, 80)
    desk.send(["a"] * 5, partition=0)

    again = desk.start("--once")

    assert again.process.wait(60) == 0, again.said
    found = stored(desk)
    assert [json.loads(value) for value in found["lost"]] == [{"lost": [50, 80]}]
    # 50 were counted, 30 are lost, 25 are left.
    assert {key for key in found if key.startswith("a-")} == {f"a-{n}" for n in range(1, 76)}
    assert "Kafka deleted offsets 50 to 79" in again.said


def test_what_kafka_deleted_before_it_could_be_worked_through_again_is_told_as_well(desk: Desk):
    desk.options["limits"] = {"snapshot_s": 3600}
    one = desk.start()
    desk.send(["a"] * 50, partition=0)
    one.until(lambda: len(stored(desk)) >= 50)
    one.end(signal.SIGKILL)
    desk.send(["a"] * 50, partition=0)
    delete_before(desk, desk.topics["events"], 0, 80)

    again = desk.start("--once")

    assert again.process.wait(60) == 0, again.said
    # Nobody knows the state at offset 50 any more: it begins from the last that was written down whole, which is none.
    assert [json.loads(value) for value in stored(desk)["lost"]] == [{"lost": [0, 80]}]
    assert "needed to work" in again.said
    desk.send(["a"] * 5, partition=0)
    assert desk.start("--once").process.wait(60) == 0
    assert "needed to work" not in desk.running[-1].said


def test_a_topic_that_was_made_anew_is_refused_with_what_to_do(desk: Desk):
    desk.send(["a"] * 50, partition=0)
    assert desk.start("--once").process.wait(60) == 0
    desk.kafka.delete(desk.topics["events"])
    desk.kafka.topic(2, desk.topics["events"])

    one = desk.start()

    one.until(lambda: "was the topic made anew" in one.get("/health")[1])
    assert one.get("/readyz")[0] == 503
    one.end()


def test_a_state_of_a_version_that_is_not_known_is_refused_with_what_to_do(desk: Desk):
    desk.send(["a"] * 5, partition=0)
    key = f"live/{desk.topics['events']}/0".encode()
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    value = b'{"sekimori-state": 99, "kind": "claim", "epoch": 1, "owner": "x"}'
    producer.send(desk.topics["state"], key=key, value=value, partition=0)
    producer.flush()
    producer.close()

    one = desk.start("--once")

    assert one.process.wait(60) == 0
    assert not stored(desk)
    assert "a state record of version 99" in one.said
    assert "run the version of Sekimori that wrote it" in one.said


def delete_before(desk: Desk, topic: str, partition: int, offset: int) -> None:
    from kafka import TopicPartition

    with desk.kafka.admin() as admin:
        found: Any = admin.delete_records({TopicPartition(topic, partition): offset})
    assert found is not None
