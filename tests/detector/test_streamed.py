"""Both stages through a real Kafka: whatever the partitions, detectors, order and deaths, the same is found.

The cores are small ones that count; what they find depends on nothing but the events, so any loss or double shows.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

import rules as shipped
from contract.partition import partition_of
from tests.detector.desk import Desk
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

RULES = Path(shipped.__file__).parent
MINUTE = 60_000
START = 1_775_000_000_000 // MINUTE * MINUTE
LENGTH = 60 * MINUTE
AGENTS = ("ag-0", "ag-1", "ag-2")
# Later than every stretch of time that anything waits for.
AFTER = START + LENGTH + 30 * MINUTE


@pytest.fixture
def desk_of(tmp_path: Path, kafka: Cluster) -> Iterator[Callable[[int], Desk]]:
    """Makes a desk with so many partitions."""
    desks = []

    def make(partitions: int) -> Desk:
        folder = tmp_path / f"desk{len(desks)}"
        shutil.copytree(RULES / "auth/guessing", folder / "rules" / "auth" / "guessing")
        options = {"detector": {"rules": "rules", "lateness_s": 300, "heartbeat_s": 86_400}}
        desks.append(Desk(folder, kafka, (partitions, 3, 2), ("tests.detector.smalldetect",), options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def events(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Events of an hour in the order of time."""
    draw = random.Random(seed)
    times = sorted(START + draw.randrange(LENGTH) for _ in range(count))
    return [event(number, at, f"a{draw.randrange(9)}", draw.choice(AGENTS)) for number, at in enumerate(times)]


def event(number: int, at: int, actor: str, agent: str) -> dict[str, Any]:
    return {
        "event.id": f"{number:016x}", "event.schema": 1, "event.class": "access", "time.occurred": at, "actor.id": actor,
        "agent.id": agent, "source.id": "web",
    }  # fmt: skip


def shuffled(rows: list[dict[str, Any]], by_ms: int, seed: int = 1) -> list[dict[str, Any]]:
    """The same events, each later than it could come by so much at most."""
    draw = random.Random(seed)
    return sorted(rows, key=lambda one: one["time.occurred"] + draw.randrange(by_ms))


def publish(desk: Desk, rows: list[dict[str, Any]], partitions: int) -> None:
    """Each event in a record of its own, in its actor's partition."""
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","), linger_ms=20)
    for one in rows:
        producer.send(
            desk.topics["events"], value=json.dumps(one).encode(), partition=partition_of(one["actor.id"], partitions)
        )
    producer.flush()
    producer.close()


def end(desk: Desk, partitions: int) -> None:
    """Every agent speaks once more in every partition, so that all before is decided."""
    number = 1 << 40
    producer = KafkaProducer(bootstrap_servers=desk.kafka.address.split(","))
    for partition in range(partitions):
        for agent in AGENTS:
            number += 1
            one = event(number, AFTER, "late", agent)
            producer.send(desk.topics["events"], value=json.dumps(one).encode(), partition=partition)
    producer.flush()
    producer.close()


def wanted(rows: list[dict[str, Any]]) -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
    """What both stages must count: by (minute, actor)."""
    counts = Counter((one["time.occurred"] // MINUTE, one["actor.id"]) for one in rows)
    return counts, counts


def found(desk: Desk, run: str = "live") -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]], int]:
    """What both stages counted, and how many findings came again; equal ones only."""
    values: dict[str, set[bytes]] = {}
    total = 0
    for record in desk.kafka.stored(desk.topics["findings"]):
        values.setdefault(f"{record.partition}/{(record.key or b'').decode()}", set()).add(record.value)
        total += 1
    torn = {key for key, each in values.items() if len(each) > 1}
    one: Counter[tuple[int, str]] = Counter()
    two: Counter[tuple[int, str]] = Counter()
    stage_one: dict[tuple[int, str], int] = {}
    for key, each in values.items():
        for value in each:
            item = json.loads(value)
            minute = item["time"] // MINUTE - 1
            for actor, count in json.loads(item["unmapped"]["text"]["en"]).items():
                if "/f-1" in key:
                    stage_one[minute, actor] = count
                else:
                    two[minute, actor] = count
    # Stage ones of several partitions name their minutes alike, and each has actors of its own.
    assert not {key for key in torn if "/f-2" in key}
    one.update(stage_one)
    return one, two, total


@pytest.mark.parametrize(("partitions", "detectors"), [(1, 1), (2, 2), (4, 2)])
def test_the_same_is_found_by_any_number_of_partitions_and_detectors_in_any_order(
    desk_of: Callable[[int], Desk], partitions: int, detectors: int
):
    desk = desk_of(partitions)
    rows = events(1500)
    publish(desk, shuffled(rows, 250_000), partitions)
    end(desk, partitions)

    running = [desk.start(name=f"d{number}") for number in range(detectors)]

    running[0].until(lambda: found(desk)[1] == wanted(rows)[1], 90)
    assert found(desk)[0] == wanted(rows)[0]
    for one in running:
        assert one.end() == 0


def test_detectors_that_die_while_agents_send_find_all_once(desk_of: Callable[[int], Desk]):
    desk = desk_of(2)
    draw = random.Random(1)
    rows = shuffled(events(3000), 250_000)
    running = {name: desk.start(name=name) for name in ("a", "b")}
    for start in range(0, 3000, 500):
        publish(desk, rows[start : start + 500], 2)
        time.sleep(draw.random() * 2)
        name = draw.choice(("a", "b"))
        running[name].end(signal.SIGKILL)
        running[name] = desk.start(name=name)
    publish(desk, rows[1000:1300], 2)  # an agent that lost its memory sends again
    end(desk, 2)

    running["a"].until(lambda: found(desk)[:2] == wanted(rows), 90)

    for one in running.values():
        assert one.end() == 0


def test_a_rerun_under_a_group_of_its_own_finds_the_same_and_touches_nothing_of_the_live_one(
    desk_of: Callable[[int], Desk],
):
    desk = desk_of(2)
    rows = events(800)
    publish(desk, rows, 2)
    end(desk, 2)
    assert desk.start("--once").process.wait(60) == 0
    live = desk.kafka.stored(desk.topics["findings"])
    assert found(desk)[:2] == wanted(rows)
    now_ms = time.time_ns() // 1_000_000

    again = [desk.start("1", str(now_ms + 60_000), name=name) for name in ("x", "y")]

    assert [one.process.wait(90) for one in again] == [0, 0]
    both = desk.kafka.stored(desk.topics["findings"])
    names = {(one.key, one.value) for one in live}
    # The small cores do not mark a run; a re-run closes what is open at its end as well.
    assert {(one.key, one.value) for one in both} >= names
    created = [one for one in live if json.loads(one.value)["activity_id"] == 1]
    assert len(both) >= len(live) + len(created)
    assert desk.start("--once").process.wait(60) == 0
    assert len(desk.kafka.stored(desk.topics["findings"])) == len(both)
