"""A worker on a real state log, publisher and archive: a disk that is full, and what it means to be done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.sealed import Record
from detector.archive.segments import Segments
from detector.archive.signing import Signer, new_pair
from detector.archive.store import Folder
from detector.arrival import Arrived
from detector.fetcher import Taken
from detector.outbox import Outbox
from detector.place import Place
from detector.stage import Moment, Sent
from detector.statelog import StateLog
from detector.worker import Worker
from service.publish import Publisher
from service.settings import Kafka
from tests.disk import small
from tests.kafka.cluster import Cluster

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")

PLACE = Place("events", 0)


class Echo:
    """Publishes every record as it came; the state is their number."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def begin(self) -> int:
        return 0

    def prepare(self, records: Sequence[Arrived]) -> Sequence[Arrived]:
        return records

    def decide(self, state: int, prepared: Sequence[Arrived], moment: Moment) -> dict[str, Any]:
        return {}

    def advance(self, state: int, prepared: Sequence[Arrived], decision: Mapping[str, Any]) -> tuple[int, Sent]:
        return state + len(prepared), Sent([Record(self._topic, 0, one.value, [], 0) for one in prepared])

    def dump(self, state: int) -> bytes:
        return b"%d" % state

    def load(self, data: bytes) -> int:
        return int(data)

    def is_over(self, state: int) -> bool:
        return True

    def show(self, state: int) -> Mapping[str, float]:
        return {}


class Uncounted:
    """Counts nothing."""

    def step(self, name: str, seconds: float) -> None: ...
    def turn(self, records: int, read_bytes: int) -> None: ...
    def count(self, counts: Mapping[str, float]) -> None: ...
    def replayed(self) -> None: ...
    def saved(self, size_bytes: int) -> None: ...


@pytest.fixture
def make(kafka: Cluster, tmp_path: Path) -> Iterator[Callable[..., tuple[Worker[int, Any], Outbox, str]]]:
    """Makes a worker with a log of its own."""
    opened: list[tuple[Worker[int, Any], Outbox]] = []
    state, findings = kafka.topic(1), kafka.topic(1)
    settings = Kafka.model_validate({"bootstrap_servers": kafka.address.split(",")})

    def made(
        tables: Callable[[int], Any] | None = None, snapshot_s: float = 1e9, **more: Any
    ) -> tuple[Worker[int, Any], Outbox, str]:
        outbox = Outbox(Publisher(settings, [findings]))
        state_log = StateLog(settings, state, 0, "live/events/0")
        worker = Worker(PLACE, Echo(findings), state_log, outbox, Uncounted(), snapshot_s=snapshot_s, **more)
        worker.open(lambda: 0, tables)
        opened.append((worker, outbox))
        return worker, outbox, findings

    yield made
    for worker, outbox in opened:
        worker.close(0)
        outbox.close(0.0)


def taken(first: int, count: int, size: int = 1) -> Taken:
    records = [
        Arrived("events", 0, first + n, 1_000, None, b"%d " % (first + n) + bytes(size), ()) for n in range(count)
    ]
    return Taken(records, first + count)


def moment() -> Moment:
    return Moment(time.time_ns() // 1_000_000, False)


def until_settled(worker: Worker[int, Any], outbox: Outbox) -> None:
    deadline = time.monotonic() + 60
    while not worker.settled:
        outbox.poll(0.1)
        assert time.monotonic() < deadline


def test_what_is_published_is_done_once_it_has_arrived_and_not_before(make: Any, kafka: Cluster):
    worker, outbox, findings = make()
    worker.take(taken(0, 10), moment())
    assert worker.next == 10
    assert worker.reached < 10

    until_settled(worker, outbox)

    assert worker.reached == 10
    assert len(kafka.stored(findings)) == 10


@pytest.mark.parametrize(
    ("age_ms", "at_end", "turns_after_s"),
    [(0, False, 1), (0, True, 1), (60_000, True, 1), (60_000, False, 5)],
)
def test_a_backlog_is_gathered_for_longer_than_what_is_new(make: Any, age_ms: int, at_end: bool, turns_after_s: int):
    now_s = [100.0]
    worker, _, _ = make(turn_s=1.0, monotonic=lambda: now_s[0])
    when = Moment(1_000 + age_ms, at_end)
    worker.take(taken(0, 1), when)  # the first is never waited for
    taken_by = []
    for number in range(1, 8):
        worker.take(taken(number, 1), when)
        taken_by.append(worker.next)
        now_s[0] += 1
    assert taken_by[:turns_after_s] == [1] * turns_after_s
    assert taken_by[turns_after_s] == turns_after_s + 2


class Holding(int):
    """What a stage knows that holds time, and has as much as it can take."""

    is_held = is_full = True


def test_nothing_more_is_taken_of_a_stage_that_is_full_and_it_is_not_done_as_long_as_it_holds_time(make: Any):
    worker, outbox, _ = make()
    worker.take(taken(0, 1), moment())
    until_settled(worker, outbox)
    assert worker.wants

    worker.state = Holding(worker.state)

    assert not worker.wants
    assert not worker.settled


def test_a_backlog_is_gathered_no_further_than_the_bytes_of_a_turn(make: Any):
    worker, _, _ = make(turn_s=1.0, turn_bytes=1000, monotonic=lambda: 100.0)
    when = Moment(61_000, False)
    worker.take(taken(0, 1), when)
    worker.take(taken(1, 1, size=900), when)
    assert worker.next == 1
    worker.take(taken(2, 1, size=900), when)
    assert worker.next == 3


def test_who_takes_over_publishes_again_what_was_not_seen_to_arrive(make: Any, kafka: Cluster):
    first, outbox, findings = make()
    first.take(taken(0, 10), moment())
    until_settled(first, outbox)
    first.take(taken(10, 10), moment())  # it dies before it hears of these

    heir, outbox, _ = make()
    assert heir.recovering
    heir.take(taken(heir.read_from, 20 - heir.read_from), moment())
    until_settled(heir, outbox)

    assert heir.state == 20
    assert {int(one.value.split(b" ")[0]) for one in kafka.stored(findings)} == set(range(20))


def test_a_snapshot_waits_for_what_is_on_its_way_and_spares_the_next_owner_the_work(make: Any):
    worker, outbox, _ = make(snapshot_s=0.0)
    assert worker.wants
    worker.take(taken(0, 10), moment())
    assert not worker.wants
    until_settled(worker, outbox)
    worker.tick(moment())
    assert worker.wants

    heir, _, _ = make()

    assert not heir.recovering
    assert (heir.state, heir.next, heir.read_from) == (10, 10, 10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KiB."""
    with small(tmp_path / "disk", "400k") as place:
        yield place


def _fails(action: Callable[[], None]) -> str:
    """What the operating system says, if it refuses."""
    try:
        action()
    except OSError as error:
        return str(error)
    return ""


def test_a_full_disk_stops_the_work_commits_nothing_and_is_got_over_without_loss(disk: Path, make: Any, kafka: Cluster):
    filler = disk / "filler"
    filler.write_bytes(b"x" * 300_000)
    signer = Signer(new_pair()[0])

    def tables(start: int) -> Segments:
        return Segments(
            Folder(disk / "archive"), "events", 0, signer, 0, partitions=1, start=start, segment_bytes=50_000
        )

    worker, outbox, findings = make(tables)
    noise = os.urandom(30_000)  # does not shrink

    def take(offset: int) -> None:
        record = Arrived("events", 0, offset, 1_000, None, b"%d " % offset + noise + os.urandom(8), ())
        worker.take(Taken([record], offset + 1), moment())

    offset = 0
    while worker.wants:
        if full := _fails(partial(take, offset)):
            break
        offset += 1
        until_settled(worker, outbox)
    assert "No space left" in full
    assert not worker.wants
    assert worker.reached <= offset
    with pytest.raises(OSError, match="No space left"):
        worker.tick(moment())

    filler.unlink()
    worker.tick(moment())
    assert worker.wants
    until_settled(worker, outbox)

    assert worker.reached == offset + 1
    assert len(kafka.stored(findings)) == offset + 1
