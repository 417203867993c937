"""The detector keeps what came: killed, frozen, without room. Its archive is whole, and is what lies in Kafka."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.archive import place
from audit.archive.digest import Keys
from audit.archive.verify import Terms, verify
from audit.chains.verdict import OK
from detector.archive import digest, framing, store
from detector.archive.segments import folder
from detector.archive.signing import new_pair
from tests.detector.desk import Desk
from tests.disk import small
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

PRIVATE, PUBLIC = new_pair()
KILLS = int(os.environ.get("SEKIMORI_KILLS", "4"))
KEYS = [f"k{number}" for number in range(23)]


@pytest.fixture
def desk(tmp_path: Path, kafka: Cluster) -> Iterator[Desk]:
    """Detectors that share an archive `kept`, whose segments last a second."""
    one = Desk(tmp_path / "desk", kafka)
    key = one.folder / "archive.key"
    key.touch(0o600)
    key.write_bytes(PRIVATE)
    one.options["archive"] = {"folder": "kept", "key": "archive.key", "segment_s": 1}
    yield one
    one.close()


def assert_the_archive_is_what_lies_in_kafka(desk: Desk) -> None:
    """Every record of the events, with its offset, once; and nothing for the verifier to complain about."""
    topic = desk.topics["events"]
    where = str(desk.options["archive"]["folder"])
    where = where if "://" in where else str(desk.folder / where)
    there, kept = store.opened(where), []
    for partition in range(2):
        at = folder(topic, partition)
        for name in there.names(f"{at}/digests"):
            for listed in digest.segments(there.read(f"{at}/digests/{name}")):
                found = framing.read(there.read(f"{at}/segments/{listed.name}"))
                kept += [(partition, one.offset, one.key, one.value) for one in found.records]
    assert sorted(kept) == sorted((one.partition, one.offset, one.key, one.value) for one in desk.kafka.stored(topic))
    verdict = verify(place.opened(where), Keys({"archive.pub": PUBLIC}), (), Terms(topic, 0, agents=False))
    assert verdict.status == OK, verdict.problems


def keys(count: int, draw: random.Random) -> list[str]:
    return [draw.choice(KEYS) for _ in range(count)]


def test_detectors_killed_at_random_leave_a_whole_archive(desk: Desk):
    kill_at_random(desk)
    assert_the_archive_is_what_lies_in_kafka(desk)


def test_detectors_killed_at_random_leave_a_whole_archive_in_an_object_store(desk: Desk, bucket: str):
    desk.options["archive"]["folder"] = bucket
    kill_at_random(desk)
    assert_the_archive_is_what_lies_in_kafka(desk)


def kill_at_random(desk: Desk) -> None:
    """Two detectors at work, of which one is killed again and again; in the end all is read."""
    draw = random.Random(1)
    detectors = {name: desk.start(name=name) for name in "ab"}
    for _ in range(KILLS):
        desk.send(keys(300, draw))
        wanted = desk.sent - draw.randrange(300)
        for one in detectors.values():
            one.until(lambda wanted=wanted: len({key(found) for found in desk.found()}) > wanted)
        time.sleep(1.5 * draw.random())  # somewhere in the life of a segment
        name = draw.choice("ab")
        detectors[name].end(signal.SIGKILL)
        detectors[name] = desk.start(name=name)
    for one in detectors.values():
        one.until(lambda one=one: "metrics at port" in one.said)
        assert one.end() == 0

    assert desk.start("--once").process.wait(60) == 0


def key(found: dict[str, object]) -> tuple[object, object]:
    """What tells findings apart that came twice."""
    return found["key"], found["count"]


def test_a_detector_that_slept_while_another_took_over_does_the_archive_no_harm(desk: Desk):
    draw = random.Random(2)
    sleeper = desk.start(name="a")
    sleeper.until_it_has(4)
    desk.send(keys(300, draw))
    sleeper.send(signal.SIGSTOP)
    other = desk.start(name="b")
    other.until_it_has(4)
    desk.send(keys(300, draw))
    other.until(lambda: other.metric("sekimori_detector_records_total") >= 300)
    sleeper.send(signal.SIGCONT)
    sleeper.until(lambda: sleeper.metric("sekimori_detector_partitions") < 4 or "has taken over" in sleeper.said)
    desk.send(keys(300, draw))
    assert {sleeper.end(), other.end()} == {0}

    assert desk.start("--once").process.wait(60) == 0

    assert_the_archive_is_what_lies_in_kafka(desk)


@pytest.fixture
def disk(desk: Desk) -> Iterator[Path]:
    """The archive's folder is a file system of 400 KB."""
    with small(desk.folder / "kept", "400k") as place:
        yield place
        desk.close()


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1000)):
            pass


def test_without_room_it_stops_says_so_and_goes_on_when_there_is_room_again(desk: Desk, disk: Path):
    one = desk.start()
    one.until_it_has(4)
    fill(disk / "ballast")
    desk.send(keys(200, random.Random(3)))
    one.until(lambda: one.get("/healthz")[0] == 503)
    assert f"the archive cannot be written: {disk}/records/{desk.topics['events']}/0000" in one.get("/healthz")[1]
    assert ".zst: No space left on device: nothing more is read until it can" in one.get("/healthz")[1]
    desk.send(keys(3000, random.Random(4)))
    time.sleep(3)
    assert one.metric("sekimori_detector_records_total") < 2000

    (disk / "ballast").unlink()

    one.until(lambda: one.metric("sekimori_detector_records_total") >= 3200)
    one.until(lambda: one.get("/healthz") == (200, "ok\n"))
    assert one.end() == 0
    assert desk.start("--once").process.wait(60) == 0
    assert_the_archive_is_what_lies_in_kafka(desk)
